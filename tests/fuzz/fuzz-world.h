/* SPDX-License-Identifier: MIT */
/* What a host gives: a client's queue, pages and objects, made as a host makes them; or something else in its
 * place. */
#pragma once

#include "fuzz.h"

#include "os/page.h"
#include "wire/hello.h"

#define WORLD_SLOTS  3
#define WORLD_STRIDE (UINT64_C(16) << 12)

typedef struct World {
    int request_queue;
    int reply_queue;
    Page submit;
    Page states;
    int requests_fd;
    int responses_fd;
} World;

#define WORLD_NULL                                                                                           \
    { -1, -1, PAGE_NULL, PAGE_NULL, -1, -1 }

void world_open(World *world);
void world_close(World *world);

/* The descriptors of WELCOME, or of CLIENT. Where the input says so, one is of another kind. */
void world_fds_of_welcome(const World *world, int fds[static WELCOME_N_FDS], Input *input);
void world_fds_of_client(const World *world, int fds[static CLIENT_N_FDS], Input *input);

/* A packet with them, closed then. */
void world_say(int channel, const Packet *packet, int *fds, size_t n_fds);

/* A packet of any type, with anything in it and with descriptors of any kind. */
void world_say_anything(int channel, uint64_t serial, Input *input);
