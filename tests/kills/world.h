/* SPDX-License-Identifier: MIT */
/*
 * A small world of parties that can be killed: a host, workers and clients, each a process of its own
 *
 * They run the core of the real programs and do what they are told over a pipe. What they do is written into
 * a ledger that all of them share and that survives every one of them: how often a handler has begun an
 * exchange, how often its client was told an end, and which. Whoever watches takes no part, so nobody's death
 * can hold it up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WORLD_CLIENTS   2u
#define WORLD_WORKERS   2u
#define WORLD_EXCHANGES 32u

/* How an exchange ended, as its client saw it. */
typedef enum Outcome {
    OUTCOME_NONE,
    OUTCOME_RIGHT,     /* answered, with the right bytes */
    OUTCOME_WRONG,     /* answered, with other bytes */
    OUTCOME_CANCELLED,
    OUTCOME_HOST_LOST, /* the clear error of a client without a host */
    OUTCOME_OTHER,     /* any other failure */
    _OUTCOME_N,
} Outcome;

/* Written by the parties, read by whoever watches. */
typedef struct Ledger {
    uint32_t n_runs[WORLD_EXCHANGES];  /* times that a handler has begun it */
    uint32_t n_ended[WORLD_EXCHANGES]; /* times that its client was told an end */
    uint32_t outcome[WORLD_EXCHANGES];
    uint32_t attached[WORLD_WORKERS];
    uint32_t connected[WORLD_CLIENTS];
    uint32_t n_left[WORLD_CLIENTS];    /* times that it has left by its own will */
    uint32_t hold;                     /* handlers come to no end */
    uint32_t holding;                  /* one of them */
    uint32_t host_ready;
    uint32_t host_clients;             /* as the host sees it */
    uint32_t host_records;             /* of clients, gone ones with them */
    char fault[200];                   /* what a party could not go on after */
} Ledger;

typedef enum PartyKind { PARTY_HOST, PARTY_WORKER, PARTY_CLIENT } PartyKind;

typedef struct Party {
    PartyKind kind;
    unsigned number;
    pid_t pid;      /* 0: there is none */
    int command_fd; /* of whoever watches */
} Party;

#define KEPT_MAX       128u
#define KEPT_NAME_MAX  32u

/* A descriptor that a host has had kept. */
typedef struct Kept {
    char name[KEPT_NAME_MAX];
    int fd;
} Kept;

typedef struct World {
    Ledger *ledger;
    bool keeps;        /* what matters, from one host to the next */
    int store_fds[2];  /* hosts say into the second what is to be kept, and what not any more */
    Kept kept[KEPT_MAX];
    unsigned n_kept;
    int bell_fd;
    char folder[64];
    char path[80];
    Party host;
    Party workers[WORLD_WORKERS];
    Party clients[WORLD_CLIENTS];
    uint32_t n_exchanges; /* asked for so far */
    bool client_killed;   /* the first, by the scene */
    bool worker_killed;
} World;

typedef enum CommandKind {
    COMMAND_CONNECT,  /* client */
    COMMAND_EXCHANGE, /* client: one exchange, seen to its end */
    COMMAND_CANCEL,   /* client: likewise, cancelled as soon as it is sent */
    COMMAND_LEAVE,    /* client: disconnect; worker: stop */
} CommandKind;

/* --- for whoever watches --- */

void world_begin(World *world, bool keeps);

/* Kill whoever is left; the host is told to stop if it lives. Return: whether it did so well. */
bool world_end(World *world);

/* Start it; nothing waits for it. A host begins when it is commanded to (COMMAND_CONNECT), as a worker. */
void world_start(World *world, Party *party);
void world_command(const Party *party, CommandKind kind, uint32_t exchange, uint64_t bytes);

/* Kill it and see it dead. */
void world_kill(Party *party);

/* Wait until *@value is at least @wanted. Return: false if nothing comes of it. */
bool world_await(World *world, const uint32_t *value, uint32_t wanted);

/* Wait until *@value is @wanted. */
bool world_await_equal(World *world, const uint32_t *value, uint32_t wanted);

/* Ask for one exchange. Return: its number. */
uint32_t world_ask(World *world, const Party *client, CommandKind kind, uint64_t bytes);

/* --- the parties' lives; the parts with a name can be stopped in (see step-operations.c) --- */

extern World world_of_party; /* in a party: a copy of the watcher's */

_Noreturn void host_life(const Party *self, int command_fd);
_Noreturn void worker_life(const Party *self, int command_fd);
_Noreturn void client_life(const Party *self, int command_fd);

typedef struct Command {
    uint32_t kind;
    uint32_t exchange;
    uint64_t bytes;
} Command;

/* The next command. Return: false if there will be none. */
bool party_listen(int command_fd, Command *ret_command);

/* A number for the ledger, and the bell. */
void party_note(uint32_t *value, uint32_t number);
void party_count(uint32_t *value);

/* It cannot go on. */
_Noreturn void party_fault(const char *what, int error);

/* What an exchange is sent with, and what comes back for it. */
uint8_t world_request_byte(uint32_t exchange, uint64_t at);
uint8_t world_response_byte(uint8_t request_byte);
