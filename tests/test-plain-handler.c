/* SPDX-License-Identifier: MIT */
/* Our handler on the plain wire: requests passed on to other people's workers, and to our own. */
#include "base/units.h"
#include "os/queue.h"
#include "os/segment.h"
#include "os/wait.h"
#include "os/watch.h"
#include "plain-unit.h"
#include "unit.h"
#include "wire/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RESPONSE_MAX (UINT64_C(64) << 20)

static TestNames names;
static HandlerSettings settings;
static Handler *handler;

static void setup(void) {
    test_names_init(&names);
    settings = (HandlerSettings){.type = HANDLER_PLAIN, .plain = names.names};
    ck_assert_int_eq(handler_plain.new(&handler, &settings, NULL), 0);
}

static void teardown(void) {
    handler_plain.free(handler);
    test_names_unlink(&names);
}

/* ---- an exchange as a worker of ours makes it ---- */

typedef struct Call {
    Exchange exchange;
    Segment response;
    int request_fd;
} Call;

static int grow(Exchange *exchange, uint64_t bytes) {
    return 0;
}

/* Also for threads. */
static int make_object(uint64_t bytes) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int fd;

    pthread_mutex_lock(&lock);
    ck_assert_int_eq(object_create(unit_name(), bytes, &fd), 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

static void call_init(Call *call, const char *payload, size_t bytes, uint64_t time_ns) {
    int response_fd = make_object(RESPONSE_MAX);

    call->request_fd = make_object(bytes);
    ck_assert_int_eq(pwrite(call->request_fd, payload, bytes, 0), (ssize_t)bytes);
    segment_init(&call->response, response_fd, true, 0, RESPONSE_MAX);
    call->exchange = (Exchange){
        .attempt = 1,
        .deadline_ns = clock_now_ns() + time_ns,
        .request_bytes = bytes,
        .request_fd = call->request_fd,
        .response = &call->response,
        .max_response = RESPONSE_MAX,
        .grow = grow,
        .cancel_fd = -1,
    };
}

static void call_deinit(Call *call) {
    segment_disconnect(&call->response);
    close(call->response.fd);
    close(call->request_fd);
}

static bool call_answered(const Call *call, const char *payload, size_t bytes, const char *added) {
    const char *response = call->response.map;
    const size_t n_added = strlen(added);

    if (call->exchange.reason != REASON_NONE || call->exchange.response_bytes != bytes + n_added)
        return false;
    return bytes + n_added == 0 ||
           (memcmp(response, payload, bytes) == 0 && memcmp(response + bytes, added, n_added) == 0);
}

static bool call_says(const Call *call, const char *part) {
    return memmem(call->response.map, call->exchange.response_bytes, part, strlen(part)) != NULL;
}

/* One exchange that must be answered rightly. */
static void exchange(size_t bytes, unsigned seed, const char *added) {
    char *payload = test_payload(bytes, seed);
    Call call;

    call_init(&call, payload, bytes, PATIENT_NS);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert(call_answered(&call, payload, bytes, added));
    call_deinit(&call);
    free(payload);
}

/* One exchange that must fail for @reason, with @part in its text. */
static void failure(uint64_t time_ns, Reason reason, const char *part) {
    Call call;

    call_init(&call, "hello", 5, time_ns);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, reason);
    ck_assert(call_says(&call, part));
    call_deinit(&call);
    ck_assert(!test_names_exist(&names));
}

/* A worker that has opened everything and waits. */
static Peer waiting_worker(const char *option, const char *value) {
    Peer peer = peer_start("plain-worker", &names, "", 0, option, value);

    AWAIT(test_names_exist(&names));
    return peer;
}

static void *handle_in_thread(void *data) {
    Call *call = data;

    ck_assert_int_eq(handler_plain.handle(handler, &call->exchange), 0);
    return NULL;
}

static bool holds_a_message(const char *name) {
    uint32_t n = 0;
    int fd;

    if (queue_open_named(name, QUEUE_READ, false, 0, 0, &fd) != 0)
        return false;
    (void)queue_depth(fd, &n, NULL, NULL);
    close(fd);
    return n > 0;
}

/* The request is out, and nobody has taken it. Whatever else was there has gone before. */
static bool is_sent(void) {
    return holds_a_message(names.names.host_queue) && !holds_a_message(names.names.worker_queue);
}

/* ---- orders ---- */

START_TEST(a_worker_that_waits_already_answers) {
    Peer peer = waiting_worker(NULL, NULL);

    exchange(17, 1, " processed");
    ck_assert_int_eq(peer_end(&peer), 0);
    ck_assert(!test_names_exist(&names));
}
END_TEST

