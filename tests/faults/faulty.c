/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded, which makes the n-th call of one function fail
 *
 *     FAULTY_CALL=mmap FAULTY_N=3 FAULTY_ERRNO=12 FAULTY_LOG=/tmp/log LD_PRELOAD=libfaulty.so shmipc run host
 *
 * It stands between a program (or a library of it) and libc, one stub for each function of calls.h. A stub
 * counts, and hands on what it was given: up to six numbers or pointers, whatever their types, which on
 * 64-bit machines travel the same way. Without FAULTY_N nothing fails and the log gets the name of each call;
 * otherwise it gets the name of the one that failed.
 *
 * It counts for a process and all that it forks. What they execute is not concerned: the variables are taken
 * out of the environment at the start.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long Call(long, long, long, long, long, long);

enum {
#define RETURNS(failure, name) AT_##name,
#include "calls.h"
#undef RETURNS
    N_CALLS
};

static const char *const names[N_CALLS] = {
#define RETURNS(failure, name) #name,
#include "calls.h"
#undef RETURNS
};

static Call *calls[N_CALLS];
static const char *log_path; /* NULL: not begun, or of no interest */
static int chosen = -1;
static unsigned long wanted; /* 0: all are to be logged */
static int error;
static atomic_ulong *n_seen; /* shared with what is forked */

/* By bare system calls, since everything else may be a stub. */
static void write_log(const char *name) {
    char line[64];
    size_t bytes = strlen(name);
    int before = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);

    memcpy(line, name, bytes);
    line[bytes++] = '\n';
    if (fd >= 0) {
        (void)syscall(SYS_write, fd, line, bytes);
        (void)syscall(SYS_close, fd);
    }
    errno = before;
}

/*
 * What is spared: libconfig, which does not look whether it got memory and crashes by itself; taking
 * something out of an epoll set, which needs nothing that could be short; ringing an eventfd, whose bell
 * rings already if it is full.
 */
static int is_spared(int call, long second, long third, void *caller) {
    Dl_info where;

    if (call == AT_epoll_ctl)
        return second == EPOLL_CTL_DEL;
    if (call == AT_write)
        return third == sizeof(uint64_t);
    return call <= AT_strndup && dladdr(caller, &where) && where.dli_fname &&
           strstr(where.dli_fname, "/libconfig.so");
}

/* Return: whether this call is the one. */
static int fails(int call, long second, long third, void *caller) {
    if (!log_path || (wanted != 0 && call != chosen) || is_spared(call, second, third, caller))
        return 0;
    if (wanted == 0)
        write_log(names[call]);
    if (wanted == 0 || ++*n_seen != wanted)
        return 0;
    write_log(names[call]);
    errno = error;
    return 1;
}

/* What a function returns when it fails: NULL and errno, -1 and errno, or the errno itself. */
#define FAILURE_NULL  0
#define FAILURE_MINUS -1
#define FAILURE_ERRNO error

#define RETURNS(failure, name)                                                                               \
    __attribute__((visibility("default"))) long stub_##name(long a, long b, long c, long d, long e,          \
                                                            long f) __asm__(#name);                          \
    long stub_##name(long a, long b, long c, long d, long e, long f) {                                       \
        if (!calls[AT_##name])                                                                               \
            calls[AT_##name] = (Call *)dlsym(RTLD_NEXT, #name);                                              \
        return fails(AT_##name, b, c, __builtin_return_address(0)) ? FAILURE_##failure                       \
                                                                   : calls[AT_##name](a, b, c, d, e, f);     \
    }
#include "calls.h"
#undef RETURNS

static char *take(const char *name) {
    char *value = getenv(name);

    if (value)
        unsetenv(name);
    return value; /* it stays where it was */
}

static __attribute__((constructor)) void begin(void) {
    const char *call = take("FAULTY_CALL"), *n = take("FAULTY_N"), *number = take("FAULTY_ERRNO");
    const char *path = take("FAULTY_LOG");

    unsetenv("LD_PRELOAD");
    for (int i = 0; call && i < N_CALLS; i++)
        if (strcmp(names[i], call) == 0)
            chosen = i;
    wanted = n ? strtoul(n, NULL, 10) : 0;
    error = number ? atoi(number) : 0;
    n_seen = (atomic_ulong *)syscall(SYS_mmap, NULL, sizeof(*n_seen), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_path = (long)n_seen == -1 ? NULL : path;
}
