/* SPDX-License-Identifier: MIT */
/*
 * What hosts own, count and announce, and whether they are well. What they tell whoever asks is in
 * test-host-status.c; who talks to them badly, in test-peers.c.
 */
#include "party.h"

#include "base/units.h"
#include "os/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

/* ---- life ---- */

START_TEST(second_host_at_one_place_is_refused) {
    Host *other = NULL;

    ck_assert_int_eq(host_new(&other, "other", &party.settings), 0);
    ck_assert_int_eq(host_listen(other, party.path), -EADDRINUSE);
    host_free(other);
    party_add_client(); /* the first is still there */
}
END_TEST

START_TEST(what_a_killed_host_left_is_swept) {
    int object, queue;

    party_stop_host();
    ck_assert_int_eq(named_object_open("/shmipc.test.new", &object), 0);
    ck_assert_int_eq(queue_open_named("/shmipc.test.new", QUEUE_BOTH, true, 1, 64, &queue), 0);
    party_start_host();
    ck_assert(!named_object_same("/shmipc.test.new", object));
    ck_assert(!queue_named_same("/shmipc.test.new", queue));
    fd_close(object);
    fd_close(queue);
    party_add_client();
}
END_TEST

START_TEST(ids_are_never_used_twice) {
    Client *client = party_add_client();
    uint64_t id = client_id(client), uid_number;

    party_remove_client(client);
    client = party_add_client();
    ck_assert_uint_gt(client_id(client), id);
    id = client_id(client);
    uid_number = party_client_of_host(client)->uid->number;
    party_remove_client(client);
    party_stop_host();
    party_start_host();
    client = party_add_client();
    ck_assert_uint_gt(client_id(client), id);
    ck_assert_uint_gt(id, UINT64_C(1000000) * 3600 * 24 * 365 * 40); /* not since the boot */
    ck_assert_uint_gt(party_client_of_host(client)->uid->number, uid_number);
}
END_TEST

START_TEST(summary_counts_who_is_there_and_what_has_ended) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    HostSummary summary;

    party_echo(client, 10);
    party_echo(client, 20);
    host_summary(party.host, &summary);
    ck_assert_uint_eq(summary.n_clients, 1);
    ck_assert_uint_eq(summary.n_workers, 1);
    ck_assert_uint_eq(host_n_exchanges(party.host), 2);
    party_remove_client(client);
    party_stop_worker(worker);
    AWAIT(party.host->clients.n == 1 /* the probe */ && party.host->workers.n == 0);
    host_summary(party.host, &summary);
    ck_assert_uint_eq(summary.n_clients, 0);
    ck_assert_uint_eq(summary.n_workers, 0);
    ck_assert_uint_eq(host_n_exchanges(party.host), 2); /* of those who are gone, too */
}
END_TEST

START_TEST(events_are_kept_in_order_and_the_newest_are_dropped) {
    EventQueue *queue = calloc(1, sizeof(*queue));
    Event event;

    for (uint32_t i = 0; i < EVENTS_MAX + 3; i++)
        event_push(queue, EVENT_LIMIT)->slot = i;
    ck_assert_uint_eq(queue->n_dropped, 3);
    for (uint32_t i = 0; i < EVENTS_MAX; i++) {
        ck_assert(event_pop(queue, &event));
        ck_assert_uint_eq(event.slot, i);
    }
    ck_assert(event_pop(queue, &event));
    ck_assert_int_eq(event.kind, EVENT_UNTOLD);
    ck_assert_uint_eq(event.n_similar, 3);
    ck_assert(!event_pop(queue, &event));
    event_push(queue, EVENT_HEALTH);
    ck_assert(event_pop(queue, &event));
    ck_assert_int_eq(event.kind, EVENT_HEALTH);
    ck_assert_uint_eq(event.slot, 0);
    free(queue);
}
END_TEST

