/* SPDX-License-Identifier: MIT */
/* Requests: one slot each, from taken to released (docs/protocol.md, section 5, "Client"). */
#include "base/error.h"
#include "base/prefetch.h"
#include "base/probe.h"
#include "base/units.h"
#include "core/client-internal.h"
#include "os/cpu.h"
#include "os/queue.h"
#include "os/wait.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AHEAD         4u /* slots: whoever takes, writes or sends one may do so with the next ones */

static bool is_in_flight(const Request *request) {
    return request->state == REQUEST_SENT || request->state == REQUEST_ABANDONED;
}

static void request_free(Request *request) {
    Client *client = request->client;

    submit_release(client->submit.map, request->slot, request->generation);
    request->state = REQUEST_FREE;
    if (request->slot < client->free_from)
        client->free_from = request->slot;
}

/* A text without memory of its own for a request that ended by the client's own knowledge. */
static void request_end(Request *request, SlotState end, Reason reason) {
    Client *client = request->client;

    if (request->owed) {
        request->owed = false;
        client->n_owed--;
    }
    client->n_in_flight--;
    request_list_remove(&client->in_flight, request);
    request->owes_look = request->wants_look = false;
    request->end = end;
    request->reason = reason;
    if (request->state == REQUEST_SENT) {
        request->state = REQUEST_ENDED;
        if (!request->popped)
            request_list_append(&client->ended, request);
    } else
        request_free(request); /* nobody reads it */
}

/* An answer that somebody waited for: how long it was under way. */
static void request_count(const Request *request, uint64_t ended_ns) {
    Client *client = request->client;
    uint64_t now_ns;

    if (request->weight == 0 || ended_ns == 0 || request->state != REQUEST_SENT)
        return;
    now_ns = client->seen_ns = clock_now_ns();
    meter_record(slots_meter(client->submit.map, STAGE_REPLIED, client->n_slots),
                 now_ns > ended_ns ? now_ns - ended_ns : 0, request->weight);
}

/* Read the answer in the state page; whatever does not fit is a failure. Return: 0 or negative errno. */
static int request_answer(Request *request, SlotState end) {
    AnswerRecord answer;
    int r;

    request->response_bytes = 0;
    /* Who else would cancel? A host that has hung up on us, before we heard of that. */
    if (end == SLOT_CANCELLED &&
        !submit_is_cancelled(request->client->submit.map, request->slot, request->generation)) {
        request_end(request, SLOT_FAILED, REASON_HOST_LOST);
        return 0;
    }
    if (end == SLOT_CANCELLED || end == SLOT_EXPIRED) {
        request_end(request, end, REASON_NONE);
        return 0;
    }
    state_answer_copy(request->client->states.map, request->slot, &answer);
    if ((end != SLOT_DONE && end != SLOT_FAILED) || answer.payload_bytes > answer.segment_bytes ||
        answer.segment_bytes > request->response.capacity || answer.segment_bytes % PAGE_BYTES) {
        request_end(request, SLOT_FAILED, REASON_BAD_REQUEST);
        return 0;
    }
    if (request->state == REQUEST_SENT && answer.payload_bytes > 0) {
        segment_published(&request->response, answer.segment_bytes);
        r = segment_remap(&request->response);
        if (r < 0)
            return r;
    }
    request->status = answer.status;
    request->response_bytes = answer.payload_bytes;
    request->client->last_bytes = request->payload_bytes + answer.payload_bytes;
    request->client->last_cpu = answer.cpu;
    request_count(request, answer.ended_ns);
    memcpy(request->response_user, answer.user, sizeof(answer.user));
    request_end(request, end, end == SLOT_FAILED ? (Reason)answer.reason : REASON_NONE);
    return 0;
}

/* The end that the word says, or SLOT_CLAIMED for none. */
static SlotState end_in(const Request *request, SlotWord word) {
    return word.generation == request->generation && state_is_end(word.state) ? word.state : SLOT_CLAIMED;
}

static SlotState end_shown(const Request *request) {
    return end_in(request, state_shown(request->client->states.map, request->slot));
}

