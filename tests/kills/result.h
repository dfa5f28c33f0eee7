/* SPDX-License-Identifier: MIT */
/* What a run of kills has come to: one line, which kills.sh collects for docs/reliability.md. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Result {
    uint64_t seed;
    uint64_t n_points; /* or faults */
    uint64_t n_exchanges;
    uint64_t n_failed; /* with the one clear error that is allowed */
    uint64_t n_lost;
    uint64_t n_doubled;
    uint64_t n_wrong;
    uint64_t n_left;
    uint64_t start_ns;
} Result;

/* A seed from $KILLS_SEED, or from the clock. */
void result_begin(Result *result);

/* xorshift64*: the same numbers for one seed. */
uint64_t result_random(uint64_t *state);

/* Print it. Return: whether nothing is amiss. */
bool result_tell(const Result *result, const char *name);
