/* SPDX-License-Identifier: MIT */
/*
 * Tracing: what is told of exchanges and to whom, and that nothing of it is left when nobody looks any more
 *
 * Tracers are peers by hand. A worker hears that somebody traces when it next listens, so each test begins
 * with exchanges until one is told; from then on each one is.
 */
#include "party.h"

#include "base/units.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LONG_NS (1000 * NS_PER_SEC)

/* ---- tracers ---- */

static int say_trace(int fd, PacketTrace wish) {
    Packet packet;

    packet_init(&packet, PACKET_TRACE, 77);
    wish.header = packet.header;
    packet.trace = wish;
    raw_say(fd, &packet);
    raw_expect(fd, PACKET_TRACED, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 77);
    ck_assert_uint_eq(packet.traced.n_records, 0);
    ck_assert_uint_eq(packet.traced.n_lost, 0);
    return fd;
}

/* Records that came one packet a time are handed out one at a time. */
static struct {
    PacketTraced packet;
    unsigned n_taken;
} got[1024]; /* by descriptor */

static int begin_trace(PacketTrace wish) {
    int fd = raw_connect(PEER_STATUS);

    memset(&got[fd], 0, sizeof(got[fd]));
    return say_trace(fd, wish);
}

static void look(void) {
    party_settle();
    host_trace_look(party.host, clock_now_ns());
}

static TracedRecord next(int fd) {
    Packet packet;

    while (got[fd].n_taken == got[fd].packet.n_records) {
        raw_expect(fd, PACKET_TRACED, &packet, NULL);
        got[fd].packet = packet.traced;
        got[fd].n_taken = 0;
    }
    return got[fd].packet.records[got[fd].n_taken++];
}

/* Until that of the latest exchange; whatever was told before is passed over. */
static TracedRecord next_of(int fd, const Request *request) {
    TracedRecord traced;

    do
        traced = next(fd);
    while (traced.record.slot != request->slot || traced.record.generation != request->generation);
    return traced;
}

static bool is_silent(int fd) {
    return got[fd].n_taken == got[fd].packet.n_records && wait_for_fd(fd, WAIT_READ, 0) == 0;
}

/* An exchange that @fd sees. Its record is written after its end is: others see it, if they do, by then. */
static void echo_seen_by(int fd, Client *client, uint64_t bytes) {
    party_echo(client, bytes);
    while (next(fd).record.request_bytes != bytes)
        ;
    party_settle();
}

/* The worker has heard that somebody looks, and all that came before is out of the way. */
static void await_told(int fd, Client *client) {
    do {
        party_echo(client, 1);
        look();
    } while (is_silent(fd));
    echo_seen_by(fd, client, 999);
}

/* A peer that asked, as the host sees it. */
static Peer *tracer(void) {
    for (size_t i = 0; i < party.host->peers.n; i++) {
        Peer *peer = table_at(&party.host->peers, i);

        if (peer->tracer)
            return peer;
    }
    ck_abort_msg("nobody traces");
}

static Client *client;
static Request *request;

static void begin(void) {
    party_begin();
    client = party_add_client();
}

static void finish(Request *ended) {
    AWAIT(ended->state == REQUEST_ENDED);
    request_release(ended);
}

/* ---- what is told ---- */

START_TEST(exchange_is_told_as_it_was) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});
    uint64_t before_ns;
    TracedRecord traced;

    await_told(fd, client);
    before_ns = clock_now_ns();
    request = party_send(client, 5000);
    party_check_echo(request);
    traced = next_of(fd, request);
    ck_assert_uint_eq(traced.record.client, client_id(client));
    ck_assert_uint_eq(traced.record.request_bytes, 5000);
    ck_assert_uint_eq(traced.record.response_bytes, 5000);
    ck_assert_uint_eq(traced.record.end, TRACE_DONE);
    ck_assert_uint_eq(traced.record.attempt, 1);
    ck_assert_uint_eq(traced.record.reason, REASON_NONE);
    ck_assert_uint_ge(traced.record.submitted_ns, before_ns);
    ck_assert_uint_ge(traced.record.claimed_ns, traced.record.submitted_ns);
    ck_assert_uint_ge(traced.record.ended_ns, traced.record.claimed_ns);
    ck_assert_uint_le(traced.record.ended_ns, clock_now_ns());
    ck_assert_uint_eq(traced.uid, geteuid());
    ck_assert_uint_eq(traced.pid, (uint32_t)getpid());
    ck_assert_uint_eq(traced.worker, party.host->next_worker);
    ck_assert_str_eq(traced.name, "test-client");
    request_release(request);
    party_stop_worker(worker);
    close(fd);
}
END_TEST

