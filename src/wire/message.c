/* SPDX-License-Identifier: MIT */
#include "wire/message.h"

#include <inttypes.h>
#include <stdio.h>

const char *sequence_format(uint64_t client, uint32_t slot, uint32_t generation,
                            char text[static SEQUENCE_TEXT_MAX]) {
    snprintf(text, SEQUENCE_TEXT_MAX, "%" PRIu64 "-%" PRIu32 "-%" PRIu32, client, slot, generation);
    return text;
}
