/* SPDX-License-Identifier: MIT */
/*
 * plain: the request is passed on to a worker that speaks the plain wire
 *
 * For each exchange this is a host of that wire (docs/protocol.md, section 7): it opens or makes the queues
 * and the segment, writes the request into the segment, sends its byte count, waits for the response's, reads
 * the response, and unlinks all three names, however the exchange ended. A worker that comes first, or last,
 * or serves one exchange and ends, finds what it expects.
 *
 * There is one segment, so there is one exchange at a time. Copies of this worker, and other instances with
 * the same names, take turns: whoever has claimed the segment is the host. Messages that lie in the queues
 * then are a dead host's, and are thrown away.
 */
#include "wire/plain.h"
#include "base/error.h"
#include "base/units.h"
#include "core/plain-line.h"
#include "handler/handler.h"
#include "os/queue.h"
#include "os/segment.h"
#include "os/wait.h"
#include "os/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES  (UINT64_C(1) << 20) /* of a request, between two looks at the clock */
#define TICK_NS      NS_PER_SEC          /* a claim that ended between two looks is noticed after this */
#define VANISHING_NS NS_PER_MS           /* a name is looked at again that is about to go */

typedef struct Plain {
    Handler handler;
    const HandlerSettings *settings;
    Wait *wait;
} Plain;

/* What a step of an exchange comes to, if not to a negative errno. */
typedef enum Step {
    STEP_DONE,
    STEP_FAILED, /* exchange_fail() has been called */
    STEP_EXPIRED,
    STEP_CANCELLED, /* nobody waits any more */
} Step;

/* One exchange. */
typedef struct Call {
    const Plain *plain;
    const PlainNames *names;
    Exchange *exchange;
    PlainLine line;
    bool claimed; /* the names are ours to unlink */
    WaitSource cancel_source;
    const char *stage; /* what was waited for when the time was up */
} Call;

/* ---- a handler ---- */

static Handler *plain_free(Handler *handler) {
    Plain *plain = (Plain *)handler;

    if (plain)
        wait_free(plain->wait);
    free(plain);
    return NULL;
}

static int plain_new(Handler **ret, const HandlerSettings *settings, char *error) {
    Plain *plain = calloc(1, sizeof(*plain));
    int r;

    if (!plain)
        return error_origin(-ENOMEM);
    plain->handler.kind = &handler_plain;
    plain->settings = settings;
    r = wait_new(&plain->wait);
    if (r < 0) {
        plain_free(&plain->handler);
        return r;
    }
    *ret = &plain->handler;
    return 0;
}

/* ---- waiting ---- */

static Step look_at_clock(const Call *call) {
    return clock_now_ns() >= call->exchange->deadline_ns ? STEP_EXPIRED : STEP_DONE;
}

/* A peer that hung up stays ready for ever: it is asked once. */
static Step ask_cancelled(Call *call, uint32_t events) {
    if (exchange_is_cancelled(call->exchange))
        return STEP_CANCELLED;
    if (!(events & WAIT_READ))
        wait_remove(&call->cancel_source);
    return STEP_DONE;
}

/* Gather what is ready by @until_ns. Return: a Step or a negative errno; *ret_ready says whether @source is
 * ready. */
static int wait_once(Call *call, const WaitSource *source, uint64_t until_ns, bool *ret_ready) {
    int step = STEP_DONE, r = wait_poll(call->plain->wait, until_ns);
    const WaitSource *ready;
    uint32_t events;

    *ret_ready = false;
    while ((ready = wait_next(call->plain->wait, &events))) {
        if (ready == source)
            *ret_ready = true;
        else if (step == STEP_DONE)
            step = ask_cancelled(call, events);
    }
    return r < 0 ? r : step;
}

/* Wait for @fd, until the deadline, or at most until @until_ns. Return: a Step, STEP_DONE also at @until_ns;
 * or a negative errno. */
