/* SPDX-License-Identifier: MIT */
/*
 * The pages of slots, against docs/protocol.md: the layout of section 3 byte by byte, and the table of states
 * of section 4 row by row, each row with each of those who may want to change it. What threads do to each
 * other is in test-slots-races.c.
 */
#include "base/cleanup.h"
#include "unit.h"
#include "wire/reason.h"
#include "wire/slots.h"

#include <stdio.h>
#include <string.h>

#define N_SLOTS 3u
#define SLOT    1u /* has a neighbour on each side */
#define OWNER   0xabcdefu
#define OTHER   0x000002u
#define NOW     UINT64_C(5000)

/* As docs/protocol.md, section 3, has them. */
#define HEAD_BYTES   128u
#define RECORD_BYTES 128u
#define CLAIM_BYTES  64u
#define CLAIM_AT     (HEAD_BYTES + SLOT * CLAIM_BYTES) /* in the state page */
#define ANSWER_AT    (HEAD_BYTES + 8 * CLAIM_BYTES + SLOT * RECORD_BYTES)
#define USE_BYTES    8u
#define USE_AT       (HEAD_BYTES + SLOT * USE_BYTES) /* in the submit page */
#define SUBMIT_AT    (HEAD_BYTES + 128 + SLOT * RECORD_BYTES)

static void *submit;
static void *state;

static void clear_pages(void) {
    memset(submit, 0, slots_page_bytes(N_SLOTS));
    memset(state, 0, slots_page_bytes(N_SLOTS));
    submit_page_format(submit, N_SLOTS);
    state_page_format(state, N_SLOTS);
}

static void make_pages(void) {
    submit = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    state = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    ck_assert_ptr_nonnull(submit);
    ck_assert_ptr_nonnull(state);
    clear_pages();
}

static void free_pages(void) {
    free(submit);
    free(state);
}

static uint32_t get32(const void *page, size_t at) {
    uint32_t value;

    memcpy(&value, (const uint8_t *)page + at, sizeof(value));
    return value;
}

static uint64_t get64(const void *page, size_t at) {
    uint64_t value;

    memcpy(&value, (const uint8_t *)page + at, sizeof(value));
    return value;
}

static void put64(void *page, size_t at, uint64_t value) {
    memcpy((uint8_t *)page + at, &value, sizeof(value));
}

static uint64_t word_of(uint32_t generation, uint32_t owner, SlotState what, uint32_t attempts) {
    return generation | (uint64_t)owner << 32 | (uint64_t)what << 56 | (uint64_t)attempts << 60;
}

static void put_word(uint64_t word) {
    put64(state, CLAIM_AT, word);
}

static void check_word(uint32_t generation, uint32_t owner, SlotState what, uint32_t attempts) {
    ck_assert_uint_eq(get64(state, CLAIM_AT), word_of(generation, owner, what, attempts));
}

static void publish(uint32_t generation, uint32_t flags, uint64_t deadline_ns) {
    const SubmitRecord record = {
        .generation = generation,
        .flags = flags,
        .payload_bytes = 100,
        .segment_bytes = 4096,
        .deadline_ns = deadline_ns,
    };

    submit_publish(submit, SLOT, &record);
}

static uint64_t n_ended(void) {
    SlotCounts counts;

    state_counts(state, N_SLOTS, &counts);
    return counts.n_done + counts.n_failed + counts.n_cancelled;
}

/* ---- layout ---- */

START_TEST(pages_are_whole_and_hold_head_records_and_meters) {
    ck_assert_uint_eq(slots_page_bytes(1), 36864);
    ck_assert_uint_eq(slots_page_bytes(24), 36864); /* 128 + 3 * 8 * (64 + 128) + 2 * 15936 = 36608 */
    ck_assert_uint_eq(slots_page_bytes(25), 40960); /* one group more */
    ck_assert_uint_eq(slots_page_bytes(SLOTS_MAX), 229376);
}
END_TEST

START_TEST(heads_say_what_the_protocol_says) {
    ck_assert_uint_eq(get32(submit, 0), 0x53484d50);
    ck_assert_uint_eq(get32(state, 0), 0x53484d53);
    for (size_t i = 0; i < 2; i++) {
        const void *page = i ? state : submit;

        ck_assert_uint_eq(get32(page, 4), 1);
        ck_assert_uint_eq(get32(page, 8), N_SLOTS);
        for (size_t at = 12; at < slots_page_bytes(N_SLOTS); at += 4)
            ck_assert_uint_eq(get32(page, at), 0);
    }
}
END_TEST

START_TEST(page_is_valid_only_with_its_own_head) {
    ck_assert(submit_page_is_valid(submit, N_SLOTS));
    ck_assert(state_page_is_valid(state, N_SLOTS));
    ck_assert(!submit_page_is_valid(state, N_SLOTS));
    ck_assert(!state_page_is_valid(submit, N_SLOTS));
    ck_assert(!submit_page_is_valid(submit, N_SLOTS + 1));
    ck_assert(!state_page_is_valid(state, N_SLOTS - 1));
    ((uint8_t *)state)[4] = 2; /* a version that is not spoken */
    ck_assert(!state_page_is_valid(state, N_SLOTS));
}
END_TEST

