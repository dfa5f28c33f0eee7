/* SPDX-License-Identifier: MIT */
/* init() fails: with the text of its first setting, or without one. Neither handle() nor end() may be called
 * then. */
#include <shmipc-plugin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int init(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes) {
    if (n_settings > 0)
        snprintf(error, error_bytes, "%s", settings[0].value);
    return -EHOSTDOWN;
}

static int handle(void *state, shmipc_plugin_job *job) {
    abort();
}

static void end(void *state) {
    abort();
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "refuses",
    .description = "never starts",
    .init = init,
    .handle = handle,
    .end = end,
};
