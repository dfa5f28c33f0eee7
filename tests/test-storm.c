/* SPDX-License-Identifier: MIT */
/*
 * Many clients at once, each a thread with a loop of its own, that do all that clients do in an order that is
 * random, but the same each time; workers that come and go meanwhile. Each exchange ends once, and as it may.
 */
#include "party.h"

#include "base/units.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

#define SEED        UINT64_C(0x2545f4914f6cdd1d)
#define N_STORMERS  4
#define N_EXCHANGES 400u
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
/* The sanitizer does not know of mremap: it sees a race with whoever had the address before. */
#define BYTES_MAX PAGE_BYTES
#else
#define BYTES_MAX (64 * PAGE_BYTES)
#endif

/* One client and what it does. */
typedef struct Stormer {
    pthread_t thread;
    uint64_t random;
    Client *client;
    unsigned n_begun;
    unsigned n_done;
    unsigned n_cancelled;
    unsigned n_expired;
    const char *fault; /* for the test's thread, once it has ended */
} Stormer;

/* What is done with an exchange besides sending it; its tag. */
enum { PLAINLY, CANCELLED, LATE, ABANDONED, N_WAYS };

/* xorshift64*: the same numbers on each machine. */
static uint64_t next(Stormer *stormer) {
    stormer->random ^= stormer->random >> 12;
    stormer->random ^= stormer->random << 25;
    stormer->random ^= stormer->random >> 27;
    return stormer->random * UINT64_C(2685821657736338717) >> 16;
}

static void fill(Request *request, uint8_t first) {
    memset(request->segment.map, first, request->payload_bytes);
    request->user[0] = first;
}

static const char *send_one(Stormer *stormer, Request *request) {
    uintptr_t way = next(stormer) % 8 < N_WAYS ? next(stormer) % N_WAYS : PLAINLY;

    request->tag = (void *)way;
    if (request->payload_bytes > 0)
        fill(request, (uint8_t)next(stormer));
    if (way == LATE)
        request->deadline_ns = clock_now_ns() + next(stormer) % NS_PER_MS;
    if (request_send(request) < 0)
        return "it could not be sent";
    stormer->n_begun++;
    if (way == CANCELLED && request_cancel(request) < 0)
        return "it could not be cancelled";
    if (way == ABANDONED)
        request_release(request);
    return NULL;
}

/* Begin one if there is a slot; otherwise wait for one. */
static const char *begin_one(Stormer *stormer) {
    Request *request;
    uint64_t bytes = next(stormer) % 4 ? next(stormer) % BYTES_MAX : 0;
    int r = client_take(stormer->client, &request);

    if (r == CLIENT_NO_SLOT)
        return client_wait(stormer->client, UINT64_MAX) < 0 ? "waiting for a slot failed" : NULL;
    if (r != 0)
        return "there was no host any more";
    while ((r = request_reserve(request, bytes, next(stormer) % 2)) == CLIENT_PENDING)
        if (client_wait(stormer->client, UINT64_MAX) < 0)
            return "waiting for memory failed";
    if (r != 0)
        return "there was no memory";
    request->payload_bytes = bytes;
    return send_one(stormer, request);
}

static const char *check_answer(const Request *request) {
    if (request->response_bytes != request->payload_bytes)
        return "the answer has another size";
    if (request->payload_bytes > 0 &&
        memcmp(request->response.map, request->segment.map, request->payload_bytes) != 0)
        return "the answer has other bytes";
    return NULL;
}

static const char *check_end(Stormer *stormer, const Request *request) {
    uintptr_t way = (uintptr_t)request->tag;

    switch ((int)request->end) {
    case SLOT_DONE:
        stormer->n_done++;
        return check_answer(request);
    case SLOT_CANCELLED:
        stormer->n_cancelled++;
        return way == CANCELLED ? NULL : "it was cancelled by nobody";
    case SLOT_EXPIRED:
        stormer->n_expired++;
        return way == LATE ? NULL : "it expired without a deadline";
    default:
        return reason_name(request->reason);
    }
}

/* Return: a fault, or NULL. */
static const char *storm(Stormer *stormer) {
    const char *fault = NULL;
    Request *request;

    while (client_state(stormer->client) == CLIENT_CONNECTING)
        if (client_wait(stormer->client, UINT64_MAX) < 0)
            return "connecting failed";
    while (!fault && stormer->n_begun < N_EXCHANGES) {
        fault = begin_one(stormer);
        while (!fault && client_pop(stormer->client, &request)) {
            fault = check_end(stormer, request);
            request_release(request);
        }
    }
    return fault;
}

