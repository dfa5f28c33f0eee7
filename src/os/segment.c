/* SPDX-License-Identifier: MIT */
#include "os/segment.h"

#include "base/error.h"
#include "base/probe.h"
#include "os/descriptor.h"
#include "os/file.h"
#include "os/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- the life of a segment, in its order ---- */

uint64_t round_to_pages(uint64_t bytes) {
    if (bytes > UINT64_MAX - (PAGE_BYTES - 1))
        return UINT64_MAX;
    return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

int object_create(const char *name, uint64_t bytes, int *ret_fd) {
    _cleanup_close_ int fd = -1;

    if (bytes > INT64_MAX)
        return error_origin(-EFBIG);
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno();
    if (shm_unlink(name) < 0 && errno != ENOENT) /* who sweeps may have been faster */
        return error_errno();
    if (ftruncate(fd, (off_t)bytes) < 0)
        return error_errno();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int object_connect(int fd, bool writable, int *ret_fd) {
    return descriptor_reopen(fd, writable ? O_RDWR : O_RDONLY, ret_fd);
}

void segment_init(Segment *segment, int fd, bool writable, uint64_t offset, uint64_t capacity) {
    *segment = (Segment){.fd = fd, .writable = writable, .offset = offset, .capacity = capacity};
}

int object_allocate(int fd, uint64_t offset, uint64_t bytes) {
    int r;

    do
        r = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
    while (r == EINTR);
    return error_origin(-r);
}

int object_punch(int fd, uint64_t offset, uint64_t bytes) {
    int r;

    do
        r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r < 0 ? error_errno() : 0;
}

/*
 * Only what is new is allocated: the kernel would go through pages that are there already, and clear the
 * unwritten.
 */
static int grow_by_pages(Segment *segment, uint64_t bytes) {
    int r = object_allocate(segment->fd, segment->offset + segment->bytes, bytes - segment->bytes);

    if (r == 0)
        segment->bytes = bytes;
    return r;
}

/* The blocks of huge pages that become whole as the segment grows to @bytes: a part of the object. */
typedef struct Blocks {
    uint64_t start;
    uint64_t end;
} Blocks;

static Blocks find_blocks(const Segment *segment, uint64_t bytes) {
    uint64_t first = round_to_huge(segment->offset);
    uint64_t old = (segment->offset + segment->bytes) / HUGE_BYTES * HUGE_BYTES;
    Blocks blocks = {
        .start = old > first ? old : first,
        .end = (segment->offset + bytes) / HUGE_BYTES * HUGE_BYTES,
    };

    if (blocks.end < blocks.start)
        blocks.end = blocks.start;
    return blocks;
}

/* What huge pages are made of: all that lies beside the new blocks, and a page in each that has none. */
static int allocate_for_blocks(const Segment *segment, const Blocks *blocks, uint64_t bytes) {
    uint64_t old = segment->offset + segment->bytes, new = segment->offset + bytes;
    int r = 0;

    if (old < blocks->start)
        r = object_allocate(segment->fd, old, blocks->start - old);
    for (uint64_t at = blocks->start; at < blocks->end && r == 0; at += HUGE_BYTES)
        if (at >= old)
            r = object_allocate(segment->fd, at, PAGE_BYTES);
    if (r == 0 && blocks->end < new)
        r = object_allocate(segment->fd, blocks->end, new - blocks->end);
    return r;
}

/* Where there are no huge pages, now or at all, others do as well; a full file system refuses both. */
static int collapse(Segment *segment, const Blocks *blocks) {
    int r = mapping_collapse(segment->fd, blocks->start, blocks->end - blocks->start);
    bool in_vain = r == -EINVAL;

    if (r == 0)
        return 0;
    r = object_allocate(segment->fd, blocks->start, blocks->end - blocks->start);
    if (r == 0 && in_vain)
        segment->huge = HUGE_NEVER;
    return r;
}

static int grow_by_blocks(Segment *segment, const Blocks *blocks, uint64_t bytes) {
    uint64_t old = segment->bytes;
    int r = allocate_for_blocks(segment, blocks, bytes);

    if (r == 0)
        r = collapse(segment, blocks);
    if (r < 0)
        (void)object_punch(segment->fd, segment->offset + old, bytes - old);
    else
        segment->bytes = bytes;
    return r;
}

static int grow(Segment *segment, uint64_t bytes) {
    Blocks blocks = find_blocks(segment, bytes);

    if (segment->huge == HUGE_NEVER || blocks.start == blocks.end)
        return grow_by_pages(segment, bytes);
    return grow_by_blocks(segment, &blocks, bytes);
}

static int shrink(Segment *segment, uint64_t bytes) {
    int r = object_punch(segment->fd, segment->offset + bytes, segment->bytes - bytes);

    if (r == 0)
        segment->bytes = bytes;
    return r;
}

uint64_t segment_round(const Segment *segment, uint64_t bytes) {
    uint64_t rounded = round_to_pages(bytes), huge = round_to_huge(bytes);

    if (segment->huge == HUGE_ALWAYS && rounded <= segment->capacity)
        return huge < segment->capacity ? huge : segment->capacity;
    return rounded;
}

int segment_resize(Segment *segment, uint64_t bytes) {
    if (bytes % PAGE_BYTES != 0)
        return error_origin(-EINVAL);
    if (bytes > segment->capacity)
        return error_origin(-EFBIG);
    if (bytes == segment->bytes)
        return 0;
    return bytes > segment->bytes ? grow(segment, bytes) : shrink(segment, bytes);
}

void segment_published(Segment *segment, uint64_t bytes) {
    segment->bytes = bytes;
}

/* By a huge page is mapped what was not mapped before: a block whose first part is stays as it is. */
static bool completes_block(const Segment *segment) {
    uint64_t old = segment->offset + segment->map_bytes, new = segment->offset + segment->bytes;

    return old % HUGE_BYTES != 0 && new >= round_to_huge(old) &&
           round_to_huge(old) - HUGE_BYTES >= segment->offset;
}

/* Whoever fails here has the mapping as it was. */
static int map_anew(Segment *segment) {
    void *map;
    int r = mapping_new(segment->fd, segment->offset, segment->bytes, segment->writable, &map);

    if (r < 0)
        return r;
    segment_disconnect(segment);
    segment->map = map;
    segment->map_bytes = segment->bytes;
    return 0;
}

static int map_resized(Segment *segment) {
    int r = mapping_resize(segment->map, segment->offset, segment->map_bytes, segment->bytes, &segment->map);

    if (r == 0)
        segment->map_bytes = segment->bytes;
    return r;
}

int segment_remap(Segment *segment) {
    /* A published size comes from the other side: it must not reach beyond the window. */
    if (segment->bytes > segment->capacity || segment->bytes % PAGE_BYTES != 0)
        return error_origin(-EINVAL);
    if (segment->torn || segment->bytes == 0)
        segment_disconnect(segment);
    if (segment->map_bytes == segment->bytes)
        return 0;
    PROBE_REMAP(segment->map_bytes, segment->bytes);
    return segment->map && !completes_block(segment) ? map_resized(segment) : map_anew(segment);
}

void segment_disconnect(Segment *segment) {
    mapping_free(segment->map, segment->map_bytes);
    segment->map = NULL;
    segment->map_bytes = 0;
    segment->torn = false;
}

/*
 * Anybody may put anything there: to open a FIFO would wait for whoever writes it, a link is not followed, a
 * socket cannot be opened.
 */
int object_unlink(const char *name) {
    _cleanup_close_ int fd = shm_open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return errno == EACCES || errno == ELOOP || errno == ENXIO ? error_origin(-EPERM) : error_errno();
    if (fstat(fd, &st) < 0)
        return error_errno();
    if (st.st_uid != geteuid())
        return error_origin(-EPERM);
    if (shm_unlink(name) < 0 && errno != ENOENT)
        return error_errno();
    return 0;
}

/* ---- what an object holds ---- */

int object_usage(int fd, uint64_t *ret_bytes) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno();
    *ret_bytes = (uint64_t)st.st_blocks * 512;
    return 0;
}

int object_block(int fd, uint64_t *ret_bytes) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno();
    *ret_bytes = (uint64_t)st.st_blksize > PAGE_BYTES ? (uint64_t)st.st_blksize : PAGE_BYTES;
    return 0;
}

