/* SPDX-License-Identifier: MIT */
/* A plugin that answers with what it gets. */
#include <shmipc-plugin.h>
#include <string.h>

static int handle(void *state, shmipc_plugin_job *job) {
    void *response;
    int r = job->calls->reserve(job, job->request_bytes, &response, NULL);

    (void)state;
    if (r < 0)
        return r;
    if (job->request_bytes > 0)
        memcpy(response, job->request, job->request_bytes);
    job->response_bytes = job->request_bytes;
    return 0;
}

const struct shmipc_plugin shmipc_plugin = {
    .abi = SHMIPC_PLUGIN_ABI,
    .name = "bounce",
    .description = "answers with what it gets",
    .handle = handle,
};
