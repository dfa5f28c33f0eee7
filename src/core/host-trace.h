/* SPDX-License-Identifier: MIT */
/*
 * Trace: exchanges are told to who looks, as they end
 *
 * While there is a tracer (a status peer that said TRACE), each worker has a ring (wire/trace.h), which the
 * host reads every look_ns; what the host itself ends or does it adds. What came together is put in the order
 * of its time and told to each tracer, as far as it wants and may see it: it sees what is its own user's, or
 * all if `status` shows it all rows. Nobody waits for a tracer: what does not fit into its socket it is told
 * the number of, and one that takes nothing for stuck_ns is hung up on, so that it costs nothing any more.
 *
 * When the last tracer has gone the rings are taken back, the mark in the clients' pages is cleared, and
 * nothing of all this is left. It does not outlive the host: whoever traces connects again.
 */
#pragma once

#include "wire/hello.h"
#include "wire/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Host Host;
typedef struct HostClient HostClient;
typedef struct HostWorker HostWorker;
typedef struct Peer Peer;

/* A peer that traces. */
typedef struct HostTracer {
    PacketTrace wish;
    uint64_t n_lost;   /* that it was not told of yet */
    uint64_t stuck_ns; /* since when its socket takes nothing; 0: it does */
} HostTracer;

typedef struct HostTrace {
    uint32_t n_tracers;
    uint64_t least_ns;     /* the least that any of them wants good ones to have taken */
    uint64_t look_ns;      /* when the rings are read next; 0: nobody traces */
    TracedRecord *records; /* that came since the last time */
    size_t n;
    uint64_t n_lost; /* likewise, that nobody can be told of */
} HostTrace;

/** trace_hear() - a status peer wants to see exchanges, or others than before. */
void trace_hear(Peer *peer, const PacketTrace *wish);

/** trace_mark() - a client that comes is to measure all of its exchanges while somebody traces. */
void trace_mark(const Host *host, const HostClient *client);

/** trace_leave() - a peer goes; does nothing if it did not trace. */
void trace_leave(Peer *peer);

/**
 * host_trace() - the host itself has ended an exchange, or has it tried again, or has kept its request
 * @worker:     that died of it; 0: none
 * @claimed_ns: when that one claimed it; 0: it did not, or that is not known
 */
void host_trace(Host *host, const HostClient *client, uint32_t slot, TraceEnd end, Reason reason,
                uint32_t worker, uint64_t claimed_ns);

/** host_reap_rings() - free those that nobody has traced with for a while. */
void host_reap_rings(Host *host);

/** host_trace_gather() - read the rings now, before a client or a worker that records may name is forgotten.
 */
void host_trace_gather(Host *host);

/** host_trace_look() - read the rings, and tell the tracers. */
void host_trace_look(Host *host, uint64_t now_ns);

/**
 * trace_sync() - give a worker its ring or take it back; see worker_sync(). Return: 0 or negative errno.
 */
int trace_sync(HostWorker *worker, const Host *host);
