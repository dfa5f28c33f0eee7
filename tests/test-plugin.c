/* SPDX-License-Identifier: MIT */
/*
 * The handler `plugin`, with plugins that behave and that do not (tests/plugins)
 */
#include "lib/shmipc-plugin.h"
#include "plugin-unit.h"
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PLUGIN(name) TEST_PLUGINS "/" name ".so"

/* What is too large shall be refused as malloc() does it. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

/* ---- loading ---- */

START_TEST(plugin_is_described_by_its_name_file_and_words) {
    ck_assert_int_eq(rig_new(PLUGIN("bare")), 0);
    ck_assert_str_eq(rig.handler->description, "plugin bare (" PLUGIN("bare") "): answers with nothing");
}
END_TEST

START_TEST(missing_file_is_refused) {
    assert_refused("/nonexistent/colour.so",
                   "the plugin cannot be loaded: /nonexistent/colour.so: cannot open shared object file");
}
END_TEST

START_TEST(bare_name_is_looked_up_in_the_plugin_folder) {
    assert_refused("no-such-plugin", "cannot be loaded: " TEST_PLUGIN_FOLDER "/no-such-plugin.so: ");
}
END_TEST

START_TEST(file_that_is_no_shared_object_is_refused) {
    assert_refused("/etc/passwd", "the plugin cannot be loaded: /etc/passwd: ");
}
END_TEST

START_TEST(plugin_that_lacks_a_function_is_refused_before_it_needs_it) {
    assert_refused(PLUGIN("lacks"), "undefined symbol: shmipc_test_function_of_nobody");
}
END_TEST

START_TEST(shared_object_without_the_symbol_is_refused) {
    assert_refused(PLUGIN("nothing"), PLUGIN("nothing") " is no plugin: it has no symbol `shmipc_plugin`");
}
END_TEST

START_TEST(another_abi_is_refused) {
    assert_refused(PLUGIN("old"), "was made for version 2 of the plugin interface, and this is version 1");
}
END_TEST

START_TEST(plugin_without_name_or_functions_is_refused) {
    assert_refused(PLUGIN("empty"), "has no name, no description or no function to handle requests");
}
END_TEST

START_TEST(init_that_fails_is_refused_with_its_text) {
    rig_set("text", "there is no such colour");
    assert_refused(PLUGIN("refuses"), "the plugin refuses cannot be used: there is no such colour");
}
END_TEST

START_TEST(init_that_fails_without_a_text_is_refused_with_its_errno) {
    assert_refused(PLUGIN("refuses"), "the plugin refuses cannot be used: Host is down");
}
END_TEST

START_TEST(settings_of_a_plugin_that_takes_none_are_refused) {
    rig_set("colour", "red");
    assert_refused(PLUGIN("bare"), "takes no settings, and `colour` is one");
}
END_TEST

START_TEST(refusals_that_are_long_are_cut) {
    char text[2048];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    rig_set("text", text);
    assert_refused(PLUGIN("refuses"), "cannot be used: xxx");
    ck_assert_uint_lt(strlen(rig.error), HANDLER_ERROR_MAX);
}
END_TEST

/* Each handler has a state of its own; init() and end() come in pairs. */
START_TEST(handler_that_is_freed_ends_its_plugin) {
    char path[] = "/tmp/shmipc-test-XXXXXX", lines[64] = "";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    rig_set("trace", path);
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig.handler = handler_free(rig.handler);
    ck_assert_int_gt(read(fd, lines, sizeof(lines) - 1), 0);
    ck_assert_str_eq(lines, "init\nend\ninit\nend\n");
    ck_assert_int_eq(unlink(path), 0);
    fd_close(fd);
}
END_TEST

START_TEST(plugins_that_are_refused_leave_nothing_open) {
    static const char *const bad[] = {PLUGIN("lacks"), PLUGIN("nothing"), PLUGIN("old"), PLUGIN("refuses")};
    size_t before = unit_n_fds();

    for (size_t i = 0; i < ELEMENTS(bad); i++)
        ck_assert_int_eq(rig_new(bad[i]), HANDLER_REFUSED);
    ck_assert_uint_eq(unit_n_fds(), before);
}
END_TEST

