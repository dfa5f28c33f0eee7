/* SPDX-License-Identifier: MIT */
/*
 * An exchange as a handler sees it
 *
 * The worker (or the plain wire) claims an exchange, fills this in, and calls the handler in its own thread.
 * The handler reads the request, makes the response grow as it needs, and returns. It never learns which wire
 * the exchange came by.
 *
 * The request of a client that is not trusted has `request == NULL`: its owner could rewrite, shrink or punch
 * it at any time, so it is read through exchange_read_request() or spliced from `request_fd`, and what was
 * read is used, never read again. A trusted one is mapped read-only at `request` and can be read both ways.
 */
#pragma once

#include "os/segment.h"
#include "wire/reason.h"
#include "wire/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Exchange Exchange;

/* How a wire lets the response grow. Return: 0, a positive Reason, or a negative errno. */
typedef int (*ExchangeGrow)(Exchange *exchange, uint64_t segment_bytes);

/*
 * A wire's private memory for a copy of @bytes, until the exchange ends. Return: 0, a positive Reason, or a
 * negative errno.
 */
typedef int (*ExchangeCopy)(Exchange *exchange, uint64_t bytes, void **ret_data);

/* Whether the client still wants the answer. May talk to the host; called from the handler's thread. */
typedef bool (*ExchangeCancelled)(Exchange *exchange);

struct Exchange {
    /* who and when */
    uint64_t client;      /* id; 0 on the plain wire */
    uid_t uid;            /* of the client */
    uint32_t slot;
    uint32_t generation;
    uint32_t attempt;     /* 1 for the first */
    /* CLOCK_MONOTONIC, never 0: the earlier of the client's deadline and the worker's timeout */
    uint64_t deadline_ns;
    /* the deadline is the client's: past it the exchange EXPIRED, else it FAILED as timed out */
    bool client_deadline;

    /* the request */
    const void *request;  /* NULL: read it with exchange_read_request() */
    uint64_t request_bytes;
    int request_fd;       /* borrowed; the payload starts at request_offset */
    uint64_t request_offset;
    uint8_t user[SLOT_USER_BYTES]; /* of the caller's own, that came with the request */

    /* the response: `response->map`, of which the first response_bytes count */
    Segment *response;
    uint64_t response_bytes;
    uint64_t max_response; /* bytes */
    uint8_t response_user[SLOT_USER_BYTES]; /* of the answerer's own, that goes with the response */

    /* a failure */
    Reason reason;        /* REASON_NONE: the response is an answer; otherwise it is a text that says why */
    int status;           /* exit status, or minus the signal */

    /* the wire's */
    ExchangeGrow grow;
    ExchangeCopy copy;    /* NULL: it has none, and exchange_deinit() is due */
    ExchangeCancelled cancelled;
    int cancel_fd;        /* readable when exchange_cancelled() is worth asking; -1 for none */
    void *wire;
    void *own_copy;       /* where the wire has no memory for it */
};

/** exchange_deinit() - let go of what the exchange itself owns. */
void exchange_deinit(Exchange *exchange);

/**
 * exchange_read_request() - copy @bytes from @at of the request. Return: 0, REASON_REQUEST_CHANGED, or
 * negative errno.
 */
int exchange_read_request(const Exchange *exchange, uint64_t at, void *data, size_t bytes);

/**
 * exchange_copy_request() - copy all of the request into memory of our own, which counts in the host's
 * `memory`
 * @ret_copy:   stays until the exchange ends
 *
 * One copy of each exchange.
 * Return: 0; REASON_MEMORY_BUDGET, REASON_REQUEST_CHANGED or REASON_HOST_LOST; -ENOMEM or another negative
 * errno.
 */
int exchange_copy_request(Exchange *exchange, const void **ret_copy);

/**
 * exchange_reserve() - make room for a response of @bytes in all and map it
 *
 * What was written before stays; `exchange->response->map` may move. Grows geometrically, so that it may be
 * called often.
 * Return: 0; REASON_RESPONSE_TOO_LARGE, REASON_MEMORY_BUDGET or REASON_MEMORY_FULL; or a negative errno.
 */
int exchange_reserve(Exchange *exchange, uint64_t bytes);

/**
 * exchange_fail() - turn the exchange into a failure
 * @reason:     why
 * @status:     exit status of the handler, or minus the signal; 0 where neither is known
 * @text:       for the caller, UTF-8; printf
 *
 * Replaces whatever response there was. Where there is no memory for the text, the reason stands alone.
 */
void exchange_fail(Exchange *exchange, Reason reason, int status, const char *text, ...)
    __attribute__((format(printf, 4, 5)));

/** exchange_fail_expired() - fail because the deadline has passed; says whose it was. */
void exchange_fail_expired(Exchange *exchange);

/** exchange_is_cancelled() - whether nobody waits for the answer any more. */
bool exchange_is_cancelled(Exchange *exchange);
