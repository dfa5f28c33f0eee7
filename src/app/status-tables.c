/* SPDX-License-Identifier: MIT */
/* Columns, a line each: the name that people see, the one for programs, where the value comes from. */
#include "app/status-tables.h"

#include "base/cleanup.h"
#include "os/limits.h"

static const char *const slot_states[_STATUS_SLOT_N] = {
    [STATUS_SLOT_IDLE] = "idle",      [STATUS_SLOT_FILLING] = "filling", [STATUS_SLOT_QUEUED] = "queued",
    [STATUS_SLOT_AGAIN] = "again",    [STATUS_SLOT_RUNNING] = "running", [STATUS_SLOT_PARKING] = "parking",
    [STATUS_SLOT_ENDED] = "answered",
};

/* A cell of the column NAME: an expression of `row`. */
#define TEXT(name, Row, expression)                                                                          \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){.text = (expression)};                                                           \
    }
#define NUMBER(name, Row, expression)                                                                        \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){.number = (expression)};                                                         \
    }
#define MIXED(name, Row, expression)                                                                         \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){.number = (expression), .kind = row->is_bytes ? OUTPUT_BYTES : OUTPUT_NUMBER};   \
    }

TEXT(host_cell_name, PacketStatusHost, row->name)
TEXT(host_cell_version, PacketStatusHost, row->version)
NUMBER(host_cell_pid, PacketStatusHost, row->pid)
NUMBER(host_cell_uptime_ns, PacketStatusHost, row->uptime_ns)
TEXT(host_cell_health, PacketStatusHost, health_name(row))
NUMBER(host_cell_probe_ns, PacketStatusHost, row->probe_ns)
NUMBER(host_cell_clients, PacketStatusHost, row->n_clients)
NUMBER(host_cell_max_clients, PacketStatusHost, row->max_clients)
NUMBER(host_cell_workers, PacketStatusHost, row->n_workers)
NUMBER(host_cell_done, PacketStatusHost, row->n_done)
NUMBER(host_cell_failed, PacketStatusHost, row->n_failed)
NUMBER(host_cell_cancelled, PacketStatusHost, row->n_cancelled)
NUMBER(host_cell_redelivered, PacketStatusHost, row->n_redelivered)
NUMBER(host_cell_in_flight, PacketStatusHost, row->in_flight)
NUMBER(host_cell_waiting, PacketStatusHost, row->n_waiting)
NUMBER(host_cell_request_bytes, PacketStatusHost, row->request_payload_bytes)
NUMBER(host_cell_response_bytes, PacketStatusHost, row->response_payload_bytes)
NUMBER(host_cell_max_payload_bytes, PacketStatusHost, row->max_payload)
NUMBER(host_cell_memory_bytes, PacketStatusHost, row->memory_bytes)
NUMBER(host_cell_private_bytes, PacketStatusHost, row->private_bytes)
NUMBER(host_cell_memory_limit_bytes, PacketStatusHost, row->memory_limit)
TEXT(host_cell_huge_pages, PacketStatusHost, huge_pages_name(row))
NUMBER(host_cell_queue_bytes, PacketStatusHost, row->queue_bytes)
NUMBER(host_cell_queue_limit_bytes, PacketStatusHost, row->queue_bytes_limit)
NUMBER(host_cell_queues, PacketStatusHost, row->n_queues)
NUMBER(host_cell_queues_limit, PacketStatusHost, row->n_queues_limit)
NUMBER(host_cell_queue_depth, PacketStatusHost, row->queue_depth)
NUMBER(host_cell_slots_per_client, PacketStatusHost, row->slots_per_client)
NUMBER(host_cell_files, PacketStatusHost, row->n_files)
NUMBER(host_cell_files_limit, PacketStatusHost, row->n_files_limit)
NUMBER(host_cell_clients_fit, PacketStatusHost, fit_of(row, fit_least(row)))
TEXT(host_cell_clients_fit_limit, PacketStatusHost, limit_name((LimitKind)fit_least(row)))
NUMBER(host_cell_clients_fit_queue_bytes, PacketStatusHost, row->fit_queue_bytes)
NUMBER(host_cell_clients_fit_queues, PacketStatusHost, row->fit_queues)
NUMBER(host_cell_clients_fit_files, PacketStatusHost, row->fit_files)
NUMBER(host_cell_user_share_percent, PacketStatusHost, row->user_share)
NUMBER(host_cell_refused, PacketStatusHost, row->n_refused)
NUMBER(host_cell_misbehaved, PacketStatusHost, row->n_misbehaved)
NUMBER(host_cell_limits_reached, PacketStatusHost, row->n_limits)
NUMBER(host_cell_log_untold, PacketStatusHost, row->n_untold)
NUMBER(host_cell_parked, PacketStatusHost, row->n_parked)
NUMBER(host_cell_partial, PacketStatusHost, row->partial)

