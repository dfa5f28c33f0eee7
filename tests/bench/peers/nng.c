/* SPDX-License-Identifier: MIT */
/* nng: a pair of sockets over a Unix socket, with messages in the library's own memory */
#include "peer.h"

#include <err.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const Task *task;
static char address[64];
static nng_socket link_socket;
static nng_msg *sent, *received;

static void must(int r, const char *what) {
    if (r != 0)
        errx(EXIT_FAILURE, "%s: %s", what, nng_strerror(r));
}

static void prepare(const Task *with) {
    task = with;
    snprintf(address, sizeof(address), "ipc:///tmp/bench-nng-%d", (int)getpid());
}

static void join(bool listens) {
    must(nng_pair0_open(&link_socket), "socket");
    must(nng_socket_set_size(link_socket, NNG_OPT_RECVMAXSZ, 0), "size of messages");
    must(nng_socket_set_int(link_socket, NNG_OPT_SENDBUF, 64), "size of queue");
    must(nng_socket_set_int(link_socket, NNG_OPT_RECVBUF, 64), "size of queue");
    must(listens ? nng_listen(link_socket, address, NULL, 0)
                 : nng_dial(link_socket, address, NULL, NNG_FLAG_NONBLOCK),
         address);
}

static void serve(const Task *with) {
    join(true);
    for (;;) {
        nng_msg *request, *response;

        must(nng_recvmsg(link_socket, &request, 0), "receiving");
        must(nng_msg_alloc(&response, peer_response_bytes(with)), "a message");
        peer_answer(with, nng_msg_body(request), nng_msg_body(response));
        nng_msg_free(request);
        must(nng_sendmsg(link_socket, response, 0), "sending");
    }
}

static void be_client(const Task *with) {
    (void)with;
    join(false);
}

static void *begin(uint32_t slot) {
    (void)slot;
    must(nng_msg_alloc(&sent, task->bytes), "a message");
    return nng_msg_body(sent);
}

static void send_it(uint32_t slot) {
    (void)slot;
    must(nng_sendmsg(link_socket, sent, 0), "sending");
}

static const void *receive(uint32_t slot) {
    (void)slot;
    must(nng_recvmsg(link_socket, &received, 0), "receiving");
    return nng_msg_body(received);
}

static void end(uint32_t slot) {
    (void)slot;
    nng_msg_free(received);
}

static void leave(void) {
    unlink(address + sizeof("ipc://") - 1);
}

int main(int argc, char **argv) {
    static const Peer peer = {.name = "nng",
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
