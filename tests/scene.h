/* SPDX-License-Identifier: MIT */
/*
 * A scene: one client, one slot, a worker or two, brought into a state of docs/protocol.md, section 4
 *
 * The client does not look at its slot unless the test lets it: the message that it needs is seen to come.
 */
#pragma once

#include "party.h"

#define SLOT 0 /* the one that counts */

typedef struct Scene {
    Client *client;
    uint64_t id; /* its */
    Request *request;
    HostClient *of_host;
    Page states;       /* seen by itself, also after all others have gone */
    int replies;       /* the reading end of the reply queue */
    int announcements; /* and of the request queue */
    Child owner;       /* of the claim; pid 0: none */
    SlotClaim claim;   /* its */
    Child other;
} Scene;

extern Scene scene;

/* Fixture, in the place of party_begin() and party_end(). */
void scene_begin(void);
void scene_end(void);

/* --- states, from the very beginning --- */

void be_fresh(void);
void be_submitted(void); /* its message was taken by somebody who died with it */
void be_waiting(void);
void be_claimed(void);   /* its owner reports 'g' at GONE, 'x' when it has ended the exchange at CANCEL */
void be_parking(void);   /* the next host is to have a folder for it where hosts_park() was said */
void be_ended(SlotState end);
void be_released(void);
void be_held(void);

/* Hosts from now on park in a folder of the test's. */
void hosts_park(void);
unsigned n_parked(void); /* requests that lie there */

/* Another worker has been there before the slot comes into its state. */
void add_other(void);

/* --- what happens; all is settled then --- */

void client_dies(void);
void worker_dies(Child *child);
void host_dies(void);     /* nobody keeps anything for it */
void host_restarts(void); /* another follows, with what a service manager has kept; begin with party_keep() */
void client_cancels(void);
void deadline_passes(void);

/* Late, repeated and forged ones, all to be dropped; none about @true_one (if not 0), which would be none. */
void bad_messages_come(uint32_t true_one);

/* Kill it; the host has not turned since. */
void end_child(Child *child);

/* --- what can be seen then --- */

SlotWord word(void);
void check_word(SlotState state, uint32_t generation, uint32_t attempts);

/* Messages about the slot since the last time of asking: on the reply queue, on the request queue. */
unsigned n_told(void);
unsigned n_announced(void);

/* From now on the client turns with the others; it looks at its slot at once. */
void let_client_look(void);
void check_client_gets(SlotState end, Reason reason);
void check_client_waits(void);