START_TEST(submit_record_lies_where_the_protocol_says) {
    SubmitRecord record = {.generation = 0x01020304,
                           .flags = SUBMIT_CANCEL,
                           .payload_bytes = UINT64_C(0x1112131415161718),
                           .segment_bytes = UINT64_C(0x2122232425262728),
                           .deadline_ns = UINT64_C(0x3132333435363738),
                           .weight = 0x71727374,
                           .submitted_ns = UINT64_C(0x8182838485868788),
                           .cpu = 0x61626364};

    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        record.user[i] = (uint8_t)(i + 1);
    submit_publish(submit, SLOT, &record);
    ck_assert_uint_eq(get32(submit, SUBMIT_AT), 0x01020304);
    ck_assert_uint_eq(get32(submit, SUBMIT_AT + 4), 1 | 4);
    ck_assert_uint_eq(get64(submit, SUBMIT_AT + 8), UINT64_C(0x1112131415161718));
    ck_assert_uint_eq(get64(submit, SUBMIT_AT + 16), UINT64_C(0x2122232425262728));
    ck_assert_uint_eq(get64(submit, SUBMIT_AT + 24), UINT64_C(0x3132333435363738));
    ck_assert_uint_eq(get32(submit, SUBMIT_AT + 32), 0x71727374);
    ck_assert_uint_eq(get32(submit, SUBMIT_AT + 36), 0x61626364);
    ck_assert_uint_eq(get64(submit, SUBMIT_AT + 40), UINT64_C(0x8182838485868788));
    for (size_t at = 48; at < 64; at++)
        ck_assert_uint_eq(((uint8_t *)submit)[SUBMIT_AT + at], 0);
    ck_assert_mem_eq((uint8_t *)submit + SUBMIT_AT + 64, record.user, SLOT_USER_BYTES);
}
END_TEST

/* No line that workers look at is written when a slot is taken or released. */
START_TEST(use_lies_where_the_protocol_says) {
    uint8_t before[RECORD_BYTES];

    publish(1, 0, 0);
    memcpy(before, (uint8_t *)submit + SUBMIT_AT, sizeof(before));
    (void)submit_take(submit, state, SLOT);
    ck_assert_uint_eq(get32(submit, USE_AT), 0);
    ck_assert_uint_eq(get32(submit, USE_AT + 4), 1);
    submit_release(submit, SLOT, 0x41424344);
    ck_assert_uint_eq(get32(submit, USE_AT), 0x41424344);
    ck_assert_uint_eq(get32(submit, USE_AT + 4), 0);
    ck_assert_mem_eq((uint8_t *)submit + SUBMIT_AT, before, sizeof(before));
}
END_TEST

START_TEST(records_come_in_groups_of_eight) {
    const uint32_t slots[] = {0, 7, 8, 23};
    const size_t at[] = {128 + 128, 128 + 128 + 7 * 128, 128 + 1152 + 128, 128 + 2 * 1152 + 128 + 7 * 128};
    const size_t use_at[] = {128, 128 + 7 * 8, 128 + 1152, 128 + 2 * 1152 + 7 * 8};
    void *page = calloc(1, slots_page_bytes(24));

    for (uint32_t i = 0; i < ELEMENTS(slots); i++) {
        submit_publish(page, slots[i], &(SubmitRecord){.generation = i + 1});
        submit_release(page, slots[i], i + 100);
        ck_assert_uint_eq(get32(page, at[i]), i + 1);
        ck_assert_uint_eq(get32(page, use_at[i]), i + 100);
    }
    free(page);
}
END_TEST

START_TEST(claims_and_answers_come_in_groups_of_eight) {
    const uint32_t slots[] = {0, 7, 8, 23};
    const size_t group[] = {128, 128, 128 + 1536, 128 + 2 * 1536};
    void *wishes = calloc(1, slots_page_bytes(24)), *page = calloc(1, slots_page_bytes(24));
    SlotClaim claim;

    for (uint32_t i = 0; i < ELEMENTS(slots); i++) {
        size_t at = slots[i] % 8;

        submit_publish(wishes, slots[i], &(SubmitRecord){.generation = 1});
        ck_assert(slots_claim(wishes, page, slots[i], 1, OWNER, NOW, &claim));
        ck_assert(slots_end(page, slots[i], &claim, SLOT_DONE, &(AnswerRecord){.payload_bytes = i + 9}));
        ck_assert_uint_eq(get32(page, group[i] + at * 64), 1);
        ck_assert_uint_eq(get64(page, group[i] + 8 * 64 + at * 128 + 8), i + 9);
    }
    free(page);
    free(wishes);
}
END_TEST

START_TEST(state_record_lies_where_the_protocol_says) {
    AnswerRecord answer = {.payload_bytes = UINT64_C(0x1112131415161718),
                           .segment_bytes = UINT64_C(0x2122232425262728),
                           .reason = 0x51525354,
                           .status = -9,
                           .cpu = 0x61626364,
                           .ended_ns = UINT64_C(0x7172737475767778)};
    SlotClaim claim;

    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        answer.user[i] = (uint8_t)(i + 1);
    publish(1, 0, 0);
    ck_assert(slots_claim(submit, state, SLOT, 1, OWNER, UINT64_C(0x3132333435363738), &claim));
    ck_assert_uint_eq(get64(state, CLAIM_AT), UINT64_C(0x12abcdef00000001));
    ck_assert_uint_eq(get64(state, CLAIM_AT + 8), UINT64_C(0x3132333435363738));
    ck_assert_uint_eq(get64(state, ANSWER_AT), 0);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_FAILED, &answer));
    ck_assert_uint_eq(get64(state, CLAIM_AT), UINT64_C(0x14abcdef00000001));
    ck_assert_uint_eq(get64(state, CLAIM_AT + 8), 0);
    ck_assert_uint_eq(get64(state, ANSWER_AT), UINT64_C(0x14abcdef00000001));
    ck_assert_uint_eq(get64(state, ANSWER_AT + 8), UINT64_C(0x1112131415161718));
    ck_assert_uint_eq(get64(state, ANSWER_AT + 16), UINT64_C(0x2122232425262728));
    ck_assert_uint_eq(get64(state, ANSWER_AT + 24), UINT64_C(0x7172737475767778));
    ck_assert_uint_eq(get32(state, ANSWER_AT + 32), 0x51525354);
    ck_assert_int_eq((int32_t)get32(state, ANSWER_AT + 36), -9);
    ck_assert_uint_eq(get32(state, ANSWER_AT + 48), 0x61626364);
    ck_assert_uint_eq(get32(state, ANSWER_AT + 52), 1);
    ck_assert_uint_eq(get32(state, ANSWER_AT + 56), 0);
    ck_assert_mem_eq((uint8_t *)state + ANSWER_AT + 64, answer.user, SLOT_USER_BYTES);
}
END_TEST

