/* SPDX-License-Identifier: MIT */
/* Exports the symbol, with nothing behind it. */
#include <shmipc-plugin.h>

const struct shmipc_plugin shmipc_plugin = {.abi = SHMIPC_PLUGIN_ABI};
