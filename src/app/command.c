/* SPDX-License-Identifier: MIT */
#include "app/command.h"

#include <stdarg.h>
#include <stdio.h>

int command_fail(const char *command, int status, const char *text, ...) {
    va_list arguments;

    fprintf(stderr, "shmipc %s: ", command);
    va_start(arguments, text);
    vfprintf(stderr, text, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return status;
}

int command_status_of(Reason reason) {
    switch ((int)reason) {
    case REASON_TIMED_OUT:
        return EXIT_TIMED_OUT;
    case REASON_WORKER_LOST:
    case REASON_STOPPED:
        return EXIT_WORKER_LOST;
    case REASON_HOST_LOST:
        return EXIT_NO_HOST;
    case REASON_MEMORY_BUDGET:
    case REASON_MEMORY_FULL:
    case REASON_PAYLOAD_TOO_LARGE:
    case REASON_RESPONSE_TOO_LARGE:
        return EXIT_NO_MEMORY;
    case REASON_LIMIT:
        return EXIT_BUSY;
    case REASON_VERSION:
        return EXIT_NO_HOST;
    case REASON_NOT_ALLOWED:
    case REASON_REFUSED:
        return EXIT_NOT_ALLOWED;
    default:
        return EXIT_HANDLER;
    }
}
