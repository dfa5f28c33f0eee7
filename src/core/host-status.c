/* SPDX-License-Identifier: MIT */
/*
 * Status: the host's numbers, row by row
 *
 * A peer that reads slowly gets its rows slowly: the place in the answer is kept with the peer, by the number
 * of the last row's client, worker or slot, so that rows may come and go meanwhile.
 *
 * Who is neither root, nor the host's user, nor of its group sees the host's sums and what is its own: the
 * rows of other users' clients are left out, and of a worker that has another user's exchange only that it is
 * busy.
 */
#include "core/host-internal.h"

#include "base/units.h"
#include "os/limits.h"
#include "os/queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STAGES_KEEP_NS NS_PER_SEC

enum { PART_NONE, PART_HOST, PART_CLIENTS, PART_WORKERS, PART_SLOTS, PART_STAGES, PART_END };

void host_counts(const Host *host, SlotCounts *ret_counts) {
    *ret_counts = host->past;
    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);
        SlotCounts counts;

        if (client->probe)
            continue;
        state_counts(client->states.map, client->n_slots, &counts);
        ret_counts->n_done += counts.n_done;
        ret_counts->n_failed += counts.n_failed;
        ret_counts->n_cancelled += counts.n_cancelled;
        ret_counts->request_bytes += counts.request_bytes;
        ret_counts->response_bytes += counts.response_bytes;
    }
}

static void count_in_flight(const HostClient *client, uint32_t *ret_waiting, uint32_t *ret_in_flight) {
    uint32_t n_waiting = 0, n_claimed = 0, generation;

    for (uint32_t slot = 0; slot < client->n_slots; slot++)
        if (slots_pending(client->submit.map, client->states.map, slot, &generation))
            n_waiting++;
        else
            n_claimed += state_load(client->states.map, slot, NULL).state == SLOT_CLAIMED;
    *ret_waiting = n_waiting;
    *ret_in_flight = n_waiting + n_claimed;
}

static void count_all_in_flight(const Host *host, PacketStatusHost *row) {
    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);
        uint32_t n_waiting, n_in_flight;

        if (client->probe)
            continue;
        count_in_flight(client, &n_waiting, &n_in_flight);
        row->n_waiting += n_waiting;
        row->in_flight += n_in_flight;
    }
}

static uint64_t sum_private(const Host *host) {
    uint64_t bytes = 0;

    for (size_t i = 0; i < host->workers.n; i++)
        bytes += ((const HostWorker *)table_at(&host->workers, i))->private_bytes;
    return bytes;
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
    row->settings_ns = clock_now_ns() - host->settings_ns;
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
    count_all_in_flight(host, row);
    row->private_bytes = sum_private(host);
    row->probe_ns = host->probe.last_ns;
    row->n_clients = host->n_clients;
    row->max_clients = host->settings->max_clients;
    row->n_workers = host->n_workers;
    row->healthy = !host->probe.known ? 0 : host->probe.healthy ? 1 : 2;
    row->slots_per_client = host->settings->requests_per_client;
    row->queue_depth = host->settings->queue_depth;
    row->huge_pages = host_huge_in_use(host);
    fill_limits(host, row);
}

static void fill_client(const HostClient *client, PacketStatusClient *row) {
    SlotCounts counts;
    uint64_t requests = 0, responses = 0;

    state_counts(client->states.map, client->n_slots, &counts);
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
    count_in_flight(client, &row->n_waiting, &row->in_flight);
    row->n_slots = client->n_slots;
    client_read_stages(client, row->stages);
    (void)queue_depth(client->uid->queue, &row->queued, NULL, NULL);
    row->trusted = client->trusted;
    row->probe = client->probe;
}

static bool may_see(const Peer *peer, const HostClient *client) {
    return client && (client->uid->uid == peer->who.uid || peer_sees_all(peer));
}

