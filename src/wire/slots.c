/* SPDX-License-Identifier: MIT */
#include "wire/slots.h"

#include "base/prefetch.h"
#include "wire/reason.h"

#include <stdatomic.h>
#include <string.h>

#define SUBMIT_MAGIC UINT32_C(0x53484d50)
#define STATE_MAGIC  UINT32_C(0x53484d53)
#define USER_WORDS   (SLOT_USER_BYTES / sizeof(uint64_t))
#define PAGE         4096u
#define ANSWER_USER  1u                  /* flag */
#define PAGE_METERS  2u

typedef struct Head {
    _Atomic uint32_t magic;
    _Atomic uint32_t version;
    _Atomic uint32_t n_slots;
    _Atomic uint32_t hand; /* submit page: awake; state page: poller */
    _Atomic uint32_t measured; /* state page; see state_set_measured() */
    uint8_t reserved[108];
} Head;

typedef struct SubmitSlot {
    _Atomic uint32_t generation;
    _Atomic uint32_t flags;
    _Atomic uint64_t payload_bytes;
    _Atomic uint64_t segment_bytes;
    _Atomic uint64_t deadline_ns;
    _Atomic uint32_t weight;
    _Atomic uint32_t cpu;
    _Atomic uint64_t submitted_ns;
    uint8_t reserved[16];
    _Atomic uint64_t user[USER_WORDS];
} SubmitSlot;

/* What the client uses of a slot. Only the host reads it: here no worker that polls takes the line away. */
typedef struct SubmitUse {
    _Atomic uint32_t released;
    _Atomic uint32_t taken;
} SubmitUse;

/* Records of the submit page come in groups. */
#define GROUP_SLOTS 8u

typedef struct SubmitGroup {
    SubmitUse uses[GROUP_SLOTS];
    uint8_t reserved[64];
    SubmitSlot slots[GROUP_SLOTS];
} SubmitGroup;

/* Whose a slot is. A client that polls does not look here: the line stays with the worker that claims. */
typedef struct StateClaim {
    _Atomic uint64_t word;
    _Atomic uint64_t claimed_ns;
    _Atomic uint64_t reserved_response;
    _Atomic uint64_t n_done;
    _Atomic uint64_t n_failed;
    _Atomic uint64_t n_cancelled;
    _Atomic uint64_t request_bytes;
    _Atomic uint64_t response_bytes;
} StateClaim;

/* What a client looks at: what has come of it. */
typedef struct StateAnswer {
    _Atomic uint64_t ended; /* the word of the latest end, once more */
    _Atomic uint64_t payload_bytes;
    _Atomic uint64_t segment_bytes;
    _Atomic uint64_t ended_ns;
    _Atomic uint32_t reason;
    _Atomic int32_t status;
    _Atomic uint64_t reserved_bytes;
    _Atomic uint32_t cpu;
    _Atomic uint32_t flags;
    _Atomic uint32_t held;
    uint8_t reserved[4];
    _Atomic uint64_t user[USER_WORDS];
} StateAnswer;

/* Records of the state page, likewise. */
typedef struct StateGroup {
    StateClaim claims[GROUP_SLOTS];
    StateAnswer answers[GROUP_SLOTS];
} StateGroup;

_Static_assert(offsetof(Head, measured) == STATE_MEASURED_AT, "docs/protocol.md, section 3");
_Static_assert(sizeof(Head) == 128, "docs/protocol.md, section 3");
_Static_assert(sizeof(SubmitSlot) == 128 && sizeof(StateAnswer) == 128, "docs/protocol.md, section 3");
_Static_assert(sizeof(SubmitGroup) == 128 + GROUP_SLOTS * 128, "docs/protocol.md, section 3");
_Static_assert(sizeof(StateClaim) == 64 && sizeof(StateGroup) == GROUP_SLOTS * 192,
               "docs/protocol.md, section 3");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the word is shared between processes");

