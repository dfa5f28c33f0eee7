/* SPDX-License-Identifier: MIT */
#include "app/metrics.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LABEL_BYTES 256
#define LABELS_MAX  4

typedef struct Metrics {
    FILE *stream;
    const StatusRows *rows;
    bool is_text;           /* in Prometheus' own text format, which is older than OpenMetrics */
    char host[LABEL_BYTES]; /* escaped, as all label values that are not our own words */
} Metrics;

/* Backslash, quote and line end, as the format wants it; what does not fit is cut, but no escape in two. */
static const char *escape(const char *text, char label[static LABEL_BYTES]) {
    size_t at = 0;

    for (; *text && at + 3 < LABEL_BYTES; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n')
            label[at++] = '\\';
        label[at++] = *text == '\n' ? 'n' : *text;
    }
    label[at] = 0;
    return label;
}

/* In the older format the name of a counter's family is that of its samples, and there are no units. */
static void family(Metrics *metrics, const char *name, const char *type, const char *unit, const char *help) {
    const char *end = metrics->is_text && !strcmp(type, "counter") ? "_total" : "";

    fprintf(metrics->stream, "# TYPE shmipc_%s%s %s\n", name, end, type);
    if (unit && !metrics->is_text)
        fprintf(metrics->stream, "# UNIT shmipc_%s %s\n", name, unit);
    fprintf(metrics->stream, "# HELP shmipc_%s%s %s\n", name, end, help);
}

/* The name of a sample and its labels: the host's, and those in @format. */
__attribute__((format(printf, 3, 4))) static void sample(Metrics *metrics, const char *name,
                                                         const char *format, ...) {
    va_list arguments;

    fprintf(metrics->stream, "shmipc_%s{host=\"%s\"", name, metrics->host);
    va_start(arguments, format);
    vfprintf(metrics->stream, format, arguments);
    va_end(arguments);
    fputs("} ", metrics->stream);
}

static void number(Metrics *metrics, uint64_t value) {
    fprintf(metrics->stream, "%" PRIu64 "\n", value);
}

static void seconds(Metrics *metrics, uint64_t ns) {
    fprintf(metrics->stream, "%" PRIu64 ".%09" PRIu64 "\n", ns / NS_PER_SEC, ns % NS_PER_SEC);
}

static void gauge(Metrics *metrics, const char *name, const char *help, uint64_t value) {
    family(metrics, name, "gauge", NULL, help);
    sample(metrics, name, "%s", "");
    number(metrics, value);
}

static void gauge_of_seconds(Metrics *metrics, const char *name, const char *help, uint64_t ns) {
    family(metrics, name, "gauge", "seconds", help);
    sample(metrics, name, "%s", "");
    seconds(metrics, ns);
}

/* A counter's samples have the name of its family and _total. */
static void counter(Metrics *metrics, const char *name, const char *help, uint64_t value) {
    char total[64];

    snprintf(total, sizeof(total), "%s_total", name);
    family(metrics, name, "counter", NULL, help);
    sample(metrics, total, "%s", "");
    number(metrics, value);
}

static void write_host(Metrics *metrics) {
    const PacketStatusHost *said = &metrics->rows->status->host;
    char version[LABEL_BYTES];

    family(metrics, "build_info", "gauge", NULL, "The version of the host.");
    sample(metrics, "build_info", ",version=\"%s\"", escape(said->version, version));
    number(metrics, 1);
    gauge_of_seconds(metrics, "uptime_seconds", "Since the start of the host.", said->uptime_ns);
    gauge(metrics, "healthy", "Whether the host's latest request to itself was answered.",
          said->healthy == 1);
    gauge_of_seconds(metrics, "probe_seconds", "How long that took.", said->probe_ns);
    gauge(metrics, "clients", "Clients that are connected.", said->n_clients);
    gauge(metrics, "workers", "Workers that take requests.", said->n_workers);
    counter(metrics, "redelivered", "Exchanges given to another worker after one died.", said->n_redelivered);
    counter(metrics, "parked", "Requests that workers did not survive, kept.", said->n_parked);
    counter(metrics, "refused", "Peers that were refused.", said->n_refused);
    counter(metrics, "misbehaved", "Peers that were disconnected for what they did.", said->n_misbehaved);
    counter(metrics, "limits_reached", "Times that a limit of the system was reached.", said->n_limits);
}

