/* SPDX-License-Identifier: MIT */
/*
 * Queues by turns (docs/protocol.md, section 5: Worker 1, Host 3)
 *
 * One client of one uid has one request. Another uid floods: whenever its queue has room, there is one more
 * message in it. Workers look which queues have something (one poll), and take one message from each of
 * those before they look again. A worker may die with whatever it has in its hands; the host announces again.
 *
 * Bounds: WORKERS 1 or 2, DEATHS 0 to 2, queues of DEPTH 1; the flood has no end.
 *
 * What is shown, for every order of steps within the bounds:
 *   turns     while the request lies in its queue, each worker takes two messages of the flood at most: one
 *             that it saw before, one that it sees beside the request
 * and with -DLIVE (a formula, under weak fairness):
 *   answered  what is submitted is answered, though the flood has no end
 *
 * Variants that must be rejected: FIRST_READY (after each message a new poll, and the first that it names:
 * the order does not change while both have something), DRAIN (a queue is emptied before the next),
 * ONE_QUEUE (for all uids), HOST_WAITS (an announcement that has no room holds up those of other uids).
 */
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef DEPTH
#define DEPTH 1
#endif

/* The flood's queue is the first that a poll names, and the first that the host thinks of. */
#define FLOOD   0
#ifdef ONE_QUEUE
#define HONEST  0
#else
#define HONEST  1
#endif

mtype = { POLL, TAKE, HANDLE };

chan queue[2] = [DEPTH] of { bool }; /* whether it is the request */
bool submitted, answered;
bool owed[2]; /* by the host: announcements */
bool asked;   /* a worker has died: the host has something to do */
byte deaths;
byte passed;  /* messages of the flood that were taken since the request lay in its queue */

/* ---- those who send ---- */

proctype Client() {
    submitted = true;
    atomic { nfull(queue[HONEST]) -> queue[HONEST]!true; passed = 0 }
}

proctype Flooder() {
end:
    do
    :: atomic { nfull(queue[FLOOD]) -> queue[FLOOD]!false }
    od
}

/* ---- a worker ---- */

#define IS(x)  (step == x)
#define HAS(x) (len(queue[x]) > 0)

#ifdef FIRST_READY
#define NEXT step = POLL
#elif defined DRAIN
#define NEXT                                                                                          \
    if                                                                                                \
    :: HAS(q) -> skip                                                                       \
    :: !HAS(q) -> q++                                                                         \
    fi
#else
#define NEXT q++
#endif

inline take() {
    queue[q]?is_request;
    if
    :: q == FLOOD && HONEST != FLOOD && HAS(HONEST) ->
        passed++;
        assert(passed <= 2 * (WORKERS + DEATHS)) /* turns */
    :: else
    fi;
    step = HANDLE
}

inline begin_again() {
    q = 0;
    ready[0] = false;
    ready[1] = false;
    is_request = false;
    step = POLL
}

proctype Work(byte p) {
    mtype step = POLL;
    bool ready[2];
    bool is_request;
    byte q;

end:
    do
    :: atomic { IS(POLL) && (HAS(0) || HAS(1)) ->
        q = 0;
        ready[0] = HAS(0);
        ready[1] = HAS(1);
        step = TAKE }
    :: atomic { IS(TAKE) && q < 2 && ready[q] && HAS(q) -> take() }
    :: atomic { IS(TAKE) && q < 2 && !(ready[q] && HAS(q)) -> q++ } /* another worker was faster */
    :: atomic { IS(TAKE) && q == 2 -> begin_again() }
    :: atomic { IS(HANDLE) ->
        answered = answered || is_request;
        is_request = false;
        step = TAKE;
        NEXT }
    :: atomic { deaths < DEATHS && (deaths > 0 || p == 0) && !IS(POLL) ->
        deaths++;
        asked = true;
        begin_again() }
    od
}

/* ---- the host ---- */

#ifdef HOST_WAITS
#define MAY_PAY (!owed[FLOOD])
#else
#define MAY_PAY true
#endif

proctype Host() {
end:
    do
    :: atomic { asked -> asked = false; owed[FLOOD] = true; owed[HONEST] = submitted && !answered }
    :: atomic { owed[FLOOD] && nfull(queue[FLOOD]) -> queue[FLOOD]!false; owed[FLOOD] = false }
    :: atomic { owed[HONEST] && nfull(queue[HONEST]) && MAY_PAY ->
        queue[HONEST]!true;
        owed[HONEST] = false;
        passed = 0 }
    od
}

init {
    atomic {
        run Client();
        run Flooder();
        run Work(0);
#if WORKERS > 1
        run Work(1);
#endif
        run Host()
    }
}

#ifdef LIVE
ltl answered { [] (submitted -> <> answered) }
#endif
