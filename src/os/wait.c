/* SPDX-License-Identifier: MIT */
/*
 * What is ready is kept as the kernel gave it, in a fixed array that is handed out from the front. Removing a
 * source takes it out of the array too, so that nothing in it ever leads to an owner that is gone. The set is
 * level-triggered: what was not handed out, or did not fit, is simply reported by the next poll.
 */
#include "os/wait.h"

#include "base/error.h"
#include "base/units.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#define READY_MAX 64

struct Wait {
    int epoll_fd;
    int timer_fd;
    uint64_t timer_ns;  /* what it is set to; 0 when it is not set or has been seen to expire */
    bool timer_ready;   /* the timer's descriptor was readable in the latest poll */
    bool is_coarse;     /* waits in milliseconds: for Linux before 5.11, and for valgrind 3.19 */
    unsigned n_sources;
    int first;          /* of ready[], not yet handed out */
    int n_ready;
    struct epoll_event ready[READY_MAX]; /* data.ptr: a WaitSource; NULL when removed, or for the timer */
};

static uint32_t to_epoll(uint32_t events) {
    return (events & WAIT_READ ? EPOLLIN : 0u) | (events & WAIT_WRITE ? EPOLLOUT : 0u);
}

static uint32_t from_epoll(uint32_t events) {
    return (events & EPOLLIN ? WAIT_READ : 0) | (events & EPOLLOUT ? WAIT_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? WAIT_HANGUP : 0);
}

static struct timespec to_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)};
}

/* How long it is until @until_ns. Return: @buffer, or NULL for ever. */
static const struct timespec *remaining(uint64_t until_ns, struct timespec *buffer) {
    uint64_t now;

    if (until_ns == UINT64_MAX)
        return NULL;
    now = until_ns ? clock_now_ns() : 0;
    *buffer = to_timespec(until_ns > now ? until_ns - now : 0);
    return buffer;
}

static int remaining_ms(uint64_t until_ns) {
    struct timespec left;
    uint64_t ms;

    if (!remaining(until_ns, &left))
        return -1;
    ms = (uint64_t)left.tv_sec * 1000 + ((uint64_t)left.tv_nsec + NS_PER_MS - 1) / NS_PER_MS;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* A time-out is a timer that the kernel sets up and takes down again: none where ours wakes us in time. */
static int gather(Wait *wait, uint64_t until_ns) {
    struct timespec timeout;
    int n = -1;

    if (wait->timer_ns && wait->timer_ns <= until_ns)
        until_ns = UINT64_MAX;
    if (!wait->is_coarse)
        n = epoll_pwait2(wait->epoll_fd, wait->ready, READY_MAX, remaining(until_ns, &timeout), NULL);
    if (n < 0 && (wait->is_coarse || errno == ENOSYS)) {
        wait->is_coarse = true;
        n = epoll_wait(wait->epoll_fd, wait->ready, READY_MAX, remaining_ms(until_ns));
    }
    return n;
}

int wait_new(Wait **ret) {
    _cleanup_(wait_freep) Wait *wait = calloc(1, sizeof(*wait));
    struct epoll_event event = {.events = EPOLLIN};

    if (!wait)
        return error_origin(-ENOMEM);
    wait->timer_fd = -1;
    wait->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (wait->epoll_fd < 0)
        return error_errno();
    wait->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (wait->timer_fd < 0)
        return error_errno();
    if (epoll_ctl(wait->epoll_fd, EPOLL_CTL_ADD, wait->timer_fd, &event) < 0)
        return error_errno();
    *ret = TAKE(wait);
    return 0;
}

Wait *wait_free(Wait *wait) {
    if (!wait)
        return NULL;
    /* A source that is still added would lead to freed memory. */
    assert(wait->n_sources == 0);
    fd_close(wait->timer_fd);
    fd_close(wait->epoll_fd);
    free(wait);
    return NULL;
}

void wait_abandon(Wait *wait) {
    wait->epoll_fd = fd_close(wait->epoll_fd);
    wait->timer_fd = fd_close(wait->timer_fd);
    wait->first = wait->n_ready = 0;
    wait->timer_ready = false;
}

int wait_get_fd(const Wait *wait) {
    return wait->epoll_fd;
}

/*
 * Who waits for nothing is not in the set: a message queue wakes all whose set has it, at each message that
 * comes or goes and whatever they wait for, so that one exchange would wake every client of its user.
 */
static int watch(Wait *wait, WaitSource *source, int fd, uint32_t before, uint32_t events) {
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = source};
    int operation = events == 0 ? EPOLL_CTL_DEL : before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (before == events)
        return 0;
    return epoll_ctl(wait->epoll_fd, operation, fd, &event) < 0 ? error_errno() : 0;
}

