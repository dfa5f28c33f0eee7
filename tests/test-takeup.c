/* SPDX-License-Identifier: MIT */
/*
 * A host that takes up what another has left: what its peers notice, what goes on, and what is let go of
 *
 * The host ends between two of its turns, which is what a kill can leave; kills in the middle of one are
 * elsewhere.
 */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- who stays ---- */

START_TEST(clients_and_workers_keep_their_connections) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *clients[] = {party_add_client(), party_add_client()};
    uint64_t id = client_id(clients[0]);

    party_echo(clients[0], 10000);
    party_restart_host();
    party_await_take_up(2, 1);
    ck_assert_int_eq(party_event(EVENT_TAKEN_UP)->ok, true);
    for (int i = 0; i < 2; i++)
        party_echo(clients[i], 20000);
    ck_assert_uint_eq(client_id(clients[0]), id);
    ck_assert_int_eq(client_state(clients[0]), CLIENT_READY);
    ck_assert_uint_eq(party_worker_told(worker, EVENT_HOST_LOST), 0);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    ck_assert_str_eq(party_client_of_host(clients[0])->name, "test-client");
    party_stop_worker(worker);
}
END_TEST

START_TEST(many_restarts_lose_nobody_and_leave_nothing) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    unsigned n_kept = 0;

    for (int i = 0; i < 20; i++) {
        party_echo(client, (uint64_t)i * 3000);
        party_restart_host();
        party_await_take_up(1, 1);
        if (i == 0)
            n_kept = party_n_kept(NULL);
        ck_assert_uint_eq(party_n_kept(NULL), n_kept);
    }
    party_echo(client, MIB);
    ck_assert_uint_eq(n_kept, 1 + 1 + 1 + KEPT_N_FDS + WORKER_N_FDS); /* index, socket, queue */
    party_stop_worker(worker);
}
END_TEST

START_TEST(numbers_are_never_given_again) {
    PartyWorker *worker = party_add_worker(NULL);
    uint64_t id = client_id(party_add_client());
    uint32_t number = party.host->next_worker;
    PartyWorker *second;

    party_restart_host();
    party_await_take_up(1, 1);
    second = party_add_worker(NULL);
    ck_assert_uint_eq(party.host->next_worker, number + 1);
    ck_assert_uint_gt(client_id(party_add_client()), id);
    party_stop_worker(worker);
    party_stop_worker(second);
}
END_TEST

START_TEST(who_goes_is_no_longer_kept) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, 100);
    party_remove_client(client);
    AWAIT(party_n_kept("c0") == 0);
    party_stop_worker(worker);
    AWAIT(party_n_kept("w0") == 0);
    party.host->patience.idle_ns = 0;
    party_tick();
    ck_assert_uint_eq(party_n_kept("u0"), 1); /* it is the probe's user, too */
}
END_TEST

