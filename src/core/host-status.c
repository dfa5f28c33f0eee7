/* SPDX-License-Identifier: MIT */
/*
 * Status: the host's numbers, row by row
 *
 * A peer that reads slowly gets its rows slowly: the place in the answer is kept with the peer, by the number
 * of the last row's client or worker, so that rows may come and go meanwhile.
 */
#include "core/host-internal.h"

#include "os/limits.h"
#include "os/queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PART_NONE, PART_HOST, PART_CLIENTS, PART_WORKERS, PART_END };

void host_counts(const Host *host, SlotCounts *ret_counts) {
    *ret_counts = host->past;
    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);
        SlotCounts counts;

        if (client->probe)
            continue;
        state_counts(client->states.map, &counts);
        ret_counts->n_done += counts.n_done;
        ret_counts->n_failed += counts.n_failed;
        ret_counts->n_cancelled += counts.n_cancelled;
        ret_counts->request_bytes += counts.request_bytes;
        ret_counts->response_bytes += counts.response_bytes;
    }
}

static uint32_t count_in_flight(const HostClient *client) {
    uint32_t n = 0, generation;

    for (uint32_t slot = 0; slot < client->n_slots; slot++)
        n += slots_pending(client->submit.map, client->states.map, slot, &generation) ||
             state_load(client->states.map, slot, NULL).state == SLOT_CLAIMED;
    return n;
}

static uint64_t count_all_in_flight(const Host *host) {
    uint64_t n = 0;

    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);

        n += client->probe ? 0 : count_in_flight(client);
    }
    return n;
}

static void fill_limits(const Host *host, PacketStatusHost *row) {
    HostFit fit;
    Limits limits;

    limits_read(&limits);
    host_fit(host, &fit);
    row->fit_queue_bytes = fit.n[LIMIT_QUEUE_BYTES];
    row->fit_queues = fit.n[LIMIT_QUEUES];
    row->fit_files = fit.n[LIMIT_FILES];
    row->n_queues_limit = limits.n_queues;
    row->queue_bytes_limit = limits.queue_bytes;
    row->n_files = limits.n_files_open;
    row->n_files_limit = limits.n_files;
    for (size_t i = 0; i < host->accounts.n; i++) {
        const HostAccount *account = table_at(&host->accounts, i);

        row->n_queues += account->n_queues;
        row->queue_bytes += account->queue_bytes;
    }
}

static void fill_host(const Host *host, PacketStatusHost *row) {
    SlotCounts counts;

    host_counts(host, &counts);
    text_copy(row->name, sizeof(row->name), host->name);
    text_copy(row->version, sizeof(row->version), SHMIPC_VERSION);
    row->pid = (uint64_t)getpid();
    row->uptime_ns = clock_now_ns() - host->since_ns;
    row->memory_bytes = host->memory_bytes;
    row->memory_limit = host_memory(host);
    row->max_payload = host->settings->max_payload;
    row->n_done = counts.n_done;
    row->n_failed = counts.n_failed;
    row->n_cancelled = counts.n_cancelled;
    row->n_redelivered = host->n_redelivered;
    row->n_parked = host->parking.n_parked;
    row->n_refused = host->n_refused;
    row->n_misbehaved = host->n_misbehaved;
    row->n_limits = host->n_limits;
    row->n_untold = host->events.n_held + host->events.n_dropped;
    row->user_share = host->settings->user_share;
    row->request_payload_bytes = counts.request_bytes;
    row->response_payload_bytes = counts.response_bytes;
    row->in_flight = count_all_in_flight(host);
    row->probe_ns = host->probe.last_ns;
    row->n_clients = host->n_clients;
    row->max_clients = host->settings->max_clients;
    row->n_workers = host->n_workers;
    row->healthy = !host->probe.known ? 0 : host->probe.healthy ? 1 : 2;
    row->slots_per_client = host->settings->requests_per_client;
    row->queue_depth = host->settings->queue_depth;
    fill_limits(host, row);
}

