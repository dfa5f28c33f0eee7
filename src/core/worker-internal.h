/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/table.h"
#include "core/spin.h"
#include "core/worker.h"
#include "os/page.h"
#include "os/wait.h"
#include "wire/hello.h"
#include "wire/message.h"
#include "wire/slots.h"

#define POLLED_MAX 8u /* clients that a worker polls at a time */

typedef struct WorkerClient WorkerClient;

/* An exchange that this worker has claimed and not ended yet. */
typedef struct Job {
    Exchange exchange; /* what a handler sees; its `wire` leads back here */
    Worker *worker;
    WorkerClient *client;
    SlotClaim claim;
    uint64_t claimed_ns;
    uint64_t ended_ns;   /* 0: not measured */
    struct WorkerCopy *copy; /* of the request, where there is one */
    uint32_t cpu;      /* as of cpu_current(), when it was claimed */
} Job;

/* A slot as this worker sees it. It has at most one claim on it. */
typedef struct WorkerSlot {
    Segment request;
    Segment response;
    Job job;
} WorkerSlot;

/* A client that was met. */
struct WorkerClient {
    uint64_t id;
    uid_t uid;
    bool trusted;
    bool probe;
    bool huge;   /* private copies are to be in huge pages */
    bool gone;   /* to be dropped as soon as its jobs have ended */
    bool orphan; /* and the host that it belonged to is lost: nobody is to be told */
    bool known;  /* has had an exchange here */
    bool polled;
    uint32_t *seen;      /* while it is: for each slot, the latest generation that was looked at */
    uint32_t seen_slot;  /* where something new was found last */
    uint32_t n_jobs;
    uint32_t n_slots;
    uint64_t stride;
    int reply_queue;
    Page submit;
    Page states;
    int requests_fd;
    int responses_fd;
    WorkerSlot *slots;
};

/* The reading end of one uid's request queue. */
typedef struct WorkerQueue {
    uid_t uid;
    int fd;
    WaitSource source;
} WorkerQueue;

/* Memory for a copy of a request. */
typedef struct WorkerCopy {
    void *data;
    uint64_t bytes;      /* whole pages, all of them there */
    uint64_t peak_bytes; /* that were used since the last PING */
    bool used;           /* by a job */
    struct WorkerCopy *next;
} WorkerCopy;

/* All of it; see worker-copies.c */
typedef struct WorkerCopies {
    WorkerCopy *list;
    uint64_t held_bytes;
    uint64_t reserved_bytes; /* by the host */
    bool asking;             /* it is being asked for more */
} WorkerCopies;

struct Worker {
    const WorkerSettings *settings;
    Handler *handler;       /* borrowed; NULL: claims are handed out by worker_pop() */
    Handler *probe_handler; /* echo, for the host's probes */
    char name[NAME_BYTES];
    char *path;

    WorkerState state;
    uint32_t number;     /* the host's name for this worker; the owner in a slot's word */
    uint64_t n_exchanges;
    bool is_terse;       /* as worker_set_terse() */
    uint64_t max_payload; /* of the host: bytes of a response */
    uint64_t retry_ns;   /* how long to wait before the next try to connect */
    bool misunderstood;  /* what its host says, as far as it has shown */
    EventKind told_host; /* what was last told of the host: that it is missing, refuses, has us */
    bool lost;           /* the host hung up; to be torn down when no exchange is in hand */
    bool unsaid;         /* the question that worker_ask() has in hand is still to be said, or again */
    bool owes_holds;     /* a new host is still to be told whose memory is held here */
    uint64_t held;       /* the last one it was told of */
    Packet *owed;        /* what the host's full socket did not take, in order; see worker-say.c */
    size_t n_owed;
    size_t owed_room;

    Wait *wait;
    WaitSource channel_source;
    WaitSource watch_source;
    int channel;
    uint64_t serial;

    WorkerCopies copies;
    Table queues;        /* WorkerQueue, by uid */
    Table clients;       /* WorkerClient, by id */
    Job *ready;          /* claimed, for worker_pop() */

    WorkerClient *polled[POLLED_MAX];
    uint32_t n_polled;
    uint32_t poll_turn;  /* counts looks */
    uint64_t took_ns;    /* the latest exchange */
    bool by_message;     /* the latest claim, so that there may be another message */
    Page ring;           /* where ends are written for who traces; no map: nobody does */
    uint32_t n_in_a_row; /* claims since the descriptors were looked at */
    uint64_t row_ns;     /* that these have taken */
    Spin spin;           /* since the latest exchange */
    SpinPace pace;
    EventQueue events;
};

