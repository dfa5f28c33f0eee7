/* SPDX-License-Identifier: MIT */
/*
 * shmipc trace: exchanges of a running host, as they end, until it is told to stop
 *
 * It waits for the host or a signal. A host that goes away is said and waited for, as `shmipc top` does; what
 * ended meanwhile nobody has told. So that programs which read the lines have them as they come, they are
 * written out whenever nothing more is there.
 */
#include "app/command.h"
#include "app/status.h"
#include "app/trace-table.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "core/endpoint.h"
#include "os/wait.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_NS (250 * NS_PER_MS)

static const char help[] =
    "Usage: shmipc trace [OPTION...]\n"
    "\n"
    "Follow the exchanges of a running host, a line for each as it ends; Ctrl-C ends.\n"
    "\n"
    "  -H, --host HOST       instead of $SHMIPC_HOST or `host`\n"
    "      --client ID       of this client; `shmipc status clients` names them\n"
    "      --uid USER        of this user: a name or a number\n"
    "      --worker N        that this worker had; `shmipc status workers`\n"
    "  -s, --slower TIME     that took so long in all, as 5ms\n"
    "  -f, --failed          that were not answered well\n"
    "  -n, --number N        end after N lines\n"
    "  -o, --output COLUMNS  NAME,... or +NAME,... (more); `help` names them\n"
    "      --noheadings      no line of names\n"
    "  -j, --json            an object a line: bytes and nanoseconds\n"
    "  -h, --help            this text\n"
    "\n"
    "RESULT is done, failed, cancelled or expired; again when the worker died and\n"
    "another is to try; parked when the request was kept. The journal has SEQUENCE\n"
    "as SHMIPC_SEQUENCE. Who is neither root nor of the host's user or group sees\n"
    "what is their own. It costs the host next to nothing, and nothing when it ends.\n"
    "\n"
    "Exit status: 0 ended, 1 failed, 2 usage, 3 no such host or not running, 4 not\n"
    "allowed, 8 busy: a limit of the host is reached.\n";

typedef struct Trace {
    const char *host;
    char path[CHANNEL_PATH_MAX];
    OutputTable table;
    OutputChoice choice; /* of its columns */
    PacketTrace wish;
    uint64_t n_left; /* lines; 0: without end */
    bool json;
    bool ends;

    StatusLine line;
    Status status; /* why it was refused */
    bool begun;    /* the host has answered once */
    bool lost;     /* it is gone, which was said */
    uint64_t n_lost;
} Trace;

static volatile sig_atomic_t told_to_end;

static void on_signal(int number) {
    told_to_end = number;
}

/*
 * They come only while we wait for the host or for whoever reads our lines; a second one ends us at once.
 */
