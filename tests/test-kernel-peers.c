/* SPDX-License-Identifier: MIT */
/*
 * What the kernel does with sockets and processes, where the design leans on it: see test-kernel.c.
 */
#include "base/cleanup.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* What poll() finds without waiting. */
static short found(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    ck_assert_int_ge(poll(&pollfd, 1, 0), 0);
    return pollfd.revents;
}

/* Wait until poll() finds this. */
static void find(int fd, short events) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    do
        ck_assert_int_eq(poll(&pollfd, 1, -1), 1);
    while (!(pollfd.revents & events));
}

static void make_pair(int ends[static 2]) {
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
}

/* A child that does nothing until it is killed. */
static pid_t start_child(void) {
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    while (pid == 0)
        pause();
    return pid;
}

static int open_pidfd(pid_t pid) {
    int pidfd = pidfd_open(pid, 0);

    ck_assert_int_ge(pidfd, 0);
    return pidfd;
}

static void reap(pid_t pid) {
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- processes ---- */

START_TEST(pidfd_is_readable_after_exit_reaped_or_not) {
    pid_t pid = start_child();
    int pidfd = open_pidfd(pid);

    ck_assert_int_eq(found(pidfd), 0);
    ck_assert_int_eq(pidfd_send_signal(pidfd, SIGKILL, NULL, 0), 0);
    find(pidfd, POLLIN);
    ck_assert_int_eq(pidfd_send_signal(pidfd, 0, NULL, 0), 0);
    reap(pid);
    ck_assert_int_ne(found(pidfd), 0);
    ck_assert_int_eq(pidfd_send_signal(pidfd, SIGKILL, NULL, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(pidfd_of_a_stopped_process_is_not_readable) {
    pid_t pid = start_child();
    int pidfd = open_pidfd(pid), status;

    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    ck_assert_int_eq(found(pidfd), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    find(pidfd, POLLIN);
    reap(pid);
}
END_TEST

static int kill_through(void *data) {
    return pidfd_send_signal(*(int *)data, SIGKILL, NULL, 0) < 0 ? errno : 0;
}

START_TEST(pidfd_gives_no_right_to_kill) {
    pid_t pid = start_child();
    int pidfd = open_pidfd(pid);

    ck_assert_int_eq(unit_as_uid(UNIT_UID, kill_through, &pidfd), EPERM);
    ck_assert_int_eq(found(pidfd), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    reap(pid);
}
END_TEST

/* A thread that starts a child which asks for a signal at its parent's death, and ends. */
static void *start_orphan(void *data) {
    int armed[2];
    char byte;
    pid_t pid;

    if (pipe(armed) < 0)
        return NULL;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(armed[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    *(pid_t *)data = pid;
    return read(armed[0], &byte, 1) == 1 ? data : NULL;
}

START_TEST(parent_death_signal_comes_when_the_thread_ends) {
    pthread_t thread;
    void *result;
    int status;
    pid_t pid;

    ck_assert_int_eq(pthread_create(&thread, NULL, start_orphan, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &pid);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(orphans_are_handed_to_the_subreaper) {
    int report[2];
    pid_t pid, orphan;

    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    ck_assert_int_eq(pipe(report), 0);
    pid = fork();
    if (pid == 0) {
        orphan = fork();
        while (orphan == 0)
            pause();
        _exit(write(report[1], &orphan, sizeof(orphan)) != sizeof(orphan));
    }
    reap(pid);
    ck_assert_int_eq(read(report[0], &orphan, sizeof(orphan)), sizeof(orphan));
    ck_assert_int_eq(kill(orphan, SIGKILL), 0);
    reap(orphan);
}
END_TEST

/* ---- sockets ---- */

START_TEST(hangup_is_kept_away_by_who_inherited_the_socket_but_not_from_the_pidfd) {
    int ends[2], ready[2], pidfd;
    pid_t peer, heir;

    make_pair(ends);
    ck_assert_int_eq(pipe(ready), 0);
    peer = fork();
    if (peer == 0) {
        heir = fork();
        if (heir > 0 && write(ready[1], &heir, sizeof(heir)) != sizeof(heir))
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    ck_assert_int_eq(read(ready[0], &heir, sizeof(heir)), sizeof(heir));
    pidfd = open_pidfd(peer);
    ck_assert_int_eq(kill(peer, SIGKILL), 0);
    find(pidfd, POLLIN);
    reap(peer);
    ck_assert_int_eq(found(ends[0]), 0);
    ck_assert_int_eq(kill(heir, SIGKILL), 0);
    find(ends[0], POLLHUP);
}
END_TEST

START_TEST(reset_is_said_once_before_what_the_peer_had_sent) {
    char data[8];
    int ends[2];

    make_pair(ends);
    ck_assert_int_eq(send(ends[0], "unread", 6, 0), 6);
    ck_assert_int_eq(send(ends[1], "last", 4, 0), 4);
    close(ends[1]);
    ck_assert_int_eq(recv(ends[0], data, sizeof(data), 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    ck_assert_int_eq(recv(ends[0], data, sizeof(data), 0), 4);
    ck_assert_int_eq(recv(ends[0], data, sizeof(data), 0), 0);
}
END_TEST

static void set_address(struct sockaddr_un *address, const char *directory) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/socket", directory);
}

static int make_socket(void) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(fd, 0);
    return fd;
}

/* In a folder of its own, with clients that have connected; remove_listener() ends both. */
static int make_listener(struct sockaddr_un *ret_address, int n_clients, int clients[]) {
    char directory[] = "/tmp/shmipc-test.XXXXXX";
    int listener = make_socket();

    ck_assert_ptr_nonnull(mkdtemp(directory));
    set_address(ret_address, directory);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)ret_address, sizeof(*ret_address)), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    for (int i = 0; i < n_clients; i++) {
        clients[i] = make_socket();
        ck_assert_int_eq(connect(clients[i], (struct sockaddr *)ret_address, sizeof(*ret_address)), 0);
    }
    return listener;
}

static void remove_listener(const struct sockaddr_un *address) {
    char directory[sizeof(address->sun_path)];

    strcpy(directory, address->sun_path);
    *strrchr(directory, '/') = '\0';
    ck_assert_int_eq(unlink(address->sun_path) | rmdir(directory), 0);
}

START_TEST(path_without_a_listener_refuses) {
    struct sockaddr_un address;
    int listener = make_listener(&address, 0, NULL);

    close(listener);
    ck_assert_int_eq(connect(make_socket(), (struct sockaddr *)&address, sizeof(address)), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    remove_listener(&address);
}
END_TEST

START_TEST(listener_knows_the_credentials_that_its_clients_see) {
    struct ucred own, seen;
    socklen_t bytes = sizeof(own);
    struct sockaddr_un address;
    int client, listener = make_listener(&address, 1, &client);

    remove_listener(&address);
    ck_assert_int_eq(getsockopt(listener, SOL_SOCKET, SO_PEERCRED, &own, &bytes), 0);
    ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &seen, &bytes), 0);
    ck_assert_int_eq(own.pid, getpid());
    ck_assert_mem_eq(&own, &seen, sizeof(own));
}
END_TEST

START_TEST(listener_out_of_descriptors_stays_readable) {
    struct sockaddr_un address;
    struct rlimit limit;
    int client, listener = make_listener(&address, 1, &client), r, error;

    remove_listener(&address);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, limit.rlim_max}), 0);
    r = accept(listener, NULL, NULL);
    error = errno;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(r, -1);
    ck_assert_int_eq(error, EMFILE);
    ck_assert_int_eq(found(listener), POLLIN);
}
END_TEST

START_TEST(peer_groups_ask_for_the_room_they_need) {
    static const gid_t groups[] = {70001, 70002, 70003};
    gid_t got[ELEMENTS(groups)];
    socklen_t bytes = 0;
    struct ucred credentials;
    socklen_t credentials_bytes = sizeof(credentials);
    int ends[2];

    ck_assert_int_eq(setgroups(ELEMENTS(groups), groups), 0);
    make_pair(ends);
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &credentials, &credentials_bytes), 0);
    ck_assert_uint_eq(credentials.gid, getegid());
    ck_assert_int_eq(getsockopt(ends[0], SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes), -1);
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_uint_eq(bytes, sizeof(groups));
    ck_assert_int_eq(getsockopt(ends[0], SOL_SOCKET, SO_PEERGROUPS, got, &bytes), 0);
    ck_assert_mem_eq(got, groups, sizeof(groups));
}
END_TEST

static bool has_peerpidfd(void) {
    int ends[2], pidfd;
    socklen_t bytes = sizeof(pidfd);

    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0 &&
           getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0;
}

START_TEST(peer_pidfd_is_of_who_connected) {
    int client, listener, peer, pidfd = -1;
    struct sockaddr_un address;
    socklen_t bytes = sizeof(pidfd);
    pid_t pid;

    listener = make_listener(&address, 0, NULL);
    pid = fork();
    if (pid == 0) {
        client = make_socket();
        if (connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    find(listener, POLLIN);
    remove_listener(&address);
    peer = accept(listener, NULL, NULL);
    ck_assert_int_eq(getsockopt(peer, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes), 0);
    ck_assert_int_eq(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(found(pidfd), 0);
    ck_assert_int_eq(pidfd_send_signal(pidfd, SIGKILL, NULL, 0), 0);
    reap(pid);
    find(pidfd, POLLIN);
}
END_TEST

/* ---- waiting and locks ---- */

START_TEST(epoll_forgets_a_descriptor_only_with_its_description) {
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(0), ends[2], passed;

    ck_assert_int_eq(pipe(ends), 0);
    passed = dup(ends[0]);
    ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    close(ends[0]);
    ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 1);
    ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL), -1);
    ck_assert_int_eq(errno, EBADF);
    close(passed);
    ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
}
END_TEST

START_TEST(epoll_set_is_readable_when_its_timer_expires) {
    struct epoll_event event = {.events = EPOLLIN};
    struct itimerspec past = {.it_value.tv_nsec = 1}, far = {.it_value.tv_sec = INT32_MAX};
    int set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t n;

    ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, timer, &event), 0);
    ck_assert_int_eq(found(set), 0);
    ck_assert_int_eq(timerfd_settime(timer, TFD_TIMER_ABSTIME, &past, NULL), 0);
    find(set, POLLIN);
    ck_assert_int_eq(timerfd_settime(timer, TFD_TIMER_ABSTIME, &far, NULL), 0);
    ck_assert_int_eq(read(timer, &n, sizeof(n)), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(found(set), 0);
}
END_TEST

static int lock(void *data) {
    int fd = open(data, O_RDONLY | O_DIRECTORY);

    return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
}

START_TEST(directory_is_locked_by_anybody_who_may_read_it) {
    char directory[] = "/tmp/shmipc-test.XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(unit_as_uid(UNIT_UID, lock, directory), EACCES);
    ck_assert_int_eq(chmod(directory, 0755), 0);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, lock, directory), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static void add_sockets(Suite *suite) {
    TCase *tests = tcase_create("sockets");

    tcase_add_test(tests, hangup_is_kept_away_by_who_inherited_the_socket_but_not_from_the_pidfd);
    tcase_add_test(tests, reset_is_said_once_before_what_the_peer_had_sent);
    tcase_add_test(tests, path_without_a_listener_refuses);
    tcase_add_test(tests, listener_knows_the_credentials_that_its_clients_see);
    tcase_add_test(tests, listener_out_of_descriptors_stays_readable);
    if (has_peerpidfd())
        tcase_add_test(tests, peer_pidfd_is_of_who_connected);
    if (unit_is_root())
        tcase_add_test(tests, peer_groups_ask_for_the_room_they_need);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("kernel-peers");
    TCase *tests = tcase_create("processes");

    tcase_add_test(tests, pidfd_is_readable_after_exit_reaped_or_not);
    tcase_add_test(tests, pidfd_of_a_stopped_process_is_not_readable);
    tcase_add_test(tests, parent_death_signal_comes_when_the_thread_ends);
    tcase_add_test(tests, orphans_are_handed_to_the_subreaper);
    tcase_add_test(tests, epoll_forgets_a_descriptor_only_with_its_description);
    tcase_add_test(tests, epoll_set_is_readable_when_its_timer_expires);
    if (unit_is_root()) {
        tcase_add_test(tests, pidfd_gives_no_right_to_kill);
        tcase_add_test(tests, directory_is_locked_by_anybody_who_may_read_it);
    }
    suite_add_tcase(suite, tests);
    add_sockets(suite);
    return suite;
}
