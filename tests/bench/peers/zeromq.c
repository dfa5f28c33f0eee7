/* SPDX-License-Identifier: MIT */
/*
 * ZeroMQ: a pair of sockets over a Unix socket; messages are written in the library's own memory, so that it
 * copies them into the socket and out of it and nowhere else
 */
#include "peer.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

static const Task *task;
static char endpoint[64];
static void *link_socket;
static zmq_msg_t sent, received;

static void prepare(const Task *with) {
    task = with;
    snprintf(endpoint, sizeof(endpoint), "ipc:///tmp/bench-zeromq-%d", (int)getpid());
}

static void join(int (*attach)(void *socket, const char *endpoint)) {
    void *context = zmq_ctx_new();

    link_socket = context ? zmq_socket(context, ZMQ_PAIR) : NULL;
    if (!link_socket || attach(link_socket, endpoint) < 0)
        errx(EXIT_FAILURE, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
}

static void message_new(zmq_msg_t *message, uint64_t bytes) {
    if (zmq_msg_init_size(message, bytes) < 0)
        errx(EXIT_FAILURE, "a message: %s", zmq_strerror(zmq_errno()));
}

static void message_send(zmq_msg_t *message) {
    if (zmq_msg_send(message, link_socket, 0) < 0)
        errx(EXIT_FAILURE, "sending: %s", zmq_strerror(zmq_errno()));
}

static void message_receive(zmq_msg_t *message) {
    zmq_msg_init(message);
    if (zmq_msg_recv(message, link_socket, 0) < 0)
        errx(EXIT_FAILURE, "receiving: %s", zmq_strerror(zmq_errno()));
}

static void serve(const Task *with) {
    join(zmq_bind);
    for (;;) {
        zmq_msg_t request, response;

        message_receive(&request);
        message_new(&response, peer_response_bytes(with));
        peer_answer(with, zmq_msg_data(&request), zmq_msg_data(&response));
        zmq_msg_close(&request);
        message_send(&response);
    }
}

static void be_client(const Task *with) {
    (void)with;
    join(zmq_connect);
}

static void *begin(uint32_t slot) {
    (void)slot;
    message_new(&sent, task->bytes);
    return zmq_msg_data(&sent);
}

static void send_it(uint32_t slot) {
    (void)slot;
    message_send(&sent);
}

static const void *receive(uint32_t slot) {
    (void)slot;
    message_receive(&received);
    return zmq_msg_data(&received);
}

static void end(uint32_t slot) {
    (void)slot;
    zmq_msg_close(&received);
}

static void leave(void) {
    unlink(endpoint + sizeof("ipc://") - 1);
}

int main(int argc, char **argv) {
    static const Peer peer = {.name = "zeromq",
                              .open = prepare,
                              .serve = serve,
                              .connect = be_client,
                              .begin = begin,
                              .send = send_it,
                              .receive = receive,
                              .end = end,
                              .close = leave};

    return peer_main(argc, argv, &peer);
}
