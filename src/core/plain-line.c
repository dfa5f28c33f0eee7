/* SPDX-License-Identifier: MIT */
#include "core/plain-line.h"

#include "base/error.h"
#include "os/queue.h"
#include "os/segment.h"
#include "os/watch.h"
#include "wire/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

const char *plain_part_name(const PlainNames *names, PlainPart part) {
    switch (part) {
    case PLAIN_REQUESTS:
        return names->host_queue;
    case PLAIN_REPLIES:
        return names->worker_queue;
    case PLAIN_PAYLOAD:
    case PLAIN_PARTS:
        break;
    }
    return names->segment;
}

/* A queue of another size that somebody has made is as good, if a count goes into its messages. */
static int check_queue(int fd) {
    uint32_t message_bytes;
    int r = queue_depth(fd, NULL, NULL, &message_bytes);

    if (r < 0)
        return r;
    return message_bytes < PLAIN_COUNT_BYTES ? error_origin(-EMSGSIZE) : 0;
}

static int open_queue(const char *name, bool *ret_made, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    int r = queue_open_named(name, QUEUE_BOTH, false, 0, 0, &fd);
    bool made = r == -ENOENT;

    if (made)
        r = queue_open_named(name, QUEUE_BOTH, true, PLAIN_DEPTH, PLAIN_MESSAGE_BYTES, &fd);
    if (r == 0)
        r = check_queue(fd);
    if (r != 0)
        return r;
    *ret_made = made;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* An empty one has not been used by anybody. */
static int open_payload(const char *name, bool *ret_made, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    uint64_t bytes;
    int r = named_object_open(name, &fd);

    if (r == 0)
        r = object_size(fd, &bytes);
    if (r < 0)
        return r;
    *ret_made = bytes == 0;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int plain_part_open(const PlainNames *names, PlainPart part, bool *ret_made, int *ret_fd) {
    const char *name = plain_part_name(names, part);

    return part == PLAIN_PAYLOAD ? open_payload(name, ret_made, ret_fd) : open_queue(name, ret_made, ret_fd);
}

void plain_part_unlink(const PlainNames *names, PlainPart part, int fd) {
    const char *name = plain_part_name(names, part);

    if (fd < 0 || !object_has_name(fd))
        return;
    if (part == PLAIN_PAYLOAD)
        (void)object_unlink(name);
    else
        (void)queue_unlink(name);
}

const char *plain_part_fault(const PlainNames *names, PlainPart part, int r, char *buffer, size_t bytes) {
    const char *name = plain_part_name(names, part);
    char limit[256];

    if (r > 0)
        snprintf(buffer, bytes, "%s: %s", name, queue_limit_text((QueueLimit)r, limit, sizeof(limit)));
    else if (r == -EPERM || r == -EACCES)
        snprintf(buffer, bytes,
                 "%s is another user's: run this instance as its peers' user (User= in a drop-in, see "
                 "plain-wire.conf), or remove what that user has left there",
                 name);
    else if (r == -EMSGSIZE)
        snprintf(buffer, bytes,
                 "%s was made for messages of less than %d bytes, too small for a byte count: remove it",
                 name, PLAIN_COUNT_BYTES);
    else if (r == -ENOSPC)
        snprintf(
            buffer, bytes,
            "%s: no room in /dev/shm, or this user watches as much as fs.inotify.max_user_watches allows; "
            "raise it",
            name);
    else
        snprintf(buffer, bytes, "%s: %s", name, strerror(-r));
    return buffer;
}

void plain_line_close(PlainLine *line) {
    for (int part = 0; part < PLAIN_PARTS; part++)
        line->fds[part] = fd_close(line->fds[part]);
}

int plain_line_copy(const PlainLine *line, PlainLine *ret_copy) {
    _cleanup_(plain_line_close) PlainLine copy = PLAIN_LINE_NULL;

    for (int part = 0; part < PLAIN_PARTS; part++) {
        if (line->fds[part] < 0)
            continue;
        copy.fds[part] = fcntl(line->fds[part], F_DUPFD_CLOEXEC, 0);
        if (copy.fds[part] < 0)
            return error_errno();
    }
    *ret_copy = copy;
    copy = PLAIN_LINE_NULL;
    return 0;
}

/* Somebody else may have made the queue, for bigger messages. Return: 0 or negative errno. */
static int message_new(int queue, char **ret_message, size_t *ret_bytes, uint32_t *ret_depth) {
    uint32_t bytes;
    int r = queue_depth(queue, NULL, ret_depth, &bytes);

    if (r < 0)
        return r;
    *ret_message = malloc(bytes);
    if (!*ret_message)
        return error_origin(-ENOMEM);
    *ret_bytes = bytes;
    return 0;
}

/* No more than the queue can hold: whoever keeps filling it does not keep us here. */
int plain_discard(int queue) {
    _cleanup_free_ char *message = NULL;
    size_t room = 0, bytes;
    uint32_t depth, n = 0;
    int r = message_new(queue, &message, &room, &depth);

    while (r == 0 && n < depth) {
        r = queue_receive(queue, message, room, &bytes);
        n += r == 0;
    }
    return r < 0 && r != -EAGAIN ? r : (int)n;
}

int plain_receive(int queue, uint64_t max, uint64_t *ret_count) {
    _cleanup_free_ char *message = NULL;
    size_t room = 0, bytes;
    uint32_t depth;
    int r = message_new(queue, &message, &room, &depth);

    if (r == 0)
        r = queue_receive(queue, message, room, &bytes);
    return r < 0 ? r : plain_count_parse(message, bytes, max, ret_count);
}

int plain_send(int queue, uint64_t count) {
    char message[PLAIN_COUNT_BYTES];

    return queue_send(queue, message, plain_count_format(count, message), 0);
}

int plain_send_failure(int queue) {
    char message[PLAIN_COUNT_BYTES];

    return queue_send(queue, message, plain_failure_format(message), 0);
}

int plain_resize(int segment, uint64_t payload_bytes) {
    return named_object_resize(segment, round_to_pages(payload_bytes > 0 ? payload_bytes : 1));
}
