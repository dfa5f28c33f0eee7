/* SPDX-License-Identifier: MIT */
/*
 * Datagrams to a Unix socket that has a path, or as `@NAME` an abstract name: what the journal and the
 * service manager take. Sending does not wait.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define DATAGRAM_FDS_MAX 16

/** datagram_open() - Return: 0 or negative errno. */
int datagram_open(int *ret_fd);

/**
 * datagram_send() - the parts, as one datagram
 * Return: 0; -EAGAIN if its receiver does not keep up; or another negative errno.
 */
int datagram_send(int fd, const char *path, const struct iovec *parts, size_t n_parts);

/** datagram_send_fds() - likewise, with up to DATAGRAM_FDS_MAX descriptors, which stay the caller's. */
int datagram_send_fds(int fd, const char *path, const struct iovec *parts, size_t n_parts, const int *fds,
                      size_t n_fds);

/** datagram_await_room() - wait until it may take more, or until @until_ns. Return: 0 or negative errno. */
int datagram_await_room(int fd, const char *path, uint64_t until_ns);
