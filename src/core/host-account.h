/* SPDX-License-Identifier: MIT */
/*
 * Accounts: what each uid has of a host
 *
 * There is one for each uid that has a connection, a client (also one that is gone, while workers still hold
 * it), a queue that somebody still has open, or something to answer for. Whatever counts in an account keeps
 * it: a Peer, a HostClient and a HostCharge may keep a pointer to theirs. host_put_account() forgets one of
 * which nothing is left; so does the host's tick, once the past no longer counts.
 *
 * A queue costs the host's user its bytes until the last descriptor of it is closed, wherever that is: in a
 * client that hung up and kept it, or in a socket that nobody reads. So it stays charged to the uid that it
 * was made for until the kernel says that it is gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ACCOUNT_DEATHS 16 /* that are remembered */

typedef struct Host Host;

typedef struct HostAccount {
    uid_t uid;
    uint32_t n_connections; /* those that are half open with them */
    uint32_t n_half_open;   /* that have not said HELLO */
    uint32_t n_clients;     /* that are there, or that workers still hold */
    uint32_t n_slots;       /* theirs */
    uint64_t memory_bytes;  /* reserved */
    uint32_t n_queues;      /* not given back */
    uint64_t queue_bytes;   /* theirs, of RLIMIT_MSGQUEUE */
    uint32_t n_flying;      /* descriptors that were sent and not received yet */
    uint64_t refused_until_ns;
    uint64_t spent_ns;   /* of the host's time, as of settled_ns; see host-pace.c */
    uint64_t settled_ns;
    uint64_t heard;      /* the latest of its peers that was heard after it had waited: number */
    uint64_t told_ns;    /* when the log was told that it owes */
    bool owes;           /* too much of it */
    uint64_t deaths_ns[ACCOUNT_DEATHS]; /* when its latest requests killed workers; 0: none */
} HostAccount;

/* One queue that was made for a uid. */
typedef struct HostCharge {
    HostAccount *account;
    uint64_t bytes;
    uint32_t n_flying; /* descriptors that went along with it and were not received yet */
    int watch_id;      /* -1: could not be watched, and counts for as long as the host has it open */
    bool held;         /* by the host */
} HostCharge;

/** host_get_account() - find or make it. Return: 0 or negative errno. */
int host_get_account(Host *host, uid_t uid, HostAccount **ret);

/** host_put_account() - forget it, if nothing of it is left. NULL is none. */
void host_put_account(Host *host, HostAccount *account);

/** host_reap_accounts() - forget those of which nothing is left at @now_ns. */
void host_reap_accounts(Host *host, uint64_t now_ns);

void host_free_accounts(Host *host);

/**
 * host_charge() - charge the queue @fd to an account, for as long as anybody has it open
 * Return: 0 or negative errno.
 */
int host_charge(Host *host, HostAccount *account, int fd, HostCharge **ret);

/** host_release_charge() - the host lets go of this queue and closes @fd. NULL is none. */
void host_release_charge(Host *host, HostCharge *charge, int fd);

/** host_hear_watch() - hear which queues are gone. */
void host_hear_watch(Host *host);
