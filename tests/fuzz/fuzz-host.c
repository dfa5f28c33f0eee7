/* SPDX-License-Identifier: MIT */
/*
 * A host and its peers: records of all kinds, with descriptors of all kinds, from clients, workers, askers of
 * status and strangers, who hang up in between; pages and queues that clients write as they like
 *
 * Peers are let in as they are by a real host, over real sockets; what they send comes from the input. After
 * each step the host has its turn. It must go on, and leave no descriptor behind.
 */
#include "fuzz.h"

#include "base/units.h"
#include "core/host-internal.h"
#include "os/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_PEERS 6
#define N_SLOTS 3

/* The other end of a connection. */
typedef struct End {
    int fd;
    uint64_t id;
    PeerRole role;
    int request_queue;
    Page submit;
    uint64_t met; /* the latest client that it was given, as a worker */
    Page met_states;
    Page met_submit;
    Page ring; /* of records, while somebody traces */
} End;

static uid_t everybody[1];
static HostSettings settings = {
    .max_payload = 1 << 16,
    .memory = 1 << 20,
    .max_clients = 4,
    .requests_per_client = N_SLOTS,
    .queue_depth = 3,
    .attempts = 2,
};
static Host *host;
static End ends[N_PEERS];
static const End no_end = {.fd = -1,
                           .request_queue = -1,
                           .submit = PAGE_NULL,
                           .met_states = PAGE_NULL,
                           .met_submit = PAGE_NULL,
                           .ring = PAGE_NULL};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const Principals all = {.uids = everybody, .n_uids = 1};

    everybody[0] = geteuid();
    settings.access = settings.workers = settings.trusted = all;
    settings.user_share = 50;
    fuzz_enter_namespace();
    return 0;
}

static void end_close(End *end) {
    fd_close(end->fd);
    fd_close(end->request_queue);
    page_deinit(&end->submit);
    page_deinit(&end->met_states);
    page_deinit(&end->met_submit);
    page_deinit(&end->ring);
    *end = no_end;
}

static void end_open(End *end) {
    int fds[2];

    end_close(end);
    MUST(channel_pair(fds) == 0);
    end->fd = fds[0];
    MUST(host_add_peer(host, fds[1], false, NULL) == 0);
}

/* ---- what is said ---- */

static void end_say(const End *end, const void *data, size_t bytes, Input *input) {
    int fds[3];
    size_t n_fds = input_u8(input);

    n_fds = n_fds < 250 ? 0 : n_fds - 250 < 3 ? n_fds - 250 : 3;
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fuzz_odd_fd(input_u8(input));
    (void)channel_send(end->fd, data, bytes, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(fds[i]);
}

static void say_hello(End *end, Input *input) {
    Packet packet;

    packet_init_hello(&packet, (PeerRole)(1 + input_u8(input) % 3), "");
    packet.hello.timeout_ns = input_number(input);
    end_say(end, &packet, packet.header.bytes, input);
}

/* A packet of the right size with anything in it, where an id belongs most often one that there is. */
static void say_packet(End *end, Input *input) {
    uint8_t type = input_u8(input);
    uint64_t id = type & 0x40 ? ends[type % N_PEERS].id : type & 0x80 ? end->met : end->id;
    Packet packet;
    size_t bytes = packet_init(&packet, (PacketType)(1 + type % 32 % (_PACKET_N - 1)), input_u8(input));

    switch (packet.header.type) {
    case PACKET_RESERVE:
        packet.reserve.client = id;
        packet.reserve.bytes = input_number(input) & ~UINT64_C(4095);
        packet.reserve.slot = input_u8(input) % (N_SLOTS + 1);
        packet.reserve.direction = input_u8(input) % 4;
        break;
    case PACKET_LOOK:
        packet.slot.slot = input_u8(input) % (N_SLOTS + 1);
        packet.slot.generation = input_u8(input);
        break;
    case PACKET_MEET:
        packet.meet.client = id;
        packet.meet.uid = everybody[0] + input_u8(input) % 2;
        break;
    case PACKET_DROPPED:
    case PACKET_HOLDS:
        packet.id.client = id;
        break;
    default:
        input_bytes(input, (uint8_t *)&packet + sizeof(packet.header), bytes - sizeof(packet.header));
    }
    end_say(end, &packet, bytes, input);
}

static void say_rubbish(const End *end, Input *input) {
    uint8_t record[CHANNEL_RECORD_MAX];
    size_t bytes = 1 + input_u16(input) % sizeof(record);

    input_bytes(input, record, bytes);
    end_say(end, record, bytes, input);
}

/* ---- what is heard ---- */

/* Pages and queues stay; the rest is let go. */
static void end_take(End *end, const Packet *packet, int *fds) {
    size_t bytes = slots_page_bytes(N_SLOTS);

    if (packet->header.type == PACKET_WELCOME) {
        end->id = packet->welcome.id;
        end->role = packet->welcome.n_slots ? PEER_CLIENT : PEER_WORKER;
    }
    if (packet->header.type == PACKET_WELCOME && end->role == PEER_CLIENT) {
        end->request_queue = TAKE_FD(fds[WELCOME_REQUEST_QUEUE]);
        MUST(page_init_connect(&end->submit, TAKE_FD(fds[WELCOME_SUBMIT]), bytes, true) == 0);
    }
    if (packet->header.type == PACKET_RING) {
        page_deinit(&end->ring);
        MUST(page_init_connect(&end->ring, TAKE_FD(fds[0]), TRACE_RING_BYTES, true) == 0);
    }
    if (packet->header.type == PACKET_CLIENT && !(packet->client.flags & CLIENT_GONE)) {
        if (packet->client.n_slots != N_SLOTS)
            return;
        page_deinit(&end->met_states);
        page_deinit(&end->met_submit);
        end->met = packet->client.client;
        MUST(page_init_connect(&end->met_states, TAKE_FD(fds[CLIENT_STATE]), bytes, true) == 0);
        MUST(page_init_connect(&end->met_submit, TAKE_FD(fds[CLIENT_SUBMIT]), bytes, false) == 0);
    }
}

static void end_hear(End *end) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    while (channel_receive(end->fd, &packet, sizeof(packet), &bytes, fds, &n_fds) == 0) {
        MUST(packet_check(&packet, bytes, n_fds, PEER_HOST) == NULL);
        end_take(end, &packet, fds);
        for (size_t i = 0; i < n_fds; i++)
            fd_close(fds[i]);
    }
}

