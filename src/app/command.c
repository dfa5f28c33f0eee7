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
