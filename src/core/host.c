/* SPDX-License-Identifier: MIT */
/* The host's life: made, reachable, one turn after the other, gone. */
#include "core/host-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TICK_NS (30 * NS_PER_SEC) /* where health_interval is off or longer */

static const HostPatience patience = {
    .hello_ns = 10 * NS_PER_SEC,
    .answer_ns = 10 * NS_PER_SEC,
    .grace_ns = 5 * NS_PER_SEC,
    .look_ns = 5 * NS_PER_SEC,
    .probe_ns = 10 * NS_PER_SEC,
    .squeeze_ns = NS_PER_SEC,
    .trace_ns = 20 * NS_PER_MS,
    .poison_ns = 60 * NS_PER_SEC,
    .pace_ns = 500 * NS_PER_MS,
    .idle_ns = 10 * NS_PER_SEC,
};

/* Where there is none to be had, queues are given back when the host lets go of them. */
static int watch_queues(Host *host) {
    if (watch_new(&host->watch) < 0)
        return 0;
    return wait_add(host->wait, &host->watch_source, host->watch, WAIT_READ, SOURCE_WATCH, host);
}

/*
 * Ids are not used again, in the next boot neither, for what is parked stays. A clock that is wrong by years
 * does not go back behind what it is since the boot.
 */
static uint64_t first_id(void) {
    uint64_t boot_us = clock_boot_us(), real_us = clock_real_us();

    return boot_us > real_us ? boot_us : real_us;
}

int host_new(Host **ret, const char *name, const HostSettings *settings) {
    _cleanup_(host_freep) Host *host = calloc(1, sizeof(*host));
    int r;

    if (!host)
        return error_origin(-ENOMEM);
    host->listener = host->watch = host->store.listener = host->parking.bell_fd = -1;
    host->store.index = (Page)PAGE_NULL;
    host->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (host->spare_fd < 0)
        return error_errno();
    host->settings = settings;
    host->patience = patience;
    host->uid = geteuid();
    host->gid = getegid();
    limits_read(&host->limits);
    host->since_ns = host->settings_ns = clock_now_ns();
    host->next_id = first_id();
    host_pace_begin(host);
    text_copy(host->name, sizeof(host->name), name);
    r = host_sweep(host);
    if (r < 0)
        return r;
    r = host_measure(host);
    if (r < 0)
        return r;
    r = wait_new(&host->wait);
    if (r < 0)
        return r;
    r = watch_queues(host);
    if (r < 0)
        return r;
    r = host_probe_init(host);
    if (r < 0)
        return r;
    *ret = TAKE(host);
    return 0;
}

Host *host_free(Host *host) {
    if (!host)
        return NULL;
    if (host->trace.look_ns)
        host_trace_look(host, clock_now_ns()); /* what ended just before, too, is told */
    host->store.closing = true;
    host_parking_deinit(host);
    host_probe_deinit(host);
    while (host->peers.n > 0)
        peer_free(table_at(&host->peers, host->peers.n - 1));
    while (host->workers.n > 0)
        host_worker_free(host, table_at(&host->workers, host->workers.n - 1));
    while (host->clients.n > 0)
        host_client_free(host, table_at(&host->clients, host->clients.n - 1));
    while (host->uids.n > 0)
        uid_free(host, table_at(&host->uids, host->uids.n - 1));
    if (host->path && host->listener >= 0 && !host->store.stays)
        channel_unlink(host->path, host->listener);
    table_deinit(&host->peers);
    table_deinit(&host->workers);
    table_deinit(&host->clients);
    table_deinit(&host->uids);
    host_free_accounts(host);
    wait_remove(&host->listener_source);
    wait_remove(&host->watch_source);
    fd_close(host->watch);
    fd_close(host->listener);
    fd_close(host->store.listener);
    page_deinit(&host->store.index);
    fd_close(host->spare_fd);
    wait_free(host->wait);
    free(host->path);
    free(host);
    return NULL;
}

int host_keep(Host *host, const HostKeeper *keeper, HostKept *kept, size_t n_kept) {
    int r;

    host->store.keeper = keeper;
    r = host_take_up(host, kept, n_kept);
    if (r < 0 || host->store.index.map)
        return r;
    return host_store_begin(host);
}

void host_leave(Host *host) {
    host->store.stays = true;
}

static int listen_on(Host *host, int fd) {
    int r = channel_refuse_fds(fd); /* nobody has any to send; an older kernel lets them try */

    host->listener = fd;
    host->fds_may_come = r == -ENOPROTOOPT;
    if (r < 0 && !host->fds_may_come)
        return r;
    return wait_add(host->wait, &host->listener_source, fd, WAIT_READ, SOURCE_LISTENER, host);
}

int host_adopt(Host *host, int fd) {
    host_drop_listener(host);
    return listen_on(host, fd);
}

/* Who has connected to the socket of the host before waits there, if its path still leads there. */
int host_listen(Host *host, const char *path) {
    int fd, r;

    host->path = strdup(path);
    if (!host->path)
        return error_origin(-ENOMEM);
    if (host->store.listener >= 0 && channel_is_at(path, host->store.listener))
        return listen_on(host, TAKE_FD(host->store.listener));
    host_drop_listener(host);
    r = channel_listen(path, &fd);
    if (r < 0)
        return r;
    host_store_listener(host, fd);
    return listen_on(host, fd);
}

int host_get_fd(const Host *host) {
    return wait_get_fd(host->wait);
}

void host_set_settings(Host *host, const HostSettings *settings) {
    host->settings = settings;
    host->settings_ns = clock_now_ns();
    host->tick_ns = host->probe.next_ns = host->trim_ns = 0;
    host->fit_is_told = host->huge_is_told = false;
}

