/* SPDX-License-Identifier: MIT */
/* One exchange, from the message to its end (docs/protocol.md, section 5, "Worker"). */
#include "core/worker-internal.h"

#include "base/error.h"
#include "base/probe.h"
#include "base/units.h"
#include "os/cpu.h"
#include "os/queue.h"

#include <errno.h>
#include <string.h>

#define SLOW_NS NS_PER_SEC        /* past this an exchange is worth a line at info */
#define NEAR_NS (10 * NS_PER_SEC) /* a thousand times what the coarse clock is late */

static WorkerSlot *slot_of(const Job *job) {
    return &job->client->slots[job->exchange.slot];
}

static int grow(Exchange *exchange, uint64_t segment_bytes) {
    Job *job = exchange->wire;
    Packet question, answer;
    int r;

    if (job->client->orphan)
        return REASON_HOST_LOST; /* a new host does not know this client */
    packet_init(&question, PACKET_RESERVE, ++job->worker->serial);
    question.reserve.client = job->client->id;
    question.reserve.bytes = segment_bytes;
    question.reserve.slot = job->exchange.slot;
    question.reserve.direction = DIRECTION_RESPONSE;
    r = worker_ask(job->worker, &question, PACKET_RESERVED, &answer, NULL, NULL);
    if (r == -ENOTCONN)
        return REASON_HOST_LOST;
    return r < 0 ? r : (int)answer.reserved.code;
}

static int copy(Exchange *exchange, uint64_t bytes, void **ret_data) {
    Job *job = exchange->wire;
    int r;

    if (job->client->orphan)
        return REASON_HOST_LOST;
    worker_copy_put(TAKE(job->copy)); /* of a try that failed */
    r = worker_copy_take(job->worker, bytes, job->client->huge, &job->copy);
    if (r == 0)
        *ret_data = job->copy->data;
    return r;
}

static bool cancelled(Exchange *exchange) {
    Job *job = exchange->wire;

    if (worker_listen(job->worker) < 0)
        job->worker->lost = true;
    return job->worker->lost || job->client->gone ||
           submit_is_cancelled(job->client->submit.map, job->exchange.slot, job->claim.generation);
}

/* Whether what the client submitted can be handled. Read-only: the record is a copy. */
static bool request_fits(const Job *job) {
    const SubmitRecord *request = &job->claim.request;

    return request->generation == job->claim.generation && request->payload_bytes <= request->segment_bytes &&
           request->segment_bytes <= state_reserved(job->client->states.map, job->exchange.slot) &&
           request->segment_bytes <= job->client->stride && request->segment_bytes % PAGE_BYTES == 0;
}

/* The end that the client wished for before anything was done, or SLOT_CLAIMED to go on. */
static SlotState early_end(const Job *job) {
    if (!request_fits(job))
        return SLOT_FAILED;
    if (job->claim.request.flags & SUBMIT_CANCEL)
        return SLOT_CANCELLED;
    if (job->claim.request.deadline_ns && job->claim.request.deadline_ns <= job->claimed_ns)
        return SLOT_EXPIRED;
    return SLOT_CLAIMED;
}

/*
 * The last owner of the slot may have been another worker: the state page says how big the response segment
 * is.
 */
static void find_response(Job *job) {
    Segment *response = &slot_of(job)->response;
    uint64_t bytes = state_response_bytes(job->client->states.map, job->exchange.slot);

    segment_published(response, bytes > response->capacity || bytes % PAGE_BYTES ? 0 : bytes);
}

static int map_request(Job *job) {
    Segment *request = &slot_of(job)->request;
    int r;

    if (!job->client->trusted)
        return 0;
    segment_published(request, job->claim.request.segment_bytes);
    r = segment_remap(request);
    job->exchange.request = r == 0 ? request->map : NULL;
    return r;
}