static void write_exchanges(Metrics *metrics) {
    const PacketStatusHost *said = &metrics->rows->status->host;

    family(metrics, "exchanges", "counter", NULL, "Exchanges that have ended.");
    sample(metrics, "exchanges_total", ",end=\"%s\"", "done");
    number(metrics, said->n_done);
    sample(metrics, "exchanges_total", ",end=\"%s\"", "failed");
    number(metrics, said->n_failed);
    sample(metrics, "exchanges_total", ",end=\"%s\"", "cancelled");
    number(metrics, said->n_cancelled);
    family(metrics, "exchanges_in_flight", "gauge", NULL, "Exchanges that wait for a worker, or have one.");
    sample(metrics, "exchanges_in_flight", ",state=\"%s\"", "waiting");
    number(metrics, said->n_waiting);
    sample(metrics, "exchanges_in_flight", ",state=\"%s\"", "running");
    number(metrics, said->in_flight > said->n_waiting ? said->in_flight - said->n_waiting : 0);
    family(metrics, "payload_bytes", "counter", "bytes", "Payloads of exchanges that have ended.");
    sample(metrics, "payload_bytes_total", ",direction=\"%s\"", "request");
    number(metrics, said->request_payload_bytes);
    sample(metrics, "payload_bytes_total", ",direction=\"%s\"", "response");
    number(metrics, said->response_payload_bytes);
}

/* Where there is none it has no sample. */
static void write_limits(Metrics *metrics) {
    family(metrics, "limit_used", "gauge", NULL, "How much is used of a limit: bytes, or a number.");
    for (size_t i = 0; i < N_LIMIT_ROWS; i++) {
        sample(metrics, "limit_used", ",limit=\"%s\"", metrics->rows->limits[i].name);
        number(metrics, metrics->rows->limits[i].used);
    }
    family(metrics, "limit_max", "gauge", NULL, "The limit.");
    for (size_t i = 0; i < N_LIMIT_ROWS; i++) {
        if (metrics->rows->limits[i].max == UINT64_MAX)
            continue;
        sample(metrics, "limit_max", ",limit=\"%s\"", metrics->rows->limits[i].name);
        number(metrics, metrics->rows->limits[i].max);
    }
}

/* --- by worker, by user --- */

typedef uint64_t (*WorkerValue)(const PacketStatusWorker *said);

static uint64_t busy_ns(const PacketStatusWorker *said) {
    return said->busy_ns;
}

static uint64_t private_bytes(const PacketStatusWorker *said) {
    return said->private_bytes;
}

static void write_of_workers(Metrics *metrics, const char *name, WorkerValue value,
                             void (*write)(Metrics *, uint64_t)) {
    for (size_t i = 0; i < metrics->rows->status->n_workers; i++) {
        const PacketStatusWorker *said = metrics->rows->workers[i].said;
        char label[LABEL_BYTES];

        sample(metrics, name, ",worker=\"%" PRIu64 "\",instance=\"%s\"", said->number,
               escape(said->name, label));
        write(metrics, value(said));
    }
}

static void write_workers(Metrics *metrics) {
    family(metrics, "worker_busy_seconds", "gauge", "seconds",
           "Since when a worker has its exchange; 0: idle.");
    write_of_workers(metrics, "worker_busy_seconds", busy_ns, seconds);
    family(metrics, "worker_copies_bytes", "gauge", "bytes", "A worker's private copies of requests.");
    write_of_workers(metrics, "worker_copies_bytes", private_bytes, number);
}

typedef uint64_t (*ClientValue)(const PacketStatusClient *said);

static uint64_t held_bytes(const PacketStatusClient *said) {
    return said->request_bytes + said->response_bytes;
}

static uint64_t in_flight(const PacketStatusClient *said) {
    return said->in_flight;
}

static bool is_first_of_user(const StatusRows *rows, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (rows->clients[j].said->uid == rows->clients[i].said->uid)
            return false;
    return true;
}

static void write_of_users(Metrics *metrics, const char *name, ClientValue value) {
    const StatusRows *rows = metrics->rows;

    for (size_t i = 0; i < rows->status->n_clients; i++) {
        char label[LABEL_BYTES];
        uint64_t sum = 0;

        if (!is_first_of_user(rows, i))
            continue;
        for (size_t j = i; j < rows->status->n_clients; j++)
            if (rows->clients[j].said->uid == rows->clients[i].said->uid)
                sum += value(rows->clients[j].said);
        sample(metrics, name, ",uid=\"%u\",user=\"%s\"", rows->clients[i].said->uid,
               escape(rows->clients[i].user, label));
        number(metrics, sum);
    }
}

