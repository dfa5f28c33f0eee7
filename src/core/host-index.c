/* SPDX-License-Identifier: MIT */
#include "core/host-index.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

#define MAGIC      "SHMIPCIX"
#define HEAD_BYTES 512u

/*
 * Two pasts in turn: the one that counts is complete at any time, and says which client it has counted last,
 * so that a client that was counted by a host which was then killed is not counted again.
 */
typedef struct Head {
    char magic[8];
    uint32_t version;
    uint32_t last_worker;
    char host[NAME_BYTES];
    uint32_t n[_INDEX_KINDS]; /* records that were ever used, which is where to look */
    uint32_t past;            /* which one counts */
    IndexPast pasts[2];
} Head;

_Static_assert(sizeof(Head) <= HEAD_BYTES, "the head has its room");
_Static_assert(sizeof(IndexUid) == 32 && sizeof(IndexClient) == 192 && sizeof(IndexWorker) == 128,
               "another layout is another INDEX_VERSION");

static const struct {
    char letter;
    uint32_t n_max;
    uint32_t bytes;
    uint32_t offset;  /* of the first record */
    uint32_t n_fds;
    uint32_t objects; /* offset in a record */
} kinds[_INDEX_KINDS] = {
    [INDEX_UID] = {'u', INDEX_UIDS, sizeof(IndexUid), HEAD_BYTES, UID_N_FDS, offsetof(IndexUid, objects)},
    [INDEX_CLIENT] = {'c', INDEX_CLIENTS, sizeof(IndexClient), HEAD_BYTES + INDEX_UIDS * sizeof(IndexUid),
                      KEPT_N_FDS, offsetof(IndexClient, objects)},
    [INDEX_WORKER] = {'w', INDEX_WORKERS, sizeof(IndexWorker),
                      HEAD_BYTES + INDEX_UIDS * sizeof(IndexUid) + INDEX_CLIENTS * sizeof(IndexClient),
                      WORKER_N_FDS, offsetof(IndexWorker, objects)},
};

size_t index_bytes(void) {
    return kinds[INDEX_WORKER].offset + INDEX_WORKERS * sizeof(IndexWorker);
}

static Head *head_of(const void *index) {
    return (Head *)(uintptr_t)index;
}

/* The store that makes what was stored before count: the order holds for whoever is killed in between. */
#define PUBLISH(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)

void index_format(void *index, const char *host) {
    Head *head = head_of(index);

    head->version = INDEX_VERSION;
    text_copy(head->host, sizeof(head->host), host);
    memcpy(head->magic, MAGIC, sizeof(head->magic));
}

const char *index_check(const void *index, const char *host) {
    const Head *head = index;

    if (memcmp(head->magic, MAGIC, sizeof(head->magic)) != 0)
        return "what was kept is no index";
    if (head->version != INDEX_VERSION)
        return "it was kept by another version of shmipc";
    if (strncmp(head->host, host, sizeof(head->host)) != 0)
        return "it was kept by a host of another name";
    if (head->past >= ELEMENTS(head->pasts))
        return "its index is damaged";
    for (size_t kind = 0; kind < _INDEX_KINDS; kind++)
        if (head->n[kind] > kinds[kind].n_max)
            return "its index is damaged";
    return NULL;
}

void *index_record(const void *index, IndexKind kind, uint32_t number) {
    return (uint8_t *)(uintptr_t)index + kinds[kind].offset + (size_t)number * kinds[kind].bytes;
}

/* Each record begins with it. */
static uint64_t *key_of(const void *index, IndexKind kind, uint32_t number) {
    return index_record(index, kind, number);
}

uint32_t index_n(const void *index, IndexKind kind) {
    return head_of(index)->n[kind];
}

uint32_t index_place(const void *index, IndexKind kind, size_t *ret_offset, size_t *ret_bytes) {
    uint32_t number = 0;

    while (number < index_n(index, kind) && *key_of(index, kind, number) != 0)
        number++;
    if (number >= kinds[kind].n_max)
        return UINT32_MAX;
    *ret_offset = kinds[kind].offset + (size_t)number * kinds[kind].bytes;
    *ret_bytes = kinds[kind].bytes;
    return number;
}

void index_put(void *index, IndexKind kind, uint32_t number, const void *record) {
    uint8_t *place = index_record(index, kind, number);
    const size_t key = sizeof(uint64_t);

    if (number >= index_n(index, kind))
        PUBLISH(head_of(index)->n[kind], number + 1);
    memcpy(place + key, (const uint8_t *)record + key, kinds[kind].bytes - key);
}

void index_set(void *index, IndexKind kind, uint32_t number, uint64_t key) {
    if (number < index_n(index, kind))
        PUBLISH(*key_of(index, kind, number), key);
}

bool index_copy(const void *index, IndexKind kind, uint32_t number, void *ret_record) {
    if (number >= index_n(index, kind) || *key_of(index, kind, number) == 0)
        return false;
    memcpy(ret_record, index_record(index, kind, number), kinds[kind].bytes);
    return true;
}

size_t index_n_fds(IndexKind kind) {
    return kinds[kind].n_fds;
}

IndexObject *index_objects(IndexKind kind, void *record) {
    return (void *)((uint8_t *)record + kinds[kind].objects);
}

const char *index_name(IndexKind kind, uint32_t number, char name[static INDEX_NAME_BYTES]) {
    snprintf(name, INDEX_NAME_BYTES, "%c%u", kinds[kind].letter, number);
    return name;
}

/* Only what index_name() makes: any other spelling is another name to the service manager. */
bool index_parse(const char *name, IndexKind *ret_kind, uint32_t *ret_number) {
    for (IndexKind kind = 0; kind < _INDEX_KINDS; kind++) {
        char same[INDEX_NAME_BYTES];
        unsigned number;

        if (name[0] != kinds[kind].letter || sscanf(name + 1, "%4u", &number) != 1 ||
            number >= kinds[kind].n_max || strcmp(index_name(kind, number, same), name) != 0)
            continue;
        *ret_kind = kind;
        *ret_number = number;
        return true;
    }
    return false;
}

uint32_t index_last_worker(const void *index) {
    return head_of(index)->last_worker;
}

void index_set_last_worker(void *index, uint32_t number) {
    PUBLISH(head_of(index)->last_worker, number);
}

void index_past(const void *index, IndexPast *ret_past) {
    const Head *head = index;

    *ret_past = head->pasts[head->past % ELEMENTS(head->pasts)];
}

void index_add_past(void *index, uint64_t id, const SlotCounts *counts) {
    Head *head = head_of(index);
    uint32_t next = (head->past + 1) % ELEMENTS(head->pasts);
    IndexPast past;

    index_past(index, &past);
    if (past.last == id)
        return;
    past.last = id;
    past.counts.n_done += counts->n_done;
    past.counts.n_failed += counts->n_failed;
    past.counts.n_cancelled += counts->n_cancelled;
    past.counts.request_bytes += counts->request_bytes;
    past.counts.response_bytes += counts->response_bytes;
    head->pasts[next] = past;
    PUBLISH(head->past, next);
}
