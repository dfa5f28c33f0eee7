/* SPDX-License-Identifier: MIT */
/* What the files of the library share. */
#pragma once

#include "base/cleanup.h"
#include "core/client.h"
#include "core/exchange.h"
#include "lib/shmipc.h"

#define PUBLIC __attribute__((visibility("default")))

/** lib_until() - the moment that a relative timeout means; UINT64_MAX for ever. */
uint64_t lib_until(int64_t timeout_ns);

/** lib_spin_ns() - what SHMIPC_POLL_US in the environment asks for, as spin_begin() takes it. */
uint64_t lib_spin_ns(void);

/** lib_find_host() - the path of the socket that @host means. Return: 0 or negative errno. */
int lib_find_host(const char *host, char *path);

/** lib_result() - how an exchange that ended is told: 0 or a negative errno. */
int lib_result(SlotState end, Reason reason);

/** lib_sequence() - the text that shmipc_sequence() gives. Return: the length of the whole of it. */
size_t lib_sequence(uint64_t client, uint32_t slot, uint32_t generation, char *buffer, size_t bytes);

/** lib_error_of() - what a refusal or a failure means as a negative errno. */
int lib_error_of(Reason reason);

/**
 * lib_read_request() - read a descriptor to its end into a request that was taken. Return: 0 or negative
 * errno.
 */
int lib_read_request(shmipc_request *request, int fd);

/** lib_write_reply() - write the whole response to a descriptor. Return: 0 or negative errno. */
int lib_write_reply(const shmipc_request *reply, int fd);
