/* SPDX-License-Identifier: MIT */
/*
 * A line: the three objects of the plain wire as one side holds them (docs/protocol.md, section 7)
 *
 * Both sides open the same three, and whoever comes first makes them. A line keeps what its names led to when
 * they were opened; a peer may unlink the names at any time, and then object_has_name() says so. Nothing here
 * blocks.
 *
 * The segment is never mapped: its other users resize it at will. It is read with pread and written with
 * pwrite.
 */
#pragma once

#include "base/cleanup.h"
#include "core/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum PlainPart {
    PLAIN_REQUESTS, /* queue, host -> worker */
    PLAIN_REPLIES,  /* queue, worker -> host */
    PLAIN_PAYLOAD,  /* segment */
    PLAIN_PARTS,
} PlainPart;

typedef struct PlainLine {
    int fds[PLAIN_PARTS]; /* owned; -1 for what is not open */
} PlainLine;

#define PLAIN_LINE_NULL ((PlainLine){.fds = {-1, -1, -1}})

/** plain_part_name() - Return: the name that @names give the part. */
const char *plain_part_name(const PlainNames *names, PlainPart part);

/**
 * plain_part_open() - open a part with all rights, or make it
 * @ret_made:   whether it was made here, as far as can be told
 * Return: 0; a QueueLimit; -EPERM or -EACCES if it is another user's; -EMSGSIZE for a queue that is too
 * narrow for a count; or another negative errno.
 */
int plain_part_open(const PlainNames *names, PlainPart part, bool *ret_made, int *ret_fd);

/** plain_part_unlink() - take away the name of what is open, unless it leads to something else by now. */
void plain_part_unlink(const PlainNames *names, PlainPart part, int fd);

/** plain_part_fault() - for a person: why the part could not be opened, and the cure. Return: @buffer. */
const char *plain_part_fault(const PlainNames *names, PlainPart part, int r, char *buffer, size_t bytes);

/** plain_line_close() - the names stay. */
void plain_line_close(PlainLine *line);

/** plain_line_copy() - descriptors of one's own of what @line has open. Return: 0 or negative errno. */
int plain_line_copy(const PlainLine *line, PlainLine *ret_copy);

/** plain_discard() - take what lies in a queue now. Return: how many messages, or negative errno. */
int plain_discard(int queue);

/**
 * plain_receive() - take a count of at most @max
 * Return: 0; a PlainFault if the message is no such count; -EAGAIN when there is none; or another negative
 * errno.
 */
int plain_receive(int queue, uint64_t max, uint64_t *ret_count);

/** plain_send() - send a count. Return: 0, -EAGAIN when the queue is full, or negative errno. */
int plain_send(int queue, uint64_t count);

/** plain_send_failure() - send the count that says that the exchange failed. Return: as plain_send(). */
int plain_send_failure(int queue);

/**
 * plain_resize() - make the segment fit a payload: whole pages, up or down
 * A payload of no bytes keeps one page: peers map what they read.
 * Return: 0, -ENOSPC, or negative errno.
 */
int plain_resize(int segment, uint64_t payload_bytes);
