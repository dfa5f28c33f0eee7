/* SPDX-License-Identifier: MIT */
/* Rows: what the host said, put in order, with names looked up. */
#include "app/status-tables.h"

#include "app/job.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "os/limits.h"
#include "os/mapping.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name that a terminal or a table would take for something else is worth no more than the number. */
static bool is_plain(const char *name) {
    for (; *name; name++)
        if (*name <= ' ' || *name > '~')
            return false;
    return true;
}

const char *user_name(uid_t uid, char buffer[static USER_NAME_BYTES]) {
    const struct passwd *entry = getpwuid(uid);

    if (entry && is_plain(entry->pw_name) && strlen(entry->pw_name) < USER_NAME_BYTES)
        strcpy(buffer, entry->pw_name);
    else
        snprintf(buffer, USER_NAME_BYTES, "%u", (unsigned)uid);
    return buffer;
}

const char *health_name(const PacketStatusHost *host) {
    return host->healthy == 0 ? "not known yet" : host->healthy == 1 ? "healthy" : "not healthy";
}

const char *huge_pages_name(const PacketStatusHost *host) {
    static const char *const words[] = {
        [HUGE_NEVER] = "never",
        [HUGE_AUTO] = "auto",
        [HUGE_ALWAYS] = "always",
        [STATUS_HUGE_MOUNT] = "mount",
    };

    return host->huge_pages < ELEMENTS(words) ? words[host->huge_pages] : "";
}

uint64_t fit_of(const PacketStatusHost *host, int limit) {
    const uint64_t fits[_LIMIT_N] = {
        [LIMIT_QUEUE_BYTES] = host->fit_queue_bytes,
        [LIMIT_QUEUES] = host->fit_queues,
        [LIMIT_FILES] = host->fit_files,
    };

    return fits[limit];
}

int fit_least(const PacketStatusHost *host) {
    int least = 0;

    for (int limit = 0; limit < (int)_LIMIT_N; limit++)
        if (fit_of(host, limit) < fit_of(host, least))
            least = limit;
    return least;
}

uint64_t limit_percent(const LimitRow *row) {
    if (row->max == UINT64_MAX)
        return UINT64_MAX;
    return row->max ? (uint64_t)((double)row->used * 100 / (double)row->max) : 100;
}

const char *stage_name(Stage stage) {
    static const char *const names[_STAGE_N] = {
        [STAGE_QUEUED] = "queued",
        [STAGE_RUNNING] = "running",
        [STAGE_REPLIED] = "replied",
    };

    return names[stage];
}

static int descending(uint64_t a, uint64_t b) {
    return (a < b) - (a > b);
}

static uint64_t held_by_client(const PacketStatusClient *said) {
    return said->request_bytes + said->response_bytes;
}

static int compare_clients(const void *a, const void *b) {
    const PacketStatusClient *one = ((const ClientRow *)a)->said, *other = ((const ClientRow *)b)->said;
    int order = descending(one->in_flight, other->in_flight);

    if (!order)
        order = descending(held_by_client(one), held_by_client(other));
    return order ? order : -descending(one->id, other->id);
}

static int compare_workers(const void *a, const void *b) {
    const PacketStatusWorker *one = ((const WorkerRow *)a)->said, *other = ((const WorkerRow *)b)->said;
    int order = descending(one->busy_ns, other->busy_ns);

    return order ? order : -descending(one->number, other->number);
}

static int compare_holders(const void *a, const void *b) {
    return descending(((const HolderRow *)a)->total_bytes, ((const HolderRow *)b)->total_bytes);
}

static const ClientRow *row_of_client(const StatusRows *rows, uint64_t id) {
    for (size_t i = 0; id && i < rows->status->n_clients; i++)
        if (rows->clients[i].said->id == id)
            return &rows->clients[i];
    return NULL;
}

static const WorkerRow *row_of_worker(const StatusRows *rows, uint64_t number) {
    for (size_t i = 0; number && i < rows->status->n_workers; i++)
        if (rows->workers[i].said->number == number)
            return &rows->workers[i];
    return NULL;
}

static void fill_clients(StatusRows *rows) {
    const Status *status = rows->status;

    for (size_t i = 0; i < status->n_clients; i++) {
        rows->clients[i].said = &status->clients[i];
        rows->clients[i].unit = job_unit_of((pid_t)status->clients[i].pid);
        user_name(status->clients[i].uid, rows->clients[i].user);
    }
    qsort(rows->clients, status->n_clients, sizeof(*rows->clients), compare_clients);
}

