/* SPDX-License-Identifier: MIT */
/* Exchanges as handlers see them: windows in real shared memory, and a wire that counts and refuses. */
#include "base/cleanup.h"
#include "core/exchange.h"
#include "segment-unit.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MIB          (UINT64_C(1) << 20)
#define WINDOW_BYTES (UINT64_C(2048) * MIB)
#define OFFSET       PAGE_BYTES /* windows begin a page into their objects */

typedef struct Rig {
    Exchange exchange;
    Segment response;
    unsigned n_asked;
    uint64_t asked_bytes;   /* the latest */
    uint64_t most_bytes;    /* that were asked for */
    uint64_t granted_bytes; /* the wire refuses more */
    int refusal;
    bool cancelled;
} Rig;

static Rig rig;

static int grow(Exchange *exchange, uint64_t segment_bytes) {
    Rig *wire = exchange->wire;

    wire->n_asked++;
    wire->asked_bytes = segment_bytes;
    wire->most_bytes = segment_bytes > wire->most_bytes ? segment_bytes : wire->most_bytes;
    return segment_bytes > wire->granted_bytes ? wire->refusal : 0;
}

static bool cancelled(Exchange *exchange) {
    return ((Rig *)exchange->wire)->cancelled;
}

static void make_rig(void) {
    int requests_fd = make_object(OFFSET + WINDOW_BYTES), responses_fd = make_object(OFFSET + WINDOW_BYTES);

    rig = (Rig){.granted_bytes = UINT64_MAX, .refusal = REASON_MEMORY_BUDGET};
    segment_init(&rig.response, responses_fd, true, OFFSET, WINDOW_BYTES);
    rig.exchange = (Exchange){
        .request_fd = requests_fd,
        .request_offset = OFFSET,
        .response = &rig.response,
        .max_response = WINDOW_BYTES,
        .grow = grow,
        .cancelled = cancelled,
        .cancel_fd = -1,
        .wire = &rig,
    };
}

static void free_rig(void) {
    segment_disconnect(&rig.response);
    fd_close(rig.response.fd);
    fd_close(rig.exchange.request_fd);
}

static int reserve(uint64_t bytes) {
    return exchange_reserve(&rig.exchange, bytes);
}

/* The window that handlers may use is all of the segment, and only that. */
static void check_room(uint64_t segment_bytes) {
    ck_assert_uint_eq(rig.response.bytes, segment_bytes);
    ck_assert_uint_eq(rig.response.map_bytes, segment_bytes);
    if (segment_bytes > 0)
        ((char *)rig.response.map)[segment_bytes - 1] = 'x';
}

static const char *text(void) {
    static char buffer[512];

    ck_assert_uint_lt(rig.exchange.response_bytes, sizeof(buffer));
    if (rig.exchange.response_bytes > 0)
        memcpy(buffer, rig.response.map, rig.exchange.response_bytes);
    buffer[rig.exchange.response_bytes] = '\0';
    return buffer;
}

/* ---- room for the response ---- */

START_TEST(first_reservation_is_as_big_as_it_must) {
    ck_assert_int_eq(reserve(1), 0);
    check_room(PAGE_BYTES);
    ck_assert_uint_eq(rig.asked_bytes, PAGE_BYTES);
    ck_assert_uint_eq(rig.n_asked, 1);
}
END_TEST

START_TEST(empty_response_needs_no_room) {
    ck_assert_int_eq(reserve(0), 0);
    check_room(0);
    ck_assert_uint_eq(rig.n_asked, 0);
}
END_TEST

START_TEST(what_fits_is_not_asked_for_again) {
    ck_assert_int_eq(reserve(3 * PAGE_BYTES), 0);
    ck_assert_int_eq(reserve(3 * PAGE_BYTES), 0);
    ck_assert_int_eq(reserve(1), 0);
    check_room(3 * PAGE_BYTES);
    ck_assert_uint_eq(rig.n_asked, 1);
}
END_TEST

