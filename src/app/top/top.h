/* SPDX-License-Identifier: MIT */
/*
 * Top: what a host does now, again and again
 *
 * Two answers of the host, one after the other, are a picture of the time between them: rates, and how long
 * the stages took of those exchanges alone. The first one has none before it and shows all since the start. A
 * picture is lines of text, whatever shows them.
 */
#pragma once

#include "app/status-tables.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_COLUMNS_MAX 255

typedef enum TopSort {
    TOP_LOAD,
    TOP_RATE,
    TOP_MEMORY,
    TOP_FAILED,
    _TOP_SORT_N,
} TopSort;

typedef struct TopClient {
    const ClientRow *row;
    double per_s; /* exchanges that ended */
} TopClient;

typedef struct Top {
    Status now;
    Status before;
    uint64_t now_ns;
    uint64_t before_ns;
    StatusRows rows;    /* of now */
    TopClient *clients; /* in order */
    Histogram *stages;  /* _STAGE_N, of the time between */
    double seconds;     /* between */
    bool since_start;
    bool has; /* anything was taken */
    TopSort sort;
    bool reverse;
} Top;

typedef enum TopStyle {
    TOP_PLAIN,
    TOP_GOOD,
    TOP_BAD,
    TOP_HEADING,
    _TOP_STYLE_N,
} TopStyle;

typedef struct TopLine {
    char text[TOP_COLUMNS_MAX + 1];
    TopStyle style;
} TopLine;

typedef struct TopPage {
    TopLine *lines;
    size_t n;
    size_t n_max; /* what is more is left out */
} TopPage;

/** top_init() - make ready all but how it is sorted. Return: 0 or -ENOMEM. */
int top_init(Top *top);
void top_deinit(Top *top);

/** top_take() - the next answer, taken over, of @now_ns. Return: 0 or -ENOMEM. */
int top_take(Top *top, Status *status, uint64_t now_ns);

/** top_sort() - put the clients in the order of top->sort and top->reverse. */
void top_sort(Top *top);

/** top_sort_name() - "load", "rate", "memory", "failed". */
const char *top_sort_name(TopSort sort);

/** top_page_init() - for @n_max lines. Return: 0 or -ENOMEM. */
int top_page_init(TopPage *page, size_t n_max);
void top_page_deinit(TopPage *page);

/** top_page_add() - one line; printf. */
void top_page_add(TopPage *page, TopStyle style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** top_draw() - fill the page. Where it is too small, what matters less is left out. */
void top_draw(const Top *top, TopPage *page);

/** top_draw_help() - the keys. */
void top_draw_help(TopPage *page);

/** top_n_lines() - how many lines a page needs that leaves nothing out. */
size_t top_n_lines(const Top *top);
