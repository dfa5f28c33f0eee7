/* SPDX-License-Identifier: MIT */
#include "app/budget.h"
#include "app/command.h"
#include "app/config-faults.h"
#include "app/config-print.h"
#include "app/config.h"
#include "app/job.h"
#include "base/units.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: shmipc check [-c FILE]\n"
    "\n"
    "Check the configuration and show the instances that it makes, or everything that\n"
    "is wrong with it as FILE:LINE: what is wrong, what is allowed.\n"
    "\n"
    "  -c, --config FILE    instead of " SHMIPC_CONFIG_FILE "\n"
    "      --print-sample   print a file with every setting and its default\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0 it is valid, 78 it is not, 2 usage.\n";

/* --print-manual is for those who write the manual page. */
enum {
    OPTION_PRINT_SAMPLE = 256,
    OPTION_PRINT_MANUAL,
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"print-sample", no_argument, NULL, OPTION_PRINT_SAMPLE},
    {"print-manual", no_argument, NULL, OPTION_PRINT_MANUAL},
    {NULL, 0, NULL, 0},
};

static void print_host(const HostSettings *host) {
    char payload[UNITS_TEXT_MAX], memory[UNITS_TEXT_MAX];

    printf("payloads up to %s, %s of memory, %" PRIu32 " clients with %" PRIu32 " requests each\n",
           size_format(host->max_payload, payload), size_format(host->memory, memory), host->max_clients,
           host->requests_per_client);
}

/* As it could be typed, more or less: quotes only where they matter. */
static void print_argument(const char *argument) {
    char quoted[QUOTED_TEXT_MAX];
    size_t plain =
        strspn(argument, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./=:,+@%");

    printf(" %s", *argument && !argument[plain] ? argument : text_quoted(argument, quoted));
}

static void print_plugin(const HandlerSettings *handler) {
    char quoted[QUOTED_TEXT_MAX];

    print_argument(handler->path);
    for (size_t i = 0; i < handler->plugin.n; i++)
        printf(" %s=%s", handler->plugin.list[i].key, text_quoted(handler->plugin.list[i].value, quoted));
}

static void print_handler(const HandlerSettings *handler) {
    static const char *const names[] = {
        [HANDLER_ECHO] = "echo",
        [HANDLER_EXEC] = "exec",
        [HANDLER_PLAIN] = "plain",
        [HANDLER_PLUGIN] = "plugin",
    };

    printf("%s", names[handler->type]);
    if (handler->type == HANDLER_EXEC)
        for (char **argument = handler->command; *argument; argument++)
            print_argument(*argument);
    if (handler->type == HANDLER_PLUGIN)
        print_plugin(handler);
    if (handler->type == HANDLER_PLAIN)
        printf(" %s %s %s", handler->plain.host_queue, handler->plain.worker_queue, handler->plain.segment);
}

static void print_worker(const Config *config, const WorkerSettings *worker) {
    char timeout[UNITS_TEXT_MAX];
    Instance host;

    if (worker->wire == WIRE_PLAIN)
        printf("plain wire %s %s %s", worker->plain.host_queue, worker->plain.worker_queue,
               worker->plain.segment);
    else if (config_instance(config, worker->serves, &host) == 0)
        printf("serves %s", worker->serves);
    else
        printf("serves %s (not in this file)", worker->serves);
    printf(", handler ");
    print_handler(&worker->handler);
    printf(", timeout %s\n", duration_format(worker->timeout_ns, timeout));
}

static void print_instances(const Config *config) {
    for (size_t i = 0; i < config_count(config); i++) {
        Instance instance;

        config_at(config, i, &instance);
        printf("%s: %s, ", instance.name, instance.host ? "host" : "worker");
        if (instance.host)
            print_host(instance.host);
        else
            print_worker(config, instance.worker);
    }
}

/* What the file cannot know: it is valid all the same. */
static void warn_of_budgets(const Config *config) {
    if (access("/run/systemd/system", F_OK) < 0)
        return;
    for (size_t i = 0; i < config_count(config); i++) {
        char text[BUDGET_TEXT_MAX];
        Instance instance;
        JobUnit unit;

        config_at(config, i, &instance);
        if (instance.host && job_unit_read(instance.name, &unit) == 0 &&
            budget_exceeds(instance.host, unit.memory_max, text))
            fprintf(stderr, "shmipc check: warning: %s: %s\n", instance.name, text);
    }
}

static void print_faults(const Config *config) {
    const ConfigFault *faults;
    size_t n = config_faults(config, &faults);

    for (size_t i = 0; i < n; i++)
        if (faults[i].line > 0)
            fprintf(stderr, "%s:%u: %s\n", faults[i].file, faults[i].line, faults[i].text);
        else
            fprintf(stderr, "%s: %s\n", faults[i].file, faults[i].text);
}

static int check(const char *path) {
    _cleanup_(config_freep) Config *config = NULL;
    int r = config_load(&config, path);

    if (r < 0) {
        fprintf(stderr, "shmipc check: %s\n", strerror(-r));
        return EXIT_FAILURE;
    }
    if (r == CONFIG_FAULTY) {
        print_faults(config);
        return EXIT_CONFIG;
    }
    if (config_is_builtin(config))
        fprintf(stderr, "shmipc check: there is no %s; this is the built-in configuration\n",
                config_path(config));
    print_instances(config);
    warn_of_budgets(config);
    return EXIT_SUCCESS;
}

static int refuse_usage(const char *what, const char *problem) {
    fprintf(stderr, "shmipc check: %s %s. Try `shmipc check --help`.\n", what, problem);
    return EXIT_USAGE;
}

static int refuse_option(int option, char **argv) {
    const char letter[] = {'-', (char)optopt, '\0'};
    const char *what = optopt > 0 && optopt < OPTION_PRINT_SAMPLE ? letter : argv[optind - 1];

    return refuse_usage(what, option == ':' ? "needs a file" : "is no option");
}

int command_check(int argc, char **argv) {
    const char *path = NULL;
    int option;

    optind = 0; /* the caller may have used getopt */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1)
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case OPTION_PRINT_SAMPLE:
            config_print_sample(stdout);
            return EXIT_SUCCESS;
        case OPTION_PRINT_MANUAL:
            config_print_manual(stdout);
            return EXIT_SUCCESS;
        default:
            return refuse_option(option, argv);
        }
    if (optind < argc)
        return refuse_usage(argv[optind], "is too much; a file is given with -c");
    return check(path);
}
