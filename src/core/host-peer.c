/* SPDX-License-Identifier: MIT */
/* Connections: who comes in, what they say, and how they go. */
#include "core/host-internal.h"

#include "base/error.h"
#include "os/descriptor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHED_AT_ONCE 64 /* before others are heard */

static Event *tell(Peer *peer, EventKind kind) {
    EventQueue *events = &peer->host->events;
    Event *event =
        kind == EVENT_CLIENT_DETACHED ? event_push(events, kind) : event_push_of(events, kind, peer->who.uid);

    event->pid = peer->who.pid;
    event->uid = peer->who.uid;
    event->client = peer->client ? peer->client->id : 0;
    event->worker = peer->worker ? peer->worker->number : 0;
    text_copy(event->name, sizeof(event->name), peer->name);
    return event;
}

static int open_account(Peer *peer) {
    int r = host_get_account(peer->host, peer->who.uid, &peer->account);

    if (r < 0)
        return r;
    peer->account->n_connections++;
    peer->account->n_half_open++;
    return 0;
}

static void close_account(Peer *peer) {
    if (!peer->account)
        return;
    peer->account->n_connections--;
    peer->account->n_half_open -= peer->role == PEER_STRANGER;
    host_put_account(peer->host, peer->account);
}

void peer_becomes(Peer *peer, PeerRole role) {
    peer->account->n_half_open -= peer->role == PEER_STRANGER;
    peer->role = role;
}

static const char no_descriptor[] = "no descriptor is left; raise LimitNOFILE= of the unit";
static const char no_memory[] = "no memory is left";

/* What is said to one for whom there is no place. Return: its size. */
static size_t busy(Packet *packet, const char *why) {
    packet_init(packet, PACKET_REFUSED, 0);
    packet->refused.code = REASON_LIMIT;
    snprintf(packet->refused.text, sizeof(packet->refused.text), "busy: %s", why);
    return packet->header.bytes;
}

static void say_busy(int fd, const char *why) {
    Packet packet;

    (void)channel_send(fd, &packet, busy(&packet, why), NULL, 0);
}

int host_add_peer(Host *host, int fd, bool is_probe, Peer **ret) {
    Peer *peer = calloc(1, sizeof(*peer));
    int r;

    if (!peer) {
        say_busy(fd, no_memory);
        fd_close(fd);
        return error_origin(-ENOMEM);
    }
    *peer = (Peer){
        .host = host, .number = host->next_id++, .role = PEER_STRANGER, .fd = fd, .is_probe = is_probe};
    peer->who = (ChannelPeer)CHANNEL_PEER_NULL;
    peer->since_ns = clock_now_ns();
    r = channel_peer(fd, &peer->who);
    if (r == 0)
        r = open_account(peer);
    if (r == 0)
        r = wait_add(host->wait, &peer->source, fd, WAIT_READ, SOURCE_PEER, peer);
    if (r == 0)
        r = table_insert(&host->peers, peer->number, peer);
    if (r < 0) {
        say_busy(fd, r == -ENOMEM ? no_memory : no_descriptor);
        peer_free(peer);
        return r;
    }
    if (ret)
        *ret = peer;
    return 0;
}

/* Close the connection. What it stood for goes on being looked after: see host_client_gone() and
 * host_worker_hung_up(). */
void peer_free(Peer *peer) {
    Host *host = peer->host;

    if (peer->client) {
        client_look_at_flying(peer->client);
        peer->client->peer = NULL;
    }
    if (peer->worker)
        peer->worker->peer = NULL;
    trace_leave(peer);
    close_account(peer);
    table_remove(&host->peers, peer->number);
    wait_remove(&peer->source);
    channel_peer_deinit(&peer->who);
    if (host->store.keeper && !host->store.closing) {
        channel_hang_up(peer->fd); /* the service manager has it, too, and takes its time */
        if (host->fds_may_come && peer->role == PEER_CLIENT)
            channel_empty(peer->fd); /* it should not have to close what a stranger has sent */
    }
    if (host->fds_may_come)
        descriptor_close_aside(peer->fd);
    else
        fd_close(peer->fd);
    free(peer);
}

