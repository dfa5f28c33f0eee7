/* SPDX-License-Identifier: MIT */
/*
 * Cancel, deadline, parking and the reuse of slots (docs/protocol.md, sections 3 to 5)
 *
 * A client sends exchange after exchange through each of its slots. It may tire of each (it cancels, or with
 * -DDEADLINES its deadline passes), and then looks whether it was claimed. Messages are late, repeated
 * and forged. Workers claim and then look; the host looks when it is asked to, and settles the claims of
 * a dead worker; at the last attempt it copies the request aside first. It may die itself, and another
 * goes on with what is kept. Loads and stores of the two pages that another party can come between are
 * steps of their own. Wake-ups are in queue.pml: here the client sees an end as soon as there is one.
 *
 * Bounds: SLOTS 1 or 2, EXCHANGES 1 to 4 in each with generations modulo MODULUS 4, WORKERS 0 to 2, DEATHS 0
 * to 2, RESTARTS 0 or 1 of the host, FORGED 0 to 2 messages of any generation and of a wrong size, request
 * queue DEPTH 2. MODULUS stands for 2^32: no worker may hold a message while the slot runs through all of it.
 *
 * What is shown, for every order of steps within the bounds:
 *   sworn    an exchange that is unwanted, and that its client then saw unclaimed, never runs (again)
 *   own      the handler gets the sizes of its exchange, the client those of its answer
 *   ends     every exchange ends, exactly once; with no worker, too, once it is unwanted
 *   wanted   it is CANCELLED or EXPIRED only if its client wished so, FAILED only if workers died of it
 *   honest   no request of a client that keeps the rules is taken for a bad one
 *   kept     nobody takes a claim from a worker that lives
 *   alone    its handler runs for one worker at a time, ATTEMPTS times at most
 *   parked   what FAILED because workers died of it is kept, and is the request of that generation
 *
 * Variants that must be rejected: NO_GENERATION, LOOK_FIRST, LOOK_BEFORE_WISH,
 * CLAIM_UNSUBMITTED, TRUST_MESSAGE, GENERATION_FIRST, WORD_FIRST, REUSE_BEFORE_END, HOST_WRITES_OPEN,
 * HOST_TEARS, HOST_STORES, MODULUS 2; with DEADLINES: CLOCK_BEFORE_CLAIM; with WORKERS 0:
 * NO_LOOK_PACKET; with SLOTS 2: ANY_SLOT; with DEATHS: PARK_LATE, PARK_GOES_ON, PARK_UNCHECKED, and with
 * STAYS_AWAY: SETTLE_BLIND; with RESTARTS, too: NO_AGAIN, PARK_FORGOTTEN.
 */
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef EXCHANGES
#define EXCHANGES 3
#endif
#ifndef MODULUS
#define MODULUS 4
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef FORGED
#define FORGED 1
#endif
#ifndef DEPTH
#define DEPTH 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#define WRONG 99 /* no exchange has this size */
#define ENDER 99 /* no worker has this number: the host, which parks */

mtype = { FRESH, WAITING, CLAIMED, DONE, FAILED, CANCELLED, EXPIRED };
mtype = { RECEIVE, CHECK, CLAIM, LOOK, FINISH, WRITE, END };
mtype = { NONE, COPY, KEEP, COPIED }; /* of what is parked */
mtype = { SERVE, WORD, GENERATION, WISHED, SWAP, PARKED, NEXT_SLOT }; /* what the host does next */

typedef Word {
    byte generation;
    mtype state;
    byte owner;
    byte attempts;
}

typedef Slot {
    /*
     * The record of the submit page, and the window. The size of exchange n is n; so is its deadline, if it
     * has one, and its payload.
     */
    byte generation;
    byte size;
    byte deadline;
    bool cancel;
    byte payload;

    /* The state page. */
    Word word;
    byte answer;

    /* What the model counts for the exchange that the client is at. */
    byte current;
    byte running;
    byte runs;
    byte parked; /* the payload of it that was copied aside and is kept */
    bool ended;
    bool sworn;
    bool finished;

    mtype park; /* how far the copy is, */
    byte copy;  /* the copy, */
    bool stop;  /* and whether it is to be thrown away */
    bool owed;  /* by the host: an announcement */
    bool again; /* from the host to the client: AGAIN */
}
Slot slot[SLOTS];

chan requests = [DEPTH] of { byte, byte, byte }; /* slot, generation, size */
chan looks = [SLOTS * EXCHANGES + RESTARTS * SLOTS] of { byte };
chan exits = [DEATHS + 1] of { byte };
byte number[WORKERS + 1];
byte numbers = WORKERS;
byte deaths;
byte clock_ns;
bool away; /* the last worker, and nobody starts it again: what is wanted waits */

