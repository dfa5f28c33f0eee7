/* SPDX-License-Identifier: MIT */
/*
 * Attacks by the memory that a client shares: it has its request object read-write, so it can take the memory
 * away, punch holes into it and write it at any time, also while it is read.
 */
#include "attack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAYLOAD MIB

static uint64_t object_bytes(void) {
    return attacker->n_slots * attacker->stride;
}

/* Any end will do, if it is one that a changing request may come to. */
static void send_whatever(Request *request) {
    attack_send_and_wait(request);
    if (request->end == SLOT_FAILED && request->reason != REASON_REQUEST_CHANGED &&
        request->reason != REASON_HANDLER_FAILED && request->reason != REASON_HANDLER_KILLED)
        errx(EXIT_FAILURE, "ended for the reason `%s`", reason_name(request->reason));
    request_release(request);
}

/* What is there again after it was taken away. */
static void give_memory(uint64_t bytes) {
    if (ftruncate(attacker->requests_fd, (off_t)object_bytes()) < 0 ||
        posix_fallocate(attacker->requests_fd, 0, (off_t)bytes) != 0)
        err(EXIT_FAILURE, "allocating again");
}

/*
 * Taken away before it is handled, so that it must end as what it is. One page is missing at least: what is
 * cut within a page reads as zeros where it is mapped, and that is the owner's own affair.
 */
static void shrink_before(void) {
    attack_join();
    while (attack_goes_on()) {
        Request *request = attack_prepare(PAYLOAD);

        if (ftruncate(attacker->requests_fd, (off_t)(attack_random() % (PAYLOAD - PAGE_BYTES + 1))) < 0)
            err(EXIT_FAILURE, "ftruncate");
        attack_send_and_wait(request);
        if (request->end != SLOT_FAILED || request->reason != REASON_REQUEST_CHANGED)
            errx(EXIT_FAILURE, "ended in state %d for the reason `%s`", (int)request->end,
                 reason_name(request->reason));
        request_release(request);
        give_memory(PAYLOAD);
    }
    attack_be_honest();
}

/* ---- while it is read: a child changes what the parent sends ---- */

static void do_shrink(void) {
    if (ftruncate(attacker->requests_fd, (off_t)(attack_random() % PAYLOAD)) < 0)
        err(EXIT_FAILURE, "ftruncate");
    give_memory(PAYLOAD);
}

static void do_punch(void) {
    (void)fallocate(attacker->requests_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(attack_random() % PAYLOAD), 1 + (off_t)(attack_random() % PAYLOAD));
}

static void do_rewrite(void) {
    memset(attacker->requests[0].segment.map, (int)attack_random(), PAYLOAD);
}

/* The first slot's payload, over and over; nothing here touches it. */
static void send_beside(void (*act)(void)) {
    Request *request;

    attack_join();
    request = attack_prepare(PAYLOAD);
    attack_beside(act);
    for (;;) {
        send_whatever(request);
        if (!attack_goes_on())
            break;
        if (client_take(attacker, &request) != 0)
            errx(EXIT_FAILURE, "the slot did not come back");
        request->payload_bytes = PAYLOAD;
    }
    attack_end_helpers();
    give_memory(PAYLOAD);
    attack_be_honest();
}

static void shrink(void) {
    send_beside(do_shrink);
}

static void punch(void) {
    send_beside(do_punch);
}

static void rewrite(void) {
    send_beside(do_rewrite);
}

/* ---- what was never there ---- */

/* A large payload, whose memory is given back but for its first page: holes are zeros, and answered as such.
 */
