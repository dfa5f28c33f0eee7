/* SPDX-License-Identifier: MIT */
/* Of another ABI: its handle() must never be called. */
#include <shmipc-plugin.h>

#include <stdlib.h>

static int handle(void *state, shmipc_plugin_job *job) {
    abort();
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI + 1,
    .name = "old",
    .description = "of another time",
    .handle = handle,
};
