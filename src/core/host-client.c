/* SPDX-License-Identifier: MIT */
/* Clients of a host: what they are given, what they ask, and what is left when they go. */
#include "core/host-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/limits.h"
#include "os/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static Event *tell(Host *host, const HostClient *client, EventKind kind) {
    Event *event = event_push(&host->events, kind);

    event->client = client->id;
    event->pid = client->pid;
    event->uid = client->uid->uid;
    text_copy(event->name, sizeof(event->name), client->name);
    return event;
}

static void open_account(HostClient *client, HostAccount *account) {
    client->account = account;
    account->n_clients++;
    account->n_slots += client->n_slots;
}

static void close_account(Host *host, HostClient *client) {
    HostAccount *account = client->account;

    account->n_clients--;
    account->n_slots -= client->n_slots;
    account->memory_bytes -= client->reserved_bytes[0] + client->reserved_bytes[1];
    host_release_charge(host, client->charge, client->reply_queue);
    host_put_account(host, account);
}

void host_client_free(Host *host, HostClient *client) {
    host_drop_client(host, client);
    if (table_find(&host->clients, client->id) == client)
        table_remove(&host->clients, client->id);
    if (client->uid && --client->uid->n_clients == 0)
        client->uid->idle_since_ns = clock_now_ns();
    for (uint32_t i = 0; client->uid && client->owed && i < client->n_slots; i++)
        client->uid->n_owed -= client->owed[i];
    host->memory_bytes -= client->reserved_bytes[0] + client->reserved_bytes[1];
    close_account(host, client);
    page_deinit(&client->submit);
    page_deinit(&client->states);
    fd_close(client->requests_fd);
    fd_close(client->responses_fd);
    free(client->reserved[0]);
    free(client->reserved[1]);
    free(client->owed);
    free(client->idle);
    free(client->told_cancel);
    host_free_losses(client);
    free(client);
    if (host->repeat_due)
        host->tick_ns = 0; /* what was wanting is there again: look at once */
}

static int make_pages(HostClient *client) {
    size_t bytes = slots_page_bytes(client->n_slots);
    int r = page_init_create(&client->submit, "shmipc-submit", bytes);

    if (r < 0)
        return r;
    r = page_init_create(&client->states, "shmipc-state", bytes);
    if (r < 0)
        return r;
    submit_page_format(client->submit.map, client->n_slots);
    state_page_format(client->states.map, client->n_slots);
    return 0;
}

/* Its queue, pages and objects. Return: 0, a QueueLimit, or negative errno. */
static int make_objects(Host *host, HostClient *client) {
    int r = make_pages(client);

    if (r < 0)
        return r;
    r = host_make_queue(host, REPLY_QUEUE_DEPTH, &client->reply_queue);
    if (r == 0)
        r = host_charge(host, client->account, client->reply_queue, &client->charge);
    if (r != 0)
        return r;
    r = host_make_object(host, client->n_slots * client->stride, &client->requests_fd);
    if (r < 0)
        return r;
    return host_make_object(host, client->n_slots * client->stride, &client->responses_fd);
}

/* A client without its objects, which host_client_free() takes back. Return: 0 or -ENOMEM. */
static int new_client(Peer *peer, uint64_t id, uint32_t n_slots, uint64_t stride, HostClient **ret) {
    HostClient *client = calloc(1, sizeof(*client));

    if (!client)
        return error_origin(-ENOMEM);
    client->submit = client->states = (Page)PAGE_NULL;
    client->reply_queue = client->requests_fd = client->responses_fd = -1;
    client->id = id;
    client->pid = peer->who.pid;
    client->probe = peer->is_probe;
    client->since_ns = peer->since_ns;
    client->n_slots = n_slots;
    client->stride = stride;
    client->huge = client->probe ? HUGE_NEVER : host_huge_pages(peer->host);
    open_account(client, peer->account);
    text_copy(client->name, sizeof(client->name), peer->name);
    for (int i = 0; i < 2; i++)
        client->reserved[i] = calloc(client->n_slots, sizeof(uint64_t));
    client->owed = calloc(client->n_slots, sizeof(bool));
    client->idle = calloc(client->n_slots, sizeof(*client->idle));
    client->told_cancel = calloc(client->n_slots, sizeof(*client->told_cancel));
    *ret = client;
    if (!client->reserved[0] || !client->reserved[1] || !client->owed || !client->idle ||
        !client->told_cancel)
        return error_origin(-ENOMEM);
    return 0;
}

