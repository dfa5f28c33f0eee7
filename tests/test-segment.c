/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "os/segment.h"
#include "segment-unit.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define WINDOW (UINT64_C(1) << 20) /* bytes of each slot's window */
#define PAGES(n) ((n) * PAGE_BYTES)

/* A segment of @bytes in the second window of an object of three, allocated and mapped. */
static Segment make_segment(uint64_t bytes) {
    Segment segment;

    segment_init(&segment, make_object(3 * WINDOW), true, WINDOW, WINDOW);
    ck_assert_int_eq(segment_resize(&segment, bytes), 0);
    ck_assert_int_eq(segment_remap(&segment), 0);
    return segment;
}

static uint64_t usage(int fd) {
    uint64_t bytes = 0;

    ck_assert_int_eq(object_usage(fd, &bytes), 0);
    return bytes;
}

static uint64_t size(int fd) {
    uint64_t bytes = 0;

    ck_assert_int_eq(object_size(fd, &bytes), 0);
    return bytes;
}

static bool all_are(const void *map, int value, uint64_t bytes) {
    const unsigned char *at = map;

    for (uint64_t i = 0; i < bytes; i++)
        if (at[i] != value)
            return false;
    return true;
}

/* ---- objects ---- */

START_TEST(round_to_pages_rounds_up) {
    ck_assert_uint_eq(round_to_pages(0), 0);
    ck_assert_uint_eq(round_to_pages(1), 4096);
    ck_assert_uint_eq(round_to_pages(4095), 4096);
    ck_assert_uint_eq(round_to_pages(4096), 4096);
    ck_assert_uint_eq(round_to_pages(4097), 8192);
    ck_assert_uint_eq(round_to_pages((UINT64_C(1) << 32) + 1), (UINT64_C(1) << 32) + 4096);
    ck_assert_uint_eq(round_to_pages(UINT64_MAX - 4095), UINT64_MAX - 4095);
    ck_assert_uint_eq(round_to_pages(UINT64_MAX - 4094), UINT64_MAX);
    ck_assert_uint_eq(round_to_pages(UINT64_MAX), UINT64_MAX);
}
END_TEST

