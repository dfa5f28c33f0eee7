/* SPDX-License-Identifier: MIT */
/*
 * Limits: what one user may have of the host, and what the system lets the host have
 *
 * Of each of the host's limits one user may have the share that `user_share` says, so that nobody can use up
 * what others need too. Root and the host's own user may have all of it: they could end the host as well.
 */
#include "core/host-internal.h"

#include "os/queue.h"

#include <inttypes.h>
#include <stdio.h>

#define FILES_PER_CLIENT 7 /* its socket and pidfd, reply queue, two pages, two objects */
#define FILES_IN_PASSING 8 /* opened for a moment, to be sent */

/* ---- all users ---- */

/* What is taken, or will be, by others than the clients that are there. At least one user will come. */
typedef struct Taken {
    uint64_t queues;
    uint64_t bytes;
} Taken;

static Taken taken_by_others(const Host *host) {
    uint64_t reply = queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message));
    uint64_t request = queue_cost(host->settings->queue_depth, sizeof(Message));
    Taken taken = {0};

    for (size_t i = 0; i < host->accounts.n; i++) {
        const HostAccount *account = table_at(&host->accounts, i);

        taken.queues += account->n_queues;
        taken.bytes += account->queue_bytes;
    }
    taken.queues -= host->n_clients;
    taken.bytes -= host->n_clients * reply;
    if (host->uids.n < 2) {
        taken.queues += 1;
        taken.bytes += request;
    }
    return taken;
}

static uint64_t room_for(uint64_t limit, uint64_t taken, uint64_t each) {
    return limit == UINT64_MAX ? UINT64_MAX : limit > taken ? (limit - taken) / each : 0;
}

void host_fit(const Host *host, HostFit *ret_fit) {
    const Taken taken = taken_by_others(host);
    HostFit fit = {0};
    Limits limits;

    limits_read(&limits);
    fit.n[LIMIT_QUEUE_BYTES] =
        room_for(limits.queue_bytes, taken.bytes, queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message)));
    fit.n[LIMIT_QUEUES] = room_for(limits.n_queues, taken.queues, 1);
    fit.n[LIMIT_FILES] = room_for(limits.n_files, limits.n_files_open + FILES_IN_PASSING, FILES_PER_CLIENT);
    if (fit.n[LIMIT_FILES] != UINT64_MAX)
        fit.n[LIMIT_FILES] += host->n_clients;
    for (LimitKind kind = 0; kind < _LIMIT_N; kind++)
        if (fit.n[kind] < fit.n[fit.least])
            fit.least = kind;
    *ret_fit = fit;
}

static int put_fit(char *text, size_t bytes, const HostFit *fit, LimitKind kind) {
    if (fit->n[kind] == UINT64_MAX)
        return snprintf(text, bytes, ", %s any number", limit_name(kind));
    return snprintf(text, bytes, ", %s %" PRIu64, limit_name(kind), fit->n[kind]);
}

void host_tell_fit(Host *host) {
    uint32_t max = host->settings->max_clients;
    Event *event = event_push(&host->events, EVENT_CAPACITY);
    HostFit fit;
    int at = 0;

    host->fit_is_told = true;
    host_fit(host, &fit);
    event->ok = fit.n[fit.least] >= max;
    if (!event->ok) {
        snprintf(event->text, sizeof(event->text),
                 "only %" PRIu64
                 " clients fit, not `max_clients` = %u: %s allows no more; %s, or lower `max_clients`",
                 fit.n[fit.least], max, limit_name(fit.least), limit_cure(fit.least));
        return;
    }
    at = snprintf(event->text, sizeof(event->text), "room for `max_clients` = %u clients", max);
    for (LimitKind kind = 0; kind < _LIMIT_N; kind++)
        at += put_fit(event->text + at, sizeof(event->text) - (size_t)at, &fit, kind);
}

int host_check_settings(const Host *host, const HostSettings *settings, char *text, size_t bytes) {
    int fd, r = host_make_queue(host, settings->queue_depth, &fd);

    if (r == 0)
        fd_close(fd);
    if (r != QUEUE_LIMIT_DEPTH)
        return 0; /* another limit may allow more in a moment */
    queue_limit_text(QUEUE_LIMIT_DEPTH, text, bytes);
    return r;
}

/* ---- one user ---- */

bool host_limits_uid(const Host *host, uid_t uid) {
    return uid != 0 && uid != host->uid;
}

static bool is_limited(const Host *host, const HostAccount *account) {
    return host_limits_uid(host, account->uid);
}

uint64_t host_share(const Host *host, const HostAccount *account, uint64_t whole) {
    uint64_t percent = host->settings->user_share, share;

    if (!is_limited(host, account))
        return whole;
    share = whole / 100 * percent + whole % 100 * percent / 100;
    return share || !whole ? share : 1;
}

