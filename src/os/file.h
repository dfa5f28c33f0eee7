/* SPDX-License-Identifier: MIT */
/*
 * Files that are kept: one folder of our own, and files in it that are there as a whole or not at all
 *
 * A file is written under a temporary name, synced, and renamed; what a kill leaves has the temporary name.
 * Nothing here follows a symbolic link in the last part of a path. Everything may take as long as a disk
 * takes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * folder_open() - open a folder
 * @make:       make it first, with what leads to it, mode 0700
 * Return: 0; -EPERM if it was to be made and there is one that is not this user's alone; or another negative
 * errno.
 */
int folder_open(const char *path, bool make, int *ret_fd);

/**
 * folder_lock() - exclude all others who lock it, until the descriptor is closed or folder_unlock(). Waits.
 */
int folder_lock(int folder);
void folder_unlock(int folder);

/** file_lock() - likewise one file, and do not wait. Return: 0, -EWOULDBLOCK, or another negative errno. */
int file_lock(int fd);

/**
 * folder_list() - the names in it but "." and "..", one allocation, NULL-terminated. Return: 0 or negative
 * errno.
 */
int folder_list(int folder, char ***ret_names);

/**
 * file_create() - make a new file of @bytes, mode 0600, in place of one of that name
 *
 * Its room is taken from the disk, where the file system can do that.
 * Return: 0, -ENOSPC, or another negative errno; then there is no such file.
 */
int file_create(int folder, const char *name, uint64_t bytes, int *ret_fd);

/**
 * file_open() - open a regular file to read. Return: 0; -EBADMSG if it is something else; or another negative
 * errno.
 */
int file_open(int folder, const char *name, int *ret_fd, uint64_t *ret_bytes);

/**
 * file_read() / file_write() - exactly @bytes at @at. Return: 0, -ENODATA where the file ends before, or
 * negative errno.
 */
int file_read(int fd, uint64_t at, void *data, size_t bytes);
int file_write(int fd, uint64_t at, const void *data, size_t bytes);

/**
 * file_copy() - copy up to @bytes, within the kernel
 *
 * Whoever shrinks or punches @from meanwhile shortens the copy or gets zeros into it, and does no harm.
 * Return: 0 with how many were copied, fewer only where @from ends; or negative errno.
 */
int file_copy(int to, uint64_t to_at, int from, uint64_t from_at, uint64_t bytes, uint64_t *ret_copied);

/** file_resize() - Return: 0 or negative errno. */
int file_resize(int fd, uint64_t bytes);

/** file_sync() - wait until what was written is on the disk. Return: 0 or negative errno. */
int file_sync(int fd);

/**
 * file_name() - give it its name for good, and sync the folder. Return: 0, -EEXIST if there is one of that
 * name, or another negative errno.
 */
int file_name(int folder, const char *temporary, const char *name);

/** file_remove() - Return: 0, -ENOENT, or another negative errno. */
int file_remove(int folder, const char *name);
