/* SPDX-License-Identifier: MIT */
#include "app/config-faults.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40 /* bytes of a word that is worth a suggestion */

static void fault_deinit(ConfigFault *fault) {
    free(fault->file);
    free(fault->text);
}

void faults_deinit(Faults *faults) {
    for (size_t i = 0; i < faults->n; i++)
        fault_deinit(&faults->list[i]);
    free(faults->list);
    *faults = (Faults){0};
}

/* Takes @text over in any case. */
static int faults_append(Faults *faults, Place place, char *text) {
    _cleanup_free_ char *file = strdup(place.file);
    _cleanup_free_ char *owned = text;
    ConfigFault *list = reallocarray(faults->list, faults->n + 1, sizeof(*list));

    if (list)
        faults->list = list;
    if (!list || !file || !text)
        return error_origin(-ENOMEM);
    faults->list[faults->n++] = (ConfigFault){.file = TAKE(file), .line = place.line, .text = TAKE(owned)};
    return 0;
}

int faults_add(Faults *faults, Place place, const char *format, ...) {
    va_list arguments;
    char *text;

    if (faults->n > FAULTS_MAX)
        return 0;
    if (faults->n == FAULTS_MAX)
        return faults_append(faults, place, strdup("and more: only the first hundred faults are shown"));

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return faults_append(faults, place, text);
}

bool faults_scanned_at(const Faults *faults, Place place) {
    for (size_t i = 0; i < faults->n_scanned; i++)
        if (faults->list[i].line == place.line && strcmp(faults->list[i].file, place.file) == 0)
            return true;
    return false;
}

const char *text_quoted(const char *text, char buffer[static QUOTED_TEXT_MAX]) {
    static const char rest[] = "...\"";
    size_t n = 0;

    buffer[n++] = '"';
    for (; *text && n < QUOTED_TEXT_MAX - sizeof(rest); text++) {
        unsigned char c = (unsigned char)*text;

        /* Not isprint(): UTF-8 stays readable. */
        buffer[n++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    if (*text) {
        /* Never cut a character in two. */
        while (n > 1 && ((unsigned char)*text & 0xc0) == 0x80)
            text--, n--;
        memcpy(buffer + n, rest, sizeof(rest));
    } else
        memcpy(buffer + n, "\"", 2);
    return buffer;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/*
 * The number of letters that were forgotten, added or taken for another, or pairs swapped. Three rows of the
 * usual table are enough: the one before the last is for the swaps.
 */
static size_t edit_distance(const char *a, const char *b) {
    size_t rows[3][WORD_MAX + 1] = {0}, n_a = strlen(a), n_b = strlen(b);

    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

/* "warn" is short for "warning", and "error" long for "err". */
static bool is_short_for(const char *a, const char *b) {
    size_t bytes = least(strlen(a), strlen(b));

    return bytes >= 3 && memcmp(a, b, bytes) == 0;
}

void suggestion_consider(Suggestion *suggestion, const char *candidate) {
    size_t bytes = strlen(suggestion->word), distance;

    if (bytes > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    /* A third of the letters may be wrong: more is another word. */
    distance = is_short_for(suggestion->word, candidate) ? 1 : edit_distance(suggestion->word, candidate);
    if (distance > (bytes < 3 ? 1 : (bytes + 1) / 3))
        return;
    if (!suggestion->nearest || distance < suggestion->distance) {
        suggestion->nearest = candidate;
        suggestion->distance = distance;
    }
}

const char *suggestion_text(const Suggestion *suggestion, char buffer[static SUGGESTION_TEXT_MAX]) {
    if (suggestion->nearest)
        snprintf(buffer, SUGGESTION_TEXT_MAX, " (did you mean \"%s\"?)", suggestion->nearest);
    else
        buffer[0] = '\0';
    return buffer;
}
