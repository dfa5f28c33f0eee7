/* SPDX-License-Identifier: MIT */
/*
 * Client: requests in, answers out
 *
 * A state machine without a loop: put client_get_fd() into any loop and call client_dispatch() when it is
 * readable, or use client_wait(). It never blocks otherwise, never calls back, and starts no thread. Not
 * thread-safe: one thread at a time.
 *
 * A request is taken (a slot of this client), given memory, filled in place, sent, and ends exactly once:
 * with an answer, or with a reason. It is then read in place and released. Whoever does not want to wait
 * abandons it; its slot comes back when the other side is done.
 *
 * A host that was started again with the state of the one before says so, and is asked again what that one
 * has not answered; exchanges go on meanwhile.
 *
 * What it keeps true: a message that the full queue did not take is owed and sent when there is room; before
 * the descriptor can sleep, the reply queue was emptied and every slot in flight was looked at; a response is
 * read only after the word showed an end.
 */
#pragma once

#include "base/cleanup.h"
#include "core/spin.h"
#include "os/segment.h"
#include "wire/reason.h"
#include "wire/slots.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Client Client;

typedef enum ClientState {
    CLIENT_CONNECTING, /* the host has not answered yet */
    CLIENT_READY,
    CLIENT_REFUSED,    /* see client_refusal() */
    CLIENT_LOST,       /* the host hung up; every request has ended */
} ClientState;

typedef enum RequestState {
    REQUEST_FREE,
    REQUEST_TAKEN,     /* the caller's: reserve, fill, send */
    REQUEST_GROWING,   /* waits for the host's word on memory */
    REQUEST_SENT,
    REQUEST_ENDED,     /* the caller's: read, release */
    REQUEST_ABANDONED, /* nobody's; free once it has ended */
} RequestState;

typedef struct Request {
    Client *client;
    uint32_t slot;
    RequestState state;
    struct Request *next;   /* in flight, or ended and not handed out: see RequestList */
    struct Request *previous;

    Segment segment;        /* of the request: fill segment.map */
    uint64_t granted_bytes; /* of memory, by the host */
    uint64_t asked_bytes;   /* what the host was last asked for */
    uint64_t asked_serial;
    uint64_t payload_bytes;
    uint8_t user[SLOT_USER_BYTES];
    uint64_t deadline_ns;   /* CLOCK_MONOTONIC; 0 for none */
    void *tag;              /* the caller's */
    bool unkept;            /* never to be written to a disk, should its workers not survive it */
    unsigned priority;      /* of its message: 0 to 31 */
    uint32_t weight;        /* how many exchanges it stands for, as measured; 0: it is not */

    uint32_t generation;
    bool owed;              /* its message is still to be sent */
    bool owes_ask;          /* the host is still to be asked for memory */
    bool owes_look;         /* the host is still to be asked to look */
    bool wants_look;        /* it was asked to; a host that came after it is asked again */
    bool looked;            /* it was asked to, after the deadline */
    bool popped;            /* it was handed out after its end */

    SlotState end;          /* DONE, FAILED, CANCELLED or EXPIRED */
    Reason reason;          /* why it FAILED, or why memory was refused */
    int status;
    Segment response;       /* response.map holds response_bytes; of a failure: a text without NUL */
    uint64_t response_bytes;
    uint8_t response_user[SLOT_USER_BYTES];
    char text[128];         /* the host's words when memory was refused */
} Request;

/*
 * How often to connect to a host that hangs up before it has answered: one that was restarted in between has
 * only lost the question.
 */
#define CLIENT_TRIES 4

/* Positive results. */
enum {
    CLIENT_NO_SLOT = 1,  /* every slot is in use */
    CLIENT_PENDING,      /* asked the host; dispatch until the state changes */
    CLIENT_NOT_GRANTED,  /* request->reason and ->text say why */
    CLIENT_NOT_READY,    /* connecting, refused or lost */
};

/**
 * client_new() - begin as a client on a connected socket
 * @fd:         of channel_connect(); taken over, also on failure
 * @name:       of the program, for people
 * Return: 0 or negative errno.
 */
int client_new(Client **ret, int fd, const char *name);
Client *client_free(Client *client);

/**
 * client_abandon() - in a child after fork: from now on only client_free() may follow, and it takes nothing
 * from the parent.
 */
void client_abandon(Client *client);

int client_get_fd(const Client *client);