static void peer_hung_up(Peer *peer) {
    Host *host = peer->host;
    HostClient *client = peer->client;
    HostWorker *worker = peer->worker;

    if (client)
        tell(peer, EVENT_CLIENT_DETACHED);
    peer_free(peer);
    if (client)
        host_client_gone(host, client);
    if (worker)
        host_worker_hung_up(host, worker);
}

/* A worker that saw the hang-up while it lives would end what it has claimed, as for a lost host. */
void peer_misbehaved(Peer *peer, const char *what) {
    Event *event = tell(peer, EVENT_PEER_MISBEHAVED);

    peer->host->n_misbehaved++;
    text_copy(event->text, sizeof(event->text), what);
    if (peer->worker)
        host_worker_kill(peer->host, peer->worker, what);
    else
        peer_hung_up(peer);
}

static void refuse(Peer *peer, Reason code, const char *text, EventKind kind) {
    Packet packet;
    Event *event;

    packet_init(&packet, PACKET_REFUSED, 0);
    packet.refused.code = code;
    text_copy(packet.refused.text, sizeof(packet.refused.text), text);
    (void)peer_say(peer, &packet, NULL, 0);

    peer->host->n_refused += kind == EVENT_CLIENT_REFUSED;
    peer->host->n_limits += kind == EVENT_LIMIT;
    event = tell(peer, kind);
    event->reason = code;
    text_copy(event->text, sizeof(event->text), text);
    peer_hung_up(peer);
}

void peer_refuse(Peer *peer, Reason code, const char *text, ...) {
    char buffer[REFUSED_TEXT_BYTES];
    va_list arguments;

    va_start(arguments, text);
    vsnprintf(buffer, sizeof(buffer), text, arguments);
    va_end(arguments);
    refuse(peer, code, buffer, EVENT_CLIENT_REFUSED);
}

void peer_refuse_for_system(Peer *peer, const char *text) {
    char buffer[REFUSED_TEXT_BYTES];

    snprintf(buffer, sizeof(buffer), "busy: %s", text);
    refuse(peer, REASON_LIMIT, buffer, EVENT_LIMIT);
}

int peer_say(Peer *peer, const Packet *packet, const int *fds, size_t n_fds) {
    return channel_send(peer->fd, packet, packet->header.bytes, fds, n_fds);
}

int peer_answer(Peer *peer, const Packet *packet, const int *fds, size_t n_fds) {
    int r = peer_say(peer, packet, fds, n_fds);

    if (r == -EAGAIN)
        peer_misbehaved(peer, "it asks, but does not read the answers");
    else if (r < 0 && r != -EPIPE)
        peer_hung_up(peer);
    /* One that has hung up is seen by its own event, and heard to its end: it may have said that it left. */
    return r;
}

int peer_say_again(Peer *peer) {
    Packet packet;
    int r;

    if (!peer->owes_again)
        return 0;
    packet_init(&packet, PACKET_AGAIN, 0);
    packet.again.max_payload = peer->host->settings->max_payload;
    r = peer_say(peer, &packet, NULL, 0);
    if (r == -EAGAIN)
        return wait_modify(&peer->source, WAIT_READ | WAIT_WRITE);
    peer->owes_again = false;
    return 0; /* one that has hung up is seen by its own event */
}

static void turned_away(Host *host, const char *why) {
    Event *event = event_push_of(&host->events, EVENT_LIMIT, NOBODY);

    host->n_limits++;
    snprintf(event->text, sizeof(event->text), "a connection was turned away: %s", why);
}

static void turn_away(Host *host, int fd, const char *why) {
    say_busy(fd, why);
    fd_close(fd);
    turned_away(host, why);
}

/* Nobody is taken until the next tick: asking at each turn would be all that the host does. */
static int take_nobody(Host *host) {
    return wait_modify(&host->listener_source, 0);
}

