/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "os/queue.h"
#include "os/wait.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define DEPTH 4
#define BYTES 32

static int make(void) {
    int fd = -1;

    ck_assert_int_eq(queue_create(unit_name(), DEPTH, BYTES, &fd), 0);
    return fd;
}

static int side_of(int fd, QueueSide side) {
    int own = -1;

    ck_assert_int_eq(queue_connect(fd, side, &own), 0);
    return own;
}

/* O_NONBLOCK is off afterwards, as a peer who shares the description may have it. */
static void let_block(int fd) {
    int flags = fcntl(fd, F_GETFL);

    ck_assert_int_eq(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

/* Return: the limit that it was before. */
static rlim_t set_limit(int resource, rlim_t limit) {
    struct rlimit before;

    ck_assert_int_eq(getrlimit(resource, &before), 0);
    ck_assert_int_eq(setrlimit(resource, &(struct rlimit){limit, before.rlim_max}), 0);
    return before.rlim_cur;
}

/* ---- making ---- */

START_TEST(create_leaves_no_name) {
    const char *name = unit_name();
    int fd, named = -7;

    ck_assert_int_eq(queue_create(name, DEPTH, BYTES, &fd), 0);
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, false, 0, 0, &named), -ENOENT);
    ck_assert_int_eq(named, -7);
}
END_TEST

START_TEST(create_refuses_a_taken_name) {
    const char *name = unit_name();
    int named, fd = -7;

    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, BYTES, &named), 0);
    ck_assert_int_eq(queue_create(name, DEPTH, BYTES, &fd), -EEXIST);
    ck_assert_int_eq(fd, -7);
    ck_assert(queue_named_same(name, named));
    ck_assert_int_eq(queue_unlink(name), 0);
}
END_TEST

