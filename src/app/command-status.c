/* SPDX-License-Identifier: MIT */
/* shmipc status: what a running host has and does, asked of it */
#include "app/command.h"
#include "core/endpoint.h"
#include "app/output.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "os/limits.h"
#include "os/wait.h"
#include "wire/hello.h"
#include "wire/reason.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (10 * NS_PER_SEC)

static const char help[] =
    "Usage: shmipc status [-H HOST] [--json]\n"
    "\n"
    "Show the clients, workers, exchanges, memory and limits of a running host.\n"
    "\n"
    "  -H, --host HOST   instead of $SHMIPC_HOST or `host`\n"
    "  -j, --json        for programs: sizes in bytes, times in nanoseconds\n"
    "  -h, --help        this text\n"
    "\n"
    "Exit status: 0 shown, 1 failed, 2 usage, 3 no such host or not running, 4 not\n"
    "allowed, 8 busy: a limit of the host is reached.\n";

/* Everything that the host said. */
typedef struct Status {
    PacketStatusHost host;
    PacketStatusClient *clients;
    size_t n_clients;
    PacketStatusWorker *workers;
    size_t n_workers;
    bool refused; /* and the host's words for it were shown */
} Status;

static void status_deinit(Status *status) {
    free(status->clients);
    free(status->workers);
}

static int append(void **rows, size_t *n, const void *row, size_t bytes) {
    char *more = reallocarray(*rows, *n + 1, bytes);

    if (!more)
        return error_origin(-ENOMEM);
    memcpy(more + *n * bytes, row, bytes);
    *rows = more;
    (*n)++;
    return 0;
}

/* Return: 0 to go on, 1 at the end, or negative errno. */
static int take(Status *status, const Packet *packet) {
    switch (packet->header.type) {
    case PACKET_STATUS_HOST:
        status->host = packet->status_host;
        return 0;
    case PACKET_STATUS_CLIENT:
        return append((void **)&status->clients, &status->n_clients, &packet->status_client,
                      sizeof(packet->status_client));
    case PACKET_STATUS_WORKER:
        return append((void **)&status->workers, &status->n_workers, &packet->status_worker,
                      sizeof(packet->status_worker));
    case PACKET_STATUS_END:
        return 1;
    case PACKET_REFUSED:
        fprintf(stderr, "shmipc status: refused by the host: %s\n", packet->refused.text);
        status->refused = true;
        return error_origin(packet->refused.code == REASON_LIMIT ? -EBUSY : -EACCES);
    default:
        return error_origin(-EBADMSG);
    }
}

static int ask(int fd) {
    Packet packet;
    int r;

    packet_init(&packet, PACKET_HELLO, 0);
    memcpy(packet.hello.magic, HELLO_MAGIC, sizeof(packet.hello.magic));
    packet.hello.role = PEER_STATUS;
    packet.hello.version_min = PROTOCOL_VERSION;
    packet.hello.version_max = PROTOCOL_VERSION;
    text_copy(packet.hello.name, sizeof(packet.hello.name), "shmipc status");
    r = channel_send(fd, &packet, packet.header.bytes, NULL, 0);
    if (r < 0)
        return r;
    packet_init(&packet, PACKET_STATUS, 1);
    r = channel_send(fd, &packet, packet.header.bytes, NULL, 0);
    return r == -EPIPE ? 0 : r; /* refused: the reason can still be read */
}