START_TEST(object_is_sparse_private_and_nameless) {
    const char *name = unit_name();
    struct stat st;
    int fd;

    ck_assert_int_eq(object_create(name, UINT64_C(1) << 40, &fd), 0);
    ck_assert(!named_object_same(name, fd));
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(size(fd), UINT64_C(1) << 40);
    ck_assert_uint_eq(usage(fd), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(object_create_refuses_a_taken_name) {
    const char *name = unit_name();
    int named, fd = -7;

    ck_assert_int_eq(named_object_open(name, &named), 0);
    ck_assert_int_eq(object_create(name, PAGES(1), &fd), -EEXIST);
    ck_assert_int_eq(fd, -7);
    ck_assert(named_object_same(name, named));
    ck_assert_int_eq(object_unlink(name), 0);
}
END_TEST

static void *create_again_and_again(void *data) {
    int *ret_r = data, fd;

    for (int i = 0; i < 5000 && *ret_r == 0; i++) {
        *ret_r = object_create("/shmipc-test.swept", PAGES(1), &fd);
        if (*ret_r == 0)
            fd_close(fd);
    }
    return NULL;
}

/* As by a host of the same name that starts elsewhere on the machine. */
START_TEST(object_create_does_not_mind_being_swept) {
    pthread_t thread;
    int r = 0;

    ck_assert_int_eq(pthread_create(&thread, NULL, create_again_and_again, &r), 0);
    while (pthread_tryjoin_np(thread, NULL) == EBUSY)
        ck_assert_int_eq(object_unlink("/shmipc-test.swept"), 0);
    ck_assert_int_eq(r, 0);
}
END_TEST

START_TEST(object_create_refuses_what_no_file_can_hold) {
    const char *name = unit_name();
    int fd = -7;

    ck_assert_int_eq(object_create(name, UINT64_MAX, &fd), -EFBIG);
    ck_assert_int_eq(object_create(name, UINT64_C(1) << 63, &fd), -EFBIG);
    ck_assert_int_eq(fd, -7);
    ck_assert_int_eq(object_create(name, PAGES(1), &fd), 0);
}
END_TEST

START_TEST(object_connected_read_only_is_not_written) {
    Segment writer = make_segment(PAGES(1)), segment;
    int fd = -1;

    ck_assert_int_eq(object_connect(writer.fd, false, &fd), 0);
    segment_init(&segment, fd, true, WINDOW, WINDOW);
    segment_published(&segment, PAGES(1));
    ck_assert_int_eq(segment_remap(&segment), -EACCES);
    ck_assert_ptr_null(segment.map);
    ck_assert_int_eq(segment_write(&segment, 0, "x", 1), -EBADF);
    ck_assert_int_eq(segment_resize(&segment, PAGES(2)), -EBADF);
    ck_assert_uint_eq(segment.bytes, PAGES(1));
}
END_TEST

START_TEST(object_unlink_removes_what_a_kill_has_left) {
    const char *name = unit_name();
    int fd;

    ck_assert_int_eq(named_object_open(name, &fd), 0);
    ck_assert_int_eq(object_unlink(name), 0);
    ck_assert(!named_object_same(name, fd));
    ck_assert_int_eq(object_unlink(name), 0);
}
END_TEST

/* ---- sizes ---- */

START_TEST(resize_holds_exactly_its_bytes) {
    static const uint64_t sizes[] = {PAGES(1), PAGES(7), WINDOW, PAGES(3), PAGES(3), 0, PAGES(2)};
    Segment segment;

    segment_init(&segment, make_object(3 * WINDOW), true, WINDOW, WINDOW);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ck_assert_int_eq(segment_resize(&segment, sizes[i]), 0);
        ck_assert_uint_eq(segment.bytes, sizes[i]);
        ck_assert_uint_eq(usage(segment.fd), sizes[i]);
        ck_assert_uint_eq(size(segment.fd), 3 * WINDOW);
    }
}
END_TEST

START_TEST(resize_refuses_what_is_no_segment) {
    Segment segment = make_segment(PAGES(2));

    ck_assert_int_eq(segment_resize(&segment, PAGES(2) + 1), -EINVAL);
    ck_assert_int_eq(segment_resize(&segment, WINDOW + PAGES(1)), -EFBIG);
    ck_assert_int_eq(segment_resize(&segment, UINT64_MAX - 4095), -EFBIG);
    ck_assert_uint_eq(segment.bytes, PAGES(2));
    ck_assert_uint_eq(usage(segment.fd), PAGES(2));
}
END_TEST

START_TEST(resize_leaves_the_neighbours_alone) {
    Segment segment, left, right;
    int fd = make_object(3 * WINDOW);

    segment_init(&left, fd, true, 0, WINDOW);
    segment_init(&segment, fd, true, WINDOW, WINDOW);
    segment_init(&right, fd, true, 2 * WINDOW, WINDOW);
    ck_assert_int_eq(segment_resize(&left, WINDOW), 0);
    ck_assert_int_eq(segment_resize(&right, WINDOW), 0);
    ck_assert_int_eq(segment_write(&left, WINDOW - 4, "left", 4), 0);
    ck_assert_int_eq(segment_write(&right, 0, "right", 5), 0);
    ck_assert_int_eq(segment_resize(&segment, WINDOW), 0);
    ck_assert_int_eq(segment_remap(&segment), 0);
    memset(segment.map, 1, WINDOW);
    ck_assert_int_eq(segment_resize(&segment, 0), 0);
    ck_assert_int_eq(segment_remap(&left), 0);
    ck_assert_int_eq(segment_remap(&right), 0);
    ck_assert_int_eq(memcmp((char *)left.map + WINDOW - 4, "left", 4), 0);
    ck_assert_int_eq(memcmp(right.map, "right", 5), 0);
    ck_assert_uint_eq(usage(fd), 2 * WINDOW);
}
END_TEST

START_TEST(resize_keeps_what_stays_and_forgets_what_goes) {
    Segment segment = make_segment(PAGES(4));

    memset(segment.map, 7, PAGES(4));
    ck_assert_int_eq(segment_resize(&segment, PAGES(1)), 0);
    ck_assert_int_eq(segment_resize(&segment, PAGES(4)), 0);
    ck_assert_int_eq(segment_remap(&segment), 0);
    ck_assert(all_are(segment.map, 7, PAGES(1)));
    ck_assert(all_are((char *)segment.map + PAGES(1), 0, PAGES(3)));
}
END_TEST

START_TEST(resize_on_a_full_file_system_changes_nothing) {
    Segment segment, other;
    int fd;

    unit_small_shm(PAGES(64));
    fd = make_object(3 * WINDOW);
    segment_init(&other, fd, true, 0, WINDOW);
    segment_init(&segment, fd, true, WINDOW, WINDOW);
    ck_assert_int_eq(segment_resize(&other, PAGES(16)), 0);
    ck_assert_int_eq(segment_resize(&segment, PAGES(16)), 0);
    ck_assert_int_eq(segment_write(&segment, 0, "kept", 4), 0);
    ck_assert_int_eq(segment_resize(&segment, PAGES(128)), -ENOSPC);
    ck_assert_uint_eq(segment.bytes, PAGES(16));
    ck_assert_uint_eq(usage(fd), PAGES(32));
    ck_assert_int_eq(segment_remap(&segment), 0);
    ck_assert_str_eq(segment.map, "kept");
    memset(segment.map, 1, PAGES(16));
    ck_assert_int_eq(segment_resize(&segment, PAGES(48)), 0);
}
END_TEST

/* ---- mappings ---- */

START_TEST(remap_shows_what_the_other_side_wrote) {
    Segment writer = make_segment(PAGES(2)), reader = reader_of(&writer);

    memset(writer.map, 5, PAGES(2));
    ck_assert(all_are(reader.map, 5, PAGES(2)));
}
END_TEST

START_TEST(remap_follows_the_published_size) {
    static const uint64_t sizes[] = {PAGES(1), PAGES(9), WINDOW, PAGES(2), 0, PAGES(3)};
    Segment writer = make_segment(PAGES(4)), reader = reader_of(&writer);

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ck_assert_int_eq(segment_resize(&writer, sizes[i]), 0);
        ck_assert_int_eq(segment_remap(&writer), 0);
        if (sizes[i])
            memset(writer.map, (int)i + 1, sizes[i]);
        segment_published(&reader, sizes[i]);
        ck_assert_int_eq(segment_remap(&reader), 0);
        ck_assert_uint_eq(reader.map_bytes, sizes[i]);
        ck_assert_int_eq(reader.map == NULL, sizes[i] == 0);
        ck_assert(all_are(reader.map, (int)i + 1, sizes[i]));
    }
}
END_TEST

