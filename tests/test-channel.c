/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "os/channel.h"
#include "os/wait.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FOR_EVER UINT64_MAX

static char directory[64];
static char path[80];

/* A folder for sockets of each test. */
static void enter_directory(void) {
    strcpy(directory, "/tmp/shmipc-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/host.sock", directory);
}

/* It must be empty but for the socket: nothing else stays behind. */
static void leave_directory(void) {
    (void)unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static int listen_at(const char *at) {
    int fd = -1;

    ck_assert_int_eq(channel_listen(at, &fd), 0);
    return fd;
}

static int connect_to(const char *at) {
    int fd = -1;

    ck_assert_int_eq(channel_connect(at, &fd), 0);
    return fd;
}

static int accept_from(int fd) {
    int peer = -1;

    ck_assert_int_eq(channel_accept(fd, &peer), 0);
    return peer;
}

static bool exists(const char *at) {
    struct stat st;

    return lstat(at, &st) == 0;
}

static mode_t mode_of(const char *at) {
    struct stat st;

    ck_assert_int_eq(lstat(at, &st), 0);
    return st.st_mode & 07777;
}

/* One record without descriptors. Return: what channel_receive() says. */
static int receive(int fd, char text[static CHANNEL_RECORD_MAX + 1]) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    int r = channel_receive(fd, text, CHANNEL_RECORD_MAX, &bytes, fds, &n_fds);

    if (r == 0)
        text[bytes] = '\0';
    return r;
}

static void let_block(int fd) {
    ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

/* ---- records ---- */

START_TEST(record_comes_whole_and_in_order) {
    char text[CHANNEL_RECORD_MAX + 1], big[CHANNEL_RECORD_MAX];
    size_t bytes, n_fds;
    int ends[2], fds[CHANNEL_FDS_MAX];

    memset(big, 'b', sizeof(big));
    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(channel_send(ends[0], "first", 5, NULL, 0), 0);
    ck_assert_int_eq(channel_send(ends[0], big, sizeof(big), NULL, 0), 0);
    ck_assert_int_eq(receive(ends[1], text), 0);
    ck_assert_str_eq(text, "first");
    ck_assert_int_eq(channel_receive(ends[1], text, sizeof(text), &bytes, fds, &n_fds), 0);
    ck_assert_uint_eq(bytes, sizeof(big));
    ck_assert_uint_eq(n_fds, 0);
    ck_assert_int_eq(memcmp(text, big, sizeof(big)), 0);
}
END_TEST

START_TEST(send_refuses_what_is_no_record) {
    char big[CHANNEL_RECORD_MAX + 1] = "";
    int fds[CHANNEL_FDS_MAX + 1] = {0};
    int ends[2];

    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(channel_send(ends[0], "", 0, NULL, 0), -EINVAL);
    ck_assert_int_eq(channel_send(ends[0], big, sizeof(big), NULL, 0), -EINVAL);
    ck_assert_int_eq(channel_send(ends[0], "x", 1, fds, ELEMENTS(fds)), -EINVAL);
    ck_assert_int_eq(channel_send(ends[0], "x", 1, &(int){-1}, 1), -EBADF);
    ck_assert_int_eq(receive(ends[1], big), -EAGAIN);
}
END_TEST

START_TEST(receive_never_blocks) {
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2];

    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(receive(ends[0], text), -EAGAIN);
    let_block(ends[0]);
    ck_assert_int_eq(receive(ends[0], text), -EAGAIN);
}
END_TEST

START_TEST(send_to_who_does_not_read_never_blocks) {
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2], r = 0, n_sent = 0;

    ck_assert_int_eq(channel_pair(ends), 0);
    let_block(ends[0]);
    for (; r == 0; n_sent++)
        r = channel_send(ends[0], "x", 1, NULL, 0);
    ck_assert_int_eq(r, -EAGAIN);
    while (--n_sent > 0)
        ck_assert_int_eq(receive(ends[1], text), 0);
    ck_assert_int_eq(receive(ends[1], text), -EAGAIN);
    ck_assert_int_eq(channel_send(ends[0], "x", 1, NULL, 0), 0);
}
END_TEST

