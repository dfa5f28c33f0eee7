/* SPDX-License-Identifier: MIT */
/*
 * Who talks to the host and keeps no rules: is thrown out, and nobody else is hurt. Each test has a client
 * and a worker that keep them, whose exchange goes well at the end.
 */
#include "party.h"

#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SEED UINT64_C(0x2545f4914f6cdd1d)

static PartyWorker *good_worker;
static Client *good_client;
static size_t n_fds_with_good_ones;

static void begin(void) {
    party_begin();
    good_worker = party_add_worker(NULL);
    good_client = party_add_client();
    party_echo(good_client, 1000);
    n_fds_with_good_ones = unit_n_fds();
}

static void end(void) {
    party_echo(good_client, 5000);
    AWAIT(party.host->n_workers == 1);
    party_stop_worker(good_worker);
    party_end();
}

static unsigned n_thrown_out;

/* The host hangs up on @fd, counts it, and says why in the log (that once in a while, if it happens often).
 */
static void check_thrown_out(int fd) {
    raw_expect_end(fd);
    fd_close(fd);
    ck_assert_uint_eq(party.host->n_misbehaved, ++n_thrown_out);
    ck_assert_uint_gt(strlen(party_event(EVENT_PEER_MISBEHAVED)->text), 0);
}

/* A client by hand that was let in. */
static int join_as_client(Packet *ret_welcome) {
    int fd = raw_connect(PEER_CLIENT);

    raw_expect(fd, PACKET_WELCOME, ret_welcome, NULL);
    return fd;
}

static int join_as_worker(void) {
    int fd = raw_connect(PEER_WORKER);
    Packet packet;

    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    raw_expect(fd, PACKET_QUEUE, &packet, NULL);
    return fd;
}

/* Goes as one should, so that the host does not wait for the end of this very process. */
static void leave_as_worker(int fd) {
    Packet packet;

    packet_init(&packet, PACKET_LEAVING, 0);
    raw_say(fd, &packet);
    fd_close(fd);
    AWAIT(party.host->n_workers == 1 && party.host->workers.n == 1);
}

/* ---- what may not be said ---- */

START_TEST(stranger_who_says_anything_but_hello_is_thrown_out) {
    int fd = raw_connect(PEER_STRANGER);
    Packet packet;

    packet_init(&packet, (PacketType)_i, 1);
    raw_say(fd, &packet);
    check_thrown_out(fd);
}
END_TEST

static bool may_say(PeerRole role, int type) {
    switch (type) {
    case PACKET_RESERVE:
        return role == PEER_CLIENT || role == PEER_WORKER;
    case PACKET_LOOK:
        return role == PEER_CLIENT;
    case PACKET_MEET:
    case PACKET_DROPPED:
    case PACKET_PONG:
    case PACKET_LEAVING:
        return role == PEER_WORKER;
    case PACKET_STATUS:
    case PACKET_STATUS_SLOTS:
    case PACKET_TRACE:
        return role == PEER_STATUS;
    default:
        return false;
    }
}

START_TEST(client_who_says_what_others_say_is_thrown_out) {
    Packet packet;
    int fd;

    if (may_say(PEER_CLIENT, _i))
        return;
    fd = join_as_client(&packet);
    packet_init(&packet, (PacketType)_i, 1);
    raw_say(fd, &packet);
    check_thrown_out(fd);
}
END_TEST

START_TEST(asker_of_status_who_says_what_others_say_is_thrown_out) {
    Packet packet;
    int fd;

    if (may_say(PEER_STATUS, _i))
        return;
    fd = raw_connect(PEER_STATUS);
    packet_init(&packet, (PacketType)_i, 1);
    raw_say(fd, &packet);
    check_thrown_out(fd);
}
END_TEST

/* Here the host cannot kill the worker, which is this process: it waits for its exit. */
START_TEST(worker_who_says_what_others_say_is_thrown_out) {
    Packet packet;
    int fd;

    if (may_say(PEER_WORKER, _i))
        return;
    fd = join_as_worker();
    packet_init(&packet, (PacketType)_i, 1);
    raw_say(fd, &packet);
    check_thrown_out(fd);
    ck_assert_uint_eq(party.host->workers.n, 2);
}
END_TEST

