/* SPDX-License-Identifier: MIT */
/* A user whose requests kill workers is refused for a while, and nobody else is. */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LONG_NS (1000 * NS_PER_SEC)

/* ---- workers ---- */

/* What begins with a 'p' is poison. */
static int die_of_poison(Handler *handler, Exchange *exchange) {
    char first = 0;

    if (exchange->request_bytes > 0 && exchange_read_request(exchange, 0, &first, 1) == 0 && first == 'p')
        raise(SIGKILL);
    return handler_echo.handle(handler, exchange);
}

static int work(void) {
    const HandlerKind kind = {.handle = die_of_poison};

    return child_work(&kind, LONG_NS);
}

/* ---- clients ---- */

static Request *send_poison(Client *client) {
    Request *request = party_take(client, 100);

    *(char *)request->segment.map = 'p';
    ck_assert_int_eq(request_send(request), 0);
    return request;
}

/* One that kills one worker, and has no other attempt. */
static void kill_with_poison(Client *client, Child *worker) {
    Request *request = send_poison(client);

    ck_assert_int_eq(child_end(worker), -SIGKILL);
    AWAIT(request->state == REQUEST_ENDED && party.host->workers.n == 0);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    request_release(request);
}

static void kill_a_worker(Client *client) {
    Child worker = party_add_child(work);

    kill_with_poison(client, &worker);
}

static HostAccount *own_account(void) {
    return table_find(&party.host->accounts, geteuid());
}

/* Let the minute pass. */
static void forgive(void) {
    own_account()->refused_until_ns = party.host->refused_ns = 1;
    party.host->tick_ns = 0;
    party_tick();
    ck_assert(!host_refuses(own_account()));
}

static void check_refused(Request *request) {
    char text[256] = "";

    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_REFUSED);
    ck_assert_uint_gt(request->response_bytes, 0);
    ck_assert_uint_lt(request->response_bytes, sizeof(text));
    memcpy(text, request->response.map, request->response_bytes);
    ck_assert_msg(strstr(text, "have killed 3 workers of host `test` within a minute (`max_deaths`), so that "
                               "no more are taken for another"),
                  "it says: %s", text);
}

static void begin(void) {
    party_begin();
    party.settings.attempts = 1;
    party.settings.max_deaths = 3;
}

/* ---- counting ---- */

START_TEST(third_death_within_a_minute_has_the_user_refused) {
    Client *client = party_add_client(), *next;
    const char *text;

    kill_a_worker(client);
    kill_a_worker(client);
    ck_assert(!host_refuses(own_account()));
    kill_a_worker(client);
    ck_assert(host_refuses(own_account()));
    ck_assert_uint_eq(party_event(EVENT_USER_REFUSED)->uid, geteuid());
    ck_assert(!party_event(EVENT_USER_REFUSED)->ok);
    next = party_connect("next");
    AWAIT(client_state(next) != CLIENT_CONNECTING);
    ck_assert_int_eq(client_state(next), CLIENT_REFUSED);
    ck_assert_int_eq(client_refusal(next, &text), REASON_REFUSED);
    ck_assert_msg(strstr(text, "for another 60 s; what they were: `shmipc parked list`"), "it says: %s",
                  text);
}
END_TEST

START_TEST(deaths_that_are_long_past_do_not_count) {
    Client *client = party_add_client();

    kill_a_worker(client);
    kill_a_worker(client);
    for (size_t i = 0; i < ACCOUNT_DEATHS; i++)
        if (own_account()->deaths_ns[i])
            own_account()->deaths_ns[i] -= party.host->patience.poison_ns;
    kill_a_worker(client);
    kill_a_worker(client);
    ck_assert(!host_refuses(own_account()));
    kill_a_worker(client);
    ck_assert(host_refuses(own_account()));
}
END_TEST

START_TEST(nobody_is_refused_where_that_is_off) {
    Client *client = party_add_client();

    party.settings.max_deaths = 0;
    for (size_t i = 0; i < 4; i++)
        kill_a_worker(client);
    ck_assert(!host_refuses(own_account()));
}
END_TEST

