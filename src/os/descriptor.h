/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: what queues, segments and pages have in common
 *
 * A descriptor that was passed shares its open file description, flags and rights, with everybody who got it.
 * Opened again through /proc, it is a description of one's own with rights of one's own, as far as the
 * object's mode allows them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** descriptor_reopen() - @flags as for open(); close-on-exec is added. Return: 0 or negative errno. */
int descriptor_reopen(int fd, int flags, int *ret_fd);

/** descriptor_identify() - which object it leads to, as fstat says. Return: 0 or negative errno. */
int descriptor_identify(int fd, uint64_t *ret_device, uint64_t *ret_inode);

/**
 * descriptor_close_aside() - close, in a thread of its own
 *
 * For what a stranger has sent, and for a socket in which that may lie: to close it can take as long as the
 * stranger likes (SO_LINGER, a file system in user space). Where there is no thread to be had it is closed
 * here.
 */
void descriptor_close_aside(int fd);

/** descriptors_close_aside() - likewise, all of them in one thread. */
void descriptors_close_aside(const int *fds, size_t n);

/** descriptor_same() - whether both lead to one object, as fstat says. */
bool descriptor_same(int a, int b);

/**
 * descriptor_guard_standard() - take 0, 1 and 2 where this process was started without them
 *
 * Otherwise memory or a socket would get their numbers, and a line that is written to standard error would be
 * written there. Reading and writing them goes on to fail. Return: 0 or negative errno.
 */
int descriptor_guard_standard(void);
