/* SPDX-License-Identifier: MIT */
/* The index by itself: what counts when, and what is no index. */
#include "unit.h"

#include "core/host-index.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *page;

static void begin(void) {
    page = calloc(1, index_bytes());
    ck_assert_ptr_nonnull(page);
    index_format(page, "test");
}

static void end(void) {
    free(page);
}

static uint32_t add(IndexKind kind, const void *record, uint64_t key) {
    size_t offset, bytes;
    uint32_t number = index_place(page, kind, &offset, &bytes);

    ck_assert_uint_ne(number, UINT32_MAX);
    ck_assert_uint_le(offset + bytes, index_bytes());
    index_put(page, kind, number, record);
    index_set(page, kind, number, key);
    return number;
}

START_TEST(fresh_index_is_good_and_empty) {
    IndexClient record;

    ck_assert_ptr_null(index_check(page, "test"));
    for (IndexKind kind = 0; kind < _INDEX_KINDS; kind++)
        ck_assert_uint_eq(index_n(page, kind), 0);
    ck_assert(!index_copy(page, INDEX_CLIENT, 0, &record));
}
END_TEST

START_TEST(record_counts_by_its_key_alone) {
    const IndexClient client = {.key = 99, .n_slots = 4, .name = "somebody"};
    IndexClient copy;
    size_t offset, bytes;
    uint32_t number = index_place(page, INDEX_CLIENT, &offset, &bytes);

    index_put(page, INDEX_CLIENT, number, &client);
    ck_assert(!index_copy(page, INDEX_CLIENT, number, &copy));
    index_set(page, INDEX_CLIENT, number, 7);
    ck_assert(index_copy(page, INDEX_CLIENT, number, &copy));
    ck_assert_uint_eq(copy.key, 7);
    ck_assert_uint_eq(copy.n_slots, 4);
    ck_assert_str_eq(copy.name, "somebody");
    index_set(page, INDEX_CLIENT, number, 0);
    ck_assert(!index_copy(page, INDEX_CLIENT, number, &copy));
}
END_TEST

START_TEST(places_are_given_again_from_the_front) {
    const IndexUid record = {0};

    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_eq(add(INDEX_UID, &record, 100 + i), i);
    index_set(page, INDEX_UID, 1, 0);
    index_set(page, INDEX_UID, 3, 0);
    ck_assert_uint_eq(add(INDEX_UID, &record, 200), 1);
    ck_assert_uint_eq(add(INDEX_UID, &record, 201), 3);
    ck_assert_uint_eq(add(INDEX_UID, &record, 202), 5);
}
END_TEST

START_TEST(full_index_has_no_place) {
    static const uint32_t max[_INDEX_KINDS] = {INDEX_UIDS, INDEX_CLIENTS, INDEX_WORKERS};
    static const IndexClient record;
    size_t offset, bytes;
    IndexKind kind = (IndexKind)_i;

    for (uint32_t i = 0; i < max[kind]; i++)
        ck_assert_uint_eq(add(kind, &record, i + 1), i);
    ck_assert_uint_eq(index_place(page, kind, &offset, &bytes), UINT32_MAX);
    index_set(page, kind, max[kind] / 2, 0);
    ck_assert_uint_eq(index_place(page, kind, &offset, &bytes), max[kind] / 2);
    ck_assert_ptr_null(index_check(page, "test"));
}
END_TEST

/* One string of the environment holds a name for each descriptor, and a colon. */
START_TEST(all_names_fit_into_the_environment) {
    static const uint32_t max[_INDEX_KINDS] = {INDEX_UIDS, INDEX_CLIENTS, INDEX_WORKERS};
    size_t bytes = sizeof("LISTEN_FDNAMES=" INDEX_NAME ":" INDEX_LISTENER);
    char name[INDEX_NAME_BYTES];

    for (IndexKind kind = 0; kind < _INDEX_KINDS; kind++)
        for (uint32_t i = 0; i < max[kind]; i++)
            bytes += index_n_fds(kind) * (strlen(index_name(kind, i, name)) + 1);
    ck_assert_uint_lt(bytes, 127 * 1024);
}
END_TEST

START_TEST(name_says_kind_and_number) {
    char name[INDEX_NAME_BYTES];
    IndexKind kind;
    uint32_t number;

    ck_assert_str_eq(index_name(INDEX_CLIENT, 2999, name), "c2999");
    ck_assert(index_parse(name, &kind, &number));
    ck_assert_int_eq(kind, INDEX_CLIENT);
    ck_assert_uint_eq(number, 2999);
    ck_assert(index_parse(index_name(INDEX_WORKER, 0, name), &kind, &number));
    ck_assert_int_eq(kind, INDEX_WORKER);
}
END_TEST

