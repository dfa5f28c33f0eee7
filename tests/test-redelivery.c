/* SPDX-License-Identifier: MIT */
/*
 * Redelivery, where workers are not the host's own: those of another user, whom it may not kill, those that
 * stop or hang, and those that lose their host. (Deaths of the host's own are in test-death.c.)
 */
#include "party.h"

#include "base/units.h"
#include "os/process.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define LONG_NS (1000 * NS_PER_SEC)

/* Known to the children: they are forked after these were set. */
static uint64_t wanted_client;
static uid_t party_uid;

/* ---- workers ---- */

static void claim_one(Hand *hand, Message *ret_message) {
    SlotClaim claim;

    hand_attach(hand, party_uid);
    hand_take(hand, wanted_client, ret_message);
    hand_meet(hand, ret_message);
    hand_claim(hand, ret_message, &claim);
    child_report('c');
}

static int claim_and_stop(void) {
    Message message;
    Hand hand;

    claim_one(&hand, &message);
    raise(SIGSTOP);
    return 1;
}

static int claim_and_exit(void) {
    Message message;
    Hand hand;

    claim_one(&hand, &message);
    return 0;
}

/* A message is in its hands, and nothing is claimed. */
static int take_and_stop(void) {
    Message message;
    Hand hand;

    hand_attach(&hand, party_uid);
    hand_take(&hand, wanted_client, &message);
    child_report('t');
    raise(SIGSTOP);
    return 1;
}

/* Its handler has no idea of time. */
static int work_and_hang(void) {
    return child_wait_for_ever(1);
}

static int work_well(void) {
    return child_work(&handler_echo, LONG_NS);
}

/* ---- the host ---- */

static void kill_child(const Child *child, int signal_number) {
    uid_t uid = geteuid();

    unit_set_user(0);
    ck_assert_int_eq(kill(child->pid, signal_number), 0);
    unit_set_user(uid);
}

static void end_worker(Child *child) {
    size_t n_before = party.host->workers.n;

    kill_child(child, SIGKILL);
    ck_assert_int_eq(child_end(child), -SIGKILL);
    AWAIT(party.host->workers.n < n_before);
}

static void begin(void) {
    party_begin();
    party_uid = geteuid();
}

/* A host that may not kill UNIT_OTHER_UID's workers. */
static void begin_as_user(void) {
    unit_set_user(UNIT_UID);
    begin();
}

static void end_as_user(void) {
    party_end();
    unit_set_user(0);
}

static Client *add_client(void) {
    Client *client = party_add_client();

    wanted_client = client_id(client);
    return client;
}

static void check_lost(Request *request) {
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_WORKER_LOST);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_REDELIVERED), 0);
}

/* ---- another user's workers ---- */

START_TEST(exchange_of_another_users_dead_worker_is_lost_and_its_slot_usable) {
    Client *client = add_client();
    Child worker = party_add_child_of(UNIT_OTHER_UID, claim_and_stop), next;
    Request *request = party_send(client, 100);

    ck_assert_int_eq(child_await(&worker), 'c');
    end_worker(&worker);
    check_lost(request);
    request_release(request);
    next = party_add_child_of(UNIT_SAME_UID, work_well);
    party_echo(client, 10);
    end_worker(&next);
}
END_TEST

/*
 * Whether it may be killed must not depend on who was faster: a process that was reaped cannot say whose it
 * was.
 */
START_TEST(exchange_of_another_users_worker_is_lost_also_when_that_was_reaped_before_anybody_looked) {
    Client *client = add_client();
    Child worker = party_add_child_of(UNIT_OTHER_UID, claim_and_exit);
    Request *request = party_send(client, 100);
    int status;

    /* Its descriptors are asked for by the host's turns; from its claim on the host does not turn. */
    ck_assert_int_eq(child_await(&worker), 'c');
    ck_assert_int_eq(waitpid(worker.pid, &status, 0), worker.pid);
    ck_assert_int_eq(status, 0);
    fd_close(worker.pidfd);
    fd_close(worker.report_fd);
    check_lost(request);
}
END_TEST