START_TEST(room_doubles_so_that_small_steps_cost_little) {
    for (uint64_t bytes = 1000; bytes <= 4 * MIB; bytes += 1000)
        ck_assert_int_eq(reserve(bytes), 0);
    ck_assert_uint_le(rig.n_asked, 12);
    check_room(4 * MIB);
}
END_TEST

START_TEST(step_that_is_larger_than_double_is_taken_as_it_is) {
    ck_assert_int_eq(reserve(1), 0);
    ck_assert_int_eq(reserve(MIB + 1), 0);
    check_room(MIB + PAGE_BYTES);
}
END_TEST

START_TEST(what_was_written_stays_while_it_grows) {
    ck_assert_int_eq(reserve(5), 0);
    memcpy(rig.response.map, "hello", 5);
    ck_assert_int_eq(reserve(8 * MIB), 0);
    ck_assert_mem_eq(rig.response.map, "hello", 5);
}
END_TEST

/* The wire is asked, and nothing allocated: memory this big may not be there. */
START_TEST(large_response_does_not_double_any_more) {
    rig.response.bytes = 512 * MIB;
    rig.granted_bytes = 0;
    ck_assert_int_eq(reserve(512 * MIB + 1), REASON_MEMORY_BUDGET);
    ck_assert_uint_eq(rig.n_asked, 2);
    ck_assert_uint_eq(rig.most_bytes, 768 * MIB);
    ck_assert_uint_eq(rig.asked_bytes, 512 * MIB + PAGE_BYTES);
}
END_TEST

START_TEST(response_may_reach_its_limit_and_no_further) {
    rig.exchange.max_response = 10000;
    ck_assert_int_eq(reserve(10001), REASON_RESPONSE_TOO_LARGE);
    ck_assert_uint_eq(rig.n_asked, 0);
    ck_assert_int_eq(reserve(10000), 0);
    check_room(3 * PAGE_BYTES);
}
END_TEST

START_TEST(generous_growth_stops_at_the_limit) {
    rig.exchange.max_response = 3 * PAGE_BYTES;
    ck_assert_int_eq(reserve(2 * PAGE_BYTES), 0);
    ck_assert_int_eq(reserve(2 * PAGE_BYTES + 1), 0);
    check_room(3 * PAGE_BYTES);
}
END_TEST

START_TEST(window_is_a_limit_too) {
    rig.exchange.max_response = UINT64_MAX;
    ck_assert_int_eq(reserve(WINDOW_BYTES + 1), REASON_RESPONSE_TOO_LARGE);
    ck_assert_int_eq(reserve(UINT64_MAX), REASON_RESPONSE_TOO_LARGE);
    rig.response.capacity = 3 * PAGE_BYTES;
    ck_assert_int_eq(reserve(2 * PAGE_BYTES), 0);
    ck_assert_int_eq(reserve(3 * PAGE_BYTES), 0);
    check_room(3 * PAGE_BYTES);
}
END_TEST

START_TEST(refusal_of_the_generous_is_followed_by_the_least) {
    ck_assert_int_eq(reserve(4 * PAGE_BYTES), 0);
    rig.granted_bytes = 5 * PAGE_BYTES;
    ck_assert_int_eq(reserve(4 * PAGE_BYTES + 1), 0);
    check_room(5 * PAGE_BYTES);
    ck_assert_uint_eq(rig.n_asked, 3);
}
END_TEST

START_TEST(refusal_of_the_least_is_handed_on_and_changes_nothing) {
    ck_assert_int_eq(reserve(PAGE_BYTES), 0);
    rig.granted_bytes = PAGE_BYTES;
    ck_assert_int_eq(reserve(PAGE_BYTES + 1), REASON_MEMORY_BUDGET);
    check_room(PAGE_BYTES);
}
END_TEST

START_TEST(errors_of_the_wire_are_handed_on) {
    rig.granted_bytes = 0;
    rig.refusal = -EIO;
    ck_assert_int_eq(reserve(1), -EIO);
    ck_assert_uint_eq(rig.n_asked, 1);
}
END_TEST

