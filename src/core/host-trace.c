/* SPDX-License-Identifier: MIT */
#include "core/host-trace.h"

#include "base/error.h"
#include "base/units.h"
#include "core/host-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 4096u /* that come between two looks, of all workers */

/* --- who looks --- */

static bool is_traced(const Host *host) {
    return host->trace.n_tracers > 0;
}

void trace_mark(const Host *host, const HostClient *client) {
    state_set_measured(client->states.map, is_traced(host) ? MEASURE_ALL : MEASURE_SOME);
}

static void mark_clients(const Host *host) {
    for (size_t i = 0; i < host->clients.n; i++)
        trace_mark(host, table_at(&host->clients, i));
}

static uint64_t least_of(const Host *host) {
    uint64_t least_ns = UINT64_MAX;

    for (size_t i = 0; i < host->peers.n; i++) {
        const HostTracer *tracer = ((const Peer *)table_at(&host->peers, i))->tracer;

        if (tracer && !(tracer->wish.flags & TRACE_ONLY_FAILED) && tracer->wish.least_ns < least_ns)
            least_ns = tracer->wish.least_ns;
    }
    return least_ns;
}

/* Workers write down no more than somebody wants to see. */
static void set_least(Host *host) {
    host->trace.least_ns = least_of(host);
    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *worker = table_at(&host->workers, i);

        if (worker->ring.map)
            trace_set_least(worker->ring.map, host->trace.least_ns);
    }
}

static int begin(Host *host) {
    if (host->trace.n_tracers++ > 0)
        return 0;
    host->trace.records = calloc(RECORDS, sizeof(*host->trace.records));
    if (!host->trace.records) {
        host->trace.n_tracers--;
        return error_origin(-ENOMEM);
    }
    host->trace.look_ns = clock_now_ns() + host->patience.trace_ns;
    mark_clients(host);
    host_sync_workers(host);
    return 0;
}

static void end(Host *host) {
    if (--host->trace.n_tracers > 0)
        return;
    free(host->trace.records);
    host->trace = (HostTrace){0};
    if (host->store.closing)
        return; /* the next host does it */
    mark_clients(host);
    host_sync_workers(host);
}

/*
 * Whoever traces next has the same rings: a worker that reads nothing has them in its socket, and a new one
 * for each who comes and goes would be memory that nobody has counted.
 */
void host_reap_rings(Host *host) {
    for (size_t i = 0; !is_traced(host) && i < host->workers.n; i++)
        page_deinit(&((HostWorker *)table_at(&host->workers, i))->ring);
}

void trace_leave(Peer *peer) {
    if (!peer->tracer)
        return;
    free(TAKE(peer->tracer));
    end(peer->host);
    set_least(peer->host);
}

/* --- what is told --- */

static bool wants(const Peer *peer, const TracedRecord *traced) {
    const PacketTrace *wish = &peer->tracer->wish;

    if (traced->uid != peer->who.uid && !peer_sees_all(peer))
        return false;
    if (wish->flags & TRACE_OF_UID && traced->uid != wish->uid)
        return false;
    if (wish->flags & TRACE_ONLY_FAILED && traced->record.end == TRACE_DONE)
        return false;
    return (!wish->client || wish->client == traced->record.client) &&
           (!wish->worker || wish->worker == traced->worker) &&
           trace_took_ns(&traced->record) >= wish->least_ns;
}

/* One that has hung up is seen by its own event. */
static void say(Peer *peer, Packet *packet, uint64_t now_ns) {
    HostTracer *tracer = peer->tracer;

    packet->traced.n_lost = tracer->n_lost;
    if (peer_say(peer, packet, NULL, 0) == 0) {
        tracer->n_lost = tracer->stuck_ns = 0;
    } else {
        tracer->n_lost += packet->traced.n_records;
        tracer->stuck_ns = tracer->stuck_ns ? tracer->stuck_ns : now_ns;
    }
    packet_init(packet, PACKET_TRACED, tracer->wish.header.serial);
}

static void tell(Peer *peer, uint64_t now_ns) {
    const HostTrace *trace = &peer->host->trace;
    Packet packet;

    packet_init(&packet, PACKET_TRACED, peer->tracer->wish.header.serial);
    peer->tracer->n_lost += trace->n_lost;
    for (size_t i = 0; i < trace->n; i++) {
        if (!wants(peer, &trace->records[i]))
            continue;
        packet.traced.records[packet.traced.n_records++] = trace->records[i];
        if (packet.traced.n_records == TRACED_MAX)
            say(peer, &packet, now_ns);
    }
    if (packet.traced.n_records || peer->tracer->n_lost || peer->tracer->stuck_ns)
        say(peer, &packet, now_ns);
}

void trace_hear(Peer *peer, const PacketTrace *wish) {
    bool is_new = !peer->tracer;
    Packet packet;

    if (is_new)
        peer->tracer = calloc(1, sizeof(*peer->tracer));
    if (!peer->tracer || (is_new && begin(peer->host) < 0)) {
        free(TAKE(peer->tracer));
        peer_refuse_for_system(peer, "no memory is left");
        return;
    }
    peer->tracer->wish = *wish;
    set_least(peer->host);
    packet_init(&packet, PACKET_TRACED, wish->header.serial);
    say(peer, &packet, clock_now_ns());
}

/* --- what comes --- */

static void add(Host *host, const HostClient *client, const TraceRecord *record, uint32_t worker) {
    TracedRecord *traced;

    if (host->trace.n == RECORDS) {
        host->trace.n_lost++;
        return;
    }
    traced = &host->trace.records[host->trace.n++];
    *traced = (TracedRecord){
        .record = *record,
        .uid = client->uid->uid,
        .pid = (uint32_t)client->pid,
        .worker = worker,
    };
    text_copy(traced->name, sizeof(traced->name), client->name);
}

