/* SPDX-License-Identifier: MIT */
#include "os/bell.h"

#include "base/error.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_new(int *ret_fd) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return error_errno();
    *ret_fd = fd;
    return 0;
}

void bell_ring(int fd) {
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        return; /* its counter is full: it rings already */
}

bool bell_hear(int fd) {
    uint64_t n;

    return read(fd, &n, sizeof(n)) == sizeof(n);
}
