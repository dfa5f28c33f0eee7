/* SPDX-License-Identifier: MIT */
/* The least that a plugin can be. Answers with nothing. */
#include <shmipc-plugin.h>

static int handle(void *state, shmipc_plugin_job *job) {
    return state ? -1 : 0;
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "bare",
    .description = "answers with nothing",
    .handle = handle,
};
