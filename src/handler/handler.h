/* SPDX-License-Identifier: MIT */
/*
 * Handlers: what turns a request payload into a response payload
 *
 * One file for each kind, behind this. A handler is made once for a worker, and called for one exchange at a
 * time from the worker's thread.
 */
#pragma once

#include "base/cleanup.h"
#include "core/exchange.h"
#include "core/settings.h"

#define HANDLER_ERROR_MAX 512 /* bytes of a text that says why a handler cannot be made */

/* Positive code */
#define HANDLER_REFUSED 1 /* the settings cannot be followed, which will be so the next time too */

typedef struct Handler Handler;

typedef struct HandlerKind {
    const char *name; /* as in handler.type */

    /*
     * Make a handler.
     * Return: 0; HANDLER_REFUSED, with the reason in @error, of HANDLER_ERROR_MAX bytes (a kind that never
     * refuses takes NULL); or a negative errno.
     */
    int (*new)(Handler **ret, const HandlerSettings *settings, char *error);
    Handler *(*free)(Handler *handler);

    /*
     * Handle one exchange: leave the response, or exchange_fail(). Must come back soon after
     * exchange->deadline_ns.
     * Return: 0, also when the exchange failed; a negative errno ends the worker.
     */
    int (*handle)(Handler *handler, Exchange *exchange);
} HandlerKind;

/* Each kind's own struct begins with this. */
struct Handler {
    const HandlerKind *kind;
    const char *description; /* for the log, where its settings do not say what it is; or NULL */
};

extern const HandlerKind handler_echo;
extern const HandlerKind handler_exec;
extern const HandlerKind handler_plain;
extern const HandlerKind handler_plugin;

/**
 * handler_new() - make the handler that @settings ask for; they must outlive it.
 * Return: as HandlerKind.new().
 */
int handler_new(Handler **ret, const HandlerSettings *settings, char error[static HANDLER_ERROR_MAX]);

/* These two are here, and not in handler.c, so that who has a handler of his own links none of the others. */

/** handler_free() - Return: NULL. */
static inline Handler *handler_free(Handler *handler) {
    return handler ? handler->kind->free(handler) : NULL;
}

/** handler_handle() - handle one exchange; see HandlerKind. */
static inline int handler_handle(Handler *handler, Exchange *exchange) {
    return handler->kind->handle(handler, exchange);
}

DEFINE_CLEANUP(Handler, handler_free)
