/* SPDX-License-Identifier: MIT */
/*
 * What a worker's death leaves: each exchange that it had claimed is tried again, or ends
 *
 * Only after the worker was seen dead. While its request is being parked (host-park.c) the slot stays
 * claimed, by the host itself: so the next host knows that nobody else is at work on it.
 */
#include "core/host-internal.h"

#include "base/error.h"
#include "base/probe.h"
#include "os/process.h"

#include <errno.h>
#include <string.h>

/*
 * Whom an exchange has killed, for whoever looks at it later. Where there is no memory for that, it is not
 * known.
 */
static void note_loss(HostClient *client, uint32_t slot, uint32_t generation, const HostWorker *worker) {
    HostLosses *losses;

    if (!client->losses)
        client->losses = calloc(client->n_slots, sizeof(*client->losses));
    if (client->losses && !client->losses[slot])
        client->losses[slot] = calloc(1, sizeof(**client->losses));
    losses = client->losses ? client->losses[slot] : NULL;
    if (!losses)
        return;
    if (losses->generation != generation)
        *losses = (HostLosses){.generation = generation};
    if (losses->n == SLOT_ATTEMPTS_MAX)
        return;
    losses->workers[losses->n] =
        (ParkedWorker){.number = worker->number, .pid = (uint32_t)worker->pid, .killed = worker->why};
    text_copy(losses->workers[losses->n++].name, NAME_BYTES, worker->name);
}

void host_free_losses(HostClient *client) {
    for (uint32_t slot = 0; client->losses && slot < client->n_slots; slot++)
        free(client->losses[slot]);
    free(client->losses);
}

/* --- ends --- */

static void tell_end(Host *host, const HostClient *client, uint32_t slot, uint32_t owner, SlotState end,
                     Reason reason, uint64_t claimed_ns) {
    Event *event = event_push(&host->events, EVENT_EXCHANGE_FAILED);
    SlotWord word = state_load(client->states.map, slot, NULL);
    SubmitRecord request;

    event->worker = owner <= SLOT_OWNER_MAX ? owner : 0;
    event->client = client->id;
    event->uid = client->uid->uid;
    event->slot = slot;
    event->generation = word.generation;
    event->attempt = word.attempts;
    event->reason = end == SLOT_FAILED ? reason : REASON_NONE;
    if (host_read_request(client, slot, word.generation, &request))
        event->request_bytes = request.payload_bytes;
    event->duration_ns = claimed_ns ? clock_now_ns() - claimed_ns : 0;
    text_copy(event->text, sizeof(event->text),
              end == SLOT_FAILED      ? "its worker died, and it is not tried again"
              : end == SLOT_CANCELLED ? "cancelled; its worker died"
                                      : "past its client's deadline; its worker died");
    host_trace(host, client, slot, (TraceEnd)end, event->reason, event->worker, claimed_ns);
}

static void tell_again(Host *host, const HostWorker *worker, const HostClient *client, uint32_t slot,
                       uint64_t claimed_ns) {
    Event *event = event_push(&host->events, EVENT_EXCHANGE_REDELIVERED);
    SlotWord word = state_load(client->states.map, slot, NULL);

    host->n_redelivered++;
    PROBE_REDELIVER(client->id, slot, word.generation, worker->number);
    event->worker = worker->number;
    event->pid = worker->pid;
    event->uid = worker->uid;
    event->client = client->id;
    event->slot = slot;
    event->generation = word.generation;
    event->attempt = word.attempts;
    text_copy(event->name, sizeof(event->name), worker->name);
    host_trace(host, client, slot, TRACE_AGAIN, REASON_WORKER_LOST, worker->number, claimed_ns);
}

/*
 * Room for a text in the response's window: what is there, or a page. Return: 0, a Reason, or negative errno.
 */
static int make_room(Host *host, HostClient *client, uint32_t slot, Segment *window, AnswerRecord *answer) {
    const PacketReserve wish = {
        .client = client->id, .slot = slot, .direction = DIRECTION_RESPONSE, .bytes = PAGE_BYTES};
    Packet packet;
    int r;

    if (answer->segment_bytes >= PAGE_BYTES && answer->segment_bytes <= client->stride)
        return 0;
    packet_init(&packet, PACKET_RESERVED, 0);
    host_reserve(host, client, &wish, &packet.reserved);
    if (packet.reserved.code != REASON_NONE)
        return (int)packet.reserved.code;
    r = segment_resize(window, PAGE_BYTES);
    answer->segment_bytes = r == 0 ? PAGE_BYTES : 0;
    return r;
}

