/* SPDX-License-Identifier: MIT */
/*
 * Memory: who may have how much, and what is given back when nobody uses it
 *
 * The host's look at idle windows is party_trim(): two looks, since what is idle at one must still be so at
 * the next.
 */
#include "party.h"

#include "base/units.h"
#include "os/segment.h"

#include <string.h>
#include <unistd.h>

static void party_trim(void) {
    for (int i = 0; i < 2; i++) {
        party.settings.memory_idle_ns = 1;
        host_trim(party.host, clock_now_ns());
        party.settings.memory_idle_ns = 0;
        party_settle();
    }
}

/* The host's probe has some, too. */
static uint64_t reserved_by(const Client *client) {
    uint64_t bytes = party_reserved(client);

    ck_assert_uint_ge(party_client_of_host(client)->account->memory_bytes, bytes);
    return bytes;
}

/* Whether the host refuses this; what it says is in the request. */
static bool is_refused(Request *request, uint64_t bytes) {
    return party_reserve(request, bytes) == CLIENT_NOT_GRANTED;
}

static Request *take(Client *client) {
    Request *request;

    ck_assert_int_eq(client_take(client, &request), 0);
    return request;
}

/* ---- given back ---- */

START_TEST(idle_memory_goes_back_to_the_system) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *first = party_send(client, 3 * MIB), *second = party_send(client, 5 * MIB);

    party_check_echo(first);
    party_check_echo(second);
    request_release(first);
    request_release(second);
    ck_assert_uint_eq(reserved_by(client), 16 * MIB);
    ck_assert_uint_eq(party_resident(client), 16 * MIB);
    party_trim();
    ck_assert_uint_eq(reserved_by(client), 0);
    ck_assert_uint_eq(party_resident(client), 0);
    ck_assert_uint_eq(party_client_of_host(client)->account->memory_bytes, party.host->memory_bytes);
    party_stop_worker(worker);
}
END_TEST

START_TEST(what_was_used_since_the_last_look_is_kept) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party.settings.memory_idle_ns = 1;
    party_echo(client, MIB);
    host_trim(party.host, clock_now_ns());
    party_echo(client, MIB);
    host_trim(party.host, clock_now_ns());
    ck_assert_uint_eq(party_resident(client), 2 * MIB);
    host_trim(party.host, clock_now_ns());
    ck_assert_uint_eq(party_resident(client), 0);
    party.settings.memory_idle_ns = 0;
    party_stop_worker(worker);
}
END_TEST

START_TEST(host_looks_for_idle_memory_by_itself) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, MIB);
    party.settings.memory_idle_ns = NS_PER_MS;
    host_set_settings(party.host, &party.settings);
    AWAIT(party.host->memory_bytes == 0);
    ck_assert_uint_eq(party_resident(client), 0);
    ck_assert_uint_eq(host_next_trim(party.host), UINT64_MAX); /* it does not wake up for nothing */
    party_stop_worker(worker);
}
END_TEST

