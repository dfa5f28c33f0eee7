/* SPDX-License-Identifier: MIT */
/*
 * Channels: SOCK_SEQPACKET Unix sockets with credentials and descriptors
 *
 * A record is sent and received whole or not at all, and no call here blocks but channel_connect_until().
 * Descriptors are received close-on-exec. A record that was truncated, or that carries more descriptors than
 * the receiver has room for, is -EBADMSG, and none of its descriptors stays open. So it is with -EMFILE,
 * which says that this process may not have that many descriptors.
 */
#pragma once

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHANNEL_FDS_MAX 8
#define CHANNEL_RECORD_MAX 512
#define CHANNEL_PATH_MAX 108

/* Who is on the other side, as the kernel says. */
typedef struct ChannelPeer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary; owned */
    size_t n_groups;
    int pidfd;     /* owned; -1 where the kernel gives none: before Linux 6.5, if it is gone */
} ChannelPeer;

#define CHANNEL_PEER_NULL {.pidfd = -1}

/**
 * channel_listen() - bind @path with mode 0666 and listen
 *
 * A socket that nobody listens on any more is replaced. The directory is made (0755) if it is missing.
 * While this runs there is a file PATH.lock; what a kill leaves of it does no harm.
 * Return: 0; -EADDRINUSE if a process listens there already, or is about to; -ENAMETOOLONG; -ENOTSOCK if the
 * path is something else; or another negative errno.
 */
int channel_listen(const char *path, int *ret_fd);

/** channel_unlink() - remove the path of a socket that channel_listen() made, if it is still that one. */
void channel_unlink(const char *path, int fd);

/** channel_is_at() - whether who connects to @path gets to the listening socket @fd, as far as can be told.
 */
bool channel_is_at(const char *path, int fd);

/** channel_listens() - whether @fd is a socket that channel_listen() could have made. */
bool channel_listens(int fd);

/**
 * channel_refuse_fds() - on a listening socket: let nobody who connects from now on send descriptors
 *
 * To close a stranger's descriptor can take as long as the stranger likes (SO_LINGER, a file system in user
 * space), also where it was never received and goes with the socket. Their sender is told EPERM.
 * Return: 0; -ENOPROTOOPT before Linux 6.16; or another negative errno.
 */
int channel_refuse_fds(int fd);

/**
 * channel_next_has_fds() - whether the next record brings descriptors; none is received
 *
 * Where they cannot be refused, that is the only safe thing to do with a stranger's: once received, or
 * dropped for want of room, they have to be closed. See descriptor_close_aside() for the socket in which they
 * lie.
 */
bool channel_next_has_fds(int fd);

/**
 * channel_empty() - take out what lies in a socket after channel_hang_up(), descriptors with it
 *
 * Whoever closes a socket last closes what lies in it. Where that is a service manager that has it as well,
 * and only one thread, it would do nothing else for as long as the stranger likes. Here they are closed in
 * threads of their own. Where this process may not have that many, the rest stays.
 */
void channel_empty(int fd);

/**
 * channel_accept() - take one connection
 * Return: 0, -EAGAIN when nobody waits, or negative errno (-EMFILE, -ENFILE: see channel_shed()).
 */
int channel_accept(int fd, int *ret_fd);

/**
 * channel_shed() - give up the spare descriptor to accept one connection, say one record, and close it at
 * once Return: 0 or negative errno.
 */
int channel_shed(int fd, int *spare_fd, const void *farewell, size_t bytes);

/**
 * channel_connect() - connect to whoever listens there
 * Return: 0; -ENOENT or -ECONNREFUSED when there is no host; -EACCES; -EAGAIN when its backlog is full; or
 * negative errno.
 */
int channel_connect(const char *path, int *ret_fd);

/**
 * channel_connect_until() - likewise, but wait for a place where its backlog is full: the one call here that
 * blocks
 * @until_ns:   CLOCK_MONOTONIC; 0 returns at once, UINT64_MAX waits for ever
 * Return: as channel_connect(); -EAGAIN if there was no place until then.
 */
int channel_connect_until(const char *path, uint64_t until_ns, int *ret_fd);

/** channel_pair() - two ends of one channel. Return: 0 or negative errno. */
int channel_pair(int ret_fds[static 2]);

/**
 * channel_is_unread() - whether something of what was sent has not been received yet: descriptors may be in
 * it.
 */
bool channel_is_unread(int fd);

/** channel_is_connection() - whether @fd is a socket that channel_accept() could have made. */
bool channel_is_connection(int fd);

/** channel_widen() - room for some more records than fit into a channel so far, for a last word. */
void channel_widen(int fd);

/** channel_hang_up() - say goodbye for all who have the descriptor, which closing one does not. */
void channel_hang_up(int fd);

#define CHANNEL_BACKLOG 1024 /* connections that wait to be accepted, at most */

/** channel_uid() - whose process connected, or listens. Return: 0 or negative errno. */
int channel_uid(int fd, uid_t *ret_uid);

/** channel_peer() - ask the kernel who is there. Return: 0 or negative errno. */
int channel_peer(int fd, ChannelPeer *ret_peer);
void channel_peer_deinit(ChannelPeer *peer);

/**
 * channel_send() - one record of 1 to CHANNEL_RECORD_MAX bytes
 * @fds:        @n_fds descriptors that go with it; they stay the caller's
 * Return: 0; -EAGAIN when the peer does not read; -EPIPE when it has hung up; or negative errno.
 */
int channel_send(int fd, const void *data, size_t bytes, const int *fds, size_t n_fds);

/**
 * channel_receive() - one record
 * @fds:        room for CHANNEL_FDS_MAX; what comes is the caller's
 * Return: 0; -EAGAIN when there is none; -EPIPE when the peer has hung up and everything was read; -EBADMSG
 * or -EMFILE (see above); or another negative errno.
 */
int channel_receive(int fd, void *data, size_t room, size_t *ret_bytes, int fds[static CHANNEL_FDS_MAX],
                    size_t *ret_n_fds);
