/* SPDX-License-Identifier: MIT */
/*
 * Commands that answer: payloads of all sizes, commands that read, write and exit in an order of their own,
 * and several at a time. Those that do not are in test-exec-ends.c.
 */
#include "exec-unit.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define PIPE_UNASKED (UINT64_C(64) << 10)

/* The pipes of a command that says it runs. */
static uint64_t pipe_bytes_of(const char **command) {
    const uint64_t before = count_pipe_bytes();

    await_roll(1, THEN_GO_ON);
    handle(command);
    ck_assert_uint_gt(rig.n_asked, 0);
    return rig.pipe_bytes - before;
}

/* ---- payloads ---- */

START_TEST(request_comes_back_through_cat) {
    set_request(8 * MIB);
    handle(COMMAND("cat"));
    assert_answered(8 * MIB);
    assert_pattern(rig.response.map, 8 * MIB);
}
END_TEST

/* Else a user's share of pipes would be used up by a few commands at a time. */
START_TEST(pipes_are_no_bigger_than_what_goes_through_them) {
    set_request_text("small");
    rig.settings.max_response = PAGE_BYTES;
    ck_assert_uint_le(pipe_bytes_of(SHELL("echo > $ROLL; cat")), 4 * PIPE_UNASKED);
    assert_answer("small");
}
END_TEST

START_TEST(pipes_of_big_payloads_are_big) {
    uint64_t bytes;

    set_request(4 * MIB);
    bytes = pipe_bytes_of(SHELL("echo > $ROLL; cat"));
    ck_assert_uint_ge(bytes, 2 * MIB);
    ck_assert_uint_le(bytes, 2 * MIB + 4 * PIPE_UNASKED);
    assert_answered(4 * MIB);
}
END_TEST

START_TEST(request_of_odd_size_comes_back_through_cat) {
    set_request((UINT64_C(1) << 24) + 1);
    handle(COMMAND("cat"));
    assert_answered((UINT64_C(1) << 24) + 1);
    assert_pattern(rig.response.map, (UINT64_C(1) << 24) + 1);
}
END_TEST

START_TEST(request_is_what_sha256sum_reads) {
    set_request_text("abc");
    handle(COMMAND("sha256sum"));
    assert_answer("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n");
}
END_TEST

START_TEST(empty_request_is_an_empty_input) {
    handle(COMMAND("wc", "-c"));
    assert_answer("0\n");
}
END_TEST

START_TEST(empty_response_takes_no_memory) {
    set_request(100);
    handle(SHELL("cat > /dev/null"));
    assert_answered(0);
    ck_assert_uint_eq(rig.n_grown, 0);
    ck_assert_uint_eq(rig.response.bytes, 0);
}
END_TEST

/* 2^32 + 1 bytes, of which only holes are there. */
START_TEST(request_may_be_larger_than_4_gib) {
    const uint64_t bytes = (UINT64_C(1) << 32) + 1;

    ck_assert_int_eq(ftruncate(rig.exchange.request_fd, (off_t)(OFFSET + bytes)), 0);
    rig.exchange.request_bytes = bytes;
    handle(COMMAND("wc", "-c"));
    assert_answer("4294967297\n");
}
END_TEST

START_TEST(response_grows_beyond_what_is_reserved) {
    ck_assert_int_eq(segment_resize(&rig.response, PAGE_BYTES), 0);
    set_request(100 * 1000);
    handle(COMMAND("cat"));
    assert_answered(100 * 1000);
    assert_pattern(rig.response.map, 100 * 1000);
    ck_assert_uint_ge(rig.n_grown, 1);
}
END_TEST

START_TEST(response_into_what_is_reserved_does_not_grow) {
    ck_assert_int_eq(segment_resize(&rig.response, MIB), 0);
    set_request(MIB);
    handle(COMMAND("cat"));
    assert_answered(MIB);
    ck_assert_uint_eq(rig.n_grown, 0);
}
END_TEST

START_TEST(one_handler_handles_one_exchange_after_the_other) {
    set_request(MIB);
    make(&rig, COMMAND("cat"));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
        assert_answered(MIB);
    }
    rig.exchange.request_bytes = 10;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    assert_answered(10);
    assert_pattern(rig.response.map, 10);
}
END_TEST

START_TEST(environment_tells_about_the_exchange) {
    set_request(77);
    rig.exchange.attempt = 2;
    handle(SHELL("echo $SHMIPC_CLIENT_UID $SHMIPC_ATTEMPT $SHMIPC_REQUEST_BYTES $UNIT_SETTING"));
    assert_answer("1234 2 77 set\n");
}
END_TEST

START_TEST(environment_may_be_none) {
    rig.settings.environment = NULL;
    handle(SHELL("echo $SHMIPC_CLIENT_UID"));
    assert_answer("1234\n");
}
END_TEST

/* ---- commands that do not read, then write, then exit ---- */

START_TEST(command_need_not_read) {
    set_request(MIB);
    handle(COMMAND("true"));
    assert_answered(0);
}
END_TEST

START_TEST(command_may_close_its_input_early) {
    set_request(8 * MIB);
    handle(SHELL("exec < /dev/null; head -c 3000000 /dev/zero | tr '\\0' x"));
    assert_answered(3000000);
}
END_TEST

