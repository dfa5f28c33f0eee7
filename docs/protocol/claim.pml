/* SPDX-License-Identifier: MIT */
/*
 * Claim, crash, redelivery, restart of the host (docs/protocol.md, sections 4 and 5)
 *
 * Each client submits one exchange; workers take, claim, handle and end it; anything may go wrong with
 * a worker between any two of its steps; the host repairs, and may itself die between any two of its
 * steps. Generations, cancel, deadline and parking are in reuse.pml, full queues in queue.pml.
 *
 * Bounds: CLIENTS 1 or 2 with one slot each, WORKERS 2 at a time, ATTEMPTS 1 or 2, request queue DEPTH
 * 2, reply queues 1. MISHAPS 1 to 3 in all: of a worker (it dies, stops, hangs up and goes on, or
 * leaves; one that is gone is started again under a new number), or the last client's hang-up.
 * RESTARTS 0 to 2 of the host: what the service manager keeps for it (sockets, pidfds, queues, pages, the
 * last number given) is there again; what it knew, owed, or had in its hands is not. With RESTARTS, each
 * client asks for memory first (RESERVE), and each worker who the client is (MEET).
 *
 * What is shown, for every order of steps within the bounds:
 *   ends      every submitted exchange ends, exactly once
 *   attempts  its handler starts at most ATTEMPTS times
 *   alone     never do two workers handle one exchange at the same time
 *   kept      nobody takes a claim from a worker that lives
 *   answer    what a client reads was written by the worker that ended the exchange
 *   awake     no client sleeps for ever
 *   told      each client gets one answer or one error, never two
 *   innocent  the host kills no worker that neither hung up nor stopped
 * and with -DLIVE (a formula, under weak fairness): what is submitted is answered.
 *
 * -DFOREIGN: the host may not signal the workers. Then an exchange may stay claimed by a worker that
 * has stopped; nothing else may stay. For this the host must announce and notify again at the suspicion
 * too (variant ANNOUNCE_AT_EXIT does it at the exit alone, which is enough where the host may kill).
 *
 * -DLOST: the host dies for good, and nobody keeps anything for it: its sockets hang up. Each client then
 * has its answer, or one error.
 *
 * Variants that must be rejected: NO_REANNOUNCE, NO_RENOTIFY, REDELIVER_UNSEEN, SETTLE_AT_LEAVING, NO_PING,
 * NO_TIMEOUT, STALE_NOTE, NEED_NOTE, NO_ATTEMPTS_LIMIT, SWAP_UNCHECKED, FORGET_GONE; with FOREIGN:
 * ANNOUNCE_AT_EXIT, REPAIR_ONCE; with RESTARTS: NO_AGAIN, NO_ANNOUNCE_AT_TAKE_UP, NO_NOTIFY_AT_TAKE_UP,
 * SETTLE_AT_TAKE_UP, FORGET_FIRST, NUMBER_KEPT_LATE; with LOST: DEAF, LOOKS_ON.
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
#ifndef RESTARTS
#define RESTARTS 0
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
    byte told;     /* answers that its client gave to its caller */
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
mtype = { RECEIVE, MEET, READ, CLAIM, NOTE, START, FINISH, END, REPLY };

/* What the host does next. */
mtype = { SERVE, SETTLE, REPAIR, ANSWER, TAKE_UP };

/*
 * What the host hears: the hang-up of a worker that goes on, a pidfd, LEAVING, the hang-up that comes
 * after it; a client's hang-up. The hang-up that comes with a death would add nothing to what the pidfd
 * says. A pidfd and a hang-up are seen until the host lets go of them, by a new host again.
 */
mtype = { HANGUP, EXITED, LEAVING, LEFT, GONE };

chan requests = [DEPTH] of { byte };
chan replies[CLIENTS] = [1] of { bit };
chan events = [3 * MISHAPS + 1 + RESTARTS] of { mtype, byte };
byte numbers = WORKERS; /* ever given to workers; 0 is nobody */
byte mishaps;
bool gone[CLIENTS];     /* the host has seen the client's hang-up */
bool owed[CLIENTS];     /* the host owes an announcement */
bool lost;              /* the host, and all that it had */

#if RESTARTS > 0
/* Questions: of client c, number c; of worker p, its number and those of all clients. */
#define ASKERS (CLIENTS + WORKERS)
byte restarts;
chan questions = [ASKERS * (RESTARTS + 1)] of { byte };
chan answers[ASKERS] = [2 * RESTARTS + 2] of { bool };
#define ANSWERED true
#define AGAIN    false
#endif

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

