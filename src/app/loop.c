/* SPDX-License-Identifier: MIT */
#include "app/loop.h"

#include "base/error.h"
#include "base/units.h"
#include "os/datagram.h"
#include "os/descriptor.h"
#include "os/wait.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#define MANAGER_WAIT_NS NS_PER_SEC

struct Loop {
    const LoopCalls *calls;
    void *data;
    sd_event *event;
    sd_event_source *watched;
    uint64_t watchdog_us; /* 0: none */
    bool stopping;
};

static int fail(Loop *loop, int r) {
    if (r < 0)
        sd_event_exit(loop->event, r);
    return 0;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *data) {
    Loop *loop = data;

    return fail(loop, loop->calls->ready(loop->data));
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *data) {
    Loop *loop = data;

    if (loop->stopping)
        return sd_event_exit(loop->event, -EINTR); /* asked twice: at once */
    loop->stopping = true;
    loop_notify("STOPPING=1");
    return fail(loop, loop->calls->stop(loop->data));
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *data) {
    Loop *loop = data;

    return loop->stopping ? 0 : fail(loop, loop->calls->reload(loop->data));
}

static int on_watchdog(sd_event_source *source, uint64_t now_us, void *data) {
    Loop *loop = data;

    if (!loop->calls->alive || loop->calls->alive(loop->data))
        loop_notify("WATCHDOG=1");
    (void)sd_event_source_set_time(source, now_us + loop->watchdog_us / 2);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int add_signals(Loop *loop) {
    static const int stops[] = {SIGTERM, SIGINT};
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_errno();
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ELEMENTS(stops); i++) {
        r = sd_event_add_signal(loop->event, NULL, stops[i], on_stop, loop);
        if (r < 0)
            return error_origin(r);
    }
    r = sd_event_add_signal(loop->event, NULL, SIGHUP, on_reload, loop);
    return r < 0 ? error_origin(r) : 0;
}

/* Not sd_event_set_watchdog(), which waits for the service manager to take it. */
static int add_watchdog(Loop *loop) {
    uint64_t now_us;
    int r = sd_watchdog_enabled(0, &loop->watchdog_us);

    if (r <= 0)
        return 0;
    r = sd_event_now(loop->event, CLOCK_MONOTONIC, &now_us);
    if (r >= 0)
        r = sd_event_add_time(loop->event, NULL, CLOCK_MONOTONIC, now_us + loop->watchdog_us / 2, 0,
                              on_watchdog, loop);
    return r < 0 ? error_origin(r) : 0;
}

int loop_new(Loop **ret, const LoopCalls *calls, void *data) {
    _cleanup_(loop_freep) Loop *loop = calloc(1, sizeof(*loop));
    int r;

    if (!loop)
        return error_origin(-ENOMEM);
    loop->calls = calls;
    loop->data = data;
    r = sd_event_new(&loop->event);
    if (r < 0)
        return error_origin(r);
    r = add_signals(loop);
    if (r < 0)
        return r;
    r = add_watchdog(loop);
    if (r < 0)
        return r;
    *ret = TAKE(loop);
    return 0;
}

Loop *loop_free(Loop *loop) {
    if (!loop)
        return NULL;
    sd_event_source_unref(loop->watched);
    sd_event_unref(loop->event);
    free(loop);
    return NULL;
}

int loop_watch(Loop *loop, int fd) {
    int r;

    loop->watched = sd_event_source_disable_unref(loop->watched);
    r = sd_event_add_io(loop->event, &loop->watched, fd, EPOLLIN, on_ready, loop);
    return r < 0 ? error_origin(r) : 0;
}

int loop_run(Loop *loop) {
    return sd_event_loop(loop->event);
}

void loop_exit(Loop *loop) {
    sd_event_exit(loop->event, 0);
}

void loop_free_fds(LoopFd *fds, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(fds[i].name);
    free(fds);
}

int loop_take_fds(LoopFd **ret_fds, size_t *ret_n) {
    char **names = NULL;
    LoopFd *fds;
    int n = sd_listen_fds_with_names(1, &names);

    if (n < 0)
        return error_origin(n);
    fds = calloc((size_t)n + 1, sizeof(*fds));
    for (int i = 0; i < n; i++) {
        if (fds)
            fds[i] = (LoopFd){.name = names[i], .fd = SD_LISTEN_FDS_START + i};
        else
            free(names[i]);
    }
    free(names);
    if (!fds)
        return error_origin(-ENOMEM);
    *ret_fds = fds;
    *ret_n = (size_t)n;
    return 0;
}

bool loop_is_listener(int fd) {
    return sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0;
}

/* Where the service manager listens; NULL where there is none. */
static const char *manager_path(void) {
    const char *path = secure_getenv("NOTIFY_SOCKET");

    return path && (*path == '/' || *path == '@') ? path : NULL;
}

bool loop_is_kept(void) {
    return manager_path();
}

/* What comes again by itself, or is only for people, is not waited for. */
static bool is_essential(const char *state) {
    return strncmp(state, "STATUS=", strlen("STATUS=")) != 0 && strcmp(state, "WATCHDOG=1") != 0;
}

/*
 * Not sd_notify(), which waits for as long as the service manager takes nothing: it would stop us with it.
 * One that has let us wait in vain is not waited for until it has taken something.
 */
static int tell_manager(const char *state, const char *path, const int *fds, size_t n_fds) {
    static volatile bool is_deaf; /* one word; to wait once more or less does not matter */
    const struct iovec part = {(void *)state, strlen(state)};
    uint64_t until_ns = clock_now_ns() + (is_deaf || !is_essential(state) ? 0 : MANAGER_WAIT_NS);
    _cleanup_close_ int fd = -1;
    int r = datagram_open(&fd);

    if (r == 0)
        r = datagram_send_fds(fd, path, &part, 1, fds, n_fds);
    while (r == -EAGAIN && clock_now_ns() < until_ns) {
        (void)datagram_await_room(fd, path, until_ns);
        r = datagram_send_fds(fd, path, &part, 1, fds, n_fds);
    }
    if (is_essential(state))
        is_deaf = r == -EAGAIN;
    return r;
}

/* FDPOLL=0: a socket that has hung up says that a peer has gone while nobody looked. */
int loop_keep(const char *name, const int *fds, size_t n_fds) {
    const char *path = manager_path();
    char text[64];

    snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    return path ? tell_manager(text, path, fds, n_fds) : 0;
}

void loop_drop(const char *name) {
    loop_notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void loop_notify(const char *state, ...) {
    const char *path = manager_path();
    char text[256];
    va_list arguments;

    if (!path)
        return;
    va_start(arguments, state);
    vsnprintf(text, sizeof(text), state, arguments);
    va_end(arguments);
    (void)tell_manager(text, path, NULL, 0);
}
