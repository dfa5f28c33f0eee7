/* SPDX-License-Identifier: MIT */
/*
 * A program of the plain wire as others would write it: from docs/protocol.md, section 7, on libc alone
 *
 * plain-host.c and plain-worker.c stand for the tutorial's two programs. They block in mq_send and
 * mq_receive, map the segment, do one exchange and end. Nothing of src/ is in them.
 *
 * To misbehave they take: -m TEXT, sent instead of the byte count; -k POINT, to be killed (SIGKILL) at that
 * point.
 */
#pragma once

#include <mqueue.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct PlainPeer {
    const char *host_queue;   /* -q NAME */
    const char *worker_queue; /* -w NAME */
    const char *segment;      /* -s NAME */
    const char *message;      /* -m */
    const char *kill_point;   /* -k: "opened", "received", "written" or "sent" */
    const char *text;         /* -a: what the worker adds */
    mqd_t out;
    mqd_t in;
    int fd;
    char *map;
    size_t map_bytes;
} PlainPeer;

/** peer_options() - ends the program when they are wrong. */
void peer_options(PlainPeer *peer, int argc, char **argv);

/* All of these say on stderr what went wrong. */
bool peer_open(PlainPeer *peer, const char *out, const char *in);
bool peer_write(PlainPeer *peer, const char *payload, size_t bytes);
bool peer_send(PlainPeer *peer, size_t bytes);
bool peer_receive(PlainPeer *peer, size_t *ret_bytes);

/** peer_read() - Return: the payload, in the mapping; NULL if it cannot be mapped. */
const char *peer_read(PlainPeer *peer, size_t bytes);

/** peer_unlink() - what a host does as it ends, however it ends. */
void peer_unlink(PlainPeer *peer);
