/* SPDX-License-Identifier: MIT */
/* What each uid has of a host: counted, given back when it is given back, and no sooner. */
#include "party.h"

#include "base/units.h"
#include "os/limits.h"

#include <sys/socket.h>

static HostAccount *own_account(void) {
    HostAccount *account = table_find(&party.host->accounts, geteuid());

    host_look_at_flying(party.host, account); /* the probe's, too */
    return account;
}

static HostAccount before; /* what the probe has */

static void begin(void) {
    party_begin();
    party_settle();
    before = *own_account();
}

/* In the end nothing counts any more but the probe. */
static void end(void) {
    AWAIT(own_account()->n_connections == before.n_connections);
    ck_assert_uint_eq(own_account()->n_half_open, 0);
    ck_assert_uint_eq(own_account()->n_clients, before.n_clients);
    ck_assert_uint_eq(own_account()->n_slots, before.n_slots);
    ck_assert_uint_eq(own_account()->memory_bytes, before.memory_bytes);
    AWAIT(own_account()->n_queues == before.n_queues);
    ck_assert_uint_eq(own_account()->queue_bytes, before.queue_bytes);
    ck_assert_uint_eq(own_account()->n_flying, 0);
    party_end();
}

START_TEST(connection_counts_and_is_half_open_until_it_says_hello) {
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = raw_connect(PEER_STRANGER);
    AWAIT(own_account()->n_half_open == 3);
    ck_assert_uint_eq(own_account()->n_connections, before.n_connections + 3);
    fd_close(fds[0]);
    AWAIT(own_account()->n_half_open == 2);
    ck_assert_uint_eq(own_account()->n_connections, before.n_connections + 2);
    fd_close(fds[1]);
    fd_close(fds[2]);
}
END_TEST

START_TEST(client_counts_with_its_slots_and_its_queue) {
    Client *client = party_add_client();

    ck_assert_uint_eq(own_account()->n_half_open, 0);
    ck_assert_uint_eq(own_account()->n_clients, before.n_clients + 1);
    ck_assert_uint_eq(own_account()->n_slots, before.n_slots + party.settings.requests_per_client);
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues + 1);
    ck_assert_uint_eq(own_account()->queue_bytes,
                      before.queue_bytes + queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message)));
    party_remove_client(client);
}
END_TEST

START_TEST(memory_counts_until_the_client_goes) {
    Client *client = party_add_client();
    Request *request = party_take(client, 3 * PAGE_BYTES);

    ck_assert_uint_eq(own_account()->memory_bytes, before.memory_bytes + 3 * PAGE_BYTES);
    request_release(request);
    ck_assert_uint_eq(own_account()->memory_bytes, before.memory_bytes + 3 * PAGE_BYTES);
    party_remove_client(client);
    AWAIT(own_account()->memory_bytes == before.memory_bytes);
}
END_TEST

/* Otherwise whoever connects again and again would use up RLIMIT_MSGQUEUE at the price of a descriptor each.
 */
START_TEST(queue_of_a_client_that_has_gone_counts_until_it_lets_go) {
    int channel = raw_connect(PEER_CLIENT), fds[WELCOME_N_FDS];
    Packet packet;

    raw_expect(channel, PACKET_WELCOME, &packet, fds);
    fd_close(channel);
    AWAIT(own_account()->n_clients == before.n_clients);
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues + 1);
    for (int i = 0; i < WELCOME_N_FDS; i++)
        if (i != WELCOME_REPLY_QUEUE)
            fd_close(fds[i]);
    party_settle();
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues + 1);
    fd_close(fds[WELCOME_REPLY_QUEUE]);
}
END_TEST

START_TEST(queue_that_nobody_receives_counts_until_its_socket_is_closed) {
    int channel = raw_connect(PEER_CLIENT);

    AWAIT(own_account()->n_clients == before.n_clients + 1);
    ck_assert_int_eq(shutdown(channel, SHUT_WR), 0);
    AWAIT(own_account()->n_clients == before.n_clients);
    party_settle();
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues + 1);
    fd_close(channel);
}
END_TEST

