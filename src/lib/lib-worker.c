/* SPDX-License-Identifier: MIT */
/* Workers: the public face of core/worker, which here has no handler but hands its claims out. */
#include "lib/lib.h"

#include "base/error.h"
#include "base/units.h"
#include "core/worker.h"
#include "os/channel.h"
#include "os/page.h"
#include "os/wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUN_TIMEOUT_NS (300 * NS_PER_SEC) /* of a job in shmipc_worker_run() */

struct shmipc_job {
    shmipc_worker *worker;
    Exchange *exchange;
    const void *copy; /* of the request of a client that is not trusted */
    Reason refused;   /* why there is none */
    uint64_t reserved_bytes;
    shmipc_job *next; /* of the worker's; or a spare one */
};

struct shmipc_worker {
    Worker *core;
    WorkerSettings settings;
    const volatile char *canary;
    shmipc_job *jobs;   /* that the caller has */
    shmipc_job *spares;
    bool refused;
    char text[256];
};

static bool is_stranger(const shmipc_worker *worker) {
    return *worker->canary != 1;
}

static int fail(shmipc_worker *worker, int r, const char *text) {
    snprintf(worker->text, sizeof(worker->text), "%s", text ? text : shmipc_strerror(r));
    return r;
}

PUBLIC int shmipc_worker_new(shmipc_worker **ret_worker, const char *host, int64_t timeout_ns) {
    char path[CHANNEL_PATH_MAX];
    shmipc_worker *worker;
    int r;

    if (timeout_ns <= 0)
        return -EINVAL;
    worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    worker->settings.timeout_ns = (uint64_t)timeout_ns;
    worker->settings.poll_ns = lib_spin_ns();
    r = lib_find_host(host, path);
    if (r == 0)
        r = canary_new(&worker->canary);
    if (r == 0)
        r = worker_new(&worker->core, program_invocation_short_name, path, &worker->settings, NULL);
    if (r < 0) {
        shmipc_worker_free(worker);
        return r;
    }
    worker_set_terse(worker->core, true);
    *ret_worker = worker;
    return 0;
}

/* What there is to tell is told by shmipc_worker_error_text(). */
static void hear_events(shmipc_worker *worker) {
    Event event;

    while (worker_pop_event(worker->core, &event)) {
        if (event.kind == EVENT_HOST_REFUSED || event.kind == EVENT_HOST_MISSING)
            snprintf(worker->text, sizeof(worker->text), "%s", event.text);
        if (event.kind == EVENT_HOST_ATTACHED)
            worker->text[0] = 0;
        worker->refused =
            event.kind == EVENT_HOST_REFUSED || (worker->refused && event.kind != EVENT_HOST_ATTACHED);
    }
}

static int job_end(shmipc_job *job) {
    shmipc_worker *worker = job->worker;
    shmipc_job **at = &worker->jobs;
    int r = worker_end(job->exchange);

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    *job = (shmipc_job){.next = worker->spares};
    worker->spares = job;
    return r < 0 ? fail(worker, r, NULL) : 0;
}

static void free_jobs(shmipc_job *job) {
    while (job) {
        shmipc_job *next = job->next;

        free(job);
        job = next;
    }
}

PUBLIC void shmipc_worker_free(shmipc_worker *worker) {
    if (!worker)
        return;
    if (worker->canary && is_stranger(worker)) {
        worker_abandon(worker->core);
    } else if (worker->core) {
        while (worker->jobs) {
            exchange_fail(worker->jobs->exchange, REASON_STOPPED, 0,
                          "the worker program ended before it had an answer");
            (void)job_end(worker->jobs);
        }
        worker_stop(worker->core);
    }
    free_jobs(worker->jobs);
    free_jobs(worker->spares);
    worker_free(worker->core);
    canary_free(worker->canary);
    free(worker);
}

PUBLIC const char *shmipc_worker_error_text(const shmipc_worker *worker) {
    return worker->text;
}

PUBLIC int shmipc_worker_get_fd(shmipc_worker *worker) {
    if (is_stranger(worker))
        return -ECHILD;
    worker->settings.poll_ns = 0; /* whoever waits for it cannot poll meanwhile */
    worker_poll_stop(worker->core);
    return worker_get_fd(worker->core);
}

static shmipc_job *job_new(shmipc_worker *worker, Exchange *exchange) {
    shmipc_job *job = worker->spares;

    if (job)
        worker->spares = job->next;
    else
        job = malloc(sizeof(*job));
    if (!job)
        return NULL;
    *job = (shmipc_job){.worker = worker, .exchange = exchange, .next = worker->jobs};
    worker->jobs = job;
    return job;
}

PUBLIC int shmipc_receive(shmipc_worker *worker, int64_t timeout_ns, shmipc_job **ret_job) {
    uint64_t until_ns;
    Exchange *exchange;

    if (is_stranger(worker))
        return -ECHILD;
    until_ns = lib_until(timeout_ns);
    for (;;) {
        int r = worker_wait(worker->core, until_ns);

        hear_events(worker);
        if (r < 0)
            return fail(worker, r, NULL);
        if (worker_pop(worker->core, &exchange))
            break;
        if (worker->refused)
            return -EACCES;
        if (until_ns != UINT64_MAX && (until_ns == 0 || clock_now_ns() >= until_ns))
            return -ETIMEDOUT;
    }
    *ret_job = job_new(worker, exchange);
    if (*ret_job)
        return 0;
    exchange_fail(exchange, REASON_HANDLER_NOT_STARTED, 0, "the worker program has no memory");
    (void)worker_end(exchange);
    return fail(worker, -ENOMEM, NULL);
}

