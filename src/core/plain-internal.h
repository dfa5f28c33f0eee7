/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/plain-line.h"
#include "core/plain.h"
#include "os/segment.h"
#include "os/wait.h"

#define PLAIN_RESPONSE_MAX (UINT64_C(1) << 40) /* bytes, where `max_response` sets no other limit */

struct PlainWorker {
    const WorkerSettings *settings; /* borrowed */
    Handler *handler;               /* borrowed */
    Wait *wait;
    EventQueue events;
    uint64_t n_exchanges;

    /* what the names lead to */
    PlainLine line;
    WaitSource line_source; /* its requests; added while all three parts are open */
    bool made[PLAIN_PARTS]; /* by this worker */
    PlainLine former;       /* what they led to before */
    WaitSource former_source;
    uint64_t former_until_ns; /* its segment holds memory: it is not kept for long */
    uint64_t retry_ns;        /* when to open again what could not be opened; 0 if all is open */
    char told[256];           /* the fault that is in the journal already */
    bool told_waiting;

    /* what others do to it */
    int watch;
    WaitSource watch_source;
    int watched[PLAIN_PARTS]; /* ids; -1 for none */
    bool in_use;              /* the segment was opened by somebody and not closed since */
    bool payload_opened;      /* since the latest look at an answer */
    bool replies_closed;      /* likewise */

    /* the latest answer */
    bool lying;    /* nobody has taken it */
    bool doubtful; /* the queue of replies was closed by somebody about when its request was sent */
    uint64_t lying_since_ns;

    /* where handlers put their responses: the peers' segment still holds the request then */
    int response_fd;
    Segment response;
};

/*
 * plain.c: make sure that the part is what its name leads to now
 * Return: 0, also when it cannot be had: then it is closed, an event says why, and it is tried again later.
 */
void plain_worker_renew(PlainWorker *worker, PlainPart part);

/* plain.c: hear what others have done. */
void plain_worker_hear(PlainWorker *worker);

/* plain-exchange.c: take one request from the line and see it through. Return: 0 or negative errno. */
int plain_worker_serve(PlainWorker *worker, PlainLine *line, bool *ret_served);

/* plain-exchange.c: an answer was sent; has its host taken it? */
void plain_worker_note_answer(PlainWorker *worker);

/* plain-exchange.c: take the latest answer back if its host will not. */
void plain_worker_mind_answer(PlainWorker *worker);

/* plain-exchange.c: when to mind it at the latest; 0 for never. */
uint64_t plain_worker_answer_until_ns(const PlainWorker *worker);
