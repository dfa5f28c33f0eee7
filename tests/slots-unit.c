/* SPDX-License-Identifier: MIT */
#include "slots-unit.h"

#include <stdlib.h>
#include <string.h>

void *submit;
void *state;

void clear_pages(void) {
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

uint32_t get32(const void *page, size_t at) {
    uint32_t value;

    memcpy(&value, (const uint8_t *)page + at, sizeof(value));
    return value;
}

uint64_t get64(const void *page, size_t at) {
    uint64_t value;

    memcpy(&value, (const uint8_t *)page + at, sizeof(value));
    return value;
}

static void put64(void *page, size_t at, uint64_t value) {
    memcpy((uint8_t *)page + at, &value, sizeof(value));
}

uint64_t word_of(uint32_t generation, uint32_t owner, SlotState what, uint32_t attempts) {
    return generation | (uint64_t)owner << 32 | (uint64_t)what << 56 | (uint64_t)attempts << 60;
}

void put_word(uint64_t word) {
    put64(state, CLAIM_AT, word);
}

void publish(uint32_t generation, uint32_t flags, uint64_t deadline_ns) {
    const SubmitRecord record = {
        .generation = generation,
        .flags = flags,
        .payload_bytes = 100,
        .segment_bytes = 4096,
        .deadline_ns = deadline_ns,
    };

    submit_publish(submit, SLOT, &record);
}

TCase *slots_add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, make_pages, free_pages);
    suite_add_tcase(suite, tests);
    return tests;
}
