/* SPDX-License-Identifier: MIT */
/*
 * What workers keep true: for clients good and bad, for hosts that come and go. What hosts tell them that
 * makes no sense is in test-worker-bad-hosts.c.
 */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

/* ---- hosts that come and go ---- */

START_TEST(worker_waits_for_its_host_and_says_so_once) {
    PartyWorker *worker;
    Event event;

    party_stop_host();
    worker = party_start_worker(NULL);
    AWAIT(party_worker_told(worker, EVENT_HOST_MISSING) == 1);
    party_worker_event(worker, EVENT_HOST_MISSING, &event);
    ck_assert_int_eq(event.status, ENOENT);
    ck_assert_ptr_nonnull(strstr(event.text, party.path));
    party_start_host();
    AWAIT(party_worker_state(worker) == WORKER_ATTACHED);
    party_echo(party_add_client(), 100);
    ck_assert_uint_eq(party_worker_told(worker, EVENT_HOST_MISSING), 1);
    ck_assert_uint_eq(party_worker_told(worker, EVENT_HOST_ATTACHED), 1);
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_comes_back_to_a_host_that_was_restarted) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    for (unsigned i = 1; i <= 3; i++) {
        party_echo(client, 1000);
        party_stop_host();
        AWAIT(party_worker_told(worker, EVENT_HOST_LOST) == i && client_state(client) == CLIENT_LOST);
        party_remove_client(client);
        party_start_host();
        AWAIT(party_worker_told(worker, EVENT_HOST_ATTACHED) == i + 1);
        client = party_add_client();
    }
    party_echo(client, 1000);
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_whose_host_goes_while_it_works_finishes_and_comes_back) {
    PartyWorker *worker;
    Client *client;
    Gate gate;

    gate_init(&gate);
    gate.deaf = true;
    worker = party_add_worker(&gate.handler);
    client = party_add_client();
    party_send(client, 100);
    gate_await_entry(&gate);
    party_stop_host();
    AWAIT(client_state(client) == CLIENT_LOST);
    party_remove_client(client);
    gate_open(&gate); /* it asks for memory, and there is nobody to give it */
    AWAIT(party_worker_told(worker, EVENT_HOST_LOST) == 1);
    party_start_host();
    AWAIT(party_worker_told(worker, EVENT_HOST_ATTACHED) == 2);
    gate_open(&gate);
    party_echo(party_add_client(), 100);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(worker_that_is_refused_says_why_and_tries_again) {
    const Principals workers = party.settings.workers;
    PartyWorker *worker;
    Event event;

    party.settings.workers = (Principals){0};
    worker = party_start_worker(NULL);
    AWAIT(party_worker_told(worker, EVENT_HOST_REFUSED) == 1);
    party_worker_event(worker, EVENT_HOST_REFUSED, &event);
    ck_assert_int_eq(event.reason, REASON_NOT_ALLOWED);
    ck_assert_ptr_nonnull(strstr(event.text, "`workers`"));
    AWAIT(party_n_events(EVENT_CLIENT_REFUSED) > 1); /* it comes again */
    party.settings.workers = workers;
    AWAIT(party_worker_state(worker) == WORKER_ATTACHED);
    ck_assert_uint_eq(party_worker_told(worker, EVENT_HOST_REFUSED), 1);
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_that_waited_for_its_host_says_that_this_one_refuses_it) {
    const Principals workers = party.settings.workers;
    PartyWorker *worker;

    party_stop_host();
    worker = party_start_worker(NULL);
    AWAIT(party_worker_told(worker, EVENT_HOST_MISSING) == 1);
    party.settings.workers = (Principals){0};
    party_start_host();
    AWAIT(party_worker_told(worker, EVENT_HOST_REFUSED) == 1);
    party.settings.workers = workers;
    AWAIT(party_worker_state(worker) == WORKER_ATTACHED);
    party_stop_worker(worker);
}
END_TEST

START_TEST(worker_that_is_told_to_stop_finishes_what_it_has) {
    PartyWorker *first, *second;
    Request *requests[2];
    Client *client;
    Gate gate;

    gate_init(&gate);
    first = party_add_worker(&gate.handler);
    client = party_add_client();
    requests[0] = party_send(client, 100);
    gate_await_entry(&gate);
    requests[1] = party_send(client, 200);
    gate_open(&gate);
    party_stop_worker(first);
    second = party_add_worker(NULL); /* for the other, if the first has not taken it already */
    gate_open(&gate);
    party_check_echo(requests[0]);
    party_check_echo(requests[1]);
    AWAIT(party_n_events(EVENT_WORKER_DETACHED) == 1);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 0);
    party_stop_worker(second);
    gate_deinit(&gate);
}
END_TEST

