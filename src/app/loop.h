/* SPDX-License-Identifier: MIT */
/*
 * The loop of a daemon, on sd-event: signals, the watchdog, the service manager
 *
 * SIGTERM and SIGINT ask to stop, a second one ends the process at once; SIGHUP asks to reload. They are
 * blocked from loop_new() on, so that threads which are started later never get them.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Loop Loop;

/* What a daemon does when something happens. Negative errno ends the loop with it. */
typedef struct LoopCalls {
    int (*ready)(void *data);  /* the watched descriptor is readable */
    int (*stop)(void *data);   /* begin to stop; call loop_exit() when done */
    int (*reload)(void *data);
    bool (*alive)(void *data); /* whether the watchdog may be fed; NULL: a loop that turns is enough */
} LoopCalls;

/** loop_new() - Return: 0 or negative errno. */
int loop_new(Loop **ret, const LoopCalls *calls, void *data);
Loop *loop_free(Loop *loop);

/**
 * loop_watch() - call ready() when @fd (borrowed) is readable; one at a time. Return: 0 or negative errno.
 */
int loop_watch(Loop *loop, int fd);

/**
 * loop_run() - Return: 0 after loop_exit(); -EINTR when it was told to stop twice; or another negative errno.
 */
int loop_run(Loop *loop);
void loop_exit(Loop *loop);

/* A descriptor that the service manager passed: of a socket unit, or one that was kept. */
typedef struct LoopFd {
    char *name; /* owned */
    int fd;     /* not owned */
} LoopFd;

/**
 * loop_take_fds() - what was passed, once; @ret_fds is freed with loop_free_fds(). Return: 0 or negative
 * errno.
 */
int loop_take_fds(LoopFd **ret_fds, size_t *ret_n);
void loop_free_fds(LoopFd *fds, size_t n);

/** loop_is_listener() - whether it is a SOCK_SEQPACKET socket of a socket unit's. */
bool loop_is_listener(int fd);

/** loop_is_kept() - whether there is a service manager that could keep descriptors. */
bool loop_is_kept(void);

/**
 * loop_keep() - have these kept under this name until loop_drop(), and passed to the next process. Return: 0
 * or negative errno.
 */
int loop_keep(const char *name, const int *fds, size_t n_fds);
void loop_drop(const char *name);

/**
 * loop_notify() - tell the service manager, in the words of sd_notify(3); printf
 *
 * Does nothing without one. Waits for one that takes nothing for a second, for STATUS= and WATCHDOG=1 not at
 * all. Any thread.
 */
void loop_notify(const char *state, ...) __attribute__((format(printf, 1, 2)));

DEFINE_CLEANUP(Loop, loop_free)
