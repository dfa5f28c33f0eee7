/* SPDX-License-Identifier: MIT */
#include "result.h"

#include "os/wait.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

void result_begin(Result *result) {
    const char *seed = getenv("KILLS_SEED");

    *result = (Result){.start_ns = clock_now_ns()};
    result->seed = seed ? strtoull(seed, NULL, 0) : result->start_ns | 1;
    printf("# seed %#" PRIx64 " (KILLS_SEED)\n", result->seed);
    fflush(stdout);
}

uint64_t result_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717) >> 16;
}

bool result_tell(const Result *result, const char *name) {
    struct utsname machine;

    uname(&machine);
    printf("# %s\tseed=%#" PRIx64 " kernel=%s points=%" PRIu64 " exchanges=%" PRIu64 " failed=%" PRIu64
           " lost=%" PRIu64 " doubled=%" PRIu64 " wrong=%" PRIu64 " left=%" PRIu64 " seconds=%" PRIu64 "\n",
           name, result->seed, machine.release, result->n_points, result->n_exchanges, result->n_failed,
           result->n_lost, result->n_doubled, result->n_wrong, result->n_left,
           (clock_now_ns() - result->start_ns) / NS_PER_SEC);
    return result->n_points > 0 && result->n_lost + result->n_doubled + result->n_wrong + result->n_left == 0;
}
