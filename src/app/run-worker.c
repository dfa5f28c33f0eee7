/* SPDX-License-Identifier: MIT */
/*
 * The worker as a daemon
 *
 * Two threads. The service thread runs the worker's state machine, and in it the handler, which may take as
 * long as `timeout` says. The main thread runs the loop: signals, the watchdog, the service manager. They
 * share a Service, under its lock, and nothing else: the main thread pokes the service thread with a bell to
 * have it stop or show that it is alive, and the service thread says with another that it is done.
 *
 * The watchdog is fed while the service thread answers pokes, or is in a handler that still has time. So a
 * hung loop is told from a handler at work.
 *
 * A reload lets the service thread finish what it has and end, and starts another one with the new settings.
 * A handler that refuses these leaves it with the old ones; one that refuses at the start ends the instance.
 */
#include "app/command.h"
#include "app/log.h"
#include "app/loop.h"
#include "app/message-ids.h"
#include "app/run.h"
#include "core/endpoint.h"

#include "base/error.h"
#include "base/units.h"
#include "core/plain.h"
#include "core/worker.h"
#include "os/bell.h"
#include "os/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define GRACE_NS (5 * NS_PER_SEC) /* that a handler may need past its deadline to come back */

typedef struct Service Service;

/* The handler as the state machines see it: notes when it is at work. */
typedef struct WatchedHandler {
    Handler handler;
    Handler *inner; /* owned */
    Service *service;
} WatchedHandler;

struct Service {
    const char *name;
    const WorkerSettings *settings;
    WatchedHandler watched;
    Worker *worker;     /* of our own wire */
    PlainWorker *plain; /* of the plain wire */
    WorkerState told;
    int poke_fd; /* main -> service */
    int done_fd; /* service -> main */
    pthread_t thread;

    pthread_mutex_t lock; /* for what follows */
    bool stop;
    bool answered;          /* the last poke */
    uint64_t busy_until_ns; /* 0: in no handler */
    int result;
};

typedef struct WorkerRun {
    Run *run;
    Loop *loop;
    Service *service;
    Config *old; /* what the running service uses after a reload */
    bool stopping;
    bool refused;      /* the handler, by what it is: no use in trying again */
    bool is_explained; /* why it cannot go on: nothing more is to be said */
} WorkerRun;

/* --- the service thread --- */

static void set_busy_until(Service *service, uint64_t at_ns) {
    pthread_mutex_lock(&service->lock);
    service->busy_until_ns = at_ns;
    pthread_mutex_unlock(&service->lock);
}

static int watched_handle(Handler *handler, Exchange *exchange) {
    WatchedHandler *watched = (WatchedHandler *)handler;
    int r;

    set_busy_until(watched->service, exchange->deadline_ns + GRACE_NS);
    r = handler_handle(watched->inner, exchange);
    set_busy_until(watched->service, 0);
    return r;
}

static const HandlerKind watched_kind = {.name = "watched", .handle = watched_handle};

static void tell_state(Service *service, bool attached, uint64_t n_exchanges) {
    if (attached)
        loop_notify("STATUS=attached to host %s, %" PRIu64 " exchanges", service->settings->serves,
                    n_exchanges);
    else
        loop_notify("STATUS=waiting for host %s", service->settings->serves);
}

static void tell_worker(Service *service) {
    WorkerState now = worker_state(service->worker);
    Event event;

    while (worker_pop_event(service->worker, &event))
        log_event(&event);
    if ((now == WORKER_ATTACHED) != (service->told == WORKER_ATTACHED))
        tell_state(service, now == WORKER_ATTACHED, worker_n_exchanges(service->worker));
    service->told = now;
}

static int turn_worker(Service *service) {
    int r = worker_wait(service->worker, UINT64_MAX);

    tell_worker(service);
    return r;
}

static int turn_plain(Service *service) {
    struct pollfd fds[] = {
        {.fd = plain_worker_get_fd(service->plain), .events = POLLIN},
        {.fd = service->poke_fd, .events = POLLIN},
    };
    Event event;
    int r;

    if (poll(fds, ELEMENTS(fds), -1) < 0 && errno != EINTR)
        return error_errno();
    r = plain_worker_dispatch(service->plain);
    while (plain_worker_pop_event(service->plain, &event))
        log_event(&event);
    return r;
}

