/* SPDX-License-Identifier: MIT */
/*
 * What it costs to begin: clients that come anew, one after the other, to a worker that stays
 *
 * Prints medians over all clients: from before the connection to the first reply to 64 bytes (attach), a
 * first exchange of the given size with every byte written and read (cold), and that size again (warm).
 *
 * Usage: first [SIZE-IN-BYTES [CLIENTS]]. Environment: SHMIPC_SOCKET, of a host that runs.
 */
#include "peers/peer.h"
#include "shmipc.h"

#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENT   INT64_C(60000000000)
#define N_WARM    5
#define N_CLIENTS 1000

static uint64_t attach_ns[N_CLIENTS], cold_ns[N_CLIENTS], warm_ns[N_CLIENTS];

static int handle(shmipc_job *job, uint64_t *ret_bytes, void *data) {
    Task task = {.bytes = 0};
    const void *request;
    void *response;
    int r = shmipc_job_data(job, &request, &task.bytes);

    (void)data;
    if (r == 0)
        r = shmipc_job_reserve(job, task.bytes, &response);
    if (r < 0)
        return r;
    peer_answer(&task, request, response);
    *ret_bytes = task.bytes;
    return 0;
}

static pid_t start_worker(void) {
    pid_t parent = getpid(), child = fork();

    if (child < 0)
        err(EXIT_FAILURE, "fork");
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    errx(EXIT_FAILURE, "the worker: %s", shmipc_strerror(shmipc_worker_run(NULL, handle, NULL)));
}

static uint64_t exchange(shmipc_client *client, uint64_t bytes) {
    uint64_t begin_ns = peer_now_ns(), n_bytes;
    shmipc_request *request;

    if (shmipc_take(client, bytes, &request) < 0)
        errx(EXIT_FAILURE, "taking a request: %s", shmipc_error_text(client));
    peer_write(shmipc_data(request), bytes, 7);
    if (shmipc_call_many(&request, 1, PATIENT) < 0 || shmipc_result(request) < 0)
        errx(EXIT_FAILURE, "no response: %s", shmipc_strerror(shmipc_result(request)));
    if (peer_read(shmipc_reply(request, &n_bytes), bytes) != 8 || n_bytes != bytes)
        errx(EXIT_FAILURE, "a wrong response");
    shmipc_release(request);
    return peer_now_ns() - begin_ns;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t median(uint64_t *values, size_t n) {
    qsort(values, n, sizeof(*values), by_value);
    return values[n / 2];
}

static void one_client(uint64_t bytes, size_t i) {
    uint64_t begin_ns = peer_now_ns(), warm[N_WARM];
    shmipc_client *client;

    if (shmipc_connect(&client, NULL, PATIENT) < 0)
        errx(EXIT_FAILURE, "connecting: %s", shmipc_error_text(NULL));
    exchange(client, 64);
    attach_ns[i] = peer_now_ns() - begin_ns;
    cold_ns[i] = exchange(client, bytes);
    for (size_t k = 0; k < N_WARM; k++)
        warm[k] = exchange(client, bytes);
    warm_ns[i] = median(warm, N_WARM);
    shmipc_close(client);
}

int main(int argc, char **argv) {
    uint64_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) : 64;
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 10;
    pid_t worker;

    if (bytes == 0 || n == 0 || n > N_CLIENTS)
        errx(2, "usage: first [BYTES [CLIENTS, at most %d]]", N_CLIENTS);
    worker = start_worker();
    one_client(bytes, 0); /* it waits for the worker */
    for (size_t i = 0; i < n; i++)
        one_client(bytes, i);
    printf("n=%zu attach_ns=%" PRIu64 " cold_ns=%" PRIu64 " warm_ns=%" PRIu64 "\n", n, median(attach_ns, n),
           median(cold_ns, n), median(warm_ns, n));
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    return EXIT_SUCCESS;
}