/* Where not even the spare descriptor can be had, whoever knocks waits. */
static int shed(Host *host) {
    Packet packet;
    int r = channel_shed(host->listener, &host->spare_fd, &packet, busy(&packet, no_descriptor));

    turned_away(host, no_descriptor);
    return r == -EMFILE || r == -ENFILE ? take_nobody(host) : 0;
}

/* Return: 0, or what ends the host. */
static int cannot_accept(Host *host, int r) {
    switch (r) {
    case -EMFILE:
    case -ENFILE:
        return shed(host);
    case -ENOMEM:
    case -ENOBUFS:
        turned_away(host, no_memory);
        return take_nobody(host);
    case -EBADF:
    case -EINVAL:
    case -ENOTSOCK:
    case -EOPNOTSUPP:
        return r;
    default:
        return 0; /* nobody is there any more */
    }
}

static int take_in(Host *host, int fd) {
    static const char no_place[] = "more than `max_clients` and 256 others are connected";
    Peer *peer;
    int r;

    if (!host_make_place(host)) {
        turn_away(host, fd, no_place);
        return 0;
    }
    r = host_add_peer(host, fd, false, &peer);
    if (r == 0)
        host_limit_half_open(peer);
    else if (r == -EMFILE || r == -ENFILE)
        turned_away(host, no_descriptor);
    else if (r == -ENOMEM)
        turned_away(host, no_memory);
    return 0; /* one who went away again is no fault of ours */
}

/* One newcomer at a time, after all those before that are turned away for asking too much. */
int host_accept(Host *host) {
    static const char too_much[] = "this user asks for more than a tenth of the host's time: try later";
    int fd, r;

    for (int n_shed = 0; n_shed < SHED_AT_ONCE; n_shed++) {
        r = channel_accept(host->listener, &fd);
        host->pace.none_waits = r == -EAGAIN;
        if (r < 0)
            return cannot_accept(host, r);
        if (!host_paces_newcomer(host, fd))
            return take_in(host, fd);
        turn_away(host, fd, too_much);
    }
    return 0;
}

static bool is_member(const ChannelPeer *who, gid_t gid) {
    if (who->gid == gid)
        return true;
    for (size_t i = 0; i < who->n_groups; i++)
        if (who->groups[i] == gid)
            return true;
    return false;
}

static bool is_among(const Principals *principals, const ChannelPeer *who) {
    for (size_t i = 0; i < principals->n_uids; i++)
        if (principals->uids[i] == who->uid)
            return true;
    for (size_t i = 0; i < principals->n_gids; i++)
        if (is_member(who, principals->gids[i]))
            return true;
    return false;
}

bool peer_is_trusted(const Peer *peer) {
    return peer->is_probe || is_among(&peer->host->settings->trusted, &peer->who);
}

bool peer_sees_all(const Peer *peer) {
    return peer->who.uid == 0 || peer->who.uid == peer->host->uid || is_member(&peer->who, peer->host->gid);
}

static void refuse_stranger(Peer *peer, const char *setting) {
    peer_refuse(peer, REASON_NOT_ALLOWED,
                "user %u is not in `%s` of host `%s`: add the user to a group that is listed there (and log "
                "in again), or list the user there and reload the host",
                (unsigned)peer->who.uid, setting, peer->host->name);
}

/* Who is of another age hears of both versions, and what to do. */
static void refuse_version(Peer *peer, const PacketHello *hello, const char *text) {
    bool is_newer = hello->version_min > PROTOCOL_VERSION;

    peer_refuse(peer, REASON_VERSION,
                "%s: it is shmipc " SHMIPC_VERSION " and speaks version %u of the protocol, you %u; %s%s%s",
                text, PROTOCOL_VERSION, is_newer ? hello->version_min : hello->version_max,
                is_newer ? "once upgraded, `systemctl restart shmipc@" : "start again with the new library",
                is_newer ? peer->host->name : "", is_newer ? "` loses nothing" : "");
}

