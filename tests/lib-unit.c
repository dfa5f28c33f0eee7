/* SPDX-License-Identifier: MIT */
#include "lib-unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/shmipc-lib-XXXXXX";
static char socket_path[64], config_path[64];
pid_t lib_host_pid;

void host_configure(const char *host_settings) {
    FILE *file = fopen(config_path, "w");

    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "host: { role = \"host\"; parked = \"0\"; max_deaths = 0; log_level = \"err\"; max_payload = "
            "\"64M\"; "
            "requests_per_client = 4; %s };\n",
            host_settings);
    ck_assert_int_eq(fclose(file), 0);
}

void host_start(void) {
    ck_assert_ptr_nonnull(getenv("SHMIPC"));
    lib_host_pid = fork();
    ck_assert_int_ge(lib_host_pid, 0);
    if (lib_host_pid == 0) {
        execl(getenv("SHMIPC"), "shmipc", "run", "host", "-c", config_path, NULL);
        _exit(127);
    }
    for (;;) { /* the socket is there a moment before somebody listens on it */
        shmipc_client *client = NULL;
        int r = shmipc_connect(&client, socket_path, PATIENT);

        shmipc_close(client);
        if (r != -ENOENT && r != -ECONNREFUSED)
            break;
        ck_assert_int_eq(waitpid(lib_host_pid, NULL, WNOHANG), 0);
    }
}

void host_end(int signal_number) {
    kill(lib_host_pid, signal_number);
    waitpid(lib_host_pid, NULL, 0);
    if (signal_number == SIGKILL)
        unlink(socket_path);
}

void lib_set_up(void) {
    strcpy(folder, "/tmp/shmipc-lib-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/host.sock", folder);
    snprintf(config_path, sizeof(config_path), "%s/conf", folder);
    setenv("SHMIPC_SOCKET", socket_path, 1);
    host_configure("");
    host_start();
}

void lib_tear_down(void) {
    host_end(SIGTERM);
    unlink(config_path);
    ck_assert_int_eq(rmdir(folder), 0);
}

shmipc_client *client_of_host(void) {
    shmipc_client *client;

    ck_assert_int_eq(shmipc_connect(&client, NULL, PATIENT), 0);
    return client;
}