START_TEST(never_means_never) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_echo(client, MIB);
    party.settings.memory_idle_ns = 0;
    host_set_settings(party.host, &party.settings);
    ck_assert_uint_eq(host_next_trim(party.host), UINT64_MAX);
    party_tick();
    ck_assert_uint_eq(party_resident(client), 2 * MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(response_that_is_being_read_keeps_its_bytes) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *read = party_send(client, MIB), *done = party_send(client, 2 * MIB);

    party_check_echo(read);
    party_check_echo(done);
    request_release(done);
    party_trim();
    ck_assert_uint_eq(party_resident(client), 2 * MIB); /* request and response of the one that is read */
    party_check_echo(read);
    request_release(read);
    party_trim();
    ck_assert_uint_eq(party_resident(client), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(request_that_is_being_filled_keeps_its_bytes) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request;

    party_echo(client, MIB);
    request = party_take(client, MIB);
    party_trim();
    ck_assert_uint_ge(party_resident(client), MIB);
    ck_assert_int_eq(request_send(request), 0);
    party_check_echo(request);
    request_release(request);
    party_stop_worker(worker);
}
END_TEST

START_TEST(request_that_waits_for_a_worker_keeps_its_bytes) {
    Client *client = party_add_client();
    Request *request = party_send(client, MIB);
    PartyWorker *worker;

    party_trim();
    ck_assert_uint_eq(party_resident(client), MIB);
    worker = party_add_worker(NULL);
    party_check_echo(request);
    request_release(request);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_comes_back_gets_the_right_bytes) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    for (uint64_t bytes = 1; bytes <= 4 * MIB; bytes = bytes * 3 + 1) {
        party_echo(client, bytes);
        party_trim();
        ck_assert_uint_eq(party_resident(client), 0);
    }
    party_echo(client, 0);
    party_echo(client, MIB);
    ck_assert_uint_eq(reserved_by(client), 2 * MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(window_that_was_taken_and_not_sent_is_given_back) {
    Client *client = party_add_client();

    request_release(party_take(client, MIB));
    ck_assert_uint_eq(party_resident(client), MIB);
    party_trim();
    ck_assert_uint_eq(party_resident(client), 0);
    ck_assert_uint_eq(party.host->memory_bytes, 0);
}
END_TEST

/* The answer to a question that was given up says what has been given back since. */
START_TEST(late_answer_about_memory_counts_for_nothing) {
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);
    PacketReserved late = {.bytes = MIB, .direction = DIRECTION_REQUEST};
    Request *request = take(client);

    ck_assert_int_eq(request_reserve(request, MIB, true), CLIENT_PENDING);
    late.header.serial = request->asked_serial;
    request_release(request);
    AWAIT(of_host->reserved[0][0] == MIB);
    party_trim();
    ck_assert_ptr_eq(take(client), request);
    ck_assert_int_eq(request_reserve(request, MIB, true), CLIENT_PENDING);
    client_granted(client, &late);
    ck_assert_int_eq(request->state, REQUEST_GROWING);
    ck_assert_uint_eq(request->granted_bytes, 0);
}
END_TEST

/* ---- held ---- */

static void hold(const Client *client, uint32_t slot) {
    HostClient *of_host = party_client_of_host(client);

    ck_assert(slots_hold(of_host->submit.map, of_host->states.map, slot));
}

/* As a host does that finds what one before it was killed at. */
static void let_go(const Client *client) {
    client_end_holds(party.host, party_client_of_host(client));
}

START_TEST(client_that_finds_its_slot_held_asks_first) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request;

    party_echo(client, MIB);
    hold(client, 0);
    request = take(client);
    ck_assert_int_eq(request_reserve(request, MIB, false), CLIENT_PENDING);
    let_go(client);
    AWAIT(request->state == REQUEST_TAKEN);
    request_release(request);
    party_echo(client, MIB);
    party_stop_worker(worker);
}
END_TEST

/* Its message finds the slot held, and is dropped. */
START_TEST(what_was_submitted_while_it_was_held_is_announced) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request;

    party_echo(client, MIB);
    hold(client, 0);
    request = party_send(client, 0);
    AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) == 1);
    ck_assert_int_eq(party_word(request).state, SLOT_DONE);
    let_go(client);
    party_check_echo(request);
    request_release(request);
    party_stop_worker(worker);
}
END_TEST

/* The host was killed between its record and its punch, and the client has come meanwhile. */
START_TEST(host_that_was_killed_as_it_gave_back_leaves_nothing_behind) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    HostClient *of_host = party_client_of_host(client);

    party_echo(client, MIB);
    hold(client, 0);
    ck_assert_uint_eq(slots_empty(of_host->submit.map, of_host->states.map, 0),
                      WINDOW_REQUEST | WINDOW_RESPONSE);
    (void)take(client);
    let_go(client);
    ck_assert_uint_eq(party_resident(client), 0);
    ck_assert_uint_eq(reserved_by(client), 0);
    ck_assert(!slots_is_held(of_host->states.map, 0));
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_took_its_slot_in_time_keeps_its_window) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request;

    party_echo(client, MIB);
    request = party_take(client, MIB);
    submit_release(client->submit.map, 0, request->generation);
    hold(client, 0);
    ck_assert_uint_gt(submit_generation(client->submit.map, 0), 0);
    (void)submit_take(client->submit.map, client->states.map, 0); /* as if it had, before the host looked */
    let_go(client);
    ck_assert_uint_eq(party_resident(client), MIB);
    ck_assert_int_eq(request_send(request), 0);
    party_check_echo(request);
    request_release(request);
    party_stop_worker(worker);
}
END_TEST

/* ---- refused ---- */