/* Answer a poke. Return: whether to go on. */
static bool hear_poke(Service *service) {
    bool go_on;

    if (!bell_hear(service->poke_fd))
        return true;
    pthread_mutex_lock(&service->lock);
    service->answered = true;
    go_on = !service->stop;
    pthread_mutex_unlock(&service->lock);
    if (go_on && service->worker && service->told == WORKER_ATTACHED)
        tell_state(service, true, worker_n_exchanges(service->worker));
    return go_on;
}

static void *serve(void *data) {
    Service *service = data;
    int r = 0;

    while (r == 0 && hear_poke(service))
        r = service->plain ? turn_plain(service) : turn_worker(service);
    if (service->worker)
        worker_stop(service->worker);
    if (r < 0)
        log_line(LOG_ERR, NULL, "the worker cannot go on: %s (%s)", strerror(-r), error_where());
    pthread_mutex_lock(&service->lock);
    service->result = r;
    pthread_mutex_unlock(&service->lock);
    bell_ring(service->done_fd);
    return NULL;
}

/* --- the main thread --- */

/* Only once its thread has ended, or was never started. */
static Service *service_free(Service *service) {
    if (!service)
        return NULL;
    worker_free(service->worker);
    plain_worker_free(service->plain);
    handler_free(service->watched.inner);
    fd_close(service->poke_fd);
    fd_close(service->done_fd);
    pthread_mutex_destroy(&service->lock);
    free(service);
    return NULL;
}

DEFINE_CLEANUP(Service, service_free)

/* A refusal is logged. Return: as handler_new(). */
static int make_handler(Service *service) {
    char error[HANDLER_ERROR_MAX];
    int r = handler_new(&service->watched.inner, &service->settings->handler, error);

    if (r == HANDLER_REFUSED)
        log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "handler: %s", error);
    if (r == 0 && service->watched.inner->description)
        log_line(LOG_INFO, NULL, "handler: %s", service->watched.inner->description);
    return r;
}

static int make_worker(Service *service) {
    char path[CHANNEL_PATH_MAX];
    int r = endpoint_find(service->settings->serves, path);

    if (r == 0)
        r = worker_new(&service->worker, service->name, path, service->settings, &service->watched.handler);
    if (r == 0)
        r = worker_watch(service->worker, service->poke_fd);
    return r;
}

static int make_plain(Service *service) {
    return plain_worker_new(&service->plain, service->settings, &service->watched.handler);
}

/* Return: 0, HANDLER_REFUSED, or negative errno. */
static int service_new(Service **ret, const Run *run) {
    _cleanup_(service_freep) Service *service = calloc(1, sizeof(*service));
    int r;

    if (!service)
        return error_origin(-ENOMEM);
    service->name = run->instance.name;
    service->settings = run->instance.worker;
    service->told = WORKER_SEEKING;
    service->answered = true; /* nothing was asked yet */
    pthread_mutex_init(&service->lock, NULL);
    service->poke_fd = service->done_fd = -1;
    r = bell_new(&service->poke_fd);
    if (r == 0)
        r = bell_new(&service->done_fd);
    if (r < 0)
        return r;
    service->watched = (WatchedHandler){.handler.kind = &watched_kind, .service = service};
    r = make_handler(service);
    if (r == 0)
        r = service->settings->wire == WIRE_PLAIN ? make_plain(service) : make_worker(service);
    if (r == 0)
        *ret = TAKE(service);
    return r;
}

static int service_make(WorkerRun *state) {
    int r = service_new(&state->service, state->run);

    state->refused = r == HANDLER_REFUSED;
    return r;
}

static int service_start(WorkerRun *state) {
    int r = loop_watch(state->loop, state->service->done_fd);

    if (r == 0) {
        r = -pthread_create(&state->service->thread, NULL, serve, state->service);
        if (r < 0)
            error_origin(r);
    }
    if (r < 0)
        state->service = service_free(state->service);
    return r;
}

