/* SPDX-License-Identifier: MIT */
#include "os/page.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "os/descriptor.h"
#include "os/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Linux 6.3; a system with vm.memfd_noexec = 2 makes no other memfds. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* What keeps a mapping from ever faulting. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int make(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? error_errno() : fd;
}

static int map(int fd, uint64_t bytes, bool writable, void **ret) {
    void *address = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

    if (address == MAP_FAILED)
        return error_memory();
    *ret = address;
    return 0;
}

static int page_init(Page *page, const char *name, size_t bytes, bool sparse) {
    uint64_t rounded = round_to_pages(bytes);
    _cleanup_close_ int fd = make(name);
    void *address = NULL;
    int r;

    if (fd < 0)
        return fd;
    /* A memfd begins with mode 0777: whoever got it read-only could open it again with all rights. */
    if (fchmod(fd, 0600) < 0)
        return error_errno();
    if (sparse)
        r = ftruncate(fd, (off_t)rounded) < 0 ? error_errno() : 0;
    else
        r = object_allocate(fd, 0, rounded);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
        return error_errno();
    r = map(fd, rounded, true, &address);
    if (r < 0)
        return r;
    *page = (Page){.fd = TAKE_FD(fd), .map = address, .bytes = rounded};
    return 0;
}

int page_init_create(Page *page, const char *name, size_t bytes) {
    return page_init(page, name, bytes, false);
}

int page_init_sparse(Page *page, const char *name, size_t bytes) {
    return page_init(page, name, bytes, true);
}

int page_allocate(const Page *page, size_t offset, size_t bytes) {
    return object_allocate(page->fd, offset, bytes);
}

/* Only a memfd knows seals; an object of shm_open has F_SEAL_SEAL and no other. */
static bool is_page(int fd, uint64_t bytes) {
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes;
}

int page_init_connect(Page *page, int fd, size_t bytes, bool writable) {
    uint64_t rounded = round_to_pages(bytes);
    _cleanup_close_ int own = fd;
    void *address = NULL;
    int r;

    if (!is_page(own, rounded))
        return error_origin(-EBADMSG);
    r = map(own, rounded, writable, &address);
    if (r < 0)
        return r;
    *page = (Page){.fd = TAKE_FD(own), .map = address, .bytes = rounded};
    return 0;
}

int page_reopen(const Page *page, bool writable, int *ret_fd) {
    return descriptor_reopen(page->fd, writable ? O_RDWR : O_RDONLY, ret_fd);
}

void page_deinit(Page *page) {
    if (page->map)
        (void)munmap(page->map, page->bytes);
    fd_close(page->fd);
    *page = (Page)PAGE_NULL;
}

int canary_new(const volatile char **ret_canary) {
    char *map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return error_memory();
    if (madvise(map, PAGE_BYTES, MADV_WIPEONFORK) < 0) {
        int r = error_errno();

        munmap(map, PAGE_BYTES);
        return r;
    }
    *map = 1;
    *ret_canary = map;
    return 0;
}

void canary_free(const volatile char *canary) {
    if (canary)
        munmap((void *)(uintptr_t)canary, PAGE_BYTES);
}
