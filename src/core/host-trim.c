/* SPDX-License-Identifier: MIT */
/*
 * Giving back the memory of windows that nobody uses (docs/protocol.md, section 5, "Host"; giveback.pml)
 *
 * A client may sleep for days, so the host does it without its help. A slot whose latest exchange was
 * released, and that was not taken since, is idle. One that has been so for a while, or at all where memory
 * is wanting, is held: its word is swapped, so that no worker can claim it. Then the host looks once more,
 * says in the state page that the windows hold nothing, punches them, and lets go. Client and worker look
 * there before they use a window, and reserve and allocate anew. What was submitted meanwhile is announced,
 * since its message may have found the slot held. The host of a client that lies about all this keeps its
 * accounts right; the client loses its bytes.
 *
 * A host that was killed in between leaves the slot held. The next one goes on where it was.
 */
#include "core/host-internal.h"

#include "os/segment.h"

/* After so many others get their turn: punching a GiB takes 0.1 s. */
#define TURN_BYTES (UINT64_C(256) << 20)

static bool has_memory(const HostClient *client, uint32_t slot) {
    return client->reserved[0][slot] > 0 || client->reserved[1][slot] > 0;
}

/* What cannot be punched is still there, and goes on to count. Return: bytes that were given back. */
static uint64_t empty_window(Host *host, HostClient *client, uint32_t slot, unsigned side) {
    uint64_t bytes = client->reserved[side][slot];
    int fd = side == 0 ? client->requests_fd : client->responses_fd;

    if (object_punch(fd, slot * client->stride, client->stride) < 0)
        return 0;
    host_unreserve(host, client, slot, side);
    return bytes;
}

static uint64_t give_back(Host *host, HostClient *client, uint32_t slot) {
    unsigned windows = slots_empty(client->submit.map, client->states.map, slot);
    uint64_t bytes = 0;
    uint32_t generation;

    if (windows & WINDOW_REQUEST)
        bytes += empty_window(host, client, slot, 0);
    if (windows & WINDOW_RESPONSE)
        bytes += empty_window(host, client, slot, 1);
    slots_let_go(client->states.map, slot);
    if (slots_pending(client->submit.map, client->states.map, slot, &generation))
        host_announce(host, client, slot, generation);
    return bytes;
}

static uint64_t trim_slot(Host *host, HostClient *client, uint32_t slot) {
    return slots_hold(client->submit.map, client->states.map, slot) ? give_back(host, client, slot) : 0;
}

/* Whether the slot has been idle at each look for @host's while. */
static bool is_stale(const Host *host, HostClient *client, uint32_t slot, uint64_t now_ns) {
    HostIdle *idle = &client->idle[slot];
    uint32_t generation;

    if (!slots_is_idle(client->submit.map, client->states.map, slot, &generation))
        idle->since_ns = 0;
    else if (!idle->since_ns || idle->generation != generation)
        *idle = (HostIdle){.since_ns = now_ns, .generation = generation};
    return idle->since_ns && now_ns - idle->since_ns >= host->settings->memory_idle_ns;
}

static uint64_t trim_client(Host *host, HostClient *client, uint64_t now_ns) {
    uint64_t bytes = 0;

    for (uint32_t slot = 0; client->peer && slot < client->n_slots && bytes < TURN_BYTES; slot++)
        if (has_memory(client, slot) && is_stale(host, client, slot, now_ns))
            bytes += trim_slot(host, client, slot);
    return bytes;
}

uint64_t host_next_trim(const Host *host) {
    return host->settings->memory_idle_ns && host->memory_bytes > 0 ? host->trim_ns : UINT64_MAX;
}

void host_trim(Host *host, uint64_t now_ns) {
    uint64_t bytes = 0;

    for (size_t i = 0; i < host->clients.n && bytes < TURN_BYTES; i++)
        bytes += trim_client(host, table_at(&host->clients, i), now_ns);
    host->trim_ns = now_ns + (bytes < TURN_BYTES ? host->settings->memory_idle_ns / 2 : 0);
}

void host_squeeze(Host *host, const HostAccount *account, uint64_t bytes) {
    uint64_t now_ns = clock_now_ns(), n = 0;

    if (now_ns < host->squeezed_ns + host->patience.squeeze_ns)
        return;
    for (size_t i = 0; i < host->clients.n && n < bytes; i++) {
        HostClient *client = table_at(&host->clients, i);

        for (uint32_t slot = 0; client->peer && slot < client->n_slots && n < bytes; slot++)
            if (has_memory(client, slot) && (!account || client->account == account))
                n += trim_slot(host, client, slot);
    }
    if (n < bytes)
        host->squeezed_ns = now_ns;
}

void client_end_holds(Host *host, HostClient *client) {
    for (uint32_t slot = 0; slot < client->n_slots; slot++)
        if (slots_is_held(client->states.map, slot))
            (void)trim_slot(host, client, slot);
}