bool request_shows_end(const Request *request) {
    return end_shown(request) != SLOT_CLAIMED;
}

int client_look(Client *client) {
    Request *next;
    int r = 0;

    for (Request *request = client->in_flight.first; request && r == 0; request = next) {
        SlotState end = end_in(request, state_load(client->states.map, request->slot, NULL));

        next = request->next; /* it may leave the list */
        if (end != SLOT_CLAIMED)
            r = request_answer(request, end);
    }
    return r;
}

/* From this one on, up to the first that does not show an end. */
static int reap_from(Request *request) {
    SlotState end;
    int r = 0;

    while (request && r == 0 && (end = end_shown(request)) != SLOT_CLAIMED) {
        Request *next = request->next; /* it leaves the list */

        prefetch_read(request->response.map);
        r = request_answer(request, end);
        request = next;
    }
    return r;
}

int request_reap(Request *request) {
    int r = reap_from(request->client->in_flight.first);

    return r == 0 && is_in_flight(request) ? reap_from(request) : r;
}

void client_end_all(Client *client) {
    if (client->requests && client->states.map)
        (void)client_look(client);
    for (uint32_t i = 0; i < client->n_slots; i++) {
        Request *request = &client->requests[i];

        request->response_bytes = is_in_flight(request) ? 0 : request->response_bytes;
        if (is_in_flight(request))
            request_end(request, SLOT_FAILED, REASON_HOST_LOST);
        else if (request->state == REQUEST_GROWING) {
            request->reason = REASON_HOST_LOST;
            request->state = REQUEST_TAKEN;
            request->owes_ask = false;
        }
    }
}

bool client_pop(Client *client, Request **ret_request) {
    Request *request = client->ended.first;

    if (!request)
        return false;
    request_pop(request);
    *ret_request = request;
    return true;
}

void request_pop(Request *request) {
    if (request->state == REQUEST_ENDED && !request->popped)
        request_list_remove(&request->client->ended, request);
    request->popped = true;
}

/*
 * The host may have given the window back since the slot was used last: then it is reserved and allocated
 * anew.
 */
static void request_take(Request *request) {
    uint64_t reserved = submit_take(request->client->submit.map, request->client->states.map, request->slot);

    request->state = REQUEST_TAKEN;
    if (reserved >= request->granted_bytes)
        return;
    request->granted_bytes = reserved;
    segment_published(&request->segment, 0);
}

/* What will be taken a few calls from now: its payload is in the worker's cache yet. */
static void expect_take(const Request *request) {
    if (request->slot + AHEAD < request->client->n_slots)
        prefetch_write(request[AHEAD].segment.map);
}

int client_take(Client *client, Request **ret_request) {
    if (client->state != CLIENT_READY)
        return CLIENT_NOT_READY;
    for (; client->free_from < client->n_slots; client->free_from++) {
        Request *request = &client->requests[client->free_from];

        if (request->state != REQUEST_FREE)
            continue;
        client->n_taken++;
        expect_take(request);
        request_take(request);
        request->reason = REASON_NONE;
        request->payload_bytes = request->deadline_ns = 0;
        request->tag = NULL;
        request->priority = 0;
        request->unkept = false;
        request->popped = false;
        memset(request->user, 0, sizeof(request->user));
        memset(request->response_user, 0, sizeof(request->response_user)); /* of the last exchange here */
        *ret_request = request;
        return 0;
    }
    return CLIENT_NO_SLOT;
}

uint32_t client_n_taken(const Client *client) {
    return client->n_taken;
}

void client_granted(Client *client, const PacketReserved *reserved) {
    Request *request;

    if (reserved->slot >= client->n_slots || reserved->direction != DIRECTION_REQUEST)
        return;
    request = &client->requests[reserved->slot];
    if (request->state != REQUEST_GROWING || request->asked_serial != reserved->header.serial)
        return; /* who asked has given it up, and the host may have given back by now what it says */
    request->granted_bytes = reserved->bytes;
    request->reason = (Reason)reserved->code;
    text_copy(request->text, sizeof(request->text), reserved->text);
    request->state = REQUEST_TAKEN;
}

