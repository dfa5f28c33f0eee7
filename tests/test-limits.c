/* SPDX-License-Identifier: MIT */
/* Limits: what one user may have is a share of what there is, and whoever is over it hurts nobody else. */
#include "party.h"

#include "base/units.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FDS_MAX 512

static int fds[FDS_MAX]; /* connections by hand */
static unsigned n_fds;

/* In the namespace of the tests, until one sets another. */
static void set_queues_max(unsigned n) {
    FILE *file = fopen("/proc/sys/fs/mqueue/queues_max", "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, "%u", n), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void begin(void) {
    if (unit_is_root())
        set_queues_max(256);
    party_begin();
    party_settle();
    n_fds = 0;
}

static void end(void) {
    while (n_fds > 0)
        fd_close(fds[--n_fds]);
    AWAIT(party.host->peers.n == 1);
    party_end();
}

static int connect_as(uid_t uid, PeerRole role) {
    ck_assert_uint_lt(n_fds, FDS_MAX);
    return fds[n_fds++] = raw_connect_as(uid, role);
}

static int join_as(uid_t uid, int ret_fds[]) {
    int fd = connect_as(uid, PEER_CLIENT);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, ret_fds);
    return fd;
}

static void leave(int fd) {
    for (unsigned i = 0; i < n_fds; i++)
        if (fds[i] == fd)
            fds[i] = fds[--n_fds];
    fd_close(fd);
}

/* @fd is told why, in words that hold these; and so is the log, once. */
static void check_refused(int fd, const char *what, const char *limit) {
    unsigned n_events = party_n_events(EVENT_CLIENT_REFUSED) + party_n_events(EVENT_LIMIT);
    Packet packet;

    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    ck_assert_int_eq((int)packet.refused.code, REASON_LIMIT);
    ck_assert_msg(strncmp(packet.refused.text, "busy: ", 6) == 0, "%s", packet.refused.text);
    ck_assert_msg(strstr(packet.refused.text, what) != NULL, "%s", packet.refused.text);
    ck_assert_msg(strstr(packet.refused.text, limit) != NULL, "%s", packet.refused.text);
    raw_expect_end(fd);
    ck_assert_uint_le(party_n_events(EVENT_CLIENT_REFUSED) + party_n_events(EVENT_LIMIT), n_events + 1);
    leave(fd);
}

static void refuses(uid_t uid, const char *what, const char *limit) {
    check_refused(connect_as(uid, PEER_CLIENT), what, limit);
}

static const HostAccount *account_of(uid_t uid) {
    static const HostAccount none;
    const HostAccount *account = table_find(&party.host->accounts, uid);

    return account ? account : &none;
}

/* ---- the share ---- */