static void fill_client(const HostClient *client, PacketStatusClient *row) {
    SlotCounts counts;
    uint64_t requests = 0, responses = 0;

    state_counts(client->states.map, &counts);
    (void)object_usage(client->requests_fd, &requests);
    (void)object_usage(client->responses_fd, &responses);
    text_copy(row->name, sizeof(row->name), client->name);
    row->id = client->id;
    row->request_bytes = client->reserved_bytes[0];
    row->response_bytes = client->reserved_bytes[1];
    row->resident_bytes = requests + responses;
    row->n_done = counts.n_done;
    row->n_failed = counts.n_failed + counts.n_cancelled;
    row->age_ns = clock_now_ns() - client->since_ns;
    row->pid = (uint32_t)client->pid;
    row->uid = client->uid->uid;
    row->in_flight = count_in_flight(client);
    (void)queue_depth(client->uid->queue, &row->queued, NULL, NULL);
    row->trusted = client->trusted;
    row->probe = client->probe;
}

static void fill_worker(const HostWorker *worker, PacketStatusWorker *row) {
    uint64_t now_ns = clock_now_ns();

    text_copy(row->name, sizeof(row->name), worker->name);
    row->number = worker->number;
    row->age_ns = now_ns - worker->since_ns;
    row->pid = (uint32_t)worker->pid;
    row->uid = worker->uid;
    row->n_clients = (uint32_t)worker->met.n;
    row->leaving = worker->leaving || worker->suspect;
    if (worker->claimed_ns) {
        row->busy_ns = now_ns > worker->claimed_ns ? now_ns - worker->claimed_ns : 1;
        row->client = worker->busy_client;
        row->slot = worker->busy_slot;
    }
}

/* The row at the peer's place, and the place after it. Return: whether there is one left in this part. */
static bool next_row(Peer *peer, Packet *packet) {
    Host *host = peer->host;
    Table *table = peer->status_part == PART_CLIENTS ? &host->clients : &host->workers;
    size_t i = table_after(table, peer->status_after);

    if (i >= table->n)
        return false;
    packet_init(packet, peer->status_part == PART_CLIENTS ? PACKET_STATUS_CLIENT : PACKET_STATUS_WORKER,
                peer->status_serial);
    if (peer->status_part == PART_CLIENTS)
        fill_client(table_at(table, i), &packet->status_client);
    else
        fill_worker(table_at(table, i), &packet->status_worker);
    return true;
}

static int say_rows(Peer *peer) {
    Packet packet;

    while (next_row(peer, &packet)) {
        int r = peer_say(peer, &packet, NULL, 0);

        if (r < 0)
            return r;
        peer->status_after = packet.header.type == PACKET_STATUS_CLIENT ? packet.status_client.id
                                                                        : packet.status_worker.number;
    }
    return 0;
}

static int say_head(Peer *peer) {
    Packet packet;

    host_judge_workers(peer->host, clock_now_ns()); /* so that the rows say who is busy now */
    packet_init(&packet, PACKET_STATUS_HOST, peer->status_serial);
    fill_host(peer->host, &packet.status_host);
    return peer_say(peer, &packet, NULL, 0);
}

static int say_end(Peer *peer) {
    Packet packet;

    packet_init(&packet, PACKET_STATUS_END, peer->status_serial);
    return peer_say(peer, &packet, NULL, 0);
}

int status_continue(Peer *peer) {
    int r = 0;

    for (; r == 0 && peer->status_part != PART_NONE;
         peer->status_part = (peer->status_part + 1) % (PART_END + 1)) {
        if (peer->status_part == PART_HOST)
            r = say_head(peer);
        else if (peer->status_part == PART_END)
            r = say_end(peer);
        else
            r = say_rows(peer);
        if (r < 0)
            break;
        peer->status_after = 0;
    }
    if (r == -EAGAIN)
        return wait_modify(&peer->source, WAIT_READ | WAIT_WRITE);
    return 0; /* one that has hung up is seen by its own event */
}
