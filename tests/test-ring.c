/* SPDX-License-Identifier: MIT */
/* The ring of records that a worker writes: full, overrun, read while it is written, and full of rubbish. */
#include "unit.h"
#include "wire/trace.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_MAX 4096

static TraceRing *ring;
static TraceRecord records[N_MAX];
static uint64_t at, n_lost;

static void setup(void) {
    ring = aligned_alloc(4096, (TRACE_RING_BYTES + 4095) / 4096 * 4096);
    memset(ring, 0, TRACE_RING_BYTES);
    at = n_lost = 0;
}

static void teardown(void) {
    free(ring);
}

/* All of its words say which one it is. */
static void write_one(uint64_t number) {
    TraceRecord record;
    uint64_t words[8];

    for (int i = 0; i < 8; i++)
        words[i] = number;
    memcpy(&record, words, sizeof(record));
    record.end = TRACE_FAILED;
    trace_write(ring, &record);
}

static void write_many(uint64_t first, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        write_one(first + i);
}

static size_t read_all(void) {
    return trace_read(ring, &at, records, N_MAX, &n_lost);
}

START_TEST(what_was_written_is_read_once_and_in_order) {
    ck_assert_uint_eq(read_all(), 0);
    write_many(100, 3);
    ck_assert_uint_eq(read_all(), 3);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(records[i].client, 100 + i);
    ck_assert_uint_eq(read_all(), 0);
    write_one(7);
    ck_assert_uint_eq(read_all(), 1);
    ck_assert_uint_eq(records[0].response_bytes, 7);
    ck_assert_uint_eq(n_lost, 0);
}
END_TEST

START_TEST(reader_takes_no_more_than_it_has_room_for) {
    write_many(0, 5);
    ck_assert_uint_eq(trace_read(ring, &at, records, 2, &n_lost), 2);
    ck_assert_uint_eq(trace_read(ring, &at, records, 2, &n_lost), 2);
    ck_assert_uint_eq(records[1].client, 3);
    ck_assert_uint_eq(trace_read(ring, &at, records, 2, &n_lost), 1);
    ck_assert_uint_eq(records[0].client, 4);
}
END_TEST

START_TEST(full_ring_loses_nothing) {
    for (uint64_t round = 0; round < 3; round++) { /* also where it has come round */
        write_many(round * TRACE_RING_ROOM, TRACE_RING_ROOM);
        ck_assert_uint_eq(read_all(), TRACE_RING_ROOM);
        ck_assert_uint_eq(records[0].client, round * TRACE_RING_ROOM);
    }
    ck_assert_uint_eq(n_lost, 0);
}
END_TEST

START_TEST(ring_that_is_overrun_loses_the_oldest_and_says_how_many) {
    write_many(0, TRACE_RING_ROOM + 10);
    ck_assert_uint_eq(read_all(), TRACE_RING_ROOM);
    ck_assert_uint_eq(records[0].client, 10);
    ck_assert_uint_eq(n_lost, 10);
    write_many(0, 5 * TRACE_RING_RECORDS);
    ck_assert_uint_eq(read_all(), TRACE_RING_ROOM);
    ck_assert_uint_eq(n_lost, 10 + 5 * TRACE_RING_RECORDS - TRACE_RING_ROOM);
}
END_TEST

#define N_WRITTEN 1000000u

static void *write_beside(void *data) {
    write_many(1, N_WRITTEN);
    return NULL;
}

/* Torn ones would have words of two. */
static void check_whole(size_t n, uint64_t *latest) {
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_gt(records[i].client, *latest);
        *latest = records[i].client;
        ck_assert_uint_eq(records[i].submitted_ns, *latest);
        ck_assert_uint_eq(records[i].response_bytes, *latest);
        ck_assert_uint_eq(records[i].slot, (uint32_t)*latest);
    }
}