static void reap_strangers(Host *host, uint64_t now_ns) {
    for (size_t i = host->peers.n; i > 0; i--) {
        Peer *peer = table_at(&host->peers, i - 1);

        if (peer->role == PEER_STRANGER && !peer->hushed &&
            now_ns >= peer->since_ns + host->patience.hello_ns)
            peer_misbehaved(peer, "no HELLO in time");
    }
}

static bool holds_more(int fd, uint64_t reserved_bytes) {
    uint64_t bytes;

    return object_usage(fd, &bytes) == 0 && bytes > reserved_bytes;
}

/*
 * A client has its request object read-write, so it could take memory without asking; of its response object,
 * too, for to read a hole that is mapped fills it, and so does to make a huge page of it.
 */
static void audit_clients(Host *host) {
    for (size_t i = host->clients.n; i > 0; i--) {
        HostClient *client = table_at(&host->clients, i - 1);

        if (client->peer && (holds_more(client->requests_fd, client->reserved_bytes[0]) ||
                             holds_more(client->responses_fd, client->reserved_bytes[1])))
            peer_misbehaved(client->peer, "it holds more memory than it has reserved");
    }
}

/* Now and then, look at everything. */
static int tick(Host *host, uint64_t now_ns) {
    uint64_t interval = host->settings->health_interval_ns;
    int r;

    host->tick_ns = now_ns + (interval && interval < TICK_NS ? interval : TICK_NS);
    limits_read(&host->limits);
    if (!host->fit_is_told)
        host_tell_fit(host);
    if (!host->huge_is_told)
        host_tell_huge(host);
    reap_strangers(host, now_ns);
    audit_clients(host);
    host_store_again(host);
    host_reap_uids(host, now_ns);
    host_reap_accounts(host, now_ns);
    host_reap_rings(host);
    host_sync_workers(host); /* what could not be said for want of a descriptor */
    host_ping_workers(host, now_ns);
    if (host->repeat_due)
        host_repeat(host);
    r = host->listener < 0 ? 0 : wait_modify(&host->listener_source, WAIT_READ); /* see host_accept() */
    if (r < 0 || interval == 0 || now_ns < host->probe.next_ns)
        return r;
    host->probe.next_ns = now_ns + interval;
    return host_probe(host);
}

static int work(Host *host, WaitSource *source, uint32_t events) {
    switch (source->kind) {
    case SOURCE_LISTENER:
        return host_accept(host);
    case SOURCE_PEER:
        return host_hear_peer(source->owner, events);
    case SOURCE_PIDFD:
        host_worker_dead(host, source->owner);
        return 0;
    case SOURCE_UID:
        return host_pay_uid(host, source->owner);
    case SOURCE_PARKING:
        host_parking_dispatch(host);
        return 0;
    case SOURCE_WATCH:
        host_hear_watch(host);
        return 0;
    default:
        return host_probe_dispatch(host);
    }
}

static int set_timer(Host *host) {
    uint64_t at_ns = host_next_judgement(host);

    if (host->tick_ns < at_ns)
        at_ns = host->tick_ns;
    if (host_next_trim(host) < at_ns)
        at_ns = host_next_trim(host);
    if (host->refused_ns && host->refused_ns < at_ns)
        at_ns = host->refused_ns;
    if (host->trace.look_ns && host->trace.look_ns < at_ns)
        at_ns = host->trace.look_ns;
    if (host_next_pace(host) < at_ns)
        at_ns = host_next_pace(host);
    if (at_ns == 0)
        at_ns = 1; /* at once; 0 would be never */
    if (at_ns == host->timer_ns)
        return 0;
    host->timer_ns = at_ns;
    return wait_set_timer(host->wait, at_ns);
}

int host_wait(Host *host, uint64_t until_ns) {
    WaitSource *source;
    uint64_t now_ns;
    uint32_t events;
    int r = wait_poll(host->wait, until_ns);

    while (r == 0 && (source = wait_next(host->wait, &events))) {
        r = work(host, source, events);
        if (r == 0)
            r = host_pace_end(host);
    }
    if (r < 0)
        return r;
    if (wait_timer_expired(host->wait))
        host->timer_ns = 0;
    now_ns = clock_now_ns();
    if (host->refused_ns && host->refused_ns <= now_ns)
        host_end_refusals(host, now_ns);
    if (host_next_pace(host) <= now_ns)
        r = host_pace_go_on(host, now_ns);
    if (r == 0 && now_ns >= host->tick_ns)
        r = tick(host, now_ns);
    if (r == 0 && host->probe.due)
        r = host_probe(host);
    if (r < 0)
        return r;
    if (host_next_trim(host) <= now_ns)
        host_trim(host, now_ns);
    if (host_next_judgement(host) <= now_ns)
        host_judge_workers(host, now_ns);
    if (host->trace.look_ns && host->trace.look_ns <= now_ns)
        host_trace_look(host, now_ns);
    r = set_timer(host);
    host_pace_begin(host);
    return r;
}

void host_summary(const Host *host, HostSummary *ret_summary) {
    *ret_summary = (HostSummary){
        .n_clients = host->n_clients,
        .n_workers = host->n_workers,
        .known = host->probe.known,
        .healthy = host->probe.healthy,
    };
}

uint64_t host_n_exchanges(const Host *host) {
    SlotCounts counts;

    host_counts(host, &counts);
    return counts.n_done + counts.n_failed + counts.n_cancelled;
}

bool host_pop_event(Host *host, Event *ret_event) {
    return event_pop(&host->events, ret_event);
}