static int wait_on(Call *call, int fd, uint32_t events, uint64_t until_ns) {
    WaitSource source = WAIT_SOURCE_NULL;
    bool ready = false;
    int r = wait_add(call->plain->wait, &source, fd, events, 0, call);

    if (r < 0)
        return r;
    if (until_ns > call->exchange->deadline_ns)
        until_ns = call->exchange->deadline_ns;
    while (r == STEP_DONE && !ready && clock_now_ns() < until_ns)
        r = wait_once(call, &source, until_ns, &ready);
    wait_remove(&source);
    return r == STEP_DONE && !ready ? (int)look_at_clock(call) : r;
}

/* ---- opening ---- */

static Step fail_part(Call *call, PlainPart part, int r) {
    char text[512];

    plain_part_fault(call->names, part, r, text, sizeof(text));
    exchange_fail(call->exchange, r > 0 ? REASON_LIMIT : REASON_PLAIN_PEER, 0, "%s", text);
    return STEP_FAILED;
}

static Step open_part(Call *call, PlainPart part) {
    bool made;
    int r = plain_part_open(call->names, part, &made, &call->line.fds[part]);

    return r == 0 ? STEP_DONE : fail_part(call, part, r);
}

/*
 * Somebody else has the claim: wait until the name is unlinked, as every host does that ends, or the object
 * is closed by one that was killed. While an object is being unlinked, its name leads to it for a moment
 * more. Return: a Step or a negative errno.
 */
static int wait_turn(Call *call, int payload) {
    _cleanup_close_ int watch = -1;
    int id, r = watch_new(&watch);

    if (r == 0)
        r = watch_add(watch, payload, WATCH_UNLINKED | WATCH_CLOSED, &id);
    if (r < 0)
        return r;
    return wait_on(call, watch, WAIT_READ,
                   clock_now_ns() + (object_has_name(payload) ? TICK_NS : VANISHING_NS));
}

/* Open what the name leads to now. */
static Step open_payload(Call *call) {
    int *payload = &call->line.fds[PLAIN_PAYLOAD];

    if (*payload >= 0 && object_has_name(*payload))
        return STEP_DONE;
    *payload = fd_close(*payload);
    return open_part(call, PLAIN_PAYLOAD);
}

/* Be the host of these names. Return: a Step or a negative errno. */
static int claim(Call *call) {
    int r = STEP_DONE;

    call->stage = "another exchange had the peer's segment all the time";
    while (r == STEP_DONE) {
        int payload;

        r = open_payload(call);
        if (r != STEP_DONE)
            return r;
        payload = call->line.fds[PLAIN_PAYLOAD];
        r = object_claim(payload);
        if (r < 0 && r != -EAGAIN)
            return r;
        call->claimed = r == 0 && object_has_name(payload);
        if (call->claimed)
            return STEP_DONE;
        r = wait_turn(call, payload);
        if (r == STEP_DONE)
            r = look_at_clock(call);
    }
    return r;
}

/* Whatever lies in the queues was sent by or to a host that is gone. Return: a Step or a negative errno. */
static int open_queue(Call *call, PlainPart part) {
    Step step = open_part(call, part);
    int r = step == STEP_DONE ? plain_discard(call->line.fds[part]) : 0;

    return r < 0 ? r : (int)step;
}

/* ---- the request ---- */

/* A part of the request: in place, or copied to @buffer. Return: 0, a Reason, or negative errno. */
static int request_chunk(const Exchange *exchange, uint64_t at, size_t bytes, void *buffer,
                         const void **ret_data) {
    *ret_data = exchange->request ? (const char *)exchange->request + at : buffer;
    return exchange->request ? 0 : exchange_read_request(exchange, at, buffer, bytes);
}

