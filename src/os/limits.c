/* SPDX-License-Identifier: MIT */
#include "os/limits.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#define QUEUE_MESSAGE_OVERHEAD 96 /* bytes that the kernel adds to each message's room; measured, see tests/test-kernel.c */

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

uint64_t queue_cost(uint32_t depth, uint32_t message_bytes) {
    return (uint64_t)depth * (message_bytes + QUEUE_MESSAGE_OVERHEAD);
}
