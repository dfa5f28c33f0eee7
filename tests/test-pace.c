/* SPDX-License-Identifier: MIT */
/*
 * Pace: a user who asks too much of the host's time waits for it, and nobody else does. What somebody owes is
 * set by hand, so that no test depends on how fast a machine is. In each test somebody else is there, since
 * who is alone has all.
 */
#include "party.h"

#include "base/units.h"

#include <stdio.h>
#include <string.h>

#define FDS_MAX 256

static int fds[FDS_MAX]; /* connections by hand */
static unsigned n_fds;
static int bystander;

static int connect_as(uid_t uid, PeerRole role) {
    ck_assert_uint_lt(n_fds, FDS_MAX);
    return fds[n_fds++] = raw_connect_as(uid, role);
}

static int join_as(uid_t uid) {
    int fd = connect_as(uid, PEER_CLIENT);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    return fd;
}

static void begin(void) {
    party_begin();
    party_settle();
    n_fds = 0;
    bystander = join_as(0);
    n_fds = 0;
}

static HostAccount *account_of(uid_t uid) {
    return table_find(&party.host->accounts, uid);
}

/* For so long that no test sees the end of it. */
static void owe(uid_t uid) {
    HostAccount *account = account_of(uid);

    ck_assert_ptr_nonnull(account);
    account->spent_ns = 1000 * NS_PER_SEC;
    account->settled_ns = clock_now_ns();
    account->owes = true;
}

/* It has waited long enough. */
static void forgive(uid_t uid) {
    account_of(uid)->spent_ns = 0;
    if (party.host->pace.hear_ns)
        party.host->pace.hear_ns = 1;
    ck_assert_int_eq(host_wait(party.host, 0), 0);
    party_settle();
}

static void end(void) {
    fd_close(bystander);
    while (n_fds > 0)
        fd_close(fds[--n_fds]);
    if (account_of(UNIT_UID))
        forgive(UNIT_UID);
    AWAIT(party.host->peers.n == 1);
    party_end();
}

static void ask(int fd) {
    Packet packet;

    packet_init(&packet, PACKET_STATUS, 1);
    raw_say(fd, &packet);
}

/* An asker of status, and whether it was answered. */
static int ask_as(uid_t uid) {
    int fd = connect_as(uid, PEER_STATUS);

    ask(fd);
    return fd;
}

static bool is_answered(int fd) {
    party_settle();
    return wait_for_fd(fd, WAIT_READ, 0) > 0;
}

/* ---- whose time it is ---- */

START_TEST(time_is_counted_for_whom_it_is_spent_and_paid_off_as_it_passes) {
    HostAccount *account;
    uint64_t spent_ns;

    (void)join_as(UNIT_UID);
    account = account_of(UNIT_UID);
    spent_ns = account->spent_ns;
    ck_assert_uint_gt(spent_ns, 0);
    ck_assert(!account->owes);
    ck_assert(account_has_spent(account, account->settled_ns + 9 * spent_ns));
    ck_assert(!account_has_spent(account, account->settled_ns + 10 * spent_ns));
}
END_TEST

START_TEST(time_is_not_forgotten_when_a_user_goes) {
    fd_close(join_as(UNIT_UID));
    n_fds = 0;
    account_of(UNIT_UID)->spent_ns = NS_PER_SEC * 1000;
    AWAIT(party.host->n_clients == 1);
    party.host->patience.idle_ns = 0;
    party_tick();
    ck_assert_ptr_nonnull(account_of(UNIT_UID));
    account_of(UNIT_UID)->spent_ns = 0;
    party_tick();
    ck_assert_ptr_null(account_of(UNIT_UID));
}
END_TEST

START_TEST(root_is_not_paced) {
    party.host->patience.pace_ns = 0;
    (void)join_as(0);
    ck_assert_uint_eq(account_of(0)->spent_ns, 0);
    owe(0);
    ck_assert(is_answered(ask_as(0)));
}
END_TEST

START_TEST(own_user_is_not_paced) {
    uid_t uid = party.host->uid;

    party.host->uid = UNIT_UID;
    party.host->patience.pace_ns = 0;
    (void)join_as(UNIT_UID);
    ck_assert_uint_eq(account_of(UNIT_UID)->spent_ns, 0);
    party.host->uid = uid;
}
END_TEST

START_TEST(worker_is_heard_whatever_its_user_owes) {
    Packet packet;
    int fd = connect_as(UNIT_UID, PEER_WORKER);

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    owe(UNIT_UID);
    packet_init(&packet, PACKET_LEAVING, 0);
    raw_say(fd, &packet);
    AWAIT(party.host->n_workers == 0);
    fd_close(fd);
    n_fds = 0;
    AWAIT(party.host->workers.n == 0);
}
END_TEST

START_TEST(user_who_is_alone_is_heard_whatever_he_owes_until_another_comes) {
    (void)join_as(UNIT_UID);
    bystander = fd_close(bystander);
    AWAIT(party.host->n_clients == 1);
    owe(UNIT_UID);
    ck_assert(is_answered(ask_as(UNIT_UID)));
    bystander = connect_as(0, PEER_CLIENT);
    n_fds--;
    raw_expect(bystander, PACKET_WELCOME, &(Packet){0}, NULL);
    ck_assert(!is_answered(ask_as(UNIT_UID)));
}
END_TEST

