/* SPDX-License-Identifier: MIT */
/* What a host says of itself, while those of whom it speaks come and go. */
#include "party.h"

#include <errno.h>

#define N_SLOTS 256 /* so many that the host waits for room before it has told all of one client */

static Client *client_with_slots_taken(void) {
    Client *client = party_add_client();
    Request *request;

    for (uint32_t i = 0; i < N_SLOTS; i++)
        ck_assert_int_eq(client_take(client, &request), 0);
    return client;
}

static void ask_slots(int fd, uint64_t serial) {
    Packet packet;

    packet_init(&packet, PACKET_STATUS_SLOTS, serial);
    raw_say(fd, &packet);
}

static void next_row(int fd, Packet *ret) {
    int fds[CHANNEL_FDS_MAX], r;
    size_t bytes, n_fds;

    while ((r = channel_receive(fd, ret, sizeof(*ret), &bytes, fds, &n_fds)) == -EAGAIN)
        party_await_fd(fd);
    ck_assert_int_eq(r, 0);
}

/* The host's side of who asks. */
static const Peer *asker(void) {
    for (size_t i = 0; i < party.host->peers.n; i++) {
        const Peer *peer = table_at(&party.host->peers, i);

        if (peer->role == PEER_STATUS)
            return peer;
    }
    return NULL;
}

/* Read until the host waits for more room in the midst of that client's slots. */
static void read_until_within(int fd, const Client *client) {
    Packet packet;

    while (asker()->status_client != client_id(client) || asker()->status_slot == 0 ||
           asker()->status_slot == N_SLOTS) {
        next_row(fd, &packet);
        party_settle();
    }
}

START_TEST(client_that_goes_in_the_midst_of_its_slots_takes_none_of_the_next) {
    enum { N_ASKED = 3 };
    int fd = raw_connect(PEER_STATUS);
    uint64_t serial, next_id, n_rows = 0;
    Client *going, *next;
    Packet packet;

    party.settings.requests_per_client = N_SLOTS;
    going = client_with_slots_taken();
    next = client_with_slots_taken();
    next_id = client_id(next);
    for (uint64_t i = 1; i <= N_ASKED; i++)
        ask_slots(fd, i);
    party_settle();
    read_until_within(fd, going);
    serial = asker()->status_serial;
    ck_assert_uint_lt(serial, N_ASKED);
    party_remove_client(going);
    do {
        next_row(fd, &packet);
        if (packet.header.serial == serial && packet.header.type == PACKET_STATUS_SLOT)
            n_rows += packet.status_slot.client == next_id;
    } while (packet.header.serial != serial || packet.header.type != PACKET_STATUS_END);
    ck_assert_uint_eq(n_rows, N_SLOTS);
    fd_close(fd);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("status");
    TCase *tests = party_add_case(suite, "rows", party_begin, party_end);

    tcase_add_test(tests, client_that_goes_in_the_midst_of_its_slots_takes_none_of_the_next);
    return suite;
}
