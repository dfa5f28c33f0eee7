/* SPDX-License-Identifier: MIT */
/*
 * The tables of `shmipc status`
 *
 * A row is what the host said, with what is looked up here: names of users, units of processes, the other
 * side's name. The most loaded come first.
 */
#pragma once

#include "app/output.h"
#include "app/status.h"

#include <sys/types.h>

#define USER_NAME_BYTES 33

typedef struct ClientRow {
    const PacketStatusClient *said;
    char user[USER_NAME_BYTES];
    char *unit; /* owned; NULL: unknown */
} ClientRow;

typedef struct WorkerRow {
    const PacketStatusWorker *said;
    char user[USER_NAME_BYTES];
    char *unit;
    const ClientRow *client; /* whose exchange it has; NULL: none, or not to be seen */
} WorkerRow;

typedef struct SlotRow {
    const PacketStatusSlot *said;
    const ClientRow *client;
    const WorkerRow *worker; /* NULL: nobody has it */
} SlotRow;

/* Who holds memory: a client its windows, a worker its private copies. */
typedef struct HolderRow {
    const ClientRow *client; /* one of the two */
    const WorkerRow *worker;
    uint64_t total_bytes;
    uint64_t limit_bytes;
} HolderRow;

typedef struct LimitRow {
    const char *name;
    uint64_t used;
    uint64_t max; /* UINT64_MAX: none */
    bool is_bytes;
    const char *cure;
} LimitRow;

/* How long a stage has taken: of all exchanges since the host's start, as far as they are measured. */
typedef struct StageRow {
    Stage stage;
    const Histogram *said;
} StageRow;

#define N_LIMIT_ROWS 5

typedef struct StatusRows {
    const Status *status;
    ClientRow *clients;
    WorkerRow *workers;
    SlotRow *slots;
    HolderRow *holders;
    size_t n_holders;
    LimitRow limits[N_LIMIT_ROWS];
    StageRow stages[_STAGE_N];
} StatusRows;

/** rows_init() - from a status, borrowed. Return: 0, or -ENOMEM; to be deinitialized in both cases. */
int rows_init(StatusRows *rows, const Status *status);
void rows_deinit(StatusRows *rows);

typedef enum StatusTable {
    TABLE_CLIENTS,
    TABLE_WORKERS,
    TABLE_SLOTS,
    TABLE_MEMORY,
    TABLE_LIMITS,
    TABLE_LATENCY,
    TABLE_HOST, /* for programs */
    _TABLE_N,
} StatusTable;

/** status_table() - the table, of these rows; with NULL its name and columns alone. */
OutputTable status_table(StatusTable table, const StatusRows *rows);

/** limit_percent() - how much of it is used; UINT64_MAX where there is no limit. */
uint64_t limit_percent(const LimitRow *row);

/** user_name() - of a uid, or its number. Return: @buffer. */
const char *user_name(uid_t uid, char buffer[static USER_NAME_BYTES]);

/** stage_name() - as tables and metrics have it. */
const char *stage_name(Stage stage);

/** health_name() */
const char *health_name(const PacketStatusHost *host);

/** huge_pages_name() - which are in use, in the words of the setting; "mount": as /dev/shm is mounted */
const char *huge_pages_name(const PacketStatusHost *host);

/** fit_of() - how many clients that limit allows; fit_least(): the limit that allows fewest. */
uint64_t fit_of(const PacketStatusHost *host, int limit);
int fit_least(const PacketStatusHost *host);