START_TEST(record_that_is_cut_off_throws_its_sender_out) {
    int fd = raw_connect(PEER_STRANGER);
    uint8_t record[sizeof(Packet) + 1] = {0};
    Packet packet;

    packet_init(&packet, PACKET_HELLO, 0);
    memcpy(record, &packet, sizeof(packet.hello));
    ck_assert_int_eq(send(fd, record, sizeof(record), 0), sizeof(record)); /* a channel sends no more */
    check_thrown_out(fd);
}
END_TEST

START_TEST(record_of_one_byte_throws_its_sender_out) {
    int fd = raw_connect(PEER_STRANGER);

    ck_assert_int_eq(channel_send(fd, "\1", 1, NULL, 0), 0);
    check_thrown_out(fd);
}
END_TEST

START_TEST(descriptors_where_none_belong_throw_their_sender_out_and_are_closed) {
    int fds[CHANNEL_FDS_MAX], fd = raw_connect(PEER_STRANGER);
    size_t n_fds = unit_n_fds();
    Packet packet;
    int r;

    for (size_t i = 0; i < ELEMENTS(fds); i++)
        fds[i] = fd;
    packet_init(&packet, PACKET_HELLO, 0);
    r = channel_send(fd, &packet, packet.header.bytes, fds, ELEMENTS(fds));
    if (r == -EPERM) { /* since Linux 6.16 they are refused before they are sent */
        fd_close(fd);
        return;
    }
    ck_assert_int_eq(r, 0);
    check_thrown_out(fd);
    ck_assert_uint_eq(unit_n_fds(), n_fds - 1);
}
END_TEST

static uint64_t random_state = SEED;