/* Its objects are there: from now on it is one of the host's. Return: 0 or -ENOMEM. */
static int enter_client(Host *host, HostClient *client, HostUid *uid) {
    client->uid = uid;
    uid->n_clients++;
    trace_mark(host, client);
    return table_insert(&host->clients, client->id, client);
}

/* Return: 0, a QueueLimit, or negative errno. */
static int make_client(Peer *peer, HostClient **ret) {
    Host *host = peer->host;
    HostClient *client = NULL;
    HostUid *uid;
    int r =
        new_client(peer, host->next_id++, host->settings->requests_per_client, host_stride(host), &client);

    if (r == 0)
        r = make_objects(host, client);
    if (r == 0)
        r = host_get_uid(host, peer->who.uid, &uid);
    if (r == 0)
        r = enter_client(host, client, uid);
    if (r != 0) {
        if (client)
            host_client_free(host, client);
        return r;
    }
    client->trusted = peer_is_trusted(peer);
    *ret = client;
    return 0;
}

/*
 * The descriptors that go with WELCOME, each opened for this client alone. Return: 0 or negative errno; what
 * was opened is in @fds.
 */
static int open_for_client(const HostClient *client, int fds[static WELCOME_N_FDS]) {
    int r = queue_connect(client->uid->queue, QUEUE_WRITE, &fds[WELCOME_REQUEST_QUEUE]);

    if (r == 0)
        r = queue_connect(client->reply_queue, QUEUE_READ, &fds[WELCOME_REPLY_QUEUE]);
    if (r == 0)
        r = page_reopen(&client->submit, true, &fds[WELCOME_SUBMIT]);
    if (r == 0)
        r = page_reopen(&client->states, false, &fds[WELCOME_STATE]);
    if (r == 0)
        r = object_connect(client->requests_fd, true, &fds[WELCOME_REQUESTS]);
    if (r == 0)
        r = object_connect(client->responses_fd, false, &fds[WELCOME_RESPONSES]);
    return r;
}

static int welcome(Peer *peer, const HostClient *client) {
    int fds[WELCOME_N_FDS] = {-1, -1, -1, -1, -1, -1};
    Packet packet;
    int r = open_for_client(client, fds);

    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.version = PROTOCOL_VERSION;
    packet.welcome.n_slots = client->n_slots;
    packet.welcome.id = client->id;
    packet.welcome.max_payload = peer->host->settings->max_payload;
    packet.welcome.stride = client->stride;
    packet.welcome.uid = client->uid->uid;
    packet.welcome.n_workers = client->told_workers;
    packet.welcome.flags = (client->trusted ? WELCOME_TRUSTED : 0) |
                           (client->huge != HUGE_NEVER ? WELCOME_HUGE : 0) |
                           (client->huge == HUGE_ALWAYS ? WELCOME_HUGE_ALL : 0);
    if (r == 0)
        r = peer_say(peer, &packet, fds, WELCOME_N_FDS);
    for (size_t i = 0; i < WELCOME_N_FDS; i++)
        fd_close(fds[i]);
    return r;
}