START_TEST(each_of_many_in_flight_is_told_with_its_time_in_the_queue) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});
    Request *requests[4];

    await_told(fd, client);
    for (unsigned round = 0; round < 16; round++) {
        for (unsigned i = 0; i < 4; i++)
            requests[i] = party_send(client, i);
        for (unsigned i = 0; i < 4; i++)
            finish(requests[i]);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_uint_ne(next(fd).record.submitted_ns, 0);
    }
    ck_assert(is_silent(fd));
    party_stop_worker(worker);
    close(fd);
}
END_TEST

static int fail_it(Handler *handler, Exchange *exchange) {
    exchange_fail(exchange, REASON_HANDLER_FAILED, 42, "not that one");
    return 0;
}

static const HandlerKind failing = {.handle = fail_it};
static Handler fails = {.kind = &failing};

START_TEST(failure_is_told_with_its_reason) {
    PartyWorker *worker = party_add_worker(&fails);
    int fd = begin_trace((PacketTrace){.flags = TRACE_ONLY_FAILED});
    TracedRecord traced;

    do {
        request = party_send(client, 10);
        finish(request);
        look();
    } while (wait_for_fd(fd, WAIT_READ, 0) == 0);
    traced = next(fd);
    ck_assert_uint_eq(traced.record.end, TRACE_FAILED);
    ck_assert_uint_eq(traced.record.reason, REASON_HANDLER_FAILED);
    ck_assert_int_eq(traced.record.status, 42);
    party_stop_worker(worker);
    close(fd);
}
END_TEST

/* Its handler did not listen meanwhile. */
START_TEST(long_exchange_that_began_before_is_told) {
    uint64_t since_ns;
    PartyWorker *worker;
    TracedRecord traced;
    Gate gate;
    int fd;

    gate_init(&gate);
    gate.deaf = true;
    worker = party_add_worker(&gate.handler);
    request = party_send(client, 10);
    gate_await_entry(&gate);
    since_ns = clock_now_ns();
    fd = begin_trace((PacketTrace){.least_ns = NS_PER_SEC});
    while (clock_now_ns() < since_ns + NS_PER_SEC)
        (void)wait_for_fd(fd, WAIT_READ, since_ns + NS_PER_SEC);
    gate_open(&gate);
    finish(request);
    traced = next(fd);
    ck_assert_uint_eq(traced.record.end, TRACE_DONE);
    ck_assert_uint_ge(traced.record.ended_ns - traced.record.claimed_ns, NS_PER_SEC);
    party_stop_worker(worker);
    gate_deinit(&gate);
    close(fd);
}
END_TEST

START_TEST(what_nobody_claimed_is_told_when_the_host_ends_it) {
    int fd = begin_trace((PacketTrace){0});
    Client *other = party_add_client();
    TracedRecord traced;
    uint64_t id = client_id(other);

    request = party_send(client, 30);
    ck_assert_int_eq(request_cancel(request), 0);
    finish(request);
    traced = next(fd);
    ck_assert_uint_eq(traced.record.end, TRACE_CANCELLED);
    ck_assert_uint_eq(traced.record.client, client_id(client));
    ck_assert_uint_eq(traced.record.request_bytes, 30);
    ck_assert_uint_eq(traced.record.claimed_ns, 0);
    ck_assert_uint_ne(traced.record.submitted_ns, 0);
    ck_assert_uint_eq(traced.worker, 0);

    (void)party_send(other, 40);
    party_remove_client(other); /* with its request in the queue */
    traced = next(fd);
    ck_assert_uint_eq(traced.record.end, TRACE_CANCELLED);
    ck_assert_uint_eq(traced.record.client, id);
    ck_assert_uint_eq(traced.record.request_bytes, 40);
    close(fd);
}
END_TEST

static int die_first(Handler *handler, Exchange *exchange) {
    if (exchange->attempt == 1)
        raise(SIGKILL);
    return handler_echo.handle(handler, exchange);
}

static int work_and_die_first(void) {
    const HandlerKind kind = {.handle = die_first};

    return child_work(&kind, LONG_NS);
}