static void worker_comes_late(const char *what) {
    char *payload = test_payload(5000, 1);
    pthread_t thread;
    Call call;
    Peer peer;

    call_init(&call, payload, 5000, PATIENT_NS);
    ck_assert_int_eq(pthread_create(&thread, NULL, handle_in_thread, &call), 0);
    AWAIT(is_sent());
    peer = peer_start(what, &names, "", 0, NULL, NULL);
    pthread_join(thread, NULL);
    ck_assert(call_answered(&call, payload, 5000, " processed"));
    ck_assert_int_eq(peer_end(&peer), 0);
    ck_assert(!test_names_exist(&names));
    call_deinit(&call);
    free(payload);
}

START_TEST(a_worker_that_comes_late_answers) {
    worker_comes_late("plain-worker");
}
END_TEST

START_TEST(a_worker_in_python_answers_in_both_orders) {
    Peer peer;

    worker_comes_late("py-worker");
    peer = peer_start("py-worker", &names, "", 0, NULL, NULL);
    AWAIT(test_names_exist(&names));
    exchange(100, 2, " processed");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(each_exchange_finds_a_worker_of_its_own) {
    static const size_t sizes[] = {1, 4086, 4096, 4097, 1 << 20, 3};

    for (unsigned i = 0; i < ELEMENTS(sizes); i++) {
        Peer peer = peer_start("plain-worker", &names, "", 0, NULL, NULL);

        exchange(sizes[i], i, " processed");
        ck_assert_int_eq(peer_end(&peer), 0);
    }
}
END_TEST

START_TEST(a_request_of_2_to_the_24_and_one_byte_arrives_whole) {
    Peer peer = waiting_worker("-a", "");

    exchange((1 << 24) + 1, 1, "");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(an_empty_request_arrives) {
    Peer peer = waiting_worker(NULL, NULL);

    exchange(0, 1, " processed");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(a_mapped_request_arrives) {
    char *payload = test_payload(10000, 1);
    Peer peer = waiting_worker(NULL, NULL);
    Call call;

    call_init(&call, payload, 10000, PATIENT_NS);
    call.exchange.request = payload;
    call.exchange.request_fd = -1;
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert(call_answered(&call, payload, 10000, " processed"));
    ck_assert_int_eq(peer_end(&peer), 0);
    call_deinit(&call);
    free(payload);
}
END_TEST

/* ---- failures ---- */

START_TEST(without_a_worker_the_time_runs_out_and_says_so) {
    failure(100 * NS_PER_MS, REASON_TIMED_OUT, "no worker of the plain wire took the request");
}
END_TEST

/* Return: whether it had its turn before @time_ns were over. */
static bool worker_dies_with_the_request(uint64_t time_ns) {
    Peer peer = waiting_worker("-k", "received");
    bool had_its_turn;
    Call call;

    call_init(&call, "hello", 5, time_ns);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_TIMED_OUT);
    had_its_turn = call_says(&call, "did not answer in time");
    ck_assert(had_its_turn || call_says(&call, "no worker of the plain wire took the request"));
    call_deinit(&call);
    if (!had_its_turn)
        ck_assert_int_eq(kill(peer.pid, SIGKILL), 0);
    ck_assert_int_eq(peer_end(&peer), -SIGKILL);
    ck_assert(!test_names_exist(&names));
    return had_its_turn;
}

/* On a busy machine it may come too late to take anything. */
START_TEST(a_worker_that_dies_with_the_request_runs_the_time_out_and_that_is_told_apart) {
    uint64_t time_ns = 100 * NS_PER_MS;

    while (!worker_dies_with_the_request(time_ns)) {
        time_ns *= 2;
        ck_assert_uint_lt(time_ns, PATIENT_NS / 2);
    }
}
END_TEST

START_TEST(an_answer_that_is_no_count_fails_the_exchange) {
    static const char *const messages[] = {"rubbish", "-1", "99999999999999999999999"};

    for (unsigned i = 0; i < ELEMENTS(messages); i++) {
        Peer peer = waiting_worker("-m", messages[i]);

        failure(PATIENT_NS, REASON_PLAIN_PEER, names.names.worker_queue);
        ck_assert_int_eq(peer_end(&peer), 0);
    }
}
END_TEST

START_TEST(an_answer_that_says_failed_fails_the_exchange) {
    Peer peer = waiting_worker("-m", "00");

    failure(PATIENT_NS, REASON_PLAIN_PEER, "says that it failed");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(a_count_larger_than_the_segment_fails_the_exchange) {
    Peer peer = waiting_worker("-m", "4097");

    failure(PATIENT_NS, REASON_PLAIN_PEER, "4097 bytes");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(a_response_over_the_setting_fails_the_exchange_and_names_it) {
    Peer peer = waiting_worker(NULL, NULL);

    settings.max_response = 14; /* "hello processed" has 15 */
    failure(PATIENT_NS, REASON_RESPONSE_TOO_LARGE, "`max_response`");
    ck_assert_int_eq(peer_end(&peer), 0);
    settings.max_response = 15;
    peer = waiting_worker(NULL, NULL);
    exchange(5, 1, " processed");
    ck_assert_int_eq(peer_end(&peer), 0);
}
END_TEST

START_TEST(a_request_that_shrinks_fails_the_exchange) {
    char *payload = test_payload(10000, 1);
    Call call;

    call_init(&call, payload, 10000, PATIENT_NS);
    ck_assert_int_eq(ftruncate(call.request_fd, 5000), 0);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_REQUEST_CHANGED);
    ck_assert(!test_names_exist(&names));
    call_deinit(&call);
    free(payload);
}
END_TEST

static bool is_cancelled(Exchange *exchange) {
    return true;
}

START_TEST(a_cancelled_exchange_ends_at_once_and_leaves_no_name) {
    int cancel = eventfd(0, EFD_CLOEXEC);
    pthread_t thread;
    Call call;

    call_init(&call, "hello", 5, PATIENT_NS);
    call.exchange.cancel_fd = cancel;
    call.exchange.cancelled = is_cancelled;
    ck_assert_int_eq(pthread_create(&thread, NULL, handle_in_thread, &call), 0);
    AWAIT(is_sent());
    ck_assert_int_eq(eventfd_write(cancel, 1), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(call.exchange.reason, REASON_STOPPED);
    ck_assert(!test_names_exist(&names));
    call_deinit(&call);
    close(cancel);
}
END_TEST

static int make_queue(void *data) {
    int fd;

    return queue_open_named(data, QUEUE_BOTH, true, 1, 512, &fd);
}

START_TEST(another_users_queue_fails_the_exchange_with_its_cure) {
    Call call;

    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_queue, names.names.host_queue), 0);
    call_init(&call, "hello", 5, PATIENT_NS);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_PLAIN_PEER);
    ck_assert(call_says(&call, "plain-wire.conf"));
    call_deinit(&call);
}
END_TEST

START_TEST(a_request_that_does_not_fit_into_shared_memory_fails_the_exchange) {
    char *payload = test_payload(600 << 10, 1);
    Call call;

    unit_small_shm(1 << 20);
    call_init(&call, payload, 600 << 10, PATIENT_NS);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_MEMORY_FULL);
    ck_assert(!test_names_exist(&names));
    call_deinit(&call);
    free(payload);
}
END_TEST

