/* SPDX-License-Identifier: MIT */
/*
 * Full queues, late workers (docs/protocol.md, section 5: Client 2 and 3, Worker 1 and 7, Host 3 and 5)
 *
 * More exchanges are in flight than the queues can hold. Clients and host owe what the request queue
 * does not take, workers skip what the reply queue does not take. Workers attach through the host when
 * they like, die, and attach again or stay away. A claim is one step here: claim.pml takes it apart.
 *
 * Bounds: CLIENTS 1 or 2, SLOTS 1 to 3 each, ROUNDS 1 or 2 exchanges in each slot, WORKERS 2, DEATHS 1;
 * a request queue of DEPTH 1, reply queues of REPLIES 1.
 *
 * What is shown, for every order of steps within the bounds:
 *   taken    no submitted exchange lies where no worker will ever take it, whatever was full
 *   awake    no client sleeps for ever while one of its slots has ended
 *   kept     a worker that lives ends what it has claimed, once
 *
 * Variants that must be rejected: SKIP_REQUEST, FORGET_POLLOUT, CLIENT_BLOCKS_BLIND, NO_LOOK,
 * NOTIFY_BEFORE_END, BLOCKING_SENDS, HOST_BLOCKS, HOST_SKIPS, NO_RENOTIFY, EXCLUSIVE_WAKE_UP; by a run
 * without an end: DEBT_STAYS; with RESTARTS: NO_ANNOUNCE_AT_TAKE_UP, NO_NOTIFY_AT_TAKE_UP,
 * NO_QUEUES_AT_TAKE_UP.
 */
#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#define WORKERS 2
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef REPLIES
#define REPLIES 1
#endif
#define ALL (CLIENTS * SLOTS) /* slot s belongs to client s / SLOTS */

/* The generations that were submitted and that have ended, and the number of the worker that handles it. */
typedef Slot {
    byte submitted;
    byte ended;
    byte owner;
}
Slot slot[ALL];

typedef Worker {
    byte number;
    bool greeted;  /* it said HELLO */
    bool attached; /* it has the queue */
    bool asleep;   /* EXCLUSIVE_WAKE_UP alone asks */
}
Worker worker[WORKERS];

/* What a client and a worker do next; what the host hears. */
mtype = { EMPTY, LOOK, SEND, PAY, BLOCK };
mtype = { ATTACH, RECEIVE, CLAIM, END, REPLY, STAY_AWAY };
mtype = { ATTACHES, EXITED };
mtype = { SERVE, SETTLE, REPAIR, TELL, TAKE_UP }; /* what the host does next */

chan requests = [DEPTH] of { byte, byte }; /* slot, generation */
chan replies[CLIENTS] = [REPLIES] of { byte };
chan events = [WORKERS + 2 * DEATHS] of { mtype, byte };
byte numbers = WORKERS;
byte deaths;
byte restarts;
bool finished[CLIENTS];
bool owed[ALL]; /* announcements, by the host */

#define IS_OPEN(s)  (slot[s].submitted == slot[s].ended + 1 && slot[s].owner == 0)
#define QUEUE_OF(s) replies[(s) / SLOTS]
#define IS(x)       (step == x)

/* With EPOLLEXCLUSIVE a message wakes one sleeper alone, even if that one dies before it receives. */
#ifdef EXCLUSIVE_WAKE_UP
#define WAKE                                                                                          \
    if                                                                                                \
    :: worker[0].asleep -> worker[0].asleep = false                                                   \
    :: worker[1].asleep -> worker[1].asleep = false                                                   \
    :: !worker[0].asleep && !worker[1].asleep                                                         \
    fi
#else
#define WAKE skip
#endif

inline request(s) {
    requests!s(slot[s].submitted);
    WAKE
}

inline notify(s) {
    if
    :: nfull(QUEUE_OF(s)) -> QUEUE_OF(s)!s
    :: full(QUEUE_OF(s)) -> skip
    fi
}

/* ---- a client: take messages, look, pay, block; each turn of the loop is one step ---- */

#define FIRST (c * SLOTS)
#define LAST  (c * SLOTS + SLOTS - 1)

/* The order of Client 3. */
#ifdef CLIENT_BLOCKS_BLIND
#define AFTER_EMPTY BLOCK
#define AFTER_PAY   EMPTY
#define AFTER_BLOCK LOOK
#else
#define AFTER_EMPTY LOOK
#define AFTER_PAY   BLOCK
#define AFTER_BLOCK EMPTY
#endif

#ifdef FORGET_POLLOUT
#define WOKEN (nempty(replies[c]))
#else
#define WOKEN (nempty(replies[c]) || (n_owed > 0 && nfull(requests)))
#endif

