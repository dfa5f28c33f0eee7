/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "base/units.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

Party party;

static uid_t everybody[] = {0, UNIT_UID, UNIT_OTHER_UID};

static void ring(int fd) {
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        abort();
}

/* ---- the host ---- */

static int keeper_store(void *data, const char *name, const int *fds, size_t n_fds) {
    unsigned at = 0;

    if (party.keeper_result < 0)
        return party.keeper_result;
    for (size_t i = 0; i < n_fds; i++) {
        while (at < PARTY_KEPT && party.kept[at].fd > 0)
            at++;
        ck_assert_uint_lt(at, PARTY_KEPT);
        snprintf(party.kept[at].name, sizeof(party.kept[at].name), "%s", name);
        party.kept[at].fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        ck_assert_int_ge(party.kept[at].fd, 3);
    }
    return 0;
}

static void keeper_drop(void *data, const char *name) {
    for (unsigned i = 0; i < PARTY_KEPT; i++)
        if (party.kept[i].fd > 0 && !strcmp(party.kept[i].name, name))
            party.kept[i].fd = fd_close(party.kept[i].fd);
}

const HostKeeper party_keeper = {.store = keeper_store, .drop = keeper_drop};

void party_keep(void) {
    party.keeps = true;
    party_stop_host();
    party_start_host();
}

void party_await_take_up(unsigned n_clients, unsigned n_workers) {
    ck_assert_uint_eq(party.host->n_clients, n_clients);
    ck_assert_uint_eq(party.host->workers.n, n_workers);
    AWAIT(party.host->n_counting == 0);
}

void party_leave_host(void) {
    host_leave(party.host);
    party_stop_host();
}

void party_restart_host(void) {
    party_leave_host();
    party_start_host();
}

unsigned party_n_kept(const char *name) {
    unsigned n = 0;

    for (unsigned i = 0; i < PARTY_KEPT; i++)
        n += party.kept[i].fd > 0 && (!name || !strcmp(party.kept[i].name, name));
    return n;
}

/* In any order, as from systemd: here the one that was kept last comes first. */
static void give_back(void) {
    HostKept list[PARTY_KEPT];
    char names[PARTY_KEPT][32];
    size_t n = 0;

    for (unsigned i = PARTY_KEPT; i > 0; i--) {
        if (party.kept[i - 1].fd <= 0)
            continue;
        strcpy(names[n], party.kept[i - 1].name);
        list[n] = (HostKept){.name = names[n], .fd = fcntl(party.kept[i - 1].fd, F_DUPFD_CLOEXEC, 3)};
        n++;
    }
    ck_assert_int_eq(host_keep(party.host, &party_keeper, list, n), 0);
}

void party_start_host(void) {
    ck_assert_int_eq(host_new(&party.host, "test", &party.settings), 0);
    if (party.parks_in)
        ck_assert_int_eq(host_park_in(party.host, party.parks_in), 0);
    if (party.keeps)
        give_back();
    ck_assert_int_eq(host_listen(party.host, party.path), 0);
}

void party_stop_host(void) {
    party.host = host_free(party.host);
}

/* As a host has it that says nothing of it; or as the environment wishes: both are to be tested. */
static HugePages huge_pages(void) {
    const char *wish = getenv("SHMIPC_TEST_HUGE_PAGES");

    return !wish ? HUGE_AUTO : strcmp(wish, "never") == 0 ? HUGE_NEVER : HUGE_ALWAYS;
}

