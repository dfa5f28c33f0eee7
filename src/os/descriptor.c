/* SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOSER_STACK_BYTES (64 << 10)

int descriptor_reopen(int fd, int flags, int *ret_fd) {
    char path[sizeof("/proc/self/fd/-2147483648")];
    int own;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    do
        own = open(path, flags | O_CLOEXEC);
    while (own < 0 && errno == EINTR);
    if (own < 0)
        return error_errno();
    *ret_fd = own;
    return 0;
}

int descriptor_identify(int fd, uint64_t *ret_device, uint64_t *ret_inode) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno();
    *ret_device = st.st_dev;
    *ret_inode = st.st_ino;
    return 0;
}

static void *close_one(void *data) {
    (void)close((int)(intptr_t)data);
    return NULL;
}

/* Signals are for the thread that made it. */
void descriptor_close_aside(int fd) {
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int r;

    if (fd < 0)
        return;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, CLOSER_STACK_BYTES);
    r = pthread_create(&thread, &attributes, close_one, (void *)(intptr_t)fd);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        (void)close(fd);
}

bool descriptor_same(int a, int b) {
    struct stat left, right;

    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

int descriptor_guard_standard(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest that is free is what open() gives. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return error_errno();
    }
    return 0;
}
