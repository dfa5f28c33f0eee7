/* SPDX-License-Identifier: MIT */
/*
 * Claim, crash, redelivery (docs/protocol.md, sections 4 and 5)
 *
 * Each client submits one exchange; workers take, claim, handle and end it; anything may go wrong with
 * a worker between any two of its steps; the host repairs. Generations, cancel and deadline are in
 * reuse.pml, full queues in queue.pml.
 *
 * Bounds: CLIENTS 1 or 2 with one slot each, WORKERS 2 at a time, ATTEMPTS 1 or 2, request queue DEPTH
 * 2, reply queues 1. MISHAPS 1 to 3 in all: of a worker (it dies, stops, hangs up and goes on, or
 * leaves; one that is gone is started again under a new number), or the last client's hang-up.
 *
 * What is shown, for every order of steps within the bounds:
 *   ends      every submitted exchange ends, exactly once
 *   attempts  its handler starts at most ATTEMPTS times
 *   alone     never do two workers handle one exchange at the same time
 *   kept      nobody takes a claim from a worker that lives
 *   answer    what a client reads was written by the worker that ended the exchange
 *   awake     no client sleeps for ever
 *   innocent  the host kills no worker that neither hung up nor stopped
 *
 * -DFOREIGN: the host may not signal the workers. Then an exchange may stay claimed by a worker that
 * has stopped; nothing else may stay. For this the host must announce and notify again at the suspicion
 * too (variant ANNOUNCE_AT_EXIT does it at the exit alone, which is enough where the host may kill).
 *
 * Variants that must be rejected: NO_REANNOUNCE, NO_RENOTIFY, REDELIVER_UNSEEN, SETTLE_AT_LEAVING, NO_PING,
 * NO_TIMEOUT, STALE_NOTE, NEED_NOTE, NO_ATTEMPTS_LIMIT, SWAP_UNCHECKED, FORGET_GONE; with FOREIGN:
 * ANNOUNCE_AT_EXIT, REPAIR_ONCE.
 *
 * Spin 6.5.2 makes a local variable of type `mtype:name` a global one: that is why mtype has no
 * subtypes here.
 */
#ifndef CLIENTS
#define CLIENTS 1
#endif
#define WORKERS 2
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef MISHAPS
#define MISHAPS 2
#endif
#ifndef DEPTH
#define DEPTH 2
#endif

mtype = { FRESH, WAITING, CLAIMED, DONE, FAILED, CANCELLED };

/* One slot for each client: its submit record, its word, its response, and what the model counts. */
typedef Slot {
    bool submitted;
    bool released;
    mtype state;
    byte owner;
    byte attempts;
    byte response; /* who wrote it */
    byte noted;    /* whose claim claimed_ns is of: only broken hosts look */
    byte running;
    byte runs;
}
Slot slot[CLIENTS];

/* A worker as the host and the kernel see it. */
typedef Worker {
    byte number;
    bool stopped;
    bool leaving;
    bool hung_up;
    bool killed;
    bool watched; /* the host's timer has come round since it stopped */
}
Worker worker[WORKERS];

/* What a worker does next. */
mtype = { RECEIVE, READ, CLAIM, NOTE, START, FINISH, END, REPLY };

/*
 * What the host hears: the hang-up of a worker that goes on, a pidfd, LEAVING, the hang-up that comes
 * after it; a client's hang-up. The hang-up that comes with a death would add nothing to what the pidfd
 * says.
 */
mtype = { HANGUP, EXITED, LEAVING, LEFT, GONE };

chan requests = [DEPTH] of { byte };
chan replies[CLIENTS] = [1] of { bit };
chan events = [3 * MISHAPS + 1] of { mtype, byte };
byte numbers = WORKERS; /* ever given to workers; 0 is nobody */
byte mishaps;
bool gone[CLIENTS];     /* the host has seen the client's hang-up */
bool owed[CLIENTS];     /* the host owes an announcement */

