/* SPDX-License-Identifier: MIT */
/* The clients that a worker has met: their pages, their objects, the windows in them. */
#include "core/worker-internal.h"

#include "base/error.h"
#include "os/channel.h"

#include <errno.h>
#include <string.h>

static WorkerClient *worker_client_free(WorkerClient *client) {
    if (!client)
        return NULL;
    for (uint32_t i = 0; client->slots && i < client->n_slots; i++) {
        segment_disconnect(&client->slots[i].request);
        segment_disconnect(&client->slots[i].response);
    }
    free(client->slots);
    free(client->seen);
    page_deinit(&client->submit);
    page_deinit(&client->states);
    fd_close(client->reply_queue);
    fd_close(client->requests_fd);
    fd_close(client->responses_fd);
    free(client);
    return NULL;
}

DEFINE_CLEANUP(WorkerClient, worker_client_free)

static HugePages huge_pages_of(const PacketClient *packet) {
    if (packet->flags & CLIENT_HUGE_ALL)
        return HUGE_ALWAYS;
    return packet->flags & CLIENT_HUGE ? HUGE_AUTO : HUGE_NEVER;
}

static int worker_client_new(WorkerClient **ret, const PacketClient *packet, int *fds) {
    _cleanup_(worker_client_freep) WorkerClient *client = calloc(1, sizeof(*client));
    size_t bytes = slots_page_bytes(packet->n_slots);
    int r;

    if (!client)
        return error_origin(-ENOMEM);
    client->id = packet->client;
    client->uid = packet->uid;
    client->trusted = packet->flags & CLIENT_TRUSTED;
    client->probe = packet->flags & CLIENT_PROBE;
    client->huge = packet->flags & CLIENT_HUGE;
    client->n_slots = packet->n_slots;
    client->stride = packet->stride;
    client->submit = client->states = (Page)PAGE_NULL;
    client->reply_queue = TAKE_FD(fds[CLIENT_REPLY_QUEUE]);
    client->requests_fd = TAKE_FD(fds[CLIENT_REQUESTS]);
    client->responses_fd = TAKE_FD(fds[CLIENT_RESPONSES]);
    client->slots = calloc(client->n_slots, sizeof(*client->slots));
    client->seen = calloc(client->n_slots, sizeof(*client->seen));
    if (!client->slots || !client->seen)
        return error_origin(-ENOMEM);
    for (uint32_t i = 0; i < client->n_slots; i++) {
        segment_init(&client->slots[i].request, client->requests_fd, false, i * client->stride,
                     client->stride);
        segment_init(&client->slots[i].response, client->responses_fd, true, i * client->stride,
                     client->stride);
        client->slots[i].response.huge = huge_pages_of(packet);
    }
    r = page_init_connect(&client->submit, TAKE_FD(fds[CLIENT_SUBMIT]), bytes, false);
    if (r < 0)
        return r;
    r = page_init_connect(&client->states, TAKE_FD(fds[CLIENT_STATE]), bytes, true);
    if (r < 0)
        return r;
    if (!state_page_is_valid(client->states.map, client->n_slots))
        return error_origin(-EBADMSG);
    *ret = TAKE(client);
    return 0;
}

/* What the host says of a client must hang together. */
static bool packet_fits(const PacketClient *packet, uint64_t id, uid_t uid, size_t n_fds) {
    return n_fds == CLIENT_N_FDS && packet->client == id && packet->uid == uid && packet->n_slots > 0 &&
           packet->n_slots <= SLOTS_MAX && packet->stride > 0 && packet->stride % PAGE_BYTES == 0 &&
           packet->stride <= (uint64_t)INT64_MAX / packet->n_slots;
}

static int tell_dropped(Worker *worker, uint64_t id) {
    Packet packet;

    packet_init(&packet, PACKET_DROPPED, 0);
    packet.id.client = id;
    return worker_say(worker, &packet);
}

/*
 * What the host said of a client, with what it gave. Return: 0, with *ret NULL if there is none such; or
 * negative errno.
 */
static int hear_client(Worker *worker, const PacketClient *packet, uint64_t id, uid_t uid, int *fds,
                       size_t n_fds, WorkerClient **ret) {
    _cleanup_(worker_client_freep) WorkerClient *client = NULL;
    int r;

    if (packet->flags & CLIENT_GONE)
        return 0;
    if (!packet_fits(packet, id, uid, n_fds))
        return error_origin(-EBADMSG);
    r = worker_client_new(&client, packet, fds);
    if (r < 0)
        return r;
    for (uint32_t slot = 0; slot < client->n_slots; slot++)
        worker_job_init(worker, client, slot);
    r = table_insert(&worker->clients, id, client);
    if (r == 0)
        *ret = TAKE(client);
    return r;
}

int worker_meet_client(Worker *worker, uint64_t id, uid_t uid, WorkerClient **ret) {
    int fds[CHANNEL_FDS_MAX];
    size_t n_fds = 0;
    Packet question, answer;
    int r;

    *ret = NULL;
    packet_init(&question, PACKET_MEET, ++worker->serial);
    question.meet.client = id;
    question.meet.uid = uid;
    r = worker_ask(worker, &question, PACKET_CLIENT, &answer, fds, &n_fds);
    if (r < 0)
        return r == -ENOTCONN ? 0 : r;
    r = hear_client(worker, &answer.client, id, uid, fds, n_fds, ret);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(fds[i]);
    if (r == -EBADMSG)
        return r;
    if (r < 0) /* no memory, no descriptors: begin again with nothing in hand, and the host announces anew */
        worker->lost = true;
    else if (*ret && worker->misunderstood)
        worker_understands(worker);
    return 0;
}

int worker_drop_client(Worker *worker, uint64_t id) {
    WorkerClient *client = table_find(&worker->clients, id);

    if (client)
        worker_poll_leave(worker, client);
    if (client && client->n_jobs > 0) {
        client->gone = true;
        return 0;
    }
    worker_client_free(table_remove(&worker->clients, id));
    return tell_dropped(worker, id);
}

int worker_client_unpin(Worker *worker, WorkerClient *client) {
    if (--client->n_jobs > 0 || !client->gone)
        return 0;
    if (!client->orphan)
        return worker_drop_client(worker, client->id);
    worker_client_free(client);
    return 0;
}

void worker_drop_all_clients(Worker *worker) {
    for (size_t i = 0; i < worker->clients.n; i++) {
        WorkerClient *client = table_at(&worker->clients, i);

        worker_poll_leave(worker, client);
        client->gone = client->orphan = true;
        if (client->n_jobs == 0)
            worker_client_free(client);
    }
    table_deinit(&worker->clients);
}
