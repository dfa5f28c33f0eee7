/* SPDX-License-Identifier: MIT */
/*
 * A client and a worker that use payloads where they lie, to be watched by strace
 *
 * Usage: in-place client BYTES     sends one request of that size to $SHMIPC_SOCKET and checks the reply
 *        in-place worker           answers one request with each of its bytes inverted
 */
#include "shmipc.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENT INT64_C(60000000000)

static void be_client(uint64_t bytes) {
    shmipc_client *client;
    shmipc_request *request;
    const unsigned char *reply;
    uint64_t reply_bytes;
    int r = shmipc_connect(&client, NULL, PATIENT);

    if (r < 0)
        errx(EXIT_FAILURE, "connecting: %s", shmipc_error_text(NULL));
    r = shmipc_take(client, bytes, &request);
    if (r == 0) {
        memset(shmipc_data(request), 0x35, bytes);
        r = shmipc_send(request, 0, PATIENT);
    }
    if (r == 0)
        r = shmipc_wait(client, PATIENT, &request);
    if (r < 0 || shmipc_result(request) < 0)
        errx(EXIT_FAILURE, "no reply: %s", shmipc_error_text(client));
    reply = shmipc_reply(request, &reply_bytes);
    if (reply_bytes != bytes)
        errx(EXIT_FAILURE, "a reply of another size");
    for (uint64_t i = 0; i < bytes; i++)
        if (reply[i] != 0xca)
            errx(EXIT_FAILURE, "a reply with other bytes");
    shmipc_close(client);
}

static int invert(shmipc_job *job) {
    const unsigned char *request;
    unsigned char *response;
    uint64_t bytes;
    int r = shmipc_job_data(job, (const void **)&request, &bytes);

    if (r == 0)
        r = shmipc_job_reserve(job, bytes, (void **)&response);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < bytes; i++)
        response[i] = (unsigned char)~request[i];
    return shmipc_job_reply(job, bytes);
}

static void be_worker(void) {
    shmipc_worker *worker;
    shmipc_job *job;
    int r = shmipc_worker_new(&worker, NULL, PATIENT);

    if (r == 0)
        r = shmipc_receive(worker, PATIENT, &job);
    if (r == 0)
        r = invert(job);
    if (r < 0)
        errx(EXIT_FAILURE, "working: %s", shmipc_strerror(r));
    shmipc_worker_free(worker);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "client") == 0)
        be_client(strtoull(argv[2], NULL, 10));
    else if (argc == 2 && strcmp(argv[1], "worker") == 0)
        be_worker();
    else
        errx(2, "say client BYTES, or worker");
    return EXIT_SUCCESS;
}