START_TEST(who_went_meanwhile_is_gone) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client(), *other = party_add_client();

    party_echo(client, 100);
    party_leave_host();
    party_remove_client(client);
    party_start_host();
    AWAIT(party.host->n_clients == 1);
    AWAIT(party_n_kept("c0") == 0);
    party_echo(other, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(what_a_client_that_went_has_done_is_counted_once) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client(), *other = party_add_client();
    SlotCounts counts;

    party_echo(client, 100);
    party_echo(client, 100);
    party_echo(other, 100);
    party_remove_client(client);
    AWAIT(party_n_kept("c0") == 0);
    for (int i = 0; i < 3; i++) {
        party_restart_host();
        party_await_take_up(1, 1);
        host_counts(party.host, &counts);
        ck_assert_uint_eq(counts.n_done, 3);
        ck_assert_uint_eq(counts.request_bytes, 300);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(who_connects_meanwhile_is_let_in_by_the_next_host) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client;

    party_leave_host();
    client = party_connect("early");
    party_start_host();
    AWAIT(client_state(client) == CLIENT_READY);
    party_echo(client, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(socket_whose_path_is_gone_is_made_anew) {
    party_leave_host();
    ck_assert_int_eq(unlink(party.path), 0);
    party_start_host();
    (void)party_add_client();
    ck_assert_uint_eq(party_n_kept("socket"), 1);
}
END_TEST

START_TEST(full_stop_leaves_no_path) {
    party_restart_host();
    party_stop_host();
    ck_assert_int_eq(access(party.path, F_OK), -1);
    party_start_host();
}
END_TEST

/* ---- who cannot be kept ---- */

START_TEST(clients_that_cannot_be_kept_work_until_the_host_ends) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client, *second;

    party.keeper_result = -ENOBUFS;
    client = party_add_client();
    second = party_add_client();
    party_echo(client, 5000);
    party_echo(second, 5000);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    ck_assert_uint_eq(party_n_events(EVENT_LIMIT), 1); /* told once */
    party.keeper_result = 0;
    party_restart_host();
    AWAIT(client_state(client) == CLIENT_LOST && client_state(second) == CLIENT_LOST);
    party_stop_worker(worker);
}
END_TEST

START_TEST(service_manager_that_was_busy_is_asked_again) {
    Client *client, *later;

    party.keeper_result = -ENOBUFS;
    party_add_client();
    ck_assert_uint_eq(party_n_kept("u0"), 0);
    party.keeper_result = 0;
    client = party_add_client();
    ck_assert_uint_eq(party_n_kept("u0"), 1);
    later = party_add_client();
    party_restart_host();
    party_await_take_up(2, 0);
    ck_assert_int_eq(client_state(client), CLIENT_READY);
    ck_assert_int_eq(client_state(later), CLIENT_READY);
    ck_assert_uint_eq(party_n_kept(NULL), 2 + 1 + 2 * KEPT_N_FDS);
}
END_TEST

/* Or it would be lost at a restart hours later. */
START_TEST(client_that_could_not_be_kept_is_kept_later) {
    Client *client;

    party.keeper_result = -ENOBUFS;
    client = party_add_client();
    party_tick();
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    party.keeper_result = 0;
    party_tick();
    party_tick(); /* once is enough */
    ck_assert_uint_eq(party_n_kept("c0"), KEPT_N_FDS);
    party_restart_host();
    party_await_take_up(1, 0);
    ck_assert_int_eq(client_state(client), CLIENT_READY);
}
END_TEST

START_TEST(clients_beyond_the_index_are_not_kept) {
    Client *client = party_add_client();
    void *index = party.host->store.index.map;
    IndexClient record = {0};
    size_t offset, bytes;

    ck_assert_int_eq(page_allocate(&party.host->store.index, 0, index_bytes()), 0);
    for (uint32_t i = index_place(index, INDEX_CLIENT, &offset, &bytes); i != UINT32_MAX;
         i = index_place(index, INDEX_CLIENT, &offset, &bytes)) {
        index_put(index, INDEX_CLIENT, i, &record);
        index_set(index, INDEX_CLIENT, i, 1 + i);
    }
    (void)party_add_client();
    AWAIT(party_n_events(EVENT_LIMIT) == 1);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_LIMIT)->text, "3000 clients"));
    ck_assert_uint_eq(party_n_kept(NULL), 2 + 1 + KEPT_N_FDS);
    party_restart_host(); /* the records that nobody has descriptors for are cleared */
    AWAIT(party.host->n_clients == 1);
    party_remove_client(client);
    AWAIT(index_place(party.host->store.index.map, INDEX_CLIENT, &offset, &bytes) == 0);
}
END_TEST

/* The next host would never know when its claims are over. */
START_TEST(worker_that_cannot_be_kept_is_not_let_in) {
    int fd;
    Packet packet;

    party.keeper_result = -ENOBUFS;
    fd = raw_connect(PEER_WORKER);
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    ck_assert_uint_eq(packet.refused.code, REASON_LIMIT);
    raw_expect_end(fd);
    ck_assert_uint_eq(party.host->workers.n, 0);
    fd_close(fd);
}
END_TEST

/* ---- exchanges ---- */

START_TEST(exchanges_go_on_without_a_host) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, 50000);
    party_leave_host();
    for (int i = 0; i < 10; i++)
        party_echo(client, 50000 - (uint64_t)i * 4096);
    party_start_host();
    party_echo(client, MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_waits_for_memory_gets_it_of_the_next_host) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request;

    party_leave_host();
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(request_reserve(request, MIB, true), CLIENT_PENDING);
    party_start_host();
    AWAIT(request->state == REQUEST_TAKEN);
    ck_assert_int_eq(request_reserve(request, MIB, true), 0);
    ck_assert_uint_eq(party_client_of_host(client)->reserved[0][request->slot], MIB);
    party_stop_worker(worker);
}
END_TEST

/* The old host has read the question, and died before it answered. */
START_TEST(question_that_died_with_its_host_is_asked_again) {
    Client *client = party_add_client();
    Packet lost;
    Request *request;

    party_settle();
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(request_reserve(request, MIB, true), CLIENT_PENDING);
    ck_assert_int_gt(read(party_client_of_host(client)->peer->fd, &lost, sizeof(lost)), 0);
    ck_assert_int_eq((int)lost.header.type, PACKET_RESERVE);
    party_restart_host();
    AWAIT(request->state == REQUEST_TAKEN);
    ck_assert_int_eq(request_reserve(request, MIB, true), 0);
}
END_TEST