START_TEST(what_a_dead_worker_had_is_told_and_so_is_what_becomes_of_it) {
    Child first = party_add_child(work_and_die_first), second;
    uint32_t number = party.host->next_worker;
    int fd = begin_trace((PacketTrace){0});
    TracedRecord traced;

    request = party_send(client, 20);
    ck_assert_int_eq(child_end(&first), -SIGKILL);
    traced = next_of(fd, request);
    ck_assert_uint_eq(traced.record.end, TRACE_AGAIN);
    ck_assert_uint_eq(traced.record.reason, REASON_WORKER_LOST);
    ck_assert_uint_eq(traced.record.attempt, 1);
    ck_assert_uint_ne(traced.record.claimed_ns, 0);
    ck_assert_uint_eq(traced.worker, number);
    party.settings.attempts = 1;
    second = party_add_child(work_and_die_first); /* which gets it as the second attempt, and answers */
    traced = next_of(fd, request);
    ck_assert_uint_eq(traced.record.end, TRACE_DONE);
    ck_assert_uint_eq(traced.record.attempt, 2);
    finish(request);
    request = party_send(client, 21);
    ck_assert_int_eq(child_end(&second), -SIGKILL);
    traced = next_of(fd, request);
    ck_assert_uint_eq(traced.record.end, TRACE_FAILED);
    ck_assert_uint_eq(traced.record.reason, REASON_WORKER_LOST);
    finish(request);
    close(fd);
}
END_TEST

/* ---- to whom ---- */

START_TEST(other_users_exchanges_are_not_told) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0}), sees_all;
    const ChannelPeer self = tracer()->who;
    Peer *peer = tracer();

    await_told(fd, client);
    sees_all = begin_trace((PacketTrace){0});
    peer->who.uid = peer->who.gid = UNIT_UID;
    peer->who.n_groups = 0;
    echo_seen_by(sees_all, client, 100);
    ck_assert(is_silent(fd));
    peer->who = self;
    echo_seen_by(sees_all, client, 101);
    ck_assert_uint_eq(next(fd).record.request_bytes, 101);
    party_stop_worker(worker);
    close(fd);
    close(sees_all);
}
END_TEST

/* One wish that fits, and one that does not, of each kind. */
START_TEST(each_wish_is_granted) {
    PartyWorker *worker = party_add_worker(NULL);
    const PacketTrace fits[] = {{.client = client_id(client)},
                                {.worker = party.host->next_worker},
                                {.flags = TRACE_OF_UID, .uid = geteuid()},
                                {.least_ns = 1}};
    const PacketTrace others[] = {{.client = client_id(client) + 1},
                                  {.worker = party.host->next_worker + 1},
                                  {.flags = TRACE_OF_UID, .uid = UNIT_UID},
                                  {.least_ns = LONG_NS},
                                  {.flags = TRACE_ONLY_FAILED}};
    int fd = begin_trace((PacketTrace){0}), sees_all;

    await_told(fd, client);
    sees_all = begin_trace((PacketTrace){0});
    for (size_t i = 0; i < ELEMENTS(fits); i++) {
        (void)say_trace(fd, fits[i]);
        party_echo(client, 200 + i);
        ck_assert_uint_eq(next(fd).record.request_bytes, 200 + i);
    }
    for (size_t i = 0; i < ELEMENTS(others); i++) {
        (void)say_trace(fd, others[i]);
        echo_seen_by(sees_all, client, 300 + i);
        ck_assert(is_silent(fd));
    }
    party_stop_worker(worker);
    close(fd);
    close(sees_all);
}
END_TEST

/* ---- rings ---- */

/* A worker by hand, whose ring is in the test's hands. */
static int add_ring(TraceRing **ret_ring, Page *page) {
    int fds[CHANNEL_FDS_MAX], fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    raw_expect(fd, PACKET_QUEUE, &packet, NULL);
    raw_expect(fd, PACKET_RING, &packet, fds);
    ck_assert_int_eq(page_init_connect(page, fds[0], TRACE_RING_BYTES, true), 0);
    *ret_ring = page->map;
    return fd;
}

static void leave_as_worker(int fd) {
    Packet packet;

    packet_init(&packet, PACKET_LEAVING, 0);
    raw_say(fd, &packet);
    party_settle();
    close(fd);
    AWAIT(party.host->workers.n == 0);
}