int object_size(int fd, uint64_t *ret_bytes) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno();
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

/* ---- a segment without a mapping ---- */

static bool in_window(const Segment *segment, uint64_t at, size_t bytes) {
    return at <= segment->capacity && bytes <= segment->capacity - at;
}

int segment_read(const Segment *segment, uint64_t at, void *data, size_t bytes) {
    return in_window(segment, at, bytes) ? file_read(segment->fd, segment->offset + at, data, bytes)
                                         : error_origin(-EINVAL);
}

int segment_write(const Segment *segment, uint64_t at, const void *data, size_t bytes) {
    return in_window(segment, at, bytes) ? file_write(segment->fd, segment->offset + at, data, bytes)
                                         : error_origin(-EINVAL);
}

/* ---- the plain wire's object ---- */

/* One call makes or opens it, so that it does not matter which peer comes first. */
int named_object_open(const char *name, int *ret_fd) {
    _cleanup_close_ int fd = shm_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    /*
     * By its mode, or by fs.protected_regular, which keeps even root away from what others have put into
     * /dev/shm.
     */
    if (fd < 0)
        return errno == EACCES ? error_origin(-EPERM) : error_errno();
    if (fstat(fd, &st) < 0)
        return error_errno();
    if (st.st_uid != geteuid())
        return error_origin(-EPERM);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* It is cut before it is filled, and filled as it grows: its size never promises memory that is not there. */
int named_object_resize(int fd, uint64_t bytes) {
    uint64_t present;
    int r;

    if (bytes > INT64_MAX)
        return error_origin(-EFBIG);
    r = object_size(fd, &present);
    if (r < 0)
        return r;
    if (present > bytes && ftruncate(fd, (off_t)bytes) < 0)
        return error_errno();
    return bytes > 0 ? object_allocate(fd, 0, bytes) : 0;
}

bool named_object_same(const char *name, int fd) {
    _cleanup_close_ int named = shm_open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);

    return named >= 0 && descriptor_same(named, fd);
}