/* worker-say.c: one packet to the host, now or when it reads. Return: 0 or negative errno. */
int worker_say(Worker *worker, const Packet *packet);

/* Say what is owed, as far as it fits. Return: 0 or negative errno. */
int worker_pay_host(Worker *worker);
bool worker_owes_host(const Worker *worker);

void worker_forget_owed(Worker *worker);
void worker_say_leaving(Worker *worker);

/* worker.c: hear what the host has said by now. Return: 0 or negative errno. */
int worker_listen(Worker *worker);

/*
 * worker.c: say @packet and wait for the answer with its serial and @type, hearing everything else meanwhile.
 * Return: 0; -ENOTCONN if the host is lost (also when it does not answer in time); or another negative errno.
 */
int worker_ask(Worker *worker, const Packet *packet, PacketType type, Packet *ret_answer, int *ret_fds,
               size_t *ret_n_fds);

/*
 * worker-trace.c: the host gave a ring: somebody traces; it said that nobody does, or is lost. Return: 0 or
 * negative errno.
 */
int worker_take_ring(Worker *worker, int *fd);
void worker_drop_ring(Worker *worker);

/*
 * worker-trace.c: write down how an exchange ended, where there is a ring. Where it took long, the host may
 * have given one meanwhile: it is listened to first.
 */
void worker_trace(const Job *job, SlotState end);
void worker_trace_long(const Job *job, SlotState end);

/*
 * worker-client.c: ask the host for a client's descriptors. Return: 0, with *ret NULL if there is no such
 * client or nothing can be had; or negative errno.
 */
int worker_meet_client(Worker *worker, uint64_t id, uid_t uid, WorkerClient **ret);

/* Its host is one of ours: the next trouble with it is told, and soon tried to be mended. */
void worker_understands(Worker *worker);

/*
 * The host said that it is gone: let go of it, now or when its jobs have ended. Return: 0 or negative errno.
 */
int worker_drop_client(Worker *worker, uint64_t id);

/* One of its jobs has ended. Return: 0 or negative errno. */
int worker_client_unpin(Worker *worker, WorkerClient *client);

/* The host is lost, and with it everything that it gave. Clients with jobs stay until these have ended. */
void worker_drop_all_clients(Worker *worker);

/*
 * worker-copies.c: private memory for @bytes, until worker_copy_put(), which takes NULL. Return: 0, a Reason,
 * or negative errno.
 */
int worker_copy_take(Worker *worker, uint64_t bytes, bool huge, WorkerCopy **ret);
void worker_copy_put(WorkerCopy *copy);

/* At a PING: give back what was not needed lately. Return: 0 or negative errno. */
int worker_copies_trim(Worker *worker);

/* Tell a new host what is used. Return: 0 or negative errno. */
int worker_copies_tell(Worker *worker);

/* The host is lost: keep only what is in hand; or, at the worker's own end, nothing. */
void worker_copies_drop(Worker *worker);
void worker_copies_deinit(Worker *worker);

/*
 * worker-exchange.c: take at most one message from the queue and see it through. Return: 0 or negative errno.
 */
int worker_take_message(Worker *worker, WorkerQueue *queue);

/*
 * worker-exchange.c: claim a slot, and handle it or have it ready for worker_pop().
 * Return: 1 if it was claimed, 0 if there was nothing to claim, or negative errno.
 */
int worker_claim(Worker *worker, WorkerClient *client, uint32_t slot, uint32_t generation);

/* worker-exchange.c: what stays the same of all exchanges in one slot of a client that was met. */
void worker_job_init(Worker *worker, WorkerClient *client, uint32_t slot);

/* worker-poll.c: an exchange has ended: go on with looking at its client's slots, if that is worth it. */
void worker_poll_enter(Worker *worker, WorkerClient *client, const Job *job);
void worker_poll_leave(Worker *worker, WorkerClient *client);

/* Likewise, all of a user whose queue is gone. */
void worker_poll_leave_uid(Worker *worker, uid_t uid);

/*
 * worker-poll.c: look at the slots of polled clients, until there is a reason not to. Return: one of these,
 * or negative errno.
 */
enum {
    WORKER_POLLS_NOT = 0, /* nobody is polled any more: block */
    WORKER_POLL_CLAIMED,  /* and perhaps handled */
    WORKER_POLL_READY,    /* a descriptor has something, or it is time to see */
};
int worker_poll(Worker *worker, uint64_t until_ns);