START_TEST(workers_share_what_there_is) {
    PartyWorker *workers[3];
    Request *requests[3];
    Client *client;
    Gate gate;

    gate_init(&gate);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        workers[i] = party_add_worker(&gate.handler);
    client = party_add_client();
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_send(client, 100);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        gate_await_entry(&gate); /* all at the same time */
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        gate_open(&gate);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        party_check_echo(requests[i]);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        party_stop_worker(workers[i]);
    gate_deinit(&gate);
}
END_TEST

/* ---- handlers ---- */

static int answer_big(Handler *handler, Exchange *exchange) {
    int r = exchange_reserve(exchange, 5 * MIB);

    if (r != 0)
        return r;
    memset(exchange->response->map, 'b', 5 * MIB);
    exchange->response_bytes = 5 * MIB;
    return 0;
}

START_TEST(response_may_be_larger_than_its_request) {
    const HandlerKind kind = {.handle = answer_big};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Request *request = party_send(party_add_client(), 1);

    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_DONE);
    ck_assert_uint_eq(request->response_bytes, 5 * MIB);
    ck_assert_int_eq(((char *)request->response.map)[5 * MIB - 1], 'b');
    party_stop_worker(worker);
}
END_TEST

static int break_down(Handler *handler, Exchange *exchange) {
    return -EIO;
}

START_TEST(error_of_a_handler_costs_its_exchange_only) {
    const HandlerKind kind = {.handle = break_down};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Client *client = party_add_client();

    for (int i = 0; i < 2; i++) {
        Request *request = party_send(client, 1);

        AWAIT(request->state == REQUEST_ENDED);
        ck_assert_int_eq(request->end, SLOT_FAILED);
        ck_assert_int_eq(request->reason, REASON_HANDLER_FAILED);
        ck_assert_uint_gt(request->response_bytes, 0);
        request_release(request);
    }
    ck_assert_int_eq(party_worker_state(worker), WORKER_ATTACHED);
    party_stop_worker(worker);
}
END_TEST

static bool request_was_mapped;

static int note_mapping(Handler *handler, Exchange *exchange) {
    request_was_mapped = exchange->request;
    return handler_echo.handle(handler, exchange);
}

static void check_mapping(bool expected) {
    const HandlerKind kind = {.handle = note_mapping};
    Handler handler = {.kind = &kind};
    PartyWorker *worker = party_add_worker(&handler);
    Client *client = party_add_client();

    party_echo(client, 100);
    party_echo(client, 3 * MIB);
    party_echo(client, 5000);
    party_stop_worker(worker);
    ck_assert_int_eq(request_was_mapped, expected);
}

START_TEST(request_of_a_trusted_user_is_handled_in_place) {
    check_mapping(true);
}
END_TEST

START_TEST(request_of_another_user_is_never_mapped) {
    party.settings.trusted = (Principals){0};
    check_mapping(false);
}
END_TEST

/* ---- memory that its client takes away ---- */

static void check_changed(void) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_take(client, MIB);

    ck_assert_int_eq(ftruncate(client->requests_fd, 4096), 0);
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_REQUEST_CHANGED);
    party_echo(party_add_client(), MIB); /* nobody else is hurt */
    party_stop_worker(worker);
}

