/* SPDX-License-Identifier: MIT */
#include "os/channel.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "os/descriptor.h"
#include "os/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* Linux 6.5, and not yet in the C library's headers. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Linux 6.16 */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define SOCKET_TYPE (SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)
#define LOCK_SUFFIX ".lock"

static int set_path(struct sockaddr_un *address, const char *path) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return error_origin(-ENAMETOOLONG);
    strcpy(address->sun_path, path);
    return 0;
}

/* ---- listening ---- */

static int make_directory(const char *path) {
    char directory[CHANNEL_PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    if (mkdir(directory, 0755) < 0)
        return errno == EEXIST ? 0 : error_errno();
    /* Whatever the umask says: clients of other users must get through. */
    return chmod(directory, 0755) < 0 ? error_errno() : 0;
}

/*
 * The right to look at a path, remove what is stale there and bind it. It is a file of mode 0600 beside the
 * path: the directory could be locked by anybody who may read it. Whoever finds it locked has met another
 * host at its start.
 */
static int lock_path(const char *lock_file, int *ret_fd) {
    for (;;) {
        _cleanup_close_ int fd = open(lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat locked, named;

        if (fd < 0)
            return error_errno();
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? error_origin(-EADDRINUSE) : error_errno();
        if (fstat(fd, &locked) < 0)
            return error_errno();
        /* Removed by its holder between our open and our lock: it is worth nothing now. */
        if (stat(lock_file, &named) < 0 || named.st_ino != locked.st_ino || named.st_dev != locked.st_dev)
            continue;
        *ret_fd = TAKE_FD(fd);
        return 0;
    }
}

/*
 * Return: 0 if nobody listens at the path and it is free now; -EADDRINUSE; -ENOTSOCK for what is no socket;
 * or negative errno.
 */
static int remove_stale(const char *path) {
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno();
    if (!S_ISSOCK(st.st_mode))
        return error_origin(-ENOTSOCK);
    r = channel_connect(path, &fd);
    if (r == 0 || r == -EAGAIN || r == -EPROTOTYPE)
        return error_origin(-EADDRINUSE);
    if (r != -ECONNREFUSED && r != -ENOENT)
        return r;
    return unlink(path) < 0 && errno != ENOENT ? error_errno() : 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address) {
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return error_errno();
    if (chmod(address->sun_path, 0666) < 0 || listen(fd, CHANNEL_BACKLOG) < 0) {
        int r = error_errno();

        (void)unlink(address->sun_path);
        return r;
    }
    return 0;
}

int channel_listen(const char *path, int *ret_fd) {
    char lock_file[CHANNEL_PATH_MAX + sizeof(LOCK_SUFFIX)];
    _cleanup_close_ int fd = -1, lock = -1;
    struct sockaddr_un address;
    int r = set_path(&address, path);

    if (r < 0)
        return r;
    r = make_directory(path);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCKET_TYPE, 0);
    if (fd < 0)
        return error_errno();
    snprintf(lock_file, sizeof(lock_file), "%s" LOCK_SUFFIX, path);
    r = lock_path(lock_file, &lock);
    if (r < 0)
        return r;
    r = remove_stale(path);
    if (r == 0)
        r = bind_and_listen(fd, &address);
    (void)unlink(lock_file);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/*
 * A listening socket does not say which file it is bound to. But who connects to the path is told the
 * credentials that its listener had when it began to listen, and the listener can be asked for the same.
 * Return: 0 if they are the same; -ENOENT if not; -EAGAIN if the backlog there is full; or negative errno.
 */
static int compare_listener(const char *path, int fd) {
    _cleanup_close_ int probe = -1;
    struct ucred own, found;
    socklen_t own_bytes = sizeof(own), found_bytes = sizeof(found);
    int r = channel_connect(path, &probe);

    if (r < 0)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &own, &own_bytes) < 0 ||
        getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &found, &found_bytes) < 0)
        return error_errno();
    return own.pid == found.pid && own.uid == found.uid ? 0 : -ENOENT;
}

void channel_unlink(const char *path, int fd) {
    if (compare_listener(path, fd) == 0)
        (void)unlink(path);
}

/* Where a crowd waits, somebody listens, and nobody else could. */
bool channel_is_at(const char *path, int fd) {
    int r = compare_listener(path, fd);

    return r == 0 || r == -EAGAIN;
}

static bool is_channel(int fd, int listens) {
    int domain = 0, type = 0, accepts = -1;
    socklen_t bytes = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &bytes) == 0 && accepts == listens;
}

bool channel_listens(int fd) {
    return is_channel(fd, 1);
}

bool channel_is_connection(int fd) {
    return is_channel(fd, 0);
}

void channel_hang_up(int fd) {
    (void)shutdown(fd, SHUT_RDWR);
}

/* ---- connecting ---- */

/* A listener that systemd has passed may block, and its flags can be changed by whoever shares it. */
static int make_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return error_errno();
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno();
    return 0;
}

