/* SPDX-License-Identifier: MIT */
/* Progress: a line in place on a terminal, lines of the caller's own elsewhere, and not too many of them. */
#include "app/progress.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(line_is_due_after_a_while_and_then_again) {
    int fd = unit_stderr_to(_i);
    Progress progress;

    progress_init(&progress);
    ck_assert(!progress_is_due(&progress));
    progress.next_ns = progress.started_ns; /* as if the while were over */
    ck_assert(progress_is_due(&progress));
    progress_line(&progress, "1 of 2");
    ck_assert(progress.next_ns > progress.started_ns);
    ck_assert_str_eq(unit_said(fd), _i ? "\r\033[K1 of 2" : "1 of 2\n");
    close(fd);
}
END_TEST

START_TEST(line_of_a_terminal_is_cut_and_taken_away) {
    int fd = unit_stderr_to(true);
    char wide[200], wanted[200];
    Progress progress;

    memset(wide, 'x', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    snprintf(wanted, sizeof(wanted), "\r\033[K%.79s", wide);
    progress_init(&progress);
    progress_line(&progress, wide);
    ck_assert_str_eq(unit_said(fd), wanted);
    progress_clear(&progress);
    ck_assert_str_eq(unit_said(fd), "\r\033[K");
    close(fd);
}
END_TEST

/* What is written after it would be taken away with it. */
START_TEST(line_elsewhere_stays) {
    int fd = unit_stderr_to(false);
    Progress progress;

    progress_init(&progress);
    progress_line(&progress, "1 of 2");
    progress_clear(&progress);
    progress_line(&progress, "2 of 2");
    ck_assert_str_eq(unit_said(fd), "1 of 2\n2 of 2\n");
    close(fd);
}
END_TEST

START_TEST(one_call_says_nothing_where_there_is_no_terminal) {
    int fd = unit_stderr_to(false);
    Progress progress;

    progress_init(&progress);
    progress.next_ns = 0;
    progress_show(&progress);
    progress_line(&progress, "only this");
    ck_assert_str_eq(unit_said(fd), "only this\n");
    close(fd);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("progress");
    TCase *all = tcase_create("all");

    tcase_add_loop_test(all, line_is_due_after_a_while_and_then_again, 0, 2);
    tcase_add_test(all, line_of_a_terminal_is_cut_and_taken_away);
    tcase_add_test(all, line_elsewhere_stays);
    tcase_add_test(all, one_call_says_nothing_where_there_is_no_terminal);
    suite_add_tcase(suite, all);
    return suite;
}
