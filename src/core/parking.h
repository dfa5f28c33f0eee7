/* SPDX-License-Identifier: MIT */
/*
 * Parking: the folder of a host's parked requests
 *
 * A request that its workers did not survive is kept in a file of its own, whose name is its id, until
 * somebody has looked at it. What is parked stays: at the budget new ones are refused, likewise at one user's
 * share of it, so that nobody can push out what others have there, or keep all others from having any. The
 * host writes; `shmipc parked` reads, and removes. A file that is being written has another name, and is
 * swept at the next start.
 *
 * Calls take as long as the disk does: the host makes them in threads of their own (host-park.c).
 */
#pragma once

#include "base/cleanup.h"
#include "wire/parked.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARKING_PATH_MAX 512

/**
 * parking_of_host() - where a host keeps them: $STATE_DIRECTORY as it is, or a folder of the host's name in
 * /var/lib/shmipc for root, else in $XDG_STATE_HOME/shmipc or ~/.local/state/shmipc.
 * Return: 0 or -ENAMETOOLONG, -ENOENT where there is no such place.
 */
int parking_of_host(const char *name, char path[static PARKING_PATH_MAX]);

/**
 * parking_find() - likewise, for one who looks for a host's: the system's unless there is one of this user's
 * own.
 */
int parking_find(const char *name, char path[static PARKING_PATH_MAX]);

/**
 * parking_sweep() - remove what a kill has left half written; what is being written stays. Return: 0, also
 * where there is no folder; or negative errno.
 */
int parking_sweep(const char *path);

/* A request to be kept. */
typedef struct ParkingOrder {
    const char *path;  /* of the folder, made if need be */
    uint64_t budget;   /* bytes of all of it */
    uint64_t share;    /* of these for one user */
    int request_fd;    /* its payload, from request_at on */
    uint64_t request_at;
    Parked parked;     /* ->kept_bytes is found out */
    bool (*go_on)(void *data); /* asked every few megabytes, and a last time before there is no way back */
    void *data;
} ParkingOrder;

enum {
    PARKING_OVER_BUDGET = 1, /* the folder holds what the budget allows */
    PARKING_OVER_SHARE,      /* this user's share of it */
    PARKING_GIVEN_UP,        /* ->go_on() said so */
};

/**
 * parking_keep() - Return: 0, also where this exchange is kept already; one of the above; -EEXIST if there is
 * another one of its id; or another negative errno.
 */
int parking_keep(const ParkingOrder *order);

/* Those that are there, the oldest first. */
typedef struct ParkingList {
    Parked *list;
    size_t n;
    char (*damaged)[PARKED_ID_BYTES]; /* files with the name of one that are none */
    size_t n_damaged;
} ParkingList;

/** parking_list() - Return: 0, also where there is no folder; or negative errno. */
int parking_list(const char *path, ParkingList *ret_list);
void parking_list_deinit(ParkingList *list);

/**
 * parking_open() - one of them
 * @ret_fd:     its payload starts at PARKED_HEAD_BYTES and is ->kept_bytes long
 * Return: 0; -ENOENT if there is none such; -EBADMSG if the file is damaged; or another negative errno.
 */
int parking_open(const char *path, const char *id, Parked *ret_parked, int *ret_fd);

/** parking_drop() - remove it. Return: 0, -ENOENT, or another negative errno. */
int parking_drop(const char *path, const char *id);
