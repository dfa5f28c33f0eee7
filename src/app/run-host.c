/* SPDX-License-Identifier: MIT */
/* The host as a daemon: its state machine in the loop, its events in the log. */
#include "app/budget.h"
#include "app/command.h"
#include "app/job.h"
#include "app/log.h"
#include "app/loop.h"
#include "app/message-ids.h"
#include "app/run.h"
#include "core/endpoint.h"

#include "base/error.h"
#include "base/units.h"
#include "core/host.h"
#include "core/parking.h"
#include "os/limits.h"
#include "os/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct HostRun {
    Run *run;
    Loop *loop;
    Host *host;
    HostSummary told;
    uint64_t n_exchanges; /* as of counted_ns */
    uint64_t counted_ns;
    bool is_explained; /* why it cannot go on: nothing more is to be said */
} HostRun;

#define TELL_NS (5 * NS_PER_SEC) /* between two lines that say only that exchanges go on */

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

/* "queued 12us/80us, running …": the median and what 99 % of the exchanges did not exceed. */
static const char *latency(const HostRun *state, char *text, size_t bytes) {
    char brief[_STAGE_N * 2][UNITS_TEXT_MAX];
    StageTimes times[_STAGE_N];

    if (state->n_exchanges == 0)
        return "";
    host_stage_times(state->host, times);
    for (int i = 0; i < _STAGE_N; i++) {
        duration_brief(times[i].p50_ns, brief[i * 2]);
        duration_brief(times[i].p99_ns, brief[i * 2 + 1]);
    }
    snprintf(text, bytes, "; queued %s/%s, running %s/%s, replied %s/%s (median/99 %%)", brief[0], brief[1],
             brief[2], brief[3], brief[4], brief[5]);
    return text;
}

/* What `systemctl status` shows: at each change of who is there, and now and then while exchanges go on. */
static void tell_status(HostRun *state, bool always) {
    uint64_t now_ns = clock_now_ns();
    HostSummary now;
    char text[64 + _STAGE_N * 2 * UNITS_TEXT_MAX];
    uint64_t before = state->n_exchanges;

    host_summary(state->host, &now);
    if (always || now_ns - state->counted_ns >= TELL_NS) {
        state->n_exchanges = host_n_exchanges(state->host);
        state->counted_ns = now_ns;
    }
    if (!always && state->n_exchanges == before && now.n_clients == state->told.n_clients &&
        now.n_workers == state->told.n_workers && now.known == state->told.known &&
        now.healthy == state->told.healthy)
        return;
    state->told = now;
    loop_notify("STATUS=%u client%s, %u worker%s, %" PRIu64 " exchange%s%s%s", now.n_clients,
                plural(now.n_clients), now.n_workers, plural(now.n_workers), state->n_exchanges,
                plural(state->n_exchanges), now.known && !now.healthy ? "; not healthy" : "",
                latency(state, text, sizeof(text)));
}

static void log_events(HostRun *state) {
    Event event;

    while (host_pop_event(state->host, &event))
        log_event(&event);
}

static int on_ready(void *data) {
    HostRun *state = data;
    int r = host_wait(state->host, 0);

    log_events(state);
    tell_status(state, false);
    return r;
}

/* A restart leaves the path as it is: who connects meanwhile waits for the next host. */
static int on_stop(void *data) {
    HostRun *state = data;

    if (loop_is_kept() && job_is_restart())
        host_leave(state->host);
    loop_exit(state->loop);
    return 0;
}

/* What the file does not say is whether the system allows it. */
static bool suits(HostRun *state, const HostSettings *settings) {
    char text[256];

    if (host_check_settings(state->host, settings, text, sizeof(text)) == 0)
        return true;
    log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "`queue_depth` = %u cannot be had: %s",
             settings->queue_depth, text);
    return false;
}

/* A host that the kernel may kill is a host all the same. */
static void warn_of_budget(const HostSettings *settings) {
    char text[BUDGET_TEXT_MAX];

    if (budget_exceeds(settings, limits_memory(0), text))
        log_line(LOG_WARNING, NULL, "%s", text);
}

/* What queues and clients are made with stays with them as long as they live. */
static void tell_what_lasts(const HostSettings *old, const HostSettings *new) {
    if (old->max_payload != new->max_payload)
        log_line(LOG_INFO, NULL, "`max_payload` counts for clients that attach from now on");
    if (old->requests_per_client != new->requests_per_client)
        log_line(LOG_INFO, NULL, "`requests_per_client` counts for clients that attach from now on");
    if (old->queue_depth != new->queue_depth)
        log_line(LOG_INFO, NULL, "`queue_depth` counts for users who have no queue yet");
}

static int on_reload(void *data) {
    HostRun *state = data;
    const HostSettings *before = state->run->instance.host;
    Config *old = NULL;

    loop_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / NS_PER_US);
    if (run_reload(state->run, &old) && !suits(state, state->run->instance.host))
        run_revert(state->run, &old);
    else if (old) {
        tell_what_lasts(before, state->run->instance.host);
        warn_of_budget(state->run->instance.host);
        host_set_settings(state->host, state->run->instance.host);
    }
    config_free(old);
    loop_notify("READY=1");
    return host_wait(state->host, 0);
}