/* xorshift64*: the same numbers on each machine. */
static uint64_t random_next(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

START_TEST(random_records_throw_their_senders_out) {
    printf("# seed %#llx\n", (unsigned long long)random_state);
    fflush(stdout);
    for (int i = 0; i < 300; i++) {
        size_t bytes = 1 + random_next() % CHANNEL_RECORD_MAX;
        uint64_t record[CHANNEL_RECORD_MAX / sizeof(uint64_t)];
        int fd = raw_connect(PEER_STRANGER);

        for (size_t j = 0; j < ELEMENTS(record); j++)
            record[j] = random_next();
        ck_assert_int_eq(channel_send(fd, record, bytes, NULL, 0), 0);
        check_thrown_out(fd);
    }
}
END_TEST

START_TEST(stranger_who_says_nothing_is_thrown_out_in_time) {
    int fd = raw_connect(PEER_STRANGER);

    AWAIT(party.host->peers.n == 4); /* probe, worker, client, stranger */
    party_tick();
    ck_assert_uint_eq(party.host->peers.n, 4);
    party.host->patience.hello_ns = 0;
    party_tick();
    ck_assert_uint_eq(party.host->peers.n, 3);
    check_thrown_out(fd);
}
END_TEST

/* ---- greetings that are refused ---- */

static char refused_text[REFUSED_TEXT_BYTES];

static void check_refused_hello(const Packet *hello, Reason reason) {
    int fd = raw_connect(PEER_STRANGER);
    Packet packet;

    raw_say(fd, hello);
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    ck_assert_uint_eq(packet.refused.code, reason);
    ck_assert_uint_gt(strlen(packet.refused.text), 10);
    strcpy(refused_text, packet.refused.text);
    raw_expect_end(fd);
    fd_close(fd);
}

START_TEST(hello_without_the_magic_is_refused_in_words) {
    Packet hello;

    packet_init(&hello, PACKET_HELLO, 0);
    check_refused_hello(&hello, REASON_BAD_REQUEST);
}
END_TEST

START_TEST(hello_of_another_version_is_refused_in_words) {
    Packet hello;

    packet_init_hello(&hello, PEER_CLIENT, "");
    hello.hello.version_min = hello.hello.version_max = PROTOCOL_VERSION + 1;
    check_refused_hello(&hello, REASON_VERSION);
    ck_assert_ptr_nonnull(strstr(refused_text, "shmipc " SHMIPC_VERSION " and speaks version 1"));
    ck_assert_ptr_nonnull(strstr(refused_text, "you 2; once upgraded, `systemctl restart shmipc@test`"));
    hello.hello.version_min = hello.hello.version_max = PROTOCOL_VERSION - 1;
    check_refused_hello(&hello, REASON_VERSION);
    ck_assert_ptr_nonnull(strstr(refused_text, "you are too old for this host"));
    ck_assert_ptr_nonnull(strstr(refused_text, "you 0; start again with the new library"));
}
END_TEST

START_TEST(worker_of_a_user_who_may_not_work_is_refused_in_words) {
    Packet packet;
    int fd;

    party.settings.workers = (Principals){0};
    fd = raw_connect(PEER_WORKER);
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    ck_assert_uint_eq(packet.refused.code, REASON_NOT_ALLOWED);
    ck_assert_ptr_nonnull(strstr(packet.refused.text, "`workers`"));
    raw_expect_end(fd);
    fd_close(fd);
}
END_TEST

/* ---- questions about what is not one's own ---- */

static const PacketReserve bad_wishes[] = {
    {.client = 0, .bytes = 4096, .slot = 0, .direction = DIRECTION_REQUEST}, /* of the good client */
    {.client = 1, .bytes = 4096, .slot = 4, .direction = DIRECTION_REQUEST},
    {.client = 1, .bytes = 4096, .slot = UINT32_MAX, .direction = DIRECTION_REQUEST},
    {.client = 1, .bytes = 4097, .slot = 0, .direction = DIRECTION_REQUEST},
    {.client = 1, .bytes = 4096, .slot = 0, .direction = DIRECTION_RESPONSE},
    {.client = 1, .bytes = 4096, .slot = 0, .direction = 0},
    {.client = 1, .bytes = 4096, .slot = 0, .direction = UINT32_MAX},
};

START_TEST(client_who_wishes_memory_that_it_may_not_have_is_thrown_out) {
    Packet packet;
    int fd = join_as_client(&packet);
    uint64_t id = packet.welcome.id;

    packet_init(&packet, PACKET_RESERVE, 1);
    packet.reserve.client = bad_wishes[_i].client ? id : client_id(good_client);
    packet.reserve.bytes = bad_wishes[_i].bytes;
    packet.reserve.slot = bad_wishes[_i].slot;
    packet.reserve.direction = bad_wishes[_i].direction;
    raw_say(fd, &packet);
    check_thrown_out(fd);
    ck_assert_uint_eq(party_event(EVENT_PEER_MISBEHAVED)->client, id);
}
END_TEST

START_TEST(wish_beyond_the_window_is_answered_with_a_refusal) {
    Packet packet;
    int fd = join_as_client(&packet);
    uint64_t id = packet.welcome.id;

    packet_init(&packet, PACKET_RESERVE, 77);
    packet.reserve.client = id;
    packet.reserve.bytes = UINT64_MAX - 4095;
    packet.reserve.direction = DIRECTION_REQUEST;
    raw_say(fd, &packet);
    raw_expect(fd, PACKET_RESERVED, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 77);
    ck_assert_uint_eq(packet.reserved.code, REASON_PAYLOAD_TOO_LARGE);
    ck_assert_uint_eq(packet.reserved.bytes, 0);
    fd_close(fd);
}
END_TEST

START_TEST(client_who_has_a_slot_looked_at_that_it_does_not_have_is_thrown_out) {
    Packet packet;
    int fd = join_as_client(&packet);

    packet_init(&packet, PACKET_LOOK, 0);
    packet.slot.slot = 4;
    raw_say(fd, &packet);
    check_thrown_out(fd);
}
END_TEST

START_TEST(worker_who_wishes_memory_of_a_client_it_has_not_met_is_thrown_out) {
    int fd = join_as_worker();
    Packet packet;

    packet_init(&packet, PACKET_RESERVE, 1);
    packet.reserve.client = client_id(good_client);
    packet.reserve.bytes = 4096;
    packet.reserve.direction = DIRECTION_RESPONSE;
    raw_say(fd, &packet);
    check_thrown_out(fd);
}
END_TEST

static void check_not_met(uint64_t client, uint32_t uid) {
    int fd = join_as_worker();
    Packet packet;

    packet_init(&packet, PACKET_MEET, 5);
    packet.meet.client = client;
    packet.meet.uid = uid;
    raw_say(fd, &packet);
    raw_expect(fd, PACKET_CLIENT, &packet, NULL);
    ck_assert_uint_eq(packet.header.serial, 5);
    ck_assert_uint_eq(packet.client.client, client);
    ck_assert_uint_eq(packet.client.flags, CLIENT_GONE);
    leave_as_worker(fd);
}

START_TEST(client_that_there_is_not_cannot_be_met) {
    check_not_met(client_id(good_client) + 1000, geteuid());
}
END_TEST

/* A message about it must have come by the queue of its own user. */
START_TEST(client_cannot_be_met_by_another_users_queue) {
    check_not_met(client_id(good_client), geteuid() + 1);
}
END_TEST

START_TEST(worker_may_let_go_of_what_it_never_had) {
    int fd = join_as_worker();
    Packet packet;

    packet_init(&packet, PACKET_DROPPED, 0);
    packet.id.client = client_id(good_client);
    raw_say(fd, &packet);
    packet_init(&packet, PACKET_PONG, 0);
    raw_say(fd, &packet);
    leave_as_worker(fd);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
}
END_TEST

/* ---- who does not read ---- */

/* Ask as often as the host listens. Return: how often. */
static unsigned ask_until_nobody_listens(int fd, uint64_t client) {
    unsigned n = 0;
    Packet packet;

    packet_init(&packet, PACKET_RESERVE, 0);
    packet.reserve.client = client;
    packet.reserve.direction = DIRECTION_REQUEST;
    for (;;) {
        packet.header.serial = n;
        if (channel_send(fd, &packet, packet.header.bytes, NULL, 0) == 0)
            n++;
        else if (party_settle(), channel_send(fd, &packet, packet.header.bytes, NULL, 0) == 0)
            n++;
        else
            return n;
    }
}

START_TEST(who_does_not_read_is_not_heard_until_it_does) {
    Packet packet;
    int fd = join_as_client(&packet);
    unsigned n = ask_until_nobody_listens(fd, packet.welcome.id);

    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    party_echo(good_client, 100);
    for (unsigned i = 0; i < n; i++) {
        raw_expect(fd, PACKET_RESERVED, &packet, NULL);
        ck_assert_uint_eq(packet.header.serial, i);
    }
    fd_close(fd);
}
END_TEST

START_TEST(who_neither_reads_nor_stays_is_forgotten) {
    Packet packet;
    int fd = join_as_client(&packet);

    ask_until_nobody_listens(fd, packet.welcome.id);
    ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0); /* but it keeps the descriptor, and what it has not read */
    AWAIT(party.host->n_clients == 1);
    party_settle();
    fd_close(fd);
}
END_TEST

