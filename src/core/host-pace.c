/* SPDX-License-Identifier: MIT */
/*
 * Pace: how much of the host's time one user may have
 *
 * Whatever a connection asks costs the host a little, and nothing bounds how often it asks. So the time that
 * the host runs for a user is counted, and a tenth of the time that passes is taken off it: whoever has more
 * than `pace_ns` on the account owes, and is not heard until that is less again. Somebody who comes with a
 * thousand clients at once is let in at once; somebody who never stops asking has a tenth of one CPU, and
 * waits, which delays nobody else.
 *
 * Not heard means that a connection's packets stay in its socket, and its hang-up, too. New connections of
 * that user wait likewise, as many as may be half open; more are told so and closed. Who a newcomer is can
 * only be told once it was taken in: so the host turns away as many as wait to be, whereby all others of them
 * come in, too, and then takes nobody in for twenty times as long as that took.
 *
 * Root and the host's own user could end the host as well, and workers ask for others: they are not paced.
 * Nor is the only user who has clients: there is nobody to be fair to. Once there is, he begins with the
 * account of somebody who has just had as much as he may.
 */
#include "core/host-internal.h"

#include "base/units.h"

#include <stdio.h>

#define PART        10 /* one of so many parts of the time that passes is a user's */
#define REST        20 /* times as long as it took to turn newcomers away */
#define REST_MIN_NS (2 * NS_PER_MS) /* less is not worth being woken for */
#define REST_MAX_NS (250 * NS_PER_MS)
#define TOLD_EVERY_NS (60 * NS_PER_SEC)

/* ---- accounts ---- */

static void settle(HostAccount *account, uint64_t now_ns) {
    uint64_t paid_ns;

    if (now_ns <= account->settled_ns)
        return; /* the caller has looked at the clock before somebody else did */
    paid_ns = (now_ns - account->settled_ns) / PART;
    account->spent_ns -= paid_ns < account->spent_ns ? paid_ns : account->spent_ns;
    account->settled_ns = now_ns;
}

bool account_has_spent(HostAccount *account, uint64_t now_ns) {
    settle(account, now_ns);
    return account->spent_ns > 0;
}

static bool is_alone(const Host *host, const HostAccount *account) {
    const HostUid *uid = table_find(&host->uids, account->uid);

    return host->n_clients == (uid ? uid->n_here : 0);
}

/* Down to this it waits, and so gets something done at a time. */
static uint64_t low_mark(const Host *host) {
    return host->patience.pace_ns - host->patience.pace_ns / 50;
}

static bool owes(const Host *host, HostAccount *account) {
    if (account->owes) {
        settle(account, clock_now_ns());
        account->owes = account->spent_ns > low_mark(host);
    }
    return account->owes && !is_alone(host, account);
}

/* Now and then: it owes again as often as it has been heard. */
static void tell(Host *host, HostAccount *account) {
    Event *event;

    if (account->told_ns && account->settled_ns - account->told_ns < TOLD_EVERY_NS)
        return;
    account->told_ns = account->settled_ns;
    host->n_limits++;
    event = event_push_of(&host->events, EVENT_LIMIT, account->uid);
    snprintf(event->text, sizeof(event->text),
             "user %u asks for more than a tenth of the host's time, and is made to wait for it",
             (unsigned)account->uid);
}

static void charge(Host *host, HostAccount *account, uint64_t spent_ns) {
    settle(account, clock_now_ns());
    account->spent_ns += spent_ns;
    if (account->spent_ns <= host->patience.pace_ns)
        return;
    if (is_alone(host, account)) {
        account->spent_ns = host->patience.pace_ns;
    } else if (!account->owes) {
        account->owes = true;
        tell(host, account);
    }
}

/* ---- time ---- */

void host_pace_begin(Host *host) {
    host->pace.cpu_ns = clock_cpu_ns();
    host->pace.uid = NOBODY;
    host->pace.n_shed_before = host->pace.n_shed;
    host->pace.none_waits = false;
}

static void serve(Host *host, uid_t uid) {
    if (host_limits_uid(host, uid))
        host->pace.uid = uid;
}

static int rest(Host *host) {
    uint64_t rest_ns = REST * host->pace.shed_ns;

    rest_ns = rest_ns < REST_MIN_NS ? REST_MIN_NS : rest_ns > REST_MAX_NS ? REST_MAX_NS : rest_ns;
    host->pace.listen_ns = clock_now_ns() + rest_ns;
    host->pace.shed_ns = 0;
    host->pace.n_shed = 0;
    return wait_modify(&host->listener_source, 0);
}

