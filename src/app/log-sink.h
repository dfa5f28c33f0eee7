/* SPDX-License-Identifier: MIT */
/*
 * Where the log goes: the journal, where standard error leads there, else standard error
 *
 * A line is taken at once or not at all: a journal that is full or stopped, and a pipe that nobody reads,
 * must not stop a host. So the journal is spoken to here and not by libsystemd, which waits. Lines that were
 * not taken are for the caller to count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SINK_JOURNAL "/run/systemd/journal/socket"

/* One field of a journal entry. The value may hold anything. */
typedef struct SinkField {
    const char *name;
    const char *value;
} SinkField;

#define SINK_FIELDS_MAX 24

/**
 * sink_open() - Return: whether entries go to the journal: with sink_put_entry() then, else with
 * sink_put_line().
 */
bool sink_open(void);

/**
 * sink_put_line() - one line with its newline, in one write, so that lines of several processes do not mix.
 * Return: whether it was taken.
 */
bool sink_put_line(const char *line, size_t bytes);

/** sink_put_entry() - no more than SINK_FIELDS_MAX fields. Return: whether it was taken. */
bool sink_put_entry(const char *path, const SinkField *fields, size_t n_fields);
