/* SPDX-License-Identifier: MIT */
/*
 * shmipc bench: how fast exchanges with the running host are
 *
 * The sizes are measured one after the other by a client like any other. Whoever answers is the host's own
 * worker with the handler that it has: `echo` is what shows the way there and back alone.
 */
#include "app/command.h"
#include "app/load.h"
#include "app/output.h"
#include "app/plot.h"
#include "app/status.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "core/client.h"
#include "core/endpoint.h"
#include "os/channel.h"
#include "os/wait.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define N_SIZES_MAX 16u
#define ANSWER_NS   (10 * NS_PER_SEC) /* for the host to let us in */
#define POLL_US_MAX 1000000u          /* as of the setting `poll_us` */
#define RATE_MAX    UINT64_C(100000000)

#define fail(status, ...) command_fail("bench", status, __VA_ARGS__)

static const char help[] =
    "Usage: shmipc bench [OPTION]...\n"
    "\n"
    "Send requests to the workers of the host, and show how long they took and how\n"
    "many there were in a second. Every byte of each is written and read.\n"
    "\n"
    "  -H, --host HOST         instead of $SHMIPC_HOST or `host`\n"
    "  -s, --size SIZE,...     of the requests: 64 unless said; as in 64,64K,1M\n"
    "  -i, --in-flight N       at a time: 1 unless said\n"
    "  -n, --requests N        of each size, instead of as many as there is time for\n"
    "  -d, --seconds SECONDS   for each size: 2 unless said; or as in 500ms\n"
    "  -w, --warm-up SECONDS   before that, not counted: 200ms unless said\n"
    "  -r, --rate N            begin N a second, whatever becomes of those before;\n"
    "                          the time of each then runs from when it was due\n"
    "  -p, --poll WHAT         poll_us of this side: auto, always, or microseconds\n"
    "  -t, --touch BYTES       write and read no more of each than its first bytes\n"
    "  -j, --json              for programs: sizes in bytes, times in nanoseconds\n"
    "      --plot FILE.svg     draw the percentiles; needs gnuplot\n"
    "  -h, --help              this text\n"
    "\n"
    "Ctrl-C ends it with what was measured so far. Exit status: as `shmipc call`.\n";

/* A size, and what came of it. */
typedef struct Row {
    uint64_t size_bytes;
    uint32_t n_in_flight;
    LoadResult result;
} Row;

typedef struct Bench {
    const char *host;
    char path[CHANNEL_PATH_MAX];
    LoadOptions load;
    uint64_t spin_ns;
    uint64_t sizes[N_SIZES_MAX];
    size_t n_sizes;
    bool has_seconds;
    bool json;
    const char *plot; /* NULL: none */
    Client *client;
    Row *rows;
    size_t n_rows;
} Bench;

static volatile sig_atomic_t stop;

static int fail_errno(int r, const char *what) {
    return fail(EXIT_LOCAL, "%s: %s (%s)", what, strerror(-r), error_where());
}

/* --- connecting --- */

static int say_not_connected(const Bench *bench, int r) {
    if (r == -ENOENT || r == -ECONNREFUSED)
        return command_no_host("bench", bench->host, bench->path);
    if (r == -EACCES)
        return fail(EXIT_NOT_ALLOWED, "%s: permission denied", bench->path);
    if (r == -EAGAIN || r == -ETIMEDOUT)
        return fail(EXIT_TIMED_OUT, "the host `%s` at %s does not answer", bench->host, bench->path);
    return fail(EXIT_NO_HOST, "%s: %s", bench->path, strerror(-r));
}

static int say_host_lost(const Bench *bench) {
    return fail(EXIT_NO_HOST, "the host `%s` went away; is it running? See `systemctl status shmipc@%s`",
                bench->host, bench->host);
}

static int await_welcome(const Bench *bench, uint64_t until_ns) {
    const char *text;
    Reason reason;
    int r = 0;

    while (r == 0 && client_state(bench->client) == CLIENT_CONNECTING) {
        if (stop || clock_now_ns() >= until_ns)
            return say_not_connected(bench, -ETIMEDOUT);
        r = client_wait(bench->client, until_ns);
    }
    if (r == -EBADMSG)
        return status_explain("bench", r, &(Status){0}, bench->host, bench->path);
    if (r < 0)
        return fail_errno(r, "waiting for the host");
    if (client_state(bench->client) == CLIENT_READY)
        return 0;
    if (client_state(bench->client) == CLIENT_LOST)
        return say_host_lost(bench);
    reason = client_refusal(bench->client, &text);
    return command_refused("bench", reason, text);
}

