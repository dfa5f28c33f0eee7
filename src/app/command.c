/* SPDX-License-Identifier: MIT */
#include "app/command.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line, whatever is named in it: who has named a file may want to steer the terminal of whoever reads its
 * name, or to write lines of his own. */
static void put_plain(const char *text) {
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++)
        fputc(text[i] == '\n' || text[i] == '\t'                  ? ' '
              : (unsigned char)text[i] < ' ' || text[i] == '\x7f' ? '?'
                                                                  : text[i],
              stderr);
}

int command_fail(const char *command, int status, const char *text, ...) {
    _cleanup_free_ char *line = NULL;
    va_list arguments;

    va_start(arguments, text);
    if (vasprintf(&line, text, arguments) < 0)
        line = NULL;
    va_end(arguments);
    fprintf(stderr, "shmipc%s%s: ", command ? " " : "", command ? command : "");
    put_plain(line ? line : text);
    fputc('\n', stderr);
    return status;
}

static int write_error; /* of standard output; 0 for none that is known */

static bool note_write(bool succeeded) {
    if (!succeeded)
        write_error = errno;
    return succeeded;
}

bool command_write(const void *data, size_t bytes) {
    return note_write(fwrite(data, 1, bytes, stdout) == bytes);
}

bool command_flush(void) {
    return note_write(fflush(stdout) == 0);
}

/* Of a write that has failed before only the fact is known, unless the next one fails for it, too. */
int command_end(const char *command, int status, int lost) {
    bool failed = ferror(stdout) != 0;

    errno = write_error;
    if (fclose(stdout) == 0 && !failed)
        return status;
    command_fail(command, lost, "cannot write standard output%s%s; what it says is not complete",
                 errno ? ": " : "", errno ? strerror(errno) : "");
    return status == EXIT_SUCCESS ? lost : status;
}

int command_no_host(const char *command, const char *host, const char *path) {
    return command_fail(command, EXIT_NO_HOST,
                        "there is no host `%s` at %s; start it, as in `systemctl start shmipc@%s`", host,
                        path, host);
}

bool command_catch(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;

    return sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN &&
           sigaction(number, &action, NULL) == 0;
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

int command_refused(const char *command, Reason reason, const char *text) {
    return command_fail(command, command_status_of(reason), "refused by the host: %s%s", text,
                        reason == REASON_VERSION ? " (this is shmipc " SHMIPC_VERSION ")" : "");
}