/* --- what the service manager passes --- */

static int keep_fds(void *data, const char *name, const int *fds, size_t n_fds) {
    return loop_keep(name, fds, n_fds);
}

static void drop_fds(void *data, const char *name) {
    loop_drop(name);
}

/* Everything but a socket unit's socket was kept for us. Return: 0 or negative errno. */
static int take_up(HostRun *state, const LoopFd *fds, size_t n) {
    static const HostKeeper keeper = {.store = keep_fds, .drop = drop_fds};
    _cleanup_free_ HostKept *kept = calloc(n + 1, sizeof(*kept));
    size_t n_kept = 0;

    if (!kept)
        return error_origin(-ENOMEM);
    for (size_t i = 0; i < n; i++)
        if (host_keeps_name(fds[i].name))
            kept[n_kept++] = (HostKept){.name = fds[i].name, .fd = fds[i].fd};
    return host_keep(state->host, &keeper, kept, n_kept);
}

static int listen_at_path(HostRun *state) {
    char path[CHANNEL_PATH_MAX];
    int r = endpoint_of_host(state->run->name, path);

    if (r == 0)
        r = host_listen(state->host, path);
    if (r == -EADDRINUSE)
        log_line(LOG_ERR, NULL, "a host `%s` is running already: it listens on %s", state->run->name, path);
    else if (r == -EACCES)
        log_line(LOG_ERR, NULL,
                 "cannot make %s: permission denied; run as root or as the service user, or set "
                 "XDG_RUNTIME_DIR or "
                 "SHMIPC_SOCKET to a place of your own",
                 path);
    else if (r < 0)
        log_line(LOG_ERR, NULL, "cannot listen on %s: %s", path, strerror(-r));
    state->is_explained = r < 0;
    return r;
}

static int open_socket(HostRun *state, const LoopFd *fds, size_t n) {
    size_t n_sockets = 0;
    int fd = -1;

    for (size_t i = 0; i < n; i++)
        if (!host_keeps_name(fds[i].name)) {
            n_sockets++;
            fd = fds[i].fd;
        }
    if (n_sockets == 0)
        return listen_at_path(state);
    if (n_sockets == 1 && loop_is_listener(fd))
        return host_adopt(state->host, fd);
    log_line(LOG_ERR, NULL,
             "the service manager did not pass one SOCK_SEQPACKET socket: see ListenSequentialPacket= of the "
             "socket unit");
    state->is_explained = true;
    return error_origin(-EBADF);
}

static int open_all(HostRun *state) {
    LoopFd *fds;
    size_t n;
    int r = loop_take_fds(&fds, &n);

    if (r < 0)
        return r;
    if (loop_is_kept())
        r = take_up(state, fds, n);
    if (r == 0)
        r = open_socket(state, fds, n);
    loop_free_fds(fds, n);
    return r;
}

/* A host that can keep nothing is a host all the same. */
static void open_parking(HostRun *state) {
    char path[PARKING_PATH_MAX] = "";
    int r = parking_of_host(state->run->name, path);

    if (r == 0)
        r = host_park_in(state->host, path);
    if (r < 0 && state->run->instance.host->parked > 0)
        log_line(LOG_WARNING, NULL,
                 "requests that workers do not survive cannot be kept: %s: %s; set `parked` = \"0\" if they "
                 "need not",
                 *path ? path : "there is no $STATE_DIRECTORY, $XDG_STATE_HOME or $HOME", strerror(-r));
}

/* Return: 0, an exit status, or negative errno. */
static int start(HostRun *state) {
    int r = host_new(&state->host, state->run->name, state->run->instance.host);

    if (r == 0 && !suits(state, state->run->instance.host))
        return EXIT_CONFIG;
    warn_of_budget(state->run->instance.host);
    if (r == 0)
        open_parking(state);
    if (r == 0)
        r = open_all(state);
    if (r == 0)
        r = loop_watch(state->loop, host_get_fd(state->host));
    if (r != 0)
        return r;
    loop_notify("READY=1");
    tell_status(state, true);
    log_events(state);
    log_line(LOG_INFO, MESSAGE_ID_HOST_READY, "ready: takes clients and workers");
    return 0;
}

int run_host(Run *run) {
    static const LoopCalls calls = {.ready = on_ready, .stop = on_stop, .reload = on_reload};
    HostRun state = {.run = run};
    int r = loop_new(&state.loop, &calls, &state);

    if (r == 0)
        r = start(&state);
    if (r == 0)
        r = loop_run(state.loop);
    if (state.host)
        log_events(&state);
    if (r == -EINTR)
        log_line(LOG_WARNING, NULL, "stopped at once: was told to twice");
    else if (r < 0 && !state.is_explained)
        log_line(LOG_ERR, NULL, "stopped by an error: %s (%s)", strerror(-r), error_where());
    else if (r >= 0)
        log_line(LOG_INFO, NULL, "stopped");
    host_free(state.host);
    loop_free(state.loop);
    return r < 0 ? EXIT_FAILURE : r;
}
