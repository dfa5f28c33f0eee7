/* SPDX-License-Identifier: MIT */
#include "os/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_FD 3 /* in the keeper: behind the command's 0, 1 and 2 */
#define N_FDS     4

/*
 * Put the four descriptors that are wanted to 0 to 3 and close all others. They may lie in each other's way,
 * so they are first moved out of it.
 */
static int descriptors_arrange(const KeeperOrder *order) {
    const int from[N_FDS] = {order->fds[0], order->fds[1], order->fds[2], order->report_fd};
    int aside[N_FDS];

    for (int i = 0; i < N_FDS; i++) {
        aside[i] = fcntl(from[i], F_DUPFD_CLOEXEC, N_FDS);
        if (aside[i] < 0)
            return -errno;
    }
    for (int i = 0; i < N_FDS; i++)
        if (dup3(aside[i], i, i == REPORT_FD ? O_CLOEXEC : 0) < 0)
            return -errno;
    return close_range(N_FDS, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* The worker's handlers are not for us; and what is ignored would stay so in the command. */
static void signals_reset(void) {
    const struct sigaction action = {.sa_handler = SIG_DFL};

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
}

/* Return: whether it was told. It is so short that a pipe takes it whole, unless nobody reads any more. */
static bool report(int fd, KeeperReport report) {
    return write(fd, &report, sizeof(report)) == sizeof(report);
}

static _Noreturn void give_up(int fd, int error) {
    (void)report(fd, (KeeperReport){.error = error});
    _exit(EXIT_FAILURE);
}

/* ---- the start ---- */

/* In the command's process, which shares our memory until execve(). */
static _Noreturn void command_run(const KeeperOrder *order, pid_t keeper, volatile int *error) {
    sigset_t none;

    if (!report(REPORT_FD, (KeeperReport){.pid = getpid()}))
        _exit(EXIT_FAILURE);
    (void)sigemptyset(&none);
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0 && getppid() == keeper)
        (void)execve(order->path, order->argv, order->environment);
    *error = -errno;
    _exit(EXIT_FAILURE);
}

/* Return: its pid, or negative errno. */
static pid_t command_start(const KeeperOrder *order) {
    const pid_t keeper = getpid();
    volatile int error = 0;
    siginfo_t ended;
    pid_t pid = vfork();

    if (pid == 0)
        command_run(order, keeper, &error);
    if (pid < 0)
        return -errno;
    if (error == 0)
        return pid;
    /* It has given our memory back, but maybe not yet closed its descriptors, which are said to be free. */
    (void)waitid(P_PID, (id_t)pid, &ended, WEXITED);
    return error;
}

/* ---- the end ---- */

/* Until the command has exited, which stays unreaped so that its id is not reused, or we are told to end. */
static void command_watch(pid_t command) {
    sigset_t signals;
    siginfo_t ended;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    do {
        for (;;) {
            ended.si_pid = 0;
            if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || ended.si_pid == 0)
                break;
            if (ended.si_pid == command)
                return;
            /* A descendant that lost its parents. */
            (void)waitid(P_PID, (id_t)ended.si_pid, &ended, WEXITED);
        }
    } while (sigwaitinfo(&signals, NULL) != SIGTERM);
}

/*
 * Kill the command with its process group, whose id is its own until it is reaped: all in one step, which
 * nobody in it can outrun by forking. Return: its status.
 */
static int command_end(pid_t command) {
    siginfo_t ended = {0};
    bool may_kill;

    (void)kill(-command, SIGKILL);
    may_kill = kill(command, SIGKILL) == 0;
    if (waitid(P_PID, (id_t)command, &ended, WEXITED | (may_kill ? 0 : WNOHANG)) < 0 || ended.si_pid == 0)
        return -SIGKILL;
    return ended.si_code == CLD_EXITED ? ended.si_status : -ended.si_status;
}

/* Return: how many could be killed, those with them that are dead and not yet reaped. */
static size_t children_kill(void) {
    char text[512];
    size_t n_killed = 0;
    pid_t pid = 0;
    ssize_t bytes;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);

    /* "12 345 6789 ", which a read may cut anywhere */
    while (fd >= 0 && (bytes = read(fd, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < bytes; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            n_killed += pid > 0 && kill(pid, SIGKILL) == 0;
            pid = 0;
        }
    if (fd >= 0)
        (void)close(fd);
    return n_killed;
}

/*
 * Kill everything that is ours. The children of those that die become our children, down to the last; each
 * death of a child is a reason to look again. The list is reliable, since nobody else reaps from it. When
 * only those are left whom we may not kill, that is the end of it: they would keep us for ever.
 */
static void descendants_end(void) {
    siginfo_t ended;

    for (;;) {
        ended.si_pid = 0;
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) < 0)
            return;
        if (ended.si_pid != 0)
            continue;
        if (children_kill() == 0)
            return;
        (void)waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT);
    }
}

/* ---- the keeper ---- */

static int keeper_init(const KeeperOrder *order) {
    (void)prctl(PR_SET_NAME, "shmipc-keeper");
    signals_reset();
    if (setpgid(0, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        return -errno;
    /* Whoever died before that cannot tell us any more. */
    if (getppid() != order->parent)
        _exit(EXIT_FAILURE);
    return descriptors_arrange(order);
}

_Noreturn void keeper_run(const KeeperOrder *order) {
    pid_t command;
    int r, status;

    r = keeper_init(order);
    if (r < 0)
        give_up(order->report_fd, r);
    command = command_start(order);
    if (command < 0)
        give_up(REPORT_FD, command);
    /* Its pipes are its own: while we hold an end too, nobody sees it close. */
    (void)close_range(0, REPORT_FD - 1, 0);
    /* Whoever has not heard of it would wait for ever: it ends at once. */
    if (report(REPORT_FD, (KeeperReport){.pid = command}))
        command_watch(command);
    status = command_end(command);
    descendants_end();
    (void)report(REPORT_FD, (KeeperReport){.pid = command, .status = status});
    _exit(EXIT_SUCCESS);
}
