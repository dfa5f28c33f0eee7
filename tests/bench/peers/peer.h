/* SPDX-License-Identifier: MIT */
/*
 * What all programs of the comparison share: who fills and reads the payloads, and who measures
 *
 * A peer is a way to bring a request to another process and its response back. It says where a request is to
 * be written, sends it, and says where the response is. All the rest is here and the same for each: a server
 * process on a CPU of its own (or on the client's), every byte of each request and response written and read
 * on either side, and checked, the clock, the histogram, what is printed.
 *
 * A time is that of the whole exchange as its client has it: from before the request's memory is asked for
 * until the response is read and given back. With several in flight a new request is begun as soon as one has
 * ended, and what counts is how many end in a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is asked for. */
typedef struct Task {
    uint64_t bytes;       /* of each request and each response */
    uint64_t touch;       /* how many of these are written and read; the response then has no more */
    uint32_t n_in_flight;
    uint64_t ms;          /* to measure for */
    uint64_t warm_ms;     /* before that */
    uint64_t gap_us;      /* of sleep before each request */
    uint64_t burn_us;     /* that a server computes for each request */
    uint32_t n_servers;
    int client_cpu;
    int server_cpu;       /* of the first; -1, as above: wherever the kernel likes */
    uint64_t uid;         /* that the client becomes; 0: it stays who it is */
    const char *mode;     /* the peer's own; "" unless said */
} Task;

typedef struct Peer {
    const char *name;
    const char *modes; /* that --mode takes, for help */

    void (*open)(const Task *task);    /* before the servers are forked; may be NULL */
    void (*serve)(const Task *task);   /* in a server; does not return */
    void (*connect)(const Task *task); /* in the client */

    void *(*begin)(uint32_t slot);         /* memory for the request */
    void (*send)(uint32_t slot);
    const void *(*receive)(uint32_t slot); /* wait for its response: they come as they were asked for */
    void (*end)(uint32_t slot);            /* the response has been read */

    /* Where a peer has it: begin() for all, then this, which waits for all; then response(). Else NULL. */
    void (*call_many)(uint32_t n);
    const void *(*response)(uint32_t slot);

    void (*close)(void); /* in the client; may be NULL */
} Peer;

/* Everything that main() does. Return: its exit status. */
int peer_main(int argc, char **argv, const Peer *peer);

/* In a server: read and check the request, write the response. */
void peer_answer(const Task *task, const void *request, void *response);

/* How many bytes the response has: those that are touched. */
uint64_t peer_response_bytes(const Task *task);

/* As many of the task's bytes as are written and read. */
uint64_t peer_touched(const Task *task);

void peer_write(void *memory, uint64_t bytes, unsigned char value);
/* Read all, and stop the program unless all are what the first one is. Return: that one. */
unsigned char peer_read(const void *memory, uint64_t bytes);

uint64_t peer_now_ns(void);

/* Ask the processor to wait a little between two looks at memory. */
static inline void peer_relax(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#endif
}

#ifdef __cplusplus
}
#endif
