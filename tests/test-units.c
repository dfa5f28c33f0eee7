/* SPDX-License-Identifier: MIT */
#include "base/units.h"
#include "unit.h"

#include <errno.h>

START_TEST(size_parse_takes_bytes_and_suffixes) {
    uint64_t bytes;

    ck_assert_int_eq(size_parse("0", &bytes), 0);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_int_eq(size_parse("4096", &bytes), 0);
    ck_assert_uint_eq(bytes, 4096);
    ck_assert_int_eq(size_parse("64M", &bytes), 0);
    ck_assert_uint_eq(bytes, UINT64_C(64) << 20);
    ck_assert_int_eq(size_parse("8G", &bytes), 0);
    ck_assert_uint_eq(bytes, UINT64_C(8) << 30);
}
END_TEST

START_TEST(size_parse_refuses_what_is_no_size) {
    static const char *const bad[] = {"", "M", "-1", "+1", "1 M", " 1", "1MB", "64m", "1.5G", "0x10", "12Q"};
    uint64_t bytes = 7;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(size_parse(bad[i], &bytes) == -EINVAL, "'%s' was taken", bad[i]);
    ck_assert_uint_eq(bytes, 7);
}
END_TEST

START_TEST(size_parse_refuses_overflow) {
    uint64_t bytes;

    ck_assert_int_eq(size_parse("99999999999999999999", &bytes), -ERANGE);
    ck_assert_int_eq(size_parse("9223372036854775808", &bytes), -ERANGE);
    ck_assert_int_eq(size_parse("9000000T", &bytes), -ERANGE);
}
END_TEST

START_TEST(size_format_reads_back) {
    static const uint64_t sizes[] = {0, 1, 1023, 1024, 64 << 20, UINT64_C(8) << 30, UINT64_C(3) << 40};
    char text[UNITS_TEXT_MAX];

    ck_assert_str_eq(size_format(1023, text), "1023B");
    ck_assert_str_eq(size_format(3 << 19, text), "1.5M");
    for (size_t i = 3; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes;

        ck_assert_int_eq(size_parse(size_format(sizes[i], text), &bytes), 0);
        ck_assert_uint_eq(bytes, sizes[i]);
    }
}
END_TEST

START_TEST(duration_parse_takes_units_and_decimals) {
    uint64_t ns;

    ck_assert_int_eq(duration_parse("250ms", &ns), 0);
    ck_assert_uint_eq(ns, 250 * NS_PER_MS);
    ck_assert_int_eq(duration_parse("2.5s", &ns), 0);
    ck_assert_uint_eq(ns, 2500 * NS_PER_MS);
    ck_assert_int_eq(duration_parse("10", &ns), 0);
    ck_assert_uint_eq(ns, 10 * NS_PER_SEC);
    ck_assert_int_eq(duration_parse("2min", &ns), 0);
    ck_assert_uint_eq(ns, 120 * NS_PER_SEC);
    ck_assert_int_eq(duration_parse("50us", &ns), 0);
    ck_assert_uint_eq(ns, 50 * NS_PER_US);
}
END_TEST

START_TEST(duration_parse_refuses_what_is_no_duration) {
    static const char *const bad[] = {"", "s", "-1s", "1 s", "1.s", ".5s", "1d", "1ss", "inf", "1e3"};
    uint64_t ns;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(duration_parse(bad[i], &ns) == -EINVAL, "'%s' was taken", bad[i]);
    ck_assert_int_eq(duration_parse("99999999999h", &ns), -ERANGE);
}
END_TEST

START_TEST(duration_brief_has_three_digits_or_two_parts) {
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0ns"},
        {999, "999ns"},
        {1000, "1.00us"},
        {12345, "12.3us"},
        {999499, "999us"},
        {999500, "1.00ms"},
        {45 * NS_PER_SEC, "45.0s"},
        {60 * NS_PER_SEC - 1, "1min"},
        {60 * NS_PER_SEC, "1min"},
        {59 * 60 * NS_PER_SEC, "59min"},
        {192 * 60 * NS_PER_SEC, "3h12min"},
        {(41 * 24 + 5) * 3600 * NS_PER_SEC, "41d5h"},
        {UINT64_MAX, "213503d23h"},
    };
    char text[UNITS_TEXT_MAX];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_str_eq(duration_brief(rows[i].ns, text), rows[i].text);
}
END_TEST

START_TEST(duration_format_is_short) {
    char text[UNITS_TEXT_MAX];

    ck_assert_str_eq(duration_format(0, text), "0s");
    ck_assert_str_eq(duration_format(250 * NS_PER_MS, text), "250ms");
    ck_assert_str_eq(duration_format(1250 * NS_PER_MS, text), "1.25s");
    ck_assert_str_eq(duration_format(120 * NS_PER_SEC, text), "2min");
    ck_assert_str_eq(duration_format(900, text), "900ns");
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("units");
    TCase *tests = tcase_create("units");

    tcase_add_test(tests, size_parse_takes_bytes_and_suffixes);
    tcase_add_test(tests, size_parse_refuses_what_is_no_size);
    tcase_add_test(tests, size_parse_refuses_overflow);
    tcase_add_test(tests, size_format_reads_back);
    tcase_add_test(tests, duration_parse_takes_units_and_decimals);
    tcase_add_test(tests, duration_parse_refuses_what_is_no_duration);
    tcase_add_test(tests, duration_format_is_short);
    tcase_add_test(tests, duration_brief_has_three_digits_or_two_parts);
    suite_add_tcase(suite, tests);
    return suite;
}
