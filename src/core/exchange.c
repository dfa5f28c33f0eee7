/* SPDX-License-Identifier: MIT */
#include "core/exchange.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GROWTH_BYTES_MAX (UINT64_C(256) << 20) /* past this a segment grows by no more than it must */

int exchange_read_request(const Exchange *exchange, uint64_t at, void *data, size_t bytes) {
    const Segment window = {
        .fd = exchange->request_fd,
        .offset = exchange->request_offset,
        .capacity = exchange->request_bytes,
    };
    int r;

    if (at > exchange->request_bytes || bytes > exchange->request_bytes - at)
        return REASON_REQUEST_CHANGED;
    r = segment_read(&window, at, data, bytes);
    return r == -ENODATA ? REASON_REQUEST_CHANGED : r;
}

static int own_copy(Exchange *exchange, uint64_t bytes, void **ret_data) {
    exchange_deinit(exchange);
    exchange->own_copy = malloc(bytes);
    if (!exchange->own_copy)
        return error_origin(-ENOMEM);
    *ret_data = exchange->own_copy;
    return 0;
}

int exchange_copy_request(Exchange *exchange, const void **ret_copy) {
    ExchangeCopy make = exchange->copy ? exchange->copy : own_copy;
    void *copy = NULL;
    int r = make(exchange, exchange->request_bytes, &copy);

    if (r == 0)
        r = exchange_read_request(exchange, 0, copy, exchange->request_bytes);
    if (r == 0)
        *ret_copy = copy;
    return r;
}

void exchange_deinit(Exchange *exchange) {
    free(exchange->own_copy);
    exchange->own_copy = NULL;
}

/* What to grow to: at least @bytes, at most the limit, in steps that double up to a point. */
static uint64_t segment_bytes_for(const Exchange *exchange, uint64_t bytes) {
    uint64_t limit = segment_round(exchange->response, exchange->max_response);
    uint64_t now = exchange->response->bytes;
    uint64_t generous = now + (now < GROWTH_BYTES_MAX ? now : GROWTH_BYTES_MAX);
    uint64_t wanted = segment_round(exchange->response, bytes);

    if (limit > exchange->response->capacity)
        limit = exchange->response->capacity;
    if (now == 0 || wanted > generous)
        return wanted;
    return generous < limit ? generous : limit;
}

static int grow_to(Exchange *exchange, uint64_t segment_bytes) {
    int r = exchange->grow(exchange, segment_bytes);

    if (r == 0)
        r = segment_resize(exchange->response, segment_bytes);
    return r == -ENOSPC ? REASON_MEMORY_FULL : r;
}

int exchange_reserve(Exchange *exchange, uint64_t bytes) {
    Segment *response = exchange->response;
    uint64_t wanted, least;
    int r;

    if (bytes > exchange->max_response || bytes > response->capacity)
        return REASON_RESPONSE_TOO_LARGE;
    if (bytes > response->bytes) {
        least = round_to_pages(bytes);
        wanted = segment_bytes_for(exchange, bytes);
        r = grow_to(exchange, wanted);
        if (r > 0 && wanted > least)
            r = grow_to(exchange, least);
        if (r != 0)
            return r;
    }
    return segment_remap(response);
}

void exchange_fail(Exchange *exchange, Reason reason, int status, const char *text, ...) {
    _cleanup_free_ char *message = NULL;
    va_list arguments;
    int bytes;

    va_start(arguments, text);
    bytes = vasprintf(&message, text, arguments);
    va_end(arguments);
    if (bytes < 0)
        message = NULL;
    /* A text that is longer than a response may be loses its end, by whole characters. */
    if (bytes > 0 && (uint64_t)bytes > exchange->max_response)
        for (bytes = (int)exchange->max_response; bytes > 0 && (message[bytes] & 0xc0) == 0x80; bytes--)
            ;

    exchange->reason = reason;
    exchange->status = status;
    exchange->response_bytes = 0;
    if (bytes > 0 && exchange_reserve(exchange, (uint64_t)bytes) == 0) {
        memcpy(exchange->response->map, message, (size_t)bytes);
        exchange->response_bytes = (uint64_t)bytes;
    }
}

void exchange_fail_expired(Exchange *exchange) {
    exchange_fail(exchange, REASON_TIMED_OUT, 0, "%s",
                  exchange->client_deadline
                      ? "the caller's time was up before the handler had finished"
                      : "the handler took longer than the worker's `timeout` setting allows");
}

bool exchange_is_cancelled(Exchange *exchange) {
    return exchange->cancelled && exchange->cancelled(exchange);
}
