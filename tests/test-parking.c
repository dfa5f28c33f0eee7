/* SPDX-License-Identifier: MIT */
/*
 * The folder of parked requests: what is written comes back, and what is found there is believed only as far
 * as it fits.
 */
#include "core/parking.h"
#include "unit.h"

#include "os/file.h"
#include "os/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define BYTES 10000u

static char folder[64];
static char path[96];
static ParkingOrder order;
static unsigned n_left; /* times that go_on() says yes */

static bool go_on(void *data) {
    return n_left > 0 && n_left-- > 0;
}

static char byte_at(uint64_t at) {
    return (char)(at * 31 + (at >> 8));
}

static void begin(void) {
    char payload[BYTES];

    strcpy(folder, "/tmp/shmipc-parking-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/a/host", folder);
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = byte_at(i);
    n_left = UINT32_MAX;
    order =
        (ParkingOrder){.path = path, .budget = UINT64_C(1) << 30, .share = UINT64_C(1) << 30, .go_on = go_on};
    order.request_fd = memfd_create("request", MFD_CLOEXEC);
    order.request_at = 2 * PAGE_BYTES;
    ck_assert_int_eq(ftruncate(order.request_fd, (off_t)(order.request_at + sizeof(payload))), 0);
    ck_assert_int_eq(pwrite(order.request_fd, payload, sizeof(payload), (off_t)order.request_at),
                     sizeof(payload));
    order.parked = (Parked){
        .client = UINT64_MAX,
        .slot = 1023,
        .generation = UINT32_MAX,
        .time_us = 1763949600000000,
        .uid = 1000,
        .pid = 4711,
        .program = "a program",
        .payload_bytes = BYTES,
        .reason = 5,
        .why = "its worker died",
        .user = {1, 2, 255},
        .n_workers = 2,
        .workers = {{.number = 1, .pid = 12, .name = "worker"},
                    {.number = SLOT_OWNER_MAX, .pid = INT32_MAX, .killed = true, .name = "my worker"}},
    };
}

