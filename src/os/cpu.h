/* SPDX-License-Identifier: MIT */
/* The processor that we run on, and what to do with it while there is nothing to do. */
#pragma once

#include <stdint.h>

/**
 * cpu_current() - 1 + the number of the processor that this thread runs on now; 0 if unknown. Costs a few
 * nanoseconds.
 */
uint32_t cpu_current(void);

/** cpu_yield() - let others run here first, if there are any. */
void cpu_yield(void);

/** cpu_relax() - between two looks at memory: tells the processor that this is a loop that waits. */
static inline void cpu_relax(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__ || defined __arm__
    __asm__ __volatile__("yield");
#endif
}
