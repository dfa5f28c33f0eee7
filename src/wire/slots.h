/* SPDX-License-Identifier: MIT */
/*
 * Slots: the submit page and the state page of one client (docs/protocol.md, sections 3 to 5)
 *
 * The two pages are the truth about every exchange. Each has one writing side: the client writes its submit
 * page; workers and host write the state page, which the client can only read. This module knows their
 * layout, and is the only one that touches them. What it keeps true:
 *
 * - The word of a slot is changed only by compare-and-swap of all its 64 bits, from a value that was looked
 *   at.
 * - A submit record is read once, as a copy, after the claim; what the client writes later changes nothing.
 * - Fields are published before the word (or generation) that makes them count.
 *
 * No system calls here. Every function may be called from any thread; the rules above say who may.
 */
#pragma once

#include "wire/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_VERSION   2u /* of the layout of the pages */
#define SLOTS_MAX       1024u
#define SLOT_OWNER_MAX     0xfffffdu /* workers' numbers have 24 bits; 0 is nobody */
#define SLOT_OWNER_ENDER   0xfffffeu /* the host, which is about to end the exchange: parks or refuses it */
#define SLOT_OWNER_HOST    0xffffffu /* at an end: the host holds the slot, to give its windows back */
#define SLOT_ATTEMPTS_MAX 15u
#define SLOT_USER_BYTES 64u       /* of the caller's own, in both directions */

#define SUBMIT_CANCEL 1u /* flag: the client does not want the answer any more */
#define SUBMIT_QUIET  8u /* flag: perhaps there is no message; who polls may claim it */
#define SUBMIT_USER   4u /* flag: the caller's own bytes are not all zero; submit_publish() sees to it */
#define SUBMIT_UNKEPT 16u /* flag: never to be written to a disk */

#define WINDOW_REQUEST  1u
#define WINDOW_RESPONSE 2u

typedef enum SlotState {
    SLOT_FRESH = 0,
    SLOT_WAITING = 1,
    SLOT_CLAIMED = 2,
    SLOT_DONE = 3,
    SLOT_FAILED = 4,
    SLOT_CANCELLED = 5,
    SLOT_EXPIRED = 6,
} SlotState;

/* The word of a slot, taken apart. */
typedef struct SlotWord {
    uint32_t generation;
    uint32_t owner;
    SlotState state;
    uint32_t attempts;
} SlotWord;

/* What a client wishes. */
typedef struct SubmitRecord {
    uint32_t generation;
    uint32_t flags;
    uint64_t payload_bytes;
    uint64_t segment_bytes;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 for none */
    uint32_t cpu;         /* 1 + where it was submitted; 0 if unknown */
    uint32_t weight;      /* how many exchanges it stands for, if it is measured */
    uint64_t submitted_ns; /* CLOCK_MONOTONIC; 0: it is not measured */
    uint8_t user[SLOT_USER_BYTES];
} SubmitRecord;

/* What became of it, if it ended as DONE or FAILED; after another end it says nothing. */
typedef struct AnswerRecord {
    uint64_t payload_bytes;
    uint64_t segment_bytes;
    uint32_t reason; /* enum Reason */
    int32_t status;
    uint32_t cpu; /* 1 + where it was handled; 0 if unknown */
    uint64_t ended_ns; /* CLOCK_MONOTONIC; 0: it is not measured */
    uint8_t user[SLOT_USER_BYTES];
} AnswerRecord;

/* How many exchanges of a client have ended, since it came. */
typedef struct SlotCounts {
    uint64_t n_done;
    uint64_t n_failed;
    uint64_t n_cancelled;    /* and expired */
    uint64_t request_bytes;  /* payloads */
    uint64_t response_bytes;
} SlotCounts;

/* The stages of an exchange; the time that each has taken is counted for each client. */
typedef enum Stage {
    STAGE_QUEUED,  /* submitted, until it is claimed; the worker counts */
    STAGE_RUNNING, /* until it is ended; the worker */
    STAGE_REPLIED, /* until the client sees that; the client */
    _STAGE_N,
} Stage;

/**
 * slots_meter() - of a client's stage: in its state page, of STAGE_REPLIED in its submit page
 * @page:       of the two, that one
 */
Meter *slots_meter(const void *page, Stage stage, uint32_t n_slots);

/** slots_page_bytes() - the size of either page, in whole pages: both have that of the state page. */
size_t slots_page_bytes(uint32_t n_slots);

/** submit_page_format() / state_page_format() - host: write the head of a zeroed page. */
void submit_page_format(void *page, uint32_t n_slots);
void state_page_format(void *page, uint32_t n_slots);

/**
 * submit_page_is_valid() / state_page_is_valid() - whether the head says what it must. The size was checked
 * by page_init_connect().
 */
bool submit_page_is_valid(const void *page, uint32_t n_slots);
bool state_page_is_valid(const void *page, uint32_t n_slots);

/* --- the client's side --- */

