/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: where a host's socket is
 *
 * $SHMIPC_SOCKET, if set. Otherwise /run/shmipc/NAME.sock; for who is not root and has an $XDG_RUNTIME_DIR,
 * shmipc/NAME.sock in there, unless (when looking for a host) there is none in there and one in /run.
 */
#pragma once

#include "os/channel.h"

/** endpoint_of_host() - where a host of this process listens. Return: 0 or -ENAMETOOLONG. */
int endpoint_of_host(const char *name, char path[static CHANNEL_PATH_MAX]);

/** endpoint_find() - where to look for a host. Return: 0 or -ENAMETOOLONG. */
int endpoint_find(const char *name, char path[static CHANNEL_PATH_MAX]);

/** endpoint_default_host() - $SHMIPC_HOST, or "host". */
const char *endpoint_default_host(void);
