/* SPDX-License-Identifier: MIT */
/* The log: a line is whole or not there at all, nothing waits for a reader, and what was lost is told. */
#include "app/log-sink.h"
#include "app/log.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/shmipc-log-XXXXXX";
static char path[64];

static void begin(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
}

static void end(void) {
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Standard error is from now on this. */
static void be_stderr(int fd) {
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

/* Return: the reading end. */
static int stderr_to_pipe(void) {
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    be_stderr(fds[1]);
    return fds[0];
}

/* Return: the other end. */
static int stderr_to_socket(void) {
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    be_stderr(fds[1]);
    return fds[0];
}

/* Return: the side of the terminal's user. */
static int stderr_to_terminal(void) {
    int user = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    ck_assert_int_ge(user, 0);
    ck_assert_int_eq(grantpt(user), 0);
    ck_assert_int_eq(unlockpt(user), 0);
    be_stderr(open(ptsname(user), O_RDWR | O_NOCTTY | O_CLOEXEC));
    return user;
}

static size_t read_some(int fd, char *room, size_t bytes) {
    ssize_t n = read(fd, room, bytes - 1);

    ck_assert_int_gt(n, 0);
    room[n] = '\0';
    return (size_t)n;
}

static void drain(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    char room[65536];

    while (poll(&pollfd, 1, 0) > 0)
        (void)read_some(fd, room, sizeof(room));
}

static const char line[] = "one line of the log, as long as they are when they are not short\n";

static void fill(void) {
    unsigned n = 0;

    ck_assert(!sink_open());
    while (sink_put_line(line, strlen(line)))
        ck_assert_uint_lt(n++, 1000000);
    ck_assert_uint_gt(n, 10);
}

/* ---- standard error ---- */

enum { PIPE, SOCKET, TERMINAL, N_WAYS };

static int (*const ways[N_WAYS])(void) = {stderr_to_pipe, stderr_to_socket, stderr_to_terminal};

/* A test that waits is ended by its timeout. */
START_TEST(line_that_nobody_takes_is_not_waited_for) {
    int fd = ways[_i]();

    fill();
    /* What is written to a terminal is moved on, and makes room, when the kernel likes. */
    ck_assert(_i == TERMINAL || !sink_put_line(line, strlen(line)));
    do
        drain(fd);
    while (!sink_put_line(line, strlen(line)));
    close(fd);
}
END_TEST

START_TEST(lost_lines_are_counted_and_told) {
    int fd = ways[_i]();
    char said[4096];

    fill();
    log_open("test", LOG_INFO);
    for (int i = 0; i < 3; i++)
        log_line(LOG_INFO, NULL, "lost %d", i);
    drain(fd);
    log_line(LOG_INFO, NULL, "here again");
    log_line(LOG_INFO, NULL, "and on");
    (void)read_some(fd, said, sizeof(said));
    ck_assert_str_eq(said, "shmipc[test]: warning: 3 lines before this one could not be logged\n"
                           "shmipc[test]: here again\n"
                           "shmipc[test]: and on\n");
    close(fd);
}
END_TEST

START_TEST(file_takes_every_line) {
    struct stat is;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    be_stderr(fd);
    ck_assert(!sink_open());
    for (int i = 0; i < 2000; i++)
        ck_assert(sink_put_line(line, strlen(line)));
    ck_assert_int_eq(fstat(STDERR_FILENO, &is), 0);
    ck_assert_int_eq(is.st_size, 2000 * (off_t)strlen(line));
}
END_TEST

START_TEST(line_to_nobody_is_lost_and_that_is_all) {
    int fd = ways[_i]();

    signal(SIGPIPE, SIG_IGN);
    close(fd);
    ck_assert(!sink_open());
    ck_assert(!sink_put_line(line, strlen(line)));
}
END_TEST

/* ---- the journal ---- */

static int listen_as_journal(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

START_TEST(entry_is_one_datagram_with_its_fields_whole) {
    static const SinkField fields[] = {{"MESSAGE", "two\nlines"}, {"PRIORITY", "6"}, {"EMPTY", ""}};
    static const char wanted[] = "MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n"
                                 "PRIORITY\n\x01\0\0\0\0\0\0\0"
                                 "6\n"
                                 "EMPTY\n\0\0\0\0\0\0\0\0\n";
    int fd = listen_as_journal();
    char got[256];

    ck_assert(sink_put_entry(path, fields, 3));
    ck_assert_uint_eq(read_some(fd, got, sizeof(got)), sizeof(wanted) - 1);
    ck_assert_int_eq(memcmp(got, wanted, sizeof(wanted) - 1), 0);
    close(fd);
}
END_TEST

START_TEST(journal_that_has_stopped_is_not_waited_for) {
    static const SinkField field = {"MESSAGE", "a line"};
    int fd = listen_as_journal();
    unsigned n = 0;
    char got[256];

    while (sink_put_entry(path, &field, 1))
        ck_assert_uint_lt(n++, 1000000);
    ck_assert_uint_gt(n, 0);
    (void)read_some(fd, got, sizeof(got));
    ck_assert(sink_put_entry(path, &field, 1));
    close(fd);
    ck_assert(!sink_put_entry(path, &field, 1));
}
END_TEST

START_TEST(stream_of_the_journal_is_known_by_its_number) {
    int fd = stderr_to_pipe();
    char stream[64];
    struct stat is;

    ck_assert_int_eq(fstat(STDERR_FILENO, &is), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)is.st_dev,
             (unsigned long long)is.st_ino);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
    ck_assert(sink_open());
    ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    ck_assert(!sink_open());
    ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
    ck_assert(!sink_open());
    close(fd);
}
END_TEST

/* ---- events ---- */

START_TEST(event_says_how_many_more_there_were) {
    Event event = {
        .kind = EVENT_PEER_MISBEHAVED, .pid = 7, .uid = 1000, .name = "x", .text = "why", .n_similar = 41};
    int fd = stderr_to_pipe();
    char said[1024];

    log_open("test", LOG_INFO);
    log_event(&event);
    event = (Event){.kind = EVENT_UNTOLD, .n_similar = 3};
    log_event(&event);
    (void)read_some(fd, said, sizeof(said));
    ck_assert_str_eq(
        said,
        "shmipc[test]: warning: peer x (pid 7, uid 1000) was disconnected, because it sent or did what it "
        "must not: why (and 41 more like this)\n"
        "shmipc[test]: warning: 3 events came faster than they could be logged\n");
    close(fd);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("log");
    TCase *all = tcase_create("log");

    tcase_add_checked_fixture(all, begin, end);
    tcase_add_loop_test(all, line_that_nobody_takes_is_not_waited_for, 0, N_WAYS);
    tcase_add_loop_test(all, lost_lines_are_counted_and_told, 0, TERMINAL);
    tcase_add_loop_test(all, line_to_nobody_is_lost_and_that_is_all, 0, N_WAYS);
    tcase_add_test(all, file_takes_every_line);
    tcase_add_test(all, entry_is_one_datagram_with_its_fields_whole);
    tcase_add_test(all, journal_that_has_stopped_is_not_waited_for);
    tcase_add_test(all, stream_of_the_journal_is_known_by_its_number);
    tcase_add_test(all, event_says_how_many_more_there_were);
    suite_add_tcase(suite, all);
    return suite;
}
