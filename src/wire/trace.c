/* SPDX-License-Identifier: MIT */
#include "wire/trace.h"

#include <stdatomic.h>
#include <string.h>

#define WORDS     (sizeof(TraceRecord) / sizeof(uint64_t))
#define PLAUSIBLE (UINT64_C(1) << 40) /* records between two looks; what is more was not counted up */

typedef struct SharedRecord {
    _Atomic uint64_t words[WORDS];
} SharedRecord;

/* Each side has a line of its own. */
struct TraceRing {
    _Atomic uint64_t n; /* records that were ever written */
    uint8_t reserved[56];
    _Atomic uint64_t least_ns;
    uint8_t reserved_too[56];
    SharedRecord records[TRACE_RING_RECORDS];
};

_Static_assert(sizeof(TraceRecord) == 64 && sizeof(TraceRing) == TRACE_RING_BYTES,
               "docs/protocol.md, section 3");

static SharedRecord *record_at(const TraceRing *ring, uint64_t number) {
    return &((TraceRing *)(uintptr_t)ring)->records[number % TRACE_RING_RECORDS];
}

uint64_t trace_took_ns(const TraceRecord *record) {
    uint64_t since_ns = record->submitted_ns ? record->submitted_ns : record->claimed_ns;

    return since_ns && since_ns < record->ended_ns ? record->ended_ns - since_ns : 0;
}

void trace_set_least(TraceRing *ring, uint64_t least_ns) {
    atomic_store_explicit(&ring->least_ns, least_ns, memory_order_relaxed);
}

/*
 * Words are stored with release and loaded with acquire: a reader that sees one of the new record's sees,
 * when it looks at `n` afterwards, that the old one was on its way out.
 */
void trace_write(TraceRing *ring, const TraceRecord *record) {
    uint64_t n = atomic_load_explicit(&ring->n, memory_order_relaxed), words[WORDS];
    SharedRecord *shared = record_at(ring, n);

    if (record->end == TRACE_DONE &&
        trace_took_ns(record) < atomic_load_explicit(&ring->least_ns, memory_order_relaxed))
        return;
    memcpy(words, record, sizeof(words));
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&shared->words[i], words[i], memory_order_release);
    atomic_store_explicit(&ring->n, n + 1, memory_order_release);
}

static void copy(const TraceRing *ring, uint64_t number, TraceRecord *ret) {
    SharedRecord *shared = record_at(ring, number);
    uint64_t words[WORDS];

    for (size_t i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&shared->words[i], memory_order_acquire);
    memcpy(ret, words, sizeof(words));
}

uint64_t trace_end(const TraceRing *ring) {
    return atomic_load_explicit(&((TraceRing *)(uintptr_t)ring)->n, memory_order_acquire);
}

size_t trace_read(const TraceRing *ring, uint64_t *at, TraceRecord *records, size_t n_max, uint64_t *n_lost) {
    uint64_t end = trace_end(ring), first = *at, torn = 0;
    size_t n;

    if (end - first > PLAUSIBLE) { /* it went back, or leapt: nobody knows what there was */
        *at = end;
        ++*n_lost;
        return 0;
    }
    if (end - first > TRACE_RING_ROOM)
        first = end - TRACE_RING_ROOM;
    n = end - first < n_max ? (size_t)(end - first) : n_max;
    for (size_t i = 0; i < n; i++)
        copy(ring, first + i, &records[i]);
    end = trace_end(ring);
    if (end > first + TRACE_RING_ROOM)
        torn = end - TRACE_RING_ROOM - first;
    torn = torn < n ? torn : n;
    memmove(records, records + torn, (n - torn) * sizeof(*records));
    *n_lost += first - *at + torn;
    *at = first + n;
    return n - (size_t)torn;
}
