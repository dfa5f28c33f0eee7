/* SPDX-License-Identifier: MIT */
/*
 * Waiting: an epoll set with a timer
 *
 * A state machine has one Wait. Its descriptor can be put into anybody's loop: it is readable when there is
 * something to do. wait_next() hands out what is ready one at a time and looks at each source again before it
 * does, so that handling one may remove any other.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define WAIT_READ   1u
#define WAIT_WRITE  2u
#define WAIT_HANGUP 4u /* never asked for, and reported to who waits for anything */

typedef struct Wait Wait;

/* One descriptor in a Wait; embedded in its owner. */
typedef struct WaitSource {
    Wait *wait;     /* NULL while not added */
    int fd;
    uint32_t events;
    uint32_t kind;  /* the owner's: tells what `owner` is */
    void *owner;
} WaitSource;

#define WAIT_SOURCE_NULL {.fd = -1}

/** wait_new() - Return: 0 or negative errno. */
int wait_new(Wait **ret);

/** wait_free() - every source must have been removed. Return: NULL. */
Wait *wait_free(Wait *wait);

/**
 * wait_abandon() - in a child after fork: let go of what is shared with the parent
 *
 * The set is the parent's as well, and what is removed from it here would be missing there. From now on
 * nothing is ready, and adding fails.
 */
void wait_abandon(Wait *wait);

int wait_get_fd(const Wait *wait);

/**
 * wait_add() - watch @fd for @events; @source must stay where it is until wait_remove()
 *
 * With no events nothing of it is looked at, nor is anybody woken by it, until wait_modify() says what to
 * wait for.
 * Return: 0 or negative errno.
 */
int wait_add(Wait *wait, WaitSource *source, int fd, uint32_t events, uint32_t kind, void *owner);

/** wait_modify() - Return: 0 or negative errno. */
int wait_modify(WaitSource *source, uint32_t events);

/**
 * wait_remove() - forget it, also if it is ready already. Does not close: that comes after. Does nothing if
 * not added.
 */
void wait_remove(WaitSource *source);

/**
 * wait_set_timer() - be ready at @at_ns (CLOCK_MONOTONIC) as well; 0 for never.
 * Return: 0 or negative errno.
 */
int wait_set_timer(Wait *wait, uint64_t at_ns);

/**
 * wait_poll() - gather what is ready
 * @until_ns:   CLOCK_MONOTONIC; 0 returns at once, UINT64_MAX waits for ever
 * Return: 0, also when nothing is ready or a signal came, or a negative errno.
 */
int wait_poll(Wait *wait, uint64_t until_ns);

/** wait_is_ready() - whether wait_poll() would find something now; it is left where it is. */
bool wait_is_ready(const Wait *wait);

/** wait_next() - the next source that wait_poll() found. Return: NULL when there is none left. */
WaitSource *wait_next(Wait *wait, uint32_t *ret_events);

/** wait_timer_expired() - whether the timer went off since the last call. */
bool wait_timer_expired(Wait *wait);

/** clock_now_ns() - CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);

/** clock_coarse_ns() - CLOCK_MONOTONIC as of the latest tick: up to some milliseconds late, next to free. */
uint64_t clock_coarse_ns(void);

/** clock_cpu_ns() - how long this thread has run so far. */
uint64_t clock_cpu_ns(void);

/** clock_boot_us() - CLOCK_BOOTTIME in microseconds: never goes back while the machine is up. */
uint64_t clock_boot_us(void);

/** clock_real_us() - the time of day in microseconds, for people. */
uint64_t clock_real_us(void);

/**
 * wait_for_fd() - wait for one descriptor
 * Return: the events; 0 when @until_ns has passed or a signal came; or negative errno.
 */
int wait_for_fd(int fd, uint32_t events, uint64_t until_ns);

DEFINE_CLEANUP(Wait, wait_free)
