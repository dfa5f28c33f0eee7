/* SPDX-License-Identifier: MIT */
/*
 * Workers of a host: what they are told, how they are judged, and what their death leaves
 *
 * What a worker should know (queues that came and went, clients that went) is not queued for it: it is
 * derived from what it was told so far, and told as far as it listens. A worker that is busy for minutes
 * costs no memory here.
 */
#include "core/host-internal.h"

#include "base/error.h"
#include "os/limits.h"
#include "os/process.h"
#include "os/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GONE_MAX 32 /* GONEs without their DROPPED at a time, so that answers always fit into its socket */

static Event *tell(Host *host, const HostWorker *worker, EventKind kind) {
    Event *event = event_push(&host->events, kind);

    event->worker = worker->number;
    event->pid = worker->pid;
    event->uid = worker->uid;
    event->duration_ns = clock_now_ns() - worker->since_ns;
    text_copy(event->name, sizeof(event->name), worker->name);
    return event;
}

void host_count_workers(Host *host) {
    uint32_t n = 0;

    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *worker = table_at(&host->workers, i);

        n += worker->peer && !worker->leaving && !worker->suspect;
    }
    host->n_workers = n;
    host_tell_workers(host);
}

/* Return: whether all have said by now what they hold. */
static bool has_counted(Host *host, HostWorker *worker) {
    if (!worker->counting)
        return false;
    worker->counting = false;
    return --host->n_counting == 0;
}

static void forget_clients(Host *host) {
    for (size_t i = host->clients.n; i > 0; i--)
        host_forget_client(host, table_at(&host->clients, i - 1));
}

/*
 * Nobody polls for a number that is gone. Of all clients: a host that has taken up a dead worker never heard
 * whom that had met.
 */
static void end_polling(Host *host, const HostWorker *worker) {
    /* As a host ends its workers live on, and so may their polling. */
    for (size_t i = 0; i < host->clients.n && !host->store.closing; i++) {
        HostClient *client = table_at(&host->clients, i);

        state_poll_end(client->states.map, worker->number);
    }
}

void host_worker_free(Host *host, HostWorker *worker) {
    bool was_last = has_counted(host, worker);

    host_trace_gather(host);
    end_polling(host, worker);
    host_drop_worker(host, worker);
    table_remove(&host->workers, worker->number);
    host->memory_bytes -= worker->private_bytes;
    wait_remove(&worker->pidfd_source);
    fd_close(worker->pidfd);
    for (size_t i = worker->met.n; i > 0; i--) {
        HostClient *client = table_at(&worker->met, i - 1);

        client->n_met--;
        host_forget_client(host, client);
    }
    table_deinit(&worker->met);
    table_deinit(&worker->queues);
    table_deinit(&worker->told_gone);
    page_deinit(&worker->ring);
    free(worker);
    if (was_last)
        forget_clients(host);
}

/*
 * Its exit is watched for from now on: whatever it has forked may hold its socket open long after its death.
 * @pidfd:      taken over, unless this fails
 * Return: 0 or negative errno.
 */
static int make_worker(Peer *peer, uint32_t number, int *pidfd) {
    Host *host = peer->host;
    HostWorker *worker = calloc(1, sizeof(*worker));
    int r;

    if (!worker)
        return error_origin(-ENOMEM);
    r = wait_add(host->wait, &worker->pidfd_source, *pidfd, WAIT_READ, SOURCE_PIDFD, worker);
    if (r == 0)
        r = table_insert(&host->workers, number, worker);
    if (r < 0) {
        wait_remove(&worker->pidfd_source);
        free(worker);
        return r;
    }
    worker->number = number;
    worker->ring = (Page)PAGE_NULL;
    worker->peer = peer;
    worker->pid = peer->who.pid;
    worker->uid = peer->who.uid;
    worker->pidfd = TAKE_FD(*pidfd);
    worker->memory_limit = limits_memory(worker->pid);
    text_copy(worker->name, sizeof(worker->name), peer->name);
    peer->worker = worker;
    peer_becomes(peer, PEER_WORKER);
    return 0;
}

