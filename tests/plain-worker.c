/* SPDX-License-Identifier: MIT */
/* plain-worker: a worker of the plain wire. It answers one request with the same bytes and a text after them
 * (-a), then it ends. */
#include "plain-peer.h"

#include <stdlib.h>
#include <string.h>

static char *process(const char *request, size_t bytes, const char *text, size_t *ret_bytes) {
    size_t n_text = strlen(text);
    char *response = malloc(bytes + n_text + 1);

    if (!response)
        return NULL;
    memcpy(response, request, bytes);
    memcpy(response + bytes, text, n_text);
    *ret_bytes = bytes + n_text;
    return response;
}

int main(int argc, char **argv) {
    const char *request;
    char *response;
    PlainPeer peer;
    size_t bytes;
    bool ok;

    peer_options(&peer, argc, argv);
    if (!peer_open(&peer, peer.worker_queue, peer.host_queue) || !peer_receive(&peer, &bytes))
        return EXIT_FAILURE;
    request = peer_read(&peer, bytes);
    if (!request)
        return EXIT_FAILURE;
    response = process(request, bytes, peer.text, &bytes);
    ok = response && peer_write(&peer, response, bytes) && peer_send(&peer, bytes);
    free(response);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
