/* SPDX-License-Identifier: MIT */
/*
 * Cancel, deadline and the reuse of a slot (docs/protocol.md, sections 3 to 5)
 *
 * One client sends exchange after exchange through one slot. It may tire of each (it cancels, or with
 * -DDEADLINES its deadline passes), and then looks whether it was claimed. Messages are late, repeated
 * and forged. Workers claim and then look; the host looks when it is asked to, and settles the claim of
 * a dead worker. Loads and stores of the two pages that another party can come between are steps of
 * their own. Wake-ups are in queue.pml: here the client sees an end as soon as there is one.
 *
 * Bounds: one slot, EXCHANGES 2 to 4 with generations modulo MODULUS 4, WORKERS 0 to 2, DEATHS 0 to 2,
 * FORGED 0 to 2 messages of any generation and of a wrong size, request queue DEPTH 2. MODULUS stands
 * for 2^32: no worker may hold a message while the slot runs through all of it.
 *
 * What is shown, for every order of steps within the bounds:
 *   sworn    an exchange that is unwanted, and that its client then saw unclaimed, never runs (again)
 *   own      the handler gets the sizes of its exchange, the client those of its answer
 *   ends     every exchange ends, exactly once; with no worker, too, once it is unwanted
 *   wanted   it is CANCELLED or EXPIRED only if its client wished so, FAILED only if workers died of it
 *   honest   no request of a client that keeps the rules is taken for a bad one
 *   kept     nobody takes a claim from a worker that lives
 *   alone    its handler runs for one worker at a time, ATTEMPTS times at most
 *
 * Variants that must be rejected: NO_GENERATION, LOOK_FIRST, LOOK_BEFORE_WISH,
 * CLAIM_UNSUBMITTED, TRUST_MESSAGE, GENERATION_FIRST, WORD_FIRST, REUSE_BEFORE_END, HOST_WRITES_OPEN,
 * HOST_TEARS, HOST_STORES, MODULUS 2; with DEADLINES: CLOCK_BEFORE_CLAIM; with WORKERS 0:
 * NO_LOOK_PACKET.
 */
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
#ifndef FORGED
#define FORGED 1
#endif
#ifndef DEPTH
#define DEPTH 2
#endif
#define ATTEMPTS 2
#define WRONG    99 /* no exchange has this size */

mtype = { FRESH, WAITING, CLAIMED, DONE, FAILED, CANCELLED, EXPIRED };
mtype = { RECEIVE, CHECK, CLAIM, LOOK, FINISH, WRITE, END };

/* The record of the submit page. The size of exchange n is n; so is its deadline, if it has one. */
byte generation;
byte size;
byte deadline;
bool cancel;

/* The word of the state page, and the size of the answer. */
typedef Word {
    byte generation;
    mtype state;
    byte owner;
    byte attempts;
}
Word word;
byte answer;

chan requests = [DEPTH] of { byte, byte }; /* generation, size */
chan looks = [EXCHANGES] of { bit };
chan exits = [DEATHS + 1] of { byte };
byte number[WORKERS + 1];
byte numbers = WORKERS;
byte deaths;
bool owed; /* the host owes an announcement */
byte clock_ns;

/* What the model counts for the exchange that the client is at. */
byte current;
bool ended = true;
bool sworn;
byte running;
byte runs;
bool finished;

#define NEXT(g)       ((g + 1) % MODULUS)
#define ENDED(s)      (s != WAITING && s != CLAIMED)
#define OPEN(g, s, m) ((s == WAITING && g == m) || (ENDED(s) && NEXT(g) == m))
#define UNCLAIMED     OPEN(word.generation, word.state, generation)
#define PASSED(d)     (d != 0 && clock_ns >= d)

/* A run has either cancels or deadlines. */
#ifdef DEADLINES
#define WRITE_RECORD size = current; if :: tires -> deadline = current :: !tires -> deadline = 0 fi
#define TIME_TO_WISH PASSED(deadline)
#define WISH         skip
#define UNWANTED     EXPIRED
#define WISHES(c, d) PASSED(d)
#else
#define WRITE_RECORD size = current; cancel = false
#define TIME_TO_WISH true
#define WISH         cancel = true
#define UNWANTED     CANCELLED
#define WISHES(c, d) (c)
#endif

