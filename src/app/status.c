/* SPDX-License-Identifier: MIT */
#include "app/status.h"

#include "app/command.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "os/channel.h"
#include "os/wait.h"
#include "wire/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (10 * NS_PER_SEC)
#define AT_ONCE   64 /* packets, before anything else is looked at */

void status_deinit(Status *status) {
    free(status->clients);
    free(status->workers);
    free(status->slots);
    free(status->stages);
    *status = (Status){0};
}

static int append(void **rows, size_t *n, const void *row, size_t bytes) {
    char *more = *rows;

    if ((*n & (*n - 1)) == 0) /* full: it holds a power of two, or nothing */
        more = reallocarray(*rows, *n ? *n * 2 : 1, bytes);
    if (!more)
        return error_origin(-ENOMEM);
    memcpy(more + *n * bytes, row, bytes);
    *rows = more;
    (*n)++;
    return 0;
}

static int refused(Status *status, const PacketRefused *packet) {
    status->refused = (Reason)packet->code;
    memcpy(status->refused_text, packet->text, sizeof(status->refused_text));
    return error_origin(packet->code == REASON_LIMIT     ? -EBUSY
                        : packet->code == REASON_VERSION ? -EPROTO
                                                         : -EACCES);
}

/* What a host says is no more trusted than what anybody says. */
static int take_stage(Status *status, const PacketStatusStage *packet) {
    Histogram *histogram;

    if (packet->stage >= _STAGE_N)
        return 0; /* a newer host has more of them */
    if (packet->n_entries > STAGE_ENTRIES)
        return error_origin(-EBADMSG);
    if (!status->stages)
        status->stages = calloc(_STAGE_N, sizeof(*status->stages));
    if (!status->stages)
        return error_origin(-ENOMEM);
    histogram = &status->stages[packet->stage];
    histogram->sum = packet->sum_ns;
    histogram->max = packet->max_ns;
    for (uint32_t i = 0; i < packet->n_entries; i++) {
        size_t bucket = packet->entries[i] >> STAGE_COUNT_BITS;
        uint64_t count = packet->entries[i] & STAGE_COUNT_MAX;

        if (bucket >= HISTOGRAM_BUCKETS)
            return error_origin(-EBADMSG);
        if (histogram->n == 0)
            histogram->min = histogram_bucket_begin(bucket);
        histogram->counts[bucket] += count;
        histogram->n += count;
    }
    return 0;
}

/* What only a newer host says is passed over. */
static bool is_news(const Packet *packet) {
    return packet->header.type >= _PACKET_N;
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
    case PACKET_STATUS_SLOT:
        return append((void **)&status->slots, &status->n_slots, &packet->status_slot,
                      sizeof(packet->status_slot));
    case PACKET_STATUS_STAGE:
        return take_stage(status, &packet->status_stage);
    case PACKET_STATUS_END:
        return status->host.header.type == PACKET_STATUS_HOST ? 1 : error_origin(-EBADMSG);
    case PACKET_REFUSED:
        return refused(status, &packet->refused);
    default:
        return is_news(packet) ? 0 : error_origin(-EBADMSG);
    }
}

int status_connect(StatusLine *line, const char *path, const char *program) {
    _cleanup_close_ int fd = -1;
    Packet packet;
    int r = channel_connect_until(path, clock_now_ns() + ANSWER_NS, &fd);

    if (r < 0)
        return r;
    packet_init_hello(&packet, PEER_STATUS, program);
    r = channel_send(fd, &packet, packet.header.bytes, NULL, 0);
    if (r < 0 && r != -EPIPE) /* refused: the reason can still be read */
        return r;
    *line = (StatusLine){.fd = TAKE_FD(fd)};
    return 0;
}

void status_hang_up(StatusLine *line) {
    line->fd = fd_close(line->fd);
}

/* The next packet, which nobody may send but a host. Return: 0, -EAGAIN, or another negative errno. */
static int receive(int fd, Packet *ret) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds = 0;
    int r = channel_receive(fd, ret, sizeof(*ret), &bytes, fds, &n_fds);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n_fds; i++)
        fd_close(fds[i]);
    if (bytes >= sizeof(ret->header) && ret->header.bytes == bytes && is_news(ret))
        return 0;
    return packet_check(ret, bytes, n_fds, PEER_HOST) ? error_origin(-EBADMSG) : 0;
}

int status_begin(StatusLine *line, bool slots) {
    Packet packet;
    int r;

    packet_init(&packet, slots ? PACKET_STATUS_SLOTS : PACKET_STATUS, ++line->serial);
    r = channel_send(line->fd, &packet, packet.header.bytes, NULL, 0);
    return r == -EPIPE ? 0 : r; /* as above */
}