START_TEST(cancel_that_died_with_its_host_is_wished_again) {
    Client *client = party_add_client();
    Request *request = party_send(client, 100);
    Packet lost;

    party_settle();
    ck_assert_int_eq(request_cancel(request), 0);
    ck_assert_int_gt(read(party_client_of_host(client)->peer->fd, &lost, sizeof(lost)), 0);
    ck_assert_int_eq((int)lost.header.type, PACKET_LOOK);
    party_restart_host();
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
}
END_TEST

START_TEST(client_without_its_welcome_connects_again) {
    Client *client = party_connect("unlucky");
    uint64_t until_ns = clock_now_ns() + 10 * NS_PER_SEC;

    while (party.host->n_clients == 0)
        ck_assert_int_eq(host_wait(party.host, until_ns), 0);
    /* Its WELCOME is on the way; have it lost. */
    for (Packet packet; read(client->channel, &packet, sizeof(packet)) > 0;)
        ;
    party_restart_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    party_remove_client(client);
    AWAIT(party.host->n_clients == 0);
}
END_TEST

START_TEST(message_that_was_lost_comes_again) {
    PartyWorker *worker;
    Client *client = party_add_client();
    Request *request = party_send(client, 100);
    Message message;
    size_t bytes;

    while (queue_receive(party_client_of_host(client)->uid->queue, &message, sizeof(message), &bytes) == 0)
        ;
    party_restart_host();
    worker = party_add_worker(NULL);
    party_check_echo(request);
    party_stop_worker(worker);
}
END_TEST

START_TEST(memory_is_counted_anew) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    uint64_t memory_bytes;
    HostClient *of_host;

    party_echo(client, MIB);
    of_host = party_client_of_host(client);
    memory_bytes = of_host->reserved_bytes[0] + of_host->reserved_bytes[1];
    ck_assert_uint_eq(memory_bytes, 2 * MIB);
    party_leave_host();
    party_start_host();
    ck_assert_uint_eq(party.host->memory_bytes, memory_bytes);
    ck_assert_uint_eq(party_client_of_host(client)->account->memory_bytes, memory_bytes);
    party_echo(client, MIB);
    ck_assert_uint_eq(party_client_of_host(client)->reserved_bytes[0], MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(clients_keep_what_they_were_made_with) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party.settings.max_payload = 8192;
    party.settings.requests_per_client = 1;
    party_restart_host();
    party_await_take_up(1, 1);
    ck_assert_uint_eq(party_client_of_host(client)->n_slots, 4);
    for (int i = 0; i < 4; i++)
        party_echo(client, 5000);
    ck_assert_uint_eq(client_n_slots(party_add_client()), 1);
    party_stop_worker(worker);
}
END_TEST

/* ---- workers ---- */

START_TEST(worker_at_work_goes_on) {
    PartyWorker *worker;
    Request *request;
    Client *client;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    client = party_add_client();
    request = party_send(client, 100000);
    gate_await_entry(&gate);
    party_restart_host();
    gate_open(&gate); /* it needs memory for the answer */
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 1);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(worker_that_waits_for_memory_gets_it_of_the_next_host) {
    PartyWorker *worker;
    Request *request;
    Client *client;
    Gate gate;

    gate_init(&gate);
    gate.deaf = true;
    worker = party_add_worker(&gate.handler);
    client = party_add_client();
    request = party_send(client, 100000);
    gate_await_entry(&gate);
    party_leave_host();
    gate_open(&gate);
    party_start_host();
    party_check_echo(request);
    ck_assert_uint_eq(party_client_of_host(client)->reserved[1][request->slot], round_to_pages(100000));
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

static int work_and_wait(void) {
    return child_wait_for_ever(1000 * NS_PER_SEC);
}

START_TEST(exchange_of_a_worker_that_died_meanwhile_is_given_to_another) {
    Child child = child_start(UNIT_SAME_UID, work_and_wait);
    PartyWorker *worker;
    Request *request;

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) == 1);
    request = party_send(party_add_client(), 100);
    ck_assert_int_eq(child_await(&child), 'c');
    party_leave_host();
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(&child), -SIGKILL);
    party_start_host();
    AWAIT(party_n_events(EVENT_WORKER_DIED) == 1);
    ck_assert_int_eq(party_word(request).state, SLOT_WAITING);
    worker = party_add_worker(NULL);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 2);
    ck_assert_uint_eq(party_n_kept("w0"), WORKER_N_FDS);
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_that_had_said_it_leaves_is_no_dead_one) {
    int fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    packet_init(&packet, PACKET_LEAVING, 0);
    raw_say(fd, &packet);
    AWAIT(party.host->n_workers == 0);
    party_leave_host();
    fd_close(fd);
    party_start_host();
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DETACHED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 0);
}
END_TEST

