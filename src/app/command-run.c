/* SPDX-License-Identifier: MIT */
/* shmipc run: the daemon */
#include "app/command.h"
#include "app/log.h"
#include "app/message-ids.h"
#include "app/run.h"

#include "base/error.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: shmipc run NAME [-c FILE]\n"
    "\n"
    "Run the instance NAME as the host or worker that its group in the configuration\n"
    "says. `NAME-2`, `NAME-3` … are more copies of a worker NAME. In a terminal,\n"
    "Ctrl-C stops it; under systemd it is started as shmipc@NAME.\n"
    "\n"
    "  -c, --config FILE   instead of " SHMIPC_CONFIG_FILE "\n"
    "  -h, --help          this text\n"
    "\n"
    "Exit status: 0 stopped when told to, 1 failed, 2 usage, 78 the configuration is\n"
    "not valid.\n";

static void log_faults(const Config *config) {
    const ConfigFault *faults;
    size_t n = config_faults(config, &faults);

    for (size_t i = 0; i < n; i++) {
        if (faults[i].line)
            log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "%s:%u: %s", faults[i].file, faults[i].line,
                     faults[i].text);
        else
            log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "%s: %s", faults[i].file, faults[i].text);
    }
}

/*
 * Read the configuration and find the instance. Return: 0; a positive code when the file is at fault, which
 * was logged; or negative errno.
 */
static int load(Run *run, Config **ret_config, Instance *ret_instance) {
    _cleanup_(config_freep) Config *config = NULL;
    char text[256];
    int r = config_load(&config, run->file);

    if (r < 0)
        return r;
    if (r > 0) {
        log_faults(config);
        return r;
    }
    r = config_instance(config, run->name, ret_instance);
    if (r > 0) {
        log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "%s",
                 config_explain_missing(config, run->name, text, sizeof(text)));
        return r;
    }
    *ret_config = TAKE(config);
    return 0;
}

bool run_reload(Run *run, Config **ret_old) {
    Config *config;
    Instance instance;
    int r = load(run, &config, &instance);

    if (r == 0 && instance.role != run->instance.role) {
        log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID,
                 "the role of a running instance cannot change: restart it");
        config_free(config);
        r = CONFIG_FAULTY;
    }
    if (r < 0)
        log_line(LOG_ERR, NULL, "cannot reload: %s", strerror(-r));
    if (r != 0) {
        log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "not reloaded: everything stays as it was");
        return false;
    }
    *ret_old = run->config;
    run->config = config;
    run->instance = instance;
    log_set_level(instance.log_level);
    log_line(LOG_INFO, MESSAGE_ID_CONFIG_RELOADED, "reloaded %s", config_path(config));
    return true;
}

void run_revert(Run *run, Config **old) {
    Config *refused = run->config;

    run->config = *old;
    *old = refused;
    (void)config_instance(run->config, run->name, &run->instance); /* it was there */
    log_set_level(run->instance.log_level);
    log_line(LOG_ERR, MESSAGE_ID_CONFIG_INVALID, "the reload is taken back: everything is as it was before");
}

static int run(Run *run) {
    int status;
    int r = load(run, &run->config, &run->instance);

    if (r != 0) {
        if (r < 0)
            log_line(LOG_ERR, NULL, "cannot read the configuration: %s", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_CONFIG;
    }
    log_set_level(run->instance.log_level);
    if (config_is_builtin(run->config))
        log_line(LOG_INFO, NULL,
                 "there is no %s: running on the built-in configuration (`host`, and `worker` that echoes)",
                 config_path(run->config));
    status = run->instance.role == ROLE_HOST ? run_host(run) : run_worker(run);
    run->config = config_free(run->config);
    return status;
}

int command_run(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    Run state = {0};
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
        switch (option) {
        case 'c':
            state.file = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("Try `shmipc run --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc - 1) {
        fputs("shmipc run: name one instance, as in `shmipc run host`. Try `shmipc run --help`.\n", stderr);
        return EXIT_USAGE;
    }
    state.name = argv[optind];
    log_open(state.name, LOG_INFO);
    return run(&state);
}
