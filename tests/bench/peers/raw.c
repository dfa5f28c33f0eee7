/* SPDX-License-Identifier: MIT */
/*
 * What shared memory and queues can do at best, with nothing around them: no slots, no claims, no checks
 *
 *   floor   one process writes the request, reads it, writes the response, reads it
 *   poll    each side looks at a number in shared memory until it changes
 *   queue   POSIX message queues; who has nothing sleeps in poll(), then receives without ever blocking
 *   spin    likewise, but asks again instead of sleeping
 *   flag    looks at a number for a while, then says that it sleeps, and does so until a message comes:
 *           queues are for sleepers only
 */
#include "peer.h"

#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE    (UINT64_C(2) << 20)
#define LOOK_NS 50000 /* as long as waking somebody takes */
#define N_SLOTS 1024u

/* A number that one side writes, alone in its cache line. */
typedef struct Flag {
    uint32_t value;
    char rest[60];
} Flag;

typedef struct Shared {
    Flag asked[N_SLOTS];
    Flag answered[N_SLOTS];
    Flag server_sleeps;
    Flag client_sleeps;
} Shared;

static const Task *task;
static Shared *shared;
static unsigned char *requests, *responses;
static uint64_t stride;
static mqd_t to_server, to_client;
static uint32_t turn[N_SLOTS]; /* of the client: how often it has asked */

/* --- memory --- */

static void *share(uint64_t bytes) {
    char name[40];
    void *map;
    int fd;

    snprintf(name, sizeof(name), "/bench-raw-%d", (int)getpid());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || shm_unlink(name) < 0 || ftruncate(fd, (off_t)bytes) < 0)
        err(EXIT_FAILURE, "%s", name);
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        err(EXIT_FAILURE, "mmap");
    close(fd);
    return map;
}

/* Huge pages where there is room for one: touch each, then ask. What cannot be had stays as it is. */
static void *warm(void *map, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += bytes >= HUGE ? HUGE : 4096)
        ((unsigned char *)map)[at] = 0;
    if (bytes >= HUGE)
        (void)madvise(map, bytes, MADV_COLLAPSE);
    memset(map, 0, bytes);
    return map;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

