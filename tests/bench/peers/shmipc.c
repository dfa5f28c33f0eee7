/* SPDX-License-Identifier: MIT */
/*
 * Ours: a client and workers of a host that runs ($SHMIPC_SOCKET), with the public library alone
 *
 * --mode is what SHMIPC_POLL_US would be for both sides: `auto` unless said, `always`, or microseconds.
 */
#include "shmipc.h"
#include "peer.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define PATIENT INT64_C(60000000000)
#define N_MAX   1024u

static const Task *task;
static shmipc_client *client;
static shmipc_request *requests[N_MAX];

static void prepare(const Task *with) {
    task = with;
    if (task->n_in_flight > N_MAX)
        errx(2, "at most %u in flight", N_MAX);
    if (*task->mode)
        setenv("SHMIPC_POLL_US", task->mode, 1);
}

static int handle(shmipc_job *job, uint64_t *ret_bytes, void *data) {
    const Task *with = data;
    const void *request;
    void *response;
    uint64_t bytes;
    int r = shmipc_job_data(job, &request, &bytes);

    if (r == 0 && bytes != with->bytes)
        errx(EXIT_FAILURE, "a request of another size");
    if (r == 0)
        r = shmipc_job_reserve(job, peer_response_bytes(with), &response);
    if (r < 0)
        return r;
    peer_answer(with, request, response);
    *ret_bytes = peer_response_bytes(with);
    return 0;
}

static void serve(const Task *with) {
    int r = shmipc_worker_run(NULL, handle, (void *)(uintptr_t)with);

    errx(EXIT_FAILURE, "the worker: %s", shmipc_strerror(r));
}

static void be_client(const Task *with) {
    (void)with;
    if (shmipc_connect(&client, NULL, PATIENT) < 0)
        errx(EXIT_FAILURE, "connecting: %s", shmipc_error_text(NULL));
    if (shmipc_n_slots(client) < task->n_in_flight)
        errx(EXIT_FAILURE, "the host gives a client %u slots only", shmipc_n_slots(client));
}

static void *begin(uint32_t slot) {
    if (shmipc_take(client, task->bytes, &requests[slot]) < 0)
        errx(EXIT_FAILURE, "taking a request: %s", shmipc_error_text(client));
    return shmipc_data(requests[slot]);
}

static void call_many(uint32_t n) {
    if (shmipc_call_many(requests, n, PATIENT) < 0)
        errx(EXIT_FAILURE, "calling: %s", shmipc_error_text(client));
}

static const void *response(uint32_t slot) {
    const void *data = NULL;
    uint64_t bytes = 0;
    int r = shmipc_result(requests[slot]);

    if (r == 0)
        data = shmipc_reply(requests[slot], &bytes);
    if (r < 0 || bytes != peer_response_bytes(task))
        errx(EXIT_FAILURE, "no response: %s", shmipc_strerror(r));
    return data;
}

static void end(uint32_t slot) {
    shmipc_release(requests[slot]);
}

static void leave(void) {
    shmipc_close(client);
}

static const Peer peer = {
    .name = "shmipc",
    .modes = "auto|always|MICROSECONDS",
    .open = prepare,
    .serve = serve,
    .connect = be_client,
    .begin = begin,
    .end = end,
    .call_many = call_many,
    .response = response,
    .close = leave,
};

int main(int argc, char **argv) {
    return peer_main(argc, argv, &peer);
}