/* ---- what a plugin is told ---- */

START_TEST(settings_and_request_reach_the_plugin) {
    char expected[256];

    rig_set("colour", "red");
    rig_set("depth", "24");
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig_handle_text("the request");
    snprintf(expected, sizeof(expected),
             "colour=red\ndepth=24\n"
             "client=77 uid=1234 attempt=2 max=%" PRIu64 " cancelled=0 remaining=some calls=%zu\n"
             "the request",
             RIG_WINDOW_BYTES, sizeof(shmipc_plugin_calls));
    assert_answer(expected);
}
END_TEST

START_TEST(cancelled_and_expired_are_seen) {
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig.cancelled = true;
    rig.exchange.deadline_ns = 1;
    rig_handle_text("");
    ck_assert_ptr_nonnull(strstr(rig_text(), "cancelled=1 remaining=none"));
}
END_TEST

START_TEST(user_bytes_go_both_ways) {
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    for (int i = 0; i < SHMIPC_USER_BYTES; i++)
        rig.exchange.user[i] = (uint8_t)i;
    rig_handle_text("");
    for (int i = 0; i < SHMIPC_USER_BYTES; i++)
        ck_assert_uint_eq(rig.exchange.response_user[i], SHMIPC_USER_BYTES - 1 - i);
}
END_TEST

START_TEST(limit_of_the_setting_is_the_plugins_limit) {
    rig.settings.max_response = 4321;
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig_handle_text("");
    ck_assert_ptr_nonnull(strstr(rig_text(), "max=4321 "));
}
END_TEST

START_TEST(request_of_a_trusted_client_is_handled_where_it_lies) {
    char expected[32];

    rig.trusted = true;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("where");
    snprintf(expected, sizeof(expected), "%p", rig.request.map);
    assert_answer(expected);
}
END_TEST

START_TEST(request_of_another_client_is_handled_in_a_copy) {
    char elsewhere[32];

    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("where");
    snprintf(elsewhere, sizeof(elsewhere), "%p", rig.request.map);
    ck_assert_int_eq(rig.exchange.reason, REASON_NONE);
    ck_assert_str_ne(rig_text(), elsewhere);
    ck_assert_str_ne(rig_text(), "(nil)");
}
END_TEST

START_TEST(empty_request_is_no_memory) {
    rig.trusted = true;
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig_handle_text("");
    ck_assert_int_eq(rig.exchange.reason, REASON_NONE);
    ck_assert_str_eq(strchr(rig_text(), '\n'), "\n");
}
END_TEST

START_TEST(request_that_its_owner_has_shrunk_fails) {
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig_request_text("here and gone");
    ck_assert_int_eq(ftruncate(rig.request.fd, 0), 0);
    rig_handle();
    assert_failed(REASON_REQUEST_CHANGED, 0, "the request is no longer all there: its owner has shrunk it");
}
END_TEST

START_TEST(request_for_whose_copy_there_is_no_memory_fails_with_the_cure) {
    ck_assert_int_eq(rig_new(PLUGIN("good")), 0);
    rig.exchange.request_bytes = UINT64_MAX / 2;
    rig_handle();
    ck_assert_int_eq(rig.exchange.reason, REASON_HANDLER_NOT_STARTED);
    ck_assert_ptr_nonnull(strstr(rig_text(), "add the caller to `trusted` of the host"));
}
END_TEST

/* ---- the response ---- */

START_TEST(empty_response_takes_no_memory) {
    ck_assert_int_eq(rig_new(PLUGIN("bare")), 0);
    rig_handle_text("");
    assert_answered(0);
    ck_assert_uint_eq(rig.response.bytes, 0);
}
END_TEST

START_TEST(response_grows_in_place) {
    const uint64_t bytes = 5 * MIB + 123;
    const char *response;

    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 5243003");
    assert_answered(bytes);
    response = rig.response.map;
    for (uint64_t i = 0; i < bytes; i++)
        if (response[i] != (char)('a' + i % 23))
            ck_abort_msg("byte %" PRIu64 " is wrong", i);
}
END_TEST

