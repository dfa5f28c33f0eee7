/* SPDX-License-Identifier: MIT */
/*
 * Huge pages: where they lie, what they count, and what there is instead where there are none
 *
 * Whether a mapping is by huge pages is seen in /proc/self/smaps. Tests that need the kernel to make some are
 * left out where it does not.
 */
#include "party.h"
#include "segment-unit.h"

#include "core/worker-internal.h"
#include "os/mapping.h"
#include "os/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define N_WINDOW (8 * MIB)
#define PAGES(n) ((n) * PAGE_BYTES)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* --- a kernel that can be out of them --- */

int __real_madvise(void *map, size_t bytes, int advice);
int __wrap_madvise(void *map, size_t bytes, int advice);

static int refusal; /* errno of each MADV_COLLAPSE; 0: the kernel's own answer */
static unsigned n_collapses;
static bool is_out; /* the kernel itself had no 2 MiB in one piece */

int __wrap_madvise(void *map, size_t bytes, int advice) {
    int r;

    if (advice != MADV_COLLAPSE)
        return __real_madvise(map, bytes, advice);
    n_collapses++;
    if (refusal != 0) {
        errno = refusal;
        return -1;
    }
    r = __real_madvise(map, bytes, advice);
    is_out = is_out || (r < 0 && (errno == ENOMEM || errno == EBUSY));
    return r;
}

/* --- segments --- */

/* A window that holds nothing, in an object with room for three. */
static Segment window_at(uint64_t offset) {
    Segment segment;

    segment_init(&segment, make_object(3 * N_WINDOW), true, offset, N_WINDOW);
    segment.huge = HUGE_AUTO;
    return segment;
}

static void segment_close(Segment *segment) {
    segment_disconnect(segment);
    fd_close(segment->fd);
}

static uint64_t usage(const Segment *segment) {
    uint64_t bytes = 0;

    ck_assert_int_eq(object_usage(segment->fd, &bytes), 0);
    return bytes;
}

static void grow(Segment *segment, uint64_t bytes) {
    ck_assert_int_eq(segment_resize(segment, bytes), 0);
    ck_assert_int_eq(segment_remap(segment), 0);
}

/* A mark for each page, which is another in each page. */
static void mark(const Segment *segment, uint64_t from) {
    for (uint64_t at = from; at < segment->bytes; at += PAGE_BYTES)
        memcpy((char *)segment->map + at, &at, sizeof(at));
}

static bool is_marked(const Segment *segment, uint64_t bytes) {
    uint64_t found;

    for (uint64_t at = 0; at < bytes; at += PAGE_BYTES) {
        memcpy(&found, (const char *)segment->map + at, sizeof(found));
        if (found != at)
            return false;
    }
    return true;
}

static bool is_zero(const Segment *segment, uint64_t from) {
    const char *map = segment->map;

    for (uint64_t at = from; at < segment->bytes; at++)
        if (map[at] != 0)
            return false;
    return true;
}

static void touch(const Segment *segment) {
    const volatile char *map = segment->map;

    for (uint64_t at = 0; at < segment->bytes; at += PAGE_BYTES)
        (void)map[at];
}

/* How much of the mapping that begins at @map is by huge pages. */
static uint64_t huge_bytes_at(const void *map) {
    FILE *smaps = fopen("/proc/self/smaps", "re");
    unsigned long kib = 0;
    char line[512], start[32];
    bool here = false;

    ck_assert_ptr_nonnull(smaps);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)map);
    while (fgets(line, sizeof(line), smaps)) {
        if (strncmp(line, start, strlen(start)) == 0)
            here = true;
        if (here && sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1)
            break;
    }
    fclose(smaps);
    return kib * 1024;
}

/* So much of it, unless the kernel has said that it has no more. */
static void check_huge(const Segment *segment, uint64_t bytes) {
    uint64_t found;

    touch(segment);
    found = huge_bytes_at(segment->map);
    if (!is_out || found > bytes)
        ck_assert_uint_eq(found, bytes);
}

START_TEST(whole_blocks_are_huge_pages_for_writer_and_reader) {
    Segment writer = window_at(N_WINDOW), reader;

    grow(&writer, 4 * MIB);
    mark(&writer, 0);
    reader = reader_of(&writer);
    check_huge(&writer, 4 * MIB);
    check_huge(&reader, 4 * MIB);
    ck_assert(is_marked(&reader, 4 * MIB));
    segment_close(&reader);
    segment_close(&writer);
}
END_TEST

