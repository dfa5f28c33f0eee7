/* SPDX-License-Identifier: MIT */
/* For how long, and how often, memory is looked at before sleeping. No test here looks at the clock. */
#include "core/spin.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "unit.h"

static const uint64_t US = NS_PER_US;

START_TEST(nobody_looks_where_it_is_switched_off) {
    SpinPace pace = {0};
    Spin spin;

    ck_assert(!spin_begin(&spin, &pace, 0, 1 << 20, false));
}
END_TEST

START_TEST(what_is_not_wanted_now_is_looked_at_once) {
    SpinPace pace = {0};
    Spin spin;

    ck_assert(spin_begin(&spin, &pace, SPIN_ALWAYS, 0, false));
    spin_cap(&spin, 0);
    ck_assert(!spin_once(&spin));
}
END_TEST

START_TEST(time_that_has_passed_ends_any_looking) {
    SpinPace pace = {0};
    Spin spin;

    for (int shares_cpu = 0; shares_cpu < 2; shares_cpu++) {
        ck_assert(spin_begin(&spin, &pace, SPIN_ALWAYS, 0, shares_cpu));
        spin_cap(&spin, 1);
        while (spin_once(&spin))
            continue;
    }
}
END_TEST

START_TEST(looking_ends_by_itself) {
    static const uint64_t wishes[] = {1, 20 * NS_PER_US, SPIN_AUTO};
    SpinPace pace = {0};
    Spin spin;

    ck_assert(spin_begin(&spin, &pace, wishes[_i], 0, false));
    while (spin_once(&spin))
        continue;
}
END_TEST

START_TEST(much_to_write_and_read_makes_it_longer) {
    SpinPace pace = {0};
    Spin few, many;

    ck_assert(spin_begin(&few, &pace, SPIN_AUTO, 0, false));
    ck_assert(spin_begin(&many, &pace, SPIN_AUTO, UINT64_C(1) << 30, false));
    ck_assert_uint_gt(many.for_ns, 10 * few.for_ns);
    ck_assert(spin_begin(&many, &pace, 7 * US, UINT64_C(1) << 30, false));
    ck_assert_uint_eq(many.for_ns, 7 * US); /* but not where a time was asked for */
}
END_TEST

/* How many opportunities are left out until the next one that is not. */
static unsigned n_left_out(SpinPace *pace, uint64_t wish_ns) {
    unsigned n = 0;
    Spin spin;

    while (!spin_begin(&spin, pace, wish_ns, 0, false))
        n++;
    return n;
}

START_TEST(who_looks_in_vain_looks_less_often) {
    static const unsigned expected[] = {0, 1, 3, 7, 15, 31, 63, 63, 63};
    SpinPace pace = {0};

    for (size_t i = 0; i < ELEMENTS(expected); i++) {
        ck_assert_uint_eq(n_left_out(&pace, SPIN_AUTO), expected[i]);
        spin_end(&pace, false);
    }
    ck_assert_uint_eq(n_left_out(&pace, SPIN_AUTO), 63);
    spin_end(&pace, true);
    ck_assert_uint_eq(n_left_out(&pace, SPIN_AUTO), 0);
}
END_TEST

START_TEST(who_was_told_how_long_always_looks) {
    SpinPace pace = {0};

    spin_end(&pace, false);
    spin_end(&pace, false);
    ck_assert_uint_eq(n_left_out(&pace, US), 0);
    ck_assert_uint_eq(n_left_out(&pace, SPIN_ALWAYS), 0);
}
END_TEST

/* Or a message waits for as many turns of all others on that processor. */
START_TEST(who_offers_the_processor_looks_at_more_than_memory_each_few_times) {
    static const uint32_t most[] = {256, 8};

    for (int shares_cpu = 0; shares_cpu < 2; shares_cpu++) {
        SpinPace pace = {0};
        Spin spin;

        ck_assert(spin_begin(&spin, &pace, SPIN_ALWAYS, 0, shares_cpu));
        while (!spin_is_due(&spin))
            ck_assert(spin_once(&spin));
        ck_assert_uint_lt(spin.n, most[shares_cpu]);
        ck_assert_uint_gt(spin.n, 0); /* what comes soon is found without a system call */
    }
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("spin");
    TCase *tests = tcase_create("spin");

    tcase_add_test(tests, nobody_looks_where_it_is_switched_off);
    tcase_add_test(tests, what_is_not_wanted_now_is_looked_at_once);
    tcase_add_test(tests, time_that_has_passed_ends_any_looking);
    tcase_add_loop_test(tests, looking_ends_by_itself, 0, 3);
    tcase_add_test(tests, much_to_write_and_read_makes_it_longer);
    tcase_add_test(tests, who_looks_in_vain_looks_less_often);
    tcase_add_test(tests, who_was_told_how_long_always_looks);
    tcase_add_test(tests, who_offers_the_processor_looks_at_more_than_memory_each_few_times);
    suite_add_tcase(suite, tests);
    return suite;
}