START_TEST(what_the_host_notes_lies_where_the_protocol_says) {
    state_reserve(state, SLOT, 4096);
    state_reserve_response(state, SLOT, 8192);
    ck_assert(slots_hold(submit, state, SLOT));
    ck_assert_uint_eq(get64(state, CLAIM_AT), UINT64_C(0x00ffffff00000000));
    ck_assert_uint_eq(get64(state, CLAIM_AT + 16), 8192);
    ck_assert_uint_eq(get64(state, ANSWER_AT + 40), 4096);
    ck_assert_uint_eq(get32(state, ANSWER_AT + 56), 1);
    slots_let_go(state, SLOT);
    ck_assert_uint_eq(get64(state, CLAIM_AT), 0);
    ck_assert_uint_eq(get32(state, ANSWER_AT + 56), 0);
}
END_TEST

START_TEST(slot_that_a_host_before_holds_is_said_to_be_held) {
    put_word(word_of(0, SLOT_OWNER_HOST, SLOT_FRESH, 0));
    ck_assert(slots_hold(submit, state, SLOT));
    ck_assert_uint_eq(get32(state, ANSWER_AT + 56), 1);
    ck_assert_uint_eq(submit_take(submit, state, SLOT), 0);
}
END_TEST

START_TEST(user_bytes_of_an_earlier_exchange_are_not_read_again) {
    SubmitRecord record = {.generation = 1, .user = {7}}, seen;
    AnswerRecord answer = {.user = {8}}, told;
    SlotClaim claim;

    for (uint32_t generation = 1; generation <= 2; generation++) {
        record.generation = generation;
        submit_publish(submit, SLOT, &record);
        ck_assert(slots_claim(submit, state, SLOT, generation, OWNER, NOW, &claim));
        ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &answer));
        submit_copy(submit, SLOT, &seen);
        state_answer_copy(state, SLOT, &told);
        ck_assert_uint_eq(seen.user[0], generation == 1 ? 7 : 0);
        ck_assert_uint_eq(told.user[0], generation == 1 ? 8 : 0);
        record.user[0] = answer.user[0] = 0;
    }
}
END_TEST

START_TEST(heads_hold_who_is_awake_and_who_polls) {
    submit_set_awake(submit, true);
    ck_assert(submit_is_awake(submit));
    ck_assert_uint_eq(get32(submit, 12), 1);
    submit_set_awake(submit, false);
    ck_assert(!submit_is_awake(submit));
    ck_assert(state_poll_begin(state, OWNER));
    ck_assert_uint_eq(get32(state, 12), OWNER);
    ck_assert_uint_eq(state_poller(state), OWNER);
}
END_TEST

START_TEST(one_worker_polls_a_client_at_a_time) {
    ck_assert(state_poll_begin(state, OWNER));
    ck_assert(!state_poll_begin(state, OWNER + 1));
    state_poll_end(state, OWNER + 1); /* not its own to end */
    ck_assert_uint_eq(state_poller(state), OWNER);
    state_poll_end(state, OWNER);
    ck_assert_uint_eq(state_poller(state), 0);
    ck_assert(state_poll_begin(state, OWNER + 1));
}
END_TEST

START_TEST(counts_lie_beside_the_word) {
    static const SlotState ends[] = {SLOT_DONE, SLOT_FAILED, SLOT_CANCELLED, SLOT_EXPIRED};
    SlotClaim claim;

    for (uint32_t i = 0; i < ELEMENTS(ends); i++) {
        const AnswerRecord answer = {.payload_bytes = 7};

        publish(i + 1, 0, 0);
        ck_assert(slots_claim(submit, state, SLOT, i + 1, OWNER, NOW, &claim));
        ck_assert(slots_end(state, SLOT, &claim, ends[i], &answer));
    }
    ck_assert_uint_eq(get64(state, CLAIM_AT + 24), 1);
    ck_assert_uint_eq(get64(state, CLAIM_AT + 32), 1);
    ck_assert_uint_eq(get64(state, CLAIM_AT + 40), 2); /* cancelled or expired */
    ck_assert_uint_eq(get64(state, CLAIM_AT + 48), 4 * 100);
    ck_assert_uint_eq(get64(state, CLAIM_AT + 56), 4 * 7);
}
END_TEST