static const OutputColumn host_columns[] = {
    {NULL, "name", OUTPUT_TEXT, host_cell_name},
    {NULL, "version", OUTPUT_TEXT, host_cell_version},
    {NULL, "pid", OUTPUT_NUMBER, host_cell_pid},
    {NULL, "uptime_ns", OUTPUT_DURATION, host_cell_uptime_ns},
    {NULL, "health", OUTPUT_TEXT, host_cell_health},
    {NULL, "probe_ns", OUTPUT_DURATION, host_cell_probe_ns},
    {NULL, "clients", OUTPUT_NUMBER, host_cell_clients},
    {NULL, "max_clients", OUTPUT_NUMBER, host_cell_max_clients},
    {NULL, "workers", OUTPUT_NUMBER, host_cell_workers},
    {NULL, "done", OUTPUT_NUMBER, host_cell_done},
    {NULL, "failed", OUTPUT_NUMBER, host_cell_failed},
    {NULL, "cancelled", OUTPUT_NUMBER, host_cell_cancelled},
    {NULL, "redelivered", OUTPUT_NUMBER, host_cell_redelivered},
    {NULL, "in_flight", OUTPUT_NUMBER, host_cell_in_flight},
    {NULL, "waiting", OUTPUT_NUMBER, host_cell_waiting},
    {NULL, "request_bytes", OUTPUT_BYTES, host_cell_request_bytes},
    {NULL, "response_bytes", OUTPUT_BYTES, host_cell_response_bytes},
    {NULL, "max_payload_bytes", OUTPUT_BYTES, host_cell_max_payload_bytes},
    {NULL, "memory_bytes", OUTPUT_BYTES, host_cell_memory_bytes},
    {NULL, "private_bytes", OUTPUT_BYTES, host_cell_private_bytes},
    {NULL, "memory_limit_bytes", OUTPUT_BYTES, host_cell_memory_limit_bytes},
    {NULL, "huge_pages", OUTPUT_TEXT, host_cell_huge_pages},
    {NULL, "queue_bytes", OUTPUT_BYTES, host_cell_queue_bytes},
    {NULL, "queue_limit_bytes", OUTPUT_BYTES, host_cell_queue_limit_bytes},
    {NULL, "queues", OUTPUT_NUMBER, host_cell_queues},
    {NULL, "queues_limit", OUTPUT_NUMBER, host_cell_queues_limit},
    {NULL, "queue_depth", OUTPUT_NUMBER, host_cell_queue_depth},
    {NULL, "slots_per_client", OUTPUT_NUMBER, host_cell_slots_per_client},
    {NULL, "files", OUTPUT_NUMBER, host_cell_files},
    {NULL, "files_limit", OUTPUT_NUMBER, host_cell_files_limit},
    {NULL, "clients_fit", OUTPUT_NUMBER, host_cell_clients_fit},
    {NULL, "clients_fit_limit", OUTPUT_TEXT, host_cell_clients_fit_limit},
    {NULL, "clients_fit_queue_bytes", OUTPUT_NUMBER, host_cell_clients_fit_queue_bytes},
    {NULL, "clients_fit_queues", OUTPUT_NUMBER, host_cell_clients_fit_queues},
    {NULL, "clients_fit_files", OUTPUT_NUMBER, host_cell_clients_fit_files},
    {NULL, "user_share_percent", OUTPUT_NUMBER, host_cell_user_share_percent},
    {NULL, "refused", OUTPUT_NUMBER, host_cell_refused},
    {NULL, "misbehaved", OUTPUT_NUMBER, host_cell_misbehaved},
    {NULL, "limits_reached", OUTPUT_NUMBER, host_cell_limits_reached},
    {NULL, "log_untold", OUTPUT_NUMBER, host_cell_log_untold},
    {NULL, "parked", OUTPUT_NUMBER, host_cell_parked},
    {NULL, "partial", OUTPUT_NUMBER, host_cell_partial},
};