static void fill_worker(const Peer *peer, const HostWorker *worker, PacketStatusWorker *row) {
    uint64_t now_ns = clock_now_ns();

    text_copy(row->name, sizeof(row->name), worker->name);
    row->number = worker->number;
    row->age_ns = now_ns - worker->since_ns;
    row->pid = (uint32_t)worker->pid;
    row->uid = worker->uid;
    row->n_clients = (uint32_t)worker->met.n;
    row->leaving = worker->leaving || worker->suspect;
    row->private_bytes = worker->private_bytes;
    row->timeout_ns = worker->timeout_ns;
    if (worker->claimed_ns) {
        row->busy_ns = now_ns > worker->claimed_ns ? now_ns - worker->claimed_ns : 1;
        if (may_see(peer, table_find(&peer->host->clients, worker->busy_client))) {
            row->client = worker->busy_client;
            row->slot = worker->busy_slot;
        }
    }
}

static StatusSlot slot_state(SlotWord word, const SubmitRecord *submit) {
    bool is_new = submit->generation == word.generation + 1;

    if (word.state == SLOT_WAITING)
        return STATUS_SLOT_AGAIN;
    if (word.state == SLOT_CLAIMED)
        return word.owner == SLOT_OWNER_ENDER ? STATUS_SLOT_PARKING : STATUS_SLOT_RUNNING;
    if (is_new)
        return STATUS_SLOT_QUEUED;
    return STATUS_SLOT_IDLE;
}

/* Of a slot that is at an end: whether its client still has it. */
static StatusSlot slot_use(const HostClient *client, uint32_t slot, const SubmitRecord *submit) {
    if (submit_released(client->submit.map, slot) != submit->generation)
        return STATUS_SLOT_ENDED;
    return submit_is_taken(client->submit.map, slot) ? STATUS_SLOT_FILLING : STATUS_SLOT_IDLE;
}

/* Return: whether there is anything to tell. */
static bool fill_slot(const HostClient *client, uint32_t slot, PacketStatusSlot *row) {
    SlotWord word = state_load(client->states.map, slot, NULL);
    uint64_t now_ns = clock_now_ns(), claimed_ns = state_claimed_ns(client->states.map, slot);
    SubmitRecord submit;

    submit_copy(client->submit.map, slot, &submit);
    row->state = slot_state(word, &submit);
    if (row->state == STATUS_SLOT_IDLE)
        row->state = slot_use(client, slot, &submit);
    row->client = client->id;
    row->slot = slot;
    row->generation = submit.generation;
    row->request_bytes = client->reserved[0][slot];
    row->response_bytes = client->reserved[1][slot];
    row->left_ns = UINT64_MAX;
    if (row->state != STATUS_SLOT_IDLE && row->state != STATUS_SLOT_FILLING)
        row->payload_bytes = submit.payload_bytes;
    if (row->state >= STATUS_SLOT_QUEUED && row->state <= STATUS_SLOT_RUNNING && submit.deadline_ns)
        row->left_ns = submit.deadline_ns > now_ns ? submit.deadline_ns - now_ns : 0;
    if (row->state == STATUS_SLOT_RUNNING) {
        row->running_ns = claimed_ns && now_ns > claimed_ns ? now_ns - claimed_ns : 1;
        row->worker = word.owner;
    }
    if (row->state >= STATUS_SLOT_AGAIN && row->state <= STATUS_SLOT_ENDED)
        row->attempts = word.attempts;
    return row->state != STATUS_SLOT_IDLE || row->request_bytes || row->response_bytes;
}

/* The client after the peer's place that it may see. Return: NULL if there is none left. */
static HostClient *next_client(const Peer *peer) {
    const Table *clients = &peer->host->clients;

    for (size_t i = table_after(clients, peer->status_after); i < clients->n; i++)
        if (may_see(peer, table_at(clients, i)))
            return table_at(clients, i);
    return NULL;
}

static int say_clients(Peer *peer) {
    HostClient *client;
    Packet packet;

    while ((client = next_client(peer))) {
        int r;

        packet_init(&packet, PACKET_STATUS_CLIENT, peer->status_serial);
        fill_client(client, &packet.status_client);
        r = peer_say(peer, &packet, NULL, 0);
        if (r < 0)
            return r;
        peer->status_after = client->id;
    }
    return 0;
}

