/* SPDX-License-Identifier: MIT */
/*
 * Messages on request and reply queues (docs/protocol.md, section 5)
 *
 * A message only says "look at this slot". Nothing in it is believed: the pages are the truth.
 */
#pragma once

#include <stdint.h>

typedef struct Message {
    uint64_t client;
    uint32_t slot;
    uint32_t generation;
    uint64_t payload_bytes;
    uint64_t segment_bytes;
} Message;

_Static_assert(sizeof(Message) == 32, "docs/protocol.md says 32 bytes");

/*
 * How many messages a reply queue holds: one is enough to wake its reader, the second keeps a late look from
 * missing one.
 */
#define REPLY_QUEUE_DEPTH 2

#define SEQUENCE_TEXT_MAX 43u /* with the NUL */

/** sequence_format() - what everybody calls an exchange: SHMIPC_SEQUENCE in the journal. Return: @text. */
const char *sequence_format(uint64_t client, uint32_t slot, uint32_t generation,
                            char text[static SEQUENCE_TEXT_MAX]);
