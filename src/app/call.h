/* SPDX-License-Identifier: MIT */
/* shmipc call: what one file (command-call.c) and many (call-many.c) have in common */
#pragma once

#include "core/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_NO_WORKER_NS (10 * UINT64_C(1000000000)) /* while no worker is attached, unless -t says more */
#define CALL_JOBS_MAX     1024

/* Many files, as the command line has them. */
typedef struct CallOrder {
    const char *host;
    uint64_t timeout_ns; /* of each; 0: none */
    bool has_timeout;
    uint32_t n_jobs;    /* in flight; 0: as many as there are workers */
    const char *folder; /* of the outputs */
    char *const *files;
    size_t n_files;
} CallOrder;

/** call_connect() - become a client of a host. Return: 0, or the exit status after a word on standard error.
 */
int call_connect(const char *host, uint64_t timeout_ns, bool has_timeout, Client **ret_client);

/** call_show_text() - what a handler has said of its failure, @most bytes of it, on standard error. */
void call_show_text(const Request *request, uint64_t most);

/** call_many() - send each file, and put its response into the folder. Return: the exit status. */
int call_many(const CallOrder *order);
