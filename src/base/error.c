/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct Origin {
    const char *file;
    const char *function;
    int line;
    int error;
} Origin;

static _Thread_local Origin latest;

int error_origin_at(int r, const char *file, int line, const char *function) {
    if (r < 0)
        latest = (Origin){.file = file, .function = function, .line = line, .error = -r};
    return r;
}

int error_errno_at(const char *file, int line, const char *function) {
    return error_origin_at(errno > 0 ? -errno : -EIO, file, line, function);
}

int error_memory_at(const char *file, int line, const char *function) {
    return errno == EAGAIN ? error_origin_at(-ENOMEM, file, line, function)
                           : error_errno_at(file, line, function);
}

const char *error_where(void) {
    static _Thread_local char text[256];

    if (!latest.file)
        return "";
    snprintf(text, sizeof(text), "%s:%d %s: %s", latest.file, latest.line, latest.function,
             strerror(latest.error));
    return text;
}