void party_begin(void) {
    const Principals all = {.uids = everybody, .n_uids = ELEMENTS(everybody)};

    everybody[0] = geteuid();
    party = (Party){.n_fds = unit_n_fds()};
    strcpy(party.folder, "/tmp/shmipc-party-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(party.folder));
    ck_assert_int_eq(chmod(party.folder, 0755), 0);
    snprintf(party.path, sizeof(party.path), "%s/host.sock", party.folder);
    party.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_ge(party.bell_fd, 0);
    party.settings = (HostSettings){
        .max_payload = 64 * MIB,
        .memory = 512 * MIB,
        .huge_pages = huge_pages(),
        .max_clients = PARTY_CLIENTS,
        .requests_per_client = 4,
        .user_share = 50,
        .queue_depth = 4,
        .attempts = 2,
        .access = all,
        .workers = all,
        .trusted = all,
    };
    party_start_host();
}

void party_begin_kept(void) {
    party_begin();
    party_keep();
}

TCase *party_add_case(Suite *suite, const char *name, void (*begin)(void), void (*end)(void)) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

void party_end(void) {
    for (size_t i = 0; i < PARTY_CLIENTS; i++)
        client_free(party.clients[i]);
    party_stop_host();
    for (size_t i = 0; i < PARTY_KEPT; i++)
        if (party.kept[i].fd > 0)
            fd_close(party.kept[i].fd);
    fd_close(party.bell_fd);
    ck_assert_int_eq(rmdir(party.folder), 0);
    /* What is closed aside is closed by a thread that nobody hears of. */
    for (int i = 0; unit_n_fds() > party.n_fds && i < 10000; i++)
        (void)poll(NULL, 0, 1);
    ck_assert_uint_eq(unit_n_fds(), party.n_fds);
}

/* ---- turning ---- */

static void collect_events(void) {
    Event event;

    while (host_pop_event(party.host, &event)) {
        ck_assert_uint_lt(party.n_events, PARTY_EVENTS);
        party.events[party.n_events++] = event;
    }
}

static void turn(void) {
    uint64_t n;

    if (read(party.bell_fd, &n, sizeof(n)) < 0)
        ck_assert_int_eq(errno, EAGAIN);
    if (party.host) {
        int r = host_wait(party.host, 0);

        if (r < 0)
            ck_abort_msg("the host failed: %s", strerror(-r));
        collect_events();
    }
    for (size_t i = 0; i < PARTY_CLIENTS; i++)
        if (party.clients[i] && client_dispatch(party.clients[i]) < 0)
            ck_abort_msg("a client failed");
}

/* Return: whether there is something to do. */
static bool wait_for_all(int fd, int timeout_ms) {
    struct pollfd fds[PARTY_CLIENTS + 3];
    nfds_t n = 0;
    int r;

    fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = party.bell_fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = party.host ? host_get_fd(party.host) : -1, .events = POLLIN};
    for (size_t i = 0; i < PARTY_CLIENTS; i++)
        fds[n++] =
            (struct pollfd){.fd = party.clients[i] ? client_get_fd(party.clients[i]) : -1, .events = POLLIN};
    do
        r = poll(fds, n, timeout_ms);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        ck_abort_msg("poll: %s", strerror(errno));
    return r > 0;
}

void party_turn(int fd) {
    (void)wait_for_all(fd, -1);
    turn();
}

void party_await_fd(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    while (poll(&pollfd, 1, 0) == 0)
        party_turn(fd);
}

void party_settle(void) {
    while (wait_for_all(-1, 0))
        turn();
}

void party_tick(void) {
    host_set_settings(party.host, &party.settings);
    turn();
}

unsigned party_n_events(EventKind kind) {
    unsigned n = 0;

    for (unsigned i = 0; i < party.n_events; i++)
        n += party.events[i].kind == kind;
    return n;
}

const Event *party_event(EventKind kind) {
    for (unsigned i = party.n_events; i > 0; i--)
        if (party.events[i - 1].kind == kind)
            return &party.events[i - 1];
    ck_abort_msg("no event of kind %d", (int)kind);
}

/* ---- clients ---- */

Client *party_connect(const char *name) {
    int fd;

    for (size_t i = 0; i < PARTY_CLIENTS; i++)
        if (!party.clients[i]) {
            ck_assert_int_eq(channel_connect(party.path, &fd), 0);
            ck_assert_int_eq(client_new(&party.clients[i], fd, name), 0);
            return party.clients[i];
        }
    ck_abort_msg("more clients than PARTY_CLIENTS");
}

Client *party_add_client(void) {
    Client *client = party_connect("test-client");
    const char *text;

    AWAIT(client_state(client) != CLIENT_CONNECTING);
    (void)client_refusal(client, &text);
    ck_assert_msg(client_state(client) == CLIENT_READY, "not let in: %s", text);
    return client;
}

