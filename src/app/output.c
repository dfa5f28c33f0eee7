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

static int set_cell(struct libscols_line *line, size_t index, const OutputColumn *column, const void *row,
                    bool json) {
    OutputCell cell = column->cell(row);
    char text[UNITS_TEXT_MAX];

    if (column->kind == OUTPUT_TEXT)
        return scols_line_set_data(line, index, cell.text);
    if (cell.number == UINT64_MAX)
        return scols_line_set_data(line, index, json ? "null" : "-");
    if (!json && column->kind == OUTPUT_BYTES)
        return scols_line_set_data(line, index, size_format(cell.number, text));
    if (!json && column->kind == OUTPUT_DURATION)
        return scols_line_set_data(line, index, cell.number ? duration_format(cell.number, text) : "-");
    snprintf(text, sizeof(text), "%" PRIu64, cell.number);
    return scols_line_set_data(line, index, text);
}

static int add_column(struct libscols_table *table, const OutputColumn *column, bool json) {
    struct libscols_column *made = scols_table_new_column(table, json ? column->key : column->title, 0,
                                                          column->kind == OUTPUT_TEXT ? 0 : SCOLS_FL_RIGHT);

    if (!made)
        return -ENOMEM;
    return scols_column_set_json_type(made,
                                      column->kind == OUTPUT_TEXT ? SCOLS_JSON_STRING : SCOLS_JSON_NUMBER);
}

static int add_row(struct libscols_table *table, const OutputTable *source, const void *row, bool json) {
    struct libscols_line *line = scols_table_new_line(table, NULL);
    size_t index = 0;
    int r = 0;

    if (!line)
        return -ENOMEM;
    for (size_t i = 0; i < source->n_columns && r == 0; i++)
        if (json || source->columns[i].title)
            r = set_cell(line, index++, &source->columns[i], row, json);
    return r;
}

static int build(struct libscols_table *table, const OutputTable *source, bool json) {
    int r = scols_table_enable_json(table, json);

    if (r == 0)
        r = scols_table_set_name(table, source->name);
    for (size_t i = 0; i < source->n_columns && r == 0; i++)
        if (json || source->columns[i].title)
            r = add_column(table, &source->columns[i], json);
    for (size_t i = 0; i < source->n_rows && r == 0; i++)
        r = add_row(table, source, (const char *)source->rows + i * source->row_bytes, json);
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