#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/*
 * What is so already is not written again: the line stays with both sides, and the other one, which looks,
 * does not take it away in the middle of many stores.
 */
#define UPDATE(field, value)                                                                                 \
    do {                                                                                                     \
        if (GET(field) != (value))                                                                           \
            SET(field, value);                                                                               \
    } while (0)

static SubmitGroup *group_at(const void *page, uint32_t slot) {
    return (SubmitGroup *)(void *)((uint8_t *)(uintptr_t)page + sizeof(Head)) + slot / GROUP_SLOTS;
}

static SubmitSlot *submit_at(const void *page, uint32_t slot) {
    return &group_at(page, slot)->slots[slot % GROUP_SLOTS];
}

static SubmitUse *use_at(const void *page, uint32_t slot) {
    return &group_at(page, slot)->uses[slot % GROUP_SLOTS];
}

static StateGroup *states_at(const void *page, uint32_t slot) {
    return (StateGroup *)(void *)((uint8_t *)(uintptr_t)page + sizeof(Head)) + slot / GROUP_SLOTS;
}

static StateClaim *claim_at(const void *page, uint32_t slot) {
    return &states_at(page, slot)->claims[slot % GROUP_SLOTS];
}

static StateAnswer *answer_at(const void *page, uint32_t slot) {
    return &states_at(page, slot)->answers[slot % GROUP_SLOTS];
}

/* An end that is not DONE. Only what a person looks at depends on counts, so they need no order. */
static void count(const void *state, uint32_t slot, SlotState end) {
    StateClaim *claim = claim_at(state, slot);

    atomic_fetch_add_explicit(end == SLOT_FAILED ? &claim->n_failed : &claim->n_cancelled, 1,
                              memory_order_relaxed);
}

/*
 * Nobody else writes these three while the claim lasts: to lock the line for each would be felt. @n: 1, or
 * UINT64_MAX where it was no end after all.
 */
static void count_owned(StateClaim *claim, SlotState end, uint64_t n, uint64_t request_bytes,
                        uint64_t response_bytes) {
    if (end == SLOT_DONE)
        SET(claim->n_done, GET(claim->n_done) + n);
    SET(claim->request_bytes, GET(claim->request_bytes) + n * request_bytes);
    SET(claim->response_bytes, GET(claim->response_bytes) + n * response_bytes);
}

static uint64_t word_pack(SlotWord word) {
    return word.generation | (uint64_t)word.owner << 32 | (uint64_t)word.state << 56 |
           (uint64_t)word.attempts << 60;
}

static SlotWord word_unpack(uint64_t raw) {
    return (SlotWord){
        .generation = (uint32_t)raw,
        .owner = (uint32_t)(raw >> 32) & SLOT_OWNER_HOST,
        .state = (SlotState)(raw >> 56 & 0xf),
        .attempts = (uint32_t)(raw >> 60),
    };
}

/*
 * Sequentially consistent: a client that wishes and then looks, and a worker that claims and then looks, must
 * not miss each other.
 */
static bool word_swap(void *state, uint32_t slot, uint64_t expected, SlotWord next) {
    return atomic_compare_exchange_strong(&claim_at(state, slot)->word, &expected, word_pack(next));
}

/*
 * An end is shown where its client polls after the word has made it one. Who dies in between leaves an end
 * that only the word shows, and who is slow may show it when the next has ended: then the client finds its
 * end in the word, where it looks before it sleeps.
 */
static bool word_end(void *state, uint32_t slot, uint64_t expected, SlotWord end) {
    if (!word_swap(state, slot, expected, end))
        return false;
    atomic_store_explicit(&answer_at(state, slot)->ended, word_pack(end), memory_order_release);
    return true;
}

static bool user_is_zero(const uint8_t *user) {
    uint64_t word, any = 0;

    for (size_t i = 0; i < USER_WORDS; i++) {
        memcpy(&word, user + i * sizeof(word), sizeof(word));
        any |= word;
    }
    return any == 0;
}