START_TEST(room_may_be_more_than_was_asked_for) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("room 1");
    assert_answered(PAGE_BYTES);
}
END_TEST

START_TEST(room_ends_at_the_limit) {
    rig.settings.max_response = 100;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("room 90");
    assert_answered(100);
}
END_TEST

START_TEST(one_handler_handles_one_request_after_the_other) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 100000");
    assert_answered(100000);
    rig_handle_text("fail 2");
    assert_failed(REASON_HANDLER_FAILED, 2, "no such colour");
    rig_handle_text("grow 3");
    assert_answer("abc");
}
END_TEST

START_TEST(response_over_the_setting_fails_and_names_it) {
    rig.settings.max_response = 6144;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 6145");
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0,
                  "acts: the response is larger than 6K, the `max_response` of the worker's handler");
    rig_handle_text("grow 6144");
    assert_answered(6144);
}
END_TEST

START_TEST(response_over_the_hosts_limit_fails_and_names_it) {
    rig.exchange.max_response = 64 * 1024;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 65537");
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0,
                  "acts: the response is larger than 64K, the `max_payload` of the host");
}
END_TEST

START_TEST(response_over_the_budget_fails_with_the_cure) {
    rig.granted_bytes = 2 * PAGE_BYTES;
    rig.refusal = REASON_MEMORY_BUDGET;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 10000");
    assert_failed(REASON_MEMORY_BUDGET, 0, "acts: no room for the response: raise `memory` of the host");
}
END_TEST

START_TEST(response_into_full_memory_fails_with_the_cure) {
    rig.granted_bytes = PAGE_BYTES;
    rig.refusal = REASON_MEMORY_FULL;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("grow 10000");
    assert_failed(REASON_MEMORY_FULL, 0,
                  "acts: no room for the response: raise the size of the file system on /dev/shm");
}
END_TEST

/* A refusal binds only whoever gives up because of it. */
START_TEST(plugin_may_do_with_less_than_it_asked_for) {
    rig.granted_bytes = PAGE_BYTES;
    rig.refusal = REASON_MEMORY_BUDGET;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("insist 5000");
    assert_answer("no");
}
END_TEST

/* ---- failures ---- */

START_TEST(failure_has_the_plugins_code_and_text) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("fail 42");
    assert_failed(REASON_HANDLER_FAILED, 42, "no such colour");
}
END_TEST

START_TEST(failure_may_have_no_text) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("fail 1");
    assert_failed(REASON_HANDLER_FAILED, 1, "");
}
END_TEST

/* Negative ones are signals where others fail. */
START_TEST(negative_code_is_none) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("fail -9");
    assert_failed(REASON_HANDLER_FAILED, 0, "no such colour");
}
END_TEST

START_TEST(errno_is_put_in_words) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("return -2");
    assert_failed(REASON_HANDLER_FAILED, ENOENT, "acts: No such file or directory");
}
END_TEST

START_TEST(number_that_is_no_errno_is_a_failure) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("return 5");
    assert_failed(REASON_HANDLER_FAILED, 0, "acts: the plugin returned 5, which is no negative errno");
}
END_TEST

START_TEST(plugin_that_gives_up_in_time_has_timed_out) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig.exchange.deadline_ns = 1;
    rig_handle_text("return -110");
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
    rig.exchange.deadline_ns = UINT64_MAX / 2;
    rig_handle_text("return -110");
    assert_failed(REASON_HANDLER_FAILED, ETIMEDOUT, "acts: Connection timed out");
}
END_TEST

START_TEST(plugin_that_gives_up_when_cancelled_was_stopped) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig.cancelled = true;
    rig_handle_text("return -125");
    assert_failed(REASON_STOPPED, 0, "acts: given up, nobody waits for the answer");
    rig.cancelled = false;
    rig_handle_text("return -125");
    assert_failed(REASON_HANDLER_FAILED, ECANCELED, "acts: Operation canceled");
}
END_TEST

START_TEST(answer_beyond_what_was_reserved_fails) {
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("answer 4097");
    assert_failed(REASON_HANDLER_FAILED, 0, "acts: the plugin answers with more than it has reserved");
    rig_handle_text("answer 10");
    assert_answered(10);
}
END_TEST

