/* SPDX-License-Identifier: MIT */
/*
 * Polling (docs/protocol.md, section 5, "Polling"), with a real host and workers' real threads
 *
 * Who polls is seen in the pages, who was sent a message in the queues. SPIN_ALWAYS makes both sure: who
 * polls goes on until there is a reason not to.
 */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 0xabcdu /* number of no worker */

static bool is_readable(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) > 0;
}

static uint32_t poller_of(const Client *client) {
    return state_poller(client->states.map);
}

/* A client that has had an exchange with a worker that polls it now. */
static Client *add_polled_client(void) {
    Client *client = party_add_client();

    party_echo(client, 100);
    AWAIT_UNTOLD(poller_of(client) != 0);
    return client;
}

static Request *post(Client *client) {
    Request *request = party_take(client, 100);

    ck_assert_int_eq(request_post(request), 0);
    return request;
}

/* Wait inside the client's own call, as the library does. */
static void see_through(Client *client, Request *request) {
    while (request->state != REQUEST_ENDED) {
        ck_assert_int_eq(client_wait(client, clock_now_ns() + NS_PER_MS), 0);
        party_settle();
    }
    ck_assert_int_eq(request->end, SLOT_DONE);
    request_release(request);
}

static void begin_polling(void) {
    party_begin();
    party.poll_ns = SPIN_ALWAYS;
}

/* ---- the worker ---- */

START_TEST(worker_polls_whom_it_has_answered) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();

    ck_assert_uint_eq(poller_of(client), party_event(EVENT_WORKER_ATTACHED)->worker);
    party_stop_worker(worker);
    ck_assert_uint_eq(poller_of(client), 0);
}
END_TEST