static int connect_to_host(Bench *bench) {
    uint64_t until_ns = clock_now_ns() + ANSWER_NS;
    int fd, r = endpoint_find(bench->host, bench->path);

    if (r < 0)
        return fail(EXIT_USAGE, "the path of the socket is too long");
    r = channel_connect_until(bench->path, until_ns, &fd);
    if (r < 0)
        return say_not_connected(bench, r);
    r = client_new(&bench->client, fd, "shmipc bench");
    if (r < 0)
        return fail_errno(r, "connecting");
    r = await_welcome(bench, until_ns);
    if (r != 0)
        return r;
    if (bench->load.n_in_flight > client_n_slots(bench->client))
        return fail(EXIT_BUSY,
                    "the host gives a client %" PRIu32 " slots, and %" PRIu32
                    " are to be in flight; see its setting `requests_per_client`",
                    client_n_slots(bench->client), bench->load.n_in_flight);
    r = client_set_spin(bench->client, bench->spin_ns);
    return r < 0 ? fail_errno(r, "setting up polling") : 0;
}

/* --- measuring --- */

static int say_ended(const Bench *bench, int why, const LoadResult *result) {
    const char *reason = reason_name(result->reason);
    const char *text = result->text[0] ? result->text : reason;

    switch (why) {
    case LOAD_REFUSED:
        return fail(command_status_of(result->reason), "a request cannot be sent: %s", text);
    case LOAD_FAILED:
        if (text == reason)
            return fail(command_status_of(result->reason), "%s", reason);
        return fail(command_status_of(result->reason), "%s: %s", reason, text);
    case LOAD_LOST:
        return say_host_lost(bench);
    case LOAD_NO_WORKER:
        return fail(
            EXIT_TIMED_OUT,
            "no worker is attached to the host `%s`; start one, as in `systemctl start shmipc@worker`",
            bench->host);
    case LOAD_SILENT:
        return fail(EXIT_TIMED_OUT, "no worker has answered for a minute");
    default:
        return fail_errno(why, "measuring");
    }
}

static int measure(Bench *bench, uint64_t size_bytes) {
    Row *row = &bench->rows[bench->n_rows];
    int r;

    bench->load.bytes = row->size_bytes = size_bytes;
    row->n_in_flight = bench->load.n_in_flight;
    r = load_run(bench->client, &bench->load, &row->result);
    bench->n_rows += row->result.latency.n > 0;
    return r == 0 ? 0 : say_ended(bench, r, &row->result);
}

static int measure_all(Bench *bench) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < bench->n_sizes && !stop; i++)
        r = measure(bench, bench->sizes[i]);
    if (r == 0 && stop)
        fail(0, "interrupted; this is what was measured until then");
    return r;
}

/* --- what is shown --- */

static uint64_t per_second(uint64_t n, const Row *row) {
    return row->result.took_ns ? (uint64_t)((double)n * (double)NS_PER_SEC / (double)row->result.took_ns) : 0;
}

#define CELL(name, expression)                                                                               \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        const Histogram *latency = &row->result.latency;                                                     \
        (void)latency;                                                                                       \
        return (OutputCell){.number = (expression)};                                                         \
    }

CELL(cell_size, row->size_bytes)
CELL(cell_in_flight, row->n_in_flight)
CELL(cell_requests, latency->n)
CELL(cell_took, row->result.took_ns)
CELL(cell_min, latency->min)
CELL(cell_mean, histogram_mean(latency))
CELL(cell_p50, histogram_quantile(latency, 0.5))
CELL(cell_p90, histogram_quantile(latency, 0.9))
CELL(cell_p99, histogram_quantile(latency, 0.99))
CELL(cell_p999, histogram_quantile(latency, 0.999))
CELL(cell_max, latency->max)
CELL(cell_requests_per_second, per_second(latency->n, row))
CELL(cell_bytes_per_second, per_second(row->result.bytes, row))