START_TEST(idle_memory_gives_way_to_who_wants_it) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *idle = party_add_client(), *other = party_add_client();
    Request *request;

    party.settings.memory = 5 * MIB;
    party_echo(idle, 2 * MIB);
    request = take(other);
    ck_assert(!is_refused(request, 4 * MIB));
    ck_assert_uint_le(party.host->memory_bytes, 5 * MIB);
    ck_assert_uint_eq(party_resident(idle), 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(memory_in_use_gives_way_to_nobody) {
    Client *user = party_add_client(), *other = party_add_client();
    Request *request;

    party.settings.memory = 4 * MIB;
    (void)party_take(user, 3 * MIB);
    request = take(other);
    ck_assert(is_refused(request, 2 * MIB));
    ck_assert_int_eq(request->reason, REASON_MEMORY_BUDGET);
    ck_assert_str_eq(request->text,
                     "2M more exceed the host's `memory` budget of 4M, of which 3M are in use");
    ck_assert(!is_refused(request, MIB));
}
END_TEST

/* Whoever asks for more than there is could otherwise have everybody's memory taken away again and again. */
START_TEST(idle_memory_gives_way_now_and_then_only) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client(), *other = party_add_client();

    party.settings.memory = 4 * MIB;
    party.host->patience.squeeze_ns = 1000 * NS_PER_SEC;
    party.host->squeezed_ns = clock_now_ns();
    party_echo(client, MIB);
    ck_assert(is_refused(take(other), 3 * MIB));
    ck_assert_uint_eq(party_resident(client), 2 * MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(idle_memory_gives_way_each_time_that_it_helps) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *clients[] = {party_add_client(), party_add_client()};

    party.settings.memory = 4 * MIB;
    party.host->patience.squeeze_ns = 1000 * NS_PER_SEC;
    for (int i = 0; i < 6; i++)
        party_echo(clients[i % 2], 2 * MIB); /* all that there is, with the response */
    party_stop_worker(worker);
}
END_TEST

START_TEST(hosts_own_user_has_all_of_it) {
    party.settings.memory = 4 * MIB;
    ck_assert(!is_refused(take(party_add_client()), 4 * MIB));
}
END_TEST

static const char share_text[] =
    "2.1M more exceed one user's share of 2M (`user_share` = 50 % of `memory`), of which 0B are in use";

static int ask_for_more_than_half(void) {
    Client *client;
    Request *request;
    int fd, r;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "child") < 0)
        return 2;
    while (client_state(client) == CLIENT_CONNECTING)
        if (client_wait(client, UINT64_MAX) < 0)
            return 3;
    if (client_take(client, &request) != 0)
        return 4;
    while ((r = request_reserve(request, 2 * MIB + MIB / 8, false)) == CLIENT_PENDING)
        if (client_wait(client, UINT64_MAX) < 0)
            return 5;
    if (r != CLIENT_NOT_GRANTED || strcmp(request->text, share_text) != 0)
        return 6;
    while ((r = request_reserve(request, 2 * MIB, false)) == CLIENT_PENDING)
        if (client_wait(client, UINT64_MAX) < 0)
            return 7;
    return r == 0 ? 0 : 8;
}

START_TEST(other_users_have_half_of_it_each) {
    Child child;

    party.settings.memory = 4 * MIB;
    child = child_start(UNIT_UID, ask_for_more_than_half);
    ck_assert_int_eq(child_end(&child), 0);
}
END_TEST

START_TEST(automatic_budget_stays_below_what_a_worker_may_use) {
    Client *client = party_add_client();
    PartyWorker *worker = party_add_worker(NULL);
    HostWorker *of_host = table_at(&party.host->workers, 0);
    Request *request = take(client);

    of_host->memory_limit = 8 * MIB;
    ck_assert(!is_refused(request, 6 * MIB)); /* it was set to this by hand */
    request_release(request);
    party.settings.memory_is_auto = true;
    party_trim();
    request = take(client);
    ck_assert(is_refused(request, 6 * MIB));
    ck_assert_ptr_nonnull(strstr(request->text, "budget of 4M"));
    party_stop_worker(worker);
    AWAIT(party.host->workers.n == 0);
    request_release(request);
    ck_assert(!is_refused(take(client), 6 * MIB));
}
END_TEST

/* ---- private copies ---- */