START_TEST(command_may_read_a_part) {
    set_request(8 * MIB);
    handle(COMMAND("head", "-c", "5000"));
    assert_answered(5000);
    assert_pattern(rig.response.map, 5000);
}
END_TEST

START_TEST(command_may_write_before_it_has_read) {
    set_request(3 * MIB);
    handle(SHELL("head -c 3145728 /dev/zero; cat"));
    assert_answered(6 * MIB);
    assert_pattern((const char *)rig.response.map + 3 * MIB, 3 * MIB);
}
END_TEST

START_TEST(command_may_close_its_output_and_go_on) {
    set_request(MIB);
    handle(SHELL("echo out; exec >&- 2>&-; wc -c > /dev/null; exit 3"));
    assert_failed(REASON_HANDLER_FAILED, 3);
}
END_TEST

START_TEST(sigpipe_is_left_as_it_was) {
    sigset_t signals;

    set_request(8 * MIB);
    handle(COMMAND("true"));
    ck_assert_int_eq(sigpending(&signals), 0);
    ck_assert_int_eq(sigismember(&signals, SIGPIPE), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &signals), 0);
    ck_assert_int_eq(sigismember(&signals, SIGPIPE), 0);
}
END_TEST

START_TEST(background_processes_are_killed_when_the_command_exits) {
    handle(SHELL("exec 9> $ROLL; sleep 1000 & echo done; exit 0"));
    assert_answer("done\n");
    assert_nobody_left();
}
END_TEST

START_TEST(escapees_are_killed_when_the_command_exits) {
    handle(SHELL("exec 9> $ROLL; setsid sleep 1000 & (setsid sleep 1000 &); echo done"));
    assert_answer("done\n");
    assert_nobody_left();
}
END_TEST

START_TEST(what_was_written_before_the_exit_is_whole) {
    handle(SHELL("head -c 60000 /dev/zero | tr '\\0' x; sleep 1000 & exit 0"));
    assert_answered(60000);
}
END_TEST

/* ---- threads ---- */

static void *thread_main(void *data) {
    Rig *of = data;

    for (int i = 0; i < 5; i++) {
        of->exchange.reason = REASON_NONE;
        if (handler_exec.handle(of->handler, &of->exchange) < 0 || of->exchange.reason != REASON_NONE ||
            of->exchange.response_bytes != strlen("orphan\n"))
            return data;
    }
    return NULL;
}

/* The answer comes from a process that has lost its parent, in a session of its own. */
#define ASK_AN_ORPHAN                                                                                        \
    SHELL("mkfifo $ROLL.$$; (setsid sh -c \"echo orphan > $ROLL.$$\" &); read -r answer < $ROLL.$$; "        \
          "rm $ROLL.$$; echo $answer")

START_TEST(handlers_of_several_threads_do_not_kill_each_others_processes) {
    static Rig rigs[4];
    const char **command = ASK_AN_ORPHAN;
    pthread_t threads[ELEMENTS(rigs)];
    void *failed;

    for (size_t i = 0; i < ELEMENTS(rigs); i++) {
        rig_init(&rigs[i]);
        make(&rigs[i], command);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main, &rigs[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS(rigs); i++) {
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
        handler_exec.free(rigs[i].handler);
        rig_deinit(&rigs[i]);
    }
}
END_TEST

/* ---- suite ---- */

Suite *unit_suite(void) {
    Suite *suite = suite_create("exec");
    TCase *tests = exec_add_case(suite, "exec");

    tcase_add_test(tests, request_comes_back_through_cat);
    tcase_add_test(tests, request_of_odd_size_comes_back_through_cat);
    tcase_add_test(tests, pipes_are_no_bigger_than_what_goes_through_them);
    tcase_add_test(tests, pipes_of_big_payloads_are_big);
    tcase_add_test(tests, request_is_what_sha256sum_reads);
    tcase_add_test(tests, empty_request_is_an_empty_input);
    tcase_add_test(tests, empty_response_takes_no_memory);
    tcase_add_test(tests, request_may_be_larger_than_4_gib);
    tcase_add_test(tests, response_grows_beyond_what_is_reserved);
    tcase_add_test(tests, response_into_what_is_reserved_does_not_grow);
    tcase_add_test(tests, one_handler_handles_one_exchange_after_the_other);
    tcase_add_test(tests, environment_tells_about_the_exchange);
    tcase_add_test(tests, environment_may_be_none);
    tcase_add_test(tests, command_need_not_read);
    tcase_add_test(tests, command_may_close_its_input_early);
    tcase_add_test(tests, command_may_read_a_part);
    tcase_add_test(tests, command_may_write_before_it_has_read);
    tcase_add_test(tests, command_may_close_its_output_and_go_on);
    tcase_add_test(tests, sigpipe_is_left_as_it_was);
    tcase_add_test(tests, background_processes_are_killed_when_the_command_exits);
    tcase_add_test(tests, escapees_are_killed_when_the_command_exits);
    tcase_add_test(tests, what_was_written_before_the_exit_is_whole);
    tcase_add_test(tests, handlers_of_several_threads_do_not_kill_each_others_processes);
    return suite;
}
