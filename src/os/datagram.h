/* SPDX-License-Identifier: MIT */
/*
 * Datagrams to a Unix socket that has a path, as the journal takes them. Nothing here waits.
 */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

/** datagram_open() - Return: 0 or negative errno. */
int datagram_open(int *ret_fd);

/**
 * datagram_send() - the parts, as one datagram
 * Return: 0; -EAGAIN if its receiver does not keep up; or another negative errno.
 */
int datagram_send(int fd, const char *path, const struct iovec *parts, size_t n_parts);
