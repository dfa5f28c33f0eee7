/* SPDX-License-Identifier: MIT */
/*
 * Keepers: one process between us and each child
 *
 * Who forks a child can kill its process group, but not what has left the group: `setsid` is enough. Such
 * escapees are handed, once their parents are dead, to the nearest living ancestor that is a subreaper. If
 * that were the worker, it would have to guess whose they are, for several of its threads may run children.
 * So each child has a keeper, a forked process that does nothing but wait: it is the subreaper, and all that
 * ever becomes its child belongs to that one command.
 *
 * It ends its command, and then itself, when
 *  - the command has exited: what is left of its descendants is killed;
 *  - it gets SIGTERM: from process_end(), or as parent-death signal, so that a worker's kill -9 leaves
 * nothing behind either. All other signals are blocked, and it is in a process group of its own: what a
 * terminal or a shell sends to the worker's group does not reach it. Where a keeper is killed itself, its
 * command dies by its own parent-death signal.
 *
 * The keeper is forked from a process that has other threads, and shares nothing with it but the code:
 * everything in keeper.c is async-signal-safe.
 */
#pragma once

#include <sys/types.h>

typedef struct KeeperOrder {
    const char *path;         /* of the program */
    char *const *argv;
    char *const *environment; /* all of it */
    const int *fds;           /* become 0, 1 and 2 */
    int report_fd;            /* writing end of a pipe */
    pid_t parent;             /* who forks */
} KeeperOrder;

/*
 * What comes through the pipe: from the child its `pid`, before it becomes the command; then whether
 * it did; then, when nothing is left of it, how it ended. An `error` is the last.
 */
typedef struct KeeperReport {
    int error;  /* negative errno: it could not be started */
    pid_t pid;  /* of the command */
    int status; /* of the end: exit status, or minus the signal */
} KeeperReport;

/** keeper_run() - be a keeper; called in the forked process, with all signals blocked. */
_Noreturn void keeper_run(const KeeperOrder *order);
