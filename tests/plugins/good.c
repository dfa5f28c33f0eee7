/* SPDX-License-Identifier: MIT */
/*
 * Tells in its response all that it was told: its settings, a line each, then what it knows of the request,
 * then the request itself. Hands the user bytes back upside down. The setting `trace` is a file that gets a
 * line for each init() and end().
 */
#include <shmipc-plugin.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Good {
    char settings[1024];
    char trace[256];
} Good;

static void trace(const Good *good, const char *line) {
    FILE *stream = *good->trace ? fopen(good->trace, "ae") : NULL;

    if (stream) {
        fprintf(stream, "%s\n", line);
        fclose(stream);
    }
}

static int init(const shmipc_plugin_setting *settings, size_t n_settings, void **ret_state, char *error,
                size_t error_bytes) {
    Good *good = calloc(1, sizeof(*good));
    size_t n = 0;

    if (!good)
        return -ENOMEM;
    for (size_t i = 0; i < n_settings; i++) {
        n += (size_t)snprintf(good->settings + n, sizeof(good->settings) - n, "%s=%s\n", settings[i].key,
                              settings[i].value);
        if (strcmp(settings[i].key, "trace") == 0)
            snprintf(good->trace, sizeof(good->trace), "%s", settings[i].value);
    }
    trace(good, "init");
    *ret_state = good;
    return 0;
}

static int handle(void *state, shmipc_plugin_job *job) {
    const Good *good = state;
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof(text),
                                "%sclient=%" PRIu64 " uid=%" PRIu32 " attempt=%" PRIu32 " max=%" PRIu64
                                " cancelled=%d remaining=%s calls=%" PRIu64 "\n",
                                good->settings, job->client, job->uid, job->attempt, job->max_response,
                                job->calls->is_cancelled(job),
                                job->calls->remaining(job) > 0 ? "some" : "none", job->calls->bytes);
    void *response;
    int r = job->calls->reserve(job, n + job->request_bytes, &response, NULL);

    if (r < 0)
        return r;
    memcpy(response, text, n);
    if (job->request)
        memcpy((char *)response + n, job->request, job->request_bytes);
    for (int i = 0; i < SHMIPC_USER_BYTES; i++)
        job->response_user[i] = job->user[SHMIPC_USER_BYTES - 1 - i];
    job->response_bytes = n + job->request_bytes;
    return 0;
}

static void end(void *state) {
    trace(state, "end");
    free(state);
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "good",
    .description = "tells what it was told",
    .init = init,
    .handle = handle,
    .end = end,
};