int channel_refuse_fds(int fd) {
    const int no = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) < 0)
        return errno == ENOPROTOOPT ? -ENOPROTOOPT : error_errno();
    return 0;
}

int channel_accept(int fd, int *ret_fd) {
    int peer, r = make_nonblocking(fd);

    if (r < 0)
        return r;
    do
        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (peer < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (peer < 0)
        return errno == EAGAIN ? -EAGAIN : error_errno();
    *ret_fd = peer;
    return 0;
}

int channel_shed(int fd, int *spare_fd, const void *farewell, size_t bytes) {
    int peer, r;

    *spare_fd = fd_close(*spare_fd);
    r = channel_accept(fd, &peer);
    if (r == 0) {
        (void)channel_send(peer, farewell, bytes, NULL, 0);
        fd_close(peer);
    }
    *spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (*spare_fd < 0 && r == 0)
        return error_errno();
    return r;
}

int channel_connect(const char *path, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    struct sockaddr_un address;
    int r = set_path(&address, path);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCKET_TYPE, 0);
    if (fd < 0)
        return error_errno();
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return errno == EAGAIN ? -EAGAIN : error_errno();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Return: 0; -EAGAIN if the time is over; or negative errno. */
static int limit_connect(int fd, uint64_t until_ns) {
    struct timeval left = {0}; /* for ever */
    uint64_t now_ns = clock_now_ns();

    if (until_ns <= now_ns)
        return -EAGAIN;
    if (until_ns != UINT64_MAX) {
        uint64_t us = (until_ns - now_ns + NS_PER_US - 1) / NS_PER_US;

        left.tv_sec = (time_t)(us * NS_PER_US / NS_PER_SEC);
        left.tv_usec = (suseconds_t)(us % (NS_PER_SEC / NS_PER_US));
    }
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) < 0 ? error_errno() : 0;
}

/*
 * The kernel has no event for a place in a backlog: only connect() calls that block are woken for one, one
 * after the other.
 */
static int connect_blocking(const struct sockaddr_un *address, uint64_t until_ns, int *ret_fd) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCKET_TYPE & ~SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return error_errno();
    do {
        r = limit_connect(fd, until_ns);
        if (r == 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
            r = errno == EAGAIN || errno == EINTR ? -errno : error_errno();
    } while (r == -EINTR);
    if (r == 0)
        r = make_nonblocking(fd);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

int channel_connect_until(const char *path, uint64_t until_ns, int *ret_fd) {
    struct sockaddr_un address;
    int r = channel_connect(path, ret_fd);

    if (r != -EAGAIN)
        return r;
    r = set_path(&address, path);
    return r < 0 ? r : connect_blocking(&address, until_ns, ret_fd);
}

int channel_pair(int ret_fds[static 2]) {
    int fds[2];

    if (socketpair(AF_UNIX, SOCKET_TYPE, 0, fds) < 0)
        return error_errno();
    memcpy(ret_fds, fds, sizeof(fds));
    return 0;
}

bool channel_next_has_fds(int fd) {
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = sizeof(byte)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    return recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK) >= 0 && message.msg_flags & MSG_CTRUNC;
}

void channel_widen(int fd) {
    int bytes = 0;
    socklen_t size = sizeof(bytes);

    /* It is doubled as it is set. */
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, size);
}

bool channel_is_unread(int fd) {
    int bytes = 0;

    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* ---- who is there ---- */

static int peer_groups(int fd, gid_t **ret_groups, size_t *ret_n_groups) {
    _cleanup_free_ gid_t *groups = NULL;
    socklen_t bytes = 0;

    /* The kernel says ERANGE and how much room it needs. */
    while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0) {
        if (errno != ERANGE)
            return error_errno();
        free(groups);
        groups = malloc(bytes);
        if (!groups)
            return error_origin(-ENOMEM);
    }
    *ret_groups = TAKE(groups);
    *ret_n_groups = bytes / sizeof(gid_t);
    return 0;
}

/*
 * Before Linux 6.5: the number may have gone to another process by now. If the socket still has its other
 * end, its process was there when the pidfd was opened.
 */
static int pidfd_of_number(int fd, pid_t pid, int *ret_pidfd) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int events;

    if (pidfd < 0 && errno != ESRCH && errno != EINVAL)
        return error_errno();
    events = wait_for_fd(fd, 0, 0);
    if (events < 0)
        return events;
    *ret_pidfd = events & WAIT_HANGUP ? -1 : TAKE_FD(pidfd);
    return 0;
}

/* Return: 0, with -1 where the kernel knows of no such process. */
static int peer_pidfd(int fd, pid_t pid, int *ret_pidfd) {
    socklen_t bytes = sizeof(int);
    int pidfd;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0) {
        *ret_pidfd = pidfd;
        return 0;
    }
    if (errno == ENOPROTOOPT)
        return pidfd_of_number(fd, pid, ret_pidfd);
    if (errno != ESRCH && errno != EINVAL && errno != ENODATA)
        return error_errno();
    *ret_pidfd = -1;
    return 0;
}

