/* SPDX-License-Identifier: MIT */
/* One exchange, from the message to its end (docs/protocol.md, section 5, "Worker"). */
#include "core/worker-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SLOW_NS NS_PER_SEC /* past this an exchange is worth a line at info */

/* Everything about the exchange in hand. */
typedef struct Hand {
    Worker *worker;
    WorkerClient *client;
    WorkerSlot *slot;
    uint32_t index; /* of the slot */
    SlotClaim claim;
    uint64_t claimed_ns;
    Exchange exchange;
} Hand;

static int grow(Exchange *exchange, uint64_t segment_bytes) {
    Hand *hand = exchange->wire;
    Packet question, answer;
    int r;

    packet_init(&question, PACKET_RESERVE, ++hand->worker->serial);
    question.reserve.client = hand->client->id;
    question.reserve.bytes = segment_bytes;
    question.reserve.slot = hand->index;
    question.reserve.direction = DIRECTION_RESPONSE;
    r = worker_ask(hand->worker, &question, PACKET_RESERVED, &answer, NULL, NULL);
    if (r == -ENOTCONN)
        return REASON_HOST_LOST;
    return r < 0 ? r : (int)answer.reserved.code;
}

static bool cancelled(Exchange *exchange) {
    Hand *hand = exchange->wire;

    if (worker_listen(hand->worker) < 0)
        hand->worker->lost = true;
    return hand->worker->lost || hand->client->gone ||
           submit_is_cancelled(hand->client->submit.map, hand->index, hand->claim.generation);
}

/* Whether what the client submitted can be handled. Read-only: the record is a copy. */
static bool request_fits(const Hand *hand) {
    const SubmitRecord *request = &hand->claim.request;

    return request->generation == hand->claim.generation && request->payload_bytes <= request->segment_bytes &&
           request->segment_bytes <= hand->client->stride && request->segment_bytes % PAGE_BYTES == 0;
}

/* The end that the client wished for before anything was done, or SLOT_CLAIMED to go on. */
static SlotState early_end(const Hand *hand) {
    if (!request_fits(hand))
        return SLOT_FAILED;
    if (hand->claim.request.flags & SUBMIT_CANCEL)
        return SLOT_CANCELLED;
    if (hand->claim.request.deadline_ns && hand->claim.request.deadline_ns <= hand->claimed_ns)
        return SLOT_EXPIRED;
    return SLOT_CLAIMED;
}

/* The last owner of the slot may have been another worker: the state page says how big the response segment is. */
static void find_response(Hand *hand) {
    Segment *response = &hand->slot->response;
    AnswerRecord last;

    state_answer_copy(hand->client->states.map, hand->index, &last);
    if (last.segment_bytes > response->capacity || last.segment_bytes % PAGE_BYTES)
        last.segment_bytes = 0;
    segment_published(response, last.segment_bytes);
}

static int map_request(Hand *hand) {
    Segment *request = &hand->slot->request;
    int r;

    if (!hand->client->trusted)
        return 0;
    segment_published(request, hand->claim.request.segment_bytes);
    r = segment_remap(request);
    hand->exchange.request = r == 0 ? request->map : NULL;
    return r;
}

static void describe(Hand *hand) {
    const SubmitRecord *request = &hand->claim.request;
    uint64_t timeout_at = hand->claimed_ns + hand->worker->settings->timeout_ns;
    uint64_t max_response = hand->worker->settings->handler.max_response;

    hand->exchange = (Exchange){
        .client = hand->client->id,
        .uid = hand->client->uid,
        .slot = hand->index,
        .generation = hand->claim.generation,
        .attempt = hand->claim.attempt,
        .client_deadline = request->deadline_ns && request->deadline_ns <= timeout_at,
        .request_bytes = request->payload_bytes,
        .request_fd = hand->client->requests_fd,
        .request_offset = hand->index * hand->client->stride,
        .response = &hand->slot->response,
        .max_response = hand->client->stride,
        .grow = grow,
        .cancelled = cancelled,
        .cancel_fd = hand->worker->channel,
        .wire = hand,
    };
    hand->exchange.deadline_ns = hand->exchange.client_deadline ? request->deadline_ns : timeout_at;
    if (max_response && max_response < hand->exchange.max_response)
        hand->exchange.max_response = max_response;
}

/* Probes are answered here, so that a handler never sees one. */
static int call_handler(Hand *hand) {
    int r;

    if (hand->client->probe) {
        r = segment_resize(&hand->slot->response, 0); /* so that the host has to remap, too */
        return r < 0 ? r : handler_handle(hand->worker->probe_handler, &hand->exchange);
    }
    return handler_handle(hand->worker->handler, &hand->exchange);
}

static void handle(Hand *hand) {
    Exchange *exchange = &hand->exchange;
    bool guarded;
    int r = map_request(hand);

    guarded = r == 0 && exchange->request;
    if (guarded)
        segment_guard_begin(&hand->slot->request);
    if (r == 0)
        r = call_handler(hand);
    if (r < 0)
        exchange_fail(exchange, REASON_HANDLER_FAILED, 0, "the worker could not go on: %s (%s)", strerror(-r), error_where());
    if (guarded && segment_guard_end())
        exchange_fail(exchange, REASON_REQUEST_CHANGED, 0, "the request's memory was taken away while it was handled");
}