/* A look at everything that finds that another one is due at once. */
START_TEST(tick_within_a_tick_comes) {
    HostClient *of_host = party_client_of_host(party_add_client());

    party_settle();
    ck_assert_int_eq(fallocate(of_host->requests_fd, 0, 0, PAGE_BYTES), 0); /* without having asked */
    party.host->repeat_due = true;
    party_tick();
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 1);
    ck_assert_uint_eq(party.host->tick_ns, 0);
    (void)wait_for_fd(host_get_fd(party.host), WAIT_READ, UINT64_MAX); /* nobody else wakes it */
    AWAIT(party.host->tick_ns != 0);
}
END_TEST

/* ---- memory ---- */

/* Of the probe alone. */
static uint64_t memory_of_probe(void) {
    const HostClient *probe = table_at(&party.host->clients, 0);

    ck_assert(probe->probe);
    return probe->reserved_bytes[0] + probe->reserved_bytes[1];
}

START_TEST(memory_comes_back_when_its_client_goes) {
    Client *client = party_add_client();

    party_take(client, MIB);
    party_take(client, 3);
    ck_assert_uint_eq(party.host->memory_bytes, MIB + PAGE_BYTES);
    ck_assert_uint_eq(party_client_of_host(client)->reserved_bytes[0], MIB + PAGE_BYTES);
    party_remove_client(client);
    AWAIT(party.host->memory_bytes == 0);
    ck_assert_uint_eq(party.host->clients.n, 1);
}
END_TEST

START_TEST(memory_comes_back_when_workers_have_let_go_of_it) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, 2 * MIB);
    ck_assert_uint_eq(party.host->memory_bytes - memory_of_probe(),
                      4 * MIB); /* and as much for the response */
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->memory_bytes, memory_of_probe());
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_goes_while_it_is_served_is_let_go_of_afterwards) {
    PartyWorker *worker;
    uint64_t n_before;
    Client *client;
    Gate gate;

    gate_init(&gate);
    gate.deaf = true;
    worker = party_add_worker(&gate.handler);
    client = party_add_client();
    party_send(client, MIB);
    n_before = party.host->past.n_done;
    gate_await_entry(&gate);
    party_remove_client(client);
    AWAIT(party.host->n_clients == 0);
    party_settle();
    ck_assert_uint_eq(party.host->clients.n, 2); /* the worker still has it */
    gate_open(&gate);
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->memory_bytes, memory_of_probe());
    ck_assert_uint_eq(party.host->past.n_done, n_before + 1);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(handler_learns_that_nobody_waits_any_more) {
    PartyWorker *worker;
    Client *client;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    client = party_add_client();
    party_send(client, MIB);
    gate_await_entry(&gate);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1); /* nobody opened the gate */
    ck_assert_uint_eq(party.host->past.n_cancelled, 1);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

START_TEST(budget_is_shared_by_all_clients) {
    Client *first, *second;
    Request *request;

    party.settings.memory = 2 * MIB;
    first = party_add_client();
    second = party_add_client();
    party_take(first, MIB + MIB / 2);
    ck_assert_int_eq(client_take(second, &request), 0);
    ck_assert_int_eq(party_reserve(request, MIB), CLIENT_NOT_GRANTED);
    request_release(request);
    party_remove_client(first);
    AWAIT(party.host->memory_bytes == 0);
    party_take(second, 2 * MIB);
}
END_TEST

START_TEST(response_beyond_the_budget_fails_with_its_reason) {
    PartyWorker *worker = party_add_worker(NULL);
    Request *request;

    party_settle();
    party.settings.memory = party.host->memory_bytes + 3 * MIB;
    request = party_send(party_add_client(), 2 * MIB);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_MEMORY_BUDGET);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_takes_memory_without_asking_is_thrown_out) {
    Client *thief = party_add_client(), *other = party_add_client();
    Request *request;

    ck_assert_int_eq(client_take(thief, &request), 0);
    ck_assert_int_eq(segment_resize(&request->segment, MIB), 0);
    party_take(other, MIB);
    party_tick();
    AWAIT(client_state(thief) == CLIENT_LOST);
    ck_assert_uint_eq(party_event(EVENT_PEER_MISBEHAVED)->client, client_id(thief));
    ck_assert_int_eq(client_state(other), CLIENT_READY);
    ck_assert_uint_eq(party.host->memory_bytes, MIB);
}
END_TEST