START_TEST(counts_are_those_of_all_slots) {
    SlotCounts counts;
    SlotClaim claim;

    for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
        submit_publish(submit, slot, &(SubmitRecord){.generation = 1, .payload_bytes = 10});
        ck_assert(slots_claim(submit, state, slot, 1, OWNER, NOW, &claim));
        ck_assert(slots_end(state, slot, &claim, SLOT_DONE, &(AnswerRecord){.payload_bytes = 3}));
    }
    state_counts(state, N_SLOTS, &counts);
    ck_assert_uint_eq(counts.n_done, N_SLOTS);
    ck_assert_uint_eq(counts.request_bytes, 10 * N_SLOTS);
    ck_assert_uint_eq(counts.response_bytes, 3 * N_SLOTS);
}
END_TEST

START_TEST(slots_do_not_touch_each_other) {
    const AnswerRecord answer = {.payload_bytes = UINT64_MAX, .reason = UINT32_MAX, .status = -1};
    const SubmitRecord record = {.generation = 1, .flags = UINT32_MAX, .payload_bytes = UINT64_MAX};
    SlotClaim claim;

    submit_publish(submit, SLOT, &record);
    submit_release(submit, SLOT, UINT32_MAX);
    ck_assert(slots_claim(submit, state, SLOT, 1, SLOT_OWNER_MAX, UINT64_MAX, &claim));
    ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &answer));
    for (size_t at = HEAD_BYTES; at < slots_page_bytes(N_SLOTS); at++) {
        if ((at < CLAIM_AT || at >= CLAIM_AT + CLAIM_BYTES) &&
            (at < ANSWER_AT || at >= ANSWER_AT + RECORD_BYTES))
            ck_assert_uint_eq(((uint8_t *)state)[at], 0);
        if ((at < SUBMIT_AT || at >= SUBMIT_AT + RECORD_BYTES) && (at < USE_AT || at >= USE_AT + USE_BYTES))
            ck_assert_uint_eq(((uint8_t *)submit)[at], 0);
    }
}
END_TEST

/* ---- the table of states ---- */

/* A row of docs/protocol.md, section 4, with the last one ("any other combination") spelt out. */
typedef struct Row {
    const char *name;
    SlotState state;
    uint32_t ahead; /* S - G */
    enum {
        NOBODYS, /* nobody may leave it */
        WAITS,   /* a worker may claim it, the host may end it */
        OWNED,   /* its owner may end it, and the host once that is dead */
    } whose;
} Row;

static const Row rows[] = {
    {"never used", SLOT_FRESH, 0, NOBODYS},
    {"fresh, submitted", SLOT_FRESH, 1, WAITS},
    {"done", SLOT_DONE, 0, NOBODYS},
    {"done, submitted", SLOT_DONE, 1, WAITS},
    {"failed", SLOT_FAILED, 0, NOBODYS},
    {"failed, submitted", SLOT_FAILED, 1, WAITS},
    {"cancelled", SLOT_CANCELLED, 0, NOBODYS},
    {"cancelled, submitted", SLOT_CANCELLED, 1, WAITS},
    {"expired", SLOT_EXPIRED, 0, NOBODYS},
    {"expired, submitted", SLOT_EXPIRED, 1, WAITS},
    {"waiting", SLOT_WAITING, 0, WAITS},
    {"claimed", SLOT_CLAIMED, 0, OWNED},
    {"done, but two ahead", SLOT_DONE, 2, NOBODYS},
    {"done, but one behind", SLOT_DONE, UINT32_MAX, NOBODYS},
    {"waiting, but submitted anew", SLOT_WAITING, 1, NOBODYS},
    {"waiting, but one behind", SLOT_WAITING, UINT32_MAX, NOBODYS},
    {"claimed, but submitted anew", SLOT_CLAIMED, 1, OWNED},
};

/* Generations wrap around: each row also holds where G or S does. A slot is fresh at generation 0 only. */
static const uint32_t generations[] = {0, 7, UINT32_MAX - 1, UINT32_MAX};

#define ATTEMPTS 3u
#define N_ROWS   ((int)ELEMENTS(rows))

/* Do this with a row of the table, at each of the generations. */
static void for_each_generation(int i, void (*check)(const Row *row, uint32_t generation)) {
    for (size_t j = 0; j < ELEMENTS(generations); j++)
        if (rows[i].state != SLOT_FRESH || generations[j] == 0)
            check(&rows[i], generations[j]);
}

static void set_up(const Row *row, uint32_t generation) {
    clear_pages();
    put_word(word_of(generation, row->state == SLOT_CLAIMED ? OWNER : 0, row->state,
                     row->state == SLOT_FRESH ? 0 : ATTEMPTS));
    publish(generation + row->ahead, 0, 0);
}

static void check_claims(const Row *row, uint32_t generation) {
    uint32_t wanted = generation + (row->state == SLOT_WAITING ? 0 : 1);
    SlotClaim claim;
    uint64_t before;

    set_up(row, generation);
    before = get64(state, CLAIM_AT);
    for (uint32_t message = generation - 2; message != generation + 4; message++) {
        bool may = row->whose == WAITS && message == wanted;

        ck_assert_msg(slots_is_open(submit, state, SLOT, message) == may, "%s: %u", row->name, message);
        if (may)
            continue;
        ck_assert_msg(!slots_claim(submit, state, SLOT, message, OTHER, NOW, &claim), "%s", row->name);
        ck_assert_uint_eq(get64(state, CLAIM_AT), before);
    }
    if (row->whose != WAITS)
        return;
    ck_assert_msg(slots_claim(submit, state, SLOT, wanted, OTHER, NOW, &claim), "%s", row->name);
    check_word(wanted, OTHER, SLOT_CLAIMED, row->state == SLOT_WAITING ? ATTEMPTS + 1 : 1);
    ck_assert_uint_eq(claim.raw, get64(state, CLAIM_AT));
    ck_assert_uint_eq(claim.generation, wanted);
    ck_assert_uint_eq(claim.attempt, row->state == SLOT_WAITING ? ATTEMPTS + 1 : 1);
    ck_assert_uint_eq(claim.request.generation, wanted);
    ck_assert_uint_eq(claim.request.payload_bytes, 100);
    ck_assert_uint_eq(n_ended(), 0);
}