static void end(void) {
    char command[128];

    close(order.request_fd);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *id(void) {
    static char text[PARKED_ID_BYTES];

    return parked_id(&order.parked, text);
}

static const char *file_of(const char *name) {
    static char text[256];

    snprintf(text, sizeof(text), "%s/%s", path, name);
    return text;
}

static size_t n_listed(void) {
    ParkingList list;
    size_t n;

    ck_assert_int_eq(parking_list(path, &list), 0);
    n = list.n;
    parking_list_deinit(&list);
    return n;
}

/* Another one, of the uid @uid. */
static int keep_another(uint32_t uid) {
    order.parked.generation--;
    order.parked.time_us++;
    order.parked.uid = uid;
    return parking_keep(&order);
}

static void write_file(const char *name, const void *data, size_t bytes) {
    int fd = open(file_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
    close(fd);
}

static void check_nothing_is_left(void) {
    char **names;
    int fd;

    ck_assert_int_eq(folder_open(path, false, &fd), 0);
    ck_assert_int_eq(folder_list(fd, &names), 0);
    ck_assert_ptr_null(names[0]);
    free(names);
    close(fd);
}

/* ---- what is kept ---- */

START_TEST(what_is_kept_comes_back) {
    char payload[BYTES];
    struct stat is;
    Parked parked;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_uint_eq(parked.kept_bytes, BYTES);
    parked.kept_bytes = 0;
    ck_assert_mem_eq(&parked, &order.parked, sizeof(parked));
    ck_assert_int_eq(file_read(fd, PARKED_HEAD_BYTES, payload, BYTES), 0);
    for (size_t i = 0; i < BYTES; i++)
        ck_assert_int_eq(payload[i], byte_at(i));
    ck_assert_int_eq(fstat(fd, &is), 0);
    ck_assert_uint_eq(is.st_mode & 07777, 0600);
    ck_assert_int_eq(is.st_size, PARKED_HEAD_BYTES + BYTES);
    close(fd);
    ck_assert_int_eq(stat(path, &is), 0);
    ck_assert_uint_eq(is.st_mode & 07777, 0700);
}
END_TEST

START_TEST(request_without_payload_is_kept) {
    Parked parked;
    int fd;

    order.parked.payload_bytes = 0;
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_uint_eq(parked.kept_bytes, 0);
    close(fd);
}
END_TEST

START_TEST(those_that_are_there_are_listed_the_oldest_first) {
    ParkingList list;

    ck_assert_uint_eq(n_listed(), 0); /* there is no folder yet */
    order.parked.time_us += 100;
    ck_assert_int_eq(parking_keep(&order), 0);
    order.parked.time_us -= 50;
    ck_assert_int_eq(keep_another(1), 0);
    ck_assert_int_eq(parking_list(path, &list), 0);
    ck_assert_uint_eq(list.n, 2);
    ck_assert_uint_eq(list.list[0].uid, 1);
    ck_assert_uint_eq(list.list[1].uid, 1000);
    parking_list_deinit(&list);
}
END_TEST

START_TEST(what_is_dropped_is_gone) {
    ck_assert_int_eq(parking_drop(path, id()), -ENOENT);
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_drop(path, id()), 0);
    ck_assert_uint_eq(n_listed(), 0);
    ck_assert_int_eq(parking_drop(path, id()), -ENOENT);
}
END_TEST

START_TEST(same_exchange_is_kept_once) {
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_uint_eq(n_listed(), 1);
}
END_TEST

START_TEST(same_exchange_is_kept_though_the_budget_is_full) {
    order.budget = PARKED_HEAD_BYTES + BYTES;
    ck_assert_int_eq(parking_keep(&order), 0);
    order.parked.time_us++; /* the next host's */
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_uint_eq(n_listed(), 1);
}
END_TEST

START_TEST(another_exchange_of_the_same_id_is_not_replaced) {
    Parked parked;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    order.parked.pid++;
    ck_assert_int_eq(parking_keep(&order), -EEXIST);
    ck_assert_uint_eq(n_listed(), 1);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_uint_eq(parked.pid, 4711);
    close(fd);
}
END_TEST

/* Somebody has it made when it was begun. */
static bool make_another(void *data) {
    write_file(id(), "another", 7);
    return true;
}

START_TEST(file_that_came_while_it_was_copied_is_not_replaced) {
    struct stat is;

    order.go_on = make_another;
    ck_assert_int_eq(parking_keep(&order), -EEXIST);
    ck_assert_int_eq(stat(file_of(id()), &is), 0);
    ck_assert_int_eq(is.st_size, 7);
    ck_assert_int_eq(parking_drop(path, id()), 0);
    check_nothing_is_left();
}
END_TEST

/* ---- clients that change what is copied ---- */

START_TEST(payload_that_its_owner_cuts_off_is_kept_as_far_as_it_goes) {
    Parked parked;
    struct stat is;
    int fd;

    ck_assert_int_eq(ftruncate(order.request_fd, (off_t)order.request_at + 100), 0);
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_uint_eq(parked.payload_bytes, BYTES);
    ck_assert_uint_eq(parked.kept_bytes, 100);
    ck_assert_int_eq(fstat(fd, &is), 0);
    ck_assert_int_eq(is.st_size, PARKED_HEAD_BYTES + 100);
    close(fd);
}
END_TEST

START_TEST(payload_that_its_owner_punches_has_zeros) {
    const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    char payload[BYTES];
    Parked parked;
    int fd;

    ck_assert_int_eq(fallocate(order.request_fd, how, (off_t)order.request_at, PAGE_BYTES), 0);
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_uint_eq(parked.kept_bytes, BYTES);
    ck_assert_int_eq(file_read(fd, PARKED_HEAD_BYTES, payload, BYTES), 0);
    ck_assert_int_eq(payload[PAGE_BYTES - 1], 0);
    ck_assert_int_eq(payload[PAGE_BYTES], byte_at(PAGE_BYTES));
    close(fd);
}
END_TEST

START_TEST(texts_of_others_neither_end_a_line_nor_reach_a_terminal) {
    Parked parked;
    int fd;

    strcpy(order.parked.program, "a\nuid=0\n\033[2J\xc3\xa4");
    strcpy(order.parked.workers[0].name, "w\nworker=1 1 died x");
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    ck_assert_str_eq(parked.program, "a?uid=0??[2J??");
    ck_assert_str_eq(parked.workers[0].name, "w?worker=1 1 died x");
    ck_assert_uint_eq(parked.uid, 1000);
    ck_assert_uint_eq(parked.n_workers, 2);
    close(fd);
}
END_TEST

START_TEST(longest_texts_have_room) {
    Parked parked;
    int fd;

    memset(order.parked.program, 'p', sizeof(order.parked.program) - 1);
    memset(order.parked.why, 'w', sizeof(order.parked.why) - 1);
    order.parked.n_workers = SLOT_ATTEMPTS_MAX;
    for (size_t i = 0; i < SLOT_ATTEMPTS_MAX; i++) {
        order.parked.workers[i] = (ParkedWorker){.number = SLOT_OWNER_MAX, .pid = INT32_MAX, .killed = true};
        memset(order.parked.workers[i].name, 'n', NAME_BYTES - 1);
    }
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(parking_open(path, id(), &parked, &fd), 0);
    parked.kept_bytes = 0;
    ck_assert_mem_eq(&parked, &order.parked, sizeof(parked));
    close(fd);
}
END_TEST

/* ---- what is given up ---- */

START_TEST(what_is_given_up_before_the_copy_leaves_nothing) {
    n_left = 0;
    ck_assert_int_eq(parking_keep(&order), PARKING_GIVEN_UP);
    check_nothing_is_left();
}
END_TEST

START_TEST(what_is_given_up_after_the_copy_leaves_nothing) {
    n_left = 1;
    ck_assert_int_eq(parking_keep(&order), PARKING_GIVEN_UP);
    check_nothing_is_left();
}
END_TEST

START_TEST(half_written_files_are_swept_and_nothing_else) {
    char half[PARKED_ID_BYTES + 8];

    ck_assert_int_eq(parking_sweep(path), 0); /* there is no folder */
    ck_assert_int_eq(parking_keep(&order), 0);
    snprintf(half, sizeof(half), "%s.half", id());
    write_file(half, "x", 1);
    write_file("notes.half", "x", 1);
    write_file(".half", "x", 1);
    ck_assert_int_eq(parking_sweep(path), 0);
    ck_assert_int_eq(access(file_of(half), F_OK), -1);
    ck_assert_int_eq(access(file_of("notes.half"), F_OK), 0);
    ck_assert_int_eq(access(file_of(".half"), F_OK), 0);
    ck_assert_uint_eq(n_listed(), 1);
}
END_TEST

/* As a second host of that name does at its start. */
static bool sweep_meanwhile(void *data) {
    ck_assert_int_eq(parking_sweep(path), 0);
    return true;
}

START_TEST(half_that_is_being_written_is_not_swept) {
    order.go_on = sweep_meanwhile;
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_uint_eq(n_listed(), 1);
}
END_TEST

/* ---- limits ---- */

START_TEST(budget_that_is_used_up_refuses_new_ones_and_keeps_the_old) {
    order.budget = 2 * (PARKED_HEAD_BYTES + BYTES);
    order.share = UINT64_MAX;
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(keep_another(1), 0);
    ck_assert_int_eq(keep_another(2), PARKING_OVER_BUDGET);
    ck_assert_uint_eq(n_listed(), 2);
    order.parked.generation += 2;
    ck_assert_int_eq(parking_drop(path, id()), 0);
    order.parked.generation -= 3;
    ck_assert_int_eq(keep_another(2), 0);
}
END_TEST

START_TEST(request_that_is_larger_than_the_budget_is_not_kept) {
    order.budget = PARKED_HEAD_BYTES + BYTES - 1;
    ck_assert_int_eq(parking_keep(&order), PARKING_OVER_BUDGET);
    order.parked.payload_bytes = INT64_MAX;
    ck_assert_int_eq(parking_keep(&order), PARKING_OVER_BUDGET);
    check_nothing_is_left();
}
END_TEST

START_TEST(one_user_has_a_share_and_others_the_rest) {
    order.share = PARKED_HEAD_BYTES + BYTES;
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(keep_another(1000), PARKING_OVER_SHARE);
    ck_assert_int_eq(keep_another(1001), 0);
    order.share--;
    ck_assert_int_eq(keep_another(1002), PARKING_OVER_SHARE); /* not for the first one, either */
    ck_assert_uint_eq(n_listed(), 2);
}
END_TEST

/* In a mount namespace of the test's own: check has forked for it. */
START_TEST(full_disk_is_an_error_and_leaves_nothing) {
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("tmpfs", folder, "tmpfs", 0, "size=12k"), 0);
    ck_assert_int_eq(parking_keep(&order), -ENOSPC);
    check_nothing_is_left();
    order.parked.payload_bytes = 100;
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(folder_that_is_not_this_users_alone_is_not_written_to) {
    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(chmod(path, 0770), 0);
    ck_assert_int_eq(keep_another(1), -EPERM);
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert_int_eq(keep_another(1), 0);
}
END_TEST

START_TEST(folder_that_is_a_link_or_a_file_is_refused) {
    char real[128];

    snprintf(real, sizeof(real), "%s/a", folder);
    ck_assert_int_eq(mkdir(real, 0700), 0);
    ck_assert_int_eq(symlink(folder, path), 0);
    ck_assert_int_eq(parking_keep(&order), -ENOTDIR);
    ck_assert_int_eq(unlink(path), 0);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(parking_keep(&order), -ENOTDIR);
}
END_TEST

/* ---- garbage ---- */

static const struct {
    const char *name;
    const char *head;
} garbage[] = {
    {"1-0-1", ""},
    {"1-0-2", "shmipc parked request 2\n"},
    {"1-0-3", "shmipc parked request 1\n"},
    {"1-0-4", "shmipc parked request 1\nexchange=1-0-4\ntime_us=1\nuid=-1\npayload_bytes=0\nkept_bytes=0\n"},
    {"1-0-5", "shmipc parked request 1\nexchange=1-0-5\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=1\n"},
    {"1-0-6",
     "shmipc parked request 1\nexchange=1-0-6\ntime_us=1\nuid=1\npayload_bytes=9999\nkept_bytes=9999\n"},
    {"1-0-7", "shmipc parked request 1\nexchange=1-0-8\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\n"},
    {"1-0-9",
     "shmipc parked request 1\nexchange=1-0-9\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\nrubbish"},
    {"1-0-10",
     "shmipc parked request 1\nexchange=1-0-10\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\nrubbish\n"},
    {"1-0-11",
     "shmipc parked request 1\nexchange=1-0-11\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\nworker=1\n"},
    {"1-0-12",
     "shmipc parked request 1\nexchange=1-0-12\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\nuser=00\n"},
    {"1-0-13",
     "shmipc parked request 1\nexchange=1-0-13\ntime_us=1\nuid=4294967296\npayload_bytes=0\nkept_bytes=0\n"},
};

START_TEST(garbage_is_counted_and_not_believed) {
    char head[PARKED_HEAD_BYTES] = "";
    Parked parked;
    ParkingList list;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    strcpy(head, garbage[_i].head);
    write_file(garbage[_i].name, head, sizeof(head));
    ck_assert_int_eq(parking_list(path, &list), 0);
    ck_assert_uint_eq(list.n, 1);
    ck_assert_uint_eq(list.n_damaged, 1);
    ck_assert_str_eq(list.damaged[0], garbage[_i].name);
    parking_list_deinit(&list);
    ck_assert_int_eq(parking_open(path, garbage[_i].name, &parked, &fd), -EBADMSG);
    write_file(garbage[_i].name, head, 10); /* shorter than a head */
    ck_assert_int_eq(parking_open(path, garbage[_i].name, &parked, &fd), -EBADMSG);
    ck_assert_int_eq(parking_drop(path, garbage[_i].name), 0);
}
END_TEST

START_TEST(what_is_no_file_is_not_opened) {
    Parked parked;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    ck_assert_int_eq(symlink(id(), file_of("1-0-1")), 0);
    ck_assert_int_eq(mkfifo(file_of("1-0-2"), 0600), 0);
    ck_assert_int_eq(mkdir(file_of("1-0-3"), 0700), 0);
    ck_assert_int_eq(parking_open(path, "1-0-1", &parked, &fd), -EBADMSG);
    ck_assert_int_eq(parking_open(path, "1-0-2", &parked, &fd), -EBADMSG);
    ck_assert_int_eq(parking_open(path, "1-0-3", &parked, &fd), -EBADMSG);
    ck_assert_uint_eq(n_listed(), 1);
    ck_assert_int_eq(keep_another(1), 0);
}
END_TEST

START_TEST(what_is_no_id_leads_nowhere) {
    static const char *const names[] = {"",
                                        "..",
                                        "../x",
                                        "1",
                                        "1-2",
                                        "1-2-3-4",
                                        "-1-2-3",
                                        "01-2-3",
                                        "1-1024-3",
                                        "1-2-4294967296",
                                        "18446744073709551616-0-1",
                                        "1-2-3 ",
                                        " 1-2-3",
                                        "1-2-3.half",
                                        "1-2-"};
    Parked parked;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        ck_assert(!parked_id_is_valid(names[i]));
        ck_assert_int_eq(parking_open(path, names[i], &parked, &fd), -ENOENT);
        ck_assert_int_eq(parking_drop(path, names[i]), -ENOENT);
    }
    ck_assert(parked_id_is_valid(id()));
    ck_assert(parked_id_is_valid("0-0-0"));
}
END_TEST

