/* SPDX-License-Identifier: MIT */
/*
 * What a host answers when it is asked for its status: a row for each party, slot and stage, and for other
 * users no row but their own. What it answers while they come and go is in test-status.c.
 */
#include "party.h"

#include "base/units.h"

#include <string.h>

/* ---- rows ---- */

static int ask_status(uint64_t serial) {
    int fd = raw_connect(PEER_STATUS);
    Packet packet;

    packet_init(&packet, PACKET_STATUS, serial);
    raw_say(fd, &packet);
    return fd;
}

/* One packet each is enough here. @n: how many exchanges each of them has counted. */
static void expect_stages(int fd, uint64_t n) {
    Packet packet;

    for (uint32_t stage = 0; stage < _STAGE_N; stage++) {
        uint64_t n_counted = 0;

        raw_expect(fd, PACKET_STATUS_STAGE, &packet, NULL);
        ck_assert_uint_eq(packet.status_stage.stage, stage);
        for (uint32_t i = 0; i < packet.status_stage.n_entries; i++)
            n_counted += packet.status_stage.entries[i] & STAGE_COUNT_MAX;
        ck_assert_uint_eq(n_counted, n);
        ck_assert(packet.status_stage.sum_ns >= packet.status_stage.max_ns);
    }
}

START_TEST(status_tells_of_host_clients_and_workers) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Packet packet;
    int fd;

    party_echo(client, MIB);
    AWAIT(party_n_events(EVENT_HEALTH) == 1 && !party.host->probe.request);
    AWAIT(party_worker_n_exchanges(worker) == 1); /* it counts once the client has its answer */
    fd = ask_status(99);
    raw_expect(fd, PACKET_STATUS_HOST, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 99);
    ck_assert_str_eq(packet.status_host.name, "test");
    ck_assert_uint_eq(packet.status_host.n_clients, 1);
    ck_assert_uint_eq(packet.status_host.n_workers, 1);
    ck_assert_uint_eq(packet.status_host.n_done, 1);
    ck_assert_uint_eq(packet.status_host.in_flight, 0);
    ck_assert_uint_eq(packet.status_host.healthy, 1);
    ck_assert_uint_eq(packet.status_host.request_payload_bytes, MIB);
    ck_assert_uint_eq(packet.status_host.memory_bytes, party.host->memory_bytes);
    raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
    ck_assert_uint_eq(packet.status_client.probe, 1);
    raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
    ck_assert_uint_eq(packet.status_client.id, client_id(client));
    ck_assert_str_eq(packet.status_client.name, "test-client");
    ck_assert_uint_eq(packet.status_client.request_bytes, MIB);
    ck_assert_uint_eq(packet.status_client.resident_bytes, 2 * MIB);
    raw_expect(fd, PACKET_STATUS_WORKER, &packet, NULL);
    ck_assert_str_eq(packet.status_worker.name, "test-worker");
    ck_assert_uint_eq(packet.status_worker.busy_ns, 0);
    ck_assert_uint_eq(packet.status_worker.n_clients, 2);
    expect_stages(fd, 1);
    raw_expect(fd, PACKET_STATUS_END, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 99);
    fd_close(fd);
    party_stop_worker(worker);
}
END_TEST