START_TEST(user_who_was_alone_owes_no_more_than_anybody_may_have) {
    bystander = fd_close(bystander);
    AWAIT(party.host->n_clients == 0);
    party.host->patience.pace_ns = 1;
    for (int i = 0; i < 3; i++)
        (void)join_as(UNIT_UID);
    party_settle();
    ck_assert(!account_of(UNIT_UID)->owes);
    ck_assert_uint_le(account_of(UNIT_UID)->spent_ns, 1);
    ck_assert_uint_eq(party_n_events(EVENT_LIMIT), 0);
}
END_TEST

/* ---- who waits ---- */

START_TEST(user_who_owes_is_not_heard_and_others_are) {
    int asker;

    (void)join_as(UNIT_UID);
    asker = ask_as(UNIT_UID);
    ck_assert(is_answered(asker));
    asker = connect_as(UNIT_UID, PEER_STATUS);
    party_settle();
    owe(UNIT_UID);
    ask(asker);
    ck_assert(!is_answered(asker));
    ck_assert(!is_answered(ask_as(UNIT_UID)));
    ck_assert(is_answered(ask_as(UNIT_OTHER_UID)));
    (void)join_as(0);
    forgive(UNIT_UID);
    ck_assert(is_answered(asker));
}
END_TEST

START_TEST(who_waits_is_looked_at_when_enough_is_paid_off) {
    int asker = connect_as(UNIT_UID, PEER_STATUS);
    HostAccount *account;
    uint64_t low_ns = party.host->patience.pace_ns / 50 * 49;

    party_settle();
    owe(UNIT_UID);
    ask(asker);
    party_settle();
    account = account_of(UNIT_UID);
    ck_assert_uint_eq(party.host->pace.hear_ns, account->settled_ns + 10 * (account->spent_ns - low_ns));
    ck_assert_uint_eq(host_next_pace(party.host), party.host->pace.hear_ns);
    forgive(UNIT_UID);
    ck_assert_uint_eq(host_next_pace(party.host), UINT64_MAX);
}
END_TEST

/* Everything is too much here, and is soon paid off: nobody helps. */
START_TEST(user_who_has_waited_is_heard_by_itself_and_told_of_in_the_log) {
    party.host->patience.pace_ns = 1;
    for (int i = 0; i < 3; i++)
        (void)join_as(UNIT_UID);
    ck_assert_uint_ge(party_n_events(EVENT_LIMIT), 1);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_LIMIT)->text, "user 61184 asks for more than a tenth"));
    ck_assert_uint_eq(party_event(EVENT_LIMIT)->uid, UNIT_UID);
}
END_TEST

START_TEST(hang_up_of_a_user_who_owes_is_seen_later) {
    int fd = join_as(UNIT_UID);

    owe(UNIT_UID);
    fd_close(fd);
    n_fds = 0;
    party_settle();
    ck_assert_uint_eq(party.host->n_clients, 2);
    forgive(UNIT_UID);
    AWAIT(party.host->n_clients == 1);
}
END_TEST

/* It has said HELLO, after all, and is not heard. */
START_TEST(newcomer_of_a_user_who_owes_is_in_time_however_long_it_waits) {
    int fd;

    (void)connect_as(UNIT_OTHER_UID, PEER_STRANGER);
    (void)join_as(UNIT_UID);
    owe(UNIT_UID);
    fd = connect_as(UNIT_UID, PEER_CLIENT);
    AWAIT(account_of(UNIT_UID)->n_half_open == 1);
    party_settle();
    party.host->patience.hello_ns = 0;
    party_tick();
    ck_assert_uint_eq(party.host->n_misbehaved, 1); /* who has said nothing */
    forgive(UNIT_UID);
    raw_expect(fd, PACKET_WELCOME, &(Packet){0}, NULL);
}
END_TEST

/* ---- newcomers ---- */

START_TEST(one_newcomer_too_many_of_a_user_who_owes_is_told_and_nobody_else) {
    unsigned n = PEERS_BESIDE_CLIENTS / 2;
    Packet packet;
    int fd;

    (void)connect_as(UNIT_UID, PEER_STRANGER);
    party_settle();
    owe(UNIT_UID);
    for (unsigned i = 1; i < n; i++)
        (void)connect_as(UNIT_UID, PEER_CLIENT);
    AWAIT(account_of(UNIT_UID)->n_half_open == n);
    ck_assert_uint_eq(party.host->pace.listen_ns, 0);
    fd = connect_as(UNIT_UID, PEER_CLIENT);
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    ck_assert_int_eq((int)packet.refused.code, REASON_LIMIT);
    ck_assert_ptr_nonnull(strstr(packet.refused.text, "busy: this user asks for more than a tenth"));
    raw_expect_end(fd);
    ck_assert_uint_eq(account_of(UNIT_UID)->n_half_open, n);
    (void)join_as(UNIT_OTHER_UID);
    ck_assert_uint_eq(account_of(UNIT_UID)->n_half_open, n);
}
END_TEST