static void write_users(Metrics *metrics) {
    family(metrics, "user_memory_bytes", "gauge", "bytes", "Shared memory reserved for a user's clients.");
    write_of_users(metrics, "user_memory_bytes", held_bytes);
    family(metrics, "user_in_flight", "gauge", NULL, "A user's exchanges in flight.");
    write_of_users(metrics, "user_in_flight", in_flight);
}

/* --- how long --- */

/* Bounds at powers of two of a nanosecond are bounds of buckets of the histogram as well: nothing is guessed.
 */
static void write_histogram(Metrics *metrics, const StageRow *row) {
    uint64_t n = 0;
    size_t bucket = 0;

    for (unsigned power = 9; power <= 36; power++) {
        uint64_t bound = UINT64_C(1) << power;

        for (; bucket < histogram_bucket(bound); bucket++)
            n += row->said->counts[bucket];
        sample(metrics, "stage_seconds_bucket", ",stage=\"%s\",le=\"%.12g\"", stage_name(row->stage),
               (double)bound / (double)NS_PER_SEC);
        number(metrics, n);
    }
    sample(metrics, "stage_seconds_bucket", ",stage=\"%s\",le=\"+Inf\"", stage_name(row->stage));
    number(metrics, row->said->n);
    sample(metrics, "stage_seconds_count", ",stage=\"%s\"", stage_name(row->stage));
    number(metrics, row->said->n);
    sample(metrics, "stage_seconds_sum", ",stage=\"%s\"", stage_name(row->stage));
    seconds(metrics, row->said->sum);
}

static void write_quantiles(Metrics *metrics, const StageRow *row) {
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};

    for (size_t i = 0; i < ELEMENTS(quantiles) && row->said->n > 0; i++) {
        sample(metrics, "stage_quantile_seconds", ",stage=\"%s\",quantile=\"%g\"", stage_name(row->stage),
               quantiles[i]);
        seconds(metrics, histogram_quantile(row->said, quantiles[i]));
    }
}

static void write_stages(Metrics *metrics) {
    family(metrics, "stage_seconds", "histogram", "seconds",
           "How long exchanges were queued, running, replied, as far as they are measured.");
    for (Stage stage = 0; stage < _STAGE_N; stage++)
        write_histogram(metrics, &metrics->rows->stages[stage]);
    family(metrics, "stage_quantile_seconds", "gauge", "seconds",
           "Likewise, since the start of the host, within 1 %.");
    for (Stage stage = 0; stage < _STAGE_N; stage++)
        write_quantiles(metrics, &metrics->rows->stages[stage]);
}

static void write_all(const StatusRows *rows, bool is_text, FILE *stream) {
    Metrics metrics = {.stream = stream, .rows = rows, .is_text = is_text};

    escape(rows->status->host.name, metrics.host);
    write_host(&metrics);
    write_exchanges(&metrics);
    write_limits(&metrics);
    write_workers(&metrics);
    write_users(&metrics);
    write_stages(&metrics);
    if (!is_text)
        fputs("# EOF\n", stream);
}

/* In a temporary file beside it. Collectors run as another user and are to read it. */
static int write_temporary(const StatusRows *rows, char *temporary) {
    int r, fd = mkostemp(temporary, O_CLOEXEC);
    FILE *stream;

    if (fd < 0)
        return error_errno();
    stream = fchmod(fd, 0644) < 0 ? NULL : fdopen(fd, "w");
    if (!stream) {
        r = error_errno();
        fd_close(fd);
        return r;
    }
    write_all(rows, true, stream);
    r = ferror(stream) || fflush(stream) != 0 ? error_errno() : 0;
    if (fclose(stream) != 0 && r == 0)
        r = error_errno();
    return r;
}

int metrics_write(const StatusRows *rows, const char *path) {
    _cleanup_free_ char *temporary = NULL;
    int r;

    if (!*path) {
        write_all(rows, false, stdout);
        return 0;
    }
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return error_origin(-ENOMEM);
    }
    r = write_temporary(rows, temporary);
    if (r == 0 && rename(temporary, path) < 0)
        r = error_errno();
    if (r < 0 && r != -ENOENT && r != -EACCES)
        (void)unlink(temporary);
    return r;
}
