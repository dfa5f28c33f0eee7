/* SPDX-License-Identifier: MIT */
/*
 * Bells: how one thread wakes another that waits for descriptors
 *
 * Rung any number of times before it is heard, it is heard once. Never blocks. Any thread may ring.
 */
#pragma once

#include <stdbool.h>

/** bell_new() - a descriptor that is readable while the bell rings. Return: 0 or negative errno. */
int bell_new(int *ret_fd);

void bell_ring(int fd);

/** bell_hear() - whether it has been rung since the last time; it rings no more. */
bool bell_hear(int fd);
