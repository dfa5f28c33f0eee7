/* SPDX-License-Identifier: MIT */
/*
 * Private copies of requests: memory of the worker's own, that counts in the host's `memory`
 *
 * A request whose owner is not trusted is copied where a handler wants all of it at one address. What holds
 * such a copy is kept for the next one, with its pages: to have them anew takes longer than to copy. The host
 * reserves for all of it together before any is allocated. At each PING a copy that nobody has in hand is cut
 * to the largest that it was used for since the last one, and what is saved given back. What is used in place
 * costs nothing of this.
 */
#include "core/worker-internal.h"

#include "base/error.h"

#include <errno.h>

#define GROWTH_BYTES_MAX (UINT64_C(64) << 20) /* past this it grows by no more at a time than it must */

/* ---- the host's part ---- */

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
    worker->copies.asking = true;
    r = worker_ask(worker, &question, PACKET_RESERVED, &answer, NULL, NULL);
    worker->copies.asking = false;
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
    int r;

    if (bytes <= now)
        return 0;
    r = generous > bytes ? ask(worker, generous) : REASON_MEMORY_BUDGET;
    return r == REASON_MEMORY_BUDGET ? ask(worker, bytes) : r;
}

/* ---- what there is ---- */

static int resize(WorkerCopies *copies, WorkerCopy *copy, uint64_t bytes, bool huge) {
    int r = private_resize(copy->data, copy->bytes, bytes, huge, &copy->data);

    if (r < 0)
        return r;
    copies->held_bytes = copies->held_bytes - copy->bytes + bytes;
    copy->bytes = bytes;
    return 0;
}

/* All that nobody has in hand is cut to what @bytes_of says. */
static void cut(WorkerCopies *copies, uint64_t (*bytes_of)(const WorkerCopy *copy)) {
    WorkerCopy **at = &copies->list;

    while (*at) {
        WorkerCopy *copy = *at;

        if (!copy->used && bytes_of(copy) < copy->bytes)
            (void)resize(copies, copy, bytes_of(copy), false);
        if (copy->used || copy->bytes > 0) {
            at = &copy->next;
            continue;
        }
        *at = copy->next;
        free(copy);
    }
}

static uint64_t nothing(const WorkerCopy *copy) {
    (void)copy;
    return 0;
}

static uint64_t peak_of(const WorkerCopy *copy) {
    return copy->peak_bytes;
}

/* The smallest that will do; otherwise the largest there is. */
static bool is_better(const WorkerCopy *copy, const WorkerCopy *best, uint64_t bytes) {
    if (!best)
        return true;
    return copy->bytes >= bytes ? best->bytes < bytes || copy->bytes < best->bytes
                                : copy->bytes > best->bytes;
}

static WorkerCopy *find(WorkerCopies *copies, uint64_t bytes) {
    WorkerCopy *best = NULL;

    for (WorkerCopy *copy = copies->list; copy; copy = copy->next)
        if (!copy->used && is_better(copy, best, bytes))
            best = copy;
    if (best)
        return best;
    best = calloc(1, sizeof(*best));
    if (best) {
        best->next = copies->list;
        copies->list = best;
    }
    return best;
}

/* Where there is no room for more, what lies idle makes some. Return: 0, a Reason, or negative errno. */
static int make_room(Worker *worker, WorkerCopy *copy, uint64_t bytes, bool huge) {
    WorkerCopies *copies = &worker->copies;
    int r = grow_to(worker, copies->held_bytes - copy->bytes + bytes);

    if (r == REASON_MEMORY_BUDGET && copies->held_bytes > copy->bytes) {
        cut(copies, nothing);
        r = grow_to(worker, copies->held_bytes - copy->bytes + bytes);
    }
    return r == 0 ? resize(copies, copy, bytes, huge) : r;
}

int worker_copy_take(Worker *worker, uint64_t bytes, bool huge, WorkerCopy **ret) {
    uint64_t wanted = round_to_pages(bytes);
    WorkerCopy *copy;
    int r = 0;

    if (worker->lost)
        return REASON_HOST_LOST;
    copy = find(&worker->copies, wanted);
    if (!copy)
        return error_origin(-ENOMEM);
    copy->used = true;
    if (copy->bytes < wanted)
        r = make_room(worker, copy, wanted, huge);
    if (r != 0) {
        copy->used = false;
        return r;
    }
    if (copy->peak_bytes < wanted)
        copy->peak_bytes = wanted;
    *ret = copy;
    return 0;
}

void worker_copy_put(WorkerCopy *copy) {
    if (copy)
        copy->used = false;
}

/*
 * The answer says what is known: less is never refused. While more is asked for nothing is said: the host
 * would take it for the later wish, and count less than it grants. The next PING comes.
 */
int worker_copies_trim(Worker *worker) {
    WorkerCopies *copies = &worker->copies;
    Packet packet;

    cut(copies, peak_of);
    for (WorkerCopy *copy = copies->list; copy; copy = copy->next)
        copy->peak_bytes = copy->used ? copy->bytes : 0;
    if (copies->asking || copies->held_bytes >= copies->reserved_bytes)
        return 0;
    copies->reserved_bytes = copies->held_bytes;
    fill_reserve(worker, &packet, copies->reserved_bytes);
    return worker_say(worker, &packet);
}

/* Another host does not know of it. */
int worker_copies_tell(Worker *worker) {
    Packet packet;

    worker->copies.reserved_bytes = worker->copies.held_bytes;
    if (worker->copies.held_bytes == 0)
        return 0;
    fill_reserve(worker, &packet, worker->copies.held_bytes);
    return worker_say(worker, &packet);
}

/* What is still in hand another host hears of with the next copy. */
void worker_copies_drop(Worker *worker) {
    worker->copies.reserved_bytes = 0;
    cut(&worker->copies, nothing);
}

void worker_copies_deinit(Worker *worker) {
    for (WorkerCopy *copy = worker->copies.list; copy; copy = copy->next)
        copy->used = false;
    cut(&worker->copies, nothing);
}