START_TEST(exchange_of_another_users_stopped_worker_stays_claimed_until_that_is_dead) {
    Client *client = add_client();
    Child worker = party_add_child_of(UNIT_OTHER_UID, claim_and_stop);
    Request *request = party_send(client, 100);

    ck_assert_int_eq(child_await(&worker), 'c');
    party.host->patience.grace_ns = 1;
    ((HostWorker *)table_at(&party.host->workers, 0))->timeout_ns = 1;
    party_tick();
    AWAIT(party_n_events(EVENT_WORKER_KILLED) == 1);
    ck_assert(!party_event(EVENT_WORKER_KILLED)->ok);
    party_settle();
    ck_assert_int_eq(party_word(request).state, SLOT_CLAIMED); /* it may go on at any time */
    end_worker(&worker);
    check_lost(request);
}
END_TEST

START_TEST(deadline_of_an_exchange_whose_worker_is_out_of_reach_counts_at_its_exit) {
    Client *client = add_client();
    Child worker = party_add_child_of(UNIT_OTHER_UID, claim_and_stop);
    Request *request = party_take(client, 100);

    ck_assert_int_eq(request_send(request), 0);
    ck_assert_int_eq(child_await(&worker), 'c');
    submit_publish(client->submit.map, request->slot,
                   &(SubmitRecord){.generation = request->generation, .deadline_ns = 1});
    end_worker(&worker);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
}
END_TEST

START_TEST(message_in_the_hands_of_another_users_stopped_worker_is_sent_again) {
    Client *client = add_client();
    Child stopped = party_add_child_of(UNIT_OTHER_UID, take_and_stop), well;
    Request *request = party_send(client, 100);

    ck_assert_int_eq(child_await(&stopped), 't');
    party.host->patience.answer_ns = 1;
    party_tick();
    AWAIT(party_n_events(EVENT_WORKER_KILLED) == 1);
    party.host->patience.answer_ns = LONG_NS;
    well = party_add_child_of(UNIT_SAME_UID, work_well);
    party_check_echo(request); /* it was never claimed, so that nobody has to be seen dead */
    end_worker(&well);
    end_worker(&stopped);
}
END_TEST

START_TEST(users_workers_may_be_killed_by_root_and_by_themselves_alone) {
    Child own = child_start(UNIT_SAME_UID, work_well), other = child_start(UNIT_OTHER_UID, work_well);

    AWAIT(party.host->n_workers == 2);
    ck_assert(process_may_kill(own.pidfd));
    ck_assert(!process_may_kill(other.pidfd));
    unit_set_user(0);
    ck_assert(process_may_kill(other.pidfd));
    unit_set_user(UNIT_UID);
    end_worker(&own);
    end_worker(&other);
}
END_TEST

/* ---- time ---- */

/* Nothing else wakes the host: neither a tick nor a peer. */
START_TEST(worker_that_hangs_is_killed_when_its_time_is_up_and_not_a_tick_later) {
    Child hung = party_add_child_of(UNIT_SAME_UID, work_and_hang), well;
    Client *client = add_client();
    Request *request;

    AWAIT(party.host->probe.round > 0 && !party.host->probe.request);
    party.host->patience.look_ns = 10 * NS_PER_MS;
    party.host->patience.grace_ns = 1;
    party.host->tick_ns = UINT64_MAX;
    request = party_send(client, 100);
    ck_assert_int_eq(child_await(&hung), 'c');
    AWAIT(party_n_events(EVENT_WORKER_DIED) == 1);
    ck_assert_int_eq(child_end(&hung), -SIGKILL);
    well = party_add_child_of(UNIT_SAME_UID, work_well);
    party_check_echo(request);
    end_worker(&well);
}
END_TEST

