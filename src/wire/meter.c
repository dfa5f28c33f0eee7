/* SPDX-License-Identifier: MIT */
#include "wire/meter.h"

#include <stdatomic.h>

struct Meter {
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
    _Atomic uint64_t used; /* 1: something was recorded */
    uint8_t reserved[40];
    _Atomic uint64_t counts[METER_BUCKETS];
};

_Static_assert(sizeof(Meter) == METER_BYTES, "docs/protocol.md, section 3");

#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)

static size_t bucket_of(uint64_t ns) {
    return ns < METER_MAX_NS ? histogram_bucket(ns) : METER_BUCKETS - 1;
}

void meter_record(Meter *meter, uint64_t ns, uint32_t weight) {
    uint64_t max = GET(meter->max);

    weight = weight < 1 ? 1 : weight > METER_WEIGHT_MAX ? METER_WEIGHT_MAX : weight;
    atomic_fetch_add_explicit(&meter->counts[bucket_of(ns)], weight, memory_order_relaxed);
    atomic_fetch_add_explicit(&meter->sum, ns * weight, memory_order_relaxed);
    while (ns > max && !atomic_compare_exchange_weak_explicit(&meter->max, &max, ns, memory_order_relaxed,
                                                              memory_order_relaxed))
        ;
    if (!GET(meter->used))
        atomic_store_explicit(&meter->used, 1, memory_order_relaxed);
}

bool meter_is_empty(const Meter *meter) {
    return !GET(((Meter *)(uintptr_t)meter)->used);
}

/* One copy of it, in which the numbers agree. Return: false if it holds more than @limit values. */
static bool copy(const Meter *shared, uint64_t limit, Histogram *copied) {
    Meter *meter = (Meter *)(uintptr_t)shared;

    copied->max = GET(meter->max);
    copied->sum = GET(meter->sum);
    for (size_t i = 0; i < METER_BUCKETS; i++) {
        uint64_t count = GET(meter->counts[i]);

        if (count == 0)
            continue;
        if (count > limit - copied->n)
            return false;
        if (copied->n == 0)
            copied->min = histogram_bucket_begin(i);
        copied->n += count;
        copied->counts[i] = count;
        /* recorded, but not yet in the greatest */
        if (copied->max < histogram_bucket_begin(i))
            copied->max = histogram_bucket_begin(i);
    }
    return true;
}

bool meter_read(const Meter *meter, uint64_t limit, Histogram *into) {
    Histogram copied = {0};

    if (meter_is_empty(meter))
        return true;
    if (!copy(meter, limit, &copied))
        return false;
    histogram_merge(into, &copied);
    return true;
}
