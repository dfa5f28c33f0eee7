/* SPDX-License-Identifier: MIT */
/*
 * What is left when a party dies, at each point at which it may: workers here are processes. Those that die
 * at a point of their own choice kill themselves there, so that no test depends on when a signal comes. Those
 * that die where no handler is asked, or only seem to die, are in test-death-hands.c.
 */
#include "party.h"

#include "base/units.h"

#include <signal.h>
#include <sys/wait.h>

#define LONG_NS (1000 * NS_PER_SEC)

/* ---- handlers of those who die ---- */

/* At its first attempt an exchange kills its worker. */
static int die_first(Handler *handler, Exchange *exchange) {
    if (exchange->attempt == 1)
        raise(SIGKILL);
    return handler_echo.handle(handler, exchange);
}

static int die_always(Handler *handler, Exchange *exchange) {
    raise(SIGKILL);
    return 0;
}

/* At its first attempt an exchange waits for whatever the test does to the worker. */
static int wait_first(Handler *handler, Exchange *exchange) {
    if (exchange->attempt > 1)
        return handler_echo.handle(handler, exchange);
    child_report('c');
    for (;;)
        pause();
}

static int stop_first(Handler *handler, Exchange *exchange) {
    if (exchange->attempt == 1) {
        child_report('s');
        raise(SIGSTOP);
    }
    return handler_echo.handle(handler, exchange);
}

static int run(int (*handle)(Handler *handler, Exchange *exchange), uint64_t timeout_ns) {
    const HandlerKind kind = {.handle = handle};

    return child_work(&kind, timeout_ns);
}

static int work_and_die_first(void) {
    return run(die_first, LONG_NS);
}

static int work_and_die_always(void) {
    return run(die_always, LONG_NS);
}

static int work_and_wait_first(void) {
    return run(wait_first, LONG_NS);
}

static int work_and_stop_first(void) {
    return run(stop_first, 1);
}

static int work_and_wait_for_ever(void) {
    return run(wait_first, UINT64_MAX);
}

/* ---- helpers ---- */

static void await_probe(void) {
    AWAIT(party.host->probe.round > 0 && !party.host->probe.request);
}

static void check_lost(Request *request, uint32_t attempts) {
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_WORKER_LOST);
    ck_assert_uint_eq(request->response_bytes, 0);
    ck_assert_uint_eq(party_word(request).attempts, attempts);
}

/* ---- with a claim ---- */

START_TEST(exchange_of_a_dead_worker_is_given_to_another) {
    Child first = party_add_child(work_and_die_first), second;
    Client *client = party_add_client();
    Request *request = party_send(client, MIB);
    const Event *event;

    child_check_killed(&first);
    AWAIT(party_word(request).state == SLOT_WAITING);
    second = party_add_child(work_and_die_first);
    party_check_echo(request);
    ck_assert_uint_eq(party_word(request).attempts, 2);
    event = party_event(EVENT_EXCHANGE_REDELIVERED);
    ck_assert_uint_eq(event->client, client_id(client));
    ck_assert_uint_eq(event->slot, request->slot);
    ck_assert_uint_eq(event->generation, request->generation);
    ck_assert_uint_eq(event->worker, 1);
    ck_assert_uint_eq(event->attempt, 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 1);
    ck_assert_uint_eq(party.host->n_redelivered, 1);
    party_kill_child(&second);
}
END_TEST

START_TEST(exchange_that_kills_its_workers_is_given_up) {
    Child workers[3];
    Client *client = party_add_client();
    Request *bad;

    for (size_t i = 0; i < ELEMENTS(workers); i++)
        workers[i] = party_add_child(work_and_die_always);
    bad = party_send(client, 100);
    check_lost(bad, 2);
    AWAIT(party.host->workers.n == 1);
    party_settle();
    ck_assert_uint_eq(party.host->n_workers, 1); /* the third has not seen it */
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 2);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_FAILED), 1);
    ck_assert_uint_eq(party_event(EVENT_EXCHANGE_FAILED)->request_bytes, 100);
    ck_assert_uint_gt(party_event(EVENT_EXCHANGE_FAILED)->duration_ns, 0);
    for (size_t i = 0; i < ELEMENTS(workers); i++) {
        kill(workers[i].pid, SIGKILL);
        child_check_killed(&workers[i]);
    }
    AWAIT(party.host->workers.n == 0);
}
END_TEST

