/* SPDX-License-Identifier: MIT */
/* Our worker on the plain wire, served to other people's hosts. */
#include "base/units.h"
#include "os/queue.h"
#include "os/segment.h"
#include "os/watch.h"
#include "plain-unit.h"
#include "unit.h"
#include "wire/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static TestNames names;
static Server server;

static void setup(void) {
    test_names_init(&names);
    gate_init();
}

static void teardown(void) {
    test_names_unlink(&names);
}

/* One exchange of @host with @bytes, whose answer must be the right one. */
static void exchange(const char *host, size_t bytes, unsigned seed, const char *added) {
    char *payload = test_payload(bytes, seed);
    Peer peer = peer_start(host, &names, payload, bytes, NULL, NULL);

    ck_assert_int_eq(peer_end(&peer), 0);
    ck_assert(peer_wrote(&peer, payload, bytes, added));
    free(payload);
}

/* Where the test is the host itself. */
static void open_line(PlainLine *line) {
    for (int part = 0; part < PLAIN_PARTS; part++)
        line->fds[part] = test_part_open(&names, (PlainPart)part);
}

static void put_payload(const PlainLine *line, const char *payload) {
    ck_assert_int_eq(plain_resize(line->fds[PLAIN_PAYLOAD], strlen(payload)), 0);
    ck_assert_int_eq(pwrite(line->fds[PLAIN_PAYLOAD], payload, strlen(payload), 0), (ssize_t)strlen(payload));
}

static void ask(const PlainLine *line, const char *payload) {
    put_payload(line, payload);
    ck_assert_int_eq(plain_send(line->fds[PLAIN_REQUESTS], strlen(payload)), 0);
}

static uint32_t n_messages(int queue) {
    uint32_t n;

    ck_assert_int_eq(queue_depth(queue, &n, NULL, NULL), 0);
    return n;
}

static void expect_answer(const PlainLine *line, const char *wanted) {
    char answer[4096] = "";
    uint64_t count;

    AWAIT(n_messages(line->fds[PLAIN_REPLIES]) > 0);
    ck_assert_int_eq(plain_receive(line->fds[PLAIN_REPLIES], sizeof(answer) - 1, &count), 0);
    ck_assert_uint_eq(count, strlen(wanted));
    ck_assert_int_eq(pread(line->fds[PLAIN_PAYLOAD], answer, count, 0), (ssize_t)count);
    ck_assert_str_eq(answer, wanted);
}

static bool is_renewed(const PlainLine *old) {
    int fd;
    bool fresh;

    for (int part = PLAIN_REQUESTS; part <= PLAIN_REPLIES; part++) {
        if (queue_open_named(names.text[part], QUEUE_READ, false, 0, 0, &fd) != 0)
            return false;
        close(fd);
    }
    fd = shm_open(names.names.segment, O_RDONLY, 0);
    fresh = fd >= 0 && !object_has_name(old->fds[PLAIN_PAYLOAD]);
    fd_close(fd);
    return fresh;
}

/* ---- orders ---- */

START_TEST(a_host_that_comes_after_the_worker_is_answered) {
    server_start_first(&server, &names, &test_processed);
    exchange("plain-host", 17, 1, " processed");
    server_stop(&server);
}
END_TEST

START_TEST(a_host_that_comes_before_the_worker_is_answered) {
    char *payload = test_payload(17, 1);
    Peer peer = peer_start("plain-host", &names, payload, 17, NULL, NULL);
    int requests = test_part_open(&names, PLAIN_REQUESTS);

    AWAIT(n_messages(requests) == 1);
    server_start(&server, &names, &test_processed, PATIENT_NS);
    ck_assert_int_eq(peer_end(&peer), 0);
    ck_assert(peer_wrote(&peer, payload, 17, " processed"));
    server_stop(&server);
    close(requests);
    free(payload);
}
END_TEST

START_TEST(a_host_in_python_is_answered_in_both_orders) {
    char *payload = test_payload(5000, 2);
    Peer peer = peer_start("py-host", &names, payload, 5000, NULL, NULL);
    int requests = test_part_open(&names, PLAIN_REQUESTS);

    AWAIT(n_messages(requests) == 1);
    close(requests);
    server_start(&server, &names, &test_processed, PATIENT_NS);
    ck_assert_int_eq(peer_end(&peer), 0);
    ck_assert(peer_wrote(&peer, payload, 5000, " processed"));
    exchange("py-host", 100, 3, " processed");
    server_stop(&server);
    free(payload);
}
END_TEST