START_TEST(host_looks_when_the_shortest_claim_could_be_overdue) {
    PartyWorker *slow, *quick;
    Host *host = party.host;

    slow = party_add_worker(NULL);
    AWAIT(host->probe.round > 0 && !host->probe.request);
    ck_assert_uint_eq(host_next_judgement(host), UINT64_MAX); /* without a client there is nothing to see */
    add_client();
    party_settle();
    ck_assert_uint_eq(host_next_judgement(host), host->looked_ns + 105 * NS_PER_SEC);
    quick = party_add_worker(NULL);
    AWAIT(host->probe.round > 1 && !host->probe.request);
    ((HostWorker *)table_at(&host->workers, 1))->timeout_ns = NS_PER_MS;
    ck_assert_uint_eq(host_next_judgement(host), host->looked_ns + 5 * NS_PER_SEC + NS_PER_MS);
    host->patience.grace_ns = 0;
    ck_assert_uint_eq(host_next_judgement(host), host->looked_ns + 5 * NS_PER_SEC); /* no oftener than this */
    party_stop_worker(quick);
    party_stop_worker(slow);
}
END_TEST

/* ---- a host that is lost ---- */

START_TEST(handler_that_gives_up_without_its_host_fails_its_exchange) {
    AnswerRecord answer;
    PartyWorker *worker;
    HostClient *of_host;
    SlotWord word;
    Page states;
    Gate gate;
    int fd;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    of_host = party_client_of_host(add_client());
    ck_assert_int_eq(page_reopen(&of_host->states, false, &fd), 0);
    ck_assert_int_eq(page_init_connect(&states, fd, slots_page_bytes(4), false), 0);
    party_send(party.clients[0], 100);
    gate_await_entry(&gate);
    party_stop_host();
    AWAIT(party_worker_told(worker, EVENT_HOST_LOST) == 1);
    word = state_load(states.map, 0, NULL);
    state_answer_copy(states.map, 0, &answer);
    ck_assert_int_eq(word.state, SLOT_FAILED);
    ck_assert_uint_eq(answer.reason, REASON_HOST_LOST);
    ck_assert_uint_eq(answer.payload_bytes, 0);
    party_start_host();
    party_stop_worker(worker);
    page_deinit(&states);
    gate_deinit(&gate);
}
END_TEST

/* ---- what a client can tell ---- */

START_TEST(client_can_tell_a_request_that_a_worker_had_from_one_that_waits) {
    Request *request = party_send(add_client(), 100);
    Child worker, next;

    ck_assert(!request_was_claimed(request));
    worker = party_add_child_of(UNIT_SAME_UID, claim_and_stop);
    ck_assert_int_eq(child_await(&worker), 'c');
    ck_assert(request_was_claimed(request));
    end_worker(&worker);
    ck_assert_int_eq(party_word(request).state, SLOT_WAITING);
    ck_assert(request_was_claimed(request));
    next = party_add_child_of(UNIT_SAME_UID, work_well);
    party_check_echo(request);
    ck_assert(!request_was_claimed(request));
    end_worker(&next);
}
END_TEST

/* ---- suite ---- */

static void add_other_users(TCase *tests) {
    tcase_add_test(tests, exchange_of_another_users_dead_worker_is_lost_and_its_slot_usable);
    tcase_add_test(tests,
                   exchange_of_another_users_worker_is_lost_also_when_that_was_reaped_before_anybody_looked);
    tcase_add_test(tests, exchange_of_another_users_stopped_worker_stays_claimed_until_that_is_dead);
    tcase_add_test(tests, deadline_of_an_exchange_whose_worker_is_out_of_reach_counts_at_its_exit);
    tcase_add_test(tests, message_in_the_hands_of_another_users_stopped_worker_is_sent_again);
    tcase_add_test(tests, users_workers_may_be_killed_by_root_and_by_themselves_alone);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("redelivery");
    TCase *tests = party_add_case(suite, "time", begin, party_end);

    tcase_add_test(tests, worker_that_hangs_is_killed_when_its_time_is_up_and_not_a_tick_later);
    tcase_add_test(tests, host_looks_when_the_shortest_claim_could_be_overdue);
    tests = party_add_case(suite, "host lost", begin, party_end);
    tcase_add_test(tests, handler_that_gives_up_without_its_host_fails_its_exchange);
    tests = party_add_case(suite, "client", begin, party_end);
    tcase_add_test(tests, client_can_tell_a_request_that_a_worker_had_from_one_that_waits);
    if (unit_is_root())
        add_other_users(party_add_case(suite, "other users", begin_as_user, end_as_user));
    return suite;
}
