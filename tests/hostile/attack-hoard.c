/* SPDX-License-Identifier: MIT */
/*
 * Attacks by keeping: connections, places, queues, descriptors; and by stopping in the middle.
 */
#include "attack.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define HOARD_MAX 4096

static int hoard[HOARD_MAX];
static size_t n_hoard;

/* As many descriptors as one may have. */
static void lift_limit(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(EXIT_FAILURE, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void keep(int fd) {
    if (n_hoard < HOARD_MAX)
        hoard[n_hoard++] = fd;
    else
        fd_close(fd);
}

static void let_go(void) {
    raw_close_all(hoard, n_hoard);
    n_hoard = 0;
}

/* Return: -1 when no more can be had. */
static int connect_once(void) {
    int fd, r = channel_connect(getenv("SHMIPC_SOCKET"), &fd);

    return r < 0 ? -1 : fd;
}

static int say_hello(int fd) {
    Packet packet;

    raw_hello(&packet, PEER_CLIENT);
    return channel_send(fd, &packet, packet.header.bytes, NULL, 0);
}

/* Connections that say nothing, as many as there can be; those that the host throws out are made anew. */
static void silent(void) {
    int fd;

    lift_limit();
    do {
        while (n_hoard < 600 && (fd = connect_once()) >= 0)
            keep(fd);
        (void)wait_for_fd(STDIN_FILENO, WAIT_READ, clock_now_ns() + 20 * NS_PER_MS);
        let_go();
    } while (attack_goes_on());
}

/* Clients that never receive what they are given: the descriptors stay under way, and count. */
static void never_received(void) {
    int fd;

    lift_limit();
    do {
        while (n_hoard < 400 && (fd = connect_once()) >= 0) {
            (void)say_hello(fd);
            keep(fd);
        }
        (void)wait_for_fd(STDIN_FILENO, WAIT_READ, clock_now_ns() + 100 * NS_PER_MS);
        let_go();
    } while (attack_goes_on());
}

/* Be let in by hand, and keep what was given. Return: whether it was let in. */
static bool join_and_keep(bool keep_connection) {
    int fds[CHANNEL_FDS_MAX], fd = connect_once();
    size_t n_fds = 0;
    Packet packet;

    if (fd < 0)
        return false;
    if (say_hello(fd) != 0 || raw_receive(fd, &packet, fds, &n_fds) != 0 ||
        packet.header.type != PACKET_WELCOME) {
        raw_close_all(fds, n_fds);
        fd_close(fd);
        return false;
    }
    for (size_t i = 0; i < n_fds; i++)
        if (keep_connection || i == WELCOME_REPLY_QUEUE || i == WELCOME_REQUEST_QUEUE)
            keep(fds[i]);
        else
            fd_close(fds[i]);
    if (keep_connection)
        keep(fd);
    else
        fd_close(fd);
    return true;
}

/* As many clients as one is allowed to have, all places taken. */
static void crowd(void) {
    lift_limit();
    while (join_and_keep(true))
        ;
    attack_rest();
    let_go();
}

/* Queues outlive their client as long as somebody keeps a descriptor, and count against the host's limit. */
static void queues(void) {
    lift_limit();
    for (int i = 0; i < 2000 && join_and_keep(false); i++)
        ;
    attack_rest();
    let_go();
}

/* ---- stopping in the middle: children that are stopped, each at another point ---- */

static void stop_here(void) {
    (void)raise(SIGSTOP);
}

static void stop_after_connecting(void) {
    (void)raw_connect();
    stop_here();
}

static void stop_before_the_welcome(void) {
    int fd = raw_connect();

    (void)say_hello(fd);
    stop_here();
}

static void stop_with_memory(void) {
    attack_join();
    (void)attack_prepare(MIB);
    stop_here();
}

static void stop_after_submitting(void) {
    attack_join();
    (void)request_send(attack_prepare(MIB));
    stop_here();
}

static void stop_before_the_message(void) {
    const SubmitRecord record = {.generation = 1};

    attack_join();
    submit_publish(attacker->submit.map, 0, &record);
    stop_here();
}

static void stop_with_all_slots(void) {
    attack_join();
    for (uint32_t i = 0; i < attacker->n_slots; i++)
        (void)request_send(attack_prepare(PAGE_BYTES));
    stop_here();
}

static void stop_with_an_answer(void) {
    attack_join();
    attack_send_and_wait(attack_prepare(MIB));
    stop_here();
}

static void middle(void) {
    static void (*const points[])(void) = {
        stop_after_connecting,   stop_before_the_welcome, stop_with_memory,   stop_after_submitting,
        stop_before_the_message, stop_with_all_slots,     stop_with_an_answer};

    do {
        for (size_t i = 0; i < ELEMENTS(points); i++)
            attack_beside(points[i]);
        (void)wait_for_fd(STDIN_FILENO, WAIT_READ, clock_now_ns() + 50 * NS_PER_MS);
        attack_end_helpers();
    } while (attack_goes_on());
}

const Attack hoard_attacks[] = {
    {"silent", silent}, {"never-received", never_received},
    {"crowd", crowd},   {"queues", queues},
    {"middle", middle}, {NULL, NULL},
};