static const OutputColumn columns[] = {
    {"SIZE", "size_bytes", OUTPUT_BYTES, cell_size},
    {NULL, "in_flight", OUTPUT_NUMBER, cell_in_flight},
    {"REQUESTS", "requests", OUTPUT_NUMBER, cell_requests},
    {NULL, "took_ns", OUTPUT_DURATION, cell_took},
    {"MIN", "min_ns", OUTPUT_DURATION, cell_min},
    {NULL, "mean_ns", OUTPUT_DURATION, cell_mean},
    {"P50", "p50_ns", OUTPUT_DURATION, cell_p50},
    {"P90", "p90_ns", OUTPUT_DURATION, cell_p90},
    {"P99", "p99_ns", OUTPUT_DURATION, cell_p99},
    {"P99.9", "p999_ns", OUTPUT_DURATION, cell_p999},
    {"MAX", "max_ns", OUTPUT_DURATION, cell_max},
    {"REQUESTS/S", "requests_per_second", OUTPUT_NUMBER, cell_requests_per_second},
    {"BYTES/S", "bytes_per_second", OUTPUT_BYTES, cell_bytes_per_second},
};

static int draw(const Bench *bench) {
    char titles[N_SIZES_MAX][UNITS_TEXT_MAX];
    PlotLine lines[N_SIZES_MAX];
    int r;

    for (size_t i = 0; i < bench->n_rows; i++) {
        size_format(bench->rows[i].size_bytes, titles[i]);
        lines[i] = (PlotLine){titles[i], &bench->rows[i].result.latency};
    }
    r = plot_percentiles(bench->plot, lines, bench->n_rows);
    return r < 0 ? fail(EXIT_LOCAL, "%s: %s", bench->plot,
                        r == -EREMOTEIO ? "gnuplot has failed" : strerror(-r))
                 : 0;
}

static int show(const Bench *bench) {
    const OutputTable table = {
        "bench", columns, ELEMENTS(columns), bench->rows, bench->n_rows, sizeof(*bench->rows), false};
    int r = 0;

    if (bench->json)
        r = output_json(&table, 1, stdout);
    else if (bench->n_rows > 0)
        r = output_people(&table, stdout);
    if (r < 0)
        return fail(EXIT_LOCAL, "writing what was measured: %s", strerror(-r));
    return bench->plot && bench->n_rows > 0 ? draw(bench) : 0;
}

/* --- the command line --- */

static int set_size(Bench *bench, const char *text) {
    char *words = strdupa(text), *rest = NULL;

    bench->n_sizes = 0;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (bench->n_sizes == N_SIZES_MAX)
            return fail(EXIT_USAGE, "--size takes %u sizes at most", N_SIZES_MAX);
        if (size_parse(word, &bench->sizes[bench->n_sizes++]) < 0)
            return fail(EXIT_USAGE, "--size takes sizes like 64,64K,1M, not `%s`", word);
    }
    return bench->n_sizes ? 0 : fail(EXIT_USAGE, "--size takes sizes like 64,64K,1M");
}

/* A whole number from 1 to @max. */
static int set_number(const char *option, const char *text, uint64_t max, uint64_t *ret) {
    char *end;
    uint64_t number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || number == 0 || number > max)
        return fail(EXIT_USAGE, "--%s takes a whole number from 1 to %" PRIu64 ", not `%s`", option, max,
                    text);
    *ret = number;
    return 0;
}

static int set_duration(const char *option, const char *text, uint64_t *ret_ns) {
    if (duration_parse(text, ret_ns) < 0)
        return fail(EXIT_USAGE, "--%s takes seconds or a duration like 500ms or 5min, not `%s`", option,
                    text);
    return 0;
}

static int set_poll(Bench *bench, const char *text) {
    char *end;
    unsigned long us = strtoul(text, &end, 10);

    if (!strcmp(text, "auto"))
        bench->spin_ns = SPIN_AUTO;
    else if (!strcmp(text, "always"))
        bench->spin_ns = SPIN_ALWAYS;
    else if (!isdigit((unsigned char)*text) || *end || us > POLL_US_MAX)
        return fail(EXIT_USAGE, "--poll takes `auto`, `always`, or microseconds from 0 to %u, not `%s`",
                    POLL_US_MAX, text);
    else
        bench->spin_ns = us * NS_PER_US;
    return 0;
}