void party_remove_client(Client *client) {
    for (size_t i = 0; i < PARTY_CLIENTS; i++)
        if (party.clients[i] == client)
            party.clients[i] = client_free(client);
}

HostClient *party_client_of_host(const Client *client) {
    return table_find(&party.host->clients, client_id(client));
}

uint64_t party_resident(const Client *client) {
    const HostClient *of_host = party_client_of_host(client);
    uint64_t requests, responses;

    ck_assert_int_eq(object_usage(of_host->requests_fd, &requests), 0);
    ck_assert_int_eq(object_usage(of_host->responses_fd, &responses), 0);
    return requests + responses;
}

uint64_t party_reserved(const Client *client) {
    const HostClient *of_host = party_client_of_host(client);

    return of_host->reserved_bytes[0] + of_host->reserved_bytes[1];
}

void party_check_only_probe(void) {
    const HostClient *probe = table_at(&party.host->clients, 0);

    ck_assert_uint_eq(party.host->clients.n, 1);
    ck_assert_uint_eq(party.host->memory_bytes, probe->reserved_bytes[0] + probe->reserved_bytes[1]);
}

static void fill(Request *request) {
    uint8_t *data = request->segment.map;
    unsigned seed = request->slot * 7 + request->generation;

    for (uint64_t i = 0; i < request->payload_bytes; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8) + seed);
}

int party_reserve(Request *request, uint64_t bytes) {
    int r;

    while ((r = request_reserve(request, bytes, false)) == CLIENT_PENDING)
        AWAIT(request->state != REQUEST_GROWING);
    ck_assert(r == 0 || r == CLIENT_NOT_GRANTED);
    return r;
}

Request *party_take(Client *client, uint64_t bytes) {
    Request *request = NULL;
    int r;

    ck_assert_int_eq(client_take(client, &request), 0);
    while ((r = request_reserve(request, bytes, true)) == CLIENT_PENDING)
        AWAIT(request->state != REQUEST_GROWING);
    ck_assert_int_eq(r, 0);
    request->payload_bytes = bytes;
    fill(request);
    return request;
}

Request *party_send(Client *client, uint64_t bytes) {
    Request *request = party_take(client, bytes);

    ck_assert_int_eq(request_send(request), 0);
    return request;
}

void party_check_echo(Request *request) {
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_DONE);
    ck_assert_uint_eq(request->response_bytes, request->payload_bytes);
    if (request->payload_bytes > 0)
        ck_assert_int_eq(memcmp(request->response.map, request->segment.map, request->payload_bytes), 0);
}

void party_echo(Client *client, uint64_t bytes) {
    Request *request = party_send(client, bytes);

    party_check_echo(request);
    request_release(request);
}

SlotWord party_word(const Request *request) {
    return state_load(request->client->states.map, request->slot, NULL);
}

/* ---- workers as threads ---- */

Handler party_echo_handler = {.kind = &handler_echo};

/* What the test may know of it. Return: whether it is to go on. */
static bool note(PartyWorker *worker, int result) {
    Event event;
    bool go_on;

    pthread_mutex_lock(&worker->lock);
    while (worker_pop_event(worker->worker, &event)) {
        worker->n_told[event.kind]++;
        worker->latest[event.kind] = event;
    }
    worker->state = worker_state(worker->worker);
    worker->n_exchanges = worker_n_exchanges(worker->worker);
    worker->result = result;
    go_on = result == 0 && !worker->stop;
    worker->ended = worker->state == WORKER_STOPPED;
    pthread_mutex_unlock(&worker->lock);
    ring(party.bell_fd);
    return go_on;
}

static void *work(void *data) {
    PartyWorker *worker = data;
    int r = 0;

    while (note(worker, r))
        r = worker_wait(worker->worker, UINT64_MAX);
    worker_stop(worker->worker);
    note(worker, r);
    return NULL;
}

