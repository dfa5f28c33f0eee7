/* SPDX-License-Identifier: MIT */
/*
 * What workers make of a host that tells nonsense: they let go of it, leave nothing open, and come again.
 * Such a host is made by hand; each test ends with a true one, which the worker finds and serves.
 */
#include "party.h"

#include "os/queue.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

typedef struct FakeHost {
    int listener;
    int channel;
    PartyWorker *worker;
} FakeHost;

/* The worker has come and said HELLO. */
static void fake_accept(FakeHost *fake) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    fd_close(fake->channel);
    party_await_fd(fake->listener);
    ck_assert_int_eq(channel_accept(fake->listener, &fake->channel), 0);
    party_await_fd(fake->channel);
    ck_assert_int_eq(channel_receive(fake->channel, &packet, sizeof(packet), &bytes, fds, &n_fds), 0);
    ck_assert_ptr_null(packet_check(&packet, bytes, n_fds, PEER_STRANGER));
    ck_assert_uint_eq(packet.hello.role, PEER_WORKER);
}

static void fake_begin(FakeHost *fake) {
    *fake = (FakeHost){.channel = -1};
    party_stop_host();
    ck_assert_int_eq(channel_listen(party.path, &fake->listener), 0);
    fake->worker = party_start_worker(NULL);
    fake_accept(fake);
}

static void fake_end(FakeHost *fake) {
    fd_close(fake->channel);
    channel_unlink(party.path, fake->listener);
    fd_close(fake->listener);
    party_start_host();
    AWAIT(party_worker_state(fake->worker) == WORKER_ATTACHED && party.host->n_workers == 1);
    party_echo(party_add_client(), 100);
    party_stop_worker(fake->worker);
}

static void fake_say(FakeHost *fake, const Packet *packet, const int *fds, size_t n_fds) {
    ck_assert_int_eq(channel_send(fake->channel, packet, packet->header.bytes, fds, n_fds), 0);
}

static void fake_welcome(FakeHost *fake) {
    Packet packet;

    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.id = 1;
    fake_say(fake, &packet, NULL, 0);
    AWAIT(party_worker_state(fake->worker) == WORKER_ATTACHED);
}

START_TEST(welcome_without_a_number_is_no_welcome) {
    FakeHost fake;
    Packet packet;

    fake_begin(&fake);
    packet_init(&packet, PACKET_WELCOME, 0);
    fake_say(&fake, &packet, NULL, 0);
    fake_accept(&fake); /* it let go, and comes again */
    packet.welcome.id = (uint64_t)SLOT_OWNER_MAX + 1;
    fake_say(&fake, &packet, NULL, 0);
    fake_accept(&fake);
    fake_end(&fake);
}
END_TEST

/* Its WELCOME says more than ours. It is told once, however often the worker comes, and named a version. */
START_TEST(host_of_another_version_is_told_once) {
    Packet packet;
    FakeHost fake;
    Event event;

    fake_begin(&fake);
    for (int i = 0; i < 3; i++) {
        packet_init(&packet, PACKET_WELCOME, 0);
        packet.welcome.id = 1;
        packet.header.bytes += 8;
        fake_say(&fake, &packet, NULL, 0);
        fake_accept(&fake);
    }
    AWAIT(party_worker_told(fake.worker, EVENT_HOST_REFUSED) == 1);
    party_worker_event(fake.worker, EVENT_HOST_REFUSED, &event);
    ck_assert_int_eq(event.reason, REASON_VERSION);
    ck_assert_ptr_nonnull(strstr(event.text, "shmipc " SHMIPC_VERSION));
    ck_assert_ptr_nonnull(strstr(event.text, "restart"));
    fake_end(&fake);
}
END_TEST

START_TEST(garbage_from_a_host_makes_its_worker_come_again) {
    static const char garbage[64] = "garbage";
    FakeHost fake;

    fake_begin(&fake);
    fake_welcome(&fake);
    ck_assert_int_eq(channel_send(fake.channel, garbage, sizeof(garbage), NULL, 0), 0);
    fake_accept(&fake);
    fake_end(&fake);
}
END_TEST

START_TEST(one_queue_twice_makes_its_worker_come_again) {
    FakeHost fake;
    Packet packet;
    int queue;

    fake_begin(&fake);
    fake_welcome(&fake);
    ck_assert_int_eq(queue_create(unit_name(), 1, sizeof(Message), &queue), 0);
    packet_init(&packet, PACKET_QUEUE, 0);
    packet.number.number = 7;
    fake_say(&fake, &packet, &queue, 1);
    fake_say(&fake, &packet, &queue, 1);
    fake_accept(&fake);
    fd_close(queue);
    fake_end(&fake);
}
END_TEST

