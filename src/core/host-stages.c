/* SPDX-License-Identifier: MIT */
/*
 * Stages: how long exchanges have waited, run, and been under way to who waited for them
 *
 * Workers and clients count in the pages of each client; here that is read. What a client says of itself is
 * taken for as much as it has had exchanges, so that nobody's numbers drown all others'. The host's own probe
 * does not count. What clients that are gone had counted is kept as long as this process lives.
 */
#include "core/host-internal.h"

#include <string.h>

#define SAID_MAX(n) ((n)*4 + 1024) /* values of a client that has had @n exchanges: some stand for others */

static void read_stage(const HostClient *client, Stage stage, Histogram *into) {
    SlotCounts counts;

    if (stage != STAGE_REPLIED) {
        (void)meter_read(slots_meter(client->states.map, stage, client->n_slots), UINT64_MAX, into);
        return;
    }
    state_counts(client->states.map, client->n_slots, &counts);
    (void)meter_read(slots_meter(client->submit.map, stage, client->n_slots),
                     SAID_MAX(counts.n_done + counts.n_failed), into);
}

void host_keep_stages(Host *host, const HostClient *client) {
    for (Stage stage = 0; stage < _STAGE_N && !client->probe; stage++)
        read_stage(client, stage, &host->past_stages[stage]);
}

void host_read_stages(Host *host) {
    host->stages_ns = clock_now_ns();
    memcpy(host->stages, host->past_stages, sizeof(host->stages));
    for (size_t i = 0; i < host->clients.n; i++) {
        const HostClient *client = table_at(&host->clients, i);

        for (Stage stage = 0; stage < _STAGE_N && !client->probe; stage++)
            read_stage(client, stage, &host->stages[stage]);
    }
}

static StageTimes times_of(const Histogram *histogram) {
    return (StageTimes){
        .p50_ns = histogram_quantile(histogram, 0.5),
        .p99_ns = histogram_quantile(histogram, 0.99),
    };
}

void host_stage_times(Host *host, StageTimes ret_times[static _STAGE_N]) {
    host_read_stages(host);
    for (Stage stage = 0; stage < _STAGE_N; stage++)
        ret_times[stage] = times_of(&host->stages[stage]);
}

void client_read_stages(const HostClient *client, StageTimes ret_times[static _STAGE_N]) {
    for (Stage stage = 0; stage < _STAGE_N; stage++) {
        Histogram read = {0};

        read_stage(client, stage, &read);
        ret_times[stage] = times_of(&read);
    }
}

uint32_t stage_entries(const Histogram *histogram, uint32_t *bucket, uint64_t *entries, uint32_t n_max) {
    uint32_t n = 0;

    for (; *bucket < METER_BUCKETS && n < n_max; (*bucket)++) {
        uint64_t count = histogram->counts[*bucket];

        if (count)
            entries[n++] =
                (uint64_t)*bucket << STAGE_COUNT_BITS | (count < STAGE_COUNT_MAX ? count : STAGE_COUNT_MAX);
    }
    return n;
}
