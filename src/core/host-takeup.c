/* SPDX-License-Identifier: MIT */
/*
 * Taking up what the host before has left
 *
 * What was kept is matched with the index, name by name; what does not match is let go of on both sides.
 * Nothing here destroys what counts, so that a host that is killed in the middle is followed by one that does
 * it again. Peers learn of it by AGAIN, and what died with the old host is repaired as after a worker's
 * death: every submitted slot is announced, every ended one told again.
 */
#include "core/host-internal.h"

#include "base/error.h"
#include "os/descriptor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A descriptor that has a record's name. */
typedef struct Item {
    IndexKind kind;
    uint32_t number;
    int fd;
} Item;

typedef struct Items {
    Item *list;
    size_t n;
} Items;

typedef union Record {
    IndexUid uid;
    IndexClient client;
    IndexWorker worker;
} Record;

bool host_keeps_name(const char *name) {
    IndexKind kind;
    uint32_t number;

    return !strcmp(name, INDEX_NAME) || !strcmp(name, INDEX_LISTENER) || index_parse(name, &kind, &number);
}

static void drop(const Host *host, const char *name) {
    host->store.keeper->drop(host->store.keeper->data, name);
}

static Event *tell(Host *host, bool ok) {
    Event *event = event_push(&host->events, EVENT_TAKEN_UP);

    event->ok = ok;
    return event;
}

/*
 * Dropping a name drops all that has it: saying it once for each costs little, and only what is of no use is
 * dropped.
 */
static void let_go(const Host *host, HostKept *kept, size_t n_kept) {
    for (size_t i = 0; i < n_kept; i++) {
        kept[i].fd = fd_close(kept[i].fd);
        drop(host, kept[i].name);
    }
}

/* Return: NULL, the index being connected; or what is wrong. */
static const char *take_index(Host *host, HostKept *kept, size_t n_kept) {
    Page *index = &host->store.index;
    HostKept *found = NULL;
    const char *fault;

    for (size_t i = 0; i < n_kept; i++) {
        if (strcmp(kept[i].name, INDEX_NAME) != 0)
            continue;
        if (found)
            return "it has two indexes";
        found = &kept[i];
    }
    if (!found)
        return "it has no index";
    if (page_init_connect(index, TAKE_FD(found->fd), index_bytes(), true) < 0)
        return "what was kept is no index of this version";
    fault = index_check(index->map, host->name);
    if (fault)
        page_deinit(index);
    return fault;
}

static void take_listener(Host *host, HostKept *kept) {
    if (host->store.listener >= 0 || !channel_listens(kept->fd)) {
        let_go(host, kept, 1);
        return;
    }
    host->store.listener = TAKE_FD(kept->fd);
}

/* Sort out what has a record's name. Return: 0 or negative errno. */
static int gather(Host *host, HostKept *kept, size_t n_kept, Items *ret_items) {
    Items items = {.list = calloc(n_kept + 1, sizeof(*items.list))};

    if (!items.list)
        return error_origin(-ENOMEM);
    for (size_t i = 0; i < n_kept; i++) {
        Item *item = &items.list[items.n];

        if (kept[i].fd < 0)
            continue;
        if (!strcmp(kept[i].name, INDEX_LISTENER))
            take_listener(host, &kept[i]);
        else if (!index_parse(kept[i].name, &item->kind, &item->number))
            let_go(host, &kept[i], 1);
        else
            items.list[items.n++].fd = TAKE_FD(kept[i].fd);
    }
    *ret_items = items;
    return 0;
}

