/* SPDX-License-Identifier: MIT */
/*
 * Asking for a cache line before it is needed, which another processor may have
 *
 * NULL is not asked for: to look up an address that is not mapped takes as long as a miss. A line that came
 * to be read is asked for once more when it is written, so that what will be written is asked for as such.
 * The compiler's own word for that means reading, unless it is told of a processor of the last ten years.
 */
#pragma once

/** prefetch_read() - the line at @at will be read soon. */
static inline void prefetch_read(const void *at) {
    if (at)
        __builtin_prefetch(at);
}

/** prefetch_write() - the line at @at will be written soon. */
static inline void prefetch_write(const void *at) {
    if (!at)
        return;
#if defined __x86_64__
    __asm__ __volatile__("prefetchw (%0)" : : "r"(at));
#else
    __builtin_prefetch(at, 1);
#endif
}