START_TEST(workers_that_die_idle_do_not_count) {
    Client *client = party_add_client();

    for (size_t i = 0; i < 4; i++) {
        Child worker = party_add_child(work);

        party_echo(client, 0);
        party_settle();
        party_kill_child(&worker);
    }
    ck_assert_uint_eq(own_account()->deaths_ns[0], 0);
}
END_TEST

START_TEST(one_request_that_is_given_to_three_workers_counts_three_times) {
    Child workers[3];
    Request *request;

    party.settings.attempts = 15;
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        workers[i] = party_add_child(work);
    request = send_poison(party_add_client());
    check_refused(request); /* it has had enough, whatever `attempts` says */
    ck_assert_uint_eq(party_word(request).attempts, 3);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        ck_assert_int_eq(child_end(&workers[i]), -SIGKILL);
}
END_TEST

static int hang(Handler *handler, Exchange *exchange) {
    child_report('h');
    for (;;)
        pause();
    return 0;
}

static int work_and_hang(void) {
    const HandlerKind kind = {.handle = hang};

    return child_work(&kind, LONG_NS);
}

START_TEST(workers_that_are_killed_for_their_timeout_count) {
    Client *client = party_add_client();

    party.host->patience.grace_ns = 1;
    for (size_t i = 0; i < 3; i++) {
        Child worker = child_start(UNIT_SAME_UID, work_and_hang);
        Request *request = party_send(client, 10);

        ck_assert_int_eq(child_await(&worker), 'h');
        ((HostWorker *)table_at(&party.host->workers, 0))->timeout_ns = 1;
        party_tick();
        ck_assert_int_eq(child_end(&worker), -SIGKILL);
        AWAIT(request->state == REQUEST_ENDED);
        request_release(request);
    }
    ck_assert(host_refuses(own_account()));
}
END_TEST

/* ---- what a refused user has ---- */

static Client *be_refused(void) {
    Client *client = party_add_client();

    for (size_t i = 0; i < 3; i++)
        kill_a_worker(client);
    ck_assert(host_refuses(own_account()));
    return client;
}

START_TEST(what_waits_ends_at_once_and_says_why) {
    Client *client = party_add_client(), *other = party_add_client();
    Request *submitted[2], *waiting;
    Child worker = party_add_child(work);

    party.settings.attempts = 2;
    waiting = send_poison(client);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    AWAIT(party_word(waiting).state == SLOT_WAITING);
    submitted[0] = party_send(client, 10);
    submitted[1] = party_send(other, MIB);
    own_account()->deaths_ns[0] = own_account()->deaths_ns[1] = clock_now_ns();
    host_note_death(party.host, own_account());
    check_refused(waiting);
    check_refused(submitted[0]);
    check_refused(submitted[1]);
}
END_TEST

START_TEST(what_is_sent_meanwhile_ends_at_once) {
    Client *client = be_refused();
    Child worker = party_add_child(work);
    Request *request;

    for (size_t i = 0; i < 20; i++) {
        request = party_send(client, 100 * i);
        check_refused(request);
        request_release(request);
    }
    party_kill_child(&worker);
}
END_TEST

START_TEST(what_is_sent_by_more_than_the_queue_holds_ends_as_well) {
    Client *client;
    Request *requests[8];

    party.settings.requests_per_client = ELEMENTS(requests);
    party.settings.queue_depth = 2;
    client = be_refused();
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_take(client, 10);
    party_settle();
    for (size_t i = 0; i < ELEMENTS(requests); i++) /* the host does not turn meanwhile */
        ck_assert_int_eq(request_send(requests[i]), 0);
    ck_assert_uint_gt(client->n_owed, 0);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        check_refused(requests[i]);
}
END_TEST

