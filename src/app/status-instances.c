/* SPDX-License-Identifier: MIT */
#include "app/status-instances.h"

#include "app/job.h"
#include "app/status-tables.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "core/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct InstanceRow {
    char name[NAME_BYTES];
    char host[NAME_BYTES];
    bool is_worker;
    const char *state;
    uint64_t pid; /* UINT64_MAX: unknown, as what follows */
    uint64_t age_ns;
    uint64_t n_clients;
    char *unit; /* owned */
} InstanceRow;

typedef struct Instances {
    InstanceRow *rows;
    size_t n;
} Instances;

static void instances_deinit(Instances *list) {
    for (size_t i = 0; i < list->n; i++)
        free(list->rows[i].unit);
    free(list->rows);
}

static OutputCell cell_name(const void *row) {
    return (OutputCell){.text = ((const InstanceRow *)row)->name};
}
static OutputCell cell_role(const void *row) {
    return (OutputCell){.text = ((const InstanceRow *)row)->is_worker ? "worker" : "host"};
}
static OutputCell cell_host(const void *row) {
    return (OutputCell){.text = ((const InstanceRow *)row)->host};
}
static OutputCell cell_state(const void *row) {
    return (OutputCell){.text = ((const InstanceRow *)row)->state};
}
static OutputCell cell_pid(const void *row) {
    return (OutputCell){.number = ((const InstanceRow *)row)->pid};
}
static OutputCell cell_unit(const void *row) {
    return (OutputCell){.text = ((const InstanceRow *)row)->unit};
}
static OutputCell cell_age(const void *row) {
    return (OutputCell){.number = ((const InstanceRow *)row)->age_ns};
}
static OutputCell cell_clients(const void *row) {
    return (OutputCell){.number = ((const InstanceRow *)row)->n_clients};
}

static const OutputColumn columns[] = {
    {"INSTANCE", "instance", OUTPUT_TEXT, cell_name}, {"ROLE", "role", OUTPUT_TEXT, cell_role},
    {"HOST", "host", OUTPUT_TEXT, cell_host},         {"STATE", "state", OUTPUT_TEXT, cell_state},
    {"PID", "pid", OUTPUT_NUMBER, cell_pid},          {"UNIT", "unit", OUTPUT_TEXT, cell_unit, OUTPUT_TRUNC},
    {"AGE", "age_ns", OUTPUT_DURATION, cell_age},     {"CLIENTS", "clients", OUTPUT_NUMBER, cell_clients},
};

OutputTable instances_table(void) {
    return (OutputTable){"instances", columns, ELEMENTS(columns), NULL, 0, sizeof(InstanceRow)};
}

static int add(Instances *list, InstanceRow row) {
    InstanceRow *more = reallocarray(list->rows, list->n + 1, sizeof(*more));

    if (!more)
        return error_origin(-ENOMEM);
    if (row.pid != UINT64_MAX)
        row.unit = job_unit_of((pid_t)row.pid);
    list->rows = more;
    list->rows[list->n++] = row;
    return 0;
}

static int add_workers(Instances *list, const Status *status, const char *host) {
    int r = 0;

    for (size_t i = 0; i < status->n_workers && r == 0; i++) {
        const PacketStatusWorker *said = &status->workers[i];
        InstanceRow row = {
            .is_worker = true,
            .state = said->leaving   ? "leaving"
                     : said->busy_ns ? "busy"
                                     : "idle",
            .pid = said->pid,
            .age_ns = said->age_ns,
            .n_clients = said->n_clients,
        };

        text_copy(row.name, sizeof(row.name), said->name);
        text_copy(row.host, sizeof(row.host), host);
        r = add(list, row);
    }
    return r;
}

static int add_host(Instances *list, const char *name) {
    _cleanup_(status_hang_up) StatusLine line = STATUS_LINE_NULL;
    _cleanup_(status_deinit) Status status = {0};
    InstanceRow row = {.pid = UINT64_MAX, .age_ns = UINT64_MAX, .n_clients = UINT64_MAX};
    char path[CHANNEL_PATH_MAX];
    int r = endpoint_find(name, path);

    text_copy(row.name, sizeof(row.name), name);
    text_copy(row.host, sizeof(row.host), name);
    if (r == 0)
        r = status_connect(&line, path, "shmipc status");
    if (r == 0)
        r = status_ask(&line, false, &status);
    if (r < 0) {
        row.state = r == -EACCES || r == -EPERM                         ? "not allowed"
                    : r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE ? "not running"
                    : r == -EBADMSG || r == -EPROTO                     ? "other version"
                                                                        : "no answer";
        return add(list, row);
    }
    row.state = health_name(&status.host);
    row.pid = status.host.pid;
    row.age_ns = status.host.uptime_ns;
    row.n_clients = status.host.n_clients;
    r = add(list, row);
    return r < 0 ? r : add_workers(list, &status, name);
}

int instances_show(const char *wish, bool noheadings, bool json) {
    _cleanup_(instances_deinit) Instances list = {0};
    _cleanup_free_ EndpointName *names = NULL;
    OutputTable table = instances_table();
    size_t n = 0;
    int r = endpoint_list(&names, &n);

    for (size_t i = 0; i < n && r == 0; i++)
        r = add_host(&list, names[i].text);
    if (r < 0)
        return r;
    table.rows = list.rows;
    table.n_rows = list.n;
    table.wish = wish;
    table.noheadings = noheadings;
    if (json)
        return output_json(&table, 1, stdout);
    if (list.n > 0)
        return output_people(&table, stdout);
    puts("No hosts: `systemctl start shmipc@host` starts one.");
    return 0;
}