START_TEST(keys_of_a_later_version_are_passed_over) {
    char head[PARKED_HEAD_BYTES] =
        "shmipc parked request "
        "1\nexchange=1-0-1\nmood=good\ntime_us=1\nuid=1\npayload_bytes=0\nkept_bytes=0\n";
    Parked parked;
    int fd;

    ck_assert_int_eq(parking_keep(&order), 0);
    write_file("1-0-1", head, sizeof(head));
    ck_assert_int_eq(parking_open(path, "1-0-1", &parked, &fd), 0);
    close(fd);
}
END_TEST

/* ---- places ---- */

START_TEST(place_is_the_services_state_directory_or_the_users_own) {
    char where[PARKING_PATH_MAX];

    setenv("STATE_DIRECTORY", "/var/lib/elsewhere", 1);
    ck_assert_int_eq(parking_of_host("h", where), 0);
    ck_assert_str_eq(where, "/var/lib/elsewhere");
    unsetenv("STATE_DIRECTORY");
    setenv("XDG_STATE_HOME", "/home/x/state", 1);
    setenv("HOME", "/home/x", 1);
    if (unit_is_root()) {
        ck_assert_int_eq(parking_of_host("h", where), 0);
        ck_assert_str_eq(where, "/var/lib/shmipc/h");
        ck_assert_int_eq(seteuid(UNIT_UID), 0);
    }
    ck_assert_int_eq(parking_of_host("h", where), 0);
    ck_assert_str_eq(where, "/home/x/state/shmipc/h");
    ck_assert_int_eq(parking_find("h", where), 0);
    ck_assert_str_eq(where, "/var/lib/shmipc/h"); /* it has none of its own */
    unsetenv("XDG_STATE_HOME");
    ck_assert_int_eq(parking_of_host("h", where), 0);
    ck_assert_str_eq(where, "/home/x/.local/state/shmipc/h");
    unsetenv("HOME");
    ck_assert_int_eq(parking_of_host("h", where), -ENOENT);
    ck_assert_int_eq(parking_find("h", where), 0);
    if (unit_is_root())
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* ---- suite ---- */

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, begin, end);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_limits(TCase *tests) {
    tcase_add_test(tests, budget_that_is_used_up_refuses_new_ones_and_keeps_the_old);
    tcase_add_test(tests, request_that_is_larger_than_the_budget_is_not_kept);
    tcase_add_test(tests, one_user_has_a_share_and_others_the_rest);
    tcase_add_test(tests, folder_that_is_not_this_users_alone_is_not_written_to);
    tcase_add_test(tests, folder_that_is_a_link_or_a_file_is_refused);
    if (unit_is_root())
        tcase_add_test(tests, full_disk_is_an_error_and_leaves_nothing);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("parking");
    TCase *tests = add_case(suite, "kept");

    tcase_add_test(tests, what_is_kept_comes_back);
    tcase_add_test(tests, request_without_payload_is_kept);
    tcase_add_test(tests, those_that_are_there_are_listed_the_oldest_first);
    tcase_add_test(tests, what_is_dropped_is_gone);
    tcase_add_test(tests, same_exchange_is_kept_once);
    tcase_add_test(tests, same_exchange_is_kept_though_the_budget_is_full);
    tcase_add_test(tests, another_exchange_of_the_same_id_is_not_replaced);
    tcase_add_test(tests, file_that_came_while_it_was_copied_is_not_replaced);
    tests = add_case(suite, "changed");
    tcase_add_test(tests, payload_that_its_owner_cuts_off_is_kept_as_far_as_it_goes);
    tcase_add_test(tests, payload_that_its_owner_punches_has_zeros);
    tcase_add_test(tests, texts_of_others_neither_end_a_line_nor_reach_a_terminal);
    tcase_add_test(tests, longest_texts_have_room);
    tests = add_case(suite, "given up");
    tcase_add_test(tests, what_is_given_up_before_the_copy_leaves_nothing);
    tcase_add_test(tests, what_is_given_up_after_the_copy_leaves_nothing);
    tcase_add_test(tests, half_written_files_are_swept_and_nothing_else);
    tcase_add_test(tests, half_that_is_being_written_is_not_swept);
    add_limits(add_case(suite, "limits"));
    tests = add_case(suite, "garbage");
    tcase_add_loop_test(tests, garbage_is_counted_and_not_believed, 0, ELEMENTS(garbage));
    tcase_add_test(tests, what_is_no_file_is_not_opened);
    tcase_add_test(tests, what_is_no_id_leads_nowhere);
    tcase_add_test(tests, keys_of_a_later_version_are_passed_over);
    tcase_add_test(tests, place_is_the_services_state_directory_or_the_users_own);
    return suite;
}