START_TEST(hosts_are_served_one_after_the_other_with_growing_and_shrinking_payloads) {
    static const size_t sizes[] = {1, 4086, 4095, 4096, 4097, 1 << 20, 3, 100000, 0, 4097, 1};

    server_start_first(&server, &names, &test_processed);
    for (unsigned i = 0; i < ELEMENTS(sizes); i++)
        exchange("plain-host", sizes[i], i, " processed");
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == ELEMENTS(sizes));
    ck_assert_msg(server_n_events(&server, EVENT_PLAIN_PEER) == 0, "%s",
                  server_text(&server, EVENT_PLAIN_PEER));
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(a_payload_of_2_to_the_24_and_one_byte_comes_back_whole) {
    Handler *echo;

    ck_assert_int_eq(handler_echo.new(&echo, &(const HandlerSettings){0}, NULL), 0);
    server_start_first(&server, &names, echo);
    exchange("plain-host", (1 << 24) + 1, 4, "");
    server_stop(&server);
    handler_echo.free(echo);
}
END_TEST

START_TEST(an_empty_answer_is_no_failure) {
    Handler *echo;

    ck_assert_int_eq(handler_echo.new(&echo, &(const HandlerSettings){0}, NULL), 0);
    server_start_first(&server, &names, echo);
    exchange("plain-host", 0, 0, "");
    server_stop(&server);
    handler_echo.free(echo);
}
END_TEST

/* ---- failures ---- */

START_TEST(a_failed_exchange_fails_its_host_and_tells_the_journal_why) {
    Peer peer;

    server_start_first(&server, &names, &test_failing);
    peer = peer_start("plain-host", &names, "hello", 5, NULL, NULL);
    ck_assert_int_eq(peer_end(&peer), 1);
    ck_assert(peer_wrote(&peer, "", 0, ""));
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_FAILED) == 1);
    ck_assert_str_eq(server_text(&server, EVENT_EXCHANGE_FAILED), "no luck today");
    ck_assert_int_eq(server.latest[EVENT_EXCHANGE_FAILED].reason, REASON_HANDLER_FAILED);
    ck_assert_int_eq(server.latest[EVENT_EXCHANGE_FAILED].status, 3);
    server_stop(&server);
}
END_TEST

START_TEST(a_message_that_is_no_count_costs_that_exchange_only) {
    static const char *const messages[] = {"rubbish", "-1", "99999999999999999999999", "99999", "00"};

    server_start_first(&server, &names, &test_processed);
    for (unsigned i = 0; i < ELEMENTS(messages); i++) {
        Peer peer = peer_start("plain-host", &names, "hello", 5, "-m", messages[i]);

        ck_assert_int_eq(peer_end(&peer), 1);
        AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == i + 1);
        exchange("plain-host", 17, i, " processed");
    }
    ck_assert_uint_eq(server_n_events(&server, EVENT_EXCHANGE_FAILED), 0);
    server_stop(&server);
}
END_TEST

START_TEST(a_count_larger_than_the_segment_says_both_sizes) {
    Peer peer;

    server_start_first(&server, &names, &test_processed);
    peer = peer_start("plain-host", &names, "hello", 5, "-m", "8193");
    ck_assert_int_eq(peer_end(&peer), 1);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    ck_assert_ptr_nonnull(strstr(server_text(&server, EVENT_PLAIN_PEER), "8193 bytes"));
    ck_assert_ptr_nonnull(strstr(server_text(&server, EVENT_PLAIN_PEER), "4096"));
    server_stop(&server);
}
END_TEST

START_TEST(a_segment_that_shrinks_during_the_exchange_fails_it) {
    PlainLine line;

    server_start_first(&server, &names, &test_gated);
    open_line(&line);
    ask(&line, "hello");
    AWAIT(gate_is_waited_for());
    ck_assert_int_eq(ftruncate(line.fds[PLAIN_PAYLOAD], 0), 0);
    gate_open();
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_FAILED) == 1);
    ck_assert_int_eq(server.latest[EVENT_EXCHANGE_FAILED].reason, REASON_REQUEST_CHANGED);
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

/* ---- the dead ---- */

static void killed_at(const char *point) {
    Peer peer = peer_start("plain-host", &names, "hello", 5, "-k", point);

    ck_assert_int_eq(peer_end(&peer), -SIGKILL);
    close(peer.out);
}

