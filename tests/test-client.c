/* SPDX-License-Identifier: MIT */
/*
 * What clients keep true, with a real host and a worker's real thread. What they wish while a request is on
 * its way is in test-client-wishes.c.
 */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

static Request *pop(Client *client) {
    Request *request = NULL;

    return client_pop(client, &request) ? request : NULL;
}

/* ---- exchanges ---- */

static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, MIB, 3 * MIB + 17, 16 * MIB + 1};

START_TEST(payload_of_any_size_comes_back) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, sizes[_i]);
    party_stop_worker(worker);
}
END_TEST

START_TEST(segments_grow_and_shrink_on_one_connection) {
    static const uint64_t payloads[] = {1, 3 * MIB, 5000, 0, 8 * MIB, 4096, 4097, 0, 0, MIB, 1};
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    for (size_t i = 0; i < ELEMENTS(payloads); i++) {
        Request *request = party_send(client, payloads[i]);

        ck_assert_uint_eq(request->slot, 0);
        ck_assert_uint_eq(request->segment.bytes, round_to_pages(payloads[i]));
        ck_assert_uint_eq(request->segment.map_bytes, request->segment.bytes);
        party_check_echo(request);
        request_release(request);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(slot_counts_its_exchanges) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    for (uint32_t i = 1; i <= 5; i++) {
        Request *request = party_send(client, 10);

        ck_assert_uint_eq(request->generation, i);
        party_check_echo(request);
        request_release(request);
        ck_assert_uint_eq(submit_released(client->submit.map, 0), i);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(generation_wraps_around_on_the_whole_way) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    uint64_t word = UINT64_C(3) << 56 | (UINT32_MAX - 1);

    memcpy((uint8_t *)of_host->states.map + 128, &word, sizeof(word)); /* slot 0 has ended that many */
    client->requests[0].generation = UINT32_MAX - 1;
    submit_publish(client->submit.map, 0, &(SubmitRecord){.generation = UINT32_MAX - 1});
    for (int i = 0; i < 4; i++)
        party_echo(client, 100);
    ck_assert_uint_eq(client->requests[0].generation, 2);
    party_stop_worker(worker);
}
END_TEST

START_TEST(slots_are_given_out_until_there_are_none) {
    Client *client = party_add_client();
    Request *requests[4], *none = NULL;

    for (size_t i = 0; i < ELEMENTS(requests); i++)
        ck_assert_int_eq(client_take(client, &requests[i]), 0);
    ck_assert_int_eq(client_take(client, &none), CLIENT_NO_SLOT);
    ck_assert_ptr_null(none);
    request_release(requests[2]);
    ck_assert_int_eq(client_take(client, &none), 0);
    ck_assert_ptr_eq(none, requests[2]);
}
END_TEST

START_TEST(ended_request_is_popped_once) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_send(client, 1);

    party_check_echo(request);
    ck_assert_ptr_eq(pop(client), request);
    ck_assert_ptr_null(pop(client));
    request_release(request);
    ck_assert_ptr_null(pop(client));
    party_stop_worker(worker);
}
END_TEST

static int answer_user(Handler *handler, Exchange *exchange) {
    for (size_t i = 0; i < sizeof(exchange->user); i++)
        exchange->response_user[i] = (uint8_t)(exchange->user[i] + 1);
    return 0;
}

START_TEST(bytes_of_the_callers_own_go_and_come) {
    const HandlerKind kind = {.handle = answer_user};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Request *request = party_take(party_add_client(), 0);

    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        request->user[i] = (uint8_t)(3 * i);
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    for (size_t i = 0; i < SLOT_USER_BYTES; i++)
        ck_assert_uint_eq(request->response_user[i], (uint8_t)(3 * i + 1));
    party_stop_worker(worker);
}
END_TEST

static int fail_it(Handler *handler, Exchange *exchange) {
    exchange_fail(exchange, REASON_HANDLER_FAILED, 42, "it did not like %" PRIu64 " bytes",
                  exchange->request_bytes);
    return 0;
}

START_TEST(failure_comes_with_its_reason_and_words) {
    const HandlerKind kind = {.handle = fail_it};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Request *request = party_send(party_add_client(), 5);

    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_HANDLER_FAILED);
    ck_assert_int_eq(request->status, 42);
    ck_assert_uint_eq(request->response_bytes, 23);
    ck_assert_mem_eq(request->response.map, "it did not like 5 bytes", 23);
    party_stop_worker(worker);
}
END_TEST

