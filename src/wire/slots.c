/* SPDX-License-Identifier: MIT */
#include "wire/slots.h"

#include "wire/reason.h"

#include <stdatomic.h>
#include <string.h>

#define SUBMIT_MAGIC UINT32_C(0x53484d50)
#define STATE_MAGIC  UINT32_C(0x53484d53)
#define VERSION      1u
#define USER_WORDS   (SLOT_USER_BYTES / sizeof(uint64_t))
#define PAGE         4096u
#define ANSWER_USER  1u                  /* flag */
#define ENDED        (UINT64_C(1) << 63) /* claimed_ns says when it ended */
#define PAGE_METERS  2u

typedef struct Head {
    _Atomic uint32_t magic;
    _Atomic uint32_t version;
    _Atomic uint32_t n_slots;
    _Atomic uint32_t hand; /* submit page: awake; state page: poller */
    _Atomic uint32_t measured; /* state page; see state_set_measured() */
    uint8_t reserved[44];
    uint8_t rest[64]; /* state page: Counts. Far from the rest, which is read at every exchange */
} Head;

/* The state page's head goes on with these. */
typedef struct Counts {
    _Atomic uint64_t n_done;
    _Atomic uint64_t n_failed;
    _Atomic uint64_t n_cancelled;
    _Atomic uint64_t request_bytes;
    _Atomic uint64_t response_bytes;
    uint8_t reserved[24];
} Counts;

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

typedef struct StateSlot {
    _Atomic uint64_t word;
    _Atomic uint64_t payload_bytes;
    _Atomic uint64_t segment_bytes;
    _Atomic uint64_t claimed_ns;
    _Atomic uint32_t reason;
    _Atomic int32_t status;
    _Atomic uint64_t reserved_bytes;
    _Atomic uint32_t cpu;
    _Atomic uint32_t flags;
    _Atomic uint64_t reserved_response;
    _Atomic uint64_t user[USER_WORDS];
} StateSlot;

_Static_assert(offsetof(Head, measured) == STATE_MEASURED_AT, "docs/protocol.md, section 3");
_Static_assert(sizeof(Head) == 128 && sizeof(Counts) == 64, "docs/protocol.md, section 3");
_Static_assert(sizeof(SubmitSlot) == 128 && sizeof(StateSlot) == 128, "docs/protocol.md, section 3");
_Static_assert(sizeof(SubmitGroup) == 128 + GROUP_SLOTS * 128, "docs/protocol.md, section 3");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the word is shared between processes");

#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static SubmitGroup *group_at(const void *page, uint32_t slot) {
    return (SubmitGroup *)(void *)((uint8_t *)(uintptr_t)page + sizeof(Head)) + slot / GROUP_SLOTS;
}

static SubmitSlot *submit_at(const void *page, uint32_t slot) {
    return &group_at(page, slot)->slots[slot % GROUP_SLOTS];
}

static SubmitUse *use_at(const void *page, uint32_t slot) {
    return &group_at(page, slot)->uses[slot % GROUP_SLOTS];
}

static StateSlot *state_at(const void *page, uint32_t slot) {
    return (StateSlot *)(void *)((uint8_t *)(uintptr_t)page + sizeof(Head)) + slot;
}

static Counts *counts_of(const void *page) {
    return (Counts *)(void *)((Head *)(uintptr_t)page)->rest;
}