static int set_touch(Bench *bench, const char *text) {
    if (size_parse(text, &bench->load.touch) < 0)
        return fail(EXIT_USAGE, "--touch takes a size like 8 or 4K, not `%s`", text);
    return 0;
}

/* Return: 0, -1 if help was shown, or an exit status. */
static int set_option(Bench *bench, int option, const char *text) {
    uint64_t number = 0;
    int r;

    switch (option) {
    case 'H':
        bench->host = text;
        return 0;
    case 's':
        return set_size(bench, text);
    case 'i':
        r = set_number("in-flight", text, SLOTS_MAX, &number);
        bench->load.n_in_flight = (uint32_t)number;
        return r;
    case 'n':
        return set_number("requests", text, UINT64_MAX - 1, &bench->load.n_requests);
    case 'd':
        bench->has_seconds = true;
        r = set_duration("seconds", text, &bench->load.for_ns);
        return r == 0 && bench->load.for_ns == 0 ? fail(EXIT_USAGE, "--seconds takes more than 0") : r;
    case 'w':
        return set_duration("warm-up", text, &bench->load.warm_ns);
    case 'r':
        return set_number("rate", text, RATE_MAX, &bench->load.rate);
    case 'p':
        return set_poll(bench, text);
    case 't':
        return set_touch(bench, text);
    case 'P':
        bench->plot = text;
        return 0;
    case 'j':
        bench->json = true;
        return 0;
    case 'h':
        fputs(help, stdout);
        return -1;
    default:
        fputs("Try `shmipc bench --help`.\n", stderr);
        return EXIT_USAGE;
    }
}

static int parse(int argc, char **argv, Bench *bench) {
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"size", required_argument, NULL, 's'},
                                            {"in-flight", required_argument, NULL, 'i'},
                                            {"requests", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 'd'},
                                            {"warm-up", required_argument, NULL, 'w'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"poll", required_argument, NULL, 'p'},
                                            {"touch", required_argument, NULL, 't'},
                                            {"plot", required_argument, NULL, 'P'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, r = 0;

    while (r == 0 && (option = getopt_long(argc, argv, "H:s:i:n:d:w:r:p:t:jh", options, NULL)) >= 0)
        r = set_option(bench, option, optarg);
    if (r == 0 && optind < argc)
        return fail(EXIT_USAGE, "takes no argument, as `%s` is one. Try `shmipc bench --help`.",
                    argv[optind]);
    if (r == 0 && bench->load.n_requests != UINT64_MAX && !bench->has_seconds)
        bench->load.for_ns = UINT64_MAX;
    return r;
}

/* --- the command --- */

static void be_told(int signal) {
    (void)signal;
    stop = 1;
}

static int prepare(Bench *bench) {
    struct sigaction action = {.sa_handler = be_told}; /* waits are to be interrupted */
    int r = bench->plot ? plot_check() : 0;

    if (r == -ENOENT)
        return fail(EXIT_LOCAL, "--plot needs gnuplot, which is not there: install the package gnuplot-nox");
    if (r < 0)
        return fail(EXIT_LOCAL, "gnuplot cannot be run: %s", strerror(-r));
    bench->rows = calloc(bench->n_sizes, sizeof(*bench->rows));
    if (!bench->rows)
        return fail_errno(-ENOMEM, "making room for what is measured");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return 0;
}

static int run(Bench *bench) {
    int shown, r = prepare(bench);

    if (r == 0)
        r = connect_to_host(bench);
    if (r != 0)
        return r;
    r = measure_all(bench);
    shown = r == 0 || bench->n_rows > 0 ? show(bench) : 0;
    return r != 0 ? r : shown;
}

int command_bench(int argc, char **argv) {
    Bench bench = {.host = endpoint_default_host(),
                   .load = {.n_in_flight = 1,
                            .touch = UINT64_MAX,
                            .n_requests = UINT64_MAX,
                            .for_ns = 2 * NS_PER_SEC,
                            .warm_ns = 200 * NS_PER_MS,
                            .stop = &stop},
                   .spin_ns = SPIN_AUTO,
                   .sizes = {64},
                   .n_sizes = 1};
    int r = parse(argc, argv, &bench);

    if (r == 0)
        r = run(&bench);
    client_free(bench.client);
    free(bench.rows);
    return r < 0 ? EXIT_SUCCESS : r;
}