/* Its caller gets the one answer. */
inline tell_answer(c) {
    assert(slot[c].state == DONE || slot[c].state == FAILED);           /* answer */
    assert(slot[c].state != DONE || slot[c].response == slot[c].owner); /* answer */
    slot[c].told++;
    assert(slot[c].told == 1)                                           /* told */
}

#ifdef DEAF
#define HEARS_LOSS false
#else
#define HEARS_LOSS lost
#endif

proctype Client(byte c) {
    bool owes = true;

#if RESTARTS > 0
    questions!c;
    do                                                    /* 1, and again where a new host wants that */
    :: atomic { answers[c]?ANSWERED -> break }
    :: atomic { answers[c]?AGAIN -> questions!c }
    od;
#endif
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
        :: atomic { c == CLIENTS - 1 && mishaps < MISHAPS && !lost ->
            mishaps++;
            events!GONE(c);
            slot[c].told++; /* there is nobody left to be told */
            goto died }
        :: atomic { HEARS_LOSS -> goto bereft }
        fi
    od;
    atomic { tell_answer(c) };
    slot[c].released = true;
    goto died;

    /* The last look, then an error for what has not ended. What ends later nobody looks at. */
bereft:
    atomic {
        if
        :: IS_END(c) -> tell_answer(c)
        :: !IS_END(c) -> slot[c].told++
        fi
    };
#ifdef LOOKS_ON
    do
    :: atomic { IS_END(c) -> tell_answer(c); break }
    :: break
    od;
#endif
died:
    skip
}

/* ---- a worker: section 5, Worker 1 to 7 ---- */

#define ME     worker[p]
#define AT(s)  (step == s && !ME.stopped)
#define SAME   (slot[c].state == was && slot[c].attempts == tries)
#define MISHAP (mishaps < MISHAPS && !lost && (mishaps > 0 || p == 0)) /* the first that fails: call it 0 */

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
    ME.watched = false;
#if RESTARTS > 0
    do
    :: nempty(answers[CLIENTS + p]) -> answers[CLIENTS + p]?_
    :: empty(answers[CLIENTS + p]) -> break
    od
#endif
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
#if RESTARTS > 0
    :: atomic { AT(RECEIVE) && !ME.leaving && nempty(requests) ->                           /* 1, 2 */
        requests?c;
        questions!CLIENTS + ME.number;
        step = MEET }
    :: atomic { AT(MEET) && nempty(answers[CLIENTS + p]) ->
        if
        :: answers[CLIENTS + p]?ANSWERED -> step = READ
        :: answers[CLIENTS + p]?AGAIN -> questions!CLIENTS + ME.number
        fi }
    :: atomic { (AT(RECEIVE) || AT(READ)) && nempty(answers[CLIENTS + p]) -> answers[CLIENTS + p]?_ }
#else
    :: atomic { AT(RECEIVE) && !ME.leaving && !lost && nempty(requests) -> requests?c; step = READ } /* 1 */
#endif
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
        if
        :: true -> publish_end(c, DONE)
        :: lost -> publish_end(c, FAILED) /* its handler may have given up */
        fi;
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

/* ---- the host: section 5, Host 1 to 3 and 5 ---- */

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
    fi
}

/* For each slot a step of its own: the rest of the world goes on meanwhile, and the host may die. */
inline next_slot(then) {
    if
    :: c < CLIENTS - 1 -> c++
    :: c == CLIENTS - 1 -> c = 0; step = then
    fi
}

/* The host lets go of the pidfd. */
#ifdef FORGET_FIRST
#define SEE    events?EXITED(w)
#define FORGET skip
#else
#define SEE    events?<EXITED(w)>
#define FORGET events?EXITED(_)
#endif

/* A new host owes what the old one owed and what it cannot know, so it does what a death makes it do. */
#ifdef NO_ANNOUNCE_AT_TAKE_UP
#define ANNOUNCES (step != TAKE_UP)
#elif defined NO_REANNOUNCE
#define ANNOUNCES false
#else
#define ANNOUNCES true
#endif
#ifdef NO_NOTIFY_AT_TAKE_UP
#define NOTIFIES (step != TAKE_UP)
#elif defined NO_RENOTIFY
#define NOTIFIES false
#else
#define NOTIFIES true
#endif

/* Host 3: owe an announcement of what is open, notify of what has ended and is not released. */
inline repair() {
    if
    :: IS_OPEN(c) && ANNOUNCES -> owed[c] = true
    :: IS_END(c) && !slot[c].released && NOTIFIES -> notify(c)
    :: else
    fi
}

