/* SPDX-License-Identifier: MIT */
#include "wire/parked.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_LINE "shmipc parked request 1\n"

const char *parked_id(const Parked *parked, char id[static PARKED_ID_BYTES]) {
    return sequence_format(parked->client, parked->slot, parked->generation, id);
}

/*
 * A decimal number up to @max that @end follows; no sign, no blank, no leading zero. Return: what follows
 * @end, or NULL.
 */
static const char *take_number(const char *text, char end, uint64_t max, uint64_t *ret_number) {
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (number > (max - digit) / 10)
            return NULL;
        number = number * 10 + digit;
    }
    if (at == text || *at != end || (*text == '0' && at > text + 1))
        return NULL;
    *ret_number = number;
    return at + 1;
}

static bool take_id(const char *text, Parked *parked) {
    uint64_t client, slot, generation;

    text = take_number(text, '-', UINT64_MAX, &client);
    text = text ? take_number(text, '-', SLOTS_MAX - 1, &slot) : NULL;
    if (!text || !take_number(text, '\0', UINT32_MAX, &generation))
        return false;
    parked->client = client;
    parked->slot = (uint32_t)slot;
    parked->generation = (uint32_t)generation;
    return true;
}

bool parked_id_is_valid(const char *text) {
    Parked parked;

    return take_id(text, &parked);
}

/* --- writing --- */

/* What others chose must neither end a line nor reach a terminal. */
static void copy_printable(char *to, size_t bytes, const char *from) {
    size_t n = 0;

    for (; n + 1 < bytes && from[n]; n++)
        to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
    memset(to + n, 0, bytes - n);
}

typedef struct Writer {
    char *head;
    size_t n;
} Writer;