START_TEST(worker_claims_what_waits_and_nothing_else) {
    for_each_generation(_i, check_claims);
}
END_TEST

static void check_pending(const Row *row, uint32_t generation) {
    uint32_t pending = 4711;

    set_up(row, generation);
    ck_assert_msg(slots_pending(submit, state, SLOT, &pending) == (row->whose == WAITS), "%s", row->name);
    ck_assert_uint_eq(pending, row->whose == WAITS ? generation + row->ahead : 4711);
}

START_TEST(host_announces_what_waits_and_nothing_else) {
    for_each_generation(_i, check_pending);
}
END_TEST

/* The host looks: what waits ends as @wished, and the rest stays as it is. */
static void check_look(const Row *row, bool gone, SlotState wished) {
    uint64_t before = get64(state, CLAIM_AT);
    uint32_t pending = 0;
    SlotState expected = row->whose == OWNED ? SLOT_CLAIMED : row->whose == NOBODYS ? SLOT_DONE : wished;

    (void)slots_pending(submit, state, SLOT, &pending);
    ck_assert_msg(slots_look(submit, state, SLOT, gone, NOW) == expected, "%s", row->name);
    if (expected == SLOT_CANCELLED || expected == SLOT_EXPIRED) {
        check_word(pending, 0, expected, 0);
        ck_assert_uint_eq(n_ended(), 1);
    } else {
        ck_assert_uint_eq(get64(state, CLAIM_AT), before);
        ck_assert_uint_eq(n_ended(), 0);
    }
}

static void check_wanted(const Row *row, uint32_t generation) {
    set_up(row, generation);
    check_look(row, false, SLOT_WAITING);
}

START_TEST(host_ends_nothing_that_the_client_still_wants) {
    for_each_generation(_i, check_wanted);
}
END_TEST

static void check_cancelled(const Row *row, uint32_t generation) {
    set_up(row, generation);
    submit_cancel(submit, SLOT);
    check_look(row, false, SLOT_CANCELLED);
}

START_TEST(host_cancels_what_waits_and_nothing_else) {
    for_each_generation(_i, check_cancelled);
}
END_TEST

static void check_expired(const Row *row, uint32_t generation) {
    set_up(row, generation);
    publish(generation + row->ahead, 0, NOW);
    check_look(row, false, SLOT_EXPIRED);
}

START_TEST(host_lets_expire_what_waits_and_nothing_else) {
    for_each_generation(_i, check_expired);
}
END_TEST

static void check_gone(const Row *row, uint32_t generation) {
    set_up(row, generation);
    check_look(row, true, SLOT_CANCELLED);
}

START_TEST(host_cancels_what_waits_of_a_client_that_is_gone) {
    for_each_generation(_i, check_gone);
}
END_TEST

static void check_settled(const Row *row, uint32_t generation) {
    uint64_t before;

    set_up(row, generation);
    before = get64(state, CLAIM_AT);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OTHER, ATTEMPTS + 1, true, false, NOW), SLOT_DONE);
    ck_assert_uint_eq(get64(state, CLAIM_AT), before);
    if (row->whose != OWNED) {
        ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, ATTEMPTS + 1, true, false, NOW), SLOT_DONE);
        ck_assert_uint_eq(get64(state, CLAIM_AT), before);
        return;
    }
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, ATTEMPTS + 1, true, false, NOW), SLOT_WAITING);
    check_word(generation, 0, SLOT_WAITING, ATTEMPTS);
    ck_assert_uint_eq(n_ended(), 0);
}

START_TEST(host_settles_the_dead_owners_claim_and_nothing_else) {
    for_each_generation(_i, check_settled);
}
END_TEST

/* ---- the owner ---- */

static void claim_next(uint32_t generation, uint32_t owner, SlotClaim *ret_claim) {
    publish(generation, 0, 0);
    ck_assert(slots_claim(submit, state, SLOT, generation, owner, NOW, ret_claim));
}

START_TEST(owner_ends_its_claim_in_each_way) {
    static const SlotState ends[] = {SLOT_DONE, SLOT_FAILED, SLOT_CANCELLED, SLOT_EXPIRED};
    const AnswerRecord answer = {5, 4096, .reason = 3, .status = 2, .user = {9}};
    AnswerRecord copy;
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert(slots_end(state, SLOT, &claim, ends[_i], &answer));
    check_word(1, OWNER, ends[_i], 1);
    state_answer_copy(state, SLOT, &copy);
    ck_assert_uint_eq(copy.payload_bytes, 5);
    ck_assert_uint_eq(copy.segment_bytes, 4096);
    ck_assert_uint_eq(copy.reason, 3);
    ck_assert_int_eq(copy.status, 2);
    ck_assert_mem_eq(copy.user, answer.user, sizeof(answer.user));
}
END_TEST