static void service_stop(Service *service) {
    pthread_mutex_lock(&service->lock);
    service->stop = true;
    pthread_mutex_unlock(&service->lock);
    bell_ring(service->poke_fd);
}

/* After a reload. */
static int service_again(WorkerRun *state) {
    int r = service_make(state);

    if (r == HANDLER_REFUSED) {
        run_revert(state->run, &state->old);
        r = service_make(state);
    }
    state->old = config_free(state->old);
    if (r == HANDLER_REFUSED) {
        loop_exit(state->loop);
        return 0;
    }
    if (r == 0)
        loop_notify("READY=1");
    return r == 0 ? service_start(state) : r;
}

/* The service thread is done: told to, or by an error. */
static int on_done(void *data) {
    WorkerRun *state = data;
    bool told = state->service->stop;
    int r;

    pthread_join(state->service->thread, NULL);
    r = state->service->result;
    state->service = service_free(state->service);
    state->is_explained = r < 0;
    if (r == 0 && told && !state->stopping)
        return service_again(state);
    state->old = config_free(state->old);
    if (r == 0)
        loop_exit(state->loop);
    return r;
}

static int on_stop(void *data) {
    WorkerRun *state = data;
    uint64_t most_ns = state->service->settings->timeout_ns + 2 * GRACE_NS;

    /* What it has claimed is finished, however long that may rightly take. */
    loop_notify("EXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=stopping; finishes what it has",
                most_ns / NS_PER_US);
    state->stopping = true;
    service_stop(state->service);
    return 0;
}

static int on_reload(void *data) {
    WorkerRun *state = data;
    Config *old;

    if (state->old) {
        log_line(LOG_WARNING, NULL,
                 "the reload before this one still waits for an exchange to end: reload again later");
        return 0;
    }
    loop_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / NS_PER_US);
    if (!run_reload(state->run, &old)) {
        loop_notify("READY=1");
        return 0;
    }
    state->old = old;
    service_stop(state->service);
    return 0;
}

static bool is_alive(void *data) {
    Service *service = ((WorkerRun *)data)->service;
    bool alive;

    pthread_mutex_lock(&service->lock);
    alive = service->answered || service->busy_until_ns > clock_now_ns();
    service->answered = false;
    pthread_mutex_unlock(&service->lock);
    bell_ring(service->poke_fd);
    return alive;
}

static int start(WorkerRun *state) {
    const WorkerSettings *settings = state->run->instance.worker;
    int r = segment_guard_install();

    if (r == 0)
        r = service_make(state);
    if (r != 0)
        return r;
    if (settings->wire == WIRE_PLAIN) {
        loop_notify("STATUS=serving the plain wire");
        log_line(LOG_INFO, NULL, "ready: serves hosts on the plain wire");
    } else {
        loop_notify("STATUS=waiting for host %s", settings->serves);
        log_line(LOG_INFO, NULL, "ready: looks for host %s", settings->serves);
    }
    r = service_start(state);
    if (r == 0)
        loop_notify("READY=1");
    return r;
}

int run_worker(Run *run) {
    static const LoopCalls calls = {
        .ready = on_done, .stop = on_stop, .reload = on_reload, .alive = is_alive};
    WorkerRun state = {.run = run};
    int r = loop_new(&state.loop, &calls, &state);

    if (r == 0)
        r = start(&state);
    if (r == 0)
        r = loop_run(state.loop);
    if (r == -EINTR)
        log_line(LOG_WARNING, NULL, "stopped at once: was told to twice");
    else if (r < 0 && !state.is_explained)
        log_line(LOG_ERR, NULL, "stopped by an error: %s (%s)", strerror(-r), error_where());
    else if (r >= 0 && !state.refused)
        log_line(LOG_INFO, NULL, "stopped");
    if (state.service)
        exit(EXIT_FAILURE); /* its thread still runs: the process takes it along, and its children with it */
    loop_free(state.loop);
    if (state.refused)
        return EXIT_CONFIG;
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