START_TEST(reader_beside_a_writer_gets_whole_records_and_counts_the_others) {
    uint64_t latest = 0, n_read = 0;
    pthread_t writer;

    ck_assert_int_eq(pthread_create(&writer, NULL, write_beside, NULL), 0);
    while (n_read + n_lost < N_WRITTEN) {
        size_t n = trace_read(ring, &at, records, 100, &n_lost);

        check_whole(n, &latest);
        n_read += n;
    }
    pthread_join(writer, NULL);
    ck_assert_uint_eq(read_all(), 0);
    ck_assert_uint_eq(n_read + n_lost, N_WRITTEN);
    printf("# %llu of %u read\n", (unsigned long long)n_read, N_WRITTEN);
}
END_TEST

/* Where the page says how many were written anything may stand. */
static void forge_n(uint64_t n) {
    memcpy((void *)ring, &n, sizeof(n));
}

START_TEST(count_that_goes_back_or_leaps_is_begun_anew_with) {
    static const uint64_t forged[] = {0, UINT64_MAX, UINT64_C(1) << 63, 2, UINT64_C(1) << 41};

    write_many(0, 5);
    ck_assert_uint_eq(read_all(), 5);
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        forge_n(forged[i]);
        ck_assert_uint_eq(read_all(), 0);
        ck_assert_uint_eq(at, forged[i]);
    }
    write_one(9);
    ck_assert_uint_eq(read_all(), 1);
    ck_assert_uint_eq(records[0].client, 9);
}
END_TEST

static void write_done(uint64_t took_ns, TraceEnd end) {
    const TraceRecord record = {.submitted_ns = 1000, .ended_ns = 1000 + took_ns, .end = (uint8_t)end};

    trace_write(ring, &record);
}

START_TEST(good_ones_that_took_too_little_are_not_written_and_failures_are) {
    trace_set_least(ring, 500);
    write_done(499, TRACE_DONE);
    write_done(500, TRACE_DONE);
    write_done(1, TRACE_FAILED);
    write_done(2, TRACE_CANCELLED);
    ck_assert_uint_eq(read_all(), 3);
    ck_assert_uint_eq(trace_took_ns(&records[0]), 500);
    trace_set_least(ring, UINT64_MAX);
    write_done(100000, TRACE_DONE);
    write_done(3, TRACE_EXPIRED);
    ck_assert_uint_eq(read_all(), 1);
    ck_assert_uint_eq(records[0].end, TRACE_EXPIRED);
    ck_assert_uint_eq(n_lost, 0);
}
END_TEST

START_TEST(time_is_from_the_earliest_that_is_known) {
    ck_assert_uint_eq(trace_took_ns(&(TraceRecord){.submitted_ns = 10, .claimed_ns = 20, .ended_ns = 50}),
                      40);
    ck_assert_uint_eq(trace_took_ns(&(TraceRecord){.claimed_ns = 20, .ended_ns = 50}), 30);
    ck_assert_uint_eq(trace_took_ns(&(TraceRecord){.ended_ns = 50}), 0);
    ck_assert_uint_eq(trace_took_ns(&(TraceRecord){.submitted_ns = 60, .ended_ns = 50}), 0);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("ring");
    TCase *tests = tcase_create("ring");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_was_written_is_read_once_and_in_order);
    tcase_add_test(tests, reader_takes_no_more_than_it_has_room_for);
    tcase_add_test(tests, full_ring_loses_nothing);
    tcase_add_test(tests, ring_that_is_overrun_loses_the_oldest_and_says_how_many);
    tcase_add_test(tests, reader_beside_a_writer_gets_whole_records_and_counts_the_others);
    tcase_add_test(tests, count_that_goes_back_or_leaps_is_begun_anew_with);
    tcase_add_test(tests, good_ones_that_took_too_little_are_not_written_and_failures_are);
    tcase_add_test(tests, time_is_from_the_earliest_that_is_known);
    suite_add_tcase(suite, tests);
    return suite;
}