static int compare_items(const void *a, const void *b) {
    const Item *left = a, *right = b;

    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* The first from @at on that leads to @object; @n if none does. */
static size_t find(const Item *items, size_t at, size_t n, const IndexObject *object) {
    uint64_t device, inode;

    while (at < n && (descriptor_identify(items[at].fd, &device, &inode) < 0 || device != object->device ||
                      inode != object->inode))
        at++;
    return at;
}

/*
 * Put those that the record says into the order of its roles, before what is left of a name's use before:
 * the service manager may have missed that it was to be dropped. Two for one role are not told apart; on
 * kernels where all pidfds have one inode one of them may be a dead worker's.
 * Return: whether each role has one.
 */
static bool arrange(IndexKind kind, Record *record, Item *items, size_t n) {
    const IndexObject *objects = index_objects(kind, record);

    for (size_t role = 0; role < index_n_fds(kind); role++) {
        size_t at = find(items, role, n, &objects[role]);
        int fd;

        if (at == n || find(items, at + 1, n, &objects[role]) < n)
            return false;
        fd = items[at].fd;
        items[at].fd = items[role].fd;
        items[role].fd = fd;
    }
    return true;
}

static int take_record(Host *host, IndexKind kind, const Record *record, uint32_t number, int *fds) {
    switch (kind) {
    case INDEX_UID:
        return uid_take_up(host, &record->uid, number, fds);
    case INDEX_CLIENT:
        return client_take_up(host, &record->client, number, fds);
    case INDEX_WORKER:
        return worker_take_up(host, &record->worker, number, fds);
    case _INDEX_KINDS:
        break;
    }
    return error_origin(-EBADMSG);
}

/* All that has one name. Return: 0, whether it was taken up or let go of; or -ENOMEM. */
static int take_name(Host *host, Item *items, size_t n) {
    IndexKind kind = items[0].kind;
    uint32_t number = items[0].number;
    int fds[INDEX_FDS_MAX], r = error_origin(-EBADMSG);
    char name[INDEX_NAME_BYTES];
    Record record;

    if (index_copy(host->store.index.map, kind, number, &record) && arrange(kind, &record, items, n)) {
        for (size_t i = 0; i < index_n_fds(kind); i++)
            fds[i] = items[i].fd;
        r = take_record(host, kind, &record, number, fds);
        for (size_t i = 0; i < index_n_fds(kind); i++)
            items[i].fd = fds[i]; /* those that were taken are -1 */
    }
    for (size_t i = 0; i < n; i++)
        fd_close(items[i].fd);
    if (r == 0 || r == -ENOMEM)
        return r;
    index_set(host->store.index.map, kind, number, 0);
    drop(host, index_name(kind, number, name));
    return 0;
}

static int take_all(Host *host, Items *items) {
    size_t at = 0;
    int r = 0;

    qsort(items->list, items->n, sizeof(*items->list), compare_items);
    while (at < items->n && r == 0) {
        size_t end = at + 1;

        while (end < items->n && compare_items(&items->list[at], &items->list[end]) == 0)
            end++;
        r = take_name(host, &items->list[at], end - at);
        at = end;
    }
    for (; at < items->n; at++)
        fd_close(items->list[at].fd);
    return r;
}

/* Whether a record that counts was taken up. */
static bool is_there(const Host *host, IndexKind kind, const Record *record) {
    if (kind == INDEX_UID)
        return table_find(&host->uids, record->uid.uid);
    return table_find(kind == INDEX_CLIENT ? &host->clients : &host->workers, record->client.key);
}

/* Records whose descriptors are not there. */
static void clear_index(Host *host) {
    void *index = host->store.index.map;
    Record record;

    for (IndexKind kind = 0; kind < _INDEX_KINDS; kind++)
        for (uint32_t i = 0; i < index_n(index, kind); i++)
            if (index_copy(index, kind, i, &record) && !is_there(host, kind, &record))
                index_set(index, kind, i, 0);
}

void host_never_again(Host *host, uint64_t id) {
    if (host->next_id <= id)
        host->next_id = id + 1;
}

/* Everybody is to know that this is another host, and what died with the old one is to come again. */
static void begin_again(Host *host) {
    IndexPast past;

    host->next_worker = index_last_worker(host->store.index.map);
    index_past(host->store.index.map, &past);
    host->past = past.counts;
    host_repeat(host);
    for (size_t i = host->peers.n; i > 0; i--)
        (void)peer_say_again(table_at(&host->peers, i - 1));
    host_look_at_taken(host);
    host_count_workers(host);
    host_sync_workers(host);
    host_settle_own(host);
    host->probe.due = true;
}

static int take_up(Host *host, HostKept *kept, size_t n_kept) {
    _cleanup_free_ Item *list = NULL;
    Items items = {0};
    int r = gather(host, kept, n_kept, &items);

    if (r < 0)
        return r;
    list = items.list;
    r = take_all(host, &items);
    if (r < 0)
        return r;
    clear_index(host);
    begin_again(host);
    snprintf(tell(host, true)->text, sizeof(((Event *)0)->text),
             "took up %u clients and %zu workers of the host before", host->n_clients, host->workers.n);
    return 0;
}

int host_take_up(Host *host, HostKept *kept, size_t n_kept) {
    const char *fault;

    if (n_kept == 0)
        return 0;
    fault = take_index(host, kept, n_kept);
    if (!fault)
        return take_up(host, kept, n_kept);
    let_go(host, kept, n_kept);
    snprintf(tell(host, false)->text, sizeof(((Event *)0)->text),
             "what the host before has left is let go of: %s", fault);
    return 0;
}
