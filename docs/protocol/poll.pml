/* SPDX-License-Identifier: MIT */
/*
 * Sleep and skip (docs/protocol.md, section 5, "Polling")
 *
 * A worker that has just answered may poll the slots of that client; its number then stands in the client's
 * state page. A client inside a call looks at that number after it has submitted and skips the message if
 * somebody polls; it owes the message until the exchange is claimed, and pays when it has polled for long
 * enough. An end is shown where the client polls in a step of its own, after the word has made it one: late, and
 * by who is slow perhaps when the next has ended. Whoever is about to block says so, looks once more, at the
 * word, and then blocks: a client in its submit page (blocked: *awake* is 0), a worker by taking its number away.
 * A worker skips the reply message of a client that does not block. Workers die anywhere, or stop while they poll; the host repairs what the dead leave, as in
 * queue.pml. The queue of requests is large enough here; queue.pml fills it.
 *
 * Bounds: CLIENTS 1 or 2 with one slot each, ROUNDS exchanges, WORKERS 2 of which one may die (DEATHS) or
 * stop for good as it polls (STOPS).
 *
 * What is shown, for every order of steps within the bounds:
 *   taken    no submitted exchange lies where no worker will ever take it
 *   awake    no client sleeps for ever while its slot has ended
 *   alone    one worker polls a client at most, and its number stands there
 *   prompt   a worker does not block while a client counts on it
 *   clear    no dead worker's number stays
 *
 * Variants that must be rejected: SKIPPER_RETURNS, SLEEPS_BLIND, LOOKS_FIRST, WORKER_BLOCKS_BLIND,
 * TWO_POLLERS, ASKS_BEFORE_END, FORGET_POLLER, LOOKS_AT_SHOWN.
 */
#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define WORKERS 2
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef STOPS
#define STOPS 0
#endif

typedef Slot {
    byte submitted;
    byte ended;
    byte shown;   /* the latest end, where the client polls */
    byte owner;
    byte poller;  /* in the state page */
    bool blocked; /* in the submit page */
    byte counts_on;
}
Slot slot[CLIENTS];

mtype = { SUBMIT, ASK, POLL, PAY, ANNOUNCE, LOOK, BLOCK };
mtype = { RECEIVE, CLAIM, END, SHOW, TELL, ENTER, WATCH, LEAVE, AGAIN, DEAD, STOPPED };

chan requests = [CLIENTS * ROUNDS * 3] of { byte, byte }; /* slot, generation */
chan replies[CLIENTS] = [1] of { bit };
chan exits = [1] of { byte };
byte deaths, stops;
bool finished[CLIENTS];
bool buried[WORKERS + 1];

#define IS(x)      (step == x)
#define IS_OPEN(c) (slot[c].submitted == slot[c].ended + 1 && slot[c].owner == 0)

inline request(c) { requests!c(slot[c].submitted) }

inline notify(c) {
    if
    :: nfull(replies[c]) -> replies[c]!0
    :: full(replies[c])
    fi
}

/* ---- a client, one call after the other ---- */

#define IS_SHOWN  (slot[c].shown == slot[c].submitted)
#ifdef LOOKS_AT_SHOWN
#define HAS_ENDED IS_SHOWN
#else
#define HAS_ENDED (slot[c].ended == slot[c].submitted)
#endif
#define OVER      slot[c].blocked = false; slot[c].counts_on = 0; owes = false; step = SUBMIT

/* What follows a poll that took too long: pay, say that it blocks, look once more, block. */
#ifdef SKIPPER_RETURNS
#define AFTER_POLL ANNOUNCE
#else
#define AFTER_POLL PAY
#endif
#ifdef SLEEPS_BLIND
#define AFTER_ANNOUNCE BLOCK
#else
#define AFTER_ANNOUNCE LOOK
#endif
#ifdef LOOKS_FIRST
#define AFTER_PAY  LOOK
#define AFTER_LOOK ANNOUNCE
#undef  AFTER_ANNOUNCE
#define AFTER_ANNOUNCE BLOCK
#else
#define AFTER_PAY  ANNOUNCE
#define AFTER_LOOK BLOCK
#endif

proctype Client(byte c) {
    mtype step = SUBMIT;
    bool owes;

    do
    :: atomic { IS(SUBMIT) && slot[c].ended < ROUNDS -> slot[c].submitted++; step = ASK }
    :: atomic { IS(SUBMIT) && slot[c].ended == ROUNDS -> break }
    :: atomic { IS(ASK) ->
        if
        :: slot[c].poller != 0 -> owes = true; slot[c].counts_on = slot[c].poller
        :: else -> request(c)
        fi;
        step = POLL }
    :: atomic { IS(POLL) && IS_SHOWN -> OVER }
    :: atomic { IS(POLL) && !IS_SHOWN -> step = AFTER_POLL } /* long enough */
    :: atomic { IS(PAY) ->
        if
        :: owes && IS_OPEN(c) -> request(c)
        :: else
        fi;
        owes = false;
        slot[c].counts_on = 0;
        step = AFTER_PAY }
    :: atomic { IS(ANNOUNCE) -> slot[c].blocked = true; step = AFTER_ANNOUNCE }
    :: atomic { IS(LOOK) && HAS_ENDED -> OVER }
    :: atomic { IS(LOOK) && !HAS_ENDED -> step = AFTER_LOOK }
    :: atomic { IS(BLOCK) && nempty(replies[c]) ->
        replies[c]?_;
        slot[c].blocked = false;
        step = POLL }
    od;
    finished[c] = true
}