static void user_write(_Atomic uint64_t *shared, const uint8_t *user) {
    uint64_t word;

    for (size_t i = 0; i < USER_WORDS; i++) {
        memcpy(&word, user + i * sizeof(word), sizeof(word));
        SET(shared[i], word);
    }
}

static void user_read(_Atomic uint64_t *shared, bool is_there, uint8_t *user) {
    uint64_t word;

    memset(user, 0, SLOT_USER_BYTES);
    for (size_t i = 0; is_there && i < USER_WORDS; i++) {
        word = GET(shared[i]);
        memcpy(user + i * sizeof(word), &word, sizeof(word));
    }
}

/*
 * After the records, as the state page has them. Both pages have the same size, so that one has room for one
 * more.
 */
static size_t meters_offset(uint32_t n_slots) {
    size_t groups = (n_slots + GROUP_SLOTS - 1) / GROUP_SLOTS;

    return sizeof(Head) + groups * sizeof(StateGroup);
}

size_t slots_page_bytes(uint32_t n_slots) {
    return (meters_offset(n_slots) + PAGE_METERS * METER_BYTES + PAGE - 1) / PAGE * PAGE;
}

Meter *slots_meter(const void *page, Stage stage, uint32_t n_slots) {
    size_t index = stage == STAGE_RUNNING ? 1 : 0;

    return (Meter *)(void *)((uint8_t *)(uintptr_t)page + meters_offset(n_slots) + index * METER_BYTES);
}

static void page_format(void *page, uint32_t magic, uint32_t n_slots) {
    Head *head = page;

    SET(head->version, SLOTS_VERSION);
    SET(head->n_slots, n_slots);
    atomic_store_explicit(&head->magic, magic, memory_order_release);
}

static bool page_is_valid(const void *page, uint32_t magic, uint32_t n_slots) {
    Head *head = (Head *)(uintptr_t)page;

    return atomic_load_explicit(&head->magic, memory_order_acquire) == magic &&
           GET(head->version) == SLOTS_VERSION && GET(head->n_slots) == n_slots;
}

void submit_page_format(void *page, uint32_t n_slots) {
    page_format(page, SUBMIT_MAGIC, n_slots);
}

void state_page_format(void *page, uint32_t n_slots) {
    page_format(page, STATE_MAGIC, n_slots);
}

bool submit_page_is_valid(const void *page, uint32_t n_slots) {
    return page_is_valid(page, SUBMIT_MAGIC, n_slots);
}

bool state_page_is_valid(const void *page, uint32_t n_slots) {
    return page_is_valid(page, STATE_MAGIC, n_slots);
}

static bool word_is_held(SlotWord word) {
    return word.owner == SLOT_OWNER_HOST && state_is_end(word.state);
}

/*
 * Sequentially consistent, as slots_hold() and slots_empty(): either this sees the slot held, or the host
 * sees it taken.
 */
uint64_t submit_take(void *submit, const void *state, uint32_t slot) {
    atomic_store(&use_at(submit, slot)->taken, 1);
    return atomic_load(&answer_at(state, slot)->held) ? 0 : state_reserved(state, slot);
}

void submit_expect(void *submit, uint32_t slot) {
    prefetch_write(submit_at(submit, slot));
}

void submit_publish(void *submit, uint32_t slot, const SubmitRecord *record) {
    SubmitSlot *shared = submit_at(submit, slot);
    bool plain = user_is_zero(record->user); /* as nearly always: saves moving a cache line */

    UPDATE(shared->flags, record->flags | (plain ? 0 : SUBMIT_USER));
    UPDATE(shared->payload_bytes, record->payload_bytes);
    UPDATE(shared->segment_bytes, record->segment_bytes);
    UPDATE(shared->deadline_ns, record->deadline_ns);
    UPDATE(shared->cpu, record->cpu);
    UPDATE(shared->submitted_ns, record->submitted_ns);
    UPDATE(shared->weight, record->weight);
    if (!plain)
        user_write(shared->user, record->user);
    atomic_store(&shared->generation, record->generation);
}