START_TEST(request_that_is_cut_off_while_it_is_read_fails) {
    party.settings.trusted = (Principals){0};
    check_changed();
}
END_TEST

START_TEST(request_that_is_cut_off_under_its_mapping_fails) {
    struct sigaction before;

    ck_assert_int_eq(sigaction(SIGBUS, NULL, &before), 0);
    ck_assert_int_eq(segment_guard_install(), 0);
    check_changed();
    ck_assert_int_eq(sigaction(SIGBUS, &before, NULL), 0);
}
END_TEST

/* ---- submit records that do not fit ---- */

static const SubmitRecord bad_records[] = {
    {.payload_bytes = 4097, .segment_bytes = 4096},
    {.payload_bytes = 1, .segment_bytes = 0},
    {.payload_bytes = 1, .segment_bytes = 4095},
    {.payload_bytes = 0, .segment_bytes = 1},
    {.payload_bytes = 1, .segment_bytes = 64 * MIB + 4096},
    {.payload_bytes = UINT64_MAX, .segment_bytes = UINT64_MAX},
    {.payload_bytes = UINT64_MAX, .segment_bytes = UINT64_MAX - 4095},
    {.payload_bytes = 0, .segment_bytes = UINT64_C(1) << 63},
};

static void send_record(Client *client, uint32_t slot, const SubmitRecord *record, uint32_t generation) {
    const Message message = {.client = client_id(client), .slot = slot, .generation = generation};
    SubmitRecord mine = *record;

    mine.generation = generation;
    submit_publish(client->submit.map, slot, &mine);
    ck_assert_int_eq(queue_send(client->request_queue, &message, sizeof(message), 0), 0);
}

START_TEST(record_that_does_not_fit_fails_as_bad_request) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    AnswerRecord answer;

    party.settings.trusted = _i % 2 ? party.settings.access : (Principals){0};
    for (uint32_t i = 0; i < ELEMENTS(bad_records); i++) {
        send_record(client, 3, &bad_records[i], i + 1);
        AWAIT(state_load(client->states.map, 3, NULL).generation == i + 1 &&
              state_is_end(state_load(client->states.map, 3, NULL).state));
        ck_assert_int_eq(state_load(client->states.map, 3, NULL).state, SLOT_FAILED);
        state_answer_copy(client->states.map, 3, &answer);
        ck_assert_uint_eq(answer.reason, REASON_BAD_REQUEST);
    }
    party_echo(client, 100);
    party_stop_worker(worker);
}
END_TEST

START_TEST(record_that_was_rewritten_since_its_message_is_claimed_by_nobody) {
    Client *client = party_add_client();
    PartyWorker *worker;

    send_record(client, 3, &(SubmitRecord){0}, 1);
    submit_publish(client->submit.map, 3, &(SubmitRecord){.generation = 7});
    worker = party_add_worker(NULL);
    AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == 1);
    ck_assert_int_eq(state_load(client->states.map, 3, NULL).state, SLOT_FRESH);
    party_echo(client, 100);
    party_stop_worker(worker);
}
END_TEST

/* ---- messages that claim nothing ---- */

static const char garbage[64] = "garbage";

START_TEST(messages_of_no_meaning_are_dropped) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client(), *other = party_add_client();
    const uint64_t id = client_id(client);
    const Message forged[] = {
        {.client = 0, .slot = 0, .generation = 1},                /* of nobody */
        {.client = UINT64_MAX, .slot = 0, .generation = 1},       /* of nobody yet */
        {.client = id, .slot = 4, .generation = 1},               /* beyond its slots */
        {.client = id, .slot = UINT32_MAX, .generation = 1},      /* far beyond */
        {.client = id, .slot = 0, .generation = 0},               /* long past */
        {.client = id, .slot = 0, .generation = 2},               /* to come */
        {.client = client_id(other), .slot = 0, .generation = 1}, /* of one that has not asked */
    };

    for (size_t i = 0; i < ELEMENTS(forged); i++) {
        ck_assert_int_eq(queue_send(client->request_queue, &forged[i], sizeof(forged[i]), 0), 0);
        AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == i + 1);
    }
    party_echo(client, 10);
    party_echo(other, 10);
    ck_assert_uint_eq(party_worker_told(worker, EVENT_EXCHANGE_DROPPED), ELEMENTS(forged));
    party_stop_worker(worker);
}
END_TEST

