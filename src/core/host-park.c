/* SPDX-License-Identifier: MIT */
/*
 * Parking: what its workers did not survive is kept, before its client hears that it has failed
 *
 * After that the client may write its next request over this one. The copy is made by a thread for each, a
 * few at a time, so that neither a large payload nor a slow disk delays anybody else; meanwhile the slot
 * stays claimed, by the host. A thread shares nothing with the host but its HostPark's last fields, under
 * their lock, and rings a bell when it has done.
 *
 *  waits, copies   the client's cancel or deadline, or its end, ends the exchange at once, and the copy is
 *                  thrown away
 *  is named        there is no way back: the exchange may end as the client wishes, its request is kept
 *  has ended       the exchange ends as FAILED, whether its request could be kept or not
 *
 * When the host is killed meanwhile, the next one sweeps what is half written; one that takes up the pages
 * finds the slot claimed by a host, and begins again.
 */
#include "core/host-internal.h"
#include "core/parking.h"

#include "base/error.h"
#include "base/units.h"
#include "os/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define AT_ONCE 4 /* copies */

typedef struct HostPark {
    uint64_t number;
    uint32_t worker; /* the latest that had it; 0 if that is not known */
    int bell_fd;    /* borrowed */
    ParkingOrder order;
    bool begun;     /* it has a thread */
    pthread_t thread;

    pthread_mutex_t lock; /* for what follows */
    bool stop;
    bool ended;
    int result;  /* of parking_keep() */
} HostPark;

static void park_free(Host *host, HostPark *park) {
    table_remove(&host->parking.parks, park->number);
    fd_close(park->order.request_fd);
    pthread_mutex_destroy(&park->lock);
    free(park);
}

/* --- in the thread --- */

static bool go_on(void *data) {
    HostPark *park = data;
    bool stop;

    pthread_mutex_lock(&park->lock);
    stop = park->stop; /* at the last time of asking: from now on there is no way back */
    pthread_mutex_unlock(&park->lock);
    return !stop;
}

static void *keep(void *data) {
    HostPark *park = data;
    int bell_fd = park->bell_fd, result = parking_keep(&park->order);

    pthread_mutex_lock(&park->lock);
    park->result = result;
    park->ended = true;
    pthread_mutex_unlock(&park->lock);
    bell_ring(bell_fd);
    return NULL;
}

/* --- outcomes --- */

/* What is wrong with the folder or the disk, and what helps. */
static void explain(const Host *host, const HostPark *park, int result, char *text, size_t bytes) {
    const char *path = host->parking.path;
    char size[UNITS_TEXT_MAX];

    size_format(host->settings->parked, size);
    if (result == PARKING_OVER_BUDGET)
        snprintf(text, bytes,
                 "the host's `parked` budget of %s is used up: see `shmipc parked list`, and drop what "
                 "nobody needs",
                 size);
    else if (result == PARKING_OVER_SHARE)
        snprintf(text, bytes,
                 "user %u has its `user_share` of the host's `parked` budget of %s: see `shmipc parked "
                 "list`, and drop "
                 "what nobody needs",
                 (unsigned)park->order.parked.uid, size);
    else if (result == -ENOSPC || result == -EDQUOT)
        snprintf(text, bytes, "the disk is full: make room at %s", path);
    else if (result == -EMFILE || result == -ENFILE)
        text_copy(text, bytes, "the host has no descriptor left for it: raise LimitNOFILE= of its unit");
    else if (result == -EAGAIN)
        text_copy(text, bytes, "the host may start no thread: raise TasksMax= or LimitNPROC= of its unit");
    else if (result == -ENOMEM)
        text_copy(text, bytes, "there is no memory for it: see MemoryMax= of the host's unit, and `free`");
    else if (result == -EEXIST)
        text_copy(text, bytes, "another request of that id is there: see `shmipc parked list`, and drop it");
    else if (result == -EACCES || result == -EPERM || result == -EROFS || result == -ENOENT)
        snprintf(text, bytes,
                 "%s; the unit needs StateDirectory=shmipc/%%i, a host without systemd may write to its "
                 "user's folder: %s",
                 strerror(-result), path);
    else
        snprintf(text, bytes, "%s: %s", strerror(-result), path);
}

