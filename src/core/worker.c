/* SPDX-License-Identifier: MIT */
/* The connection to the host: found, lost, found again; queues come and go. */
#include "core/worker-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/channel.h"
#include "os/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_NS (100 * NS_PER_MS)
#define RETRY_MAX_NS   (2 * NS_PER_SEC)
/*
 * A host that does not answer for so long is as good as gone. One that hangs is killed by its watchdog within
 * half of this, and the next one answers in its place.
 */
#define ANSWER_NS (60 * NS_PER_SEC)

enum { SOURCE_CHANNEL, SOURCE_QUEUE, SOURCE_WATCH };

static Event *tell(Worker *worker, EventKind kind) {
    Event *event = event_push(&worker->events, kind);

    event->worker = worker->number;
    return event;
}

static void queue_free(WorkerQueue *queue) {
    wait_remove(&queue->source);
    fd_close(queue->fd);
    free(queue);
}

static int retry_later(Worker *worker) {
    uint64_t pause = worker->retry_ns;

    worker->retry_ns = pause * 2 < RETRY_MAX_NS ? pause * 2 : RETRY_MAX_NS;
    return wait_set_timer(worker->wait, clock_now_ns() + pause);
}

static void drop_all_queues(Worker *worker) {
    for (size_t i = 0; i < worker->queues.n; i++)
        queue_free(table_at(&worker->queues, i));
    table_deinit(&worker->queues);
}

/* Let go of everything that the host gave. */
static void disconnect(Worker *worker) {
    if (worker->channel >= 0)
        worker_say_leaving(worker);
    wait_remove(&worker->channel_source);
    worker->channel = fd_close(worker->channel);
    drop_all_queues(worker);
    worker_drop_all_clients(worker);
    worker_drop_ring(worker);
    worker_forget_owed(worker);
    worker->lost = false;
    worker_copies_drop(worker);
    worker->number = 0;
}

/* Tear down after the host was lost. Not while an exchange is in hand: its handler polls the channel. */
static int lose_host(Worker *worker) {
    if (worker->state == WORKER_ATTACHED)
        tell(worker, EVENT_HOST_LOST);
    disconnect(worker);
    worker->state = WORKER_SEEKING;
    return retry_later(worker);
}

static int say_hello(Worker *worker) {
    Packet packet;

    packet_init_hello(&packet, PEER_WORKER, worker->name);
    packet.hello.timeout_ns = worker->settings->timeout_ns;
    return worker_say(worker, &packet);
}

/* Why there is no host for this worker is told once; another reason, once more. Return: NULL if it was. */
static Event *tell_missing(Worker *worker, EventKind kind) {
    if (worker->told_host == kind)
        return NULL;
    worker->told_host = kind;
    return tell(worker, kind);
}

static int host_is_missing(Worker *worker, int error) {
    Event *event = tell_missing(worker, EVENT_HOST_MISSING);

    if (event) {
        event->status = -error;
        snprintf(event->text, sizeof(event->text), "%s: %s", worker->path, strerror(-error));
    }
    return retry_later(worker);
}

static int seek_host(Worker *worker) {
    int r = channel_connect(worker->path, &worker->channel);

    if (r < 0)
        return host_is_missing(worker, r);
    r = wait_add(worker->wait, &worker->channel_source, worker->channel, WAIT_READ, SOURCE_CHANNEL, worker);
    if (r < 0)
        return r;
    worker->state = WORKER_GREETING;
    return say_hello(worker);
}

static int add_queue(Worker *worker, uid_t uid, int *fd) {
    WorkerQueue *queue;
    int r;

    /* Whatever else came would be an error of this worker's as soon as it is waited for, or read. */
    if (table_find(&worker->queues, uid) || !queue_holds(*fd, sizeof(Message)))
        return error_origin(-EBADMSG); /* no host of ours says so */
    queue = calloc(1, sizeof(*queue));
    if (!queue)
        return error_origin(-ENOMEM);
    queue->uid = uid;
    queue->fd = TAKE_FD(*fd);
    r = wait_add(worker->wait, &queue->source, queue->fd, WAIT_READ, SOURCE_QUEUE, queue);
    if (r == 0)
        r = table_insert(&worker->queues, uid, queue);
    if (r < 0)
        queue_free(queue);
    return r;
}

