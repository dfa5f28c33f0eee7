/* SPDX-License-Identifier: MIT */
#include "app/top/top.h"

#include "base/error.h"
#include "base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int top_init(Top *top) {
    *top = (Top){.sort = top->sort, .stages = calloc(_STAGE_N, sizeof(Histogram))};
    return top->stages ? 0 : error_origin(-ENOMEM);
}

void top_deinit(Top *top) {
    rows_deinit(&top->rows);
    status_deinit(&top->now);
    status_deinit(&top->before);
    free(top->clients);
    free(top->stages);
    *top = (Top){0};
}

const char *top_sort_name(TopSort sort) {
    static const char *const names[_TOP_SORT_N] = {
        [TOP_LOAD] = "load",
        [TOP_RATE] = "rate",
        [TOP_MEMORY] = "memory",
        [TOP_FAILED] = "failed",
    };

    return names[sort];
}

static uint64_t n_ended(const PacketStatusClient *said) {
    return said->n_done + said->n_failed;
}

/* A host that was started again without its past counts from 0. */
static bool goes_on(const Top *top) {
    return top->before_ns && top->now.host.n_done >= top->before.host.n_done &&
           top->now.host.n_failed >= top->before.host.n_failed;
}

static double rate_of_client(const Top *top, const PacketStatusClient *said) {
    const PacketStatusClient *before = top->since_start ? NULL : status_client(&top->before, said->id);
    double age_s = (double)said->age_ns / (double)NS_PER_SEC;
    uint64_t n = n_ended(said);

    if (before && n >= n_ended(before))
        return (double)(n - n_ended(before)) / top->seconds;
    return age_s > 0 ? (double)n / age_s : 0; /* all that it has done */
}

static void take_interval(Top *top) {
    uint64_t ns = top->since_start ? top->now.host.uptime_ns : top->now_ns - top->before_ns;

    top->seconds = (double)(ns ? ns : 1) / (double)NS_PER_SEC;
}

/* What @now has counted and @before had not. The greatest one is known of all times only. */
static void subtract(Histogram *now, const Histogram *before) {
    if (now->n < before->n || now->sum < before->sum)
        return; /* counted anew */
    if (now->n > before->n && now->max == before->max)
        now->max = 0;
    now->n = 0;
    now->sum -= before->sum;
    now->min = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        now->counts[i] -= now->counts[i] >= before->counts[i] ? before->counts[i] : now->counts[i];
        if (now->counts[i] == 0)
            continue;
        now->min = now->n ? now->min : histogram_bucket_begin(i);
        now->n += now->counts[i];
        if (now->max < histogram_bucket_begin(i))
            now->max = histogram_bucket_begin(i);
    }
    now->max = now->n ? now->max : 0;
}

static void take_stages(Top *top) {
    for (Stage stage = 0; stage < _STAGE_N; stage++) {
        top->stages[stage] = *top->rows.stages[stage].said;
        if (!top->since_start && top->before.stages)
            subtract(&top->stages[stage], &top->before.stages[stage]);
    }
}

static int take_clients(Top *top) {
    free(top->clients);
    top->clients = calloc(top->now.n_clients + 1, sizeof(*top->clients));
    if (!top->clients)
        return error_origin(-ENOMEM);
    for (size_t i = 0; i < top->now.n_clients; i++)
        top->clients[i] = (TopClient){
            .row = &top->rows.clients[i],
            .per_s = rate_of_client(top, top->rows.clients[i].said),
        };
    top_sort(top);
    return 0;
}

int top_take(Top *top, Status *status, uint64_t now_ns) {
    int r;

    rows_deinit(&top->rows);
    status_deinit(&top->before);
    top->before = top->now;
    top->before_ns = top->now_ns;
    top->now = *status;
    top->now_ns = now_ns;
    *status = (Status){0};
    top->has = false;
    r = rows_init(&top->rows, &top->now);
    if (r < 0)
        return r;
    top->since_start = !goes_on(top);
    take_interval(top);
    take_stages(top);
    r = take_clients(top);
    top->has = r == 0;
    return r;
}

static double weight_of(const Top *top, const TopClient *client) {
    const PacketStatusClient *said = client->row->said;

    switch (top->sort) {
    case TOP_RATE:
        return client->per_s;
    case TOP_MEMORY:
        return (double)(said->request_bytes + said->response_bytes);
    case TOP_FAILED:
        return (double)said->n_failed;
    case TOP_LOAD:
    case _TOP_SORT_N:
        break;
    }
    return said->in_flight + client->per_s / 1e9; /* among those with as many in flight, the busier one */
}

static int compare(const void *a, const void *b, void *data) {
    const Top *top = data;
    double one = weight_of(top, a), other = weight_of(top, b);
    uint64_t id = ((const TopClient *)a)->row->said->id, other_id = ((const TopClient *)b)->row->said->id;
    int order = (one < other) - (one > other);

    order = order ? order : (id > other_id) - (id < other_id);
    return top->reverse ? -order : order;
}

void top_sort(Top *top) {
    if (top->clients)
        qsort_r(top->clients, top->now.n_clients, sizeof(*top->clients), compare, top);
}