START_TEST(remap_of_what_fits_keeps_the_mapping) {
    Segment segment = make_segment(PAGES(2));
    void *map = segment.map;

    ck_assert_int_eq(segment_remap(&segment), 0);
    ck_assert_ptr_eq(segment.map, map);
}
END_TEST

START_TEST(remap_refuses_a_size_outside_of_the_window) {
    Segment writer = make_segment(PAGES(2)), reader = reader_of(&writer);
    static const uint64_t bad[] = {WINDOW + PAGES(1), UINT64_MAX, UINT64_MAX - 4095, 1, PAGES(1) - 1};

    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        segment_published(&reader, bad[i]);
        ck_assert_int_eq(segment_remap(&reader), -EINVAL);
        ck_assert_uint_eq(reader.map_bytes, PAGES(2));
    }
}
END_TEST

/*
 * Whether /proc/self/smaps has "dd" (not in core dumps) among the flags of the mapping that begins at @map.
 */
static bool kept_out_of_dumps(const void *map) {
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool here = false, kept_out = false;
    char line[512], start[32];

    ck_assert_ptr_nonnull(smaps);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)map);
    while (fgets(line, sizeof(line), smaps)) {
        if (strncmp(line, start, strlen(start)) == 0)
            here = true;
        if (here && strncmp(line, "VmFlags:", 8) == 0) {
            kept_out = strstr(line, " dd ");
            break;
        }
    }
    fclose(smaps);
    return kept_out;
}