static void remove_queue(Worker *worker, uid_t uid) {
    WorkerQueue *queue = table_remove(&worker->queues, uid);

    worker_poll_leave_uid(worker, uid); /* the host may be refusing this user */
    if (queue)
        queue_free(queue);
}

void worker_understands(Worker *worker) {
    worker->misunderstood = false;
    worker->retry_ns = RETRY_FIRST_NS;
    worker->told_host = EVENT_HOST_ATTACHED;
}

static int hear_welcome(Worker *worker, const PacketWelcome *welcome) {
    if (welcome->id == 0 || welcome->id > SLOT_OWNER_MAX)
        return error_origin(-EBADMSG);
    worker->number = (uint32_t)welcome->id;
    worker->max_payload = welcome->max_payload;
    worker->state = WORKER_ATTACHED;
    if (!worker->misunderstood)
        worker_understands(worker);
    tell(worker, EVENT_HOST_ATTACHED);
    return 0;
}

/* This host is none for us; another may come in its place. */
static void give_up_host(Worker *worker, Reason reason, const char *text) {
    Event *event = tell_missing(worker, EVENT_HOST_REFUSED);

    if (event) {
        event->reason = reason;
        text_copy(event->text, sizeof(event->text), text);
    }
    worker->lost = true;
}

/* It may let us in again and again: it is asked less and less often, until it has shown that it is ours. */
static void give_up_stranger(Worker *worker) {
    worker->misunderstood = true;
    give_up_host(worker, REASON_VERSION,
                 "they do not understand each other; this is shmipc " SHMIPC_VERSION
                 ", and the host is of another version: restart it, which loses nothing");
}

static int answer_ping(Worker *worker) {
    Packet packet;
    int r;

    packet_init(&packet, PACKET_PONG, 0);
    r = worker_say(worker, &packet);
    return r < 0 ? r : worker_copies_trim(worker);
}

/*
 * A new host has the state of the one before, but does not know whose memory is held here, nor what was
 * asked. It names all queues anew.
 */
static int hear_again(Worker *worker, const PacketAgain *again) {
    if (worker->state != WORKER_ATTACHED) {
        worker->lost = true; /* its WELCOME died with the host before: whoever connects again gets one */
        return 0;
    }
    worker->max_payload = again->max_payload;
    drop_all_queues(worker);
    worker_drop_ring(worker);
    worker->unsaid = worker->owes_holds = true;
    worker->held = 0;
    return worker_pay_host(worker);
}

/* CLIENT and RESERVED are heard by worker_ask(); here they are answers that came too late. */
static int hear(Worker *worker, const Packet *packet, int *fds) {
    switch (packet->header.type) {
    case PACKET_WELCOME:
        return hear_welcome(worker, &packet->welcome);
    case PACKET_REFUSED:
        give_up_host(worker, (Reason)packet->refused.code, packet->refused.text);
        return 0;
    case PACKET_QUEUE:
        return add_queue(worker, packet->number.number, &fds[0]);
    case PACKET_UNQUEUE:
        remove_queue(worker, packet->number.number);
        return 0;
    case PACKET_RING:
        return worker_take_ring(worker, &fds[0]);
    case PACKET_UNRING:
        worker_drop_ring(worker);
        return 0;
    case PACKET_GONE:
        return worker_drop_client(worker, packet->id.client);
    case PACKET_PING:
        return answer_ping(worker);
    case PACKET_AGAIN:
        return hear_again(worker, &packet->again);
    default:
        return 0;
    }
}

static void close_all(int *fds, size_t n_fds) {
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fd_close(fds[i]);
}

/*
 * One packet, its descriptors the caller's. Return: 0; -EAGAIN when there is none; -ENOTCONN when the host is
 * lost; or negative errno.
 */
