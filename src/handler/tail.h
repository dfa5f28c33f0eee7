/* SPDX-License-Identifier: MIT */
/*
 * Tail: the last bytes of a stream that may be endless, as a text for a person
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

typedef struct Tail {
    char *ring;      /* owned; NULL keeps nothing */
    size_t room;
    uint64_t n_seen; /* bytes, also those that are overwritten */
} Tail;

#define TAIL_NULL {0}

/** tail_init() - keep @room bytes; 0 keeps nothing. Return: 0 or negative errno. */
int tail_init(Tail *tail, size_t room);
void tail_deinit(Tail *tail);

/** tail_clear() - a new stream begins. */
void tail_clear(Tail *tail);

void tail_add(Tail *tail, const char *data, size_t bytes);

/**
 * tail_text() - what is kept, in a string that the caller frees
 *
 * It is UTF-8 without control characters but tab and newline: each byte that does not fit becomes a '?'.
 * Newlines at its end are left off. If there was more than is kept, it begins with "…" and a whole
 * character.
 * Return: NULL if there is no memory.
 */
char *tail_text(const Tail *tail);
