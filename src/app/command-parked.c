/* SPDX-License-Identifier: MIT */
/*
 * shmipc parked: what a host has kept of requests that workers did not survive. Works on the files; the host
 * need not run.
 */
#include "app/command.h"
#include "app/output.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "core/endpoint.h"
#include "core/parking.h"
#include "os/file.h"
#include "wire/reason.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PIECE_BYTES 65536u
#define WHEN_BYTES  32u

#define fail(status, ...) command_fail("parked", status, __VA_ARGS__)

static const char help[] =
    "Usage: shmipc parked list [-H HOST] [--json] [--noheadings]\n"
    "       shmipc parked show [-H HOST] [--json | --payload] ID\n"
    "       shmipc parked retry [-H HOST] [-t SECONDS] [-o OUT] ID\n"
    "       shmipc parked drop [-H HOST] ID... | --all\n"
    "\n"
    "Requests that killed each worker they were given to are kept in the state folder\n"
    "of their host. See them, have them answered, or remove them; as root or as the\n"
    "user of the host.\n"
    "\n"
    "  list                  one line for each, the oldest first\n"
    "  show                  all that is known of one\n"
    "  retry                 send it again; it is dropped when it is answered\n"
    "  drop                  remove it\n"
    "  -H, --host HOST       instead of $SHMIPC_HOST or `host`\n"
    "  -j, --json            for programs: sizes in bytes, times in microseconds\n"
    "  -n, --noheadings      without the line of titles\n"
    "  -p, --payload         write the request itself to standard output\n"
    "  -t, --timeout, -o, --output   as of `shmipc call`\n"
    "  -a, --all             every one\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0 done, 1 failed or no such request, 2 usage, 4 not allowed; of\n"
    "retry, that of `shmipc call`.\n";

typedef struct Order {
    const char *host;
    const char *timeout;
    const char *output;
    bool json;
    bool noheadings;
    bool payload;
    bool all;
    char **ids;
    int n_ids;
    char path[PARKING_PATH_MAX];
} Order;

/* What went wrong with one of them, or (NULL) with all. */
static int explain(const Order *order, int r, const char *id) {
    if (r == -EACCES || r == -EPERM)
        return fail(EXIT_NOT_ALLOWED, "%s: permission denied; run as root or as the user of the host `%s`",
                    order->path, order->host);
    if (id && r == -ENOENT)
        return fail(EXIT_FAILURE, "the host `%s` has parked no request %s; see `shmipc parked list`",
                    order->host, id);
    if (id && r == -EBADMSG)
        return fail(EXIT_FAILURE,
                    "%s/%s is damaged: it is not what a host has written; `shmipc parked drop %s` removes it",
                    order->path, id, id);
    return fail(EXIT_FAILURE, "%s: %s", order->path, strerror(-r));
}

/* --- list --- */

/* One of them, in words. */
typedef struct Row {
    Parked parked;
    char id[PARKED_ID_BYTES];
    char when[WHEN_BYTES];
    char why[PARKED_WHY_BYTES + 40];
} Row;

static void describe(const Parked *parked, Row *row) {
    time_t seconds = (time_t)(parked->time_us / 1000000);
    struct tm parts;

    row->parked = *parked;
    parked_id(parked, row->id);
    row->when[0] = '\0';
    if (localtime_r(&seconds, &parts))
        strftime(row->when, sizeof(row->when), "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(row->why, sizeof(row->why), "%s: %s", reason_name((Reason)parked->reason), parked->why);
}

#define CELL(name, expression)                                                                               \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){expression};                                                                     \
    }

static const char *last_worker(const Row *row) {
    return row->parked.n_workers ? row->parked.workers[row->parked.n_workers - 1].name : "-";
}

CELL(cell_id, .text = row->id)
CELL(cell_when, .text = row->when)
CELL(cell_time, .number = row->parked.time_us)
CELL(cell_uid, .number = row->parked.uid)
CELL(cell_pid, .number = row->parked.pid)
CELL(cell_program, .text = row->parked.program)
CELL(cell_bytes, .number = row->parked.payload_bytes)
CELL(cell_kept, .number = row->parked.kept_bytes)
CELL(cell_attempts, .number = row->parked.n_workers)
CELL(cell_worker, .text = last_worker(row))
CELL(cell_why, .text = row->why)