static TraceRecord plausible(void) {
    uint64_t now_ns = clock_now_ns();

    return (TraceRecord){
        .client = client_id(client),
        .submitted_ns = now_ns - 3,
        .claimed_ns = now_ns - 2,
        .ended_ns = now_ns - 1,
        .request_bytes = 1,
        .response_bytes = 1,
        .slot = 1,
        .generation = 1,
        .end = TRACE_DONE,
        .attempt = 1,
    };
}

/* Each is the plausible one but for one thing. */
static void spoil(TraceRecord *record, int how) {
    switch (how) {
    case 0:
        record->client++;
        break;
    case 1:
        record->slot = 4;
        break;
    case 2:
        record->end = TRACE_AGAIN; /* which only a host says */
        break;
    case 3:
        record->end = 200;
        break;
    case 4:
        record->attempt = 0;
        break;
    case 5:
        record->attempt = SLOT_ATTEMPTS_MAX + 1;
        break;
    case 6:
        record->reason = _REASON_N;
        break;
    case 7:
        record->request_bytes = UINT64_MAX;
        break;
    case 8:
        record->response_bytes = UINT64_MAX;
        break;
    case 9:
        record->ended_ns = UINT64_MAX;
        break;
    case 10:
        record->claimed_ns = record->ended_ns + 1;
        break;
    default:
        record->submitted_ns = record->claimed_ns + 1;
    }
}

#define N_SPOILT 12

START_TEST(what_a_worker_writes_is_checked) {
    int fd = begin_trace((PacketTrace){0}), worker;
    TraceRecord record = plausible();
    TraceRing *ring;
    Page page;

    worker = add_ring(&ring, &page);
    spoil(&record, _i);
    trace_write(ring, &record);
    record = plausible();
    record.response_bytes = 77;
    trace_write(ring, &record);
    ck_assert_uint_eq(next(fd).record.response_bytes, 77);
    ck_assert_uint_eq(got[fd].packet.n_lost, 1);
    ck_assert_uint_eq(got[fd].packet.n_records, 1);
    page_deinit(&page);
    leave_as_worker(worker);
    close(fd);
}
END_TEST

START_TEST(ring_of_rubbish_harms_nobody) {
    int fd = begin_trace((PacketTrace){0}), worker;
    TraceRing *ring;
    Page page;

    worker = add_ring(&ring, &page);
    for (unsigned round = 0; round < 64; round++) {
        for (size_t i = 0; i < page.bytes; i++)
            ((uint8_t *)page.map)[i] = (uint8_t)(i * 7 + round * 31 + (i >> 8) * round);
        look();
    }
    memset(page.map, 0xff, page.bytes);
    look();
    ck_assert_uint_eq(party.host->workers.n, 1);
    page_deinit(&page);
    leave_as_worker(worker);
    close(fd);
}
END_TEST

START_TEST(worker_that_comes_later_has_a_ring_too_and_it_is_taken_back) {
    int fd = begin_trace((PacketTrace){0}), worker;
    TraceRing *ring;
    Packet packet;
    Page page;

    worker = add_ring(&ring, &page);
    close(fd);
    raw_expect(worker, PACKET_UNRING, &packet, NULL);
    page_deinit(&page);
    fd = begin_trace((PacketTrace){0});
    raw_expect(worker, PACKET_RING, &packet, NULL);
    close(fd);
    raw_expect(worker, PACKET_UNRING, &packet, NULL);
    leave_as_worker(worker);
}
END_TEST

START_TEST(records_of_a_client_that_goes_are_told_before_it_is_forgotten) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});
    Client *other = party_add_client();
    uint64_t id = client_id(other);

    await_told(fd, client);
    party.host->trace.look_ns = UINT64_MAX; /* nobody reads meanwhile */
    party_echo(other, 55);
    party_remove_client(other);
    AWAIT(!table_find(&party.host->clients, id));
    host_trace_look(party.host, clock_now_ns());
    ck_assert_uint_eq(next(fd).record.client, id);
    ck_assert_uint_eq(got[fd].packet.n_lost, 0);
    party_stop_worker(worker);
    close(fd);
}
END_TEST

/* ---- slow tracers ---- */

static void write_many(TraceRing *ring, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        const TraceRecord record = plausible();

        trace_write(ring, &record);
    }
}

