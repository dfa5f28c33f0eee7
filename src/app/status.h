/* SPDX-License-Identifier: MIT */
/*
 * Status: everything that a running host says of itself, asked of it at one moment
 *
 * What it says is copied as it comes; names of users and units, which the host does not know, are looked up
 * here. Who is neither root, nor the host's user, nor in its group hears only of what is its own.
 */
#pragma once

#include "wire/hello.h"
#include "wire/reason.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Status {
    PacketStatusHost host;
    PacketStatusClient *clients;
    size_t n_clients;
    PacketStatusWorker *workers;
    size_t n_workers;
    PacketStatusSlot *slots;
    size_t n_slots;
    Histogram *stages; /* _STAGE_N, of all exchanges since the host's start */
    Reason refused; /* why; REASON_NONE: it was not */
    char refused_text[REFUSED_TEXT_BYTES];
} Status;

/* A connection that may be asked again and again. */
typedef struct StatusLine {
    int fd;
    uint64_t serial;
} StatusLine;

#define STATUS_LINE_NULL                                                                                     \
    { .fd = -1 }

void status_deinit(Status *status);

/** status_connect() - call the host whose socket is at @path. Return: 0 or negative errno. */
int status_connect(StatusLine *line, const char *path, const char *program);
void status_hang_up(StatusLine *line);

/**
 * status_ask() - one answer, waited for at most ten seconds
 * @slots:      of slots, too
 * @ret:        a zeroed one; to be deinitialized, also on failure
 *
 * Return: 0; -ETIMEDOUT; -EACCES, -EBUSY or, for its version, -EPROTO if the host refused, and
 * ret->refused_text says why; -EPIPE where it has hung up; -EBADMSG for what cannot be understood; or another
 * negative errno.
 */
int status_ask(StatusLine *line, bool slots, Status *ret);

/**
 * status_begin() / status_hear() - likewise for who has something else to wait for, too: begin, then hear
 * what is there whenever line->fd is readable
 * Return: of status_hear() 1 when the answer is complete, 0 when more is to come; else as status_ask().
 */
int status_begin(StatusLine *line, bool slots);
int status_hear(StatusLine *line, Status *ret);

/**
 * status_trace() / status_hear_traced() - ask to be told of exchanges as they end; the next part of that
 * Return: of status_hear_traced() 1 with a part, 0 when more is to come; else as status_ask().
 */
int status_trace(StatusLine *line, const PacketTrace *wish);
int status_hear_traced(StatusLine *line, Status *status, PacketTraced *ret);

/** status_explain() - say on standard error why @host could not be asked. Return: an exit status. */
int status_explain(const char *command, int r, const Status *status, const char *host, const char *path);

/** status_client() / status_worker() - the row of that id or number; NULL if there is none. */
const PacketStatusClient *status_client(const Status *status, uint64_t id);
const PacketStatusWorker *status_worker(const Status *status, uint64_t number);
