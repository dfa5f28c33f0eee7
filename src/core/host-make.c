/* SPDX-License-Identifier: MIT */
/*
 * Making queues and objects, whose names are there for a moment only
 *
 * The name is first one that the next start can sweep: a kill in that moment leaves at most this. But
 * everybody may make objects of any name, and one of that name would keep all clients out for ever. Where it
 * is taken, the name is one that nobody can foresee.
 */
#include "core/host-internal.h"

#include "os/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define NAME_ROOM (NAME_BYTES + 40)
#define TRIES     4

static const char *make_name(const Host *host, unsigned n_tried, char name[static NAME_ROOM]) {
    if (n_tried == 0)
        snprintf(name, NAME_ROOM, "/shmipc.%s.new", host->name);
    else
        snprintf(name, NAME_ROOM, "/shmipc.%s.%" PRIx64 ".new", host->name, clock_now_ns());
    return name;
}

int host_make_queue(const Host *host, uint32_t depth, int *ret_fd) {
    char name[NAME_ROOM];
    int r = -EEXIST;

    for (unsigned i = 0; r == -EEXIST && i < TRIES; i++)
        r = queue_create(make_name(host, i, name), depth, sizeof(Message), ret_fd);
    return r;
}

int host_make_object(const Host *host, uint64_t bytes, int *ret_fd) {
    char name[NAME_ROOM];
    int r = -EEXIST;

    for (unsigned i = 0; r == -EEXIST && i < TRIES; i++)
        r = object_create(make_name(host, i, name), bytes, ret_fd);
    return r;
}

/* What is another user's is not ours to remove, and keeps nobody out. */
int host_sweep(const Host *host) {
    char name[NAME_ROOM];
    int r = object_unlink(make_name(host, 0, name));

    if (r < 0 && r != -EPERM)
        return r;
    r = queue_unlink(name);
    return r == -EPERM || r == -EACCES ? 0 : r;
}
