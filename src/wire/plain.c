/* SPDX-License-Identifier: MIT */
#include "wire/plain.h"

#include <stdbool.h>
#include <string.h>

static const char failure[] = {'0', '0'};

size_t plain_count_format(uint64_t count, char message[static PLAIN_COUNT_BYTES]) {
    char digits[PLAIN_COUNT_BYTES];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    memcpy(message, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

size_t plain_failure_format(char message[static PLAIN_COUNT_BYTES]) {
    memcpy(message, failure, sizeof(failure));
    return sizeof(failure);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Return: how many bytes of @message are left once its end has been cut: NULs, then one newline. */
static size_t without_end(const char *message, size_t bytes) {
    while (bytes > 0 && message[bytes - 1] == '\0')
        bytes--;
    return bytes > 0 && message[bytes - 1] == '\n' ? bytes - 1 : bytes;
}

/* The number that @digits are. Return: whether it is at most @max. */
static bool number_of(const char *digits, size_t n, uint64_t max, uint64_t *ret_number) {
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');

        if (number > max / 10 || digit > max - number * 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

int plain_count_parse(const char *message, size_t bytes, uint64_t max, uint64_t *ret_count) {
    if (bytes > PLAIN_MESSAGE_BYTES)
        return PLAIN_FAULT_RUBBISH;
    bytes = without_end(message, bytes);
    if (bytes == 0)
        return PLAIN_FAULT_EMPTY;
    for (size_t i = 0; i < bytes; i++)
        if (!is_digit(message[i]))
            return PLAIN_FAULT_RUBBISH;
    if (bytes == sizeof(failure) && memcmp(message, failure, bytes) == 0)
        return PLAIN_FAULT_FAILED;
    return number_of(message, bytes, max, ret_count) ? 0 : PLAIN_FAULT_TOO_LARGE;
}

const char *plain_fault_text(PlainFault fault) {
    switch (fault) {
    case PLAIN_FAULT_FAILED:
        return "says that it failed";
    case PLAIN_FAULT_EMPTY:
        return "sent an empty message";
    case PLAIN_FAULT_RUBBISH:
        return "sent a message that is no byte count";
    case PLAIN_FAULT_TOO_LARGE:
        return "sent a byte count that is too large";
    }
    return "sent a message that is not understood";
}