#define IS_END(c)      (slot[c].state == DONE || slot[c].state == FAILED || slot[c].state == CANCELLED)
#define IS_OPEN(c)     (slot[c].submitted && (slot[c].state == FRESH || slot[c].state == WAITING))
#define IS_OWNED(c, w) (slot[c].state == CLAIMED && slot[c].owner == w)

/* The compare-and-swap that ends an exchange, once its condition was seen in the same step. */
inline publish_end(c, how) {
    assert(!IS_END(c)); /* ends */
#ifndef STALE_NOTE
    slot[c].noted = 0;
#endif
    slot[c].state = how
}

/* Worker 7 and Host 3: a full reply queue is skipped. */
inline notify(c) {
    if
    :: nfull(replies[c]) -> replies[c]!1
    :: full(replies[c]) -> skip
    fi
}

/* ---- a client: section 5, Client 1 to 3 ---- */

proctype Client(byte c) {
    bool owes = true;

    slot[c].submitted = true;
    do
    :: atomic { nempty(replies[c]) -> replies[c]?_ }      /* 3: empty the queue, */
    :: atomic { empty(replies[c]) && IS_END(c) -> break } /* then look, */
    :: empty(replies[c]) && !IS_END(c) ->
#ifdef FOREIGN
end:
#endif
        if                                                /* then block */
        :: nempty(replies[c])
        :: atomic { owes && nfull(requests) -> requests!c; owes = false }
        :: atomic { c == CLIENTS - 1 && mishaps < MISHAPS -> mishaps++; events!GONE(c); goto died }
        fi
    od;
    assert(slot[c].state == DONE || slot[c].state == FAILED);           /* answer */
    assert(slot[c].state != DONE || slot[c].response == slot[c].owner); /* answer */
    slot[c].released = true;
died:
    skip
}

/* ---- a worker: section 5, Worker 1 to 7 ---- */

#define ME     worker[p]
#define AT(s)  (step == s && !ME.stopped)
#define SAME   (slot[c].state == was && slot[c].attempts == tries)
#define MISHAP (mishaps < MISHAPS && (mishaps > 0 || p == 0)) /* the first that fails: call it 0 */

inline drop() {
    c = 0;
    was = FRESH;
    tries = 0;
    step = RECEIVE
}

/* The process is gone; systemd starts another. */
inline start_again() {
    drop();
    numbers++;
    ME.number = numbers;
    ME.stopped = false;
    ME.leaving = false;
    ME.hung_up = false;
    ME.killed = false;
    ME.watched = false
}

inline die() {
    if
    :: step == FINISH -> slot[c].running--
    :: else
    fi;
    events!EXITED(ME.number);
    start_again()
}

/*
 * The claim's time is written after the claim. A host that goes by it alone finds either the former
 * claim's (STALE_NOTE), or, where that was cleared, none at all of a worker that stopped before it
 * wrote (NEED_NOTE). The host must go by when it first saw the word.
 */
#if defined STALE_NOTE || defined NEED_NOTE
#define AFTER_CLAIM NOTE
#else
#define AFTER_CLAIM START
#endif