START_TEST(one_attempt_is_at_most_once) {
    Child first, second;
    Request *request;

    party.settings.attempts = 1;
    first = party_add_child(work_and_die_always);
    request = party_send(party_add_client(), 100);
    check_lost(request, 1);
    child_check_killed(&first);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_REDELIVERED), 0);
    second = party_add_child(child_echo);
    request_release(request);
    party_echo(request->client, 10); /* the slot is usable */
    party_kill_child(&second);
}
END_TEST

START_TEST(memory_of_a_dead_workers_response_is_used_again) {
    Child first = party_add_child(work_and_wait_first), second;
    Client *client = party_add_client();
    Request *request = party_send(client, 4 * MIB);
    uint64_t reserved;

    ck_assert_int_eq(child_await(&first), 'c');
    party_kill_child(&first);
    second = party_add_child(child_echo);
    party_check_echo(request);
    reserved = party_client_of_host(client)->reserved_bytes[1];
    ck_assert_uint_eq(reserved, 4 * MIB);
    request_release(request);
    party_echo(client, 4 * MIB);
    ck_assert_uint_eq(party_client_of_host(client)->reserved_bytes[1], reserved);
    party_kill_child(&second);
}
END_TEST

START_TEST(others_of_the_same_client_go_on) {
    Child first = party_add_child(work_and_wait_first), second;
    Client *client = party_add_client();
    Request *request = party_send(client, 100), *others[3];

    ck_assert_int_eq(child_await(&first), 'c');
    for (size_t i = 0; i < ELEMENTS(others); i++)
        others[i] = party_send(client, 1000 * (i + 1));
    second = party_add_child(child_echo);
    for (size_t i = 0; i < ELEMENTS(others); i++)
        party_check_echo(others[i]);
    ck_assert_int_eq(request->state, REQUEST_SENT);
    party_kill_child(&first);
    party_check_echo(request);
    party_kill_child(&second);
}
END_TEST

START_TEST(cancelled_exchange_of_a_dead_worker_ends_as_cancelled) {
    Child worker = party_add_child(work_and_wait_first);
    Request *request = party_send(party_add_client(), 100);

    ck_assert_int_eq(child_await(&worker), 'c');
    ck_assert_int_eq(request_cancel(request), 0);
    party_settle();
    ck_assert_int_eq(request->state, REQUEST_SENT); /* its owner does not listen */
    party_kill_child(&worker);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
}
END_TEST

START_TEST(late_exchange_of_a_dead_worker_ends_as_expired) {
    Child worker = party_add_child(work_and_wait_first);
    Request *request = party_take(party_add_client(), 100);

    ck_assert_int_eq(request_send(request), 0);
    ck_assert_int_eq(child_await(&worker), 'c');
    /* Its time is up while it is handled: what counts is what the record says. */
    submit_publish(request->client->submit.map, request->slot,
                   &(SubmitRecord){.generation = request->generation, .deadline_ns = 1});
    party_kill_child(&worker);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
}
END_TEST

START_TEST(memory_comes_back_when_client_and_worker_are_both_dead) {
    Child worker = party_add_child(work_and_wait_first);
    Client *client = party_add_client();

    await_probe();
    party_send(client, MIB);
    ck_assert_int_eq(child_await(&worker), 'c');
    party_remove_client(client);
    AWAIT(party.host->n_clients == 0);
    ck_assert_uint_eq(party.host->clients.n, 2);
    party_kill_child(&worker);
    party_check_only_probe();
}
END_TEST

