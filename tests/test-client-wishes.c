/* SPDX-License-Identifier: MIT */
/*
 * What clients wish of a request that is on its way: that it is cancelled, that it ends by a deadline, that
 * nobody need wait for it. Each is heard, also where the socket does not hold all of them.
 */
#include "party.h"

#include "base/units.h"

/* ---- cancel, deadline, abandon ---- */

START_TEST(cancelled_before_its_claim_it_never_runs) {
    Client *client = party_add_client();
    Request *request = party_send(client, 100);
    PartyWorker *worker;

    ck_assert_int_eq(request_cancel(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
    worker = party_add_worker(NULL); /* finds the message, which claims nothing */
    request_release(request);
    party_echo(client, 10);
    AWAIT(party_worker_n_exchanges(worker) > 0);
    ck_assert_uint_eq(party_worker_n_exchanges(worker), 1);
    party_stop_worker(worker);
}
END_TEST

START_TEST(cancelled_while_it_is_handled_it_ends_as_cancelled) {
    PartyWorker *worker;
    Request *request;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    request = party_send(party_add_client(), 100);
    gate_await_entry(&gate);
    ck_assert_int_eq(request_cancel(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
    ck_assert_uint_eq(request->response_bytes, 0);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(cancel_after_the_end_changes_nothing) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_send(client, 100);

    party_check_echo(request);
    ck_assert_int_eq(request_cancel(request), 0);
    party_check_echo(request);
    request_release(request);
    party_echo(client, 10); /* and not the next one either */
    party_stop_worker(worker);
}
END_TEST

START_TEST(deadline_without_a_worker_expires) {
    Client *client = party_add_client();
    Request *request = party_take(client, 100);

    request->deadline_ns = clock_now_ns() + NS_PER_MS;
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
    party_settle();
    ck_assert(!unit_is_readable(client_get_fd(client)));
}
END_TEST

START_TEST(deadlines_come_in_any_order) {
    Client *client = party_add_client();
    uint64_t now_ns = clock_now_ns();
    Request *requests[4];

    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        requests[i] = party_take(client, 1);
        requests[i]->deadline_ns = now_ns + (ELEMENTS(requests) - i) * NS_PER_MS;
        ck_assert_int_eq(request_send(requests[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        AWAIT(requests[i]->state == REQUEST_ENDED);
        ck_assert_int_eq(requests[i]->end, SLOT_EXPIRED);
    }
}
END_TEST

START_TEST(deadline_while_it_is_handled_expires) {
    PartyWorker *worker;
    Request *request;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    request = party_take(party_add_client(), 100);
    /* Or it expires before its claim, which is as well. */
    request->deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(deadline_that_has_passed_expires_without_running) {
    PartyWorker *worker = party_add_worker(NULL);
    Request *request = party_take(party_add_client(), 100);

    request->deadline_ns = 1;
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
    party_stop_worker(worker);
}
END_TEST

START_TEST(abandoned_slot_comes_back_when_it_never_ran) {
    Client *client = party_add_client();
    Request *request = party_send(client, 100), *popped;

    request_release(request);
    ck_assert_int_eq(request->state, REQUEST_ABANDONED);
    AWAIT(request->state == REQUEST_FREE);
    ck_assert(!client_pop(client, &popped));
    ck_assert_uint_eq(client->n_in_flight, 0);
    ck_assert_int_eq(party_word(request).state, SLOT_CANCELLED);
}
END_TEST

START_TEST(abandoned_slot_stays_closed_until_its_worker_is_done) {
    PartyWorker *worker;
    Request *request;
    Client *client;
    Gate gate;

    gate_init(&gate);
    party.settings.requests_per_client = 1;
    client = party_add_client();
    request = party_send(client, 100);
    worker = party_add_worker(&gate.handler);
    gate_await_entry(&gate);
    request_release(request);
    ck_assert_int_eq(client_take(client, &request), CLIENT_NO_SLOT);
    AWAIT(request->state == REQUEST_FREE);
    gate_open(&gate);
    party_echo(client, 10);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

/* Or the host would tell of it again after each death of a worker. */
START_TEST(abandoned_exchange_counts_as_released) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_send(client, 100);

    request_release(request);
    AWAIT(request->state == REQUEST_FREE);
    ck_assert_uint_eq(submit_released(client->submit.map, 0), 1);
    party_stop_worker(worker);
}
END_TEST

/* ---- many at once, to a host that does not read ---- */

static void make_many(Client **ret_client, Request *requests[static SLOTS_MAX]) {
    party.settings.requests_per_client = SLOTS_MAX;
    *ret_client = party_add_client();
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        ck_assert_int_eq(client_take(*ret_client, &requests[i]), 0);
}

static void check_all_ended(Request *requests[static SLOTS_MAX], SlotState end) {
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        AWAIT(requests[i]->state == REQUEST_ENDED);
        ck_assert_int_eq(requests[i]->end, end);
    }
}

START_TEST(more_cancels_than_the_socket_holds_are_all_heard) {
    Request *requests[SLOTS_MAX];
    Client *client;

    make_many(&client, requests);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        ck_assert_int_eq(request_send(requests[i]), 0);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        ck_assert_int_eq(request_cancel(requests[i]), 0);
    check_all_ended(requests, SLOT_CANCELLED);
    ck_assert_int_eq(client_state(client), CLIENT_READY);
}
END_TEST

START_TEST(more_deadlines_than_the_socket_holds_are_all_heard) {
    Request *requests[SLOTS_MAX];
    Client *client;

    make_many(&client, requests);
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        requests[i]->deadline_ns = 1;
        ck_assert_int_eq(request_send(requests[i]), 0);
    }
    check_all_ended(requests, SLOT_EXPIRED);
    ck_assert_int_eq(client_state(client), CLIENT_READY);
}
END_TEST

START_TEST(more_wishes_for_memory_than_the_socket_holds_are_all_granted) {
    Request *requests[SLOTS_MAX];
    Client *client;

    make_many(&client, requests);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        ck_assert_int_eq(request_reserve(requests[i], 1, true), CLIENT_PENDING);
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        AWAIT(requests[i]->state == REQUEST_TAKEN);
        ck_assert_int_eq(request_reserve(requests[i], 1, true), 0);
    }
    ck_assert_int_eq(client_state(client), CLIENT_READY);
    ck_assert_uint_eq(party_client_of_host(client)->reserved_bytes[0], SLOTS_MAX * PAGE_BYTES);
}
END_TEST

/* ---- suite ---- */

static void add_wishes(Suite *suite) {
    TCase *tests = party_add_case(suite, "wishes", party_begin, party_end);

    tcase_add_test(tests, cancelled_before_its_claim_it_never_runs);
    tcase_add_test(tests, cancelled_while_it_is_handled_it_ends_as_cancelled);
    tcase_add_test(tests, cancel_after_the_end_changes_nothing);
    tcase_add_test(tests, deadline_without_a_worker_expires);
    tcase_add_test(tests, deadlines_come_in_any_order);
    tcase_add_test(tests, deadline_while_it_is_handled_expires);
    tcase_add_test(tests, deadline_that_has_passed_expires_without_running);
    tcase_add_test(tests, abandoned_slot_comes_back_when_it_never_ran);
    tcase_add_test(tests, abandoned_slot_stays_closed_until_its_worker_is_done);
    tcase_add_test(tests, abandoned_exchange_counts_as_released);
}

static void add_many(Suite *suite) {
    TCase *tests = party_add_case(suite, "many", party_begin, party_end);

    tcase_add_test(tests, more_cancels_than_the_socket_holds_are_all_heard);
    tcase_add_test(tests, more_deadlines_than_the_socket_holds_are_all_heard);
    tcase_add_test(tests, more_wishes_for_memory_than_the_socket_holds_are_all_granted);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("client-wishes");

    add_wishes(suite);
    add_many(suite);
    return suite;
}