START_TEST(status_tells_what_waits_and_what_is_handled) {
    PartyWorker *worker;
    Client *client;
    Packet packet;
    Gate gate;
    int fd;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    AWAIT(party_n_events(EVENT_HEALTH) == 1 && !party.host->probe.request);
    client = party_add_client();
    party_send(client, 1);
    gate_await_entry(&gate);
    party_send(client, 1);
    fd = ask_status(1);
    raw_expect(fd, PACKET_STATUS_HOST, &packet, NULL);
    ck_assert_uint_eq(packet.status_host.in_flight, 2);
    raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
    raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
    ck_assert_uint_eq(packet.status_client.in_flight, 2);
    ck_assert_uint_eq(packet.status_client.queued, 1);
    raw_expect(fd, PACKET_STATUS_WORKER, &packet, NULL);
    ck_assert_uint_gt(packet.status_worker.busy_ns, 0);
    ck_assert_uint_eq(packet.status_worker.client, client_id(client));
    fd_close(fd);
    gate_open(&gate);
    gate_open(&gate);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(status_does_not_count_the_hosts_own_probe) {
    Packet packet;
    int fd, queue, worker = raw_join(&queue);

    party_await_fd(queue); /* the probe's message, which nobody takes */
    fd = ask_status(1);
    raw_expect(fd, PACKET_STATUS_HOST, &packet, NULL);
    ck_assert_uint_eq(packet.status_host.n_clients, 0);
    ck_assert_uint_eq(packet.status_host.in_flight, 0);
    fd_close(fd);
    raw_leave(worker, queue);
}
END_TEST

START_TEST(slow_reader_gets_every_row_of_every_answer) {
    enum { N_ASKED = 100, N_CLIENTS = 5 };
    int fd = raw_connect(PEER_STATUS);
    Packet packet;

    for (int i = 0; i < N_CLIENTS; i++)
        party_add_client();
    for (uint64_t i = 0; i < N_ASKED; i++) {
        packet_init(&packet, PACKET_STATUS, i);
        raw_say(fd, &packet);
    }
    party_settle();
    for (uint64_t i = 0; i < N_ASKED; i++) {
        uint64_t id = 0;

        raw_expect(fd, PACKET_STATUS_HOST, &packet, NULL);
        ck_assert_uint_eq(packet.header.serial, i);
        for (int j = 0; j < N_CLIENTS + 1; j++) {
            raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
            ck_assert_uint_gt(packet.status_client.id, id);
            id = packet.status_client.id;
        }
        expect_stages(fd, 0);
        raw_expect(fd, PACKET_STATUS_END, &packet, NULL);
    }
    fd_close(fd);
}
END_TEST

START_TEST(latency_of_a_client_that_went_is_kept) {
    PartyWorker *worker = party_add_worker(NULL);
    StageTimes times[_STAGE_N];
    Client *client;

    AWAIT(party_n_events(EVENT_HEALTH) == 1 && !party.host->probe.request);
    client = party_add_client();
    party_echo(client, 1);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    host_stage_times(party.host, times);
    for (Stage stage = 0; stage < _STAGE_N; stage++)
        ck_assert_uint_eq(party.host->stages[stage].n, 1);
    ck_assert_uint_gt(times[STAGE_RUNNING].p50_ns, 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_says_it_had_a_billion_answers_is_not_believed) {
    Client *client = party_add_client();
    const HostClient *of_host;

    AWAIT(party.host->n_clients == 1);
    of_host = party_client_of_host(client);
    for (int i = 0; i < 100; i++)
        meter_record(slots_meter(of_host->submit.map, STAGE_REPLIED, of_host->n_slots), 1, 64);
    host_read_stages(party.host);
    ck_assert_uint_eq(party.host->stages[STAGE_REPLIED].n, 0);
}
END_TEST

static void ask_slots(int fd) {
    Packet packet;

    packet_init(&packet, PACKET_STATUS_SLOTS, 7);
    raw_say(fd, &packet);
}

/* Everything up to the slots. */
static void expect_rows(int fd, int n_clients, int n_workers) {
    Packet packet;

    raw_expect(fd, PACKET_STATUS_HOST, &packet, NULL);
    for (int i = 0; i < n_clients; i++)
        raw_expect(fd, PACKET_STATUS_CLIENT, &packet, NULL);
    for (int i = 0; i < n_workers; i++)
        raw_expect(fd, PACKET_STATUS_WORKER, &packet, NULL);
}

static void expect_slot(int fd, uint32_t slot, StatusSlot state, PacketStatusSlot *ret) {
    Packet packet;

    raw_expect(fd, PACKET_STATUS_SLOT, &packet, NULL);
    ck_assert_uint_eq(packet.status_slot.slot, slot);
    ck_assert_uint_eq(packet.status_slot.state, state);
    *ret = packet.status_slot;
}

START_TEST(status_tells_of_slots_what_each_is_doing) {
    int fd = raw_connect(PEER_STATUS);
    PacketStatusSlot row;
    PartyWorker *worker;
    Request *filling;
    Client *client;
    Packet packet;
    Gate gate;

    gate_init(&gate);
    party.settings.health_interval_ns = 0;
    worker = party_add_worker(&gate.handler);
    AWAIT(!party.host->probe.request);
    client = party_add_client();
    party_send(client, MIB);
    gate_await_entry(&gate);
    party_send(client, 1);
    ck_assert_int_eq(client_take(client, &filling), 0);
    ask_slots(fd);
    expect_rows(fd, 2, 1);
    do
        raw_expect(fd, PACKET_STATUS_SLOT, &packet, NULL); /* the probe's memory */
    while (packet.status_slot.client != client_id(client));
    ck_assert_uint_eq(packet.status_slot.state, STATUS_SLOT_RUNNING);
    ck_assert_uint_eq(packet.status_slot.payload_bytes, MIB);
    ck_assert_uint_eq(packet.status_slot.request_bytes, MIB);
    ck_assert_uint_eq(packet.status_slot.attempts, 1);
    ck_assert_uint_gt(packet.status_slot.running_ns, 0);
    ck_assert_uint_eq(packet.status_slot.worker, ((HostWorker *)table_at(&party.host->workers, 0))->number);
    expect_slot(fd, 1, STATUS_SLOT_QUEUED, &row);
    ck_assert_uint_eq(row.worker, 0);
    expect_slot(fd, 2, STATUS_SLOT_FILLING, &row);
    expect_stages(fd, 0);
    raw_expect(fd, PACKET_STATUS_END, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 7);
    fd_close(fd);
    gate_open(&gate);
    gate_open(&gate);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

/* ---- other users ---- */

/* What somebody hears who is neither of the host's user nor of its group: no row but of its own. */
static int ask_as_stranger(void) {
    int fd = raw_connect(PEER_STATUS), n_others = 0, n_clients = 0;
    Packet packet;

    ask_slots(fd);
    do {
        int fds[CHANNEL_FDS_MAX];
        size_t bytes, n_fds;

        if (wait_for_fd(fd, WAIT_READ, UINT64_MAX) < 0 ||
            channel_receive(fd, &packet, sizeof(packet), &bytes, fds, &n_fds) < 0)
            return 1;
        if (packet.header.type == PACKET_STATUS_HOST &&
            (!packet.status_host.partial || packet.status_host.n_clients != 1))
            return 2;
        n_clients += packet.header.type == PACKET_STATUS_CLIENT;
        n_others += packet.header.type == PACKET_STATUS_SLOT ||
                    (packet.header.type == PACKET_STATUS_WORKER &&
                     (packet.status_worker.busy_ns == 0 || packet.status_worker.client != 0));
    } while (packet.header.type != PACKET_STATUS_END);
    return n_clients || n_others ? 3 : 0;
}

/* Any answer will do. */
static int ask_as_nobody(void) {
    return ask_as_stranger() == 1;
}

START_TEST(status_of_others_is_not_told_to_other_users) {
    PartyWorker *worker;
    Client *client;
    Child child;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    AWAIT(party_n_events(EVENT_HEALTH) == 1 && !party.host->probe.request);
    client = party_add_client();
    party_send(client, 1);
    gate_await_entry(&gate);
    child = child_start(UNIT_UID, ask_as_stranger);
    ck_assert_int_eq(child_end(&child), 0);
    gate_open(&gate);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

/* A Histogram of each client is read for it, which takes milliseconds where there are many. */
START_TEST(other_users_do_not_have_all_stages_read_at_each_question) {
    const uint64_t mark = 12345;
    Child child;

    party.host->stages_ns = clock_now_ns() + 100 * NS_PER_SEC;
    party.host->stages[STAGE_QUEUED].max = mark;
    child = child_start(UNIT_UID, ask_as_nobody);
    ck_assert_int_eq(child_end(&child), 0);
    ck_assert_uint_eq(party.host->stages[STAGE_QUEUED].max, mark);
    party.host->stages_ns = 0;
    child = child_start(UNIT_UID, ask_as_nobody);
    ck_assert_int_eq(child_end(&child), 0);
    ck_assert_uint_ne(party.host->stages[STAGE_QUEUED].max, mark);
    ck_assert_uint_ne(party.host->stages_ns, 0);
}
END_TEST

/* ---- suite ---- */

static void add_status(Suite *suite) {
    TCase *tests = party_add_case(suite, "status", party_begin, party_end);

    tcase_add_test(tests, status_tells_of_host_clients_and_workers);
    tcase_add_test(tests, status_tells_what_waits_and_what_is_handled);
    tcase_add_test(tests, status_does_not_count_the_hosts_own_probe);
    tcase_add_test(tests, slow_reader_gets_every_row_of_every_answer);
    tcase_add_test(tests, status_tells_of_slots_what_each_is_doing);
    tcase_add_test(tests, latency_of_a_client_that_went_is_kept);
    tcase_add_test(tests, client_that_says_it_had_a_billion_answers_is_not_believed);
}

static void add_users(Suite *suite) {
    TCase *tests = party_add_case(suite, "users", party_begin, party_end);

    tcase_add_test(tests, status_of_others_is_not_told_to_other_users);
    tcase_add_test(tests, other_users_do_not_have_all_stages_read_at_each_question);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("host-status");

    add_status(suite);
    if (unit_is_root())
        add_users(suite);
    return suite;
}
