/* SPDX-License-Identifier: MIT */
/*
 * The worker's life, and its hold on three names that others unlink
 *
 * Each part is opened by its name, then watched, then looked at once more: if it still has its name, an
 * unlinking from now on is told by the watch. So there is no moment in which the worker waits on a queue that
 * no host can find, without hearing of it.
 *
 * While an object is being unlinked, the watch tells of it before its name stops leading to it. Such a name
 * is tried again.
 *
 * A host that has opened the queue of requests just before another unlinked it sends into a queue without a
 * name. The worker keeps listening to one such queue, with the segment and the queue of replies of that time:
 * for a while, or until the next one is unlinked.
 */
#include "core/plain-internal.h"

#include "base/error.h"
#include "base/units.h"
#include "os/queue.h"
#include "os/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS     NS_PER_SEC
#define AT_ONCE_NS   1 /* a time that has passed: CLOCK_MONOTONIC counts from boot */
#define FORMER_NS    (5 * NS_PER_SEC)
#define RENEWALS_MAX 4
#define VANISHING_NS NS_PER_MS /* a name is tried again that is about to go */

static const uint32_t watched_events[PLAIN_PARTS] = {
    [PLAIN_REQUESTS] = WATCH_UNLINKED,
    [PLAIN_REPLIES] = WATCH_UNLINKED | WATCH_CLOSED,
    [PLAIN_PAYLOAD] = WATCH_UNLINKED | WATCH_CLOSED | WATCH_OPENED,
};

/* ---- the names ---- */

static void close_former(PlainWorker *worker) {
    wait_remove(&worker->former_source);
    plain_line_close(&worker->former);
}

/* The queue of requests has lost its name: a host may still send into it. */
static void keep_former(PlainWorker *worker) {
    close_former(worker);
    if (plain_line_copy(&worker->line, &worker->former) < 0)
        return;
    if (wait_add(worker->wait, &worker->former_source, worker->former.fds[PLAIN_REQUESTS], WAIT_READ, 0,
                 worker) < 0)
        plain_line_close(&worker->former);
    worker->former_until_ns = clock_now_ns() + FORMER_NS;
}

static void close_part(PlainWorker *worker, PlainPart part) {
    if (worker->line.fds[part] < 0)
        return;
    if (part == PLAIN_REQUESTS) {
        wait_remove(&worker->line_source);
        keep_former(worker);
    }
    if (part == PLAIN_REPLIES)
        worker->lying = worker->doubtful = worker->replies_closed = false;
    watch_remove(worker->watch, worker->watched[part]);
    worker->watched[part] = -1;
    worker->made[part] = false;
    worker->line.fds[part] = fd_close(worker->line.fds[part]);
}

/* Return: 0; a QueueLimit; or a negative errno. */
static int open_part(PlainWorker *worker, PlainPart part) {
    _cleanup_close_ int fd = -1;
    bool made;
    int r = plain_part_open(&worker->settings->plain, part, &made, &fd);

    if (r != 0)
        return r;
    r = watch_add(worker->watch, fd, watched_events[part], &worker->watched[part]);
    if (r < 0)
        return r;
    worker->made[part] = made;
    worker->line.fds[part] = TAKE_FD(fd);
    if (part == PLAIN_PAYLOAD)
        worker->in_use = false;
    return 0;
}

static bool part_is_current(const PlainWorker *worker, PlainPart part) {
    return worker->line.fds[part] >= 0 && object_has_name(worker->line.fds[part]);
}

/* Whether requests are taken from what the names lead to. */
static bool line_is_current(const PlainWorker *worker) {
    if (!worker->line_source.wait)
        return false;
    for (int part = 0; part < PLAIN_PARTS; part++)
        if (!part_is_current(worker, part))
            return false;
    return true;
}

/* Once for each fault, however often it is met. */
static void tell_fault(PlainWorker *worker, EventKind kind, const char *text) {
    Event *event;

    worker->retry_ns = clock_now_ns() + RETRY_NS;
    if (strcmp(text, worker->told) == 0)
        return;
    event = event_push(&worker->events, kind);
    snprintf(event->text, sizeof(event->text), "%s", text);
    snprintf(worker->told, sizeof(worker->told), "%s", text);
}