#define NEXT(g)       ((g + 1) % MODULUS)
#define ENDED(s)      (s != WAITING && s != CLAIMED)
#define OPEN(g, s, m) ((s == WAITING && g == m) || (ENDED(s) && NEXT(g) == m))
#define UNCLAIMED(s)  OPEN(slot[s].word.generation, slot[s].word.state, slot[s].generation)
#define PASSED(d)     (d != 0 && clock_ns >= d)

/* A run has either cancels or deadlines. */
#ifdef DEADLINES
#define WISH         skip
#define UNWANTED     EXPIRED
#define WISHES(c, d) PASSED(d)
#else
#define WISH         slot[s].cancel = true
#define UNWANTED     CANCELLED
#define WISHES(c, d) (c)
#endif

/* What must hold whenever an exchange ends. */
inline check_end(how) {
    assert(!slot[s].ended);                                              /* ends */
    slot[s].ended = true;
    assert(how != UNWANTED || WISHES(slot[s].cancel, slot[s].deadline)); /* wanted */
    assert(how != FAILED || deaths >= ATTEMPTS);                         /* wanted */
    assert(how != FAILED || slot[s].parked == slot[s].current)           /* parked */
}

#define IS_SAME                                                                                       \
    (slot[s].word.generation == was.generation && slot[s].word.state == was.state &&                  \
     slot[s].word.owner == was.owner && slot[s].word.attempts == was.attempts)

inline read_word() {
    was.generation = slot[s].word.generation;
    was.state = slot[s].word.state;
    was.owner = slot[s].word.owner;
    was.attempts = slot[s].word.attempts
}

inline forget_word() {
    was.generation = 0;
    was.state = FRESH;
    was.owner = 0;
    was.attempts = 0
}

/* ---- the client: for it slots have no more in common than a queue and a socket ---- */

#ifdef NO_LOOK_PACKET
#define ASK tires = false
#else
#define ASK tires = false; asked = true; looks!s
#endif

/* Client 4: what it sees unclaimed after its wish, it tells its caller never runs. */
inline swear() {
    if
    :: UNCLAIMED(s) -> slot[s].sworn = true
    :: else
    fi
}

inline write_record() {
    slot[s].size = slot[s].current;
    slot[s].payload = slot[s].current;
#ifdef DEADLINES
    if
    :: tires -> slot[s].deadline = slot[s].current
    :: !tires -> slot[s].deadline = 0
    fi
#else
    slot[s].cancel = false
#endif
}

#ifdef DEADLINES
#define TIME_TO_WISH PASSED(slot[s].deadline)
#else
#define TIME_TO_WISH true
#endif
#define IS_DONE          (slot[s].word.generation == slot[s].generation && slot[s].word.state == DONE)
#define WRITE_GENERATION slot[s].generation = slot[s].current % MODULUS; slot[s].ended = false

proctype Client(byte s) {
    bool owes, tires, asked;

    do
    :: atomic { slot[s].current < EXCHANGES ->
        slot[s].current++;
        slot[s].sworn = false;
        slot[s].runs = 0;
        slot[s].parked = 0;
        owes = true;
        if /* decided now, so that it cannot help itself out of a wait */
        :: tires = true
#if WORKERS > 0
        :: tires = false
#endif
        fi };
#ifdef GENERATION_FIRST
        atomic { WRITE_GENERATION };
#endif
        atomic { write_record() };                               /* 2: the record, then its generation */
#ifndef GENERATION_FIRST
        atomic { WRITE_GENERATION };
#endif
#ifdef STAYS_AWAY
end:
#endif
        do
        :: atomic { slot[s].word.generation == slot[s].generation && ENDED(slot[s].word.state) -> break }
        :: atomic { owes && nfull(requests) -> requests!s, slot[s].generation, slot[s].size; owes = false }
#ifdef LOOK_BEFORE_WISH
        :: atomic { tires && TIME_TO_WISH -> swear() };
            atomic { WISH; ASK };
#else
        :: atomic { tires && TIME_TO_WISH -> WISH };             /* 4: the wish, then the look, then LOOK */
            atomic { swear(); ASK };
#endif
#if RESTARTS > 0
        :: atomic { slot[s].again -> slot[s].again = false;      /* 6: what has no answer is asked again */
            if
            :: asked -> looks!s
            :: else
            fi }
#endif
#ifdef REUSE_BEFORE_END
            if
            :: atomic { slot[s].sworn -> break }
            :: !slot[s].sworn
            fi
#endif
        od;
        atomic {
            assert(!IS_DONE || slot[s].answer == slot[s].current); /* own */
            owes = false;
            asked = false;
            tires = false }
    :: atomic { slot[s].current == EXCHANGES -> slot[s].finished = true; break }
    od
}