static const uint64_t boundaries[] = {
    PAGES(1),           2 * MIB - PAGES(1), 2 * MIB,  2 * MIB + PAGES(1),
    3 * MIB,            4 * MIB - PAGES(1), 4 * MIB,  6 * MIB + PAGES(1),
    8 * MIB - PAGES(1), 8 * MIB,
};

/* From each size to each: the bytes stay, new ones are zero, and the kernel counts what the host counts. */
START_TEST(segment_holds_exactly_its_bytes_at_each_boundary) {
    Segment segment = window_at(N_WINDOW);

    for (size_t i = 0; i < ELEMENTS(boundaries); i++) {
        uint64_t to = boundaries[i], from = boundaries[_i], stays = from < to ? from : to;

        grow(&segment, 0);
        grow(&segment, from);
        mark(&segment, 0);
        ck_assert_int_eq(segment_resize(&segment, to), 0);
        ck_assert_uint_eq(usage(&segment), to);
        ck_assert_int_eq(segment_remap(&segment), 0);
        ck_assert(is_marked(&segment, stays));
        ck_assert(is_zero(&segment, stays));
        if (from <= to)
            check_huge(&segment, to / HUGE_BYTES * HUGE_BYTES);
    }
    ck_assert_int_eq(segment_resize(&segment, 0), 0);
    ck_assert_uint_eq(usage(&segment), 0);
    segment_close(&segment);
}
END_TEST

/* A host before may have given such: its windows begin anywhere. */
START_TEST(window_that_begins_within_a_block_has_the_whole_ones_in_it) {
    Segment segment = window_at(3 * MIB), left;

    segment_init(&left, segment.fd, true, 0, 3 * MIB);
    grow(&left, 3 * MIB);
    mark(&left, 0);
    grow(&segment, 2 * MIB);
    check_huge(&segment, 0); /* from 3 to 5 MiB there is none whole */
    grow(&segment, 6 * MIB);
    mark(&segment, 0);
    check_huge(&segment, 4 * MIB);
    ck_assert_uint_eq(usage(&segment), 9 * MIB);
    ck_assert(is_marked(&left, 3 * MIB));
    segment_disconnect(&left);
    segment_close(&segment);
}
END_TEST

START_TEST(never_is_never) {
    Segment segment = window_at(N_WINDOW);

    segment.huge = HUGE_NEVER;
    n_collapses = 0;
    grow(&segment, 4 * MIB);
    ck_assert_uint_eq(n_collapses, 0);
    check_huge(&segment, 0);
    segment_close(&segment);
}
END_TEST

START_TEST(always_rounds_up_to_blocks_as_far_as_the_window_reaches) {
    Segment segment = window_at(0);

    ck_assert_uint_eq(segment_round(&segment, 1), PAGE_BYTES);
    segment.huge = HUGE_ALWAYS;
    ck_assert_uint_eq(segment_round(&segment, 0), 0);
    ck_assert_uint_eq(segment_round(&segment, 1), 2 * MIB);
    ck_assert_uint_eq(segment_round(&segment, 2 * MIB), 2 * MIB);
    ck_assert_uint_eq(segment_round(&segment, 2 * MIB + 1), 4 * MIB);
    segment.capacity = 3 * MIB;
    ck_assert_uint_eq(segment_round(&segment, 2 * MIB + 1), 3 * MIB);
    ck_assert_uint_eq(segment_round(&segment, 3 * MIB + 1), 3 * MIB + PAGE_BYTES);
    ck_assert_uint_eq(segment_round(&segment, UINT64_MAX), UINT64_MAX);
    segment_close(&segment);
}
END_TEST

/* --- where there are none --- */

static const int refusals[] = {EINVAL, ENOMEM, EAGAIN, EBUSY};

START_TEST(small_pages_do_where_there_are_no_huge_ones) {
    Segment segment = window_at(N_WINDOW);

    refusal = refusals[_i];
    grow(&segment, MIB);
    mark(&segment, 0);
    grow(&segment, 5 * MIB);
    refusal = 0;
    ck_assert(is_marked(&segment, MIB));
    ck_assert(is_zero(&segment, MIB));
    ck_assert_uint_eq(usage(&segment), 5 * MIB);
    check_huge(&segment, 0);
    /* There may be some another time, unless the kernel makes none. */
    ck_assert_int_eq(segment.huge, refusals[_i] == EINVAL ? HUGE_NEVER : HUGE_AUTO);
    segment_close(&segment);
}
END_TEST