static void tell(Host *host, const HostPark *park, int result) {
    const Parked *parked = &park->order.parked;
    Event *event = event_push(&host->events, result == 0 ? EVENT_EXCHANGE_PARKED : EVENT_EXCHANGE_NOT_PARKED);

    event->client = parked->client;
    event->slot = parked->slot;
    event->generation = parked->generation;
    event->uid = parked->uid;
    event->pid = (pid_t)parked->pid;
    event->worker = park->worker;
    event->attempt = parked->n_workers;
    event->request_bytes = parked->payload_bytes;
    event->reason = (Reason)parked->reason;
    text_copy(event->name, sizeof(event->name), parked->program);
    if (result == 0)
        text_copy(event->text, sizeof(event->text), parked->why);
    else
        explain(host, park, result, event->text, sizeof(event->text));
}

/* Whether the host still waits for it to end the exchange. */
static bool holds_slot(const HostPark *park, const HostClient *client) {
    const Parked *parked = &park->order.parked;
    SlotWord word = state_load(client->states.map, parked->slot, NULL);

    return word.state == SLOT_CLAIMED && word.owner == SLOT_OWNER_ENDER &&
           word.generation == parked->generation;
}

static void finish(Host *host, HostPark *park, int result) {
    const Parked *parked = &park->order.parked;
    HostClient *client = table_find(&host->clients, parked->client);

    host->parking.n_parked += result == 0;
    if (result != PARKING_GIVEN_UP)
        tell(host, park, result);
    if (result == 0 && client)
        host_trace(host, client, parked->slot, TRACE_PARKED, (Reason)parked->reason, park->worker, 0);
    if (client && holds_slot(park, client))
        host_end_lost(host, client, parked->slot, SLOT_OWNER_ENDER, (Reason)parked->reason);
    park_free(host, park);
}

/* --- begin and end --- */

/* All signals are the main thread's. */
static int start_thread(HostPark *park) {
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&park->thread, NULL, keep, park);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : error_origin(-r);
}

static int start(Host *host, HostPark *park) {
    const HostClient *client = table_find(&host->clients, park->order.parked.client);
    int r;

    if (!client)
        return PARKING_GIVEN_UP;
    park->order.request_fd = fcntl(client->requests_fd, F_DUPFD_CLOEXEC, 0);
    if (park->order.request_fd < 0)
        return error_errno();
    r = start_thread(park);
    park->begun = r == 0;
    host->parking.n_running += park->begun;
    return r;
}

static HostPark *next_to_start(const HostParking *parking) {
    for (size_t i = 0; i < parking->parks.n; i++) {
        HostPark *park = table_at(&parking->parks, i);

        if (!park->begun)
            return park;
    }
    return NULL;
}

static void start_some(Host *host) {
    HostPark *park;

    while (host->parking.n_running < AT_ONCE && (park = next_to_start(&host->parking))) {
        int r = start(host, park);

        if (r != 0)
            finish(host, park, r);
    }
}

static bool has_ended(HostPark *park, int *ret_result) {
    bool ended;

    pthread_mutex_lock(&park->lock);
    ended = park->ended;
    *ret_result = park->result;
    pthread_mutex_unlock(&park->lock);
    return ended;
}

void host_parking_dispatch(Host *host) {
    if (!bell_hear(host->parking.bell_fd))
        return;
    for (size_t i = host->parking.parks.n; i > 0; i--) {
        HostPark *park = table_at(&host->parking.parks, i - 1);
        int result;

        if (!park->begun || !has_ended(park, &result))
            continue;
        pthread_join(park->thread, NULL);
        host->parking.n_running--;
        finish(host, park, result);
    }
    start_some(host);
}

static void stop(HostPark *park) {
    pthread_mutex_lock(&park->lock);
    park->stop = true;
    pthread_mutex_unlock(&park->lock);
}

/* --- what is parked --- */

static void describe(const HostClient *client, uint32_t slot, const HostWorker *worker, Parked *parked) {
    const HostLosses *losses = client->losses ? client->losses[slot] : NULL;

    parked->client = client->id;
    parked->slot = slot;
    parked->time_us = clock_real_us();
    parked->uid = (uint32_t)client->account->uid;
    parked->pid = (uint32_t)client->pid;
    text_copy(parked->program, sizeof(parked->program), client->name);
    if (losses && losses->generation == parked->generation) {
        parked->n_workers = losses->n;
        memcpy(parked->workers, losses->workers, sizeof(parked->workers));
    }
    if (!worker)
        text_copy(parked->why, sizeof(parked->why), "its worker died, and the host after that");
    else if (worker->why)
        snprintf(parked->why, sizeof(parked->why), "the host killed its worker: %s", worker->why);
    else
        text_copy(parked->why, sizeof(parked->why),
                  worker->again ? "its worker died" : "its worker, which is another user's, died");
}

