/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#include <string.h>

uint64_t histogram_bucket_begin(size_t bucket) {
    size_t shift;

    if (bucket < HISTOGRAM_EXACT)
        return bucket;
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift;
}

uint64_t histogram_bucket_end(size_t bucket) {
    return bucket + 1 < HISTOGRAM_BUCKETS ? histogram_bucket_begin(bucket + 1) - 1 : UINT64_MAX;
}

void histogram_reset(Histogram *histogram) {
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_merge(Histogram *into, const Histogram *from) {
    if (from->n == 0)
        return;
    if (into->n == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    if (__builtin_add_overflow(into->sum, from->sum, &into->sum))
        into->sum = UINT64_MAX;
    into->n += from->n;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->counts[i] += from->counts[i];
}

/* Which value it is, counted from 1 by size. */
static uint64_t rank_of(uint64_t n, double quantile) {
    double exact = quantile * (double)n;
    uint64_t rank = exact < 0x1p63 ? (uint64_t)exact : n;

    return (double)rank < exact ? rank + 1 : rank;
}

static uint64_t clamp(const Histogram *histogram, uint64_t ns) {
    if (ns > histogram->max)
        return histogram->max;
    return ns < histogram->min ? histogram->min : ns;
}

uint64_t histogram_quantile(const Histogram *histogram, double quantile) {
    uint64_t rank, n_seen = 0;

    if (histogram->n == 0 || !(quantile > 0))
        return histogram->min;
    if (quantile >= 1)
        return histogram->max;
    rank = rank_of(histogram->n, quantile);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t begin = histogram_bucket_begin(i);

        n_seen += histogram->counts[i];
        if (n_seen >= rank)
            return clamp(histogram, begin + (histogram_bucket_end(i) - begin) / 2);
    }
    return histogram->max;
}

uint64_t histogram_mean(const Histogram *histogram) {
    return histogram->n ? histogram->sum / histogram->n : 0;
}
