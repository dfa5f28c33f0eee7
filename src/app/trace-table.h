/* SPDX-License-Identifier: MIT */
/* The columns of `shmipc trace`: a row is an exchange that has ended, as the host told it. */
#pragma once

#include "app/output.h"
#include "app/status-tables.h"
#include "wire/hello.h"
#include "wire/message.h"

typedef struct TraceRow {
    TracedRecord said;
    char time[32];     /* of its end */
    char sequence[SEQUENCE_TEXT_MAX]; /* as SHMIPC_SEQUENCE in the journal */
    char user[USER_NAME_BYTES];
    char reason[64];
} TraceRow;

/**
 * trace_row_init() - of what was told, with what is looked up here
 * @json:       its time is for programs
 */
void trace_row_init(TraceRow *row, const TracedRecord *said, bool json);

/** trace_table() - its name and columns; rows come one at a time. */
OutputTable trace_table(void);