/* What must hold whenever an exchange ends. */
inline check_end(how) {
    assert(!ended);                                      /* ends */
    ended = true;
    assert(how != UNWANTED || WISHES(cancel, deadline)); /* wanted */
    assert(how != FAILED || deaths >= ATTEMPTS)          /* wanted */
}

#define IS_SAME                                                                                       \
    (word.generation == was.generation && word.state == was.state && word.owner == was.owner &&       \
     word.attempts == was.attempts)

inline read_word() {
    was.generation = word.generation;
    was.state = word.state;
    was.owner = word.owner;
    was.attempts = word.attempts
}

inline forget_word() {
    was.generation = 0;
    was.state = FRESH;
    was.owner = 0;
    was.attempts = 0
}

/* ---- the client ---- */

#ifdef NO_LOOK_PACKET
#define ASK tires = false
#else
#define ASK tires = false; looks!1
#endif

/* Client 4: what it sees unclaimed after its wish, it tells its caller never runs. */
inline swear() {
    if
    :: UNCLAIMED -> sworn = true
    :: else
    fi
}

proctype Client() {
    bool owes, tires;

    do
    :: atomic { current < EXCHANGES ->
        current++;
        sworn = false;
        runs = 0;
        owes = true;
        if /* decided now, so that it cannot help itself out of a wait */
        :: tires = true
#if WORKERS > 0
        :: tires = false
#endif
        fi };
#ifdef GENERATION_FIRST
        atomic { generation = current % MODULUS; ended = false };
#endif
        atomic { WRITE_RECORD };                                 /* 2: the record, then its generation */
#ifndef GENERATION_FIRST
        atomic { generation = current % MODULUS; ended = false };
#endif
        do
        :: atomic { word.generation == generation && ENDED(word.state) -> break }
        :: atomic { owes && nfull(requests) -> requests!generation, size; owes = false }
#ifdef LOOK_BEFORE_WISH
        :: atomic { tires && TIME_TO_WISH -> swear() };
            atomic { WISH; ASK };
#else
        :: atomic { tires && TIME_TO_WISH -> WISH };             /* 4: the wish, then the look, then LOOK */
            atomic { swear(); ASK };
#endif
#ifdef REUSE_BEFORE_END
            if
            :: atomic { sworn -> break }
            :: !sworn
            fi
#endif
        od;
        atomic {
            assert(word.state != DONE || answer == current);     /* own */
            owes = false;
            tires = false }
    :: atomic { current == EXCHANGES -> finished = true; break }
    od
}

/* ---- a worker ---- */

#define IS(s) (step == s)
#define ME    number[p]

#ifdef CLOCK_BEFORE_CLAIM
#define UNWANTED_NOW (deadline != 0 && heard_ns >= deadline)
#else
#define UNWANTED_NOW WISHES(cancel, deadline)
#endif

/*
 * Worker 4: one copy of the record, and what it says about the claim. Another generation in it would end the
 * exchange as FAILED (bad request), which never happens to a client that keeps the rules.
 */
inline look() {
    assert(generation == m); /* honest */
    copied = size;
    if
    :: UNWANTED_NOW -> how = UNWANTED
    :: !UNWANTED_NOW -> how = DONE
    fi
}

