/* SPDX-License-Identifier: MIT */
/*
 * A client and a worker of the library, each with a short life
 *
 * Usage: lib-life client SIZE...   sends one request of each size to a host whose workers echo, checks the
 * replies lib-life worker           echoes until SIGTERM
 *
 * Whatever goes wrong is said, by name and with the library's words, and nothing is left when it ends.
 */
#include "shmipc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PATIENT INT64_C(30000000000)

static int fail(const char *what, const char *why) {
    fprintf(stderr, "lib-life: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

/* ---- the client ---- */

static void fill(unsigned char *data, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)(i * 31 + bytes);
}

static int fits(const unsigned char *data, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        if (data[i] != (unsigned char)(i * 31 + bytes))
            return 0;
    return 1;
}

static int check(const shmipc_request *request, uint64_t bytes) {
    char text[256];
    uint64_t n;
    const void *reply;
    int r = shmipc_result(request);

    if (r < 0) {
        (void)shmipc_text(request, text, sizeof(text));
        return fail("the request failed", text[0] ? text : shmipc_strerror(r));
    }
    reply = shmipc_reply(request, &n);
    return n == bytes && fits(reply, bytes) ? EXIT_SUCCESS : fail("reading the reply", "other bytes");
}

static int exchange(shmipc_client *client, uint64_t bytes) {
    shmipc_request *request, *ended = NULL;
    int r = shmipc_take(client, bytes, &request);
    int status;

    if (r < 0)
        return fail("taking a request", shmipc_error_text(client));
    fill(shmipc_data(request), bytes);
    r = shmipc_send(request, 0, PATIENT);
    if (r == 0)
        r = shmipc_wait(client, PATIENT, &ended);
    status = r < 0 ? fail("sending and waiting", shmipc_error_text(client)) : check(ended, bytes);
    shmipc_release(request);
    return status;
}

static int be_client(char **sizes) {
    shmipc_client *client;
    int status = EXIT_SUCCESS;

    if (shmipc_connect(&client, NULL, PATIENT) < 0)
        return fail("connecting", shmipc_error_text(NULL));
    for (; *sizes; sizes++)
        if (exchange(client, strtoull(*sizes, NULL, 10)) != EXIT_SUCCESS)
            status = EXIT_FAILURE; /* and the next one may succeed */
    shmipc_close(client);
    return status;
}

/* ---- the worker ---- */

static int echo(shmipc_job *job) {
    const void *request;
    void *response;
    uint64_t bytes;
    int r = shmipc_job_data(job, &request, &bytes);

    if (r == 0)
        r = shmipc_job_reserve(job, bytes, &response);
    if (r < 0)
        return shmipc_job_fail(job, -r, shmipc_strerror(r));
    if (bytes > 0)
        memcpy(response, request, bytes);
    return shmipc_job_reply(job, bytes);
}

static int work(shmipc_worker *worker) {
    shmipc_job *job;
    int r;

    while ((r = shmipc_receive(worker, 0, &job)) == 0) {
        r = echo(job);
        if (r < 0)
            fail("a job was not answered", shmipc_strerror(r));
    }
    return r == -ETIMEDOUT || r == -EACCES ? 0 : r;
}

static int be_worker(void) {
    struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
    shmipc_worker *worker;
    sigset_t stops;
    int r;

    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stops, NULL);
    fds[0].fd = signalfd(-1, &stops, SFD_CLOEXEC);
    r = shmipc_worker_new(&worker, NULL, PATIENT);
    if (r < 0)
        return fail("becoming a worker", shmipc_strerror(r));
    fputs("attached, or about to be\n", stderr);
    fds[1].fd = shmipc_worker_get_fd(worker);
    while (r == 0 && !fds[0].revents) {
        r = work(worker);
        if (r == 0 && poll(fds, 2, -1) < 0 && errno != EINTR)
            r = -errno;
    }
    if (r < 0)
        fail("working",
             shmipc_worker_error_text(worker)[0] ? shmipc_worker_error_text(worker) : shmipc_strerror(r));
    shmipc_worker_free(worker);
    (void)close(fds[0].fd);
    return r < 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "client") == 0)
        return be_client(argv + 2);
    if (argc == 2 && strcmp(argv[1], "worker") == 0)
        return be_worker();
    return fail("usage", "say client SIZE..., or worker") + 1;
}