/* ---- announcements ---- */

static HostUid *own_uid(void) {
    return table_find(&party.host->uids, geteuid());
}

START_TEST(what_does_not_fit_when_a_worker_leaves_is_owed_and_paid) {
    PartyWorker *worker;
    Request *requests[4];
    Client *client;
    int fd, queue;

    party.settings.queue_depth = 1;
    client = party_add_client();
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        requests[i] = party_send(client, 10);
    fd = raw_join(&queue);
    raw_leave(fd, queue);
    ck_assert_uint_eq(party_n_events(EVENT_WORKER_DETACHED), 1);
    ck_assert_uint_gt(own_uid()->n_owed, 0);
    party_settle(); /* it does not ask all the time whether there is room */
    worker = party_add_worker(NULL);
    for (size_t i = 0; i < ELEMENTS(requests); i++)
        party_check_echo(requests[i]);
    AWAIT(own_uid()->n_owed == 0);
    party_stop_worker(worker);
    party_settle();
}
END_TEST

START_TEST(what_is_owed_to_a_client_goes_with_it) {
    Client *client;
    int fd, queue;

    party.settings.queue_depth = 1;
    client = party_add_client();
    for (int i = 0; i < 4; i++)
        party_send(client, 10);
    fd = raw_join(&queue);
    raw_leave(fd, queue);
    ck_assert_uint_gt(own_uid()->n_owed, 0);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(own_uid()->n_owed, 0);
    party_settle();
}
END_TEST

START_TEST(message_that_a_leaving_worker_took_along_is_sent_again) {
    Request *request = party_send(party_add_client(), 10);
    PartyWorker *worker;
    Message message;
    size_t bytes;
    int fd, queue;

    fd = raw_join(&queue);
    ck_assert_int_eq(queue_receive(queue, &message, sizeof(message), &bytes), 0);
    raw_leave(fd, queue);
    worker = party_add_worker(NULL);
    party_check_echo(request);
    party_stop_worker(worker);
}
END_TEST

static void limit_files(rlim_t n) {
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The worker cannot meet the client, so it drops the message: somebody must send it again. */
START_TEST(message_is_sent_again_when_there_was_no_descriptor_to_meet_its_client) {
    Client *client = party_add_client();
    struct rlimit limit;
    uint32_t n = 0;
    Packet packet;
    Message message;
    size_t bytes;
    int fd, queue, next;

    party_send(client, 10);
    fd = raw_join(&queue);
    do
        ck_assert_int_eq(queue_receive(queue, &message, sizeof(message), &bytes), 0);
    while (message.client != client_id(client));
    packet_init(&packet, PACKET_MEET, 1);
    packet.meet.client = client_id(client);
    packet.meet.uid = geteuid();
    raw_say(fd, &packet);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fd_close(next);
    limit_files((rlim_t)next + 3);
    raw_expect(fd, PACKET_CLIENT, &packet, NULL);
    limit_files(limit.rlim_cur);
    ck_assert_uint_eq(packet.client.flags, CLIENT_GONE);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_LIMIT)->text, "LimitNOFILE="));
    while (queue_receive(queue, &message, sizeof(message), &bytes) == 0)
        ck_assert_uint_ne(message.client, client_id(client)); /* a probe's */
    party_tick();
    ck_assert_int_eq(queue_depth(queue, &n, NULL, NULL), 0);
    ck_assert_uint_gt(n, 0);
    raw_leave(fd, queue);
}
END_TEST

/* ---- health ---- */

START_TEST(probe_finds_the_first_worker_well_and_says_so_once) {
    PartyWorker *worker = party_add_worker(NULL);

    AWAIT(party_n_events(EVENT_HEALTH) == 1);
    ck_assert(party_event(EVENT_HEALTH)->ok);
    party.settings.health_interval_ns = 100 * NS_PER_SEC;
    for (uint32_t round = party.host->probe.round; party.host->probe.round < round + 5;) {
        party_tick();
        AWAIT(party.host->probe.request == NULL);
    }
    ck_assert_uint_eq(party_n_events(EVENT_HEALTH), 1);
    ck_assert_uint_eq(party_worker_n_exchanges(worker),
                      0); /* probes do not count, and no handler sees them */
    party_stop_worker(worker);
}
END_TEST