static void tell_part_fault(PlainWorker *worker, PlainPart part, int r) {
    const bool limit = r > 0 || r == -EMFILE || r == -ENFILE || r == -ENOSPC || r == -ENOMEM;
    char text[sizeof(worker->told)];

    plain_part_fault(&worker->settings->plain, part, r, text, sizeof(text));
    tell_fault(worker, limit ? EVENT_LIMIT : EVENT_PLAIN_PEER, text);
}

void plain_worker_renew(PlainWorker *worker, PlainPart part) {
    int r = 0;

    for (int n = 0; r == 0 && n < RENEWALS_MAX; n++) {
        if (part_is_current(worker, part))
            return;
        close_part(worker, part);
        r = open_part(worker, part);
    }
    close_part(worker, part);
    /* What comes meanwhile stays in its queue. */
    wait_remove(&worker->line_source);
    if (r == 0)
        worker->retry_ns = clock_now_ns() + VANISHING_NS;
    else
        tell_part_fault(worker, part, r);
}

static void tell_waiting(PlainWorker *worker) {
    Event *event;

    if (worker->told_waiting)
        return;
    event = event_push(&worker->events, EVENT_HOST_MISSING);
    snprintf(event->text, sizeof(event->text), "%s", worker->settings->plain.host_queue);
    worker->told_waiting = true;
}

/* All three are there: requests can be taken. An answer of another worker may lie there already. */
static int listen_to_line(PlainWorker *worker) {
    worker->told[0] = '\0';
    if (worker->line_source.wait)
        return 0;
    plain_worker_note_answer(worker);
    tell_waiting(worker);
    return wait_add(worker->wait, &worker->line_source, worker->line.fds[PLAIN_REQUESTS], WAIT_READ, 0,
                    worker);
}

static int open_watch(PlainWorker *worker) {
    int r = worker->watch < 0 ? watch_new(&worker->watch) : 0;

    if (r == 0 && !worker->watch_source.wait)
        r = wait_add(worker->wait, &worker->watch_source, worker->watch, WAIT_READ, 0, worker);
    if (r == -EMFILE) {
        tell_fault(
            worker, EVENT_LIMIT,
            "the queues cannot be watched: this user has as many watchers as fs.inotify.max_user_instances "
            "allows, or this process as many descriptors as LimitNOFILE= does; raise it");
        return 0;
    }
    return r;
}

/* Return: 0, also when it has to be tried again later, or negative errno. */
static int renew_line(PlainWorker *worker) {
    int r;

    if (worker->retry_ns > clock_now_ns())
        return 0;
    worker->retry_ns = 0;
    r = open_watch(worker);
    if (r < 0 || worker->retry_ns > 0)
        return r;
    for (int part = 0; part < PLAIN_PARTS && worker->retry_ns == 0; part++)
        plain_worker_renew(worker, part);
    return worker->retry_ns > 0 ? 0 : listen_to_line(worker);
}

void plain_worker_hear(PlainWorker *worker) {
    uint32_t events;
    int id;

    while (watch_next(worker->watch, &id, &events)) {
        if (id == worker->watched[PLAIN_REPLIES] && events & WATCH_CLOSED)
            worker->replies_closed = true;
        if (id == worker->watched[PLAIN_PAYLOAD] && events & WATCH_CLOSED)
            worker->in_use = false;
        if (id == worker->watched[PLAIN_PAYLOAD] && events & WATCH_OPENED)
            worker->in_use = worker->payload_opened = true;
    }
}

/* ---- life ---- */

/*
 * The name stands for a moment only. A kill in this moment leaves it behind, for the next start to sweep;
 * what a stranger has put there is left alone.
 */
static int make_response(PlainWorker *worker) {
    const uint64_t max = worker->settings->handler.max_response;
    const uint64_t capacity = round_to_pages(max > 0 ? max : PLAIN_RESPONSE_MAX);
    char name[64];
    int r = 0;

    for (int n = 0; n < 8; n++) {
        snprintf(name, sizeof(name), "/shmipc.plain-%u-%d.new", (unsigned)geteuid(), n);
        (void)object_unlink(name);
        r = object_create(name, capacity, &worker->response_fd);
        if (r == 0)
            break;
    }
    segment_init(&worker->response, worker->response_fd, true, 0, capacity);
    return r;
}