START_TEST(messages_that_name_nothing_are_drained) {
    Client *client = be_refused();
    const Message forged[] = {
        {.client = 0},
        {.client = client_id(client), .slot = UINT32_MAX},
        {.client = client_id(client), .slot = 3, .generation = 77},
        {.client = ((HostClient *)table_at(&party.host->clients, 0))->id}, /* the probe */
    };

    party_settle(); /* whatever is left of what killed workers */
    for (size_t i = 0; i < ELEMENTS(forged); i++)
        ck_assert_int_eq(queue_send(client->request_queue, &forged[i], sizeof(forged[i]), 0), 0);
    ck_assert_int_eq(queue_send(client->request_queue, "short", 5, 31), -EAGAIN); /* it is full */
    party_settle();
    ck_assert_int_eq(queue_send(client->request_queue, "short", 5, 31), 0);
    check_refused(party_send(client, 10));
}
END_TEST

START_TEST(size_that_nobody_has_checked_is_not_counted) {
    const SubmitRecord record = {.generation = 1, .payload_bytes = UINT64_MAX / 3};
    Client *client = be_refused();
    HostClient *of_host = party_client_of_host(client);
    SlotCounts before, counts;

    party_settle();
    state_counts(of_host->states.map, of_host->n_slots, &before);
    submit_publish(client->submit.map, of_host->n_slots - 1, &record);
    host_repeat(party.host);
    ck_assert(state_has_ended(of_host->states.map, of_host->n_slots - 1, 1));
    state_counts(of_host->states.map, of_host->n_slots, &counts);
    ck_assert_uint_eq(counts.n_failed, before.n_failed + 1);
    ck_assert_uint_eq(counts.request_bytes, before.request_bytes);
}
END_TEST

START_TEST(cancelled_ones_end_as_cancelled) {
    Client *client = party_add_client();
    Request *request = party_send(client, 10);

    submit_cancel(client->submit.map, request->slot);
    own_account()->deaths_ns[0] = own_account()->deaths_ns[1] = clock_now_ns();
    host_note_death(party.host, own_account());
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
}
END_TEST

START_TEST(reason_stands_alone_where_there_is_no_memory_for_its_text) {
    Client *client = be_refused();
    Request *taken = party_take(client, 0), *request;

    party.settings.memory = 1;
    request = party_send(client, 0); /* in another slot than those before */
    request_release(taken);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_REFUSED);
    ck_assert_uint_eq(request->response_bytes, 0);
}
END_TEST

/* ---- afterwards ---- */

START_TEST(after_the_minute_everything_works_again) {
    Client *client = be_refused();
    Child worker = party_add_child(work);

    check_refused(party_send(client, 10));
    forgive();
    ck_assert(party_event(EVENT_USER_REFUSED)->ok);
    party_echo(client, MIB);
    party_echo(party_add_client(), 10);
    kill_with_poison(client, &worker);
    ck_assert(!host_refuses(own_account())); /* and counting begins anew */
}
END_TEST

START_TEST(minute_ends_by_itself) {
    Client *client = be_refused();
    Child worker = party_add_child(work);

    own_account()->refused_until_ns = party.host->refused_ns = clock_now_ns() + NS_PER_MS;
    party.host->timer_ns = 0;
    AWAIT(!host_refuses(own_account()));
    party_echo(client, 10);
    party_kill_child(&worker);
}
END_TEST

START_TEST(probe_waits_and_health_does_not_change) {
    uint32_t n_probes;
    unsigned n_told;
    Child worker;

    be_refused();
    n_told = party_n_events(EVENT_HEALTH);
    n_probes = party.host->probe.round;
    worker = party_add_child(work);
    party.settings.health_interval_ns = LONG_NS;
    party_tick();
    party_settle();
    ck_assert_uint_eq(party_n_events(EVENT_HEALTH), n_told);
    ck_assert_uint_eq(party.host->probe.round, n_probes);
    party.settings.health_interval_ns = 0;
    forgive();
    AWAIT(party.host->probe.round > n_probes && party.host->probe.healthy);
    party_kill_child(&worker);
}
END_TEST

/* ---- other users ---- */

