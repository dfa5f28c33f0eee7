/* SPDX-License-Identifier: MIT */
/*
 * Events: what a state machine has to tell
 *
 * Host, worker and plain worker log nothing. They queue events; whoever runs them pops and logs them (src/app/log.c has one table
 * of level, MESSAGE_ID and text for each kind). A queue that nobody empties drops its newest and counts them.
 */
#pragma once

#include "core/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum EventKind {
    /* host */
    EVENT_WORKER_ATTACHED,     /* worker, pid, uid, name */
    EVENT_WORKER_DETACHED,     /* worker, pid, uid, name, duration_ns since attach */
    EVENT_WORKER_DIED,         /* likewise; text says how the host knows */
    EVENT_WORKER_KILLED,       /* text: why the host killed it */
    EVENT_CLIENT_ATTACHED,     /* client, pid, uid, name */
    EVENT_CLIENT_DETACHED,     /* client, pid, uid */
    EVENT_CLIENT_REFUSED,      /* pid, uid, reason, text */
    EVENT_PEER_MISBEHAVED,     /* client or worker, pid, uid, text; it was disconnected */
    EVENT_EXCHANGE_REDELIVERED,/* client, slot, generation, worker (the dead one), attempt */
    EVENT_HEALTH,              /* ok: whether it is well; duration_ns of the probe; text */
    EVENT_LIMIT,               /* a limit was reached; text names it and the cure */
    /* worker */
    EVENT_HOST_MISSING,        /* waits for its host; text: path */
    EVENT_HOST_ATTACHED,       /* worker: own number */
    EVENT_HOST_LOST,
    EVENT_HOST_REFUSED,        /* reason, text; it tries again */
    EVENT_FIRST_EXCHANGE,      /* a client's first exchange with this worker */
    EVENT_EXCHANGE_DONE,       /* ok: it took less than a second */
    EVENT_EXCHANGE_FAILED,     /* reason, status, text; ok: only because nobody wants the answer any more */
    EVENT_EXCHANGE_DROPPED,    /* debug: a message that claims nothing; text */
    EVENT_PLAIN_PEER,          /* plain wire: text says what the peer did wrong */
    _EVENT_N,
} EventKind;

typedef struct Event {
    EventKind kind;
    bool ok;
    pid_t pid;
    uid_t uid;
    uint32_t worker;
    uint64_t client;
    uint32_t slot;
    uint32_t generation;
    uint32_t attempt;
    Reason reason;
    int status;
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t duration_ns;
    char name[64];
    char text[256];
} Event;

#define EVENTS_MAX 64

typedef struct EventQueue {
    Event events[EVENTS_MAX];
    uint32_t first;
    uint32_t n;
    uint64_t n_dropped;
} EventQueue;

/** event_push() - room for one event, zeroed but for its kind; never NULL (a full queue gives a place that is thrown away). */
Event *event_push(EventQueue *queue, EventKind kind);

/** event_pop() - Return: whether there was one. */
bool event_pop(EventQueue *queue, Event *ret_event);