int status_hear(StatusLine *line, Status *ret) {
    int r = 0;

    for (size_t n = 0; n < AT_ONCE && r == 0; n++) {
        Packet packet;

        r = receive(line->fd, &packet);
        /* Others are of a question that was given up. */
        if (r == 0 && (packet.header.serial == line->serial || packet.header.type == PACKET_REFUSED))
            r = take(ret, &packet);
    }
    return r == -EAGAIN ? 0 : r;
}

int status_ask(StatusLine *line, bool slots, Status *ret) {
    uint64_t until_ns = clock_now_ns() + ANSWER_NS;
    int r = status_begin(line, slots);

    while (r >= 0) {
        r = status_hear(line, ret);
        if (r != 0)
            return r < 0 ? r : 0;
        if (clock_now_ns() >= until_ns)
            return error_origin(-ETIMEDOUT);
        r = wait_for_fd(line->fd, WAIT_READ, until_ns);
    }
    return r;
}

int status_trace(StatusLine *line, const PacketTrace *wish) {
    Packet packet;
    int r;

    packet_init(&packet, PACKET_TRACE, ++line->serial);
    packet.trace.client = wish->client;
    packet.trace.least_ns = wish->least_ns;
    packet.trace.worker = wish->worker;
    packet.trace.uid = wish->uid;
    packet.trace.flags = wish->flags;
    r = channel_send(line->fd, &packet, packet.header.bytes, NULL, 0);
    return r == -EPIPE ? 0 : r; /* as above */
}

int status_hear_traced(StatusLine *line, Status *status, PacketTraced *ret) {
    Packet packet;
    int r = receive(line->fd, &packet);

    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    if (packet.header.type == PACKET_REFUSED)
        return refused(status, &packet.refused);
    if (is_news(&packet))
        return 0;
    if (packet.header.type != PACKET_TRACED || packet.traced.n_records > TRACED_MAX)
        return error_origin(-EBADMSG);
    *ret = packet.traced;
    return 1;
}

/* Which version answers there; "" if none does. It stands in the first row, which each one understands. */
static void find_version(const char *path, char ret[static VERSION_BYTES]) {
    _cleanup_(status_hang_up) StatusLine line = STATUS_LINE_NULL;
    _cleanup_(status_deinit) Status said = {0};

    if (status_connect(&line, path, "shmipc status") == 0)
        (void)status_ask(&line, false, &said);
    text_copy(ret, VERSION_BYTES, said.host.version);
}

/* An older one hangs up where it does not know what it is asked; but so does one that ends. */
static int explain_nonsense(const char *command, int r, const Status *status, const char *host,
                            const char *path) {
    char version[VERSION_BYTES];

    text_copy(version, sizeof(version), status->host.version);
    if (!*version)
        find_version(path, version);
    if (r == -EPIPE && !*version)
        return command_no_host(command, host, path);
    if (r == -EPIPE && strcmp(version, SHMIPC_VERSION) == 0)
        return command_fail(command, EXIT_NO_HOST,
                            "the host `%s` at %s has hung up, and is there; `journalctl -u shmipc@%s -p "
                            "warning` may say why",
                            host, path, host);
    return command_fail(command, EXIT_NO_HOST,
                        "the host `%s` at %s runs %s%s, and this is shmipc " SHMIPC_VERSION
                        ": they do not understand each other; `systemctl restart shmipc@%s` starts what is "
                        "installed, and loses nothing",
                        host, path, *version ? "shmipc " : "another version", version, host);
}

int status_explain(const char *command, int r, const Status *status, const char *host, const char *path) {
    if (status->refused)
        return command_refused(command, status->refused, status->refused_text);
    switch (r) {
    case -ENOENT:
    case -ECONNREFUSED:
        return command_no_host(command, host, path);
    case -EPIPE:
    case -EBADMSG:
        return explain_nonsense(command, r, status, host, path);
    case -ETIMEDOUT:
        return command_fail(command, EXIT_HANDLER,
                            "the host `%s` at %s does not answer; `journalctl -u shmipc@%s` may say why",
                            host, path, host);
    case -EAGAIN:
        return command_fail(command, EXIT_BUSY, "%s: more wait to be let in than the host takes; try again",
                            path);
    case -EACCES:
    case -EPERM:
        return command_fail(command, EXIT_NOT_ALLOWED, "%s: %s", path, strerror(-r));
    default:
        return command_fail(command, EXIT_HANDLER, "%s: %s", path, strerror(-r));
    }
}

const PacketStatusClient *status_client(const Status *status, uint64_t id) {
    for (size_t i = 0; i < status->n_clients; i++)
        if (status->clients[i].id == id)
            return &status->clients[i];
    return NULL;
}

const PacketStatusWorker *status_worker(const Status *status, uint64_t number) {
    for (size_t i = 0; i < status->n_workers; i++)
        if (status->workers[i].number == number)
            return &status->workers[i];
    return NULL;
}
