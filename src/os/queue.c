/* SPDX-License-Identifier: MIT */
#include "os/queue.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/*
 * A time that has passed: mq_timed* then never block, even where somebody has cleared O_NONBLOCK on the
 * description.
 */
static const struct timespec at_once = {0};

/* O_NONBLOCK is set all the same: with it the kernel does not even look at a timer. */
static int side_flags(QueueSide side) {
    switch (side) {
    case QUEUE_READ:
        return O_RDONLY | O_NONBLOCK;
    case QUEUE_WRITE:
        return O_WRONLY | O_NONBLOCK;
    case QUEUE_BOTH:
        break;
    }
    return O_RDWR | O_NONBLOCK;
}

/* EMFILE has two meanings: one is ruled out by opening something else. */
static int limit_of_emfile(void) {
    int fd = open("/", O_PATH | O_CLOEXEC);

    if (fd < 0)
        return QUEUE_LIMIT_FILES;
    fd_close(fd);
    return QUEUE_LIMIT_BYTES;
}

/*
 * What a refused mq_open(O_CREAT) means: its errno misleads. Return: a QueueLimit, or the errno as negative.
 */
static int limit_of_errno(const char *name, uint32_t depth, uint32_t message_bytes) {
    switch (errno) {
    case EINVAL:
        if (name[0] != '/' || depth == 0 || message_bytes == 0)
            return error_errno();
        return QUEUE_LIMIT_DEPTH;
    case EMFILE:
        return limit_of_emfile();
    case ENFILE:
        return QUEUE_LIMIT_FILES;
    case ENOSPC:
        return QUEUE_LIMIT_QUEUES;
    default:
        return error_errno();
    }
}

/* Make it, or, unless @flags have O_EXCL, open it. Return: 0, a QueueLimit or a negative errno. */
static int make(const char *name, int flags, uint32_t depth, uint32_t message_bytes, int *ret_fd) {
    struct mq_attr attributes = {.mq_maxmsg = depth, .mq_msgsize = message_bytes};
    int fd = mq_open(name, flags | O_CREAT | O_CLOEXEC, 0600, &attributes);

    if (fd < 0)
        return limit_of_errno(name, depth, message_bytes);
    *ret_fd = fd;
    return 0;
}

int queue_create(const char *name, uint32_t depth, uint32_t message_bytes, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    int r = make(name, side_flags(QUEUE_BOTH) | O_EXCL, depth, message_bytes, &fd);

    if (r)
        return r;
    if (mq_unlink(name) < 0 && errno != ENOENT) /* who sweeps may have been faster */
        return error_errno();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int queue_connect(int fd, QueueSide side, int *ret_fd) {
    return descriptor_reopen(fd, side_flags(side), ret_fd);
}

int queue_open_named(const char *name, QueueSide side, bool create, uint32_t depth, uint32_t message_bytes,
                     int *ret_fd) {
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    if (create) {
        r = make(name, side_flags(side), depth, message_bytes, &fd);
        if (r)
            return r;
    } else {
        fd = mq_open(name, side_flags(side) | O_CLOEXEC);
        if (fd < 0)
            return errno == EMFILE || errno == ENFILE ? QUEUE_LIMIT_FILES : error_errno();
    }
    /* The kernel lets root into a queue that a stranger has put there first. */
    if (fstat(fd, &st) < 0)
        return error_errno();
    if (st.st_uid != geteuid())
        return error_origin(-EPERM);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

bool queue_named_same(const char *name, int fd) {
    _cleanup_close_ int named = mq_open(name, O_RDONLY | O_CLOEXEC);

    return named >= 0 && descriptor_same(named, fd);
}

int queue_unlink(const char *name) {
    if (mq_unlink(name) < 0 && errno != ENOENT)
        return error_errno();
    return 0;
}

/* A full or empty queue is no error: it is not marked as one. */
static int transfer_error(void) {
    return errno == EAGAIN || errno == ETIMEDOUT ? -EAGAIN : error_errno();
}

int queue_send(int fd, const void *message, size_t bytes, unsigned priority) {
    int r;

    do
        r = mq_timedsend(fd, message, bytes, priority, &at_once);
    while (r < 0 && errno == EINTR);
    return r < 0 ? transfer_error() : 0;
}

int queue_receive(int fd, void *message, size_t bytes, size_t *ret_bytes) {
    ssize_t n;

    do
        n = mq_timedreceive(fd, message, bytes, NULL, &at_once);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return transfer_error();
    *ret_bytes = (size_t)n;
    return 0;
}

int queue_depth(int fd, uint32_t *ret_n_messages, uint32_t *ret_depth, uint32_t *ret_message_bytes) {
    struct mq_attr attributes;

    if (mq_getattr(fd, &attributes) < 0)
        return error_errno();
    if (ret_n_messages)
        *ret_n_messages = (uint32_t)attributes.mq_curmsgs;
    if (ret_depth)
        *ret_depth = (uint32_t)attributes.mq_maxmsg;
    if (ret_message_bytes)
        *ret_message_bytes = (uint32_t)attributes.mq_msgsize;
    return 0;
}

bool queue_holds(int fd, uint32_t message_bytes) {
    uint32_t is = 0;

    return queue_depth(fd, NULL, NULL, &is) == 0 && is == message_bytes;
}

/* One number of fs.mqueue; -1 where it cannot be read. */
static long mqueue_sysctl(const char *name) {
    char path[64];
    long number = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
    file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%ld", &number) != 1)
            number = -1;
        fclose(file);
    }
    return number;
}

static unsigned long long rlimit_now(int resource) {
    struct rlimit limit = {0};

    (void)getrlimit(resource, &limit);
    return limit.rlim_cur;
}

const char *queue_limit_text(QueueLimit limit, char *buffer, size_t bytes) {
    switch (limit) {
    case QUEUE_LIMIT_DEPTH:
        snprintf(buffer, bytes,
                 "the queue is deeper than fs.mqueue.msg_max = %ld or its messages are bigger than "
                 "fs.mqueue.msgsize_max = %ld; lower queue_depth or raise the limit with sysctl",
                 mqueue_sysctl("msg_max"), mqueue_sysctl("msgsize_max"));
        return buffer;
    case QUEUE_LIMIT_BYTES:
        snprintf(buffer, bytes,
                 "this user's message queues may hold %llu bytes in all (RLIMIT_MSGQUEUE); lower "
                 "queue_depth, or raise LimitMSGQUEUE= of the unit or `ulimit -q`",
                 rlimit_now(RLIMIT_MSGQUEUE));
        return buffer;
    case QUEUE_LIMIT_QUEUES:
        snprintf(buffer, bytes,
                 "there are fs.mqueue.queues_max = %ld message queues already; raise it with sysctl, or "
                 "remove queues that nobody uses (ls /dev/mqueue)",
                 mqueue_sysctl("queues_max"));
        return buffer;
    case QUEUE_LIMIT_FILES:
        snprintf(buffer, bytes,
                 "out of descriptors: this process may have %llu (RLIMIT_NOFILE); raise LimitNOFILE= of the "
                 "unit or `ulimit -n`, or fs.file-max with sysctl",
                 rlimit_now(RLIMIT_NOFILE));
        return buffer;
    }
    snprintf(buffer, bytes, "unknown limit %d", (int)limit);
    return buffer;
}
