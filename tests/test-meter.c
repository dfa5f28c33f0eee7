/* SPDX-License-Identifier: MIT */
/* Meters: in memory that others write, too, and that may hold anything. */
#include "unit.h"
#include "wire/slots.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS 3

static Meter *meter;
static Histogram into;

static void setup(void) {
    meter = calloc(1, METER_BYTES);
    memset(&into, 0, sizeof(into));
}

static void teardown(void) {
    free(meter);
}

START_TEST(what_was_recorded_is_read) {
    ck_assert(meter_is_empty(meter));
    ck_assert(meter_read(meter, 0, &into));
    ck_assert_uint_eq(into.n, 0);
    meter_record(meter, 1000, 1);
    meter_record(meter, 2000000, 3);
    ck_assert(!meter_is_empty(meter));
    ck_assert(meter_read(meter, 4, &into));
    ck_assert_uint_eq(into.n, 4);
    ck_assert_uint_eq(into.sum, 1000 + 3 * 2000000);
    ck_assert_uint_eq(into.max, 2000000);
    ck_assert_uint_le(into.min, 1000);
    ck_assert_uint_ge(histogram_quantile(&into, 0.5), 1980000);
    ck_assert_uint_le(histogram_quantile(&into, 0.5), 2020000);
}
END_TEST

START_TEST(every_value_has_a_place) {
    static const uint64_t values[] = {0, 1, 127, 128, METER_MAX_NS - 1, METER_MAX_NS, UINT64_MAX};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        meter_record(meter, values[i], 1);
    ck_assert(meter_read(meter, UINT64_MAX, &into));
    ck_assert_uint_eq(into.n, sizeof(values) / sizeof(values[0]));
    ck_assert_uint_eq(into.counts[histogram_bucket(METER_MAX_NS - 1)], 3);
    ck_assert_uint_eq(histogram_bucket(METER_MAX_NS - 1), METER_BUCKETS - 1);
    ck_assert_uint_eq(into.max, UINT64_MAX);
}
END_TEST

START_TEST(weight_is_kept_within_its_bounds) {
    meter_record(meter, 5, 0);
    meter_record(meter, 5, UINT32_MAX);
    ck_assert(meter_read(meter, UINT64_MAX, &into));
    ck_assert_uint_eq(into.n, 1 + METER_WEIGHT_MAX);
}
END_TEST

START_TEST(one_that_says_too_much_is_left_out) {
    uint64_t *words = (uint64_t *)meter;

    meter_record(meter, 5, 10);
    ck_assert(!meter_read(meter, 9, &into));
    ck_assert_uint_eq(into.n, 0);
    for (size_t i = 8; i < METER_BYTES / 8; i++)
        words[i] = UINT64_MAX; /* a sum that overflows */
    ck_assert(!meter_read(meter, UINT64_MAX, &into));
    ck_assert_uint_eq(into.n, 0);
}
END_TEST

enum { N_THREADS = 4, N_EACH = 20000 };

static void *record_many(void *data) {
    for (uint64_t i = 0; i < N_EACH; i++)
        meter_record(data, i, 1);
    return NULL;
}

START_TEST(nothing_is_lost_among_several_who_record) {
    pthread_t threads[N_THREADS];

    for (int i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, record_many, meter), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert(meter_read(meter, UINT64_MAX, &into));
    ck_assert_uint_eq(into.n, N_THREADS * N_EACH);
    ck_assert_uint_eq(into.sum, (uint64_t)N_THREADS * N_EACH * (N_EACH - 1) / 2);
    ck_assert_uint_eq(into.max, N_EACH - 1);
}
END_TEST

START_TEST(meters_lie_behind_the_records_and_within_the_page) {
    char *page = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    char *queued = (char *)slots_meter(page, STAGE_QUEUED, N_SLOTS);
    char *running = (char *)slots_meter(page, STAGE_RUNNING, N_SLOTS);

    ck_assert_ptr_eq(queued, page + 128 + 8 * (64 + 128)); /* head, one group of up to eight slots */
    ck_assert_ptr_eq(running, queued + METER_BYTES);
    ck_assert(running + METER_BYTES <= page + slots_page_bytes(N_SLOTS));
    ck_assert_ptr_eq(slots_meter(page, STAGE_REPLIED, N_SLOTS), queued);
    free(page);
}
END_TEST

START_TEST(when_it_ended_is_told_with_the_answer_and_is_no_claim) {
    char *submit = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    char *state = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    const SubmitRecord record = {.generation = 1, .submitted_ns = 77, .weight = 16};
    AnswerRecord answer = {.ended_ns = 99};
    SlotClaim claim;

    memset(submit, 0, slots_page_bytes(N_SLOTS));
    memset(state, 0, slots_page_bytes(N_SLOTS));
    submit_publish(submit, 0, &record);
    ck_assert(slots_claim(submit, state, 0, 1, 5, 88, &claim));
    ck_assert_uint_eq(claim.request.submitted_ns, 77);
    ck_assert_uint_eq(claim.request.weight, 16);
    ck_assert_uint_eq(state_claimed_ns(state, 0), 88);
    ck_assert(slots_end(state, 0, &claim, SLOT_DONE, &answer));
    ck_assert_uint_eq(state_claimed_ns(state, 0), 0);
    state_answer_copy(state, 0, &answer);
    ck_assert_uint_eq(answer.ended_ns, 99);
    free(submit);
    free(state);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("meter");
    TCase *tests = tcase_create("meter");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_was_recorded_is_read);
    tcase_add_test(tests, every_value_has_a_place);
    tcase_add_test(tests, weight_is_kept_within_its_bounds);
    tcase_add_test(tests, one_that_says_too_much_is_left_out);
    tcase_add_test(tests, nothing_is_lost_among_several_who_record);
    tcase_add_test(tests, meters_lie_behind_the_records_and_within_the_page);
    tcase_add_test(tests, when_it_ended_is_told_with_the_answer_and_is_no_claim);
    suite_add_tcase(suite, tests);
    return suite;
}
