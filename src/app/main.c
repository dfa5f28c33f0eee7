/* SPDX-License-Identifier: MIT */
#include "app/command.h"

#include "base/cleanup.h"
#include "os/descriptor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    int lost; /* the exit status when its output could not be written */
    const char *summary;
} commands[] = {
    {"run", command_run, EXIT_FAILURE, "run the host or a worker"},
    {"call", command_call, EXIT_LOCAL, "send a file or standard input, print the response"},
    {"parked", command_parked, EXIT_FAILURE, "what workers did not survive: see it, send it again, drop it"},
    {"status", command_status, EXIT_FAILURE, "show what a running host has and does"},
    {"top", command_top, EXIT_FAILURE, "show it again and again, on the whole screen"},
    {"trace", command_trace, EXIT_FAILURE, "follow exchanges as they end, a line each"},
    {"bench", command_bench, EXIT_LOCAL, "measure how fast exchanges are"},
    {"check", command_check, EXIT_FAILURE, "check the configuration"},
    {"doctor", command_doctor, EXIT_FAILURE, "say what is wrong on this machine, and what mends it"},
};

static int show_help(void) {
    puts("Usage: shmipc COMMAND [ARGUMENT...]\n"
         "\n"
         "Hand blocks of data to workers on this machine, and get their answers, through\n"
         "shared memory.\n");
    for (size_t i = 0; i < ELEMENTS(commands); i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    puts("\n"
         "  -h, --help       this text; `shmipc COMMAND --help` says more\n"
         "      --version    the version\n"
         "\n"
         "The guide is shmipc(7). Configuration: " SHMIPC_CONFIG_FILE ", see shmipc.conf(5).");
    return EXIT_SUCCESS;
}

/* What getopt() complains about it says of argv[0]: the whole command, as the user knows it. */
static int run_command(size_t i, int argc, char **argv) {
    static char name[32];

    (void)snprintf(name, sizeof(name), "shmipc %s", commands[i].name);
    argv[0] = name;
    return command_end(commands[i].name, commands[i].run(argc, argv), commands[i].lost);
}

int main(int argc, char **argv) {
    if (descriptor_guard_standard() < 0) {
        perror("shmipc: /dev/null in the place of a standard descriptor");
        return EXIT_FAILURE;
    }
    if (argc < 2) {
        fputs("shmipc: say what to do, as in `shmipc call`. Try `shmipc --help`.\n", stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return command_end(NULL, show_help(), EXIT_FAILURE);
    if (!strcmp(argv[1], "--version")) {
        puts("shmipc " SHMIPC_VERSION);
        return command_end(NULL, EXIT_SUCCESS, EXIT_FAILURE);
    }
    for (size_t i = 0; i < ELEMENTS(commands); i++)
        if (!strcmp(argv[1], commands[i].name))
            return run_command(i, argc - 1, argv + 1);
    fprintf(stderr, "shmipc: there is no command `%s`. Try `shmipc --help`.\n", argv[1]);
    return EXIT_USAGE;
}
