/* SPDX-License-Identifier: MIT */
/*
 * The log: to the journal with fields when standard error leads there, else lines for a person on standard
 * error
 *
 * Each line carries SHMIPC_INSTANCE; what is about a client, an exchange or a worker carries SHMIPC_CLIENT,
 * SHMIPC_SEQUENCE (client-slot-generation), SHMIPC_WORKER, SHMIPC_UID and SHMIPC_PID (of the peer that the
 * line names), PAYLOAD_SIZE; what an administrator acts on carries a MESSAGE_ID. Payload bytes are never
 * logged. A log that is blocked or full stops nothing.
 * Thread-safe after log_open().
 */
#pragma once

#include "core/event.h"

#include <stdbool.h>
#include <syslog.h>

/** log_open() - say who logs (borrowed, for ever) and what is worth a line: LOG_ERR to LOG_DEBUG. */
void log_open(const char *instance, int level);

/** log_set_level() - from now on. */
void log_set_level(int level);

/** log_line() - one line; @message_id may be NULL. */
void log_line(int level, const char *message_id, const char *text, ...) __attribute__((format(printf, 3, 4)));

/** log_event() - what a state machine had to tell. */
void log_event(const Event *event);
