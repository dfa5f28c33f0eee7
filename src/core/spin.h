/* SPDX-License-Identifier: MIT */
/*
 * Looking at memory for a while before sleeping
 *
 * Waking who sleeps takes tens of microseconds, so whoever expects something soon looks for as long as that
 * first, longer where much is to be written and read meanwhile. It pays only if something comes: each time
 * that nothing did, more opportunities to look are left out, up to SPIN_SKIPS_MAX. So who has exchanges now
 * and then looks at one in SPIN_SKIPS_MAX + 1 of them, and who has none does not look at all.
 *
 * Where the other side was last seen on this very processor, looking would only keep it from running: the
 * processor is offered to it between two looks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SPIN_SKIPS_MAX 63u
#define SPIN_ALWAYS    UINT64_MAX        /* never sleep */
#define SPIN_AUTO      (UINT64_MAX - 1)  /* as above */

/* What has come of it so far. One for each who looks; zeroed at first. */
typedef struct SpinPace {
    uint32_t n_missed; /* that nothing came: 0, 1, 3, 7 … SPIN_SKIPS_MAX */
    uint32_t n_skips;  /* opportunities still to be left out */
} SpinPace;

/* One time of looking. */
typedef struct Spin {
    uint64_t for_ns;
    uint64_t until_ns; /* 0: the clock was not looked at yet */
    uint64_t cap_ns;   /* look no longer than this, whatever the setting is */
    uint32_t n;
    bool shares_cpu;
} Spin;

/**
 * spin_begin() - whether to look at all
 * @wish_ns:    the setting: 0 for never, SPIN_ALWAYS, SPIN_AUTO, or for so long
 * @bytes:      that may be written and read until something can come
 * @shares_cpu: the other side was last seen on this processor
 */
bool spin_begin(Spin *spin, SpinPace *pace, uint64_t wish_ns, uint64_t bytes, bool shares_cpu);

/**
 * spin_cap() - look no longer than until @until_ns (CLOCK_MONOTONIC; 0: once); to be said again before each
 * time of looking.
 */
void spin_cap(Spin *spin, uint64_t until_ns);

/** spin_once() - between two looks. Return: whether to look again. */
bool spin_once(Spin *spin);

/**
 * spin_is_due() - whether it is time for a look at what takes a system call. One look in some hundred where
 * nobody is let in between; more of them where the processor is offered to others, who may keep it for
 * milliseconds each time.
 */
bool spin_is_due(const Spin *spin);

/** spin_end() - whether something has come. */
void spin_end(SpinPace *pace, bool found);
