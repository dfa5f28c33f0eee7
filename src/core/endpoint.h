/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: where a host's socket is
 *
 * $SHMIPC_SOCKET, if set. Otherwise /run/shmipc/NAME.sock; for who is not root and has an $XDG_RUNTIME_DIR,
 * shmipc/NAME.sock in there, unless (when looking for a host) there is none in there and one in /run.
 */
#pragma once

#include "core/settings.h"
#include "os/channel.h"

typedef struct EndpointName {
    char text[SETTINGS_NAME_MAX + 1];
} EndpointName;

/** endpoint_of_host() - where a host of this process listens. Return: 0 or -ENAMETOOLONG. */
int endpoint_of_host(const char *name, char path[static CHANNEL_PATH_MAX]);

/** endpoint_find() - where to look for a host. Return: 0 or -ENAMETOOLONG. */
int endpoint_find(const char *name, char path[static CHANNEL_PATH_MAX]);

/**
 * endpoint_list() - names of the hosts that have, or have had, a socket where endpoint_find() looks
 * @ret_names:  one allocation, in order
 * Return: 0 or negative errno.
 */
int endpoint_list(EndpointName **ret_names, size_t *ret_n);

/** endpoint_default_host() - $SHMIPC_HOST, or "host". */
const char *endpoint_default_host(void);
