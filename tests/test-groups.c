/* SPDX-License-Identifier: MIT */
/* What limits of control groups count for a process: read from folders that look like the kernel's. */
#include "os/limits.h"
#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char groups[64];

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(name, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_group(const char *path, const char *file, const char *text) {
    char name[256];

    snprintf(name, sizeof(name), "%s/%s", groups, path);
    for (char *slash = name + strlen(groups); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(name, 0700);
        *slash = '/';
    }
    (void)mkdir(name, 0700);
    snprintf(name, sizeof(name), "%s/%s/%s", groups, path, file);
    write_text(name, text);
}

static uint64_t limit_for(const char *membership) {
    char name[128];

    snprintf(name, sizeof(name), "%s/membership", groups);
    write_text(name, membership);
    return limits_memory_in(name, groups);
}

static void groups_begin(void) {
    strcpy(groups, "/tmp/shmipc-groups-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(groups));
}

static void groups_end(void) {
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(execlp("rm", "rm", "-r", groups, NULL));
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(least_limit_on_the_way_up_counts) {
    make_group("a/b/c", "memory.max", "max\n");
    make_group("a/b", "memory.max", "3000\n");
    make_group("a", "memory.max", "4000\n");
    ck_assert_uint_eq(limit_for("0::/a/b/c\n"), 3000);
    ck_assert_uint_eq(limit_for("0::/a\n"), 4000);
    ck_assert_uint_eq(limit_for("0::/\n"), UINT64_MAX);
}
END_TEST

START_TEST(first_version_of_control_groups_counts_too) {
    make_group("memory/a", "memory.limit_in_bytes", "5000\n");
    ck_assert_uint_eq(limit_for("9:name=systemd:/a\n4:memory:/a\n0::/\n"), 5000);
    ck_assert_uint_eq(limit_for("9:name=systemd:/a\n"), UINT64_MAX);
}
END_TEST

/* In a container the path may be one that only the outside knows: then the folder itself is the group. */
START_TEST(limit_of_the_folder_itself_counts) {
    make_group("memory", "memory.limit_in_bytes", "6000\n");
    ck_assert_uint_eq(limit_for("4:memory:/docker/of/the/outside\n"), 6000);
    make_group("unified/x", "memory.max", "2000\n");
    ck_assert_uint_eq(limit_for("4:memory:/y\n0::/x\n"), 2000);
}
END_TEST

START_TEST(odd_memberships_are_no_limits) {
    ck_assert_uint_eq(limit_for(""), UINT64_MAX);
    ck_assert_uint_eq(limit_for("\n::\n:\n0:\n0::\nmemory"), UINT64_MAX);
    ck_assert_uint_eq(limits_memory_in("/nonexistent", groups), UINT64_MAX);
}
END_TEST

/* ---- suite ---- */

Suite *unit_suite(void) {
    Suite *suite = suite_create("groups");
    TCase *limits = tcase_create("limits");

    tcase_add_checked_fixture(limits, groups_begin, groups_end);
    tcase_add_test(limits, least_limit_on_the_way_up_counts);
    tcase_add_test(limits, first_version_of_control_groups_counts_too);
    tcase_add_test(limits, limit_of_the_folder_itself_counts);
    tcase_add_test(limits, odd_memberships_are_no_limits);
    suite_add_tcase(suite, limits);
    return suite;
}
