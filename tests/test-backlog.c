/* SPDX-License-Identifier: MIT */
/*
 * A crowd in front of the host: connecting where the backlog is full
 *
 * A listener with a backlog of nothing has room for one; nobody accepts it before the test says so.
 */
#include "os/channel.h"
#include "base/units.h"
#include "os/wait.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[] = "/tmp/shmipc-backlog-XXXXXX";
static char path[64];
static int listener;

static void set_up(void) {
    int fd, r = 0;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/host.sock", folder);
    ck_assert_int_eq(channel_listen(path, &listener), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    while (r == 0)
        r = channel_connect(path, &fd);
    ck_assert_int_eq(r, -EAGAIN);
}

static void tear_down(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* One that connects, in a thread. */
typedef struct Knock {
    pthread_t thread;
    pid_t tid;
    int fd;
    int r;
} Knock;

static void *knock_forever(void *data) {
    Knock *knock = data;

    __atomic_store_n(&knock->tid, gettid(), __ATOMIC_RELEASE);
    knock->r = channel_connect_until(path, UINT64_MAX, &knock->fd);
    return NULL;
}

/* What the kernel calls the call that a thread is in: 0 while it runs. */
static long call_of(pid_t tid) {
    char name[64];
    long call = 0;
    FILE *file;

    snprintf(name, sizeof(name), "/proc/self/task/%d/syscall", (int)tid);
    file = fopen(name, "re");
    ck_assert_ptr_nonnull(file);
    if (fscanf(file, "%ld", &call) != 1)
        call = 0;
    fclose(file);
    return call;
}

/* Return: when it sleeps in connect(). */
static void start_knocking(Knock *knock) {
    const struct timespec moment = {.tv_nsec = NS_PER_MS};
    long call;

    *knock = (Knock){.fd = -1, .r = 1};
    ck_assert_int_eq(pthread_create(&knock->thread, NULL, knock_forever, knock), 0);
    do {
        pid_t tid = __atomic_load_n(&knock->tid, __ATOMIC_ACQUIRE);

        nanosleep(&moment, NULL);
        call = tid ? call_of(tid) : 0;
    } while (call != SYS_connect);
}

static void accept_one(void) {
    int fd;

    ck_assert_int_eq(channel_accept(listener, &fd), 0);
    fd_close(fd);
}

START_TEST(connect_waits_for_a_place) {
    Knock knock;

    start_knocking(&knock);
    accept_one();
    ck_assert_int_eq(pthread_join(knock.thread, NULL), 0);
    ck_assert_int_eq(knock.r, 0);
    ck_assert_int_ne(fcntl(knock.fd, F_GETFL) & O_NONBLOCK, 0);
    accept_one();
}
END_TEST

START_TEST(connect_hears_that_the_host_has_gone_as_it_waits) {
    Knock knock;

    start_knocking(&knock);
    fd_close(listener);
    ck_assert_int_eq(pthread_join(knock.thread, NULL), 0);
    ck_assert_int_eq(knock.r, -ECONNREFUSED);
    ck_assert_int_eq(knock.fd, -1);
}
END_TEST

START_TEST(connect_gives_up_when_its_time_is_over) {
    uint64_t until_ns = clock_now_ns() + 20 * NS_PER_MS;
    int fd = -7;

    ck_assert_int_eq(channel_connect_until(path, until_ns, &fd), -EAGAIN);
    ck_assert_uint_ge(clock_now_ns(), until_ns);
    ck_assert_int_eq(channel_connect_until(path, until_ns, &fd), -EAGAIN); /* it is past */
    ck_assert_int_eq(channel_connect_until(path, 0, &fd), -EAGAIN);
    ck_assert_int_eq(fd, -7);
    accept_one();
    ck_assert_int_eq(channel_connect_until(path, 0, &fd), 0);
}
END_TEST

static void do_nothing(int signal_number) {
    (void)signal_number;
}

START_TEST(connect_goes_on_waiting_after_a_signal) {
    const struct sigaction action = {.sa_handler = do_nothing};
    Knock knock;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    start_knocking(&knock);
    ck_assert_int_eq(pthread_kill(knock.thread, SIGUSR1), 0);
    while (call_of(knock.tid) != SYS_connect)
        sched_yield();
    accept_one();
    ck_assert_int_eq(pthread_join(knock.thread, NULL), 0);
    ck_assert_int_eq(knock.r, 0);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("backlog");
    TCase *tests = tcase_create("crowd");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, connect_waits_for_a_place);
    tcase_add_test(tests, connect_hears_that_the_host_has_gone_as_it_waits);
    tcase_add_test(tests, connect_gives_up_when_its_time_is_over);
    tcase_add_test(tests, connect_goes_on_waiting_after_a_signal);
    suite_add_tcase(suite, tests);
    return suite;
}
