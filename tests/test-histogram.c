/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static Histogram histogram, other;

static void begin(void) {
    histogram_reset(&histogram);
    histogram_reset(&other);
}

static void record(Histogram *into, const uint64_t *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        histogram_record(into, values[i]);
}

/* How far @told is from @value, in shares of @value. */
static double error_of(uint64_t told, uint64_t value) {
    uint64_t distance = told > value ? told - value : value - told;

    return value ? (double)distance / (double)value : (double)distance;
}

/* A value that is neither the smallest nor the largest is told as its bucket's middle. */
static uint64_t told_of(uint64_t value) {
    histogram_reset(&histogram);
    histogram_record(&histogram, 0);
    histogram_record(&histogram, value);
    histogram_record(&histogram, UINT64_MAX);
    return histogram_quantile(&histogram, 0.5);
}

START_TEST(buckets_lie_side_by_side_from_0_to_the_end) {
    uint64_t expected = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t begin = histogram_bucket_begin(i), end = histogram_bucket_end(i);

        ck_assert_uint_eq(begin, expected);
        ck_assert_uint_ge(end, begin);
        ck_assert_uint_eq(histogram_bucket(begin), i);
        ck_assert_uint_eq(histogram_bucket(begin + (end - begin) / 2), i);
        ck_assert_uint_eq(histogram_bucket(end), i);
        expected = end + 1;
    }
    ck_assert_uint_eq(expected, 0); /* one more than the largest */
    ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(no_value_is_told_more_than_1_percent_off) {
    double worst = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        const uint64_t ends[] = {histogram_bucket_begin(i), histogram_bucket_end(i)};

        for (size_t k = 0; k < 2; k++) {
            double error = error_of(told_of(ends[k]), ends[k]);

            worst = error > worst ? error : worst;
        }
    }
    ck_assert_double_le(worst, 0.01);
    ck_assert_double_gt(worst, 0.005); /* it is buckets that were looked at, not the values themselves */
}
END_TEST

START_TEST(small_values_are_told_exactly) {
    for (uint64_t value = 0; value < HISTOGRAM_EXACT; value++)
        ck_assert_uint_eq(told_of(value), value);
}
END_TEST

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

START_TEST(quantiles_are_those_of_the_sorted_values) {
    static const double quantiles[] = {0.001, 0.25, 0.5, 0.9, 0.99, 0.999};
    enum { N = 100000 };
    static uint64_t values[N];
    uint64_t state = 1;

    for (size_t i = 0; i < N; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        values[i] = state >> (20 + state % 41); /* of every magnitude */
    }
    record(&histogram, values, N);
    qsort(values, N, sizeof(values[0]), by_value);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        uint64_t exact = values[(size_t)(quantiles[i] * N + 0.5) - 1];

        ck_assert_double_le(error_of(histogram_quantile(&histogram, quantiles[i]), exact), 0.01);
    }
    ck_assert_uint_eq(histogram_quantile(&histogram, 0), values[0]);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), values[N - 1]);
}
END_TEST

START_TEST(bad_quantiles_are_the_nearest_good_one) {
    record(&histogram, (const uint64_t[]){1000, 2000, 3000}, 3);
    ck_assert_uint_eq(histogram_quantile(&histogram, -1), 1000);
    ck_assert_uint_eq(histogram_quantile(&histogram, -INFINITY), 1000);
    ck_assert_uint_eq(histogram_quantile(&histogram, NAN), 1000);
    ck_assert_double_le(error_of(histogram_quantile(&histogram, 1e-300), 1000), 0.01);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1.5), 3000);
    ck_assert_uint_eq(histogram_quantile(&histogram, INFINITY), 3000);
}
END_TEST

START_TEST(one_value_is_every_quantile_exactly) {
    histogram_record(&histogram, 123456789);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 123456789);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.999), 123456789);
    ck_assert_uint_eq(histogram_mean(&histogram), 123456789);
}
END_TEST