START_TEST(mapped_payloads_stay_out_of_core_dumps) {
    Segment segment = make_segment(PAGES(2));

    ck_assert(kept_out_of_dumps(segment.map));
    ck_assert_int_eq(segment_resize(&segment, PAGES(200)), 0);
    ck_assert_int_eq(segment_remap(&segment), 0);
    ck_assert(kept_out_of_dumps(segment.map));
}
END_TEST

START_TEST(disconnect_twice_is_no_harm) {
    Segment segment = make_segment(PAGES(2));

    segment_disconnect(&segment);
    ck_assert_ptr_null(segment.map);
    segment_disconnect(&segment);
    ck_assert_int_eq(segment_remap(&segment), 0);
    ck_assert_ptr_nonnull(segment.map);
}
END_TEST

/* ---- without a mapping ---- */

START_TEST(read_brings_what_write_has_put) {
    Segment segment = make_segment(PAGES(2));
    char text[6] = "";

    ck_assert_int_eq(segment_write(&segment, PAGES(1) - 2, "hello", 5), 0);
    ck_assert_int_eq(memcmp((char *)segment.map + PAGES(1) - 2, "hello", 5), 0);
    ck_assert_int_eq(segment_read(&segment, PAGES(1) - 2, text, 5), 0);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(segment_read(&segment, WINDOW, text, 0), 0);
}
END_TEST

START_TEST(read_of_what_was_cut_off_says_so) {
    Segment segment = make_segment(PAGES(2));
    char data[16];

    ck_assert_int_eq(ftruncate(segment.fd, (off_t)(WINDOW + PAGES(1))), 0);
    ck_assert_int_eq(segment_read(&segment, PAGES(1) - 16, data, 16), 0);
    ck_assert_int_eq(segment_read(&segment, PAGES(1) - 8, data, 16), -ENODATA);
    ck_assert_int_eq(segment_read(&segment, PAGES(1), data, 1), -ENODATA);
}
END_TEST

START_TEST(read_and_write_stay_in_the_window) {
    Segment segment = make_segment(PAGES(1));
    char data[2] = "";

    ck_assert_int_eq(segment_read(&segment, WINDOW - 1, data, 2), -EINVAL);
    ck_assert_int_eq(segment_read(&segment, UINT64_MAX, data, 2), -EINVAL);
    ck_assert_int_eq(segment_write(&segment, WINDOW - 1, data, 2), -EINVAL);
    ck_assert_int_eq(segment_write(&segment, WINDOW - 1, data, 1), 0);
}
END_TEST

START_TEST(write_on_a_full_file_system_says_so) {
    static char data[PAGES(64)];
    Segment segment;

    unit_small_shm(PAGES(16));
    segment_init(&segment, make_object(WINDOW), true, 0, WINDOW);
    ck_assert_int_eq(segment_write(&segment, 0, data, sizeof(data)), -ENOSPC);
}
END_TEST

/* ---- the plain wire's object ---- */