START_TEST(health_changes_as_the_last_worker_goes_and_another_comes) {
    PartyWorker *worker = party_add_worker(NULL);

    party.settings.health_interval_ns = 100 * NS_PER_SEC;
    AWAIT(party_n_events(EVENT_HEALTH) == 1);
    party_stop_worker(worker);
    AWAIT(party.host->n_workers == 0);
    party_tick();
    ck_assert_uint_eq(party_n_events(EVENT_HEALTH), 2);
    ck_assert(!party_event(EVENT_HEALTH)->ok);
    worker = party_add_worker(NULL);
    AWAIT(party_n_events(EVENT_HEALTH) == 3);
    ck_assert(party_event(EVENT_HEALTH)->ok);
    party_stop_worker(worker);
}
END_TEST

START_TEST(host_without_worker_says_nothing_of_its_health) {
    party.settings.health_interval_ns = 100 * NS_PER_SEC;
    party_tick();
    party_settle();
    ck_assert_uint_eq(party_n_events(EVENT_HEALTH), 0);
}
END_TEST

START_TEST(worker_that_does_not_answer_a_probe_is_noticed) {
    int fd, queue;

    party.host->patience.probe_ns = 1;
    fd = raw_join(&queue);
    AWAIT(party_n_events(EVENT_HEALTH) == 1);
    ck_assert(!party_event(EVENT_HEALTH)->ok);
    raw_leave(fd, queue);
}
END_TEST

/* All that is wrong with them is that they have something to do. */
START_TEST(workers_that_are_all_busy_are_not_ill) {
    PartyWorker *worker;
    Request *request;
    Gate gate;

    gate_init(&gate);
    worker = party_add_worker(&gate.handler);
    AWAIT(party_n_events(EVENT_HEALTH) == 1 && !party.host->probe.request);
    request = party_send(party_add_client(), 10);
    gate_await_entry(&gate);
    party.host->patience.probe_ns = 1;
    party.settings.health_interval_ns = 100 * NS_PER_SEC;
    party_tick();
    AWAIT(party.host->probe.round == 2);
    ck_assert_uint_eq(party_n_events(EVENT_HEALTH), 1);
    gate_open(&gate);
    party_check_echo(request);
    party_stop_worker(worker);
    gate_deinit(&gate);
}
END_TEST

/* Take the probe's message and answer it with nothing. */
START_TEST(worker_that_answers_a_probe_with_other_bytes_is_noticed) {
    int fds[CHANNEL_FDS_MAX], fd, queue;
    Page submit = PAGE_NULL, states = PAGE_NULL;
    SlotClaim claim;
    Message message;
    Packet packet;
    size_t bytes;

    fd = raw_join(&queue);
    party_await_fd(queue);
    ck_assert_int_eq(queue_receive(queue, &message, sizeof(message), &bytes), 0);
    packet_init(&packet, PACKET_MEET, 1);
    packet.meet.client = message.client;
    packet.meet.uid = geteuid();
    raw_say(fd, &packet);
    raw_expect(fd, PACKET_CLIENT, &packet, fds);
    ck_assert_uint_eq(packet.client.flags, CLIENT_TRUSTED | CLIENT_PROBE);
    bytes = slots_page_bytes(packet.client.n_slots);
    ck_assert_int_eq(page_init_connect(&submit, fds[CLIENT_SUBMIT], bytes, false), 0);
    ck_assert_int_eq(page_init_connect(&states, fds[CLIENT_STATE], bytes, true), 0);
    ck_assert(slots_claim(submit.map, states.map, message.slot, message.generation, 1, 1, &claim));
    ck_assert(slots_end(states.map, message.slot, &claim, SLOT_DONE, &(AnswerRecord){0}));
    ck_assert_int_eq(queue_send(fds[CLIENT_REPLY_QUEUE], &message, sizeof(message), 0), 0);
    AWAIT(party_n_events(EVENT_HEALTH) == 1);
    ck_assert(!party_event(EVENT_HEALTH)->ok);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_HEALTH)->text, "other bytes"));
    page_deinit(&submit);
    page_deinit(&states);
    fd_close(fds[CLIENT_REPLY_QUEUE]);
    fd_close(fds[CLIENT_REQUESTS]);
    fd_close(fds[CLIENT_RESPONSES]);
    raw_leave(fd, queue);
}
END_TEST

