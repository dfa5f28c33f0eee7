/* SPDX-License-Identifier: MIT */
#include "os/datagram.h"

#include "base/error.h"
#include "os/wait.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int set_address(struct sockaddr_un *address, const char *path, socklen_t *ret_bytes) {
    size_t bytes = strlen(path);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (bytes >= sizeof(address->sun_path))
        return error_origin(-ENAMETOOLONG);
    memcpy(address->sun_path, path, bytes);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    *ret_bytes =
        (socklen_t)(path[0] == '@' ? offsetof(struct sockaddr_un, sun_path) + bytes : sizeof(*address));
    return 0;
}

int datagram_open(int *ret_fd) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno();
    *ret_fd = fd;
    return 0;
}

typedef union Control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(DATAGRAM_FDS_MAX * sizeof(int))];
} Control;

static void attach_fds(struct msghdr *message, Control *control, const int *fds, size_t n_fds) {
    control->header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
    memcpy(CMSG_DATA(&control->header), fds, n_fds * sizeof(int));
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
}

int datagram_send_fds(int fd, const char *path, const struct iovec *parts, size_t n_parts, const int *fds,
                      size_t n_fds) {
    struct sockaddr_un address;
    struct msghdr message = {.msg_name = &address, .msg_iov = (struct iovec *)parts, .msg_iovlen = n_parts};
    Control control = {0};
    int r = set_address(&address, path, &message.msg_namelen);
    ssize_t n;

    if (r < 0)
        return r;
    if (n_fds > DATAGRAM_FDS_MAX)
        return error_origin(-EINVAL);
    if (n_fds > 0)
        attach_fds(&message, &control, fds, n_fds);
    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int datagram_send(int fd, const char *path, const struct iovec *parts, size_t n_parts) {
    return datagram_send_fds(fd, path, parts, n_parts, NULL, 0);
}

int datagram_await_room(int fd, const char *path, uint64_t until_ns) {
    struct sockaddr_un address;
    socklen_t bytes;
    int r = set_address(&address, path, &bytes);

    if (r < 0)
        return r;
    /* Only of one that it is connected to does the kernel say when it has room. */
    if (connect(fd, (const struct sockaddr *)&address, bytes) < 0)
        return error_errno();
    r = wait_for_fd(fd, WAIT_WRITE, until_ns);
    return r < 0 ? r : 0;
}
