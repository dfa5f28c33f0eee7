/* SPDX-License-Identifier: MIT */
/* shmipc status: what a running host has and does, asked of it */
#include "app/command.h"
#include "app/metrics.h"
#include "app/status-instances.h"
#include "app/status-overview.h"
#include "app/status-tables.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "core/endpoint.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "Usage: shmipc status [OPTION...] [TABLE]\n"
    "\n"
    "Show what a running host has and does, what is wrong and what to do about it.\n"
    "\n"
    "  clients      who sends, what is in flight, how much memory they hold\n"
    "  workers      who answers, what each is busy with and for how long\n"
    "  slots        each exchange, and each slot that holds memory\n"
    "  memory       who holds how much: windows of clients, copies of workers\n"
    "  limits       how near they are; with -o +CURE what to do\n"
    "  latency      how long exchanges were queued, running, replied\n"
    "  instances    all hosts of this machine and their workers\n"
    "\n"
    "  -H, --host HOST       instead of $SHMIPC_HOST or `host`\n"
    "  -o, --output COLUMNS  of TABLE: NAME,... or +NAME,...; `help` names them\n"
    "  -n, --noheadings      tables without their heading\n"
    "  -j, --json            bytes and nanoseconds; without TABLE all tables\n"
    "      --openmetrics[=FILE]  for Prometheus; FILE is replaced in one go\n"
    "  -h, --help            this text\n"
    "\n"
    "Stable: keys of --json, names of columns and metrics. More of them may come.\n"
    "Exit status: 0 shown, 1 failed, 2 usage, 3 no such host or not running, 4 not\n"
    "allowed, 8 busy: a limit of the host is reached.\n";

typedef struct Wish {
    const char *host;
    const char *table; /* NULL: the overview */
    const char *columns;
    const char *metrics; /* a file for them, "" for standard output; NULL: none are wished */
    bool noheadings;
    bool json;
} Wish;

/* Those that have a name for people. Return: whether there is one of that name. */
static bool find_table(const char *name, StatusTable *ret) {
    for (StatusTable table = 0; table < TABLE_HOST; table++)
        if (!strcmp(status_table(table, NULL).name, name)) {
            *ret = table;
            return true;
        }
    return false;
}

static bool is_instances(const Wish *wish) {
    return wish->table && !strcmp(wish->table, instances_table().name);
}

static void list_columns(OutputTable table) {
    int at = printf("%-10s", table.name);

    for (size_t i = 0; i < table.n_columns; i++) {
        const char *title = table.columns[i].title;

        if (at + (int)strlen(title) >= 80)
            at = printf("\n%10s", "") - 1;
        at += printf(" %s", title);
    }
    putchar('\n');
}

