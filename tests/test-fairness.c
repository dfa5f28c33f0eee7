/* SPDX-License-Identifier: MIT */
/*
 * Fairness: a user that floods delays itself only
 *
 * The worker handles one exchange after the other, each when the test lets it, and the test sees whose it is.
 * Some users have always more waiting than their queues hold; another one now and then sends a single
 * request. It is taken after the round that is under way, and at most one more: at most two of each of the
 * others.
 */
#include "party.h"

#include "base/units.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#define FLOODERS 3
#define ROUNDS   10

static const uid_t quiet_uid = UNIT_OTHER_UID;

/* Shows one exchange after the other. */
typedef struct Turnstile {
    Handler handler;
    int entered_fd;
    int open_fd;
    uid_t latest; /* written before it is entered */
} Turnstile;

static Turnstile turnstile;

static void ring(int fd) {
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        abort();
}

static int pass(Handler *handler, Exchange *exchange) {
    struct pollfd pollfd = {.fd = turnstile.open_fd, .events = POLLIN};
    uint64_t one;

    turnstile.latest = exchange->uid;
    ring(turnstile.entered_fd);
    while (poll(&pollfd, 1, -1) < 0 || read(turnstile.open_fd, &one, sizeof(one)) < 0)
        if (errno != EINTR && errno != EAGAIN)
            abort();
    return handler_echo.handle(handler, exchange);
}

static const HandlerKind kind = {.name = "turnstile", .handle = pass};

static uid_t await_next(void) {
    uint64_t one;

    party_await_fd(turnstile.entered_fd);
    ck_assert_int_eq(read(turnstile.entered_fd, &one, sizeof(one)), sizeof(one));
    return turnstile.latest;
}

/* ---- a worker that takes what it does by worker_pop(), as programs do by the library ---- */

typedef struct Taker {
    WorkerSettings settings;
    Worker *worker;
    pthread_t thread;
    int stop_fd;
    bool stop; /* atomic */
} Taker;

static void *take(void *data) {
    Taker *taker = data;
    Exchange *exchange;

    while (!__atomic_load_n(&taker->stop, __ATOMIC_ACQUIRE)) {
        if (worker_wait(taker->worker, UINT64_MAX) < 0)
            abort();
        if (!worker_pop(taker->worker, &exchange))
            continue;
        if (pass(&turnstile.handler, exchange) < 0 || worker_end(exchange) < 0)
            abort();
        ring(party.bell_fd);
    }
    worker_stop(taker->worker);
    return NULL;
}

static Taker *start_taker(void) {
    Taker *taker = calloc(1, sizeof(*taker));

    ck_assert_ptr_nonnull(taker);
    taker->settings = (WorkerSettings){.serves = (char *)"test", .timeout_ns = 100 * NS_PER_SEC};
    taker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_eq(worker_new(&taker->worker, "taker", party.path, &taker->settings, NULL), 0);
    ck_assert_int_eq(worker_watch(taker->worker, taker->stop_fd), 0);
    ck_assert_int_eq(pthread_create(&taker->thread, NULL, take, taker), 0);
    AWAIT(party.host->n_workers == 1);
    return taker;
}

static void stop_taker(Taker *taker) {
    __atomic_store_n(&taker->stop, true, __ATOMIC_RELEASE);
    ring(taker->stop_fd);
    AWAIT(party.host->n_workers == 0);
    pthread_join(taker->thread, NULL);
    worker_free(taker->worker);
    fd_close(taker->stop_fd);
    free(taker);
}

/* ---- clients ---- */

static Client *quiet;
static Client *flooders[FLOODERS];
static unsigned n_flooders;
static Request *floods[FLOODERS * 4];

static Client *add_client_of(uid_t uid) {
    Client *client;

    ck_assert_int_eq(seteuid(uid), 0);
    client = party_connect("test-client");
    ck_assert_int_eq(seteuid(0), 0);
    AWAIT(client_state(client) == CLIENT_READY);
    return client;
}