static int receive(Worker *worker, Packet *ret_packet, int fds[static CHANNEL_FDS_MAX], size_t *ret_n_fds) {
    size_t bytes;
    int r;

    if (worker->lost)
        return -ENOTCONN;
    r = channel_receive(worker->channel, ret_packet, sizeof(*ret_packet), &bytes, fds, ret_n_fds);
    /* Out of descriptors, and what came is lost: begin again, and the host announces anew. */
    if (r == -EPIPE || r == -ECONNRESET || r == -EMFILE) {
        worker->lost = true;
        return -ENOTCONN;
    }
    if (r < 0)
        return r;
    if (!packet_check(ret_packet, bytes, *ret_n_fds, PEER_HOST))
        return 0;
    close_all(fds, *ret_n_fds);
    *ret_n_fds = 0;
    return error_origin(-EBADMSG);
}

int worker_listen(Worker *worker) {
    for (;;) {
        int fds[CHANNEL_FDS_MAX];
        size_t n_fds = 0;
        Packet packet;
        int r = receive(worker, &packet, fds, &n_fds);

        if (r == 0)
            r = hear(worker, &packet, fds);
        close_all(fds, n_fds);
        if (r == -EAGAIN || r == -ENOTCONN)
            return 0;
        if (r < 0)
            return r;
    }
}

/*
 * Wait until the host says something, or listens to what it is owed. Return: 0; -ENOTCONN; or negative errno.
 */
static int await(Worker *worker, uint64_t until_ns) {
    int r;

    if (clock_now_ns() >= until_ns) {
        worker->lost = true;
        return -ENOTCONN;
    }
    r = wait_for_fd(worker->channel, worker_owes_host(worker) ? WAIT_READ | WAIT_WRITE : WAIT_READ, until_ns);
    return r < 0 ? r : worker_pay_host(worker);
}

enum { ANSWERED = 1 };

/*
 * One packet while an answer is waited for. Return: ANSWERED; 0; -EAGAIN when there is none; or another
 * negative errno.
 */
static int hear_one(Worker *worker, const PacketHeader *answer, Packet *ret_packet, int *fds,
                    size_t *ret_n_fds) {
    int r = receive(worker, ret_packet, fds, ret_n_fds);

    if (r < 0)
        return r;
    if (ret_packet->header.type == answer->type && ret_packet->header.serial == answer->serial)
        return ANSWERED;
    r = hear(worker, ret_packet, fds);
    close_all(fds, *ret_n_fds);
    return r;
}

/*
 * A question is said again to each new host, after what this worker holds: a host hears no question before it
 * knows that.
 */
int worker_ask(Worker *worker, const Packet *packet, PacketType type, Packet *ret_answer, int *ret_fds,
               size_t *ret_n_fds) {
    const PacketHeader answer = {.type = type, .serial = packet->header.serial};
    uint64_t until_ns = clock_now_ns() + ANSWER_NS;
    int fds[CHANNEL_FDS_MAX];
    size_t n_fds = 0;
    int r = 0;

    worker->unsaid = true;
    while (r == 0) {
        if (worker->unsaid && !worker->owes_holds) {
            worker->unsaid = false;
            r = worker_say(worker, packet);
        }
        if (r == 0)
            r = hear_one(worker, &answer, ret_answer, fds, &n_fds);
        if (r == -EAGAIN)
            r = await(worker, until_ns);
    }
    if (r < 0)
        return r;
    if (ret_fds) {
        memcpy(ret_fds, fds, n_fds * sizeof(*fds));
        *ret_n_fds = n_fds;
    } else
        close_all(fds, n_fds);
    return 0;
}

