/* SPDX-License-Identifier: MIT */
#include "plain-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_BYTES 512
#define PAGE          4096u

static bool failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return false;
}

static void reached(const PlainPeer *peer, const char *point) {
    if (peer->kill_point && strcmp(peer->kill_point, point) == 0)
        raise(SIGKILL);
}

void peer_options(PlainPeer *peer, int argc, char **argv) {
    int option;

    *peer = (PlainPeer){
        .host_queue = "/mq_queue_host",
        .worker_queue = "/mq_queue_worker",
        .segment = "/sm_services",
        .text = " processed",
        .out = -1,
        .in = -1,
        .fd = -1,
    };
    while ((option = getopt(argc, argv, "q:w:s:m:k:a:")) >= 0) {
        const char **value = option == 'q'   ? &peer->host_queue
                             : option == 'w' ? &peer->worker_queue
                             : option == 's' ? &peer->segment
                             : option == 'm' ? &peer->message
                             : option == 'k' ? &peer->kill_point
                             : option == 'a' ? &peer->text
                                             : NULL;

        if (!value)
            exit(2);
        *value = optarg;
    }
}

static mqd_t open_queue(const char *name, int flags) {
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = MESSAGE_BYTES};
    mqd_t queue = mq_open(name, flags | O_CREAT, 0600, &attributes);

    if (queue < 0)
        failed(name);
    return queue;
}

bool peer_open(PlainPeer *peer, const char *out, const char *in) {
    peer->fd = shm_open(peer->segment, O_RDWR | O_CREAT, 0600);
    if (peer->fd < 0)
        return failed(peer->segment);
    peer->out = open_queue(out, O_WRONLY);
    if (peer->out < 0)
        return false;
    peer->in = open_queue(in, O_RDONLY);
    if (peer->in < 0)
        return false;
    reached(peer, "opened");
    return true;
}

static size_t segment_size(const PlainPeer *peer) {
    struct stat st;

    return fstat(peer->fd, &st) < 0 ? 0 : (size_t)st.st_size;
}

static bool map(PlainPeer *peer) {
    size_t bytes = segment_size(peer);

    if (bytes == peer->map_bytes)
        return true;
    if (peer->map_bytes)
        munmap(peer->map, peer->map_bytes);
    peer->map_bytes = 0;
    peer->map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, peer->fd, 0);
    if (peer->map == MAP_FAILED)
        return failed("mmap");
    peer->map_bytes = bytes;
    return true;
}

bool peer_write(PlainPeer *peer, const char *payload, size_t bytes) {
    size_t wanted = (bytes + PAGE - 1) / PAGE * PAGE;

    if (segment_size(peer) != wanted && ftruncate(peer->fd, (off_t)wanted) < 0)
        return failed("ftruncate");
    if (bytes > 0) {
        if (!map(peer))
            return false;
        memcpy(peer->map, payload, bytes);
    }
    reached(peer, "written");
    return true;
}

bool peer_send(PlainPeer *peer, size_t bytes) {
    char message[MESSAGE_BYTES];
    int n = peer->message ? snprintf(message, sizeof(message), "%s", peer->message)
                          : snprintf(message, sizeof(message), "%zu", bytes);

    if (mq_send(peer->out, message, (size_t)n, 0) < 0)
        return failed("mq_send");
    reached(peer, "sent");
    return true;
}

bool peer_receive(PlainPeer *peer, size_t *ret_bytes) {
    char message[MESSAGE_BYTES + 1];
    ssize_t n = mq_receive(peer->in, message, MESSAGE_BYTES, NULL);
    char *end;

    if (n < 0)
        return failed("mq_receive");
    message[n] = '\0';
    *ret_bytes = strtoul(message, &end, 10);
    if (end != message + n || n == 0) {
        fprintf(stderr, "no byte count: '%s'\n", message);
        return false;
    }
    reached(peer, "received");
    return true;
}

const char *peer_read(PlainPeer *peer, size_t bytes) {
    if (!map(peer))
        return NULL;
    if (bytes > peer->map_bytes) {
        fprintf(stderr, "%zu bytes said, but the segment has %zu\n", bytes, peer->map_bytes);
        return NULL;
    }
    return peer->map;
}

void peer_unlink(PlainPeer *peer) {
    mq_unlink(peer->host_queue);
    mq_unlink(peer->worker_queue);
    shm_unlink(peer->segment);
}