/* The host rests after it has turned somebody away; and whoever comes meanwhile comes in after that. */
START_TEST(newcomers_are_taken_in_again_after_a_rest) {
    (void)connect_as(UNIT_UID, PEER_STRANGER);
    party_settle();
    owe(UNIT_UID);
    account_of(UNIT_UID)->n_half_open += PEERS_BESIDE_CLIENTS;
    raw_expect_end(connect_as(UNIT_UID, PEER_STRANGER));
    account_of(UNIT_UID)->n_half_open -= PEERS_BESIDE_CLIENTS;
    (void)join_as(UNIT_OTHER_UID);
    AWAIT(party.host->pace.listen_ns == 0);
    ck_assert_uint_eq(party.host->pace.n_shed, 0);
}
END_TEST

/* How many answers have come on @fd, each of which has it ask again. */
static unsigned hear_and_ask(int fd) {
    int passed[CHANNEL_FDS_MAX];
    size_t bytes, n_passed;
    unsigned n = 0;
    Packet packet;

    while (channel_receive(fd, &packet, sizeof(packet), &bytes, passed, &n_passed) == 0) {
        if (packet.header.type != PACKET_STATUS_END)
            continue;
        ask(fd);
        n++;
    }
    return n;
}

/* All are heard again at a time, and what the first one asks is already too much. */
START_TEST(each_connection_of_a_user_who_owes_has_its_turn) {
    unsigned n_heard[3] = {0};
    int askers[3];

    (void)join_as(UNIT_UID);
    for (int i = 0; i < 3; i++)
        askers[i] = connect_as(UNIT_UID, PEER_STATUS);
    party_settle();
    party.host->patience.pace_ns = 1;
    for (int i = 0; i < 3; i++)
        ask(askers[i]);
    while (n_heard[0] < 2 || n_heard[1] < 2 || n_heard[2] < 2) { /* or the test's time is over */
        ck_assert_int_eq(host_wait(party.host, clock_now_ns() + NS_PER_MS), 0);
        for (int i = 0; i < 3; i++)
            n_heard[i] += hear_and_ask(askers[i]);
    }
    party.host->patience.pace_ns = NS_PER_SEC;
}
END_TEST

START_TEST(debt_is_not_forgotten_by_the_tick_that_reaps_its_last_stranger) {
    (void)connect_as(UNIT_UID, PEER_STRANGER);
    party_settle();
    owe(UNIT_UID);
    party.host->patience.hello_ns = 0;
    party_tick();
    ck_assert_ptr_nonnull(account_of(UNIT_UID));
    ck_assert_uint_gt(account_of(UNIT_UID)->spent_ns, 0);
}
END_TEST

START_TEST(hello_that_waited_is_heard_though_a_tick_comes_first) {
    int fd;

    (void)join_as(UNIT_UID);
    owe(UNIT_UID);
    fd = connect_as(UNIT_UID, PEER_CLIENT);
    AWAIT(account_of(UNIT_UID)->n_half_open == 1);
    party_settle();
    party.host->patience.hello_ns = 0;
    account_of(UNIT_UID)->spent_ns = 0;
    party.host->pace.hear_ns = 1;
    party.host->tick_ns = 0;
    ck_assert_int_eq(host_wait(party.host, 1), 0);
    party_settle();
    raw_expect(fd, PACKET_WELCOME, &(Packet){0}, NULL);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("pace");
    TCase *all = party_add_case(suite, "pace", begin, end);

    if (!unit_is_root())
        return suite;
    tcase_add_test(all, time_is_counted_for_whom_it_is_spent_and_paid_off_as_it_passes);
    tcase_add_test(all, time_is_not_forgotten_when_a_user_goes);
    tcase_add_test(all, root_is_not_paced);
    tcase_add_test(all, own_user_is_not_paced);
    tcase_add_test(all, worker_is_heard_whatever_its_user_owes);
    tcase_add_test(all, user_who_is_alone_is_heard_whatever_he_owes_until_another_comes);
    tcase_add_test(all, user_who_was_alone_owes_no_more_than_anybody_may_have);
    tcase_add_test(all, user_who_owes_is_not_heard_and_others_are);
    tcase_add_test(all, who_waits_is_looked_at_when_enough_is_paid_off);
    tcase_add_test(all, user_who_has_waited_is_heard_by_itself_and_told_of_in_the_log);
    tcase_add_test(all, hang_up_of_a_user_who_owes_is_seen_later);
    tcase_add_test(all, newcomer_of_a_user_who_owes_is_in_time_however_long_it_waits);
    tcase_add_test(all, one_newcomer_too_many_of_a_user_who_owes_is_told_and_nobody_else);
    tcase_add_test(all, newcomers_are_taken_in_again_after_a_rest);
    tcase_add_test(all, each_connection_of_a_user_who_owes_has_its_turn);
    tcase_add_test(all, debt_is_not_forgotten_by_the_tick_that_reaps_its_last_stranger);
    tcase_add_test(all, hello_that_waited_is_heard_though_a_tick_comes_first);
    return suite;
}