static const OutputColumn columns[] = {
    {"ID", "id", OUTPUT_TEXT, cell_id},
    {"WHEN", "when", OUTPUT_TEXT, cell_when},
    {NULL, "time_us", OUTPUT_NUMBER, cell_time},
    {"UID", "uid", OUTPUT_NUMBER, cell_uid},
    {NULL, "pid", OUTPUT_NUMBER, cell_pid},
    {"PROGRAM", "program", OUTPUT_TEXT, cell_program},
    {"BYTES", "payload_bytes", OUTPUT_BYTES, cell_bytes},
    {NULL, "kept_bytes", OUTPUT_BYTES, cell_kept},
    {NULL, "attempts", OUTPUT_NUMBER, cell_attempts},
    {"WORKER", "worker", OUTPUT_TEXT, cell_worker},
    {"WHY", "why", OUTPUT_TEXT, cell_why},
};

static OutputCell cell_number(const void *data) {
    return (OutputCell){.number = ((const ParkedWorker *)data)->number};
}
static OutputCell cell_worker_pid(const void *data) {
    return (OutputCell){.number = ((const ParkedWorker *)data)->pid};
}
static OutputCell cell_worker_name(const void *data) {
    return (OutputCell){.text = ((const ParkedWorker *)data)->name};
}
static OutputCell cell_worker_end(const void *data) {
    return (OutputCell){.text = ((const ParkedWorker *)data)->killed ? "killed by the host" : "died"};
}

static const OutputColumn worker_columns[] = {
    {"WORKER", "worker", OUTPUT_NUMBER, cell_number},
    {"PID", "pid", OUTPUT_NUMBER, cell_worker_pid},
    {"INSTANCE", "instance", OUTPUT_TEXT, cell_worker_name},
    {"END", "end", OUTPUT_TEXT, cell_worker_end},
};

static int show_rows(const Order *order, const Row *rows, size_t n) {
    const OutputTable table = {"parked", columns,       ELEMENTS(columns), rows,
                               n,        sizeof(*rows), order->noheadings};

    if (order->json)
        return output_json(&table, 1, stdout);
    if (n > 0)
        return output_people(&table, stdout);
    if (!order->noheadings)
        puts("No request is parked.");
    return 0;
}

static int list(Order *order) {
    _cleanup_(parking_list_deinit) ParkingList found = {0};
    _cleanup_free_ Row *rows = NULL;
    int r = parking_list(order->path, &found);

    if (r < 0)
        return explain(order, r, NULL);
    rows = calloc(found.n + 1, sizeof(*rows));
    if (!rows)
        return explain(order, -ENOMEM, NULL);
    for (size_t i = 0; i < found.n; i++)
        describe(&found.list[i], &rows[i]);
    r = show_rows(order, rows, found.n);
    for (size_t i = 0; i < found.n_damaged; i++)
        explain(order, -EBADMSG, found.damaged[i]);
    return r < 0 ? fail(EXIT_FAILURE, "writing what is parked: %s", strerror(-r)) : EXIT_SUCCESS;
}

/* --- show --- */