static int say_ask(Request *request) {
    Packet packet;

    request->asked_serial = ++request->client->serial;
    packet_init(&packet, PACKET_RESERVE, request->asked_serial);
    packet.reserve.client = request->client->id;
    packet.reserve.bytes = request->asked_bytes;
    packet.reserve.slot = request->slot;
    packet.reserve.direction = DIRECTION_REQUEST;
    return client_say(request->client, &packet);
}

static int say_look(Request *request) {
    Packet packet;

    packet_init(&packet, PACKET_LOOK, 0);
    packet.slot.slot = request->slot;
    packet.slot.generation = request->generation;
    return client_say(request->client, &packet);
}

/*
 * Say what the host is still to be told of this request.
 * Return: 0, -EAGAIN if not all of it fits now, or negative errno.
 */
static int request_tell(Request *request) {
    int r = 0;

    if (request->owes_ask) {
        r = say_ask(request);
        request->owes_ask = r == -EAGAIN;
    }
    if (r == 0 && request->owes_look) {
        r = say_look(request);
        request->owes_look = r == -EAGAIN;
    }
    return r;
}

/* Return: 0, also when it is owed, or negative errno. */
static int request_tell_or_owe(Request *request) {
    int r = request_tell(request);

    return r == -EAGAIN ? wait_modify(&request->client->channel_source, WAIT_READ | WAIT_WRITE) : r;
}

int client_pay_host(Client *client) {
    int r = 0;

    for (uint32_t i = 0; i < client->n_slots && client->channel >= 0 && r == 0; i++)
        r = request_tell(&client->requests[i]);
    if (r == 0 && client->channel >= 0)
        return wait_modify(&client->channel_source, WAIT_READ);
    return r == -EAGAIN ? 0 : r;
}

/*
 * What was asked twice is answered twice, which does no harm: a segment has the size that was asked for, a
 * wish was looked at.
 */
int client_ask_again(Client *client) {
    for (uint32_t i = 0; i < client->n_slots; i++) {
        Request *request = &client->requests[i];

        request->owes_ask = request->state == REQUEST_GROWING;
        request->owes_look = request->wants_look;
    }
    return wait_modify(&client->channel_source, WAIT_READ | WAIT_WRITE);
}

static int not_granted(Request *request, Reason reason, const char *text) {
    request->reason = reason;
    text_copy(request->text, sizeof(request->text), text);
    return CLIENT_NOT_GRANTED;
}

static int request_ask(Request *request, uint64_t bytes) {
    int r;

    request->asked_bytes = bytes;
    request->reason = REASON_NONE;
    request->state = REQUEST_GROWING;
    request->owes_ask = true;
    r = request_tell_or_owe(request);
    if (r < 0 || request->state == REQUEST_GROWING)
        return r < 0 ? r : CLIENT_PENDING;
    return not_granted(request, REASON_HOST_LOST, reason_name(REASON_HOST_LOST)); /* seen as it was told */
}

/*
 * A block of which the payload fills half or more is had whole: as a huge page it is there sooner than the
 * half by small ones, and is copied in half the time where it is copied.
 */
static uint64_t generous_size(const Segment *segment, uint64_t bytes) {
    uint64_t huge = round_to_huge(bytes);

    if (segment->huge == HUGE_AUTO && bytes % HUGE_BYTES >= HUGE_BYTES / 2 && huge <= segment->capacity)
        return huge;
    return segment_round(segment, bytes);
}

/* Nobody is refused, nor asks again, for the sake of what is not needed. */
static uint64_t wanted_size(const Request *request, uint64_t bytes, bool exact) {
    uint64_t least = round_to_pages(bytes), generous = generous_size(&request->segment, bytes);
    bool refused = request->reason == REASON_MEMORY_BUDGET && request->asked_bytes <= generous;

    if (exact || (generous > request->granted_bytes && (refused || least <= request->granted_bytes)))
        return least;
    return generous;
}