NUMBER(client_cell_client, ClientRow, row->said->id)
TEXT(client_cell_user, ClientRow, row->user)
NUMBER(client_cell_uid, ClientRow, row->said->uid)
TEXT(client_cell_program, ClientRow, row->said->probe ? "probe (of the host)" : row->said->name)
NUMBER(client_cell_pid, ClientRow, row->said->pid)
TEXT(client_cell_unit, ClientRow, row->unit)
NUMBER(client_cell_in_flight, ClientRow, row->said->in_flight)
NUMBER(client_cell_waiting, ClientRow, row->said->n_waiting)
NUMBER(client_cell_queued, ClientRow, row->said->queued)
NUMBER(client_cell_done, ClientRow, row->said->n_done)
NUMBER(client_cell_failed, ClientRow, row->said->n_failed)
NUMBER(client_cell_reserved_bytes, ClientRow, row->said->request_bytes + row->said->response_bytes)
NUMBER(client_cell_request_bytes, ClientRow, row->said->request_bytes)
NUMBER(client_cell_response_bytes, ClientRow, row->said->response_bytes)
NUMBER(client_cell_resident_bytes, ClientRow, row->said->resident_bytes)
NUMBER(client_cell_queued_p50_ns, ClientRow, row->said->stages[STAGE_QUEUED].p50_ns)
NUMBER(client_cell_queued_p99_ns, ClientRow, row->said->stages[STAGE_QUEUED].p99_ns)
NUMBER(client_cell_running_p50_ns, ClientRow, row->said->stages[STAGE_RUNNING].p50_ns)
NUMBER(client_cell_running_p99_ns, ClientRow, row->said->stages[STAGE_RUNNING].p99_ns)
NUMBER(client_cell_replied_p50_ns, ClientRow, row->said->stages[STAGE_REPLIED].p50_ns)
NUMBER(client_cell_replied_p99_ns, ClientRow, row->said->stages[STAGE_REPLIED].p99_ns)
NUMBER(client_cell_slots, ClientRow, row->said->n_slots)
NUMBER(client_cell_age_ns, ClientRow, row->said->age_ns)
TEXT(client_cell_requests, ClientRow, row->said->trusted ? "in place" : "copied")

static const OutputColumn client_columns[] = {
    {"CLIENT", "client", OUTPUT_NUMBER, client_cell_client},
    {"USER", "user", OUTPUT_TEXT, client_cell_user, OUTPUT_TRUNC},
    {"UID", "uid", OUTPUT_NUMBER, client_cell_uid, OUTPUT_EXTRA},
    {"PROGRAM", "program", OUTPUT_TEXT, client_cell_program, OUTPUT_TRUNC},
    {"PID", "pid", OUTPUT_NUMBER, client_cell_pid},
    {"UNIT", "unit", OUTPUT_TEXT, client_cell_unit, OUTPUT_TRUNC},
    {"FLYING", "in_flight", OUTPUT_NUMBER, client_cell_in_flight},
    {"WAITING", "waiting", OUTPUT_NUMBER, client_cell_waiting, OUTPUT_EXTRA},
    {"QUEUED", "queued", OUTPUT_NUMBER, client_cell_queued, OUTPUT_EXTRA},
    {"DONE", "done", OUTPUT_NUMBER, client_cell_done},
    {"FAILED", "failed", OUTPUT_NUMBER, client_cell_failed},
    {"MEMORY", "reserved_bytes", OUTPUT_BYTES, client_cell_reserved_bytes},
    {"REQUEST", "request_bytes", OUTPUT_BYTES, client_cell_request_bytes, OUTPUT_EXTRA},
    {"RESPONSE", "response_bytes", OUTPUT_BYTES, client_cell_response_bytes, OUTPUT_EXTRA},
    {"RESIDENT", "resident_bytes", OUTPUT_BYTES, client_cell_resident_bytes, OUTPUT_EXTRA},
    {"QUEUED50", "queued_p50_ns", OUTPUT_DURATION, client_cell_queued_p50_ns, OUTPUT_EXTRA},
    {"QUEUED99", "queued_p99_ns", OUTPUT_DURATION, client_cell_queued_p99_ns, OUTPUT_EXTRA},
    {"RUN50", "running_p50_ns", OUTPUT_DURATION, client_cell_running_p50_ns, OUTPUT_EXTRA},
    {"RUN99", "running_p99_ns", OUTPUT_DURATION, client_cell_running_p99_ns, OUTPUT_EXTRA},
    {"REPLY50", "replied_p50_ns", OUTPUT_DURATION, client_cell_replied_p50_ns, OUTPUT_EXTRA},
    {"REPLY99", "replied_p99_ns", OUTPUT_DURATION, client_cell_replied_p99_ns, OUTPUT_EXTRA},
    {"SLOTS", "slots", OUTPUT_NUMBER, client_cell_slots, OUTPUT_EXTRA},
    {"AGE", "age_ns", OUTPUT_DURATION, client_cell_age_ns, OUTPUT_EXTRA},
    {"REQUESTS", "requests", OUTPUT_TEXT, client_cell_requests, OUTPUT_EXTRA},
};