START_TEST(share_is_a_percentage_but_never_nothing) {
    HostAccount account = {.uid = UNIT_UID};

    party.settings.user_share = 25;
    ck_assert_uint_eq(host_share(party.host, &account, 1000), 250);
    ck_assert_uint_eq(host_share(party.host, &account, 7), 1);
    ck_assert_uint_eq(host_share(party.host, &account, 1), 1);
    ck_assert_uint_eq(host_share(party.host, &account, 0), 0);
    ck_assert_uint_eq(host_share(party.host, &account, UINT64_MAX), UINT64_MAX / 4);
    party.settings.user_share = 100;
    ck_assert_uint_eq(host_share(party.host, &account, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(host_share(party.host, &account, 12345), 12345);
}
END_TEST

START_TEST(root_and_the_own_user_have_all) {
    HostAccount root = {.uid = 0}, own = {.uid = party.host->uid};

    ck_assert_uint_eq(host_share(party.host, &root, 1000), 1000);
    ck_assert_uint_eq(host_share(party.host, &own, 1000), 1000);
}
END_TEST

/* ---- clients ---- */

START_TEST(user_has_its_share_of_the_clients_and_others_have_theirs) {
    int latest = -1;

    for (int i = 0; i < PARTY_CLIENTS / 2; i++)
        latest = join_as(UNIT_UID, NULL);
    refuses(UNIT_UID, "has 4 clients", "50 % of `max_clients` = 8");
    for (int i = 0; i < PARTY_CLIENTS / 2; i++)
        (void)join_as(UNIT_OTHER_UID, NULL);
    leave(latest);
    AWAIT(account_of(UNIT_UID)->n_clients == 3);
    (void)join_as(UNIT_UID, NULL);
}
END_TEST

START_TEST(root_is_bound_by_max_clients_alone) {
    for (int i = 0; i < PARTY_CLIENTS; i++)
        (void)join_as(0, NULL);
    refuses(0, "`max_clients`", "(8)");
}
END_TEST

START_TEST(probe_is_never_refused) {
    party.settings.max_clients = 1;
    party.settings.user_share = 1;
    (void)join_as(0, NULL);
    host_probe_deinit(party.host);
    party_settle();
    ck_assert_int_eq(host_probe_init(party.host), 0);
    AWAIT(client_state(party.host->probe.client) == CLIENT_READY);
}
END_TEST

/* ---- queues ---- */

static void close_all(int *list, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        fd_close(list[i]);
}

/* Connect, go, and keep what one got. */
static void hoard(uid_t uid, int kept[static WELCOME_N_FDS]) {
    leave(join_as(uid, kept));
    AWAIT(account_of(uid)->n_clients == 0);
}

static void hoarder_is_refused_until_it_lets_go(const char *what, const char *limit, unsigned n_queues) {
    int kept[8][WELCOME_N_FDS];
    unsigned n;

    for (n = 0; account_of(UNIT_UID)->n_queues < n_queues; n++)
        hoard(UNIT_UID, kept[n]);
    refuses(UNIT_UID, what, limit);
    (void)join_as(UNIT_OTHER_UID, NULL);
    close_all(kept[0], WELCOME_N_FDS);
    AWAIT(account_of(UNIT_UID)->n_queues == n_queues - 1);
    (void)join_as(UNIT_UID, NULL);
    for (unsigned i = 1; i < n; i++)
        close_all(kept[i], WELCOME_N_FDS);
}

START_TEST(hoarder_of_queues_is_refused_until_it_lets_go) {
    party.host->limits.n_queues = 10;
    hoarder_is_refused_until_it_lets_go("5 message queues", "fs.mqueue.queues_max = 10", 5);
}
END_TEST

START_TEST(hoarder_of_queue_bytes_is_refused_until_it_lets_go) {
    uint64_t request = queue_cost(party.settings.queue_depth, sizeof(Message));
    uint64_t reply = queue_cost(REPLY_QUEUE_DEPTH, sizeof(Message));

    party.host->limits.queue_bytes = 2 * (request + 3 * reply);
    hoarder_is_refused_until_it_lets_go("bytes of message queues", "RLIMIT_MSGQUEUE", 4);
}
END_TEST

/* Its request queue outlives it for a while; a flood of new ones would be the same thing again. */
START_TEST(first_client_is_let_in_whatever_a_share_is) {
    party.host->limits.n_queues = 1;
    party.host->limits.queue_bytes = 1;
    party.host->limits.n_files = 1;
    (void)join_as(UNIT_UID, NULL);
    refuses(UNIT_UID, "2 message queues", "fs.mqueue.queues_max = 1");
    (void)join_as(0, NULL);
}
END_TEST

/* ---- descriptors under way ---- */

START_TEST(user_who_does_not_receive_is_refused_until_it_does) {
    int channel;
    Packet packet;

    party.host->limits.n_files = 4 * WELCOME_N_FDS;
    channel = connect_as(UNIT_UID, PEER_CLIENT);
    (void)connect_as(UNIT_UID, PEER_CLIENT);
    AWAIT(party.host->n_clients == 2);
    refuses(UNIT_UID, "12 descriptors", "RLIMIT_NOFILE = 24");
    (void)join_as(UNIT_OTHER_UID, NULL);
    raw_expect(channel, PACKET_WELCOME, &packet, NULL);
    (void)join_as(UNIT_UID, NULL);
}
END_TEST

/* ---- what fits ---- */

static uint64_t n_that_fit(LimitKind kind) {
    HostFit fit;

    host_fit(party.host, &fit);
    return fit.n[kind];
}

START_TEST(as_many_clients_fit_as_are_let_in_then) {
    uint64_t n = 0;

    set_queues_max(11);
    host_set_settings(party.host, &party.settings);
    party_settle();
    ck_assert_uint_eq(n_that_fit(LIMIT_QUEUES), 8); /* two are the host's own, one is the user's */
    party.settings.max_clients = 100;
    party.settings.user_share = 100;
    for (;;) {
        int fd = connect_as(UNIT_UID, PEER_CLIENT);
        Packet packet;

        AWAIT(wait_for_fd(fd, WAIT_READ, 0) > 0);
        if (party.host->n_clients < ++n) {
            check_refused(fd, "there are fs.mqueue.queues_max = 11", "raise it with sysctl");
            break;
        }
        raw_expect(fd, PACKET_WELCOME, &packet, NULL);
        ck_assert_uint_eq(n_that_fit(LIMIT_QUEUES), 8);
    }
    ck_assert_uint_eq(n - 1, 8);
}
END_TEST

static int join_and_wait(void) {
    const int channel = raw_connect(PEER_CLIENT);

    return channel < 0 ? 1 : wait_for_fd(channel, 0, UINT64_MAX) < 0;
}

/* What a client takes is what it was said to take. The client is another process: its descriptors are its
 * own. */
START_TEST(client_takes_what_it_was_reckoned_to_take) {
    uint64_t before[_LIMIT_N], n_files = unit_n_fds();
    Limits limits;
    Child child;

    limits_read(&limits);
    for (LimitKind kind = 0; kind < _LIMIT_N; kind++)
        before[kind] = n_that_fit(kind);
    ck_assert_uint_eq(before[LIMIT_FILES], (limits.n_files - limits.n_files_open - 8) / 7);
    child = child_start(UNIT_UID, join_and_wait);
    AWAIT(party.host->n_clients == 1);
    ck_assert_uint_eq(unit_n_fds() - n_files,
                      7 + 2 + 1); /* the pidfd and pipe of the child, the request queue */
    ck_assert_uint_eq(n_that_fit(LIMIT_QUEUE_BYTES), before[LIMIT_QUEUE_BYTES]);
    ck_assert_uint_eq(n_that_fit(LIMIT_QUEUES), before[LIMIT_QUEUES]);
    ck_assert_uint_ge(n_that_fit(LIMIT_FILES) + 1, before[LIMIT_FILES]);
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(&child), -SIGKILL);
    AWAIT(party.host->n_clients == 0);
}
END_TEST

START_TEST(start_tells_whether_max_clients_can_be_reached) {
    ck_assert_uint_eq(party_n_events(EVENT_CAPACITY), 1);
    ck_assert(party_event(EVENT_CAPACITY)->ok);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "`max_clients` = 8"));
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "RLIMIT_MSGQUEUE "));
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "RLIMIT_NOFILE "));
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "fs.mqueue.queues_max "));
    party_settle();
    ck_assert_uint_eq(party_n_events(EVENT_CAPACITY), 1);
}
END_TEST

