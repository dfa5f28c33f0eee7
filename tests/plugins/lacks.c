/* SPDX-License-Identifier: MIT */
/* Needs a function that nobody has. */
#include <shmipc-plugin.h>

int shmipc_test_function_of_nobody(void);

static int handle(void *state, shmipc_plugin_job *job) {
    return shmipc_test_function_of_nobody();
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "lacks",
    .description = "lacks something",
    .handle = handle,
};