/* As the kernel itself says it. */
START_TEST(process_that_may_have_no_huge_pages_has_small_ones) {
    Segment segment = window_at(N_WINDOW);

    ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    grow(&segment, 4 * MIB);
    mark(&segment, 0);
    ck_assert_uint_eq(usage(&segment), 4 * MIB);
    check_huge(&segment, 0);
    segment_close(&segment);
}
END_TEST

/* It lies in a pipe, where a handler's command has not read it yet. */
START_TEST(page_that_somebody_holds_stays_as_it_is) {
    Segment segment = window_at(0);
    off_t at = PAGES(3);
    uint64_t found;
    int fds[2];

    grow(&segment, MIB);
    mark(&segment, 0);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(splice(segment.fd, &at, fds[1], NULL, PAGES(1), 0), PAGES(1));
    grow(&segment, 4 * MIB);
    ck_assert(is_marked(&segment, MIB));
    ck_assert(is_zero(&segment, MIB));
    ck_assert_uint_eq(usage(&segment), 4 * MIB);
    check_huge(&segment, 2 * MIB); /* the second block */
    ck_assert_int_eq(segment.huge, HUGE_AUTO);
    ck_assert_int_eq(read(fds[0], &found, sizeof(found)), sizeof(found));
    ck_assert_uint_eq(found, PAGES(3));
    close(fds[0]);
    close(fds[1]);
    segment_close(&segment);
}
END_TEST

START_TEST(full_file_system_leaves_the_segment_as_it_was) {
    Segment segment;

    unit_small_shm(5 * MIB);
    segment = window_at(0);
    grow(&segment, MIB);
    mark(&segment, 0);
    ck_assert_int_eq(segment_resize(&segment, 6 * MIB), -ENOSPC);
    ck_assert_uint_eq(segment.bytes, MIB);
    ck_assert_uint_eq(usage(&segment), MIB);
    ck_assert(is_marked(&segment, MIB));
    grow(&segment, 4 * MIB);
    ck_assert(is_marked(&segment, MIB));
    check_huge(&segment, 4 * MIB);
    segment_close(&segment);
}
END_TEST

/* --- what peers do with the pages --- */

START_TEST(block_that_its_owner_punches_and_collapses_shows_others_no_wrong_bytes) {
    Segment owner = window_at(0), reader, neighbour;

    segment_init(&neighbour, owner.fd, true, N_WINDOW, N_WINDOW);
    neighbour.huge = HUGE_AUTO;
    grow(&neighbour, 2 * MIB);
    mark(&neighbour, 0);
    grow(&owner, 4 * MIB);
    mark(&owner, 0);
    reader = reader_of(&owner);
    touch(&reader);
    ck_assert_int_eq(object_punch(owner.fd, PAGES(1), PAGES(1)), 0); /* splits the first block */
    memcpy((char *)owner.map + PAGES(1), &(uint64_t){PAGES(1)}, sizeof(uint64_t));
    ck_assert(is_marked(&reader, 4 * MIB));
    ck_assert(mapping_collapse(owner.fd, 0, 4 * MIB) == 0 || is_out);
    ck_assert(is_marked(&reader, 4 * MIB));
    check_huge(&reader, 4 * MIB);
    ck_assert_int_eq(object_punch(owner.fd, 0, N_WINDOW), 0);
    ck_assert(is_zero(&reader, 0));
    ck_assert(is_marked(&neighbour, 2 * MIB));
    segment_close(&reader);
    segment_disconnect(&neighbour);
    segment_close(&owner);
}
END_TEST

/* --- private memory --- */

START_TEST(private_memory_is_zeroed_and_there) {
    static const uint64_t sizes[] = {PAGES(1), 2 * MIB - PAGES(1), 2 * MIB, 4 * MIB + PAGES(1)};

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        unsigned char resident[4 * MIB / PAGE_BYTES + 1];
        char *data;

        ck_assert_int_eq(private_new(sizes[i], _i, (void **)&data), 0);
        ck_assert_int_eq(mincore(data, sizes[i], resident), 0);
        for (uint64_t k = 0; k < sizes[i] / PAGE_BYTES; k++)
            ck_assert(resident[k] & 1);
        ck_assert_int_eq(data[0] | data[sizes[i] - 1], 0);
        private_free(data, sizes[i]);
    }
}
END_TEST

