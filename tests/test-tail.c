/* SPDX-License-Identifier: MIT */
#include "handler/tail.h"
#include "unit.h"

#include <string.h>

#define ROOM 8

static Tail tail;

static void set_up(void) {
    ck_assert_int_eq(tail_init(&tail, ROOM), 0);
}

static void tear_down(void) {
    tail_deinit(&tail);
}

static void add(const char *text) {
    tail_add(&tail, text, strlen(text));
}

static void assert_text(const char *expected) {
    _cleanup_free_ char *text = tail_text(&tail);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
}

START_TEST(text_of_nothing_is_empty) {
    assert_text("");
}
END_TEST

START_TEST(text_that_fits_is_whole) {
    add("1234");
    add("5678");
    assert_text("12345678");
}
END_TEST

START_TEST(text_that_does_not_fit_loses_its_beginning) {
    add("12345");
    add("6789");
    assert_text("…23456789");
    add("a");
    assert_text("…3456789a");
}
END_TEST

START_TEST(one_piece_may_be_longer_than_the_room) {
    add("the first and the last");
    assert_text("…the last");
}
END_TEST

START_TEST(cut_text_begins_with_a_whole_character) {
    add("äöüäö"); /* 10 bytes: the room begins with the second of ä */
    assert_text("…öüäö");
    tail_clear(&tail);
    add("x𝄞1234"); /* 9 bytes: it begins behind the x */
    assert_text("…𝄞1234");
    add("5");
    assert_text("…12345");
}
END_TEST

START_TEST(clear_begins_anew) {
    add("the first and the last");
    tail_clear(&tail);
    add("new");
    assert_text("new");
}
END_TEST

START_TEST(newlines_at_the_end_are_left_off) {
    add("a\n\nb\n\n");
    assert_text("a\n\nb");
    tail_clear(&tail);
    add("\n");
    assert_text("");
}
END_TEST

START_TEST(what_is_no_utf8_is_replaced) {
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"a\xff.", "a?."},  /* never in UTF-8 */
        {"\x80\xbf", "??"}, /* continues nothing */
        {"\xc3", "?"},      /* ends too early */
        {"\xc3(", "?("},    /* not continued */
        {"\xc0\x80", "??"}, /* longer than it needs to be */
        {"\xe0\x80\x80", "???"},
        {"\xf0\x80\x80\x80", "????"},
        {"\xed\xa0\x80", "???"},      /* half of a UTF-16 pair */
        {"\xf4\x90\x80\x80", "????"}, /* behind the last character */
        {"\xef\xbf\xbd", "\xef\xbf\xbd"},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    };

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        tail_clear(&tail);
        add(cases[i].bytes);
        assert_text(cases[i].text);
    }
}
END_TEST

START_TEST(what_a_terminal_would_obey_is_replaced) {
    tail_add(&tail, "\0\t\n\r\033\177.", 7);
    assert_text("?\t\n???.");
    tail_clear(&tail);
    add("\xc2\x9b"); /* CSI as one character */
    assert_text("??");
}
END_TEST

START_TEST(without_room_nothing_is_kept) {
    tail_deinit(&tail);
    ck_assert_int_eq(tail_init(&tail, 0), 0);
    add("text");
    assert_text("");
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("tail");
    TCase *tests = tcase_create("tail");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, text_of_nothing_is_empty);
    tcase_add_test(tests, text_that_fits_is_whole);
    tcase_add_test(tests, text_that_does_not_fit_loses_its_beginning);
    tcase_add_test(tests, one_piece_may_be_longer_than_the_room);
    tcase_add_test(tests, cut_text_begins_with_a_whole_character);
    tcase_add_test(tests, clear_begins_anew);
    tcase_add_test(tests, newlines_at_the_end_are_left_off);
    tcase_add_test(tests, what_is_no_utf8_is_replaced);
    tcase_add_test(tests, what_a_terminal_would_obey_is_replaced);
    tcase_add_test(tests, without_room_nothing_is_kept);
    suite_add_tcase(suite, tests);
    return suite;
}