/**
 * submit_take() - from now on the client uses the request's window
 * Return: how much of it the host has reserved; 0 if the host is about to give it back: then nothing of it
 * counts, and the host's next answer is the first word that does.
 */
uint64_t submit_take(void *submit, const void *state, uint32_t slot);

/** submit_expect() - have the record near by the time that it is written. */
void submit_expect(void *submit, uint32_t slot);

/** submit_publish() - write a record, its generation last. The slot was taken. */
void submit_publish(void *submit, uint32_t slot, const SubmitRecord *record);

/** submit_cancel() - wish that the slot's exchange be given up. Look at the word afterwards, not before. */
void submit_cancel(void *submit, uint32_t slot);

/** submit_release() - the response of @generation is not read any more, and the request's window not used. */
void submit_release(void *submit, uint32_t slot, uint32_t generation);

/**
 * submit_set_awake() - whether the client looks at its slots by itself, without a message. Look at them after
 * it was set to false.
 */
void submit_set_awake(void *submit, bool awake);

/**
 * state_poller() - the number of the worker that polls this client's slots; 0 for none. Ask after
 * submit_publish().
 */
uint32_t state_poller(const void *state);

/* --- reading --- */

/** submit_generation() - the latest generation submitted. */
uint32_t submit_generation(const void *submit, uint32_t slot);

/** submit_is_quiet() - whether the slot's request may be claimed without a message. */
bool submit_is_quiet(const void *submit, uint32_t slot);

/**
 * submit_find_new() - look through slots for a generation that is not the one in @seen
 * @seen:       for each slot
 * @n_looks:    at how many of them, at most
 * @slot:       where to begin; the slot that was found
 * Return: whether there is one.
 */
bool submit_find_new(const void *submit, const uint32_t *seen, uint32_t n_slots, uint32_t n_looks,
                     uint32_t *slot);

/** submit_released() - the last generation whose response the client no longer reads. */
uint32_t submit_released(const void *submit, uint32_t slot);

/** submit_is_taken() - whether the client uses the request's window. */
bool submit_is_taken(const void *submit, uint32_t slot);

/** submit_copy() - one copy of the record; whatever the client does meanwhile, it is what is used. */
void submit_copy(const void *submit, uint32_t slot, SubmitRecord *ret_record);

/** submit_is_cancelled() - whether this generation's cancel flag is set. */
bool submit_is_cancelled(const void *submit, uint32_t slot, uint32_t generation);

/** state_load() - the word; @ret_raw is what a compare-and-swap expects, and may be NULL. */
SlotWord state_load(const void *state, uint32_t slot, uint64_t *ret_raw);

/** state_has_ended() - whether this generation's exchange shows an end. */
bool state_has_ended(const void *state, uint32_t slot, uint32_t generation);

/**
 * state_shown() - the word of the latest end, where a client that polls finds it: no worker that claims
 * loses a cache line by that. It may be late, or for ever that of an end before: look at the word before
 * sleeping.
 */
SlotWord state_shown(const void *state, uint32_t slot);

/** state_is_end() - whether a client may submit the next generation. FRESH counts. */
bool state_is_end(SlotState state);

/** state_answer_copy() - one copy of the answer. It counts only if the word showed an end before. */
void state_answer_copy(const void *state, uint32_t slot, AnswerRecord *ret_record);

/** state_response_bytes() - the answer's segment_bytes alone, also of an exchange before. */
uint64_t state_response_bytes(const void *state, uint32_t slot);

/** state_counts() - what has ended so far, in all slots. */
void state_counts(const void *state, uint32_t n_slots, SlotCounts *ret_counts);

/**
 * state_claimed_ns() - when the present claim was made. 0 while there is none, and in the moment between
 * claim and note.
 */
uint64_t state_claimed_ns(const void *state, uint32_t slot);

/* --- workers and host --- */

/** submit_is_awake() - worker: whether the client finds the end by itself. Ask after slots_end(). */
bool submit_is_awake(const void *submit);

/** state_poll_begin() - worker: become the one that polls this client. Return: whether nobody else is. */
bool state_poll_begin(void *state, uint32_t owner);

/**
 * state_poll_end() - worker, or host for one that is dead: poll no more. Look at all of the slots afterwards.
 */
void state_poll_end(void *state, uint32_t owner);

#define MEASURE_SOME (UINT32_MAX / 64)
#define MEASURE_ALL  UINT32_MAX

/**
 * state_set_measured() - host: which part of 2^32 of those exchanges that take next to no time is to be
 * measured: MEASURE_SOME, or MEASURE_ALL while somebody looks at each.
 */
void state_set_measured(void *state, uint32_t measured);

/** state_measured() - client: which part that is. Here, since it is asked at nearly every exchange. */
#define STATE_MEASURED_AT 16u
static inline uint32_t state_measured(const void *state) {
    return __atomic_load_n((const uint32_t *)state + STATE_MEASURED_AT / sizeof(uint32_t), __ATOMIC_RELAXED);
}

