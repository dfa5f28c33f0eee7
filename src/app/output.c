/* SPDX-License-Identifier: MIT */
#include "app/output.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

static void table_unrefp(struct libscols_table **table) {
    scols_unref_table(*table);
}

static int choose(OutputChoice *choice, size_t column) {
    if (choice->n == OUTPUT_COLUMNS_MAX)
        return error_origin(-E2BIG);
    choice->columns[choice->n++] = (uint8_t)column;
    return 0;
}

static int choose_shown(OutputChoice *choice, const OutputTable *table, bool json) {
    int r = 0;

    for (size_t i = 0; i < table->n_columns && r == 0; i++)
        if (json || (table->columns[i].title && !(table->columns[i].flags & OUTPUT_EXTRA)))
            r = choose(choice, i);
    return r;
}

/* Return: its index, or n_columns if there is none such. */
static size_t find_column(const OutputTable *table, const char *name, size_t length) {
    size_t i;

    for (i = 0; i < table->n_columns; i++) {
        const char *title = table->columns[i].title;

        if (title && strlen(title) == length && strncasecmp(title, name, length) == 0)
            break;
    }
    return i;
}

/* Return: 0; -ENOENT with @ret_fault; or another negative errno. */
static int choose_wished(OutputChoice *choice, const OutputTable *table, const char *wish, char **ret_fault) {
    for (const char *name = wish, *end;; name = end + 1) {
        size_t length, column;
        int r;

        end = strchrnul(name, ',');
        length = (size_t)(end - name);
        column = find_column(table, name, length);
        if (column == table->n_columns) {
            *ret_fault = strndup(name, length);
            return error_origin(*ret_fault ? -ENOENT : -ENOMEM);
        }
        r = choose(choice, column);
        if (r < 0 || !*end)
            return r;
    }
}

static int choose_all(OutputChoice *choice, const OutputTable *table, bool json, const char *wish,
                      char **ret_fault) {
    int r = 0;

    if (!wish || *wish == '+')
        r = choose_shown(choice, table, json);
    if (!wish || r < 0)
        return r;
    return choose_wished(choice, table, *wish == '+' ? wish + 1 : wish, ret_fault);
}

int output_check_wish(const OutputTable *table, const char *wish, char **ret_fault) {
    OutputChoice choice = {0};

    return choose_all(&choice, table, false, wish, ret_fault);
}

static OutputKind kind_of(const OutputColumn *column, OutputCell cell) {
    return column->kind == OUTPUT_MIXED ? cell.kind : column->kind;
}

/* Return: what is written; NULL for a text that programs get as null. */
static const char *cell_text(const OutputColumn *column, const void *row, bool json,
                             char buffer[static UNITS_TEXT_MAX]) {
    OutputCell cell = column->cell(row);
    OutputKind kind = kind_of(column, cell);

    if (column->kind == OUTPUT_TEXT)
        return cell.text ? cell.text : json ? NULL : "-";
    if (cell.number == UINT64_MAX)
        return json ? "null" : "-";
    if (!json && kind == OUTPUT_BYTES)
        return size_format(cell.number, buffer);
    if (!json && kind == OUTPUT_DURATION)
        return cell.number ? duration_brief(cell.number, buffer) : "-";
    snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64, cell.number);
    return buffer;
}

static int set_cell(struct libscols_line *line, size_t index, const OutputColumn *column, const void *row,
                    bool json) {
    char text[UNITS_TEXT_MAX];

    return scols_line_set_data(line, index, cell_text(column, row, json, text));
}

static int add_column(struct libscols_table *table, const OutputColumn *column, bool json) {
    int flags = (column->kind == OUTPUT_TEXT ? 0 : SCOLS_FL_RIGHT) |
                (column->flags & OUTPUT_TRUNC ? SCOLS_FL_TRUNC : 0);
    struct libscols_column *made =
        scols_table_new_column(table, json ? column->key : column->title, 0, flags);

    if (!made)
        return -ENOMEM;
    return scols_column_set_json_type(made,
                                      column->kind == OUTPUT_TEXT ? SCOLS_JSON_STRING : SCOLS_JSON_NUMBER);
}

static int add_row(struct libscols_table *table, const OutputTable *source, const OutputChoice *choice,
                   const void *row, bool json) {
    struct libscols_line *line = scols_table_new_line(table, NULL);
    int r = 0;

    if (!line)
        return -ENOMEM;
    for (size_t i = 0; i < choice->n && r == 0; i++)
        r = set_cell(line, i, &source->columns[choice->columns[i]], row, json);
    return r;
}

