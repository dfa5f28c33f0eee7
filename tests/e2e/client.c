/* SPDX-License-Identifier: MIT */
/*
 * A client for what `shmipc call` cannot do: many exchanges over one connection, several of them in flight.
 *
 * Usage: client [-n IN_FLIGHT] [-a] [-w] SIZE...
 *
 * Sends one payload of each size, in this order, to a host at $SHMIPC_SOCKET whose workers echo, and compares
 * every answer with what it sent. No two payloads are alike. Segments are made to fit exactly, so they grow
 * and shrink with the sizes.
 *
 *   -n  how many exchanges it wants in flight; where the host has fewer slots, as many as it can have
 *   -a  give up every other exchange as soon as it is sent, and take what slots come back
 *   -w  when all is done say "done", and stay connected until standard input ends; begin again for each line
 *   of it
 */
#include "base/cleanup.h"
#include "base/units.h"
#include "core/client.h"
#include "os/channel.h"
#include "os/wait.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HANG_NS (60 * NS_PER_SEC)

typedef struct Tour {
    Client *client;
    char **sizes;
    size_t n;       /* exchanges to make */
    size_t n_begun;
    size_t n_over;  /* answered or given up */
    size_t n_given_up;
    size_t n_open;
    size_t n_wanted_open;
    bool gives_up;
} Tour;

/* The @i-th word of the payload number @number. */
static uint64_t word_at(uint64_t number, uint64_t i) {
    uint64_t word = (number << 40) + i + 1;

    word *= UINT64_C(0x9e3779b97f4a7c15);
    return word ^ word >> 29;
}

static void fill(uint8_t *data, uint64_t bytes, uint64_t number) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, at / sizeof(word));

        memcpy(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word));
    }
}

static bool fits(const uint8_t *data, uint64_t bytes, uint64_t number) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, at / sizeof(word));

        if (memcmp(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word)) != 0)
            return false;
    }
    return true;
}

static void tour_wait(Tour *tour) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;
    int r = client_wait(tour->client, until_ns);

    if (r < 0)
        errx(EXIT_FAILURE, "waiting: %s", strerror(-r));
    if (clock_now_ns() >= until_ns)
        errx(EXIT_FAILURE, "nothing happens any more");
    if (client_state(tour->client) == CLIENT_LOST)
        errx(EXIT_FAILURE, "the host went away");
}

static void tour_connect(Tour *tour) {
    const char *path = getenv("SHMIPC_SOCKET");
    const char *why;
    int fd, r;

    if (!path)
        errx(EXIT_FAILURE, "SHMIPC_SOCKET is not set");
    r = channel_connect(path, &fd);
    if (r == 0)
        r = client_new(&tour->client, fd, "client");
    if (r < 0)
        errx(EXIT_FAILURE, "%s: %s", path, strerror(-r));
    while (client_state(tour->client) == CLIENT_CONNECTING)
        tour_wait(tour);
    if (client_state(tour->client) == CLIENT_REFUSED && client_refusal(tour->client, &why))
        errx(EXIT_FAILURE, "refused: %s", why);
}

/* Wait for the host's word on memory as often as it takes. */
static void reserve(Tour *tour, Request *request, uint64_t bytes) {
    int r;

    while ((r = request_reserve(request, bytes, true)) == CLIENT_PENDING)
        tour_wait(tour);
    if (r != 0)
        errx(EXIT_FAILURE, "no memory: %s", r < 0 ? strerror(-r) : request->text);
}

/* Return: whether there was a slot for one more. */
static bool tour_begin_one(Tour *tour) {
    size_t number = tour->n_begun;
    Request *request;
    int r = client_take(tour->client, &request);

    if (r != 0)
        return false;
    request->payload_bytes = strtoull(tour->sizes[number], NULL, 10);
    request->tag = tour->sizes + number;
    reserve(tour, request, request->payload_bytes);
    fill(request->segment.map, request->payload_bytes, number);
    tour->n_begun++;
    tour->n_open++;
    r = request_send(request);
    if (r < 0)
        errx(EXIT_FAILURE, "sending: %s", strerror(-r));
    if (tour->gives_up && number % 2) {
        request_release(request);
        tour->n_given_up++;
        tour->n_over++;
        tour->n_open--;
    }
    return true;
}

static void tour_judge(const Tour *tour, const Request *request) {
    size_t number = (size_t)((char **)request->tag - tour->sizes);

    if (request->end != SLOT_DONE)
        errx(EXIT_FAILURE, "exchange %zu ended in state %d: %s", number, (int)request->end,
             reason_name(request->reason));
    if (request->response_bytes != request->payload_bytes ||
        !fits(request->response.map, request->response_bytes, number))
        errx(EXIT_FAILURE, "exchange %zu has brought other bytes than it was sent with", number);
}

static void tour_make(Tour *tour) {
    Request *request;

    tour->n_begun = tour->n_over = tour->n_given_up = 0;
    while (tour->n_over < tour->n) {
        while (tour->n_begun < tour->n && tour->n_open < tour->n_wanted_open && tour_begin_one(tour))
            ;
        if (tour->n_over < tour->n)
            tour_wait(tour);
        while (client_pop(tour->client, &request)) {
            tour_judge(tour, request);
            request_release(request);
            tour->n_over++;
            tour->n_open--;
        }
    }
}

int main(int argc, char **argv) {
    Tour tour = {.n_wanted_open = 1};
    bool stays = false;
    char line[16];
    int option;

    while ((option = getopt(argc, argv, "n:aw")) >= 0) {
        if (option == 'n')
            tour.n_wanted_open = strtoul(optarg, NULL, 10);
        else if (option == 'a')
            tour.gives_up = true;
        else if (option == 'w')
            stays = true;
        else
            return 2;
    }
    tour.sizes = argv + optind;
    tour.n = (size_t)(argc - optind);
    tour_connect(&tour);
    do {
        tour_make(&tour);
        printf("done: %zu exchanges, %zu of them given up\n", tour.n, tour.n_given_up);
        fflush(stdout);
    } while (stays && fgets(line, sizeof(line), stdin));
    client_free(tour.client);
    return EXIT_SUCCESS;
}
