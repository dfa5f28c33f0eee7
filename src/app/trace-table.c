/* SPDX-License-Identifier: MIT */
#include "app/trace-table.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "os/wait.h"
#include "wire/reason.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_SEC 1000000

/* --- a row --- */

/* Told by the clock that never leaps; people have the other one, as it is now. */
static uint64_t real_us(uint64_t ns) {
    uint64_t now_ns = clock_now_ns();

    return clock_real_us() - (now_ns > ns ? (now_ns - ns) / NS_PER_US : 0);
}

static void fill_time(TraceRow *row, bool json) {
    uint64_t us = real_us(row->said.record.ended_ns);
    unsigned fraction = (unsigned)(us % US_PER_SEC);
    time_t seconds = (time_t)(us / US_PER_SEC);
    char text[24];
    struct tm parts;

    if (json && gmtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts))
        snprintf(row->time, sizeof(row->time), "%s.%06uZ", text, fraction);
    if (!json && localtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%H:%M:%S", &parts))
        snprintf(row->time, sizeof(row->time), "%s.%03u", text, fraction / 1000);
}

static void fill_reason(TraceRow *row) {
    const TraceRecord *record = &row->said.record;
    const char *name = reason_name((Reason)record->reason);

    if (record->status > 0)
        snprintf(row->reason, sizeof(row->reason), "%s (exit status %d)", name, (int)record->status);
    else if (record->status < 0)
        snprintf(row->reason, sizeof(row->reason), "%s (signal %d)", name, -(int)record->status);
    else
        snprintf(row->reason, sizeof(row->reason), "%s", name);
}

/* Looked up once for many in a row. */
static const char *name_of(uid_t uid) {
    static char name[USER_NAME_BYTES];
    static uid_t of = (uid_t)-1;

    if (!*name || of != uid)
        user_name(uid, name);
    of = uid;
    return name;
}

void trace_row_init(TraceRow *row, const TracedRecord *said, bool json) {
    *row = (TraceRow){.said = *said};
    fill_time(row, json);
    sequence_format(said->record.client, said->record.slot, said->record.generation, row->sequence);
    strcpy(row->user, name_of(said->uid));
    if (said->record.reason != REASON_NONE)
        fill_reason(row);
}

/* --- its columns --- */

static const char *result_name(uint8_t end) {
    static const char *const names[] = {
        [TRACE_AGAIN] = "again",   [TRACE_PARKED] = "parked",       [TRACE_DONE] = "done",
        [TRACE_FAILED] = "failed", [TRACE_CANCELLED] = "cancelled", [TRACE_EXPIRED] = "expired",
    };

    return end < ELEMENTS(names) && names[end] ? names[end] : "?";
}

/* From @since to @until, where both are known. */
static uint64_t between(uint64_t since_ns, uint64_t until_ns) {
    return since_ns && until_ns >= since_ns ? until_ns - since_ns : UINT64_MAX;
}

/* What nobody has claimed was queued until its end. */
static uint64_t queued_ns(const TraceRecord *record) {
    if (record->claimed_ns)
        return between(record->submitted_ns, record->claimed_ns);
    return record->attempt == 0 ? between(record->submitted_ns, record->ended_ns) : UINT64_MAX;
}

#define CELL(name, expression)                                                                               \
    static OutputCell name(const void *data) {                                                               \
        const TraceRow *row = data;                                                                          \
        return (OutputCell){expression};                                                                     \
    }
#define FIELD(name, field) CELL(name, .number = row->said.field)

CELL(cell_time, .text = row->time)
CELL(cell_sequence, .text = row->sequence)
FIELD(cell_client, record.client)
FIELD(cell_slot, record.slot)
FIELD(cell_generation, record.generation)
CELL(cell_program, .text = row->said.name)
FIELD(cell_pid, pid)
CELL(cell_user, .text = row->user)
FIELD(cell_uid, uid)
CELL(cell_worker, .number = row->said.worker ? row->said.worker : UINT64_MAX)
FIELD(cell_attempt, record.attempt)
FIELD(cell_request, record.request_bytes)
FIELD(cell_response, record.response_bytes)
CELL(cell_queued, .number = queued_ns(&row->said.record))
CELL(cell_running, .number = between(row->said.record.claimed_ns, row->said.record.ended_ns))
CELL(cell_total, .number = between(row->said.record.submitted_ns, row->said.record.ended_ns))
CELL(cell_result, .text = result_name(row->said.record.end))
CELL(cell_reason, .text = *row->reason ? row->reason : NULL)

static const OutputColumn columns[] = {
    {"TIME", "time", OUTPUT_TEXT, cell_time, 0, 12},
    {"SEQUENCE", "sequence", OUTPUT_TEXT, cell_sequence, 0, 20},
    {"CLIENT", "client", OUTPUT_NUMBER, cell_client, OUTPUT_EXTRA, 16},
    {"SLOT", "slot", OUTPUT_NUMBER, cell_slot, OUTPUT_EXTRA, 4},
    {"GENERATION", "generation", OUTPUT_NUMBER, cell_generation, OUTPUT_EXTRA, 10},
    {"PROGRAM", "program", OUTPUT_TEXT, cell_program, OUTPUT_EXTRA, 15},
    {"PID", "pid", OUTPUT_NUMBER, cell_pid, OUTPUT_EXTRA, 7},
    {"USER", "user", OUTPUT_TEXT, cell_user, OUTPUT_EXTRA, 8},
    {"UID", "uid", OUTPUT_NUMBER, cell_uid, OUTPUT_EXTRA, 5},
    {"WORKER", "worker", OUTPUT_NUMBER, cell_worker, 0, 6},
    {"TRIES", "attempts", OUTPUT_NUMBER, cell_attempt, OUTPUT_EXTRA, 5},
    {"REQUEST", "request_bytes", OUTPUT_BYTES, cell_request, 0, 7},
    {"RESPONSE", "response_bytes", OUTPUT_BYTES, cell_response, 0, 8},
    {"QUEUED", "queued_ns", OUTPUT_DURATION, cell_queued, 0, 6},
    {"RUNNING", "running_ns", OUTPUT_DURATION, cell_running, 0, 7},
    {"TOTAL", "total_ns", OUTPUT_DURATION, cell_total, OUTPUT_EXTRA, 6},
    {"RESULT", "result", OUTPUT_TEXT, cell_result, 0, 6},
    {"REASON", "reason", OUTPUT_TEXT, cell_reason, 0, 30},
};

OutputTable trace_table(void) {
    return (OutputTable){.name = "trace", .columns = columns, .n_columns = ELEMENTS(columns)};
}