/* Poison, until the host says that this is enough. */
static int be_another_user_who_poisons(void) {
    Client *client;
    Request *request;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "poisoner") < 0)
        return 1;
    while (client_state(client) == CLIENT_CONNECTING)
        client_wait(client, UINT64_MAX);
    for (;;) {
        if (client_take(client, &request) != 0)
            return 2;
        while (request_reserve(request, 1, true) == CLIENT_PENDING)
            client_wait(client, UINT64_MAX);
        request->payload_bytes = 1;
        *(char *)request->segment.map = 'p';
        if (request_send(request) < 0)
            return 3;
        while (request->state != REQUEST_ENDED)
            client_wait(client, UINT64_MAX);
        if (request->reason == REASON_REFUSED)
            return 0;
        if (request->reason != REASON_WORKER_LOST)
            return 4;
        request_release(request);
    }
}

START_TEST(other_users_go_on_meanwhile) {
    Client *client = party_add_client();
    Child poisoner, workers[4];
    unsigned n_alive = 0;

    for (size_t i = 0; i < ELEMENTS(workers); i++)
        workers[i] = party_add_child(work);
    poisoner = child_start(UNIT_OTHER_UID, be_another_user_who_poisons);
    while (party_n_events(EVENT_USER_REFUSED) == 0)
        party_echo(client, 0); /* of what a test fills a payload with, some begins with a 'p' */
    ck_assert_uint_eq(party_event(EVENT_USER_REFUSED)->uid, UNIT_OTHER_UID);
    ck_assert_int_eq(child_end(&poisoner), 0);
    party_echo(client, MIB);
    party_echo(party_add_client(), 10);
    n_alive = party.host->n_workers;
    ck_assert_uint_eq(n_alive, 1); /* three are the price */
    for (size_t i = 0; i < ELEMENTS(workers); i++) {
        kill(workers[i].pid, SIGKILL);
        ck_assert_int_eq(child_end(&workers[i]), -SIGKILL);
    }
    AWAIT(party.host->workers.n == 0);
}
END_TEST

static int wait_as_another_user(void) {
    Client *client;
    Request *request;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "other") < 0)
        return 1;
    while (client_state(client) == CLIENT_CONNECTING)
        client_wait(client, UINT64_MAX);
    if (client_take(client, &request) != 0 || request_send(request) < 0)
        return 2;
    child_report('s');
    while (request->state != REQUEST_ENDED)
        client_wait(client, UINT64_MAX);
    return 0;
}

/* Nobody can tell which of them killed it. */
START_TEST(worker_with_requests_of_several_users_counts_for_none) {
    Request *request = party_send(party_add_client(), 10);
    Child other = child_start(UNIT_OTHER_UID, wait_as_another_user);
    HostClient *clients[2];
    HostWorker worker = {.number = 77, .pid = 1};
    SlotClaim claim;

    ck_assert_int_eq(child_await(&other), 's');
    clients[0] = party_client_of_host(request->client);
    clients[1] = table_at(&party.host->clients, party.host->clients.n - 1);
    ck_assert_uint_eq(clients[1]->account->uid, UNIT_OTHER_UID);
    for (size_t i = 0; i < 2; i++)
        ck_assert(slots_claim(clients[i]->submit.map, clients[i]->states.map, 0, 1, worker.number,
                              clock_now_ns(), &claim));
    host_settle(party.host, &worker);
    ck_assert_int_eq(party_word(request).state, SLOT_FAILED);
    ck_assert_uint_eq(own_account()->deaths_ns[0], 0);
    ck_assert_uint_eq(clients[1]->account->deaths_ns[0], 0);
    host_repeat(party.host);
    ck_assert_int_eq(child_end(&other), 0);
}
END_TEST

/* ---- several workers in one process ---- */

/* What begins with a 'p' is poison, and all else never ends. */
static int die_or_hang(Handler *handler, Exchange *exchange) {
    char first = 0;

    if (exchange->request_bytes > 0 && exchange_read_request(exchange, 0, &first, 1) == 0 && first == 'p')
        raise(SIGKILL);
    return hang(handler, exchange);
}

static void *work_in_a_thread(void *data) {
    const HandlerKind kind = {.handle = die_or_hang};

    (void)child_work(&kind, LONG_NS);
    return NULL;
}

