/* SPDX-License-Identifier: MIT */
#include "app/progress.h"

#include "base/units.h"
#include "os/wait.h"

#include <stdio.h>
#include <unistd.h>

#define FIRST_NS (NS_PER_SEC / 2) /* what is over by then needs no line */
#define EVERY_NS (NS_PER_SEC / 5)
#define LINES_NS (10 * NS_PER_SEC) /* where each stays */

void progress_init(Progress *progress) {
    *progress =
        (Progress){.terminal = isatty(STDERR_FILENO), .stage = "reading", .started_ns = clock_now_ns()};
    progress->next_ns = progress->started_ns + (progress->terminal ? FIRST_NS : LINES_NS);
}

void progress_expect(Progress *progress, uint64_t bytes) {
    progress->all_bytes = bytes;
}

void progress_add(Progress *progress, uint64_t bytes) {
    progress->done_bytes += bytes;
}

void progress_stage(Progress *progress, const char *stage) {
    progress->stage = stage;
}

void progress_show(Progress *progress) {
    char done[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
    uint64_t now_ns;

    if (!progress->terminal)
        return;
    now_ns = clock_now_ns();
    if (now_ns < progress->next_ns)
        return;
    progress->next_ns = now_ns + EVERY_NS;
    progress->shown = true;
    duration_format((now_ns - progress->started_ns) / (100 * NS_PER_MS) * (100 * NS_PER_MS), time);
    size_format(progress->done_bytes, done);
    if (progress->all_bytes)
        fprintf(stderr, "\r\033[K%s: %s of %s (%u %%), %s", progress->stage, done,
                size_format(progress->all_bytes, all),
                (unsigned)(progress->done_bytes * 100 / progress->all_bytes), time);
    else
        fprintf(stderr, "\r\033[K%s: %s, %s", progress->stage, done, time);
    fflush(stderr);
}

uint64_t progress_until(const Progress *progress, uint64_t until_ns) {
    return progress->terminal && progress->next_ns < until_ns ? progress->next_ns : until_ns;
}

bool progress_is_due(const Progress *progress) {
    return clock_now_ns() >= progress->next_ns;
}

void progress_line(Progress *progress, const char *text) {
    progress->next_ns = clock_now_ns() + (progress->terminal ? EVERY_NS : LINES_NS);
    progress->shown = progress->terminal;
    fprintf(stderr, progress->terminal ? "\r\033[K%.79s" : "%s\n", text);
    fflush(stderr);
}

void progress_clear(Progress *progress) {
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