PUBLIC int shmipc_receive_many(shmipc_worker *worker, int64_t timeout_ns, int64_t within_ns,
                               shmipc_job **ret_jobs, size_t n_max, size_t *ret_n) {
    uint64_t until_ns = 0;
    size_t n = 0;
    int r = n_max ? 0 : -EINVAL;

    while (n < n_max && r == 0) {
        uint64_t now_ns = n ? clock_now_ns() : 0;

        r = shmipc_receive(worker,
                           n == 0              ? timeout_ns
                           : until_ns > now_ns ? (int64_t)(until_ns - now_ns)
                                               : 0,
                           &ret_jobs[n]);
        if (r == 0 && n++ == 0)
            until_ns = within_ns < 0 ? INT64_MAX : clock_now_ns() + (uint64_t)within_ns;
    }
    if (n == 0)
        return r;
    *ret_n = n;
    return 0; /* what went wrong after the first is met again at the next call */
}

/* --- jobs --- */

PUBLIC int shmipc_job_data(shmipc_job *job, const void **ret_data, uint64_t *ret_bytes) {
    Exchange *exchange = job->exchange;
    int r = 0;

    if (is_stranger(job->worker))
        return -ECHILD;
    if (!exchange->request && exchange->request_bytes && !job->copy) {
        r = exchange_copy_request(exchange, &job->copy);
        job->refused = r > 0 ? (Reason)r : REASON_NONE;
    }
    if (r == REASON_REQUEST_CHANGED)
        return fail(job->worker, -ESTALE, NULL);
    if (r != 0)
        return fail(job->worker, r > 0 ? lib_error_of((Reason)r) : r, r > 0 ? reason_name((Reason)r) : NULL);
    *ret_data = exchange->request_bytes == 0 ? NULL : exchange->request ? exchange->request : job->copy;
    *ret_bytes = exchange->request_bytes;
    return 0;
}

PUBLIC const void *shmipc_job_user(const shmipc_job *job) {
    return job->exchange->user;
}

PUBLIC uint32_t shmipc_job_uid(const shmipc_job *job) {
    return job->exchange->uid;
}

PUBLIC uint64_t shmipc_job_client(const shmipc_job *job) {
    return job->exchange->client;
}

PUBLIC uint32_t shmipc_job_attempt(const shmipc_job *job) {
    return job->exchange->attempt;
}

PUBLIC size_t shmipc_job_sequence(const shmipc_job *job, char *buffer, size_t bytes) {
    const Exchange *exchange = job->exchange;

    return lib_sequence(exchange->client, exchange->slot, exchange->generation, buffer, bytes);
}

PUBLIC int64_t shmipc_job_remaining(const shmipc_job *job) {
    return (int64_t)(job->exchange->deadline_ns - clock_now_ns());
}

PUBLIC int shmipc_job_is_cancelled(shmipc_job *job) {
    return is_stranger(job->worker) || exchange_is_cancelled(job->exchange);
}

PUBLIC int shmipc_job_reserve(shmipc_job *job, uint64_t bytes, void **ret_data) {
    int r;

    if (is_stranger(job->worker))
        return -ECHILD;
    r = exchange_reserve(job->exchange, bytes);
    if (r != 0)
        return fail(job->worker, r > 0 ? lib_error_of((Reason)r) : r, r > 0 ? reason_name((Reason)r) : NULL);
    job->reserved_bytes = bytes > job->reserved_bytes ? bytes : job->reserved_bytes;
    *ret_data = job->exchange->response->map;
    return 0;
}

PUBLIC void *shmipc_job_reply_user(shmipc_job *job) {
    return job->exchange->response_user;
}

PUBLIC int shmipc_job_reply(shmipc_job *job, uint64_t bytes) {
    shmipc_worker *worker = job->worker; /* the job goes */

    if (is_stranger(worker))
        return -ECHILD;
    /* What lies behind in the segment is of an earlier exchange. */
    if (bytes > job->reserved_bytes) {
        exchange_fail(job->exchange, REASON_HANDLER_FAILED, 0,
                      "the worker program replied with more than it had reserved");
        (void)job_end(job);
        return fail(worker, -EINVAL, "replied with more bytes than were reserved");
    }
    job->exchange->response_bytes = bytes;
    return job_end(job);
}

PUBLIC int shmipc_job_fail(shmipc_job *job, int code, const char *text) {
    if (is_stranger(job->worker))
        return -ECHILD;
    exchange_fail(job->exchange, job->refused ? job->refused : REASON_HANDLER_FAILED, code, "%s",
                  text ? text : "");
    return job_end(job);
}

static int run_one(shmipc_worker *worker, int (*handler)(shmipc_job *job, uint64_t *ret_bytes, void *data),
                   void *data) {
    shmipc_job *job;
    uint64_t bytes = 0;
    int r = shmipc_receive(worker, SHMIPC_FOREVER, &job);

    if (r == -EACCES)
        return 0; /* goes on trying: the administrator may let it in */
    if (r < 0)
        return r;
    r = handler(job, &bytes, data);
    if (r > 0)
        return r == 1 ? 0 : r;
    return r < 0 ? shmipc_job_fail(job, -r, shmipc_strerror(r)) : shmipc_job_reply(job, bytes);
}

PUBLIC int shmipc_worker_run(const char *host,
                             int (*handler)(shmipc_job *job, uint64_t *ret_bytes, void *data), void *data) {
    shmipc_worker *worker;
    int r = shmipc_worker_new(&worker, host, RUN_TIMEOUT_NS);

    if (r < 0)
        return r;
    while (r == 0)
        r = run_one(worker, handler, data);
    shmipc_worker_free(worker);
    return r > 0 ? 0 : r;
}
