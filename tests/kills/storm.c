/* SPDX-License-Identifier: MIT */
/*
 * Who is in the kill storm: a client, a worker, and a command for the exec handler
 *
 * Usage: storm client NUMBER | storm worker | storm handler
 *
 * Each writes what it does into the journal, a file that all share and that outlives them: $STORM_JOURNAL. A
 * client notes each request before it sends it and each end as it hears of it; whoever handles one notes that
 * before it begins. So whatever is killed when, the journal says what has happened and what has not.
 *
 * A payload begins with the request's number, and its bytes follow from that number and its size; the answer
 * is the same bytes. Told to stop (SIGTERM), client and worker finish what they have.
 */
#include "storm.h"

#include "shmipc.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT   3
#define SECOND_NS   INT64_C(1000000000)
#define HANG_NS     (60 * SECOND_NS)
#define LARGE_BYTES (UINT64_C(1) << 20)
#define SMALL_BYTES (UINT64_C(1) << 15)

static int journal_fd;
static volatile sig_atomic_t told_to_stop;

static void on_stop(int number) {
    told_to_stop = 1;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717) >> 16;
}

static void note(NoteKind kind, uint64_t number, int result) {
    const Note record = {.number = number, .kind = kind, .result = result};

    if (write(journal_fd, &record, sizeof(record)) != sizeof(record))
        err(EXIT_FAILURE, "the journal");
}

/* ---- payloads ---- */

static uint64_t word_at(uint64_t number, uint64_t bytes, uint64_t at) {
    uint64_t word = (number + at * UINT64_C(0x9e3779b97f4a7c15)) ^ bytes;

    word *= UINT64_C(0xbf58476d1ce4e5b9);
    return at == 0 ? number : word ^ word >> 31;
}

static void fill(uint8_t *data, uint64_t number, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, bytes, at / sizeof(word));

        memcpy(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word));
    }
}

static bool fits(const uint8_t *data, uint64_t number, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = word_at(number, bytes, at / sizeof(word));

        if (memcmp(data + at, &word, bytes - at < sizeof(word) ? bytes - at : sizeof(word)) != 0)
            return false;
    }
    return true;
}

/* ---- the client ---- */

typedef struct Stormer {
    shmipc_client *client;
    uint64_t base; /* of the numbers of its requests: never used twice */
    uint64_t n_begun;
    uint64_t random;
    unsigned n_in_flight;
} Stormer;

/* What goes with a request in this process. */
typedef struct Tag {
    uint64_t number;
    uint64_t bytes;
    bool cancelled;
} Tag;

static uint64_t microseconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The host may just be away: that is what a client tries again after. */
static bool is_absence(int r) {
    return r == -ENOENT || r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT || r == -EPIPE;
}

static void must_be_absence(int r, const char *text) {
    if (!is_absence(r))
        errx(EXIT_FAILURE, "%s (%s)", text, shmipc_strerror(r));
    (void)poll(NULL, 0, 1); /* it will come back */
}

static void connect_to_host(Stormer *stormer) {
    int r;

    while (!told_to_stop && (r = shmipc_connect(&stormer->client, NULL, HANG_NS)) < 0)
        must_be_absence(r, shmipc_error_text(NULL));
}

static uint64_t choose_bytes(Stormer *stormer) {
    uint64_t room = next_random(&stormer->random) % 16 ? SMALL_BYTES : LARGE_BYTES;

    return sizeof(uint64_t) + next_random(&stormer->random) % room;
}

static void send_one(Stormer *stormer, shmipc_request *request, uint64_t bytes) {
    Tag *tag = malloc(sizeof(*tag));

    if (!tag)
        err(EXIT_FAILURE, "memory");
    *tag = (Tag){.number = stormer->base + stormer->n_begun++, .bytes = bytes};
    tag->cancelled = next_random(&stormer->random) % 16 == 0;
    fill(shmipc_data(request), tag->number, bytes);
    shmipc_set_tag(request, tag);
    note(NOTE_SENT, tag->number, tag->cancelled);
    if (shmipc_send(request, 0, SHMIPC_FOREVER) < 0)
        errx(EXIT_FAILURE, "sending: %s", shmipc_error_text(stormer->client));
    stormer->n_in_flight++;
    if (tag->cancelled)
        (void)shmipc_cancel(request);
}

/* Return: whether one was sent. */
static bool begin_one(Stormer *stormer) {
    uint64_t bytes = choose_bytes(stormer);
    shmipc_request *request;
    int r = shmipc_take(stormer->client, bytes, &request);

    if (r < 0) {
        must_be_absence(r, shmipc_error_text(stormer->client));
        return false;
    }
    send_one(stormer, request, bytes);
    return true;
}

