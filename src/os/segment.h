/* SPDX-License-Identifier: MIT */
/*
 * Segments: windows in POSIX shared memory
 *
 * An object is a POSIX shared memory object (shm_open), known by a descriptor. A segment is a window of it:
 * `offset` to `offset + capacity`, of which the first `bytes` are in memory. It is grown by posix_fallocate,
 * so that a full file system is an error here and not a SIGBUS at the first touch, and given back by punching
 * a hole. A mapping is this process's view of the segment and is made anew when the segment's size differs
 * from it.
 *
 * Growing makes one huge page of each block of 2 MiB that then lies in the segment whole (os/mapping.h), in a
 * sixth of the time that its pages would take. So a segment never holds more than its bytes, whatever its
 * pages are. Where there are no huge pages to be had, or not now, it has small ones.
 *
 * A Segment does not own its descriptor: one object carries many windows. It owns its mapping. Not
 * thread-safe; one thread at a time.
 */
#pragma once

#include "base/cleanup.h"
#include "os/mapping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES UINT64_C(4096)

typedef struct Segment {
    int fd;            /* borrowed */
    bool writable;     /* what mappings are made with */
    HugePages huge;    /* that growing makes; HUGE_NEVER where the system turned out to have none */
    uint64_t offset;   /* of the window in the object */
    uint64_t capacity; /* of the window; the segment never exceeds it */
    uint64_t bytes;    /* of the segment, whole pages: what is allocated (writer) or published (reader) */
    void *map;         /* NULL while not mapped */
    uint64_t map_bytes;
    bool torn;         /* the guard has put zeros into the mapping: it is made anew even if its size fits */
} Segment;

#define SEGMENT_NULL {.fd = -1}

/** round_to_pages() - @bytes rounded up to whole pages; UINT64_MAX if that overflows. */
uint64_t round_to_pages(uint64_t bytes);

/**
 * object_create() - make a shared memory object of @bytes, sparse, mode 0600, and unlink it at once
 * @name:       "/name"; it is there for a moment, so that a kill can leave it behind (object_unlink() sweeps)
 * @ret_fd:     read-write, close-on-exec
 * Return: 0, or a negative errno; -EEXIST if the name is taken.
 */
int object_create(const char *name, uint64_t bytes, int *ret_fd);

/**
 * object_connect() - a descriptor of the same object with rights of its own: read-only, or read-write if
 * @writable.
 * Return: 0 or negative errno.
 */
int object_connect(int fd, bool writable, int *ret_fd);

/** object_usage() - the bytes that the object holds in memory. Return: 0 or negative errno. */
int object_usage(int fd, uint64_t *ret_bytes);

/**
 * object_block() - what the object's memory is counted in: bytes of a page, or of a huge one.
 * Return: 0 or negative errno.
 */
int object_block(int fd, uint64_t *ret_bytes);

/**
 * object_allocate() - put memory behind this part of the object, which grows if it ends before. Return: 0;
 * -ENOSPC, with a full file system as it was; or another negative errno.
 */
int object_allocate(int fd, uint64_t offset, uint64_t bytes);

/** object_punch() - give back the memory of this part of the object. Return: 0 or negative errno. */
int object_punch(int fd, uint64_t offset, uint64_t bytes);

/** object_size() - the object's size in bytes, holes with it. Return: 0 or negative errno. */
int object_size(int fd, uint64_t *ret_bytes);

/**
 * object_unlink() - remove what a kill during object_create() has left, if it is this user's.
 * Return: 0, also when there is none; -EPERM; or negative errno.
 */
int object_unlink(const char *name);

/**
 * segment_init() - a window of an object; nothing is allocated or mapped. `huge` is HUGE_NEVER, and the
 * caller's to set.
 */
void segment_init(Segment *segment, int fd, bool writable, uint64_t offset, uint64_t capacity);

/**
 * segment_round() - the size that a segment for @bytes is to have: whole pages, or whole huge ones
 * (HUGE_ALWAYS) as far as the window reaches. More than the capacity if @bytes are.
 */
uint64_t segment_round(const Segment *segment, uint64_t bytes);

/**
 * segment_resize() - writer: make the segment exactly @bytes (whole pages) big
 *
 * Growing allocates, shrinking punches. The mapping is left alone.
 * Return: 0; -EINVAL if not whole pages; -EFBIG over the capacity; -ENOSPC when the file system is full, the
 * segment being as it was; another negative errno.
 */
int segment_resize(Segment *segment, uint64_t bytes);

/** segment_published() - reader: the size that the other side published. */
void segment_published(Segment *segment, uint64_t bytes);

/**
 * segment_remap() - make the mapping fit the segment, if it does not already
 * Return: 0 (segment->map is NULL if the segment is empty); -EINVAL for a size that is not whole pages or
 * exceeds the capacity; or another negative errno.
 */
int segment_remap(Segment *segment);

/** segment_disconnect() - unmap. The descriptor stays open. */
void segment_disconnect(Segment *segment);

/**
 * segment_read() - pread of exactly @bytes from @at of the window into @data.
 * Return: 0, -ENODATA if the object ends before, or negative errno.
 */
int segment_read(const Segment *segment, uint64_t at, void *data, size_t bytes);

/** segment_write() - pwrite of exactly @bytes to @at of the window. Return: 0, -ENOSPC, or negative errno. */
int segment_write(const Segment *segment, uint64_t at, const void *data, size_t bytes);

/*
 * The plain wire's segment is a whole object that keeps its name and that either side resizes
 * (docs/protocol.md, section 7).
 */

/**
 * named_object_open() - open "/name", or make it empty with mode 0600.
 * Return: 0 or negative errno; -EPERM if it is another user's.
 */
int named_object_open(const char *name, int *ret_fd);

/** named_object_resize() - ftruncate to @bytes and allocate them. Return: 0, -ENOSPC, or negative errno. */
int named_object_resize(int fd, uint64_t bytes);

/** named_object_same() - whether the name still leads to the object of @fd. */
bool named_object_same(const char *name, int fd);

/**
 * segment_guard_install() - from now on, a SIGBUS from touching a mapped segment, whose memory somebody else
 * took away, puts zeros there instead of ending the process. Process-wide: for the daemon, not for the
 * library unless asked. Return: 0 or negative errno.
 */
int segment_guard_install(void);

/**
 * segment_guard_begin() - watch this segment's mapping for this thread, one at a time; it is not remapped
 * meanwhile.
 */
void segment_guard_begin(Segment *segment);

/**
 * segment_guard_end() - stop watching.
 * Return: whether memory went missing meanwhile; the next segment_remap() then maps anew.
 */
bool segment_guard_end(void);
