/* SPDX-License-Identifier: MIT */
#include "app/load.h"

#include "base/units.h"
#include "os/wait.h"

#include <stdio.h>
#include <string.h>

#define SLICE_NS     (100 * NS_PER_MS) /* a signal that comes just before a wait is seen after it */
#define NO_WORKER_NS (10 * NS_PER_SEC)
#define SILENT_NS    (60 * NS_PER_SEC)
#define TIMER_NS     (100 * NS_PER_US) /* sleeping ends late by up to this: the rest is waited for awake */

typedef uint64_t Words __attribute__((vector_size(32), aligned(1), may_alias));

typedef struct Load {
    Client *client;
    const LoadOptions *options;
    LoadResult *result;
    uint32_t n_in_flight;
    uint64_t n_begun; /* since it is warm */
    uint64_t n_due;   /* by the schedule, since the start */
    uint64_t start_ns;
    uint64_t warm_ns; /* from when on it counts */
    uint64_t end_ns;
    uint64_t now_ns;
    uint64_t last_ns; /* when something last ended */
    uint64_t begun_ns[SLOTS_MAX];
} Load;

/* --- payloads --- */

static uint64_t touched(const Load *load, uint64_t bytes) {
    return bytes < load->options->touch ? bytes : load->options->touch;
}

/* What comes of it is of no use to anybody, but the compiler is not told. */
static void read_all(const unsigned char *data, uint64_t bytes) {
    Words sums[4] = {{0}};
    uint64_t at = 0, rest = 0;

    for (; at + sizeof(sums) <= bytes; at += sizeof(sums))
        for (size_t i = 0; i < 4; i++)
            sums[i] ^= *(const Words *)(data + at + i * sizeof(Words));
    for (; at < bytes; at++)
        rest ^= data[at];
    for (size_t i = 0; i < 4; i++)
        rest ^= sums[i][0] ^ sums[i][1] ^ sums[i][2] ^ sums[i][3];
    __asm__ __volatile__("" : : "r"(rest));
}

/* --- one request --- */

static int say(Load *load, const Request *request, int why) {
    bool has_text = request->end == SLOT_FAILED && request->response_bytes > 0;

    load->result->reason = request->end == SLOT_EXPIRED ? REASON_TIMED_OUT : request->reason;
    if (why == LOAD_REFUSED)
        snprintf(load->result->text, sizeof(load->result->text), "%s", request->text);
    else if (has_text)
        snprintf(load->result->text, sizeof(load->result->text), "%.*s",
                 (int)(request->response_bytes < 200 ? request->response_bytes : 200),
                 (const char *)request->response.map);
    return why;
}

static int reserve(Load *load, Request *request) {
    for (;;) {
        int r = request_reserve(request, load->options->bytes, false);

        if (r <= 0)
            return r;
        if (client_state(load->client) != CLIENT_READY)
            return LOAD_LOST;
        if (r == CLIENT_NOT_GRANTED)
            return say(load, request, LOAD_REFUSED);
        r = client_wait(load->client, load->now_ns + SLICE_NS);
        if (r < 0)
            return r;
    }
}

static int begin(Load *load, uint64_t begun_ns) {
    Request *request;
    int r = client_take(load->client, &request);

    if (r != 0)
        return LOAD_LOST;
    r = reserve(load, request);
    if (r != 0) {
        request_release(request);
        return r;
    }
    if (load->options->bytes > 0)
        memset(request->segment.map, (int)load->n_begun, touched(load, load->options->bytes));
    request->payload_bytes = load->options->bytes;
    load->begun_ns[request->slot] = begun_ns;
    load->n_begun += begun_ns >= load->warm_ns;
    load->n_in_flight++;
    return request_post(request);
}