static void end_one(Stormer *stormer, shmipc_request *request) {
    Tag *tag = shmipc_get_tag(request);
    int result = shmipc_result(request);
    uint64_t bytes = 0;
    const void *data = shmipc_reply(request, &bytes);

    if (result == 0 && (bytes != tag->bytes || !fits(data, tag->number, bytes)))
        result = RESULT_WRONG_BYTES;
    if (result == -EREMOTEIO) {
        char text[200];

        shmipc_text(request, text, sizeof(text));
        warnx("a handler failed: %d: %s", shmipc_status(request), text);
    }
    note(NOTE_ENDED, tag->number, result);
    shmipc_release(request);
    free(tag);
    stormer->n_in_flight--;
}

static void await_one(Stormer *stormer) {
    shmipc_request *request;
    int r = shmipc_wait(stormer->client, HANG_NS, &request);

    if (r == 0)
        end_one(stormer, request);
    else
        errx(EXIT_FAILURE, "waiting for %u in flight: %s", stormer->n_in_flight,
             shmipc_error_text(stormer->client));
}

static int be_client(unsigned number) {
    Stormer stormer = {.base = microseconds() << 24 | (uint64_t)number << 20};

    stormer.random = stormer.base | 1;
    note(NOTE_CLIENT_BEGINS, stormer.base, 0);
    connect_to_host(&stormer);
    while (!told_to_stop && stormer.n_begun < (1 << 20) - 1) {
        while (!told_to_stop && stormer.n_in_flight < IN_FLIGHT && begin_one(&stormer))
            ;
        if (stormer.n_in_flight > 0)
            await_one(&stormer);
    }
    while (stormer.n_in_flight > 0)
        await_one(&stormer);
    shmipc_close(stormer.client);
    note(NOTE_CLIENT_ENDS, stormer.base, 0);
    return EXIT_SUCCESS;
}

/* ---- the worker, and the handler's command ---- */

static void handle(shmipc_job *job) {
    const void *request;
    uint64_t bytes, number;
    void *response;
    int r = shmipc_job_data(job, &request, &bytes);

    if (r == 0) {
        memcpy(&number, request, sizeof(number));
        note(NOTE_RUN, number, (int)shmipc_job_attempt(job));
        r = shmipc_job_reserve(job, bytes, &response);
    }
    if (r < 0) {
        (void)shmipc_job_fail(job, -r, "no memory of request or response");
        return;
    }
    memcpy(response, request, bytes);
    (void)shmipc_job_reply(job, bytes);
}

static int be_worker(void) {
    shmipc_worker *worker;
    shmipc_job *job;
    int r = shmipc_worker_new(&worker, NULL, HANG_NS);

    if (r < 0)
        errx(EXIT_FAILURE, "no worker: %s", shmipc_strerror(r));
    while (!told_to_stop) {
        r = shmipc_receive(worker, SECOND_NS / 20, &job);
        if (r == 0)
            handle(job);
        else if (r != -ETIMEDOUT)
            errx(EXIT_FAILURE, "receiving: %s", shmipc_worker_error_text(worker));
    }
    shmipc_worker_free(worker);
    return EXIT_SUCCESS;
}

static void copy_all(const uint8_t *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(STDOUT_FILENO, data, bytes);

        if (n < 0)
            err(EXIT_FAILURE, "the response");
        data += n;
        bytes -= (size_t)n;
    }
}

static int be_handler(void) {
    static uint8_t data[LARGE_BYTES + 4096];
    uint64_t number;
    size_t bytes = 0;
    ssize_t n;

    while (bytes < sizeof(data) && (n = read(STDIN_FILENO, data + bytes, sizeof(data) - bytes)) > 0)
        bytes += (size_t)n;
    if (bytes < sizeof(number))
        errx(EXIT_FAILURE, "a request of %zu bytes", bytes);
    memcpy(&number, data, sizeof(number));
    note(NOTE_RUN, number, 0);
    copy_all(data, bytes);
    return EXIT_SUCCESS;
}

int main(int n_arguments, char **arguments) {
    const struct sigaction action = {.sa_handler = on_stop};
    const char *path = getenv("STORM_JOURNAL");
    const char *what = n_arguments > 1 ? arguments[1] : "";

    if (!path)
        errx(EXIT_FAILURE, "STORM_JOURNAL is not set");
    journal_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (journal_fd < 0)
        err(EXIT_FAILURE, "%s", path);
    if (strcmp(what, "handler") == 0)
        return be_handler();
    sigaction(SIGTERM, &action, NULL);
    if (strcmp(what, "worker") == 0)
        return be_worker();
    if (strcmp(what, "client") == 0 && n_arguments == 3)
        return be_client((unsigned)atoi(arguments[2]) % 16);
    errx(EXIT_FAILURE, "client NUMBER, worker, or handler");
}