/* ---- judgement ---- */

START_TEST(stopped_worker_without_a_claim_is_killed) {
    Child worker = party_add_child(child_echo);
    int status;

    await_probe(); /* it has been seen to work */
    ck_assert_int_eq(kill(worker.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(worker.pid, &status, WUNTRACED), worker.pid);
    ck_assert(WIFSTOPPED(status));
    party.host->patience.answer_ns = 1;
    party_tick();
    AWAIT(party_n_events(EVENT_WORKER_DIED) == 1);
    ck_assert(party_event(EVENT_WORKER_KILLED)->ok);
    ck_assert_uint_eq(party_event(EVENT_WORKER_KILLED)->client, 0);
    child_check_killed(&worker);
}
END_TEST

START_TEST(stopped_worker_with_a_claim_is_killed_and_its_exchange_given_to_another) {
    Child first = party_add_child(work_and_stop_first), second;
    Client *client = party_add_client();
    Request *request;

    await_probe();
    request = party_send(client, 100);
    ck_assert_int_eq(child_await(&first), 's');
    party.host->patience.grace_ns = 1;
    party_tick();
    AWAIT(party_n_events(EVENT_WORKER_DIED) == 1);
    child_check_killed(&first);
    ck_assert(party_event(EVENT_WORKER_KILLED)->ok);
    ck_assert_uint_eq(party_event(EVENT_WORKER_KILLED)->client, client_id(client));
    ck_assert_uint_eq(party_event(EVENT_WORKER_KILLED)->slot, request->slot);
    second = party_add_child(child_echo);
    party_check_echo(request);
    party_kill_child(&second);
}
END_TEST

START_TEST(worker_that_asked_for_more_time_than_there_is_has_it) {
    Child worker = party_add_child(work_and_wait_for_ever);
    Request *request = party_send(party_add_client(), 100);

    ck_assert_int_eq(child_await(&worker), 'c');
    party.host->patience.grace_ns = 1;
    party_tick();
    party_settle();
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 0);
    ck_assert_int_eq(party_word(request).state, SLOT_CLAIMED);
    party_kill_child(&worker);
}
END_TEST

/* It was asked while it was idle, and has had something to do since. */
START_TEST(worker_that_has_just_become_idle_has_time_to_answer) {
    Child worker = party_add_child(work_and_stop_first);
    HostWorker *of_host = table_at(&party.host->workers, 0);

    await_probe();
    party_settle();
    ck_assert_int_eq(kill(worker.pid, SIGSTOP), 0);
    party.host->patience.answer_ns = 10 * NS_PER_SEC;
    of_host->pinged_ns = 1;     /* long ago */
    of_host->claimed_ns = 1000; /* as of the look before this one */
    party_tick();
    host_judge_workers(party.host, clock_now_ns());
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_KILLED), 0);
    party_kill_child(&worker);
}
END_TEST

/* ---- clients ---- */

static int send_and_wait(void) {
    Request *request;
    Client *client;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "mortal") < 0)
        return 1;
    while (client_state(client) == CLIENT_CONNECTING)
        client_wait(client, UINT64_MAX);
    if (client_take(client, &request) != 0)
        return 2;
    while (request_reserve(request, MIB, true) == CLIENT_PENDING)
        client_wait(client, UINT64_MAX);
    request->payload_bytes = MIB;
    if (request_send(request) < 0)
        return 3;
    child_report('s');
    pause();
    return 4;
}

START_TEST(dead_client_leaves_nothing) {
    Child client = child_start(UNIT_SAME_UID, send_and_wait), worker;

    ck_assert_int_eq(child_await(&client), 's');
    ck_assert_int_eq(kill(client.pid, SIGKILL), 0);
    child_check_killed(&client);
    AWAIT(party_n_events(EVENT_CLIENT_DETACHED) == 1 && party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->memory_bytes, 0);
    ck_assert_uint_eq(party.host->past.n_cancelled, 1);
    worker = party_add_child(child_echo); /* finds the message of somebody who is gone */
    party_echo(party_add_client(), 10);
    party_kill_child(&worker);
}
END_TEST