/* Echo, of what could be had at one address. */
static int copy_and_echo(Handler *handler, Exchange *exchange) {
    const void *copy = NULL;
    int r = exchange->request ? 0 : exchange_copy_request(exchange, &copy);

    if (r > 0)
        exchange_fail(exchange, (Reason)r, 0, "no copy");
    if (r == 0)
        r = handler_echo.handle(handler, exchange);
    if (copy && memcmp(copy, exchange->response->map, exchange->request_bytes) != 0)
        exchange_fail(exchange, REASON_HANDLER_FAILED, 0, "another copy");
    return r > 0 ? 0 : r;
}

static const HandlerKind copier_kind = {.name = "copier", .handle = copy_and_echo};
static Handler copier = {.kind = &copier_kind};

static uint64_t private_bytes(void) {
    uint64_t n = 0;

    for (size_t i = 0; i < party.host->workers.n; i++)
        n += ((HostWorker *)table_at(&party.host->workers, i))->private_bytes;
    return n;
}

static uint64_t reserved_by_all(void) {
    uint64_t n = 0;

    for (size_t i = 0; i < party.host->clients.n; i++) {
        const HostClient *client = table_at(&party.host->clients, i);

        n += client->reserved_bytes[0] + client->reserved_bytes[1];
    }
    return n;
}

static void ping(void) {
    HostWorker *worker = table_at(&party.host->workers, 0);

    AWAIT(party_n_events(EVENT_HEALTH) > 0 && !party.host->probe.request); /* a busy one is not asked */
    host_ping_workers(party.host, clock_now_ns());
    ck_assert_uint_gt(worker->pinged_ns, 0);
    AWAIT(worker->pinged_ns == 0);
}

START_TEST(copy_of_a_request_counts_and_is_kept_for_the_next) {
    Client *client;
    PartyWorker *worker;

    party.settings.trusted = (Principals){0};
    client = party_add_client();
    worker = party_add_worker(&copier);
    party_echo(client, 3 * MIB);
    ck_assert_uint_eq(private_bytes(), 3 * MIB);
    ck_assert_uint_eq(party.host->memory_bytes, reserved_by_all() + 3 * MIB);
    party_echo(client, 2 * MIB);
    ck_assert_uint_eq(private_bytes(), 3 * MIB);
    party_stop_worker(worker);
    AWAIT(party.host->workers.n == 0);
    ck_assert_uint_eq(party.host->memory_bytes, reserved_by_all());
}
END_TEST

START_TEST(copies_that_are_not_needed_any_more_are_given_back) {
    Client *client;
    PartyWorker *worker;

    party.settings.trusted = (Principals){0};
    client = party_add_client();
    worker = party_add_worker(&copier);
    party_echo(client, 3 * MIB);
    ping(); /* they were needed since the last */
    ck_assert_uint_eq(private_bytes(), 3 * MIB);
    party_echo(client, MIB);
    ping();
    AWAIT(private_bytes() == MIB);
    ping();
    AWAIT(private_bytes() == 0);
    party_echo(client, MIB);
    ck_assert_uint_eq(private_bytes(), MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(copy_over_the_budget_fails_its_exchange_and_no_other) {
    Client *client;
    PartyWorker *worker;
    Request *request;

    party.settings.trusted = (Principals){0};
    party.settings.memory = 8 * MIB;
    client = party_add_client();
    worker = party_add_worker(&copier);
    party_echo(client, MIB);
    request = party_send(client, 5 * MIB);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_MEMORY_BUDGET);
    request_release(request);
    party_echo(client, MIB);
    ck_assert_uint_eq(private_bytes(), MIB);
    party_stop_worker(worker);
}
END_TEST

START_TEST(request_that_is_handled_in_place_asks_for_no_copy) {
    Client *client = party_add_client();
    PartyWorker *worker = party_add_worker(&copier);

    party_echo(client, MIB);
    ck_assert_uint_eq(private_bytes(), 0);
    party_stop_worker(worker);
}
END_TEST

static void say_private(int fd, uint64_t client, uint32_t slot, uint64_t bytes) {
    Packet packet;

    packet_init(&packet, PACKET_RESERVE, 1);
    packet.reserve.client = client;
    packet.reserve.slot = slot;
    packet.reserve.bytes = bytes;
    packet.reserve.direction = DIRECTION_PRIVATE;
    raw_say(fd, &packet);
}

START_TEST(worker_says_how_much_it_wants_in_all) {
    int fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    raw_expect(fd, PACKET_QUEUE, &packet, NULL);
    say_private(fd, 0, 0, MIB);
    raw_expect(fd, PACKET_RESERVED, &packet, NULL);
    ck_assert_uint_eq(packet.reserved.bytes, MIB);
    say_private(fd, 0, 0, UINT64_MAX - 4095);
    raw_expect(fd, PACKET_RESERVED, &packet, NULL);
    ck_assert_uint_eq(packet.reserved.code, REASON_MEMORY_BUDGET);
    ck_assert_uint_eq(packet.reserved.bytes, MIB);
    say_private(fd, 0, 0, 4096);
    raw_expect(fd, PACKET_RESERVED, &packet, NULL);
    ck_assert_uint_eq(packet.reserved.code, 0);
    ck_assert_uint_eq(private_bytes(), 4096);
    close(fd);
}
END_TEST

START_TEST(private_copies_are_no_clients_and_whole_pages) {
    const uint64_t wrong[][3] = {{1, 0, 4096}, {0, 1, 4096}, {0, 0, 4095}};
    Packet packet;

    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        int fd = raw_connect(PEER_WORKER);

        raw_expect(fd, PACKET_WELCOME, &packet, NULL);
        say_private(fd, wrong[i][0], (uint32_t)wrong[i][1], wrong[i][2]);
        raw_expect_end(fd);
        close(fd);
    }
}
END_TEST