/* Why a client cannot be let in, in words; and in the log, since the cure is the administrator's. */
static void refuse_for_limit(Peer *peer, int r) {
    char text[REFUSED_TEXT_BYTES - 6];

    if (r > 0)
        queue_limit_text((QueueLimit)r, text, sizeof(text));
    else if (r == -EMFILE || r == -ENFILE)
        snprintf(text, sizeof(text),
                 "no descriptor is left for another client: raise LimitNOFILE= of the unit");
    else if (r == -ETOOMANYREFS)
        snprintf(text, sizeof(text),
                 "too many descriptors are under way to clients that do not receive them: raise LimitNOFILE= "
                 "of the unit");
    else
        snprintf(text, sizeof(text), "%s", strerror(-r));
    peer_refuse_for_system(peer, text);
}

void client_attach(Peer *peer) {
    Host *host = peer->host;
    char text[REFUSED_TEXT_BYTES];
    HostClient *client = NULL;
    int r;

    if (host_refuses(peer->account) && !peer->is_probe) {
        peer_refuse(peer, REASON_REFUSED, "%s", host_refusal_text(host, peer->account, text));
        return;
    }
    host_look_at_flying(host, peer->account);
    if (!host_admits_client(peer))
        return;
    r = make_client(peer, &client);
    if (r != 0) {
        refuse_for_limit(peer, r);
        return;
    }
    client->told_workers = host->n_workers;
    client->peer = peer;
    host_store_client(host, client);
    r = welcome(peer, client);
    if (r < 0) {
        host_client_free(host, client);
        if (r != -EPIPE) /* it did not wait; that is seen by its own event */
            refuse_for_limit(peer, r);
        return;
    }
    peer_becomes(peer, PEER_CLIENT);
    peer->client = client;
    client->charge->n_flying = WELCOME_N_FDS;
    client->account->n_flying += WELCOME_N_FDS;
    if (!client->probe) {
        host->n_clients++;
        client->uid->n_here++;
        tell(host, client, EVENT_CLIENT_ATTACHED);
    }
}

/* --- after another host --- */

/* Return: 0 or negative errno, -EBADMSG for what cannot have been a client's. */
static int connect_pages(HostClient *client, int *fds) {
    size_t bytes = slots_page_bytes(client->n_slots);
    int r = page_init_connect(&client->submit, TAKE_FD(fds[KEPT_SUBMIT]), bytes, true);

    if (r == 0)
        r = page_init_connect(&client->states, TAKE_FD(fds[KEPT_STATE]), bytes, true);
    if (r < 0)
        return r;
    if (!submit_page_is_valid(client->submit.map, client->n_slots) ||
        !state_page_is_valid(client->states.map, client->n_slots))
        return error_origin(-EBADMSG);
    return 0;
}

static bool has_size(int fd, uint64_t bytes) {
    uint64_t is;

    return object_size(fd, &is) == 0 && is == bytes;
}

static int connect_objects(Host *host, HostClient *client, int *fds) {
    uint64_t bytes = client->n_slots * client->stride;
    int r = connect_pages(client, fds);

    if (r < 0)
        return r;
    if (!queue_holds(fds[KEPT_REPLY_QUEUE], sizeof(Message)) || !has_size(fds[KEPT_REQUESTS], bytes) ||
        !has_size(fds[KEPT_RESPONSES], bytes))
        return error_origin(-EBADMSG);
    client->reply_queue = TAKE_FD(fds[KEPT_REPLY_QUEUE]);
    client->requests_fd = TAKE_FD(fds[KEPT_REQUESTS]);
    client->responses_fd = TAKE_FD(fds[KEPT_RESPONSES]);
    return host_charge(host, client->account, client->reply_queue, &client->charge);
}

/* Workers may have written anything there. */
static uint64_t plausible(const HostClient *client, uint64_t bytes) {
    return bytes <= client->stride && bytes % PAGE_BYTES == 0 ? bytes : client->stride;
}

/* What was reserved counts again; the budget may be exceeded until some of it is given back. */
static void count_reserved(Host *host, HostClient *client) {
    for (uint32_t slot = 0; slot < client->n_slots; slot++) {
        host_count_reserved(host, client, slot, 0,
                            plausible(client, state_reserved(client->states.map, slot)));
        host_count_reserved(host, client, slot, 1,
                            plausible(client, state_reserved_response(client->states.map, slot)));
    }
}

