/* SPDX-License-Identifier: MIT */
/*
 * Polling: for a while after an exchange its client's slots are looked at (docs/protocol.md, section 5,
 * "Polling")
 *
 * A client that is polled sends no message, so this worker may not block before it has said that it polls no
 * more, and has looked once more. Nobody else is kept waiting: after IN_A_ROW exchanges, more of them that
 * take microseconds in all, or one that takes long, and now and then while there are none (spin_is_due()), it
 * is seen whether a descriptor has something.
 */
#include "core/worker-internal.h"

#include "base/prefetch.h"
#include "base/units.h"

#define IN_A_ROW     16u
#define IN_A_ROW_MAX 256u             /* of such that take SHORT_NS in all */
#define ALL_EVERY    8u               /* looks */
#define SHORT_NS     (20 * NS_PER_US)
#define ROW_NS       NS_PER_MS        /* of what takes so long in all, others wait for no more */
#define LONG_NS      (50 * NS_PER_US) /* past this the caller may have something to do before the next */

/* Lines that another processor has: asked for together, they come in the time of one. */
static void expect(WorkerClient *client, uint32_t slot) {
    prefetch_read(client->slots[slot].request.map);
    prefetch_write(client->slots[slot].response.map);
}

/* Who sends several sends them in a row: what comes after this one comes near while this one is handled. */
static void expect_next(WorkerClient *client, uint32_t slot) {
    if (slot + 2 < client->n_slots)
        slots_expect_new(client->submit.map, slot + 2);
    if (slot + 1 == client->n_slots ||
        submit_generation(client->submit.map, slot + 1) == client->seen[slot + 1])
        return;
    slots_expect_end(client->states.map, slot + 1);
    expect(client, slot + 1);
}

/*
 * Claim what is new in some of a client's slots, one at most. Return: 1 if something was claimed, 0, or
 * negative errno.
 */
static int look_at_client(Worker *worker, WorkerClient *client, uint32_t n_looks) {
    uint32_t slot = client->seen_slot;

    /* A client that goes on changing what is looked at does not keep this worker from everything else. */
    for (uint32_t i = 0; i < client->n_slots; i++) {
        int r;

        if (!submit_find_new(client->submit.map, client->seen, client->n_slots, n_looks, &slot))
            return 0;

        expect(client, slot);
        expect_next(client, slot);
        client->seen_slot = slot;
        /* claimed by whomever, it is nothing new */
        client->seen[slot] = submit_generation(client->submit.map, slot);
        if (!submit_is_quiet(client->submit.map, slot))
            continue; /* its message comes, in its turn */
        r = worker_claim(worker, client, slot, client->seen[slot]);
        if (r != 0)
            return r;
    }
    return 0;
}

/*
 * One claim at a time, the clients in turn. Who has one in flight uses the slot of last time, who has many
 * the next one: these are looked at each time, the others now and then.
 */
static int look(Worker *worker) {
    uint32_t first = worker->poll_turn++;
    /* as many in a row as there are clients, so that each is the first of one of them */
    bool is_all = worker->n_polled && first / worker->n_polled % ALL_EVERY == 0;

    for (uint32_t i = 0; i < worker->n_polled; i++) {
        WorkerClient *client = worker->polled[(first + i) % worker->n_polled];
        int r = look_at_client(worker, client, is_all ? client->n_slots : 2);

        if (r != 0)
            return r;
    }
    return 0;
}

static void remove_at(Worker *worker, uint32_t i) {
    WorkerClient *client = worker->polled[i];

    state_poll_end(client->states.map, worker->number);
    client->polled = false;
    worker->polled[i] = worker->polled[--worker->n_polled];
}

void worker_poll_leave(Worker *worker, WorkerClient *client) {
    for (uint32_t i = 0; client->polled && i < worker->n_polled; i++)
        if (worker->polled[i] == client) {
            remove_at(worker, i);
            return;
        }
}

void worker_poll_stop(Worker *worker) {
    while (worker->n_polled > 0)
        remove_at(worker, worker->n_polled - 1);
}

void worker_poll_leave_uid(Worker *worker, uid_t uid) {
    for (uint32_t i = worker->n_polled; i > 0; i--)
        if (worker->polled[i - 1]->uid == uid)
            remove_at(worker, i - 1);
}

/* Each client is told before its slots are looked at for the last time. Return: as look_at_client(). */
static int leave_all(Worker *worker) {
    while (worker->n_polled > 0) {
        WorkerClient *client = worker->polled[worker->n_polled - 1];
        int r;

        remove_at(worker, worker->n_polled - 1);
        r = look_at_client(worker, client, client->n_slots);
        if (r != 0)
            return r; /* the others are still polled */
    }
    return 0;
}

void worker_poll_enter(Worker *worker, WorkerClient *client, const Job *job) {
    uint64_t bytes = job->claim.request.payload_bytes + job->exchange.response_bytes;
    bool shares_cpu = job->cpu && job->claim.request.cpu == job->cpu;

    if (client->gone || worker->lost || client->probe ||
        (!client->polled && !table_find(&worker->queues, client->uid)) ||
        !spin_begin(&worker->spin, &worker->pace, worker->settings->poll_ns, bytes, shares_cpu))
        return;
    if (client->polled || worker->n_polled == POLLED_MAX ||
        !state_poll_begin(client->states.map, worker->number))
        return;
    for (uint32_t slot = 0; slot < client->n_slots; slot++)
        client->seen[slot] = state_load(client->states.map, slot, NULL).generation;
    client->polled = true;
    worker->polled[worker->n_polled++] = client;
}

static bool is_enough(const Worker *worker) {
    uint32_t most = worker->row_ns < SHORT_NS ? IN_A_ROW_MAX : worker->row_ns < ROW_NS ? IN_A_ROW : 1;

    return worker->n_in_a_row >= most;
}

int worker_poll(Worker *worker, uint64_t until_ns) {
    if (worker->n_polled == 0)
        return WORKER_POLLS_NOT;
    if (is_enough(worker))
        return WORKER_POLL_READY;
    spin_cap(&worker->spin, until_ns);
    do {
        int r = look(worker);

        if (r < 0)
            return r;
        if (r > 0) {
            spin_end(&worker->pace, true);
            worker->n_in_a_row++;
            if (is_enough(worker) || worker->ready || worker->lost || worker->took_ns > LONG_NS)
                return WORKER_POLL_CLAIMED;
        } else if (worker->by_message || (spin_is_due(&worker->spin) && wait_is_ready(worker->wait))) {
            return WORKER_POLL_READY;
        }
    } while (spin_once(&worker->spin));
    spin_end(&worker->pace, false);
    return leave_all(worker);
}
