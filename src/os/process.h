/* SPDX-License-Identifier: MIT */
/*
 * Processes: pidfds, and children that leave nothing behind
 *
 * A child is started in a process group of its own, dies with the thread that started it (parent-death signal), has every descriptor but its three
 * closed, signals and umask as at login, and is known by a pidfd. process_end() kills the group, then whatever has escaped from it and was handed
 * to this process as their subreaper, and returns when all are reaped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Process {
    pid_t pid; /* 0: none */
    int pidfd; /* owned; readable when it has exited */
} Process;

#define PROCESS_NULL {.pidfd = -1}

/* Process-wide: for a daemon that runs children. Escaped descendants are handed to this process. Return: 0 or negative errno. */
int process_become_subreaper(void);

/**
 * process_spawn() - start argv[0], looked up in PATH
 * @environment:    "NAME=value" strings added to this process's own; NULL for none
 * @fds:            become its 0, 1 and 2
 * Return: 0; or the negative errno with which the command could not be started (-ENOENT, -EACCES, …).
 */
int process_spawn(Process *process, char *const *argv, char *const *environment, const int fds[static 3]);

/**
 * process_end() - kill whatever is left of it, reap it, and say how it ended
 * @ret_status: exit status, or minus the signal that ended it
 * Return: 0 or negative errno.
 */
int process_end(Process *process, int *ret_status);

/** process_has_exited() - whether a pidfd reads as exited, now. */
bool process_has_exited(int pidfd);

/** process_kill() - SIGKILL through a pidfd. Return: 0, -EPERM when it may not, -ESRCH when it is gone. */
int process_kill(int pidfd);

/** process_name() - "comm" of a process, "?" if it cannot be read. Return: @buffer. */
const char *process_name(pid_t pid, char buffer[static 32]);