/* The client's record, read once. Return: whether it is one that can be kept, and that may be. */
static bool read_request(const HostClient *client, uint32_t slot, Parked *parked) {
    SubmitRecord record;

    submit_copy(client->submit.map, slot, &record);
    if (record.generation != state_load(client->states.map, slot, NULL).generation ||
        record.flags & SUBMIT_UNKEPT || record.payload_bytes > record.segment_bytes ||
        record.segment_bytes > client->stride ||
        record.segment_bytes > state_reserved(client->states.map, slot))
        return false; /* it has changed since: no worker would have taken this one */
    parked->generation = record.generation;
    parked->payload_bytes = record.payload_bytes;
    memcpy(parked->user, record.user, sizeof(parked->user));
    return true;
}

static HostPark *park_new(Host *host) {
    HostPark *park = calloc(1, sizeof(*park));

    if (!park)
        return NULL;
    park->number = ++host->parking.latest;
    park->bell_fd = host->parking.bell_fd;
    park->order = (ParkingOrder){.path = host->parking.path, .request_fd = -1, .go_on = go_on, .data = park};
    pthread_mutex_init(&park->lock, NULL);
    if (table_insert(&host->parking.parks, park->number, park) < 0) {
        park_free(host, park);
        return NULL;
    }
    return park;
}

bool host_park(Host *host, const HostClient *client, uint32_t slot, const HostWorker *worker, Reason reason) {
    Parked parked = {.reason = reason};
    HostPark *park;

    if (!host->parking.path || host->settings->parked == 0 || client->probe ||
        !read_request(client, slot, &parked))
        return false;
    park = park_new(host);
    if (!park)
        return false;
    if (worker && !slots_adopt(client->states.map, slot, worker->number)) {
        park_free(host, park);
        return false;
    }
    describe(client, slot, worker, &parked);
    park->worker = worker ? worker->number : 0;
    park->order.parked = parked;
    park->order.request_at = slot * client->stride;
    park->order.budget = host->settings->parked;
    park->order.share = host_share(host, client->account, host->settings->parked);
    start_some(host);
    return true;
}

static HostPark *find(const Host *host, const HostClient *client, uint32_t slot) {
    for (size_t i = 0; i < host->parking.parks.n; i++) {
        HostPark *park = table_at(&host->parking.parks, i);

        if (park->order.parked.client == client->id && park->order.parked.slot == slot &&
            holds_slot(park, client))
            return park;
    }
    return NULL;
}

void host_park_look(Host *host, HostClient *client, uint32_t slot) {
    HostPark *park = find(host, client, slot);

    if (!park || slots_verdict(client->submit.map, client->states.map, slot, SLOT_OWNER_ENDER, UINT32_MAX,
                               true, !client->peer, clock_now_ns()) == SLOT_WAITING)
        return;
    stop(park); /* first: then the client may write over what is being copied */
    host_end_lost(host, client, slot, SLOT_OWNER_ENDER, (Reason)park->order.parked.reason);
    if (!park->begun)
        finish(host, park, PARKING_GIVEN_UP);
}

/* --- the host's life --- */

int host_park_in(Host *host, const char *path) {
    int r;

    r = bell_new(&host->parking.bell_fd);
    if (r < 0)
        return r;
    r = wait_add(host->wait, &host->parking.source, host->parking.bell_fd, WAIT_READ, SOURCE_PARKING, host);
    if (r < 0)
        return r;
    host->parking.path = strdup(path);
    if (!host->parking.path)
        return error_origin(-ENOMEM);
    return parking_sweep(path);
}

/* Copies that are under way are given up: whoever takes over the pages begins again. */
void host_parking_deinit(Host *host) {
    HostParking *parking = &host->parking;

    for (size_t i = 0; i < parking->parks.n; i++)
        stop(table_at(&parking->parks, i));
    while (parking->parks.n > 0) {
        HostPark *park = table_at(&parking->parks, parking->parks.n - 1);

        if (park->begun)
            pthread_join(park->thread, NULL);
        park_free(host, park);
    }
    table_deinit(&parking->parks);
    wait_remove(&parking->source);
    parking->bell_fd = fd_close(parking->bell_fd);
    free(parking->path);
    parking->path = NULL;
}
