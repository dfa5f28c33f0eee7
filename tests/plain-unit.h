/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the plain wire share: names of their own, other people's programs as processes, and our
 * worker in a thread
 */
#pragma once

#include "core/plain-line.h"
#include "core/plain.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define PATIENT_NS (60 * UINT64_C(1000000000)) /* longer than any test that passes */

/* Wait until something is so; a test that waits in vain is ended by its timeout. */
#define AWAIT(condition)                                                                                     \
    while (!(condition))                                                                                     \
        unit_nap();

void unit_nap(void);

typedef struct TestNames {
    char text[3][64];
    PlainNames names;
} TestNames;

void test_names_init(TestNames *names);

/* Whether any of the three leads to something. */
bool test_names_exist(const TestNames *names);
void test_names_unlink(const TestNames *names);

/* Open a part as a peer would. */
int test_part_open(const TestNames *names, PlainPart part);

/* A peer: plain-host, plain-worker, or the same in Python ("py-host", "py-worker"). */
typedef struct Peer {
    pid_t pid;
    int out; /* what it writes */
} Peer;

/* @option, @value: of the programs in C; NULL for none. */
Peer peer_start(const char *what, const TestNames *names, const void *input, size_t bytes, const char *option,
                const char *value);

/* Return: exit status, or minus the signal. */
int peer_end(Peer *peer);

/* Whether what it wrote is @text after the first @bytes of @data. Call after peer_end(). */
bool peer_wrote(Peer *peer, const void *data, size_t bytes, const char *text);

/* @bytes that are not the same everywhere; freed by the caller. */
char *test_payload(size_t bytes, unsigned seed);

/* A plain worker of ours, run by a thread. */
typedef struct Server {
    WorkerSettings settings;
    Handler *handler;
    PlainWorker *worker;
    int stop;
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned n_events[_EVENT_N];
    Event latest[_EVENT_N];
} Server;

void server_start(Server *server, const TestNames *names, Handler *handler, uint64_t timeout_ns);

/* Start it and wait until it listens. */
void server_start_first(Server *server, const TestNames *names, Handler *handler);
void server_stop(Server *server);

/* How many events of that kind there were. */
unsigned server_n_events(Server *server, EventKind kind);

/* The text of the latest of that kind. Valid until the next one. */
const char *server_text(Server *server, EventKind kind);

/* Handlers of the tests. */
extern Handler test_processed; /* the request and " processed" */
extern Handler test_failing;   /* fails with the text "no luck today" */
extern Handler test_gated;     /* as the first, once gate_open() was called for each exchange */
void gate_init(void);
void gate_open(void);
bool gate_is_waited_for(void);