/* ---- owed messages ---- */

START_TEST(what_the_full_queue_did_not_take_is_owed_and_sent) {
    Request *requests[8];
    PartyWorker *worker;
    Client *client;

    party.settings.requests_per_client = ELEMENTS(requests);
    party.settings.queue_depth = 2;
    client = party_add_client();
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_send(client, 100 + i);
    ck_assert_uint_eq(client->n_owed, ELEMENTS(requests) - 2);
    worker = party_add_worker(NULL);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        party_check_echo(requests[i]);
    ck_assert_uint_eq(client->n_owed, 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(clients_of_one_user_share_a_small_queue) {
    Request *requests[3][4];
    PartyWorker *worker;

    party.settings.queue_depth = 1;
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        Client *client = party_add_client();

        for (size_t j = 0; j < ELEMENTS(requests[i]); j++)
            requests[i][j] = party_send(client, 5000 * (i + j));
    }
    worker = party_add_worker(NULL);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        for (size_t j = 0; j < ELEMENTS(requests[i]); j++)
            party_check_echo(requests[i][j]);
    party_stop_worker(worker);
}
END_TEST

/* Otherwise the descriptor is readable for ever, and whoever has it in a loop spins. */
START_TEST(descriptor_sleeps_once_what_was_owed_has_ended_otherwise) {
    Request *requests[2];
    Message message;
    Client *client;
    size_t bytes;

    party.settings.queue_depth = 1;
    client = party_add_client();
    requests[0] = party_send(client, 1);
    requests[1] = party_send(client, 1);
    ck_assert(requests[1]->owed);
    ck_assert_int_eq(request_cancel(requests[1]), 0);
    AWAIT(requests[1]->state == REQUEST_ENDED);
    ck_assert_uint_eq(client->n_owed, 0);
    /* There is room in the queue now. */
    ck_assert_int_eq(
        queue_receive(party_client_of_host(client)->uid->queue, &message, sizeof(message), &bytes), 0);
    party_settle();
    ck_assert(!unit_is_readable(client_get_fd(client)));
}
END_TEST

START_TEST(message_of_what_was_claimed_meanwhile_is_not_sent) {
    Request *requests[2];
    SlotClaim claim;
    Message message;
    Client *client;
    HostClient *of_host;
    size_t bytes;

    party.settings.queue_depth = 1;
    client = party_add_client();
    of_host = party_client_of_host(client);
    requests[0] = party_send(client, 1);
    requests[1] = party_send(client, 1);
    ck_assert(slots_claim(of_host->submit.map, of_host->states.map, 1, 1, 99, 1, &claim));
    ck_assert_int_eq(queue_receive(of_host->uid->queue, &message, sizeof(message), &bytes), 0);
    AWAIT(!requests[1]->owed);
    ck_assert_int_eq(queue_receive(of_host->uid->queue, &message, sizeof(message), &bytes), -EAGAIN);
    ck_assert_int_eq(requests[1]->state, REQUEST_SENT);
    ck_assert_int_eq(requests[0]->state, REQUEST_SENT);
}
END_TEST

/* ---- memory ---- */

START_TEST(budget_refuses_and_says_which_setting) {
    Request *request;
    Client *client;

    party.settings.memory = MIB;
    client = party_add_client();
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(party_reserve(request, MIB + 1), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(request->reason, REASON_MEMORY_BUDGET);
    ck_assert_ptr_nonnull(strstr(request->text, "`memory`"));
    ck_assert_uint_eq(party.host->memory_bytes, 0);
    /* Less can be had. */
    ck_assert_int_eq(party_reserve(request, MIB), 0);
    ck_assert_uint_eq(party.host->memory_bytes, MIB);
}
END_TEST

START_TEST(payload_beyond_the_hosts_limit_is_refused_at_home) {
    Client *client = party_add_client();
    Request *request;

    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(request_reserve(request, party.settings.max_payload + 1, false), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(request->reason, REASON_PAYLOAD_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(request->text, "`max_payload`"));
    ck_assert_int_eq(request_reserve(request, UINT64_MAX, false), CLIENT_NOT_GRANTED);
}
END_TEST

START_TEST(what_was_granted_is_not_asked_for_again) {
    Client *client = party_add_client();
    Request *request = party_take(client, MIB);
    uint64_t serial = client->serial;

    request_release(request);
    request = party_take(client, 1);
    request_release(request);
    request = party_take(client, MIB);
    ck_assert_uint_eq(client->serial, serial);
}
END_TEST

START_TEST(answer_to_a_wish_that_was_given_up_harms_nobody) {
    Client *client;
    Request *request;

    party.settings.memory = MIB;
    client = party_add_client();
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(request_reserve(request, 2 * MIB, false), CLIENT_PENDING);
    request_release(request);
    ck_assert_int_eq(client_take(client, &request), 0);
    ck_assert_int_eq(request_send(request), 0);
    party_settle(); /* now the refusal has come */
    ck_assert_int_eq(request->state, REQUEST_SENT);
    ck_assert_int_eq(request->reason, REASON_NONE);
}
END_TEST

/* ---- the host comes and goes ---- */

START_TEST(workers_are_counted_as_they_come_and_go) {
    Client *client = party_add_client();
    PartyWorker *worker;

    ck_assert_uint_eq(client_n_workers(client), 0);
    worker = party_add_worker(NULL);
    AWAIT(client_n_workers(client) > 0);
    party_stop_worker(worker);
    AWAIT(client_n_workers(client) == 0);
}
END_TEST

START_TEST(host_that_ends_takes_what_is_in_flight_along) {
    Client *client = party_add_client();
    Request *sent = party_send(client, 100), *taken = party_take(client, 10), *growing, *abandoned, *none;

    abandoned = party_send(client, 10);
    request_release(abandoned);
    ck_assert_int_eq(client_take(client, &growing), 0);
    ck_assert_int_eq(request_reserve(growing, MIB, false), CLIENT_PENDING);
    party_stop_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_int_eq(sent->state, REQUEST_ENDED);
    ck_assert_int_eq(sent->end, SLOT_FAILED);
    ck_assert_int_eq(sent->reason, REASON_HOST_LOST);
    ck_assert_ptr_eq(pop(client), sent);
    ck_assert_int_eq(taken->state, REQUEST_TAKEN);
    ck_assert_int_eq(abandoned->state, REQUEST_FREE);
    ck_assert_int_eq(growing->state, REQUEST_TAKEN);
    ck_assert_int_eq(request_reserve(growing, MIB, false), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(growing->reason, REASON_HOST_LOST);
    ck_assert_int_eq(client_take(client, &none), CLIENT_NOT_READY);
    ck_assert_uint_eq(client->n_in_flight, 0);
    ck_assert(!unit_is_readable(client_get_fd(client)));
}
END_TEST

START_TEST(descriptor_of_a_client_without_host_sleeps_whatever_it_owed) {
    Message message;
    Client *client;
    size_t bytes;
    int queue;

    party.settings.queue_depth = 1;
    client = party_add_client();
    ck_assert_int_eq(queue_connect(party_client_of_host(client)->uid->queue, QUEUE_READ, &queue), 0);
    party_send(client, 1);
    ck_assert(party_send(client, 1)->owed);
    party_stop_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_int_eq(queue_receive(queue, &message, sizeof(message), &bytes), 0); /* there is room now */
    ck_assert_int_eq(client_dispatch(client), 0);
    ck_assert(!unit_is_readable(client_get_fd(client)));
    fd_close(queue);
}
END_TEST

START_TEST(request_that_is_sent_to_a_lost_host_ends_at_once) {
    Client *client = party_add_client();
    Request *request = party_take(client, 100);

    party_stop_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_int_eq(request_send(request), 0);
    ck_assert_int_eq(request->state, REQUEST_ENDED);
    ck_assert_int_eq(request->reason, REASON_HOST_LOST);
    ck_assert_ptr_eq(pop(client), request);
    request_release(request);
    ck_assert_uint_eq(client->n_in_flight, 0);
}
END_TEST

START_TEST(memory_cannot_be_had_of_a_lost_host) {
    Client *client = party_add_client();
    Request *request;

    ck_assert_int_eq(client_take(client, &request), 0);
    party_stop_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_int_eq(request_reserve(request, MIB, false), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(request->reason, REASON_HOST_LOST);
    ck_assert_int_eq(request_reserve(request, MIB, false), CLIENT_NOT_GRANTED);
}
END_TEST

START_TEST(answer_that_was_there_before_the_host_ended_counts) {
    Client *client = party_add_client();
    Request *request = party_send(client, 0);
    HostClient *of_host = party_client_of_host(client);
    SlotClaim claim;

    ck_assert(slots_claim(of_host->submit.map, of_host->states.map, 0, 1, 99, 1, &claim));
    ck_assert(slots_end(of_host->states.map, 0, &claim, SLOT_DONE, &(AnswerRecord){0}));
    party_stop_host(); /* and no reply message was sent */
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_int_eq(request->state, REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_DONE);
}
END_TEST

START_TEST(answer_that_does_not_fit_is_a_failure) {
    static const AnswerRecord bad[] = {
        {.payload_bytes = 4097, .segment_bytes = 4096},
        {.payload_bytes = 1, .segment_bytes = 65 * MIB},
        {.payload_bytes = 1, .segment_bytes = 4097},
    };
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);

    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        Request *request = party_send(client, 0);
        SlotClaim claim;

        ck_assert(
            slots_claim(of_host->submit.map, of_host->states.map, 0, request->generation, 99, 1, &claim));
        ck_assert(slots_end(of_host->states.map, 0, &claim, SLOT_DONE, &bad[i]));
        host_notify(of_host, 0, request->generation);
        AWAIT(request->state == REQUEST_ENDED);
        ck_assert_int_eq(request->end, SLOT_FAILED);
        ck_assert_int_eq(request->reason, REASON_BAD_REQUEST);
        ck_assert_uint_eq(request->response_bytes, 0);
        request_release(request);
    }
}
END_TEST

/* A worker can write to the state page whatever it likes. */
START_TEST(end_that_is_none_is_a_failure) {
    static const uint64_t states[] = {SLOT_FRESH, SLOT_EXPIRED + 1, 15};
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);

    for (size_t i = 0; i < ELEMENTS(states); i++) {
        Request *request = party_send(client, 0);
        _Atomic uint64_t *word = (void *)((uint8_t *)of_host->states.map + 128); /* of the first slot */

        atomic_store(word, request->generation | states[i] << 56);
        host_notify(of_host, 0, request->generation);
        AWAIT(request->state == REQUEST_ENDED);
        ck_assert_int_eq(request->end, SLOT_FAILED);
        ck_assert_int_eq(request->reason, REASON_BAD_REQUEST);
        request_release(request);
    }
}
END_TEST

/* ---- refusals ---- */

static void check_refused(const char *name, Reason reason, const char *words) {
    unsigned n_events;
    Client *client;
    const char *text;

    party_settle(); /* the host's own probe is refused as well, where there is no queue for anybody */
    n_events = party_n_events(EVENT_CLIENT_REFUSED) + party_n_events(EVENT_LIMIT);
    client = party_connect(name);
    AWAIT(client_state(client) != CLIENT_CONNECTING);
    ck_assert_int_eq(client_state(client), CLIENT_REFUSED);
    ck_assert_int_eq(client_refusal(client, &text), reason);
    ck_assert_msg(strstr(text, words) != NULL, "'%s' does not name %s", text, words);
    party_settle();
    ck_assert_int_eq(client_state(client), CLIENT_REFUSED);
    ck_assert(!unit_is_readable(client_get_fd(client)));
    /* One line in the log, of one kind or the other. */
    ck_assert_uint_eq(party_n_events(EVENT_CLIENT_REFUSED) + party_n_events(EVENT_LIMIT), n_events + 1);
    party_remove_client(client);
}

START_TEST(client_beyond_max_clients_is_refused_until_another_goes) {
    Client *client;

    party.settings.max_clients = 1;
    client = party_add_client();
    check_refused("second", REASON_LIMIT, "`max_clients`");
    party_remove_client(client);
    AWAIT(party.host->n_clients == 0);
    party_add_client();
}
END_TEST

START_TEST(user_who_has_no_access_is_refused) {
    party.settings.access = (Principals){0};
    check_refused("stranger", REASON_NOT_ALLOWED, "`access`");
}
END_TEST

START_TEST(user_who_may_work_may_not_call_for_that) {
    party.settings.access = (Principals){0};
    ck_assert_uint_gt(party.settings.workers.n_uids, 0);
    check_refused("worker", REASON_NOT_ALLOWED, "`access`");
}
END_TEST

START_TEST(want_of_a_queue_is_a_refusal_that_says_why) {
    party.settings.queue_depth = 1u << 17;
    check_refused("deep", REASON_LIMIT, "fs.mqueue");
    party.settings.queue_depth = 4;
    party_add_client();
}
END_TEST

/* ---- suite ---- */

static void add_exchanges(Suite *suite) {
    TCase *tests = party_add_case(suite, "exchanges", party_begin, party_end);

    tcase_add_loop_test(tests, payload_of_any_size_comes_back, 0, (int)ELEMENTS(sizes));
    tcase_add_test(tests, segments_grow_and_shrink_on_one_connection);
    tcase_add_test(tests, slot_counts_its_exchanges);
    tcase_add_test(tests, generation_wraps_around_on_the_whole_way);
    tcase_add_test(tests, slots_are_given_out_until_there_are_none);
    tcase_add_test(tests, ended_request_is_popped_once);
    tcase_add_test(tests, bytes_of_the_callers_own_go_and_come);
    tcase_add_test(tests, failure_comes_with_its_reason_and_words);
}

static void add_owed(Suite *suite) {
    TCase *tests = party_add_case(suite, "owed", party_begin, party_end);

    tcase_add_test(tests, what_the_full_queue_did_not_take_is_owed_and_sent);
    tcase_add_test(tests, clients_of_one_user_share_a_small_queue);
    tcase_add_test(tests, descriptor_sleeps_once_what_was_owed_has_ended_otherwise);
    tcase_add_test(tests, message_of_what_was_claimed_meanwhile_is_not_sent);
}

static void add_memory(Suite *suite) {
    TCase *tests = party_add_case(suite, "memory", party_begin, party_end);

    tcase_add_test(tests, budget_refuses_and_says_which_setting);
    tcase_add_test(tests, payload_beyond_the_hosts_limit_is_refused_at_home);
    tcase_add_test(tests, what_was_granted_is_not_asked_for_again);
    tcase_add_test(tests, answer_to_a_wish_that_was_given_up_harms_nobody);
}

static void add_host(Suite *suite) {
    TCase *tests = party_add_case(suite, "host", party_begin, party_end);

    tcase_add_test(tests, workers_are_counted_as_they_come_and_go);
    tcase_add_test(tests, host_that_ends_takes_what_is_in_flight_along);
    tcase_add_test(tests, descriptor_of_a_client_without_host_sleeps_whatever_it_owed);
    tcase_add_test(tests, request_that_is_sent_to_a_lost_host_ends_at_once);
    tcase_add_test(tests, memory_cannot_be_had_of_a_lost_host);
    tcase_add_test(tests, answer_that_was_there_before_the_host_ended_counts);
    tcase_add_test(tests, answer_that_does_not_fit_is_a_failure);
    tcase_add_test(tests, end_that_is_none_is_a_failure);
}

static void add_refusals(Suite *suite) {
    TCase *tests = party_add_case(suite, "refusals", party_begin, party_end);

    tcase_add_test(tests, client_beyond_max_clients_is_refused_until_another_goes);
    tcase_add_test(tests, user_who_has_no_access_is_refused);
    tcase_add_test(tests, user_who_may_work_may_not_call_for_that);
    tcase_add_test(tests, want_of_a_queue_is_a_refusal_that_says_why);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("client");

    add_exchanges(suite);
    add_owed(suite);
    add_memory(suite);
    add_host(suite);
    add_refusals(suite);
    return suite;
}