/* Return: 0; -ENOSPC where no more can be kept for the next host; or another negative errno. */
static int let_in(Peer *peer, const PacketHello *hello) {
    Host *host = peer->host;
    HostWorker *worker;
    int r = make_worker(peer, host->next_worker + 1, &peer->who.pidfd);

    if (r < 0)
        return r;
    host->next_worker++;
    worker = peer->worker;
    worker->in_reach = worker->pid != getpid() && process_may_kill(worker->pidfd);
    worker->since_ns = clock_now_ns();
    worker->timeout_ns = hello->timeout_ns;
    r = host_store_worker(host, worker);
    if (r < 0) {
        peer->worker = NULL;
        host_worker_free(host, worker);
    }
    return r;
}

static void refuse_worker(Peer *peer, int r) {
    if (r == -ENOSPC)
        peer_refuse(peer, REASON_LIMIT,
                    "busy: the host has %u workers, and could not keep another when it is restarted",
                    INDEX_WORKERS);
    else
        peer_refuse(peer, REASON_LIMIT, "the host cannot take another worker: %s", strerror(-r));
}

void worker_attach(Peer *peer, const PacketHello *hello) {
    Host *host = peer->host;
    HostWorker *worker;
    Packet packet;
    int r;

    if (peer->who.pidfd < 0) {
        peer_refuse(peer, REASON_NOT_ALLOWED,
                    "the host cannot watch your process: it has ended, or is in another PID namespace");
        return;
    }
    if (host->next_worker >= SLOT_OWNER_MAX) {
        peer_refuse(peer, REASON_LIMIT, "the host has had %u workers since its start: restart it",
                    SLOT_OWNER_MAX);
        return;
    }
    r = let_in(peer, hello);
    if (r < 0) {
        refuse_worker(peer, r);
        return;
    }
    worker = peer->worker;

    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.version = PROTOCOL_VERSION;
    packet.welcome.id = worker->number;
    packet.welcome.max_payload = host->settings->max_payload;
    packet.welcome.uid = worker->uid;
    tell(host, worker, EVENT_WORKER_ATTACHED);
    if (peer_answer(peer, &packet, NULL, 0) < 0)
        return; /* else it would wait for that for ever, and the host count on it */
    worker_sync(worker, host);
    host_count_workers(host);
    host->probe.due = true;
}

/* --- telling --- */

static int say_queue(HostWorker *worker, const HostUid *uid) {
    Packet packet;
    int fd, r = queue_connect(uid->queue, QUEUE_READ, &fd);

    if (r < 0)
        return r;
    packet_init(&packet, PACKET_QUEUE, 0);
    packet.number.number = uid->uid;
    r = peer_say(worker->peer, &packet, &fd, 1);
    fd_close(fd);
    return r;
}

static int say_unqueue(HostWorker *worker, uint64_t uid) {
    Packet packet;

    packet_init(&packet, PACKET_UNQUEUE, 0);
    packet.number.number = (uint32_t)uid;
    return peer_say(worker->peer, &packet, NULL, 0);
}

/* Queues that are gone, or were replaced by another of the same uid. */
static int sync_old_queues(HostWorker *worker, const Host *host) {
    for (size_t i = worker->queues.n; i > 0; i--) {
        uint64_t uid = worker->queues.entries[i - 1].id;
        const HostUid *now = table_find(&host->uids, uid);
        int r;

        if (now && !host_refuses_uid(host, now->uid) &&
            (uintptr_t)now->number == (uintptr_t)table_at(&worker->queues, i - 1))
            continue;
        r = say_unqueue(worker, uid);
        if (r < 0)
            return r;
        table_remove(&worker->queues, uid);
    }
    return 0;
}

static int sync_new_queues(HostWorker *worker, const Host *host) {
    for (size_t i = 0; i < host->uids.n; i++) {
        const HostUid *uid = table_at(&host->uids, i);
        int r;

        if (table_find(&worker->queues, uid->uid) || host_refuses_uid(host, uid->uid))
            continue;
        r = table_insert(&worker->queues, uid->uid, (void *)(uintptr_t)uid->number);
        if (r == 0)
            r = say_queue(worker, uid);
        if (r < 0) {
            table_remove(&worker->queues, uid->uid);
            return r;
        }
    }
    return 0;
}