static Step fail_write(Call *call, int r) {
    char bytes[UNITS_TEXT_MAX];

    size_format(call->exchange->request_bytes, bytes);
    if (r == -ENOSPC)
        exchange_fail(call->exchange, REASON_MEMORY_FULL, 0,
                      "no room for a request of %s in %s: raise the size of the file system on /dev/shm",
                      bytes, call->names->segment);
    else if (r > 0 || r == -EFAULT)
        exchange_fail(call->exchange, REASON_REQUEST_CHANGED, 0,
                      "the request's memory was taken away while it was read");
    else
        exchange_fail(call->exchange, REASON_PLAIN_PEER, 0, "%s: the request of %s could not be written: %s",
                      call->names->segment, bytes, strerror(-r));
    return STEP_FAILED;
}

/* Return: a Step or a negative errno. */
static int write_request(Call *call) {
    const Exchange *exchange = call->exchange;
    const Segment payload = {.fd = call->line.fds[PLAIN_PAYLOAD], .capacity = UINT64_MAX};
    _cleanup_free_ void *buffer = exchange->request ? NULL : malloc(CHUNK_BYTES);
    const void *data;
    uint64_t bytes;
    Step step = STEP_DONE;
    int r;

    if (!exchange->request && !buffer)
        return error_origin(-ENOMEM);
    call->stage = "the request was still being copied";
    r = plain_resize(payload.fd, exchange->request_bytes);
    for (uint64_t at = 0; r == 0 && step == STEP_DONE && at < exchange->request_bytes; at += bytes) {
        bytes = exchange->request_bytes - at < CHUNK_BYTES ? exchange->request_bytes - at : CHUNK_BYTES;
        r = request_chunk(exchange, at, bytes, buffer, &data);
        if (r == 0)
            r = segment_write(&payload, at, data, bytes);
        step = look_at_clock(call);
    }
    return r != 0 ? fail_write(call, r) : step;
}

/* Nobody else should send there: if somebody does, wait until a worker has taken that. Return: a Step or a
 * negative errno. */
static int send_request(Call *call) {
    int requests = call->line.fds[PLAIN_REQUESTS];
    int r;

    call->stage = "the peer's queue was full all the time";
    while ((r = plain_send(requests, call->exchange->request_bytes)) == -EAGAIN) {
        r = wait_on(call, requests, WAIT_WRITE, UINT64_MAX);
        if (r != STEP_DONE)
            break;
    }
    return r;
}

/* ---- the response ---- */

static Step fail_count(Call *call, PlainFault fault) {
    exchange_fail(call->exchange, REASON_PLAIN_PEER, 0, "the worker on %s %s", call->names->worker_queue,
                  plain_fault_text(fault));
    return STEP_FAILED;
}

/* Return: a Step or a negative errno. */
static int receive_count(Call *call, uint64_t *ret_count) {
    int replies = call->line.fds[PLAIN_REPLIES];
    int r;

    call->stage = NULL;
    while ((r = plain_receive(replies, UINT64_MAX, ret_count)) == -EAGAIN) {
        r = wait_on(call, replies, WAIT_READ, UINT64_MAX);
        if (r != STEP_DONE)
            return r;
    }
    return r > 0 ? (int)fail_count(call, (PlainFault)r) : r;
}

static uint64_t response_limit(const Call *call) {
    uint64_t limit = call->exchange->max_response;
    uint64_t own = call->plain->settings->max_response;

    return own > 0 && own < limit ? own : limit;
}

/* Whether what the worker says can be. Return: a Step or a negative errno. */
static int check_count(Call *call, uint64_t count) {
    const uint64_t limit = response_limit(call);
    uint64_t segment_bytes;
    char text[UNITS_TEXT_MAX];
    int r = object_size(call->line.fds[PLAIN_PAYLOAD], &segment_bytes);

    if (r < 0)
        return r;
    if (count > segment_bytes)
        exchange_fail(call->exchange, REASON_PLAIN_PEER, 0,
                      "the worker says that its response has %" PRIu64 " bytes, but %s has %" PRIu64, count,
                      call->names->segment, segment_bytes);
    else if (count > limit)
        exchange_fail(call->exchange, REASON_RESPONSE_TOO_LARGE, 0,
                      "the response has %" PRIu64 " bytes, more than the %s that %s allows", count,
                      size_format(limit, text),
                      limit < call->exchange->max_response ? "`max_response` of the worker's handler"
                                                           : "the host");
    else
        return STEP_DONE;
    return STEP_FAILED;
}

