/* SPDX-License-Identifier: MIT */
/*
 * Output: tables for people, JSON for programs, from the same columns
 *
 * A table is described by its columns; each knows how to write the cell of a row. For people a cell is text
 * ("64M", "12s"); for programs it is the bare number (bytes, nanoseconds) or text. Names of JSON keys are
 * stable; columns may be added at the end.
 *
 * Where rows come one after the other and are shown as they come, each is a line, with columns as wide as
 * they say they mostly are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum OutputKind {
    OUTPUT_TEXT,     /* const char * */
    OUTPUT_NUMBER,   /* uint64_t */
    OUTPUT_BYTES,    /* uint64_t */
    OUTPUT_DURATION, /* uint64_t, nanoseconds; for people 0 is "-" */
    OUTPUT_MIXED,    /* uint64_t; for people each cell says what it is */
} OutputKind;

/* One cell's value. */
typedef struct OutputCell {
    const char *text; /* NULL: none; for people "-", for programs null */
    uint64_t number;  /* UINT64_MAX: none, likewise */
    OutputKind kind;  /* where its column is mixed */
} OutputCell;

#define OUTPUT_EXTRA 1u /* people see it only where they ask for it */
#define OUTPUT_TRUNC 2u /* cut where the terminal is too narrow for all */

#define OUTPUT_COLUMNS_MAX 64

typedef struct OutputColumn {
    const char *title; /* for people; NULL: for programs only */
    const char *key;   /* in JSON */
    OutputKind kind;
    OutputCell (*cell)(const void *row);
    unsigned flags;
    int width; /* in lines: at least */
} OutputColumn;

typedef struct OutputTable {
    const char *name; /* the key of its list in JSON */
    const OutputColumn *columns;
    size_t n_columns;
    const void *rows;
    size_t n_rows;
    size_t row_bytes;
    bool noheadings; /* for people */
    const char *wish; /* of columns, as `-o` has it; NULL: people see all but extra ones, programs see all */
} OutputTable;

/* Which columns of a table are written, and in what order. */
typedef struct OutputChoice {
    uint8_t columns[OUTPUT_COLUMNS_MAX];
    size_t n;
} OutputChoice;

/**
 * output_check_wish() - whether a list of columns "NAME,NAME" (in this order) or "+NAME" (added to those that
 * are shown anyway) can be had
 * @ret_fault:  the name that is none; the caller's to free
 *
 * Names are the titles, in any case.
 * Return: 0; -ENOENT with the fault; -E2BIG; -ENOMEM.
 */
int output_check_wish(const OutputTable *table, const char *wish, char **ret_fault);

/*
 * Whether a stream has taken what is written is for its owner to see at its end: see command_end().
 */

/** output_people() - write one table with a heading. Return: 0 or negative errno. */
int output_people(const OutputTable *table, FILE *stream);

/** output_choose() - the columns of all lines, as table->wish has them. Return: as output_check_wish(). */
int output_choose(const OutputTable *table, bool json, OutputChoice *ret);

/** output_headings() / output_line() - a line of names, or of one row, for people. */
void output_headings(const OutputTable *table, const OutputChoice *choice, FILE *stream);
void output_line(const OutputTable *table, const OutputChoice *choice, const void *row, FILE *stream);

/** output_json_line() - one row as an object in a line. */
void output_json_line(const OutputTable *table, const OutputChoice *choice, const void *row, FILE *stream);

/** output_json() - write one object with a list for each table. Return: 0 or negative errno. */
int output_json(const OutputTable *tables, size_t n_tables, FILE *stream);