START_TEST(truncated_record_is_refused) {
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2], fds[CHANNEL_FDS_MAX];
    size_t bytes = 7, n_fds = 7, before;

    ck_assert_int_eq(channel_pair(ends), 0);
    before = unit_n_fds();
    ck_assert_int_eq(channel_send(ends[0], "hello", 5, ends, 2), 0);
    ck_assert_int_eq(channel_receive(ends[1], text, 4, &bytes, fds, &n_fds), -EBADMSG);
    ck_assert_uint_eq(bytes, 7);
    ck_assert_uint_eq(n_fds, 7);
    ck_assert_uint_eq(unit_n_fds(), before);
    ck_assert_int_eq(channel_send(ends[0], "hello", 5, NULL, 0), 0);
    ck_assert_int_eq(channel_receive(ends[1], text, 5, &bytes, fds, &n_fds), 0);
}
END_TEST

START_TEST(hangup_comes_after_what_was_sent) {
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2];

    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(channel_send(ends[0], "last", 4, NULL, 0), 0);
    fd_close(ends[0]);
    ck_assert_int_eq(wait_for_fd(ends[1], WAIT_READ, FOR_EVER), WAIT_READ | WAIT_HANGUP);
    ck_assert_int_eq(receive(ends[1], text), 0);
    ck_assert_str_eq(text, "last");
    ck_assert_int_eq(receive(ends[1], text), -EPIPE);
    ck_assert_int_eq(receive(ends[1], text), -EPIPE);
    ck_assert_int_eq(channel_send(ends[1], "x", 1, NULL, 0), -EPIPE);
}
END_TEST

START_TEST(peer_that_left_without_reading_is_still_heard) {
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2];

    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(channel_send(ends[1], "never read", 10, NULL, 0), 0);
    ck_assert_int_eq(channel_send(ends[0], "refused", 7, NULL, 0), 0);
    fd_close(ends[0]);
    ck_assert_int_eq(receive(ends[1], text), 0);
    ck_assert_str_eq(text, "refused");
    ck_assert_int_eq(receive(ends[1], text), -EPIPE);
}
END_TEST

START_TEST(send_to_who_left_without_reading_is_a_hangup) {
    int ends[2];

    ck_assert_int_eq(channel_pair(ends), 0);
    ck_assert_int_eq(channel_send(ends[1], "never read", 10, NULL, 0), 0);
    fd_close(ends[0]);
    ck_assert_int_eq(channel_send(ends[1], "x", 1, NULL, 0), -EPIPE);
    ck_assert_int_eq(channel_send(ends[1], "x", 1, NULL, 0), -EPIPE);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_come_in_order_and_close_on_exec) {
    int ends[2], fds[CHANNEL_FDS_MAX], sent[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    char text[8];

    ck_assert_int_eq(channel_pair(ends), 0);
    for (size_t i = 0; i < ELEMENTS(sent); i++)
        ck_assert_int_ge(sent[i] = open(i % 2 ? "/dev/null" : "/dev/zero", O_RDONLY), 0);
    ck_assert_int_eq(channel_send(ends[0], "x", 1, sent, ELEMENTS(sent)), 0);
    ck_assert_int_eq(channel_receive(ends[1], text, sizeof(text), &bytes, fds, &n_fds), 0);
    ck_assert_uint_eq(n_fds, ELEMENTS(sent));
    for (size_t i = 0; i < n_fds; i++) {
        ck_assert_int_eq(read(fds[i], text, 1), i % 2 ? 0 : 1);
        ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        ck_assert_int_ge(fcntl(sent[i], F_GETFD), 0);
    }
}
END_TEST

/* More descriptors than channel_send() would send. */
static void send_raw(int fd, size_t n_fds) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(32 * sizeof(int))];
    } control = {.header = {CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec vector = {(char[]){"x"}, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    int fds[32] = {0};

    ck_assert_uint_le(n_fds, ELEMENTS(fds));
    memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
    ck_assert_int_eq(sendmsg(fd, &message, 0), 1);
}

START_TEST(too_many_descriptors_are_refused_and_none_stays) {
    static const size_t n[] = {CHANNEL_FDS_MAX + 1, 32};
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2];
    size_t before;

    ck_assert_int_eq(channel_pair(ends), 0);
    before = unit_n_fds();
    for (size_t i = 0; i < ELEMENTS(n); i++) {
        send_raw(ends[0], n[i]);
        ck_assert_int_eq(receive(ends[1], text), -EBADMSG);
        ck_assert_uint_eq(unit_n_fds(), before);
    }
}
END_TEST

/* As many descriptors as are open now, and @spare more. Return: the limit before. */
static rlim_t limit_fds(int spare) {
    int next = open("/dev/null", O_RDONLY);
    struct rlimit before;

    ck_assert_int_ge(next, 0);
    fd_close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)(next + spare), before.rlim_max}), 0);
    return before.rlim_cur;
}

