/* SPDX-License-Identifier: MIT */
/*
 * A worker and a host that does not read for a while: what does not fit into its socket is owed
 *
 * The host is made by hand. It says GONE of clients that nobody holds, which a worker answers with DROPPED,
 * one by one; so it takes no clients at all to fill a socket.
 */
#include "party.h"

#include "base/units.h"
#include "core/worker-internal.h"
#include "os/queue.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define N_MANY 2000u /* DROPPED: some times what fits */

static const WorkerSettings settings = {.timeout_ns = 100 * NS_PER_SEC};
static char folder[] = "/tmp/shmipc-owes-XXXXXX";
static char path[64];
static int listener, channel, stop_fd;
static Worker *worker;
static Handler echo;

/* ---- the host ---- */

static void say(const Packet *packet, const int *fds, size_t n_fds) {
    ck_assert_int_eq(channel_send(channel, packet, packet->header.bytes, fds, n_fds), 0);
}

static void say_id(PacketType type, uint64_t client) {
    Packet packet;

    packet_init(&packet, type, 0);
    packet.id.client = client;
    say(&packet, NULL, 0);
}

/* The next packet. Return: its type; 0 if the worker has hung up. */
static PacketType hear(Packet *ret_packet) {
    int fds[CHANNEL_FDS_MAX], r;
    size_t bytes, n_fds;

    ck_assert_int_ge(wait_for_fd(channel, WAIT_READ, clock_now_ns() + 30 * NS_PER_SEC), WAIT_READ);
    r = channel_receive(channel, ret_packet, sizeof(*ret_packet), &bytes, fds, &n_fds);
    if (r == -EPIPE)
        return 0;
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(n_fds, 0);
    return (PacketType)ret_packet->header.type;
}

static void turn(void) {
    ck_assert_int_eq(worker_wait(worker, 0), 0);
}

/* The worker says more than there is room for, and the host reads nothing of it. */
static void fill(void) {
    for (uint64_t id = 1; id <= N_MANY; id++) {
        say_id(PACKET_GONE, id);
        turn();
        ck_assert_int_eq(worker_state(worker), WORKER_ATTACHED);
    }
    ck_assert_uint_gt(worker->n_owed, 0);
}

/* All that fill() has made it owe, in order. The worker turns, unless a thread of its own has it. */
static void drain(bool turns) {
    Packet packet;

    for (uint64_t id = 1; id <= N_MANY; id++) {
        if (turns)
            turn();
        ck_assert_int_eq(hear(&packet), PACKET_DROPPED);
        ck_assert_uint_eq(packet.id.client, id);
    }
}

static void set_up(void) {
    Packet packet;

    echo.kind = &handler_echo;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sock", folder);
    ck_assert_int_eq(channel_listen(path, &listener), 0);
    ck_assert_int_eq(worker_new(&worker, "worker", path, &settings, &echo), 0);
    stop_fd = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_eq(worker_watch(worker, stop_fd), 0);
    while (channel_accept(listener, &channel) < 0)
        ck_assert_int_eq(worker_wait(worker, clock_now_ns() + NS_PER_MS), 0);
    ck_assert_int_eq(hear(&packet), PACKET_HELLO);
    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.id = 1;
    packet.welcome.max_payload = MIB;
    say(&packet, NULL, 0);
    while (worker_state(worker) != WORKER_ATTACHED)
        turn();
}