/* Return: a Step or a negative errno. */
static int read_response(Call *call, uint64_t count) {
    Exchange *exchange = call->exchange;
    const Segment payload = {.fd = call->line.fds[PLAIN_PAYLOAD], .capacity = UINT64_MAX};
    int r = check_count(call, count);

    if (r != STEP_DONE)
        return r;
    if (count == 0)
        return STEP_DONE;
    r = exchange_reserve(exchange, count);
    if (r > 0) {
        exchange_fail(exchange, (Reason)r, 0, "plain: %s", reason_name((Reason)r));
        return STEP_FAILED;
    }
    if (r == 0)
        r = segment_read(&payload, 0, exchange->response->map, count);
    if (r == -ENODATA) {
        exchange_fail(exchange, REASON_PLAIN_PEER, 0, "%s: the worker shrank its response while it was read",
                      call->names->segment);
        return STEP_FAILED;
    }
    if (r == 0)
        exchange->response_bytes = count;
    return r;
}

/* ---- an exchange ---- */

/* Return: a Step or a negative errno. */
static int run(Call *call) {
    uint64_t count = 0;
    int r = claim(call);

    if (r == STEP_DONE)
        r = open_queue(call, PLAIN_REQUESTS);
    if (r == STEP_DONE)
        r = open_queue(call, PLAIN_REPLIES);
    if (r == STEP_DONE)
        r = write_request(call);
    if (r == STEP_DONE)
        r = send_request(call);
    if (r == STEP_DONE)
        r = receive_count(call, &count);
    if (r == STEP_DONE)
        r = read_response(call, count);
    return r;
}

/* The count is out: either nobody has taken it, or whoever has does not answer. */
static void fail_unanswered(Call *call) {
    uint32_t n = 0;

    (void)queue_depth(call->line.fds[PLAIN_REQUESTS], &n, NULL, NULL);
    exchange_fail(
        call->exchange, REASON_TIMED_OUT, 0,
        n > 0 ? "no worker of the plain wire took the request from %s: is one running, as the same user?"
              : "the worker of the plain wire took the request from %s and did not answer in time",
        call->names->host_queue);
}

static void fail_expired(Call *call) {
    if (call->stage)
        exchange_fail(call->exchange, REASON_TIMED_OUT, 0, "%s: %s", call->names->segment, call->stage);
    else
        fail_unanswered(call);
}

/* The segment goes last: with it goes the claim. */
static void end(Call *call) {
    static const PlainPart parts[] = {PLAIN_REQUESTS, PLAIN_REPLIES, PLAIN_PAYLOAD};

    wait_remove(&call->cancel_source);
    for (size_t i = 0; call->claimed && i < ELEMENTS(parts); i++)
        plain_part_unlink(call->names, parts[i], call->line.fds[parts[i]]);
    plain_line_close(&call->line);
}

static int plain_handle(Handler *handler, Exchange *exchange) {
    Plain *plain = (Plain *)handler;
    Call call = {
        .plain = plain,
        .names = &plain->settings->plain,
        .exchange = exchange,
        .line = PLAIN_LINE_NULL,
        .cancel_source = WAIT_SOURCE_NULL,
    };
    int r = 0;

    if (exchange->cancel_fd >= 0)
        r = wait_add(plain->wait, &call.cancel_source, exchange->cancel_fd, WAIT_READ, 0, &call);
    if (r == 0)
        r = run(&call);
    if (r == STEP_EXPIRED)
        fail_expired(&call);
    if (r == STEP_CANCELLED)
        exchange_fail(exchange, REASON_STOPPED, 0, "given up: nobody waits for the answer");
    end(&call);
    return r < 0 ? r : 0;
}

const HandlerKind handler_plain = {
    .name = "plain", .new = plain_new, .free = plain_free, .handle = plain_handle};