START_TEST(descriptors_over_the_limit_are_an_error_of_our_own) {
    static const int sent[3] = {0, 1, 2};
    char text[CHANNEL_RECORD_MAX + 1];
    int ends[2];
    size_t before;

    ck_assert_int_eq(channel_pair(ends), 0);
    before = unit_n_fds();
    for (int spare = 0; spare < 3; spare++) {
        rlim_t limit = limit_fds(spare);
        int r;

        ck_assert_int_eq(channel_send(ends[0], "x", 1, sent, ELEMENTS(sent)), 0);
        r = receive(ends[1], text);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, limit}), 0);
        ck_assert_int_eq(r, -EMFILE);
        ck_assert_uint_eq(unit_n_fds(), before);
    }
}
END_TEST

START_TEST(descriptors_of_an_empty_record_do_not_stay) {
    char text[CHANNEL_RECORD_MAX + 1];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof(control)};
    int ends[2];
    size_t before;

    ck_assert_int_eq(channel_pair(ends), 0);
    before = unit_n_fds();
    ck_assert_int_eq(sendmsg(ends[0], &message, 0), 0);
    ck_assert_int_eq(receive(ends[1], text), -EPIPE);
    ck_assert_uint_eq(unit_n_fds(), before);
}
END_TEST

/* ---- listening ---- */

START_TEST(listen_lets_everybody_in_whatever_the_umask) {
    char below[96], at[112];
    int fd;

    snprintf(below, sizeof(below), "%s/run", directory);
    snprintf(at, sizeof(at), "%s/host.sock", below);
    umask(0077);
    fd = listen_at(at);
    ck_assert_uint_eq(mode_of(below), 0755);
    ck_assert_uint_eq(mode_of(at), 0666);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    connect_to(at);
    accept_from(fd);
    channel_unlink(at, fd);
    ck_assert_int_eq(rmdir(below), 0);
}
END_TEST

START_TEST(listen_leaves_a_directory_that_is_there_alone) {
    ck_assert_int_eq(chmod(directory, 0711), 0);
    listen_at(path);
    ck_assert_uint_eq(mode_of(directory), 0711);
}
END_TEST

START_TEST(listen_where_somebody_listens_is_refused) {
    int fd = listen_at(path), other = -7;

    ck_assert_int_eq(channel_listen(path, &other), -EADDRINUSE);
    ck_assert_int_eq(other, -7);
    ck_assert(exists(path));
    fd_close(fd);
}
END_TEST

START_TEST(listen_where_a_busy_or_foreign_host_listens_is_refused) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int busy = listen_at(path), stream = socket(AF_UNIX, SOCK_STREAM, 0), fd;

    ck_assert_int_eq(listen(busy, 0), 0);
    connect_to(path);
    ck_assert_int_eq(channel_connect(path, &fd), -EAGAIN);
    ck_assert_int_eq(channel_listen(path, &fd), -EADDRINUSE);
    ck_assert_int_eq(unlink(path), 0);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(stream, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(stream, 1), 0);
    ck_assert_int_eq(channel_listen(path, &fd), -EADDRINUSE);
    ck_assert(exists(path));
}
END_TEST