static void sparse(void) {
    uint64_t bytes = 8 * MIB;

    attack_join();
    while (attack_goes_on()) {
        Request *request = attack_prepare(bytes);

        if (object_punch(attacker->requests_fd, request->slot * attacker->stride + PAGE_BYTES, bytes) < 0)
            errx(EXIT_FAILURE, "punching");
        attack_send_and_wait(request);
        if (request->end != SLOT_DONE || request->response_bytes != bytes ||
            ((const char *)request->response.map)[bytes - 1] != '\0')
            errx(EXIT_FAILURE, "holes ended in state %d: %s", (int)request->end,
                 reason_name(request->reason));
        request_release(request);
    }
    attack_be_honest();
}

/* More than was reserved: the host hangs up, at its next look around at the latest. */
static void overgrow(void) {
    while (attack_goes_on()) {
        attack_join();
        if (ftruncate(attacker->requests_fd, (off_t)(object_bytes() + 64 * MIB)) < 0 ||
            posix_fallocate(attacker->requests_fd, (off_t)(attack_random() % object_bytes()), 16 * MIB) != 0)
            err(EXIT_FAILURE, "allocating");
        attack_await_end_of_connection();
        attack_leave();
    }
}

/* ---- what it was given to read only, or to write only ---- */

static void must_fail(bool failed, const char *what) {
    if (!failed)
        errx(EXIT_FAILURE, "it was possible to %s", what);
}

static int reopen(int fd, int flags) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

static void reach_what_is_read_only(int fd, const char *what) {
    must_fail(reopen(fd, O_RDWR) < 0, what);
    must_fail(mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED, what);
    must_fail(ftruncate(fd, 0) < 0, what);
    must_fail(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_BYTES) < 0, what);
    must_fail(fchmod(fd, 0666) < 0, what);
    must_fail(pwrite(fd, "x", 1, 0) < 0, what);
}

static void reach_pages(void) {
    reach_what_is_read_only(attacker->states.fd, "write the state page");
    must_fail(mprotect(attacker->states.map, PAGE_BYTES, PROT_READ | PROT_WRITE) < 0, "make it writable");
    must_fail(ftruncate(attacker->submit.fd, 0) < 0, "shrink the submit page");
    must_fail(ftruncate(attacker->submit.fd, (off_t)MIB) < 0, "grow the submit page");
    must_fail(fcntl(attacker->submit.fd, F_ADD_SEALS, F_SEAL_WRITE) < 0, "seal the submit page");
    must_fail(fcntl(attacker->states.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0, "seal the state page");
}

static void reach_queues(void) {
    char message[8192];
    size_t bytes;

    must_fail(queue_receive(attacker->request_queue, message, sizeof(message), &bytes) != 0,
              "receive requests");
    must_fail(queue_send(attacker->reply_queue, message, sizeof(Message), 0) != 0, "send replies");
    must_fail(reopen(attacker->request_queue, O_RDWR) < 0, "open the request queue for reading");
    must_fail(reopen(attacker->reply_queue, O_RDWR) < 0, "open the reply queue for writing");
    must_fail(fchmod(attacker->request_queue, 0666) < 0, "change the mode of a queue");
}

/* A lease makes the next one who opens the file wait; it is for the file's owner alone. */
static void reach_leases(void) {
    must_fail(fcntl(attacker->requests_fd, F_SETLEASE, F_WRLCK) < 0, "take a lease on the request object");
    must_fail(fcntl(attacker->responses_fd, F_SETLEASE, F_RDLCK) < 0, "take a lease on the response object");
    must_fail(fchmod(attacker->requests_fd, 0666) < 0, "open the request object to all");
}

static void reach(void) {
    attack_join();
    attack_be_honest();
    while (attack_goes_on()) {
        reach_what_is_read_only(attacker->responses_fd, "write the response object");
        reach_pages();
        reach_queues();
        reach_leases();
    }
    attack_be_honest();
}

const Attack memory_attacks[] = {
    {"shrink-before", shrink_before},
    {"shrink", shrink},
    {"punch", punch},
    {"rewrite", rewrite},
    {"sparse", sparse},
    {"overgrow", overgrow},
    {"reach", reach},
    {NULL, NULL},
};