static int sync_gone(HostWorker *worker) {
    for (size_t i = 0; i < worker->met.n && worker->told_gone.n < GONE_MAX; i++) {
        HostClient *client = table_at(&worker->met, i);
        Packet packet;
        int r;

        if (client->peer || table_find(&worker->told_gone, client->id))
            continue;
        r = table_insert(&worker->told_gone, client->id, client);
        packet_init(&packet, PACKET_GONE, 0);
        packet.id.client = client->id;
        if (r == 0)
            r = peer_say(worker->peer, &packet, NULL, 0);
        if (r < 0) {
            table_remove(&worker->told_gone, client->id);
            return r;
        }
    }
    return 0;
}

void worker_sync(HostWorker *worker, Host *host) {
    int r;

    if (!worker->peer || worker->leaving || worker->suspect || worker->peer->owes_again)
        return;
    r = sync_old_queues(worker, host);
    if (r == 0)
        r = sync_new_queues(worker, host);
    if (r == 0)
        r = sync_gone(worker);
    if (r == 0)
        r = trace_sync(worker, host);
    if (r == -EAGAIN)
        (void)wait_modify(&worker->peer->source, WAIT_READ | WAIT_WRITE);
    /*
     * Another error: it has hung up, which is seen by its own event; or this host is short of something, also
     * of descriptors that may be under way, and tries again at the next change or tick.
     */
}

void host_sync_workers(Host *host) {
    for (size_t i = 0; i < host->workers.n; i++)
        worker_sync(table_at(&host->workers, i), host);
}

/* --- hearing --- */

static int open_for_worker(const HostClient *client, int fds[static CLIENT_N_FDS]) {
    int r = queue_connect(client->reply_queue, QUEUE_WRITE, &fds[CLIENT_REPLY_QUEUE]);

    if (r == 0)
        r = page_reopen(&client->submit, false, &fds[CLIENT_SUBMIT]);
    if (r == 0)
        r = page_reopen(&client->states, true, &fds[CLIENT_STATE]);
    if (r == 0)
        r = object_connect(client->requests_fd, false, &fds[CLIENT_REQUESTS]);
    if (r == 0)
        r = object_connect(client->responses_fd, true, &fds[CLIENT_RESPONSES]);
    return r;
}

static int note_met(HostWorker *worker, HostClient *client) {
    int r;

    if (table_find(&worker->met, client->id))
        return 0;
    r = table_insert(&worker->met, client->id, client);
    if (r == 0)
        client->n_met++;
    return r;
}

/*
 * The HOLDS of one that was there before this host may have been heard in part by a host between, and what is
 * left of them says nothing of those clients: then the first question does.
 */
HostClient *worker_find_met(Host *host, HostWorker *worker, uint64_t id) {
    HostClient *client = table_find(worker->older ? &host->clients : &worker->met, id);

    return client && note_met(worker, client) == 0 ? client : NULL;
}

/*
 * Return: 0, the client being noted as met; CLIENT_GONE if there is none such for this uid; or negative
 * errno.
 */
static int meet(HostWorker *worker, HostClient *client, uint32_t uid, int fds[static CLIENT_N_FDS]) {
    int r;

    if (!client || !client->peer || client->uid->uid != uid)
        return CLIENT_GONE;
    r = open_for_worker(client, fds);
    return r == 0 ? note_met(worker, client) : r;
}

/* The worker is told that there is none such, and drops its message: it is sent again later. */
static void cannot_meet(Host *host, uint64_t client, int r) {
    Event *event = event_push_of(&host->events, EVENT_LIMIT, NOBODY);

    host->n_limits++;
    event->client = client;
    snprintf(event->text, sizeof(event->text), "a worker could not be given a client's memory: %s%s",
             strerror(-r), r == -EMFILE || r == -ENFILE ? "; raise LimitNOFILE= of the unit" : "");
    host->repeat_due = true;
}