START_TEST(listen_replaces_what_a_dead_host_has_left) {
    int fd = listen_at(path);

    fd_close(fd);
    ck_assert(exists(path));
    fd = listen_at(path);
    connect_to(path);
    accept_from(fd);
}
END_TEST

START_TEST(listen_spares_what_is_no_socket) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600), other;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(channel_listen(path, &other), -ENOTSOCK);
    ck_assert(exists(path));
}
END_TEST

START_TEST(listen_at_a_path_that_is_none_is_refused) {
    char longest[CHANNEL_PATH_MAX + 1];
    int fd = -7;

    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(channel_listen(longest, &fd), -ENAMETOOLONG);
    ck_assert_int_eq(channel_connect(longest, &fd), -ENAMETOOLONG);
    ck_assert_int_eq(channel_listen("/nonexistent/folder/host.sock", &fd), -ENOENT);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(listen_while_another_host_starts_is_refused) {
    char lock[96];
    int fd, held;

    snprintf(lock, sizeof(lock), "%s.lock", path);
    held = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    ck_assert_int_eq(channel_listen(path, &fd), -EADDRINUSE);
    ck_assert(!exists(path));
    ck_assert(exists(lock));
    fd_close(held);
    listen_at(path);
}
END_TEST

START_TEST(listen_is_not_hindered_by_the_lock_of_a_killed_host) {
    char lock[96];

    snprintf(lock, sizeof(lock), "%s.lock", path);
    ck_assert_int_ge(open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600), 0);
    listen_at(path);
    ck_assert(!exists(lock));
}
END_TEST

/*
 * A child that waits for @gate to close, then listens, reports whether it could, and goes on until @end
 * closes. It exits with 0 if it could, 1 if somebody else listened.
 */
static pid_t start_host(const int gate[2], const int end[2], int report) {
    pid_t pid = fork();
    int fd, r;
    char byte;

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    fd_close(gate[1]);
    fd_close(end[1]);
    if (read(gate[0], &byte, 1) != 0)
        _exit(2);
    r = channel_listen(path, &fd);
    byte = (char)(r == 0);
    if (write(report, &byte, 1) != 1 || read(end[0], &byte, 1) != 0)
        _exit(2);
    _exit(r == 0 ? 0 : r == -EADDRINUSE ? 1 : 2);
}

START_TEST(listen_of_many_at_once_succeeds_for_one) {
    enum { N = 8 };
    int gate[2], end[2], report[2], n_listening = 0;
    pid_t pids[N];
    char byte;

    fd_close(listen_at(path));
    ck_assert_int_eq(pipe2(gate, O_CLOEXEC) | pipe2(end, O_CLOEXEC) | pipe2(report, O_CLOEXEC), 0);
    for (int i = 0; i < N; i++)
        pids[i] = start_host(gate, end, report[1]);
    fd_close(gate[1]);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(read(report[0], &byte, 1), 1);
        n_listening += byte;
    }
    ck_assert_int_eq(n_listening, 1);
    connect_to(path);
    fd_close(end[1]);
    for (int i = 0; i < N; i++) {
        int status;

        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    }
}
END_TEST

START_TEST(unlink_removes_ones_own) {
    int fd = listen_at(path);

    channel_unlink(path, fd);
    ck_assert(!exists(path));
    channel_unlink(path, fd);
}
END_TEST