/** client_dispatch() - do what is to be done, without waiting. Return: 0 or negative errno. */
int client_dispatch(Client *client);

/**
 * client_wait() - wait until there is something to do, or @until_ns (CLOCK_MONOTONIC, UINT64_MAX for ever),
 * then dispatch. A signal ends the wait early. Return: 0 or negative errno.
 */
int client_wait(Client *client, uint64_t until_ns);

/**
 * client_set_spin() - let client_wait() look at memory for a while before it sleeps
 * @ns:         as spin_begin(). Only while a worker polls in turn. 0, as it is at first, is a must where the
 *              descriptor is waited for by others: they are woken by messages only
 * Return: 0 or negative errno.
 */
int client_set_spin(Client *client, uint64_t ns);

/**
 * client_ring() - before the descriptor is waited for: have it be readable if client_pop() has something to
 * hand out, of whose end nothing else tells any more
 * Return: 0 or negative errno.
 */
int client_ring(Client *client);

/**
 * client_was_served() - whether a worker that polls has answered in the last few milliseconds, or any in the
 * last 50 us. Their host lived a moment before.
 */
bool client_was_served(const Client *client);

/**
 * client_is_quiet() - whether client_dispatch() would find nothing to do: nothing is in flight, and the host
 * is there and says nothing. Costs less than that.
 */
bool client_is_quiet(const Client *client);

ClientState client_state(const Client *client);

/** client_refusal() - why the host refused. @ret_text lives as long as the client. */
Reason client_refusal(const Client *client, const char **ret_text);

/** client_set_owner() / client_get_owner() - a pointer of the caller's. */
void client_set_owner(Client *client, void *owner);
void *client_get_owner(const Client *client);

uint64_t client_id(const Client *client);
uint64_t client_max_payload(const Client *client);
uint32_t client_n_slots(const Client *client);

/** client_n_taken() - requests that are the caller's: taken, in flight or ended. */
uint32_t client_n_taken(const Client *client);

/** client_n_workers() - workers attached to the host, as far as it has told: 0 or not 0 is current. */
uint32_t client_n_workers(const Client *client);

/**
 * client_pop() - the next request that has ended, in the order in which they were seen to. Return: whether
 * there was one.
 */
bool client_pop(Client *client, Request **ret_request);

/** request_pop() - the caller has this one's end, or will see it: client_pop() does not hand it out. */
void request_pop(Request *request);

/** client_take() - take a slot. Return: 0, CLIENT_NO_SLOT or CLIENT_NOT_READY. */
int client_take(Client *client, Request **ret_request);

/**
 * request_reserve() - make the request's segment @bytes big (rounded up to pages, or to huge ones where that
 * is worth it and granted) and map it; what was written stays
 * @exact:      to pages, and shrink it if it is bigger, which gives memory back
 * Return: 0; CLIENT_PENDING: the state is GROWING until the host has answered, then call again;
 * CLIENT_NOT_GRANTED; or negative errno.
 */
int request_reserve(Request *request, uint64_t bytes, bool exact);

/**
 * request_grow_no_more() - do not wait for the host's answer any longer: what the request had it has still
 */
void request_grow_no_more(Request *request);

/**
 * request_send() - submit what is in the segment, of which payload_bytes count. Return: 0 or negative errno.
 */
int request_send(Request *request);

/**
 * request_was_claimed() - whether a worker has had it, of those in flight: it is being handled, or its worker
 * died.
 */
bool request_was_claimed(const Request *request);

/**
 * request_post() - as request_send(), for a caller who waits at once
 *
 * Where a worker polls, the message is left out at first. It is made up for by client_wait() before that
 * sleeps, and by client_settle().
 */
int request_post(Request *request);

/**
 * client_settle() - after request_post(), and before doing anything else than client_wait(): send what was
 * left out. Return: 0 or negative errno.
 */
int client_settle(Client *client);

/**
 * client_rest() - before something else than client_wait() waits for the descriptor: settle, say that it
 * sleeps, look once more.
 * Return: 1 if something has ended, 0, or negative errno.
 */
int client_rest(Client *client);

/**
 * request_cancel() - wish that it be given up. It still ends in one way or another. Return: 0 or negative
 * errno.
 */
int request_cancel(Request *request);

/**
 * request_release() - give the slot back: from TAKEN, ENDED, or (then it is cancelled and abandoned) any
 * other state.
 */
void request_release(Request *request);

DEFINE_CLEANUP(Client, client_free)