int wait_add(Wait *wait, WaitSource *source, int fd, uint32_t events, uint32_t kind, void *owner) {
    int r;

    assert(!source->wait);
    r = watch(wait, source, fd, 0, events);
    if (r < 0)
        return r;
    *source = (WaitSource){.wait = wait, .fd = fd, .events = events, .kind = kind, .owner = owner};
    wait->n_sources++;
    return 0;
}

int wait_modify(WaitSource *source, uint32_t events) {
    int r = watch(source->wait, source, source->fd, source->events, events);

    if (r == 0)
        source->events = events;
    return r;
}

void wait_remove(WaitSource *source) {
    Wait *wait = source->wait;
    int r;

    if (!wait)
        return;
    /*
     * The kernel forgets a descriptor by itself only when the last of its description is closed, and ours are
     * passed around. So a source goes before its descriptor does: otherwise its events would come for ever,
     * to nobody.
     */
    r = wait->epoll_fd < 0 ? 0 : watch(wait, source, source->fd, source->events, 0);
    assert(r == 0);
    (void)r;
    for (int i = wait->first; i < wait->n_ready; i++)
        if (wait->ready[i].data.ptr == source)
            wait->ready[i].data.ptr = NULL;
    wait->n_sources--;
    source->wait = NULL;
    source->fd = -1;
}

int wait_set_timer(Wait *wait, uint64_t at_ns) {
    struct itimerspec timer = {.it_value = to_timespec(at_ns)};

    if (at_ns == wait->timer_ns)
        return 0;
    if (timerfd_settime(wait->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL) < 0)
        return error_errno();
    wait->timer_ns = at_ns;
    return 0;
}

int wait_poll(Wait *wait, uint64_t until_ns) {
    int n = gather(wait, until_ns);

    wait->first = 0;
    wait->n_ready = n < 0 ? 0 : n;
    if (n < 0)
        return errno == EINTR ? 0 : error_errno();
    for (int i = 0; i < n; i++)
        if (!wait->ready[i].data.ptr)
            wait->timer_ready = true;
    return 0;
}

bool wait_is_ready(const Wait *wait) {
    struct pollfd pollfd = {.fd = wait->epoll_fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) != 0;
}

WaitSource *wait_next(Wait *wait, uint32_t *ret_events) {
    while (wait->first < wait->n_ready) {
        const struct epoll_event *ready = &wait->ready[wait->first++];
        WaitSource *source = ready->data.ptr;
        uint32_t events;

        if (!source)
            continue;
        /* What is wanted may have changed since the poll. */
        events = from_epoll(ready->events) & (source->events | WAIT_HANGUP);
        if (!events)
            continue;
        *ret_events = events;
        return source;
    }
    return NULL;
}

bool wait_timer_expired(Wait *wait) {
    uint64_t n_expired;

    if (!wait->timer_ready)
        return false;
    wait->timer_ready = false;
    /* Nothing to read: it was set to a later time after the poll. */
    if (read(wait->timer_fd, &n_expired, sizeof(n_expired)) != sizeof(n_expired))
        return false;
    wait->timer_ns = 0;
    return true;
}

uint64_t clock_now_ns(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t clock_real_us(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec) / NS_PER_US;
}

uint64_t clock_coarse_ns(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t clock_cpu_ns(void) {
    struct timespec spent;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * NS_PER_SEC + (uint64_t)spent.tv_nsec;
}

uint64_t clock_boot_us(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return ((uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec) / NS_PER_US;
}

int wait_for_fd(int fd, uint32_t events, uint64_t until_ns) {
    short wanted = (short)((events & WAIT_READ ? POLLIN : 0) | (events & WAIT_WRITE ? POLLOUT : 0));
    struct pollfd pollfd = {.fd = fd, .events = wanted};
    struct timespec timeout;
    int n = ppoll(&pollfd, 1, remaining(until_ns, &timeout), NULL);

    if (n < 0)
        return errno == EINTR ? 0 : error_errno();
    if (pollfd.revents & POLLNVAL)
        return error_origin(-EBADF);
    return (int)((pollfd.revents & POLLIN ? WAIT_READ : 0) | (pollfd.revents & POLLOUT ? WAIT_WRITE : 0) |
                 (pollfd.revents & (POLLHUP | POLLERR) ? WAIT_HANGUP : 0));
}
