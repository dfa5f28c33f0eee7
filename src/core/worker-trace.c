/* SPDX-License-Identifier: MIT */
/*
 * Trace, the worker's part: a record of each exchange that ends, while the host wants them
 *
 * While nobody looks there is no ring, and its absence is all that an exchange finds out.
 */
#include "core/worker-internal.h"

#include <errno.h>

int worker_take_ring(Worker *worker, int *fd) {
    Page ring;
    int r = page_init_connect(&ring, TAKE_FD(*fd), TRACE_RING_BYTES, true);

    worker_drop_ring(worker);
    if (r == 0)
        worker->ring = ring;
    return r == -EBADMSG ? r : 0; /* for want of memory nothing is traced here, and all else goes on */
}

void worker_drop_ring(Worker *worker) {
    page_deinit(&worker->ring);
}

/* Only what the host counts as an answer has one. */
static uint64_t response_bytes(const Job *job, SlotState end) {
    return end == SLOT_DONE || end == SLOT_FAILED ? job->exchange.response_bytes : 0;
}

void worker_trace(const Job *job, SlotState end) {
    const SubmitRecord *request = &job->claim.request;
    const TraceRecord record = {
        .client = job->client->id,
        .submitted_ns = request->submitted_ns <= job->claimed_ns ? request->submitted_ns : 0,
        .claimed_ns = job->claimed_ns,
        .ended_ns = job->ended_ns ? job->ended_ns : clock_now_ns(),
        .request_bytes = request->payload_bytes,
        .response_bytes = response_bytes(job, end),
        .slot = job->exchange.slot,
        .generation = job->claim.generation,
        .end = (uint8_t)end,
        .attempt = (uint8_t)job->claim.attempt,
        .reason = end == SLOT_FAILED ? (uint16_t)job->exchange.reason : REASON_NONE,
        .status = end == SLOT_FAILED ? job->exchange.status : 0,
    };

    trace_write(job->worker->ring.map, &record);
}

void worker_trace_long(const Job *job, SlotState end) {
    if (worker_listen(job->worker) < 0)
        job->worker->lost = true;
    if (job->worker->ring.map)
        worker_trace(job, end);
}
