/* SPDX-License-Identifier: MIT */
/*
 * Huge pages: what the settings wish, what the system has, and what clients and workers are told
 *
 * Whether the kernel makes huge pages is not to be read anywhere: it depends on its version, on how it was
 * built, on its switches and on the process. So the host tries it once, with an object of its own. What it
 * finds counts for its clients and workers, which fall back by themselves where they are worse off.
 */
#include "core/host-internal.h"

#include "base/units.h"
#include "os/segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SPARSE_BYTES (UINT64_C(1) << 30) /* a small object would not be given big blocks */

/* Return: 0, or a negative errno as host->no_huge. */
static int try_huge_page(int fd) {
    Segment segment;
    int r;

    segment_init(&segment, fd, true, 0, HUGE_BYTES);
    r = segment_resize(&segment, PAGE_BYTES);
    if (r == 0)
        r = mapping_collapse(fd, 0, HUGE_BYTES);
    /* That there is none at this moment says nothing of later. */
    return r == -EINVAL || r == -EPERM || r == -ENOSYS ? r : 0;
}

int host_measure(Host *host) {
    _cleanup_close_ int fd = -1;
    int r = host_make_object(host, SPARSE_BYTES, &fd);

    if (r == 0)
        r = object_block(fd, &host->block_bytes);
    if (r == 0)
        host->no_huge = try_huge_page(fd);
    return r;
}

HugePages host_huge_pages(const Host *host) {
    return host->no_huge ? HUGE_NEVER : host->settings->huge_pages;
}

static bool by_file_system(const Host *host) {
    return host->block_bytes >= HUGE_BYTES;
}

uint32_t host_huge_in_use(const Host *host) {
    return by_file_system(host) ? STATUS_HUGE_MOUNT : (uint32_t)host_huge_pages(host);
}

void host_tell_huge(Host *host) {
    static const char *const texts[] = {
        [HUGE_NEVER] = "shared memory is in pages of 4 KiB, as `huge_pages` says",
        [HUGE_AUTO] = "shared memory is in huge pages, as far as payloads fill them",
        [HUGE_ALWAYS] = "all shared memory is in huge pages",
    };
    Event *event = event_push(&host->events, EVENT_HUGE_PAGES);

    host->huge_is_told = true;
    event->ok = !host->no_huge || host->settings->huge_pages != HUGE_ALWAYS;
    if (by_file_system(host))
        text_copy(event->text, sizeof(event->text),
                  "shared memory is in huge pages: the file system of /dev/shm has no others (its mount "
                  "option huge=)");
    else if (host->no_huge && host->settings->huge_pages != HUGE_NEVER)
        snprintf(event->text, sizeof(event->text),
                 "shared memory is in pages of 4 KiB: the kernel makes no huge ones (%s); see `deny` in "
                 "/sys/kernel/mm/transparent_hugepage/shmem_enabled; it takes Linux 6.1",
                 strerror(-host->no_huge));
    else
        text_copy(event->text, sizeof(event->text), texts[host->settings->huge_pages]);
}
