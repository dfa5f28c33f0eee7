/* SPDX-License-Identifier: MIT */
#include "app/status-overview.h"

#include "base/units.h"
#include "os/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS     80
#define ROWS        8  /* of each table; the rest is a table away */
#define NEAR        80 /* percent of a limit */
#define LABEL_BYTES 11

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

/* A paragraph: words that do not fit go to the next line, which begins as many blanks in as @label is long.
 */
static void say(const char *label, const char *text) {
    int indent = (int)strlen(label), at = printf("%s", label);

    for (const char *word = text; *word;) {
        int length = (int)strcspn(word, " ");

        if (at > indent && at + 1 + length > COLUMNS)
            at = printf("\n%*s", indent, "") - 1;
        else if (at > indent)
            at += printf(" ");
        at += printf("%.*s", length, word);
        word += length;
        word += strspn(word, " ");
    }
    putchar('\n');
}

__attribute__((format(printf, 2, 3))) static void say_line(const char *label, const char *format, ...) {
    char text[512], padded[LABEL_BYTES + 1];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(padded, sizeof(padded), "%-*s", LABEL_BYTES, label);
    say(padded, text);
}

__attribute__((format(printf, 1, 2))) static void warn(const char *format, ...) {
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    say("Warning: ", text);
}

static void show_host(const PacketStatusHost *host) {
    char up[UNITS_TEXT_MAX], probe[UNITS_TEXT_MAX];

    printf("Host %s: %s", host->name, health_name(host));
    if (host->healthy == 1)
        printf(" (probe %s)", duration_brief(host->probe_ns, probe));
    printf(", shmipc %s, pid %" PRIu64 ", up %s\n\n", host->version, host->pid,
           duration_brief(host->uptime_ns, up));
}

static void show_exchanges(const PacketStatusHost *host) {
    char sizes[2][UNITS_TEXT_MAX];

    say_line("Exchanges", "%" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " cancelled or expired",
             host->n_done, host->n_failed, host->n_cancelled);
    say_line("", "%" PRIu64 " in flight (%" PRIu64 " waiting), %" PRIu64 " retried, %" PRIu64 " parked%s",
             host->in_flight, host->n_waiting, host->n_redelivered, host->n_parked,
             host->n_parked ? ": see `shmipc parked list`" : "");
    say_line("Payloads", "%s in, %s out", size_format(host->request_payload_bytes, sizes[0]),
             size_format(host->response_payload_bytes, sizes[1]));
}

static void show_latency(const StatusRows *rows) {
    char text[256] = "", middle[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    size_t at = 0;

    for (Stage stage = 0; stage < _STAGE_N; stage++) {
        const Histogram *said = rows->stages[stage].said;

        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %s/%s", stage ? ", " : "",
                               stage_name(stage), duration_brief(histogram_quantile(said, 0.5), middle),
                               duration_brief(histogram_quantile(said, 0.99), high));
    }
    if (rows->stages[STAGE_QUEUED].said->n > 0)
        say_line("Latency", "%s (median/99 %%)", text);
}

static void show_memory(const StatusRows *rows) {
    const PacketStatusHost *host = &rows->status->host;
    const HolderRow *most = rows->holders;
    char sizes[3][UNITS_TEXT_MAX], holder[128] = "";

    if (rows->n_holders && most->client)
        snprintf(holder, sizeof(holder), "; most: client %" PRIu64 " (%s, %s) %s", most->client->said->id,
                 most->client->said->name, most->client->user, size_format(most->total_bytes, sizes[2]));
    else if (rows->n_holders)
        snprintf(holder, sizeof(holder), "; most: copies of worker %s, %s", most->worker->said->name,
                 size_format(most->total_bytes, sizes[2]));
    say_line("Memory", "%s of %s%s", size_format(host->memory_bytes, sizes[0]),
             size_format(host->memory_limit, sizes[1]), holder);
    say_line("Huge pages", "%s", huge_pages_name(host));
}

static uint64_t count_busy(const Status *status) {
    uint64_t n = 0;

    for (size_t i = 0; i < status->n_workers; i++)
        n += status->workers[i].busy_ns > 0;
    return n;
}