START_TEST(messages_of_another_size_are_dropped) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    unsigned n = 0;

    for (size_t bytes = 0; bytes < sizeof(Message); bytes += 31) {
        ck_assert_int_eq(queue_send(client->request_queue, garbage, bytes, 0), 0);
        n++;
        AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == n);
    }
    ck_assert_int_lt(queue_send(client->request_queue, garbage, sizeof(Message) + 1, 0), 0);
    party_echo(client, 10);
    party_stop_worker(worker);
}
END_TEST

START_TEST(repeated_message_runs_nothing_twice) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_send(client, 10);
    const Message again = {.client = client_id(client), .slot = 0, .generation = 1};

    party_check_echo(request);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(queue_send(client->request_queue, &again, sizeof(again), 0), 0);
        AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == i);
    }
    ck_assert_uint_eq(party_worker_n_exchanges(worker), 1);
    party_check_echo(request);
    party_stop_worker(worker);
}
END_TEST

START_TEST(message_of_a_client_that_has_gone_is_dropped) {
    Client *gone = party_add_client(), *client = party_add_client();
    PartyWorker *worker;

    party_send(gone, 10);
    party_remove_client(gone);
    AWAIT(party.host->n_clients == 1);
    worker = party_add_worker(NULL);
    AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == 1);
    party_echo(client, 10);
    party_stop_worker(worker);
}
END_TEST

/* ---- descriptors ---- */

/* A worker that may have the descriptors of the probe and of one client, but not of two. */
static int work_with_few_files(void) {
    const struct rlimit limit = {.rlim_cur = 20, .rlim_max = 20};

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    return child_work(&handler_echo, 100 * NS_PER_SEC);
}

START_TEST(worker_without_descriptors_begins_again_and_serves_everybody) {
    Child worker = child_start(UNIT_SAME_UID, work_with_few_files);
    Client *first = party_add_client(), *second = party_add_client();

    for (int i = 0; i < 3; i++) {
        party_echo(first, 100);
        party_echo(second, 100);
    }
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DIED), 0);
    ck_assert_uint_gt(party_n_events(EVENT_WORKER_ATTACHED), 1);
    kill(worker.pid, SIGKILL);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    AWAIT(party.host->workers.n == 0);
}
END_TEST

/* ---- claims that are handed out ---- */

/* A worker without a handler, as programs have it: holds what it has claimed until it is told to end some. */
typedef struct Holder {
    WorkerSettings settings;
    Worker *worker;
    pthread_t thread;
    int poke_fd;
    pthread_mutex_t lock; /* for what follows */
    Exchange *held[4];
    unsigned n_held;
    unsigned n_to_end;
    unsigned n_lost; /* hosts */
    bool stop;
    bool stopped;
} Holder;

/* The latest first. */
static void end_some(Holder *holder) {
    for (; holder->n_to_end > 0; holder->n_to_end--) {
        Exchange *exchange = holder->held[--holder->n_held];

        if (handler_echo.handle(NULL, exchange) < 0 || worker_end(exchange) < 0)
            abort();
    }
}

static bool hold_turn(Holder *holder) {
    uint64_t n;
    Event event;

    if (worker_wait(holder->worker, UINT64_MAX) < 0)
        abort();
    pthread_mutex_lock(&holder->lock);
    if (read(holder->poke_fd, &n, sizeof(n)) < 0)
        n = 0;
    while (worker_pop_event(holder->worker, &event))
        holder->n_lost += event.kind == EVENT_HOST_LOST;
    if (worker_pop(holder->worker, &holder->held[holder->n_held]))
        holder->n_held++;
    end_some(holder);
    if (holder->stop)
        worker_stop(holder->worker);
    holder->stopped = holder->stop;
    pthread_mutex_unlock(&holder->lock);
    return !holder->stopped;
}