static int build(struct libscols_table *table, const OutputTable *source, bool json) {
    _cleanup_free_ char *fault = NULL;
    OutputChoice choice = {0};
    int r = choose_all(&choice, source, json, source->wish, &fault);

    if (r == 0)
        r = scols_table_enable_json(table, json);
    if (r == 0)
        r = scols_table_set_name(table, source->name);
    for (size_t i = 0; i < choice.n && r == 0; i++)
        r = add_column(table, &source->columns[choice.columns[i]], json);
    for (size_t i = 0; i < source->n_rows && r == 0; i++)
        r = add_row(table, source, &choice, (const char *)source->rows + i * source->row_bytes, json);
    return r < 0 ? error_origin(r) : 0;
}

int output_people(const OutputTable *source, FILE *stream) {
    _cleanup_(table_unrefp) struct libscols_table *table = scols_new_table();
    int r = table ? build(table, source, false) : error_origin(-ENOMEM);

    if (r < 0)
        return r;
    scols_table_set_stream(table, stream);
    scols_table_enable_noheadings(table, source->noheadings);
    return scols_print_table(table);
}

/* What libsmartcols writes for one table is an object; its inside is what goes into ours. */
static int write_inside(const OutputTable *source, bool last, FILE *stream) {
    _cleanup_(table_unrefp) struct libscols_table *table = scols_new_table();
    _cleanup_free_ char *text = NULL;
    const char *begin, *end;
    int r = table ? build(table, source, true) : error_origin(-ENOMEM);

    if (r < 0)
        return r;
    if (source->n_rows == 0) {
        fprintf(stream, "   \"%s\": []%s\n", source->name, last ? "" : ",");
        return 0;
    }
    r = scols_print_table_to_string(table, &text);
    if (r < 0)
        return error_origin(r);
    begin = strchr(text, '{');
    end = strrchr(text, '}');
    if (!begin || !end || end <= begin)
        return error_origin(-EIO);
    for (begin++; *begin == '\n'; begin++)
        ;
    while (end > begin && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    fprintf(stream, "%.*s%s\n", (int)(end - begin), begin, last ? "" : ",");
    return 0;
}

int output_json(const OutputTable *tables, size_t n_tables, FILE *stream) {
    int r = 0;

    fputs("{\n", stream);
    for (size_t i = 0; i < n_tables && r == 0; i++)
        r = write_inside(&tables[i], i + 1 == n_tables, stream);
    fputs("}\n", stream);
    return r;
}

/* --- lines --- */

/* Numbers are flush right; nothing follows the last column. */
static void put_cell(const OutputColumn *column, const char *text, bool last, FILE *stream) {
    if (column->kind != OUTPUT_TEXT)
        fprintf(stream, "%*s", column->width, text);
    else if (last)
        fputs(text, stream);
    else
        fprintf(stream, "%-*s", column->width, text);
    fputc(last ? '\n' : ' ', stream);
}

/* @row: NULL for the headings. */
static void put_line(const OutputTable *table, const OutputChoice *choice, const void *row, FILE *stream) {
    for (size_t i = 0; i < choice->n; i++) {
        const OutputColumn *column = &table->columns[choice->columns[i]];
        char buffer[UNITS_TEXT_MAX];
        const char *text = row ? cell_text(column, row, false, buffer) : column->title;

        put_cell(column, text, i + 1 == choice->n, stream);
    }
}

int output_choose(const OutputTable *table, bool json, OutputChoice *ret) {
    _cleanup_free_ char *fault = NULL;
    OutputChoice choice = {0};
    int r = choose_all(&choice, table, json, table->wish, &fault);

    if (r == 0)
        *ret = choice;
    return r;
}

void output_headings(const OutputTable *table, const OutputChoice *choice, FILE *stream) {
    put_line(table, choice, NULL, stream);
}

void output_line(const OutputTable *table, const OutputChoice *choice, const void *row, FILE *stream) {
    put_line(table, choice, row, stream);
}

static void put_json_text(const char *text, FILE *stream) {
    fputc('"', stream);
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            fprintf(stream, "\\u%04x", (unsigned)*text);
        else
            fprintf(stream, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('"', stream);
}

void output_json_line(const OutputTable *table, const OutputChoice *choice, const void *row, FILE *stream) {
    for (size_t i = 0; i < choice->n; i++) {
        const OutputColumn *column = &table->columns[choice->columns[i]];
        char buffer[UNITS_TEXT_MAX];
        const char *text = cell_text(column, row, true, buffer);

        fprintf(stream, "%s\"%s\": ", i ? ", " : "{", column->key);
        if (text && column->kind == OUTPUT_TEXT)
            put_json_text(text, stream);
        else
            fputs(text ? text : "null", stream);
    }
    fputs("}\n", stream);
}
