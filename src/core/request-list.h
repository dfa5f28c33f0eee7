/* SPDX-License-Identifier: MIT */
/* Requests of one client in the order in which they came; each is in one list at most. */
#pragma once

#include "core/client.h"

typedef struct RequestList {
    Request *first;
    Request *last;
} RequestList;

static inline void request_list_append(RequestList *list, Request *request) {
    request->next = NULL;
    request->previous = list->last;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static inline void request_list_remove(RequestList *list, Request *request) {
    if (request->previous)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next)
        request->next->previous = request->previous;
    else
        list->last = request->previous;
    request->next = request->previous = NULL;
}
