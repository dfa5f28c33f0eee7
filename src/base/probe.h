/* SPDX-License-Identifier: MIT */
/*
 * Probes: places where somebody may look while a process runs, with bpftrace, perf or gdb (docs/probes)
 *
 * Each is one instruction that does nothing until somebody looks, and a note in the file of the program that
 * says where it is and what its values are. Without the option `probes` of the build there are none.
 */
#pragma once

#ifdef SHMIPC_PROBES

#include <sys/sdt.h>

#define PROBE_SUBMIT(client, slot, generation, bytes)                                                        \
    DTRACE_PROBE4(shmipc, submit, client, slot, generation, bytes)
#define PROBE_CLAIM(client, slot, generation, attempt)                                                       \
    DTRACE_PROBE4(shmipc, claim, client, slot, generation, attempt)
#define PROBE_REPLY(client, slot, generation, end, bytes)                                                    \
    DTRACE_PROBE5(shmipc, reply, client, slot, generation, end, bytes)
#define PROBE_REMAP(before, after) DTRACE_PROBE2(shmipc, remap, before, after)
#define PROBE_REDELIVER(client, slot, generation, worker)                                                    \
    DTRACE_PROBE4(shmipc, redeliver, client, slot, generation, worker)

#else

#define PROBE_SUBMIT(client, slot, generation, bytes)     ((void)0)
#define PROBE_CLAIM(client, slot, generation, attempt)    ((void)0)
#define PROBE_REPLY(client, slot, generation, end, bytes) ((void)0)
#define PROBE_REMAP(before, after)                        ((void)0)
#define PROBE_REDELIVER(client, slot, generation, worker) ((void)0)

#endif
