/* SPDX-License-Identifier: MIT */
#include "core/event.h"

Event *event_push(EventQueue *queue, EventKind kind) {
    static _Thread_local Event thrown_away;
    Event *event = &thrown_away;

    if (queue->n < EVENTS_MAX)
        event = &queue->events[(queue->first + queue->n++) % EVENTS_MAX];
    else
        queue->n_dropped++;
    *event = (Event){.kind = kind};
    return event;
}

bool event_pop(EventQueue *queue, Event *ret_event) {
    if (queue->n == 0)
        return false;
    *ret_event = queue->events[queue->first];
    queue->first = (queue->first + 1) % EVENTS_MAX;
    queue->n--;
    return true;
}
