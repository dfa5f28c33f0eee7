/* SPDX-License-Identifier: MIT */
/*
 * Workers by hand, each a process: those that die between two steps of an exchange, where no handler is
 * asked, and those that hang up, leave or misbehave, which the host must tell from death.
 */
#include "party.h"

#include "base/units.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- without a claim ---- */

/* Known to the child: it is forked after they were set. */
static uint64_t wanted_client;
static uid_t party_uid;

/* A message dies in its hands. */
static int take_and_die(void) {
    Message message;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    raise(SIGKILL);
    return 0;
}

START_TEST(message_that_died_in_a_workers_hands_is_sent_again) {
    Client *client = party_add_client();
    Child first, second;
    Request *request;

    wanted_client = client_id(client);
    first = party_add_child(take_and_die);
    request = party_send(client, 100);
    child_check_killed(&first);
    AWAIT(party.host->workers.n == 0);
    ck_assert_int_eq(party_word(request).state, SLOT_FRESH); /* it was never claimed */
    second = party_add_child(child_echo);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 1);
    party_kill_child(&second);
}
END_TEST

START_TEST(messages_of_all_clients_are_sent_again) {
    Request *requests[3][2];
    Child first, second;

    party.settings.queue_depth = 10;
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        Client *client = party_add_client();

        for (size_t j = 0; j < 2; j++)
            requests[i][j] = party_send(client, 100 * i + j);
        wanted_client = client_id(client); /* the last: all others are thrown away on the way there */
    }
    first = party_add_child(take_and_die);
    child_check_killed(&first);
    second = party_add_child(child_echo);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        for (size_t j = 0; j < 2; j++)
            party_check_echo(requests[i][j]);
    party_kill_child(&second);
}
END_TEST

/* The answer is there, but nobody is told. */
static int end_and_die(void) {
    Message message;
    SlotClaim claim;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    hand_meet(&hand, &message);
    hand_claim(&hand, &message, &claim);
    if (!slots_end(hand.states.map, message.slot, &claim, SLOT_DONE, &(AnswerRecord){.status = 5}))
        return 1;
    raise(SIGKILL);
    return 0;
}

START_TEST(client_hears_of_an_answer_whose_message_was_never_sent) {
    Client *client = party_add_client();
    Request *request;
    Child worker;

    wanted_client = client_id(client);
    worker = party_add_child(end_and_die);
    request = party_send(client, 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_DONE);
    ck_assert_int_eq(request->status, 5);
    child_check_killed(&worker);
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party.host->n_redelivered, 0);
}
END_TEST

static int meet_and_die(void) {
    Message message;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    hand_meet(&hand, &message);
    raise(SIGKILL);
    return 0;
}

START_TEST(client_that_a_dead_worker_had_met_is_forgotten_when_it_goes) {
    Client *client = party_add_client();
    Child worker;

    wanted_client = client_id(client);
    worker = party_add_child(meet_and_die);
    party_send(client, MIB);
    child_check_killed(&worker);
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_client_of_host(client)->n_met, 0);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    party_check_only_probe();
}
END_TEST

/* ---- signs of death ---- */

/* A child of the worker's keeps its socket open. */
static int leave_an_heir_and_die(void) {
    Message message;
    SlotClaim claim;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    hand_meet(&hand, &message);
    hand_claim(&hand, &message, &claim);
    if (fork() == 0)
        hand_await_end(&hand);
    raise(SIGKILL);
    return 0;
}

START_TEST(death_is_seen_though_a_child_holds_the_socket) {
    Client *client = party_add_client();
    Child first, second;
    Request *request;

    wanted_client = client_id(client);
    first = party_add_child(leave_an_heir_and_die);
    request = party_send(client, 100);
    child_check_killed(&first);
    second = party_add_child(child_echo);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 2);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 0);
    party_kill_child(&second);
}
END_TEST

/* What it says last, and its exit, are seen at one time. */
static int leave_and_exit(void) {
    Packet packet;
    Hand hand;

    hand_attach(&hand, party_uid);
    packet_init(&packet, PACKET_LEAVING, 0);
    if (channel_send(hand.channel, &packet, packet.header.bytes, NULL, 0) < 0)
        return 1;
    return 0;
}

START_TEST(worker_that_leaves_and_exits_has_not_died) {
    Child worker = party_add_child(leave_and_exit);
    int status;

    /* The host does not turn until it is gone. */
    ck_assert_int_eq(waitpid(worker.pid, &status, 0), worker.pid);
    close(worker.pidfd);
    close(worker.report_fd);
    ck_assert_int_eq(status, 0);
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DETACHED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 0);
}
END_TEST

/* It asks, leaves without the answer, and lives on: a program that was a worker for a while. */
static int ask_and_leave(void) {
    Packet packet;
    Hand hand;

    hand_attach(&hand, party_uid);
    packet_init(&packet, PACKET_MEET, 1);
    packet.meet.client = UINT64_MAX;
    packet.meet.uid = party_uid;
    if (channel_send(hand.channel, &packet, packet.header.bytes, NULL, 0) < 0)
        return 1;
    packet_init(&packet, PACKET_LEAVING, 0);
    if (channel_send(hand.channel, &packet, packet.header.bytes, NULL, 0) < 0)
        return 2;
    close(hand.channel);
    child_report('l');
    pause();
    return 3;
}