static void catch_signals(sigset_t *ret_while_waiting) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t blocked;

    sigemptyset(&blocked);
    sigprocmask(SIG_BLOCK, NULL, ret_while_waiting);
    for (size_t i = 0; i < ELEMENTS(numbers); i++) {
        if (!command_catch(numbers[i], on_signal, (int)SA_RESETHAND))
            continue;
        sigaddset(&blocked, numbers[i]);
        sigdelset(ret_while_waiting, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

/* --- lines --- */

static void show_record(Trace *trace, const TracedRecord *record) {
    TraceRow row;

    trace_row_init(&row, record, trace->json);
    if (trace->json)
        output_json_line(&trace->table, &trace->choice, &row, stdout);
    else
        output_line(&trace->table, &trace->choice, &row, stdout);
    if (trace->n_left > 0 && --trace->n_left == 0)
        trace->ends = true;
}

/* The names come when the host has begun to look: from then on nothing is missed. */
static void begin(Trace *trace) {
    if (trace->lost)
        fprintf(stderr, "shmipc trace: host `%s` is there again\n", trace->host);
    if (!trace->begun && !trace->json && !trace->table.noheadings)
        output_headings(&trace->table, &trace->choice, stdout);
    trace->begun = true;
    trace->lost = false;
}

static void show(Trace *trace, const PacketTraced *traced) {
    if (!trace->begun || trace->lost)
        begin(trace);
    trace->n_lost += traced->n_lost;
    for (uint32_t i = 0; i < traced->n_records && !trace->ends; i++)
        show_record(trace, &traced->records[i]);
}

static void tell_missed(const Trace *trace) {
    if (trace->n_lost > 0)
        fprintf(stderr,
                "shmipc trace: %" PRIu64 " exchange%s not shown: they came faster than they were read; "
                "--slower and --failed leave out what does not matter\n",
                trace->n_lost, trace->n_lost == 1 ? " was" : "s were");
}

/* --- the host --- */

/* Return: 0, or negative errno: there is none, or it will not have us. */
static int call_host(Trace *trace) {
    int r = status_connect(&trace->line, trace->path, "shmipc trace");

    return r < 0 ? r : status_trace(&trace->line, &trace->wish);
}

/* Return: 0 to go on, or negative errno. */
static int hear(Trace *trace) {
    PacketTraced traced;
    int r = 0;

    while (!trace->ends && !told_to_end &&
           (r = status_hear_traced(&trace->line, &trace->status, &traced)) > 0)
        show(trace, &traced);
    if (!command_flush())
        trace->ends = true; /* which is said at the end */
    return trace->ends ? 0 : r;
}

/* Whoever reads our lines may take long, or not read at all. */
static int hear_until_told(Trace *trace, const sigset_t *while_waiting) {
    sigset_t blocked;
    int r;

    sigprocmask(SIG_SETMASK, while_waiting, &blocked);
    r = hear(trace);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    return told_to_end ? 0 : r;
}

/* It was there: it may come back. */
static void lose_host(Trace *trace) {
    if (!trace->lost)
        fprintf(stderr, "shmipc trace: host `%s` is gone: waiting for it at %s\n", trace->host, trace->path);
    trace->lost = true;
    status_hang_up(&trace->line);
}

/* Return: 0 or negative errno. */
static int wait_for_something(const Trace *trace, const sigset_t *while_waiting) {
    struct pollfd poll = {.fd = trace->line.fd, .events = POLLIN};
    const struct timespec retry = {.tv_nsec = (long)RETRY_NS};
    int r = ppoll(&poll, 1, trace->line.fd < 0 ? &retry : NULL, while_waiting);

    return r < 0 && errno != EINTR ? error_errno() : 0;
}

/* Return: 0 or negative errno. */
static int follow(Trace *trace, const sigset_t *while_waiting) {
    int r = 0;

    while (r == 0 && !trace->ends && !told_to_end) {
        r = wait_for_something(trace, while_waiting);
        if (r == 0 && trace->line.fd < 0)
            r = call_host(trace);
        if (r == 0 && trace->line.fd >= 0)
            r = hear_until_told(trace, while_waiting);
        if (r < 0 && trace->begun && !trace->status.refused && r != -ENOMEM && r != -EBADMSG) {
            lose_host(trace);
            r = 0;
        }
    }
    return r;
}

static int run(Trace *trace) {
    sigset_t while_waiting;
    int r = endpoint_find(trace->host, trace->path);

    if (r == 0)
        r = call_host(trace);
    if (r == 0) {
        catch_signals(&while_waiting);
        r = follow(trace, &while_waiting);
    }
    tell_missed(trace);
    return r < 0 ? status_explain("trace", r, &trace->status, trace->host, trace->path) : EXIT_SUCCESS;
}

/* --- options --- */

static bool parse_number(const char *text, uint64_t max, uint64_t *ret) {
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && *ret <= max;
}

static bool parse_user(const char *text, uint32_t *ret) {
    const struct passwd *user = getpwnam(text);
    uint64_t number;

    if (!user && !parse_number(text, UINT32_MAX - 1, &number))
        return false;
    *ret = user ? user->pw_uid : (uint32_t)number;
    return true;
}

static int show_columns(void) {
    OutputTable table = trace_table();

    for (size_t i = 0; i < table.n_columns; i++)
        if (table.columns[i].title)
            printf("%s\n", table.columns[i].title);
    return 1 + EXIT_SUCCESS;
}

/* Return: as take_option(). */
static int take_columns(Trace *trace, const char *wish) {
    _cleanup_free_ char *fault = NULL;

    trace->table.wish = wish;
    if (strcmp(wish, "help") == 0)
        return show_columns();
    if (output_check_wish(&trace->table, wish, &fault) == 0)
        return 0;
    return 1 + command_fail("trace", EXIT_USAGE, "`%s` is no column; `shmipc trace -o help` names them",
                            fault ? fault : wish);
}

__attribute__((format(printf, 1, 2))) static int wants(const char *format, ...) {
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return 1 + command_fail("trace", EXIT_USAGE, "%s", text);
}

/* Those that say which exchanges. Return: as take_option(). */
static int take_filter(Trace *trace, int option) {
    PacketTrace *wish = &trace->wish;
    uint64_t number;

    switch (option) {
    case 'C':
        if (parse_number(optarg, UINT64_MAX, &wish->client) && wish->client > 0)
            return 0;
        return wants("--client wants the number of one, as `shmipc status clients` has it, not `%s`", optarg);
    case 'U':
        wish->flags |= TRACE_OF_UID;
        return parse_user(optarg, &wish->uid) ? 0 : wants("--uid: there is no user `%s`", optarg);
    case 'W':
        if (!parse_number(optarg, SLOT_OWNER_MAX, &number) || number == 0)
            return wants("--worker wants the number of one, as `shmipc status workers` has it, not `%s`",
                         optarg);
        wish->worker = (uint32_t)number;
        return 0;
    case 's':
        if (duration_parse(optarg, &wish->least_ns) == 0)
            return 0;
        return wants("-s wants a time, as 5ms or 0.2, not `%s`", optarg);
    default:
        wish->flags |= TRACE_ONLY_FAILED;
        return 0;
    }
}

/* Return: 0 to go on; the exit status + 1 to end with it. */
static int take_option(Trace *trace, int option) {
    switch (option) {
    case 'H':
        trace->host = optarg;
        return 0;
    case 'C':
    case 'U':
    case 'W':
    case 's':
    case 'f':
        return take_filter(trace, option);
    case 'n':
        if (parse_number(optarg, UINT64_MAX, &trace->n_left) && trace->n_left > 0)
            return 0;
        return wants("-n wants a number of lines, not `%s`", optarg);
    case 'o':
        return take_columns(trace, optarg);
    case 'N':
        trace->table.noheadings = true;
        return 0;
    case 'j':
        trace->json = true;
        return 0;
    case 'h':
        fputs(help, stdout);
        return 1 + EXIT_SUCCESS;
    default:
        fputs("Try `shmipc trace --help`.\n", stderr);
        return 1 + EXIT_USAGE;
    }
}

static int take_options(Trace *trace, int argc, char **argv) {
    static const struct option options[] = {
        {"host", required_argument, NULL, 'H'},   {"client", required_argument, NULL, 'C'},
        {"uid", required_argument, NULL, 'U'},    {"worker", required_argument, NULL, 'W'},
        {"slower", required_argument, NULL, 's'}, {"failed", no_argument, NULL, 'f'},
        {"number", required_argument, NULL, 'n'}, {"output", required_argument, NULL, 'o'},
        {"noheadings", no_argument, NULL, 'N'},   {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {0}};
    int option, r = 0;

    while (r == 0 && (option = getopt_long(argc, argv, "H:s:fn:o:jh", options, NULL)) >= 0)
        r = take_option(trace, option);
    if (r == 0 && optind != argc)
        r = wants("takes no argument. Try `shmipc trace --help`.");
    return r;
}

int command_trace(int argc, char **argv) {
    Trace trace = {.host = endpoint_default_host(), .table = trace_table(), .line = STATUS_LINE_NULL};
    int r = take_options(&trace, argc, argv);

    if (r == 0 && output_choose(&trace.table, trace.json, &trace.choice) < 0)
        r = wants("-o names too many columns.");
    if (r > 0)
        return r - 1;
    r = run(&trace);
    status_hang_up(&trace.line);
    status_deinit(&trace.status);
    return r;
}