static void fill_request(const HostClient *client, uint32_t slot, TraceRecord *record) {
    SubmitRecord request;

    if (!host_read_request(client, slot, record->generation, &request))
        return;
    if (request.submitted_ns <= record->ended_ns)
        record->submitted_ns = request.submitted_ns;
    record->request_bytes = request.payload_bytes;
}

void host_trace(Host *host, const HostClient *client, uint32_t slot, TraceEnd end, Reason reason,
                uint32_t worker, uint64_t claimed_ns) {
    SlotWord word;
    TraceRecord record;

    if (!is_traced(host) || client->probe)
        return;
    word = state_load(client->states.map, slot, NULL);
    record = (TraceRecord){
        .client = client->id,
        .claimed_ns = claimed_ns,
        .ended_ns = clock_now_ns(),
        .slot = slot,
        .generation = word.generation,
        .end = (uint8_t)end,
        .attempt = (uint8_t)word.attempts,
        .reason = (uint16_t)reason,
    };
    fill_request(client, slot, &record);
    add(host, client, &record, worker);
}

/* Whether a worker's record can be true; it is a copy. */
static bool is_plausible(const HostClient *client, const TraceRecord *record, uint64_t now_ns) {
    return client && !client->probe && record->slot < client->n_slots && record->end >= TRACE_DONE &&
           record->end <= TRACE_EXPIRED && record->attempt >= 1 && record->attempt <= SLOT_ATTEMPTS_MAX &&
           record->reason < _REASON_N && record->status > INT32_MIN &&
           record->request_bytes <= client->stride &&
           record->response_bytes <= client->stride && record->ended_ns <= now_ns &&
           record->claimed_ns <= record->ended_ns && record->submitted_ns <= record->claimed_ns;
}

static void gather_from(Host *host, HostWorker *worker, size_t n_max) {
    uint64_t now_ns;
    TraceRecord records[64];
    size_t n = sizeof(records) / sizeof(records[0]);

    while (worker->ring.map && n_max > 0 && n == sizeof(records) / sizeof(records[0])) {
        n = n_max < n ? n_max : n;
        n = trace_read(worker->ring.map, &worker->ring_at, records, n, &host->trace.n_lost);
        n_max -= n;
        now_ns = clock_now_ns(); /* after what is read was written */
        for (size_t i = 0; i < n; i++) {
            const HostClient *client = table_find(&host->clients, records[i].client);

            if (is_plausible(client, &records[i], now_ns))
                add(host, client, &records[i], worker->number);
            else
                host->trace.n_lost++;
        }
    }
}

/* Each worker has its share of the room, so that a quick one takes nothing from the others. */
void host_trace_gather(Host *host) {
    for (size_t i = 0; is_traced(host) && i < host->workers.n; i++)
        gather_from(host, table_at(&host->workers, i), (RECORDS - host->trace.n) / (host->workers.n - i));
}

static int compare(const void *a, const void *b) {
    uint64_t one = ((const TracedRecord *)a)->record.ended_ns;
    uint64_t other = ((const TracedRecord *)b)->record.ended_ns;

    return (one > other) - (one < other);
}

static bool is_stuck(const Peer *peer, uint64_t now_ns) {
    return peer->tracer->stuck_ns && now_ns >= peer->tracer->stuck_ns + peer->host->patience.answer_ns;
}

void host_trace_look(Host *host, uint64_t now_ns) {
    HostTrace *trace = &host->trace;

    host_trace_gather(host);
    qsort(trace->records, trace->n, sizeof(*trace->records), compare);
    for (size_t i = host->peers.n; i > 0; i--) {
        Peer *peer = table_at(&host->peers, i - 1);

        if (!peer->tracer)
            continue;
        if (host_paces_trace(peer)) {
            peer->tracer->n_lost += trace->n + trace->n_lost;
            continue;
        }
        tell(peer, now_ns);
        (void)host_pace_end(host);
        if (is_stuck(peer, now_ns))
            peer_misbehaved(peer, "it traces, but does not read what it is told");
    }
    trace->n = 0;
    trace->n_lost = 0;
    trace->look_ns = is_traced(host) ? now_ns + host->patience.trace_ns : 0;
}

/* --- rings --- */

static int say_ring(HostWorker *worker) {
    Packet packet;
    int fd, r = page_reopen(&worker->ring, true, &fd);

    if (r < 0)
        return r;
    packet_init(&packet, PACKET_RING, 0);
    r = peer_say(worker->peer, &packet, &fd, 1);
    fd_close(fd);
    return r;
}

static int give_ring(HostWorker *worker, const Host *host) {
    int r = worker->ring.map ? 0 : page_init_create(&worker->ring, "shmipc-trace", TRACE_RING_BYTES);

    if (r < 0)
        return r;
    worker->ring_at = trace_end(worker->ring.map);
    trace_set_least(worker->ring.map, host->trace.least_ns);
    r = say_ring(worker);
    if (r < 0)
        page_deinit(&worker->ring);
    if (r == 0)
        worker->has_ring = true; /* or it has one still, which it could not be told to let go of */
    return r;
}

static int take_ring(HostWorker *worker) {
    Packet packet;
    int r;

    packet_init(&packet, PACKET_UNRING, 0);
    r = peer_say(worker->peer, &packet, NULL, 0);
    worker->has_ring = r < 0;
    return r;
}

int trace_sync(HostWorker *worker, const Host *host) {
    if (is_traced(host))
        return worker->has_ring && worker->ring.map ? 0 : give_ring(worker, host);
    return worker->has_ring ? take_ring(worker) : 0;
}