START_TEST(worker_that_is_not_to_poll_does_not) {
    PartyWorker *worker;
    Client *client;

    party.poll_ns = 0;
    worker = party_add_worker(NULL);
    client = party_add_client();
    for (int i = 0; i < 10; i++) {
        party_echo(client, 100);
        ck_assert_uint_eq(poller_of(client), 0);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_that_finds_nothing_says_that_it_sleeps) {
    PartyWorker *worker;
    Client *client;

    party.poll_ns = 1;
    worker = party_add_worker(NULL);
    client = party_add_client();
    party_echo(client, 100);
    AWAIT_UNTOLD(poller_of(client) == 0);
    party_echo(client, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(probe_is_not_polled) {
    PartyWorker *worker = party_add_worker(NULL);

    AWAIT(party.host->probe.known && party.host->probe.healthy);
    ck_assert_uint_eq(state_poller(party.host->probe.client->states.map), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(others_are_not_kept_waiting_by_who_is_polled) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();
    Client *other = party_add_client();
    Request *request = party_send(other, 100);

    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    while (request->state != REQUEST_ENDED)
        see_through(client, post(client));
    ck_assert_int_eq(request->end, SLOT_DONE);
    request_release(request);
    party_stop_worker(worker);
}
END_TEST

/* Handles nothing until it is let go; then each takes so long that others should not wait for several. */
static struct {
    uint64_t clients[16]; /* whose exchanges came in, one after the other */
    _Atomic uint32_t n;
    _Atomic bool go;
} line;

static int work_for_long(Handler *handler, Exchange *exchange) {
    uint64_t until_ns;

    line.clients[line.n % ELEMENTS(line.clients)] = exchange->client;
    line.n++;
    while (!line.go)
        sched_yield();
    until_ns = clock_now_ns() + 2 * NS_PER_MS;
    while (clock_now_ns() < until_ns)
        continue;
    return handler_echo.handle(handler, exchange);
}

static uint32_t place_of(const Client *client) {
    uint32_t i = 0;

    while (i < line.n && line.clients[i] != client_id(client))
        i++;
    return i;
}

START_TEST(long_exchanges_of_who_is_polled_take_turns_with_others) {
    const HandlerKind kind = {.handle = work_for_long};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Client *client, *other = party_add_client();
    Request *requests[8], *request;

    line.go = true;
    party.settings.requests_per_client = ELEMENTS(requests);
    client = add_polled_client();
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    line.go = false;
    line.n = 0;
    requests[0] = post(client);
    AWAIT_UNTOLD(line.n == 1);
    request = party_send(other, 100);
    for (size_t i = 1; i < ELEMENTS(requests); i++)
        requests[i] = post(client);
    line.go = true;
    party_check_echo(request);
    ck_assert_uint_le(place_of(other), 2);
    request_release(request);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        see_through(client, requests[i]);
    party_stop_worker(worker);
}
END_TEST

START_TEST(several_clients_are_polled_at_once) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *clients[3];

    for (int i = 0; i < 3; i++) {
        clients[i] = add_polled_client();
        ck_assert_int_eq(client_set_spin(clients[i], SPIN_ALWAYS), 0);
    }
    for (int i = 0; i < 30; i++)
        see_through(clients[i % 3], post(clients[i % 3]));
    for (int i = 0; i < 3; i++)
        ck_assert_uint_ne(poller_of(clients[i]), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(one_worker_polls_a_client) {
    PartyWorker *first = party_add_worker(NULL);
    Client *client = add_polled_client();
    uint32_t poller = poller_of(client);
    PartyWorker *second = party_add_worker(NULL);

    for (int i = 0; i < 50; i++)
        party_echo(client, 100);
    ck_assert_uint_eq(poller_of(client), poller);
    party_stop_worker(second);
    ck_assert_uint_eq(poller_of(client), poller);
    party_stop_worker(first);
}
END_TEST

START_TEST(client_that_goes_is_polled_no_more) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client(), *next;

    party_remove_client(client);
    next = add_polled_client();
    AWAIT(party.host->clients.n == 2); /* this one and the probe's: the worker has let go of the other */
    party_echo(next, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(host_that_goes_is_noticed_by_who_polls) {
    PartyWorker *worker = party_add_worker(NULL);

    (void)add_polled_client();
    party_stop_host();
    AWAIT(party_worker_told(worker, EVENT_HOST_LOST) == 1);
    party_start_host();
    party_stop_worker(worker);
}
END_TEST

static int work(void) {
    return child_work(&handler_echo, 1000 * NS_PER_SEC);
}

START_TEST(dead_worker_polls_no_more) {
    Child child = child_start(UNIT_SAME_UID, work);
    Client *client;

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) == 1);
    client = add_polled_client();
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    AWAIT_UNTOLD(poller_of(client) == 0);
    ck_assert_int_eq(child_end(&child), -SIGKILL);
}
END_TEST

START_TEST(worker_that_died_while_there_was_no_host_polls_no_more) {
    Child child;
    Client *client;

    party_keep();
    child = child_start(UNIT_SAME_UID, work);
    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) == 1);
    client = add_polled_client();
    party_leave_host();
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(&child), -SIGKILL);
    ck_assert_uint_ne(poller_of(client), 0);
    party_start_host();
    AWAIT_UNTOLD(poller_of(client) == 0);
}
END_TEST

static _Atomic bool enough;

static void *change_generations(void *submit) {
    SubmitRecord record = {.flags = SUBMIT_QUIET};

    while (!enough) {
        record.generation++;
        submit_publish(submit, 0, &record);
    }
    return NULL;
}

START_TEST(client_that_changes_what_is_looked_at_holds_up_nobody) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client(), *other = party_add_client();
    pthread_t thread;

    enough = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, change_generations, client->submit.map), 0);
    for (int i = 0; i < 20; i++)
        party_echo(other, 100);
    enough = true;
    pthread_join(thread, NULL);
    party_stop_worker(worker);
}
END_TEST

