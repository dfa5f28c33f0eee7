/* SPDX-License-Identifier: MIT */
/*
 * Handlers: what turns a request payload into a response payload
 *
 * One file for each kind, behind this. A handler is made once for a worker, and called for one exchange at a time from the worker's thread.
 */
#pragma once

#include "base/cleanup.h"
#include "core/exchange.h"
#include "core/settings.h"

typedef struct Handler Handler;

typedef struct HandlerKind {
    const char *name; /* as in handler.type */
    int (*new)(Handler **ret, const HandlerSettings *settings);
    Handler *(*free)(Handler *handler);

    /*
     * Handle one exchange: leave the response, or exchange_fail(). Must come back soon after exchange->deadline_ns.
     * Return: 0, also when the exchange failed; a negative errno ends the worker.
     */
    int (*handle)(Handler *handler, Exchange *exchange);
} HandlerKind;

/* Each kind's own struct begins with this. */
struct Handler {
    const HandlerKind *kind;
};

extern const HandlerKind handler_echo;
extern const HandlerKind handler_exec;
extern const HandlerKind handler_plain;

/** handler_new() - make the handler that @settings ask for; they must outlive it. Return: 0 or negative errno. */
int handler_new(Handler **ret, const HandlerSettings *settings);

/** handler_free() - Return: NULL. */
Handler *handler_free(Handler *handler);

/** handler_handle() - handle one exchange; see HandlerKind. */
int handler_handle(Handler *handler, Exchange *exchange);

DEFINE_CLEANUP(Handler, handler_free)
