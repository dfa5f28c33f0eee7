/* SPDX-License-Identifier: MIT */
/*
 * Tables: pointers by number, kept in ascending order
 *
 * A sorted array: found by bisection, walked by index. Numbers given out here mostly grow, so that most
 * insertions append. The table does not own what it points to. Whoever removes while walking walks from the
 * end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct TableEntry {
    uint64_t id;
    void *value;
} TableEntry;

typedef struct Table {
    TableEntry *entries;
    size_t n;
    size_t n_room;
} Table;

/** table_find() - Return: the value, or NULL. */
void *table_find(const Table *table, uint64_t id);

/** table_insert() - Return: 0; -EEXIST if the number is taken; -ENOMEM. */
int table_insert(Table *table, uint64_t id, void *value);

/** table_remove() - Return: what was removed, or NULL. */
void *table_remove(Table *table, uint64_t id);

/** table_at() - the value at an index below table->n. */
void *table_at(const Table *table, size_t index);

/** table_after() - the index of the first entry whose number is above @id; table->n if there is none. */
size_t table_after(const Table *table, uint64_t id);

/** table_deinit() - forget everything. */
void table_deinit(Table *table);
