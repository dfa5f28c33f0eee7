/* SPDX-License-Identifier: MIT */
/*
 * Progress: one line on a terminal that is rewritten in place, for what takes longer than a moment
 *
 * Where standard error is no terminal, nothing is written but lines of the caller's own, now and then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Progress {
    bool terminal;
    bool shown;
    const char *stage;
    uint64_t done_bytes;
    uint64_t all_bytes; /* 0: not known */
    uint64_t started_ns;
    uint64_t next_ns; /* when the line is due again */
} Progress;

void progress_init(Progress *progress);

/** progress_expect() - how much there will be. */
void progress_expect(Progress *progress, uint64_t bytes);
void progress_add(Progress *progress, uint64_t bytes);

/** progress_stage() - what is being done from now on. */
void progress_stage(Progress *progress, const char *stage);

/** progress_show() - write the line if it is due. */
void progress_show(Progress *progress);

/** progress_until() - the earlier of @until_ns and when the line is due again. */
uint64_t progress_until(const Progress *progress, uint64_t until_ns);

/** progress_is_due() - whether a line of the caller's own is: five times a second, or each ten without a
 * terminal. */
bool progress_is_due(const Progress *progress);

/** progress_line() - write it. */
void progress_line(Progress *progress, const char *text);

/** progress_clear() - take the line away. */
void progress_clear(Progress *progress);
