/* SPDX-License-Identifier: MIT */
/*
 * A plugin: answers with the request in upper or lower case.
 *
 *     cc -shared -fPIC $(pkg-config --cflags shmipc) -o letters.so letters.c
 *     install letters.so "$(pkg-config --variable=plugindir shmipc)"
 *
 * and in /etc/shmipc.conf:
 *
 *     worker: {
 *         role = "worker";
 *         handler = { type = "plugin"; path = "letters"; settings = { case = "upper"; }; };
 *     };
 */
#include <shmipc-plugin.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* There is nothing to keep but which of two it is. */
static char upper, lower;

static int init(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes) {
    if (n_settings == 1 && strcmp(settings[0].key, "case") == 0) {
        *ret_state = strcmp(settings[0].value, "upper") == 0   ? &upper
                     : strcmp(settings[0].value, "lower") == 0 ? &lower
                                                               : NULL;
        if (*ret_state)
            return 0;
    }
    snprintf(error, error_bytes, "say case = \"upper\" or case = \"lower\", and nothing else");
    return -EINVAL;
}

static int handle(void *state, shmipc_plugin_job *job) {
    const unsigned char *request = job->request;
    void *response;
    int r = job->calls->reserve(job, job->request_bytes, &response, NULL);

    if (r < 0)
        return r;
    for (uint64_t i = 0; i < job->request_bytes; i++)
        ((char *)response)[i] = (char)(state == &upper ? toupper(request[i]) : tolower(request[i]));
    job->response_bytes = job->request_bytes;
    return 0;
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "letters",
    .description = "turns letters into upper or lower case",
    .init = init,
    .handle = handle,
};