static int write_payload(const Order *order, const char *id, const Parked *parked, int fd) {
    char data[PIECE_BYTES];

    for (uint64_t at = 0, n; at < parked->kept_bytes; at += n) {
        int r;

        n = parked->kept_bytes - at < sizeof(data) ? parked->kept_bytes - at : sizeof(data);
        r = file_read(fd, PARKED_HEAD_BYTES + at, data, n);
        if (r < 0)
            return explain(order, r == -ENODATA ? -EBADMSG : r, id);
        if (!command_write(data, n))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int show_people(const Row *row, const OutputTable *workers) {
    const Parked *parked = &row->parked;
    char sizes[2][UNITS_TEXT_MAX];

    printf("Request %s, parked %s\n", row->id, row->when);
    printf("  from      user %" PRIu32 ", %s, pid %" PRIu32 ", client %" PRIu64 "\n", parked->uid,
           parked->program, parked->pid, parked->client);
    printf("  payload   %s", size_format(parked->payload_bytes, sizes[0]));
    if (parked->kept_bytes < parked->payload_bytes)
        printf(", of which %s are kept: the client took the rest away",
               size_format(parked->kept_bytes, sizes[1]));
    printf("\n  why       %s\n\n", row->why);
    if (workers->n_rows)
        return output_people(workers, stdout);
    puts("Which workers had it is not known.");
    return 0;
}

static int show(Order *order) {
    _cleanup_close_ int fd = -1;
    const char *id = order->ids[0];
    Parked parked = {0};
    Row row;
    int r = parking_open(order->path, id, &parked, &fd);
    const OutputTable tables[] = {
        {"parked", columns, ELEMENTS(columns), &row, 1, sizeof(row), false},
        {"workers", worker_columns, ELEMENTS(worker_columns), parked.workers, parked.n_workers,
         sizeof(ParkedWorker), false},
    };

    if (r < 0)
        return explain(order, r, id);
    if (order->payload)
        return write_payload(order, id, &parked, fd);
    describe(&parked, &row);
    r = order->json ? output_json(tables, ELEMENTS(tables), stdout) : show_people(&row, &tables[1]);
    return r < 0 ? fail(EXIT_FAILURE, "writing what is parked: %s", strerror(-r)) : EXIT_SUCCESS;
}

/* --- retry, drop --- */

/* One that was there a moment ago. Return: 0, also if it is gone by now, or negative errno. */
static int drop_found(const Order *order, const char *id) {
    int r = parking_drop(order->path, id);

    return r == -ENOENT ? 0 : r;
}

static int retry(Order *order) {
    _cleanup_close_ int fd = -1;
    const char *id = order->ids[0];
    Parked parked;
    int r = parking_open(order->path, id, &parked, &fd);

    if (r < 0)
        return explain(order, r, id);
    if (parked.kept_bytes < parked.payload_bytes)
        return fail(EXIT_FAILURE,
                    "%s cannot be retried: its client took a part of it away while it was parked", id);
    r = call_again(order->host, fd, PARKED_HEAD_BYTES, parked.user, order->output, order->timeout);
    if (r != EXIT_SUCCESS)
        return r;
    r = drop_found(order, id);
    return r < 0 ? explain(order, r, id) : EXIT_SUCCESS;
}

static int drop_all(Order *order) {
    _cleanup_(parking_list_deinit) ParkingList found = {0};
    char id[PARKED_ID_BYTES];
    int r = parking_list(order->path, &found);

    for (size_t i = 0; r >= 0 && i < found.n; i++)
        r = drop_found(order, parked_id(&found.list[i], id));
    for (size_t i = 0; r >= 0 && i < found.n_damaged; i++)
        r = drop_found(order, found.damaged[i]);
    return r < 0 ? explain(order, r, NULL) : EXIT_SUCCESS;
}

static int drop(Order *order) {
    int status = EXIT_SUCCESS;

    if (order->all)
        return drop_all(order);
    for (int i = 0; i < order->n_ids; i++) {
        int r = parking_drop(order->path, order->ids[i]);

        if (r < 0)
            status = explain(order, r, order->ids[i]);
    }
    return status;
}

/* --- the command --- */

static const struct {
    const char *name;
    int (*run)(Order *order);
    int min_ids;
    int max_ids;
} actions[] = {
    {"list", list, 0, 0},
    {"show", show, 1, 1},
    {"retry", retry, 1, 1},
    {"drop", drop, 1, INT32_MAX},
};

/* Return: 0, -1 if help was shown, or an exit status. */
static int parse(int argc, char **argv, Order *order) {
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"noheadings", no_argument, NULL, 'n'},
                                            {"payload", no_argument, NULL, 'p'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "H:jnpt:o:ah", options, NULL)) >= 0) {
        order->host = option == 'H' ? optarg : order->host;
        order->timeout = option == 't' ? optarg : order->timeout;
        order->output = option == 'o' ? optarg : order->output;
        order->json = order->json || option == 'j';
        order->noheadings = order->noheadings || option == 'n';
        order->payload = order->payload || option == 'p';
        order->all = order->all || option == 'a';
        if (option == 'h') {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?') {
            fputs("Try `shmipc parked --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    return 0;
}

int command_parked(int argc, char **argv) {
    Order order = {.host = endpoint_default_host()};
    int r = parse(argc, argv, &order);

    if (r != 0)
        return r < 0 ? EXIT_SUCCESS : r;
    if (optind == argc)
        return fail(EXIT_USAGE, "say what to do: list, show, retry or drop. Try `shmipc parked --help`.");
    order.ids = argv + optind + 1;
    order.n_ids = argc - optind - 1;
    for (size_t i = 0; i < ELEMENTS(actions); i++) {
        bool fits = order.n_ids >= actions[i].min_ids && order.n_ids <= actions[i].max_ids;

        if (strcmp(argv[optind], actions[i].name) != 0)
            continue;
        if (actions[i].run == drop && order.all)
            fits = order.n_ids == 0;
        if (!fits)
            return fail(EXIT_USAGE, "%s takes %s. Try `shmipc parked --help`.", actions[i].name,
                        actions[i].max_ids == 0   ? "no id"
                        : actions[i].max_ids == 1 ? "one id"
                                                  : "ids, or --all");
        r = parking_find(order.host, order.path);
        return r < 0 ? explain(&order, r, NULL) : actions[i].run(&order);
    }
    return fail(EXIT_USAGE,
                "there is nothing called `%s`: list, show, retry or drop. Try `shmipc parked --help`.",
                argv[optind]);
}
