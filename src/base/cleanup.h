/* SPDX-License-Identifier: MIT */
/*
 * Cleanup by scope
 *
 * A variable marked with _cleanup_(f) has f(&variable) called when its scope ends, on every path. A heap
 * object has `X *x_free(X *)`, which takes NULL and returns NULL; DEFINE_CLEANUP(X, x_free) makes the
 * `x_freep` that goes with it. What is handed on is taken out of the variable with TAKE().
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

#define DEFINE_CLEANUP(Type, function)                                                                       \
    static inline void function##p(Type **object) {                                                          \
        function(*object);                                                                                   \
    }

/** TAKE() - the value of a pointer variable, which is left NULL. */
#define TAKE(pointer)                                                                                        \
    ({                                                                                                       \
        __typeof__(pointer) taken_ = (pointer);                                                              \
        (pointer) = NULL;                                                                                    \
        taken_;                                                                                              \
    })

/** TAKE_FD() - the value of a descriptor variable, which is left -1. */
#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int taken_ = (fd);                                                                                   \
        (fd) = -1;                                                                                           \
        taken_;                                                                                              \
    })

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static inline void freep(void *pointer) {
    free(*(void **)pointer);
}

/** fd_close() - close a descriptor unless it is negative; errno is kept. Return: always -1. */
static inline int fd_close(int fd) {
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return -1;
}

static inline void fd_closep(int *fd) {
    fd_close(*fd);
}

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(fd_closep)