/* ---- a worker ---- */

#define ME     number
#define POLLED slot[polls - 1]

inline forget() { s = 0; g = 0 }

proctype Work(byte number) {
    mtype step = RECEIVE;
    byte polls; /* 1 + the client that it polls; 0 for none */
    byte s, g;
    byte e; /* what it has ended, and not shown yet */
    bool asked;

end:
    do
    :: atomic { IS(RECEIVE) && nempty(requests) -> requests?s(g); step = CLAIM }
    :: atomic { IS(CLAIM) ->
        if
        :: IS_OPEN(s) && slot[s].submitted == g ->
            slot[s].owner = ME;
            slot[s].counts_on = 0;
            step = END
        :: !(IS_OPEN(s) && slot[s].submitted == g) && polls -> forget(); step = WATCH
        :: !(IS_OPEN(s) && slot[s].submitted == g) && !polls -> forget(); step = RECEIVE
        fi }
#ifdef ASKS_BEFORE_END
    :: atomic { IS(END) && !asked -> asked = true; g = slot[s].blocked }
    :: atomic { IS(END) && asked ->
        slot[s].owner = 0;
        slot[s].ended++;
        e = slot[s].ended;
        asked = false;
        step = SHOW }
#define BLOCKS g
#else
    :: atomic { IS(END) -> slot[s].owner = 0; slot[s].ended++; e = slot[s].ended; step = SHOW }
#define BLOCKS slot[s].blocked
#endif
    :: atomic { IS(SHOW) -> slot[s].shown = e; e = 0; step = TELL }
    :: atomic { IS(TELL) ->
        if
        :: BLOCKS -> notify(s)
        :: else
        fi;
        if
        :: polls -> forget(); step = WATCH
        :: !polls -> g = 0; step = ENTER
        fi }

    /* Poll this client, if nobody does; or rather not. */
#ifdef TWO_POLLERS
    :: atomic { IS(ENTER) -> slot[s].poller = ME; polls = s + 1; forget(); step = WATCH }
#else
    :: atomic { IS(ENTER) && slot[s].poller == 0 -> slot[s].poller = ME; polls = s + 1; forget(); step = WATCH }
#endif
    :: atomic { IS(ENTER) -> forget(); step = RECEIVE }

    :: atomic { IS(WATCH) && IS_OPEN(polls - 1) ->
        assert(POLLED.poller == ME); /* alone */
        s = polls - 1;
        g = slot[s].submitted;
        step = CLAIM }
    :: atomic { IS(WATCH) && nempty(requests) -> requests?s(g); step = CLAIM } /* others are not kept waiting */
    :: atomic { IS(WATCH) -> step = LEAVE }
    :: atomic { IS(LEAVE) ->
        assert(POLLED.poller == ME); /* alone */
        POLLED.poller = 0;
#ifdef WORKER_BLOCKS_BLIND
        step = RECEIVE;
        assert(!(IS_OPEN(polls - 1) && POLLED.counts_on == ME)); /* prompt */
        polls = 0
#else
        step = AGAIN
#endif
        }
    :: atomic { IS(AGAIN) ->
        if
        :: IS_OPEN(polls - 1) -> s = polls - 1; g = slot[s].submitted; step = CLAIM
        :: else ->
            assert(!(IS_OPEN(polls - 1) && POLLED.counts_on == ME)); /* prompt */
            step = RECEIVE
        fi;
        polls = 0 }

    :: atomic { IS(WATCH) && stops < STOPS -> stops++; step = STOPPED }
    :: atomic { deaths < DEATHS && !IS(STOPPED) -> deaths++; exits!ME; step = DEAD }
    od
}

/* ---- the host, at a worker's exit ---- */

active proctype Host() {
    byte c, w;

end:
    do
    :: atomic { exits?w ->
        do
        :: c < CLIENTS ->
            if
            :: slot[c].owner == w -> slot[c].owner = 0
            :: else
            fi;
#ifndef FORGET_POLLER
            if
            :: slot[c].poller == w -> slot[c].poller = 0
            :: else
            fi;
#endif
            if
            :: slot[c].counts_on == w -> slot[c].counts_on = 0
            :: else
            fi;
            if
            :: IS_OPEN(c) -> request(c)
            :: slot[c].ended > 0 && slot[c].ended == slot[c].submitted -> notify(c)
            :: else
            fi;
            c++
        :: c == CLIENTS -> break
        od;
        c = 0;
        buried[w] = true;
        w = 0 }
    od
}

/* ---- what must hold when nothing moves any more ---- */

active proctype Checker() {
    byte c;

    timeout;
    do
    :: c < CLIENTS ->
        assert(!IS_OPEN(c)); /* taken */
        assert(finished[c]); /* awake */
        assert(slot[c].poller == 0 || !buried[slot[c].poller]); /* clear */
        c++
    :: c == CLIENTS -> break
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
        :: i < WORKERS -> run Work(i + 1); i++
        :: i == WORKERS -> break
        od;
        i = 0
    }
}
