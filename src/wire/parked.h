/* SPDX-License-Identifier: MIT */
/*
 * Parked requests: the head of a file that holds one (docs/parked.md)
 *
 * A file is a head of 4096 bytes and then the payload. The head is text: a first line that says what it is,
 * then lines of "key=value", then NULs. It is read back as what anybody may have written: every number and
 * text is checked, keys that are not known are passed over.
 */
#pragma once

#include "wire/hello.h"
#include "wire/message.h"
#include "wire/slots.h"

#include <stdbool.h>
#include <stdint.h>

#define PARKED_HEAD_BYTES 4096u
#define PARKED_ID_BYTES   48u /* with the NUL */
#define PARKED_WHY_BYTES  128u

/* A worker that had it. */
typedef struct ParkedWorker {
    uint32_t number;
    uint32_t pid;
    bool killed; /* by the host */
    char name[NAME_BYTES];
} ParkedWorker;

typedef struct Parked {
    /* which exchange: its id */
    uint64_t client;
    uint32_t slot;
    uint32_t generation;

    uint64_t time_us;       /* CLOCK_REALTIME, when it was given up */
    uint32_t uid;           /* of the client */
    uint32_t pid;
    char program[NAME_BYTES];
    uint64_t payload_bytes; /* as submitted */
    uint64_t kept_bytes;    /* of them: fewer if the client took its memory away */
    uint32_t reason;        /* enum Reason */
    char why[PARKED_WHY_BYTES];
    uint8_t user[SLOT_USER_BYTES]; /* of the caller's own, that came with the request */
    uint32_t n_workers;
    ParkedWorker workers[SLOT_ATTEMPTS_MAX]; /* the first one first */
} Parked;

/** parked_id() - CLIENT-SLOT-GENERATION, as in the journal. Return: @id. */
const char *parked_id(const Parked *parked, char id[static PARKED_ID_BYTES]);

/** parked_id_is_valid() - whether a text is an id, as parked_id() writes it. */
bool parked_id_is_valid(const char *text);

/** parked_format() - write a head. */
void parked_format(const Parked *parked, char head[static PARKED_HEAD_BYTES]);

/** parked_parse() - Return: whether it is a head; its texts are printable. */
bool parked_parse(const char head[static PARKED_HEAD_BYTES], Parked *ret_parked);
