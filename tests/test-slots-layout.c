/* SPDX-License-Identifier: MIT */
/* Where everything lies in the pages of slots: the layout of docs/protocol.md, section 3, byte by byte. */
#include "slots-unit.h"

#include "base/cleanup.h"

#include <string.h>

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

        ck_assert_uint_eq(get32(page, 4), 2);
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
    ((uint8_t *)state)[4] = 1; /* a version that is not spoken */
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

Suite *unit_suite(void) {
    Suite *suite = suite_create("slots-layout");
    TCase *layout = slots_add_case(suite, "layout");

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
    return suite;
}