int plain_worker_new(PlainWorker **ret, const WorkerSettings *settings, Handler *handler) {
    _cleanup_(plain_worker_freep) PlainWorker *worker = calloc(1, sizeof(*worker));
    int r;

    if (!worker)
        return error_origin(-ENOMEM);
    worker->settings = settings;
    worker->handler = handler;
    worker->watch = worker->response_fd = -1;
    worker->line = worker->former = PLAIN_LINE_NULL;
    for (int part = 0; part < PLAIN_PARTS; part++)
        worker->watched[part] = -1;
    r = make_response(worker);
    if (r == 0)
        r = wait_new(&worker->wait);
    if (r == 0)
        r = wait_set_timer(worker->wait, AT_ONCE_NS);
    if (r < 0)
        return r;
    *ret = TAKE(worker);
    return 0;
}

/* Whether a host needs the line: it has opened the segment, or waits for its answer, which another worker may
 * give. */
static bool line_is_needed(PlainWorker *worker) {
    uint32_t n = 0;

    plain_worker_hear(worker);
    plain_worker_mind_answer(worker);
    if (worker->line.fds[PLAIN_REQUESTS] >= 0)
        (void)queue_depth(worker->line.fds[PLAIN_REQUESTS], &n, NULL, NULL);
    return n > 0 || worker->in_use || worker->lying;
}

/* Who makes a segment first writes into it later: an empty one beside a host's queues is that host's. */
static void unlink_own(PlainWorker *worker) {
    if (line_is_needed(worker))
        return;
    worker->made[PLAIN_PAYLOAD] &= worker->made[PLAIN_REQUESTS] && worker->made[PLAIN_REPLIES];
    for (int part = 0; part < PLAIN_PARTS; part++)
        if (worker->made[part])
            plain_part_unlink(&worker->settings->plain, part, worker->line.fds[part]);
}

PlainWorker *plain_worker_free(PlainWorker *worker) {
    if (!worker)
        return NULL;
    if (worker->watch >= 0)
        unlink_own(worker);
    wait_remove(&worker->line_source);
    wait_remove(&worker->watch_source);
    close_former(worker);
    plain_line_close(&worker->line);
    fd_close(worker->watch);
    wait_free(worker->wait);
    segment_disconnect(&worker->response);
    fd_close(worker->response_fd);
    free(worker);
    return NULL;
}

/* ---- dispatch ---- */

int plain_worker_get_fd(const PlainWorker *worker) {
    return wait_get_fd(worker->wait);
}

/* Each source is looked at in any case. */
static int poll_sources(PlainWorker *worker) {
    uint32_t events;
    int r = wait_poll(worker->wait, 0);

    while (wait_next(worker->wait, &events))
        ;
    (void)wait_timer_expired(worker->wait);
    return r;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a > 0 && (b == 0 || a < b) ? a : b;
}

/* What was heard of the names before an exchange is not heard again: it is seen to at once after it. */
static int set_timer(PlainWorker *worker, bool served) {
    uint64_t at_ns = served && !line_is_current(worker) ? AT_ONCE_NS : worker->retry_ns;

    at_ns = earlier(at_ns, plain_worker_answer_until_ns(worker));
    if (worker->former_source.wait)
        at_ns = earlier(at_ns, worker->former_until_ns);
    return wait_set_timer(worker->wait, at_ns);
}

/* There is nothing to serve: what was heard concerns no request. */
static int tidy(PlainWorker *worker) {
    worker->payload_opened = worker->replies_closed = false;
    if (worker->former_until_ns <= clock_now_ns())
        close_former(worker);
    return line_is_current(worker) ? 0 : renew_line(worker);
}

int plain_worker_dispatch(PlainWorker *worker) {
    bool served = false;
    int r = poll_sources(worker);

    plain_worker_hear(worker);
    plain_worker_mind_answer(worker);
    /* What has been sent is served first: names are renewed when there is nothing left to take. */
    if (r == 0 && worker->former_source.wait)
        r = plain_worker_serve(worker, &worker->former, &served);
    if (r == 0 && !served && worker->line_source.wait)
        r = plain_worker_serve(worker, &worker->line, &served);
    if (r == 0 && !served)
        r = tidy(worker);
    return r < 0 ? r : set_timer(worker, served);
}

uint64_t plain_worker_n_exchanges(const PlainWorker *worker) {
    return worker->n_exchanges;
}

bool plain_worker_pop_event(PlainWorker *worker, Event *ret_event) {
    return event_pop(&worker->events, ret_event);
}
