/* SPDX-License-Identifier: MIT */
/*
 * A worker in twenty lines: answers each request with its bytes in reverse.
 *
 *     cc worker.c $(pkg-config --cflags --libs shmipc) -o worker && ./worker
 */
#include <shmipc.h>
#include <stdio.h>

static int reverse(shmipc_job *job, uint64_t *ret_bytes, void *data) {
    const void *request;
    void *response;
    uint64_t bytes;
    int r = shmipc_job_data(job, &request, &bytes); /* in place */

    (void)data;
    if (r == 0)
        r = shmipc_job_reserve(job, bytes, &response); /* in place, too */
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < bytes; i++)
        ((char *)response)[i] = ((const char *)request)[bytes - 1 - i];
    *ret_bytes = bytes;
    return 0;
}

int main(void) {
    int r = shmipc_worker_run(NULL, reverse, NULL);

    fprintf(stderr, "worker: %s\n", shmipc_strerror(r));
    return 1;
}
