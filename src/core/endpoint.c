/* SPDX-License-Identifier: MIT */
#include "core/endpoint.h"

#include "base/error.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

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

static int compare_names(const void *a, const void *b) {
    return strcmp(((const EndpointName *)a)->text, ((const EndpointName *)b)->text);
}

static bool is_listed(const EndpointName *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(names[i].text, name))
            return true;
    return false;
}

/* Each once, though it may have a socket in both folders; what is no instance's name is somebody else's. */
static int take_names(const glob_t *found, EndpointName **ret_names, size_t *ret_n) {
    EndpointName *names = calloc(found->gl_pathc + 1, sizeof(*names));
    size_t n = 0;

    if (!names)
        return error_origin(-ENOMEM);
    for (size_t i = 0; i < found->gl_pathc; i++) {
        const char *name = strrchr(found->gl_pathv[i], '/') + 1;
        size_t length = strspn(name, NAME_CHARACTERS);

        if (length == 0 || length > SETTINGS_NAME_MAX || strcmp(name + length, ".sock") != 0)
            continue;
        memcpy(names[n].text, name, length);
        n += !is_listed(names, n, names[n].text);
        memset(&names[n], 0, sizeof(names[n]));
    }
    qsort(names, n, sizeof(*names), compare_names);
    *ret_names = names;
    *ret_n = n;
    return 0;
}

/* All names lead to the socket that the environment names. */
static int the_only_one(EndpointName **ret_names, size_t *ret_n) {
    EndpointName *name = calloc(1, sizeof(*name));

    if (!name)
        return error_origin(-ENOMEM);
    snprintf(name->text, sizeof(name->text), "%s", endpoint_default_host());
    *ret_names = name;
    *ret_n = 1;
    return 0;
}

int endpoint_list(EndpointName **ret_names, size_t *ret_n) {
    const char *own = geteuid() == 0 ? NULL : nonempty("XDG_RUNTIME_DIR");
    char pattern[CHANNEL_PATH_MAX];
    glob_t found = {0};
    int r;

    if (nonempty("SHMIPC_SOCKET"))
        return the_only_one(ret_names, ret_n);
    r = glob("/run/shmipc/*.sock", GLOB_NOSORT, NULL, &found);
    if (r != GLOB_NOSPACE && own && format(pattern, own, "*") == 0)
        r = glob(pattern, GLOB_NOSORT | GLOB_APPEND, NULL, &found);
    r = r == GLOB_NOSPACE ? error_origin(-ENOMEM) : take_names(&found, ret_names, ret_n);
    globfree(&found);
    return r;
}
