/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/table.h"
#include "unit.h"

#include <errno.h>

#define N_MANY 1000u

/* What the tables here lead to: the place says the number. */
static char things[N_MANY];

static void insert(Table *table, uint64_t id) {
    ck_assert_int_eq(table_insert(table, id, &things[id % N_MANY]), 0);
}

static void check_order(const Table *table) {
    for (size_t i = 1; i < table->n; i++)
        ck_assert_uint_lt(table->entries[i - 1].id, table->entries[i].id);
}

/* Every number below N_MANY once, in an order that jumps about: 7 and 1000 have no common divisor. */
static void insert_many(Table *table) {
    for (uint64_t i = 0; i < N_MANY; i++)
        insert(table, i * 7 % N_MANY);
}

START_TEST(empty_table_finds_nothing) {
    _cleanup_(table_deinit) Table table = {0};

    ck_assert_ptr_null(table_find(&table, 0));
    ck_assert_ptr_null(table_find(&table, UINT64_MAX));
    ck_assert_ptr_null(table_remove(&table, 0));
    ck_assert_uint_eq(table_after(&table, 0), 0);
}
END_TEST

START_TEST(entries_stand_in_ascending_order_however_they_came) {
    _cleanup_(table_deinit) Table table = {0};

    insert_many(&table);
    ck_assert_uint_eq(table.n, N_MANY);
    check_order(&table);
    for (size_t i = 0; i < N_MANY; i++)
        ck_assert_ptr_eq(table_at(&table, i), &things[i]);
}
END_TEST

START_TEST(find_finds_each_and_nothing_else) {
    _cleanup_(table_deinit) Table table = {0};

    for (uint64_t i = 1; i < N_MANY; i += 2)
        insert(&table, i);
    for (uint64_t i = 0; i < N_MANY; i++)
        ck_assert_ptr_eq(table_find(&table, i), i % 2 ? &things[i] : NULL);
    ck_assert_ptr_null(table_find(&table, N_MANY));
}
END_TEST

START_TEST(numbers_are_compared_by_all_64_bits) {
    _cleanup_(table_deinit) Table table = {0};

    insert(&table, UINT64_MAX);
    insert(&table, 1);
    insert(&table, UINT64_C(1) << 32 | 1);
    insert(&table, 0);
    check_order(&table);
    ck_assert_ptr_eq(table_find(&table, 1), &things[1]);
    ck_assert_ptr_eq(table_find(&table, UINT64_C(1) << 32 | 1), &things[(UINT64_C(1) << 32 | 1) % N_MANY]);
    ck_assert_ptr_eq(table_find(&table, UINT64_MAX), &things[UINT64_MAX % N_MANY]);
    ck_assert_ptr_null(table_find(&table, UINT64_C(1) << 32));
}
END_TEST

START_TEST(number_that_is_taken_is_refused_and_keeps_its_value) {
    _cleanup_(table_deinit) Table table = {0};

    insert(&table, 5);
    ck_assert_int_eq(table_insert(&table, 5, &things[6]), -EEXIST);
    ck_assert_uint_eq(table.n, 1);
    ck_assert_ptr_eq(table_find(&table, 5), &things[5]);
}
END_TEST

START_TEST(remove_gives_back_what_was_there_once) {
    _cleanup_(table_deinit) Table table = {0};

    insert_many(&table);
    for (uint64_t i = 0; i < N_MANY; i += 3)
        ck_assert_ptr_eq(table_remove(&table, i), &things[i]);
    for (uint64_t i = 0; i < N_MANY; i += 3)
        ck_assert_ptr_null(table_remove(&table, i));
    check_order(&table);
    for (uint64_t i = 0; i < N_MANY; i++)
        ck_assert_ptr_eq(table_find(&table, i), i % 3 ? &things[i] : NULL);
}
END_TEST

START_TEST(removed_number_can_be_given_again) {
    _cleanup_(table_deinit) Table table = {0};

    insert(&table, 1);
    insert(&table, 3);
    ck_assert_ptr_eq(table_remove(&table, 1), &things[1]);
    ck_assert_int_eq(table_insert(&table, 1, &things[9]), 0);
    ck_assert_ptr_eq(table_find(&table, 1), &things[9]);
    ck_assert_ptr_eq(table_at(&table, 0), &things[9]);
}
END_TEST

START_TEST(walk_from_the_end_may_remove_what_it_stands_on) {
    _cleanup_(table_deinit) Table table = {0};

    insert_many(&table);
    for (size_t i = table.n; i > 0; i--)
        if (i % 2)
            ck_assert_ptr_eq(table_remove(&table, i - 1), &things[i - 1]);
    ck_assert_uint_eq(table.n, N_MANY / 2);
    check_order(&table);
}
END_TEST

START_TEST(after_leads_past_a_number_that_is_gone) {
    _cleanup_(table_deinit) Table table = {0};

    insert(&table, 10);
    insert(&table, 20);
    insert(&table, 30);
    ck_assert_uint_eq(table_after(&table, 0), 0);
    ck_assert_uint_eq(table_after(&table, 10), 1);
    ck_assert_uint_eq(table_after(&table, 15), 1);
    ck_assert_uint_eq(table_after(&table, 30), 3);
    ck_assert_uint_eq(table_after(&table, UINT64_MAX), 3);
    table_remove(&table, 20);
    ck_assert_uint_eq(table_after(&table, 20), 1);
}
END_TEST

START_TEST(deinit_leaves_an_empty_table) {
    Table table = {0};

    insert(&table, 1);
    table_deinit(&table);
    ck_assert_uint_eq(table.n, 0);
    ck_assert_ptr_null(table_find(&table, 1));
    insert(&table, 1);
    table_deinit(&table);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");

    tcase_add_test(tests, empty_table_finds_nothing);
    tcase_add_test(tests, entries_stand_in_ascending_order_however_they_came);
    tcase_add_test(tests, find_finds_each_and_nothing_else);
    tcase_add_test(tests, numbers_are_compared_by_all_64_bits);
    tcase_add_test(tests, number_that_is_taken_is_refused_and_keeps_its_value);
    tcase_add_test(tests, remove_gives_back_what_was_there_once);
    tcase_add_test(tests, removed_number_can_be_given_again);
    tcase_add_test(tests, walk_from_the_end_may_remove_what_it_stands_on);
    tcase_add_test(tests, after_leads_past_a_number_that_is_gone);
    tcase_add_test(tests, deinit_leaves_an_empty_table);
    suite_add_tcase(suite, tests);
    return suite;
}