START_TEST(full_file_system_is_a_reason_and_not_a_signal) {
    unit_small_shm(MIB);
    make_rig();
    ck_assert_int_eq(reserve(2 * MIB), REASON_MEMORY_FULL);
    check_room(0);
    ck_assert_int_eq(reserve(MIB / 2), 0);
    check_room(MIB / 2);
    free_rig();
}
END_TEST

START_TEST(full_file_system_still_holds_the_least) {
    unit_small_shm(MIB);
    make_rig();
    ck_assert_int_eq(reserve(MIB * 3 / 4), 0);
    ck_assert_int_eq(reserve(MIB * 3 / 4 + 1), 0);
    check_room(MIB * 3 / 4 + PAGE_BYTES);
    free_rig();
}
END_TEST

/* ---- failures ---- */

START_TEST(failure_replaces_the_response) {
    ck_assert_int_eq(reserve(100), 0);
    memset(rig.response.map, 'r', 100);
    rig.exchange.response_bytes = 100;
    exchange_fail(&rig.exchange, REASON_HANDLER_FAILED, 3, "it %s %d", "broke", 7);
    ck_assert_int_eq(rig.exchange.reason, REASON_HANDLER_FAILED);
    ck_assert_int_eq(rig.exchange.status, 3);
    ck_assert_str_eq(text(), "it broke 7");
}
END_TEST

START_TEST(failure_without_words_leaves_the_reason) {
    rig.exchange.response_bytes = 100;
    exchange_fail(&rig.exchange, REASON_HANDLER_KILLED, -9, "%s", "");
    ck_assert_int_eq(rig.exchange.reason, REASON_HANDLER_KILLED);
    ck_assert_int_eq(rig.exchange.status, -9);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
    ck_assert_uint_eq(rig.n_asked, 0);
}
END_TEST

START_TEST(failure_without_memory_leaves_the_reason) {
    rig.granted_bytes = 0;
    exchange_fail(&rig.exchange, REASON_TIMED_OUT, 0, "no room for this");
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
}
END_TEST

START_TEST(long_words_lose_their_end) {
    rig.exchange.max_response = 4;
    exchange_fail(&rig.exchange, REASON_HANDLER_FAILED, 1, "abcdef");
    ck_assert_str_eq(text(), "abcd");
}
END_TEST

START_TEST(words_are_cut_between_characters) {
    rig.exchange.max_response = 4;
    exchange_fail(&rig.exchange, REASON_HANDLER_FAILED, 1, "ab\u20acd"); /* three bytes from the third on */
    ck_assert_str_eq(text(), "ab");
    exchange_fail(&rig.exchange, REASON_HANDLER_FAILED, 1, "a\u20acbc");
    ck_assert_str_eq(text(), "a\u20ac");
}
END_TEST

START_TEST(later_failure_counts) {
    exchange_fail(&rig.exchange, REASON_HANDLER_FAILED, 1, "a long text that is replaced");
    exchange_fail(&rig.exchange, REASON_REQUEST_CHANGED, 0, "short");
    ck_assert_int_eq(rig.exchange.reason, REASON_REQUEST_CHANGED);
    ck_assert_int_eq(rig.exchange.status, 0);
    ck_assert_str_eq(text(), "short");
}
END_TEST

START_TEST(expiry_says_whose_time_was_up) {
    exchange_fail_expired(&rig.exchange);
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
    ck_assert_ptr_nonnull(strstr(text(), "`timeout`"));
    rig.exchange.client_deadline = true;
    exchange_fail_expired(&rig.exchange);
    ck_assert_int_eq(rig.exchange.reason, REASON_TIMED_OUT);
    ck_assert_ptr_nonnull(strstr(text(), "caller"));
}
END_TEST

START_TEST(cancelled_is_what_the_wire_says) {
    ck_assert(!exchange_is_cancelled(&rig.exchange));
    rig.cancelled = true;
    ck_assert(exchange_is_cancelled(&rig.exchange));
    rig.exchange.cancelled = NULL; /* a wire that knows of no cancelling */
    ck_assert(!exchange_is_cancelled(&rig.exchange));
}
END_TEST

