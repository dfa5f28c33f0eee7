/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given back while nobody looks at it (docs/protocol.md, sections 3 to 5)
 *
 * One client sends exchange after exchange through one slot, some of them without bytes, or takes the slot
 * and sends nothing. The host may at any time find the slot idle: it holds the word, shows that to the client in
 * a place of its own, looks once more, punches what nobody uses, says so in the state page and lets go. It may be killed after any step; the next one has
 * what is in both pages. Loads and stores that another party can come between are steps of their own.
 *
 * Bounds: one slot, EXCHANGES 2 to 4, WORKERS 1 or 2, TRIMS 1 to 3 tries of the host, DEATHS 0 to 2 of it, a
 * request queue of DEPTH 2, into which FORGED 0 or 1 repeated messages come.
 *
 * What is shown, for every order of steps within the bounds:
 *   whole    the worker finds the bytes of the request that it claimed, none of them punched
 *   kept     the client finds the bytes of its answer, as long as it may look at them
 *   paid     nobody writes where nothing is allocated, and nothing is allocated that the host does not count
 *   ends     every exchange ends, and every question to the host is answered
 *   back     what was held is let go of
 *
 * Variants that must be rejected: NOT_TAKEN, TAKEN_LATE, LOOK_ONCE, CLAIM_HELD, NOT_HELD, NOT_RELEASED,
 * NOT_COMPARED, NOT_ANNOUNCED, ZERO_LATE, NOT_SHOWN; with DEATHS 1: HOLD_STAYS, HOLD_FORGOTTEN,
 * PUNCH_FIRST.
 */
#ifndef EXCHANGES
#define EXCHANGES 3
#endif
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef TRIMS
#define TRIMS 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef FORGED
#define FORGED 0
#endif
#ifndef DEPTH
#define DEPTH 2
#endif

mtype = { END, CLAIMED };

/* The record of the submit page. */
byte submitted;
byte released;
bool taken;
bool bare;  /* what is submitted has no bytes */

/* The record of the state page: the word, and what each window is said to have. */
#define NOBODY 0
#define WORKER 1
#define HOST   2
typedef Word {
    byte generation;
    mtype state;
    byte owner
}
Word word;
bool held;  /* so says the host to the client, which does not look at the word */
bool request_reserved;
bool response_there;

/* What each window holds: nothing, nothing yet, or the bytes of this exchange. */
#define HOLE  0
#define BLANK 99
byte request;
byte response;

/* What the host counts. */
bool request_counted;
bool response_counted;

chan requests = [DEPTH] of { byte };
chan asks = [1] of { bit };
chan grants = [1] of { bit };
byte trims;
byte deaths;
byte forged;
bool killed;
bool finished;

#define HELD      (word.owner == HOST)
#define IDLE      (submitted == word.generation && released == word.generation && !taken)
#define PENDING   (word.state == END && submitted == word.generation + 1)
#define IS_SAME   (word.generation == was.generation && word.state == was.state && word.owner == was.owner)
#define READ_WORD was.generation = word.generation; was.state = word.state; was.owner = word.owner

/* ---- the client ---- */

#ifdef TAKEN_LATE
#define LOOK_EARLY found = held
#define LOOK       skip
#else
#define LOOK_EARLY skip
#define LOOK       found = held
#endif
#ifdef NOT_TAKEN
#define TAKE skip
#else
#define TAKE taken = true
#endif
#ifdef NOT_COMPARED
#define IS_LESS false
#else
#define IS_LESS (!request_reserved)
#endif

proctype Client() {
    byte current;
    bool granted, there, found, bytes;

    do
    :: atomic { current < EXCHANGES ->
        if
        :: bytes = true
        :: bytes = false
        fi };
        LOOK_EARLY;
        TAKE;                                                     /* 1: taken; then whether it is held, */
        LOOK;
        atomic {                                                  /* then what is reserved */
            if
            :: found || IS_LESS -> granted = false; there = false
            :: else
            fi;
            found = false };
        if
        :: bytes && !granted ->
            asks!1;
            atomic { grants?_ -> granted = true }
        :: else
        fi;
        if
        :: atomic { bytes && !there ->
            assert(request_counted);                              /* paid */
            there = true;
            if
            :: request == HOLE -> request = BLANK
            :: else
            fi }
        :: else
        fi;
        if
        :: atomic { bytes ->
            assert(request != HOLE);                              /* paid */
            request = current + 1 }
        :: else
        fi;
        if
        :: atomic { current++; submitted = current; bare = !bytes };
            atomic { nfull(requests) -> requests!current };
            word.generation == current && word.state == END;
            assert(response == current);                          /* kept */
            released = current
        :: skip                                                   /* thinks better of it */
        fi;
        atomic { taken = false; bytes = false }
    :: atomic { current == EXCHANGES -> finished = true; break }
    od
}

/* ---- a worker ---- */

#ifdef CLAIM_HELD
#define MAY_CLAIM true
#else
#define MAY_CLAIM (was.owner != HOST)
#endif