void submit_cancel(void *submit, uint32_t slot) {
    atomic_fetch_or(&submit_at(submit, slot)->flags, SUBMIT_CANCEL);
}

void submit_release(void *submit, uint32_t slot, uint32_t generation) {
    SubmitUse *use = use_at(submit, slot);

    atomic_store_explicit(&use->released, generation, memory_order_release);
    atomic_store_explicit(&use->taken, 0, memory_order_release);
}

void submit_set_awake(void *submit, bool awake) {
    atomic_store(&((Head *)submit)->hand, awake);
}

bool submit_is_awake(const void *submit) {
    return atomic_load(&((Head *)(uintptr_t)submit)->hand) == 1;
}

uint32_t state_poller(const void *state) {
    return atomic_load(&((Head *)(uintptr_t)state)->hand);
}

bool state_poll_begin(void *state, uint32_t owner) {
    uint32_t nobody = 0;

    return atomic_compare_exchange_strong(&((Head *)state)->hand, &nobody, owner);
}

void state_poll_end(void *state, uint32_t owner) {
    (void)atomic_compare_exchange_strong(&((Head *)state)->hand, &owner, 0);
}

void state_set_measured(void *state, uint32_t measured) {
    SET(((Head *)state)->measured, measured);
}

uint32_t submit_generation(const void *submit, uint32_t slot) {
    return atomic_load(&submit_at(submit, slot)->generation);
}

bool submit_is_quiet(const void *submit, uint32_t slot) {
    return GET(submit_at(submit, slot)->flags) & SUBMIT_QUIET;
}

bool submit_find_new(const void *submit, const uint32_t *seen, uint32_t n_slots, uint32_t n_looks,
                     uint32_t *slot) {
    for (uint32_t i = 0, at = *slot; i < n_looks && i < n_slots; i++, at++) {
        at = at < n_slots ? at : 0;
        if (atomic_load(&submit_at(submit, at)->generation) != seen[at]) {
            *slot = at;
            return true;
        }
    }
    return false;
}

uint32_t submit_released(const void *submit, uint32_t slot) {
    return atomic_load_explicit(&use_at(submit, slot)->released, memory_order_acquire);
}

void submit_copy(const void *submit, uint32_t slot, SubmitRecord *ret_record) {
    SubmitSlot *shared = submit_at(submit, slot);

    ret_record->generation = atomic_load(&shared->generation);
    ret_record->flags = atomic_load(&shared->flags);
    ret_record->payload_bytes = GET(shared->payload_bytes);
    ret_record->segment_bytes = GET(shared->segment_bytes);
    ret_record->deadline_ns = GET(shared->deadline_ns);
    ret_record->cpu = GET(shared->cpu);
    ret_record->submitted_ns = GET(shared->submitted_ns);
    ret_record->weight = GET(shared->weight);
    user_read(shared->user, ret_record->flags & SUBMIT_USER, ret_record->user);
}

bool submit_is_cancelled(const void *submit, uint32_t slot, uint32_t generation) {
    SubmitSlot *shared = submit_at(submit, slot);

    return atomic_load(&shared->generation) == generation && atomic_load(&shared->flags) & SUBMIT_CANCEL;
}

SlotWord state_load(const void *state, uint32_t slot, uint64_t *ret_raw) {
    uint64_t raw = atomic_load(&claim_at(state, slot)->word);

    if (ret_raw)
        *ret_raw = raw;
    return word_unpack(raw);
}

bool state_has_ended(const void *state, uint32_t slot, uint32_t generation) {
    SlotWord word = state_load(state, slot, NULL);

    return word.generation == generation && state_is_end(word.state);
}