/* ---- a worker ---- */

#define IS(x) (step == x)
#define ME    number[p]

#ifdef CLOCK_BEFORE_CLAIM
#define UNWANTED_NOW (slot[s].deadline != 0 && heard_ns >= slot[s].deadline)
#else
#define UNWANTED_NOW WISHES(slot[s].cancel, slot[s].deadline)
#endif

/*
 * Worker 4: one copy of the record, and what it says about the claim. Another generation in it would end the
 * exchange as FAILED (bad request), which never happens to a client that keeps the rules.
 */
inline look() {
    assert(slot[s].generation == m); /* honest */
    copied = slot[s].size;
    if
    :: UNWANTED_NOW -> how = UNWANTED
    :: !UNWANTED_NOW -> how = DONE
    fi
}

inline forget() {
    s = 0;
    m = 0;
    named = 0;
    copied = 0;
    forget_word();
    how = FRESH;
    step = RECEIVE
}

proctype Work(byte p) {
    mtype step = RECEIVE;
    mtype how = FRESH;
    Word was;
    byte s, m, named, copied;
#ifdef CLOCK_BEFORE_CLAIM
    byte heard_ns;
#endif

    was.state = FRESH;
end:
    do
    :: atomic { IS(RECEIVE) && nempty(requests) ->               /* 1; 3: the word, */
        requests?s(m, named);
#ifdef ANY_SLOT
        s = 0;
#endif
#ifdef CLOCK_BEFORE_CLAIM
        heard_ns = clock_ns;
#endif
        read_word();
#ifdef NO_GENERATION
        m = slot[s].generation;
        if
        :: was.state != CLAIMED -> step = CLAIM
#else
        if
        :: OPEN(was.generation, was.state, m) -> step = CHECK
#endif
        :: else -> forget()
        fi }
    :: atomic { IS(CHECK) ->                                     /* then the generation submitted */
        if
#ifdef CLAIM_UNSUBMITTED
        :: true -> step = CLAIM
#else
        :: slot[s].generation == m -> step = CLAIM
#endif
        :: slot[s].generation != m -> forget()
        fi }
#ifdef LOOK_FIRST
    :: atomic { IS(CLAIM) && how == FRESH -> look() }
    :: atomic { IS(CLAIM) && how != FRESH ->
#else
    :: atomic { IS(CLAIM) ->                                     /* 4: claim, */
#endif
        if
        :: IS_SAME ->
            slot[s].word.generation = m;
            slot[s].word.state = CLAIMED;
            slot[s].word.owner = ME;
            if
            :: was.state == WAITING -> slot[s].word.attempts = was.attempts + 1
            :: else -> slot[s].word.attempts = 1
            fi;
            forget_word();
            step = LOOK
        :: else -> forget()
        fi }
    :: atomic { IS(LOOK) ->                                      /* then look */
#ifndef LOOK_FIRST
        look();
#endif
#ifdef TRUST_MESSAGE
        copied = named;
#endif
        named = 0;
        if
        :: how == DONE ->
            assert(!slot[s].sworn);            /* sworn */
            assert(copied == slot[s].current); /* own */
            slot[s].running++;
            slot[s].runs++;
            assert(slot[s].running == 1);      /* alone */
            assert(slot[s].runs <= ATTEMPTS);  /* alone */
            step = FINISH
        :: else -> copied = 0; step = END
        fi }
    :: atomic { IS(FINISH) ->                                    /* it may hear of CANCEL */
        slot[s].running--;
        if
        :: true
        :: WISHES(slot[s].cancel, slot[s].deadline) -> how = UNWANTED
        fi;
#ifndef WORD_FIRST
        slot[s].answer = copied;                                 /* 7: the size, then the word */
#endif
        step = END }
    :: atomic { IS(END) ->
        assert(slot[s].word.state == CLAIMED && slot[s].word.owner == ME); /* kept */
        assert(slot[s].word.generation == m);                              /* kept */
        check_end(how);
        slot[s].word.state = how;
#ifdef WORD_FIRST
        step = WRITE }
    :: atomic { IS(WRITE) ->
        slot[s].answer = copied;
#endif
        forget() }
    :: atomic { deaths < DEATHS && (deaths > 0 || p == 0) ->     /* workers are alike */
        deaths++;
        if
        :: IS(FINISH) -> slot[s].running--
        :: else
        fi;
        exits!ME;
        numbers++;
        ME = numbers;
        forget();
#ifdef STAYS_AWAY
        away = true;
        break
#endif
        }
    od
}

/* ---- the host ---- */

/* Host 3: settle and announce, slot after slot; then let go of the pidfd: a new host would see it again. */
inline next(then) {
    g = 0;
    seen_cancel = false;
    seen_deadline = 0;
    forget_word();
    step = then
}

inline serve() {
    s = 0;
    w = 0;
    next(SERVE)
}

#ifdef SETTLE_BLIND
#define SEEN_WISH (w == 0 && WISHES(seen_cancel, seen_deadline))
#else
#define SEEN_WISH WISHES(seen_cancel, seen_deadline)
#endif

inline end_claimed(how) {
    slot[s].word.owner = 0;
    check_end(how);
    slot[s].word.state = how
}

/*
 * Host 6: at the last attempt the claim is the host's until the request is copied aside, by a thread. A
 * wish ends it at once: first the thread is told to throw the copy away, then the client may write over it.
 */
#ifdef PARK_UNCHECKED
#define IS_PARKS (slot[s].word.state == CLAIMED && slot[s].park != NONE)
#else
#define IS_PARKS (slot[s].word.state == CLAIMED && slot[s].park != NONE && slot[s].word.owner == ENDER)
#endif
inline end_parking(how) {
#ifndef PARK_GOES_ON
    slot[s].stop = true;
#endif
    end_claimed(how)
}

/* Host 4: what nobody has claimed. A claimed one: CANCEL to its owner, which may look at any time. */
#ifdef HOST_STORES
#define MAY_SWAP true
#else
#define MAY_SWAP IS_SAME
#endif
inline end_unclaimed() {
    if
    :: OPEN(was.generation, was.state, g) && SEEN_WISH && MAY_SWAP ->
        slot[s].word.generation = g;
        slot[s].word.owner = 0;
        check_end(UNWANTED);
        slot[s].word.state = UNWANTED
    :: IS_PARKS && SEEN_WISH && IS_SAME -> end_parking(UNWANTED)
    :: else
    fi;
    serve()
}

#ifdef PARK_LATE
#define BEGIN_PARKING slot[s].parked = slot[s].current; end_claimed(FAILED); slot[s].park = COPY
#else
#define BEGIN_PARKING slot[s].word.owner = ENDER; slot[s].park = COPY
#endif

inline settle() {
    if
    :: SEEN_WISH -> end_claimed(UNWANTED); next(NEXT_SLOT)
    :: !SEEN_WISH && was.attempts < ATTEMPTS ->
        slot[s].word.owner = 0;
        slot[s].word.state = WAITING;
        next(NEXT_SLOT)
    :: !SEEN_WISH && was.attempts >= ATTEMPTS -> BEGIN_PARKING; next(NEXT_SLOT)
    fi
}

inline keep(x) {
    assert(slot[x].word.generation == slot[x].copy % MODULUS); /* parked */
    slot[x].parked = slot[x].copy;
    slot[x].park = COPIED
}

/* The thread that copies, and the host as it hears that it has done. */
#define COPIES(x)                                                                                     \
    :: atomic { slot[x].park == COPY -> slot[x].copy = slot[x].payload; slot[x].park = KEEP }         \
    :: atomic { slot[x].park == KEEP && slot[x].stop -> slot[x].park = COPIED }                       \
    :: atomic { slot[x].park == KEEP && !slot[x].stop -> keep(x) }
#define HEARS_OF_COPY(x)                                                                              \
    :: atomic { IS(SERVE) && slot[x].park == COPIED -> s = x; step = PARKED }

inline forget_copy() {
    slot[s].park = NONE;
    slot[s].stop = false;
    slot[s].copy = 0
}

/* What the old host was parking. */
inline park_anew() {
    if
#ifndef PARK_FORGOTTEN
    :: slot[s].word.state == CLAIMED && slot[s].word.owner == ENDER -> slot[s].park = COPY
#endif
    :: else
    fi
}

#define PAY(x)                                                                                        \
    :: atomic { IS(SERVE) && slot[x].owed && (nfull(requests) || !UNCLAIMED(x)) ->                    \
        slot[x].owed = false;                                                                         \
        if                                                                                            \
        :: UNCLAIMED(x) -> requests!x, slot[x].generation, slot[x].size                               \
        :: else                                                                                       \
        fi }

proctype Host() {
    mtype step = SERVE;
    Word was;
    byte s, w, g, seen_deadline;
    bool seen_cancel;
#if RESTARTS > 0
    byte restarts;
#endif

    was.state = FRESH;
end:
    do
    :: atomic { IS(SERVE) && nempty(looks) -> looks?s; step = WORD }
    :: atomic { IS(SERVE) && nempty(exits) -> exits?<w>; step = WORD }
    :: atomic { IS(WORD) ->                                      /* the word first, */
#ifdef HOST_TEARS
        if
        :: w == 0 && !seen_cancel && seen_deadline == 0 ->
            seen_cancel = slot[s].cancel;
            seen_deadline = slot[s].deadline
        :: else
        fi };
        atomic {
#endif
        read_word();
        if
        :: w == 0 || (was.state == CLAIMED && was.owner == w) -> step = GENERATION
        :: else -> next(NEXT_SLOT)
        fi }
    :: atomic { IS(GENERATION) -> g = slot[s].generation; step = WISHED } /* then the generation, */
    :: atomic { IS(WISHED) ->                                    /* then the rest */
#ifndef HOST_TEARS
        seen_cancel = slot[s].cancel;
        seen_deadline = slot[s].deadline;
#endif
        step = SWAP }
    :: atomic { IS(SWAP) ->
#ifdef HOST_WRITES_OPEN
        slot[s].answer = (w == 0 && OPEN(was.generation, was.state, g) && SEEN_WISH -> 0 : slot[s].answer);
#endif
        if
        :: w == 0 -> end_unclaimed()                             /* 4 */
        :: w > 0 -> settle()                                     /* 3 */
        fi }
    COPIES(0)
    HEARS_OF_COPY(0)
#if SLOTS > 1
    COPIES(1)
    HEARS_OF_COPY(1)
#endif
    :: atomic { IS(PARKED) ->                                    /* 6 */
        if
        :: IS_PARKS && WISHES(slot[s].cancel, slot[s].deadline) -> end_claimed(UNWANTED)
        :: IS_PARKS && !WISHES(slot[s].cancel, slot[s].deadline) -> end_claimed(FAILED)
        :: !IS_PARKS
        fi;
        forget_copy();
        serve() }
    :: atomic { IS(NEXT_SLOT) ->
        slot[s].owed = true;
        if
        :: s < SLOTS - 1 -> s++; step = WORD
        :: s == SLOTS - 1 -> exits?_; s = 0; w = 0; step = SERVE
        fi }
    PAY(0)
#if SLOTS > 1
    PAY(1)
#endif
#if RESTARTS > 0
    :: atomic { restarts < RESTARTS ->                           /* 5: another host; it announces, */
        restarts++;                                              /* and says AGAIN */
        s = 0;
        do
        :: s < SLOTS ->
            slot[s].owed = true;
#ifndef NO_AGAIN
            slot[s].again = true;
#endif
            forget_copy();
            park_anew();
            s++
        :: s == SLOTS -> break
        od;
        serve() }
#endif
    od
}

/* ---- the rest of the world ---- */

#ifdef DEADLINES
proctype Clock() {
end:
    do
    :: clock_ns < slot[0].current -> clock_ns = slot[0].current
#if SLOTS > 1
    :: clock_ns < slot[1].current -> clock_ns = slot[1].current
#endif
    od
}
#endif

/* Somebody of the same uid, who can write into the same queue. */
proctype Forger() {
    byte forged;

end:
    do
    :: atomic { forged < FORGED && nfull(requests) ->
        forged++;
        if
        :: requests!0, 0, WRONG
        :: requests!0, 1, WRONG
#if MODULUS > 2
        :: requests!0, 2, WRONG
        :: requests!0, 3, WRONG
#endif
        fi }
    od
}

/* What is wanted waits for the worker that stays away; all else has ended. */
#define EXCUSED (away && !WISHES(slot[s].cancel, slot[s].deadline))

active proctype Checker() {
    byte s;

    timeout;
    do
    :: s < SLOTS ->
        assert(slot[s].ended || EXCUSED);    /* ends */
        assert(slot[s].finished || EXCUSED); /* ends */
        s++
    :: s == SLOTS -> break
    od
}

init {
    byte i;

    atomic {
        do
        :: i < SLOTS ->
            slot[i].word.state = FRESH;
            slot[i].park = NONE;
            slot[i].ended = true;
            run Client(i);
            i++
        :: i == SLOTS -> break
        od;
        i = 0;
        do
        :: i < WORKERS -> number[i] = i + 1; run Work(i); i++
        :: i == WORKERS -> break
        od;
        i = 0;
        run Host();
#ifdef DEADLINES
        run Clock();
#endif
        run Forger()
    }
}