START_TEST(private_memory_keeps_what_it_held_as_it_grows) {
    static const uint64_t sizes[] = {PAGES(1), MIB, 2 * MIB, 5 * MIB + PAGES(1), 3 * MIB, PAGES(2), 4 * MIB};
    void *data = NULL;
    uint64_t bytes = 0;

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ck_assert_int_eq(private_resize(data, bytes, sizes[i], _i, &data), 0);
        if (i > 0)
            ck_assert_str_eq(data, "held");
        strcpy(data, "held");
        bytes = sizes[i];
        ((char *)data)[bytes - 1] = 1;
    }
    ck_assert_int_eq(private_resize(data, bytes, 0, _i, &data), 0);
    ck_assert_ptr_null(data);
}
END_TEST

/* --- copies of requests --- */

static WorkerCopy *copy_of(Worker *worker, uint64_t bytes) {
    WorkerCopy *copy = NULL;

    ck_assert_int_eq(worker_copy_take(worker, bytes, true, &copy), 0);
    ck_assert_uint_ge(copy->bytes, bytes);
    memset(copy->data, 7, bytes);
    return copy;
}

START_TEST(copy_that_was_put_back_is_used_again) {
    Worker worker = {.copies.reserved_bytes = 64 * MIB};
    WorkerCopy *small = copy_of(&worker, MIB), *large = copy_of(&worker, 4 * MIB), *third;

    ck_assert_ptr_ne(small->data, large->data);
    ck_assert_uint_eq(worker.copies.held_bytes, 5 * MIB);
    worker_copy_put(large);
    third = copy_of(&worker, 3 * MIB);
    ck_assert_ptr_eq(third, large);
    worker_copy_put(small);
    worker_copy_put(third);
    ck_assert_ptr_eq(copy_of(&worker, 1), small); /* the smallest that will do */
    ck_assert_ptr_eq(copy_of(&worker, 6 * MIB), large); /* grown */
    ck_assert_uint_eq(worker.copies.held_bytes, 7 * MIB);
    worker_copies_deinit(&worker);
    ck_assert_uint_eq(worker.copies.held_bytes, 0);
    ck_assert_ptr_null(worker.copies.list);
}
END_TEST

START_TEST(copy_in_hand_outlives_the_host) {
    Worker worker = {.copies.reserved_bytes = 64 * MIB};
    WorkerCopy *held = copy_of(&worker, MIB);

    worker_copy_put(copy_of(&worker, 2 * MIB));
    worker_copies_drop(&worker);
    ck_assert_uint_eq(worker.copies.held_bytes, MIB);
    ck_assert_uint_eq(worker.copies.reserved_bytes, 0);
    ck_assert_int_eq(((char *)held->data)[MIB - 1], 7);
    worker_copies_deinit(&worker);
}
END_TEST

/* --- a host with clients and workers --- */

/* As libshmipc does it, which leaves the size of the segment to the client: party_echo() cuts it. */
static void echo(Client *client, uint64_t bytes) {
    Request *request = NULL;

    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(party_reserve(request, bytes), 0);
    request->payload_bytes = bytes;
    memset(request->segment.map, (int)bytes, bytes);
    ck_assert_int_eq(request_send(request), 0);
    party_check_echo(request);
    request_release(request);
}

static const HugePages wishes[] = {HUGE_NEVER, HUGE_AUTO, HUGE_ALWAYS};

/* What the host counts is what the kernel does, and nobody is taken for a cheat. */
START_TEST(memory_counts_at_its_real_size) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client;

    party.settings.huge_pages = wishes[_i];
    client = party_add_client();
    for (size_t i = 0; i < ELEMENTS(boundaries); i++) {
        uint64_t bytes = boundaries[i];

        echo(client, bytes);
        echo(client, bytes - 1);
        ck_assert_uint_eq(party_resident(client), party_reserved(client));
        ck_assert_uint_ge(party_reserved(client), 2 * bytes);
        if (wishes[_i] == HUGE_ALWAYS)
            ck_assert_uint_eq(party_reserved(client) % HUGE_BYTES, 0);
        party_tick();
    }
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(block_that_is_half_used_is_had_whole_unless_memory_is_wanting) {
    Client *client = party_add_client(), *other = party_add_client();
    Request *request;

    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(party_reserve(request, MIB - 1), 0);
    ck_assert_uint_eq(request->segment.bytes, MIB);
    ck_assert_int_eq(party_reserve(request, MIB + 1), 0);
    ck_assert_uint_eq(request->segment.bytes, 2 * MIB);
    ck_assert_int_eq(party_reserve(request, 2 * MIB + 1), 0);
    ck_assert_uint_eq(request->segment.bytes, 2 * MIB + PAGE_BYTES);
    party.settings.memory = 4 * MIB - PAGE_BYTES;
    ck_assert_int_eq(client_take(other, &request), 0);
    ck_assert_int_eq(party_reserve(request, MIB + 1), 0);
    ck_assert_uint_eq(request->segment.bytes, MIB + PAGE_BYTES);
    ck_assert_uint_eq(party_resident(other), party_reserved(other));
    ck_assert_int_eq(party_reserve(request, 2 * MIB), CLIENT_NOT_GRANTED);
}
END_TEST