SlotWord state_shown(const void *state, uint32_t slot) {
    return word_unpack(atomic_load_explicit(&answer_at(state, slot)->ended, memory_order_acquire));
}

bool state_is_end(SlotState state) {
    return state != SLOT_WAITING && state != SLOT_CLAIMED;
}

void state_answer_copy(const void *state, uint32_t slot, AnswerRecord *ret_record) {
    StateAnswer *shared = answer_at(state, slot);

    ret_record->ended_ns = GET(shared->ended_ns);
    ret_record->payload_bytes = GET(shared->payload_bytes);
    ret_record->segment_bytes = GET(shared->segment_bytes);
    ret_record->reason = GET(shared->reason);
    ret_record->status = GET(shared->status);
    ret_record->cpu = GET(shared->cpu);
    user_read(shared->user, GET(shared->flags) & ANSWER_USER, ret_record->user);
}

uint64_t state_response_bytes(const void *state, uint32_t slot) {
    return GET(answer_at(state, slot)->segment_bytes);
}

void state_counts(const void *state, uint32_t n_slots, SlotCounts *ret_counts) {
    *ret_counts = (SlotCounts){0};
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        StateClaim *claim = claim_at(state, slot);

        ret_counts->n_done += GET(claim->n_done);
        ret_counts->n_failed += GET(claim->n_failed);
        ret_counts->n_cancelled += GET(claim->n_cancelled);
        ret_counts->request_bytes += GET(claim->request_bytes);
        ret_counts->response_bytes += GET(claim->response_bytes);
    }
}

uint64_t state_claimed_ns(const void *state, uint32_t slot) {
    return GET(claim_at(state, slot)->claimed_ns);
}

/* Whether @word lets @generation be claimed, as far as the state page says. */
static bool word_is_open(SlotWord word, uint32_t generation) {
    if (word.state == SLOT_WAITING)
        return word.generation == generation;
    return state_is_end(word.state) && !word_is_held(word) && word.generation + 1 == generation;
}

bool slots_is_open(const void *submit, const void *state, uint32_t slot, uint32_t generation) {
    return submit_generation(submit, slot) == generation &&
           word_is_open(state_load(state, slot, NULL), generation);
}

bool slots_pending(const void *submit, const void *state, uint32_t slot, uint32_t *ret_generation) {
    uint32_t generation = submit_generation(submit, slot);

    if (!word_is_open(state_load(state, slot, NULL), generation))
        return false;
    *ret_generation = generation;
    return true;
}

void slots_expect_new(const void *submit, uint32_t slot) {
    prefetch_read(submit_at(submit, slot));
}

void slots_expect_end(void *state, uint32_t slot) {
    prefetch_write(claim_at(state, slot));
    prefetch_write(answer_at(state, slot));
}

bool slots_claim(const void *submit, void *state, uint32_t slot, uint32_t generation, uint32_t owner,
                 uint64_t now_ns, SlotClaim *ret_claim) {
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);
    SlotWord claim = {.generation = generation, .owner = owner, .state = SLOT_CLAIMED, .attempts = 1};

    if (!word_is_open(word, generation) || submit_generation(submit, slot) != generation)
        return false;
    if (word.state == SLOT_WAITING)
        claim.attempts = word.attempts < SLOT_ATTEMPTS_MAX ? word.attempts + 1 : SLOT_ATTEMPTS_MAX;
    if (!word_swap(state, slot, raw, claim))
        return false;

    slots_note(state, slot, now_ns);
    ret_claim->raw = word_pack(claim);
    ret_claim->generation = generation;
    ret_claim->attempt = claim.attempts;
    submit_copy(submit, slot, &ret_claim->request);
    return true;
}

void slots_note(void *state, uint32_t slot, uint64_t now_ns) {
    SET(claim_at(state, slot)->claimed_ns, now_ns);
}