START_TEST(unlink_spares_anothers) {
    int gate[2], end[2], report[2], fd = listen_at(path);
    pid_t pid;
    char byte;

    ck_assert_int_eq(pipe2(gate, O_CLOEXEC) | pipe2(end, O_CLOEXEC) | pipe2(report, O_CLOEXEC), 0);
    ck_assert_int_eq(unlink(path), 0);
    pid = start_host(gate, end, report[1]);
    fd_close(gate[1]);
    ck_assert_int_eq(read(report[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 1);
    channel_unlink(path, fd);
    ck_assert(exists(path));
    fd_close(end[1]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    channel_unlink(path, fd);
    ck_assert(exists(path));
}
END_TEST

/* ---- connecting ---- */

START_TEST(connect_says_that_there_is_no_host) {
    int fd = -7;

    ck_assert_int_eq(channel_connect(path, &fd), -ENOENT);
    fd_close(listen_at(path));
    ck_assert_int_eq(channel_connect(path, &fd), -ECONNREFUSED);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(connect_to_a_full_backlog_returns_at_once) {
    int listener = listen_at(path), fd, r = 0;

    ck_assert_int_eq(listen(listener, 1), 0);
    for (int i = 0; r == 0 && i < 16; i++)
        r = channel_connect(path, &fd);
    ck_assert_int_eq(r, -EAGAIN);
    accept_from(listener);
    ck_assert_int_eq(channel_connect(path, &fd), 0);
}
END_TEST

static int connect_as(void *data) {
    int fd;

    return -channel_connect(data, &fd);
}

START_TEST(connect_without_the_right_is_refused) {
    listen_at(path);
    ck_assert_int_eq(chmod(directory, 0755), 0);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, connect_as, path), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, connect_as, path), EACCES);
}
END_TEST

START_TEST(accept_never_blocks) {
    int listener = listen_at(path), fd = -7;

    ck_assert_int_eq(channel_accept(listener, &fd), -EAGAIN);
    let_block(listener);
    ck_assert_int_eq(channel_accept(listener, &fd), -EAGAIN);
    ck_assert_int_eq(fd, -7);
    connect_to(path);
    fd = accept_from(listener);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(shed_turns_away_one_when_descriptors_are_out) {
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int listener = listen_at(path), first = connect_to(path), second = connect_to(path), fd = -7;
    rlim_t limit = limit_fds(0);
    int refused = channel_accept(listener, &fd), shed = channel_shed(listener, &spare, "no", 2);
    char said[CHANNEL_RECORD_MAX];

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, limit}), 0);
    ck_assert_int_eq(refused, -EMFILE);
    ck_assert_int_eq(shed, 0);
    ck_assert_int_ge(fcntl(spare, F_GETFD), 0);
    ck_assert_int_eq(wait_for_fd(first, 0, FOR_EVER), WAIT_HANGUP);
    ck_assert_int_eq(recv(first, said, sizeof(said), 0), 2);
    ck_assert_int_eq(recv(first, said, sizeof(said), 0), 0);
    ck_assert_int_eq(wait_for_fd(second, 0, 0), 0);
    accept_from(listener);
    ck_assert_int_eq(channel_shed(listener, &spare, "no", 2), -EAGAIN);
    ck_assert_int_ge(fcntl(spare, F_GETFD), 0);
}
END_TEST

/* ---- who is there ---- */

START_TEST(peer_is_who_has_connected) {
    int listener = listen_at(path), client = connect_to(path);
    ChannelPeer peer = CHANNEL_PEER_NULL;
    gid_t groups[64];
    int n_groups = getgroups((int)ELEMENTS(groups), groups), fd = accept_from(listener);
    size_t before;

    fd_close(client);
    before = unit_n_fds();
    ck_assert_int_eq(channel_peer(fd, &peer), 0);
    ck_assert_int_eq(peer.pid, getpid());
    ck_assert_uint_eq(peer.uid, geteuid());
    ck_assert_uint_eq(peer.gid, getegid());
    ck_assert_int_eq((int)peer.n_groups, n_groups);
    channel_peer_deinit(&peer);
    ck_assert_uint_eq(unit_n_fds(), before);
    ck_assert_int_eq(peer.pidfd, -1);
    ck_assert_ptr_null(peer.groups);
    channel_peer_deinit(&peer);
}
END_TEST

