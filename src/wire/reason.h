/* SPDX-License-Identifier: MIT */
/*
 * Reasons: why an exchange failed or a request was refused (docs/protocol.md, section 6)
 */
#pragma once

typedef enum Reason {
    REASON_NONE = 0,
    REASON_HANDLER_FAILED = 1,
    REASON_HANDLER_KILLED = 2,
    REASON_HANDLER_NOT_STARTED = 3,
    REASON_TIMED_OUT = 4,
    REASON_WORKER_LOST = 5,
    REASON_MEMORY_BUDGET = 6,
    REASON_MEMORY_FULL = 7,
    REASON_PAYLOAD_TOO_LARGE = 8,
    REASON_RESPONSE_TOO_LARGE = 9,
    REASON_BAD_REQUEST = 10,
    REASON_REQUEST_CHANGED = 11,
    REASON_NOT_ALLOWED = 12,
    REASON_VERSION = 13,
    REASON_LIMIT = 14,
    REASON_NOT_FOUND = 15,
    REASON_PLAIN_PEER = 16,
    REASON_STOPPED = 17,
    REASON_REFUSED = 18,   /* for a while: its user's requests killed workers */
    REASON_HOST_LOST = 19,
    _REASON_N,
} Reason;

/** reason_name() - a short text for a person: "worker lost". */
const char *reason_name(Reason reason);
