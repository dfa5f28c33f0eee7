/* SPDX-License-Identifier: MIT */
/*
 * echo: the response is the request
 *
 * The payload is copied once: from the mapping of a trusted client, by pread from that of another.
 */
#include "base/error.h"
#include "handler/handler.h"

#include <string.h>

static int echo_new(Handler **ret, const HandlerSettings *settings, char *error) {
    Handler *handler = calloc(1, sizeof(*handler));

    if (!handler)
        return error_origin(-ENOMEM);
    handler->kind = &handler_echo;
    *ret = handler;
    return 0;
}

static Handler *echo_free(Handler *handler) {
    free(handler);
    return NULL;
}

static int echo_copy(Exchange *exchange) {
    int r = exchange_reserve(exchange, exchange->request_bytes);

    if (r != 0)
        return r;
    if (exchange->request) {
        memcpy(exchange->response->map, exchange->request, exchange->request_bytes);
        return 0;
    }
    return exchange_read_request(exchange, 0, exchange->response->map, exchange->request_bytes);
}

static int echo_handle(Handler *handler, Exchange *exchange) {
    int r = exchange->request_bytes ? echo_copy(exchange) : 0;

    if (r < 0)
        return r;
    if (r > 0)
        exchange_fail(exchange, (Reason)r, 0, "echo: %s", reason_name((Reason)r));
    else
        exchange->response_bytes = exchange->request_bytes;
    return 0;
}

const HandlerKind handler_echo = {.name = "echo", .new = echo_new, .free = echo_free, .handle = echo_handle};