START_TEST(named_object_is_made_once_and_found_again) {
    const char *name = unit_name();
    struct stat st;
    int made, found;

    ck_assert_int_eq(named_object_open(name, &made), 0);
    ck_assert_int_eq(fstat(made, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(size(made), 0);
    ck_assert_int_eq(named_object_resize(made, PAGES(1)), 0);
    ck_assert_int_eq(named_object_open(name, &found), 0);
    ck_assert_uint_eq(size(found), PAGES(1));
    ck_assert_int_eq(object_unlink(name), 0);
}
END_TEST

START_TEST(named_object_resize_is_exact_both_ways) {
    static const uint64_t sizes[] = {PAGES(1), PAGES(50), PAGES(3), 0, PAGES(2)};
    const char *name = unit_name();
    int fd;

    ck_assert_int_eq(named_object_open(name, &fd), 0);
    ck_assert_int_eq(object_unlink(name), 0);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ck_assert_int_eq(named_object_resize(fd, sizes[i]), 0);
        ck_assert_uint_eq(size(fd), sizes[i]);
        ck_assert_uint_eq(usage(fd), sizes[i]);
    }
    ck_assert_int_eq(named_object_resize(fd, UINT64_MAX), -EFBIG);
}
END_TEST

START_TEST(named_object_resize_fills_holes) {
    const char *name = unit_name();
    int fd;

    ck_assert_int_eq(named_object_open(name, &fd), 0);
    ck_assert_int_eq(object_unlink(name), 0);
    ck_assert_int_eq(ftruncate(fd, PAGES(8)), 0);
    ck_assert_int_eq(named_object_resize(fd, PAGES(4)), 0);
    ck_assert_uint_eq(usage(fd), PAGES(4));
}
END_TEST

START_TEST(named_object_resize_on_a_full_file_system_keeps_its_size) {
    const char *name = unit_name();
    int fd;

    unit_small_shm(PAGES(16));
    ck_assert_int_eq(named_object_open(name, &fd), 0);
    ck_assert_int_eq(named_object_resize(fd, PAGES(4)), 0);
    ck_assert_int_eq(named_object_resize(fd, PAGES(32)), -ENOSPC);
    ck_assert_uint_eq(size(fd), PAGES(4));
}
END_TEST

START_TEST(named_same_tells_a_replaced_object) {
    const char *name = unit_name();
    int first, second;

    ck_assert_int_eq(named_object_open(name, &first), 0);
    ck_assert(named_object_same(name, first));
    ck_assert_int_eq(object_unlink(name), 0);
    ck_assert(!named_object_same(name, first));
    ck_assert_int_eq(named_object_open(name, &second), 0);
    ck_assert(!named_object_same(name, first));
    ck_assert(named_object_same(name, second));
    ck_assert_int_eq(object_unlink(name), 0);
}
END_TEST

static int make_named(void *data) {
    int fd;

    return named_object_open(data, &fd) == 0 ? 0 : 1;
}

static int open_named(void *data) {
    int fd;

    return -named_object_open(data, &fd);
}

static int unlink_named(void *data) {
    return -object_unlink(data);
}

static int squat_fifo(void *path) {
    return mkfifo(path, 0666);
}

static int squat_link(void *path) {
    return symlink("/dev/null", path);
}

static int squat_folder(void *path) {
    return mkdir(path, 0777);
}

static int squat_socket(void *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    return -bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof(address));
}

static int (*const squats[])(void *path) = {squat_fifo, squat_link, squat_folder, squat_socket};

/* Neither is waited for what never comes, nor is a link followed. */
START_TEST(what_another_user_has_put_there_instead_is_left_alone_at_once) {
    const char *name = unit_name();
    char path[100];
    int fd = -1;

    snprintf(path, sizeof(path), "/dev/shm%s", name);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, squats[_i], path), 0);
    ck_assert_int_eq(object_unlink(name), -EPERM);
    ck_assert(!named_object_same(name, STDIN_FILENO));
    ck_assert_int_eq(object_create(name, PAGE_BYTES, &fd), -EEXIST);
    ck_assert_int_eq(remove(path), 0);
}
END_TEST

START_TEST(another_users_object_is_neither_opened_nor_unlinked) {
    char name[64];
    int fd = -7;

    strcpy(name, unit_name());
    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_named, name), 0);
    ck_assert_int_eq(named_object_open(name, &fd), -EPERM);
    ck_assert_int_eq(fd, -7);
    ck_assert_int_eq(object_unlink(name), -EPERM);
    ck_assert_int_eq(unit_as_uid(UNIT_OTHER_UID, open_named, name), EPERM);
    ck_assert_int_eq(unit_as_uid(UNIT_OTHER_UID, unlink_named, name), EPERM);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, unlink_named, name), 0);
}
END_TEST