START_TEST(who_does_not_read_and_is_closed_is_forgotten) {
    Packet packet;
    int fd = join_as_client(&packet);

    ask_until_nobody_listens(fd, packet.welcome.id);
    fd_close(fd);
    AWAIT(party.host->n_clients == 1);
    party_settle();
}
END_TEST

/* Each LOOK makes the host talk to the worker, who is in its handler and does not listen. */
START_TEST(looks_without_end_do_not_cost_a_worker_its_place) {
    Request *request;
    Packet look;
    Gate gate;

    party_stop_worker(good_worker);
    gate_init(&gate);
    gate.deaf = true;
    good_worker = party_add_worker(&gate.handler);
    request = party_send(good_client, MIB);
    gate_await_entry(&gate);
    packet_init(&look, PACKET_LOOK, 0);
    look.slot.slot = request->slot;
    look.slot.generation = request->generation;
    for (int i = 0; i < 2000; i++)
        while (client_say(good_client, &look) == -EAGAIN)
            party_settle();
    party_settle();
    gate_open(&gate); /* now it asks for memory */
    party_check_echo(request);
    request_release(request);
    ck_assert_uint_eq(party_n_events(EVENT_PEER_MISBEHAVED), 0);
    party_stop_worker(good_worker);
    gate_deinit(&gate);
    good_worker = party_add_worker(NULL);
}
END_TEST

