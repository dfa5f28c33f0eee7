/* SPDX-License-Identifier: MIT */
/*
 * Watching named objects that others use as well
 *
 * The plain wire's queues and segment have names, and each peer opens, closes and unlinks them as it likes. A
 * Watch tells what others do to objects that this process has open; it tells of this process's own calls too.
 * Like events are told once if they come before anybody looks, so they say that something happened, never how
 * often.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_UNLINKED 1u /* or its mode or owner has changed: see object_has_name() */
#define WATCH_OPENED   2u /* of queues only since Linux 6.8 */
#define WATCH_CLOSED   4u
#define WATCH_GONE     16u /* nobody has it open, and it has no name: not even its memory is left */
#define WATCH_LOST     8u /* too many at once: anything may have happened to any of them; always reported */

/** watch_new() - Return: 0; -EMFILE when this user has too many (fs.inotify.max_user_instances); or negative
 * errno. */
int watch_new(int *ret_watch);

/**
 * watch_add() - watch the object of @fd for @events
 * @ret_id:     names it in watch_next(); one object that is added twice has one id
 * Return: 0; -ENOSPC when this user watches too many (fs.inotify.max_user_watches); or negative errno.
 */
int watch_add(int watch, int fd, uint32_t events, int *ret_id);

/** watch_remove() - forget it. What has been told already is still told. A negative @id is none. */
void watch_remove(int watch, int id);

/** watch_next() - what happened, in its order; @watch is readable if there is something. Return: whether
 * there was. */
bool watch_next(int watch, int *ret_id, uint32_t *ret_events);

/** object_has_name() - whether an object that had one name still has it. */
bool object_has_name(int fd);

/**
 * object_claim() - be the only one who has claimed the object, until @fd's description is closed
 * Others who do not ask are not kept away. @fd must be open for writing.
 * Return: 0; -EAGAIN if somebody else has; or negative errno.
 */
int object_claim(int fd);

/** object_is_claimed() - whether somebody else has claimed it. */
bool object_is_claimed(int fd);