NUMBER(worker_cell_worker, WorkerRow, row->said->number)
TEXT(worker_cell_instance, WorkerRow, row->said->name)
TEXT(worker_cell_user, WorkerRow, row->user)
NUMBER(worker_cell_uid, WorkerRow, row->said->uid)
NUMBER(worker_cell_pid, WorkerRow, row->said->pid)
TEXT(worker_cell_unit, WorkerRow, row->unit)
TEXT(worker_cell_state, WorkerRow, row->said->leaving ? "leaving" : row->said->busy_ns ? "busy" : "idle")
NUMBER(worker_cell_busy_ns, WorkerRow, row->said->busy_ns)
NUMBER(worker_cell_client, WorkerRow, row->client ? row->said->client : UINT64_MAX)
NUMBER(worker_cell_slot, WorkerRow, row->client ? row->said->slot : UINT64_MAX)
TEXT(worker_cell_client_program, WorkerRow, row->client ? row->client->said->name : NULL)
TEXT(worker_cell_client_user, WorkerRow, row->client ? row->client->user : NULL)
NUMBER(worker_cell_private_bytes, WorkerRow, row->said->private_bytes)
NUMBER(worker_cell_timeout_ns, WorkerRow, row->said->timeout_ns)
NUMBER(worker_cell_clients_met, WorkerRow, row->said->n_clients)
NUMBER(worker_cell_age_ns, WorkerRow, row->said->age_ns)

static const OutputColumn worker_columns[] = {
    {"WORKER", "worker", OUTPUT_NUMBER, worker_cell_worker},
    {"INSTANCE", "instance", OUTPUT_TEXT, worker_cell_instance, OUTPUT_TRUNC},
    {"USER", "user", OUTPUT_TEXT, worker_cell_user, OUTPUT_TRUNC},
    {"UID", "uid", OUTPUT_NUMBER, worker_cell_uid, OUTPUT_EXTRA},
    {"PID", "pid", OUTPUT_NUMBER, worker_cell_pid},
    {"UNIT", "unit", OUTPUT_TEXT, worker_cell_unit, OUTPUT_TRUNC | OUTPUT_EXTRA},
    {"STATE", "state", OUTPUT_TEXT, worker_cell_state},
    {"FOR", "busy_ns", OUTPUT_DURATION, worker_cell_busy_ns},
    {"CLIENT", "client", OUTPUT_NUMBER, worker_cell_client},
    {"SLOT", "slot", OUTPUT_NUMBER, worker_cell_slot, OUTPUT_EXTRA},
    {"WHOSE", "client_program", OUTPUT_TEXT, worker_cell_client_program, OUTPUT_TRUNC},
    {"CUSER", "client_user", OUTPUT_TEXT, worker_cell_client_user, OUTPUT_TRUNC | OUTPUT_EXTRA},
    {"COPIES", "private_bytes", OUTPUT_BYTES, worker_cell_private_bytes},
    {"TIMEOUT", "timeout_ns", OUTPUT_DURATION, worker_cell_timeout_ns, OUTPUT_EXTRA},
    {"MET", "clients_met", OUTPUT_NUMBER, worker_cell_clients_met, OUTPUT_EXTRA},
    {"AGE", "age_ns", OUTPUT_DURATION, worker_cell_age_ns, OUTPUT_EXTRA},
};