/* ---- what is written ---- */

static void write_number(const Page *page, Input *input) {
    uint64_t number = input_number(input);

    memcpy((uint8_t *)page->map + input_u16(input) % (page->bytes - sizeof(number)), &number, sizeof(number));
}

/* As a worker whose records somebody wants: one that may be true, or anything anywhere. */
static void write_ring(const End *end, Input *input) {
    uint8_t how = input_u8(input);
    TraceRecord record = {.client = end->met, .ended_ns = clock_now_ns(), .attempt = how & 3};

    record.slot = how >> 2 & 3;
    record.end = how >> 4 & 7;
    if (how & 0x80)
        write_number(&end->ring, input);
    else
        trace_write(end->ring.map, &record);
    if (host->trace.look_ns)
        host->trace.look_ns = 1; /* a ring stays when its last reader has gone, and then nobody looks */
}

static void write_page(End *end, Input *input) {
    uint8_t slot;
    SubmitRecord record;

    if (end->ring.map)
        write_ring(end, input);
    if (!end->submit.map)
        return;
    slot = input_u8(input);
    if (slot & 0x80) {
        write_number(&end->submit, input);
        return;
    }
    record = (SubmitRecord){
        .generation = submit_generation(end->submit.map, slot % N_SLOTS) + (slot & 0x40 ? 1 : 0),
        .flags = slot >> 4 & 3,
        .payload_bytes = input_number(input),
        .segment_bytes = input_number(input),
        .deadline_ns = input_number(input),
    };
    submit_publish(end->submit.map, slot % N_SLOTS, &record);
    if (slot & 0x08)
        submit_release(end->submit.map, slot % N_SLOTS, record.generation);
}

static void send_message(const End *end, Input *input) {
    Message message = {.client = end->id};

    if (end->request_queue < 0)
        return;
    message.slot = input_u8(input);
    message.generation = input_u8(input);
    (void)queue_send(end->request_queue, &message, 1 + input_u8(input) % sizeof(message), input_u8(input));
}

/* As a worker: claim, and perhaps end it. */
static void claim(End *end, Input *input) {
    uint8_t how = input_u8(input);
    SlotClaim won;

    if (!end->met_states.map || end->role != PEER_WORKER)
        return;
    if (!slots_claim(end->met_submit.map, end->met_states.map, how % N_SLOTS,
                     submit_generation(end->met_submit.map, how % N_SLOTS), (uint32_t)end->id, clock_now_ns(),
                     &won))
        return;
    if (how & 0x80)
        (void)slots_end(end->met_states.map, how % N_SLOTS, &won, how & 0x40 ? SLOT_DONE : SLOT_FAILED,
                        &(AnswerRecord){.payload_bytes = 1});
}

static void turn(void) {
    Event event;

    MUST(host_wait(host, 0) == 0);
    while (host_pop_event(host, &event))
        ;
}

static void step(Input *input) {
    uint8_t what = input_u8(input);
    End *end = &ends[what / 16 % N_PEERS];

    if (end->fd < 0)
        end_open(end);
    switch (what % 16) {
    case 0:
        end_close(end);
        break;
    case 1:
    case 2:
        say_hello(end, input);
        turn();
        end_hear(end);
        break;
    case 3:
    case 4:
    case 5:
        say_packet(end, input);
        break;
    case 6:
        say_rubbish(end, input);
        break;
    case 7:
    case 8:
        write_page(end, input);
        break;
    case 9:
        send_message(end, input);
        break;
    case 10:
    case 11:
        claim(end, input);
        break;
    case 12:
        host_set_settings(host, &settings); /* looks at everything in this turn */
        break;
    case 13:
        host_repeat(host);
        break;
    default:
        end_hear(end);
    }
    turn();
}

static void begin(void) {
    char name[32];

    for (size_t i = 0; i < N_PEERS; i++)
        ends[i] = no_end;
    snprintf(name, sizeof(name), "fuzz-%d", (int)getpid()); /* others of its kind run beside it */
    MUST(host_new(&host, name, &settings) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    int n_fds = fuzz_count_fds();
    Input input = {data, bytes};

    begin();
    for (int i = 0; i < 100 && input.bytes > 0; i++)
        step(&input);
    for (size_t i = 0; i < N_PEERS; i++)
        end_close(&ends[i]);
    turn();
    host = host_free(host);
    MUST(fuzz_count_fds() == n_fds);
    return 0;
}
