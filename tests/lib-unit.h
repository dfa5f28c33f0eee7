/* SPDX-License-Identifier: MIT */
/* What tests of the library share: a host that is a process of its own, with a socket of its own. */
#pragma once

#include "shmipc.h"
#include "unit.h"

#define SECOND  INT64_C(1000000000)
#define PATIENT (50 * SECOND) /* far beyond what anything here takes: a hang is told from a slow machine */

extern pid_t lib_host_pid;

/* Fixture: a host, 4 slots for each client, payloads of 64 MiB; SHMIPC_SOCKET leads to it. */
void lib_set_up(void);
void lib_tear_down(void);

/* For the next start; @host_settings are added to the fixture's own. */
void host_configure(const char *host_settings);
void host_start(void);
void host_end(int signal_number);

shmipc_client *client_of_host(void);
