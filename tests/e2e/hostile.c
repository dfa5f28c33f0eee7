/* SPDX-License-Identifier: MIT */
/*
 * A client that does what none may do, to a host at $SHMIPC_SOCKET whose worker goes on all the same.
 *
 * Usage: hostile DEED
 *
 *   shrink    take the request's memory away before it is handled: it must end as "the request changed"
 *   lie       claim a payload that is larger than its segment: it must end as "bad request"
 *   rewrite   write into the request while it is handled: it must end, in whichever way
 *   forge     send messages in the name of every client there may be, about every slot
 *   rubbish   send messages of every size but the right one
 *   flood     keep the queue full of forged messages until standard input ends
 *
 * After "lie", "rewrite", "forge" and "rubbish" an honest exchange must go well. Exit status 0 if all was
 * as it must be.
 */
#include "core/client-internal.h"

#include "base/units.h"
#include "os/channel.h"
#include "os/queue.h"
#include "wire/message.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_BYTES (UINT64_C(4) << 20)
#define HANG_NS       (60 * NS_PER_SEC)

static Client *client;

static void turn(void) {
    uint64_t until_ns = clock_now_ns() + HANG_NS;

    if (client_wait(client, until_ns) < 0 || clock_now_ns() >= until_ns)
        errx(EXIT_FAILURE, "nothing happens any more");
    if (client_state(client) == CLIENT_LOST || client_state(client) == CLIENT_REFUSED)
        errx(EXIT_FAILURE, "thrown out");
}

static void join(void) {
    int fd, r = channel_connect(getenv("SHMIPC_SOCKET"), &fd);

    if (r == 0)
        r = client_new(&client, fd, "hostile");
    if (r < 0)
        errx(EXIT_FAILURE, "connecting: %s", strerror(-r));
    while (client_state(client) == CLIENT_CONNECTING)
        turn();
}

/* A request of PAYLOAD_BYTES that only needs to be sent. */
static Request *prepare(void) {
    Request *request;
    int r = client_take(client, &request);

    while (r == 0 && (r = request_reserve(request, PAYLOAD_BYTES, false)) == CLIENT_PENDING) {
        turn();
        r = 0;
    }
    if (r != 0)
        errx(EXIT_FAILURE, "no slot or no memory");
    memset(request->segment.map, 'h', PAYLOAD_BYTES);
    request->payload_bytes = PAYLOAD_BYTES;
    return request;
}

static void send_and_wait(Request *request) {
    if (request_send(request) < 0)
        errx(EXIT_FAILURE, "sending");
    while (request->state != REQUEST_ENDED)
        turn();
}

static void expect_failure(const Request *request, Reason reason) {
    if (request->end != SLOT_FAILED || request->reason != reason)
        errx(EXIT_FAILURE, "ended in state %d for the reason `%s`", (int)request->end,
             reason_name(request->reason));
}

static void be_honest(void) {
    Request *request = prepare();

    send_and_wait(request);
    if (request->end != SLOT_DONE || request->response_bytes != PAYLOAD_BYTES)
        errx(EXIT_FAILURE, "an honest exchange ended in state %d", (int)request->end);
    request_release(request);
}

static void shrink(void) {
    Request *request = prepare();

    if (ftruncate(client->requests_fd, 0) < 0)
        err(EXIT_FAILURE, "ftruncate");
    send_and_wait(request);
    expect_failure(request, REASON_REQUEST_CHANGED);
}

static void lie(void) {
    Request *request = prepare();

    request->payload_bytes = request->segment.bytes + 1;
    send_and_wait(request);
    expect_failure(request, REASON_BAD_REQUEST);
    request_release(request);
    be_honest();
}

static void rewrite(void) {
    Request *request = prepare();

    if (request_send(request) < 0)
        errx(EXIT_FAILURE, "sending");
    for (int i = 0; request->state != REQUEST_ENDED; i++) {
        memset(request->segment.map, i, PAYLOAD_BYTES);
        if (client_dispatch(client) < 0)
            errx(EXIT_FAILURE, "dispatching");
    }
    request_release(request);
    be_honest();
}

/* Send, whatever it takes. */
static void put(const void *message, size_t bytes) {
    struct pollfd queue = {.fd = client->request_queue, .events = POLLOUT};
    int r;

    while ((r = queue_send(client->request_queue, message, bytes, 0)) == -EAGAIN)
        if (poll(&queue, 1, (int)(HANG_NS / NS_PER_MS)) == 0)
            errx(EXIT_FAILURE, "nobody takes messages any more");
    if (r < 0)
        errx(EXIT_FAILURE, "sending a message: %s", strerror(-r));
}

static void put_forged(uint64_t id, uint32_t slot, uint32_t generation) {
    const Message message = {
        .client = id,
        .slot = slot,
        .generation = generation,
        .payload_bytes = UINT64_MAX,
        .segment_bytes = UINT64_MAX - 4095,
    };

    put(&message, sizeof(message));
}

/* Ids count up: whoever came shortly before us is in reach. */
static void forge(void) {
    for (uint64_t id = client->id - 30; id <= client->id + 5; id++)
        for (uint32_t slot = 0; slot <= client->n_slots; slot++)
            for (uint32_t generation = 0; generation < 3; generation++)
                put_forged(id, slot, generation);
    put_forged(0, 0, 1);
    put_forged(UINT64_MAX, UINT32_MAX, UINT32_MAX);
    be_honest();
}

static void rubbish(void) {
    const char nothing[sizeof(Message)] = "";

    for (int i = 0; i < 10; i++)
        for (size_t bytes = 0; bytes < sizeof(nothing); bytes++)
            put(nothing, bytes);
    be_honest();
}

static void flood(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    puts("flooding");
    fflush(stdout);
    while (poll(&input, 1, 0) == 0)
        for (uint32_t i = 0; i < 100; i++)
            put_forged(client->id - i, i, 1);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*act)(void);
    } deeds[] = {
        {"shrink", shrink}, {"lie", lie},         {"rewrite", rewrite},
        {"forge", forge},   {"rubbish", rubbish}, {"flood", flood},
    };

    for (size_t i = 0; i < ELEMENTS(deeds); i++) {
        if (argc != 2 || strcmp(argv[1], deeds[i].name) != 0)
            continue;
        join();
        deeds[i].act();
        client_free(client);
        return EXIT_SUCCESS;
    }
    errx(2, "name one deed");
}
