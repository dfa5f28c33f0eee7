/* SPDX-License-Identifier: MIT */
/* Parts of the parties' lives that can be stepped through. */
#pragma once

#include "world.h"

#include "core/client.h"
#include "core/host.h"
#include "core/worker.h"

#define STEPPED __attribute__((noinline))

/* A host that can be reached; a fault if it cannot be. */
STEPPED void life_begin_host(Host **ret_host);

/* Until the host has let it in. */
STEPPED void life_attach_worker(Worker *worker);
STEPPED void life_connect(Client **client);

/* A request with room for @bytes. Return: NULL if the host went away. */
STEPPED Request *life_take(Client *client, uint64_t bytes);

/* Until it has ended and was handed out. */
STEPPED void life_await_answer(Client *client, Request *request);
