/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues
 *
 * Every call here returns at once, whatever flags somebody set on the open file description (mq_timed* with a
 * deadline that has passed). Waiting is done by poll on the descriptor, never inside a receive: a message
 * that is handed to a process in mq_receive dies with it.
 *
 * Queues of ours have no name: they are made under one, unlinked at once, and reopened for each receiver so
 * that each has an open file description of its own. Queues of the plain wire have names and are made by
 * whoever comes first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum QueueSide {
    QUEUE_READ,
    QUEUE_WRITE,
    QUEUE_BOTH,
} QueueSide;

/* queue_create() could not, because of a limit: positive codes, see queue_limit_text(). */
typedef enum QueueLimit {
    QUEUE_LIMIT_DEPTH = 1, /* fs.mqueue.msg_max or msgsize_max */
    QUEUE_LIMIT_BYTES,     /* RLIMIT_MSGQUEUE of this user */
    QUEUE_LIMIT_QUEUES,    /* fs.mqueue.queues_max of this IPC namespace */
    QUEUE_LIMIT_FILES,     /* RLIMIT_NOFILE of this process or fs.file-max */
} QueueLimit;

/**
 * queue_create() - make a queue and unlink its name at once
 * @name:       "/name"; a kill in between leaves it behind (queue_unlink() sweeps)
 * Return: 0; a QueueLimit; or a negative errno, -EEXIST if the name is taken.
 */
int queue_create(const char *name, uint32_t depth, uint32_t message_bytes, int *ret_fd);

/**
 * queue_connect() - an open file description of one's own, with the rights of @side, to the queue of @fd.
 * Return: 0 or negative errno.
 */
int queue_connect(int fd, QueueSide side, int *ret_fd);

/**
 * queue_open_named() - open "/name", or make it with mode 0600 if @create
 *
 * A queue that is there keeps its size, whatever is asked for: see queue_depth().
 * Return: 0; a QueueLimit; or a negative errno: -ENOENT without @create, -EPERM or -EACCES for another
 * user's.
 */
int queue_open_named(const char *name, QueueSide side, bool create, uint32_t depth, uint32_t message_bytes,
                     int *ret_fd);

/** queue_named_same() - whether the name still leads to the queue of @fd. */
bool queue_named_same(const char *name, int fd);

/** queue_unlink() - Return: 0, also when there is none, or negative errno. */
int queue_unlink(const char *name);

/** queue_send() - Return: 0, -EAGAIN when the queue is full, or negative errno. */
int queue_send(int fd, const void *message, size_t bytes, unsigned priority);

/**
 * queue_receive() - @bytes must be at least the queue's message size.
 * Return: 0, -EAGAIN when it is empty, or negative errno.
 */
int queue_receive(int fd, void *message, size_t bytes, size_t *ret_bytes);

/**
 * queue_depth() - messages in it now, and how many and how big they can be; each may be NULL.
 * Return: 0 or negative errno.
 */
int queue_depth(int fd, uint32_t *ret_n_messages, uint32_t *ret_depth, uint32_t *ret_message_bytes);

/** queue_holds() - whether @fd is a queue, and its messages can be just so big. */
bool queue_holds(int fd, uint32_t message_bytes);

/** queue_limit_text() - for a person: which limit, how big it is, and how to raise it. Return: @buffer. */
const char *queue_limit_text(QueueLimit limit, char *buffer, size_t bytes);