static int hear_hello(Peer *peer, const PacketHello *hello) {
    const HostSettings *settings = peer->host->settings;
    bool may_call = peer->is_probe || is_among(&settings->access, &peer->who);
    bool may_work = is_among(&settings->workers, &peer->who);
    const char *text;
    int r = hello_check(hello, &text);

    text_copy(peer->name, sizeof(peer->name), hello->name);
    if (r == REASON_VERSION)
        refuse_version(peer, hello, text);
    else if (r > 0)
        peer_refuse(peer, (Reason)r, "%s", text);
    else if (hello->role == PEER_WORKER && !may_work)
        refuse_stranger(peer, "workers");
    else if (hello->role != PEER_WORKER && !may_call && !(may_work && hello->role == PEER_STATUS))
        refuse_stranger(peer, "access");
    else if (!host_admits_peer(peer))
        return 0;
    else if (hello->role == PEER_CLIENT)
        client_attach(peer);
    else if (hello->role == PEER_WORKER)
        worker_attach(peer, hello);
    else
        peer_becomes(peer, PEER_STATUS);
    return 0;
}

/* It is as if the host had let go of all, and this one came again: but the others never notice. */
static void look_at_client(Peer *peer) {
    Event *event;

    if (!is_among(&peer->host->settings->access, &peer->who)) {
        refuse_stranger(peer, "access");
    } else if (peer->client->trusted != peer_is_trusted(peer)) {
        event = tell(peer, EVENT_CLIENT_REFUSED);
        snprintf(event->text, sizeof(event->text),
                 "for user %u `trusted` of host `%s` has changed: what it has in hand ends in an error, and "
                 "it may connect again",
                 (unsigned)peer->who.uid, peer->host->name);
        peer_hung_up(peer);
    }
}

void host_look_at_taken(Host *host) {
    for (size_t i = host->peers.n; i > 0; i--) {
        Peer *peer = table_at(&host->peers, i - 1);

        if (peer->worker && !is_among(&host->settings->workers, &peer->who))
            host_worker_kill(host, peer->worker, "its user is no longer in `workers` of the host");
    }
    for (size_t i = host->peers.n; i > 0; i--) {
        Peer *peer = table_at(&host->peers, i - 1);

        if (peer->client)
            look_at_client(peer);
    }
}

static void hear_reserve_private(Peer *peer, const PacketReserve *wish) {
    Packet packet;

    packet_init(&packet, PACKET_RESERVED, wish->header.serial);
    if (wish->client || wish->slot || wish->bytes % PAGE_BYTES) {
        peer_misbehaved(peer, "a RESERVE for what is not its own");
        return;
    }
    host_reserve_private(peer->host, peer->worker, wish, &packet.reserved);
    peer_answer(peer, &packet, NULL, 0);
}

/* Of a client that went with the host before, as its probe did: GONE is on its way to the worker. */
static bool is_of_the_past(const Peer *peer, const PacketReserve *wish) {
    return peer->worker && peer->worker->older && !table_find(&peer->host->clients, wish->client);
}

static void hear_reserve(Peer *peer, const PacketReserve *wish) {
    bool is_worker = peer->role == PEER_WORKER;
    HostClient *client = is_worker ? worker_find_met(peer->host, peer->worker, wish->client) : peer->client;
    Packet packet;

    packet_init(&packet, PACKET_RESERVED, wish->header.serial);
    if (is_of_the_past(peer, wish)) {
        packet.reserved.client = wish->client;
        packet.reserved.code = REASON_NOT_FOUND;
        peer_answer(peer, &packet, NULL, 0);
        return;
    }
    if (!client || client->id != wish->client || wish->slot >= client->n_slots || wish->bytes % PAGE_BYTES ||
        wish->direction != (is_worker ? DIRECTION_RESPONSE : DIRECTION_REQUEST)) {
        peer_misbehaved(peer, "a RESERVE for what is not its own");
        return;
    }
    host_reserve(peer->host, client, wish, &packet.reserved);
    peer_answer(peer, &packet, NULL, 0);
}