inline repair_all() {
    c = 0;
    do
    :: c < CLIENTS -> repair(); c++
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
    :: atomic { DOES(SERVE) && UNWATCHED(p) && (PING_LATE(p) || CLAIM_LATE(p)) ->                     \
        worker[p].watched = true;                                                                     \
        w = worker[p].number;                                                                         \
        goto suspected }

/* What is owed goes when there is room. */
#define PAY(c)                                                                                        \
    :: atomic { DOES(SERVE) && owed[c] && (nfull(requests) || !IS_OPEN(c)) ->                         \
        owed[c] = false;                                                                              \
        if                                                                                            \
        :: IS_OPEN(c) -> requests!c                                                                   \
        :: else                                                                                       \
        fi }

#define DOES(s)  (step == s && !lost)

#if RESTARTS > 0
/* Whoever asked may be gone: then nobody hears. */
inline answer_asker(what) {
    p = 0;
    do
    :: p < WORKERS && w == CLIENTS + ME.number -> answers[CLIENTS + p]!what; break
    :: p < WORKERS && w != CLIENTS + ME.number -> p++
    :: p == WORKERS && w < CLIENTS -> answers[w]!what; break
    :: p == WORKERS && w >= CLIENTS -> break
    od;
    p = 0
}

/* Its memory is lost; what is in queues, sockets and pages is not. */
inline restart() {
    step = TAKE_UP;
    w = 0;
    c = 0;
    do
    :: c < CLIENTS ->
        owed[c] = false;
        if
        :: gone[c] -> gone[c] = false; events!GONE(c)
        :: else
        fi;
        c++
    :: c == CLIENTS -> break
    od;
    c = 0;
    worker[0].watched = false;
    worker[1].watched = false;
#ifdef NUMBER_KEPT_LATE
    numbers--;
#endif
}

inline say_again() {
    w = 0;
    do
    :: w < ASKERS ->
        if
        :: !answers[w]?[AGAIN] -> answers[w]!AGAIN
        :: else
        fi;
        w++
    :: w == ASKERS -> break
    od;
    w = 0
}
#endif

active proctype Host() {
    mtype step = SERVE;
    byte w, c, p;

end:
    do
    :: atomic { DOES(SERVE) && events?[HANGUP, _] -> events?HANGUP(w);                         /* 2 */
suspected:
        suspect(w);
#ifdef REDELIVER_UNSEEN
        settle(w);
#endif
#if defined FOREIGN && !defined ANNOUNCE_AT_EXIT
        repair_all(); /* its exit may never come, and it may hold a message */
#endif
        w = 0 }
    :: atomic { DOES(SERVE) && events?[EXITED, _] -> SEE; step = SETTLE }                      /* 3 */
    :: atomic { DOES(SETTLE) ->
        settle(w);
        next_slot(REPAIR);
        if
        :: step == REPAIR -> FORGET
        :: else
        fi }
    :: atomic { DOES(REPAIR) ->
        repair();
        next_slot(SERVE);
        if
        :: step == SERVE -> w = 0
        :: else
        fi }
    :: atomic { DOES(SERVE) && events?[LEAVING, _] -> events?LEAVING(w);
#ifdef SETTLE_AT_LEAVING
        settle(w);
#endif
        w = 0 }
    :: atomic { DOES(SERVE) && events?[LEFT, _] -> /* it may have dropped a message; it is not killed */
        events?LEFT(w);
        assert(!HAS_CLAIM(w)); /* kept */
        step = REPAIR }
    :: atomic { DOES(SERVE) && events?[GONE, _] -> /* 1: what is claimed is its owner's to end */
        events?GONE(c);
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

#if RESTARTS > 0
    :: atomic { DOES(SERVE) && nempty(questions) -> questions?w; step = ANSWER }
    :: atomic { DOES(ANSWER) -> answer_asker(ANSWERED); w = 0; step = SERVE }

    /* 5: a new host in the place of the old one. */
    :: atomic { restarts < RESTARTS -> restarts++; restart() }
    :: atomic { DOES(TAKE_UP) ->
#ifdef SETTLE_AT_TAKE_UP
        w = slot[c].owner;
        settle(w);
#endif
        repair();
        next_slot(SERVE);
        w = 0;
        if
#ifndef NO_AGAIN
        :: step == SERVE -> say_again()
#endif
        :: else
        fi }
#endif
#ifdef LOST
    :: atomic { !lost -> lost = true; step = SERVE; w = 0; c = 0 }
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
        assert(IS_END(c) || EXCUSED(c) || lost);                   /* ends */
        assert(!IS_END(c) || slot[c].released || gone[c] || lost); /* awake */
        assert(slot[c].told == 1 || EXCUSED(c));                   /* told */
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

#ifdef LIVE
ltl answered { [] (slot[0].submitted -> <> (slot[0].told == 1)) }
#endif