void worker_job_init(Worker *worker, WorkerClient *client, uint32_t slot) {
    Job *job = &client->slots[slot].job;

    job->worker = worker;
    job->client = client;
    job->exchange = (Exchange){
        .client = client->id,
        .uid = client->uid,
        .slot = slot,
        .request_fd = client->requests_fd,
        .request_offset = slot * client->stride,
        .response = &client->slots[slot].response,
        .grow = grow,
        .copy = copy,
        .cancelled = cancelled,
        .wire = job,
    };
}

static uint64_t max_response(const Job *job) {
    const Worker *worker = job->worker;
    uint64_t max = worker->max_payload < job->client->stride ? worker->max_payload : job->client->stride;
    uint64_t wish = worker->settings->handler.max_response;

    return wish && wish < max ? wish : max;
}

/* What is of this exchange alone. */
static void describe(Job *job) {
    const SubmitRecord *request = &job->claim.request;
    uint64_t timeout_at = job->claimed_ns + job->worker->settings->timeout_ns;
    Exchange *exchange = &job->exchange;

    exchange->generation = job->claim.generation;
    exchange->attempt = job->claim.attempt;
    exchange->client_deadline = request->deadline_ns && request->deadline_ns <= timeout_at;
    exchange->deadline_ns = exchange->client_deadline ? request->deadline_ns : timeout_at;
    exchange->request = NULL;
    exchange->request_bytes = request->payload_bytes;
    memcpy(exchange->user, request->user, sizeof(exchange->user));
    exchange->response_bytes = 0;
    exchange->max_response = max_response(job);
    memset(exchange->response_user, 0, sizeof(exchange->response_user));
    exchange->reason = REASON_NONE;
    exchange->status = 0;
    exchange->cancel_fd = job->worker->channel;
}

/* Probes are answered here, so that a handler never sees one. */
static int call_handler(Job *job) {
    int r;

    if (job->client->probe) {
        r = segment_resize(&slot_of(job)->response, 0); /* so that the host has to remap, too */
        return r < 0 ? r : handler_handle(job->worker->probe_handler, &job->exchange);
    }
    return handler_handle(job->worker->handler, &job->exchange);
}

static void fail_errno(Job *job, int r) {
    exchange_fail(&job->exchange, REASON_HANDLER_FAILED, 0, "the worker could not go on: %s (%s)",
                  strerror(-r), error_where());
}

static void handle(Job *job) {
    bool guarded = job->exchange.request;
    int r;

    if (guarded)
        segment_guard_begin(&slot_of(job)->request);
    r = call_handler(job);
    if (r < 0)
        fail_errno(job, r);
    if (guarded && segment_guard_end())
        exchange_fail(&job->exchange, REASON_REQUEST_CHANGED, 0,
                      "the request's memory was taken away while it was handled");
}

/* A handler that gave up because the host was lost does not know that; the client should. */
static SlotState fail_host_lost(Job *job) {
    job->exchange.reason = REASON_HOST_LOST;
    job->exchange.status = 0;
    job->exchange.response_bytes = 0;
    return SLOT_FAILED;
}

static SlotState end_of(Job *job) {
    const Exchange *exchange = &job->exchange;

    if (exchange->reason == REASON_NONE)
        return SLOT_DONE;
    if (job->worker->lost || job->client->orphan)
        return fail_host_lost(job);
    if (job->client->gone ||
        submit_is_cancelled(job->client->submit.map, job->exchange.slot, job->claim.generation))
        return SLOT_CANCELLED;
    return exchange->reason == REASON_TIMED_OUT && exchange->client_deadline ? SLOT_EXPIRED : SLOT_FAILED;
}

/* A full reply queue is no loss: its reader looks at all of its slots before it blocks. */
static void notify(Job *job, const AnswerRecord *answer) {
    const Message message = {
        .client = job->client->id,
        .slot = job->exchange.slot,
        .generation = job->claim.generation,
        .payload_bytes = answer->payload_bytes,
        .segment_bytes = answer->segment_bytes,
    };

    (void)queue_send(job->client->reply_queue, &message, sizeof(message), 0);
}