static SlotState end_of(const Hand *hand) {
    const Exchange *exchange = &hand->exchange;

    if (exchange->reason == REASON_NONE)
        return SLOT_DONE;
    if (hand->worker->lost || hand->client->gone ||
        submit_is_cancelled(hand->client->submit.map, hand->index, hand->claim.generation))
        return SLOT_CANCELLED;
    return exchange->reason == REASON_TIMED_OUT && exchange->client_deadline ? SLOT_EXPIRED : SLOT_FAILED;
}

/* A full reply queue is no loss: its reader looks at all of its slots before it blocks. */
static void notify(Hand *hand, const AnswerRecord *answer) {
    const Message message = {
        .client = hand->client->id,
        .slot = hand->index,
        .generation = hand->claim.generation,
        .payload_bytes = answer->payload_bytes,
        .segment_bytes = answer->segment_bytes,
    };

    (void)queue_send(hand->client->reply_queue, &message, sizeof(message), 0);
}

static void publish(Hand *hand, SlotState end) {
    AnswerRecord answer = {
        .payload_bytes = hand->exchange.response_bytes,
        .segment_bytes = hand->slot->response.bytes,
        .reason = hand->exchange.reason,
        .status = hand->exchange.status,
    };

    if (slots_end(hand->client->states.map, hand->index, &hand->claim, end, &answer))
        notify(hand, &answer);
}

static Event *tell(Hand *hand, EventKind kind) {
    Event *event = event_push(&hand->worker->events, kind);

    event->worker = hand->worker->number;
    event->client = hand->client->id;
    event->uid = hand->client->uid;
    event->slot = hand->index;
    event->generation = hand->claim.generation;
    event->attempt = hand->claim.attempt;
    event->request_bytes = hand->claim.request.payload_bytes;
    return event;
}

static void tell_end(Hand *hand, SlotState end) {
    const Exchange *exchange = &hand->exchange;
    Event *event = tell(hand, end == SLOT_DONE ? EVENT_EXCHANGE_DONE : EVENT_EXCHANGE_FAILED);

    event->response_bytes = exchange->response_bytes;
    event->duration_ns = clock_now_ns() - hand->claimed_ns;
    event->ok = end == SLOT_DONE ? event->duration_ns < SLOW_NS : end == SLOT_CANCELLED;
    event->reason = exchange->reason;
    event->status = exchange->status;
    if (end == SLOT_CANCELLED || end == SLOT_EXPIRED)
        snprintf(event->text, sizeof(event->text), "%s", end == SLOT_CANCELLED ? hand->worker->lost ? "the host is gone" : "cancelled by its client" : "past its client's deadline");
    else if (end == SLOT_FAILED)
        text_copy(event->text, sizeof(event->text), reason_name(exchange->reason));
}

/* The claim is won: whatever happens, end it. */
static void see_through(Hand *hand) {
    SlotState end = early_end(hand);

    if (!hand->client->known && !hand->client->probe) {
        hand->client->known = true;
        tell(hand, EVENT_FIRST_EXCHANGE);
    }
    find_response(hand);
    describe(hand);
    if (end == SLOT_FAILED)
        exchange_fail(&hand->exchange, REASON_BAD_REQUEST, 0, "the submit record does not fit: payload, segment, generation");
    if (end == SLOT_CLAIMED) {
        handle(hand);
        end = end_of(hand);
    }
    publish(hand, end);
    if (hand->client->probe)
        return;
    hand->worker->n_exchanges++;
    tell_end(hand, end);
}

static void dropped(Worker *worker, const Message *message, const char *why) {
    Event *event = event_push(&worker->events, EVENT_EXCHANGE_DROPPED);

    event->client = message->client;
    event->slot = message->slot;
    event->generation = message->generation;
    text_copy(event->text, sizeof(event->text), why);
}

/* Return: 0, with *ret NULL if the message names nobody; or negative errno. */
static int find_client(Worker *worker, uid_t uid, const Message *message, WorkerClient **ret) {
    *ret = table_find(&worker->clients, message->client);
    if (!*ret)
        return worker_meet_client(worker, message->client, uid, ret);
    if ((*ret)->uid != uid)
        *ret = NULL;
    return 0;
}

static int consider(Worker *worker, uid_t uid, const Message *message) {
    Hand hand = {.worker = worker, .index = message->slot, .claimed_ns = clock_now_ns()};
    int r = find_client(worker, uid, message, &hand.client);

    if (r < 0)
        return r;
    if (!hand.client || message->slot >= hand.client->n_slots) {
        dropped(worker, message, "no such client or slot of that uid");
        return 0;
    }
    if (!slots_claim(hand.client->submit.map, hand.client->states.map, hand.index, message->generation, worker->number,
                     hand.claimed_ns, &hand.claim)) {
        dropped(worker, message, "claims nothing: repeated, late or forged");
        return 0;
    }
    hand.slot = &hand.client->slots[hand.index];
    worker->busy = hand.client;
    see_through(&hand);
    worker->busy = NULL;
    return hand.client->gone && !worker->lost ? worker_drop_client(worker, hand.client->id) : 0;
}

int worker_take_message(Worker *worker, WorkerQueue *queue) {
    uid_t uid = queue->uid; /* the queue may go while the message is handled */
    Message message;
    size_t bytes;
    int r = queue_receive(queue->fd, &message, sizeof(message), &bytes);

    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return r;
    if (bytes != sizeof(message)) {
        message = (Message){0};
        dropped(worker, &message, "a message of the wrong size");
        return 0;
    }
    return consider(worker, uid, &message);
}