START_TEST(slow_tracer_delays_nobody_and_is_told_what_it_missed) {
    int fd = begin_trace((PacketTrace){0}), worker;
    uint64_t n_written = 0, n_told = 0;
    TraceRing *ring;
    Packet packet;
    Page page;

    worker = add_ring(&ring, &page);
    while (tracer()->tracer->n_lost == 0) {
        write_many(ring, 1000);
        n_written += 1000;
        look();
    }
    while (n_told < n_written) {
        look();
        raw_expect(fd, PACKET_TRACED, &packet, NULL);
        n_told += packet.traced.n_records + packet.traced.n_lost;
    }
    ck_assert_uint_eq(n_told, n_written);
    ck_assert_uint_eq(tracer()->tracer->n_lost, 0);
    ck_assert_uint_eq(tracer()->tracer->stuck_ns, 0);
    page_deinit(&page);
    leave_as_worker(worker);
    close(fd);
}
END_TEST

START_TEST(overrun_is_told_to_each_tracer) {
    int fd = begin_trace((PacketTrace){0}), second = begin_trace((PacketTrace){0}), worker;
    TraceRing *ring;
    Packet packet;
    Page page;

    worker = add_ring(&ring, &page);
    party_settle();
    party.host->trace.look_ns = UINT64_MAX;
    write_many(ring, TRACE_RING_ROOM + 5);
    look();
    raw_expect(fd, PACKET_TRACED, &packet, NULL);
    ck_assert_uint_eq(packet.traced.n_lost, 5);
    raw_expect(second, PACKET_TRACED, &packet, NULL);
    ck_assert_uint_eq(packet.traced.n_lost, 5);
    page_deinit(&page);
    leave_as_worker(worker);
    close(fd);
    close(second);
}
END_TEST

static uint32_t measured(const Client *of) {
    return state_measured(party_client_of_host(of)->states.map);
}

START_TEST(host_that_ends_tells_what_has_ended_before) {
    int fd = begin_trace((PacketTrace){0}), worker;
    TraceRing *ring;
    Page page;

    worker = add_ring(&ring, &page);
    party_settle();
    party.host->trace.look_ns = UINT64_MAX;
    write_many(ring, 1);
    party_stop_host();
    ck_assert_uint_eq(next(fd).record.client, client_id(client));
    raw_expect_end(fd);
    page_deinit(&page);
    close(worker);
    close(fd);
}
END_TEST

static void check_nothing_is_left(void) {
    party_tick();
    ck_assert_uint_eq(party.host->trace.n_tracers, 0);
    ck_assert_uint_eq(party.host->trace.look_ns, 0);
    ck_assert_ptr_null(party.host->trace.records);
    ck_assert_uint_eq(measured(client), MEASURE_SOME);
    for (size_t i = 0; i < party.host->workers.n; i++) {
        const HostWorker *worker = table_at(&party.host->workers, i);

        ck_assert_ptr_null(worker->ring.map);
        ck_assert(!worker->has_ring);
    }
}

START_TEST(who_traces_next_has_the_same_rings_and_nothing_of_before) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});
    const HostWorker *of_host = table_at(&party.host->workers, 0);
    const TraceRing *ring = of_host->ring.map;

    ck_assert_ptr_nonnull(ring);
    while (trace_end(ring) == 0) /* the worker may not have heard yet */
        party_echo(client, 1);
    close(fd);
    AWAIT(party.host->trace.n_tracers == 0);
    fd = begin_trace((PacketTrace){0});
    ck_assert_ptr_eq(of_host->ring.map, ring);
    ck_assert_uint_ge(of_host->ring_at, 1);
    close(fd);
    AWAIT(party.host->trace.n_tracers == 0);
    check_nothing_is_left();
    party_stop_worker(worker);
}
END_TEST

START_TEST(tracer_that_takes_nothing_for_long_is_hung_up_on) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});
    Packet packet;

    packet_init(&packet, PACKET_PING, 0);
    while (peer_say(tracer(), &packet, NULL, 0) == 0) /* until its socket is full */
        ;
    while (tracer()->tracer->stuck_ns == 0) {
        party_echo(client, 1);
        look();
    }
    look();
    ck_assert_uint_eq(party.host->trace.n_tracers, 1);
    tracer()->tracer->stuck_ns = 1;
    look();
    party_tick();
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 1);
    check_nothing_is_left();
    party_stop_worker(worker);
    close(fd);
}
END_TEST

