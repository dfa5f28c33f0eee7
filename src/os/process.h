/* SPDX-License-Identifier: MIT */
/*
 * Processes: pidfds, and children that leave nothing behind
 *
 * A child is started in a process group of its own, with every descriptor but its three closed, no signal
 * blocked or ignored, and umask, limits and working directory inherited. Between it and this process stands
 * its keeper (os/keeper.h), which is what `pidfd` leads to: when the child has exited, or this process's
 * thread that started it has ended however, the keeper kills whatever the child has started, wherever that
 * has hidden, and exits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Process {
    pid_t pid;     /* of the child, which leads its process group; 0: none */
    int pidfd;     /* owned; readable when the child has exited and nothing of it is left */
    int report_fd; /* owned; where the keeper says how the child ended */
} Process;

#define PROCESS_NULL {.pidfd = -1, .report_fd = -1}

/**
 * process_spawn() - start argv[0], looked up in PATH
 * @environment:    "NAME=value" strings, which replace and add to this process's own; NULL for none
 * @fds:            become its 0, 1 and 2; stay open here
 *
 * What systemd tells this process alone is not inherited: NOTIFY_SOCKET, WATCHDOG_*, LISTEN_*. PATH is the
 * child's own; names in it that are not absolute are passed over. The child lives no longer than the thread
 * that calls this.
 *
 * Return: 0; or the negative errno with which the command could not be started: -ENOENT if there is none of
 * that name, -ELIBACC if it is there but its interpreter is not, -EACCES, -ENOEXEC, …
 */
int process_spawn(Process *process, char *const *argv, char *const *environment, const int fds[static 3]);

/**
 * process_end() - kill whatever is left of it, reap it, and say how it ended
 * @ret_status: exit status, or minus the signal that ended it
 *
 * Returns when the child and its descendants are gone, however long they take to die. Only a descendant of
 * another user, whom this one may not kill, is left alone.
 * Return: 0 or negative errno; @process is none afterwards in both cases.
 */
int process_end(Process *process, int *ret_status);

/** process_has_exited() - whether a pidfd reads as exited, now. */
bool process_has_exited(int pidfd);

/**
 * process_may_kill() - whether this process may signal that one. Also true when it is gone: ask while it is
 * known to live.
 */
bool process_may_kill(int pidfd);

/** process_kill() - SIGKILL through a pidfd. Return: 0, -EPERM when it may not, -ESRCH when it is gone. */
int process_kill(int pidfd);

/** process_name() - "comm" of a process, "?" if it cannot be read. Return: @buffer. */
const char *process_name(pid_t pid, char buffer[static 32]);