/* Only what a person looks at depends on them, so they need no order. */
static void count(const void *state, SlotState end, uint64_t request_bytes, uint64_t response_bytes) {
    Counts *counts = counts_of(state);
    _Atomic uint64_t *n = end == SLOT_DONE     ? &counts->n_done
                          : end == SLOT_FAILED ? &counts->n_failed
                                               : &counts->n_cancelled;

    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
    if (request_bytes)
        atomic_fetch_add_explicit(&counts->request_bytes, request_bytes, memory_order_relaxed);
    if (response_bytes)
        atomic_fetch_add_explicit(&counts->response_bytes, response_bytes, memory_order_relaxed);
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
static bool word_swap(StateSlot *slot, uint64_t expected, SlotWord next) {
    return atomic_compare_exchange_strong(&slot->word, &expected, word_pack(next));
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
 * After the records, as the submit page has them. Both pages have the same size, so that one has room for one
 * more.
 */
static size_t meters_offset(uint32_t n_slots) {
    size_t groups = (n_slots + GROUP_SLOTS - 1) / GROUP_SLOTS;

    return sizeof(Head) + groups * sizeof(SubmitGroup);
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

    SET(head->version, VERSION);
    SET(head->n_slots, n_slots);
    atomic_store_explicit(&head->magic, magic, memory_order_release);
}

static bool page_is_valid(const void *page, uint32_t magic, uint32_t n_slots) {
    Head *head = (Head *)(uintptr_t)page;

    return atomic_load_explicit(&head->magic, memory_order_acquire) == magic &&
           GET(head->version) == VERSION && GET(head->n_slots) == n_slots;
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
    return word_is_held(state_load(state, slot, NULL)) ? 0 : state_reserved(state, slot);
}

void submit_publish(void *submit, uint32_t slot, const SubmitRecord *record) {
    SubmitSlot *shared = submit_at(submit, slot);
    bool plain = user_is_zero(record->user); /* as nearly always: saves moving a cache line */

    SET(shared->flags, record->flags | (plain ? 0 : SUBMIT_USER));
    SET(shared->payload_bytes, record->payload_bytes);
    SET(shared->segment_bytes, record->segment_bytes);
    SET(shared->deadline_ns, record->deadline_ns);
    SET(shared->cpu, record->cpu);
    SET(shared->submitted_ns, record->submitted_ns);
    SET(shared->weight, record->weight);
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

bool submit_find_new(const void *submit, const uint32_t *seen, uint32_t n_slots, uint32_t *slot) {
    for (uint32_t i = 0, at = *slot; i < n_slots; i++, at++) {
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
    uint64_t raw = atomic_load(&state_at(state, slot)->word);

    if (ret_raw)
        *ret_raw = raw;
    return word_unpack(raw);
}

bool state_has_ended(const void *state, uint32_t slot, uint32_t generation) {
    SlotWord word = word_unpack(atomic_load(&state_at(state, slot)->word));

    return word.generation == generation && state_is_end(word.state);
}

bool state_is_end(SlotState state) {
    return state != SLOT_WAITING && state != SLOT_CLAIMED;
}

void state_answer_copy(const void *state, uint32_t slot, AnswerRecord *ret_record) {
    StateSlot *shared = state_at(state, slot);
    uint64_t ended_ns = GET(shared->claimed_ns);

    ret_record->ended_ns = ended_ns & ENDED ? ended_ns & ~ENDED : 0;
    ret_record->payload_bytes = GET(shared->payload_bytes);
    ret_record->segment_bytes = GET(shared->segment_bytes);
    ret_record->reason = GET(shared->reason);
    ret_record->status = GET(shared->status);
    ret_record->cpu = GET(shared->cpu);
    user_read(shared->user, GET(shared->flags) & ANSWER_USER, ret_record->user);
}

uint64_t state_response_bytes(const void *state, uint32_t slot) {
    return GET(state_at(state, slot)->segment_bytes);
}

void state_counts(const void *state, SlotCounts *ret_counts) {
    Counts *counts = counts_of(state);

    *ret_counts = (SlotCounts){
        .n_done = GET(counts->n_done),
        .n_failed = GET(counts->n_failed),
        .n_cancelled = GET(counts->n_cancelled),
        .request_bytes = GET(counts->request_bytes),
        .response_bytes = GET(counts->response_bytes),
    };
}

uint64_t state_claimed_ns(const void *state, uint32_t slot) {
    uint64_t claimed_ns = GET(state_at(state, slot)->claimed_ns);

    return claimed_ns & ENDED ? 0 : claimed_ns;
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

void slots_expect_claim(void *state, uint32_t slot) {
    __builtin_prefetch(state_at(state, slot), 1);
}

bool slots_claim(const void *submit, void *state, uint32_t slot, uint32_t generation, uint32_t owner,
                 uint64_t now_ns, SlotClaim *ret_claim) {
    StateSlot *shared = state_at(state, slot);
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);
    SlotWord claim = {.generation = generation, .owner = owner, .state = SLOT_CLAIMED, .attempts = 1};

    if (!word_is_open(word, generation) || submit_generation(submit, slot) != generation)
        return false;
    if (word.state == SLOT_WAITING)
        claim.attempts = word.attempts < SLOT_ATTEMPTS_MAX ? word.attempts + 1 : SLOT_ATTEMPTS_MAX;
    if (!word_swap(shared, raw, claim))
        return false;

    SET(shared->claimed_ns, now_ns);
    ret_claim->raw = word_pack(claim);
    ret_claim->generation = generation;
    ret_claim->attempt = claim.attempts;
    submit_copy(submit, slot, &ret_claim->request);
    return true;
}

void slots_note(void *state, uint32_t slot, uint64_t now_ns) {
    SET(state_at(state, slot)->claimed_ns, now_ns);
}

bool slots_end(void *state, uint32_t slot, const SlotClaim *claim, SlotState end,
               const AnswerRecord *answer) {
    StateSlot *shared = state_at(state, slot);
    SlotWord word = word_unpack(claim->raw);
    bool plain = user_is_zero(answer->user);

    if (atomic_load(&shared->word) != claim->raw)
        return false; /* ended or settled: the record is another's by now */
    SET(shared->payload_bytes, answer->payload_bytes);
    SET(shared->segment_bytes, answer->segment_bytes);
    SET(shared->reason, answer->reason);
    SET(shared->status, answer->status);
    SET(shared->cpu, answer->cpu);
    SET(shared->claimed_ns, answer->ended_ns ? answer->ended_ns | ENDED : 0);
    SET(shared->flags, plain ? 0 : ANSWER_USER);
    if (!plain)
        user_write(shared->user, answer->user);
    word.state = end;
    if (!word_swap(shared, claim->raw, word))
        return false;
    count(state, end, claim->request.payload_bytes, answer->payload_bytes);
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
    StateSlot *shared = state_at(state, slot);

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
        if (word_swap(shared, raw, (SlotWord){.generation = generation, .state = end})) {
            count(state, end, 0, 0);
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
    return word_swap(state_at(state, slot), raw, word);
}

SlotState slots_settle(const void *submit, void *state, uint32_t slot, uint32_t owner, uint32_t max_attempts,
                       bool again, bool gone, uint64_t now_ns) {
    StateSlot *shared = state_at(state, slot);
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
    }
    SET(shared->claimed_ns, 0);
    word = (SlotWord){.generation = word.generation, .state = end, .attempts = word.attempts};
    if (!word_swap(shared, raw, word))
        return SLOT_DONE;
    if (end != SLOT_WAITING)
        count(state, end, 0, 0);
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

bool slots_hold(const void *submit, void *state, uint32_t slot) {
    uint64_t raw;
    SlotWord word = state_load(state, slot, &raw);

    if (word_is_held(word))
        return true;
    if (!is_idle(submit, slot, word))
        return false;
    word.owner = SLOT_OWNER_HOST;
    return word_swap(state_at(state, slot), raw, word);
}

/*
 * Where the record says already that nothing is there, a client that has taken the slot since counts on
 * nothing. A host that was killed before it had punched may have left it so.
 */
unsigned slots_empty(const void *submit, void *state, uint32_t slot) {
    StateSlot *shared = state_at(state, slot);
    SlotWord word = state_load(state, slot, NULL);
    unsigned windows = 0;

    if (submit_released(submit, slot) == word.generation) {
        SET(shared->segment_bytes, 0);
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
    (void)word_swap(state_at(state, slot), raw, word); /* nobody else changes a word that is held */
}

void state_reserve(void *state, uint32_t slot, uint64_t bytes) {
    SET(state_at(state, slot)->reserved_bytes, bytes);
}

uint64_t state_reserved(const void *state, uint32_t slot) {
    return GET(state_at(state, slot)->reserved_bytes);
}

uint64_t state_reserved_response(const void *state, uint32_t slot) {
    return GET(state_at(state, slot)->reserved_response);
}

void state_reserve_response(void *state, uint32_t slot, uint64_t bytes) {
    SET(state_at(state, slot)->reserved_response, bytes);
}
