/* SPDX-License-Identifier: MIT */
/*
 * The host's part of what is kept for the next one (host-index.h): each uid's queue, each client, each worker
 *
 * What is kept is told before the peer is: whoever has a WELCOME is kept, however soon the host is killed. A
 * host that nobody keeps anything for does nothing of this.
 */
#pragma once

#include "core/host-index.h"
#include "core/host.h"
#include "os/page.h"

typedef struct HostUid HostUid;
typedef struct HostClient HostClient;
typedef struct HostWorker HostWorker;

typedef struct HostStore {
    const HostKeeper *keeper; /* NULL: nothing is kept */
    Page index;
    int listener;             /* of the host before, for host_listen(); -1 */
    bool told;                /* that some are not kept */
    bool closing;             /* the host ends: what is kept stays so */
    bool stays;               /* and so does the socket's path */
} HostStore;

/** host_store_begin() - make and keep an index where none was taken up. Return: 0 or negative errno. */
int host_store_begin(Host *host);

/**
 * host_store_uid(), host_store_client() - have it kept. Where that cannot be, it works all the same until the
 * host ends; which is said once.
 */
void host_store_uid(Host *host, HostUid *uid);
void host_store_client(Host *host, HostClient *client);

/** host_store_again() - the clients that could not be kept: the service manager may have been busy. */
void host_store_again(Host *host);

/**
 * host_store_worker() - likewise, but a worker that cannot be kept must not be let in: the next host would
 * never know whether what it has claimed has an owner that lives.
 * Return: 0; -ENOSPC when as many are kept as can be; or another negative errno.
 */
int host_store_worker(Host *host, HostWorker *worker);

/** host_store_leaving() - it will hang up, and that is no death. */
void host_store_leaving(Host *host, const HostWorker *worker);

/** host_drop_...() - it is gone; does nothing for what is not kept, and when the host ends. */
void host_drop_uid(Host *host, HostUid *uid);
void host_drop_client(Host *host, HostClient *client);
void host_drop_worker(Host *host, HostWorker *worker);

/**
 * host_store_listener(), host_drop_listener() - the socket that it listens on; what the host before has left
 * of it.
 */
void host_store_listener(Host *host, int fd);
void host_drop_listener(Host *host);

/** host_take_up() - take over what is @kept. Return: 0 or negative errno. */
int host_take_up(Host *host, HostKept *kept, size_t n_kept);
