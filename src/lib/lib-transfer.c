/* SPDX-License-Identifier: MIT */
/* From a descriptor into a request, and from a response to a descriptor: one copy each, by the kernel. */
#include "lib/lib.h"

#include "base/error.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES (UINT64_C(64) << 10) /* room for an input of unknown size */
#define CHUNK_BYTES (UINT64_C(1) << 20)  /* of one read or write */

/* What is left to read of a file; 0 for what does not say. */
static uint64_t expected_bytes(int fd) {
    struct stat is;
    off_t at;

    if (fstat(fd, &is) < 0 || !S_ISREG(is.st_mode))
        return 0;
    at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at < is.st_size ? (uint64_t)(is.st_size - at) : 0;
}

static ssize_t read_some(int fd, void *data, uint64_t room) {
    ssize_t n;

    do
        n = read(fd, data, room < CHUNK_BYTES ? room : CHUNK_BYTES);
    while (n < 0 && errno == EINTR);
    return n < 0 ? error_errno() : n;
}

/*
 * Twice the room, or as much as can be had; a file that was read to its size needs one byte to show its end.
 */
static int widen(shmipc_request *request, uint64_t room) {
    uint64_t wanted = room ? 2 * room : FIRST_BYTES;
    int r = shmipc_resize(request, wanted);

    if ((r == -EMSGSIZE || r == -ENOMEM || r == -ENOSPC) && wanted > room + CHUNK_BYTES)
        r = shmipc_resize(request, room + CHUNK_BYTES);
    return r;
}

int lib_read_request(shmipc_request *request, int fd) {
    uint64_t room = expected_bytes(fd), at = 0;
    int r = shmipc_resize(request, room);

    while (r == 0) {
        char probe;
        ssize_t n = at < room ? read_some(fd, (char *)shmipc_data(request) + at, room - at)
                              : read_some(fd, &probe, 1);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return shmipc_resize(request, at);
        if (at == room) {
            r = widen(request, room);
            if (r < 0)
                return r;
            room = ((const Request *)request)->payload_bytes;
            ((char *)shmipc_data(request))[at] = probe;
        }
        at += (uint64_t)n;
    }
    return r;
}

int lib_write_reply(const shmipc_request *reply, int fd) {
    uint64_t bytes, at = 0;
    const char *data = shmipc_reply(reply, &bytes);

    while (at < bytes) {
        uint64_t left = bytes - at;
        ssize_t n = write(fd, data + at, left < CHUNK_BYTES ? left : CHUNK_BYTES);

        if (n >= 0)
            at += (uint64_t)n;
        else if (errno != EINTR)
            return error_errno();
    }
    return 0;
}