START_TEST(descriptors_count_as_under_way_until_they_are_received) {
    int channel = raw_connect(PEER_CLIENT);
    Packet packet;

    AWAIT(own_account()->n_clients == before.n_clients + 1);
    ck_assert_uint_eq(own_account()->n_flying, WELCOME_N_FDS);
    raw_expect(channel, PACKET_WELCOME, &packet, NULL);
    ck_assert_uint_eq(own_account()->n_flying, 0);
    fd_close(channel);
}
END_TEST

/* Nobody knows any more whether they were. */
START_TEST(descriptors_of_one_that_hung_up_count_with_its_queue) {
    int channel = raw_connect(PEER_CLIENT);

    AWAIT(own_account()->n_clients == before.n_clients + 1);
    ck_assert_int_eq(shutdown(channel, SHUT_WR), 0);
    AWAIT(own_account()->n_clients == before.n_clients);
    ck_assert_uint_eq(own_account()->n_flying, WELCOME_N_FDS);
    fd_close(channel);
    AWAIT(own_account()->n_flying == 0);
}
END_TEST

/* Where the kernel has no watch for us. */
START_TEST(queue_without_a_watch_counts_as_long_as_the_host_has_it) {
    int watch = party.host->watch, channel, fds[WELCOME_N_FDS];
    Packet packet;

    party.host->watch = -1;
    channel = raw_connect(PEER_CLIENT);
    raw_expect(channel, PACKET_WELCOME, &packet, fds);
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues + 1);
    fd_close(channel);
    AWAIT(own_account()->n_clients == before.n_clients);
    ck_assert_uint_eq(own_account()->n_queues, before.n_queues);
    for (int i = 0; i < WELCOME_N_FDS; i++)
        fd_close(fds[i]);
    party.host->watch = watch;
}
END_TEST

START_TEST(account_is_forgotten_when_nothing_is_left_of_it) {
    HostAccount *account;

    ck_assert_int_eq(host_get_account(party.host, UNIT_OTHER_UID, &account), 0);
    account->n_connections = 1;
    host_put_account(party.host, account);
    ck_assert_ptr_eq(table_find(&party.host->accounts, UNIT_OTHER_UID), account);
    account->n_connections = 0;
    host_put_account(party.host, account);
    ck_assert_ptr_null(table_find(&party.host->accounts, UNIT_OTHER_UID));
}
END_TEST

START_TEST(account_with_a_past_lives_until_it_no_longer_counts) {
    uint64_t now_ns = clock_now_ns();
    HostAccount *account;

    ck_assert_int_eq(host_get_account(party.host, UNIT_OTHER_UID, &account), 0);
    account->deaths_ns[1] = now_ns;
    account->refused_until_ns = now_ns + 90 * NS_PER_SEC;
    host_put_account(party.host, account);
    host_reap_accounts(party.host, now_ns + 89 * NS_PER_SEC);
    ck_assert_ptr_eq(table_find(&party.host->accounts, UNIT_OTHER_UID), account);
    account->refused_until_ns = 0;
    host_reap_accounts(party.host, now_ns + 59 * NS_PER_SEC);
    ck_assert_ptr_eq(table_find(&party.host->accounts, UNIT_OTHER_UID), account);
    host_reap_accounts(party.host, now_ns + 61 * NS_PER_SEC);
    ck_assert_ptr_null(table_find(&party.host->accounts, UNIT_OTHER_UID));
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("account");
    TCase *all = tcase_create("account");

    tcase_add_checked_fixture(all, begin, end);
    tcase_add_test(all, connection_counts_and_is_half_open_until_it_says_hello);
    tcase_add_test(all, client_counts_with_its_slots_and_its_queue);
    tcase_add_test(all, memory_counts_until_the_client_goes);
    tcase_add_test(all, queue_of_a_client_that_has_gone_counts_until_it_lets_go);
    tcase_add_test(all, queue_that_nobody_receives_counts_until_its_socket_is_closed);
    tcase_add_test(all, descriptors_count_as_under_way_until_they_are_received);
    tcase_add_test(all, descriptors_of_one_that_hung_up_count_with_its_queue);
    tcase_add_test(all, queue_without_a_watch_counts_as_long_as_the_host_has_it);
    tcase_add_test(all, account_is_forgotten_when_nothing_is_left_of_it);
    tcase_add_test(all, account_with_a_past_lives_until_it_no_longer_counts);
    suite_add_tcase(suite, all);
    return suite;
}