START_TEST(worker_that_leaves_without_an_answer_is_not_killed) {
    Child worker = party_add_child(ask_and_leave);
    char what = 0;

    /* The host does not turn until all is said. */
    ck_assert_int_eq(read(worker.report_fd, &what, 1), 1);
    ck_assert_int_eq(what, 'l');
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DETACHED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 0);
    ck_assert_int_eq(waitpid(worker.pid, NULL, WNOHANG), 0);
    ck_assert_int_eq(kill(worker.pid, SIGKILL), 0);
    child_check_killed(&worker);
}
END_TEST

/* It hangs up while it holds an exchange, but lives on. */
static int hang_up(void) {
    Message message;
    SlotClaim claim;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    hand_meet(&hand, &message);
    hand_claim(&hand, &message, &claim);
    close(hand.channel);
    pause();
    return 1;
}

START_TEST(worker_that_hangs_up_is_killed_before_another_gets_its_exchange) {
    Client *client = party_add_client();
    Child first, second;
    Request *request;

    wanted_client = client_id(client);
    first = party_add_child(hang_up);
    request = party_send(client, 100);
    child_check_killed(&first);
    second = party_add_child(child_echo);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 2);
    party_kill_child(&second);
}
END_TEST

static int misbehave(void) {
    Message message;
    SlotClaim claim;
    Packet packet;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    hand_meet(&hand, &message);
    hand_claim(&hand, &message, &claim);
    packet_init(&packet, PACKET_RESERVE, 1);
    packet.reserve.client = wanted_client + 1;
    packet.reserve.bytes = 4096;
    packet.reserve.direction = DIRECTION_RESPONSE;
    if (channel_send(hand.channel, &packet, packet.header.bytes, NULL, 0) < 0)
        return 1;
    hand_await_end(&hand);
}

/* Otherwise it would end its exchange as for a host that is lost. */
START_TEST(worker_that_is_thrown_out_is_killed_before_it_sees_that) {
    Client *client = party_add_client();
    Child first, second;
    Request *request;

    wanted_client = client_id(client);
    first = party_add_child(misbehave);
    request = party_send(client, 100);
    child_check_killed(&first);
    second = party_add_child(child_echo);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 2);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 1);
    party_kill_child(&second);
}
END_TEST

/* Its children may still be at work: nobody can tell. */
START_TEST(exchange_of_a_worker_that_cannot_be_killed_waits_for_its_exit) {
    Child first, second;
    Request *request;
    Client *client;

    unit_set_user(UNIT_UID);
    party_begin();
    party_uid = UNIT_UID;
    client = party_add_client();
    wanted_client = client_id(client);
    first = party_add_child_of(UNIT_OTHER_UID, hang_up);
    request = party_send(client, 100);
    AWAIT(((HostWorker *)table_at(&party.host->workers, 0))->suspect);
    second = party_add_child(child_echo);
    party_echo(client, 10);
    ck_assert_int_eq(request_cancel(request), 0);
    party_settle();
    ck_assert_int_eq(party_word(request).state, SLOT_CLAIMED);
    unit_set_user(0);
    ck_assert_int_eq(kill(first.pid, SIGKILL), 0);
    unit_set_user(UNIT_UID);
    child_check_killed(&first);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
    ck_assert_uint_eq(party.host->n_redelivered, 0);
    party_kill_child(&second);
    party_end();
    unit_set_user(0);
}
END_TEST

/* ---- suite ---- */

static void begin(void) {
    party_begin();
    party_uid = geteuid();
}

static void add_messages(TCase *tests) {
    tcase_add_test(tests, message_that_died_in_a_workers_hands_is_sent_again);
    tcase_add_test(tests, messages_of_all_clients_are_sent_again);
    tcase_add_test(tests, client_hears_of_an_answer_whose_message_was_never_sent);
    tcase_add_test(tests, client_that_a_dead_worker_had_met_is_forgotten_when_it_goes);
}

static void add_signs(TCase *tests) {
    tcase_add_test(tests, death_is_seen_though_a_child_holds_the_socket);
    tcase_add_test(tests, worker_that_leaves_and_exits_has_not_died);
    tcase_add_test(tests, worker_that_leaves_without_an_answer_is_not_killed);
    tcase_add_test(tests, worker_that_hangs_up_is_killed_before_another_gets_its_exchange);
    tcase_add_test(tests, worker_that_is_thrown_out_is_killed_before_it_sees_that);
}

static void add_users(Suite *suite) {
    TCase *tests = tcase_create("users");

    tcase_add_test(tests, exchange_of_a_worker_that_cannot_be_killed_waits_for_its_exit);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("death-hands");

    add_messages(party_add_case(suite, "messages", begin, party_end));
    add_signs(party_add_case(suite, "signs", begin, party_end));
    if (unit_is_root())
        add_users(suite);
    return suite;
}