static void *hold(void *data) {
    bool go_on;

    do {
        go_on = hold_turn(data);
        eventfd_write(party.bell_fd, 1);
    } while (go_on);
    return NULL;
}

static void holder_begin(Holder *holder) {
    *holder = (Holder){.settings = {.serves = (char *)"test", .timeout_ns = 100 * NS_PER_SEC}};
    holder->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&holder->lock, NULL);
    ck_assert_int_eq(worker_new(&holder->worker, "holder", party.path, &holder->settings, NULL), 0);
    ck_assert_int_eq(worker_watch(holder->worker, holder->poke_fd), 0);
    ck_assert_int_eq(pthread_create(&holder->thread, NULL, hold, holder), 0);
}

static void holder_tell(Holder *holder, unsigned n_to_end, bool stop) {
    pthread_mutex_lock(&holder->lock);
    holder->n_to_end = n_to_end;
    holder->stop = stop;
    pthread_mutex_unlock(&holder->lock);
    eventfd_write(holder->poke_fd, 1);
}

static unsigned holder_get(Holder *holder, const unsigned *field) {
    unsigned n;

    pthread_mutex_lock(&holder->lock);
    n = *field;
    pthread_mutex_unlock(&holder->lock);
    return n;
}

static bool holder_has_stopped(Holder *holder) {
    bool stopped;

    pthread_mutex_lock(&holder->lock);
    stopped = holder->stopped;
    pthread_mutex_unlock(&holder->lock);
    return stopped;
}

static void holder_end(Holder *holder) {
    holder_tell(holder, 0, true);
    AWAIT(holder_has_stopped(holder));
    pthread_join(holder->thread, NULL);
    worker_free(holder->worker);
    fd_close(holder->poke_fd);
    pthread_mutex_destroy(&holder->lock);
}

START_TEST(claims_that_are_handed_out_end_in_any_order) {
    Request *requests[3];
    Client *client;
    Holder holder;

    holder_begin(&holder);
    client = party_add_client();
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_send(client, 1000 * i);
    AWAIT(holder_get(&holder, &holder.n_held) == 3);
    holder_tell(&holder, 3, false);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        party_check_echo(requests[i]);
    holder_end(&holder);
}
END_TEST

START_TEST(claim_that_was_handed_out_outlives_its_client) {
    Client *client;
    Holder holder;

    holder_begin(&holder);
    client = party_add_client();
    party_send(client, 0);
    AWAIT(holder_get(&holder, &holder.n_held) == 1);
    party_remove_client(client);
    AWAIT(party.host->n_clients == 0);
    party_settle();
    ck_assert_uint_eq(party.host->clients.n, 2);
    holder_tell(&holder, 1, false);
    AWAIT(party.host->clients.n == 1);
    holder_end(&holder);
}
END_TEST

START_TEST(claim_that_was_handed_out_outlives_its_host) {
    Client *client;
    Holder holder;

    holder_begin(&holder);
    client = party_add_client();
    party_send(client, 0);
    AWAIT(holder_get(&holder, &holder.n_held) == 1);
    party_stop_host();
    AWAIT(holder_get(&holder, &holder.n_lost) == 1);
    party_remove_client(client);
    party_start_host();
    AWAIT(party.host->n_workers == 1);
    holder_tell(&holder, 1, false);
    AWAIT(holder_get(&holder, &holder.n_held) == 0);
    party_send(party_add_client(), 0);
    AWAIT(holder_get(&holder, &holder.n_held) == 1);
    holder_tell(&holder, 1, false);
    AWAIT(holder_get(&holder, &holder.n_held) == 0);
    holder_end(&holder);
}
END_TEST

/* ---- clocks ---- */

