/* SPDX-License-Identifier: MIT */
/*
 * Load: exchanges one after the other or on a schedule, and how long each took
 *
 * Without a rate a new request is begun as soon as one has ended, and its time runs from before its memory is
 * asked for until its response has been read. With a rate requests are due at fixed times, whatever became of
 * those before, and their times run from when they were due: one that had to wait for its turn behind a slow
 * one has waited. (Who measures from when it was sent leaves out just the requests that were held up.)
 *
 * What is begun while it warms up is not counted.
 */
#pragma once

#include "base/histogram.h"
#include "core/client.h"

#include <signal.h>

typedef struct LoadOptions {
    uint64_t bytes;       /* of each request */
    uint64_t touch;       /* how many of these, and of the response, are written and read at most */
    uint32_t n_in_flight; /* at a time, at most */
    uint64_t n_requests;  /* to be measured; UINT64_MAX: as many as there is time for */
    uint64_t for_ns;      /* to measure for; UINT64_MAX: until there were as many */
    uint64_t warm_ns;
    uint64_t rate;                     /* requests per second; 0: as fast as it goes */
    const volatile sig_atomic_t *stop; /* not 0: end with what was measured so far */
} LoadOptions;

typedef struct LoadResult {
    Histogram latency;
    uint64_t bytes; /* of requests and responses that were measured */
    uint64_t took_ns;
    Reason reason;  /* of a positive result: why */
    char text[256]; /* likewise, in the host's or worker's words; may be empty */
} LoadResult;

/* Positive results. */
enum {
    LOAD_REFUSED = 1, /* memory was not granted */
    LOAD_FAILED,      /* a request ended otherwise than with a response */
    LOAD_LOST,        /* the host went away */
    LOAD_NO_WORKER,   /* for ten seconds nobody was there to answer */
    LOAD_SILENT,      /* for a minute nobody has answered */
};

/**
 * load_run() - put load on a host, through a client that has nothing in flight
 * Return: 0, also if it was told to stop; one of the above; or negative errno. @result always holds what was
 * measured until then.
 */
int load_run(Client *client, const LoadOptions *options, LoadResult *result);