static int peer_credentials(int fd, struct ucred *ret) {
    socklen_t bytes = sizeof(*ret);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &bytes) < 0 ? error_errno() : 0;
}

int channel_uid(int fd, uid_t *ret_uid) {
    struct ucred credentials;
    int r = peer_credentials(fd, &credentials);

    if (r == 0)
        *ret_uid = credentials.uid;
    return r;
}

int channel_peer(int fd, ChannelPeer *ret_peer) {
    ChannelPeer peer = CHANNEL_PEER_NULL;
    struct ucred credentials;
    int r = peer_credentials(fd, &credentials);

    if (r < 0)
        return r;
    peer.pid = credentials.pid;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
    r = peer_pidfd(fd, peer.pid, &peer.pidfd);
    if (r < 0)
        return r;
    r = peer_groups(fd, &peer.groups, &peer.n_groups);
    if (r < 0) {
        fd_close(peer.pidfd);
        return r;
    }
    *ret_peer = peer;
    return 0;
}

void channel_peer_deinit(ChannelPeer *peer) {
    fd_close(peer->pidfd);
    free(peer->groups);
    *peer = (ChannelPeer)CHANNEL_PEER_NULL;
}

/* ---- records ---- */

/*
 * Room for the descriptors of one record, aligned as the kernel wants it, and no more: what exceeds it is
 * dropped and reported.
 */
typedef union Control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
} Control;

int channel_send(int fd, const void *data, size_t bytes, const int *fds, size_t n_fds) {
    Control control = {0};
    struct iovec vector = {.iov_base = (void *)data, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t n;

    /* An empty record looks like a hang-up at the other side. */
    if (bytes == 0 || bytes > CHANNEL_RECORD_MAX || n_fds > CHANNEL_FDS_MAX)
        return error_origin(-EINVAL);
    if (n_fds > 0) {
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    }
    do
        n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    /* ECONNRESET: it went away with something of ours unread. */
    if (errno == EPIPE || errno == ECONNRESET)
        return -EPIPE;
    return errno == EAGAIN ? -EAGAIN : error_errno();
}

/* The descriptors that came with a record. Return: how many. */
static size_t take_fds(struct msghdr *message, int fds[static CHANNEL_FDS_MAX]) {
    size_t n = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(header), n * sizeof(int));
    }
    return n;
}

/* Return: 0 if all of a record has come; otherwise why not. */
static int record_fault(const struct msghdr *message, ssize_t bytes, size_t n_fds) {
    if (bytes == 0)
        return -EPIPE;
    /* Descriptors were dropped though there was room for more: this process may not have that many. */
    if (message->msg_flags & MSG_CTRUNC && n_fds < CHANNEL_FDS_MAX)
        return error_origin(-EMFILE);
    if (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return error_origin(-EBADMSG);
    return 0;
}

int channel_receive(int fd, void *data, size_t room, size_t *ret_bytes, int fds[static CHANNEL_FDS_MAX],
                    size_t *ret_n_fds) {
    Control control;
    struct iovec vector = {.iov_base = data, .iov_len = room};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int received[CHANNEL_FDS_MAX];
    size_t n_fds;
    ssize_t n;
    int r;

    /* ECONNRESET is said once, before what the peer had sent and before the end: neither must be lost. */
    do {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return errno == EAGAIN ? -EAGAIN : error_errno();
    n_fds = take_fds(&message, received);
    r = record_fault(&message, n, n_fds);
    if (r < 0) {
        while (n_fds > 0)
            fd_close(received[--n_fds]);
        return r;
    }
    memcpy(fds, received, n_fds * sizeof(int));
    *ret_bytes = (size_t)n;
    *ret_n_fds = n_fds;
    return 0;
}

/* ---- what nobody receives ---- */

#define RECORD_FDS_MAX 253 /* that the kernel takes along with one */

typedef union Everything {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(RECORD_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
} Everything;

/* Open what the next record brings, and leave it. Return: whether there is one, and all of it is open. */
static bool open_next(int fd, int fds[static RECORD_FDS_MAX], size_t *ret_n_fds) {
    Everything control;
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = sizeof(byte)};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };

    *ret_n_fds = 0;
    if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0)
        return false;
    *ret_n_fds = take_fds(&message, fds);
    /* Who sent it is said of each record, an empty one, too, and not at the end. */
    return message.msg_controllen > 0 && !(message.msg_flags & MSG_CTRUNC);
}

/* They are open here as they leave the socket: so it is not this that closes them. */
void channel_empty(int fd) {
    const int yes = 1;
    int fds[RECORD_FDS_MAX];
    size_t n_fds;
    bool is_open;

    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return;
    do {
        is_open = open_next(fd, fds, &n_fds);
        if (is_open)
            (void)recv(fd, NULL, 0, MSG_DONTWAIT);
        descriptors_close_aside(fds, n_fds);
    } while (is_open);
}