void host_fail(Host *host, HostClient *client, uint32_t slot, const SlotClaim *claim, Reason reason,
               const char *text) {
    AnswerRecord answer;
    Segment window;

    segment_init(&window, client->responses_fd, true, slot * client->stride, client->stride);
    state_answer_copy(client->states.map, slot, &answer);
    answer = (AnswerRecord){.segment_bytes = answer.segment_bytes, .reason = reason};
    /* Where there is no memory for the text, the reason stands alone. */
    if (make_room(host, client, slot, &window, &answer) == 0 &&
        segment_write(&window, 0, text, strlen(text)) == 0)
        answer.payload_bytes = strlen(text);
    if (slots_end(client->states.map, slot, claim, SLOT_FAILED, &answer))
        host_notify(client, slot, claim->generation);
}

void host_end_lost(Host *host, HostClient *client, uint32_t slot, uint32_t owner, Reason reason) {
    uint64_t raw, now_ns = clock_now_ns(), claimed_ns = state_claimed_ns(client->states.map, slot);
    SlotWord word = state_load(client->states.map, slot, &raw);
    SlotState end =
        slots_verdict(client->submit.map, client->states.map, slot, owner, 0, true, !client->peer, now_ns);

    if (end == SLOT_DONE)
        return;
    if (end == SLOT_FAILED && reason == REASON_REFUSED) {
        const SlotClaim claim = {.raw = raw, .generation = word.generation, .attempt = word.attempts};
        char text[REFUSED_TEXT_BYTES];

        host_fail(host, client, slot, &claim, reason, host_refusal_text(host, client->account, text));
    } else {
        end =
            slots_settle(client->submit.map, client->states.map, slot, owner, 0, true, !client->peer, now_ns);
        host_notify(client, slot, word.generation);
    }
    tell_end(host, client, slot, owner, end, reason, claimed_ns);
}

/* --- a death --- */

static void settle_slot(Host *host, const HostWorker *worker, HostClient *client, uint32_t slot) {
    bool refused = host_refuses(client->account);
    uint32_t attempts = refused ? 0 : host->settings->attempts;
    Reason reason = refused ? REASON_REFUSED : REASON_WORKER_LOST;
    uint64_t now_ns = clock_now_ns(), claimed_ns = state_claimed_ns(client->states.map, slot);
    SlotState state = slots_verdict(client->submit.map, client->states.map, slot, worker->number, attempts,
                                    worker->again, !client->peer, now_ns);

    if (state == SLOT_DONE)
        return;
    note_loss(client, slot, state_load(client->states.map, slot, NULL).generation, worker);
    if (state == SLOT_FAILED && host_park(host, client, slot, worker, reason))
        return; /* its end comes when that is done */
    if (state != SLOT_WAITING) {
        host_end_lost(host, client, slot, worker->number, reason);
        return;
    }
    state = slots_settle(client->submit.map, client->states.map, slot, worker->number, attempts,
                         worker->again, !client->peer, now_ns);
    if (state == SLOT_WAITING)
        tell_again(host, worker, client, slot, claimed_ns);
    else
        /* it was cancelled a moment ago */
        tell_end(host, client, slot, worker->number, state, reason, claimed_ns);
}

/* One process may be several workers, each in a thread of it. All pidfds of one process tell at once. */
static bool died_with(const HostWorker *worker, const HostWorker *other) {
    return other && other->pid == worker->pid && process_has_exited(other->pidfd);
}

static bool has_claim_on(const Host *host, const HostWorker *worker, const HostClient *client) {
    for (uint32_t slot = 0; slot < client->n_slots; slot++) {
        SlotWord word = state_load(client->states.map, slot, NULL);

        if (word.state == SLOT_CLAIMED && (word.owner == worker->number ||
                                           died_with(worker, table_find(&host->workers, word.owner))))
            return true;
    }
    return false;
}

/*
 * Whose requests its process had: NULL where it was none's, or several users', since nobody can tell then
 * which one killed it.
 */
static HostAccount *account_of(const Host *host, const HostWorker *worker) {
    HostAccount *account = NULL;

    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        if (client->probe || client->account == account || !has_claim_on(host, worker, client))
            continue;
        if (account)
            return NULL;
        account = client->account;
    }
    return account;
}

/* Once for each process: the other workers of it have died of the same. */
static void count_death(Host *host, const HostWorker *worker) {
    HostAccount *account = worker->counted ? NULL : account_of(host, worker);

    for (size_t i = 0; i < host->workers.n; i++) {
        HostWorker *other = table_at(&host->workers, i);

        if (died_with(worker, other))
            other->counted = true;
    }
    if (account)
        host_note_death(host, account);
}

void host_settle(Host *host, const HostWorker *worker) {
    count_death(host, worker);
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; slot < client->n_slots; slot++)
            settle_slot(host, worker, client, slot);
    }
}

void host_settle_own(Host *host) {
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; slot < client->n_slots; slot++) {
            SlotWord word = state_load(client->states.map, slot, NULL);

            if (word.state == SLOT_CLAIMED && word.owner == SLOT_OWNER_ENDER &&
                !host_park(host, client, slot, NULL, REASON_WORKER_LOST))
                host_end_lost(host, client, slot, SLOT_OWNER_ENDER, REASON_WORKER_LOST);
        }
    }
}