START_TEST(probe_that_was_refused_at_first_is_tried_again) {
    PartyWorker *worker;

    party_stop_host();
    party.settings.queue_depth = 1u << 17; /* deeper than the kernel lets any queue be */
    party_start_host();
    AWAIT(party_n_events(EVENT_LIMIT) > 0);
    worker = party_add_worker(NULL);
    party.settings.health_interval_ns = 100 * NS_PER_SEC;
    party_tick();
    AWAIT(party_n_events(EVENT_HEALTH) == 1);
    ck_assert(!party_event(EVENT_HEALTH)->ok);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_HEALTH)->text, "fs.mqueue"));
    party_settle(); /* it does not try all the time */
    party.settings.queue_depth = 4;
    party_tick();
    AWAIT(client_state(party.host->probe.client) == CLIENT_READY);
    party_tick();
    AWAIT(party_n_events(EVENT_HEALTH) == 2);
    ck_assert(party_event(EVENT_HEALTH)->ok);
    party_stop_worker(worker);
}
END_TEST

/* ---- other users ---- */

/* A client of another user, with one exchange of its own. */
static int call_once(void) {
    Request *request;
    Client *client;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "other-user") < 0)
        return 1;
    while (client_state(client) == CLIENT_CONNECTING)
        client_wait(client, UINT64_MAX);
    if (client_state(client) != CLIENT_READY)
        return 2;
    if (client_take(client, &request) != 0)
        return 3;
    while (request_reserve(request, 3 * PAGE_BYTES, true) == CLIENT_PENDING)
        client_wait(client, UINT64_MAX);
    memset(request->segment.map, 'u', 3 * PAGE_BYTES);
    request->payload_bytes = 3 * PAGE_BYTES;
    if (request_send(request) < 0)
        return 4;
    while (request->state != REQUEST_ENDED)
        client_wait(client, UINT64_MAX);
    if (request->end != SLOT_DONE || request->response_bytes != 3 * PAGE_BYTES)
        return 5;
    return memcmp(request->response.map, request->segment.map, 3 * PAGE_BYTES) == 0 ? 0 : 6;
}

START_TEST(each_user_has_a_queue_that_goes_after_its_last_client) {
    Child child = child_start(UNIT_UID, call_once);
    PartyWorker *worker = party_add_worker(NULL);
    const HostWorker *of_host = table_at(&party.host->workers, 0);
    uint64_t number;

    AWAIT(party.host->uids.n == 2);
    number = ((HostUid *)table_find(&party.host->uids, UNIT_UID))->number;
    ck_assert_int_eq(child_end(&child), 0);
    AWAIT(party.host->clients.n == 1);
    party_tick();
    ck_assert_uint_eq(party.host->uids.n, 2); /* calls come one after the other */
    party.host->patience.idle_ns = 0;
    party_tick();
    ck_assert_uint_eq(party.host->uids.n, 1);
    ck_assert_uint_eq(of_host->queues.n, 1);
    party.host->patience.idle_ns = 100 * NS_PER_SEC;
    child = child_start(UNIT_UID, call_once); /* the worker must have got the new one */
    ck_assert_int_eq(child_end(&child), 0);
    ck_assert_uint_gt(((HostUid *)table_find(&party.host->uids, UNIT_UID))->number, number);
    party_stop_worker(worker);
}
END_TEST