static bool record_fits(const Host *host, const IndexClient *record) {
    return record->n_slots > 0 && record->n_slots <= SLOTS_MAX && record->stride > 0 &&
           record->stride % PAGE_BYTES == 0 && record->stride <= (uint64_t)INT64_MAX / record->n_slots &&
           !table_find(&host->clients, record->key);
}

static int take_up(Peer *peer, const IndexClient *record, int *fds, HostClient **ret) {
    Host *host = peer->host;
    HostUid *uid = table_find(&host->uids, peer->who.uid);
    int r;

    if (!uid)
        return error_origin(-EBADMSG);
    r = new_client(peer, record->key, record->n_slots, record->stride, ret);
    if (r == 0)
        r = connect_objects(host, *ret, fds);
    return r == 0 ? enter_client(host, *ret, uid) : r;
}

int client_take_up(Host *host, const IndexClient *record, uint32_t number, int *fds) {
    HostClient *client = NULL;
    Peer *peer;
    int r;

    if (!record_fits(host, record) || !channel_is_connection(fds[KEPT_SOCKET]))
        return error_origin(-EBADMSG);
    r = host_add_peer(host, TAKE_FD(fds[KEPT_SOCKET]), false, &peer);
    if (r < 0)
        return r;
    text_copy(peer->name, sizeof(peer->name), record->name);
    r = take_up(peer, record, fds, &client);
    if (r < 0) {
        if (client)
            host_client_free(host, client);
        peer_free(peer);
        return r;
    }
    client->since_ns = record->since_ns;
    client->trusted = record->trusted;
    client->untold = true;
    client->kept = number + 1;
    count_reserved(host, client);
    client_end_holds(host, client);
    client->peer = peer;
    peer->client = client;
    peer_becomes(peer, PEER_CLIENT);
    peer->owes_again = true;
    host->n_clients++;
    client->uid->n_here++;
    host_never_again(host, client->id);
    return 0;
}

void host_notify(HostClient *client, uint32_t slot, uint32_t generation) {
    const Message message = {.client = client->id, .slot = slot, .generation = generation};

    (void)queue_send(client->reply_queue, &message, sizeof(message), 0); /* full: its reader is awake */
}

/*
 * A claim whose exchange is not wanted any more: its owner hears of that once, however often the client says
 * so. It is a hint, the flag being in the submit page.
 */
static void tell_owner(Host *host, HostClient *client, const PacketSlot *look) {
    uint64_t raw;
    SlotWord word = state_load(client->states.map, look->slot, &raw);
    HostWorker *owner = table_find(&host->workers, word.owner);
    SlotState wished = slots_verdict(client->submit.map, client->states.map, look->slot, word.owner,
                                     UINT32_MAX, true, false, clock_now_ns());
    Packet packet;

    if (!owner)
        host_park_look(host, client, look->slot);
    if (!owner || !owner->peer || client->told_cancel[look->slot] == raw ||
        (wished != SLOT_CANCELLED && wished != SLOT_EXPIRED))
        return;
    packet_init(&packet, PACKET_CANCEL, 0);
    packet.cancel.client = client->id;
    packet.cancel.slot = look->slot;
    packet.cancel.generation = word.generation;
    if (peer_say(owner->peer, &packet, NULL, 0) == 0)
        client->told_cancel[look->slot] = raw;
}

bool host_read_request(const HostClient *client, uint32_t slot, uint32_t generation, SubmitRecord *ret) {
    submit_copy(client->submit.map, slot, ret);
    if (ret->payload_bytes > client->stride)
        ret->payload_bytes = 0;
    return ret->generation == generation;
}

