/* SPDX-License-Identifier: MIT */
#include "handler/handler.h"

static const HandlerKind *const kinds[] = {
    [HANDLER_ECHO] = &handler_echo,
    [HANDLER_EXEC] = &handler_exec,
    [HANDLER_PLAIN] = &handler_plain,
    [HANDLER_PLUGIN] = &handler_plugin,
};

int handler_new(Handler **ret, const HandlerSettings *settings, char error[static HANDLER_ERROR_MAX]) {
    return kinds[settings->type]->new(ret, settings, error);
}