/* One limit, as it is for a peer that wants a little more. */
typedef struct Wish {
    const char *what;
    const char *limit;
    uint64_t has;
    uint64_t more;
    uint64_t whole; /* UINT64_MAX: no limit */
} Wish;

/* Who has nothing yet is let in: whether the whole is enough for anybody is for others to say. */
static bool fits(const Peer *peer, const Wish *wish) {
    return wish->whole == UINT64_MAX || wish->has == 0 || !is_limited(peer->host, peer->account) ||
           wish->has + wish->more <= host_share(peer->host, peer->account, wish->whole);
}

static void refuse(Peer *peer, const Wish *wish) {
    peer_refuse(peer, REASON_LIMIT,
                "busy: user %u has %" PRIu64 " %s, and no more than `user_share` = %u %% of %s = %" PRIu64
                " are for one user: let some end, or raise either",
                (unsigned)peer->who.uid, wish->has, wish->what, peer->host->settings->user_share, wish->limit,
                wish->whole);
}

bool host_admits_peer(Peer *peer) {
    const Wish wish = {"connections", "all connections", peer->account->n_connections - 1, 1,
                       host_max_peers(peer->host)};

    if (peer->is_probe || fits(peer, &wish))
        return true;
    refuse(peer, &wish);
    return false;
}

bool host_admits_client(Peer *peer) {
    Host *host = peer->host;
    HostAccount *account = peer->account;
    const Wish wishes[] = {
        {"clients", "`max_clients`", account->n_clients, 1, host->settings->max_clients},
        {"message queues, with those that gone clients keep open,", "fs.mqueue.queues_max", account->n_queues,
         1, host->limits.n_queues},
        {"bytes of message queues, with those that gone clients keep open,", "RLIMIT_MSGQUEUE",
         account->queue_bytes, queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message)), host->limits.queue_bytes},
        {"descriptors that it was sent and has not received,", "RLIMIT_NOFILE", account->n_flying,
         WELCOME_N_FDS, host->limits.n_files},
    };

    if (peer->is_probe)
        return true;
    if (host->n_clients >= host->settings->max_clients) {
        peer_refuse(peer, REASON_LIMIT,
                    "busy: host `%s` has as many clients as its `max_clients` setting allows (%u)",
                    host->name, host->settings->max_clients);
        return false;
    }
    for (size_t i = 0; i < ELEMENTS(wishes); i++)
        if (!fits(peer, &wishes[i])) {
            refuse(peer, &wishes[i]);
            return false;
        }
    return true;
}

/* ---- half-open connections ---- */

size_t host_max_peers(const Host *host) {
    return (size_t)host->settings->max_clients + PEERS_BESIDE_CLIENTS;
}

static Peer *oldest_half_open(const Host *host, const HostAccount *account) {
    for (size_t i = 0; i < host->peers.n; i++) {
        Peer *peer = table_at(&host->peers, i);

        if (peer->role == PEER_STRANGER && peer->account == account && !peer->is_probe)
            return peer;
    }
    return NULL;
}

static const HostAccount *most_half_open(const Host *host) {
    const HostAccount *most = NULL;

    for (size_t i = 0; i < host->accounts.n; i++) {
        const HostAccount *account = table_at(&host->accounts, i);

        if (!most || account->n_half_open > most->n_half_open)
            most = account;
    }
    return most;
}

bool host_make_place(Host *host) {
    Peer *peer;

    if (host->peers.n < host_max_peers(host))
        return true;
    peer = oldest_half_open(host, most_half_open(host));
    if (peer)
        peer_misbehaved(peer, "it said nothing, and its place was needed");
    return peer != NULL;
}

void host_limit_half_open(Peer *newcomer) {
    const HostAccount *account = newcomer->account;
    const Host *host = newcomer->host;

    if (is_limited(host, account) && account->n_half_open > host_share(host, account, PEERS_BESIDE_CLIENTS))
        peer_refuse(
            oldest_half_open(host, account), REASON_LIMIT,
            "busy: user %u has %u connections that have said nothing yet, more than `user_share` = %u %% "
            "of %u leaves it",
            (unsigned)account->uid, account->n_half_open, host->settings->user_share, PEERS_BESIDE_CLIENTS);
}

/* ---- descriptors under way ---- */

void client_look_at_flying(HostClient *client) {
    if (client->charge->n_flying == 0 || !client->peer || channel_is_unread(client->peer->fd))
        return;
    client->account->n_flying -= client->charge->n_flying;
    client->charge->n_flying = 0;
}

void host_look_at_flying(Host *host, const HostAccount *account) {
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        if (client->account == account)
            client_look_at_flying(client);
    }
}
