/* SPDX-License-Identifier: MIT */
/*
 * The loop of a daemon, on sd-event: signals, the watchdog, the service manager
 *
 * SIGTERM and SIGINT ask to stop, a second one ends the process at once; SIGHUP asks to reload. They are blocked from loop_new() on, so
 * that threads which are started later never get them.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
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

/** loop_watch() - call ready() when @fd (borrowed) is readable; one at a time. Return: 0 or negative errno. */
int loop_watch(Loop *loop, int fd);

/** loop_run() - Return: 0 after loop_exit(); -EINTR when it was told to stop twice; or another negative errno. */
int loop_run(Loop *loop);
void loop_exit(Loop *loop);

/** loop_listen_fd() - the socket that the service manager passed. Return: a descriptor, -1 if there is none, or another negative errno. */
int loop_listen_fd(void);

/**
 * loop_notify() - tell the service manager, in the words of sd_notify(3); printf
 *
 * Does nothing without one. Waits for one that takes nothing for a second, for STATUS= and WATCHDOG=1 not at all.
 * Any thread.
 */
void loop_notify(const char *state, ...) __attribute__((format(printf, 1, 2)));

DEFINE_CLEANUP(Loop, loop_free)