static void fill_workers(StatusRows *rows) {
    const Status *status = rows->status;

    for (size_t i = 0; i < status->n_workers; i++) {
        WorkerRow *row = &rows->workers[i];

        row->said = &status->workers[i];
        row->unit = job_unit_of((pid_t)row->said->pid);
        row->client = row->said->busy_ns ? row_of_client(rows, row->said->client) : NULL;
        user_name(row->said->uid, row->user);
    }
    qsort(rows->workers, status->n_workers, sizeof(*rows->workers), compare_workers);
}

static void fill_slots(StatusRows *rows) {
    for (size_t i = 0; i < rows->status->n_slots; i++) {
        const PacketStatusSlot *said = &rows->status->slots[i];

        rows->slots[i] = (SlotRow){
            .said = said,
            .client = row_of_client(rows, said->client),
            .worker = row_of_worker(rows, said->worker),
        };
    }
}

static void add_holder(StatusRows *rows, HolderRow row) {
    row.limit_bytes = rows->status->host.memory_limit;
    if (row.total_bytes > 0)
        rows->holders[rows->n_holders++] = row;
}

static void fill_holders(StatusRows *rows) {
    for (size_t i = 0; i < rows->status->n_clients; i++)
        add_holder(rows, (HolderRow){.client = &rows->clients[i],
                                     .total_bytes = held_by_client(rows->clients[i].said)});
    for (size_t i = 0; i < rows->status->n_workers; i++)
        add_holder(rows, (HolderRow){.worker = &rows->workers[i],
                                     .total_bytes = rows->workers[i].said->private_bytes});
    qsort(rows->holders, rows->n_holders, sizeof(*rows->holders), compare_holders);
}

static void fill_limits(StatusRows *rows) {
    const PacketStatusHost *host = &rows->status->host;
    const LimitRow limits[N_LIMIT_ROWS] = {
        {"memory", host->memory_bytes, host->memory_limit, true,
         "raise `memory` of the host or shorten `memory_idle`; `shmipc status memory` says who holds it"},
        {"max_clients", host->n_clients, host->max_clients, false, "raise `max_clients` of the host"},
        {limit_name(LIMIT_QUEUE_BYTES), host->queue_bytes, host->queue_bytes_limit, true,
         limit_cure(LIMIT_QUEUE_BYTES)},
        {limit_name(LIMIT_QUEUES), host->n_queues, host->n_queues_limit, false, limit_cure(LIMIT_QUEUES)},
        {limit_name(LIMIT_FILES), host->n_files, host->n_files_limit, false, limit_cure(LIMIT_FILES)},
    };

    memcpy(rows->limits, limits, sizeof(limits));
}

static void fill_stages(StatusRows *rows) {
    static const Histogram nothing;

    for (Stage stage = 0; stage < _STAGE_N; stage++)
        rows->stages[stage] = (StageRow){
            .stage = stage,
            .said = rows->status->stages ? &rows->status->stages[stage] : &nothing,
        };
}

int rows_init(StatusRows *rows, const Status *status) {
    *rows = (StatusRows){
        .status = status,
        .clients = calloc(status->n_clients + 1, sizeof(ClientRow)),
        .workers = calloc(status->n_workers + 1, sizeof(WorkerRow)),
        .slots = calloc(status->n_slots + 1, sizeof(SlotRow)),
        .holders = calloc(status->n_clients + status->n_workers + 1, sizeof(HolderRow)),
    };
    if (!rows->clients || !rows->workers || !rows->slots || !rows->holders)
        return error_origin(-ENOMEM);
    fill_clients(rows);
    fill_workers(rows);
    fill_slots(rows);
    fill_holders(rows);
    fill_limits(rows);
    fill_stages(rows);
    return 0;
}

void rows_deinit(StatusRows *rows) {
    for (size_t i = 0; rows->clients && i < rows->status->n_clients; i++)
        free(rows->clients[i].unit);
    for (size_t i = 0; rows->workers && i < rows->status->n_workers; i++)
        free(rows->workers[i].unit);
    free(rows->clients);
    free(rows->workers);
    free(rows->slots);
    free(rows->holders);
    *rows = (StatusRows){0};
}
