/* SPDX-License-Identifier: MIT */
/*
 * What an exchange costs that touches one byte of its payload, from 4 KiB to 1 GiB
 *
 * Host and worker are processes of their own. Each size has a slot of its own, whose memory has been touched
 * before (a warm segment), and the sizes take turns: the machine's mood is the same for all of them. Prints
 * the median for each size, and the ratio between the largest and the smallest. A size for which there is no
 * memory is left out, and says why.
 *
 * Environment: SHMIPC, the daemon.
 */
#include "own-host.h"
#include "shmipc.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENT  INT64_C(60000000000)
#define N_SIZES  10 /* 4 KiB, four times as much each */
#define N_ROUNDS 2000
#define N_WARM   50 /* rounds that do not count */

typedef struct Size {
    uint64_t bytes;
    shmipc_request *request;
    double us[N_ROUNDS];
} Size;

static Size sizes[N_SIZES];
static const char config[] = "host: { role = \"host\"; log_level = \"err\"; max_payload = \"1G\"; "
                             "memory = \"3G\"; requests_per_client = 16; health_interval = \"never\"; };\n";
static pid_t host;

static double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* --- host and worker --- */

static int touch(shmipc_job *job, uint64_t *ret_bytes, void *data) {
    const void *request;
    void *response;
    uint64_t bytes;
    int r = shmipc_job_data(job, &request, &bytes);

    (void)data;
    if (r == 0)
        r = shmipc_job_reserve(job, 1, &response);
    if (r < 0)
        return r;
    *(unsigned char *)response = ((const unsigned char *)request)[bytes - 1];
    *ret_bytes = 1;
    return 0;
}

static void start_worker(void) {
    if (own_start() == 0)
        _exit(shmipc_worker_run(own_socket(), touch, NULL) < 0);
}

static shmipc_client *connected(void) {
    shmipc_client *client;
    int r;

    while ((r = shmipc_connect(&client, NULL, PATIENT)) == -ENOENT || r == -ECONNREFUSED)
        if (waitpid(host, NULL, WNOHANG) != 0)
            errx(EXIT_FAILURE, "the host has ended");
    if (r < 0)
        errx(EXIT_FAILURE, "connecting: %s", shmipc_error_text(NULL));
    return client;
}

/* --- exchanges --- */

static void take(shmipc_client *client, Size *size) {
    int r = shmipc_take(client, size->bytes, &size->request);

    if (r == 0)
        return;
    size->request = NULL;
    printf("%8" PRIu64 " KiB  left out: %s\n", size->bytes >> 10, shmipc_error_text(client));
}

static void exchange(shmipc_client *client, Size *size, unsigned char mark) {
    const unsigned char *reply;
    shmipc_request *ended;
    uint64_t bytes;
    int r;

    ((unsigned char *)shmipc_data(size->request))[size->bytes - 1] = mark;
    r = shmipc_send(size->request, 0, PATIENT);
    if (r == 0)
        r = shmipc_wait(client, PATIENT, &ended);
    if (r < 0 || shmipc_result(ended) < 0)
        errx(EXIT_FAILURE, "no reply: %s", shmipc_strerror(r < 0 ? r : shmipc_result(ended)));
    reply = shmipc_reply(ended, &bytes);
    if (bytes != 1 || *reply != mark)
        errx(EXIT_FAILURE, "a wrong reply");
    shmipc_release(ended);
    if (shmipc_take(client, size->bytes, &size->request) < 0) /* the first slot that is free: the same */
        errx(EXIT_FAILURE, "taking it again: %s", shmipc_error_text(client));
}

static void rounds(shmipc_client *client, int n) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < N_SIZES; k++) {
            double begin_us = now_us();

            if (!sizes[k].request)
                continue;
            exchange(client, &sizes[k], (unsigned char)(i + k));
            sizes[k].us[i] = now_us() - begin_us;
        }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(void) {
    double smallest = 0, largest = 0;

    for (int k = 0; k < N_SIZES; k++) {
        if (!sizes[k].request)
            continue;
        qsort(sizes[k].us, N_ROUNDS, sizeof(double), by_value);
        largest = sizes[k].us[N_ROUNDS / 2];
        smallest = smallest > 0 ? smallest : largest;
        printf("%8" PRIu64 " KiB  p50 %7.1f us  p99 %7.1f us\n", sizes[k].bytes >> 10, largest,
               sizes[k].us[N_ROUNDS / 100 * 99]);
    }
    printf("ratio of the p50 of the largest to that of the smallest: %.2f\n", largest / smallest);
}

int main(void) {
    shmipc_client *client;

    host = own_start_host(config);
    client = connected();
    start_worker();
    for (int k = 0; k < N_SIZES; k++) {
        sizes[k].bytes = UINT64_C(4096) << (2 * k);
        take(client, &sizes[k]);
        if (sizes[k].request)
            memset(shmipc_data(sizes[k].request), 0, sizes[k].bytes);
    }
    rounds(client, N_WARM);
    rounds(client, N_ROUNDS);
    report();
    shmipc_close(client);
    return EXIT_SUCCESS;
}