START_TEST(client_has_no_private_copies) {
    int fd = raw_connect(PEER_CLIENT);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    say_private(fd, 0, 0, 4096);
    raw_expect_end(fd);
    close(fd);
}
END_TEST

/* ---- what peers say of their memory ---- */

static void send_with_segment(Request *request, uint64_t bytes) {
    request->segment.bytes = bytes;
    ck_assert_int_eq(request_send(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
}

START_TEST(segment_that_was_not_reserved_is_not_believed) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    Request *request = party_take(client, 4096);

    send_with_segment(request, 8192);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_BAD_REQUEST);
    party_stop_worker(worker);
}
END_TEST

/* 0, all, and one more, in both directions: an echo is as big as its request. */
START_TEST(payloads_of_any_size_up_to_the_limit_pass) {
    PartyWorker *worker;
    Client *client;
    Request *request;

    party.settings.max_payload = 10000;
    client = party_add_client();
    worker = party_add_worker(NULL);
    party_echo(client, 0);
    party_echo(client, 10000);
    request = take(client);
    ck_assert_int_eq(request_reserve(request, 10001, false), CLIENT_NOT_GRANTED);
    ck_assert_int_eq(request->reason, REASON_PAYLOAD_TOO_LARGE);
    party_stop_worker(worker);
}
END_TEST

/* ---- all at once ---- */

#define N_EXCHANGES 2000u /* at least */
#define N_MEETINGS  100u  /* with a host that takes memory away */

static Page shared = PAGE_NULL; /* with the callers: whether there were so many */

static bool was_met_often(void) {
    return __atomic_load_n((bool *)shared.map, __ATOMIC_RELAXED);
}

static bool exchange(Client *client, unsigned round) {
    uint64_t bytes = (round * UINT64_C(2654435761)) % 20000, n = 0;
    Request *request;
    int r;

    if (client_take(client, &request) != 0)
        return false;
    while ((r = request_reserve(request, bytes, round % 2)) == CLIENT_PENDING)
        if (client_wait(client, UINT64_MAX) < 0)
            return false;
    if (r != 0)
        return false;
    request->payload_bytes = bytes;
    if (bytes > 0)
        memset(request->segment.map, (int)(round % 251) + 1, bytes);
    if (request_send(request) < 0)
        return false;
    while (request->state != REQUEST_ENDED)
        if (client_wait(client, UINT64_MAX) < 0)
            return false;
    if (request->end != SLOT_DONE || request->response_bytes != bytes)
        return false;
    while (n < bytes && ((uint8_t *)request->response.map)[n] == round % 251 + 1)
        n++;
    request_release(request);
    return n == bytes;
}

static int call_without_rest(void) {
    Client *client;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "caller") < 0)
        return 2;
    while (client_state(client) == CLIENT_CONNECTING)
        if (client_wait(client, UINT64_MAX) < 0)
            return 3;
    for (unsigned round = 0; round < N_EXCHANGES || !was_met_often(); round++)
        if (!exchange(client, round) ||
            client_wait(client, round % 2 ? 0 : clock_now_ns() + 50 * NS_PER_US) < 0)
            return 4;
    return 0;
}

