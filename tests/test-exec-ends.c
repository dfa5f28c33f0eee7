/* SPDX-License-Identifier: MIT */
/*
 * How commands come to an end that is no answer: at a limit, by a failure of their own, because they cannot
 * be started, at a deadline or when they are cancelled. Nothing of theirs is left then.
 */
#include "exec-unit.h"

#include "base/units.h"
#include "os/wait.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- limits ---- */

START_TEST(response_of_max_response_is_an_answer) {
    rig.settings.max_response = 1000;
    set_request(1000);
    handle(COMMAND("cat"));
    assert_answered(1000);
}
END_TEST

START_TEST(response_over_max_response_fails) {
    rig.settings.max_response = 1000;
    set_request(1001);
    handle(COMMAND("cat"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_says("`max_response`");
}
END_TEST

START_TEST(response_without_end_is_killed) {
    rig.settings.max_response = 3 * MIB + 5;
    handle(SHELL("exec 9> $ROLL; yes & yes"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(response_over_the_hosts_limit_names_its_setting) {
    rig.exchange.max_response = 2 * MIB;
    handle(COMMAND("yes"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_says("`max_payload` of the host");
    assert_says("2M");
}
END_TEST

START_TEST(refused_memory_budget_fails_and_kills) {
    rig.refuse_growth = REASON_MEMORY_BUDGET;
    rig.growth_limit = MIB;
    handle(SHELL("exec 9> $ROLL; yes"));
    assert_failed(REASON_MEMORY_BUDGET, 0);
    assert_says("`memory` of the host");
    assert_nobody_left();
}
END_TEST

START_TEST(full_shared_memory_fails_and_kills) {
    rig.refuse_growth = REASON_MEMORY_FULL;
    rig.growth_limit = MIB;
    handle(SHELL("exec 9> $ROLL; yes"));
    assert_failed(REASON_MEMORY_FULL, 0);
    assert_says("/dev/shm");
    assert_nobody_left();
}
END_TEST

START_TEST(request_that_shrinks_fails_and_kills) {
    set_request(2 * MIB);
    ck_assert_int_eq(ftruncate(rig.exchange.request_fd, (off_t)(OFFSET + MIB)), 0);
    handle(SHELL("exec 9> $ROLL; cat"));
    assert_failed(REASON_REQUEST_CHANGED, 0);
    assert_says("1048576 of the request's 2097152 bytes");
    assert_nobody_left();
}
END_TEST

/* Every descriptor that an exchange needs is refused once. */
START_TEST(without_descriptors_it_is_not_started) {
    const size_t n_before = unit_n_fds();
    struct rlimit limit;
    int r = REASON_HANDLER_NOT_STARTED;

    set_request(5000);
    make(&rig, COMMAND("cat"));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (limit.rlim_cur = 3; r != REASON_NONE; limit.rlim_cur++) {
        ck_assert_uint_lt(limit.rlim_cur, 100);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        rig.exchange.reason = REASON_NONE;
        ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
        r = rig.exchange.reason;
        if (r != REASON_NONE) {
            assert_failed(REASON_HANDLER_NOT_STARTED, 0);
            assert_says("LimitNOFILE=");
        }
    }
    assert_answered(5000);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(unit_n_fds(), n_before);
}
END_TEST

/* ---- failures ---- */

START_TEST(exit_status_and_stderr_reach_the_caller) {
    handle(SHELL("echo half an answer; echo 'no such frame' >&2; exit 3"));
    assert_failed(REASON_HANDLER_FAILED, 3);
    ck_assert_str_eq(text(), "no such frame");
}
END_TEST

START_TEST(failure_without_words_has_no_text) {
    handle(SHELL("exit 1"));
    assert_failed(REASON_HANDLER_FAILED, 1);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
}
END_TEST

START_TEST(stderr_of_a_success_is_not_told) {
    handle(SHELL("echo warning >&2; echo answer"));
    assert_answer("answer\n");
}
END_TEST

START_TEST(stderr_of_one_exchange_is_not_the_nexts) {
    make(&rig, SHELL("[ $SHMIPC_ATTEMPT = 2 ] || echo first >&2; exit 1"));
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    ck_assert_str_eq(text(), "first");
    rig.exchange.attempt = 2;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    ck_assert_str_eq(text(), "");
}
END_TEST

START_TEST(signal_and_stderr_reach_the_caller) {
    handle(SHELL("echo 'last words' >&2; kill -9 $$"));
    assert_failed(REASON_HANDLER_KILLED, -SIGKILL);
    ck_assert_str_eq(text(), "last words");
}
END_TEST

START_TEST(flood_of_stderr_leaves_its_end) {
    handle(SHELL("head -c 10485760 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_uint_eq(rig.exchange.response_bytes, strlen("…") + 4096 - strlen("\n"));
    ck_assert_int_eq(strncmp(text(), "…xxxx", strlen("…xxxx")), 0);
    assert_says("xxxxthe end");
}
END_TEST

START_TEST(stderr_may_be_as_long_as_max_stderr) {
    rig.settings.max_stderr = 20000;
    handle(SHELL("head -c 20000 /dev/zero | tr '\\0' x >&2; exit 4"));
    ck_assert_uint_eq(rig.exchange.response_bytes, 20000);
}
END_TEST

START_TEST(stderr_is_cut_to_a_response_that_may_be_less) {
    rig.exchange.max_response = 9;
    handle(SHELL("echo 'ääääääää' >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_str_eq(text(), "ääää");
}
END_TEST

START_TEST(stderr_may_be_kept_by_nobody) {
    rig.settings.max_stderr = 0;
    handle(SHELL("head -c 1048576 /dev/zero >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
}
END_TEST

/* ---- what cannot be started ---- */

START_TEST(missing_command_says_so) {
    handle(COMMAND("shmipc-no-such-command"));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("shmipc-no-such-command: there is no such command");
}
END_TEST

START_TEST(command_that_is_not_executable_says_so) {
    handle(COMMAND("/etc/passwd"));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("/etc/passwd: the worker's user may not execute it");
}
END_TEST

START_TEST(command_that_is_no_program_says_so) {
    _cleanup_close_ int fd = -1;
    char path[64];

    snprintf(path, sizeof(path), "%s/program", exec_folder);
    ck_assert_int_ge(fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700), 0);
    ck_assert_int_eq(write(fd, "text\n", 5), 5);
    fd = fd_close(fd);
    handle(COMMAND(path));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("it is no program");
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(handler_without_a_command_is_refused) {
    ck_assert_int_eq(handler_exec.new(&rig.handler, &rig.settings, NULL), -EINVAL);
    rig.settings.command = (char **)(const char *[]){NULL};
    ck_assert_int_eq(handler_exec.new(&rig.handler, &rig.settings, NULL), -EINVAL);
    ck_assert_ptr_null(rig.handler);
}
END_TEST

/* ---- deadline and cancel ---- */

#define FOUR_THAT_STAY                                                                                       \
    SHELL("exec 9> $ROLL; stay='echo >&9; sleep 1000; :'; sh -c \"$stay\" & setsid sh -c \"$stay\" & "       \
          "(setsid sh -c \"$stay\" &); echo half an answer; echo >&9; sleep 1000; :")

START_TEST(deadline_kills_the_command_and_what_it_started) {
    await_roll(4, THEN_EXPIRE);
    handle(FOUR_THAT_STAY);
    assert_failed(REASON_TIMED_OUT, 0);
    assert_says("`timeout`");
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_without_anything_happening) {
    rig.exchange.deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
    rig.exchange.client_deadline = true;
    handle(SHELL("exec 9> $ROLL; sleep 1000; :"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_says("the caller's time");
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_while_the_request_waits) {
    set_request(8 * MIB);
    await_roll(1, THEN_EXPIRE);
    handle(SHELL("exec 9> $ROLL; echo >&9; sleep 1000; :"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_while_the_response_comes) {
    await_roll(1, THEN_EXPIRE);
    handle(SHELL("exec 9> $ROLL; echo >&9; while :; do echo; sleep 0.01; done"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(cancel_kills_the_command_and_what_it_started) {
    await_roll(4, THEN_CANCEL);
    handle(FOUR_THAT_STAY);
    ck_assert_int_ne(rig.exchange.reason, REASON_NONE);
    assert_nobody_left();
}
END_TEST

/* Whoever asks for memory hears what else there is to hear, and the descriptor does not tell it again. */
START_TEST(cancel_that_was_heard_with_an_answer_about_memory_kills_the_command) {
    rig.exchange.deadline_ns = clock_now_ns() + 20 * NS_PER_SEC;
    rig.then = THEN_CANCEL;
    handle(SHELL("exec 9> $ROLL; echo half an answer; sleep 1000; :"));
    ck_assert_int_eq(rig.exchange.reason, REASON_STOPPED);
    assert_nobody_left();
}
END_TEST

START_TEST(question_about_cancelling_may_be_denied) {
    await_roll(1, THEN_GO_ON);
    handle(SHELL("echo > $ROLL; echo answer"));
    assert_answer("answer\n");
}
END_TEST

/* A wire that hangs up is asked once, not as fast as poll() returns. */
START_TEST(cancel_fd_that_hung_up_is_left_alone) {
    await_roll(1, THEN_GO_ON);
    roll_write_fd = fd_close(roll_write_fd);
    rig.exchange.cancel_fd = roll_fd;
    set_request(8 * MIB);
    handle(SHELL("echo > $ROLL; cat"));
    assert_answered(8 * MIB);
    ck_assert_uint_le(rig.n_asked, 3);
}
END_TEST

/* ---- suite ---- */

Suite *unit_suite(void) {
    Suite *suite = suite_create("exec-ends");
    TCase *tests = exec_add_case(suite, "exec");

    tcase_add_test(tests, response_of_max_response_is_an_answer);
    tcase_add_test(tests, response_over_max_response_fails);
    tcase_add_test(tests, response_without_end_is_killed);
    tcase_add_test(tests, response_over_the_hosts_limit_names_its_setting);
    tcase_add_test(tests, refused_memory_budget_fails_and_kills);
    tcase_add_test(tests, full_shared_memory_fails_and_kills);
    tcase_add_test(tests, request_that_shrinks_fails_and_kills);
    tcase_add_test(tests, without_descriptors_it_is_not_started);
    tcase_add_test(tests, exit_status_and_stderr_reach_the_caller);
    tcase_add_test(tests, failure_without_words_has_no_text);
    tcase_add_test(tests, stderr_of_a_success_is_not_told);
    tcase_add_test(tests, stderr_of_one_exchange_is_not_the_nexts);
    tcase_add_test(tests, signal_and_stderr_reach_the_caller);
    tcase_add_test(tests, flood_of_stderr_leaves_its_end);
    tcase_add_test(tests, stderr_may_be_as_long_as_max_stderr);
    tcase_add_test(tests, stderr_is_cut_to_a_response_that_may_be_less);
    tcase_add_test(tests, stderr_may_be_kept_by_nobody);
    tcase_add_test(tests, missing_command_says_so);
    tcase_add_test(tests, command_that_is_not_executable_says_so);
    tcase_add_test(tests, command_that_is_no_program_says_so);
    tcase_add_test(tests, handler_without_a_command_is_refused);
    tcase_add_test(tests, deadline_kills_the_command_and_what_it_started);
    tcase_add_test(tests, deadline_passes_without_anything_happening);
    tcase_add_test(tests, deadline_passes_while_the_request_waits);
    tcase_add_test(tests, deadline_passes_while_the_response_comes);
    tcase_add_test(tests, cancel_kills_the_command_and_what_it_started);
    tcase_add_test(tests, cancel_that_was_heard_with_an_answer_about_memory_kills_the_command);
    tcase_add_test(tests, question_about_cancelling_may_be_denied);
    tcase_add_test(tests, cancel_fd_that_hung_up_is_left_alone);
    return suite;
}
