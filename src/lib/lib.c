/* SPDX-License-Identifier: MIT */
#include "lib/lib.h"

#include "base/error.h"
#include "base/units.h"
#include "core/endpoint.h"
#include "core/spin.h"
#include "os/wait.h"
#include "wire/message.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SPIN_US_MAX 1000000 /* as in shmipc.conf */

/* What errno's own words do not say. */
static const struct {
    int error;
    const char *text;
} texts[] = {
    {ENOENT, "there is no such host"},
    {ECONNREFUSED, "the host is not running"},
    {EACCES, "the host does not let this user in"},
    {EPROTO, "the host speaks another version of the protocol"},
    {EUSERS, "a limit of the host is reached"},
    {ETIMEDOUT, "timed out"},
    {ECONNRESET, "the host went away"},
    {ENOMEM, "no memory, here or in the host's budget"},
    {ENOSPC, "the file system of shared memory is full"},
    {EMSGSIZE, "larger than the host allows"},
    {ECHILD, "made before fork(), used in the child"},
    {EBUSY, "all requests are in use: release one"},
    {EREMOTEIO, "the handler failed"},
    {EOWNERDEAD, "the worker was lost"},
    {ECANCELED, "cancelled"},
    {EINPROGRESS, "has not ended yet"},
    {ESTALE, "the request's memory was taken away by its owner"},
};

PUBLIC const char *shmipc_version(void) {
    return SHMIPC_VERSION;
}

PUBLIC const char *shmipc_strerror(int error) {
    const char *text;

    if (error >= 0)
        return "no error";
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (-texts[i].error == error)
            return texts[i].text;
    text = error == INT_MIN ? NULL : strerrordesc_np(-error);
    return text ? text : "unknown error";
}

uint64_t lib_until(int64_t timeout_ns) {
    uint64_t until_ns;

    if (timeout_ns < 0 || __builtin_add_overflow(clock_now_ns(), (uint64_t)timeout_ns, &until_ns))
        return UINT64_MAX;
    return timeout_ns == 0 ? 0 : until_ns;
}

/* A program that was given more rights than its caller has does not let that decide how much it computes. */
uint64_t lib_spin_ns(void) {
    const char *text = secure_getenv("SHMIPC_POLL_US");
    char *end;
    unsigned long us;

    if (text && strcmp(text, "always") == 0)
        return SPIN_ALWAYS;
    if (!text || !isdigit((unsigned char)*text))
        return SPIN_AUTO;
    us = strtoul(text, &end, 10);
    return *end || us > SPIN_US_MAX ? SPIN_AUTO : us * NS_PER_US;
}

int lib_find_host(const char *host, char *path) {
    if (host && strchr(host, '/'))
        return snprintf(path, CHANNEL_PATH_MAX, "%s", host) < CHANNEL_PATH_MAX ? 0
                                                                               : error_origin(-ENAMETOOLONG);
    return endpoint_find(host ? host : endpoint_default_host(), path);
}

int lib_error_of(Reason reason) {
    switch (reason) {
    case REASON_NONE:
        return 0;
    case REASON_TIMED_OUT:
        return -ETIMEDOUT;
    case REASON_WORKER_LOST:
    case REASON_STOPPED:
        return -EOWNERDEAD;
    case REASON_HOST_LOST:
        return -ECONNRESET;
    case REASON_MEMORY_BUDGET:
        return -ENOMEM;
    case REASON_MEMORY_FULL:
        return -ENOSPC;
    case REASON_PAYLOAD_TOO_LARGE:
    case REASON_RESPONSE_TOO_LARGE:
        return -EMSGSIZE;
    case REASON_NOT_ALLOWED:
    case REASON_REFUSED:
        return -EACCES;
    case REASON_VERSION:
        return -EPROTO;
    case REASON_LIMIT:
        return -EUSERS;
    case REASON_NOT_FOUND:
        return -ENOENT;
    case REASON_HANDLER_FAILED:
    case REASON_HANDLER_KILLED:
    case REASON_HANDLER_NOT_STARTED:
    case REASON_BAD_REQUEST:
    case REASON_REQUEST_CHANGED:
    case REASON_PLAIN_PEER:
    case _REASON_N:
        break;
    }
    return -EREMOTEIO;
}

int lib_result(SlotState end, Reason reason) {
    switch (end) {
    case SLOT_DONE:
        return 0;
    case SLOT_CANCELLED:
        return -ECANCELED;
    case SLOT_EXPIRED:
        return -ETIMEDOUT;
    case SLOT_FRESH:
    case SLOT_WAITING:
    case SLOT_CLAIMED:
    case SLOT_FAILED:
        break;
    }
    return lib_error_of(reason);
}

/* As the daemon's log has it: SHMIPC_SEQUENCE. */
size_t lib_sequence(uint64_t client, uint32_t slot, uint32_t generation, char *buffer, size_t bytes) {
    char text[SEQUENCE_TEXT_MAX];

    return (size_t)snprintf(buffer, bytes, "%s", sequence_format(client, slot, generation, text));
}
