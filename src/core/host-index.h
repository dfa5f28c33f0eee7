/* SPDX-License-Identifier: MIT */
/*
 * The index: what a host leaves to the next one
 *
 * A service manager keeps descriptors for a host, each under a name, but neither in order nor with a word
 * about what they are. The index is a page that is kept with them and says it: one record for each uid that
 * has a queue, each client and each worker. A record's kind and number make the name of its descriptors: u3,
 * c17, w0.
 *
 * A host may be killed at any instruction. So a record counts by its key alone, which is stored after all the
 * rest of it and cleared before anything else; the descriptors are handed over between the two. What is kept
 * without a record that counts is let go of, and a record whose descriptors are not there is none.
 *
 * It is read like a file that somebody else has written: index_check() first, and each record as a copy. No
 * system calls here. The page is sparse: whoever fills a place sees to its memory first (index_place()).
 */
#pragma once

#include "wire/hello.h"
#include "wire/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_VERSION 1u
#define INDEX_NAME    "index" /* of its descriptor; INDEX_LISTENER is the listening socket's */
#define INDEX_LISTENER "socket"

/*
 * The names of all that is kept come back in one string of the environment, of which the kernel takes 128
 * KiB. A host's bounds keep it below that, with room for what a unit may keep besides.
 */
#define INDEX_UIDS    1000u
#define INDEX_CLIENTS 3000u
#define INDEX_WORKERS 500u

typedef enum IndexKind {
    INDEX_UID, /* in the order in which they are taken up */
    INDEX_CLIENT,
    INDEX_WORKER,
    _INDEX_KINDS,
} IndexKind;

/* Roles of a record's descriptors. */
enum { UID_QUEUE, UID_N_FDS };
enum { KEPT_SOCKET, KEPT_SUBMIT, KEPT_STATE, KEPT_REPLY_QUEUE, KEPT_REQUESTS, KEPT_RESPONSES, KEPT_N_FDS };
enum { WORKER_SOCKET, WORKER_PIDFD, WORKER_N_FDS };

#define INDEX_FDS_MAX KEPT_N_FDS

/* Which object a descriptor leads to, as fstat says. */
typedef struct IndexObject {
    uint64_t device;
    uint64_t inode;
} IndexObject;

typedef struct IndexUid {
    uint64_t key; /* number of the queue; 0: no record */
    uint64_t uid;
    IndexObject objects[UID_N_FDS];
} IndexUid;

typedef struct IndexClient {
    uint64_t key; /* id */
    uint64_t since_ns;
    uint64_t stride;
    uint32_t n_slots;
    uint32_t trusted;
    IndexObject objects[KEPT_N_FDS];
    char name[NAME_BYTES];
} IndexClient;

typedef struct IndexWorker {
    uint64_t key; /* number */
    uint64_t since_ns;
    uint64_t timeout_ns;
    uint32_t leaving;
    uint32_t in_reach;
    IndexObject objects[WORKER_N_FDS];
    char name[NAME_BYTES];
} IndexWorker;

/* What has been counted of clients that are gone. */
typedef struct IndexPast {
    uint64_t last; /* id of the client that was added last */
    SlotCounts counts;
} IndexPast;

/** index_bytes() - the size of an index. */
size_t index_bytes(void);

/** index_format() - write the head of a zeroed page. */
void index_format(void *index, const char *host);

/**
 * index_check() - whether it is one of this version, for this host. Return: NULL, or what is wrong with it,
 * for the log.
 */
const char *index_check(const void *index, const char *host);

/**
 * index_place() - a place for one more record
 * @ret_offset, @ret_bytes: what of the page must have memory before it is filled
 * Return: its number; UINT32_MAX when there is none left.
 */
uint32_t index_place(const void *index, IndexKind kind, size_t *ret_offset, size_t *ret_bytes);

/** index_record() - where record @number is. */
void *index_record(const void *index, IndexKind kind, uint32_t number);

/** index_put() - fill a place: all of @record, whose key is not 0, but for that; see index_set(). */
void index_put(void *index, IndexKind kind, uint32_t number, const void *record);

/** index_set() - have it count by its key; 0: not any more. */
void index_set(void *index, IndexKind kind, uint32_t number, uint64_t key);

/** index_copy() - one copy of a record into @ret_record. Return: whether it counts. */
bool index_copy(const void *index, IndexKind kind, uint32_t number, void *ret_record);

/** index_n() - one more than the highest number that was ever used. */
uint32_t index_n(const void *index, IndexKind kind);

/** index_n_fds() - how many descriptors a record has. */
size_t index_n_fds(IndexKind kind);

/** index_objects() - where the objects of a record of this kind are. */
IndexObject *index_objects(IndexKind kind, void *record);

/**
 * index_name() / index_parse() - the name of a record's descriptors. Return: @name; whether it is such a
 * name.
 */
#define INDEX_NAME_BYTES 16
const char *index_name(IndexKind kind, uint32_t number, char name[static INDEX_NAME_BYTES]);
bool index_parse(const char *name, IndexKind *ret_kind, uint32_t *ret_number);

/** index_next_worker() - the last number that a worker was given; index_set_next_worker() before it is. */
uint32_t index_last_worker(const void *index);
void index_set_last_worker(void *index, uint32_t number);

/**
 * index_past() - what was counted so far. index_add_past() - add what client @id has done: once, however
 * often it is said.
 */
void index_past(const void *index, IndexPast *ret_past);
void index_add_past(void *index, uint64_t id, const SlotCounts *counts);