/* Each turn of the loop is one step, so that whatever goes wrong can go wrong between any two. */
proctype Work(byte p) {
    mtype step = RECEIVE;
    mtype was = FRESH; /* the word that it read */
    byte tries;
    byte c;            /* of the message in its hand */

end:
    do
    :: atomic { AT(RECEIVE) && !ME.leaving && nempty(requests) -> requests?c; step = READ } /* 1 */
    :: atomic { AT(READ) ->                                                                 /* 3 */
        if
        :: IS_OPEN(c) -> was = slot[c].state; tries = slot[c].attempts; step = CLAIM
        :: else -> drop()
        fi }
    :: atomic { AT(CLAIM) ->                                                                /* 4 */
        if
#ifdef SWAP_UNCHECKED
        :: true ->
#else
        :: SAME ->
#endif
            slot[c].state = CLAIMED;
            slot[c].owner = ME.number;
            slot[c].attempts = tries + 1;
            was = FRESH;
            tries = 0;
            step = AFTER_CLAIM
        :: !SAME -> drop()
        fi }
#if defined STALE_NOTE || defined NEED_NOTE
    :: atomic { AT(NOTE) -> slot[c].noted = ME.number; step = START }
#endif
    :: atomic { AT(START) ->                                                                /* 6 */
        slot[c].running++;
        slot[c].runs++;
        assert(slot[c].running == 1);     /* alone */
        assert(slot[c].runs <= ATTEMPTS); /* attempts */
        slot[c].response = 0;
        step = FINISH }
    :: atomic { AT(FINISH) ->
        slot[c].response = ME.number;
        slot[c].running--;
        step = END }
    :: atomic { AT(END) ->                                                                  /* 7 */
        assert(IS_OWNED(c, ME.number)); /* kept */
        publish_end(c, DONE);
        step = REPLY }
    :: atomic { AT(REPLY) -> notify(c); drop() }

    /* LEAVING: takes no further message, finishes what it has claimed. */
    :: atomic { ME.leaving && (AT(RECEIVE) || AT(READ)) -> events!LEFT(ME.number); start_again() }

    /* What may go wrong. A stop that ends is no more than a slow step; this is one that does not end. */
    :: atomic { MISHAP -> mishaps++; die() }
    :: atomic { MISHAP && !ME.stopped -> mishaps++; ME.stopped = true }
    :: atomic { MISHAP && !ME.hung_up -> mishaps++; ME.hung_up = true; events!HANGUP(ME.number) }
    :: atomic { MISHAP && !ME.leaving -> mishaps++; ME.leaving = true; events!LEAVING(ME.number) }
    :: atomic { ME.killed -> die() }
    od
}

/* ---- the host: section 5, Host 1 to 3 ---- */

/* Kill through the pidfd: the process dies at some later moment; nothing happens if it is gone already. */
inline suspect(w) {
    p = 0;
    do
    :: p < WORKERS && ME.number == w ->
        assert(ME.hung_up || ME.stopped); /* innocent */
        ME.hung_up = true;
#ifndef FOREIGN
        ME.killed = true;
#endif
        break
    :: p < WORKERS && ME.number != w -> p++
    :: p == WORKERS -> break
    od;
    p = 0
}

#ifdef FOREIGN
#define MAY_RETRY(c) false
#elif defined NO_ATTEMPTS_LIMIT
#define MAY_RETRY(c) true
#else
#define MAY_RETRY(c) (slot[c].attempts < ATTEMPTS)
#endif

/* Nobody but the host changes a word whose owner is dead. */
inline settle(w) {
    c = 0;
    do
    :: c < CLIENTS ->
        if
        :: IS_OWNED(c, w) && gone[c] -> publish_end(c, CANCELLED)
        :: IS_OWNED(c, w) && !gone[c] && MAY_RETRY(c) ->
#ifndef STALE_NOTE
            slot[c].noted = 0;
#endif
            slot[c].state = WAITING;
            slot[c].owner = 0
        :: IS_OWNED(c, w) && !gone[c] && !MAY_RETRY(c) -> publish_end(c, FAILED)
        :: !IS_OWNED(c, w)
        fi;
        c++
    :: c == CLIENTS -> break
    od;
    c = 0
}

/* Host 3: owe an announcement of what is open, notify of what has ended and is not released. */
inline repair() {
    c = 0;
    do
    :: c < CLIENTS ->
        if
#ifndef NO_REANNOUNCE
        :: IS_OPEN(c) -> owed[c] = true
#endif
#ifndef NO_RENOTIFY
        :: IS_END(c) && !slot[c].released -> notify(c)
#endif
        :: else
        fi;
        c++
    :: c == CLIENTS -> break
    od;
    c = 0
}

