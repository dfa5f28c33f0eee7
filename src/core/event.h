/* SPDX-License-Identifier: MIT */
/*
 * Events: what a state machine has to tell
 *
 * Host, worker and plain worker log nothing. They queue events; whoever runs them pops and logs them
 * (src/app/log.c has one table of level, MESSAGE_ID and text for each kind). A queue that nobody empties
 * drops its newest and counts them.
 *
 * What is about somebody's doing is told EVENTS_BURST times in EVENTS_INTERVAL_NS for each user and kind. Of
 * what comes after that the latest is told when the interval is over, with how many there were, so that
 * nobody can fill the log, nor push what others did out of this queue.
 */
#pragma once

#include "core/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum EventKind {
    /* host */
    EVENT_WORKER_ATTACHED,      /* worker, pid, uid, name */
    EVENT_WORKER_DETACHED,      /* worker, pid, uid, name, duration_ns since attach */
    EVENT_WORKER_DIED,          /* likewise; text says how the host knows */
    EVENT_WORKER_KILLED,        /* text: why the host killed it */
    EVENT_CLIENT_ATTACHED,      /* client, pid, uid, name */
    EVENT_CLIENT_DETACHED,      /* client, pid, uid */
    EVENT_CLIENT_REFUSED,       /* pid, uid, reason, text */
    EVENT_PEER_MISBEHAVED,      /* client or worker, pid, uid, text; it was disconnected */
    EVENT_EXCHANGE_REDELIVERED, /* client, slot, generation, worker (the dead one), attempt */
    EVENT_EXCHANGE_PARKED, /* client, slot, generation, pid, uid, name, attempt, request_bytes; text: why */
    EVENT_EXCHANGE_NOT_PARKED, /* likewise; text: why it could not be kept, and the cure */
    EVENT_USER_REFUSED,        /* uid, duration_ns: its requests killed workers; ok: no longer */
    EVENT_HEALTH,              /* ok: whether it is well; duration_ns of the probe; text */
    EVENT_LIMIT,               /* a limit was reached; text names it and the cure */
    EVENT_CAPACITY,            /* ok: `max_clients` can be reached; text: how many clients fit */
    EVENT_HUGE_PAGES,           /* ok: they are what the settings wish; text: what is in use */
    EVENT_TAKEN_UP,            /* what the host before has left; ok: it was of use; text */
    /* worker */
    EVENT_HOST_MISSING,  /* waits for its host; text: path */
    EVENT_HOST_ATTACHED, /* worker: own number */
    EVENT_HOST_LOST,
    EVENT_HOST_REFUSED,     /* reason, text; it tries again */
    EVENT_FIRST_EXCHANGE,   /* a client's first exchange with this worker */
    EVENT_EXCHANGE_DONE,    /* ok: it took less than a second */
    EVENT_EXCHANGE_FAILED,  /* reason, status, text; ok: only because nobody wants the answer any more */
    EVENT_EXCHANGE_DROPPED, /* debug: a message that claims nothing; text */
    EVENT_PLAIN_PEER,       /* plain wire: text says what the peer did wrong */
    EVENT_UNTOLD,           /* n_similar events were dropped: they came faster than they were popped */
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
    uint64_t n_similar; /* more of this kind and user that are not told */
    char name[64];
    char text[256];
} Event;

#define EVENTS_MAX         64
#define EVENTS_BURST       20
#define EVENTS_INTERVAL_NS (10 * UINT64_C(1000000000))
#define EVENT_RATES        16

/* How often something was told of somebody. */
typedef struct EventRate {
    uint64_t since_ns; /* 0: unused */
    uint32_t n_told;
    uint64_t n_held; /* and not told */
    Event latest;    /* of those: its kind and uid are this rate's */
} EventRate;

typedef struct EventQueue {
    Event events[EVENTS_MAX];
    uint32_t first;
    uint32_t n;
    uint64_t n_dropped; /* for want of room here */
    uint64_t n_dropped_told;
    uint64_t n_held;              /* of all users, since the start */
    EventRate rates[EVENT_RATES]; /* the last is for all that find no other */
} EventQueue;

/** event_push() - room for one event, zeroed but for its kind; never NULL (a full queue gives a place that is
 * thrown away). */
Event *event_push(EventQueue *queue, EventKind kind);

/** event_push_of() - likewise, of @uid's doing: see above. */
Event *event_push_of(EventQueue *queue, EventKind kind, uid_t uid);

/** event_pop() - Return: whether there was one. */
bool event_pop(EventQueue *queue, Event *ret_event);