proctype Work() {
    Word was;
    byte m;
    bool there;

    was.state = END;
end:
    do
    :: atomic { nempty(requests) -> requests?m; READ_WORD };
        if
        :: atomic { was.state == END && was.generation + 1 == m && submitted == m && MAY_CLAIM && IS_SAME ->
            word.state = CLAIMED;
            word.generation = m;
            word.owner = WORKER };
            there = response_there;
            assert(bare || request == m);                        /* whole */
            if                                                    /* RESERVE, then allocate */
            :: atomic { !there ->
                response_counted = true;
                if
                :: response == HOLE -> response = BLANK
                :: else
                fi }
            :: else
            fi;
            atomic {
                assert(response != HOLE && response_counted);     /* paid */
                response = m };
            response_there = true;
            word.state = END
        :: else
        fi;
        atomic { m = 0; there = false; was.generation = 0; was.state = END; was.owner = NOBODY }
    od
}

/* ---- the host ---- */

#ifdef NOT_RELEASED
#define MAY_PUNCH_RESPONSE true
#define MAY_HOLD           (submitted == word.generation && word.state == END)
#else
#define MAY_PUNCH_RESPONSE (released == word.generation)
#define MAY_HOLD           (IDLE && word.state == END)
#endif
#ifdef LOOK_ONCE
#define MAY_PUNCH_REQUEST true
#else
#define MAY_PUNCH_REQUEST (!request_reserved || (submitted == word.generation && !taken))
#endif
#ifdef NOT_HELD
#define HOLD   skip
#define UNHOLD skip
#else
#define HOLD   word.owner = HOST
#define UNHOLD word.owner = NOBODY
#endif

#if defined NOT_SHOWN || defined NOT_HELD
#define SHOW skip
#else
#define SHOW held = true
#endif

/* The host tells what was submitted meanwhile: its message may have found the word held. */
inline announce() {
    if
#ifndef NOT_ANNOUNCED
    :: atomic { PENDING && nfull(requests) -> requests!submitted }
    :: atomic { PENDING && full(requests) -> skip } /* owed; here those that are there will do */
#endif
    :: else
    fi
}

/*
 * Done once the word is held: by this host, or by the one that finds it so. The records first: where they say
 * that nothing is there, a client that comes meanwhile takes nothing for granted, and another host may go on.
 */
inline give_back() {
    SHOW;
    if
    :: MAY_PUNCH_RESPONSE ->
#ifndef ZERO_LATE
        response_there = false;
#endif
        response = HOLE;
        response_counted = false
    :: else
    fi;
    if
    :: MAY_PUNCH_REQUEST ->
#ifdef PUNCH_FIRST
        request = HOLE;
        request_reserved = false;
#else
#ifndef ZERO_LATE
        request_reserved = false;
#endif
        request = HOLE;
#endif
        request_counted = false
    :: else
    fi;
    held = false;
    atomic {
        UNHOLD;
        assert(request == HOLE || request_counted);               /* paid */
        assert(response == HOLE || response_counted) };           /* paid */
#ifdef ZERO_LATE
    response_there = false;
    request_reserved = false;
#endif
    announce()
}

inline take_over() {
    atomic {
        request_counted = request_reserved;
        response_counted = response_there || (word.state == CLAIMED && response_counted) /* noted for it */ };
#ifdef HOLD_FORGOTTEN
    held = false;
    UNHOLD;
#endif
#ifndef HOLD_STAYS
    if
    :: HELD -> give_back()
    :: else
    fi;
#endif
    announce()
}

proctype Host() {
    Word was;

    was.state = END;
again:
    {
        if
        :: deaths > 0 -> take_over()
        :: else
        fi;
end:
        do
        :: atomic { nempty(asks) && nfull(grants) ->
            asks?_;
            request_counted = true;
            request_reserved = true;
            grants!1 }
        :: atomic { trims < TRIMS && MAY_HOLD && !HELD && (request_reserved || response_there) ->
            trims++;
            READ_WORD };
            if
            :: atomic { IS_SAME -> HOLD };
                give_back()
            :: else
            fi;
            atomic { was.generation = 0; was.state = END; was.owner = NOBODY }
        od
    } unless { atomic { killed ->
        killed = false;
        was.generation = 0;
        was.state = END;
        was.owner = NOBODY;
        goto again } }
}

/* Whatever else happens to the parties. */
proctype Mishap() {
    do
    :: atomic { deaths < DEATHS && !killed -> deaths++; killed = true }
    :: atomic { forged < FORGED && submitted > 0 && nfull(requests) -> forged++; requests!submitted }
    :: atomic { deaths == DEATHS && forged == FORGED -> break }
    :: atomic { finished -> break }
    od
}

active proctype Checker() {
    timeout;
    assert(finished); /* ends */
    assert(!PENDING); /* ends */
    assert(!HELD);    /* back */
    assert(!held);    /* back */
    assert(request == HOLE || request_counted);   /* paid */
    assert(response == HOLE || response_counted)  /* paid */
}

init {
    byte i;

    atomic {
        word.state = END;
        do
        :: i < WORKERS -> run Work(); i++
        :: i == WORKERS -> break
        od;
        i = 0;
        run Host();
        run Client();
        run Mishap()
    }
}
