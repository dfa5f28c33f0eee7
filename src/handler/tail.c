/* SPDX-License-Identifier: MIT */
#include "handler/tail.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

#define ELLIPSIS "…"
#define UTF8_MAX 4 /* bytes of a character */

int tail_init(Tail *tail, size_t room) {
    char *ring = room ? malloc(room) : NULL;

    if (room && !ring)
        return error_origin(-ENOMEM);
    *tail = (Tail){.ring = ring, .room = room};
    return 0;
}

void tail_deinit(Tail *tail) {
    free(tail->ring);
    *tail = (Tail)TAIL_NULL;
}

void tail_clear(Tail *tail) {
    tail->n_seen = 0;
}

void tail_add(Tail *tail, const char *data, size_t bytes) {
    while (bytes > 0 && tail->room > 0) {
        size_t at = tail->n_seen % tail->room;
        size_t part = bytes < tail->room - at ? bytes : tail->room - at;

        memcpy(tail->ring + at, data, part);
        tail->n_seen += part;
        data += part;
        bytes -= part;
    }
}

static bool continues(char byte) {
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Return: bytes of the UTF-8 character at @text; 0 if it is none, or one that a terminal would obey. */
static size_t character_bytes(const char *text, size_t bytes) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    uint32_t code = length > 1 ? first & (0x7fu >> length) : first;

    if (length == 0 || length > bytes || first >= 0xf8)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (!continues(text[i]))
            return 0;
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    /* C0 and C1 controls and DEL */
    return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code < 0xa0) ? 0 : length;
}

static void text_clean(char *text, size_t bytes) {
    for (size_t at = 0, length; at < bytes; at += length) {
        length = character_bytes(text + at, bytes - at);
        if (length == 0) {
            text[at] = '?';
            length = 1;
        }
    }
}

/* The ring's bytes, oldest first. Return: how many. */
static size_t ring_copy(const Tail *tail, char *to) {
    size_t bytes = tail->n_seen < tail->room ? (size_t)tail->n_seen : tail->room;
    size_t oldest;

    if (bytes > 0) {
        oldest = tail->n_seen > tail->room ? tail->n_seen % tail->room : 0;
        memcpy(to, tail->ring + oldest, bytes - oldest);
        memcpy(to + bytes - oldest, tail->ring, oldest);
    }
    return bytes;
}

char *tail_text(const Tail *tail) {
    const bool cut = tail->n_seen > tail->room;
    char *text = malloc(strlen(ELLIPSIS) + tail->room + 1);
    char *kept = text;
    size_t bytes, skipped = 0;

    if (!text)
        return NULL;
    if (cut)
        kept = stpcpy(text, ELLIPSIS);
    bytes = ring_copy(tail, kept);
    while (cut && skipped < bytes && skipped < UTF8_MAX - 1 && continues(kept[skipped]))
        skipped++;
    bytes -= skipped;
    memmove(kept, kept + skipped, bytes);
    while (bytes > 0 && kept[bytes - 1] == '\n')
        bytes--;
    text_clean(kept, bytes);
    kept[bytes] = '\0';
    return text;
}