static void publish(Job *job, SlotState end) {
    AnswerRecord answer = {
        .payload_bytes = job->exchange.response_bytes,
        .segment_bytes = slot_of(job)->response.bytes,
        .reason = job->exchange.reason,
        .status = job->exchange.status,
        .cpu = job->cpu,
        .ended_ns = job->ended_ns,
    };

    memcpy(answer.user, job->exchange.response_user, sizeof(answer.user));
    if (slots_end(job->client->states.map, job->exchange.slot, &job->claim, end, &answer) &&
        !submit_is_awake(job->client->submit.map))
        notify(job, &answer);
}

/* The client says which of its exchanges is measured, and how many it stands for. */
static bool is_measured(const Job *job, SlotState end) {
    return job->claim.request.submitted_ns && (end == SLOT_DONE || end == SLOT_FAILED);
}

/* After the end was published: nobody waits for this. */
static void count_stages(const Job *job) {
    const SubmitRecord *request = &job->claim.request;
    const WorkerClient *client = job->client;
    uint64_t queued_ns =
        request->submitted_ns < job->claimed_ns ? job->claimed_ns - request->submitted_ns : 0;

    meter_record(slots_meter(client->states.map, STAGE_QUEUED, client->n_slots), queued_ns, request->weight);
    meter_record(slots_meter(client->states.map, STAGE_RUNNING, client->n_slots),
                 job->ended_ns - job->claimed_ns, request->weight);
}

static Event *tell(Job *job, EventKind kind) {
    EventQueue *events = &job->worker->events;
    Event *event = kind == EVENT_EXCHANGE_DONE ? event_push(events, kind)
                                               : event_push_of(events, kind, job->client->uid);

    event->worker = job->worker->number;
    event->client = job->client->id;
    event->uid = job->client->uid;
    event->slot = job->exchange.slot;
    event->generation = job->claim.generation;
    event->attempt = job->claim.attempt;
    event->request_bytes = job->claim.request.payload_bytes;
    return event;
}

/* Where only what is slow is told, the coarse clock will do, which costs a quarter. */
static uint64_t took(const Job *job) {
    uint64_t now_ns = job->ended_ns            ? job->ended_ns
                      : job->worker->is_terse ? clock_coarse_ns()
                                              : clock_now_ns();

    return now_ns > job->claimed_ns ? now_ns - job->claimed_ns : 0;
}

static void tell_end(Job *job, SlotState end) {
    const Exchange *exchange = &job->exchange;
    uint64_t took_ns = job->worker->took_ns = took(job);
    Event *event;

    job->worker->row_ns += took_ns;
    if (job->worker->ring.map)
        worker_trace(job, end);
    if (job->worker->is_terse && end == SLOT_DONE && took_ns < SLOW_NS)
        return;
    if (!job->worker->ring.map && took_ns >= SLOW_NS)
        worker_trace_long(job, end);
    event = tell(job, end == SLOT_DONE ? EVENT_EXCHANGE_DONE : EVENT_EXCHANGE_FAILED);
    event->response_bytes = exchange->response_bytes;
    event->duration_ns = took_ns;
    event->ok = end == SLOT_DONE ? event->duration_ns < SLOW_NS : end == SLOT_CANCELLED;
    event->reason = exchange->reason;
    event->status = exchange->status;
    if (end == SLOT_CANCELLED)
        text_copy(event->text, sizeof(event->text), "nobody waits for the answer any more");
    else if (end != SLOT_DONE)
        text_copy(event->text, sizeof(event->text),
                  end == SLOT_EXPIRED ? "past its client's deadline" : reason_name(exchange->reason));
}

static int finish(Job *job, SlotState end) {
    job->ended_ns = is_measured(job, end) ? clock_now_ns() : 0;
    publish(job, end);
    PROBE_REPLY(job->client->id, job->exchange.slot, job->claim.generation, end,
                job->exchange.response_bytes);
    if (job->ended_ns)
        count_stages(job);
    worker_copy_put(TAKE(job->copy));
    if (!job->client->probe) {
        job->worker->n_exchanges++;
        tell_end(job, end);
    }
    worker_poll_enter(job->worker, job->client, job);
    return worker_client_unpin(job->worker, job->client);
}