START_TEST(create_makes_what_was_asked_for) {
    uint32_t n_messages, depth, bytes;
    int fd = make();
    struct stat st;

    ck_assert_int_eq(queue_depth(fd, &n_messages, &depth, &bytes), 0);
    ck_assert_uint_eq(n_messages, 0);
    ck_assert_uint_eq(depth, DEPTH);
    ck_assert_uint_eq(bytes, BYTES);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(create_refuses_what_is_no_queue) {
    int fd = -7;

    ck_assert_int_eq(queue_create(unit_name(), 0, BYTES, &fd), -EINVAL);
    ck_assert_int_eq(queue_create(unit_name(), DEPTH, 0, &fd), -EINVAL);
    ck_assert_int_eq(queue_create("no-slash", DEPTH, BYTES, &fd), -EINVAL);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(create_too_deep_is_a_limit) {
    int fd = -7;

    ck_assert_int_eq(queue_create(unit_name(), 1 << 20, BYTES, &fd), QUEUE_LIMIT_DEPTH);
    ck_assert_int_eq(queue_create(unit_name(), 1, 1 << 30, &fd), QUEUE_LIMIT_DEPTH);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(create_over_the_users_bytes_is_a_limit) {
    int fd = -7;

    set_limit(RLIMIT_MSGQUEUE, 0);
    ck_assert_int_eq(queue_create(unit_name(), DEPTH, BYTES, &fd), QUEUE_LIMIT_BYTES);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(create_without_descriptors_is_a_limit) {
    int fd = -7, r, named;
    rlim_t before = set_limit(RLIMIT_NOFILE, 0);

    r = queue_create(unit_name(), DEPTH, BYTES, &fd);
    named = queue_open_named("/none", QUEUE_READ, false, 0, 0, &fd);
    set_limit(RLIMIT_NOFILE, before);
    ck_assert_int_eq(r, QUEUE_LIMIT_FILES);
    ck_assert_int_eq(named, QUEUE_LIMIT_FILES);
    ck_assert_int_eq(fd, -7);
}
END_TEST

static int fill_namespace(void *data) {
    int fd, r = 0;

    for (int i = 0; r == 0 && i < 10000; i++)
        r = queue_create(unit_name(), 1, 1, &fd);
    return r;
}

START_TEST(create_in_a_full_namespace_is_a_limit) {
    ck_assert_int_eq(unit_as_uid(UNIT_UID, fill_namespace, NULL), QUEUE_LIMIT_QUEUES);
}
END_TEST

START_TEST(limit_text_names_the_limit_and_the_cure) {
    static const struct {
        QueueLimit limit;
        const char *name, *cure;
    } texts[] = {
        {QUEUE_LIMIT_DEPTH, "fs.mqueue.msg_max", "queue_depth"},
        {QUEUE_LIMIT_BYTES, "RLIMIT_MSGQUEUE", "LimitMSGQUEUE="},
        {QUEUE_LIMIT_QUEUES, "fs.mqueue.queues_max", "sysctl"},
        {QUEUE_LIMIT_FILES, "RLIMIT_NOFILE", "LimitNOFILE="},
    };
    char text[256];

    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        ck_assert_ptr_eq(queue_limit_text(texts[i].limit, text, sizeof(text)), text);
        ck_assert_msg(strstr(text, texts[i].name) && strstr(text, texts[i].cure), "%s", text);
    }
    ck_assert_uint_lt(strlen(queue_limit_text(QUEUE_LIMIT_DEPTH, text, 20)), 20);
}
END_TEST

/* ---- sides ---- */

START_TEST(connect_gives_only_the_rights_of_its_side) {
    int fd = make(), reader = side_of(fd, QUEUE_READ), writer = side_of(fd, QUEUE_WRITE);
    char message[BYTES];
    size_t bytes;

    ck_assert_int_eq(queue_send(reader, "x", 1, 0), -EBADF);
    ck_assert_int_eq(queue_send(writer, "x", 1, 0), 0);
    ck_assert_int_eq(queue_receive(writer, message, sizeof(message), &bytes), -EBADF);
    ck_assert_int_eq(queue_receive(reader, message, sizeof(message), &bytes), 0);
}
END_TEST

START_TEST(connect_gives_a_description_of_its_own) {
    int fd = make(), own = side_of(fd, QUEUE_BOTH);

    let_block(own);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(own, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(connect_outlives_the_first_descriptor) {
    int fd = make(), writer = side_of(fd, QUEUE_WRITE), reader = side_of(fd, QUEUE_READ);
    char message[BYTES];
    size_t bytes;

    fd_close(fd);
    ck_assert_int_eq(queue_send(writer, "still", 5, 0), 0);
    ck_assert_int_eq(queue_receive(reader, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, 5);
}
END_TEST

START_TEST(connect_to_nothing_fails) {
    int fd = -7;

    ck_assert_int_eq(queue_connect(-1, QUEUE_READ, &fd), -ENOENT);
    ck_assert_int_eq(fd, -7);
}
END_TEST

/* ---- messages ---- */

START_TEST(message_comes_as_it_was_sent) {
    char message[BYTES];
    int fd = make();
    size_t bytes;

    ck_assert_int_eq(queue_send(fd, "hello", 5, 0), 0);
    ck_assert_int_eq(queue_send(fd, "", 0, 0), 0);
    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, 5);
    ck_assert_int_eq(memcmp(message, "hello", 5), 0);
    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(send_on_a_full_queue_returns_at_once) {
    uint32_t n_messages;
    int fd = make();

    for (int i = 0; i < DEPTH; i++)
        ck_assert_int_eq(queue_send(fd, "x", 1, 0), 0);
    ck_assert_int_eq(queue_send(fd, "x", 1, 0), -EAGAIN);
    let_block(fd);
    ck_assert_int_eq(queue_send(fd, "x", 1, 0), -EAGAIN);
    ck_assert_int_eq(queue_depth(fd, &n_messages, NULL, NULL), 0);
    ck_assert_uint_eq(n_messages, DEPTH);
}
END_TEST

START_TEST(receive_on_an_empty_queue_returns_at_once) {
    char message[BYTES];
    size_t bytes = 7;
    int fd = make();

    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), -EAGAIN);
    let_block(fd);
    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), -EAGAIN);
    ck_assert_uint_eq(bytes, 7);
}
END_TEST

START_TEST(higher_priority_comes_first_and_equal_in_order) {
    static const char sent[] = "abcd", expected[] = "cbad";
    static const unsigned priorities[] = {0, 1, 2, 0};
    char message[BYTES];
    int fd = make();
    size_t bytes;

    for (size_t i = 0; i < ELEMENTS(priorities); i++)
        ck_assert_int_eq(queue_send(fd, &sent[i], 1, priorities[i]), 0);
    for (size_t i = 0; i < ELEMENTS(priorities); i++) {
        ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), 0);
        ck_assert_int_eq(message[0], expected[i]);
    }
}
END_TEST

START_TEST(message_of_a_wrong_size_is_refused) {
    char message[BYTES + 1] = "";
    int fd = make();
    size_t bytes;

    ck_assert_int_eq(queue_send(fd, message, BYTES + 1, 0), -EMSGSIZE);
    ck_assert_int_eq(queue_send(fd, message, BYTES, 0), 0);
    ck_assert_int_eq(queue_receive(fd, message, BYTES - 1, &bytes), -EMSGSIZE);
    ck_assert_int_eq(queue_receive(fd, message, BYTES, &bytes), 0);
}
END_TEST

START_TEST(poll_tells_when_there_is_a_message_or_room) {
    char message[BYTES];
    int fd = make();
    size_t bytes;

    ck_assert_int_eq(wait_for_fd(fd, WAIT_READ | WAIT_WRITE, 0), WAIT_WRITE);
    for (int i = 0; i < DEPTH; i++)
        ck_assert_int_eq(queue_send(fd, "x", 1, 0), 0);
    ck_assert_int_eq(wait_for_fd(fd, WAIT_READ | WAIT_WRITE, 0), WAIT_READ);
    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), 0);
    ck_assert_int_eq(wait_for_fd(fd, WAIT_READ | WAIT_WRITE, 0), WAIT_READ | WAIT_WRITE);
}
END_TEST