START_TEST(reload_warns_of_a_max_clients_that_cannot_be_reached) {
    party.settings.max_clients = 65535;
    party_tick();
    ck_assert_uint_eq(party_n_events(EVENT_CAPACITY), 2);
    ck_assert(!party_event(EVENT_CAPACITY)->ok);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "not `max_clients` = 65535"));
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CAPACITY)->text, "; raise "));
}
END_TEST

START_TEST(queue_depth_that_the_system_does_not_allow_is_found) {
    char text[256] = "";

    ck_assert_int_eq(host_check_settings(party.host, &party.settings, text, sizeof(text)), 0);
    ck_assert_str_eq(text, "");
    party.settings.queue_depth = 65537;
    ck_assert_int_gt(host_check_settings(party.host, &party.settings, text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "fs.mqueue.msg_max"));
    party.settings.queue_depth = 4;
}
END_TEST

/* ---- connections ---- */

START_TEST(oldest_half_open_connection_gives_way_to_a_newer_one_of_the_same_user) {
    int other = connect_as(UNIT_OTHER_UID, PEER_STRANGER), oldest = -1;
    unsigned n = PEERS_BESIDE_CLIENTS / 2;

    for (unsigned i = 0; i < n; i++) {
        int fd = connect_as(UNIT_UID, PEER_STRANGER);

        oldest = i == 0 ? fd : oldest;
    }
    AWAIT(account_of(UNIT_UID)->n_half_open == n);
    (void)connect_as(UNIT_UID, PEER_STRANGER);
    check_refused(oldest, "said nothing yet", "`user_share` = 50 % of 256");
    party_settle();
    ck_assert_uint_eq(account_of(UNIT_UID)->n_half_open, n);
    ck_assert_uint_eq(account_of(UNIT_OTHER_UID)->n_half_open, 1);
    ck_assert_int_eq(wait_for_fd(other, WAIT_READ, 0), 0);
}
END_TEST

