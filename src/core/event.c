/* SPDX-License-Identifier: MIT */
#include "core/event.h"

#include "os/wait.h"

/* Every caller fills in what it gets; nobody reads this. */
static Event *thrown_away(EventKind kind) {
    static _Thread_local Event event;

    event = (Event){.kind = kind};
    return &event;
}

Event *event_push(EventQueue *queue, EventKind kind) {
    Event *event;

    if (queue->n == EVENTS_MAX) {
        queue->n_dropped++;
        return thrown_away(kind);
    }
    event = &queue->events[(queue->first + queue->n++) % EVENTS_MAX];
    *event = (Event){.kind = kind};
    return event;
}

/* ---- rates ---- */

static bool is_over(const EventRate *rate, uint64_t now_ns) {
    return now_ns >= rate->since_ns + EVENTS_INTERVAL_NS;
}

static bool is_of(const EventRate *rate, EventKind kind, uid_t uid) {
    return rate->since_ns && rate->latest.kind == kind && rate->latest.uid == uid;
}

/* One whose interval is over and that has nothing left to tell can be somebody else's. */
static EventRate *find_rate(EventQueue *queue, EventKind kind, uid_t uid, uint64_t now_ns) {
    EventRate *unused = &queue->rates[EVENT_RATES - 1];

    for (size_t i = 0; i < EVENT_RATES - 1; i++) {
        EventRate *rate = &queue->rates[i];

        if (is_of(rate, kind, uid))
            return rate;
        if (unused == &queue->rates[EVENT_RATES - 1] && rate->n_held == 0 && is_over(rate, now_ns))
            unused = rate;
    }
    return unused;
}

Event *event_push_of(EventQueue *queue, EventKind kind, uid_t uid) {
    uint64_t now_ns = clock_now_ns();
    EventRate *rate = find_rate(queue, kind, uid, now_ns);
    Event *event;

    if (rate->n_held == 0 && is_over(rate, now_ns)) {
        rate->since_ns = now_ns;
        rate->n_told = 0;
    }
    if (rate->n_told < EVENTS_BURST) {
        rate->n_told++;
        event = event_push(queue, kind);
    } else {
        rate->n_held++;
        queue->n_held++;
        event = &rate->latest;
    }
    rate->latest = (Event){.kind = kind, .uid = uid};
    event->kind = kind;
    event->uid = uid;
    return event;
}

/* What was held back until now. Return: whether there is something. */
static bool pop_held(EventQueue *queue, Event *ret_event) {
    uint64_t now_ns = queue->n_held ? clock_now_ns() : 0;

    for (size_t i = 0; queue->n_held && i < EVENT_RATES; i++) {
        EventRate *rate = &queue->rates[i];

        if (rate->n_held == 0 || !is_over(rate, now_ns))
            continue;
        *ret_event = rate->latest;
        ret_event->n_similar = rate->n_held - 1;
        *rate = (EventRate){0};
        return true;
    }
    return false;
}

static bool pop_dropped(EventQueue *queue, Event *ret_event) {
    if (queue->n_dropped == queue->n_dropped_told)
        return false;
    *ret_event = (Event){.kind = EVENT_UNTOLD, .n_similar = queue->n_dropped - queue->n_dropped_told};
    queue->n_dropped_told = queue->n_dropped;
    return true;
}

bool event_pop(EventQueue *queue, Event *ret_event) {
    if (queue->n == 0)
        return pop_held(queue, ret_event) || pop_dropped(queue, ret_event);
    *ret_event = queue->events[queue->first];
    queue->first = (queue->first + 1) % EVENTS_MAX;
    queue->n--;
    return true;
}
