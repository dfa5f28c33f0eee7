/* SPDX-License-Identifier: MIT */
/*
 * Worker: takes messages, claims exchanges, calls its handler, publishes the end
 *
 * A state machine without a loop or thread of its own; the handler runs inside worker_wait() and may take as
 * long as the `timeout` setting says. It connects to its host by itself, waits for one that is not there, and
 * comes back after one that went away. Not thread-safe.
 *
 * What it keeps true: a message is taken only when it can be handled now; the claim comes before the look;
 * what it has claimed it ends; a request of a client that is not trusted is never mapped; nothing of a client
 * is held once the host said that it is gone.
 */
#pragma once

#include "base/cleanup.h"
#include "core/event.h"
#include "core/settings.h"
#include "handler/handler.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Worker Worker;

typedef enum WorkerState {
    WORKER_SEEKING,  /* there is no host, or it refuses; tries again by a timer */
    WORKER_GREETING, /* connected, not let in yet */
    WORKER_ATTACHED,
    WORKER_STOPPED,  /* after worker_stop() */
} WorkerState;

/**
 * worker_new() - make a worker; it connects at its first worker_wait()
 * @name:       of the instance
 * @path:       of the host's socket
 * @settings, @handler: borrowed; they must outlive the worker. Without a handler, claims are handed out by
 * worker_pop()
 * Return: 0 or negative errno.
 */
int worker_new(Worker **ret, const char *name, const char *path, const WorkerSettings *settings,
               Handler *handler);
Worker *worker_free(Worker *worker);

/**
 * worker_abandon() - in a child after fork: from now on only worker_free() may follow, and it takes nothing
 * from the parent.
 */
void worker_abandon(Worker *worker);

int worker_get_fd(const Worker *worker);

/**
 * worker_watch() - let worker_wait() end also when @fd (borrowed, one at a time) is readable. Return: 0 or
 * negative errno.
 */
int worker_watch(Worker *worker, int fd);

/**
 * worker_wait() - wait until there is something to do, or @until_ns (CLOCK_MONOTONIC; 0 for not at all), and
 * do it
 * Return: 0 or negative errno.
 */
int worker_wait(Worker *worker, uint64_t until_ns);

/**
 * worker_pop() - without a handler: what the last worker_wait() has claimed. Return: whether there is such.
 * It stays valid until worker_end().
 */
bool worker_pop(Worker *worker, Exchange **ret_exchange);

/**
 * worker_end() - publish the end of what worker_pop() has handed out: its response, or its failure. Return: 0
 * or negative errno.
 */
int worker_end(Exchange *exchange);

/** worker_stop() - take no further message, tell the host, let go of everything. */
void worker_stop(Worker *worker);

WorkerState worker_state(const Worker *worker);

/** worker_set_terse() - whether exchanges that went well within a second are left out of the events. */
void worker_set_terse(Worker *worker, bool terse);

/**
 * worker_poll_stop() - poll nobody, from now on if the settings say so by now. For who waits for the
 * descriptor otherwise than by worker_wait(): what its clients have left out comes by messages.
 */
void worker_poll_stop(Worker *worker);

/** worker_n_exchanges() - ended by this worker, probes not counted. */
uint64_t worker_n_exchanges(const Worker *worker);

bool worker_pop_event(Worker *worker, Event *ret_event);

DEFINE_CLEANUP(Worker, worker_free)
