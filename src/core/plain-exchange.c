/* SPDX-License-Identifier: MIT */
/* One exchange of the plain wire, from the count that a host sends to the count that it gets. */
#include "core/plain-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/queue.h"
#include "os/watch.h"
#include "wire/plain.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SLOW_NS             NS_PER_SEC          /* past this an exchange is worth a line at info */
#define PATIENCE_NS         (100 * NS_PER_MS)   /* that a host has to take its answer, if another one comes */
#define RESPONSE_KEEP_BYTES (UINT64_C(1) << 20) /* of memory, from one exchange to the next */

/* Everything about the exchange in hand. */
typedef struct Hand {
    PlainWorker *worker;
    const PlainLine *line; /* that its host has open */
    uint64_t start_ns;
    bool misbehaved; /* the host's fault, and told as such */
    Exchange exchange;
} Hand;

static void tell_peer(PlainWorker *worker, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell_peer(PlainWorker *worker, const char *format, ...) {
    Event *event = event_push_of(&worker->events, EVENT_PLAIN_PEER, geteuid());
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(event->text, sizeof(event->text), format, arguments);
    va_end(arguments);
}

/* ---- the latest answer ---- */

static void take_back(PlainWorker *worker, int replies) {
    worker->lying = false;
    if (plain_discard(replies) > 0)
        tell_peer(worker,
                  "%s: an answer that its host did not take was taken back: it has died, or did not wait",
                  worker->settings->plain.worker_queue);
}

void plain_worker_note_answer(PlainWorker *worker) {
    uint32_t n = 0;

    worker->lying = queue_depth(worker->line.fds[PLAIN_REPLIES], &n, NULL, NULL) == 0 && n > 0;
    worker->lying_since_ns = clock_now_ns();
}

/*
 * A host that is blocked in its receive has its answer as soon as it is sent; one that polls, a moment later.
 * A host that is dead never takes it, and the next one would.
 */
static bool is_abandoned(PlainWorker *worker) {
    const uint64_t now_ns = clock_now_ns();
    const uint64_t age_ns = now_ns - worker->lying_since_ns;

    /* A host of ours is alive while it has claimed the segment, and clears the queues before it uses them. */
    if (object_is_claimed(worker->line.fds[PLAIN_PAYLOAD])) {
        worker->lying_since_ns = now_ns;
        return false;
    }
    if (worker->replies_closed)
        return true;
    return age_ns >=
           (worker->doubtful || worker->payload_opened ? PATIENCE_NS : worker->settings->timeout_ns);
}

void plain_worker_mind_answer(PlainWorker *worker) {
    int replies = worker->line.fds[PLAIN_REPLIES];
    uint32_t n = 0;

    if (!worker->lying)
        return;
    if (queue_depth(replies, &n, NULL, NULL) < 0 || n == 0)
        worker->lying = false;
    else if (is_abandoned(worker))
        take_back(worker, replies);
    worker->payload_opened = worker->replies_closed = false;
}

uint64_t plain_worker_answer_until_ns(const PlainWorker *worker) {
    if (!worker->lying)
        return 0;
    return worker->lying_since_ns + (worker->doubtful ? PATIENCE_NS : worker->settings->timeout_ns);
}

/* Somebody has put a message there since the queue was emptied: it is not an answer to this host. */
static int send_answer(const Hand *hand) {
    const Exchange *exchange = &hand->exchange;
    int replies = hand->line->fds[PLAIN_REPLIES];
    int r = -EAGAIN;

    for (int n = 0; n < 2 && r == -EAGAIN; n++) {
        if (n > 0)
            take_back(hand->worker, replies);
        r = exchange->reason == REASON_NONE ? plain_send(replies, exchange->response_bytes)
                                            : plain_send_failure(replies);
    }
    return r;
}

/* ---- the response ---- */

/* Into the segment, where the request was: its handler is done with it. */
static int write_response(const Hand *hand) {
    const Exchange *exchange = &hand->exchange;
    const Segment payload = {.fd = hand->line->fds[PLAIN_PAYLOAD], .capacity = UINT64_MAX};
    int r = plain_resize(payload.fd, exchange->response_bytes);

    return r < 0 ? r : segment_write(&payload, 0, exchange->response->map, exchange->response_bytes);
}

static void fail_response(Hand *hand, int r) {
    char bytes[UNITS_TEXT_MAX];

    size_format(hand->exchange.response_bytes, bytes);
    if (r == -ENOSPC)
        exchange_fail(&hand->exchange, REASON_MEMORY_FULL, 0,
                      "no room for a response of %s in %s: raise the size of the file system on /dev/shm",
                      bytes, hand->worker->settings->plain.segment);
    else
        exchange_fail(&hand->exchange, REASON_PLAIN_PEER, 0,
                      "the response of %s could not be written into %s: %s", bytes,
                      hand->worker->settings->plain.segment, strerror(-r));
}

/*
 * A failure empties the segment, so that neither the request nor half a response is taken for an answer, and
 * a peer that maps what it reads fails as well.
 */
static void answer(Hand *hand) {
    PlainWorker *worker = hand->worker;
    int r = hand->exchange.reason == REASON_NONE ? write_response(hand) : 0;

    if (r < 0)
        fail_response(hand, r);
    if (hand->exchange.reason != REASON_NONE)
        (void)named_object_resize(hand->line->fds[PLAIN_PAYLOAD], 0);
    r = send_answer(hand);
    if (r < 0)
        tell_peer(worker, "%s: the answer could not be sent: %s", worker->settings->plain.worker_queue,
                  strerror(-r));
    /* A queue without a name is read by nobody but those who have it open. */
    if (r == 0 && hand->line == &worker->line)
        plain_worker_note_answer(worker);
}

/* ---- the request ---- */

/* Memory is limited by the file system only: there is nobody to ask. */
static int grow(Exchange *exchange, uint64_t segment_bytes) {
    return 0;
}

static void describe(Hand *hand) {
    PlainWorker *worker = hand->worker;

    hand->exchange = (Exchange){
        .uid = geteuid(), /* peers that may open the queues have it too */
        .generation = (uint32_t)worker->n_exchanges,
        .attempt = 1,
        .deadline_ns = hand->start_ns + worker->settings->timeout_ns,
        .request_fd = hand->line->fds[PLAIN_PAYLOAD],
        .response = &worker->response,
        .max_response = worker->response.capacity,
        .grow = grow,
        .cancel_fd = -1,
        .wire = hand,
    };
    if (worker->settings->handler.max_response > 0)
        hand->exchange.max_response = worker->settings->handler.max_response;
}

static void refuse(Hand *hand, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the host asks cannot be asked. */
static void refuse(Hand *hand, const char *format, ...) {
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tell_peer(hand->worker, "%s", text);
    hand->misbehaved = true;
    exchange_fail(&hand->exchange, REASON_BAD_REQUEST, 0, "%s", text);
}

/* @fault: of the host's message. The segment may shrink again at any time: that is the handler's to see. */
static void check(Hand *hand, int fault) {
    const PlainNames *names = &hand->worker->settings->plain;
    const Exchange *exchange = &hand->exchange;
    uint64_t segment_bytes = 0;
    int r = object_size(exchange->request_fd, &segment_bytes);

    if (fault > 0)
        refuse(hand, "%s: the host %s", names->host_queue, plain_fault_text((PlainFault)fault));
    else if (r < 0)
        refuse(hand, "%s: %s", names->segment, strerror(-r));
    else if (segment_bytes < exchange->request_bytes)
        refuse(hand, "the host says that its request has %" PRIu64 " bytes, but %s has %" PRIu64,
               exchange->request_bytes, names->segment, segment_bytes);
}

static void handle(Hand *hand) {
    int r = handler_handle(hand->worker->handler, &hand->exchange);

    if (r < 0)
        exchange_fail(&hand->exchange, REASON_HANDLER_FAILED, 0, "the worker could not go on: %s (%s)",
                      strerror(-r), error_where());
}

/* ---- the journal ---- */

/* The text of a failure: nobody but the journal gets it. */
static void copy_text(Event *event, const Exchange *exchange) {
    const char *text = exchange->response->map;
    size_t bytes = 0;

    while (bytes < exchange->response_bytes && bytes < sizeof(event->text) - 1) {
        event->text[bytes] = text[bytes];
        if (iscntrl((unsigned char)text[bytes]))
            event->text[bytes] = ' ';
        bytes++;
    }
    event->text[bytes] = '\0';
    if (bytes == 0)
        snprintf(event->text, sizeof(event->text), "%s", reason_name(exchange->reason));
}

static Event *tell(const Hand *hand, EventKind kind) {
    EventQueue *events = &hand->worker->events;
    Event *event = kind == EVENT_EXCHANGE_DONE ? event_push(events, kind)
                                               : event_push_of(events, kind, hand->exchange.uid);

    event->generation = hand->exchange.generation;
    event->attempt = hand->exchange.attempt;
    event->request_bytes = hand->exchange.request_bytes;
    return event;
}

static void tell_end(const Hand *hand) {
    const Exchange *exchange = &hand->exchange;
    bool failed = exchange->reason != REASON_NONE;
    Event *event = tell(hand, failed ? EVENT_EXCHANGE_FAILED : EVENT_EXCHANGE_DONE);

    event->response_bytes = failed ? 0 : exchange->response_bytes;
    event->duration_ns = clock_now_ns() - hand->start_ns;
    event->ok = !failed && event->duration_ns < SLOW_NS;
    event->reason = exchange->reason;
    event->status = exchange->status;
    if (failed)
        copy_text(event, exchange);
}

/* ---- an exchange ---- */

/* What a big response took is given back. */
static void give_back(Segment *response) {
    if (response->bytes > RESPONSE_KEEP_BYTES) {
        segment_disconnect(response);
        (void)segment_resize(response, RESPONSE_KEEP_BYTES);
    }
}

static void see_through(Hand *hand, int fault, uint64_t count) {
    PlainWorker *worker = hand->worker;

    worker->n_exchanges++;
    describe(hand);
    hand->exchange.request_bytes = fault == 0 ? count : 0;
    if (worker->n_exchanges == 1)
        tell(hand, EVENT_FIRST_EXCHANGE);
    check(hand, fault);
    if (hand->exchange.reason == REASON_NONE)
        handle(hand);
    answer(hand);
    if (!hand->misbehaved)
        tell_end(hand);
    exchange_deinit(&hand->exchange);
    give_back(&worker->response);
}

/*
 * The host has opened what the names led to when it came, which may be newer than what is open here. But if
 * the queue of its request has lost its name, it was opened before, with what is open here; or its host has
 * ended, and nobody else should get the answer. Return: whether there is somebody to answer.
 */
static bool catch_up(PlainWorker *worker, const PlainLine *line) {
    int requests = line->fds[PLAIN_REQUESTS];

    if (line == &worker->line && object_has_name(requests)) {
        plain_worker_renew(worker, PLAIN_REPLIES);
        plain_worker_renew(worker, PLAIN_PAYLOAD);
        if (!object_has_name(requests))
            return false;
    }
    return line->fds[PLAIN_REPLIES] >= 0 && line->fds[PLAIN_PAYLOAD] >= 0;
}

/*
 * Who closes the queue of replies from now on is this exchange's host, as far as anybody can tell. Who has
 * just closed it may be that host, dead already, or the one before.
 */
static void note_closing(PlainWorker *worker) {
    plain_worker_hear(worker);
    worker->doubtful = worker->replies_closed;
    worker->payload_opened = worker->replies_closed = false;
}

int plain_worker_serve(PlainWorker *worker, PlainLine *line, bool *ret_served) {
    Hand hand = {.worker = worker, .line = line, .start_ns = clock_now_ns()};
    uint64_t count = 0;
    int r = plain_receive(line->fds[PLAIN_REQUESTS], INT64_MAX, &count);

    if (r == -EAGAIN)
        return 0;
    if (r < 0)
        return r;
    *ret_served = true;
    if (!catch_up(worker, line)) {
        tell_peer(worker, "%s: a request of %" PRIu64 " bytes is dropped: nobody could be sent its answer",
                  worker->settings->plain.host_queue, count);
        return 0;
    }
    /* What lies there is for somebody else. */
    take_back(worker, line->fds[PLAIN_REPLIES]);
    note_closing(worker);
    see_through(&hand, r, count);
    return 0;
}