/* A claim that was won. */
typedef struct SlotClaim {
    uint64_t raw; /* the word as the claim left it */
    uint32_t generation;
    uint32_t attempt;
    SubmitRecord request;
} SlotClaim;

/**
 * slots_is_open() - whether a message about @generation would claim something: it is submitted, or waits
 * again.
 */
bool slots_is_open(const void *submit, const void *state, uint32_t slot, uint32_t generation);

/** slots_expect_new() - have the submit record near by the time that it is looked at. */
void slots_expect_new(const void *submit, uint32_t slot);

/** slots_expect_end() - have the state record near by the time that it is claimed, and ended. */
void slots_expect_end(void *state, uint32_t slot);

/**
 * slots_claim() - claim first, then look
 *
 * Return: whether the claim was won; the caller is then bound to end the exchange, whatever the record says
 * (its generation may be another one: a client that does not keep the rules).
 */
bool slots_claim(const void *submit, void *state, uint32_t slot, uint32_t generation, uint32_t owner,
                 uint64_t now_ns, SlotClaim *ret_claim);

/** slots_note() - when the claim was made, where slots_claim() was not told: @now_ns 0 there. */
void slots_note(void *state, uint32_t slot, uint64_t now_ns);

/**
 * slots_end() - end an exchange that was claimed, with its answer. Return: false if the claim was not this
 * one's any more.
 */
bool slots_end(void *state, uint32_t slot, const SlotClaim *claim, SlotState end, const AnswerRecord *answer);

/**
 * slots_look() - host: end an exchange that nobody has claimed, if the client wishes so
 * @gone:       the client is gone, which cancels everything of its own
 * Return: SLOT_CANCELLED or SLOT_EXPIRED if it was ended now; SLOT_CLAIMED if somebody has it; SLOT_WAITING
 * if it is to wait on; SLOT_DONE if there is nothing to end.
 */
SlotState slots_look(const void *submit, void *state, uint32_t slot, bool gone, uint64_t now_ns);

/**
 * slots_settle() - host: settle a claim whose owner is dead
 *
 * Only after the owner has been seen dead.
 * Return: SLOT_WAITING if it is to be tried again; SLOT_FAILED if that was the last attempt or @again is
 * false; SLOT_CANCELLED or SLOT_EXPIRED if the client wished so; SLOT_DONE if @owner had no claim on the
 * slot.
 */
SlotState slots_settle(const void *submit, void *state, uint32_t slot, uint32_t owner, uint32_t max_attempts,
                       bool again, bool gone, uint64_t now_ns);

/**
 * slots_adopt() - host: make the claim of a dead owner one of SLOT_OWNER_ENDER. Return: whether it was there.
 */
bool slots_adopt(void *state, uint32_t slot, uint32_t owner);

/** slots_verdict() - host: what slots_settle() would make of it now; nothing is changed. */
SlotState slots_verdict(const void *submit, const void *state, uint32_t slot, uint32_t owner,
                        uint32_t max_attempts, bool again, bool gone, uint64_t now_ns);

/**
 * slots_is_idle() - host: whether nobody uses either window: the latest exchange has ended, was released, and
 * the slot is not taken. @ret_generation: of that exchange.
 */
bool slots_is_idle(const void *submit, const void *state, uint32_t slot, uint32_t *ret_generation);

/**
 * slots_hold() - host: keep workers from an idle slot, and say so to its client. Return: whether it is held,
 * perhaps by a host before this one, which may have been killed before it had said so.
 */
bool slots_hold(const void *submit, void *state, uint32_t slot);

/** slots_is_held() - whether a host holds the slot. */
bool slots_is_held(const void *state, uint32_t slot);

/**
 * slots_empty() - host: look once more at a slot that it holds, and say that its windows hold nothing
 * Return: WINDOW_*: those that nobody uses, and which are to be given back before the slot is let go.
 */
unsigned slots_empty(const void *submit, void *state, uint32_t slot);

/**
 * slots_let_go() - host: end slots_hold(). What was submitted meanwhile is to be announced: no worker could
 * claim it.
 */
void slots_let_go(void *state, uint32_t slot);

/** state_reserve() - host: what it has reserved for the request's window. */
void state_reserve(void *state, uint32_t slot, uint64_t bytes);

/** state_reserved() - likewise; whatever a client publishes, it has no more than this. */
uint64_t state_reserved(const void *state, uint32_t slot);

/**
 * state_reserve_response(), state_reserved_response() - host: likewise for the response's window; a note for
 * the next host.
 */
void state_reserve_response(void *state, uint32_t slot, uint64_t bytes);
uint64_t state_reserved_response(const void *state, uint32_t slot);

/**
 * slots_pending() - host: the generation that should be announced because it is submitted or waits again.
 * Return: whether there is one.
 */
bool slots_pending(const void *submit, const void *state, uint32_t slot, uint32_t *ret_generation);
