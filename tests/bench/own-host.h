/* SPDX-License-Identifier: MIT */
/*
 * A host of the benchmark's own, which nobody else uses
 *
 * It has a folder of its own with a configuration and a socket, and $SHMIPC_SOCKET says so. All that was
 * started here ends with the program, however that ends. Whatever fails ends the program.
 */
#pragma once

#include <sys/types.h>

/* A child, which is killed when this process ends. Return: its pid; 0 in the child. */
pid_t own_start(void);

/* Run $SHMIPC as a host with this configuration. Return: its pid. */
pid_t own_start_host(const char *config);

/* The path of its socket. */
const char *own_socket(void);
