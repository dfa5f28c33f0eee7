/* SPDX-License-Identifier: MIT */
/*
 * Request queues, one for each uid, so that one user's flood is nobody else's
 *
 * The host never blocks in a send: an announcement that does not fit is owed, and paid when there is room.
 */
#include "core/host-internal.h"

#include "base/error.h"
#include "os/queue.h"

#include <errno.h>

/* Return: 0, a QueueLimit, or negative errno. */
static int make_queue(Host *host, HostUid *uid) {
    HostAccount *account;
    int r = host_make_queue(host, host->settings->queue_depth, &uid->queue);

    if (r == 0)
        r = host_get_account(host, uid->uid, &account);
    return r == 0 ? host_charge(host, account, uid->queue, &uid->charge) : r;
}

static HostUid *uid_new(uid_t uid, uint64_t number) {
    HostUid *new = calloc(1, sizeof(*new));

    if (!new)
        return NULL;
    new->uid = uid;
    new->number = number;
    new->queue = -1;
    return new;
}

/* The queue is there: from now on it is one of the host's. Return: 0 or negative errno. */
static int uid_enter(Host *host, HostUid *uid) {
    int r = wait_add(host->wait, &uid->source, uid->queue, 0, SOURCE_UID, uid);

    return r == 0 ? table_insert(&host->uids, uid->uid, uid) : r;
}

int host_get_uid(Host *host, uid_t uid, HostUid **ret) {
    HostUid *found = table_find(&host->uids, uid);
    int r;

    if (found) {
        *ret = found;
        return 0;
    }
    found = uid_new(uid, host->next_id++);
    if (!found)
        return error_origin(-ENOMEM);
    r = make_queue(host, found);
    if (r == 0)
        r = uid_enter(host, found);
    if (r != 0) {
        uid_free(host, found);
        return r;
    }
    host_store_uid(host, found);
    host_sync_workers(host);
    *ret = found;
    return 0;
}

int uid_take_up(Host *host, const IndexUid *record, uint32_t number, int *fds) {
    HostAccount *account;
    HostUid *uid;
    int r;

    if (!queue_holds(fds[UID_QUEUE], sizeof(Message)) || record->uid > UINT32_MAX ||
        table_find(&host->uids, record->uid))
        return error_origin(-EBADMSG);
    uid = uid_new((uid_t)record->uid, record->key);
    if (!uid)
        return error_origin(-ENOMEM);
    uid->queue = TAKE_FD(fds[UID_QUEUE]);
    uid->idle_since_ns = clock_now_ns();
    r = host_get_account(host, uid->uid, &account);
    if (r == 0)
        r = host_charge(host, account, uid->queue, &uid->charge);
    if (r == 0)
        r = uid_enter(host, uid);
    if (r < 0) {
        uid_free(host, uid);
        return r;
    }
    uid->kept = number + 1;
    host_never_again(host, record->key);
    return 0;
}

void uid_free(Host *host, HostUid *uid) {
    host_drop_uid(host, uid);
    if (table_find(&host->uids, uid->uid) == uid)
        table_remove(&host->uids, uid->uid);
    wait_remove(&uid->source);
    host_release_charge(host, uid->charge, uid->queue);
    free(uid);
}

void host_reap_uids(Host *host, uint64_t now_ns) {
    bool any = false;

    for (size_t i = host->uids.n; i > 0; i--) {
        HostUid *uid = table_at(&host->uids, i - 1);

        if (uid->n_clients > 0 || now_ns < uid->idle_since_ns + host->patience.idle_ns)
            continue;
        uid_free(host, uid);
        any = true;
    }
    if (any)
        host_sync_workers(host);
}

static int announce(HostClient *client, uint32_t slot, uint32_t generation) {
    const Message message = {.client = client->id, .slot = slot, .generation = generation};

    return queue_send(client->uid->queue, &message, sizeof(message), 0);
}

void host_announce(Host *host, HostClient *client, uint32_t slot, uint32_t generation) {
    if (host_refuses(client->account)) {
        if (!client->probe)
            host_refuse_slot(host, client, slot);
        return;
    }
    if (client->owed[slot] || announce(client, slot, generation) == 0)
        return;
    client->owed[slot] = true;
    if (client->uid->n_owed++ == 0)
        (void)wait_modify(&client->uid->source, WAIT_WRITE);
}

/* Return: whether there was room for all that is owed to this client. */
static bool pay_client(HostClient *client) {
    uint32_t generation;

    for (uint32_t i = 0; i < client->n_slots; i++) {
        if (!client->owed[i])
            continue;
        if (slots_pending(client->submit.map, client->states.map, i, &generation) &&
            announce(client, i, generation) < 0)
            return false;
        client->owed[i] = false;
        client->uid->n_owed--;
    }
    return true;
}

int host_pay_uid(Host *host, HostUid *uid) {
    if (host_refuses_uid(host, uid->uid))
        return host_drain_uid(host, uid);
    for (size_t i = 0; i < host->clients.n && uid->n_owed > 0; i++) {
        HostClient *client = table_at(&host->clients, i);

        if (client->uid == uid && !pay_client(client))
            return 0;
    }
    return wait_modify(&uid->source, 0);
}
