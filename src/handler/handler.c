/* SPDX-License-Identifier: MIT */
#include "handler/handler.h"

static const HandlerKind *const kinds[] = {
    [HANDLER_ECHO] = &handler_echo,
    [HANDLER_EXEC] = &handler_exec,
    [HANDLER_PLAIN] = &handler_plain,
};

int handler_new(Handler **ret, const HandlerSettings *settings) {
    return kinds[settings->type]->new(ret, settings);
}

Handler *handler_free(Handler *handler) {
    return handler ? handler->kind->free(handler) : NULL;
}

int handler_handle(Handler *handler, Exchange *exchange) {
    return handler->kind->handle(handler, exchange);
}