SlotState host_end_wished(Host *host, const HostClient *client, uint32_t slot, uint64_t now_ns) {
    SlotState end = slots_look(client->submit.map, client->states.map, slot, !client->peer, now_ns);

    if (end == SLOT_CANCELLED || end == SLOT_EXPIRED)
        host_trace(host, client, slot, (TraceEnd)end, REASON_NONE, 0, 0);
    return end;
}

void client_hear_look(Host *host, HostClient *client, const PacketSlot *look) {
    if (look->slot >= client->n_slots) {
        peer_misbehaved(client->peer, "a LOOK at a slot that it does not have");
        return;
    }
    if (host_end_wished(host, client, look->slot, clock_now_ns()) == SLOT_CLAIMED)
        tell_owner(host, client, look);
    else
        host_notify(client, look->slot, look->generation);
}

void host_client_gone(Host *host, HostClient *client) {
    if (!client->probe) {
        host->n_clients--;
        client->uid->n_here--;
    }
    for (uint32_t i = 0; i < client->n_slots; i++)
        if (host_end_wished(host, client, i, 0) == SLOT_CLAIMED)
            host_park_look(host, client, i);
    host_sync_workers(host);
    host_forget_client(host, client);
}

static bool has_claims(const HostClient *client) {
    for (uint32_t i = 0; i < client->n_slots; i++)
        if (state_load(client->states.map, i, NULL).state == SLOT_CLAIMED)
            return true;
    return false;
}

/* The next host must neither miss what it has done nor count it twice. */
static void count_past(Host *host, const HostClient *client) {
    SlotCounts counts;
    IndexPast past;

    state_counts(client->states.map, client->n_slots, &counts);
    host_keep_stages(host, client);
    if (host->store.index.map) {
        index_add_past(host->store.index.map, client->id, &counts);
        index_past(host->store.index.map, &past);
        host->past = past.counts;
        return;
    }
    host->past.n_done += counts.n_done;
    host->past.n_failed += counts.n_failed;
    host->past.n_cancelled += counts.n_cancelled;
    host->past.request_bytes += counts.request_bytes;
    host->past.response_bytes += counts.response_bytes;
}

/*
 * As long as not all workers have said what they hold, any of them may hold it. A host that ends forgets
 * nobody.
 */
void host_forget_client(Host *host, HostClient *client) {
    if (host->store.closing || client->peer || client->n_met > 0 || host->n_counting > 0 ||
        has_claims(client))
        return;
    host_trace_gather(host);
    if (!client->probe)
        count_past(host, client);
    host_client_free(host, client);
}

/* One slot after a worker's end: what waits is announced, what has ended is told again. */
static void repeat_slot(Host *host, HostClient *client, uint32_t slot) {
    SlotWord word = state_load(client->states.map, slot, NULL);
    uint32_t generation;

    if (slots_pending(client->submit.map, client->states.map, slot, &generation))
        host_announce(host, client, slot, generation);
    else if (state_is_end(word.state) && word.state != SLOT_FRESH &&
             submit_released(client->submit.map, slot) != word.generation)
        host_notify(client, slot, word.generation);
}

void host_repeat(Host *host) {
    host->repeat_due = false;
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; client->peer && slot < client->n_slots; slot++)
            repeat_slot(host, client, slot);
    }
}

int client_sync(HostClient *client, uint32_t n_workers) {
    Packet packet;
    int r;

    if (!client->peer || (!client->untold && (client->told_workers > 0) == (n_workers > 0)))
        return 0;
    packet_init(&packet, PACKET_WORKERS, 0);
    packet.number.number = n_workers;
    r = peer_say(client->peer, &packet, NULL, 0);
    if (r == -EAGAIN)
        return wait_modify(&client->peer->source, WAIT_READ | WAIT_WRITE);
    if (r == 0) {
        client->told_workers = n_workers;
        client->untold = false;
    }
    return 0; /* one that has hung up is seen by its own event */
}

void host_tell_workers(Host *host) {
    for (size_t i = 0; i < host->clients.n; i++)
        (void)client_sync(table_at(&host->clients, i), host->n_workers);
}