bool slots_end(void *state, uint32_t slot, const SlotClaim *claim, SlotState end,
               const AnswerRecord *answer) {
    StateAnswer *shared = answer_at(state, slot);
    StateClaim *mine = claim_at(state, slot);
    SlotWord word = word_unpack(claim->raw);
    bool plain = user_is_zero(answer->user);

    if (atomic_load(&mine->word) != claim->raw)
        return false; /* ended or settled: the record is another's by now */
    UPDATE(shared->payload_bytes, answer->payload_bytes);
    UPDATE(shared->segment_bytes, answer->segment_bytes);
    UPDATE(shared->reason, answer->reason);
    UPDATE(shared->status, answer->status);
    UPDATE(shared->cpu, answer->cpu);
    UPDATE(shared->ended_ns, answer->ended_ns);
    UPDATE(shared->flags, plain ? 0 : ANSWER_USER);
    if (!plain)
        user_write(shared->user, answer->user);
    slots_note(state, slot, 0);
    count_owned(mine, end, 1, claim->request.payload_bytes, answer->payload_bytes);
    word.state = end;
    if (!word_end(state, slot, claim->raw, word)) {
        count_owned(mine, end, UINT64_MAX, claim->request.payload_bytes, answer->payload_bytes);
        return false;
    }
    if (end != SLOT_DONE)
        count(state, slot, end);
    return true;
}

/* What the client wishes for a generation that nobody works on: an end, or SLOT_WAITING for none. */
static SlotState wish(const void *submit, uint32_t slot, uint32_t generation, bool gone, uint64_t now_ns) {
    SubmitRecord record;

    submit_copy(submit, slot, &record);
    if (gone || (record.generation == generation && record.flags & SUBMIT_CANCEL))
        return SLOT_CANCELLED;
    if (record.generation == generation && record.deadline_ns && record.deadline_ns <= now_ns)
        return SLOT_EXPIRED;
    return SLOT_WAITING;
}

SlotState slots_look(const void *submit, void *state, uint32_t slot, bool gone, uint64_t now_ns) {
    for (;;) {
        uint64_t raw;
        SlotWord word = state_load(state, slot, &raw);
        uint32_t generation = submit_generation(submit, slot);
        SlotState end;

        if (word.state == SLOT_CLAIMED)
            return SLOT_CLAIMED;
        if (!word_is_open(word, generation))
            return SLOT_DONE;
        end = wish(submit, slot, generation, gone, now_ns);
        if (end == SLOT_WAITING)
            return SLOT_WAITING;
        if (word_end(state, slot, raw, (SlotWord){.generation = generation, .state = end})) {
            count(state, slot, end);
            return end;
        }
    }
}

/* What becomes of a claim whose owner is dead. */
static SlotState verdict(const void *submit, uint32_t slot, SlotWord word, uint32_t owner,
                         uint32_t max_attempts, bool again, bool gone, uint64_t now_ns) {
    SlotState end;

    if (word.state != SLOT_CLAIMED || word.owner != owner)
        return SLOT_DONE;
    end = wish(submit, slot, word.generation, gone, now_ns);
    return end == SLOT_WAITING && (!again || word.attempts >= max_attempts) ? SLOT_FAILED : end;
}

SlotState slots_verdict(const void *submit, const void *state, uint32_t slot, uint32_t owner,
                        uint32_t max_attempts, bool again, bool gone, uint64_t now_ns) {
    return verdict(submit, slot, state_load(state, slot, NULL), owner, max_attempts, again, gone, now_ns);
}

bool slots_adopt(void *state, uint32_t slot, uint32_t owner) {
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);

    if (word.state != SLOT_CLAIMED || word.owner != owner)
        return false;
    word.owner = SLOT_OWNER_ENDER;
    return word_swap(state, slot, raw, word);
}

