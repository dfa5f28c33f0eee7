/* SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

typedef struct Closing {
    size_t n;
    int fds[];
} Closing;

static void *close_all(void *data) {
    Closing *closing = data;

    for (size_t i = 0; i < closing->n; i++)
        (void)close(closing->fds[i]);
    free(closing);
    return NULL;
}

/* Signals are for the thread that made it. */
static int start_thread(Closing *closing) {
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, CLOSER_STACK_BYTES);
    r = pthread_create(&thread, &attributes, close_all, closing);
    (void)pthread_attr_destroy(&attributes);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

void descriptors_close_aside(const int *fds, size_t n) {
    Closing *closing = n > 0 ? malloc(sizeof(*closing) + n * sizeof(*fds)) : NULL;

    if (closing) {
        closing->n = n;
        memcpy(closing->fds, fds, n * sizeof(*fds));
        if (start_thread(closing) == 0)
            return;
        free(closing);
    }
    for (size_t i = 0; i < n; i++)
        (void)close(fds[i]);
}

void descriptor_close_aside(int fd) {
    if (fd >= 0)
        descriptors_close_aside(&fd, 1);
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
