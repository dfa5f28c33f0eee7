/* SPDX-License-Identifier: MIT */
/*
 * Faults of a configuration, and the words they are put in
 *
 * What a file contains is shown shortened and without control characters: a fault is one line on a terminal.
 */
#pragma once

#include "app/config.h"

#include <stdbool.h>
#include <stddef.h>

#define FAULTS_MAX 100 /* more help nobody */

#define QUOTED_TEXT_MAX     96
#define SUGGESTION_TEXT_MAX 128

typedef struct Faults {
    ConfigFault *list;
    size_t n;
    size_t n_scanned; /* of these, found before the library parsed the file (config-scan.h) */
} Faults;

void faults_deinit(Faults *faults);

/* Where in which file. */
typedef struct Place {
    const char *file;
    unsigned line; /* 0: the file as a whole */
} Place;

/**
 * faults_add() - note a fault; printf
 *
 * After FAULTS_MAX one more says that there are more, and the rest are dropped.
 * Return: 0 or -ENOMEM.
 */
int faults_add(Faults *faults, Place place, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** faults_scanned_at() - whether one of the first `n_scanned` faults is there. */
bool faults_scanned_at(const Faults *faults, Place place);

/** text_quoted() - @text in double quotes, for a fault. Return: @buffer. */
const char *text_quoted(const char *text, char buffer[static QUOTED_TEXT_MAX]);

/* The one of several words that was most likely meant: suggestion_consider() each, then suggestion_text(). */
typedef struct Suggestion {
    const char *word;    /* as written */
    const char *nearest; /* NULL: none is near */
    size_t distance;
} Suggestion;

void suggestion_consider(Suggestion *suggestion, const char *candidate);

/** suggestion_text() - " (did you mean \"slots\"?)", or "" when nothing is near. Return: @buffer. */
const char *suggestion_text(const Suggestion *suggestion, char buffer[static SUGGESTION_TEXT_MAX]);