static int receive(int fd, uint64_t until_ns, Status *status) {
    for (;;) {
        int fds[CHANNEL_FDS_MAX];
        size_t bytes, n_fds = 0;
        Packet packet;
        int r = channel_receive(fd, &packet, sizeof(packet), &bytes, fds, &n_fds);

        if (r == -EAGAIN && clock_now_ns() >= until_ns)
            return error_origin(-ETIMEDOUT);
        if (r == -EAGAIN) {
            r = wait_for_fd(fd, WAIT_READ, until_ns);
            if (r < 0)
                return r;
            continue;
        }
        if (r < 0)
            return r;
        for (size_t i = 0; i < n_fds; i++)
            fd_close(fds[i]);
        if (packet_check(&packet, bytes, n_fds, PEER_HOST))
            return error_origin(-EBADMSG);
        r = take(status, &packet);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

/* --- what is shown --- */

#define CELL_TEXT(name, Row, expression)                                                                     \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){.text = (expression)};                                                           \
    }
#define CELL_NUMBER(name, Row, expression)                                                                   \
    static OutputCell name(const void *data) {                                                               \
        const Row *row = data;                                                                               \
        return (OutputCell){.number = (expression)};                                                         \
    }

static const char *health(const PacketStatusHost *row) {
    return row->healthy == 0 ? "not known yet" : row->healthy == 1 ? "healthy" : "not healthy";
}

CELL_TEXT(host_name, PacketStatusHost, row->name)
CELL_TEXT(host_version, PacketStatusHost, row->version)
CELL_TEXT(host_health, PacketStatusHost, health(row))
CELL_NUMBER(host_pid, PacketStatusHost, row->pid)
CELL_NUMBER(host_uptime, PacketStatusHost, row->uptime_ns)
CELL_NUMBER(host_n_clients, PacketStatusHost, row->n_clients)
CELL_NUMBER(host_max_clients, PacketStatusHost, row->max_clients)
CELL_NUMBER(host_n_workers, PacketStatusHost, row->n_workers)
CELL_NUMBER(host_done, PacketStatusHost, row->n_done)
CELL_NUMBER(host_failed, PacketStatusHost, row->n_failed)
CELL_NUMBER(host_cancelled, PacketStatusHost, row->n_cancelled)
CELL_NUMBER(host_redelivered, PacketStatusHost, row->n_redelivered)
CELL_NUMBER(host_parked, PacketStatusHost, row->n_parked)
CELL_NUMBER(host_in_flight, PacketStatusHost, row->in_flight)
CELL_NUMBER(host_requests, PacketStatusHost, row->request_payload_bytes)
CELL_NUMBER(host_responses, PacketStatusHost, row->response_payload_bytes)
CELL_NUMBER(host_probe, PacketStatusHost, row->probe_ns)
CELL_NUMBER(host_max_payload, PacketStatusHost, row->max_payload)
CELL_NUMBER(host_memory, PacketStatusHost, row->memory_bytes)
CELL_NUMBER(host_memory_limit, PacketStatusHost, row->memory_limit)
CELL_NUMBER(host_queue_bytes, PacketStatusHost, row->queue_bytes)
CELL_NUMBER(host_queue_limit, PacketStatusHost, row->queue_bytes_limit)
CELL_NUMBER(host_queues, PacketStatusHost, row->n_queues)
CELL_NUMBER(host_queues_limit, PacketStatusHost, row->n_queues_limit)
CELL_NUMBER(host_queue_depth, PacketStatusHost, row->queue_depth)
CELL_NUMBER(host_files, PacketStatusHost, row->n_files)
static uint64_t fit(const PacketStatusHost *row, LimitKind kind) {
    const uint64_t fits[_LIMIT_N] = {
        [LIMIT_QUEUE_BYTES] = row->fit_queue_bytes,
        [LIMIT_QUEUES] = row->fit_queues,
        [LIMIT_FILES] = row->fit_files,
    };

    return fits[kind];
}

/* The limit that allows fewest clients. */
static LimitKind least_fit(const PacketStatusHost *row) {
    LimitKind least = 0;

    for (LimitKind kind = 0; kind < _LIMIT_N; kind++)
        if (fit(row, kind) < fit(row, least))
            least = kind;
    return least;
}

CELL_NUMBER(host_refused, PacketStatusHost, row->n_refused)
CELL_NUMBER(host_misbehaved, PacketStatusHost, row->n_misbehaved)
CELL_NUMBER(host_limits_reached, PacketStatusHost, row->n_limits)
CELL_NUMBER(host_untold, PacketStatusHost, row->n_untold)
CELL_NUMBER(host_user_share, PacketStatusHost, row->user_share)
CELL_NUMBER(host_fit, PacketStatusHost, fit(row, least_fit(row)))
CELL_TEXT(host_fit_limit, PacketStatusHost, limit_name(least_fit(row)))
CELL_NUMBER(host_fit_queue_bytes, PacketStatusHost, row->fit_queue_bytes)
CELL_NUMBER(host_fit_queues, PacketStatusHost, row->fit_queues)
CELL_NUMBER(host_fit_files, PacketStatusHost, row->fit_files)
CELL_NUMBER(host_files_limit, PacketStatusHost, row->n_files_limit)

static const OutputColumn host_columns[] = {
    {NULL, "name", OUTPUT_TEXT, host_name},
    {NULL, "version", OUTPUT_TEXT, host_version},
    {NULL, "pid", OUTPUT_NUMBER, host_pid},
    {NULL, "uptime_ns", OUTPUT_DURATION, host_uptime},
    {NULL, "health", OUTPUT_TEXT, host_health},
    {NULL, "probe_ns", OUTPUT_DURATION, host_probe},
    {NULL, "clients", OUTPUT_NUMBER, host_n_clients},
    {NULL, "max_clients", OUTPUT_NUMBER, host_max_clients},
    {NULL, "workers", OUTPUT_NUMBER, host_n_workers},
    {NULL, "done", OUTPUT_NUMBER, host_done},
    {NULL, "failed", OUTPUT_NUMBER, host_failed},
    {NULL, "cancelled", OUTPUT_NUMBER, host_cancelled},
    {NULL, "redelivered", OUTPUT_NUMBER, host_redelivered},
    {NULL, "in_flight", OUTPUT_NUMBER, host_in_flight},
    {NULL, "request_bytes", OUTPUT_BYTES, host_requests},
    {NULL, "response_bytes", OUTPUT_BYTES, host_responses},
    {NULL, "max_payload_bytes", OUTPUT_BYTES, host_max_payload},
    {NULL, "memory_bytes", OUTPUT_BYTES, host_memory},
    {NULL, "memory_limit_bytes", OUTPUT_BYTES, host_memory_limit},
    {NULL, "queue_bytes", OUTPUT_BYTES, host_queue_bytes},
    {NULL, "queue_limit_bytes", OUTPUT_BYTES, host_queue_limit},
    {NULL, "queues", OUTPUT_NUMBER, host_queues},
    {NULL, "queues_limit", OUTPUT_NUMBER, host_queues_limit},
    {NULL, "queue_depth", OUTPUT_NUMBER, host_queue_depth},
    {NULL, "files", OUTPUT_NUMBER, host_files},
    {NULL, "files_limit", OUTPUT_NUMBER, host_files_limit},
    {NULL, "clients_fit", OUTPUT_NUMBER, host_fit},
    {NULL, "clients_fit_limit", OUTPUT_TEXT, host_fit_limit},
    {NULL, "clients_fit_queue_bytes", OUTPUT_NUMBER, host_fit_queue_bytes},
    {NULL, "clients_fit_queues", OUTPUT_NUMBER, host_fit_queues},
    {NULL, "clients_fit_files", OUTPUT_NUMBER, host_fit_files},
    {NULL, "user_share_percent", OUTPUT_NUMBER, host_user_share},
    {NULL, "refused", OUTPUT_NUMBER, host_refused},
    {NULL, "misbehaved", OUTPUT_NUMBER, host_misbehaved},
    {NULL, "limits_reached", OUTPUT_NUMBER, host_limits_reached},
    {NULL, "log_untold", OUTPUT_NUMBER, host_untold},
    {NULL, "parked", OUTPUT_NUMBER, host_parked},
};

CELL_NUMBER(client_id_cell, PacketStatusClient, row->id)
CELL_TEXT(client_name, PacketStatusClient, row->probe ? "probe (of the host)" : row->name)
CELL_NUMBER(client_uid, PacketStatusClient, row->uid)
CELL_NUMBER(client_pid, PacketStatusClient, row->pid)
CELL_NUMBER(client_age, PacketStatusClient, row->age_ns)
CELL_NUMBER(client_done, PacketStatusClient, row->n_done)
CELL_NUMBER(client_failed, PacketStatusClient, row->n_failed)
CELL_NUMBER(client_in_flight, PacketStatusClient, row->in_flight)
CELL_NUMBER(client_queued, PacketStatusClient, row->queued)
CELL_NUMBER(client_reserved, PacketStatusClient, row->request_bytes + row->response_bytes)
CELL_NUMBER(client_requests, PacketStatusClient, row->request_bytes)
CELL_NUMBER(client_responses, PacketStatusClient, row->response_bytes)
CELL_NUMBER(client_resident, PacketStatusClient, row->resident_bytes)
CELL_TEXT(client_path, PacketStatusClient, row->trusted ? "in place" : "copied")

static const OutputColumn client_columns[] = {
    {"CLIENT", "client", OUTPUT_NUMBER, client_id_cell},
    {"PROGRAM", "program", OUTPUT_TEXT, client_name},
    {"UID", "uid", OUTPUT_NUMBER, client_uid},
    {"PID", "pid", OUTPUT_NUMBER, client_pid},
    {"AGE", "age_ns", OUTPUT_DURATION, client_age},
    {"DONE", "done", OUTPUT_NUMBER, client_done},
    {"FAILED", "failed", OUTPUT_NUMBER, client_failed},
    {"FLYING", "in_flight", OUTPUT_NUMBER, client_in_flight},
    {"QUEUED", "queued", OUTPUT_NUMBER, client_queued},
    {"RESERVED", "reserved_bytes", OUTPUT_BYTES, client_reserved},
    {NULL, "request_bytes", OUTPUT_BYTES, client_requests},
    {NULL, "response_bytes", OUTPUT_BYTES, client_responses},
    {"RESIDENT", "resident_bytes", OUTPUT_BYTES, client_resident},
    {"REQUESTS", "requests", OUTPUT_TEXT, client_path},
};

CELL_NUMBER(worker_number, PacketStatusWorker, row->number)
CELL_TEXT(worker_name, PacketStatusWorker, row->name)
CELL_NUMBER(worker_uid, PacketStatusWorker, row->uid)
CELL_NUMBER(worker_pid, PacketStatusWorker, row->pid)
CELL_NUMBER(worker_age, PacketStatusWorker, row->age_ns)
CELL_TEXT(worker_state, PacketStatusWorker, row->leaving ? "leaving" : row->busy_ns ? "busy" : "idle")
CELL_NUMBER(worker_busy, PacketStatusWorker, row->busy_ns)
CELL_NUMBER(worker_client, PacketStatusWorker, row->busy_ns ? row->client : UINT64_MAX)
CELL_NUMBER(worker_n_clients, PacketStatusWorker, row->n_clients)

static const OutputColumn worker_columns[] = {
    {"WORKER", "worker", OUTPUT_NUMBER, worker_number},
    {"INSTANCE", "instance", OUTPUT_TEXT, worker_name},
    {"UID", "uid", OUTPUT_NUMBER, worker_uid},
    {"PID", "pid", OUTPUT_NUMBER, worker_pid},
    {"AGE", "age_ns", OUTPUT_DURATION, worker_age},
    {"STATE", "state", OUTPUT_TEXT, worker_state},
    {"SINCE", "busy_ns", OUTPUT_DURATION, worker_busy},
    {"CLIENT", "client", OUTPUT_NUMBER, worker_client},
    {"MET", "clients_met", OUTPUT_NUMBER, worker_n_clients},
};

/* "12 of 100 (12 %)"; a limit that could not be read is not shown. */
static void show_limit(const char *what, uint64_t used, uint64_t limit, bool bytes) {
    char texts[2][UNITS_TEXT_MAX];

    if (bytes)
        printf("  %-22s %s", what, size_format(used, texts[0]));
    else
        printf("  %-22s %" PRIu64, what, used);
    if (limit == UINT64_MAX)
        puts(", no limit");
    else if (bytes)
        printf(" of %s (%u %%)\n", size_format(limit, texts[1]),
               limit ? (unsigned)(used * 100 / limit) : 100);
    else
        printf(" of %" PRIu64 " (%u %%)\n", limit, limit ? (unsigned)(used * 100 / limit) : 100);
}

static void show_fit(const PacketStatusHost *host) {
    LimitKind least = least_fit(host);
    uint64_t n = fit(host, least);

    if (n == UINT64_MAX)
        printf("  %-22s any number\n", "clients that fit");
    else
        printf("  %-22s %" PRIu64 ", by %s\n", "clients that fit", n, limit_name(least));
    if (n < host->max_clients)
        printf("Warning: `max_clients` = %u cannot be reached, for %s allows %" PRIu64
               ": %s, or lower `max_clients`.\n",
               host->max_clients, limit_name(least), n, limit_cure(least));
}

static void show_host(const PacketStatusHost *host) {
    char sizes[2][UNITS_TEXT_MAX], times[2][UNITS_TEXT_MAX];

    printf("Host %s, shmipc %s, pid %" PRIu64 ", up %s: %s", host->name, host->version, host->pid,
           duration_format(host->uptime_ns / NS_PER_SEC * NS_PER_SEC, times[0]), health(host));
    if (host->healthy == 1)
        printf(" (probe %s)", duration_format(host->probe_ns, times[1]));
    printf("\nExchanges: %" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " cancelled or expired, "
           "%" PRIu64 " in flight, %" PRIu64 " redelivered, %" PRIu64 " parked\nPayloads: %s in, %s out\n",
           host->n_done, host->n_failed, host->n_cancelled, host->in_flight, host->n_redelivered,
           host->n_parked,
           size_format(host->request_payload_bytes, sizes[0]),
           size_format(host->response_payload_bytes, sizes[1]));
    printf("Peers: %" PRIu64 " refused, %" PRIu64 " disconnected for what they did; limits reached %" PRIu64
           " times; %" PRIu64 " events of these kept out of the log\n\nLimits\n",
           host->n_refused, host->n_misbehaved, host->n_limits, host->n_untold);
    show_limit("memory", host->memory_bytes, host->memory_limit, true);
    show_limit("max_clients", host->n_clients, host->max_clients, false);
    show_limit("RLIMIT_MSGQUEUE", host->queue_bytes, host->queue_bytes_limit, true);
    show_limit("fs.mqueue.queues_max", host->n_queues, host->n_queues_limit, false);
    show_limit("RLIMIT_NOFILE", host->n_files, host->n_files_limit, false);
    show_fit(host);
}

static int show(const Status *status, bool json) {
    const OutputTable tables[] = {
        {"host", host_columns, ELEMENTS(host_columns), &status->host, 1, sizeof(status->host)},
        {"clients", client_columns, ELEMENTS(client_columns), status->clients, status->n_clients,
         sizeof(*status->clients)},
        {"workers", worker_columns, ELEMENTS(worker_columns), status->workers, status->n_workers,
         sizeof(*status->workers)},
    };
    int r = 0;

    if (json)
        return output_json(tables, ELEMENTS(tables), stdout);
    show_host(&status->host);
    for (size_t i = 1; i < ELEMENTS(tables) && r == 0; i++) {
        putchar('\n');
        if (tables[i].n_rows)
            r = output_people(&tables[i], stdout);
        else
            printf("No %s.\n", tables[i].name);
    }
    return r;
}

/* In words, unless the host's own were shown. Return: an exit status. */
static int explain(int r, const Status *status, const char *host, const char *path) {
    if (r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE)
        fprintf(stderr,
                "shmipc status: there is no host `%s` at %s; start it, as in `systemctl start shmipc@%s`\n",
                host, path, host);
    else if (r == -ETIMEDOUT || r == -EAGAIN)
        fprintf(stderr, "shmipc status: the host `%s` at %s does not answer\n", host, path);
    else if (!status->refused)
        fprintf(stderr, "shmipc status: %s: %s\n", path, strerror(-r));
    if (r == -EBUSY || r == -EAGAIN)
        return EXIT_BUSY;
    return r == -EACCES                                        ? EXIT_NOT_ALLOWED
           : r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE ? EXIT_NO_HOST
                                                               : EXIT_FAILURE;
}

static int status(const char *host, bool json) {
    _cleanup_(status_deinit) Status status = {0};
    _cleanup_close_ int fd = -1;
    uint64_t until_ns = clock_now_ns() + ANSWER_NS;
    char path[CHANNEL_PATH_MAX] = "";
    int r = endpoint_find(host, path);

    if (r == 0)
        r = channel_connect_until(path, until_ns, &fd);
    if (r == 0)
        r = ask(fd);
    if (r == 0)
        r = receive(fd, until_ns, &status);
    if (r < 0)
        return explain(r, &status, host, path);
    r = show(&status, json);
    if (r == 0 && fflush(stdout) != 0)
        r = error_errno();
    if (r < 0)
        fprintf(stderr, "shmipc status: writing the tables: %s\n", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_status(int argc, char **argv) {
    static const struct option options[] = {{"host", required_argument, NULL, 'H'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *host = endpoint_default_host();
    bool json = false;
    int option;

    while ((option = getopt_long(argc, argv, "H:jh", options, NULL)) >= 0) {
        switch (option) {
        case 'H':
            host = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("Try `shmipc status --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fputs("shmipc status: takes no argument. Try `shmipc status --help`.\n", stderr);
        return EXIT_USAGE;
    }
    return status(host, json);
}
