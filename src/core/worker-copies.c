/* SPDX-License-Identifier: MIT */
/*
 * Private copies of requests: memory of the worker's own, that counts in the host's `memory`
 *
 * A request whose owner is not trusted is copied where a handler wants all of it at one address. Room for
 * that is reserved for the worker as a whole, and kept: it is asked for only when the copies of all jobs
 * together have grown past what they ever were. At each PING what was not needed since the last one is given
 * back. What is used in place costs nothing of this.
 */
#include "core/worker-internal.h"

#include <errno.h>

#define GROWTH_BYTES_MAX (UINT64_C(64) << 20) /* past this it grows by no more at a time than it must */

static void fill_reserve(Worker *worker, Packet *packet, uint64_t bytes) {
    packet_init(packet, PACKET_RESERVE, ++worker->serial);
    packet->reserve.bytes = bytes;
    packet->reserve.direction = DIRECTION_PRIVATE;
}

/* Return: 0, a Reason, or negative errno. */
static int ask(Worker *worker, uint64_t bytes) {
    Packet question, answer;
    int r;

    fill_reserve(worker, &question, bytes);
    r = worker_ask(worker, &question, PACKET_RESERVED, &answer, NULL, NULL);
    if (r == -ENOTCONN)
        return REASON_HOST_LOST;
    if (r < 0)
        return r;
    worker->copies.reserved_bytes = answer.reserved.bytes;
    return (int)answer.reserved.code;
}

/* In steps that double, up to a point; where that is refused, by what it must. */
static int grow_to(Worker *worker, uint64_t bytes) {
    uint64_t now = worker->copies.reserved_bytes;
    uint64_t generous = now + (now < GROWTH_BYTES_MAX ? now : GROWTH_BYTES_MAX);
    int r = generous > bytes ? ask(worker, generous) : REASON_MEMORY_BUDGET;

    return r == REASON_MEMORY_BUDGET ? ask(worker, bytes) : r;
}

int worker_copy_reserve(Worker *worker, uint64_t bytes) {
    WorkerCopies *copies = &worker->copies;
    uint64_t wanted = copies->used_bytes + round_to_pages(bytes);
    int r = 0;

    if (worker->lost)
        return REASON_HOST_LOST;
    if (wanted > copies->reserved_bytes)
        r = grow_to(worker, wanted);
    if (r != 0)
        return r;
    copies->used_bytes = wanted;
    if (wanted > copies->peak_bytes)
        copies->peak_bytes = wanted;
    return 0;
}

void worker_copy_release(Worker *worker, uint64_t bytes) {
    worker->copies.used_bytes -= round_to_pages(bytes);
}

/* The answer says what is known: less is never refused. */
int worker_copies_trim(Worker *worker) {
    WorkerCopies *copies = &worker->copies;
    Packet packet;

    if (copies->peak_bytes < copies->reserved_bytes) {
        copies->reserved_bytes = copies->peak_bytes;
        fill_reserve(worker, &packet, copies->reserved_bytes);
        copies->peak_bytes = copies->used_bytes;
        return worker_say(worker, &packet);
    }
    copies->peak_bytes = copies->used_bytes;
    return 0;
}

/* Another host does not know of it. */
int worker_copies_tell(Worker *worker) {
    Packet packet;

    worker->copies.reserved_bytes = worker->copies.peak_bytes = worker->copies.used_bytes;
    if (worker->copies.used_bytes == 0)
        return 0;
    fill_reserve(worker, &packet, worker->copies.used_bytes);
    return worker_say(worker, &packet);
}
