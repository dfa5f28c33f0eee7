/* SPDX-License-Identifier: MIT */
/*
 * Meters: how long the stages of exchanges took, in memory that others read (docs/protocol.md, section 3)
 *
 * A histogram in a shared page, with the buckets of base/histogram.h up to METER_MAX_NS; what takes longer
 * falls into the last one, and is exact in the greatest value. Any number of threads and processes may record
 * at a time. Whoever reads gets a copy, which may be amid a change: nothing but what people look at depends
 * on it.
 *
 * Not every exchange is measured where many pass by in a microsecond each: one that is stands for others, by
 * the weight that it is recorded with.
 */
#pragma once

#include "base/histogram.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Meter Meter;

#define METER_MAX_NS     (UINT64_C(1) << 36) /* about a minute */
#define METER_BUCKETS    1984u
#define METER_BYTES      (METER_BUCKETS * 8u + 64u)
#define METER_WEIGHT_MAX 64u

/** meter_record() - count a value @weight times: 1 to METER_WEIGHT_MAX; what is outside of that counts so. */
void meter_record(Meter *meter, uint64_t ns, uint32_t weight);

/** meter_is_empty() - whether nothing was recorded yet. */
bool meter_is_empty(const Meter *meter);

/**
 * meter_read() - count in @into what the meter has counted
 * @limit:      how many values it can have at most: one that somebody forged may say anything
 * Return: whether that is so; if not, it was left out.
 */
bool meter_read(const Meter *meter, uint64_t limit, Histogram *into);
