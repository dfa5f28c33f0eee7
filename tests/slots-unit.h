/* SPDX-License-Identifier: MIT */
/* A submit page and a state page, new at the beginning of each test, and the one slot in them that counts. */
#pragma once

#include "unit.h"
#include "wire/slots.h"

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

extern void *submit;
extern void *state;

/* A case of tests that each begin with pages in which nothing has happened. */
TCase *slots_add_case(Suite *suite, const char *name);

/* The same in the middle of a test. */
void clear_pages(void);

uint32_t get32(const void *page, size_t at);
uint64_t get64(const void *page, size_t at);

/* The word of the slot, by hand. */
uint64_t word_of(uint32_t generation, uint32_t owner, SlotState what, uint32_t attempts);
void put_word(uint64_t word);

/* A request of 100 bytes. */
void publish(uint32_t generation, uint32_t flags, uint64_t deadline_ns);
