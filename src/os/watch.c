/* SPDX-License-Identifier: MIT */
#include "os/watch.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* An event of a watched file carries no name: each read of this size gets exactly one. */
typedef struct inotify_event RawEvent;

static uint32_t to_inotify(uint32_t events) {
    return (events & WATCH_UNLINKED ? IN_ATTRIB : 0u) | (events & WATCH_OPENED ? IN_OPEN : 0u) |
           (events & WATCH_CLOSED ? IN_CLOSE : 0u) | (events & WATCH_GONE ? IN_DELETE_SELF : 0u);
}

static uint32_t from_inotify(uint32_t mask) {
    return (mask & IN_ATTRIB ? WATCH_UNLINKED : 0) | (mask & IN_OPEN ? WATCH_OPENED : 0) |
           (mask & IN_CLOSE ? WATCH_CLOSED : 0) | (mask & IN_DELETE_SELF ? WATCH_GONE : 0) |
           (mask & IN_Q_OVERFLOW ? WATCH_LOST : 0);
}

int watch_new(int *ret_watch) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return error_errno();
    *ret_watch = fd;
    return 0;
}

/* Through /proc, so that it is this object that is watched, whatever its name leads to by now. */
int watch_add(int watch, int fd, uint32_t events, int *ret_id) {
    char path[32];
    int id;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    id = inotify_add_watch(watch, path, to_inotify(events));
    if (id < 0)
        return error_errno();
    *ret_id = id;
    return 0;
}

void watch_remove(int watch, int id) {
    /* Where the object is gone, the kernel has removed it. */
    if (id >= 0)
        (void)inotify_rm_watch(watch, id);
}

bool watch_next(int watch, int *ret_id, uint32_t *ret_events) {
    RawEvent event;

    while (read(watch, &event, sizeof(event)) == (ssize_t)sizeof(event)) {
        uint32_t events = from_inotify(event.mask);

        if (!events)
            continue;
        *ret_id = event.wd;
        *ret_events = events;
        return true;
    }
    return false;
}

bool object_has_name(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int object_claim(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EAGAIN : error_errno();
}

bool object_is_claimed(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