START_TEST(claim_can_be_ended_once_only) {
    const AnswerRecord answer = {.payload_bytes = 5, .segment_bytes = 4096}, later = {.payload_bytes = 6};
    AnswerRecord copy;
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &answer));
    ck_assert(!slots_end(state, SLOT, &claim, SLOT_FAILED, &later));
    check_word(1, OWNER, SLOT_DONE, 1);
    state_answer_copy(state, SLOT, &copy);
    ck_assert_uint_eq(copy.payload_bytes, 5); /* the client may be reading by now */
    ck_assert_uint_eq(n_ended(), 1);
}
END_TEST

START_TEST(lost_claim_ends_nothing_while_the_slot_waits) {
    const AnswerRecord answer = {.payload_bytes = 5};
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW), SLOT_WAITING);
    ck_assert(!slots_end(state, SLOT, &claim, SLOT_DONE, &answer));
    check_word(1, 0, SLOT_WAITING, 1);
    ck_assert_uint_eq(get64(state, ANSWER_AT + 8), 0);
}
END_TEST

START_TEST(lost_claim_ends_nothing_of_the_next_owner) {
    const AnswerRecord late = {.payload_bytes = 5}, answer = {.payload_bytes = 6};
    SlotClaim lost, claim;
    AnswerRecord copy;

    claim_next(1, OWNER, &lost);
    slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW);
    ck_assert(slots_claim(submit, state, SLOT, 1, OTHER, NOW, &claim));
    ck_assert(!slots_end(state, SLOT, &lost, SLOT_DONE, &late));
    check_word(1, OTHER, SLOT_CLAIMED, 2);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &answer));
    ck_assert(!slots_end(state, SLOT, &lost, SLOT_DONE, &late));
    state_answer_copy(state, SLOT, &copy);
    ck_assert_uint_eq(copy.payload_bytes, 6);
}
END_TEST

START_TEST(claim_of_an_earlier_generation_ends_nothing_of_the_same_owners_next) {
    const AnswerRecord late = {.payload_bytes = 5};
    SlotClaim old, claim;

    claim_next(1, OWNER, &old);
    ck_assert(slots_end(state, SLOT, &old, SLOT_DONE, &(AnswerRecord){0}));
    claim_next(2, OWNER, &claim);
    ck_assert(!slots_end(state, SLOT, &old, SLOT_DONE, &late));
    check_word(2, OWNER, SLOT_CLAIMED, 1);
    ck_assert_uint_eq(get64(state, ANSWER_AT + 8), 0);
}
END_TEST

START_TEST(time_of_a_claim_is_told_while_it_lasts) {
    SlotClaim claim;

    ck_assert_uint_eq(state_claimed_ns(state, SLOT), 0);
    claim_next(1, OWNER, &claim);
    ck_assert_uint_eq(state_claimed_ns(state, SLOT), NOW);
}
END_TEST

/* Whoever looks between the next claim and its note would take the old one for the claim's time. */
START_TEST(time_of_a_claim_is_forgotten_with_it) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &(AnswerRecord){0}));
    ck_assert_uint_eq(state_claimed_ns(state, SLOT), 0);
    claim_next(2, OWNER, &claim);
    slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW);
    ck_assert_uint_eq(state_claimed_ns(state, SLOT), 0);
}
END_TEST

START_TEST(every_end_is_shown_where_its_client_polls) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 0);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &(AnswerRecord){0}));
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 1);
    ck_assert_uint_eq(state_shown(state, SLOT).state, SLOT_DONE);
    publish(2, 0, 0);
    ck_assert_uint_eq(slots_look(submit, state, SLOT, true, NOW), SLOT_CANCELLED);
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 2);
    ck_assert_uint_eq(state_shown(state, SLOT).state, SLOT_CANCELLED);
    claim_next(3, OWNER, &claim);
    ck_assert_uint_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW), SLOT_WAITING);
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 2);
    ck_assert(slots_claim(submit, state, SLOT, 3, OWNER, NOW, &claim));
    ck_assert_uint_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW), SLOT_FAILED);
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 3);
    ck_assert_uint_eq(state_shown(state, SLOT).state, SLOT_FAILED);
}
END_TEST

START_TEST(end_that_came_too_late_is_not_shown) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW);
    ck_assert(!slots_end(state, SLOT, &claim, SLOT_DONE, &(AnswerRecord){0}));
    ck_assert_uint_eq(state_shown(state, SLOT).generation, 0);
}
END_TEST

/* ---- the client ---- */

START_TEST(cancel_before_the_claim_is_seen_by_it) {
    SlotClaim claim;

    publish(1, 0, 0);
    submit_cancel(submit, SLOT);
    ck_assert(submit_is_cancelled(submit, SLOT, 1));
    ck_assert(slots_claim(submit, state, SLOT, 1, OWNER, NOW, &claim));
    ck_assert_uint_eq(claim.request.flags & SUBMIT_CANCEL, SUBMIT_CANCEL);
}
END_TEST

START_TEST(cancel_after_the_claim_is_seen_by_asking) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert_uint_eq(claim.request.flags & SUBMIT_CANCEL, 0);
    ck_assert(!submit_is_cancelled(submit, SLOT, 1));
    submit_cancel(submit, SLOT);
    ck_assert(submit_is_cancelled(submit, SLOT, 1));
}
END_TEST