START_TEST(what_is_no_queue_is_refused) {
    char message[BYTES];
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    size_t bytes;

    ck_assert_int_eq(queue_send(fd, "x", 1, 0), -EBADF);
    ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), -EBADF);
    ck_assert_int_eq(queue_depth(fd, NULL, NULL, NULL), -EBADF);
}
END_TEST

/* ---- names ---- */

START_TEST(open_named_makes_it_or_finds_it) {
    const char *name = unit_name();
    int made, found;
    struct stat st;

    ck_assert_int_eq(queue_open_named(name, QUEUE_WRITE, true, 1, 512, &made), 0);
    ck_assert_int_eq(fstat(made, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, 512, &found), 0);
    ck_assert(queue_named_same(name, made));
    ck_assert(queue_named_same(name, found));
    ck_assert_int_eq(queue_unlink(name), 0);
}
END_TEST

START_TEST(open_named_keeps_the_size_of_what_is_there) {
    const char *name = unit_name();
    uint32_t depth, bytes;
    int made, found;

    ck_assert_int_eq(queue_open_named(name, QUEUE_WRITE, true, 2, 64, &made), 0);
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, 512, &found), 0);
    ck_assert_int_eq(queue_depth(found, NULL, &depth, &bytes), 0);
    ck_assert_uint_eq(depth, 2);
    ck_assert_uint_eq(bytes, 64);
    ck_assert_int_eq(queue_unlink(name), 0);
}
END_TEST

START_TEST(named_same_tells_a_replaced_queue) {
    const char *name = unit_name();
    int first, second;

    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, 512, &first), 0);
    ck_assert_int_eq(queue_unlink(name), 0);
    ck_assert(!queue_named_same(name, first));
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, 512, &second), 0);
    ck_assert(!queue_named_same(name, first));
    ck_assert(queue_named_same(name, second));
    ck_assert_int_eq(queue_unlink(name), 0);
}
END_TEST

START_TEST(unlink_of_nothing_is_no_error) {
    ck_assert_int_eq(queue_unlink(unit_name()), 0);
    ck_assert_int_eq(queue_unlink("no-slash"), -EINVAL);
}
END_TEST

static int make_named(void *data) {
    int fd;

    return queue_open_named(data, QUEUE_READ, true, 1, 512, &fd) == 0 ? 0 : 1;
}

static int open_named(void *data) {
    int fd;

    return -queue_open_named(data, QUEUE_READ, true, 1, 512, &fd);
}

START_TEST(open_named_refuses_another_users) {
    char name[64];
    int fd = -7;

    strcpy(name, unit_name());
    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_named, name), 0);
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, true, 1, 512, &fd), -EPERM);
    ck_assert_int_eq(queue_open_named(name, QUEUE_READ, false, 0, 0, &fd), -EPERM);
    ck_assert_int_eq(fd, -7);
    ck_assert_int_eq(unit_as_uid(UNIT_OTHER_UID, open_named, name), EACCES);
    ck_assert_int_eq(queue_unlink(name), 0);
}
END_TEST

static void add_messages(Suite *suite) {
    TCase *tests = tcase_create("messages");

    tcase_add_test(tests, connect_gives_only_the_rights_of_its_side);
    tcase_add_test(tests, connect_gives_a_description_of_its_own);
    tcase_add_test(tests, connect_outlives_the_first_descriptor);
    tcase_add_test(tests, connect_to_nothing_fails);
    tcase_add_test(tests, message_comes_as_it_was_sent);
    tcase_add_test(tests, send_on_a_full_queue_returns_at_once);
    tcase_add_test(tests, receive_on_an_empty_queue_returns_at_once);
    tcase_add_test(tests, higher_priority_comes_first_and_equal_in_order);
    tcase_add_test(tests, message_of_a_wrong_size_is_refused);
    tcase_add_test(tests, poll_tells_when_there_is_a_message_or_room);
    tcase_add_test(tests, what_is_no_queue_is_refused);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("queue");
    TCase *tests = tcase_create("names and limits");

    tcase_add_test(tests, create_leaves_no_name);
    tcase_add_test(tests, create_refuses_a_taken_name);
    tcase_add_test(tests, create_makes_what_was_asked_for);
    tcase_add_test(tests, create_refuses_what_is_no_queue);
    tcase_add_test(tests, create_too_deep_is_a_limit);
    tcase_add_test(tests, create_over_the_users_bytes_is_a_limit);
    tcase_add_test(tests, create_without_descriptors_is_a_limit);
    tcase_add_test(tests, limit_text_names_the_limit_and_the_cure);
    tcase_add_test(tests, open_named_makes_it_or_finds_it);
    tcase_add_test(tests, open_named_keeps_the_size_of_what_is_there);
    tcase_add_test(tests, named_same_tells_a_replaced_queue);
    tcase_add_test(tests, unlink_of_nothing_is_no_error);
    if (unit_is_root()) {
        tcase_add_test(tests, create_in_a_full_namespace_is_a_limit);
        tcase_add_test(tests, open_named_refuses_another_users);
    }
    suite_add_tcase(suite, tests);
    add_messages(suite);
    return suite;
}
