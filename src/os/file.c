/* SPDX-License-Identifier: MIT */
#include "os/file.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

/* Every folder on the way to the last one, and that one. */
static int make_folders(const char *path) {
    _cleanup_free_ char *copy = strdup(path);

    if (!copy)
        return error_origin(-ENOMEM);
    for (char *at = copy + 1;; at++) {
        char end = *at;

        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return error_errno();
        if (end == '\0')
            return 0;
        *at = end;
    }
}

static int check_owner(int fd) {
    struct stat is;

    if (fstat(fd, &is) < 0)
        return error_errno();
    return is.st_uid == geteuid() && !(is.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : error_origin(-EPERM);
}

int folder_open(const char *path, bool make, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    int r = make ? make_folders(path) : 0;

    if (r < 0)
        return r;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno();
    r = make ? check_owner(fd) : 0;
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int folder_lock(int folder) {
    int r;

    do
        r = flock(folder, LOCK_EX);
    while (r < 0 && errno == EINTR);
    return r < 0 ? error_errno() : 0;
}

int file_lock(int fd) {
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? error_errno() : 0;
}

void folder_unlock(int folder) {
    (void)flock(folder, LOCK_UN);
}

static void closedirp(DIR **directory) {
    if (*directory)
        closedir(*directory);
}

/* A list and its strings in one piece of memory: first see how big, then fill it. */
typedef struct Names {
    size_t n;
    size_t bytes;
    char **list; /* NULL: only count */
    char *text;
} Names;

/* Return: 0, -ERANGE if there are more than were counted, or another negative errno. */
static int walk(DIR *directory, Names *names) {
    const Names room = *names;
    struct dirent *entry;

    names->n = names->bytes = 0;
    rewinddir(directory);
    while (errno = 0, (entry = readdir(directory))) {
        size_t bytes = strlen(entry->d_name) + 1;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (room.list && (names->n == room.n || bytes > room.bytes - names->bytes))
            return -ERANGE;
        if (room.list)
            room.list[names->n] = memcpy(room.text + names->bytes, entry->d_name, bytes);
        names->n++;
        names->bytes += bytes;
    }
    return errno ? error_errno() : 0;
}

static int list(DIR *directory, char ***ret_names) {
    Names names = {0};
    int r = walk(directory, &names);

    if (r < 0)
        return r;
    names.list = malloc((names.n + 1) * sizeof(char *) + names.bytes);
    if (!names.list)
        return error_origin(-ENOMEM);
    names.text = (char *)(names.list + names.n + 1);
    r = walk(directory, &names);
    if (r < 0) {
        free(names.list);
        return r;
    }
    names.list[names.n] = NULL;
    *ret_names = names.list;
    return 0;
}

int folder_list(int folder, char ***ret_names) {
    _cleanup_(closedirp) DIR *directory = NULL;
    int r, fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_errno();
    directory = fdopendir(fd);
    if (!directory) {
        fd_close(fd);
        return error_errno();
    }
    do
        r = list(directory, ret_names); /* one may have come meanwhile */
    while (r == -ERANGE);
    return r;
}

/* Take the room now, so that a full disk is seen before anything is copied. */
static int take_room(int fd, uint64_t bytes) {
    if (bytes == 0 || fallocate(fd, 0, 0, (off_t)bytes) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? file_resize(fd, bytes) : error_errno();
}

int file_create(int folder, const char *name, uint64_t bytes, int *ret_fd) {
    int fd, r;

    (void)unlinkat(folder, name, 0);
    fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno();
    r = take_room(fd, bytes);
    if (r < 0) {
        (void)unlinkat(folder, name, 0);
        fd_close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int file_open(int folder, const char *name, int *ret_fd, uint64_t *ret_bytes) {
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat is;

    if (fd < 0)
        return errno == ELOOP ? error_origin(-EBADMSG) : error_errno();
    if (fstat(fd, &is) < 0)
        return error_errno();
    if (!S_ISREG(is.st_mode))
        return error_origin(-EBADMSG);
    *ret_fd = TAKE_FD(fd);
    *ret_bytes = (uint64_t)is.st_size;
    return 0;
}

int file_read(int fd, uint64_t at, void *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = pread(fd, data, bytes, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno();
        if (n == 0)
            return error_origin(-ENODATA);
        data = (char *)data + n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

int file_write(int fd, uint64_t at, const void *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = pwrite(fd, data, bytes, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno();
        data = (const char *)data + n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

int file_copy(int to, uint64_t to_at, int from, uint64_t from_at, uint64_t bytes, uint64_t *ret_copied) {
    off_t at = (off_t)from_at;
    uint64_t left = bytes;

    if (lseek(to, (off_t)to_at, SEEK_SET) < 0)
        return error_errno();
    while (left > 0) {
        ssize_t n = sendfile(to, from, &at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno();
        if (n == 0)
            break;
        left -= (uint64_t)n;
    }
    *ret_copied = bytes - left;
    return 0;
}

int file_resize(int fd, uint64_t bytes) {
    return ftruncate(fd, (off_t)bytes) < 0 ? error_errno() : 0;
}

int file_sync(int fd) {
    return fsync(fd) < 0 ? error_errno() : 0;
}

int file_name(int folder, const char *temporary, const char *name) {
    if (renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) < 0) {
        if (errno != EINVAL) /* the file system cannot do that */
            return error_errno();
        if (linkat(folder, temporary, folder, name, 0) < 0 || unlinkat(folder, temporary, 0) < 0)
            return error_errno();
    }
    return file_sync(folder);
}

int file_remove(int folder, const char *name) {
    return unlinkat(folder, name, 0) < 0 ? error_errno() : 0;
}