START_TEST(cancel_does_not_reach_the_next_generation) {
    publish(1, 0, 0);
    submit_cancel(submit, SLOT);
    ck_assert(!submit_is_cancelled(submit, SLOT, 2));
    publish(2, 0, 0);
    ck_assert(!submit_is_cancelled(submit, SLOT, 1));
    ck_assert(!submit_is_cancelled(submit, SLOT, 2));
}
END_TEST

START_TEST(record_is_copied_once_at_the_claim) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    submit_publish(submit, SLOT, &(SubmitRecord){.generation = 9, .payload_bytes = 1, .deadline_ns = 1});
    ck_assert_uint_eq(claim.request.generation, 1);
    ck_assert_uint_eq(claim.request.payload_bytes, 100);
    ck_assert_uint_eq(claim.request.deadline_ns, 0);
}
END_TEST

START_TEST(released_generation_is_told) {
    ck_assert_uint_eq(submit_released(submit, SLOT), 0);
    submit_release(submit, SLOT, UINT32_MAX);
    ck_assert_uint_eq(submit_released(submit, SLOT), UINT32_MAX);
    submit_release(submit, SLOT, 0);
    ck_assert_uint_eq(submit_released(submit, SLOT), 0);
}
END_TEST

START_TEST(slot_goes_on_past_the_last_generation) {
    SlotClaim claim;

    put_word(word_of(UINT32_MAX - 1, OWNER, SLOT_DONE, 1));
    for (uint32_t generation = UINT32_MAX; generation != 3; generation++) {
        claim_next(generation, OWNER, &claim);
        ck_assert(!slots_claim(submit, state, SLOT, generation, OTHER, NOW, &claim));
        ck_assert(slots_end(state, SLOT, &claim, SLOT_DONE, &(AnswerRecord){0}));
        check_word(generation, OWNER, SLOT_DONE, 1);
        ck_assert(!slots_claim(submit, state, SLOT, generation, OTHER, NOW, &claim));
    }
}
END_TEST

/* ---- the host, after a death ---- */

START_TEST(last_attempt_fails_as_worker_lost) {
    AnswerRecord answer;
    SlotClaim claim;

    for (uint32_t attempt = 1; attempt <= 2; attempt++) {
        publish(1, 0, 0);
        ck_assert(slots_claim(submit, state, SLOT, 1, attempt, NOW, &claim));
        ck_assert_uint_eq(claim.attempt, attempt);
        ck_assert_int_eq(slots_settle(submit, state, SLOT, attempt, 2, true, false, NOW),
                         attempt == 1 ? SLOT_WAITING : SLOT_FAILED);
    }
    check_word(1, 0, SLOT_FAILED, 2);
    state_answer_copy(state, SLOT, &answer);
    ck_assert_uint_eq(answer.reason, REASON_WORKER_LOST);
    ck_assert_uint_eq(answer.payload_bytes, 0);
    ck_assert_int_eq(answer.status, 0);
    ck_assert(!slots_claim(submit, state, SLOT, 1, OTHER, NOW, &claim));
    ck_assert_uint_eq(n_ended(), 1);
}
END_TEST

START_TEST(what_was_left_of_an_earlier_answer_is_not_part_of_worker_lost) {
    const AnswerRecord earlier = {.payload_bytes = 99, .segment_bytes = 4096, .reason = 1, .status = 3};
    AnswerRecord answer;
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert(slots_end(state, SLOT, &claim, SLOT_FAILED, &earlier));
    claim_next(2, OWNER, &claim);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 1, true, false, NOW), SLOT_FAILED);
    state_answer_copy(state, SLOT, &answer);
    ck_assert_uint_eq(answer.reason, REASON_WORKER_LOST);
    ck_assert_uint_eq(answer.payload_bytes, 0);
    ck_assert_int_eq(answer.status, 0);
    ck_assert_uint_eq(answer.segment_bytes, 4096); /* still what the window holds */
}
END_TEST

START_TEST(one_attempt_is_at_most_once) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 1, true, false, NOW), SLOT_FAILED);
    ck_assert(!slots_claim(submit, state, SLOT, 1, OTHER, NOW, &claim));
}
END_TEST

START_TEST(no_redelivery_where_the_host_says_not_again) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 2, false, false, NOW), SLOT_FAILED);
    check_word(1, 0, SLOT_FAILED, 1);
}
END_TEST

START_TEST(settled_claim_ends_as_its_client_wished) {
    SlotClaim claim;

    claim_next(1, OWNER, &claim);
    submit_cancel(submit, SLOT);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW), SLOT_CANCELLED);
    check_word(1, 0, SLOT_CANCELLED, 1);
    claim_next(2, OWNER, &claim);
    publish(2, 0, NOW);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, false, NOW), SLOT_EXPIRED);
    check_word(2, 0, SLOT_EXPIRED, 1);
    claim_next(3, OWNER, &claim);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, OWNER, 2, true, true, NOW), SLOT_CANCELLED);
    check_word(3, 0, SLOT_CANCELLED, 1);
    ck_assert_uint_eq(n_ended(), 3);
}
END_TEST

START_TEST(deadline_counts_from_its_very_nanosecond) {
    publish(1, 0, NOW + 1);
    ck_assert_int_eq(slots_look(submit, state, SLOT, false, NOW), SLOT_WAITING);
    ck_assert_int_eq(slots_look(submit, state, SLOT, false, NOW + 1), SLOT_EXPIRED);
}
END_TEST

