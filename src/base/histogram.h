/* SPDX-License-Identifier: MIT */
/*
 * Histogram: how long things took, within 1 %, in fixed memory
 *
 * Log-linear: nanoseconds below 128 have a bucket each; above, each power of two is cut into 64 buckets of
 * the same width. A bucket is told as its middle, which no value in it is further away from than 1/128 of
 * itself (0.8 %). It covers all of uint64_t: nothing is too large.
 *
 * Size: 3776 counts of 8 bytes with four numbers, 30,240 bytes. Its memory may be shared or sent as it is;
 * all zeros is an empty one, and a page of it is touched only once a value falls into the eight powers of two
 * that lie there: one that has seen 1 µs to 10 ms takes about three pages.
 *
 * One thread records. Who looks at the memory meanwhile, from another thread or process, copies it and may
 * find it amid a change: some counts are then one ahead of others. Whatever the memory holds, no call here
 * reads outside of it or fails to end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6u /* 64 buckets for each power of two */
#define HISTOGRAM_EXACT    (UINT64_C(2) << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS  (HISTOGRAM_EXACT + ((63 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS))

typedef struct Histogram {
    uint64_t n;
    uint64_t sum; /* of all values; UINT64_MAX once it is more than that */
    uint64_t min; /* exact; 0 if there is no value */
    uint64_t max; /* exact */
    uint64_t counts[HISTOGRAM_BUCKETS];
} Histogram;

_Static_assert(sizeof(Histogram) == 30240, "the size above is what it takes");

/** histogram_bucket() - the index of the bucket that @ns falls into. */
static inline size_t histogram_bucket(uint64_t ns) {
    unsigned shift;

    if (ns < HISTOGRAM_EXACT)
        return (size_t)ns;
    shift = 63u - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(ns);
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(ns >> shift);
}

/** histogram_record() - count a value. Some ten instructions: fit for every exchange. */
static inline void histogram_record(Histogram *histogram, uint64_t ns) {
    if (histogram->n == 0 || ns < histogram->min)
        histogram->min = ns;
    if (ns > histogram->max)
        histogram->max = ns;
    if (__builtin_add_overflow(histogram->sum, ns, &histogram->sum))
        histogram->sum = UINT64_MAX;
    histogram->n++;
    histogram->counts[histogram_bucket(ns)]++;
}

/** histogram_reset() - forget everything. */
void histogram_reset(Histogram *histogram);

/** histogram_merge() - count in @into what @from has counted, too: as if all had been recorded there. */
void histogram_merge(Histogram *into, const Histogram *from);

/**
 * histogram_quantile() - the value that a share @quantile of all values does not exceed: 0.5 for the median
 *
 * 0 and below, and what is no number, are the smallest value; 1 and above the largest. Both are exact.
 * Return: within 1 %; 0 if there is no value.
 */
uint64_t histogram_quantile(const Histogram *histogram, double quantile);

/** histogram_mean() - Return: the mean of all values, rounded down; 0 if there is none. */
uint64_t histogram_mean(const Histogram *histogram);

/** histogram_bucket_begin() - the smallest value of a bucket below HISTOGRAM_BUCKETS. */
uint64_t histogram_bucket_begin(size_t bucket);

/** histogram_bucket_end() - the largest value of a bucket below HISTOGRAM_BUCKETS. */
uint64_t histogram_bucket_end(size_t bucket);
