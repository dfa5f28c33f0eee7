/* SPDX-License-Identifier: MIT */
/*
 * How many instructions a small exchange takes, which no noise touches
 *
 * Client and worker take turns in one thread, so that nobody ever waits; the host is a process of its own,
 * and has nothing to do. instructions.sh runs this under callgrind with N and with 2 N exchanges: the
 * difference is what N of them take. A message costs what the kernel does besides, which is not counted.
 *
 *     instructions polled|batch|message N
 *
 * Environment: SHMIPC, the daemon.
 */
#include "core/client.h"
#include "core/worker.h"
#include "os/channel.h"
#include "os/wait.h"
#include "own-host.h"

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 64
#define BATCH 8 /* as many messages as a queue holds */

static const char config[] =
    "host: { role = \"host\"; log_level = \"err\"; health_interval = \"never\"; };\n";
static Client *client;
static Worker *worker;

static int checked(int r, const char *what) {
    if (r < 0)
        errx(EXIT_FAILURE, "%s: %s", what, strerror(-r));
    return r;
}

static void attach(const WorkerSettings *settings) {
    int fd, r;

    while ((r = channel_connect(own_socket(), &fd)) == -ENOENT || r == -ECONNREFUSED)
        sched_yield();
    checked(r, "connecting");
    checked(client_new(&client, fd, "instructions"), "client");
    checked(worker_new(&worker, "instructions", own_socket(), settings, NULL), "worker");
    worker_set_terse(worker, true);
    while (client_state(client) == CLIENT_CONNECTING)
        checked(client_wait(client, UINT64_MAX), "client");
    while (worker_state(worker) != WORKER_ATTACHED)
        checked(worker_wait(worker, UINT64_MAX), "worker");
}

static Request *take(void) {
    Request *request;
    int r;

    if (client_take(client, &request) != 0)
        errx(EXIT_FAILURE, "no slot");
    while ((r = request_reserve(request, BYTES, false)) == CLIENT_PENDING)
        checked(client_wait(client, UINT64_MAX), "memory");
    if (r != 0)
        errx(EXIT_FAILURE, "no memory");
    request->payload_bytes = BYTES;
    memset(request->segment.map, 1, BYTES);
    return request;
}

/* As the library does: a claim is handed out, and ended by the caller. */
static void work(void) {
    Exchange *exchange;

    checked(worker_wait(worker, UINT64_MAX), "worker");
    if (!worker_pop(worker, &exchange))
        return; /* it has looked at something else */
    if (exchange_reserve(exchange, exchange->request_bytes) != 0)
        errx(EXIT_FAILURE, "no room for the response");
    memcpy(exchange->response->map, exchange->request, exchange->request_bytes);
    exchange->response_bytes = exchange->request_bytes;
    checked(worker_end(exchange), "the end");
}

/* The worker does all there is, and then the client hears of it: neither ever waits. */
static void exchange(unsigned n, bool polled) {
    Request *requests[BATCH], *ended;
    uint64_t n_before = worker_n_exchanges(worker);

    for (unsigned i = 0; i < n; i++) {
        requests[i] = take();
        checked(polled ? request_post(requests[i]) : request_send(requests[i]), "sending");
    }
    while (worker_n_exchanges(worker) < n_before + n)
        work();
    for (unsigned i = 0; i < n; i++)
        while (requests[i]->state != REQUEST_ENDED)
            checked(client_wait(client, UINT64_MAX), "client");
    while (client_pop(client, &ended))
        request_release(ended);
}

int main(int argc, char **argv) {
    bool polled = argc == 3 && strcmp(argv[1], "message") != 0;
    WorkerSettings settings = {.timeout_ns = 1000000000000};
    unsigned n_in_batch = argc == 3 && strcmp(argv[1], "batch") == 0 ? BATCH : 1;
    Event event;

    if (argc != 3 || !getenv("SHMIPC"))
        errx(2, "usage: SHMIPC=… instructions polled|batch|message N");
    own_start_host(config);
    attach(&settings);
    exchange(BATCH, false); /* every slot has its memory */
    settings.poll_ns = polled ? SPIN_ALWAYS : 0;
    checked(client_set_spin(client, settings.poll_ns), "polling");
    for (long i = strtol(argv[2], NULL, 10); i > 0; i -= n_in_batch)
        exchange(n_in_batch, polled);
    while (worker_pop_event(worker, &event))
        ;
    client_free(client);
    worker_stop(worker);
    worker_free(worker);
    return EXIT_SUCCESS;
}
