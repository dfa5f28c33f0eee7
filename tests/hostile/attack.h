/* SPDX-License-Identifier: MIT */
/*
 * Attacks: what a client may try that means no good, each a function that goes on until it is told to stop
 *
 * An attack knows what it must come to (a reason, a refusal, an errno): where it comes to something else, it
 * ends with a text. Whether anybody else is hurt is what siege.c looks at meanwhile.
 */
#pragma once

#include "core/client-internal.h"

#include "base/units.h"
#include "os/channel.h"
#include "os/queue.h"
#include "wire/message.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

#define HANG_NS (60 * NS_PER_SEC)
#define MIB     (UINT64_C(1) << 20)

typedef struct Attack {
    const char *name;
    void (*act)(void);
} Attack;

extern const Attack memory_attacks[], message_attacks[], slot_attacks[], socket_attacks[], hoard_attacks[],
    name_attacks[], handler_attacks[];

/* ---- when ---- */

/* One more round. Says that the attack is under way; false once it is told to stop. */
bool attack_goes_on(void);

/* As the last of it: the attack is at its full extent, and stays so until it is told to stop. */
void attack_rest(void);

/* From now on @act is done over and over by a child, until attack_end_helpers() or the end. */
void attack_beside(void (*act)(void));
void attack_end_helpers(void);

/* The same numbers for the same $HOSTILE_SEED. */
uint64_t attack_random(void);

/* ---- as a client of the library ---- */

/* Who is let in by attack_join(), one at a time. */
extern Client *attacker;

void attack_join(void);
void attack_leave(void);

/* Whether the host has hung up on it; AWAIT the other way around. */
void attack_turn(void);
void attack_await_end_of_connection(void);

/* A request of @bytes that only needs to be sent; its payload is written. */
Request *attack_prepare(uint64_t bytes);
void attack_send_and_wait(Request *request);

/* An exchange as anybody's, which must go well. */
void attack_be_honest(void);

/* ---- by hand ---- */

/* Put a message into the attacker's request queue, whatever it takes. */
void attack_put(const void *message, size_t bytes, unsigned priority);

/* -1: the host's backlog is full */
int raw_connect(void);
void raw_hello(Packet *packet, PeerRole role);

/* Send and hear what comes: 0, or an errno that says that the host has hung up. Others end the attack. */
int raw_send(int fd, const void *data, size_t bytes);
int raw_receive(int fd, Packet *ret_packet, int fds[static CHANNEL_FDS_MAX], size_t *ret_n_fds);
void raw_close_all(int *fds, size_t n_fds);

/* Until the host has hung up. */
void raw_await_end(int fd);