static void show_peers(const StatusRows *rows) {
    const PacketStatusHost *host = &rows->status->host;
    uint64_t fit = fit_of(host, fit_least(host)), n_busy = count_busy(rows->status);
    char since[UNITS_TEXT_MAX];

    if (fit == UINT64_MAX)
        say_line("Clients", "%u of %u", host->n_clients, host->max_clients);
    else
        say_line("Clients", "%u of %u; %" PRIu64 " fit, by %s", host->n_clients, host->max_clients, fit,
                 limit_name((LimitKind)fit_least(host)));
    if (n_busy)
        say_line("Workers", "%u, of which %" PRIu64 " busy, %s for %s", host->n_workers, n_busy,
                 rows->workers[0].said->name, duration_brief(rows->workers[0].said->busy_ns, since));
    else
        say_line("Workers", "%u%s", host->n_workers, host->n_workers ? ", all idle" : "");
    if (host->n_refused || host->n_misbehaved || host->n_limits)
        say_line("Peers",
                 "%" PRIu64 " refused, %" PRIu64 " disconnected for what they did; limits reached "
                 "%" PRIu64 " time%s; %" PRIu64 " event%s of these not in the log",
                 host->n_refused, host->n_misbehaved, host->n_limits, plural(host->n_limits), host->n_untold,
                 plural(host->n_untold));
}

/* --- what is wrong, and what to do --- */

static void warn_of_age(const PacketStatusHost *host) {
    if (strcmp(host->version, SHMIPC_VERSION) != 0)
        warn("the host runs shmipc %s, and this is shmipc " SHMIPC_VERSION
             ", which may not understand all of it: `systemctl restart shmipc@%s` starts what is installed, "
             "and loses nothing",
             host->version, host->name);
}

static void warn_of_workers(const StatusRows *rows) {
    const PacketStatusHost *host = &rows->status->host;

    if (host->n_workers == 0)
        warn("no worker is attached, so nothing is answered: start one that serves `%s`, as in "
             "`systemctl start shmipc@worker`, or see why it stays away: `journalctl -u 'shmipc@*' -p "
             "warning`",
             host->name);
    else if (host->healthy == 2)
        warn("the host's own requests are not answered: `journalctl -u shmipc@%s -p warning` says why",
             host->name);
    if (host->n_workers && host->n_waiting > 0 && count_busy(rows->status) >= host->n_workers)
        warn("%" PRIu64 " exchange%s wait%s while every worker is busy: start one more, as in "
             "`systemctl start shmipc@worker-%u`",
             host->n_waiting, plural(host->n_waiting), host->n_waiting == 1 ? "s" : "", host->n_workers + 1);
}

static void warn_of_stuck(const StatusRows *rows) {
    char texts[2][UNITS_TEXT_MAX];

    for (size_t i = 0; i < rows->status->n_workers; i++) {
        const PacketStatusWorker *worker = rows->workers[i].said;

        if (worker->timeout_ns && worker->busy_ns / 100 > worker->timeout_ns / 100 * NEAR / 100)
            warn("worker %s (pid %u) has had one exchange for %s of its `timeout` of %s, after which it is "
                 "killed and the exchange retried",
                 worker->name, worker->pid, duration_brief(worker->busy_ns, texts[0]),
                 duration_brief(worker->timeout_ns, texts[1]));
    }
}

static void warn_of_limits(const StatusRows *rows) {
    const PacketStatusHost *host = &rows->status->host;
    LimitKind least = (LimitKind)fit_least(host);
    uint64_t fit = fit_of(host, fit_least(host));

    for (size_t i = 0; i < N_LIMIT_ROWS; i++) {
        uint64_t percent = limit_percent(&rows->limits[i]);

        if (percent != UINT64_MAX && percent >= NEAR)
            warn("%s is used to %" PRIu64 " %%: %s", rows->limits[i].name, percent, rows->limits[i].cure);
    }
    if (fit < host->max_clients)
        warn("`max_clients` = %u cannot be reached, for %s allows %" PRIu64 ": %s, or lower `max_clients`.",
             host->max_clients, limit_name(least), fit, limit_cure(least));
}

/* --- who is at work --- */

static int show_table(const StatusRows *rows, StatusTable which, bool noheadings) {
    OutputTable table = status_table(which, rows);
    size_t n = table.n_rows;
    int r;

    if (n == 0)
        return 0;
    table.n_rows = n < ROWS ? n : ROWS;
    table.noheadings = noheadings;
    putchar('\n');
    r = output_people(&table, stdout);
    if (r == 0 && n > ROWS)
        printf("and %zu more: `shmipc status %s`\n", n - ROWS, table.name);
    return r;
}

int overview_show(const StatusRows *rows, bool noheadings) {
    int r;

    show_host(&rows->status->host);
    show_exchanges(&rows->status->host);
    show_latency(rows);
    show_memory(rows);
    show_peers(rows);
    if (rows->status->host.partial)
        say_line("You", "see your own clients only; root and members of the host's group see all");
    warn_of_age(&rows->status->host);
    warn_of_workers(rows);
    warn_of_stuck(rows);
    warn_of_limits(rows);
    r = show_table(rows, TABLE_WORKERS, noheadings);
    if (r == 0)
        r = show_table(rows, TABLE_CLIENTS, noheadings);
    return r == 0 ? show_table(rows, TABLE_LIMITS, noheadings) : r;
}