START_TEST(an_empty_one_says_0) {
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 0);
    ck_assert_uint_eq(histogram_mean(&histogram), 0);
}
END_TEST

START_TEST(count_sum_min_and_max_are_exact) {
    record(&histogram, (const uint64_t[]){70001, 5, 999999937}, 3);
    ck_assert_uint_eq(histogram.n, 3);
    ck_assert_uint_eq(histogram.sum, 1000069943);
    ck_assert_uint_eq(histogram.min, 5);
    ck_assert_uint_eq(histogram.max, 999999937);
    ck_assert_uint_eq(histogram_mean(&histogram), 333356647);
}
END_TEST

START_TEST(a_smallest_value_of_0_stays) {
    record(&histogram, (const uint64_t[]){0, 7}, 2);
    ck_assert_uint_eq(histogram.min, 0);
}
END_TEST

START_TEST(a_sum_too_large_stays_at_its_limit) {
    record(&histogram, (const uint64_t[]){UINT64_MAX, 1, 1}, 3);
    ck_assert_uint_eq(histogram.sum, UINT64_MAX);
    histogram_record(&other, 5);
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.sum, UINT64_MAX);
}
END_TEST

START_TEST(merged_is_as_if_recorded_in_one) {
    static const uint64_t one[] = {3, 1000, 88888}, two[] = {2, 1001, 1234567890};
    static Histogram all;

    record(&all, one, 3);
    record(&all, two, 3);
    record(&histogram, one, 3);
    record(&other, two, 3);
    histogram_merge(&histogram, &other);
    ck_assert_mem_eq(&histogram, &all, sizeof(all));
}
END_TEST

START_TEST(merging_an_empty_one_changes_nothing) {
    static Histogram before;

    record(&histogram, (const uint64_t[]){30, 40}, 2);
    before = histogram;
    histogram_merge(&histogram, &other);
    ck_assert_mem_eq(&histogram, &before, sizeof(before));
    histogram_merge(&other, &histogram);
    ck_assert_mem_eq(&other, &histogram, sizeof(before));
}
END_TEST

START_TEST(reset_forgets_everything) {
    static const Histogram empty;

    record(&histogram, (const uint64_t[]){30, 40, UINT64_MAX}, 3);
    histogram_reset(&histogram);
    ck_assert_mem_eq(&histogram, &empty, sizeof(empty));
}
END_TEST

START_TEST(what_somebody_else_wrote_ends_all_the_same) {
    memset(&histogram, 0xff, sizeof(histogram));
    histogram.n = 1;
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), UINT64_MAX);
    histogram_reset(&histogram);
    histogram.n = UINT64_MAX; /* and no count to go with it */
    histogram.max = 9;
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 9);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("histogram");
    TCase *tests = tcase_create("histogram");

    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, buckets_lie_side_by_side_from_0_to_the_end);
    tcase_add_test(tests, no_value_is_told_more_than_1_percent_off);
    tcase_add_test(tests, small_values_are_told_exactly);
    tcase_add_test(tests, quantiles_are_those_of_the_sorted_values);
    tcase_add_test(tests, bad_quantiles_are_the_nearest_good_one);
    tcase_add_test(tests, one_value_is_every_quantile_exactly);
    tcase_add_test(tests, an_empty_one_says_0);
    tcase_add_test(tests, count_sum_min_and_max_are_exact);
    tcase_add_test(tests, a_smallest_value_of_0_stays);
    tcase_add_test(tests, a_sum_too_large_stays_at_its_limit);
    tcase_add_test(tests, merged_is_as_if_recorded_in_one);
    tcase_add_test(tests, merging_an_empty_one_changes_nothing);
    tcase_add_test(tests, reset_forgets_everything);
    tcase_add_test(tests, what_somebody_else_wrote_ends_all_the_same);
    suite_add_tcase(suite, tests);
    return suite;
}
