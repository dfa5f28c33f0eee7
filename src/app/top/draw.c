/* SPDX-License-Identifier: MIT */
#include "app/top/top.h"

#include "base/error.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HEAD_LINES 9  /* above the tables, and their headings */
#define NEAR       80 /* percent of a limit */

int top_page_init(TopPage *page, size_t n_max) {
    *page = (TopPage){.lines = calloc(n_max + 1, sizeof(TopLine)), .n_max = n_max};
    return page->lines ? 0 : error_origin(-ENOMEM);
}

void top_page_deinit(TopPage *page) {
    free(page->lines);
    *page = (TopPage){0};
}

void top_page_add(TopPage *page, TopStyle style, const char *format, ...) {
    va_list arguments;

    if (page->n == page->n_max)
        return;
    va_start(arguments, format);
    vsnprintf(page->lines[page->n].text, sizeof(page->lines[page->n].text), format, arguments);
    va_end(arguments);
    page->lines[page->n++].style = style;
}

/* "812", "12.3k", "1.21M": three digits. */
static const char *rate(double per_s, char buffer[static UNITS_TEXT_MAX]) {
    static const char suffixes[] = " kMG";
    size_t i = 0;

    for (; per_s >= 999.5 && i + 2 < sizeof(suffixes); i++)
        per_s /= 1000;
    snprintf(buffer, UNITS_TEXT_MAX, "%.*f%.*s", per_s >= 99.95 || (i == 0 && per_s == 0) ? 0 : 1, per_s,
             i > 0, suffixes + i);
    return buffer;
}

static double per_second(const Top *top, uint64_t now, uint64_t before) {
    uint64_t n = top->since_start ? now : now > before ? now - before : 0;

    return (double)n / top->seconds;
}

static const char *bytes_rate(const Top *top, uint64_t now, uint64_t before,
                              char buffer[static UNITS_TEXT_MAX]) {
    return size_format((uint64_t)per_second(top, now, before), buffer);
}

static void draw_title(const Top *top, TopPage *page) {
    const PacketStatusHost *host = &top->now.host;
    char up[UNITS_TEXT_MAX], clock[16];
    time_t now = time(NULL);
    struct tm tm;

    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
    top_page_add(page, host->healthy == 2 || host->n_workers == 0 ? TOP_BAD : TOP_GOOD,
                 "shmipc top - %s, host %s %s, up %s%s%s", clock, host->name, health_name(host),
                 duration_brief(host->uptime_ns, up), host->n_workers ? "" : ", no worker",
                 host->partial ? " (you see your own)" : "");
}

static void draw_exchanges(const Top *top, TopPage *page) {
    const PacketStatusHost *now = &top->now.host, *before = &top->before.host;
    double failed = per_second(top, now->n_failed, before->n_failed);
    char texts[5][UNITS_TEXT_MAX];

    top_page_add(page, failed > 0 && !top->since_start ? TOP_BAD : TOP_PLAIN,
                 "Exchanges %s/s, failed %s/s, cancelled %s/s; in flight %" PRIu64 ", %" PRIu64 " waiting%s",
                 rate(per_second(top, now->n_done, before->n_done), texts[0]), rate(failed, texts[1]),
                 rate(per_second(top, now->n_cancelled, before->n_cancelled), texts[2]), now->in_flight,
                 now->n_waiting, top->since_start ? " (since start)" : "");
    top_page_add(page, TOP_PLAIN, "Payloads  %s/s in, %s/s out; retried %" PRIu64 ", parked %" PRIu64,
                 bytes_rate(top, now->request_payload_bytes, before->request_payload_bytes, texts[3]),
                 bytes_rate(top, now->response_payload_bytes, before->response_payload_bytes, texts[4]),
                 now->n_redelivered, now->n_parked);
}

/* The limit that is nearest. */
static const LimitRow *nearest(const Top *top) {
    const LimitRow *row = &top->rows.limits[0];

    for (size_t i = 1; i < N_LIMIT_ROWS; i++) {
        uint64_t percent = limit_percent(&top->rows.limits[i]);

        if (percent != UINT64_MAX && (limit_percent(row) == UINT64_MAX || percent > limit_percent(row)))
            row = &top->rows.limits[i];
    }
    return row;
}

static void draw_limits(const Top *top, TopPage *page) {
    const PacketStatusHost *host = &top->now.host;
    const LimitRow *limit = nearest(top);
    uint64_t percent = limit_percent(limit);
    char sizes[2][UNITS_TEXT_MAX];

    top_page_add(page, percent != UINT64_MAX && percent >= NEAR ? TOP_BAD : TOP_PLAIN,
                 "Memory    %s of %s; clients %u of %u; nearest limit %s %" PRIu64 " %%",
                 size_format(host->memory_bytes, sizes[0]), size_format(host->memory_limit, sizes[1]),
                 host->n_clients, host->max_clients, limit->name, percent == UINT64_MAX ? 0 : percent);
}