START_TEST(full_file_system_refuses_nothing_that_is_there) {
    Client *client;
    Request *request;

    unit_small_shm(2 * MIB - PAGES(16));
    client = party_add_client();
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(party_reserve(request, MIB + MIB / 2), 0);
    ck_assert_uint_eq(request->segment.bytes, MIB + MIB / 2);
    ck_assert_int_eq(party_reserve(request, MIB + MIB / 2), 0);
    ck_assert_int_eq(party_reserve(request, MIB + 1), 0);
    ck_assert_uint_eq(request->segment.bytes, MIB + MIB / 2);
    ck_assert_int_eq(party_reserve(request, 2 * MIB), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(request->reason, REASON_MEMORY_FULL);
}
END_TEST

START_TEST(windows_begin_with_a_huge_page_where_one_fits) {
    party.settings.max_payload = 2 * MIB - PAGE_BYTES;
    ck_assert_uint_eq(host_stride(party.host), 2 * MIB - PAGE_BYTES);
    party.settings.max_payload = 5 * MIB;
    ck_assert_uint_eq(host_stride(party.host), 6 * MIB);
    party.settings.max_payload = PAGE_BYTES;
    party.settings.huge_pages = HUGE_ALWAYS;
    ck_assert_uint_eq(host_stride(party.host), 2 * MIB);
}
END_TEST

START_TEST(idle_huge_pages_go_back_to_the_system) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client;

    party.settings.huge_pages = wishes[_i];
    client = party_add_client();
    for (int round = 0; round < 3; round++) {
        echo(client, 5 * MIB);
        echo(client, 1);
        for (int i = 0; i < 2; i++) {
            party.settings.memory_idle_ns = 1;
            host_trim(party.host, clock_now_ns());
            party.settings.memory_idle_ns = 0;
        }
        ck_assert_uint_eq(party_resident(client), 0);
        ck_assert_uint_eq(party_reserved(client), 0);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(nobody_tries_where_the_host_found_none) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client;

    party.settings.huge_pages = HUGE_ALWAYS;
    party.host->no_huge = -EINVAL;
    client = party_add_client();
    n_collapses = 0;
    party_echo(client, 4 * MIB);
    ck_assert_uint_eq(n_collapses, 0);
    ck_assert_uint_eq(party_reserved(client), 8 * MIB);
    party_echo(client, 1);
    ck_assert_uint_eq(party_reserved(client), 8 * MIB);
    ck_assert_uint_eq(host_huge_in_use(party.host), HUGE_NEVER);
    party_stop_worker(worker);
}
END_TEST

/* Clients and workers fall back by themselves, in the middle as well. */
START_TEST(exchanges_go_on_while_the_kernel_is_out_of_huge_pages) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    refusal = refusals[_i];
    for (size_t i = 0; i < ELEMENTS(boundaries); i++)
        party_echo(client, boundaries[i]);
    refusal = 0;
    ck_assert_uint_eq(party_resident(client), party_reserved(client));
    party_echo(client, 20 * MIB);
    ck_assert_uint_eq(party_resident(client), party_reserved(client));
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_keeps_what_it_was_told_when_the_setting_changes) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client;

    party.settings.huge_pages = HUGE_ALWAYS;
    client = party_add_client();
    party_echo(client, 1);
    party.settings.huge_pages = HUGE_NEVER;
    party_tick();
    party_echo(client, 3 * MIB);
    ck_assert_uint_eq(party_resident(client), party_reserved(client));
    party_tick();
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    party_stop_worker(worker);
}
END_TEST

/* Its response object is read-only for it, and takes memory all the same: by a look, or by a huge page. */
START_TEST(client_that_takes_memory_for_responses_is_thrown_out) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Segment window;

    party_echo(client, 1);
    segment_init(&window, client->responses_fd, false, 0, client->stride);
    segment_published(&window, HUGE_BYTES);
    ck_assert_int_eq(segment_remap(&window), 0);
    if (_i == 0 || (madvise(window.map, HUGE_BYTES, MADV_COLLAPSE) < 0 && is_out))
        ck_assert_int_eq(((volatile char *)window.map)[PAGES(7)], 0);
    ck_assert_uint_gt(party_resident(client), party_reserved(client));
    party_tick();
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 1);
    segment_disconnect(&window);
    party_stop_worker(worker);
}
END_TEST