START_TEST(a_host_that_dies_before_it_has_sent_leaves_nothing_wrong) {
    server_start_first(&server, &names, &test_processed);
    killed_at("opened");
    exchange("plain-host", 17, 1, " processed");
    killed_at("written");
    exchange("plain-host", 5000, 2, " processed");
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 2);
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(the_answer_to_a_host_that_died_meanwhile_is_not_the_next_ones) {
    server_start_first(&server, &names, &test_gated);
    killed_at("sent");
    AWAIT(gate_is_waited_for());
    gate_open();
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    gate_open();
    exchange("plain-host", 17, 1, " processed");
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

/* The host is gone before the worker comes: nothing says so but that it does not take its answer. */
static void stale_request(uint64_t timeout_ns) {
    killed_at("sent");
    server_start(&server, &names, &test_processed, timeout_ns);
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 1);
}

START_TEST(an_answer_that_nobody_takes_is_taken_back_at_the_timeout) {
    stale_request(50 * NS_PER_MS);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    exchange("plain-host", 17, 1, " processed");
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(an_answer_that_nobody_took_is_taken_back_when_another_host_comes) {
    stale_request(PATIENT_NS);
    while (server_n_events(&server, EVENT_PLAIN_PEER) == 0) {
        close(shm_open(names.names.segment, O_RDWR, 0));
        unit_nap();
    }
    exchange("plain-host", 17, 1, " processed");
    server_stop(&server);
}
END_TEST

START_TEST(a_new_request_takes_an_old_answer_away) {
    PlainLine line;

    stale_request(PATIENT_NS);
    open_line(&line);
    ask(&line, "bonjour");
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 2);
    expect_answer(&line, "bonjour processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

START_TEST(an_answer_is_left_to_a_host_that_takes_its_time) {
    PlainLine line;

    server_start_first(&server, &names, &test_processed);
    open_line(&line);
    ask(&line, "hello");
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 1);
    close(shm_open(names.names.segment, O_RDWR, 0));
    expect_answer(&line, "hello processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

START_TEST(messages_that_fill_the_queue_of_replies_do_not_stop_the_worker) {
    PlainLine line;

    server_start_first(&server, &names, &test_gated);
    open_line(&line);
    ck_assert_int_eq(queue_send(line.fds[PLAIN_REPLIES], "1", 1, 0), 0);
    ask(&line, "hello");
    AWAIT(gate_is_waited_for());
    ck_assert_uint_eq(n_messages(line.fds[PLAIN_REPLIES]), 0);
    ck_assert_int_eq(queue_send(line.fds[PLAIN_REPLIES], "2", 1, 0), 0);
    gate_open();
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 1);
    expect_answer(&line, "hello processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

/* ---- names ---- */

START_TEST(what_a_host_unlinks_is_made_anew_at_once) {
    PlainLine line;

    server_start_first(&server, &names, &test_processed);
    for (int i = 0; i < 20; i++) {
        open_line(&line);
        ask(&line, "hello");
        expect_answer(&line, "hello processed");
        test_names_unlink(&names);
        AWAIT(is_renewed(&line));
        plain_line_close(&line);
    }
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(each_part_is_made_anew_alone) {
    PlainLine line;

    server_start_first(&server, &names, &test_processed);
    open_line(&line);
    ck_assert_int_eq(queue_unlink(names.names.worker_queue), 0);
    AWAIT(!object_has_name(line.fds[PLAIN_REPLIES]) && test_names_exist(&names));
    exchange("plain-host", 17, 1, " processed");
    plain_line_close(&line);
    open_line(&line);
    ck_assert_int_eq(shm_unlink(names.names.segment), 0);
    exchange("plain-host", 4097, 2, " processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

START_TEST(a_host_that_opened_the_names_before_another_unlinked_them_is_answered) {
    PlainLine late;

    server_start_first(&server, &names, &test_processed);
    open_line(&late);
    exchange("plain-host", 17, 1, " processed");
    AWAIT(is_renewed(&late));
    ask(&late, "late");
    expect_answer(&late, "late processed");
    exchange("plain-host", 17, 2, " processed");
    plain_line_close(&late);
    server_stop(&server);
}
END_TEST

START_TEST(a_request_whose_names_are_gone_is_not_answered_to_the_next_host) {
    PlainLine line;

    server_start_first(&server, &names, &test_gated);
    open_line(&line);
    ask(&line, "first");
    AWAIT(gate_is_waited_for());
    ck_assert_int_eq(plain_send(line.fds[PLAIN_REQUESTS], 5), 0); /* sent, and given up at once */
    test_names_unlink(&names);
    gate_open();
    gate_open();
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_DONE) == 2);
    gate_open();
    exchange("plain-host", 17, 1, " processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

START_TEST(a_worker_that_ends_idle_leaves_no_name) {
    server_start_first(&server, &names, &test_processed);
    ck_assert(test_names_exist(&names));
    server_stop(&server);
    ck_assert(!test_names_exist(&names));
}
END_TEST

START_TEST(a_worker_that_ends_leaves_the_names_to_a_host_that_has_opened_them) {
    char *payload = test_payload(17, 1);
    PlainLine line;

    server_start_first(&server, &names, &test_processed);
    open_line(&line);
    server_stop(&server);
    for (int part = 0; part < PLAIN_PARTS; part++)
        ck_assert(object_has_name(line.fds[part]));
    ask(&line, "hello");
    server_start(&server, &names, &test_processed, PATIENT_NS);
    expect_answer(&line, "hello processed");
    server_stop(&server);
    plain_line_close(&line);
    free(payload);
}
END_TEST

START_TEST(a_worker_that_ends_leaves_alone_what_it_has_not_made) {
    PlainLine line;

    open_line(&line);
    server_start_first(&server, &names, &test_processed);
    server_stop(&server);
    for (int part = 0; part < PLAIN_PARTS; part++)
        ck_assert(object_has_name(line.fds[part]));
    plain_line_close(&line);
}
END_TEST

/* ---- what others have made ---- */

START_TEST(queues_of_another_size_are_as_good) {
    int requests, replies;
    PlainLine line;

    ck_assert_int_eq(queue_open_named(names.names.host_queue, QUEUE_BOTH, true, 4, 1024, &requests), 0);
    ck_assert_int_eq(queue_open_named(names.names.worker_queue, QUEUE_BOTH, true, 2, 64, &replies), 0);
    close(requests);
    close(replies);
    server_start_first(&server, &names, &test_processed);
    open_line(&line);
    ask(&line, "hello");
    expect_answer(&line, "hello processed");
    plain_line_close(&line);
    server_stop(&server);
}
END_TEST

START_TEST(a_queue_too_narrow_for_a_count_is_told_and_its_removal_is_noticed) {
    int replies;

    ck_assert_int_eq(queue_open_named(names.names.worker_queue, QUEUE_BOTH, true, 1, 10, &replies), 0);
    server_start(&server, &names, &test_processed, PATIENT_NS);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    ck_assert_ptr_nonnull(strstr(server_text(&server, EVENT_PLAIN_PEER), "remove it"));
    ck_assert_int_eq(queue_unlink(names.names.worker_queue), 0);
    exchange("plain-host", 17, 1, " processed");
    ck_assert_uint_eq(server_n_events(&server, EVENT_PLAIN_PEER), 1);
    close(replies);
    server_stop(&server);
}
END_TEST

static int make_queue(void *data) {
    int fd;

    return queue_open_named(data, QUEUE_BOTH, true, 1, 512, &fd);
}

START_TEST(another_users_queue_is_told_with_its_cure) {
    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_queue, names.names.host_queue), 0);
    server_start(&server, &names, &test_processed, PATIENT_NS);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    ck_assert_ptr_nonnull(strstr(server_text(&server, EVENT_PLAIN_PEER), "plain-wire.conf"));
    ck_assert_int_eq(queue_unlink(names.names.host_queue), 0);
    exchange("plain-host", 17, 1, " processed");
    server_stop(&server);
}
END_TEST

static int make_both_queues(void *data) {
    return make_queue(names.names.worker_queue) || make_queue(names.names.host_queue);
}

START_TEST(each_fault_is_told_once) {
    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_both_queues, NULL), 0);
    server_start(&server, &names, &test_processed, PATIENT_NS);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 1);
    ck_assert_int_eq(queue_unlink(names.names.host_queue), 0);
    AWAIT(server_n_events(&server, EVENT_PLAIN_PEER) == 2);
    ck_assert_int_eq(queue_unlink(names.names.worker_queue), 0);
    exchange("plain-host", 17, 1, " processed");
    ck_assert_uint_eq(server_n_events(&server, EVENT_PLAIN_PEER), 2);
    server_stop(&server);
}
END_TEST

START_TEST(a_full_file_system_costs_the_exchanges_that_do_not_fit) {
    char *payload = test_payload(600 << 10, 1);
    Handler *echo;
    Peer peer;

    unit_small_shm(1 << 20);
    ck_assert_int_eq(handler_echo.new(&echo, &(const HandlerSettings){0}, NULL), 0);
    server_start_first(&server, &names, echo);
    peer = peer_start("plain-host", &names, payload, 600 << 10, NULL, NULL);
    ck_assert_int_eq(peer_end(&peer), 1);
    AWAIT(server_n_events(&server, EVENT_EXCHANGE_FAILED) == 1);
    ck_assert_int_eq(server.latest[EVENT_EXCHANGE_FAILED].reason, REASON_MEMORY_FULL);
    exchange("plain-host", 100 << 10, 2, "");
    server_stop(&server);
    handler_echo.free(echo);
    free(payload);
}
END_TEST

START_TEST(no_descriptor_is_left_open) {
    size_t before = unit_n_fds();

    server_start_first(&server, &names, &test_processed);
    for (unsigned i = 0; i < 5; i++) {
        Peer peer = peer_start("plain-host", &names, "hello", 5, NULL, NULL);

        ck_assert_int_eq(peer_end(&peer), 0);
        close(peer.out);
    }
    server_stop(&server);
    ck_assert_uint_eq(unit_n_fds(), before);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("plain-worker");
    TCase *orders = tcase_create("orders");
    TCase *failures = tcase_create("failures");
    TCase *dead = tcase_create("dead");
    TCase *name = tcase_create("names");
    TCase *others = tcase_create("others");
    TCase *cases[] = {orders, failures, dead, name, others};

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(orders, a_host_that_comes_after_the_worker_is_answered);
    tcase_add_test(orders, a_host_that_comes_before_the_worker_is_answered);
    tcase_add_test(orders, a_host_in_python_is_answered_in_both_orders);
    tcase_add_test(orders, hosts_are_served_one_after_the_other_with_growing_and_shrinking_payloads);
    tcase_add_test(orders, a_payload_of_2_to_the_24_and_one_byte_comes_back_whole);
    tcase_add_test(orders, an_empty_answer_is_no_failure);
    tcase_add_test(failures, a_failed_exchange_fails_its_host_and_tells_the_journal_why);
    tcase_add_test(failures, a_message_that_is_no_count_costs_that_exchange_only);
    tcase_add_test(failures, a_count_larger_than_the_segment_says_both_sizes);
    tcase_add_test(failures, a_segment_that_shrinks_during_the_exchange_fails_it);
    tcase_add_test(dead, a_host_that_dies_before_it_has_sent_leaves_nothing_wrong);
    tcase_add_test(dead, the_answer_to_a_host_that_died_meanwhile_is_not_the_next_ones);
    tcase_add_test(dead, an_answer_that_nobody_takes_is_taken_back_at_the_timeout);
    tcase_add_test(dead, an_answer_that_nobody_took_is_taken_back_when_another_host_comes);
    tcase_add_test(dead, a_new_request_takes_an_old_answer_away);
    tcase_add_test(dead, an_answer_is_left_to_a_host_that_takes_its_time);
    tcase_add_test(dead, messages_that_fill_the_queue_of_replies_do_not_stop_the_worker);
    tcase_add_test(name, what_a_host_unlinks_is_made_anew_at_once);
    tcase_add_test(name, each_part_is_made_anew_alone);
    tcase_add_test(name, a_host_that_opened_the_names_before_another_unlinked_them_is_answered);
    tcase_add_test(name, a_request_whose_names_are_gone_is_not_answered_to_the_next_host);
    tcase_add_test(name, a_worker_that_ends_idle_leaves_no_name);
    tcase_add_test(name, a_worker_that_ends_leaves_the_names_to_a_host_that_has_opened_them);
    tcase_add_test(name, a_worker_that_ends_leaves_alone_what_it_has_not_made);
    tcase_add_test(others, queues_of_another_size_are_as_good);
    tcase_add_test(others, a_queue_too_narrow_for_a_count_is_told_and_its_removal_is_noticed);
    tcase_add_test(others, no_descriptor_is_left_open);
    if (unit_is_root()) {
        tcase_add_test(others, another_users_queue_is_told_with_its_cure);
        tcase_add_test(others, each_fault_is_told_once);
        tcase_add_test(others, a_full_file_system_costs_the_exchanges_that_do_not_fit);
    }
    return suite;
}