/* A host that does nothing else than to take away what is idle for a moment. */
START_TEST(no_exchange_loses_its_bytes_while_memory_is_given_back) {
    PartyWorker *workers[] = {party_add_worker(NULL), party_add_worker(NULL)};
    Child callers[2];
    size_t n_given_back = 0;

    ck_assert_int_eq(page_init_create(&shared, "shmipc-test", PAGE_BYTES), 0);
    for (size_t i = 0; i < 2; i++)
        callers[i] = child_start(UNIT_SAME_UID, call_without_rest);
    party.host->patience.squeeze_ns = 0;
    AWAIT(party.host->n_clients == 2);
    while (party.host->n_clients > 0) {
        uint64_t before = party.host->memory_bytes;

        host_squeeze(party.host, NULL, UINT64_MAX);
        n_given_back += party.host->memory_bytes < before;
        __atomic_store_n((bool *)shared.map, n_given_back >= N_MEETINGS, __ATOMIC_RELAXED);
        ck_assert_int_eq(host_wait(party.host, 0), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(child_end(&callers[i]), 0);
        party_stop_worker(workers[i]);
    }
    page_deinit(&shared);
}
END_TEST

/* ---- suite ---- */

Suite *unit_suite(void) {
    Suite *suite = suite_create("memory");
    TCase *back = party_add_case(suite, "given-back", party_begin, party_end);
    TCase *held = party_add_case(suite, "held", party_begin, party_end);
    TCase *refused = party_add_case(suite, "refused", party_begin, party_end);
    TCase *copies = party_add_case(suite, "copies", party_begin, party_end);
    TCase *peers = party_add_case(suite, "peers", party_begin, party_end);
    TCase *races = party_add_case(suite, "races", party_begin, party_end);

    tcase_add_test(back, idle_memory_goes_back_to_the_system);
    tcase_add_test(back, what_was_used_since_the_last_look_is_kept);
    tcase_add_test(back, host_looks_for_idle_memory_by_itself);
    tcase_add_test(back, never_means_never);
    tcase_add_test(back, response_that_is_being_read_keeps_its_bytes);
    tcase_add_test(back, request_that_is_being_filled_keeps_its_bytes);
    tcase_add_test(back, request_that_waits_for_a_worker_keeps_its_bytes);
    tcase_add_test(back, client_that_comes_back_gets_the_right_bytes);
    tcase_add_test(back, window_that_was_taken_and_not_sent_is_given_back);
    tcase_add_test(back, late_answer_about_memory_counts_for_nothing);
    tcase_add_test(held, client_that_finds_its_slot_held_asks_first);
    tcase_add_test(held, what_was_submitted_while_it_was_held_is_announced);
    tcase_add_test(held, host_that_was_killed_as_it_gave_back_leaves_nothing_behind);
    tcase_add_test(held, client_that_took_its_slot_in_time_keeps_its_window);
    tcase_add_test(refused, idle_memory_gives_way_to_who_wants_it);
    tcase_add_test(refused, memory_in_use_gives_way_to_nobody);
    tcase_add_test(refused, idle_memory_gives_way_now_and_then_only);
    tcase_add_test(refused, idle_memory_gives_way_each_time_that_it_helps);
    tcase_add_test(refused, hosts_own_user_has_all_of_it);
    if (unit_is_root())
        tcase_add_test(refused, other_users_have_half_of_it_each);
    tcase_add_test(refused, automatic_budget_stays_below_what_a_worker_may_use);
    tcase_add_test(copies, copy_of_a_request_counts_and_is_kept_for_the_next);
    tcase_add_test(copies, copies_that_are_not_needed_any_more_are_given_back);
    tcase_add_test(copies, copy_over_the_budget_fails_its_exchange_and_no_other);
    tcase_add_test(copies, request_that_is_handled_in_place_asks_for_no_copy);
    tcase_add_test(copies, worker_says_how_much_it_wants_in_all);
    tcase_add_test(copies, private_copies_are_no_clients_and_whole_pages);
    tcase_add_test(copies, client_has_no_private_copies);
    tcase_add_test(peers, segment_that_was_not_reserved_is_not_believed);
    tcase_add_test(peers, payloads_of_any_size_up_to_the_limit_pass);
    tcase_add_test(races, no_exchange_loses_its_bytes_while_memory_is_given_back);
    return suite;
}
