/* SPDX-License-Identifier: MIT */
/*
 * Pages: small shared memory that can never fault
 *
 * A memfd of fixed size, mode 0600, sealed against shrinking, growing and further seals, with its memory
 * allocated. What others get is a descriptor that was reopened with the rights they may have.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Page {
    int fd;       /* owned */
    void *map;    /* owned */
    size_t bytes;
} Page;

#define PAGE_NULL {.fd = -1}

/**
 * page_init_create() - make and map one, read-write. @name shows up in /proc/PID/maps.
 * Return: 0 or negative errno.
 */
int page_init_create(Page *page, const char *name, size_t bytes);

/**
 * page_init_sparse() - likewise, without memory: what is touched before page_allocate() has been there is a
 * hole, which reads as zeros while there is memory at all.
 */
int page_init_sparse(Page *page, const char *name, size_t bytes);

/** page_allocate() - have memory behind a range. Return: 0 or negative errno. */
int page_allocate(const Page *page, size_t offset, size_t bytes);

/**
 * page_init_connect() - map one that was received; takes @fd over, also on failure
 * Return: 0; -EBADMSG if it is no sealed memfd of exactly @bytes (rounded up to whole pages); or negative
 * errno.
 */
int page_init_connect(Page *page, int fd, size_t bytes, bool writable);

/** page_reopen() - a descriptor of one's own, read-only or read-write. Return: 0 or negative errno. */
int page_reopen(const Page *page, bool writable, int *ret_fd);

void page_deinit(Page *page);

/**
 * canary_new() - memory that tells a child after fork from its parent: it reads 1 here, and 0 there
 * Return: 0 or negative errno.
 */
int canary_new(const volatile char **ret_canary);

/** canary_free() - takes NULL. */
void canary_free(const volatile char *canary);
