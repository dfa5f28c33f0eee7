/* SPDX-License-Identifier: MIT */
#include "os/datagram.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int datagram_open(int *ret_fd) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno();
    *ret_fd = fd;
    return 0;
}

int datagram_send(int fd, const char *path, const struct iovec *parts, size_t n_parts) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct msghdr message = {
        .msg_name = &address,
        .msg_namelen = sizeof(address),
        .msg_iov = (struct iovec *)parts,
        .msg_iovlen = n_parts,
    };
    ssize_t n;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_origin(-ENAMETOOLONG);
    strcpy(address.sun_path, path);
    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}
