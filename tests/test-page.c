/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "os/page.h"
#include "os/segment.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static Page make(size_t bytes) {
    Page page = PAGE_NULL;

    ck_assert_int_eq(page_init_create(&page, "shmipc-test", bytes), 0);
    return page;
}

static int reopen(const Page *page, bool writable) {
    int fd = -1;

    ck_assert_int_eq(page_reopen(page, writable, &fd), 0);
    return fd;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(create_makes_whole_pages_of_zeros) {
    Page page = make(4097);
    struct stat st;

    ck_assert_uint_eq(page.bytes, 8192);
    ck_assert_int_eq(fstat(page.fd, &st), 0);
    ck_assert_int_eq(st.st_size, 8192);
    ck_assert_int_eq(st.st_blocks * 512, 8192);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(fcntl(page.fd, F_GETFD), FD_CLOEXEC);
    for (size_t i = 0; i < page.bytes; i++)
        ck_assert_int_eq(((char *)page.map)[i], 0);
    page_deinit(&page);
}
END_TEST

START_TEST(create_of_nothing_or_too_much_fails) {
    Page page = PAGE_NULL;
    size_t before = unit_n_fds();

    ck_assert_int_eq(page_init_create(&page, "shmipc-test", 0), -EINVAL);
    ck_assert_int_lt(page_init_create(&page, "shmipc-test", SIZE_MAX), 0);
    ck_assert_int_eq(page.fd, -1);
    ck_assert_uint_eq(unit_n_fds(), before);
}
END_TEST

static int map_more_than_may_be_locked(void *data) {
    const struct rlimit limit = {1 << 20, 1 << 20};
    Page page = PAGE_NULL;

    /* The library's mlockall() does nothing under a sanitizer. */
    if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || syscall(SYS_mlockall, MCL_FUTURE) < 0)
        return 1;
    /* where the kernel says EAGAIN */
    return page_init_create(&page, "shmipc-test", 8 << 20) == -ENOMEM ? 0 : 2;
}

START_TEST(memory_that_may_not_be_locked_is_no_memory) {
    ck_assert_int_eq(unit_as_uid(UNIT_UID, map_more_than_may_be_locked, NULL), 0);
}
END_TEST