/* Which slots a client looks at: all; or (broken) those that a message named. */
#ifdef NO_LOOK
#define LOOKS_AT(s) (slot[s].submitted == 0 || told[(s) - FIRST])
#else
#define LOOKS_AT(s) true
#endif

/* A slot that was claimed or has ended is owed no message; a count that forgets that spins on POLLOUT. */
#ifdef DEBT_STAYS
#define SETTLES(s) (owes[(s) - FIRST] && IS(SEND))
#define SETTLED    skip
#else
#define SETTLES(s) (owes[(s) - FIRST] && (IS(SEND) || !IS_OPEN(s)))
#define SETTLED    n_owed--
#endif

proctype Client(byte c) {
    mtype step = LOOK;
    bool owes[SLOTS];
    bool told[SLOTS];
    byte n_owed, n_ended;
    byte s = FIRST;
    byte m;

    do
    :: atomic { IS(EMPTY) && nempty(replies[c]) ->
        replies[c]?m;
        told[m - FIRST] = true;
        m = 0;
        if
        :: step = AFTER_EMPTY /* what is left there wakes it at once */
        :: skip
        fi }
    :: atomic { IS(EMPTY) && empty(replies[c]) -> step = AFTER_EMPTY }

    :: atomic { IS(LOOK) ->
        if
        :: LOOKS_AT(s) && slot[s].ended == slot[s].submitted && slot[s].ended < ROUNDS ->
            slot[s].submitted++;
            step = SEND
        :: LOOKS_AT(s) && slot[s].ended == ROUNDS -> n_ended++
        :: else
        fi;
        told[s - FIRST] = false;
        if
        :: SETTLES(s) -> owes[s - FIRST] = false; SETTLED
        :: else
        fi;
        if
        :: IS(LOOK) && s < LAST -> s++
        :: IS(LOOK) && s == LAST -> s = FIRST; step = PAY
        :: IS(SEND)
        fi }
    :: atomic { IS(SEND) && nfull(requests) -> request(s); step = LOOK }
#ifndef BLOCKING_SENDS
    :: atomic { IS(SEND) && full(requests) ->
#ifndef SKIP_REQUEST
        owes[s - FIRST] = true;
        n_owed++;
#endif
        step = LOOK }
#endif

    :: atomic { IS(PAY) ->
        if
        :: owes[s - FIRST] && (nfull(requests) || !IS_OPEN(s)) ->
            owes[s - FIRST] = false;
            n_owed--;
            if
            :: IS_OPEN(s) -> request(s)
            :: else
            fi
        :: owes[s - FIRST] && full(requests) && IS_OPEN(s)
        :: !owes[s - FIRST]
        fi;
        if
        :: s < LAST -> s++
        :: s == LAST -> s = FIRST; step = AFTER_PAY
        fi }
    :: atomic { IS(BLOCK) && n_ended == SLOTS -> break }
    :: atomic { IS(BLOCK) && n_ended < SLOTS && WOKEN -> step = AFTER_BLOCK; n_ended = 0 }
    od;
    finished[c] = true
}

/* ---- a worker ---- */

#define ME worker[p]
#ifdef EXCLUSIVE_WAKE_UP
#define AWAKE (!ME.asleep)
#else
#define AWAKE true
#endif

proctype Work(byte p) {
    mtype step = ATTACH;
    byte s, g;

end:
    do
    :: atomic { IS(ATTACH) -> events!ATTACHES(ME.number); ME.greeted = true; step = RECEIVE }
    :: atomic { IS(RECEIVE) && ME.attached && AWAKE && nempty(requests) -> requests?s(g); step = CLAIM }
#ifdef EXCLUSIVE_WAKE_UP
    :: atomic { IS(RECEIVE) && ME.attached && AWAKE && empty(requests) -> ME.asleep = true }
#endif
    :: atomic { IS(CLAIM) ->
        if
        :: IS_OPEN(s) && slot[s].submitted == g -> slot[s].owner = ME.number; step = END
        :: else -> s = 0; step = RECEIVE
        fi;
        g = 0 }
#ifdef NOTIFY_BEFORE_END
    :: atomic { IS(END) -> notify(s); step = REPLY }
    :: atomic { IS(REPLY) -> slot[s].owner = 0; slot[s].ended++; s = 0; step = RECEIVE }
#else
    :: atomic { IS(END) ->
        assert(slot[s].owner == ME.number && slot[s].ended + 1 == slot[s].submitted); /* kept */
        slot[s].owner = 0;
        slot[s].ended++;
        step = REPLY }
#ifdef BLOCKING_SENDS
    :: atomic { IS(REPLY) && nfull(QUEUE_OF(s)) -> notify(s); s = 0; step = RECEIVE }
#else
    :: atomic { IS(REPLY) -> notify(s); s = 0; step = RECEIVE }
#endif
#endif
    :: atomic { deaths < DEATHS && (deaths > 0 || p == 0) -> /* workers are alike: the first that dies is 0 */
        deaths++;
        events!EXITED(ME.number);
        numbers++;
        ME.number = numbers;
        ME.greeted = false;
        ME.attached = false;
        ME.asleep = false;
        s = 0;
        g = 0;
        if
        :: step = ATTACH
        :: p == 0 -> step = STAY_AWAY /* the other one serves */
        fi }
    od
}

