/* SPDX-License-Identifier: MIT */
/*
 * The head of a parked request: anything that may lie in the folder, and any exchange that may be put there
 *
 * The first byte of an input says what the rest is. What has been read is written so that it reads the same
 * again; what cannot be read leaves the output alone.
 */
#include "fuzz.h"

#include "wire/parked.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEAD_OF_ID "shmipc parked request 1\nexchange=%s\ntime_us=1\nuid=1\npayload_bytes=1\nkept_bytes=0\n"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    return 0;
}

static void check_printable(const char *text, size_t room) {
    MUST(memchr(text, '\0', room));
    for (; *text; text++)
        MUST(isascii(*text) && isprint(*text));
}

static void check_sane(const Parked *parked) {
    MUST(parked->slot < SLOTS_MAX && parked->n_workers <= SLOT_ATTEMPTS_MAX);
    MUST(parked->time_us <= INT64_MAX && parked->pid <= INT32_MAX);
    MUST(parked->payload_bytes <= INT64_MAX && parked->kept_bytes <= parked->payload_bytes);
    check_printable(parked->program, sizeof(parked->program));
    check_printable(parked->why, sizeof(parked->why));
    for (uint32_t i = 0; i < parked->n_workers; i++) {
        MUST(parked->workers[i].number <= SLOT_OWNER_MAX && parked->workers[i].pid <= INT32_MAX);
        check_printable(parked->workers[i].name, sizeof(parked->workers[i].name));
    }
}

/* What is no text. */
static void check_same_numbers(const Parked *one, const Parked *other) {
    MUST(one->client == other->client && one->slot == other->slot && one->generation == other->generation);
    MUST(one->time_us == other->time_us && one->uid == other->uid && one->pid == other->pid);
    MUST(one->payload_bytes == other->payload_bytes && one->kept_bytes == other->kept_bytes);
    MUST(one->reason == other->reason && memcmp(one->user, other->user, sizeof(one->user)) == 0);
    MUST(one->n_workers == other->n_workers);
    for (uint32_t i = 0; i < one->n_workers; i++) {
        MUST(one->workers[i].number == other->workers[i].number);
        MUST(one->workers[i].pid == other->workers[i].pid);
        MUST(one->workers[i].killed == other->workers[i].killed);
    }
}

static void check_same_texts(const Parked *one, const Parked *other) {
    MUST(strcmp(one->program, other->program) == 0 && strcmp(one->why, other->why) == 0);
    for (uint32_t i = 0; i < one->n_workers; i++)
        MUST(strcmp(one->workers[i].name, other->workers[i].name) == 0);
}

/* What comes before the first NUL, and there is something. */
static bool ends_with_a_line(const char *head) {
    size_t n = strnlen(head, PARKED_HEAD_BYTES);

    return n > 0 && head[n - 1] == '\n';
}

static void check_head(const char *head) {
    char again[PARKED_HEAD_BYTES], id[PARKED_ID_BYTES];
    Parked parked, untouched, second;

    memset(&parked, 0xa5, sizeof(parked));
    untouched = parked;
    if (!parked_parse(head, &parked)) {
        MUST(memcmp(&parked, &untouched, sizeof(parked)) == 0);
        return;
    }
    MUST(ends_with_a_line(head));
    check_sane(&parked);
    MUST(parked_id_is_valid(parked_id(&parked, id)));
    parked_format(&parked, again);
    MUST(parked_parse(again, &second));
    check_same_numbers(&parked, &second);
    check_same_texts(&parked, &second);
}

/* No byte of it need be a NUL. */
static void fill_head(Input *input, char *head) {
    size_t n = input->bytes < PARKED_HEAD_BYTES ? input->bytes : PARKED_HEAD_BYTES;

    input_bytes(input, head, PARKED_HEAD_BYTES);
    for (size_t i = n; n > 0 && i < PARKED_HEAD_BYTES; i++)
        head[i] = head[i - n];
}

/* An id is valid just where a head may have it, and there is one text for each. */
static void check_id(Input *input) {
    char text[PARKED_ID_BYTES + 16] = "", head[PARKED_HEAD_BYTES] = "", again[PARKED_ID_BYTES];
    Parked parked;

    input_bytes(input, text, sizeof(text) - 1);
    text[strcspn(text, "\n")] = '\0';
    snprintf(head, sizeof(head), HEAD_OF_ID, text);
    MUST(parked_parse(head, &parked) == parked_id_is_valid(text));
    if (parked_id_is_valid(text))
        MUST(strcmp(parked_id(&parked, again), text) == 0);
}

/* As a host fills it in: the numbers are its own, the texts may be anybody's. */
static void check_written(Input *input) {
    Parked parked = {.client = input_number(input), .slot = input_u16(input) % SLOTS_MAX}, got;
    char head[PARKED_HEAD_BYTES];

    parked.generation = input_u32(input);
    parked.time_us = input_number(input) & INT64_MAX;
    parked.uid = (uint32_t)input_number(input);
    parked.pid = (uint32_t)(input_number(input) & INT32_MAX);
    parked.payload_bytes = input_number(input) & INT64_MAX;
    parked.kept_bytes = input_number(input) % (parked.payload_bytes + 1);
    parked.reason = input_u32(input);
    parked.n_workers = input_u8(input) % (SLOT_ATTEMPTS_MAX + 1);
    input_bytes(input, parked.user, sizeof(parked.user));
    input_bytes(input, parked.program, sizeof(parked.program) - 1);
    input_bytes(input, parked.why, sizeof(parked.why) - 1);
    for (uint32_t i = 0; i < parked.n_workers; i++) {
        ParkedWorker *worker = &parked.workers[i];

        worker->number = (uint32_t)(input_number(input) % (SLOT_OWNER_MAX + 1));
        worker->pid = (uint32_t)(input_number(input) & INT32_MAX);
        worker->killed = input_u8(input) & 1;
        input_bytes(input, worker->name, sizeof(worker->name) - 1);
    }
    parked_format(&parked, head);
    MUST(head[PARKED_HEAD_BYTES - 1] == '\0' && parked_parse(head, &got));
    check_same_numbers(&parked, &got);
    MUST(strlen(got.program) == strlen(parked.program) && strlen(got.why) == strlen(parked.why));
    check_head(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Input input = {data, bytes};
    char head[PARKED_HEAD_BYTES];

    switch (input_u8(&input) % 4) {
    case 0:
        input_bytes(&input, head, sizeof(head));
        check_head(head);
        break;
    case 1:
        fill_head(&input, head);
        check_head(head);
        break;
    case 2:
        check_id(&input);
        break;
    default:
        check_written(&input);
    }
    return 0;
}
