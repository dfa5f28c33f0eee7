/* SPDX-License-Identifier: MIT */
/*
 * What a worker says to its host
 *
 * A host that is stopped, slow, or not there at this moment does not read, and its socket takes some hundred
 * packets only. What does not fit is owed, in order, and said when there is room: no worker takes its host
 * for lost because it has much to say.
 */
#include "core/worker-internal.h"

#include "base/error.h"
#include "os/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OWED_MAX 65536u /* a host that has so much to be told, and does not read, is none */

/* Be woken when there is room, if anything is to be said. */
static int watch_host(Worker *worker) {
    return wait_modify(&worker->channel_source,
                       worker_owes_host(worker) ? WAIT_READ | WAIT_WRITE : WAIT_READ);
}

bool worker_owes_host(const Worker *worker) {
    return worker->n_owed > 0 || worker->owes_holds;
}

/* Return: 0, also if the host is lost; -EAGAIN if it does not fit; or another negative errno. */
static int send_packet(Worker *worker, const Packet *packet) {
    int r = channel_send(worker->channel, packet, packet->header.bytes, NULL, 0);

    if (r != -EPIPE && r != -ECONNRESET)
        return r;
    worker->lost = true;
    return 0;
}

static int owe(Worker *worker, const Packet *packet) {
    if (worker->n_owed == OWED_MAX) {
        worker->lost = true;
        return 0;
    }
    if (worker->n_owed == worker->owed_room) {
        size_t room = worker->owed_room ? 2 * worker->owed_room : 8;
        Packet *owed = reallocarray(worker->owed, room, sizeof(*owed));

        if (!owed)
            return error_origin(-ENOMEM);
        worker->owed = owed;
        worker->owed_room = room;
    }
    worker->owed[worker->n_owed++] = *packet;
    return watch_host(worker);
}

int worker_say(Worker *worker, const Packet *packet) {
    int r;

    if (worker->lost)
        return 0;
    r = worker->n_owed > 0 ? -EAGAIN : send_packet(worker, packet);
    return r == -EAGAIN ? owe(worker, packet) : r;
}

/* Return: 0; -EAGAIN if not all of it fits; or another negative errno. */
static int say_owed(Worker *worker) {
    size_t n = 0;
    int r = 0;

    while (n < worker->n_owed && !worker->lost && (r = send_packet(worker, &worker->owed[n])) == 0)
        n++;
    worker->n_owed -= n;
    if (n > 0)
        memmove(worker->owed, worker->owed + n, worker->n_owed * sizeof(*worker->owed));
    return r;
}

/* One HOLDS; after the last, what copies take. Return: as say_owed(). */
static int say_next_holds(Worker *worker) {
    size_t next = table_after(&worker->clients, worker->held);
    Packet packet;
    int r;

    packet_init(&packet, PACKET_HOLDS, 0);
    packet.id.client = next < worker->clients.n ? worker->clients.entries[next].id : 0;
    r = send_packet(worker, &packet);
    if (r < 0)
        return r;
    worker->held = packet.id.client;
    worker->owes_holds = packet.id.client != 0;
    return worker->owes_holds ? 0 : worker_copies_tell(worker);
}

int worker_pay_host(Worker *worker) {
    int r = say_owed(worker);

    while (r == 0 && worker->owes_holds && !worker->lost)
        r = say_next_holds(worker);
    if (r < 0 && r != -EAGAIN)
        return r;
    return watch_host(worker);
}

void worker_forget_owed(Worker *worker) {
    free(worker->owed);
    worker->owed = NULL;
    worker->n_owed = worker->owed_room = 0;
    worker->owes_holds = false;
}

static int say_last_word(const Worker *worker, const Packet *packet) {
    int r = channel_send(worker->channel, packet, packet->header.bytes, NULL, 0);

    if (r != -EAGAIN)
        return r;
    channel_widen(worker->channel);
    return channel_send(worker->channel, packet, packet->header.bytes, NULL, 0);
}

/*
 * A host that is still there should know that this worker went by its own will, also one that has not
 * answered yet: it would take the hang-up for a death, and see to it. One that is not there does not hear it.
 * A host that is killed just after it has read that leaves nothing of it: so it is said twice, and the next
 * one reads the other.
 */
void worker_say_leaving(Worker *worker) {
    Packet packet;

    packet_init(&packet, PACKET_LEAVING, 0);
    if (say_last_word(worker, &packet) == 0)
        (void)say_last_word(worker, &packet);
}