/* ---- the end ---- */

START_TEST(nothing_is_left_when_the_last_tracer_has_gone) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0}), second;
    Client *other;

    await_told(fd, client);
    second = begin_trace((PacketTrace){0});
    close(fd);
    AWAIT(party.host->trace.n_tracers == 1);
    other = party_add_client();
    ck_assert_uint_eq(measured(client), MEASURE_ALL);
    ck_assert_uint_eq(measured(other), MEASURE_ALL);
    party_echo(client, 5);
    ck_assert_uint_eq(next(second).record.request_bytes, 5);
    close(second);
    AWAIT(party.host->trace.n_tracers == 0);
    check_nothing_is_left();
    party_echo(client, 6);
    check_nothing_is_left();
    party_stop_worker(worker);
}
END_TEST

START_TEST(least_time_is_what_the_most_curious_wants) {
    int fd = begin_trace((PacketTrace){.least_ns = 500}), second, third;

    ck_assert_uint_eq(party.host->trace.least_ns, 500);
    second = begin_trace((PacketTrace){.least_ns = 300});
    ck_assert_uint_eq(party.host->trace.least_ns, 300);
    third = begin_trace((PacketTrace){.flags = TRACE_ONLY_FAILED});
    ck_assert_uint_eq(party.host->trace.least_ns, 300);
    close(second);
    AWAIT(party.host->trace.n_tracers == 2);
    ck_assert_uint_eq(party.host->trace.least_ns, 500);
    close(fd);
    AWAIT(party.host->trace.n_tracers == 1);
    ck_assert_uint_eq(party.host->trace.least_ns, UINT64_MAX);
    close(third);
}
END_TEST

START_TEST(next_host_has_nobody_who_traces) {
    PartyWorker *worker = party_add_worker(NULL);
    int fd = begin_trace((PacketTrace){0});

    await_told(fd, client);
    party_restart_host();
    party_await_take_up(1, 1);
    check_nothing_is_left();
    party_echo(client, 5);
    raw_expect_end(fd);
    close(fd);
    fd = begin_trace((PacketTrace){0});
    await_told(fd, client);
    party_stop_worker(worker);
    close(fd);
}
END_TEST

/* ---- suite ---- */

static void begin_kept(void) {
    begin();
    party_remove_client(client);
    party_keep();
    client = party_add_client();
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("trace");
    TCase *told = party_add_case(suite, "told", begin, party_end);
    TCase *rings = party_add_case(suite, "rings", begin, party_end);
    TCase *ends = party_add_case(suite, "ends", begin, party_end);
    TCase *kept = party_add_case(suite, "kept", begin_kept, party_end);

    tcase_add_test(told, exchange_is_told_as_it_was);
    tcase_add_test(told, each_of_many_in_flight_is_told_with_its_time_in_the_queue);
    tcase_add_test(told, failure_is_told_with_its_reason);
    tcase_add_test(told, long_exchange_that_began_before_is_told);
    tcase_add_test(told, what_nobody_claimed_is_told_when_the_host_ends_it);
    tcase_add_test(told, what_a_dead_worker_had_is_told_and_so_is_what_becomes_of_it);
    tcase_add_test(told, other_users_exchanges_are_not_told);
    tcase_add_test(told, each_wish_is_granted);
    tcase_add_loop_test(rings, what_a_worker_writes_is_checked, 0, N_SPOILT);
    tcase_add_test(rings, ring_of_rubbish_harms_nobody);
    tcase_add_test(rings, worker_that_comes_later_has_a_ring_too_and_it_is_taken_back);
    tcase_add_test(rings, records_of_a_client_that_goes_are_told_before_it_is_forgotten);
    tcase_add_test(ends, slow_tracer_delays_nobody_and_is_told_what_it_missed);
    tcase_add_test(ends, overrun_is_told_to_each_tracer);
    tcase_add_test(ends, tracer_that_takes_nothing_for_long_is_hung_up_on);
    tcase_add_test(ends, who_traces_next_has_the_same_rings_and_nothing_of_before);
    tcase_add_test(ends, nothing_is_left_when_the_last_tracer_has_gone);
    tcase_add_test(ends, host_that_ends_tells_what_has_ended_before);
    tcase_add_test(ends, least_time_is_what_the_most_curious_wants);
    tcase_add_test(kept, next_host_has_nobody_who_traces);
    return suite;
}