static int finish(Load *load, Request *request) {
    uint64_t begun_ns = load->begun_ns[request->slot];
    int r = 0;

    load->n_in_flight--;
    if (request->end != SLOT_DONE && request->reason == REASON_HOST_LOST)
        r = LOAD_LOST;
    else if (request->end != SLOT_DONE)
        r = say(load, request, LOAD_FAILED);
    else
        read_all(request->response.map, touched(load, request->response_bytes));
    load->now_ns = load->last_ns = clock_now_ns();
    if (r == 0 && begun_ns >= load->warm_ns) {
        histogram_record(&load->result->latency, load->now_ns - begun_ns);
        load->result->bytes += load->options->bytes + request->response_bytes;
    }
    request_release(request);
    return r;
}

/* --- all of them --- */

static bool is_over(const Load *load) {
    return *load->options->stop || load->now_ns >= load->end_ns || load->n_begun >= load->options->n_requests;
}

/* When the next request is due. */
static uint64_t due_ns(const Load *load) {
    uint64_t rate = load->options->rate, n = load->n_due;

    if (rate == 0)
        return load->now_ns;
    return load->start_ns + n / rate * NS_PER_SEC + n % rate * NS_PER_SEC / rate;
}

static int begin_all(Load *load) {
    int r = 0;

    while (r == 0 && !is_over(load) && load->n_in_flight < load->options->n_in_flight &&
           due_ns(load) <= load->now_ns) {
        r = begin(load, due_ns(load));
        load->n_due++;
    }
    return r;
}

static int finish_all(Load *load) {
    Request *request;
    int r = 0;

    while (r == 0 && client_pop(load->client, &request))
        r = finish(load, request);
    return r;
}

/* Whoever answers is not there, or does not. */
static int look_around(Load *load) {
    uint64_t silent_ns = load->now_ns - load->last_ns;

    if (client_state(load->client) != CLIENT_READY)
        return LOAD_LOST;
    if (silent_ns >= NO_WORKER_NS && client_n_workers(load->client) == 0)
        return LOAD_NO_WORKER;
    return silent_ns >= SILENT_NS && load->n_in_flight > 0 ? LOAD_SILENT : 0;
}

/* Until something has ended or, where there is room for another, one is due. */
static int wait_once(Load *load) {
    uint64_t until_ns = load->now_ns + SLICE_NS;
    int r = 0;

    if (load->options->rate && !is_over(load) && load->n_in_flight < load->options->n_in_flight) {
        uint64_t due = due_ns(load);

        r = client_settle(load->client);
        until_ns = due < load->now_ns + TIMER_NS ? 0 : due - TIMER_NS < until_ns ? due - TIMER_NS : until_ns;
    }
    if (r == 0)
        r = client_wait(load->client, until_ns);
    return r;
}

static int turn(Load *load) {
    int r = begin_all(load);

    if (r == 0 && (load->n_in_flight > 0 || !is_over(load)))
        r = wait_once(load);
    if (r == 0)
        r = finish_all(load);
    if (r == 0 && load->now_ns - load->last_ns >= NO_WORKER_NS)
        r = look_around(load);
    if (r == 0 && client_state(load->client) != CLIENT_READY)
        r = LOAD_LOST;
    return r;
}

static uint64_t later(uint64_t ns, uint64_t by_ns) {
    return by_ns > UINT64_MAX - ns ? UINT64_MAX : ns + by_ns;
}

int load_run(Client *client, const LoadOptions *options, LoadResult *result) {
    uint64_t now_ns = clock_now_ns();
    Load load = {.client = client, .options = options, .result = result, .start_ns = now_ns};
    int r;

    memset(result, 0, sizeof(*result));
    load.now_ns = load.last_ns = now_ns;
    load.warm_ns = later(now_ns, options->warm_ns);
    load.end_ns = later(load.warm_ns, options->for_ns);
    do {
        uint64_t n_before = result->latency.n;

        r = turn(&load);
        if (load.n_in_flight == 0 || n_before == result->latency.n)
            load.now_ns = clock_now_ns();
    } while (r == 0 && (load.n_in_flight > 0 || !is_over(&load)) && !(*options->stop));
    result->took_ns = load.last_ns > load.warm_ns ? load.last_ns - load.warm_ns : 0;
    return r;
}