static int say_workers(Peer *peer) {
    const Table *workers = &peer->host->workers;
    Packet packet;
    size_t i;

    while ((i = table_after(workers, peer->status_after)) < workers->n) {
        const HostWorker *worker = table_at(workers, i);
        int r;

        packet_init(&packet, PACKET_STATUS_WORKER, peer->status_serial);
        fill_worker(peer, worker, &packet.status_worker);
        r = peer_say(peer, &packet, NULL, 0);
        if (r < 0)
            return r;
        peer->status_after = worker->number;
    }
    return 0;
}

static int say_slots(Peer *peer) {
    HostClient *client;
    Packet packet;

    while (peer->status_slots && (client = next_client(peer))) {
        if (peer->status_client != client->id) { /* the one before may have gone midway */
            peer->status_client = client->id;
            peer->status_slot = 0;
        }
        for (; peer->status_slot < client->n_slots; peer->status_slot++) {
            int r;

            packet_init(&packet, PACKET_STATUS_SLOT, peer->status_serial);
            if (!fill_slot(client, peer->status_slot, &packet.status_slot))
                continue;
            r = peer_say(peer, &packet, NULL, 0);
            if (r < 0)
                return r;
        }
        peer->status_after = client->id;
    }
    return 0;
}

/* The place is the stage and the bucket in it. What is counted meanwhile may be in the rest of it already. */
static int say_stages(Peer *peer) {
    while (peer->status_after < (uint64_t)_STAGE_N << 32) {
        uint32_t stage = (uint32_t)(peer->status_after >> 32), bucket = (uint32_t)peer->status_after;
        const Histogram *histogram = &peer->host->stages[stage];
        Packet packet;
        int r;

        packet_init(&packet, PACKET_STATUS_STAGE, peer->status_serial);
        packet.status_stage.stage = stage;
        packet.status_stage.sum_ns = histogram->sum;
        packet.status_stage.max_ns = histogram->max;
        packet.status_stage.n_entries =
            stage_entries(histogram, &bucket, packet.status_stage.entries, STAGE_ENTRIES);
        r = peer_say(peer, &packet, NULL, 0);
        if (r < 0)
            return r;
        peer->status_after =
            bucket < METER_BUCKETS ? (uint64_t)stage << 32 | bucket : (uint64_t)(stage + 1) << 32;
    }
    return 0;
}

/* To read the stages of many clients takes milliseconds, which not everybody may cost the host at will. */
static void read_stages_for(const Peer *peer) {
    if (peer_sees_all(peer) || clock_now_ns() >= peer->host->stages_ns + STAGES_KEEP_NS)
        host_read_stages(peer->host);
}

static int say_head(Peer *peer) {
    Packet packet;

    host_judge_workers(peer->host, clock_now_ns()); /* so that the rows say who is busy now */
    read_stages_for(peer);
    packet_init(&packet, PACKET_STATUS_HOST, peer->status_serial);
    fill_host(peer->host, &packet.status_host);
    packet.status_host.partial = !peer_sees_all(peer);
    return peer_say(peer, &packet, NULL, 0);
}

static int say_end(Peer *peer) {
    Packet packet;

    packet_init(&packet, PACKET_STATUS_END, peer->status_serial);
    return peer_say(peer, &packet, NULL, 0);
}

static int (*const say_part[])(Peer *) = {
    [PART_HOST] = say_head,   [PART_CLIENTS] = say_clients, [PART_WORKERS] = say_workers,
    [PART_SLOTS] = say_slots, [PART_STAGES] = say_stages,   [PART_END] = say_end,
};

int status_continue(Peer *peer) {
    int r = 0;

    for (; peer->status_part != PART_NONE; peer->status_part = (peer->status_part + 1) % (PART_END + 1)) {
        r = say_part[peer->status_part](peer);
        if (r < 0)
            break;
        peer->status_after = 0;
    }
    if (r == -EAGAIN)
        return wait_modify(&peer->source, WAIT_READ | WAIT_WRITE);
    return 0; /* one that has hung up is seen by its own event */
}
