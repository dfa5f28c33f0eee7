/* SPDX-License-Identifier: MIT */
/* The operations, and the scene of each: who is there before, and what makes the victim come by. */
#include "step.h"

#include "world-lives.h"

#include "base/cleanup.h"
#include "core/host-internal.h"
#include "core/host-store.h"
#include "core/worker-internal.h"

#include <err.h>
#include <signal.h>

#define SMALL_BYTES 100
#define LARGE_BYTES 20000 /* both segments are remapped for it */

static void must(bool well, const char *what, const World *world) {
    if (!well)
        errx(EXIT_FAILURE, "%s: nothing comes of it; %s", what, world->ledger->fault);
}

/* ---- before ---- */

static void host_waits(World *world) {
    world_start(world, &world->host);
}

static void host_is_there(World *world) {
    host_waits(world);
    world_command(&world->host, COMMAND_CONNECT, 0, 0);
    must(world_await(world, &world->ledger->host_ready, 1), "a host", world);
}

static void worker_waits(World *world) {
    host_is_there(world);
    world_start(world, &world->workers[0]);
}

static void worker_is_there(World *world) {
    worker_waits(world);
    world_command(&world->workers[0], COMMAND_CONNECT, 0, 0);
    must(world_await(world, &world->ledger->attached[0], 1), "a worker", world);
}

static void client_waits(World *world) {
    worker_is_there(world);
    world_start(world, &world->clients[0]);
}

static void connect(World *world) {
    world_command(&world->clients[0], COMMAND_CONNECT, 0, 0);
    must(world_await(world, &world->ledger->connected[0], 1), "a client", world);
}

static void client_is_there(World *world) {
    client_waits(world);
    connect(world);
}

static void client_is_alone(World *world) {
    host_is_there(world);
    world_start(world, &world->clients[0]);
    connect(world);
}

static void all_have_met(World *world) {
    uint32_t exchange;

    client_is_there(world);
    exchange = world_ask(world, &world->clients[0], COMMAND_EXCHANGE, SMALL_BYTES);
    must(world_await(world, &world->ledger->n_ended[exchange], 1), "the first exchange", world);
}

static void worker_holds_one(World *world) {
    all_have_met(world);
    world->ledger->hold = 1;
    world_ask(world, &world->clients[0], COMMAND_EXCHANGE, LARGE_BYTES);
    must(world_await(world, &world->ledger->holding, 1), "a handler at work", world);
    world->ledger->hold = 0;
}

/* Not reaped yet: that is for whoever sees what becomes of it. */
static void worker_is_killed(World *world) {
    world->worker_killed = true;
    kill(world->workers[0].pid, SIGKILL);
}

/* The host is dead, and another waits to begin. */
static void replace_host(World *world) {
    world_kill(&world->host);
    world->ledger->host_ready = world->ledger->host_clients = 0;
    host_waits(world);
}

static void host_follows(World *world) {
    all_have_met(world);
    replace_host(world);
}

/* An exchange has ended while there was none, or has a dead owner. */
static void host_follows_at_work(World *world) {
    worker_holds_one(world);
    replace_host(world);
    worker_is_killed(world);
}

static void host_has_followed(World *world) {
    host_follows(world);
    world_command(&world->host, COMMAND_CONNECT, 0, 0);
    must(world_await(world, &world->ledger->host_ready, 1), "another host", world);
}

/* ---- what makes the victim come by ---- */

static void host_begins(World *world) {
    world_command(&world->host, COMMAND_CONNECT, 0, 0);
}

static void worker_connects(World *world) {
    world_command(&world->workers[0], COMMAND_CONNECT, 0, 0);
}

static void worker_leaves(World *world) {
    world_command(&world->workers[0], COMMAND_LEAVE, 0, 0);
}

static void client_connects(World *world) {
    world_command(&world->clients[0], COMMAND_CONNECT, 0, 0);
}

static void client_asks(World *world) {
    world_ask(world, &world->clients[0], COMMAND_EXCHANGE, LARGE_BYTES);
}

static void client_asks_new_host(World *world) {
    client_asks(world);
    host_begins(world);
}

void step_cancels(World *world) {
    world_ask(world, &world->clients[0], COMMAND_CANCEL, LARGE_BYTES);
}

static void client_leaves(World *world) {
    world_command(&world->clients[0], COMMAND_LEAVE, 0, 0);
}

static void client_is_killed(World *world) {
    world->client_killed = true;
    kill(world->clients[0].pid, SIGKILL);
}