static int say_client(Peer *peer, const HostClient *client, uint64_t serial,
                      const int fds[static CLIENT_N_FDS]) {
    Packet packet;

    packet_init(&packet, PACKET_CLIENT, serial);
    packet.client.client = client->id;
    packet.client.stride = client->stride;
    packet.client.n_slots = client->n_slots;
    packet.client.uid = client->uid->uid;
    packet.client.flags = (client->trusted ? CLIENT_TRUSTED : 0) | (client->probe ? CLIENT_PROBE : 0) |
                          (client->huge != HUGE_NEVER ? CLIENT_HUGE : 0) |
                          (client->huge == HUGE_ALWAYS ? CLIENT_HUGE_ALL : 0);
    return peer_say(peer, &packet, fds, CLIENT_N_FDS);
}

void worker_hear_meet(Peer *peer, const PacketMeet *question) {
    HostClient *client = table_find(&peer->host->clients, question->client);
    int fds[CLIENT_N_FDS] = {-1, -1, -1, -1, -1};
    int r = meet(peer->worker, client, question->uid, fds);
    Packet packet;

    if (r == 0)
        r = say_client(peer, client, question->header.serial, fds);
    for (size_t i = 0; i < CLIENT_N_FDS; i++)
        fd_close(fds[i]);
    if (r == 0)
        return;
    /*
     * Also when others of this user have too many descriptors under way, which is no fault of the worker's.
     */
    if (r == -EAGAIN)
        peer->host->repeat_due = true;
    else if (r < 0 && r != -EPIPE)
        cannot_meet(peer->host, question->client, r);
    packet_init(&packet, PACKET_CLIENT, question->header.serial);
    packet.client.client = question->client;
    packet.client.flags = CLIENT_GONE;
    peer_answer(peer, &packet, NULL, 0);
}

/*
 * Say what worker_sync() cannot know. One that does not fit is said by nobody, and the worker holds it until
 * its own end.
 */
static void say_gone(HostWorker *worker, uint64_t client) {
    Packet packet;

    packet_init(&packet, PACKET_GONE, 0);
    packet.id.client = client;
    (void)peer_say(worker->peer, &packet, NULL, 0);
}

static void end_counting(Host *host, HostWorker *worker) {
    if (has_counted(host, worker))
        forget_clients(host);
    worker_sync(worker, host);
}

/*
 * This host has come after another, and learns what its workers hold. One that was told AGAIN by several
 * hosts, each of which was killed before it heard this, says it as often.
 */
void worker_hear_holds(Peer *peer, uint64_t id) {
    HostWorker *worker = peer->worker;
    HostClient *client = table_find(&peer->host->clients, id);

    if (!worker->older)
        peer_misbehaved(peer, "a HOLDS that nobody asked for");
    else if (id == 0)
        end_counting(peer->host, worker);
    else if (!client || client->probe)
        say_gone(worker, id);
    else if (note_met(worker, client) < 0)
        peer_misbehaved(peer, "it holds more than the host has memory to note");
}

void worker_hear_dropped(Host *host, HostWorker *worker, uint64_t id) {
    HostClient *client = table_remove(&worker->met, id);

    table_remove(&worker->told_gone, id);
    if (!client)
        return;
    client->n_met--;
    host_forget_client(host, client);
    worker_sync(worker, host);
}

void worker_hear_leaving(Host *host, HostWorker *worker) {
    worker->leaving = true;
    host_store_leaving(host, worker);
    host_count_workers(host);
}

