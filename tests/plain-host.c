/* SPDX-License-Identifier: MIT */
/* plain-host: a host of the plain wire. The request is on stdin, the response goes to stdout; one exchange,
 * then it ends. */
#include "plain-peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* mq_receive comes back with EINTR, and the failure takes the names away. */
static void on_signal(int number) {
    (void)number;
}

static char *read_all(size_t *ret_bytes) {
    size_t bytes = 0, room = 1u << 16;
    char *data = malloc(room);
    ssize_t n;

    while (data && (n = read(STDIN_FILENO, data + bytes, room - bytes)) > 0) {
        bytes += (size_t)n;
        if (bytes == room)
            data = realloc(data, room *= 2);
    }
    *ret_bytes = bytes;
    return data;
}

static bool exchange(PlainPeer *peer, const char *request, size_t bytes) {
    const char *response;

    if (!peer_open(peer, peer->host_queue, peer->worker_queue))
        return false;
    if (!peer_write(peer, request, bytes) || !peer_send(peer, bytes))
        return false;
    if (!peer_receive(peer, &bytes))
        return false;
    response = peer_read(peer, bytes);
    return response && fwrite(response, 1, bytes, stdout) == bytes && fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_signal};
    PlainPeer peer;
    size_t bytes;
    char *request;
    bool ok;

    peer_options(&peer, argc, argv);
    sigaction(SIGTERM, &action, NULL);
    request = read_all(&bytes);
    ok = request && exchange(&peer, request, bytes);
    peer_unlink(&peer);
    free(request);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
