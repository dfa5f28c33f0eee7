/* SPDX-License-Identifier: MIT */
/*
 * Memory: who may have how much of it
 *
 * All growth is reserved here before anything is allocated, so that the budget is refused before the kernel
 * kills. A client's windows count in `memory` and in the share of its uid, workers' private copies in
 * `memory`. What is reserved for a request stands in the slot's record, too: whatever a client publishes, it
 * has no more.
 *
 * Copies are no uid's: what holds one serves the next request, whose ever that is. A user's copies in hand
 * are no more than its share all the same, for each is of one window, at most as large as what is reserved
 * for that.
 *
 * Where the file system gives memory in blocks bigger than a page (huge pages), a window has whole blocks,
 * and so they are reserved: what counts is what is used.
 */
#include "core/host-internal.h"

#include "base/units.h"

#include <stdio.h>

static uint64_t round_to_blocks(const Host *host, uint64_t bytes) {
    return (bytes + host->block_bytes - 1) / host->block_bytes * host->block_bytes;
}

/* Windows in which a huge page fits begin with one. */
uint64_t host_stride(const Host *host) {
    uint64_t bytes = round_to_blocks(host, host->settings->max_payload);

    return bytes >= HUGE_BYTES || host->settings->huge_pages == HUGE_ALWAYS ? round_to_huge(bytes) : bytes;
}

/*
 * Workers fill the responses and make the copies: that counts in their control groups, past whose limits the
 * kernel kills.
 */
uint64_t host_memory(const Host *host) {
    uint64_t least = host->settings->memory;

    for (size_t i = 0; host->settings->memory_is_auto && i < host->workers.n; i++) {
        const HostWorker *worker = table_at(&host->workers, i);

        if (worker->memory_limit && worker->memory_limit / 2 < least)
            least = worker->memory_limit / 2;
    }
    return least;
}

static bool fits(uint64_t used, uint64_t limit, uint64_t bytes) {
    return used <= limit && bytes <= limit - used;
}

/* Whether there is room for so much more. Where there is not, what is idle gives way first. */
static bool has_room(Host *host, const uint64_t *used, uint64_t limit, uint64_t bytes,
                     const HostAccount *account) {
    if (!fits(*used, limit, bytes) && bytes <= limit)
        host_squeeze(host, account, *used - (limit - bytes));
    return fits(*used, limit, bytes);
}

/* Sizes are cut to what the packet has room for; they never need it. */
static void refuse(const Host *host, uint64_t bytes, uint64_t used, uint64_t limit, bool is_share,
                   PacketReserved *answer) {
    char wanted[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX], now[UNITS_TEXT_MAX];

    size_format(bytes, wanted);
    size_format(limit, most);
    size_format(used, now);
    answer->code = REASON_MEMORY_BUDGET;
    if (is_share)
        snprintf(
            answer->text, sizeof(answer->text),
            "%.8s more exceed one user's share of %.8s (`user_share` = %u %% of `memory`), of which %.8s "
            "are in use",
            wanted, most, host->settings->user_share, now);
    else
        snprintf(answer->text, sizeof(answer->text),
                 "%.8s more exceed the host's `memory` budget of %.8s, of which %.8s are in use", wanted,
                 most, now);
}

/* Whether @client, or with NULL anybody, may have so much more; otherwise the answer says why not. */
static bool may_grow(Host *host, const HostClient *client, uint64_t bytes, PacketReserved *answer) {
    HostAccount *account = client && !client->probe ? client->account : NULL;
    uint64_t memory = host_memory(host), share = account ? host_share(host, account, memory) : memory;

    if (share < memory &&
        !has_room(host, &account->memory_bytes, share, bytes, account))
        refuse(host, bytes, account->memory_bytes, share, true, answer);
    else if (!has_room(host, &host->memory_bytes, memory, bytes, NULL))
        refuse(host, bytes, host->memory_bytes, memory, false, answer);
    return answer->code == 0;
}

/* The next host counts anew; it is told of requests where the client is, too. */
void host_count_reserved(Host *host, HostClient *client, uint32_t slot, unsigned side, uint64_t bytes) {
    host->memory_bytes += bytes;
    client->account->memory_bytes += bytes;
    client->reserved_bytes[side] += bytes;
    client->reserved[side][slot] += bytes;
    if (side == 1)
        state_reserve_response(client->states.map, slot, client->reserved[side][slot]);
}

void host_unreserve(Host *host, HostClient *client, uint32_t slot, unsigned side) {
    uint64_t bytes = client->reserved[side][slot];

    host->memory_bytes -= bytes;
    client->account->memory_bytes -= bytes;
    client->reserved_bytes[side] -= bytes;
    client->reserved[side][slot] = 0;
    if (side == 1)
        state_reserve_response(client->states.map, slot, 0);
}

void host_reserve_private(Host *host, HostWorker *worker, const PacketReserve *wish, PacketReserved *answer) {
    uint64_t bytes = wish->bytes;

    answer->direction = wish->direction;
    if (bytes <= worker->private_bytes || may_grow(host, NULL, bytes - worker->private_bytes, answer)) {
        host->memory_bytes = host->memory_bytes - worker->private_bytes + bytes;
        worker->private_bytes = bytes;
    }
    answer->bytes = worker->private_bytes;
}

void host_reserve(Host *host, HostClient *client, const PacketReserve *wish, PacketReserved *answer) {
    unsigned side = wish->direction == DIRECTION_RESPONSE;
    const uint64_t *reserved = &client->reserved[side][wish->slot];
    uint64_t bytes = round_to_blocks(host, wish->bytes);
    uint64_t more = bytes > *reserved ? bytes - *reserved : 0;

    answer->client = client->id;
    answer->slot = wish->slot;
    answer->direction = wish->direction;
    if (wish->bytes > client->stride) {
        answer->code = side ? REASON_RESPONSE_TOO_LARGE : REASON_PAYLOAD_TOO_LARGE;
        text_copy(answer->text, sizeof(answer->text), "larger than the host's `max_payload`");
    } else if (more && may_grow(host, client, more, answer)) {
        host_count_reserved(host, client, wish->slot, side, more);
    }
    if (side == 0)
        state_reserve(client->states.map, wish->slot, *reserved);
    answer->bytes = *reserved;
}