START_TEST(answer_beyond_the_limit_fails) {
    rig.settings.max_response = 50;
    ck_assert_int_eq(rig_new(PLUGIN("acts")), 0);
    rig_handle_text("answer 51");
    assert_failed(REASON_HANDLER_FAILED, 0, "acts: the plugin answers with more than it has reserved");
}
END_TEST

static TCase *case_loading(void) {
    TCase *tests = tcase_create("loading");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, plugin_is_described_by_its_name_file_and_words);
    tcase_add_test(tests, missing_file_is_refused);
    tcase_add_test(tests, bare_name_is_looked_up_in_the_plugin_folder);
    tcase_add_test(tests, file_that_is_no_shared_object_is_refused);
    tcase_add_test(tests, plugin_that_lacks_a_function_is_refused_before_it_needs_it);
    tcase_add_test(tests, shared_object_without_the_symbol_is_refused);
    tcase_add_test(tests, another_abi_is_refused);
    tcase_add_test(tests, plugin_without_name_or_functions_is_refused);
    tcase_add_test(tests, init_that_fails_is_refused_with_its_text);
    tcase_add_test(tests, init_that_fails_without_a_text_is_refused_with_its_errno);
    tcase_add_test(tests, settings_of_a_plugin_that_takes_none_are_refused);
    tcase_add_test(tests, refusals_that_are_long_are_cut);
    tcase_add_test(tests, handler_that_is_freed_ends_its_plugin);
    tcase_add_test(tests, plugins_that_are_refused_leave_nothing_open);
    return tests;
}

static TCase *case_requests(void) {
    TCase *tests = tcase_create("requests");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, settings_and_request_reach_the_plugin);
    tcase_add_test(tests, cancelled_and_expired_are_seen);
    tcase_add_test(tests, user_bytes_go_both_ways);
    tcase_add_test(tests, limit_of_the_setting_is_the_plugins_limit);
    tcase_add_test(tests, request_of_a_trusted_client_is_handled_where_it_lies);
    tcase_add_test(tests, request_of_another_client_is_handled_in_a_copy);
    tcase_add_test(tests, empty_request_is_no_memory);
    tcase_add_test(tests, request_that_its_owner_has_shrunk_fails);
    tcase_add_test(tests, request_for_whose_copy_there_is_no_memory_fails_with_the_cure);
    return tests;
}

static TCase *case_responses(void) {
    TCase *tests = tcase_create("responses");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, empty_response_takes_no_memory);
    tcase_add_test(tests, response_grows_in_place);
    tcase_add_test(tests, room_may_be_more_than_was_asked_for);
    tcase_add_test(tests, room_ends_at_the_limit);
    tcase_add_test(tests, one_handler_handles_one_request_after_the_other);
    tcase_add_test(tests, response_over_the_setting_fails_and_names_it);
    tcase_add_test(tests, response_over_the_hosts_limit_fails_and_names_it);
    tcase_add_test(tests, response_over_the_budget_fails_with_the_cure);
    tcase_add_test(tests, response_into_full_memory_fails_with_the_cure);
    tcase_add_test(tests, plugin_may_do_with_less_than_it_asked_for);
    return tests;
}

static TCase *case_failures(void) {
    TCase *tests = tcase_create("failures");

    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, failure_has_the_plugins_code_and_text);
    tcase_add_test(tests, failure_may_have_no_text);
    tcase_add_test(tests, negative_code_is_none);
    tcase_add_test(tests, errno_is_put_in_words);
    tcase_add_test(tests, number_that_is_no_errno_is_a_failure);
    tcase_add_test(tests, plugin_that_gives_up_in_time_has_timed_out);
    tcase_add_test(tests, plugin_that_gives_up_when_cancelled_was_stopped);
    tcase_add_test(tests, answer_beyond_what_was_reserved_fails);
    tcase_add_test(tests, answer_beyond_the_limit_fails);
    return tests;
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("plugin");

    suite_add_tcase(suite, case_loading());
    suite_add_tcase(suite, case_requests());
    suite_add_tcase(suite, case_responses());
    suite_add_tcase(suite, case_failures());
    return suite;
}