static const char *const no_names[] = {"",      "c",
                                       "c-1",   "c01",
                                       "c+1",   "c 1",
                                       "c3000", "u1000",
                                       "w500",  "c99999999999",
                                       "x1",    "index",
                                       "c1 ",   "C1",
                                       "cc1",   "shmipc@host.socket"};

START_TEST(other_names_are_none) {
    IndexKind kind = 77;
    uint32_t number = 77;

    ck_assert(!index_parse(no_names[_i], &kind, &number));
    ck_assert_uint_eq(number, 77);
}
END_TEST

START_TEST(what_is_no_index_is_refused) {
    ck_assert_ptr_nonnull(index_check(page, "other"));
    page[0] ^= 1;
    ck_assert_ptr_nonnull(index_check(page, "test"));
    page[0] ^= 1;
    page[8]++;
    ck_assert_ptr_nonnull(strstr(index_check(page, "test"), "another version"));
    page[8]--;
    ck_assert_ptr_null(index_check(page, "test"));
    memset(page, 0, 4096);
    ck_assert_ptr_nonnull(index_check(page, "test"));
}
END_TEST

/* Whatever is in the page: no number of it leads beyond its end. */
START_TEST(garbage_is_refused_or_stays_within_the_page) {
    union {
        IndexUid uid;
        IndexClient client;
        IndexWorker worker;
    } record;

    srandom((unsigned)_i);
    for (size_t i = 76; i < 512; i++) /* behind magic, version and name */
        page[i] = random() % 8 == 0 ? (uint8_t)random() : 0;
    if (index_check(page, "test"))
        return;
    for (IndexKind kind = 0; kind < _INDEX_KINDS; kind++)
        for (uint32_t i = 0; i < index_n(page, kind); i++)
            (void)index_copy(page, kind, i, &record);
}
END_TEST

START_TEST(counts_out_of_range_are_refused) {
    for (size_t i = 0; i < _INDEX_KINDS; i++) {
        uint32_t *n = (uint32_t *)(void *)(page + 8 + 4 + 4 + NAME_BYTES) + i;

        *n = UINT32_MAX;
        ck_assert_ptr_nonnull(index_check(page, "test"));
        *n = 0;
    }
    ck_assert_ptr_null(index_check(page, "test"));
}
END_TEST

START_TEST(past_is_added_to_once_for_each_client) {
    const SlotCounts counts = {
        .n_done = 3, .n_failed = 2, .n_cancelled = 1, .request_bytes = 10, .response_bytes = 20};
    IndexPast past;

    for (int i = 0; i < 3; i++)
        index_add_past(page, 5, &counts);
    index_past(page, &past);
    ck_assert_uint_eq(past.counts.n_done, 3);
    index_add_past(page, 6, &counts);
    index_past(page, &past);
    ck_assert_uint_eq(past.counts.n_done, 6);
    ck_assert_uint_eq(past.counts.response_bytes, 40);
}
END_TEST

START_TEST(number_of_a_worker_is_kept) {
    ck_assert_uint_eq(index_last_worker(page), 0);
    index_set_last_worker(page, 17);
    ck_assert_uint_eq(index_last_worker(page), 17);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("index");
    TCase *tests = tcase_create("index");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, fresh_index_is_good_and_empty);
    tcase_add_test(tests, record_counts_by_its_key_alone);
    tcase_add_test(tests, places_are_given_again_from_the_front);
    tcase_add_loop_test(tests, full_index_has_no_place, 0, _INDEX_KINDS);
    tcase_add_test(tests, all_names_fit_into_the_environment);
    tcase_add_test(tests, name_says_kind_and_number);
    tcase_add_loop_test(tests, other_names_are_none, 0, 16);
    tcase_add_test(tests, what_is_no_index_is_refused);
    tcase_add_loop_test(tests, garbage_is_refused_or_stays_within_the_page, 0, 50);
    tcase_add_test(tests, counts_out_of_range_are_refused);
    tcase_add_test(tests, past_is_added_to_once_for_each_client);
    tcase_add_test(tests, number_of_a_worker_is_kept);
    suite_add_tcase(suite, tests);
    return suite;
}