START_TEST(attempts_stop_at_what_the_word_can_hold) {
    SlotClaim claim;

    put_word(word_of(1, 0, SLOT_WAITING, SLOT_ATTEMPTS_MAX));
    publish(1, 0, 0);
    ck_assert(slots_claim(submit, state, SLOT, 1, SLOT_OWNER_MAX, NOW, &claim));
    check_word(1, SLOT_OWNER_MAX, SLOT_CLAIMED, SLOT_ATTEMPTS_MAX);
    ck_assert_int_eq(slots_settle(submit, state, SLOT, SLOT_OWNER_MAX, SLOT_ATTEMPTS_MAX, true, false, NOW),
                     SLOT_FAILED);
}
END_TEST

START_TEST(ends_are_ends_and_nothing_else_is) {
    ck_assert(state_is_end(SLOT_FRESH));
    ck_assert(!state_is_end(SLOT_WAITING));
    ck_assert(!state_is_end(SLOT_CLAIMED));
    ck_assert(state_is_end(SLOT_DONE));
    ck_assert(state_is_end(SLOT_FAILED));
    ck_assert(state_is_end(SLOT_CANCELLED));
    ck_assert(state_is_end(SLOT_EXPIRED));
}
END_TEST

/* ---- suite ---- */

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, make_pages, free_pages);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_table(TCase *tests) {
    tcase_add_loop_test(tests, worker_claims_what_waits_and_nothing_else, 0, N_ROWS);
    tcase_add_loop_test(tests, host_announces_what_waits_and_nothing_else, 0, N_ROWS);
    tcase_add_loop_test(tests, host_ends_nothing_that_the_client_still_wants, 0, N_ROWS);
    tcase_add_loop_test(tests, host_cancels_what_waits_and_nothing_else, 0, N_ROWS);
    tcase_add_loop_test(tests, host_lets_expire_what_waits_and_nothing_else, 0, N_ROWS);
    tcase_add_loop_test(tests, host_cancels_what_waits_of_a_client_that_is_gone, 0, N_ROWS);
    tcase_add_loop_test(tests, host_settles_the_dead_owners_claim_and_nothing_else, 0, N_ROWS);
    tcase_add_test(tests, ends_are_ends_and_nothing_else_is);
}

static void add_owner(TCase *tests) {
    tcase_add_loop_test(tests, owner_ends_its_claim_in_each_way, 0, 4);
    tcase_add_test(tests, claim_can_be_ended_once_only);
    tcase_add_test(tests, lost_claim_ends_nothing_while_the_slot_waits);
    tcase_add_test(tests, lost_claim_ends_nothing_of_the_next_owner);
    tcase_add_test(tests, claim_of_an_earlier_generation_ends_nothing_of_the_same_owners_next);
    tcase_add_test(tests, time_of_a_claim_is_told_while_it_lasts);
    tcase_add_test(tests, time_of_a_claim_is_forgotten_with_it);
    tcase_add_test(tests, every_end_is_shown_where_its_client_polls);
    tcase_add_test(tests, end_that_came_too_late_is_not_shown);
}

static void add_client(TCase *tests) {
    tcase_add_test(tests, cancel_before_the_claim_is_seen_by_it);
    tcase_add_test(tests, cancel_after_the_claim_is_seen_by_asking);
    tcase_add_test(tests, cancel_does_not_reach_the_next_generation);
    tcase_add_test(tests, record_is_copied_once_at_the_claim);
    tcase_add_test(tests, released_generation_is_told);
    tcase_add_test(tests, slot_goes_on_past_the_last_generation);
}

static void add_settling(TCase *tests) {
    tcase_add_test(tests, last_attempt_fails_as_worker_lost);
    tcase_add_test(tests, what_was_left_of_an_earlier_answer_is_not_part_of_worker_lost);
    tcase_add_test(tests, one_attempt_is_at_most_once);
    tcase_add_test(tests, no_redelivery_where_the_host_says_not_again);
    tcase_add_test(tests, settled_claim_ends_as_its_client_wished);
    tcase_add_test(tests, deadline_counts_from_its_very_nanosecond);
    tcase_add_test(tests, attempts_stop_at_what_the_word_can_hold);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("slots");
    TCase *layout = add_case(suite, "layout");

    tcase_add_test(layout, pages_are_whole_and_hold_head_records_and_meters);
    tcase_add_test(layout, heads_say_what_the_protocol_says);
    tcase_add_test(layout, page_is_valid_only_with_its_own_head);
    tcase_add_test(layout, submit_record_lies_where_the_protocol_says);
    tcase_add_test(layout, use_lies_where_the_protocol_says);
    tcase_add_test(layout, records_come_in_groups_of_eight);
    tcase_add_test(layout, claims_and_answers_come_in_groups_of_eight);
    tcase_add_test(layout, state_record_lies_where_the_protocol_says);
    tcase_add_test(layout, what_the_host_notes_lies_where_the_protocol_says);
    tcase_add_test(layout, slot_that_a_host_before_holds_is_said_to_be_held);
    tcase_add_test(layout, user_bytes_of_an_earlier_exchange_are_not_read_again);
    tcase_add_test(layout, heads_hold_who_is_awake_and_who_polls);
    tcase_add_test(layout, one_worker_polls_a_client_at_a_time);
    tcase_add_test(layout, counts_lie_beside_the_word);
    tcase_add_test(layout, counts_are_those_of_all_slots);
    tcase_add_test(layout, slots_do_not_touch_each_other);
    add_table(add_case(suite, "table"));
    add_owner(add_case(suite, "owner"));
    add_client(add_case(suite, "client"));
    add_settling(add_case(suite, "settling"));
    return suite;
}
