/* SPDX-License-Identifier: MIT */
/* The plain wire: a byte count as anybody may send it, and a segment that others resize between two looks. */
#include "fuzz.h"

#include "os/segment.h"
#include "wire/plain.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int object;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    object = memfd_create("fuzz", MFD_CLOEXEC);
    return 0;
}

static bool is_plain_number(const char *message, size_t bytes) {
    size_t n = 0;

    while (n < bytes && message[n] >= '0' && message[n] <= '9')
        n++;
    if (n == 0 || bytes > PLAIN_MESSAGE_BYTES)
        return false;
    if (n < bytes && message[n] == '\n')
        n++;
    while (n < bytes && message[n] == '\0')
        n++;
    return n == bytes;
}

static void check_count(const char *message, size_t bytes, uint64_t max) {
    uint64_t count = 42, again = 0;
    char text[PLAIN_COUNT_BYTES];
    int r = plain_count_parse(message, bytes, max, &count);

    if (r != 0) {
        MUST(count == 42);
        MUST(*plain_fault_text((PlainFault)r));
        MUST(r == PLAIN_FAULT_FAILED || r == PLAIN_FAULT_TOO_LARGE || !is_plain_number(message, bytes));
        return;
    }
    MUST(is_plain_number(message, bytes) && count <= max);
    r = plain_count_parse(text, plain_count_format(count, text), max, &again);
    MUST(r == 0 && again == count);
}

/* Reading and writing a window whose object has any size: an error, or all bytes; nothing beyond the window.
 */
static void check_window(Input *input) {
    uint64_t capacity = (uint64_t)(input_u8(input) % 4) * PAGE_BYTES, at = input_number(input);
    size_t bytes = input_u16(input) % 9000;
    char *data = calloc(1, bytes + 1);
    Segment segment;

    segment_init(&segment, object, true, (uint64_t)(input_u8(input) % 3) * PAGE_BYTES, capacity);
    MUST(ftruncate(object, input_u16(input)) == 0);
    if (segment_read(&segment, at, data, bytes) == 0)
        MUST(at <= capacity && bytes <= capacity - at);
    memset(data, 'x', bytes);
    if (segment_write(&segment, at, data, bytes) == 0) {
        MUST(at <= capacity && bytes <= capacity - at);
        memset(data, 0, bytes);
        MUST(segment_read(&segment, at, data, bytes) == 0);
        MUST(bytes == 0 || (data[0] == 'x' && data[bytes - 1] == 'x'));
    }
    segment_published(&segment, input_number(input));
    if (segment_remap(&segment) == 0)
        MUST(segment.map_bytes == segment.bytes && segment.bytes <= capacity);
    segment_disconnect(&segment);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Input input = {data, bytes};
    uint8_t how = input_u8(&input);
    uint64_t max = how & 1 ? UINT64_MAX : input_number(&input);

    if (how & 2)
        check_window(&input);
    check_count((const char *)input.data, input.bytes, max);
    return 0;
}