/* A child that connects, with @n_groups supplementary groups if it may, and stays until it is killed. */
static pid_t start_client(int n_groups) {
    pid_t pid = fork();
    gid_t groups[100];
    int fd;

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    for (int i = 0; i < n_groups; i++)
        groups[i] = (gid_t)(70000 + i);
    if (n_groups > 0 &&
        (setgroups((size_t)n_groups, groups) < 0 || setgid(UNIT_UID) < 0 || setuid(UNIT_UID) < 0))
        _exit(1);
    if (channel_connect(path, &fd) < 0)
        _exit(1);
    for (;;)
        pause();
}

START_TEST(peer_pidfd_tells_its_exit) {
    int listener = listen_at(path);
    pid_t pid = start_client(0);
    ChannelPeer peer;

    ck_assert_int_eq(wait_for_fd(listener, WAIT_READ, FOR_EVER), WAIT_READ);
    ck_assert_int_eq(channel_peer(accept_from(listener), &peer), 0);
    ck_assert_int_eq(peer.pid, pid);
    ck_assert_int_ge(peer.pidfd, 0);
    ck_assert_int_eq(fcntl(peer.pidfd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(wait_for_fd(peer.pidfd, WAIT_READ, 0), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(wait_for_fd(peer.pidfd, WAIT_READ, FOR_EVER) & WAIT_READ, WAIT_READ);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    channel_peer_deinit(&peer);
}
END_TEST

START_TEST(peer_that_is_gone_never_seems_alive) {
    int listener = listen_at(path), fd;
    pid_t pid = start_client(0);
    ChannelPeer peer;

    ck_assert_int_eq(wait_for_fd(listener, WAIT_READ, FOR_EVER), WAIT_READ);
    fd = accept_from(listener);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(channel_peer(fd, &peer), 0);
    ck_assert_int_eq(peer.pid, pid);
    ck_assert(peer.pidfd < 0 || wait_for_fd(peer.pidfd, WAIT_READ, 0) > 0);
    channel_peer_deinit(&peer);
}
END_TEST

/* From now on this process's kernel knows no SO_PEERPIDFD, as before Linux 6.5. */
static void forget_peerpidfd(void) {
    enum { PEERPIDFD = 77 };
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PEERPIDFD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ELEMENTS(filter), filter};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(peer_pidfd_is_had_on_older_kernels_too) {
    int listener = listen_at(path), fd;
    pid_t pid = start_client(0);
    ChannelPeer peer;

    forget_peerpidfd();
    ck_assert_int_eq(wait_for_fd(listener, WAIT_READ, FOR_EVER), WAIT_READ);
    fd = accept_from(listener);
    ck_assert_int_eq(channel_peer(fd, &peer), 0);
    ck_assert_int_ge(peer.pidfd, 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(wait_for_fd(peer.pidfd, WAIT_READ, FOR_EVER) & WAIT_READ, WAIT_READ);
    channel_peer_deinit(&peer);
    /* It has exited, its number is still its own, but its end of the socket is gone: no telling any more. */
    ck_assert_int_eq(wait_for_fd(fd, 0, FOR_EVER), WAIT_HANGUP);
    ck_assert_int_eq(channel_peer(fd, &peer), 0);
    ck_assert_int_eq(peer.pidfd, -1);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(channel_peer(fd, &peer), 0);
    ck_assert_int_eq(peer.pidfd, -1);
    channel_peer_deinit(&peer);
}
END_TEST

START_TEST(peer_groups_come_however_many) {
    int listener, n[] = {1, 3, 100};

    ck_assert_int_eq(chmod(directory, 0755), 0);
    listener = listen_at(path);
    for (size_t i = 0; i < ELEMENTS(n); i++) {
        pid_t pid = start_client(n[i]);
        ChannelPeer peer;

        ck_assert_int_eq(wait_for_fd(listener, WAIT_READ, FOR_EVER), WAIT_READ);
        ck_assert_int_eq(channel_peer(accept_from(listener), &peer), 0);
        ck_assert_uint_eq(peer.uid, UNIT_UID);
        ck_assert_uint_eq(peer.gid, UNIT_UID);
        ck_assert_int_eq((int)peer.n_groups, n[i]);
        for (int k = 0; k < n[i]; k++)
            ck_assert_uint_eq(peer.groups[k], (gid_t)(70000 + k));
        channel_peer_deinit(&peer);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    }
}
END_TEST

START_TEST(what_is_no_socket_has_no_peer) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ChannelPeer peer = CHANNEL_PEER_NULL;
    char text[CHANNEL_RECORD_MAX + 1];

    ck_assert_int_eq(channel_peer(fd, &peer), -ENOTSOCK);
    ck_assert_int_eq(peer.pidfd, -1);
    ck_assert_int_eq(channel_send(fd, "x", 1, NULL, 0), -ENOTSOCK);
    ck_assert_int_eq(receive(fd, text), -ENOTSOCK);
}
END_TEST

static void add_records(Suite *suite) {
    TCase *tests = tcase_create("records");

    tcase_add_test(tests, record_comes_whole_and_in_order);
    tcase_add_test(tests, send_refuses_what_is_no_record);
    tcase_add_test(tests, receive_never_blocks);
    tcase_add_test(tests, send_to_who_does_not_read_never_blocks);
    tcase_add_test(tests, truncated_record_is_refused);
    tcase_add_test(tests, hangup_comes_after_what_was_sent);
    tcase_add_test(tests, peer_that_left_without_reading_is_still_heard);
    tcase_add_test(tests, send_to_who_left_without_reading_is_a_hangup);
    tcase_add_test(tests, descriptors_come_in_order_and_close_on_exec);
    tcase_add_test(tests, too_many_descriptors_are_refused_and_none_stays);
    tcase_add_test(tests, descriptors_over_the_limit_are_an_error_of_our_own);
    tcase_add_test(tests, descriptors_of_an_empty_record_do_not_stay);
    tcase_add_test(tests, what_is_no_socket_has_no_peer);
    suite_add_tcase(suite, tests);
}

static void add_listening(TCase *tests) {
    tcase_add_test(tests, listen_lets_everybody_in_whatever_the_umask);
    tcase_add_test(tests, listen_leaves_a_directory_that_is_there_alone);
    tcase_add_test(tests, listen_where_somebody_listens_is_refused);
    tcase_add_test(tests, listen_where_a_busy_or_foreign_host_listens_is_refused);
    tcase_add_test(tests, listen_replaces_what_a_dead_host_has_left);
    tcase_add_test(tests, listen_spares_what_is_no_socket);
    tcase_add_test(tests, listen_at_a_path_that_is_none_is_refused);
    tcase_add_test(tests, listen_while_another_host_starts_is_refused);
    tcase_add_test(tests, listen_is_not_hindered_by_the_lock_of_a_killed_host);
    tcase_add_test(tests, listen_of_many_at_once_succeeds_for_one);
    tcase_add_test(tests, unlink_removes_ones_own);
    tcase_add_test(tests, unlink_spares_anothers);
}

static void add_connecting(TCase *tests) {
    tcase_add_test(tests, connect_says_that_there_is_no_host);
    tcase_add_test(tests, connect_to_a_full_backlog_returns_at_once);
    tcase_add_test(tests, accept_never_blocks);
    tcase_add_test(tests, shed_turns_away_one_when_descriptors_are_out);
    tcase_add_test(tests, peer_is_who_has_connected);
    tcase_add_test(tests, peer_pidfd_tells_its_exit);
    tcase_add_test(tests, peer_that_is_gone_never_seems_alive);
    tcase_add_test(tests, peer_pidfd_is_had_on_older_kernels_too);
    if (unit_is_root()) {
        tcase_add_test(tests, connect_without_the_right_is_refused);
        tcase_add_test(tests, peer_groups_come_however_many);
    }
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("channel");
    TCase *tests = tcase_create("sockets");

    tcase_add_checked_fixture(tests, enter_directory, leave_directory);
    add_listening(tests);
    add_connecting(tests);
    add_records(suite);
    suite_add_tcase(suite, tests);
    return suite;
}