/* ---- the host ---- */

#ifdef NO_ANNOUNCE_AT_TAKE_UP
#define ANNOUNCES (!IS(TAKE_UP))
#else
#define ANNOUNCES true
#endif
#ifdef NO_NOTIFY_AT_TAKE_UP
#define NOTIFIES (!IS(TAKE_UP))
#elif defined NO_RENOTIFY
#define NOTIFIES false
#else
#define NOTIFIES true
#endif

inline settle(s) {
    if
    :: slot[s].owner == w -> slot[s].owner = 0
    :: else
    fi
}

inline repair(s) {
    if
#ifdef HOST_BLOCKS
    :: IS_OPEN(s) -> request(s)
#elif defined HOST_SKIPS
    :: IS_OPEN(s) ->
        if
        :: nfull(requests) -> request(s)
        :: full(requests)
        fi
#else
    :: IS_OPEN(s) && ANNOUNCES -> owed[s] = true
#endif
    :: slot[s].ended > 0 && slot[s].ended == slot[s].submitted && NOTIFIES -> notify(s)
    :: else
    fi
}

/* For each slot a step of its own: the host may die in between. */
inline next_slot(then) {
    if
    :: s < ALL - 1 -> s++
    :: s == ALL - 1 -> s = 0; step = then
    fi
}

inline tell_queue(w) {
    if
    :: worker[0].number == w -> worker[0].attached = true
    :: worker[1].number == w -> worker[1].attached = true
    :: else
    fi
}

#define PAYS(x)                                                                                       \
    :: atomic { IS(SERVE) && owed[x] && (nfull(requests) || !IS_OPEN(x)) ->                           \
        owed[x] = false;                                                                              \
        if                                                                                            \
        :: IS_OPEN(x) -> request(x)                                                                   \
        :: else                                                                                       \
        fi }

active proctype Host() {
    mtype step = SERVE;
    byte w, s;

end:
    do
    :: atomic { IS(SERVE) && events?[ATTACHES, _] -> events?ATTACHES(w); step = TELL }
    :: atomic { IS(TELL) -> tell_queue(w); w = 0; step = SERVE }
    :: atomic { IS(SERVE) && events?[EXITED, _] -> events?<EXITED(w)>; step = SETTLE }
    :: atomic { IS(SETTLE) ->
        settle(s);
        next_slot(REPAIR);
        if
        :: IS(REPAIR) -> events?EXITED(_); w = 0 /* the host lets go of the pidfd */
        :: else
        fi }
    :: atomic { IS(REPAIR) -> repair(s); next_slot(SERVE) }
    PAYS(0)
#if ALL > 1
    PAYS(1)
#endif
#if ALL > 2
    PAYS(2)
#endif
#if ALL > 3
    PAYS(3)
#endif
#if ALL > 4
    PAYS(4)
#endif
#if RESTARTS > 0
    :: atomic { restarts < RESTARTS ->
        restarts++;
        w = 0;
        s = 0;
        do
        :: s < ALL -> owed[s] = false; s++
        :: s == ALL -> s = 0; break
        od;
        step = TAKE_UP }
    :: atomic { IS(TAKE_UP) ->
        repair(s);
        next_slot(SERVE);
        if
#ifndef NO_QUEUES_AT_TAKE_UP
        :: IS(SERVE) -> /* who said HELLO to the old one is told of the queues, perhaps once more */
            worker[0].attached = worker[0].attached || worker[0].greeted;
            worker[1].attached = worker[1].attached || worker[1].greeted
#endif
        :: else
        fi }
#endif
    od
}

/* ---- what must hold when nothing moves any more ---- */

active proctype Checker() {
    byte s;

    timeout;
    do
    :: s < ALL ->
        assert(!IS_OPEN(s)); /* taken */
        s++
    :: s == ALL -> break
    od;
    do
    :: s > 0 ->
        s--;
        assert(finished[s / SLOTS]) /* awake */
    :: s == 0 -> break
    od
}

init {
    byte i;

    atomic {
        do
        :: i < CLIENTS -> run Client(i); i++
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