static int request_resize(Request *request, uint64_t bytes, uint64_t wanted) {
    uint64_t least = round_to_pages(bytes);
    int r = segment_resize(&request->segment, wanted);

    if (r == -ENOSPC && least < wanted)
        r = least > request->segment.bytes ? segment_resize(&request->segment, least) : 0;
    if (r == -ENOSPC)
        return not_granted(request, REASON_MEMORY_FULL,
                           "the file system of shared memory (/dev/shm) is full");
    return r;
}

static int too_large(Request *request) {
    char size[UNITS_TEXT_MAX], text[sizeof(request->text)];

    snprintf(text, sizeof(text), "it is larger than the host's `max_payload` of %s: raise that",
             size_format(request->client->max_payload, size));
    return not_granted(request, REASON_PAYLOAD_TOO_LARGE, text);
}

int request_reserve(Request *request, uint64_t bytes, bool exact) {
    uint64_t wanted = wanted_size(request, bytes, exact);
    int r;

    if (request->state == REQUEST_GROWING)
        return CLIENT_PENDING;
    if (bytes > request->client->max_payload)
        return too_large(request);
    if (wanted > request->granted_bytes) {
        if (request->reason != REASON_NONE && wanted >= request->asked_bytes)
            return CLIENT_NOT_GRANTED; /* ->text is the host's */
        if (request->client->channel < 0)
            return not_granted(request, REASON_HOST_LOST, reason_name(REASON_HOST_LOST));
        return request_ask(request, wanted);
    }
    if (wanted > request->segment.bytes || (exact && wanted < request->segment.bytes)) {
        r = request_resize(request, bytes, wanted);
        if (r != 0)
            return r;
    }
    return segment_remap(&request->segment);
}

void request_grow_no_more(Request *request) {
    if (request->state != REQUEST_GROWING)
        return;
    request->owes_ask = false;
    request->asked_serial = 0;
    request->state = REQUEST_TAKEN;
}

static int request_announce(Request *request) {
    Client *client = request->client;
    const Message message = {
        .client = client->id,
        .slot = request->slot,
        .generation = request->generation,
        .payload_bytes = request->payload_bytes,
        .segment_bytes = request->segment.bytes,
    };

    return queue_send(client->request_queue, &message, sizeof(message), request->priority);
}

static void request_owe(Request *request) {
    request->owed = true;
    request->client->n_owed++;
}

/* The timer is set already for this deadline or an earlier one, as nearly always. */
static int watch_deadline(const Request *request) {
    Client *client = request->client;

    if (request->deadline_ns == 0 || (client->timer_ns && client->timer_ns <= request->deadline_ns))
        return 0;
    return client_watch_deadlines(client);
}

/*
 * Where exchanges take a microsecond or less, reading the clock at each end of each stage would be felt: one
 * of many is measured then, and stands for them. Which one, chance decides: a caller may have a rhythm. Of
 * how many, the host: who traces wants to see them all.
 */
static uint32_t request_weigh(const Request *request, bool may_skip) {
    Client *client = request->client;
    uint32_t measured;

    if (client->n_in_flight <= 1 && !(may_skip && state_poller(client->states.map) != 0))
        return 1;
    measured = state_measured(client->states.map);
    client->dice = client->dice * 1664525u + 1013904223u;
    return client->dice < measured ? UINT32_MAX / measured : 0;
}

/* What will be sent a few calls from now, where several are. */
static void expect_submit(const Request *request) {
    const Client *client = request->client;

    if (request->slot + AHEAD < client->n_slots && request[AHEAD].state == REQUEST_TAKEN)
        submit_expect(client->submit.map, request->slot + AHEAD);
}