/* ---- what others left, and others at work ---- */

START_TEST(messages_of_the_dead_are_thrown_away) {
    PlainLine line;
    pthread_t thread;
    Call call;
    Peer peer;

    for (int part = 0; part < PLAIN_PARTS; part++)
        line.fds[part] = test_part_open(&names, (PlainPart)part);
    ck_assert_int_eq(plain_send(line.fds[PLAIN_REQUESTS], 99), 0);
    ck_assert_int_eq(plain_send(line.fds[PLAIN_REPLIES], 3), 0);
    plain_line_close(&line);

    call_init(&call, "hello", 5, PATIENT_NS);
    ck_assert_int_eq(pthread_create(&thread, NULL, handle_in_thread, &call), 0);
    AWAIT(is_sent());
    peer = peer_start("plain-worker", &names, "", 0, NULL, NULL);
    pthread_join(thread, NULL);
    ck_assert(call_answered(&call, "hello", 5, " processed"));
    ck_assert_int_eq(peer_end(&peer), 0);
    call_deinit(&call);
}
END_TEST

START_TEST(a_worker_of_ours_answers_again_and_again) {
    Server server;

    server_start_first(&server, &names, &test_processed);
    for (unsigned i = 0; i < 200; i++)
        exchange(i * 97, i, " processed");
    ck_assert_msg(server_n_events(&server, EVENT_PLAIN_PEER) == 0, "%s",
                  server_text(&server, EVENT_PLAIN_PEER));
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(a_failure_of_a_worker_of_ours_is_no_empty_answer) {
    Server server;
    Call call;

    server_start_first(&server, &names, &test_failing);
    call_init(&call, "hello", 5, PATIENT_NS);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_PLAIN_PEER);
    ck_assert(call_says(&call, "says that it failed"));
    call_deinit(&call);
    server_stop(&server);
}
END_TEST

static void *exchange_many(void *data) {
    const unsigned seed = *(const unsigned *)data;
    Handler *own;

    ck_assert_int_eq(handler_plain.new(&own, &settings, NULL), 0);
    for (unsigned i = 0; i < 50; i++) {
        char *payload = test_payload(1000 + 5000 * seed, seed + i);
        Call call;

        call_init(&call, payload, 1000 + 5000 * seed, PATIENT_NS);
        ck_assert_int_eq(handler_plain.handle(own, &call.exchange), 0);
        ck_assert(call_answered(&call, payload, 1000 + 5000 * seed, " processed"));
        call_deinit(&call);
        free(payload);
    }
    handler_plain.free(own);
    return NULL;
}