static int show_columns(void) {
    for (StatusTable table = 0; table < TABLE_HOST; table++)
        list_columns(status_table(table, NULL));
    list_columns(instances_table());
    return EXIT_SUCCESS;
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...) {
    va_list arguments;

    fputs("shmipc status: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(" Try `shmipc status --help`.\n", stderr);
    return EXIT_USAGE;
}

static int check_columns(const Wish *wish, StatusTable table) {
    OutputTable checked = is_instances(wish) ? instances_table() : status_table(table, NULL);
    _cleanup_free_ char *fault = NULL;

    if (!wish->columns || output_check_wish(&checked, wish->columns, &fault) == 0)
        return EXIT_SUCCESS;
    if (!fault)
        return usage("-o names too many columns.");
    return usage("`%s` is no column of `%s`; `shmipc status -o help` names them.", fault, checked.name);
}

/* The new file takes the place of what is there, be it /dev/null. Return: 0 or an exit status. */
static int check_file(const char *path) {
    struct stat is;

    if (lstat(path, &is) < 0 || S_ISREG(is.st_mode))
        return EXIT_SUCCESS;
    return command_fail("status", EXIT_FAILURE,
                        "%s is a directory, a device, a pipe or a link, and would be replaced; without =FILE "
                        "--openmetrics writes to standard output",
                        path);
}

/* Return: 0 with the table, or an exit status. */
static int check(const Wish *wish, StatusTable *ret_table) {
    StatusTable table = TABLE_HOST;

    if (wish->columns && !wish->table)
        return usage("-o goes with a table, as in `shmipc status -o %s workers`.", wish->columns);
    if (wish->table && !is_instances(wish) && !find_table(wish->table, &table))
        return usage("there is no table `%s`: clients, workers, slots, memory, limits, latency or instances.",
                     wish->table);
    if (wish->metrics && (wish->table || wish->json || wish->noheadings))
        return usage("--openmetrics goes with no table and no other form.");
    *ret_table = table;
    return wish->metrics ? check_file(wish->metrics) : check_columns(wish, table);
}

static int show_json(const StatusRows *rows) {
    const OutputTable tables[] = {
        status_table(TABLE_HOST, rows),  status_table(TABLE_CLIENTS, rows), status_table(TABLE_WORKERS, rows),
        status_table(TABLE_SLOTS, rows), status_table(TABLE_MEMORY, rows),  status_table(TABLE_LIMITS, rows),
        status_table(TABLE_LATENCY, rows),
    };

    return output_json(tables, ELEMENTS(tables), stdout);
}

static int show_one(const Wish *wish, OutputTable table) {
    table.wish = wish->columns;
    table.noheadings = wish->noheadings;
    if (wish->json)
        return output_json(&table, 1, stdout);
    if (table.n_rows == 0)
        return printf("No %s.\n", table.name) < 0 ? -EIO : 0;
    return output_people(&table, stdout);
}

static int show(const Wish *wish, StatusTable table, const Status *status) {
    _cleanup_(rows_deinit) StatusRows rows;
    int r = rows_init(&rows, status);

    if (r < 0)
        return r;
    if (wish->table)
        return show_one(wish, status_table(table, &rows));
    if (wish->metrics)
        return metrics_write(&rows, wish->metrics);
    return wish->json ? show_json(&rows) : overview_show(&rows, wish->noheadings);
}

/* Return: an exit status. */
static int written(int r) {
    if (r < 0)
        return command_fail("status", EXIT_FAILURE, "writing what it said: %s", strerror(-r));
    return EXIT_SUCCESS;
}

static int ask_and_show(const Wish *wish, StatusTable table) {
    _cleanup_(status_hang_up) StatusLine line = STATUS_LINE_NULL;
    _cleanup_(status_deinit) Status status = {0};
    bool slots = wish->table ? table == TABLE_SLOTS : wish->json;
    char path[CHANNEL_PATH_MAX] = "";
    int r = endpoint_find(wish->host, path);

    if (r == 0)
        r = status_connect(&line, path, "shmipc status");
    if (r == 0)
        r = status_ask(&line, slots, &status);
    if (r < 0)
        return status_explain("status", r, &status, wish->host, path);
    return written(show(wish, table, &status));
}

/* Return: 0 to go on; the exit status + 1 to end with it. */
static int take_option(Wish *wish, int option) {
    switch (option) {
    case 'H':
        wish->host = optarg;
        return 0;
    case 'o':
        wish->columns = optarg;
        return strcmp(optarg, "help") == 0 ? show_columns() + 1 : 0;
    case 'n':
        wish->noheadings = true;
        return 0;
    case 'j':
        wish->json = true;
        return 0;
    case 'M':
        wish->metrics = optarg ? optarg : "";
        return 0;
    case 'h':
        fputs(help, stdout);
        return EXIT_SUCCESS + 1;
    default:
        fputs("Try `shmipc status --help`.\n", stderr);
        return EXIT_USAGE + 1;
    }
}

int command_status(int argc, char **argv) {
    static const struct option options[] = {
        {"host", required_argument, NULL, 'H'}, {"output", required_argument, NULL, 'o'},
        {"noheadings", no_argument, NULL, 'n'}, {"json", no_argument, NULL, 'j'},
                                            {"openmetrics", optional_argument, NULL, 'M'},
        {"help", no_argument, NULL, 'h'},       {0}};
    Wish wish = {.host = endpoint_default_host()};
    StatusTable table = TABLE_HOST;
    int option, r;

    while ((option = getopt_long(argc, argv, "H:o:njh", options, NULL)) >= 0) {
        r = take_option(&wish, option);
        if (r > 0)
            return r - 1;
    }
    wish.table = argv[optind];
    if (wish.table && argv[optind + 1])
        return usage("takes one table at a time.");
    r = check(&wish, &table);
    if (r != EXIT_SUCCESS)
        return r;
    if (is_instances(&wish))
        return written(instances_show(wish.columns, wish.noheadings, wish.json));
    return ask_and_show(&wish, table);
}