/* @may_skip: the message may wait while somebody polls. */
static int request_submit(Request *request, bool may_skip) {
    Client *client = request->client;
    SubmitRecord record = {
        .generation = request->generation + 1,
        .flags = (may_skip ? SUBMIT_QUIET : 0) | (request->unkept ? SUBMIT_UNKEPT : 0),
        .payload_bytes = request->payload_bytes,
        .segment_bytes = request->segment.bytes,
        .deadline_ns = request->deadline_ns,
        .cpu = cpu_current(),
    };
    int r;

    memcpy(record.user, request->user, sizeof(record.user));
    request->generation = record.generation;
    request->looked = false;
    request->state = REQUEST_SENT;
    client->n_in_flight++;
    request_list_append(&client->in_flight, request);
    if (client->state != CLIENT_READY) {
        request->response_bytes = 0;
        request_end(request, SLOT_FAILED, REASON_HOST_LOST);
        return 0;
    }
    expect_submit(request);
    record.weight = request->weight = request_weigh(request, may_skip);
    record.submitted_ns = record.weight ? clock_now_ns() : 0;
    submit_publish(client->submit.map, request->slot, &record);
    PROBE_SUBMIT(client->id, request->slot, record.generation, record.payload_bytes);

    if (may_skip && state_poller(client->states.map) != 0) {
        client->skips = true;
        request_owe(request);
        return watch_deadline(request);
    }
    r = request_announce(request);
    if (r == -EAGAIN) {
        request_owe(request);
        r = wait_modify(&client->request_source, WAIT_WRITE);
    }
    return r < 0 ? r : watch_deadline(request);
}

int request_send(Request *request) {
    return request_submit(request, false);
}

int request_post(Request *request) {
    return request_submit(request, request->client->spin_ns > 0);
}

int client_pay(Client *client) {
    int r = 0;

    for (Request *request = client->in_flight.first; request && client->n_owed > 0 && r == 0;
         request = request->next) {
        if (!request->owed)
            continue;
        if (slots_is_open(client->submit.map, client->states.map, request->slot, request->generation))
            r = request_announce(request);
        if (r == 0) {
            request->owed = false;
            client->n_owed--;
        }
    }
    if (r < 0 && r != -EAGAIN)
        return r;
    client->skips = false;
    return wait_modify(&client->request_source, client->n_owed ? WAIT_WRITE : 0);
}

static int request_ask_to_look(Request *request) {
    if (request->client->channel < 0)
        return 0;
    request->owes_look = request->wants_look = true;
    return request_tell_or_owe(request);
}

int client_watch_deadlines(Client *client) {
    uint64_t now = 0, earliest = UINT64_MAX;
    Request *next;
    int r = 0;

    for (Request *request = client->in_flight.first; request && r == 0; request = next) {
        next = request->next;
        /* A host that is lost by now has ended them all: the rest of them is another list. */
        if (!is_in_flight(request) || request->looked || request->deadline_ns == 0)
            continue;
        now = now ? now : clock_now_ns();
        if (request->deadline_ns <= now) {
            request->looked = true;
            r = request_ask_to_look(request);
        } else if (request->deadline_ns < earliest)
            earliest = request->deadline_ns;
    }
    if (r < 0 || earliest == UINT64_MAX || (client->timer_ns > now && client->timer_ns <= earliest))
        return r;
    client->timer_ns = earliest;
    return wait_set_timer(client->wait, earliest);
}

bool request_was_claimed(const Request *request) {
    SlotWord word = state_load(request->client->states.map, request->slot, NULL);

    return is_in_flight(request) && word.generation == request->generation && !state_is_end(word.state);
}

int request_cancel(Request *request) {
    if (!is_in_flight(request))
        return 0;
    submit_cancel(request->client->submit.map, request->slot);
    return request_ask_to_look(request);
}

void request_release(Request *request) {
    switch (request->state) {
    case REQUEST_FREE:
    case REQUEST_ABANDONED:
        return;
    case REQUEST_SENT:
        request->state = REQUEST_ABANDONED;
        (void)request_cancel(request);
        break;
    case REQUEST_ENDED:
        request_pop(request);
        request_free(request);
        break;
    case REQUEST_GROWING:
        request_grow_no_more(request);
        request_free(request);
        break;
    case REQUEST_TAKEN:
        request_free(request);
        break;
    }
    request->client->n_taken--;
}