static void tear_down(void) {
    worker_free(worker);
    fd_close(stop_fd);
    fd_close(channel);
    fd_close(listener);
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- tests ---- */

START_TEST(what_does_not_fit_is_said_later_and_in_order) {
    Packet packet;

    fill();
    say_id(PACKET_PING, 0);
    turn();
    drain(true);
    turn();
    ck_assert_int_eq(hear(&packet), PACKET_PONG);
    ck_assert_uint_eq(worker->n_owed, 0);
    ck_assert_int_eq(worker_state(worker), WORKER_ATTACHED);
}
END_TEST

START_TEST(holds_come_after_what_was_owed_before) {
    Packet packet;

    fill();
    packet_init(&packet, PACKET_AGAIN, 0);
    packet.again.max_payload = MIB;
    say(&packet, NULL, 0);
    turn();
    drain(true);
    turn();
    ck_assert_int_eq(hear(&packet), PACKET_HOLDS);
    ck_assert_uint_eq(packet.id.client, 0);
    ck_assert_int_eq(worker_state(worker), WORKER_ATTACHED);
}
END_TEST

START_TEST(who_leaves_is_heard_though_its_socket_is_full) {
    PacketType type, last = 0;
    Packet packet;

    fill();
    worker_stop(worker);
    while ((type = hear(&packet)))
        last = type;
    ck_assert_int_eq(last, PACKET_LEAVING);
}
END_TEST

/* Its handler's side: the worker waits inside of worker_wait() for an answer. */
static void *work(void *data) {
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

    (void)data;
    while (poll(&stop, 1, 0) == 0)
        ck_assert_int_eq(worker_wait(worker, UINT64_MAX), 0);
    return NULL;
}

static int say_queue(void) {
    int fds[2];
    Packet packet;

    ck_assert_int_eq(queue_create(unit_name(), 4, sizeof(Message), &fds[0]), 0);
    ck_assert_int_eq(queue_connect(fds[0], QUEUE_READ, &fds[1]), 0);
    packet_init(&packet, PACKET_QUEUE, 0);
    packet.number.number = getuid();
    say(&packet, &fds[1], 1);
    fd_close(fds[1]);
    return fds[0];
}

START_TEST(question_that_does_not_fit_is_asked_later) {
    const Message message = {.client = 77};
    const uint64_t one = 1;
    Packet packet, answer;
    pthread_t thread;
    int queue;

    fill();
    queue = say_queue();
    ck_assert_int_eq(queue_send(queue, &message, sizeof(message), 0), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, work, NULL), 0);
    drain(false);
    ck_assert_int_eq(hear(&packet), PACKET_MEET);
    ck_assert_uint_eq(packet.meet.client, 77);
    packet_init(&answer, PACKET_CLIENT, packet.header.serial);
    answer.client.client = 77;
    answer.client.flags = CLIENT_GONE;
    say(&answer, NULL, 0);
    ck_assert_int_eq(write(stop_fd, &one, sizeof(one)), sizeof(one));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(worker_state(worker), WORKER_ATTACHED);
    fd_close(queue);
}
END_TEST

/* ---- private copies ---- */

/* A copy that grows what is reserved: the answer is there before the question. */
static WorkerCopy *take_copy(uint64_t bytes, uint64_t reserved_bytes) {
    WorkerCopy *copy = NULL;
    Packet answer;

    packet_init(&answer, PACKET_RESERVED, worker->serial + 1);
    answer.reserved.bytes = reserved_bytes;
    answer.reserved.direction = DIRECTION_PRIVATE;
    say(&answer, NULL, 0);
    ck_assert_int_eq(worker_copy_take(worker, bytes, false, &copy), 0);
    return copy;
}

/* What the host has reserved by all that the worker said. */
static uint64_t reserved_so_far(void) {
    uint64_t bytes = 0;
    Packet packet;

    while (wait_for_fd(channel, WAIT_READ, 0) > 0)
        if (hear(&packet) == PACKET_RESERVE)
            bytes = packet.reserve.bytes;
    return bytes;
}

START_TEST(ping_amid_a_question_takes_nothing_back_of_what_was_asked_for) {
    WorkerCopy *first = take_copy(PAGE_BYTES, PAGE_BYTES), *second = take_copy(PAGE_BYTES, 2 * PAGE_BYTES);

    worker_copy_put(first);
    worker_copy_put(second);
    say_id(PACKET_PING, 0);
    turn(); /* neither was needed since */
    ck_assert_uint_eq(reserved_so_far(), 2 * PAGE_BYTES);

    say_id(PACKET_PING, 0);
    first = take_copy(4 * PAGE_BYTES, 5 * PAGE_BYTES);
    ck_assert_uint_eq(worker->copies.reserved_bytes, 5 * PAGE_BYTES);
    ck_assert_uint_eq(worker->copies.held_bytes, 4 * PAGE_BYTES);
    ck_assert_uint_eq(reserved_so_far(), 5 * PAGE_BYTES);

    say_id(PACKET_PING, 0);
    turn();
    ck_assert_uint_eq(reserved_so_far(), 4 * PAGE_BYTES);
    worker_copy_put(first);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("worker-owes");
    TCase *tests = tcase_create("full");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_does_not_fit_is_said_later_and_in_order);
    tcase_add_test(tests, holds_come_after_what_was_owed_before);
    tcase_add_test(tests, who_leaves_is_heard_though_its_socket_is_full);
    tcase_add_test(tests, question_that_does_not_fit_is_asked_later);
    tcase_add_test(tests, ping_amid_a_question_takes_nothing_back_of_what_was_asked_for);
    suite_add_tcase(suite, tests);
    return suite;
}
