/* SPDX-License-Identifier: MIT */
#include "os/mapping.h"

#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

/* Linux 5.14 and 6.1, younger than some C libraries. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

uint64_t round_to_huge(uint64_t bytes) {
    if (bytes > UINT64_MAX - (HUGE_BYTES - 1))
        return UINT64_MAX;
    return (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
}

/* ---- a place ---- */

/* Address space that nobody uses: @bytes that begin where @offset does within a huge page. */
static int find_place(uint64_t offset, uint64_t bytes, char **ret) {
    uint64_t room = bytes + HUGE_BYTES, before, after;
    char *start;

    if (room < bytes)
        return error_origin(-ENOMEM);
    start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return error_memory();
    before = (offset - (uintptr_t)start) % HUGE_BYTES;
    after = HUGE_BYTES - before;
    if (before > 0)
        (void)munmap(start, before);
    (void)munmap(start + before + bytes, after);
    *ret = start + before;
    return 0;
}

/* A mapping that holds no huge page may lie anywhere. */
static bool wants_place(uint64_t bytes) {
    return bytes >= HUGE_BYTES;
}

/* As mmap(), in a place of its own where that is worth it. */
static int map_at(uint64_t bytes, int protection, int flags, int fd, uint64_t offset, void **ret) {
    char *place = NULL;
    void *map;
    int r = wants_place(bytes) ? find_place(offset, bytes, &place) : 0;

    if (r < 0)
        return r;
    map = mmap(place, bytes, protection, flags | (place ? MAP_FIXED : 0), fd, (off_t)offset);
    if (map == MAP_FAILED) {
        r = error_memory();
        mapping_free(place, bytes);
        return r;
    }
    *ret = map;
    return 0;
}

/* ---- of an object ---- */

int mapping_new(int fd, uint64_t offset, uint64_t bytes, bool writable, void **ret_map) {
    int r = map_at(bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, offset, ret_map);

    /* Payloads stay out of core dumps. A refusal only makes the dump bigger. */
    if (r == 0)
        (void)madvise(*ret_map, bytes, MADV_DONTDUMP);
    return r;
}

static bool is_in_place(const void *map, uint64_t offset) {
    return ((uintptr_t)map - offset) % HUGE_BYTES == 0;
}

int mapping_resize(void *map, uint64_t offset, uint64_t old_bytes, uint64_t bytes, void **ret_map) {
    bool stays = !wants_place(bytes) || is_in_place(map, offset);
    char *place = NULL;
    void *moved = MAP_FAILED;
    int r;

    if (stays)
        moved = mremap(map, old_bytes, bytes, wants_place(bytes) ? 0 : MREMAP_MAYMOVE);
    if (moved == MAP_FAILED && wants_place(bytes)) {
        r = find_place(offset, bytes, &place);
        if (r < 0)
            return r;
        moved = mremap(map, old_bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    }
    if (moved == MAP_FAILED) {
        r = error_memory();
        mapping_free(place, bytes);
        return r;
    }
    *ret_map = moved;
    return 0;
}

void mapping_free(void *map, uint64_t bytes) {
    if (map)
        (void)munmap(map, bytes);
}

int mapping_collapse(int fd, uint64_t offset, uint64_t bytes) {
    void *map = NULL;
    int r = mapping_new(fd, offset, bytes, true, &map);

    if (r < 0)
        return r;
    r = madvise(map, bytes, MADV_COLLAPSE) < 0 ? error_errno() : 0;
    mapping_free(map, bytes);
    return r;
}

/* ---- private ---- */

/* What cannot be huge, or be there at once, is had page by page as it is touched. */
static void populate(char *data, uint64_t from, uint64_t bytes, bool huge) {
    if (huge && bytes >= HUGE_BYTES)
        (void)madvise(data, bytes, MADV_HUGEPAGE); /* all of it: mremap() wants it to be of one kind */
    if (bytes > from)
        (void)madvise(data + from, bytes - from, MADV_POPULATE_WRITE);
}

int private_new(uint64_t bytes, bool huge, void **ret_data) {
    void *data = NULL;
    int r = map_at(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &data);

    if (r < 0)
        return r;
    (void)madvise(data, bytes, MADV_DONTDUMP);
    populate(data, 0, bytes, huge);
    *ret_data = data;
    return 0;
}

int private_resize(void *data, uint64_t old_bytes, uint64_t bytes, bool huge, void **ret_data) {
    int r;

    if (bytes == 0) {
        private_free(data, old_bytes);
        *ret_data = NULL;
        return 0;
    }
    if (!data)
        return private_new(bytes, huge, ret_data);
    r = mapping_resize(data, 0, old_bytes, bytes, ret_data);
    if (r == 0)
        populate(*ret_data, old_bytes, bytes, huge);
    return r;
}

void private_free(void *data, uint64_t bytes) {
    mapping_free(data, bytes);
}
