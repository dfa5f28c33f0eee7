/* SPDX-License-Identifier: MIT */
#include "wire/reason.h"

static const char *const reason_names[_REASON_N] = {
    [REASON_NONE] = "no failure",
    [REASON_HANDLER_FAILED] = "handler failed",
    [REASON_HANDLER_KILLED] = "handler was killed",
    [REASON_HANDLER_NOT_STARTED] = "handler could not be started",
    [REASON_TIMED_OUT] = "handler timed out",
    [REASON_WORKER_LOST] = "worker lost",
    [REASON_MEMORY_BUDGET] = "memory budget exhausted",
    [REASON_MEMORY_FULL] = "shared memory is full",
    [REASON_PAYLOAD_TOO_LARGE] = "payload too large",
    [REASON_RESPONSE_TOO_LARGE] = "response too large",
    [REASON_BAD_REQUEST] = "bad request",
    [REASON_REQUEST_CHANGED] = "request changed while it was read",
    [REASON_NOT_ALLOWED] = "not allowed",
    [REASON_VERSION] = "protocol version not spoken",
    [REASON_LIMIT] = "limit reached",
    [REASON_NOT_FOUND] = "not found",
    [REASON_PLAIN_PEER] = "peer on the plain wire failed",
    [REASON_STOPPED] = "worker stopped",
    [REASON_REFUSED] = "refused for a while",
    [REASON_HOST_LOST] = "host went away",
};

const char *reason_name(Reason reason) {
    return (unsigned)reason < _REASON_N ? reason_names[reason] : "unknown reason";
}