NUMBER(slot_cell_client, SlotRow, row->said->client)
TEXT(slot_cell_user, SlotRow, row->client ? row->client->user : NULL)
TEXT(slot_cell_program, SlotRow, row->client ? row->client->said->name : NULL)
NUMBER(slot_cell_slot, SlotRow, row->said->slot)
TEXT(slot_cell_state, SlotRow, row->said->state < _STATUS_SLOT_N ? slot_states[row->said->state] : "?")
NUMBER(slot_cell_running_ns, SlotRow, row->said->running_ns)
NUMBER(slot_cell_worker, SlotRow, row->said->worker ? row->said->worker : UINT64_MAX)
TEXT(slot_cell_instance, SlotRow, row->worker ? row->worker->said->name : NULL)
NUMBER(slot_cell_attempts, SlotRow, row->said->attempts)
NUMBER(slot_cell_payload_bytes, SlotRow, row->said->payload_bytes)
NUMBER(slot_cell_request_bytes, SlotRow, row->said->request_bytes)
NUMBER(slot_cell_response_bytes, SlotRow, row->said->response_bytes)
NUMBER(slot_cell_left_ns, SlotRow, row->said->left_ns)
NUMBER(slot_cell_generation, SlotRow, row->said->generation)

static const OutputColumn slot_columns[] = {
    {"CLIENT", "client", OUTPUT_NUMBER, slot_cell_client},
    {"USER", "user", OUTPUT_TEXT, slot_cell_user, OUTPUT_TRUNC},
    {"PROGRAM", "program", OUTPUT_TEXT, slot_cell_program, OUTPUT_TRUNC},
    {"SLOT", "slot", OUTPUT_NUMBER, slot_cell_slot},
    {"STATE", "state", OUTPUT_TEXT, slot_cell_state},
    {"FOR", "running_ns", OUTPUT_DURATION, slot_cell_running_ns},
    {"WORKER", "worker", OUTPUT_NUMBER, slot_cell_worker},
    {"INSTANCE", "instance", OUTPUT_TEXT, slot_cell_instance, OUTPUT_TRUNC | OUTPUT_EXTRA},
    {"TRIES", "attempts", OUTPUT_NUMBER, slot_cell_attempts},
    {"PAYLOAD", "payload_bytes", OUTPUT_BYTES, slot_cell_payload_bytes},
    {"REQUEST", "request_bytes", OUTPUT_BYTES, slot_cell_request_bytes},
    {"RESPONSE", "response_bytes", OUTPUT_BYTES, slot_cell_response_bytes},
    {"LEFT", "left_ns", OUTPUT_DURATION, slot_cell_left_ns, OUTPUT_EXTRA},
    {"GENERATION", "generation", OUTPUT_NUMBER, slot_cell_generation, OUTPUT_EXTRA},
};

TEXT(holder_cell_holder, HolderRow, row->client ? "client" : "worker")
NUMBER(holder_cell_id, HolderRow, row->client ? row->client->said->id : row->worker->said->number)
TEXT(holder_cell_user, HolderRow, row->client ? row->client->user : row->worker->user)
TEXT(holder_cell_name, HolderRow, row->client ? row->client->said->name : row->worker->said->name)
NUMBER(holder_cell_pid, HolderRow, row->client ? row->client->said->pid : row->worker->said->pid)
TEXT(holder_cell_unit, HolderRow, row->client ? row->client->unit : row->worker->unit)
NUMBER(holder_cell_request_bytes, HolderRow, row->client ? row->client->said->request_bytes : UINT64_MAX)
NUMBER(holder_cell_response_bytes, HolderRow, row->client ? row->client->said->response_bytes : UINT64_MAX)
NUMBER(holder_cell_private_bytes, HolderRow, row->worker ? row->worker->said->private_bytes : UINT64_MAX)
NUMBER(holder_cell_total_bytes, HolderRow, row->total_bytes)
NUMBER(holder_cell_percent, HolderRow, row->limit_bytes ? row->total_bytes * 100 / row->limit_bytes : 100)

static const OutputColumn holder_columns[] = {
    {"HOLDER", "holder", OUTPUT_TEXT, holder_cell_holder},
    {"ID", "id", OUTPUT_NUMBER, holder_cell_id},
    {"USER", "user", OUTPUT_TEXT, holder_cell_user, OUTPUT_TRUNC},
    {"NAME", "name", OUTPUT_TEXT, holder_cell_name, OUTPUT_TRUNC},
    {"PID", "pid", OUTPUT_NUMBER, holder_cell_pid},
    {"UNIT", "unit", OUTPUT_TEXT, holder_cell_unit, OUTPUT_TRUNC | OUTPUT_EXTRA},
    {"REQUEST", "request_bytes", OUTPUT_BYTES, holder_cell_request_bytes},
    {"RESPONSE", "response_bytes", OUTPUT_BYTES, holder_cell_response_bytes},
    {"COPIES", "private_bytes", OUTPUT_BYTES, holder_cell_private_bytes},
    {"TOTAL", "total_bytes", OUTPUT_BYTES, holder_cell_total_bytes},
    {"%", "percent", OUTPUT_NUMBER, holder_cell_percent},
};

