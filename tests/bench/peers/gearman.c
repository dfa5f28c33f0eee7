/* SPDX-License-Identifier: MIT */
/*
 * gearmand, the job server that listens on 127.0.0.1:$BENCH_GEARMAN_PORT: it has no Unix socket. Jobs in
 * flight are its tasks.
 */
#include "peer.h"

#include <err.h>
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define N_MAX 64u

static const Task *task;
static char function[32];
static unsigned char *memory[N_MAX], *responses[N_MAX];
static gearman_client_st *client;

static in_port_t port(void) {
    const char *text = getenv("BENCH_GEARMAN_PORT");

    return text ? (in_port_t)atoi(text) : GEARMAN_DEFAULT_TCP_PORT;
}

static void prepare(const Task *with) {
    task = with;
    if (task->n_in_flight > N_MAX)
        errx(2, "at most %u in flight", N_MAX);
    snprintf(function, sizeof(function), "bench-%d", (int)getpid());
    for (uint32_t i = 0; i < task->n_in_flight; i++)
        if (!(memory[i] = malloc(task->bytes)))
            err(EXIT_FAILURE, "%ju bytes", (uintmax_t)task->bytes);
}

static void *handle(gearman_job_st *job, void *data, size_t *ret_bytes, gearman_return_t *ret) {
    const Task *with = data;
    void *response = malloc(peer_response_bytes(with));

    peer_answer(with, gearman_job_workload(job), response);
    *ret_bytes = peer_response_bytes(with);
    *ret = GEARMAN_SUCCESS;
    return response; /* the library frees it */
}

static void serve(const Task *with) {
    gearman_worker_st *worker = gearman_worker_create(NULL);

    if (gearman_failed(gearman_worker_add_server(worker, "127.0.0.1", port())) ||
        gearman_failed(gearman_worker_add_function(worker, function, 0, handle, (void *)(uintptr_t)with)))
        errx(EXIT_FAILURE, "the worker: %s", gearman_worker_error(worker));
    while (gearman_worker_work(worker) == GEARMAN_SUCCESS)
        ;
    errx(EXIT_FAILURE, "the worker: %s", gearman_worker_error(worker));
}

/* What a job has brought is the library's until it is taken, which is only here. */
static gearman_return_t keep(gearman_task_st *job) {
    size_t bytes;
    void *data = gearman_task_take_data(job, &bytes);

    if (!data || bytes != peer_response_bytes(task))
        errx(EXIT_FAILURE, "a job without a response");
    *(unsigned char **)gearman_task_context(job) = data;
    return GEARMAN_SUCCESS;
}

static void be_client(const Task *with) {
    (void)with;
    client = gearman_client_create(NULL);
    if (!client || gearman_failed(gearman_client_add_server(client, "127.0.0.1", port())))
        errx(EXIT_FAILURE, "the client: %s", client ? gearman_client_error(client) : "no memory");
    gearman_client_set_complete_fn(client, keep);
}

static void *begin(uint32_t slot) {
    return memory[slot];
}

static void call_many(uint32_t n) {
    gearman_task_st *tasks[N_MAX];
    gearman_return_t r;

    for (uint32_t i = 0; i < n; i++) {
        tasks[i] =
            gearman_client_add_task(client, NULL, &responses[i], function, NULL, memory[i], task->bytes, &r);
        if (!tasks[i] || gearman_failed(r))
            errx(EXIT_FAILURE, "a job: %s", gearman_client_error(client));
    }
    if (gearman_failed(gearman_client_run_tasks(client)))
        errx(EXIT_FAILURE, "the jobs: %s", gearman_client_error(client));
    for (uint32_t i = 0; i < n; i++)
        gearman_task_free(tasks[i]);
}

static const void *response(uint32_t slot) {
    return responses[slot];
}

static void end(uint32_t slot) {
    free(responses[slot]);
}

int main(int argc, char **argv) {
    static const Peer peer = {.name = "gearman",
                              .open = prepare,
                              .serve = serve,
                              .connect = be_client,
                              .begin = begin,
                              .end = end,
                              .call_many = call_many,
                              .response = response};

    return peer_main(argc, argv, &peer);
}