START_TEST(page_neither_shrinks_nor_grows_nor_loses_its_seals) {
    Page page = make(8192);

    ck_assert_int_lt(ftruncate(page.fd, 4096), 0);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_lt(ftruncate(page.fd, 12288), 0);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_lt(fcntl(page.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    ck_assert_int_eq(errno, EPERM);
    page_deinit(&page);
}
END_TEST

START_TEST(connected_page_is_the_same_memory) {
    Page page = make(100), writer = PAGE_NULL, reader = PAGE_NULL;

    ck_assert_int_eq(page_init_connect(&writer, reopen(&page, true), 100, true), 0);
    ck_assert_int_eq(page_init_connect(&reader, reopen(&page, false), 100, false), 0);
    ck_assert_uint_eq(reader.bytes, 4096);
    strcpy(page.map, "from its maker");
    ck_assert_str_eq(reader.map, "from its maker");
    strcpy(writer.map, "from a writer");
    ck_assert_str_eq(page.map, "from a writer");
    ck_assert_str_eq(reader.map, "from a writer");
    page_deinit(&writer);
    page_deinit(&reader);
    page_deinit(&page);
}
END_TEST

START_TEST(connect_outlives_the_maker) {
    Page page = make(100), reader = PAGE_NULL;

    strcpy(page.map, "still here");
    ck_assert_int_eq(page_init_connect(&reader, reopen(&page, false), 100, false), 0);
    page_deinit(&page);
    ck_assert_str_eq(reader.map, "still here");
    page_deinit(&reader);
}
END_TEST

START_TEST(read_only_page_is_never_mapped_writable) {
    Page page = make(100), other = PAGE_NULL;
    int fd = reopen(&page, false);

    ck_assert_int_eq(page_init_connect(&other, fd, 100, true), -EACCES);
    ck_assert_int_eq(other.fd, -1);
    ck_assert(!is_open(fd));
    page_deinit(&page);
}
END_TEST

START_TEST(connect_refuses_another_size) {
    Page page = make(4096), other = PAGE_NULL;
    int small = reopen(&page, false), big = reopen(&page, false);

    ck_assert_int_eq(page_init_connect(&other, small, 4097, false), -EBADMSG);
    ck_assert_int_eq(page_init_connect(&other, big, 0, false), -EBADMSG);
    ck_assert(!is_open(small));
    ck_assert(!is_open(big));
    page_deinit(&page);
}
END_TEST

/* A memfd with these seals. */
static int memfd(int seals) {
    int fd = memfd_create("shmipc-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

START_TEST(connect_refuses_what_could_fault) {
    static const int seals[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL};
    Page page = PAGE_NULL;
    int object;

    for (size_t i = 0; i < ELEMENTS(seals); i++) {
        int fd = memfd(seals[i]);

        ck_assert_int_eq(page_init_connect(&page, fd, 4096, false), -EBADMSG);
        ck_assert(!is_open(fd));
    }
    ck_assert_int_eq(object_create(unit_name(), 4096, &object), 0);
    ck_assert_int_eq(page_init_connect(&page, object, 4096, false), -EBADMSG);
    ck_assert_int_eq(page_init_connect(&page, open("/dev/zero", O_RDONLY), 4096, false), -EBADMSG);
    ck_assert_int_eq(page_init_connect(&page, -1, 4096, false), -EBADMSG);
    ck_assert_int_eq(page.fd, -1);
}
END_TEST

START_TEST(connect_takes_what_another_peer_has_sealed) {
    Page page = PAGE_NULL;

    ck_assert_int_eq(page_init_connect(&page, memfd(F_SEAL_SHRINK | F_SEAL_GROW), 4096, true), 0);
    page_deinit(&page);
}
END_TEST

START_TEST(deinit_twice_is_no_harm) {
    Page page = make(100);
    int fd = page.fd;

    page_deinit(&page);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(page.fd, -1);
    page_deinit(&page);
}
END_TEST

static int reopen_writable(void *data) {
    int fd;

    return -page_reopen(data, true, &fd);
}

static int reopen_read_only(void *data) {
    int fd;

    return -page_reopen(data, false, &fd);
}

START_TEST(other_users_cannot_reopen_what_they_hold) {
    Page page = make(100), held = PAGE_NULL;

    ck_assert_int_eq(page_init_connect(&held, reopen(&page, false), 100, false), 0);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, reopen_writable, &held), EACCES);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, reopen_read_only, &held), EACCES);
    page_deinit(&held);
    page_deinit(&page);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("page");
    TCase *tests = tcase_create("page");

    tcase_add_test(tests, create_makes_whole_pages_of_zeros);
    tcase_add_test(tests, create_of_nothing_or_too_much_fails);
    tcase_add_test(tests, page_neither_shrinks_nor_grows_nor_loses_its_seals);
    tcase_add_test(tests, connected_page_is_the_same_memory);
    tcase_add_test(tests, connect_outlives_the_maker);
    tcase_add_test(tests, read_only_page_is_never_mapped_writable);
    tcase_add_test(tests, connect_refuses_another_size);
    tcase_add_test(tests, connect_refuses_what_could_fault);
    tcase_add_test(tests, connect_takes_what_another_peer_has_sealed);
    tcase_add_test(tests, deinit_twice_is_no_harm);
    if (unit_is_root()) {
        tcase_add_test(tests, other_users_cannot_reopen_what_they_hold);
        tcase_add_test(tests, memory_that_may_not_be_locked_is_no_memory);
    }
    suite_add_tcase(suite, tests);
    return suite;
}