static void look_often(const Request *request) {
    Packet look;

    packet_init(&look, PACKET_LOOK, 0);
    look.slot.slot = request->slot;
    look.slot.generation = request->generation;
    for (int i = 0; i < 50; i++)
        while (client_say(good_client, &look) == -EAGAIN)
            party_settle();
    party_settle();
}

/* How many CANCELs lie in the socket of a worker. */
static unsigned n_cancels(int fd) {
    unsigned n = 0;
    Packet packet;

    while (recv(fd, &packet, sizeof(packet), MSG_DONTWAIT) > 0)
        n += packet.header.type == PACKET_CANCEL;
    return n;
}

START_TEST(wish_is_told_to_the_worker_once_for_each_claim) {
    int fd = raw_connect(PEER_WORKER);
    HostClient *client = party_client_of_host(good_client);
    Request *request;
    SlotClaim claim;
    Packet packet;

    party_stop_worker(good_worker);
    raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    request = party_send(good_client, 100);
    ck_assert(slots_claim(client->submit.map, client->states.map, request->slot, request->generation,
                          (uint32_t)packet.welcome.id, clock_now_ns(), &claim));
    look_often(request);
    ck_assert_uint_eq(n_cancels(fd), 0); /* nothing is wished */
    ck_assert_int_eq(request_cancel(request), 0);
    look_often(request);
    ck_assert_uint_eq(n_cancels(fd), 1);
    ck_assert(slots_end(client->states.map, request->slot, &claim, SLOT_CANCELLED, &(AnswerRecord){0}));
    look_often(request); /* an answer for each, which says that it has ended */
    AWAIT(request->state == REQUEST_ENDED);
    request_release(request);
    fd_close(fd);
    good_worker = party_add_worker(NULL);
}
END_TEST

/* ---- crowds ---- */

START_TEST(crowd_of_strangers_does_not_keep_clients_out) {
    enum { CROWD = 300 };
    int fds[CROWD];

    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = raw_connect(PEER_STRANGER);
        party_settle();
    }
    ck_assert_uint_gt(party_n_events(EVENT_PEER_MISBEHAVED), 0); /* the oldest had to go */
    party_add_client();
    for (size_t i = 0; i < CROWD; i++)
        fd_close(fds[i]);
}
END_TEST