/* ---- the guard ---- */

/* The owner takes away all but @bytes of the window, and puts holes there again. */
static void tear(const Segment *segment, uint64_t bytes) {
    ck_assert_int_eq(ftruncate(segment->fd, (off_t)(segment->offset + bytes)), 0);
}

static void mend(const Segment *segment) {
    ck_assert_int_eq(ftruncate(segment->fd, (off_t)(3 * WINDOW)), 0);
}

START_TEST(guard_puts_zeros_where_memory_went_missing) {
    Segment writer = make_segment(PAGES(8)), reader = reader_of(&writer);

    memset(writer.map, 3, PAGES(8));
    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&reader);
    tear(&writer, PAGES(2));
    ck_assert(all_are(reader.map, 3, PAGES(2)));
    ck_assert(all_are((char *)reader.map + PAGES(2), 0, PAGES(6)));
    ck_assert(segment_guard_end());
}
END_TEST

START_TEST(guard_without_a_loss_says_so) {
    Segment writer = make_segment(PAGES(2)), reader = reader_of(&writer);

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&reader);
    ck_assert(all_are(reader.map, 0, PAGES(2)));
    ck_assert(!segment_guard_end());
}
END_TEST

START_TEST(guard_saves_a_writer_too) {
    Segment segment = make_segment(PAGES(4));

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&segment);
    tear(&segment, PAGES(1));
    memset(segment.map, 9, PAGES(4));
    ck_assert(segment_guard_end());
}
END_TEST

START_TEST(torn_mapping_is_made_anew_although_it_fits) {
    Segment writer = make_segment(PAGES(4)), reader = reader_of(&writer);

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&reader);
    tear(&writer, 0);
    ck_assert(all_are(reader.map, 0, PAGES(4)));
    ck_assert(segment_guard_end());
    mend(&writer);
    memset(writer.map, 6, PAGES(4));
    ck_assert_int_eq(segment_remap(&reader), 0);
    ck_assert(all_are(reader.map, 6, PAGES(4)));
    segment_guard_begin(&reader);
    ck_assert(!segment_guard_end());
}
END_TEST

/* Of two segments, watch the one that lies higher or lower and touch the other, whose memory is gone. */
static void touch_unwatched(bool watch_higher) {
    Segment segments[2] = {make_segment(PAGES(4)), make_segment(PAGES(4))};
    size_t higher = segments[1].map > segments[0].map;
    size_t watched = watch_higher ? higher : 1 - higher;

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&segments[watched]);
    tear(&segments[1 - watched], 0);
    ck_assert(all_are(segments[1 - watched].map, 0, 1));
}

START_TEST(touch_below_what_is_watched_is_the_end) {
    touch_unwatched(true);
}
END_TEST

START_TEST(touch_above_what_is_watched_is_the_end) {
    touch_unwatched(false);
}
END_TEST

START_TEST(touch_after_the_watch_is_the_end) {
    Segment writer = make_segment(PAGES(4)), reader = reader_of(&writer);

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&reader);
    ck_assert(!segment_guard_end());
    tear(&writer, 0);
    ck_assert(all_are(reader.map, 0, 1));
}
END_TEST

START_TEST(sigbus_that_was_sent_is_the_end) {
    Segment segment = make_segment(PAGES(4));

    ck_assert_int_eq(segment_guard_install(), 0);
    segment_guard_begin(&segment);
    raise(SIGBUS);
}
END_TEST

static pthread_barrier_t all_watch;

static void *read_torn(void *data) {
    Segment *segment = data;
    bool zeros;

    segment_guard_begin(segment);
    pthread_barrier_wait(&all_watch);
    zeros = all_are(segment->map, 0, segment->map_bytes);
    return segment_guard_end() && zeros ? segment : NULL;
}