static void draw_stages(const Top *top, TopPage *page) {
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};

    top_page_add(page, TOP_HEADING, "%-10s %8s %8s %8s %8s %8s", "LATENCY", "MEAN", "50%", "90%", "99%",
                 "99.9%");
    for (Stage stage = 0; stage < _STAGE_N; stage++) {
        const Histogram *histogram = &top->stages[stage];
        char texts[5][UNITS_TEXT_MAX] = {"-", "-", "-", "-", "-"};

        if (histogram->n > 0)
            duration_brief(histogram_mean(histogram), texts[0]);
        for (size_t i = 0; histogram->n > 0 && i < 4; i++)
            duration_brief(histogram_quantile(histogram, quantiles[i]), texts[i + 1]);
        top_page_add(page, TOP_PLAIN, "%-10s %8s %8s %8s %8s %8s", stage_name(stage), texts[0], texts[1],
                     texts[2], texts[3], texts[4]);
    }
}

static const char *worker_state(const PacketStatusWorker *said) {
    return said->leaving ? "leaving" : said->busy_ns ? "busy" : "idle";
}

static void draw_workers(const Top *top, TopPage *page, size_t n_max) {
    char since[UNITS_TEXT_MAX], copies[UNITS_TEXT_MAX];

    top_page_add(page, TOP_HEADING, "%7s %-16s %-8s %7s %-7s %8s %8s  %s", "WORKER", "INSTANCE", "USER",
                 "PID", "STATE", "FOR", "COPIES", "WHOSE");
    for (size_t i = 0; i < top->now.n_workers && i < n_max; i++) {
        const WorkerRow *row = &top->rows.workers[i];
        const PacketStatusWorker *said = row->said;

        top_page_add(page, TOP_PLAIN, "%7" PRIu64 " %-16.16s %-8.8s %7u %-7s %8s %8s  %s", said->number,
                     said->name, row->user, said->pid, worker_state(said),
                     said->busy_ns ? duration_brief(said->busy_ns, since) : "-",
                     size_format(said->private_bytes, copies), row->client ? row->client->said->name : "-");
    }
}

static void draw_clients(const Top *top, TopPage *page) {
    char per_s[UNITS_TEXT_MAX], memory[UNITS_TEXT_MAX];

    top_page_add(page, TOP_HEADING, "%-16s %-8s %7s %6s %4s %7s %7s %8s  %s", "CLIENT", "USER", "PID",
                 "FLYING", "WAIT", "PER S", "FAILED", "MEMORY", "PROGRAM");
    for (size_t i = 0; i < top->now.n_clients; i++) {
        const ClientRow *row = top->clients[i].row;
        const PacketStatusClient *said = row->said;

        top_page_add(page, TOP_PLAIN, "%-16" PRIu64 " %-8.8s %7u %6u %4u %7s %7" PRIu64 " %8s  %s", said->id,
                     row->user, said->pid, said->in_flight, said->n_waiting,
                     rate(top->clients[i].per_s, per_s), said->n_failed,
                     size_format(said->request_bytes + said->response_bytes, memory),
                     said->probe ? "(probe)" : said->name);
    }
}

void top_draw(const Top *top, TopPage *page) {
    size_t room = page->n_max > HEAD_LINES + 2 ? page->n_max - HEAD_LINES - 2 : 0;
    size_t n_clients = top->now.n_clients;

    draw_title(top, page);
    draw_exchanges(top, page);
    draw_limits(top, page);
    draw_stages(top, page);
    top_page_add(page, TOP_PLAIN, "%s", "");
    /* Workers have what clients leave them, and a third at least. */
    draw_workers(top, page, n_clients + room / 3 < room ? room - n_clients : room / 3);
    top_page_add(page, TOP_PLAIN, "%s", "");
    draw_clients(top, page);
}

size_t top_n_lines(const Top *top) {
    return HEAD_LINES + 2 + top->now.n_workers * 3 + top->now.n_clients;
}

void top_draw_help(TopPage *page) {
    static const char *const lines[] = {
        "  q      end",
        "  h ?    this text; any key leads back",
        "  d      set the delay between two pictures, as 2, 0.5 or 250ms",
        "  space  the next picture now",
        "  L      clients with most in flight first (as at the start)",
        "  R      clients with most exchanges a second first",
        "  M      clients that hold most memory first",
        "  F      clients with most failures first",
        "  r      the other way round",
        "",
        "Latency is that of the time between two pictures: queued until a worker took",
        "it, running until that had an answer, replied until the client had seen it.",
    };

    top_page_add(page, TOP_HEADING, "%s", "Keys of shmipc top");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        top_page_add(page, TOP_PLAIN, "%s", lines[i]);
}