static void limit_files(rlim_t n) {
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A TCP socket with something to say to nobody, which takes a minute to close: longer than this test may. */
static int make_lingering(int ret_others[static 2]) {
    const struct linger linger = {.l_onoff = 1, .l_linger = 60};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static char much[65536];

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    ret_others[0] = listener;
    ret_others[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
        ;
    return fd;
}

/* Then whoever still closes it is done, in a thread that nobody hears of. */
static void end_lingering(int others[static 2]) {
    fd_close(others[0]);
    fd_close(others[1]);
    while (unit_n_fds() > n_fds_with_good_ones)
        (void)poll(NULL, 0, 1);
}

/* As before Linux 6.16, where who listens cannot refuse descriptors. */
static void let_fds_come(void) {
    const int yes = 1;

    (void)setsockopt(party.host->listener, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &yes, sizeof(yes));
    party.host->fds_may_come = true;
}

/* Were it closed in the host's own thread, that would do nothing else for a minute. */
START_TEST(descriptor_that_takes_long_to_close_delays_nobody) {
    unsigned n_before = (unsigned)unit_n_fds();
    int others[2], lingering = make_lingering(others), fd;
    Packet packet;

    let_fds_come();
    fd = raw_connect(_i ? PEER_CLIENT : PEER_STRANGER);
    if (_i)
        raw_expect(fd, PACKET_WELCOME, &packet, NULL);
    packet_init(&packet, PACKET_HELLO, 0);
    ck_assert_int_eq(channel_send(fd, &packet, packet.header.bytes, &lingering, 1), 0);
    fd_close(lingering);
    check_thrown_out(fd);
    party_echo(good_client, 3000);
    end_lingering(others);
    while ((unsigned)unit_n_fds() > n_before) /* closed by a thread that nobody hears of */
        (void)poll(NULL, 0, 1);
}
END_TEST

/* Nor where it was never received. */
START_TEST(descriptor_that_lies_in_a_socket_delays_nobody) {
    int others[2], lingering = make_lingering(others), fd;
    Packet packet;

    let_fds_come();
    fd = raw_connect(PEER_STRANGER);
    AWAIT(party.host->peers.n == 4);
    packet_init(&packet, PACKET_STATUS, 0);
    raw_say(fd, &packet); /* that is what it is thrown out for */
    ck_assert_int_eq(channel_send(fd, &packet, packet.header.bytes, &lingering, 1), 0);
    fd_close(lingering);
    check_thrown_out(fd);
    party_echo(good_client, 3000);
    end_lingering(others);
}
END_TEST

/* The number that the next descriptor will have. */
static rlim_t next_file(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return (rlim_t)fd;
}

START_TEST(connection_for_which_there_is_no_descriptor_is_turned_away) {
    struct rlimit limit;
    Packet packet;
    int fd;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = raw_connect(PEER_STRANGER);
    limit_files(next_file());
    AWAIT(party_n_events(EVENT_LIMIT) > 0);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_LIMIT)->text, "LimitNOFILE="));
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    limit_files(limit.rlim_cur);
    ck_assert_uint_eq(packet.refused.code, REASON_LIMIT);
    ck_assert_ptr_nonnull(strstr(packet.refused.text, "LimitNOFILE="));
    raw_expect_end(fd);
    fd_close(fd);
    ck_assert_int_ge(party.host->spare_fd, 0);
    party_add_client();
}
END_TEST

/* Many at once are turned away one by one, with the one spare descriptor, and those who are in go on. */
START_TEST(crowd_for_which_there_are_no_descriptors_is_turned_away) {
    struct rlimit limit;
    int fds[100];

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < ELEMENTS(fds); i++)
        fds[i] = raw_connect(PEER_STRANGER);
    limit_files(next_file());
    for (size_t i = 0; i < ELEMENTS(fds); i++) {
        Packet packet;

        raw_expect(fds[i], PACKET_REFUSED, &packet, NULL);
        raw_expect_end(fds[i]);
    }
    limit_files(limit.rlim_cur);
    ck_assert_uint_eq(party.host->n_limits, ELEMENTS(fds));
    ck_assert_uint_le(party_n_events(EVENT_LIMIT), EVENTS_BURST);
    for (size_t i = 0; i < ELEMENTS(fds); i++)
        fd_close(fds[i]);
    party_add_client();
}
END_TEST

START_TEST(host_without_any_descriptor_goes_on) {
    struct rlimit limit;
    int fd, taken;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = raw_connect(PEER_STRANGER);
    /* Not even its spare one, as when others have taken all that the system has. */
    party.host->spare_fd = fd_close(party.host->spare_fd);
    taken = open("/dev/null", O_RDONLY | O_CLOEXEC);
    limit_files(next_file());
    party_turn(-1);
    party_settle(); /* nor does it ask again and again */
    limit_files(limit.rlim_cur);
    fd_close(taken);
    party_tick();
    AWAIT(party.host->peers.n == 4); /* probe, worker, client, and the one who knocked */
    fd_close(fd);
}
END_TEST

START_TEST(client_for_whom_there_are_no_descriptors_is_refused_in_words) {
    struct rlimit limit;
    Packet packet;
    int fd;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = raw_connect(PEER_CLIENT);
    limit_files(next_file() + 3); /* for the connection, but not for what a client has */
    raw_expect(fd, PACKET_REFUSED, &packet, NULL);
    limit_files(limit.rlim_cur);
    ck_assert_uint_eq(packet.refused.code, REASON_LIMIT);
    ck_assert_msg(strstr(packet.refused.text, "LimitNOFILE") != NULL, "'%s'", packet.refused.text);
    raw_expect_end(fd);
    fd_close(fd);
    ck_assert_uint_eq(party.host->n_clients, 1);
}
END_TEST