int worker_take_up(Host *host, const IndexWorker *record, uint32_t number, int *fds) {
    HostWorker *worker;
    Peer *peer;
    int r;

    if (record->key > SLOT_OWNER_MAX || table_find(&host->workers, record->key) ||
        !channel_is_connection(fds[WORKER_SOCKET]))
        return error_origin(-EBADMSG);
    r = host_add_peer(host, TAKE_FD(fds[WORKER_SOCKET]), false, &peer);
    if (r < 0)
        return r;
    text_copy(peer->name, sizeof(peer->name), record->name);
    r = make_worker(peer, (uint32_t)record->key, &fds[WORKER_PIDFD]);
    if (r < 0) {
        peer_free(peer);
        return r;
    }
    peer->who.pidfd = fd_close(peer->who.pidfd); /* the kept one is of the same process */
    worker = peer->worker;
    worker->since_ns = record->since_ns;
    worker->timeout_ns = record->timeout_ns;
    worker->leaving = record->leaving;
    worker->in_reach = record->in_reach;
    worker->kept = number + 1;
    worker->counting = worker->older = true;
    host->n_counting++;
    peer->owes_again = true;
    return 0;
}

/* --- judging --- */

/*
 * A worker that was stopped between its claim and its note leaves a claim without a time: it counts from when
 * it was first seen.
 */
static uint64_t unnoted_since(HostWorker *worker, uint64_t now_ns) {
    worker->unnoted = true;
    if (!worker->unnoted_ns)
        worker->unnoted_ns = now_ns;
    return worker->unnoted_ns;
}

/* Note the claim that this worker holds, if any. */
static void note_claim(Host *host, const HostClient *client, uint32_t slot, uint64_t now_ns) {
    SlotWord word = state_load(client->states.map, slot, NULL);
    HostWorker *worker = word.state == SLOT_CLAIMED ? table_find(&host->workers, word.owner) : NULL;
    uint64_t claimed_ns;

    if (!worker)
        return;
    claimed_ns = state_claimed_ns(client->states.map, slot);
    if (!claimed_ns)
        claimed_ns = unnoted_since(worker, now_ns);
    if (worker->claimed_ns && worker->claimed_ns <= claimed_ns)
        return; /* of several claims the oldest counts */
    worker->claimed_ns = claimed_ns;
    worker->busy_client = client->id;
    worker->busy_slot = slot;
}

static void note_claims(Host *host, uint64_t now_ns) {
    host->looked_ns = now_ns;
    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *worker = table_at(&host->workers, i);

        worker->was_busy = worker->claimed_ns != 0;
        worker->claimed_ns = 0;
        worker->unnoted = false;
    }
    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; slot < client->n_slots; slot++)
            note_claim(host, client, slot, now_ns);
    }
    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *worker = table_at(&host->workers, i);

        worker->unnoted_ns = worker->unnoted ? worker->unnoted_ns : 0;
        /* One that was busy since it was asked has had no time to answer yet. */
        if (worker->pinged_ns && (worker->was_busy || worker->claimed_ns))
            worker->pinged_ns = now_ns;
    }
}

/* A worker may ask for more time than there is. */
static uint64_t later(uint64_t at_ns, uint64_t by_ns) {
    return by_ns < UINT64_MAX - at_ns ? at_ns + by_ns : UINT64_MAX;
}

/* When this worker will have to be killed if nothing changes. */
static uint64_t judgement(const Host *host, const HostWorker *worker, const char **ret_why) {
    if (worker->suspect || !worker->peer)
        return UINT64_MAX;
    if (worker->claimed_ns) {
        *ret_why = "it holds an exchange for longer than its `timeout`";
        return later(later(worker->claimed_ns > host->since_ns ? worker->claimed_ns : host->since_ns,
                           worker->timeout_ns),
                     host->patience.grace_ns);
    }
    *ret_why = "it is idle and does not answer";
    return worker->pinged_ns ? worker->pinged_ns + host->patience.answer_ns : UINT64_MAX;
}

/*
 * When to look at the claims again, so that each is seen before it can be overdue: whoever holds one for too
 * long is then killed in time, and not a tick later. Where nobody can submit anything there is nothing to
 * look for.
 */
static uint64_t next_look(const Host *host) {
    uint64_t shortest = UINT64_MAX;

    for (size_t i = 0; i < host->workers.n; i++) {
        const HostWorker *worker = table_at(&host->workers, i);

        if (worker->peer && !worker->suspect && worker->timeout_ns < shortest)
            shortest = worker->timeout_ns;
    }
    if (shortest == UINT64_MAX || host->n_clients == 0)
        return UINT64_MAX;
    shortest = later(shortest, host->patience.grace_ns);
    return later(host->looked_ns, shortest > host->patience.look_ns ? shortest : host->patience.look_ns);
}