SlotState slots_settle(const void *submit, void *state, uint32_t slot, uint32_t owner, uint32_t max_attempts,
                       bool again, bool gone, uint64_t now_ns) {
    StateAnswer *shared = answer_at(state, slot);
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);
    SlotState end = verdict(submit, slot, word, owner, max_attempts, again, gone, now_ns);

    if (end == SLOT_DONE)
        return SLOT_DONE;
    if (end == SLOT_FAILED) {
        SET(shared->payload_bytes, 0);
        SET(shared->reason, REASON_WORKER_LOST);
        SET(shared->status, 0);
        SET(shared->flags, 0);
        SET(shared->ended_ns, 0);
    }
    slots_note(state, slot, 0);
    word = (SlotWord){.generation = word.generation, .state = end, .attempts = word.attempts};
    if (end == SLOT_WAITING)
        return word_swap(state, slot, raw, word) ? end : SLOT_DONE;
    if (!word_end(state, slot, raw, word))
        return SLOT_DONE;
    count(state, slot, end);
    return end;
}

/* --- windows that are given back: docs/protocol/giveback.pml --- */

static bool is_released(const void *submit, uint32_t slot, SlotWord word) {
    return submit_generation(submit, slot) == word.generation &&
           submit_released(submit, slot) == word.generation;
}

bool submit_is_taken(const void *submit, uint32_t slot) {
    return atomic_load(&use_at(submit, slot)->taken);
}

static bool is_idle(const void *submit, uint32_t slot, SlotWord word) {
    return state_is_end(word.state) && is_released(submit, slot, word) && !submit_is_taken(submit, slot);
}

bool slots_is_idle(const void *submit, const void *state, uint32_t slot, uint32_t *ret_generation) {
    SlotWord word = state_load(state, slot, NULL);

    *ret_generation = word.generation;
    return is_idle(submit, slot, word);
}

bool slots_is_held(const void *state, uint32_t slot) {
    return word_is_held(state_load(state, slot, NULL));
}

/* The word is for workers; what is said to be held besides is for the client, which does not look there. */
bool slots_hold(const void *submit, void *state, uint32_t slot) {
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);

    if (!word_is_held(word)) {
        if (!is_idle(submit, slot, word))
            return false;
        word.owner = SLOT_OWNER_HOST;
        if (!word_swap(state, slot, raw, word))
            return false;
    }
    atomic_store(&answer_at(state, slot)->held, 1);
    return true;
}

/*
 * Where the record says already that nothing is there, a client that has taken the slot since counts on
 * nothing. A host that was killed before it had punched may have left it so.
 */
unsigned slots_empty(const void *submit, void *state, uint32_t slot) {
    SlotWord word = state_load(state, slot, NULL);
    unsigned windows = 0;

    if (submit_released(submit, slot) == word.generation) {
        SET(answer_at(state, slot)->segment_bytes, 0);
        windows |= WINDOW_RESPONSE;
    }
    if (state_reserved(state, slot) == 0 ||
        (submit_generation(submit, slot) == word.generation && !submit_is_taken(submit, slot))) {
        state_reserve(state, slot, 0);
        windows |= WINDOW_REQUEST;
    }
    return windows;
}

void slots_let_go(void *state, uint32_t slot) {
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);

    if (!word_is_held(word))
        return;
    word.owner = 0;
    atomic_store(&answer_at(state, slot)->held, 0);
    (void)word_swap(state, slot, raw, word); /* nobody else changes a word that is held */
}

void state_reserve(void *state, uint32_t slot, uint64_t bytes) {
    SET(answer_at(state, slot)->reserved_bytes, bytes);
}

uint64_t state_reserved(const void *state, uint32_t slot) {
    return GET(answer_at(state, slot)->reserved_bytes);
}

uint64_t state_reserved_response(const void *state, uint32_t slot) {
    return GET(claim_at(state, slot)->reserved_response);
}

void state_reserve_response(void *state, uint32_t slot, uint64_t bytes) {
    SET(claim_at(state, slot)->reserved_response, bytes);
}
