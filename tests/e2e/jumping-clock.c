/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded, under which the wall clock jumps: with every third look at it by an hour, forth
 * and back. The other clocks are left alone.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static time_t jump(void) {
    static atomic_uint n_looks;
    static const time_t hours[] = {0, 1, -1};

    return 3600 * hours[n_looks++ / 3 % 3];
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec *now) {
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jump();
    return r;
}

EXPORTED int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return 0;
}

EXPORTED time_t time(time_t *now) {
    struct timespec precise;

    (void)clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