START_TEST(queue_that_was_replaced_in_one_go_reaches_the_worker) {
    Child child = child_start(UNIT_UID, call_once);
    PartyWorker *worker = party_add_worker(NULL);

    ck_assert_int_eq(child_end(&child), 0);
    AWAIT(party.host->clients.n == 1);
    /* Gone and made again before the worker was told. */
    uid_free(party.host, table_find(&party.host->uids, UNIT_UID));
    child = child_start(UNIT_UID, call_once);
    ck_assert_int_eq(child_end(&child), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(full_queue_of_one_user_is_nobody_elses) {
    Child child = child_start(UNIT_UID, call_once);
    PartyWorker *worker;
    Client *client;

    party.settings.queue_depth = 1;
    AWAIT(party.host->uids.n == 2);
    client = party_add_client();
    party_send(client, 1);
    ck_assert(party_send(client, 1)->owed);
    worker = party_add_worker(NULL);
    ck_assert_int_eq(child_end(&child), 0);
    party_stop_worker(worker);
}
END_TEST

/* ---- suite ---- */

static void add_memory(Suite *suite) {
    TCase *tests = party_add_case(suite, "memory", party_begin, party_end);

    tcase_add_test(tests, memory_comes_back_when_its_client_goes);
    tcase_add_test(tests, memory_comes_back_when_workers_have_let_go_of_it);
    tcase_add_test(tests, client_that_goes_while_it_is_served_is_let_go_of_afterwards);
    tcase_add_test(tests, handler_learns_that_nobody_waits_any_more);
    tcase_add_test(tests, budget_is_shared_by_all_clients);
    tcase_add_test(tests, response_beyond_the_budget_fails_with_its_reason);
    tcase_add_test(tests, client_that_takes_memory_without_asking_is_thrown_out);
}

static void add_announcements(Suite *suite) {
    TCase *tests = party_add_case(suite, "announcements", party_begin, party_end);

    tcase_add_test(tests, what_does_not_fit_when_a_worker_leaves_is_owed_and_paid);
    tcase_add_test(tests, what_is_owed_to_a_client_goes_with_it);
    tcase_add_test(tests, message_that_a_leaving_worker_took_along_is_sent_again);
    tcase_add_test(tests, message_is_sent_again_when_there_was_no_descriptor_to_meet_its_client);
}

static void add_health(Suite *suite) {
    TCase *tests = party_add_case(suite, "health", party_begin, party_end);

    tcase_add_test(tests, probe_finds_the_first_worker_well_and_says_so_once);
    tcase_add_test(tests, health_changes_as_the_last_worker_goes_and_another_comes);
    tcase_add_test(tests, host_without_worker_says_nothing_of_its_health);
    tcase_add_test(tests, worker_that_does_not_answer_a_probe_is_noticed);
    tcase_add_test(tests, workers_that_are_all_busy_are_not_ill);
    tcase_add_test(tests, worker_that_answers_a_probe_with_other_bytes_is_noticed);
    tcase_add_test(tests, probe_that_was_refused_at_first_is_tried_again);
}

static void add_users(Suite *suite) {
    TCase *tests = party_add_case(suite, "users", party_begin, party_end);

    tcase_add_test(tests, each_user_has_a_queue_that_goes_after_its_last_client);
    tcase_add_test(tests, queue_that_was_replaced_in_one_go_reaches_the_worker);
    tcase_add_test(tests, full_queue_of_one_user_is_nobody_elses);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("host");
    TCase *tests = party_add_case(suite, "life", party_begin, party_end);

    tcase_add_test(tests, second_host_at_one_place_is_refused);
    tcase_add_test(tests, what_a_killed_host_left_is_swept);
    tcase_add_test(tests, ids_are_never_used_twice);
    tcase_add_test(tests, summary_counts_who_is_there_and_what_has_ended);
    tcase_add_test(tests, tick_within_a_tick_comes);
    tcase_add_test(tests, events_are_kept_in_order_and_the_newest_are_dropped);
    add_memory(suite);
    add_announcements(suite);
    add_health(suite);
    if (unit_is_root())
        add_users(suite);
    return suite;
}