/* One look takes as long as the size says that the client submits. */
START_TEST(size_that_is_none_is_not_waited_for) {
    const SubmitRecord record = {.generation = 2, .flags = SUBMIT_QUIET, .payload_bytes = UINT64_MAX};
    PartyWorker *worker;
    Client *client;
    SlotCounts counts;

    party.poll_ns = SPIN_AUTO;
    worker = party_add_worker(NULL);
    client = party_add_client();
    party_echo(client, 100);
    submit_publish(client->submit.map, 0, &record);
    ck_assert_int_eq(queue_send(client->request_queue, &(Message){.client = client->id, .generation = 2},
                                sizeof(Message), 0),
                     0);
    AWAIT_UNTOLD(state_has_ended(client->states.map, 0, 2) && poller_of(client) == 0);
    state_counts(client->states.map, client->n_slots, &counts);
    ck_assert_uint_eq(counts.request_bytes, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(child_that_frees_a_worker_says_nothing_in_its_name) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();
    uint32_t poller = poller_of(client);
    pid_t child = fork();
    int status;

    if (child == 0) {
        worker_abandon(worker->worker);
        worker_free(worker->worker);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    party_settle();
    ck_assert_uint_eq(party.host->n_workers, 1);
    ck_assert_uint_eq(poller_of(client), poller);
    party_stop_worker(worker);
}
END_TEST

/* ---- the client ---- */

START_TEST(request_that_is_polled_needs_no_message) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();
    int queue = party_client_of_host(client)->uid->queue;

    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    for (int i = 0; i < 20; i++) {
        Request *request;

        /* On a busy machine the worker may have stopped for longer than the last request could wait. */
        AWAIT_UNTOLD(!is_readable(queue) && poller_of(client) != 0);
        request = post(client);
        ck_assert(request->owed || request->state == REQUEST_ENDED);
        ck_assert(!is_readable(queue));
        see_through(client, request);
    }
    ck_assert_uint_eq(client->n_owed, 0);
    ck_assert(!is_readable(client->reply_queue));
    party_stop_worker(worker);
}
END_TEST

START_TEST(message_is_made_up_for_before_the_client_sleeps) {
    PartyWorker *worker;
    Client *client;

    party.poll_ns = 0;
    worker = party_add_worker(NULL);
    client = party_add_client();
    party_echo(client, 100);
    ck_assert(state_poll_begin(party_client_of_host(client)->states.map, STRANGER)); /* who is stopped, say */
    ck_assert_int_eq(client_set_spin(client, NS_PER_US), 0);
    for (int i = 0; i < 10; i++) {
        Request *request = post(client);

        ck_assert(request->owed);
        see_through(client, request);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_never_sleeps_pays_all_the_same) {
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    Request *request;

    ck_assert(state_poll_begin(of_host->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    request = post(client);
    ck_assert_int_eq(client_wait(client, UINT64_MAX), 0);
    ck_assert(!request->owed);
    ck_assert(is_readable(of_host->uid->queue));
    request_release(request);
}
END_TEST

START_TEST(message_is_made_up_for_when_it_is_settled) {
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    Request *request;

    ck_assert(state_poll_begin(of_host->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    request = post(client);
    ck_assert(!is_readable(of_host->uid->queue));
    ck_assert_int_eq(client_settle(client), 0);
    ck_assert(is_readable(of_host->uid->queue));
    ck_assert(!request->owed);
    request_release(request);
}
END_TEST

START_TEST(settled_messages_that_do_not_fit_are_owed) {
    PartyWorker *worker;
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    Request *requests[4];

    ck_assert(state_poll_begin(of_host->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, NS_PER_US), 0);
    for (uint32_t i = 0; i < party.settings.queue_depth; i++)
        ck_assert_int_eq(queue_send(of_host->uid->queue, &(Message){0}, sizeof(Message), 0), 0);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = post(client);
    ck_assert_int_eq(client_settle(client), 0);
    ck_assert_uint_eq(client->n_owed, ELEMENTS(requests));
    party.poll_ns = 0;
    worker = party_add_worker(NULL);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        see_through(client, requests[i]);
    party_stop_worker(worker);
}
END_TEST

START_TEST(who_sends_without_waiting_sends_a_message) {
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    Request *request = party_take(client, 100);

    ck_assert(state_poll_begin(of_host->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    ck_assert_int_eq(request_send(request), 0);
    ck_assert(is_readable(of_host->uid->queue));
    request_release(request);
}
END_TEST

/* Use the first slots once, so that nobody needs the host to go on with them. */
static void warm_up(Client *client) {
    Request *requests[3];

    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_send(client, 100);
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        party_check_echo(requests[i]);
        request_release(requests[i]);
    }
    party_settle();
}

static void send_and_watch(Request *request) {
    ck_assert_int_eq(request_send(request), 0);
    while (!state_has_ended(request->client->states.map, request->slot, request->generation))
        continue;
}

/*
 * The worker does one after the other: when the second has ended, all that the first would be told has been
 * said.
 */
START_TEST(client_that_is_awake_gets_no_message) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();
    Request *requests[3];
    Message message = {.slot = UINT32_MAX};
    size_t bytes;

    warm_up(client);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_take(client, 100);
    submit_set_awake(client->submit.map, true);
    send_and_watch(requests[0]);
    send_and_watch(requests[1]);
    submit_set_awake(client->submit.map, false);
    send_and_watch(requests[2]);
    while (message.slot != requests[2]->slot) {
        ck_assert_int_gt(wait_for_fd(client->reply_queue, WAIT_READ, UINT64_MAX), 0);
        ck_assert_int_eq(queue_receive(client->reply_queue, &message, sizeof(message), &bytes), 0);
        ck_assert_uint_ne(message.slot, requests[0]->slot);
    }
    ck_assert_int_eq(client_dispatch(client), 0);
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        ck_assert(requests[i]->state == REQUEST_ENDED);
        request_release(requests[i]);
    }
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_says_that_it_sleeps_before_it_does) {
    Client *client = party_add_client();
    Request *request;

    ck_assert(state_poll_begin(party_client_of_host(client)->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, NS_PER_US), 0);
    request = post(client);
    ck_assert_int_eq(client_wait(client, clock_now_ns() + NS_PER_MS), 0);
    ck_assert(!submit_is_awake(client->submit.map));
    request_release(request);
}
END_TEST

/* What ended while the client was awake was told by no message. */
START_TEST(descriptor_tells_of_what_ended_before_it_was_asked_for) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = add_polled_client();
    Request *first, *second;

    warm_up(client);
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    first = post(client);
    second = post(client);
    see_through(client, first); /* awake from here on */
    while (!state_has_ended(client->states.map, second->slot, second->generation))
        continue;
    if (second->state != REQUEST_ENDED) {
        ck_assert_int_eq(client_set_spin(client, 0), 0);
        ck_assert(is_readable(client_get_fd(client)));
        ck_assert_int_eq(client_dispatch(client), 0);
    }
    ck_assert(second->state == REQUEST_ENDED);
    request_release(second);
    party_stop_worker(worker);
}
END_TEST

/* As a worker would that nobody knows. */
static void end_by_hand(const Request *request) {
    HostClient *of_host = party_client_of_host(request->client);
    const AnswerRecord answer = {0};
    SlotClaim claim;

    ck_assert(slots_claim(of_host->submit.map, of_host->states.map, request->slot, request->generation,
                          STRANGER, 1, &claim));
    ck_assert(slots_end(of_host->states.map, request->slot, &claim, SLOT_DONE, &answer));
}

/* Both are looked at, though not as often: what polling has found is counted. */
START_TEST(who_polls_sees_the_end_of_another_than_the_oldest) {
    Client *client = party_add_client();
    Request *oldest, *other;

    ck_assert(state_poll_begin(party_client_of_host(client)->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    oldest = post(client);
    other = post(client);
    end_by_hand(other);
    ck_assert_int_eq(client_wait(client, UINT64_MAX), 0);
    ck_assert_uint_eq(client->n_in_a_row, 1);
    ck_assert(other->state == REQUEST_ENDED);
    ck_assert(oldest->state == REQUEST_SENT);
    request_release(other);
    request_release(oldest);
}
END_TEST

/* Of many it looks at one behind the oldest first: what was done before that one has ended, too. */
START_TEST(who_polls_for_many_sees_all_ends_at_once) {
    Request *requests[16];
    Client *client;

    party.settings.requests_per_client = ELEMENTS(requests);
    client = party_add_client();
    ck_assert(state_poll_begin(party_client_of_host(client)->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, SPIN_ALWAYS), 0);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = post(client);
    for (size_t i = 0; i < 4; i++)
        end_by_hand(requests[i]);
    ck_assert_int_eq(client_wait(client, UINT64_MAX), 0);
    ck_assert_uint_eq(client->n_in_a_row, 1);
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        ck_assert(requests[i]->state == (i < 4 ? REQUEST_ENDED : REQUEST_SENT));
        request_release(requests[i]);
    }
}
END_TEST

/* As where a worker dies as soon as it has ended it, or is slower with that than another with the next. */
static void show_former_end(const Request *request) {
    HostClient *of_host = party_client_of_host(request->client);
    uint8_t *answer = (uint8_t *)of_host->states.map + 128 + 8 * 64 + request->slot * 128;
    uint64_t *ended = (uint64_t *)(void *)answer;

    ck_assert_uint_eq((uint32_t)*ended, request->generation);
    *ended = 0;
}

static void check_found_though_not_shown(uint64_t spin_ns) {
    Client *client = party_add_client();
    Request *request;

    ck_assert(state_poll_begin(party_client_of_host(client)->states.map, STRANGER));
    ck_assert_int_eq(client_set_spin(client, spin_ns), 0);
    request = post(client);
    end_by_hand(request);
    show_former_end(request);
    ck_assert_int_eq(client_wait(client, UINT64_MAX), 0);
    ck_assert(request->state == REQUEST_ENDED);
    request_release(request);
}

START_TEST(end_that_is_not_shown_is_found_before_the_client_sleeps) {
    check_found_though_not_shown(NS_PER_US);
}
END_TEST

START_TEST(end_that_is_not_shown_is_found_by_who_never_sleeps) {
    check_found_though_not_shown(SPIN_ALWAYS);
}
END_TEST

START_TEST(requests_are_popped_as_they_ended) {
    static const size_t order[] = {2, 0, 1};
    Client *client = party_add_client();
    Request *requests[ELEMENTS(order)], *ended;

    for (size_t i = 0; i < ELEMENTS(order); i++)
        requests[i] = party_send(client, 100);
    for (size_t i = 0; i < ELEMENTS(order); i++) {
        end_by_hand(requests[order[i]]);
        ck_assert_int_eq(client_dispatch(client), 0);
    }
    request_pop(requests[order[1]]); /* its end is known to somebody */
    ck_assert(client_pop(client, &ended));
    ck_assert_ptr_eq(ended, requests[order[0]]);
    ck_assert(client_pop(client, &ended));
    ck_assert_ptr_eq(ended, requests[order[2]]);
    ck_assert(!client_pop(client, &ended));
    for (size_t i = 0; i < ELEMENTS(order); i++)
        request_release(requests[i]);
    ck_assert_uint_eq(client_n_taken(client), 0);
}
END_TEST

START_TEST(client_is_quiet_while_nothing_is_to_be_done) {
    Client *client = party_add_client();
    Request *request;

    ck_assert(client_is_quiet(client));
    request = party_send(client, 100);
    ck_assert(!client_is_quiet(client));
    end_by_hand(request);
    ck_assert_int_eq(client_dispatch(client), 0);
    request_release(request);
    ck_assert(client_is_quiet(client));
    party_stop_host();
    ck_assert(!client_is_quiet(client));
    party_start_host();
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("poll");
    TCase *worker = tcase_create("worker");
    TCase *client = tcase_create("client");

    tcase_add_checked_fixture(worker, begin_polling, party_end);
    tcase_set_timeout(worker, 30);
    tcase_add_test(worker, worker_polls_whom_it_has_answered);
    tcase_add_test(worker, worker_that_is_not_to_poll_does_not);
    tcase_add_test(worker, worker_that_finds_nothing_says_that_it_sleeps);
    tcase_add_test(worker, probe_is_not_polled);
    tcase_add_test(worker, others_are_not_kept_waiting_by_who_is_polled);
    tcase_add_test(worker, long_exchanges_of_who_is_polled_take_turns_with_others);
    tcase_add_test(worker, several_clients_are_polled_at_once);
    tcase_add_test(worker, one_worker_polls_a_client);
    tcase_add_test(worker, client_that_goes_is_polled_no_more);
    tcase_add_test(worker, host_that_goes_is_noticed_by_who_polls);
    tcase_add_test(worker, dead_worker_polls_no_more);
    tcase_add_test(worker, client_that_changes_what_is_looked_at_holds_up_nobody);
    tcase_add_test(worker, size_that_is_none_is_not_waited_for);
    tcase_add_test(worker, child_that_frees_a_worker_says_nothing_in_its_name);
    tcase_add_test(worker, worker_that_died_while_there_was_no_host_polls_no_more);
    suite_add_tcase(suite, worker);

    tcase_add_checked_fixture(client, begin_polling, party_end);
    tcase_set_timeout(client, 30);
    tcase_add_test(client, request_that_is_polled_needs_no_message);
    tcase_add_test(client, message_is_made_up_for_before_the_client_sleeps);
    tcase_add_test(client, client_that_never_sleeps_pays_all_the_same);
    tcase_add_test(client, message_is_made_up_for_when_it_is_settled);
    tcase_add_test(client, settled_messages_that_do_not_fit_are_owed);
    tcase_add_test(client, who_sends_without_waiting_sends_a_message);
    tcase_add_test(client, client_that_is_awake_gets_no_message);
    tcase_add_test(client, client_says_that_it_sleeps_before_it_does);
    tcase_add_test(client, descriptor_tells_of_what_ended_before_it_was_asked_for);
    tcase_add_test(client, who_polls_sees_the_end_of_another_than_the_oldest);
    tcase_add_test(client, who_polls_for_many_sees_all_ends_at_once);
    tcase_add_test(client, end_that_is_not_shown_is_found_before_the_client_sleeps);
    tcase_add_test(client, end_that_is_not_shown_is_found_by_who_never_sleeps);
    tcase_add_test(client, requests_are_popped_as_they_ended);
    tcase_add_test(client, client_is_quiet_while_nothing_is_to_be_done);
    suite_add_tcase(suite, client);
    return suite;
}