static void put(Writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(Writer *writer, const char *format, ...) {
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(writer->head + writer->n, PARKED_HEAD_BYTES - writer->n, format, arguments);
    va_end(arguments);
    writer->n += (size_t)n; /* all of it has room: see the assertion below */
}

static void put_text(Writer *writer, const char *key, const char *text) {
    char printable[PARKED_WHY_BYTES];

    copy_printable(printable, sizeof(printable), text);
    put(writer, "%s=%s\n", key, printable);
}

static void put_user(Writer *writer, const uint8_t *user) {
    put(writer, "user=");
    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        put(writer, "%02x", user[i]);
    put(writer, "\n");
}

static void put_worker(Writer *writer, const ParkedWorker *worker) {
    char name[NAME_BYTES];

    copy_printable(name, sizeof(name), worker->name);
    put(writer, "worker=%" PRIu32 " %" PRIu32 " %s %s\n", worker->number, worker->pid,
        worker->killed ? "killed" : "died", name);
}

_Static_assert(SLOT_ATTEMPTS_MAX *(NAME_BYTES + 40u) + 2 * PARKED_WHY_BYTES + 2 * SLOT_USER_BYTES + 512u <
                   PARKED_HEAD_BYTES,
               "a head has room for all that is put into it");

void parked_format(const Parked *parked, char head[static PARKED_HEAD_BYTES]) {
    Writer writer = {.head = head};
    char id[PARKED_ID_BYTES];

    memset(head, 0, PARKED_HEAD_BYTES);
    put(&writer, FIRST_LINE "exchange=%s\n", parked_id(parked, id));
    put(&writer, "time_us=%" PRIu64 "\nuid=%" PRIu32 "\npid=%" PRIu32 "\n", parked->time_us, parked->uid,
        parked->pid);
    put_text(&writer, "program", parked->program);
    put(&writer, "payload_bytes=%" PRIu64 "\nkept_bytes=%" PRIu64 "\n", parked->payload_bytes,
        parked->kept_bytes);
    put(&writer, "reason=%" PRIu32 "\n", parked->reason);
    put_text(&writer, "why", parked->why);
    put_user(&writer, parked->user);
    for (uint32_t i = 0; i < parked->n_workers && i < SLOT_ATTEMPTS_MAX; i++)
        put_worker(&writer, &parked->workers[i]);
}

/* --- reading --- */

static bool take_user(const char *value, uint8_t *user) {
    if (strspn(value, "0123456789abcdef") != 2 * SLOT_USER_BYTES || value[2 * SLOT_USER_BYTES])
        return false;
    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        if (sscanf(value + 2 * i, "%2hhx", &user[i]) != 1)
            return false;
    return true;
}

static bool take_worker(const char *value, Parked *parked) {
    ParkedWorker *worker = &parked->workers[parked->n_workers];
    uint64_t number = 0, pid = 0;

    if (parked->n_workers == SLOT_ATTEMPTS_MAX)
        return false;
    value = take_number(value, ' ', SLOT_OWNER_MAX, &number);
    value = value ? take_number(value, ' ', INT32_MAX, &pid) : NULL;
    if (!value || (strncmp(value, "died ", 5) && strncmp(value, "killed ", 7)))
        return false;
    worker->number = (uint32_t)number;
    worker->pid = (uint32_t)pid;
    worker->killed = *value == 'k';
    copy_printable(worker->name, sizeof(worker->name), strchr(value, ' ') + 1);
    parked->n_workers++;
    return true;
}

static bool take_number32(const char *value, uint64_t max, uint32_t *ret) {
    uint64_t number;

    if (!take_number(value, '\0', max, &number))
        return false;
    *ret = (uint32_t)number;
    return true;
}

enum { HAS_EXCHANGE = 1, HAS_TIME = 2, HAS_UID = 4, HAS_PAYLOAD = 8, HAS_KEPT = 16, HAS_ALL = 31 };

/*
 * One line. What is not known is passed over: a later version may say more. Return: whether it could be
 * understood.
 */
static bool take_line(const char *key, const char *value, Parked *parked, unsigned *has) {
    unsigned bit = !strcmp(key, "exchange")        ? HAS_EXCHANGE
                   : !strcmp(key, "time_us")       ? HAS_TIME
                   : !strcmp(key, "uid")           ? HAS_UID
                   : !strcmp(key, "payload_bytes") ? HAS_PAYLOAD
                   : !strcmp(key, "kept_bytes")    ? HAS_KEPT
                                                   : 0;

    *has |= bit;
    if (bit == HAS_EXCHANGE)
        return take_id(value, parked);
    if (bit == HAS_TIME)
        return take_number(value, '\0', INT64_MAX, &parked->time_us);
    if (bit == HAS_UID)
        return take_number32(value, UINT32_MAX, &parked->uid);
    if (bit == HAS_PAYLOAD)
        return take_number(value, '\0', INT64_MAX, &parked->payload_bytes);
    if (bit == HAS_KEPT)
        return take_number(value, '\0', INT64_MAX, &parked->kept_bytes);
    if (!strcmp(key, "pid"))
        return take_number32(value, INT32_MAX, &parked->pid);
    if (!strcmp(key, "reason"))
        return take_number32(value, UINT32_MAX, &parked->reason);
    if (!strcmp(key, "user"))
        return take_user(value, parked->user);
    if (!strcmp(key, "worker"))
        return take_worker(value, parked);
    if (!strcmp(key, "program"))
        copy_printable(parked->program, sizeof(parked->program), value);
    else if (!strcmp(key, "why"))
        copy_printable(parked->why, sizeof(parked->why), value);
    return true;
}

bool parked_parse(const char head[static PARKED_HEAD_BYTES], Parked *ret_parked) {
    char text[PARKED_HEAD_BYTES + 1], *at = text, *end;
    Parked parked = {0};
    unsigned has = 0;

    memcpy(text, head, PARKED_HEAD_BYTES);
    text[PARKED_HEAD_BYTES] = '\0';
    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return false;
    for (at += strlen(FIRST_LINE); (end = strchr(at, '\n')); at = end + 1) {
        char *value = memchr(at, '=', (size_t)(end - at));

        *end = '\0';
        if (!value)
            return false;
        *value++ = '\0';
        if (!take_line(at, value, &parked, &has))
            return false;
    }
    if (*at || has != HAS_ALL || parked.kept_bytes > parked.payload_bytes)
        return false;
    *ret_parked = parked;
    return true;
}