/* Whatever has ended is sent again. */
static void flood(void) {
    for (unsigned i = 0; i < n_flooders * 4; i++) {
        if (floods[i] && floods[i]->state != REQUEST_ENDED)
            continue;
        if (floods[i])
            request_release(floods[i]);
        floods[i] = party_send(flooders[i / 4], 100);
    }
}

static void begin(void) {
    static const uid_t uids[FLOODERS] = {0, UNIT_UID, UNIT_UID + 1000};
    static uid_t everybody[] = {0, UNIT_UID, UNIT_UID + 1000, UNIT_OTHER_UID};
    const Principals all = {.uids = everybody, .n_uids = ELEMENTS(everybody)};

    party_begin();
    party.settings.access = all;
    party.settings.queue_depth = 2; /* of four requests two are owed, or one is in hand */
    turnstile = (Turnstile){
        .handler.kind = &kind,
        .entered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
        .open_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
    };
    quiet = add_client_of(quiet_uid);
    for (unsigned i = 0; i < n_flooders; i++)
        flooders[i] = add_client_of(uids[i]);
}

static void begin_with_one_flood(void) {
    n_flooders = 1;
    begin();
}

static void begin_with_floods(void) {
    n_flooders = FLOODERS;
    begin();
}

static void end(void) {
    fd_close(turnstile.entered_fd);
    fd_close(turnstile.open_fd);
    party_end();
}

/* All that is under way ends. */
static void let_all_go(void) {
    for (unsigned i = 0; i < 1000; i++)
        ring(turnstile.open_fd);
    for (unsigned i = 0; i < n_flooders * 4; i++)
        AWAIT(floods[i]->state == REQUEST_ENDED);
}

/* How many of others are taken before the quiet user's request, which is sent now. */
static unsigned n_before_quiet(void) {
    Request *request = party_send(quiet, 10);
    unsigned n = 0;

    for (;;) {
        flood();
        party_settle();
        ring(turnstile.open_fd);
        if (await_next() == quiet_uid)
            break;
        ck_assert_uint_le(++n, 100);
    }
    ring(turnstile.open_fd);
    party_check_echo(request);
    request_release(request);
    (void)await_next();
    return n;
}

static void quiet_user_is_served(void) {
    flood();
    ck_assert_uint_ne(await_next(), quiet_uid);
    for (unsigned i = 0; i < ROUNDS; i++)
        ck_assert_uint_le(n_before_quiet(), 2 * n_flooders);
    let_all_go();
}

START_TEST(flood_of_others_does_not_delay_what_a_daemon_handles) {
    PartyWorker *worker = party_add_worker(&turnstile.handler);

    quiet_user_is_served();
    party_stop_worker(worker);
}
END_TEST

START_TEST(flood_of_others_does_not_delay_what_a_program_takes) {
    Taker *taker = start_taker();

    quiet_user_is_served();
    stop_taker(taker);
}
END_TEST

/* What the host owes to queues is not paid to the first of them alone. */
START_TEST(flood_of_others_does_not_delay_what_is_announced_again) {
    Request *request = party_send(quiet, 10);
    Taker *taker;

    flood();
    host_repeat(party.host);
    taker = start_taker();
    for (unsigned i = 0; await_next() != quiet_uid; i++) {
        ck_assert_uint_le(i, 2 * n_flooders);
        flood();
        host_repeat(party.host);
        party_settle();
        ring(turnstile.open_fd);
    }
    let_all_go();
    party_check_echo(request);
    stop_taker(taker);
}
END_TEST

static void add_case(Suite *suite, const char *name, void (*set_up)(void)) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, set_up, end);
    if (unit_is_root()) {
        tcase_add_test(tests, flood_of_others_does_not_delay_what_a_daemon_handles);
        tcase_add_test(tests, flood_of_others_does_not_delay_what_a_program_takes);
        tcase_add_test(tests, flood_of_others_does_not_delay_what_is_announced_again);
    }
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("fairness");

    add_case(suite, "one flood", begin_with_one_flood);
    add_case(suite, "several floods", begin_with_floods);
    return suite;
}