/* What the timer finds: an idle worker that answers no PING, a claim that outlives its worker's timeout. */
#if CLIENTS > 1
#define HAS_CLAIM(w) (IS_OWNED(0, w) || IS_OWNED(1, w))
#else
#define HAS_CLAIM(w) IS_OWNED(0, w)
#endif
#ifdef NO_PING
#define PING_LATE(p) false
#else
#define PING_LATE(p) (worker[p].stopped && !HAS_CLAIM(worker[p].number))
#endif
#ifdef NO_TIMEOUT
#define CLAIM_LATE(p) false
#elif defined STALE_NOTE
#define OWNED(p)      IS_OWNED(0, worker[p].number)
#define CLAIM_LATE(p) (OWNED(p) && slot[0].noted && slot[0].noted != worker[p].number)
#elif defined NEED_NOTE
#define CLAIM_LATE(p) (worker[p].stopped && IS_OWNED(0, worker[p].number) && slot[0].noted)
#else
#define CLAIM_LATE(p) (worker[p].stopped && HAS_CLAIM(worker[p].number))
#endif
#ifdef REPAIR_ONCE
#define UNWATCHED(p) (!worker[p].hung_up)
#else
#define UNWATCHED(p) (!worker[p].watched)
#endif
#define WATCH(p)                                                                                      \
    :: atomic { UNWATCHED(p) && (PING_LATE(p) || CLAIM_LATE(p)) ->                                    \
        worker[p].watched = true;                                                                     \
        w = worker[p].number;                                                                         \
        goto suspected }

/* What is owed goes when there is room. */
#define PAY(c)                                                                                        \
    :: atomic { owed[c] && (nfull(requests) || !IS_OPEN(c)) ->                                        \
        owed[c] = false;                                                                              \
        if                                                                                            \
        :: IS_OPEN(c) -> requests!c                                                                   \
        :: else                                                                                       \
        fi }

active proctype Host() {
    byte w, c, p;

end:
    do
    :: atomic { events?HANGUP(w) ->                                                         /* 2 */
suspected:
        suspect(w);
#ifdef REDELIVER_UNSEEN
        settle(w);
#endif
#if defined FOREIGN && !defined ANNOUNCE_AT_EXIT
        repair(); /* its exit may never come, and it may hold a message */
#endif
        w = 0 }
    :: atomic { events?EXITED(w) -> settle(w); repair(); w = 0 }                            /* 3 */
    :: atomic { events?LEAVING(w) ->
#ifdef SETTLE_AT_LEAVING
        settle(w);
#endif
        w = 0 }
    :: atomic { events?LEFT(w) -> /* it may have dropped a message; it is not killed */
        assert(!HAS_CLAIM(w)); /* kept */
        repair();
        w = 0 }
    :: atomic { events?GONE(c) -> /* 1: what is claimed is its owner's to end */
        gone[c] = true;
        if
#ifndef FORGET_GONE
        :: IS_OPEN(c) -> publish_end(c, CANCELLED)
#endif
        :: else
        fi;
        c = 0 }
    WATCH(0)
    WATCH(1)
    PAY(0)
#if CLIENTS > 1
    PAY(1)
#endif
    od
}

/* ---- what must hold when nothing moves any more ---- */

#ifdef FOREIGN
#define STUCK(p, c) (worker[p].stopped && IS_OWNED(c, worker[p].number))
#define EXCUSED(c)  (STUCK(0, c) || STUCK(1, c) || (worker[0].stopped && worker[1].stopped))
#else
#define EXCUSED(c)  false
#endif

active proctype Checker() {
    byte c;

    timeout;
    do
    :: c < CLIENTS ->
        assert(IS_END(c) || EXCUSED(c));                   /* ends */
        assert(!IS_END(c) || slot[c].released || gone[c]); /* awake */
        c++
    :: c == CLIENTS -> break
    od
}

init {
    byte i;

    atomic {
        do
        :: i < CLIENTS -> slot[i].state = FRESH; run Client(i); i++
        :: i == CLIENTS -> break
        od;
        i = 0;
        do
        :: i < WORKERS -> worker[i].number = i + 1; run Work(i); i++
        :: i == WORKERS -> break
        od;
        i = 0
    }
}
