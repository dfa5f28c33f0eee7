/* SPDX-License-Identifier: MIT */
/* shmipc top: hands over to the program of that name, which is built where there is a terminal library. */
#include "app/command.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "shmipc-top"

/* Beside this program, as it is built. Return: false if the path does not fit. */
static bool beside(char path[static PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    char *slash;

    if (length < 0 || length + (ssize_t)sizeof(PROGRAM) >= PATH_MAX)
        return false;
    path[length] = 0;
    slash = strrchr(path, '/');
    if (!slash || slash - path + 1 + (ssize_t)sizeof(PROGRAM) > PATH_MAX)
        return false;
    strcpy(slash + 1, PROGRAM);
    return true;
}

int command_top(int argc, char **argv) {
    char path[PATH_MAX];

    if (beside(path))
        execv(path, argv);
    execv(SHMIPC_LIBEXEC "/" PROGRAM, argv);
    if (errno == ENOENT)
        return command_fail(
            "top", EXIT_FAILURE,
            "this installation has no %s/%s: it was built without ncurses; `watch shmipc status` "
            "shows much of it",
            SHMIPC_LIBEXEC, PROGRAM);
    return command_fail("top", EXIT_FAILURE, "%s/%s: %s", SHMIPC_LIBEXEC, PROGRAM, strerror(errno));
}