TEXT(limit_cell_limit, LimitRow, row->name)
MIXED(limit_cell_used, LimitRow, row->used)
MIXED(limit_cell_max, LimitRow, row->max)
NUMBER(limit_cell_percent, LimitRow, limit_percent(row))
TEXT(limit_cell_unit, LimitRow, row->is_bytes ? "bytes" : "number")
TEXT(limit_cell_cure, LimitRow, row->cure)

static const OutputColumn limit_columns[] = {
    {"LIMIT", "limit", OUTPUT_TEXT, limit_cell_limit},
    {"USED", "used", OUTPUT_MIXED, limit_cell_used},
    {"MAX", "max", OUTPUT_MIXED, limit_cell_max},
    {"%", "percent", OUTPUT_NUMBER, limit_cell_percent},
    {"UNIT", "unit", OUTPUT_TEXT, limit_cell_unit, OUTPUT_EXTRA},
    {"CURE", "cure", OUTPUT_TEXT, limit_cell_cure, OUTPUT_EXTRA},
};

TEXT(stage_cell_stage, StageRow, stage_name(row->stage))
NUMBER(stage_cell_n, StageRow, row->said->n)
NUMBER(stage_cell_mean_ns, StageRow, histogram_mean(row->said))
NUMBER(stage_cell_p50_ns, StageRow, histogram_quantile(row->said, 0.5))
NUMBER(stage_cell_p90_ns, StageRow, histogram_quantile(row->said, 0.9))
NUMBER(stage_cell_p99_ns, StageRow, histogram_quantile(row->said, 0.99))
NUMBER(stage_cell_p999_ns, StageRow, histogram_quantile(row->said, 0.999))
NUMBER(stage_cell_max_ns, StageRow, row->said->max)

static const OutputColumn stage_columns[] = {
    {"STAGE", "stage", OUTPUT_TEXT, stage_cell_stage},
    {"N", "n", OUTPUT_NUMBER, stage_cell_n},
    {"MEAN", "mean_ns", OUTPUT_DURATION, stage_cell_mean_ns},
    {"50%", "p50_ns", OUTPUT_DURATION, stage_cell_p50_ns},
    {"90%", "p90_ns", OUTPUT_DURATION, stage_cell_p90_ns},
    {"99%", "p99_ns", OUTPUT_DURATION, stage_cell_p99_ns},
    {"99.9%", "p999_ns", OUTPUT_DURATION, stage_cell_p999_ns},
    {"MAX", "max_ns", OUTPUT_DURATION, stage_cell_max_ns},
};

#define COLUMNS(array) .columns = (array), .n_columns = ELEMENTS(array)

OutputTable status_table(StatusTable table, const StatusRows *rows) {
    static const StatusRows no_rows;
    static const Status nothing;
    const StatusRows *from = rows ? rows : &no_rows;
    const Status *said = rows ? rows->status : &nothing;
    const OutputTable tables[_TABLE_N] = {
        [TABLE_CLIENTS] = {"clients", COLUMNS(client_columns), from->clients, said->n_clients,
                           sizeof(*from->clients)},
        [TABLE_WORKERS] = {"workers", COLUMNS(worker_columns), from->workers, said->n_workers,
                           sizeof(*from->workers)},
        [TABLE_SLOTS] = {"slots", COLUMNS(slot_columns), from->slots, said->n_slots, sizeof(*from->slots)},
        [TABLE_MEMORY] = {"memory", COLUMNS(holder_columns), from->holders, from->n_holders,
                          sizeof(*from->holders)},
        [TABLE_LIMITS] = {"limits", COLUMNS(limit_columns), from->limits, rows ? N_LIMIT_ROWS : 0,
                          sizeof(*from->limits)},
        [TABLE_LATENCY] = {"latency", COLUMNS(stage_columns), from->stages, rows ? _STAGE_N : 0,
                           sizeof(*from->stages)},
        [TABLE_HOST] = {"host", COLUMNS(host_columns), &said->host, rows ? 1 : 0, sizeof(said->host)},
    };

    return tables[table];
}
