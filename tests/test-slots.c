/* SPDX-License-Identifier: MIT */
/*
 * The pages of slots, against docs/protocol.md, section 4: its table of states row by row, each row with each
 * of those who may want to change it. Where it all lies is in test-slots-layout.c; what threads do to each
 * other, in test-slots-races.c.
 */
#include "slots-unit.h"

#include "base/cleanup.h"
#include "wire/reason.h"

static void check_word(uint32_t generation, uint32_t owner, SlotState what, uint32_t attempts) {
    ck_assert_uint_eq(get64(state, CLAIM_AT), word_of(generation, owner, what, attempts));
}

static uint64_t n_ended(void) {
    SlotCounts counts;

    state_counts(state, N_SLOTS, &counts);
    return counts.n_done + counts.n_failed + counts.n_cancelled;
}

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

    add_table(slots_add_case(suite, "table"));
    add_owner(slots_add_case(suite, "owner"));
    add_client(slots_add_case(suite, "client"));
    add_settling(slots_add_case(suite, "settling"));
    return suite;
}
