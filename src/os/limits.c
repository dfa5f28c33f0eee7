/* SPDX-License-Identifier: MIT */
#include "os/limits.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Bytes that the kernel adds to each message's room; measured, see tests/test-kernel.c. */
#define QUEUE_MESSAGE_OVERHEAD 96

static const struct {
    const char *name;
    const char *cure;
} kinds[_LIMIT_N] = {
    [LIMIT_QUEUE_BYTES] = {"RLIMIT_MSGQUEUE", "raise LimitMSGQUEUE= of the unit or `ulimit -q`"},
    [LIMIT_QUEUES] = {"fs.mqueue.queues_max", "raise it with sysctl"},
    [LIMIT_FILES] = {"RLIMIT_NOFILE", "raise LimitNOFILE= of the unit or `ulimit -n`"},
};

const char *limit_name(LimitKind kind) {
    return kinds[kind].name;
}

const char *limit_cure(LimitKind kind) {
    return kinds[kind].cure;
}

static uint64_t limit_of(__rlimit_resource_t resource) {
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

static uint64_t number_in(const char *path) {
    FILE *file = fopen(path, "re");
    uint64_t number = UINT64_MAX;

    if (file) {
        if (fscanf(file, "%" SCNu64, &number) != 1)
            number = UINT64_MAX;
        fclose(file);
    }
    return number;
}

static uint64_t count_entries(const char *path) {
    DIR *directory = opendir(path);
    uint64_t n = 0;

    if (!directory)
        return 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the one that reads */
}

void limits_read(Limits *ret_limits) {
    *ret_limits = (Limits){
        .queue_bytes = limit_of(RLIMIT_MSGQUEUE),
        .n_queues = number_in("/proc/sys/fs/mqueue/queues_max"),
        .n_files = limit_of(RLIMIT_NOFILE),
        .n_files_open = count_entries("/proc/self/fd"),
    };
}

/* The soft limit in a line of /proc/PID/limits, if it is the one of that title. */
static void take_limit(const char *line, const char *title, uint64_t *limit) {
    size_t length = strlen(title);
    uint64_t number;

    if (strncmp(line, title, length) != 0)
        return;
    if (sscanf(line + length, " %" SCNu64, &number) == 1)
        *limit = number;
    else if (strstr(line + length, "unlimited"))
        *limit = UINT64_MAX;
}

void limits_read_of(pid_t pid, Limits *limits) {
    char line[256];
    FILE *file;

    snprintf(line, sizeof(line), "/proc/%d/limits", (int)pid);
    file = fopen(line, "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        take_limit(line, "Max msgqueue size", &limits->queue_bytes);
        take_limit(line, "Max open files", &limits->n_files);
    }
    fclose(file);
}

/* ---- IPC namespaces ---- */

static int read_queues(QueueLimits *ret_limits, bool is_here) {
    const QueueLimits limits = {
        .n_queues = number_in("/proc/sys/fs/mqueue/queues_max"),
        .n_messages = number_in("/proc/sys/fs/mqueue/msg_max"),
        .is_here = is_here,
    };

    if (limits.n_queues == UINT64_MAX || limits.n_messages == UINT64_MAX)
        return error_origin(-ENOENT);
    *ret_limits = limits;
    return 0;
}

static int namespace_open(const char *path, struct stat *ret_is, int *ret_fd) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, ret_is) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int limits_read_queues_of(pid_t pid, QueueLimits *ret_limits) {
    _cleanup_close_ int ours = -1, theirs = -1;
    struct stat here, there;
    char path[64];
    int r;

    if (pid == 0)
        return read_queues(ret_limits, true);
    snprintf(path, sizeof(path), "/proc/%d/ns/ipc", (int)pid);
    r = namespace_open("/proc/thread-self/ns/ipc", &here, &ours);
    if (r == 0)
        r = namespace_open(path, &there, &theirs);
    if (r < 0)
        return r;
    if (here.st_dev == there.st_dev && here.st_ino == there.st_ino)
        return read_queues(ret_limits, true);
    if (setns(theirs, CLONE_NEWIPC) < 0)
        return -errno;
    r = read_queues(ret_limits, false);
    return setns(ours, CLONE_NEWIPC) < 0 ? error_errno() : r;
}

/* ---- control groups ---- */

/* What @file says in the group @path and in those that it lies in: each of them counts. Cuts @path. */
static uint64_t least_in(const char *folder, const char *controller, char *path, const char *file) {
    uint64_t least = UINT64_MAX;

    for (;;) {
        char name[PATH_MAX];
        char *slash = strrchr(path, '/');
        uint64_t limit = UINT64_MAX;

        if ((size_t)snprintf(name, sizeof(name), "%s%s%s/%s", folder, controller, path, file) < sizeof(name))
            limit = number_in(name);
        least = limit < least ? limit : least;
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/*
 * A line of /proc/PID/cgroup: number, controllers, path. The second version of control groups has no
 * controllers there.
 */
static uint64_t limit_of_line(const char *folder, char *line) {
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    char in_place[PATH_MAX];
    uint64_t unified, mixed;

    if (!path)
        return UINT64_MAX;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (strcmp(controllers + 1, "memory") == 0)
        return least_in(folder, "/memory", path, "memory.limit_in_bytes");
    if (controllers[1])
        return UINT64_MAX;
    snprintf(in_place, sizeof(in_place), "%s", path);
    unified = least_in(folder, "", in_place, "memory.max");
    mixed = least_in(folder, "/unified", path, "memory.max");
    return unified < mixed ? unified : mixed;
}

uint64_t limits_memory_in(const char *membership, const char *folder) {
    FILE *file = fopen(membership, "re");
    uint64_t least = UINT64_MAX;
    char line[PATH_MAX];

    if (!file)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), file)) {
        uint64_t limit = limit_of_line(folder, line);

        least = limit < least ? limit : least;
    }
    fclose(file);
    return least;
}

uint64_t limits_memory(pid_t pid) {
    char name[64];

    if (pid == 0)
        return limits_memory_in("/proc/self/cgroup", "/sys/fs/cgroup");
    snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
    return limits_memory_in(name, "/sys/fs/cgroup");
}

uint64_t queue_cost(uint32_t depth, uint32_t message_bytes) {
    return (uint64_t)depth * (message_bytes + QUEUE_MESSAGE_OVERHEAD);
}