static mqd_t queue_new(const char *which) {
    struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 32};
    char name[40];
    mqd_t queue;

    snprintf(name, sizeof(name), "/bench-raw-%s-%d", which, (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
    if (queue < 0 || mq_unlink(name) < 0)
        err(EXIT_FAILURE, "%s", name);
    return queue;
}

static void prepare(const Task *with) {
    task = with;
    stride = round_up(task->bytes, task->bytes >= HUGE ? HUGE : 64);
    shared = warm(share(sizeof(*shared)), sizeof(*shared));
    requests = warm(share(stride * task->n_in_flight), stride * task->n_in_flight);
    responses = warm(share(stride * task->n_in_flight), stride * task->n_in_flight);
}

static void prepare_queues(const Task *with) {
    if (with->n_in_flight > 10)
        errx(2, "a queue takes 10 messages");
    prepare(with);
    to_server = queue_new("server");
    to_client = queue_new("client");
}

static void *request_of(uint32_t slot) {
    return requests + slot * stride;
}

static void *response_of(uint32_t slot) {
    return responses + slot * stride;
}

static void nothing(uint32_t slot) {
    (void)slot;
}

static void nothing_to_connect(const Task *with) {
    (void)with;
}

/* --- looking at memory --- */

static void flag_await(const Flag *flag, uint32_t value) {
    bool shares_cpu = task->client_cpu == task->server_cpu;

    while (__atomic_load_n(&flag->value, __ATOMIC_ACQUIRE) != value)
        if (shares_cpu)
            sched_yield();
}

static void flag_set(Flag *flag, uint32_t value) {
    __atomic_store_n(&flag->value, value, __ATOMIC_RELEASE);
}

static void poll_serve(const Task *with) {
    for (uint32_t n = 1;; n++)
        for (uint32_t slot = 0; slot < with->n_in_flight; slot++) {
            flag_await(&shared->asked[slot], n);
            peer_answer(with, request_of(slot), response_of(slot));
            flag_set(&shared->answered[slot], n);
        }
}

static void poll_send(uint32_t slot) {
    flag_set(&shared->asked[slot], ++turn[slot]);
}

static const void *poll_receive(uint32_t slot) {
    flag_await(&shared->answered[slot], turn[slot]);
    return response_of(slot);
}

/* --- queues --- */

static const struct timespec at_once = {0};

static void queue_send(mqd_t queue, uint32_t slot) {
    char message[32] = {0};

    memcpy(message, &slot, sizeof(slot));
    if (mq_timedsend(queue, message, sizeof(message), 0, &at_once) < 0)
        err(EXIT_FAILURE, "mq_send");
}

static uint32_t queue_receive(mqd_t queue) {
    struct pollfd ready = {.fd = queue, .events = POLLIN};
    char message[32];
    uint32_t slot;

    while (mq_timedreceive(queue, message, sizeof(message), NULL, &at_once) < 0)
        if (!strcmp(task->mode, "queue"))
            (void)ppoll(&ready, 1, NULL, NULL);
    memcpy(&slot, message, sizeof(slot));
    return slot;
}

static void queue_serve(const Task *with) {
    for (;;) {
        uint32_t slot = queue_receive(to_server);

        peer_answer(with, request_of(slot), response_of(slot));
        queue_send(to_client, slot);
    }
}

static void queue_ask(uint32_t slot) {
    queue_send(to_server, slot);
}

static const void *queue_take(uint32_t slot) {
    if (queue_receive(to_client) != slot)
        errx(EXIT_FAILURE, "the response to another request");
    return response_of(slot);
}

/* --- looking at memory, and queues for sleepers --- */

static void prepare_flags(const Task *with) {
    prepare(with);
    to_server = queue_new("server");
    to_client = queue_new("client");
}

static bool flag_shows(const Flag *flag, uint32_t value) {
    return __atomic_load_n(&flag->value, __ATOMIC_SEQ_CST) == value;
}

/* Return: whether it came within a while. */
static bool flag_look(const Flag *flag, uint32_t value) {
    bool shares_cpu = task->client_cpu == task->server_cpu;
    uint64_t until_ns = 0;

    for (uint32_t n = 1; !flag_shows(flag, value); n++) {
        if (shares_cpu)
            sched_yield();
        if (n % 64 == 0 && until_ns == 0)
            until_ns = peer_now_ns() + LOOK_NS;
        else if (n % 64 == 0 && peer_now_ns() >= until_ns)
            return false;
    }
    return true;
}

/* One message at most lies there that nobody waits for: it wakes once for nothing. */
static void sleep_until_rung(mqd_t queue) {
    struct pollfd ready = {.fd = queue, .events = POLLIN};
    char message[32];

    (void)ppoll(&ready, 1, NULL, NULL);
    (void)mq_timedreceive(queue, message, sizeof(message), NULL, &at_once);
}

static void flag_await_asleep(const Flag *flag, uint32_t value, Flag *sleeps, mqd_t queue) {
    while (!flag_look(flag, value)) {
        __atomic_store_n(&sleeps->value, 1, __ATOMIC_SEQ_CST);
        if (!flag_shows(flag, value))
            sleep_until_rung(queue);
        __atomic_store_n(&sleeps->value, 0, __ATOMIC_SEQ_CST);
    }
}

static void flag_ring(Flag *flag, uint32_t value, const Flag *sleeps, mqd_t queue) {
    const char message[32] = {0};

    __atomic_store_n(&flag->value, value, __ATOMIC_SEQ_CST);
    if (!flag_shows(sleeps, 0))
        (void)mq_timedsend(queue, message, sizeof(message), 0, &at_once); /* a full one wakes, too */
}

static void flag_serve(const Task *with) {
    for (uint32_t n = 1;; n++)
        for (uint32_t slot = 0; slot < with->n_in_flight; slot++) {
            flag_await_asleep(&shared->asked[slot], n, &shared->server_sleeps, to_server);
            peer_answer(with, request_of(slot), response_of(slot));
            flag_ring(&shared->answered[slot], n, &shared->client_sleeps, to_client);
        }
}

static void flag_ask(uint32_t slot) {
    flag_ring(&shared->asked[slot], ++turn[slot], &shared->server_sleeps, to_server);
}

static const void *flag_take(uint32_t slot) {
    flag_await_asleep(&shared->answered[slot], turn[slot], &shared->client_sleeps, to_client);
    return response_of(slot);
}

/* --- nobody else --- */

static void floor_serve(const Task *with) {
    (void)with;
    for (;;)
        pause();
}

static void floor_send(uint32_t slot) {
    peer_answer(task, request_of(slot), response_of(slot));
}

static const void *floor_receive(uint32_t slot) {
    return response_of(slot);
}

/* One of the ways; what they have in common is said once. */
#define MODE(mode, prepare_it, serve_it, send_it, receive_it)                                                \
    {                                                                                                        \
        .name = mode, .open = prepare_it, .serve = serve_it, .connect = nothing_to_connect,                  \
        .begin = request_of, .send = send_it, .receive = receive_it, .end = nothing                          \
    }

static const Peer modes[] = {
    MODE("poll", prepare, poll_serve, poll_send, poll_receive),
    MODE("queue", prepare_queues, queue_serve, queue_ask, queue_take),
    MODE("spin", prepare_queues, queue_serve, queue_ask, queue_take),
    MODE("flag", prepare_flags, flag_serve, flag_ask, flag_take),
    MODE("floor", prepare, floor_serve, floor_send, floor_receive),
};

/* What --mode names is the peer. */
int main(int argc, char **argv) {
    for (int at = 1; at + 1 < argc; at++)
        for (size_t i = 0; !strcmp(argv[at], "--mode") && i < sizeof(modes) / sizeof(modes[0]); i++)
            if (!strcmp(argv[at + 1], modes[i].name))
                return peer_main(argc, argv, &modes[i]);
    errx(2, "usage: bench-raw --mode poll|queue|spin|flag|floor [OPTION...]");
}