inline forget() {
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
    byte m, named, copied;
#ifdef CLOCK_BEFORE_CLAIM
    byte heard_ns;
#endif

    was.state = FRESH;
end:
    do
    :: atomic { IS(RECEIVE) && nempty(requests) ->               /* 1; 3: the word, */
        requests?m(named);
#ifdef CLOCK_BEFORE_CLAIM
        heard_ns = clock_ns;
#endif
        read_word();
#ifdef NO_GENERATION
        m = generation;
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
        :: generation == m -> step = CLAIM
#endif
        :: generation != m -> forget()
        fi }
#ifdef LOOK_FIRST
    :: atomic { IS(CLAIM) && how == FRESH -> look() }
    :: atomic { IS(CLAIM) && how != FRESH ->
#else
    :: atomic { IS(CLAIM) ->                                     /* 4: claim, */
#endif
        if
        :: IS_SAME ->
            word.generation = m;
            word.state = CLAIMED;
            word.owner = ME;
            if
            :: was.state == WAITING -> word.attempts = was.attempts + 1
            :: else -> word.attempts = 1
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
            assert(!sworn);            /* sworn */
            assert(copied == current); /* own */
            running++;
            runs++;
            assert(running == 1);      /* alone */
            assert(runs <= ATTEMPTS);  /* alone */
            step = FINISH
        :: else -> copied = 0; step = END
        fi }
    :: atomic { IS(FINISH) ->                                    /* it may hear of CANCEL */
        running--;
        if
        :: true
        :: WISHES(cancel, deadline) -> how = UNWANTED
        fi;
#ifndef WORD_FIRST
        answer = copied;                                         /* 7: the size, then the word */
#endif
        step = END }
    :: atomic { IS(END) ->
        assert(word.state == CLAIMED && word.owner == ME && word.generation == m); /* kept */
        check_end(how);
        word.state = how;
#ifdef WORD_FIRST
        step = WRITE }
    :: atomic { IS(WRITE) ->
        answer = copied;
#endif
        forget() }
    :: atomic { deaths < DEATHS && (deaths > 0 || p == 0) ->     /* workers are alike */
        deaths++;
        if
        :: IS(FINISH) -> running--
        :: else
        fi;
        exits!ME;
        numbers++;
        ME = numbers;
        forget() }
    od
}

/* ---- the host ---- */

proctype Host() {
    Word was;
    byte w, g, seen_deadline;
    bool seen_cancel;

    was.state = FRESH;
end:
    do
    :: atomic { looks?_ ->                                       /* 4: LOOK; the word first, */
#ifdef HOST_TEARS
            seen_cancel = cancel;
            seen_deadline = deadline };
        atomic {
#endif
            read_word() };
        g = generation;                                          /* then the generation, then the rest */
#ifndef HOST_TEARS
        atomic { seen_cancel = cancel; seen_deadline = deadline };
#endif
        if
        :: OPEN(was.generation, was.state, g) && WISHES(seen_cancel, seen_deadline) ->
#ifdef HOST_WRITES_OPEN
            answer = 0;
#endif
            atomic {
                if
#ifdef HOST_STORES
                :: true ->
#else
                :: IS_SAME ->
#endif
                    word.generation = g;
                    word.owner = 0;
                    check_end(UNWANTED);
                    word.state = UNWANTED
                :: else
                fi }
        :: else /* a claimed one: CANCEL to its owner, which may look at any time */
        fi;
        atomic {
            g = 0;
            seen_cancel = false;
            seen_deadline = 0;
            forget_word() }
    :: atomic { exits?w ->                                       /* 3: settle, then announce */
        if
        :: word.state == CLAIMED && word.owner == w ->
            word.owner = 0;
            if
            :: WISHES(cancel, deadline) -> check_end(UNWANTED); word.state = UNWANTED
            :: !WISHES(cancel, deadline) && word.attempts < ATTEMPTS -> word.state = WAITING
            :: !WISHES(cancel, deadline) && word.attempts >= ATTEMPTS ->
                check_end(FAILED);
                word.state = FAILED
            fi
        :: else
        fi;
        owed = true;
        w = 0 }
    :: atomic { owed && (nfull(requests) || !UNCLAIMED) ->
        owed = false;
        if
        :: UNCLAIMED -> requests!generation, size
        :: else
        fi }
    od
}

/* ---- the rest of the world ---- */

#ifdef DEADLINES
proctype Clock() {
end:
    do
    :: clock_ns < current -> clock_ns = current
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
        :: requests!0, WRONG
        :: requests!1, WRONG
#if MODULUS > 2
        :: requests!2, WRONG
        :: requests!3, WRONG
#endif
        fi }
    od
}

active proctype Checker() {
    timeout;
    assert(ended);   /* ends */
    assert(finished) /* ends */
}

init {
    byte i;

    atomic {
        word.state = FRESH;
        do
        :: i < WORKERS -> number[i] = i + 1; run Work(i); i++
        :: i == WORKERS -> break
        od;
        i = 0;
        run Host();
#ifdef DEADLINES
        run Clock();
#endif
        run Forger();
        run Client()
    }
}
