/* SPDX-License-Identifier: MIT */
#include "os/cpu.h"

#include <sched.h>

uint32_t cpu_current(void) {
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (uint32_t)cpu + 1;
}

void cpu_yield(void) {
    (void)sched_yield();
}