START_TEST(dead_clients_exchange_is_ended_by_its_worker) {
    Child worker = party_add_child(work_and_wait_first), client;

    await_probe();
    client = child_start(UNIT_SAME_UID, send_and_wait);
    ck_assert_int_eq(child_await(&worker), 'c');
    ck_assert_int_eq(kill(client.pid, SIGKILL), 0);
    child_check_killed(&client);
    AWAIT(party.host->n_clients == 0);
    ck_assert_uint_eq(party.host->clients.n, 2);
    party_kill_child(&worker);
    party_check_only_probe();
}
END_TEST

/* ---- again and again ---- */

/* Its answer, or the one clear error that it may come to. */
static void check_answered(Request *request) {
    if (request->end == SLOT_DONE)
        party_check_echo(request);
    else
        check_lost(request, 2);
}

START_TEST(whoever_dies_and_whenever_each_exchange_ends_once) {
    enum { N = 200, N_EACH = 5 };
    Child workers[2] = {party_add_child(child_echo), party_add_child(child_echo)};
    Client *client = party_add_client();
    unsigned n_sent = 0, n_ended = 0;
    Request *request;

    while (n_ended < N) {
        while (n_sent < N && client_n_taken(client) < 4)
            party_send(client, (n_sent++ * 7919) % (64 * 1024));
        AWAIT(client_pop(client, &request));
        check_answered(request);
        request_release(request);
        if (++n_ended % N_EACH == 0) {
            unsigned i = n_ended / N_EACH % 2;

            ck_assert_int_eq(kill(workers[i].pid, SIGKILL), 0);
            child_check_killed(&workers[i]);
            workers[i] = child_start(UNIT_SAME_UID, child_echo);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(kill(workers[i].pid, SIGKILL), 0);
        child_check_killed(&workers[i]);
    }
    AWAIT(party.host->workers.n == 0);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    party_check_only_probe();
}
END_TEST

/* ---- suite ---- */

static void add_claims(TCase *tests) {
    tcase_add_test(tests, exchange_of_a_dead_worker_is_given_to_another);
    tcase_add_test(tests, exchange_that_kills_its_workers_is_given_up);
    tcase_add_test(tests, one_attempt_is_at_most_once);
    tcase_add_test(tests, memory_of_a_dead_workers_response_is_used_again);
    tcase_add_test(tests, others_of_the_same_client_go_on);
    tcase_add_test(tests, cancelled_exchange_of_a_dead_worker_ends_as_cancelled);
    tcase_add_test(tests, late_exchange_of_a_dead_worker_ends_as_expired);
    tcase_add_test(tests, memory_comes_back_when_client_and_worker_are_both_dead);
}

static void add_judgement(TCase *tests) {
    tcase_add_test(tests, stopped_worker_without_a_claim_is_killed);
    tcase_add_test(tests, stopped_worker_with_a_claim_is_killed_and_its_exchange_given_to_another);
    tcase_add_test(tests, worker_that_asked_for_more_time_than_there_is_has_it);
    tcase_add_test(tests, worker_that_has_just_become_idle_has_time_to_answer);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("death");
    TCase *tests;

    add_claims(party_add_case(suite, "claims", party_begin, party_end));
    add_judgement(party_add_case(suite, "judgement", party_begin, party_end));
    tests = party_add_case(suite, "clients", party_begin, party_end);
    tcase_add_test(tests, dead_client_leaves_nothing);
    tcase_add_test(tests, dead_clients_exchange_is_ended_by_its_worker);
    tests = party_add_case(suite, "storm", party_begin, party_end);
    tcase_add_test(tests, whoever_dies_and_whenever_each_exchange_ends_once);
    return suite;
}
