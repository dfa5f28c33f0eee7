/* SPDX-License-Identifier: MIT */
#include "own-host.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 4

static char folder[] = "/tmp/shmipc-bench-XXXXXX";
static char socket_path[64], config_path[64];
static pid_t children[CHILDREN_MAX];
static unsigned n_children;

/* The last one first: a worker goes before its host. */
static void end(void) {
    while (n_children > 0) {
        pid_t child = children[--n_children];

        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    unlink(config_path);
    rmdir(folder);
}

pid_t own_start(void) {
    pid_t parent = getpid(), child;

    if (n_children == CHILDREN_MAX)
        errx(EXIT_FAILURE, "too many children");
    child = fork();
    if (child < 0)
        err(EXIT_FAILURE, "fork");
    if (child > 0)
        return children[n_children++] = child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    return 0;
}

static void configure(const char *config) {
    FILE *file;

    if (!mkdtemp(folder))
        err(EXIT_FAILURE, "%s", folder);
    snprintf(socket_path, sizeof(socket_path), "%s/host.sock", folder);
    snprintf(config_path, sizeof(config_path), "%s/conf", folder);
    setenv("SHMIPC_SOCKET", socket_path, 1);
    file = fopen(config_path, "w");
    if (!file || fputs(config, file) < 0 || fclose(file) != 0)
        err(EXIT_FAILURE, "%s", config_path);
}

pid_t own_start_host(const char *config) {
    const char *program = getenv("SHMIPC");
    pid_t host;

    if (!program)
        errx(2, "SHMIPC is not set: it says which program is the host");
    configure(config);
    host = own_start();
    if (host == 0) {
        execl(program, "shmipc", "run", "host", "-c", config_path, NULL);
        _exit(127);
    }
    atexit(end);
    return host;
}

const char *own_socket(void) {
    return socket_path;
}