uint64_t host_next_judgement(const Host *host) {
    uint64_t earliest = next_look(host);
    const char *why;

    for (size_t i = 0; i < host->workers.n; i++) {
        uint64_t at_ns = judgement(host, table_at(&host->workers, i), &why);

        earliest = at_ns < earliest ? at_ns : earliest;
    }
    return earliest;
}

void host_judge_workers(Host *host, uint64_t now_ns) {
    note_claims(host, now_ns);
    for (size_t i = host->workers.n; i > 0; i--) {
        HostWorker *worker = table_at(&host->workers, i - 1);
        const char *why;

        if (judgement(host, worker, &why) <= now_ns)
            host_worker_kill(host, worker, why);
    }
}

/*
 * One that this host may not kill may be stopped with a message in its hands: others get it again and again.
 */
static bool any_is_out_of_reach(const Host *host) {
    for (size_t i = 0; i < host->workers.n; i++) {
        const HostWorker *worker = table_at(&host->workers, i);

        if (worker->suspect && !worker->again)
            return true;
    }
    return false;
}

void host_ping_workers(Host *host, uint64_t now_ns) {
    note_claims(host, now_ns);
    if (any_is_out_of_reach(host))
        host_repeat(host);
    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *worker = table_at(&host->workers, i);
        Packet packet;

        if (!worker->peer || worker->suspect || worker->claimed_ns || worker->pinged_ns)
            continue;
        packet_init(&packet, PACKET_PING, 0);
        if (peer_say(worker->peer, &packet, NULL, 0) != -EPIPE)
            worker->pinged_ns = now_ns; /* one that did not fit counts: it does not listen */
    }
}

/* --- death --- */

static bool has_claim(Host *host, const HostWorker *worker) {
    note_claims(host, clock_now_ns());
    return worker->claimed_ns != 0;
}

/* From here on only its exit is waited for. */
static void suspect(Host *host, HostWorker *worker) {
    int r = worker->in_reach ? process_kill(worker->pidfd) : -EPERM;

    worker->suspect = true;
    worker->again = r == 0 || r == -ESRCH;
    host_count_workers(host);
    if (!worker->again)
        host_repeat(host); /* it may never be seen dead, and a message may be in its hands */
}

void host_worker_hung_up(Host *host, HostWorker *worker) {
    if (worker->suspect)
        return;
    if (worker->leaving && !has_claim(host, worker)) {
        tell(host, worker, EVENT_WORKER_DETACHED);
        host_worker_free(host, worker);
        host_count_workers(host);
        host_repeat(host);
        return;
    }
    suspect(host, worker);
}

/* @why is a text that stays. */
void host_worker_kill(Host *host, HostWorker *worker, const char *why) {
    Event *event = tell(host, worker, EVENT_WORKER_KILLED);

    worker->why = why;
    suspect(host, worker);
    event->ok = worker->again;
    event->client = worker->claimed_ns ? worker->busy_client : 0;
    event->slot = worker->busy_slot;
    text_copy(event->text, sizeof(event->text), why);
    if (worker->peer)
        peer_free(worker->peer);
}

/* Whether there is something that it said before its death and that will be heard: perhaps that it leaves. */
static bool has_last_words(const HostWorker *worker) {
    const Peer *peer = worker->peer;

    return peer && peer->source.events & WAIT_READ && wait_for_fd(peer->fd, WAIT_READ, 0) > 0;
}

void host_worker_dead(Host *host, HostWorker *worker) {
    if (!process_has_exited(worker->pidfd) || has_last_words(worker))
        return;
    if (!worker->suspect)
        suspect(host, worker);
    tell(host, worker, EVENT_WORKER_DIED)->ok = worker->leaving;
    host_settle(host, worker);
    if (worker->peer)
        peer_free(worker->peer);
    host_worker_free(host, worker);
    forget_clients(host);
    host_count_workers(host);
    host_repeat(host);
}