/* Get ready to handle it. Return: SLOT_CLAIMED, or the end that it has come to already. */
static SlotState prepare(Job *job) {
    SlotState end = early_end(job);
    int r;

    if (end == SLOT_FAILED) {
        exchange_fail(&job->exchange, REASON_BAD_REQUEST, 0,
                      "the submit record does not fit: payload, segment, generation");
        job->claim.request.payload_bytes = 0; /* whatever it says is not counted, nor waited for */
    }
    if (end != SLOT_CLAIMED)
        return end;
    r = map_request(job);
    if (r < 0) {
        fail_errno(job, r);
        return SLOT_FAILED;
    }
    return SLOT_CLAIMED;
}

/* The claim is won: whatever happens, it is to be ended. */
static int begin(Job *job) {
    SlotState end;

    job->client->n_jobs++;
    find_response(job);
    describe(job);
    if (!job->client->known && !job->client->probe) {
        job->client->known = true;
        tell(job, EVENT_FIRST_EXCHANGE);
    }
    end = prepare(job);
    if (end != SLOT_CLAIMED)
        return finish(job, end);
    if (!job->worker->handler && !job->client->probe) {
        job->worker->ready = job;
        return 0;
    }
    handle(job);
    return finish(job, end_of(job));
}

bool worker_pop(Worker *worker, Exchange **ret_exchange) {
    if (!worker->ready)
        return false;
    *ret_exchange = &TAKE(worker->ready)->exchange;
    return true;
}

int worker_end(Exchange *exchange) {
    Job *job = exchange->wire;

    return finish(job, end_of(job));
}

static void dropped(Worker *worker, uid_t uid, const Message *message, const char *why) {
    Event *event = event_push_of(&worker->events, EVENT_EXCHANGE_DROPPED, uid);

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

/*
 * When it was claimed. To tell the nanosecond takes a tenth of a small exchange: where nobody measures it,
 * and no deadline is near, the coarse clock will do, which is late by some milliseconds.
 */
static uint64_t time_of_claim(const Job *job) {
    const SubmitRecord *request = &job->claim.request;
    const Worker *worker = job->worker;
    uint64_t now_ns = clock_coarse_ns();

    if (request->submitted_ns || (request->deadline_ns && request->deadline_ns < now_ns + NEAR_NS) ||
        worker->settings->timeout_ns < NEAR_NS || !worker->is_terse || worker->ring.map)
        return clock_now_ns();
    return now_ns;
}

int worker_claim(Worker *worker, WorkerClient *client, uint32_t slot, uint32_t generation) {
    Job *job = &client->slots[slot].job;
    int r;

    if (!slots_claim(client->submit.map, client->states.map, slot, generation, worker->number, 0,
                     &job->claim))
        return 0;
    job->cpu = cpu_current();
    /* after the claim: what the client saw unclaimed at its deadline must not run */
    job->claimed_ns = time_of_claim(job);
    PROBE_CLAIM(client->id, slot, generation, job->claim.attempt);
    slots_note(client->states.map, slot, job->claimed_ns);
    r = begin(job);
    return r < 0 ? r : 1;
}

static int consider(Worker *worker, uid_t uid, const Message *message) {
    WorkerClient *client;
    int r = find_client(worker, uid, message, &client);

    if (r < 0)
        return r;
    if (!client || message->slot >= client->n_slots) {
        dropped(worker, uid, message, "no such client or slot of that uid");
        return 0;
    }
    r = worker_claim(worker, client, message->slot, message->generation);
    if (r == 0)
        dropped(worker, uid, message, "claims nothing: repeated, late or forged");
    worker->by_message = r > 0;
    return r < 0 ? r : 0;
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
        dropped(worker, uid, &message, "a message of the wrong size");
        return 0;
    }
    return consider(worker, uid, &message);
}