START_TEST(user_has_its_share_of_the_connections) {
    unsigned n = (PARTY_CLIENTS + PEERS_BESIDE_CLIENTS) / 2;

    for (unsigned i = 0; i < n; i++) {
        (void)connect_as(UNIT_UID, PEER_STATUS);
        AWAIT(account_of(UNIT_UID)->n_connections == i + 1 && account_of(UNIT_UID)->n_half_open == 0);
    }
    refuses(UNIT_UID, "has 132 connections", "50 % of all connections = 264");
    (void)join_as(UNIT_OTHER_UID, NULL);
}
END_TEST

/* Root and the own user are bound by no share; but in all there is an end. */
START_TEST(place_is_made_by_who_has_most_half_open_connections) {
    unsigned n = (unsigned)host_max_peers(party.host) - 2;
    int other = connect_as(UNIT_OTHER_UID, PEER_STRANGER);

    for (unsigned i = 0; i < n; i++)
        (void)connect_as(0, PEER_STRANGER);
    AWAIT(party.host->peers.n == host_max_peers(party.host));
    (void)join_as(UNIT_UID, NULL);
    ck_assert_uint_eq(account_of(UNIT_OTHER_UID)->n_half_open, 1);
    ck_assert_int_eq(wait_for_fd(other, WAIT_READ, 0), 0);
}
END_TEST

START_TEST(one_too_many_in_all_is_told_so) {
    unsigned n = (unsigned)host_max_peers(party.host) - 1;

    for (unsigned i = 0; i < n; i++) {
        (void)connect_as(0, PEER_STATUS);
        AWAIT(party.host->peers.n == i + 2 && account_of(0)->n_half_open == 0);
    }
    check_refused(connect_as(UNIT_UID, PEER_STRANGER), "`max_clients`", "256 others");
}
END_TEST

/* A client says HELLO when it was refused already: it is told why all the same. */
START_TEST(client_that_was_refused_before_its_hello_knows_why) {
    Packet packet;
    Client *client;
    const char *text;
    int pair[2];

    ck_assert_int_eq(channel_pair(pair), 0);
    packet_init(&packet, PACKET_REFUSED, 0);
    packet.refused.code = REASON_LIMIT;
    text_copy(packet.refused.text, sizeof(packet.refused.text), "busy: no");
    raw_say(pair[1], &packet);
    fd_close(pair[1]);
    ck_assert_int_eq(client_new(&client, pair[0], "late"), 0);
    ck_assert_int_eq(client_dispatch(client), 0);
    ck_assert_int_eq(client_state(client), CLIENT_REFUSED);
    ck_assert_int_eq(client_refusal(client, &text), REASON_LIMIT);
    ck_assert_str_eq(text, "busy: no");
    client_free(client);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("limits");
    TCase *all = tcase_create("limits");

    tcase_add_checked_fixture(all, begin, end);
    tcase_add_test(all, share_is_a_percentage_but_never_nothing);
    tcase_add_test(all, root_and_the_own_user_have_all);
    tcase_add_test(all, probe_is_never_refused);
    tcase_add_test(all, client_that_was_refused_before_its_hello_knows_why);
    tcase_add_test(all, start_tells_whether_max_clients_can_be_reached);
    tcase_add_test(all, reload_warns_of_a_max_clients_that_cannot_be_reached);
    tcase_add_test(all, queue_depth_that_the_system_does_not_allow_is_found);
    if (unit_is_root()) {
        tcase_add_test(all, as_many_clients_fit_as_are_let_in_then);
        tcase_add_test(all, client_takes_what_it_was_reckoned_to_take);
        tcase_add_test(all, user_has_its_share_of_the_clients_and_others_have_theirs);
        tcase_add_test(all, root_is_bound_by_max_clients_alone);
        tcase_add_test(all, hoarder_of_queues_is_refused_until_it_lets_go);
        tcase_add_test(all, hoarder_of_queue_bytes_is_refused_until_it_lets_go);
        tcase_add_test(all, first_client_is_let_in_whatever_a_share_is);
        tcase_add_test(all, user_who_does_not_receive_is_refused_until_it_does);
        tcase_add_test(all, oldest_half_open_connection_gives_way_to_a_newer_one_of_the_same_user);
        tcase_add_test(all, user_has_its_share_of_the_connections);
        tcase_add_test(all, place_is_made_by_who_has_most_half_open_connections);
        tcase_add_test(all, one_too_many_in_all_is_told_so);
    }
    suite_add_tcase(suite, all);
    return suite;
}