/* What a worker asks before it has said what it holds it asks again after that. */
static bool comes_again(const Peer *peer, uint32_t type) {
    return peer->worker && peer->worker->counting && (type == PACKET_RESERVE || type == PACKET_MEET);
}

static int hear(Peer *peer, const Packet *packet) {
    if (comes_again(peer, packet->header.type))
        return 0;
    switch (packet->header.type) {
    case PACKET_HELLO:
        return hear_hello(peer, &packet->hello);
    case PACKET_RESERVE:
        if (peer->role == PEER_WORKER && packet->reserve.direction == DIRECTION_PRIVATE)
            hear_reserve_private(peer, &packet->reserve);
        else
            hear_reserve(peer, &packet->reserve);
        return 0;
    case PACKET_LOOK:
        client_hear_look(peer->host, peer->client, &packet->slot);
        return 0;
    case PACKET_MEET:
        worker_hear_meet(peer, &packet->meet);
        return 0;
    case PACKET_DROPPED:
        worker_hear_dropped(peer->host, peer->worker, packet->id.client);
        return 0;
    case PACKET_HOLDS:
        worker_hear_holds(peer, packet->id.client);
        return 0;
    case PACKET_PONG:
        peer->worker->pinged_ns = 0;
        return 0;
    case PACKET_LEAVING:
        worker_hear_leaving(peer->host, peer->worker);
        return 0;
    case PACKET_STATUS:
    case PACKET_STATUS_SLOTS:
        peer->status_slots = packet->header.type == PACKET_STATUS_SLOTS;
        peer->status_part = 1;
        peer->status_after = 0;
        peer->status_client = 0;
        peer->status_serial = packet->header.serial;
        return status_continue(peer);
    case PACKET_TRACE:
        trace_hear(peer, &packet->trace);
        return 0;
    default:
        return 0; /* packet_check() lets nothing else through */
    }
}

/* One packet at a time, so that a peer that talks much delays nobody. */
static int listen_to(Peer *peer) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;
    const char *fault;
    int r;

    if (peer->host->fds_may_come && channel_next_has_fds(peer->fd)) {
        peer_misbehaved(peer, "descriptors, which nobody has any to send");
        return 0;
    }
    r = channel_receive(peer->fd, &packet, sizeof(packet), &bytes, fds, &n_fds);
    if (r == -EAGAIN)
        return 0;
    if (r < 0) {
        if (r == -EBADMSG)
            peer_misbehaved(peer, "a packet that was cut off");
        else
            peer_hung_up(peer);
        return 0;
    }
    for (size_t i = 0; i < n_fds; i++)
        fd_close(fds[i]);
    fault = packet_check(&packet, bytes, n_fds, peer->role);
    if (fault) {
        peer_misbehaved(peer, fault);
        return 0;
    }
    return hear(peer, &packet);
}

/* There is room for what did not fit. */
static int go_on(Peer *peer) {
    int r = wait_modify(&peer->source, WAIT_READ);

    if (r == 0)
        r = peer_say_again(peer);
    if (r < 0 || peer->owes_again)
        return r;
    if (peer->role == PEER_STATUS)
        return status_continue(peer);
    if (peer->worker)
        worker_sync(peer->worker, peer->host);
    else if (peer->client)
        r = client_sync(peer->client, peer->host->n_workers);
    return r;
}

/* A socket that is said to have room has it for an answer of any size. */
static bool has_room(const Peer *peer) {
    int events = wait_for_fd(peer->fd, WAIT_WRITE, 0);

    return events < 0 || (uint32_t)events & WAIT_WRITE;
}

/*
 * Whoever does not read what it was told is not heard until it does: so an answer always fits, and nobody can
 * make the host keep answers, or fill a worker's socket so that its own do not fit. One that has hung up is
 * heard to its end.
 */
int peer_dispatch(Peer *peer, uint32_t events) {
    if (events & WAIT_WRITE)
        return go_on(peer);
    if (!(events & WAIT_HANGUP) && !has_room(peer))
        return wait_modify(&peer->source, WAIT_WRITE);
    return listen_to(peer);
}