/* The coarse clock is late, and would let run what is past its deadline. */
START_TEST(claim_with_a_deadline_near_has_the_time_at_which_it_was_made) {
    PartyWorker *workers[2];
    Request *held, *request;
    Client *client;
    Gate gate;

    party.terse = true;
    gate_init(&gate);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        workers[i] = party_add_worker(&gate.handler);
    client = party_add_client();
    held = party_send(client, 100); /* so that the others are not all measured */
    gate_await_entry(&gate);
    for (unsigned n_not_measured = 0; n_not_measured < 20;) {
        uint64_t before_ns;

        request = party_take(client, 100);
        before_ns = clock_now_ns();
        request->deadline_ns = before_ns + 9 * NS_PER_SEC;
        ck_assert_int_eq(request_send(request), 0);
        n_not_measured += request->weight == 0;
        gate_await_entry(&gate);
        ck_assert_uint_ge(state_claimed_ns(client->states.map, request->slot), before_ns);
        request_release(request); /* which cancels it */
        AWAIT(client->n_in_flight == 1);
    }
    request_release(held);
    for (size_t i = 0; i < ELEMENTS(workers); i++)
        party_stop_worker(workers[i]);
    gate_deinit(&gate);
}
END_TEST

/* ---- suite ---- */

static void add_hosts(TCase *tests) {
    tcase_add_test(tests, worker_waits_for_its_host_and_says_so_once);
    tcase_add_test(tests, worker_comes_back_to_a_host_that_was_restarted);
    tcase_add_test(tests, worker_whose_host_goes_while_it_works_finishes_and_comes_back);
    tcase_add_test(tests, worker_that_is_refused_says_why_and_tries_again);
    tcase_add_test(tests, worker_that_waited_for_its_host_says_that_this_one_refuses_it);
    tcase_add_test(tests, worker_that_is_told_to_stop_finishes_what_it_has);
    tcase_add_test(tests, workers_share_what_there_is);
    tcase_add_test(tests, worker_without_descriptors_begins_again_and_serves_everybody);
}

static void add_handlers(TCase *tests) {
    tcase_add_test(tests, response_may_be_larger_than_its_request);
    tcase_add_test(tests, error_of_a_handler_costs_its_exchange_only);
    tcase_add_test(tests, request_of_a_trusted_user_is_handled_in_place);
    tcase_add_test(tests, request_of_another_user_is_never_mapped);
    tcase_add_test(tests, request_that_is_cut_off_while_it_is_read_fails);
    tcase_add_test(tests, request_that_is_cut_off_under_its_mapping_fails);
}

static void add_clocks(TCase *tests) {
    tcase_add_test(tests, claim_with_a_deadline_near_has_the_time_at_which_it_was_made);
}

static void add_bad_clients(TCase *tests) {
    tcase_add_loop_test(tests, record_that_does_not_fit_fails_as_bad_request, 0, 2);
    tcase_add_test(tests, record_that_was_rewritten_since_its_message_is_claimed_by_nobody);
    tcase_add_test(tests, messages_of_no_meaning_are_dropped);
    tcase_add_test(tests, messages_of_another_size_are_dropped);
    tcase_add_test(tests, repeated_message_runs_nothing_twice);
    tcase_add_test(tests, message_of_a_client_that_has_gone_is_dropped);
}

static void add_holders(TCase *tests) {
    tcase_add_test(tests, claims_that_are_handed_out_end_in_any_order);
    tcase_add_test(tests, claim_that_was_handed_out_outlives_its_client);
    tcase_add_test(tests, claim_that_was_handed_out_outlives_its_host);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("worker");

    add_hosts(party_add_case(suite, "hosts", party_begin, party_end));
    add_handlers(party_add_case(suite, "handlers", party_begin, party_end));
    add_clocks(party_add_case(suite, "clocks", party_begin, party_end));
    add_bad_clients(party_add_case(suite, "bad-clients", party_begin, party_end));
    add_holders(party_add_case(suite, "holders", party_begin, party_end));
    return suite;
}