PartyWorker *party_start_worker(Handler *handler) {
    PartyWorker *worker = calloc(1, sizeof(*worker));

    ck_assert_ptr_nonnull(worker);
    worker->settings = (WorkerSettings){.serves = (char *)"test", .timeout_ns = 100 * NS_PER_SEC,
                                        .poll_ns = party.poll_ns};
    worker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&worker->lock, NULL);
    ck_assert_int_eq(worker_new(&worker->worker, "test-worker", party.path, &worker->settings,
                                handler ? handler : &party_echo_handler),
                     0);
    worker_set_terse(worker->worker, party.terse);
    ck_assert_int_eq(worker_watch(worker->worker, worker->stop_fd), 0);
    ck_assert_int_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
    return worker;
}

PartyWorker *party_add_worker(Handler *handler) {
    unsigned n_before = party_n_events(EVENT_WORKER_ATTACHED);
    PartyWorker *worker = party_start_worker(handler);

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) > n_before && party_worker_state(worker) == WORKER_ATTACHED);
    return worker;
}

static bool has_ended(PartyWorker *worker) {
    bool ended;

    pthread_mutex_lock(&worker->lock);
    ended = worker->ended;
    pthread_mutex_unlock(&worker->lock);
    return ended;
}

void party_stop_worker(PartyWorker *worker) {
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_mutex_unlock(&worker->lock);
    ring(worker->stop_fd);
    AWAIT(has_ended(worker));
    pthread_join(worker->thread, NULL);
    ck_assert_int_eq(worker->result, 0);
    worker_free(worker->worker);
    fd_close(worker->stop_fd);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

WorkerState party_worker_state(PartyWorker *worker) {
    WorkerState state;

    pthread_mutex_lock(&worker->lock);
    state = worker->state;
    pthread_mutex_unlock(&worker->lock);
    return state;
}

uint64_t party_worker_n_exchanges(PartyWorker *worker) {
    uint64_t n;

    pthread_mutex_lock(&worker->lock);
    n = worker->n_exchanges;
    pthread_mutex_unlock(&worker->lock);
    return n;
}

unsigned party_worker_told(PartyWorker *worker, EventKind kind) {
    unsigned n;

    pthread_mutex_lock(&worker->lock);
    n = worker->n_told[kind];
    pthread_mutex_unlock(&worker->lock);
    return n;
}

void party_worker_event(PartyWorker *worker, EventKind kind, Event *ret_event) {
    pthread_mutex_lock(&worker->lock);
    *ret_event = worker->latest[kind];
    pthread_mutex_unlock(&worker->lock);
}

/* ---- the gate ---- */

static int remaining_ms(uint64_t deadline_ns) {
    uint64_t now_ns = clock_now_ns();

    return deadline_ns <= now_ns ? 0 : (int)((deadline_ns - now_ns) / NS_PER_MS + 1);
}

static int gate_handle(Handler *handler, Exchange *exchange) {
    Gate *gate = (Gate *)handler;
    struct pollfd fds[] = {
        {.fd = gate->open_fd, .events = POLLIN},
        {.fd = gate->deaf ? -1 : exchange->cancel_fd, .events = POLLIN},
    };

    ring(gate->entered_fd);
    for (;;) {
        uint64_t one;

        if (poll(fds, ELEMENTS(fds), remaining_ms(exchange->deadline_ns)) == 0) {
            exchange_fail_expired(exchange);
            return 0;
        }
        if (fds[0].revents && read(gate->open_fd, &one, sizeof(one)) == sizeof(one))
            return handler_echo.handle(handler, exchange);
        if (fds[1].revents && exchange_is_cancelled(exchange)) {
            exchange_fail(exchange, REASON_STOPPED, 0, "cancelled");
            return 0;
        }
    }
}

static const HandlerKind gate_kind = {.name = "gate", .handle = gate_handle};

void gate_init(Gate *gate) {
    *gate = (Gate){
        .handler.kind = &gate_kind,
        .entered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
        .open_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
    };
}

void gate_deinit(Gate *gate) {
    fd_close(gate->entered_fd);
    fd_close(gate->open_fd);
}

void gate_await_entry(Gate *gate) {
    uint64_t one;

    party_await_fd(gate->entered_fd);
    ck_assert_int_eq(read(gate->entered_fd, &one, sizeof(one)), sizeof(one));
}

void gate_open(Gate *gate) {
    ring(gate->open_fd);
}
