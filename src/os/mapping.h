/* SPDX-License-Identifier: MIT */
/*
 * Mappings: where in the address space, and of which pages
 *
 * A processor finds its way to 2 MiB by one entry where they are one huge page, mapped as such; with pages of
 * 4 KiB it takes 512 entries, and as many faults before they are there. The kernel maps a huge page whole
 * only where address and offset in the object are multiples of 2 MiB alike, so every mapping of that size
 * lies so, also as it grows.
 *
 * Huge pages of shared memory are had by MADV_COLLAPSE, which makes one of what is there and fills the rest
 * with zeros, whatever /sys/kernel/mm/transparent_hugepage/ says (but "deny"), for the caller alone to ask
 * for. It takes a block that holds one page at least, and leaves one whose pages somebody holds (in a pipe,
 * say) as it is.
 *
 * Private memory is the process's own; its pages are there before it is handed out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HUGE_BYTES (UINT64_C(2) << 20)

/* Which memory is to lie in huge pages. */
typedef enum HugePages {
    HUGE_NEVER,
    HUGE_AUTO,   /* each block of HUGE_BYTES that is used whole */
    HUGE_ALWAYS, /* all, so that nothing has less than a block */
} HugePages;

/** round_to_huge() - @bytes rounded up to whole huge pages; UINT64_MAX if that overflows. */
uint64_t round_to_huge(uint64_t bytes);

/**
 * mapping_new() - map @bytes of the object from @offset, shared, and kept out of core dumps
 * Return: 0 or negative errno.
 */
int mapping_new(int fd, uint64_t offset, uint64_t bytes, bool writable, void **ret_map);

/**
 * mapping_resize() - make it @bytes long; it may move. What is mapped stays so, which is most of what a new
 * mapping costs.
 * @offset:     as it was made with
 * Return: 0; or negative errno, and the mapping is as it was.
 */
int mapping_resize(void *map, uint64_t offset, uint64_t old_bytes, uint64_t bytes, void **ret_map);

/** mapping_free() - takes NULL. */
void mapping_free(void *map, uint64_t bytes);

/**
 * mapping_collapse() - make huge pages of this part of the object, which is whole blocks of HUGE_BYTES
 *
 * Whoever has it mapped sees the same bytes as before, and needs not map it anew.
 * Return: 0; -EINVAL if there are none to be had, a block holds nothing, or the file system is full; -ENOMEM,
 * -EAGAIN, -EBUSY if not now; or another negative errno. Some blocks may be huge then.
 */
int mapping_collapse(int fd, uint64_t offset, uint64_t bytes);

/**
 * private_new() - memory of the process's own, zeroed, whole pages, of which the whole blocks of HUGE_BYTES
 * are huge if @huge and there are such
 * Return: 0 or negative errno.
 */
int private_new(uint64_t bytes, bool huge, void **ret_data);

/**
 * private_resize() - make it @bytes, which may be 0, as NULL is: what it held stays as far as there is room.
 * Return: 0; or negative errno, and it is as it was.
 */
int private_resize(void *data, uint64_t old_bytes, uint64_t bytes, bool huge, void **ret_data);

/** private_free() - takes NULL. */
void private_free(void *data, uint64_t bytes);