/* Take what lies in the socket of the first worker, as a host that is killed with it in its hands. */
static void read_from_kept_worker(PacketType type) {
    Packet packet;

    for (unsigned i = 0; i < PARTY_KEPT; i++)
        if (party.kept[i].fd > 0 && !strcmp(party.kept[i].name, "w0") &&
            channel_is_connection(party.kept[i].fd)) {
            ck_assert_int_gt(read(party.kept[i].fd, &packet, sizeof(packet)), 0);
            ck_assert_uint_eq(packet.header.type, type);
            return;
        }
    ck_abort_msg("no worker is kept");
}

START_TEST(worker_whose_leaving_died_with_its_host_is_no_dead_one) {
    PartyWorker *worker = party_add_worker(NULL);

    AWAIT(party.host->probe.known);
    party_leave_host();
    party_stop_worker(worker);
    read_from_kept_worker(PACKET_LEAVING);
    party_start_host();
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DETACHED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 0);
}
END_TEST

START_TEST(worker_holds_nothing_of_the_probe_before) {
    PartyWorker *worker = party_add_worker(NULL);

    AWAIT(party.host->probe.known);
    party_restart_host();
    party_await_take_up(0, 1);
    AWAIT(party.host->probe.known);
    ck_assert_uint_eq(party.host->clients.n, 1);
    party_stop_worker(worker);
}
END_TEST

static void await_packet(int fd, PacketType type, Packet *ret_packet) {
    do {
        party_await_fd(fd);
        ck_assert_int_gt(read(fd, ret_packet, sizeof(*ret_packet)), 0);
    } while (ret_packet->header.type != (uint32_t)type);
}

/* What it asks before it has said what it holds is not heard, nor held against it. */
START_TEST(question_of_a_worker_that_has_not_heard_of_the_new_host_is_no_offence) {
    int fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    AWAIT(party.host->n_workers == 1);
    party_leave_host();
    packet_init(&packet, PACKET_RESERVE, 7);
    packet.reserve.client = 12345;
    packet.reserve.bytes = 4096;
    packet.reserve.direction = DIRECTION_RESPONSE;
    raw_say(fd, &packet);
    party_start_host();
    packet_init(&packet, PACKET_HOLDS, 0);
    packet.id.client = 12345;
    raw_say(fd, &packet);
    packet.id.client = 0;
    raw_say(fd, &packet);
    AWAIT(party.host->n_counting == 0);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    await_packet(fd, PACKET_AGAIN, &packet);
    ck_assert_uint_eq(packet.again.max_payload, party.settings.max_payload);
    await_packet(fd, PACKET_GONE, &packet);
    ck_assert_uint_eq(packet.id.client, 12345);
    fd_close(fd);
}
END_TEST

/* What a host between has read of its HOLDS this one never hears; the rest of them ends its counting. */
START_TEST(worker_holds_a_client_that_it_named_to_a_host_between) {
    Client *client = party_add_client();
    int fd = raw_connect(PEER_WORKER);
    Packet packet;

    AWAIT(party.host->n_workers == 1);
    party_leave_host();
    packet_init(&packet, PACKET_HOLDS, 0);
    raw_say(fd, &packet);
    packet_init(&packet, PACKET_RESERVE, 7);
    packet.reserve.client = client_id(client);
    packet.reserve.bytes = 4096;
    packet.reserve.direction = DIRECTION_RESPONSE;
    raw_say(fd, &packet);
    party_start_host();
    await_packet(fd, PACKET_RESERVED, &packet);
    ck_assert_uint_eq(packet.header.serial, 7);
    ck_assert_uint_eq(packet.reserved.code, 0);
    ck_assert_uint_eq(party_client_of_host(client)->n_met, 1);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    fd_close(fd);
}
END_TEST

/* ---- suite ---- */

