/* SPDX-License-Identifier: MIT */
/*
 * The plain wire's message: a byte count (docs/protocol.md, section 7)
 *
 * What is written is decimal digits and nothing else. What is read may be followed by one newline and then by
 * NULs up to the end of the message, since a peer in C easily sends its terminator, or its whole buffer,
 * along. Leading zeros are taken; signs, blanks, anything after a NUL, and more than 64 bits are not.
 *
 * The wire has no word for a failure. Ours is the count "00": a zero for peers that only want a number, and
 * for those that look it is not the "0" of an empty answer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PLAIN_DEPTH         1   /* messages in each queue, as peers make them */
#define PLAIN_MESSAGE_BYTES 512 /* of each message at most */
#define PLAIN_COUNT_BYTES   20  /* the longest count that is written: digits of 2^64 - 1 */

/* Why a message is no byte count. */
typedef enum PlainFault {
    PLAIN_FAULT_FAILED = 1, /* "00": the peer says that its exchange failed */
    PLAIN_FAULT_EMPTY,      /* no digit */
    PLAIN_FAULT_RUBBISH,    /* something that does not belong there, or too long */
    PLAIN_FAULT_TOO_LARGE,  /* a number, but over the maximum or over 64 bits */
} PlainFault;

/** plain_count_format() - Return: bytes written to @message, without a terminator; 1 to PLAIN_COUNT_BYTES. */
size_t plain_count_format(uint64_t count, char message[static PLAIN_COUNT_BYTES]);

/** plain_failure_format() - the count that says that an exchange failed. Return: as plain_count_format(). */
size_t plain_failure_format(char message[static PLAIN_COUNT_BYTES]);

/** plain_count_parse() - Return: 0, or a PlainFault. */
int plain_count_parse(const char *message, size_t bytes, uint64_t max, uint64_t *ret_count);

/** plain_fault_text() - for a person: "sent an empty message". */
const char *plain_fault_text(PlainFault fault);