int worker_new(Worker **ret, const char *name, const char *path, const WorkerSettings *settings,
               Handler *handler) {
    _cleanup_(worker_freep) Worker *worker = calloc(1, sizeof(*worker));
    int r;

    if (!worker)
        return error_origin(-ENOMEM);
    worker->channel = -1;
    worker->ring = (Page)PAGE_NULL;
    worker->settings = settings;
    worker->handler = handler;
    worker->retry_ns = RETRY_FIRST_NS;
    text_copy(worker->name, sizeof(worker->name), name);
    worker->path = strdup(path);
    if (!worker->path)
        return error_origin(-ENOMEM);
    r = handler_echo.new(&worker->probe_handler, &(const HandlerSettings){0}, NULL);
    if (r < 0)
        return r;
    r = wait_new(&worker->wait);
    if (r < 0)
        return r;
    r = wait_set_timer(worker->wait, clock_now_ns()); /* connect at once */
    if (r < 0)
        return r;
    *ret = TAKE(worker);
    return 0;
}

Worker *worker_free(Worker *worker) {
    if (!worker)
        return NULL;
    disconnect(worker);
    worker_copies_deinit(worker);
    wait_remove(&worker->watch_source);
    wait_free(worker->wait);
    handler_free(worker->probe_handler);
    free(worker->path);
    free(worker);
    return NULL;
}

int worker_get_fd(const Worker *worker) {
    return wait_get_fd(worker->wait);
}

int worker_watch(Worker *worker, int fd) {
    wait_remove(&worker->watch_source);
    return wait_add(worker->wait, &worker->watch_source, fd, WAIT_READ, SOURCE_WATCH, worker);
}

static int work(Worker *worker, WaitSource *source) {
    int r;

    switch (source->kind) {
    case SOURCE_CHANNEL:
        r = worker_pay_host(worker);
        return r < 0 ? r : worker_listen(worker);
    case SOURCE_QUEUE:
        return worker_take_message(worker, source->owner);
    default:
        return 0; /* the watched descriptor is its owner's business */
    }
}

/* One claim at a time: what is ready besides comes in the next turn. */
static int work_off(Worker *worker) {
    WaitSource *source;
    uint32_t events;
    int r = 0;

    while (r == 0 && !worker->lost && !worker->ready && (source = wait_next(worker->wait, &events)))
        r = work(worker, source);
    return r;
}

/*
 * Look at the descriptors, or wait for one. What is left of the last time is first: epoll names what is still
 * ready in the same order each time, so a queue that never empties would hold up those of all other users.
 * Return: 0 or negative errno.
 */
static int turn(Worker *worker, uint64_t until_ns) {
    int r;

    worker->n_in_a_row = 0;
    worker->row_ns = 0;
    worker->by_message = false;
    r = work_off(worker);
    if (r == 0 && !worker->lost && !worker->ready)
        r = wait_poll(worker->wait, until_ns);
    if (r == 0)
        r = work_off(worker);
    if (wait_timer_expired(worker->wait) && r == 0 && worker->state == WORKER_SEEKING)
        r = seek_host(worker);
    return r;
}

int worker_wait(Worker *worker, uint64_t until_ns) {
    int r = worker_poll(worker, until_ns);

    if (r == WORKER_POLLS_NOT || r == WORKER_POLL_READY)
        r = turn(worker, r == WORKER_POLL_READY ? 0 : until_ns);
    if (r == -EBADMSG)
        give_up_stranger(worker);
    else if (r < 0)
        return r;
    return worker->lost ? lose_host(worker) : 0;
}

void worker_stop(Worker *worker) {
    disconnect(worker);
    worker->state = WORKER_STOPPED;
}

void worker_abandon(Worker *worker) {
    wait_abandon(worker->wait);
    worker->channel = fd_close(worker->channel); /* on which the parent would be said to leave */
    worker->n_polled = 0;
    /* Nothing here will end what the parent has claimed: let go of the memory with the rest. */
    for (size_t i = 0; i < worker->clients.n; i++) {
        WorkerClient *client = table_at(&worker->clients, i);

        client->n_jobs = 0;
        client->polled = false;
    }
}

WorkerState worker_state(const Worker *worker) {
    return worker->state;
}

void worker_set_terse(Worker *worker, bool terse) {
    worker->is_terse = terse;
}

uint64_t worker_n_exchanges(const Worker *worker) {
    return worker->n_exchanges;
}

bool worker_pop_event(Worker *worker, Event *ret_event) {
    return event_pop(&worker->events, ret_event);
}