static int work_in_three_threads(void) {
    pthread_t thread;

    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread, NULL, work_in_a_thread, NULL) != 0)
            return 1;
    work_in_a_thread(NULL);
    return 2;
}

static Child add_three_workers(void) {
    Child child = child_start(UNIT_SAME_UID, work_in_three_threads);

    AWAIT(party.host->n_workers == 3);
    return child;
}

static unsigned n_deaths(uid_t uid) {
    const HostAccount *account = table_find(&party.host->accounts, uid);
    unsigned n = 0;

    for (size_t i = 0; i < ACCOUNT_DEATHS; i++)
        n += account->deaths_ns[i] != 0;
    return n;
}

START_TEST(process_with_several_workers_dies_once) {
    Client *client = party_add_client();
    Child workers = add_three_workers();

    for (int i = 0; i < 2; i++) {
        party_send(client, 0);
        ck_assert_int_eq(child_await(&workers), 'h');
    }
    send_poison(client);
    ck_assert_int_eq(child_end(&workers), -SIGKILL);
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 3);
    ck_assert_uint_eq(n_deaths(geteuid()), 1);
    kill_a_worker(client);
    ck_assert_uint_eq(n_deaths(geteuid()), 2);
}
END_TEST

/* Neither for the one who was in another thread, nor for the one whose doing it was. */
START_TEST(process_with_requests_of_several_users_counts_for_none) {
    Child workers = add_three_workers(), other = child_start(UNIT_OTHER_UID, wait_as_another_user);

    ck_assert_int_eq(child_await(&workers), 'h');
    send_poison(party_add_client());
    ck_assert_int_eq(child_end(&workers), -SIGKILL);
    AWAIT(party.host->workers.n == 0);
    ck_assert_int_eq(child_await(&other), 's');
    ck_assert_uint_eq(n_deaths(geteuid()), 0);
    ck_assert_uint_eq(n_deaths(UNIT_OTHER_UID), 0);
    ck_assert_int_eq(child_end(&other), 0);
}
END_TEST

/* ---- suite ---- */

static void add_refused(TCase *tests) {
    tcase_add_test(tests, what_waits_ends_at_once_and_says_why);
    tcase_add_test(tests, what_is_sent_meanwhile_ends_at_once);
    tcase_add_test(tests, what_is_sent_by_more_than_the_queue_holds_ends_as_well);
    tcase_add_test(tests, messages_that_name_nothing_are_drained);
    tcase_add_test(tests, cancelled_ones_end_as_cancelled);
    tcase_add_test(tests, size_that_nobody_has_checked_is_not_counted);
    tcase_add_test(tests, reason_stands_alone_where_there_is_no_memory_for_its_text);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("poison");
    TCase *tests = party_add_case(suite, "deaths", begin, party_end);

    tcase_add_test(tests, third_death_within_a_minute_has_the_user_refused);
    tcase_add_test(tests, deaths_that_are_long_past_do_not_count);
    tcase_add_test(tests, nobody_is_refused_where_that_is_off);
    tcase_add_test(tests, workers_that_die_idle_do_not_count);
    tcase_add_test(tests, one_request_that_is_given_to_three_workers_counts_three_times);
    tcase_add_test(tests, workers_that_are_killed_for_their_timeout_count);
    tcase_add_test(tests, process_with_several_workers_dies_once);
    add_refused(party_add_case(suite, "refused", begin, party_end));
    tests = party_add_case(suite, "afterwards", begin, party_end);
    tcase_add_test(tests, after_the_minute_everything_works_again);
    tcase_add_test(tests, minute_ends_by_itself);
    tcase_add_test(tests, probe_waits_and_health_does_not_change);
    if (unit_is_root()) {
        tests = party_add_case(suite, "other users", begin, party_end);
        tcase_add_test(tests, other_users_go_on_meanwhile);
        tcase_add_test(tests, worker_with_requests_of_several_users_counts_for_none);
        tcase_add_test(tests, process_with_requests_of_several_users_counts_for_none);
    }
    return suite;
}
