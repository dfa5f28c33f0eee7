/* SPDX-License-Identifier: MIT */
#include "core/endpoint.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *nonempty(const char *variable) {
    const char *value = secure_getenv(variable);

    return value && value[0] ? value : NULL;
}

static int format(char path[static CHANNEL_PATH_MAX], const char *folder, const char *name) {
    int length = snprintf(path, CHANNEL_PATH_MAX, "%s/shmipc/%s.sock", folder, name);

    return length < CHANNEL_PATH_MAX ? 0 : error_origin(-ENAMETOOLONG);
}

static int from_environment(char path[static CHANNEL_PATH_MAX], const char *value) {
    return snprintf(path, CHANNEL_PATH_MAX, "%s", value) < CHANNEL_PATH_MAX ? 0 : error_origin(-ENAMETOOLONG);
}

int endpoint_of_host(const char *name, char path[static CHANNEL_PATH_MAX]) {
    const char *socket = nonempty("SHMIPC_SOCKET");
    const char *own = geteuid() == 0 ? NULL : nonempty("XDG_RUNTIME_DIR");

    return socket ? from_environment(path, socket) : format(path, own ? own : "/run", name);
}

int endpoint_find(const char *name, char path[static CHANNEL_PATH_MAX]) {
    char system_path[CHANNEL_PATH_MAX];
    int r = endpoint_of_host(name, path);

    if (r < 0 || nonempty("SHMIPC_SOCKET") || access(path, F_OK) == 0)
        return r;
    if (format(system_path, "/run", name) == 0 && access(system_path, F_OK) == 0)
        return format(path, "/run", name);
    return 0;
}

const char *endpoint_default_host(void) {
    const char *host = nonempty("SHMIPC_HOST");

    return host ? host : "host";
}
