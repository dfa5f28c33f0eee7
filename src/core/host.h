/* SPDX-License-Identifier: MIT */
/*
 * Host: owns an endpoint
 *
 * It alone makes queues, pages and memory, unlinks their names at once and passes descriptors; lets clients
 * and workers in; accounts for memory; watches workers and repairs what their death leaves. It is not on the
 * path of an exchange, but takes part in one, by the ordinary client code, to see whether the path works. A
 * state machine without a loop; never blocks; not thread-safe. Files are written by threads of its own, which
 * touch nothing else (host-park.c).
 *
 * What it keeps true: what a dead worker had claimed is given to another only when its pidfd reads as exited;
 * every submitted slot is announced again after any worker's death or leaving; an announcement that a full
 * queue did not take is owed; numbers of clients and workers are never used twice.
 */
#pragma once

#include "base/cleanup.h"
#include "core/event.h"
#include "core/settings.h"
#include "wire/hello.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Host Host;

/* For the one line that `systemctl status` shows. */
typedef struct HostSummary {
    uint32_t n_clients;
    uint32_t n_workers;
    bool known; /* whether a probe has ended yet */
    bool healthy;
} HostSummary;

/*
 * Whoever keeps descriptors from one process of a host to the next: the service manager. Both calls are made
 * by the host, in the middle of something: they only pass it on.
 */
typedef struct HostKeeper {
    /* Keep these, which stay the host's as well, under this name. Return: 0 or negative errno. */
    int (*store)(void *data, const char *name, const int *fds, size_t n_fds);
    /* Let go of all that has this name. */
    void (*drop)(void *data, const char *name);
    void *data;
} HostKeeper;

/* What comes back. */
typedef struct HostKept {
    const char *name;
    int fd;
} HostKept;

/**
 * host_new() - make a host that nobody can reach yet, and sweep what an earlier one of this name may have
 * left
 * @settings:   borrowed; see host_set_settings()
 * Return: 0 or negative errno.
 */
int host_new(Host **ret, const char *name, const HostSettings *settings);
Host *host_free(Host *host);

/**
 * host_keep() - have what matters kept from now on, and take up what the host before has left
 *
 * Its clients and workers are this host's then, with all that they have in hand. What does not hang together
 * is let go of. Before host_listen() or host_adopt().
 * @keeper:     borrowed
 * @kept:       all that came back; each descriptor is taken over
 * Return: 0, also when nothing of it could be used, which is told; or negative errno: nothing was destroyed.
 */
int host_keep(Host *host, const HostKeeper *keeper, HostKept *kept, size_t n_kept);

/** host_keeps_name() - whether a host of this version would have something kept under that name. */
bool host_keeps_name(const char *name);

/** host_leave() - another host is to follow: host_free() then leaves the socket's path. */
void host_leave(Host *host);

/**
 * host_listen() - be reachable at @path. Return: 0; -EADDRINUSE if another host listens there; or negative
 * errno.
 */
int host_listen(Host *host, const char *path);

/**
 * host_adopt() - be reachable through a listening SOCK_SEQPACKET socket that somebody else made and will
 * remove; taken over. Return: 0 or negative errno.
 */
int host_adopt(Host *host, int fd);

int host_get_fd(const Host *host);

/**
 * host_wait() - wait until there is something to do, or @until_ns (CLOCK_MONOTONIC; 0 for not at all), and do
 * it. Return: 0 or negative errno.
 */
int host_wait(Host *host, uint64_t until_ns);

/**
 * host_check_settings() - whether the system allows a host with these: `queue_depth` may be too much for it
 * Return: 0; or a positive code, with what to do in @text.
 */
int host_check_settings(const Host *host, const HostSettings *settings, char *text, size_t bytes);

/**
 * host_park_in() - keep what its workers did not survive in this folder; without it nothing is kept
 *
 * Sweeps what is half written there.
 * Return: 0 or negative errno; where the folder is the trouble, each request says so again that is to be
 * kept.
 */
int host_park_in(Host *host, const char *path);

/**
 * host_set_settings() - from now on use these (borrowed). What a client or queue was made with stays with it.
 */
void host_set_settings(Host *host, const HostSettings *settings);

void host_summary(const Host *host, HostSummary *ret_summary);

/** host_n_exchanges() - how many have ended, in all. Looks at every slot of every client: not for each turn.
 */
uint64_t host_n_exchanges(const Host *host);

/** host_stage_times() - how long the stages of all exchanges took since the host's start. Takes a while. */
void host_stage_times(Host *host, StageTimes ret_times[static _STAGE_N]);
bool host_pop_event(Host *host, Event *ret_event);

DEFINE_CLEANUP(Host, host_free)