/* Whoever keeps a client's socket does not have to close what lies in it, which may take for ever. */
START_TEST(what_a_client_has_left_in_its_socket_is_not_the_keepers) {
    const int yes = 1;
    int kept, fd, pipe_fds[2];
    struct pollfd end;
    Packet packet;

    (void)setsockopt(party.host->listener, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &yes, sizeof(yes));
    party.host->fds_may_come = true; /* as before Linux 6.16 */
    fd = raw_connect(PEER_CLIENT);
    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    ck_assert_uint_eq(party_n_kept("c0"), KEPT_N_FDS);
    kept = fcntl(((Peer *)table_at(&party.host->peers, party.host->peers.n - 1))->fd, F_DUPFD_CLOEXEC, 3);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    packet_init(&packet, PACKET_HELLO, 0);
    ck_assert_int_eq(channel_send(fd, &packet, packet.header.bytes, &pipe_fds[1], 1), 0);
    ck_assert_int_eq(channel_send(fd, &packet, packet.header.bytes, NULL, 0), 0);
    ck_assert_int_eq(send(fd, "", 0, MSG_NOSIGNAL), 0);
    ck_assert_int_eq(channel_send(fd, &packet, 1, (const int[]){pipe_fds[1], pipe_fds[1]}, 2), 0);
    fd_close(pipe_fds[1]);
    raw_expect_end(fd);
    AWAIT(party_n_kept("c0") == 0);
    end = (struct pollfd){.fd = pipe_fds[0]};
    ck_assert_int_eq(poll(&end, 1, -1), 1);
    ck_assert_int_eq(end.revents, POLLHUP); /* nobody has it any more, though the socket is open */
    fd_close(kept);
    fd_close(pipe_fds[0]);
    fd_close(fd);
}
END_TEST

static void add_peers(TCase *tests) {
    tcase_add_test(tests, what_a_client_has_left_in_its_socket_is_not_the_keepers);
    tcase_add_test(tests, clients_and_workers_keep_their_connections);
    tcase_add_test(tests, many_restarts_lose_nobody_and_leave_nothing);
    tcase_add_test(tests, numbers_are_never_given_again);
    tcase_add_test(tests, who_goes_is_no_longer_kept);
    tcase_add_test(tests, who_went_meanwhile_is_gone);
    tcase_add_test(tests, what_a_client_that_went_has_done_is_counted_once);
    tcase_add_test(tests, who_connects_meanwhile_is_let_in_by_the_next_host);
    tcase_add_test(tests, socket_whose_path_is_gone_is_made_anew);
    tcase_add_test(tests, full_stop_leaves_no_path);
}

static void add_unkept(TCase *tests) {
    tcase_add_test(tests, clients_that_cannot_be_kept_work_until_the_host_ends);
    tcase_add_test(tests, service_manager_that_was_busy_is_asked_again);
    tcase_add_test(tests, client_that_could_not_be_kept_is_kept_later);
    tcase_add_test(tests, clients_beyond_the_index_are_not_kept);
    tcase_add_test(tests, worker_that_cannot_be_kept_is_not_let_in);
}

static void add_exchanges(TCase *tests) {
    tcase_add_test(tests, exchanges_go_on_without_a_host);
    tcase_add_test(tests, client_that_waits_for_memory_gets_it_of_the_next_host);
    tcase_add_test(tests, question_that_died_with_its_host_is_asked_again);
    tcase_add_test(tests, cancel_that_died_with_its_host_is_wished_again);
    tcase_add_test(tests, client_without_its_welcome_connects_again);
    tcase_add_test(tests, message_that_was_lost_comes_again);
    tcase_add_test(tests, memory_is_counted_anew);
    tcase_add_test(tests, clients_keep_what_they_were_made_with);
}

static void add_workers(TCase *tests) {
    tcase_add_test(tests, worker_at_work_goes_on);
    tcase_add_test(tests, worker_that_waits_for_memory_gets_it_of_the_next_host);
    tcase_add_test(tests, exchange_of_a_worker_that_died_meanwhile_is_given_to_another);
    tcase_add_test(tests, worker_that_had_said_it_leaves_is_no_dead_one);
    tcase_add_test(tests, worker_whose_leaving_died_with_its_host_is_no_dead_one);
    tcase_add_test(tests, worker_holds_nothing_of_the_probe_before);
    tcase_add_test(tests, question_of_a_worker_that_has_not_heard_of_the_new_host_is_no_offence);
    tcase_add_test(tests, worker_holds_a_client_that_it_named_to_a_host_between);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("takeup");

    add_peers(party_add_case(suite, "peers", party_begin_kept, party_end));
    add_unkept(party_add_case(suite, "unkept", party_begin_kept, party_end));
    add_exchanges(party_add_case(suite, "exchanges", party_begin_kept, party_end));
    add_workers(party_add_case(suite, "workers", party_begin_kept, party_end));
    return suite;
}