/* What is still in flight ends as well, abandoned or not. */
static const char *calm_down(Stormer *stormer) {
    const char *fault = NULL;
    Request *request;

    while (!fault && (stormer->client->n_in_flight > 0 || client_n_taken(stormer->client) > 0)) {
        if (client_pop(stormer->client, &request)) {
            fault = check_end(stormer, request);
            request_release(request);
        } else if (client_wait(stormer->client, UINT64_MAX) < 0)
            fault = "waiting for the last failed";
    }
    return fault;
}

static void *run(void *data) {
    Stormer *stormer = data;

    stormer->fault = storm(stormer);
    if (!stormer->fault)
        stormer->fault = calm_down(stormer);
    stormer->client = client_free(stormer->client);
    return NULL;
}

static void begin(Stormer stormers[static N_STORMERS]) {
    printf("# seed %#llx\n", (unsigned long long)SEED);
    fflush(stdout);
    for (size_t i = 0; i < N_STORMERS; i++) {
        int fd;

        stormers[i] = (Stormer){.random = SEED + i};
        ck_assert_int_eq(channel_connect(party.path, &fd), 0);
        ck_assert_int_eq(client_new(&stormers[i].client, fd, "stormer"), 0);
        ck_assert_int_eq(pthread_create(&stormers[i].thread, NULL, run, &stormers[i]), 0);
    }
}

static void end(Stormer stormers[static N_STORMERS]) {
    AWAIT(party_n_events(EVENT_CLIENT_DETACHED) == N_STORMERS);
    for (size_t i = 0; i < N_STORMERS; i++) {
        pthread_join(stormers[i].thread, NULL);
        ck_assert_msg(!stormers[i].fault, "client %zu: %s", i, stormers[i].fault);
        ck_assert_uint_eq(stormers[i].n_begun, N_EXCHANGES);
        ck_assert_uint_gt(stormers[i].n_done, N_EXCHANGES / 2);
    }
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->past.n_done + party.host->past.n_failed + party.host->past.n_cancelled,
                      N_STORMERS * N_EXCHANGES);
    ck_assert_uint_eq(party.host->past.n_failed, 0);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
}

START_TEST(many_clients_at_once_are_all_served) {
    PartyWorker *workers[2] = {party_add_worker(NULL), party_add_worker(NULL)};
    Stormer stormers[N_STORMERS];

    begin(stormers);
    end(stormers);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        party_stop_worker(workers[i]);
}
END_TEST

START_TEST(queue_for_one_message_serves_them_as_well) {
    PartyWorker *worker;
    Stormer stormers[N_STORMERS];

    party.settings.queue_depth = 1;
    worker = party_add_worker(NULL);
    begin(stormers);
    end(stormers);
    party_stop_worker(worker);
}
END_TEST

START_TEST(workers_that_come_and_go_lose_nothing) {
    PartyWorker *workers[2] = {party_add_worker(NULL), party_add_worker(NULL)};
    Stormer stormers[N_STORMERS];

    begin(stormers);
    for (unsigned i = 0; party_n_events(EVENT_CLIENT_DETACHED) < N_STORMERS; i = !i) {
        uint64_t n = party_worker_n_exchanges(workers[i]);

        AWAIT(party_worker_n_exchanges(workers[i]) > n + 20 ||
              party_n_events(EVENT_CLIENT_DETACHED) == N_STORMERS);
        party_stop_worker(workers[i]);
        workers[i] = party_add_worker(NULL);
    }
    end(stormers);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        party_stop_worker(workers[i]);
}
END_TEST

START_TEST(users_who_are_not_trusted_are_served_as_well) {
    PartyWorker *worker;
    Stormer stormers[N_STORMERS];

    party.settings.trusted = (Principals){0};
    worker = party_add_worker(NULL);
    begin(stormers);
    end(stormers);
    party_stop_worker(worker);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("storm");
    TCase *tests = tcase_create("storm");

    tcase_add_checked_fixture(tests, party_begin, party_end);
    tcase_set_timeout(tests, 110);
    tcase_add_test(tests, many_clients_at_once_are_all_served);
    tcase_add_test(tests, queue_for_one_message_serves_them_as_well);
    tcase_add_test(tests, workers_that_come_and_go_lose_nothing);
    tcase_add_test(tests, users_who_are_not_trusted_are_served_as_well);
    suite_add_tcase(suite, tests);
    return suite;
}
