/* SPDX-License-Identifier: MIT */
#include "core/host-internal.h"

#include "base/error.h"
#include "os/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool keeps(const Host *host) {
    return host->store.keeper && !host->store.closing;
}

static int store(const Host *host, const char *name, const int *fds, size_t n_fds) {
    return host->store.keeper->store(host->store.keeper->data, name, fds, n_fds);
}

static void drop(const Host *host, const char *name) {
    host->store.keeper->drop(host->store.keeper->data, name);
}

static int identify(const int *fds, size_t n_fds, IndexObject *objects) {
    int r = 0;

    for (size_t i = 0; i < n_fds && r == 0; i++)
        r = descriptor_identify(fds[i], &objects[i].device, &objects[i].inode);
    return r;
}

/*
 * Hand @fds over and have @record count from then on, by @key.
 * @ret_kept:   one more than the record's number
 * Return: 0; -ENOSPC when there is no place for it; or another negative errno.
 */
static int keep(Host *host, IndexKind kind, uint64_t key, void *record, const int *fds, uint32_t *ret_kept) {
    void *index = host->store.index.map;
    size_t offset, bytes, n_fds = index_n_fds(kind);
    uint32_t number = index_place(index, kind, &offset, &bytes);
    char name[INDEX_NAME_BYTES];
    int r;

    if (number == UINT32_MAX)
        return error_origin(-ENOSPC);
    r = page_allocate(&host->store.index, offset, bytes);
    if (r == 0)
        r = identify(fds, n_fds, index_objects(kind, record));
    if (r < 0)
        return r;
    index_put(index, kind, number, record);
    r = store(host, index_name(kind, number, name), fds, n_fds);
    if (r < 0)
        return r;
    index_set(index, kind, number, key);
    *ret_kept = number + 1;
    return 0;
}

static void forget(Host *host, IndexKind kind, uint32_t *kept) {
    char name[INDEX_NAME_BYTES];

    if (*kept == 0 || !keeps(host))
        return;
    index_set(host->store.index.map, kind, *kept - 1, 0);
    drop(host, index_name(kind, *kept - 1, name));
    *kept = 0;
}

/* Once: it is so until the host ends, and is worth a line, not one for each client. */
static void tell_unkept(Host *host, int r) {
    Event *event;

    if (host->store.told)
        return;
    host->store.told = true;
    event = event_push(&host->events, EVENT_LIMIT);
    if (r == -ENOSPC)
        snprintf(event->text, sizeof(event->text),
                 "more than %u clients or %u users at a time are not kept when the host is restarted: those "
                 "above lose their connection "
                 "then; have several hosts",
                 INDEX_CLIENTS, INDEX_UIDS);
    else
        snprintf(event->text, sizeof(event->text),
                 "the service manager takes no descriptors: some clients lose their connection when the host "
                 "is restarted: %s",
                 strerror(-r));
}

int host_store_begin(Host *host) {
    Page *index = &host->store.index;
    int r = page_init_sparse(index, "shmipc-index", index_bytes());

    if (r == 0)
        r = page_allocate(index, 0, PAGE_BYTES);
    if (r < 0)
        return r;
    index_format(index->map, host->name);
    r = store(host, INDEX_NAME, &index->fd, 1);
    if (r < 0) {
        tell_unkept(host, r);
        host->store.keeper = NULL; /* without an index nothing else is worth keeping */
    }
    return 0;
}

void host_store_uid(Host *host, HostUid *uid) {
    IndexUid record = {.uid = uid->uid};
    int r = keeps(host) ? keep(host, INDEX_UID, uid->number, &record, &uid->queue, &uid->kept) : 0;

    if (r < 0)
        tell_unkept(host, r);
}

void host_store_client(Host *host, HostClient *client) {
    const int fds[] = {
        [KEPT_SOCKET] = client->peer->fd,      [KEPT_SUBMIT] = client->submit.fd,
        [KEPT_STATE] = client->states.fd,      [KEPT_REPLY_QUEUE] = client->reply_queue,
        [KEPT_REQUESTS] = client->requests_fd, [KEPT_RESPONSES] = client->responses_fd,
    };
    IndexClient record = {
        .since_ns = client->since_ns,
        .stride = client->stride,
        .n_slots = client->n_slots,
        .trusted = client->trusted,
    };
    int r;

    /* The probe ends with its host. */
    if (!keeps(host) || client->probe)
        return;
    if (!client->uid->kept)
        host_store_uid(host, client->uid); /* it could not be kept before */
    if (!client->uid->kept)
        return;
    text_copy(record.name, sizeof(record.name), client->name);
    r = keep(host, INDEX_CLIENT, client->id, &record, fds, &client->kept);
    if (r < 0)
        tell_unkept(host, r);
}

/* One that is not taken is enough for this time. */
void host_store_again(Host *host) {
    for (size_t i = 0; i < host->clients.n; i++) {
        HostClient *client = table_at(&host->clients, i);

        if (client->kept || client->probe || !client->peer)
            continue;
        host_store_client(host, client);
        if (!client->kept)
            return;
    }
}

int host_store_worker(Host *host, HostWorker *worker) {
    const int fds[] = {[WORKER_SOCKET] = worker->peer->fd, [WORKER_PIDFD] = worker->pidfd};
    IndexWorker record = {
        .since_ns = worker->since_ns,
        .timeout_ns = worker->timeout_ns,
        .in_reach = worker->in_reach,
    };

    if (!keeps(host))
        return 0;
    text_copy(record.name, sizeof(record.name), worker->name);
    /* before it can be anywhere in a slot's word */
    index_set_last_worker(host->store.index.map, worker->number);
    return keep(host, INDEX_WORKER, worker->number, &record, fds, &worker->kept);
}

void host_store_leaving(Host *host, const HostWorker *worker) {
    IndexWorker *record;

    if (!keeps(host) || !worker->kept)
        return;
    record = index_record(host->store.index.map, INDEX_WORKER, worker->kept - 1);
    record->leaving = true;
}

void host_drop_uid(Host *host, HostUid *uid) {
    forget(host, INDEX_UID, &uid->kept);
}

void host_drop_client(Host *host, HostClient *client) {
    forget(host, INDEX_CLIENT, &client->kept);
}

void host_drop_worker(Host *host, HostWorker *worker) {
    forget(host, INDEX_WORKER, &worker->kept);
}

void host_store_listener(Host *host, int fd) {
    int r = keeps(host) ? store(host, INDEX_LISTENER, &fd, 1) : 0;

    if (r < 0)
        tell_unkept(host, r);
}

void host_drop_listener(Host *host) {
    if (host->store.listener < 0)
        return;
    host->store.listener = fd_close(host->store.listener);
    if (keeps(host))
        drop(host, INDEX_LISTENER);
}