START_TEST(copies_with_the_same_names_take_turns) {
    unsigned seeds[] = {1, 2, 3};
    pthread_t threads[ELEMENTS(seeds)];
    Server server;

    server_start_first(&server, &names, &test_processed);
    for (size_t i = 0; i < ELEMENTS(seeds); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, exchange_many, &seeds[i]), 0);
    for (size_t i = 0; i < ELEMENTS(seeds); i++)
        pthread_join(threads[i], NULL);
    server_stop(&server);
}
END_TEST

START_TEST(who_waits_for_its_turn_in_vain_leaves_the_names_alone) {
    int payload = test_part_open(&names, PLAIN_PAYLOAD);
    Call call;

    ck_assert_int_eq(object_claim(payload), 0);
    call_init(&call, "hello", 5, 20 * NS_PER_MS);
    ck_assert_int_eq(handler_plain.handle(handler, &call.exchange), 0);
    ck_assert_int_eq(call.exchange.reason, REASON_TIMED_OUT);
    ck_assert(call_says(&call, "another exchange"));
    ck_assert(object_has_name(payload));
    close(payload);
    call_deinit(&call);
}
END_TEST

START_TEST(a_claim_of_the_killed_is_taken_over) {
    int payload = test_part_open(&names, PLAIN_PAYLOAD);
    pthread_t thread;
    Call call;
    Peer peer;

    ck_assert_int_eq(object_claim(payload), 0);
    call_init(&call, "hello", 5, PATIENT_NS);
    ck_assert_int_eq(pthread_create(&thread, NULL, handle_in_thread, &call), 0);
    close(payload);
    peer = peer_start("plain-worker", &names, "", 0, NULL, NULL);
    pthread_join(thread, NULL);
    ck_assert(call_answered(&call, "hello", 5, " processed"));
    ck_assert_int_eq(peer_end(&peer), 0);
    call_deinit(&call);
}
END_TEST

START_TEST(no_descriptor_is_left_open) {
    size_t before = unit_n_fds();

    for (unsigned i = 0; i < 3; i++) {
        Peer peer = waiting_worker(NULL, NULL);

        exchange(17, i, " processed");
        ck_assert_int_eq(peer_end(&peer), 0);
        close(peer.out);
    }
    failure(NS_PER_MS, REASON_TIMED_OUT, "");
    ck_assert_uint_eq(unit_n_fds(), before);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("plain-handler");
    TCase *orders = tcase_create("orders");
    TCase *failures = tcase_create("failures");
    TCase *others = tcase_create("others");
    TCase *cases[] = {orders, failures, others};

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(orders, a_worker_that_waits_already_answers);
    tcase_add_test(orders, a_worker_that_comes_late_answers);
    tcase_add_test(orders, a_worker_in_python_answers_in_both_orders);
    tcase_add_test(orders, each_exchange_finds_a_worker_of_its_own);
    tcase_add_test(orders, a_request_of_2_to_the_24_and_one_byte_arrives_whole);
    tcase_add_test(orders, an_empty_request_arrives);
    tcase_add_test(orders, a_mapped_request_arrives);
    tcase_add_test(failures, without_a_worker_the_time_runs_out_and_says_so);
    tcase_add_test(failures, a_worker_that_dies_with_the_request_runs_the_time_out_and_that_is_told_apart);
    tcase_add_test(failures, an_answer_that_is_no_count_fails_the_exchange);
    tcase_add_test(failures, an_answer_that_says_failed_fails_the_exchange);
    tcase_add_test(failures, a_count_larger_than_the_segment_fails_the_exchange);
    tcase_add_test(failures, a_response_over_the_setting_fails_the_exchange_and_names_it);
    tcase_add_test(failures, a_request_that_shrinks_fails_the_exchange);
    tcase_add_test(failures, a_cancelled_exchange_ends_at_once_and_leaves_no_name);
    tcase_add_test(others, messages_of_the_dead_are_thrown_away);
    tcase_add_test(others, a_worker_of_ours_answers_again_and_again);
    tcase_add_test(others, a_failure_of_a_worker_of_ours_is_no_empty_answer);
    tcase_add_test(others, copies_with_the_same_names_take_turns);
    tcase_add_test(others, who_waits_for_its_turn_in_vain_leaves_the_names_alone);
    tcase_add_test(others, a_claim_of_the_killed_is_taken_over);
    tcase_add_test(others, no_descriptor_is_left_open);
    if (unit_is_root()) {
        tcase_add_test(failures, another_users_queue_fails_the_exchange_with_its_cure);
        tcase_add_test(failures, a_request_that_does_not_fit_into_shared_memory_fails_the_exchange);
    }
    return suite;
}
