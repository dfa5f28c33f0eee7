/* SPDX-License-Identifier: MIT */
#include "base/table.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The index of @id, or where it would stand. */
static size_t position(const Table *table, uint64_t id) {
    size_t low = 0, high = table->n;

    /* The newest is asked for most. */
    if (table->n > 0 && table->entries[table->n - 1].id < id)
        return table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void *table_find(const Table *table, uint64_t id) {
    size_t i = position(table, id);

    return i < table->n && table->entries[i].id == id ? table->entries[i].value : NULL;
}

static int make_room(Table *table) {
    size_t n_room = table->n_room ? 2 * table->n_room : 8;
    TableEntry *entries;

    if (table->n < table->n_room)
        return 0;
    entries = reallocarray(table->entries, n_room, sizeof(*entries));
    if (!entries)
        return error_origin(-ENOMEM);
    table->entries = entries;
    table->n_room = n_room;
    return 0;
}

int table_insert(Table *table, uint64_t id, void *value) {
    size_t i = position(table, id);
    int r;

    if (i < table->n && table->entries[i].id == id)
        return error_origin(-EEXIST);
    r = make_room(table);
    if (r < 0)
        return r;
    memmove(table->entries + i + 1, table->entries + i, (table->n - i) * sizeof(*table->entries));
    table->entries[i] = (TableEntry){.id = id, .value = value};
    table->n++;
    return 0;
}

void *table_remove(Table *table, uint64_t id) {
    size_t i = position(table, id);
    void *value;

    if (i == table->n || table->entries[i].id != id)
        return NULL;
    value = table->entries[i].value;
    table->n--;
    memmove(table->entries + i, table->entries + i + 1, (table->n - i) * sizeof(*table->entries));
    return value;
}

void *table_at(const Table *table, size_t index) {
    return table->entries[index].value;
}

size_t table_after(const Table *table, uint64_t id) {
    size_t i = position(table, id);

    return i < table->n && table->entries[i].id == id ? i + 1 : i;
}

void table_deinit(Table *table) {
    free(table->entries);
    *table = (Table){0};
}