START_TEST(host_says_what_is_in_use) {
    static const char *const texts[] = {"as `huge_pages` says", "as far as payloads fill them",
                                        "all shared memory is in huge pages"};

    party.settings.huge_pages = wishes[_i];
    party_tick();
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_HUGE_PAGES)->text, texts[_i]));
    ck_assert(party_event(EVENT_HUGE_PAGES)->ok);
    party.host->no_huge = -EINVAL;
    party_tick();
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_HUGE_PAGES)->text, "4 KiB"));
    ck_assert_int_eq(party_event(EVENT_HUGE_PAGES)->ok, wishes[_i] != HUGE_ALWAYS);
    party.host->block_bytes = HUGE_BYTES;
    party_tick();
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_HUGE_PAGES)->text, "/dev/shm"));
    ck_assert_uint_eq(host_huge_in_use(party.host), 3);
}
END_TEST

/* Asked before there is a test to fail. */
static bool makes_huge_pages(void) {
    int fd = -1;
    bool makes = object_create(unit_name(), HUGE_BYTES, &fd) == 0 &&
                 posix_fallocate(fd, 0, PAGE_BYTES) == 0 && mapping_collapse(fd, 0, HUGE_BYTES) == 0;

    fd_close(fd);
    return makes;
}

static void add_segments(TCase *tests) {
    tcase_add_test(tests, never_is_never);
    tcase_add_test(tests, always_rounds_up_to_blocks_as_far_as_the_window_reaches);
    tcase_add_loop_test(tests, small_pages_do_where_there_are_no_huge_ones, 0, (int)ELEMENTS(refusals));
    tcase_add_test(tests, process_that_may_have_no_huge_pages_has_small_ones);
    tcase_add_loop_test(tests, private_memory_is_zeroed_and_there, 0, 2);
    tcase_add_loop_test(tests, private_memory_keeps_what_it_held_as_it_grows, 0, 2);
    tcase_add_test(tests, copy_that_was_put_back_is_used_again);
    tcase_add_test(tests, copy_in_hand_outlives_the_host);
    if (!makes_huge_pages())
        return;
    tcase_add_test(tests, whole_blocks_are_huge_pages_for_writer_and_reader);
    tcase_add_loop_test(tests, segment_holds_exactly_its_bytes_at_each_boundary, 0,
                        (int)ELEMENTS(boundaries));
    tcase_add_test(tests, window_that_begins_within_a_block_has_the_whole_ones_in_it);
    tcase_add_test(tests, page_that_somebody_holds_stays_as_it_is);
    tcase_add_test(tests, block_that_its_owner_punches_and_collapses_shows_others_no_wrong_bytes);
    if (unit_is_root())
        tcase_add_test(tests, full_file_system_leaves_the_segment_as_it_was);
}

static void add_party(TCase *tests) {
    bool makes = makes_huge_pages();

    tcase_add_loop_test(tests, memory_counts_at_its_real_size, 0, (int)ELEMENTS(wishes));
    tcase_add_test(tests, block_that_is_half_used_is_had_whole_unless_memory_is_wanting);
    tcase_add_test(tests, full_file_system_refuses_nothing_that_is_there);
    tcase_add_test(tests, windows_begin_with_a_huge_page_where_one_fits);
    tcase_add_loop_test(tests, idle_huge_pages_go_back_to_the_system, 0, (int)ELEMENTS(wishes));
    tcase_add_test(tests, nobody_tries_where_the_host_found_none);
    tcase_add_loop_test(tests, exchanges_go_on_while_the_kernel_is_out_of_huge_pages, 0,
                        (int)ELEMENTS(refusals));
    tcase_add_test(tests, client_keeps_what_it_was_told_when_the_setting_changes);
    tcase_add_loop_test(tests, client_that_takes_memory_for_responses_is_thrown_out, 0, makes ? 2 : 1);
    if (makes)
        tcase_add_loop_test(tests, host_says_what_is_in_use, 0, (int)ELEMENTS(wishes));
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("huge");
    TCase *tests = tcase_create("segments");

    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    add_segments(tests);
    add_party(party_add_case(suite, "party", party_begin, party_end));
    return suite;
}