/* ---- suite ---- */

static void add_sayings(Suite *suite) {
    TCase *tests = party_add_case(suite, "sayings", begin, end);

    tcase_add_loop_test(tests, stranger_who_says_anything_but_hello_is_thrown_out, PACKET_HELLO + 1,
                        _PACKET_N);
    tcase_add_loop_test(tests, client_who_says_what_others_say_is_thrown_out, PACKET_HELLO, _PACKET_N);
    tcase_add_loop_test(tests, worker_who_says_what_others_say_is_thrown_out, PACKET_HELLO, _PACKET_N);
    tcase_add_loop_test(tests, asker_of_status_who_says_what_others_say_is_thrown_out, PACKET_HELLO,
                        _PACKET_N);
    tcase_add_test(tests, record_that_is_cut_off_throws_its_sender_out);
    tcase_add_test(tests, record_of_one_byte_throws_its_sender_out);
    tcase_add_test(tests, descriptors_where_none_belong_throw_their_sender_out_and_are_closed);
    tcase_add_test(tests, random_records_throw_their_senders_out);
    tcase_add_test(tests, stranger_who_says_nothing_is_thrown_out_in_time);
    tcase_add_test(tests, hello_without_the_magic_is_refused_in_words);
    tcase_add_test(tests, hello_of_another_version_is_refused_in_words);
    tcase_add_test(tests, worker_of_a_user_who_may_not_work_is_refused_in_words);
}

static void add_questions(Suite *suite) {
    TCase *tests = party_add_case(suite, "questions", begin, end);

    tcase_add_loop_test(tests, client_who_wishes_memory_that_it_may_not_have_is_thrown_out, 0,
                        (int)ELEMENTS(bad_wishes));
    tcase_add_test(tests, wish_beyond_the_window_is_answered_with_a_refusal);
    tcase_add_test(tests, client_who_has_a_slot_looked_at_that_it_does_not_have_is_thrown_out);
    tcase_add_test(tests, worker_who_wishes_memory_of_a_client_it_has_not_met_is_thrown_out);
    tcase_add_test(tests, client_that_there_is_not_cannot_be_met);
    tcase_add_test(tests, client_cannot_be_met_by_another_users_queue);
    tcase_add_test(tests, worker_may_let_go_of_what_it_never_had);
}

static void add_silence(Suite *suite) {
    TCase *tests = party_add_case(suite, "silence", begin, end);

    tcase_add_test(tests, who_does_not_read_is_not_heard_until_it_does);
    tcase_add_test(tests, who_neither_reads_nor_stays_is_forgotten);
    tcase_add_test(tests, who_does_not_read_and_is_closed_is_forgotten);
    tcase_add_test(tests, looks_without_end_do_not_cost_a_worker_its_place);
    tcase_add_test(tests, wish_is_told_to_the_worker_once_for_each_claim);
}

static void add_crowds(Suite *suite) {
    TCase *tests = party_add_case(suite, "crowds", begin, end);

    tcase_add_test(tests, crowd_of_strangers_does_not_keep_clients_out);
    tcase_add_test(tests, connection_for_which_there_is_no_descriptor_is_turned_away);
    tcase_add_loop_test(tests, descriptor_that_takes_long_to_close_delays_nobody, 0, 2);
    tcase_add_test(tests, descriptor_that_lies_in_a_socket_delays_nobody);
    tcase_add_test(tests, crowd_for_which_there_are_no_descriptors_is_turned_away);
    tcase_add_test(tests, host_without_any_descriptor_goes_on);
    tcase_add_test(tests, client_for_whom_there_are_no_descriptors_is_refused_in_words);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("peers");

    add_sayings(suite);
    add_questions(suite);
    add_silence(suite);
    add_crowds(suite);
    return suite;
}
