/* SPDX-License-Identifier: MIT */
/*
 * Limits of the system that a host runs into, as they really are
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Limits {
    uint64_t queue_bytes; /* RLIMIT_MSGQUEUE: for all queues of this user */
    uint64_t n_queues;    /* fs.mqueue.queues_max: in this IPC namespace */
    uint64_t n_files;     /* RLIMIT_NOFILE: descriptors of this process */
    uint64_t n_files_open;
} Limits;

typedef enum LimitKind {
    LIMIT_QUEUE_BYTES,
    LIMIT_QUEUES,
    LIMIT_FILES,
    _LIMIT_N,
} LimitKind;

/** limit_name() - as its documentation calls it; limit_cure() - what an administrator does about it. */
const char *limit_name(LimitKind kind);
const char *limit_cure(LimitKind kind);

/** limits_read() - ask the kernel now; what cannot be read is UINT64_MAX (a limit) or 0 (what is open). */
void limits_read(Limits *ret_limits);

/** limits_read_of() - in @limits, those that another process has of its own, as far as they can be read. */
void limits_read_of(pid_t pid, Limits *limits);

/* fs.mqueue of an IPC namespace. */
typedef struct QueueLimits {
    uint64_t n_queues;   /* fs.mqueue.queues_max */
    uint64_t n_messages; /* fs.mqueue.msg_max: in a queue */
    bool is_here;        /* it is this process's namespace */
} QueueLimits;

/**
 * limits_read_queues_of() - as the process @pid (0: this one) has them
 *
 * For those of another namespace the calling thread is in there for a moment.
 * Return: 0; -EACCES or -EPERM where that is for root; or another negative errno.
 */
int limits_read_queues_of(pid_t pid, QueueLimits *ret_limits);

/**
 * limits_memory() - the least memory limit of the control groups that process @pid (0: this one) is in: past
 * it the kernel kills. Return: bytes; UINT64_MAX where there is none that can be read.
 */
uint64_t limits_memory(pid_t pid);

/** limits_memory_in() - likewise, from a file like /proc/self/cgroup and a folder like /sys/fs/cgroup. */
uint64_t limits_memory_in(const char *membership, const char *folder);

/** queue_cost() - what one queue is charged with against RLIMIT_MSGQUEUE, in bytes. */
uint64_t queue_cost(uint32_t depth, uint32_t message_bytes);