static void host_stops(World *world) {
    world->host.command_fd = fd_close(world->host.command_fd);
}

#define F(function) ((Function)(function))

const Operation step_operations[] = {
    {"client attach", PARTY_CLIENT, F(life_connect), client_waits, client_connects},
    {"client reserve", PARTY_CLIENT, F(life_take), all_have_met, client_asks},
    {"client submit", PARTY_CLIENT, F(request_send), all_have_met, client_asks},
    {"client await", PARTY_CLIENT, F(life_await_answer), all_have_met, client_asks},
    {"client cancel", PARTY_CLIENT, F(request_cancel), client_is_alone, step_cancels},
    {"client release", PARTY_CLIENT, F(request_release), all_have_met, client_asks},
    {"client leave", PARTY_CLIENT, F(client_free), all_have_met, client_leaves},
    {"worker attach", PARTY_WORKER, F(life_attach_worker), worker_waits, worker_connects},
    {"worker meet", PARTY_WORKER, F(worker_take_message), client_is_there, client_asks},
    {"worker take", PARTY_WORKER, F(worker_take_message), all_have_met, client_asks},
    {"worker claim", PARTY_WORKER, F(slots_claim), all_have_met, client_asks},
    {"worker grow", PARTY_WORKER, F(exchange_reserve), all_have_met, client_asks},
    {"worker reply", PARTY_WORKER, F(worker_end), all_have_met, client_asks},
    {"worker let go", PARTY_WORKER, F(worker_drop_client), all_have_met, client_leaves},
    {"worker leave", PARTY_WORKER, F(worker_stop), all_have_met, worker_leaves},
    {"host begin", PARTY_HOST, F(life_begin_host), host_waits, host_begins},
    {"host attach client", PARTY_HOST, F(client_attach), client_waits, client_connects},
    {"host attach worker", PARTY_HOST, F(worker_attach), worker_waits, worker_connects},
    {"host meet", PARTY_HOST, F(worker_hear_meet), client_is_there, client_asks},
    {"host reserve", PARTY_HOST, F(peer_dispatch), all_have_met, client_asks},
    {"host look", PARTY_HOST, F(client_hear_look), client_is_alone, step_cancels},
    {"host lose client", PARTY_HOST, F(host_client_gone), all_have_met, client_is_killed},
    {"host redeliver", PARTY_HOST, F(host_worker_dead), worker_holds_one, worker_is_killed},
    {"host stop", PARTY_HOST, F(host_free), all_have_met, host_stops},
    {"host begin, kept", PARTY_HOST, F(life_begin_host), host_waits, host_begins, .keeps = true},
    {"host attach client, kept", PARTY_HOST, F(client_attach), client_waits, client_connects, .keeps = true},
    {"host attach worker, kept", PARTY_HOST, F(worker_attach), worker_waits, worker_connects, .keeps = true},
    {"host meet, kept", PARTY_HOST, F(worker_hear_meet), client_is_there, client_asks, .keeps = true},
    {"host reserve, kept", PARTY_HOST, F(peer_dispatch), all_have_met, client_asks, .keeps = true},
    {"host look, kept", PARTY_HOST, F(client_hear_look), client_is_alone, step_cancels, .keeps = true},
    {"host lose client, kept", PARTY_HOST, F(host_client_gone), all_have_met, client_is_killed,
     .keeps = true},
    {"host redeliver, kept", PARTY_HOST, F(host_worker_dead), worker_holds_one, worker_is_killed,
     .keeps = true},
    {"host stop, kept", PARTY_HOST, F(host_free), all_have_met, host_stops, .keeps = true},
    {"host take up", PARTY_HOST, F(host_take_up), host_follows, client_asks_new_host, .keeps = true},
    {"host take up work", PARTY_HOST, F(host_take_up), host_follows_at_work, host_begins, .keeps = true},
    {"client hear again", PARTY_CLIENT, F(client_dispatch), host_has_followed, client_asks, .keeps = true},
    {"worker hear again", PARTY_WORKER, F(worker_listen), host_follows, host_begins, .keeps = true},
};
const size_t step_n_operations = ELEMENTS(step_operations);

Party *step_victim(World *world, const Operation *operation) {
    switch (operation->victim) {
    case PARTY_HOST:
        return &world->host;
    case PARTY_WORKER:
        return &world->workers[0];
    case PARTY_CLIENT:
        break;
    }
    return &world->clients[0];
}
