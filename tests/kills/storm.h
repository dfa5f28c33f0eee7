/* SPDX-License-Identifier: MIT */
/* The journal of the kill storm, as storm.py reads it. */
#pragma once

#include <stdint.h>

typedef enum NoteKind {
    NOTE_CLIENT_BEGINS, /* number: the first that it will use */
    NOTE_SENT,          /* result: 1 if it is to be cancelled */
    NOTE_RUN,           /* a handler begins; result: the attempt, 0 if it does not know */
    NOTE_ENDED,         /* result: as shmipc_result() says, or RESULT_WRONG_BYTES */
    NOTE_CLIENT_ENDS,   /* by its own will */
} NoteKind;

#define RESULT_WRONG_BYTES 1

/* Written by one write(), so that there is all of it or nothing. */
typedef struct Note {
    uint64_t number;
    uint32_t kind;
    int32_t result;
} Note;