/* ---- the guard ---- */

/*
 * What this thread watches. It is read in a signal handler: "initial-exec" keeps the first access there from
 * allocating.
 */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    Segment *segment;
    uintptr_t start;
    uintptr_t end;
    int protection;
    volatile sig_atomic_t hit;
} watch;

/*
 * Zeros from the page of @at to the end of what is watched. One mapping for all of it: page by page, a big
 * segment would die of vm.max_map_count.
 */
static bool replace_rest(uintptr_t at) {
    uintptr_t page = at & ~(uintptr_t)(PAGE_BYTES - 1);

    return mmap((void *)page, watch.end - page, watch.protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    uintptr_t at = (uintptr_t)info->si_addr;
    int saved = errno;

    if (info->si_code == BUS_ADRERR && at >= watch.start && at < watch.end && replace_rest(at)) {
        watch.hit = 1;
        errno = saved;
        return;
    }
    /* Not ours. A fault is repeated when this returns, and then ends the process; what kill() sent is not. */
    (void)signal(SIGBUS, SIG_DFL);
    if (info->si_code <= 0)
        (void)raise(SIGBUS);
    errno = saved;
}

int segment_guard_install(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    (void)sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) < 0 ? error_errno() : 0;
}

void segment_guard_begin(Segment *segment) {
    watch.segment = segment;
    watch.start = (uintptr_t)segment->map;
    watch.end = watch.start + segment->map_bytes;
    watch.protection = PROT_READ | (segment->writable ? PROT_WRITE : 0);
    watch.hit = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

bool segment_guard_end(void) {
    bool hit;

    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    hit = watch.hit;
    if (hit)
        watch.segment->torn = true;
    watch.start = watch.end = 0;
    watch.segment = NULL;
    return hit;
}
