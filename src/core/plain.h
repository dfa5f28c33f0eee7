/* SPDX-License-Identifier: MIT */
/*
 * PlainWorker: serves hosts that speak the plain wire, one after the other, with any handler
 *
 * A state machine without a loop or thread of its own; the handler runs inside plain_worker_dispatch() and
 * may take as long as the `timeout` setting says, and nothing else in it waits. Not thread-safe.
 *
 * A host of that wire makes what is missing of two queues and a segment, does one exchange, and unlinks all
 * three as it ends. So what the names lead to changes all the time. What the worker keeps true:
 *  - What is missing it makes at once, and what a host has unlinked likewise: hosts and worker may come in
 * any order.
 *  - A request is answered through the objects that its host has open. A host that opened them just before
 * another one unlinked them is still heard.
 *  - An answer is for the host that asked. One that nobody takes is taken back, so that the next host does
 * not get it: when its host closes the queue or another request comes at once, when somebody opens the
 * segment after a while, and in any case after the `timeout`.
 *  - A host that sends rubbish, or dies, costs its own exchange only.
 *  - What it has made and nobody uses it unlinks as it ends.
 *
 * Two hosts at a time share one segment, and overwrite each other's requests. Nothing here can help that.
 */
#pragma once

#include "base/cleanup.h"
#include "core/event.h"
#include "core/settings.h"
#include "handler/handler.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct PlainWorker PlainWorker;

/**
 * plain_worker_new() - make one; it opens its queues and its segment at the first dispatch
 * @settings, @handler: borrowed; they must outlive it
 * Return: 0 or negative errno.
 */
int plain_worker_new(PlainWorker **ret, const WorkerSettings *settings, Handler *handler);
PlainWorker *plain_worker_free(PlainWorker *worker);

/** plain_worker_get_fd() - Return: a descriptor that is readable when there is something to dispatch. */
int plain_worker_get_fd(const PlainWorker *worker);

/**
 * plain_worker_dispatch() - do what there is to do: at most one exchange
 *
 * What cannot be opened is an event, and is tried again by a timer.
 * Return: 0 or negative errno.
 */
int plain_worker_dispatch(PlainWorker *worker);

/** plain_worker_n_exchanges() - seen through, well or not. */
uint64_t plain_worker_n_exchanges(const PlainWorker *worker);

bool plain_worker_pop_event(PlainWorker *worker, Event *ret_event);

DEFINE_CLEANUP(PlainWorker, plain_worker_free)