int host_pace_end(Host *host) {
    const HostPace turn = host->pace;
    HostAccount *account;

    host_pace_begin(host);
    if (turn.uid != NOBODY && host_get_account(host, turn.uid, &account) == 0)
        charge(host, account, host->pace.cpu_ns - turn.cpu_ns);
    if (turn.n_shed == turn.n_shed_before)
        return 0;
    host->pace.shed_ns += host->pace.cpu_ns - turn.cpu_ns;
    return turn.none_waits || turn.n_shed >= CHANNEL_BACKLOG ? rest(host) : 0;
}

/* ---- newcomers ---- */

bool host_paces_newcomer(Host *host, int fd) {
    HostAccount *account;
    uid_t uid;

    if (channel_uid(fd, &uid) < 0)
        return false; /* it is told from others later, or is no more */
    if (host->pace.n_shed == host->pace.n_shed_before)
        serve(host, uid); /* those before it that were turned away are not its fault */
    account = table_find(&host->accounts, uid);
    if (!account || !owes(host, account) ||
        account->n_half_open < host_share(host, account, PEERS_BESIDE_CLIENTS))
        return false;
    host->pace.n_shed++;
    return true;
}

/* ---- who is in ---- */

static void hear_at(Host *host, const HostAccount *account) {
    uint64_t at_ns = account->settled_ns + PART * (account->spent_ns - low_mark(host));

    if (host->pace.hear_ns == 0 || at_ns < host->pace.hear_ns)
        host->pace.hear_ns = at_ns;
}

static int hush(Peer *peer) {
    uint32_t events = peer->source.events;
    int r = wait_modify(&peer->source, 0);

    if (r < 0)
        return r;
    peer->hushed = events;
    peer->waits = true;
    hear_at(peer->host, peer->account);
    return 0;
}

int host_hear_peer(Peer *peer, uint32_t events) {
    Host *host = peer->host;

    if (peer->worker || peer->is_probe || !host_limits_uid(host, peer->who.uid))
        return peer_dispatch(peer, events);
    if (owes(host, peer->account))
        return hush(peer);
    serve(host, peer->who.uid);
    if (peer->waits)
        peer->account->heard = peer->number;
    peer->waits = false;
    return peer_dispatch(peer, events);
}

bool host_paces_trace(Peer *peer) {
    Host *host = peer->host;

    host_pace_begin(host);
    if (!host_limits_uid(host, peer->who.uid))
        return false;
    serve(host, peer->who.uid);
    return owes(host, peer->account);
}

/* What it waits for now, if the host had to say something meanwhile, stands. */
static int hear_again(Peer *peer) {
    uint32_t events = peer->hushed;

    peer->hushed = 0;
    peer->since_ns = peer->role == PEER_STRANGER ? clock_now_ns() : peer->since_ns;
    return peer->source.events ? 0 : wait_modify(&peer->source, events);
}

/* Those behind the one that was heard last, or the others. */
static int hear_some_again(Host *host, bool behind) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < host->peers.n; i++) {
        Peer *peer = table_at(&host->peers, i);

        if (!peer->hushed || (peer->number > peer->account->heard) != behind)
            continue;
        if (owes(host, peer->account))
            hear_at(host, peer->account);
        else
            r = hear_again(peer);
    }
    return r;
}

/* Each in its turn: the kernel tells of them in the order in which they are waited for again. */
static int hear_all_again(Host *host) {
    int r;

    host->pace.hear_ns = 0;
    r = hear_some_again(host, true);
    return r == 0 ? hear_some_again(host, false) : r;
}

/* ---- when ---- */

uint64_t host_next_pace(const Host *host) {
    uint64_t listen_ns = host->pace.listen_ns ? host->pace.listen_ns : UINT64_MAX;
    uint64_t hear_ns = host->pace.hear_ns ? host->pace.hear_ns : UINT64_MAX;

    return listen_ns < hear_ns ? listen_ns : hear_ns;
}

int host_pace_go_on(Host *host, uint64_t now_ns) {
    int r = 0;

    if (host->pace.listen_ns && host->pace.listen_ns <= now_ns) {
        host->pace.listen_ns = 0;
        r = wait_modify(&host->listener_source, WAIT_READ);
    }
    if (r == 0 && host->pace.hear_ns && host->pace.hear_ns <= now_ns)
        r = hear_all_again(host);
    return r;
}