/* ---- reading the request ---- */

static void put_request(const char *payload) {
    const Segment window = {.fd = rig.exchange.request_fd, .offset = OFFSET, .capacity = WINDOW_BYTES};

    ck_assert_int_eq(segment_write(&window, 0, payload, strlen(payload)), 0);
    rig.exchange.request_bytes = strlen(payload);
}

START_TEST(request_is_read_from_its_window) {
    char data[6] = "......";

    put_request("0123456789");
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 0, data, 3), 0);
    ck_assert_mem_eq(data, "012...", 6);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 7, data, 3), 0);
    ck_assert_mem_eq(data, "789...", 6);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 10, data, 0), 0);
}
END_TEST

START_TEST(request_ends_where_it_says) {
    char data[16] = "untouched";

    put_request("0123456789");
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 0, data, 11), REASON_REQUEST_CHANGED);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 11, data, 0), REASON_REQUEST_CHANGED);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 10, data, 1), REASON_REQUEST_CHANGED);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, UINT64_MAX, data, 2), REASON_REQUEST_CHANGED);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 2, data, SIZE_MAX), REASON_REQUEST_CHANGED);
    ck_assert_str_eq(data, "untouched");
}
END_TEST

START_TEST(request_that_was_cut_off_has_changed) {
    char data[10];

    put_request("0123456789");
    ck_assert_int_eq(ftruncate(rig.exchange.request_fd, (off_t)OFFSET + 5), 0);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 0, data, 5), 0);
    ck_assert_int_eq(exchange_read_request(&rig.exchange, 0, data, 6), REASON_REQUEST_CHANGED);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, make_rig, free_rig);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_failures(TCase *tests) {
    tcase_add_test(tests, failure_replaces_the_response);
    tcase_add_test(tests, failure_without_words_leaves_the_reason);
    tcase_add_test(tests, failure_without_memory_leaves_the_reason);
    tcase_add_test(tests, long_words_lose_their_end);
    tcase_add_test(tests, words_are_cut_between_characters);
    tcase_add_test(tests, later_failure_counts);
    tcase_add_test(tests, expiry_says_whose_time_was_up);
    tcase_add_test(tests, cancelled_is_what_the_wire_says);
}

static void add_full(Suite *suite) {
    TCase *tests = tcase_create("full");

    tcase_add_test(tests, full_file_system_is_a_reason_and_not_a_signal);
    tcase_add_test(tests, full_file_system_still_holds_the_least);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("exchange");
    TCase *room = add_case(suite, "room");
    TCase *reading = add_case(suite, "reading");

    tcase_add_test(room, first_reservation_is_as_big_as_it_must);
    tcase_add_test(room, empty_response_needs_no_room);
    tcase_add_test(room, what_fits_is_not_asked_for_again);
    tcase_add_test(room, room_doubles_so_that_small_steps_cost_little);
    tcase_add_test(room, step_that_is_larger_than_double_is_taken_as_it_is);
    tcase_add_test(room, what_was_written_stays_while_it_grows);
    tcase_add_test(room, large_response_does_not_double_any_more);
    tcase_add_test(room, response_may_reach_its_limit_and_no_further);
    tcase_add_test(room, generous_growth_stops_at_the_limit);
    tcase_add_test(room, window_is_a_limit_too);
    tcase_add_test(room, refusal_of_the_generous_is_followed_by_the_least);
    tcase_add_test(room, refusal_of_the_least_is_handed_on_and_changes_nothing);
    tcase_add_test(room, errors_of_the_wire_are_handed_on);
    add_failures(add_case(suite, "failures"));
    tcase_add_test(reading, request_is_read_from_its_window);
    tcase_add_test(reading, request_ends_where_it_says);
    tcase_add_test(reading, request_that_was_cut_off_has_changed);
    if (unit_is_root())
        add_full(suite);
    return suite;
}