/* What cannot be waited for, what can, and a queue of something else. */
START_TEST(what_is_no_queue_makes_its_worker_come_again) {
    FakeHost fake;
    Packet packet;
    int fds[3];

    fake_begin(&fake);
    fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[1] = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_eq(queue_create(unit_name(), 1, sizeof(Message) + 1, &fds[2]), 0);
    packet_init(&packet, PACKET_QUEUE, 0);
    for (size_t i = 0; i < ELEMENTS(fds); i++) {
        fake_welcome(&fake);
        fake_say(&fake, &packet, &fds[i], 1);
        fake_accept(&fake);
        fd_close(fds[i]);
    }
    fake_end(&fake);
}
END_TEST

/*
 * Answers to MEET that come with descriptors which are of no use. The end of each test counts what is open.
 */
static const struct {
    PacketType type;
    uint32_t flags;
    bool comes_again;
} useless[] = {
    {PACKET_PING, 0, true}, /* no descriptors belong to it */
    {PACKET_CLIENT, 0, true},
    {PACKET_CLIENT, CLIENT_GONE, false},
};

START_TEST(descriptors_of_a_useless_answer_are_closed) {
    const Message message = {.client = 5, .generation = 1};
    int fds[CHANNEL_FDS_MAX], queue;
    size_t bytes, n_fds;
    FakeHost fake;
    Packet packet;

    fake_begin(&fake);
    fake_welcome(&fake);
    ck_assert_int_eq(queue_create(unit_name(), 1, sizeof(Message), &queue), 0);
    packet_init(&packet, PACKET_QUEUE, 0);
    fake_say(&fake, &packet, &queue, 1);
    ck_assert_int_eq(queue_send(queue, &message, sizeof(message), 0), 0);
    party_await_fd(fake.channel);
    ck_assert_int_eq(channel_receive(fake.channel, &packet, sizeof(packet), &bytes, fds, &n_fds), 0);
    ck_assert_uint_eq(packet.header.type, PACKET_MEET);
    packet_init(&packet, useless[_i].type, packet.header.serial);
    if (useless[_i].type == PACKET_CLIENT)
        packet.client.flags = useless[_i].flags;
    fake_say(&fake, &packet, &queue, 1);
    if (useless[_i].comes_again)
        fake_accept(&fake);
    fd_close(queue);
    fake_end(&fake);
}
END_TEST

/* What the host tells of a client when it is asked. */
static const PacketClient bad_clients[] = {
    {.n_slots = 0, .stride = 4096},          {.n_slots = SLOTS_MAX + 1, .stride = 4096},
    {.n_slots = UINT32_MAX, .stride = 4096}, {.n_slots = 1, .stride = 0},
    {.n_slots = 1, .stride = 4097},          {.n_slots = 2, .stride = UINT64_C(1) << 62},
    {.n_slots = 1, .stride = 4096}, /* would do, but comes without descriptors */
};

START_TEST(client_that_does_not_hang_together_makes_its_worker_come_again) {
    const Message message = {.client = 5, .generation = 1};
    int fds[CHANNEL_FDS_MAX], queue;
    size_t bytes, n_fds;
    FakeHost fake;
    Packet packet;

    fake_begin(&fake);
    ck_assert_int_eq(queue_create(unit_name(), 1, sizeof(Message), &queue), 0);
    for (size_t i = 0; i < ELEMENTS(bad_clients); i++) {
        fake_welcome(&fake);
        packet_init(&packet, PACKET_QUEUE, 0);
        fake_say(&fake, &packet, &queue, 1);
        ck_assert_int_eq(queue_send(queue, &message, sizeof(message), 0), 0);
        party_await_fd(fake.channel);
        ck_assert_int_eq(channel_receive(fake.channel, &packet, sizeof(packet), &bytes, fds, &n_fds), 0);
        ck_assert_uint_eq(packet.header.type, PACKET_MEET);
        packet_init(&packet, PACKET_CLIENT, packet.header.serial);
        packet.client.client = 5;
        packet.client.n_slots = bad_clients[i].n_slots;
        packet.client.stride = bad_clients[i].stride;
        fake_say(&fake, &packet, NULL, 0);
        fake_accept(&fake);
    }
    fd_close(queue);
    ck_assert_uint_eq(party_worker_told(fake.worker, EVENT_HOST_REFUSED), 1);
    fake_end(&fake);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("worker-bad-hosts");
    TCase *tests = party_add_case(suite, "bad-hosts", party_begin, party_end);

    tcase_add_test(tests, welcome_without_a_number_is_no_welcome);
    tcase_add_test(tests, host_of_another_version_is_told_once);
    tcase_add_test(tests, garbage_from_a_host_makes_its_worker_come_again);
    tcase_add_test(tests, one_queue_twice_makes_its_worker_come_again);
    tcase_add_test(tests, what_is_no_queue_makes_its_worker_come_again);
    tcase_add_loop_test(tests, descriptors_of_a_useless_answer_are_closed, 0, ELEMENTS(useless));
    tcase_add_test(tests, client_that_does_not_hang_together_makes_its_worker_come_again);
    return suite;
}
