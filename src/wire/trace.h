/* SPDX-License-Identifier: MIT */
/*
 * Trace: records of exchanges that have ended, from one worker to its host (docs/protocol.md, section 3)
 *
 * A ring in a page that the host gives to a worker while somebody looks. The worker alone writes records,
 * never waits, and overwrites what is oldest; the host reads, and knows how many it has missed. The host says
 * how long a good exchange must have taken to be written at all, so that whoever looks for the slow ones and
 * the failures misses none for the sake of the quick ones.
 *
 * What is read is a copy that was whole. Whether it makes sense is seen by whoever uses it.
 */
#pragma once

#include "wire/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TraceRing TraceRing;

#define TRACE_RING_RECORDS 2048u
#define TRACE_RING_ROOM    (TRACE_RING_RECORDS - 1) /* that are whole: the place of one may be written to */
#define TRACE_RING_BYTES   (128u + TRACE_RING_RECORDS * 64u)

/* What has become of an exchange: an end, or what is no end yet. The numbers are those of SlotState. */
typedef enum TraceEnd {
    TRACE_AGAIN = SLOT_WAITING,  /* its worker died; it waits for another */
    TRACE_PARKED = SLOT_CLAIMED, /* its request was kept; it is about to fail */
    TRACE_DONE = SLOT_DONE,
    TRACE_FAILED = SLOT_FAILED,
    TRACE_CANCELLED = SLOT_CANCELLED,
    TRACE_EXPIRED = SLOT_EXPIRED,
} TraceEnd;

/* Times are CLOCK_MONOTONIC; 0 where it is not known, or has not come to that. */
typedef struct TraceRecord {
    uint64_t client;
    uint64_t submitted_ns;
    uint64_t claimed_ns;
    uint64_t ended_ns;
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint32_t slot;
    uint32_t generation;
    uint8_t end;     /* TraceEnd */
    uint8_t attempt; /* 1 for the first; 0: nobody has claimed it */
    uint16_t reason; /* enum Reason */
    int32_t status;  /* of the handler, as AnswerRecord has it */
} TraceRecord;

/** trace_took_ns() - from when it was submitted, or else claimed, to its end. */
uint64_t trace_took_ns(const TraceRecord *record);

/** trace_set_least() - host: how long an exchange that is DONE must have taken; UINT64_MAX for none at all.
 */
void trace_set_least(TraceRing *ring, uint64_t least_ns);

/** trace_end() - host: how far it is written now. */
uint64_t trace_end(const TraceRing *ring);

/** trace_write() - worker: unless it is a good one that took too little. One thread alone. */
void trace_write(TraceRing *ring, const TraceRecord *record);

/**
 * trace_read() - host: what was written since the last time
 * @at:         how far that was read; 0 at first
 * @n_lost:     is added to: what was overwritten before it was read
 * Return: how many records were read, @n_max at most.
 */
size_t trace_read(const TraceRing *ring, uint64_t *at, TraceRecord *records, size_t n_max, uint64_t *n_lost);