START_TEST(guard_watches_for_each_thread) {
    Segment segments[4];
    pthread_t threads[ELEMENTS(segments)];

    ck_assert_int_eq(pthread_barrier_init(&all_watch, NULL, ELEMENTS(segments)), 0);
    ck_assert_int_eq(segment_guard_install(), 0);
    for (size_t i = 0; i < ELEMENTS(segments); i++) {
        segments[i] = make_segment(PAGES(16));
        tear(&segments[i], 0);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_torn, &segments[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS(segments); i++) {
        void *result = NULL;

        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_eq(result, &segments[i]);
    }
}
END_TEST

static void add_objects(Suite *suite) {
    TCase *tests = tcase_create("objects");

    tcase_add_test(tests, round_to_pages_rounds_up);
    tcase_add_test(tests, object_is_sparse_private_and_nameless);
    tcase_add_test(tests, object_create_refuses_a_taken_name);
    tcase_add_test(tests, object_create_does_not_mind_being_swept);
    tcase_add_test(tests, object_create_refuses_what_no_file_can_hold);
    tcase_add_test(tests, object_connected_read_only_is_not_written);
    tcase_add_test(tests, object_unlink_removes_what_a_kill_has_left);
    tcase_add_test(tests, named_object_is_made_once_and_found_again);
    tcase_add_test(tests, named_object_resize_is_exact_both_ways);
    tcase_add_test(tests, named_object_resize_fills_holes);
    tcase_add_test(tests, named_same_tells_a_replaced_object);
    if (unit_is_root()) {
        tcase_add_test(tests, named_object_resize_on_a_full_file_system_keeps_its_size);
        tcase_add_test(tests, another_users_object_is_neither_opened_nor_unlinked);
        tcase_add_loop_test(tests, what_another_user_has_put_there_instead_is_left_alone_at_once, 0,
                            ELEMENTS(squats));
    }
    suite_add_tcase(suite, tests);
}

static void add_segments(Suite *suite) {
    TCase *tests = tcase_create("segments");

    tcase_add_test(tests, resize_holds_exactly_its_bytes);
    tcase_add_test(tests, resize_refuses_what_is_no_segment);
    tcase_add_test(tests, resize_leaves_the_neighbours_alone);
    tcase_add_test(tests, resize_keeps_what_stays_and_forgets_what_goes);
    tcase_add_test(tests, remap_shows_what_the_other_side_wrote);
    tcase_add_test(tests, remap_follows_the_published_size);
    tcase_add_test(tests, remap_of_what_fits_keeps_the_mapping);
    tcase_add_test(tests, remap_refuses_a_size_outside_of_the_window);
    tcase_add_test(tests, mapped_payloads_stay_out_of_core_dumps);
    tcase_add_test(tests, disconnect_twice_is_no_harm);
    tcase_add_test(tests, read_brings_what_write_has_put);
    tcase_add_test(tests, read_of_what_was_cut_off_says_so);
    tcase_add_test(tests, read_and_write_stay_in_the_window);
    if (unit_is_root()) {
        tcase_add_test(tests, resize_on_a_full_file_system_changes_nothing);
        tcase_add_test(tests, write_on_a_full_file_system_says_so);
    }
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("segment");
    TCase *tests = tcase_create("guard");

    tcase_add_test(tests, guard_puts_zeros_where_memory_went_missing);
    tcase_add_test(tests, guard_without_a_loss_says_so);
    tcase_add_test(tests, guard_saves_a_writer_too);
    tcase_add_test(tests, torn_mapping_is_made_anew_although_it_fits);
    tcase_add_test_raise_signal(tests, touch_below_what_is_watched_is_the_end, SIGBUS);
    tcase_add_test_raise_signal(tests, touch_above_what_is_watched_is_the_end, SIGBUS);
    tcase_add_test_raise_signal(tests, touch_after_the_watch_is_the_end, SIGBUS);
    tcase_add_test_raise_signal(tests, sigbus_that_was_sent_is_the_end, SIGBUS);
    tcase_add_test(tests, guard_watches_for_each_thread);
    add_objects(suite);
    add_segments(suite);
    suite_add_tcase(suite, tests);
    return suite;
}
