/* SPDX-License-Identifier: MIT */
/*
 * A worker, a host that speaks garbage, and a client that writes anything into its page and queue
 *
 * Both do a step at a time, and the worker has its turn. Where it waits for an answer of the host's, the host
 * says next what the input says next; where that has ended, it hangs up. The worker may let go of the host;
 * it must not crash, hang, fail otherwise, or leave a descriptor open.
 */
#include "fuzz-world.h"

#include "base/units.h"
#include "core/worker-internal.h"
#include "os/channel.h"
#include "os/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_ID 7

static char path[64];
static int listener;
static World world;
static Worker *worker;
static int channel;
static Input *script;
static const WorkerSettings settings = {.timeout_ns = 100 * NS_PER_SEC};
static Handler handler;

static void clear(void) {
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char folder[] = "/tmp/shmipc-fuzz-XXXXXX";

    fuzz_enter_namespace();
    handler.kind = &handler_echo;
    MUST(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sock", folder);
    MUST(channel_listen(path, &listener) == 0 && segment_guard_install() == 0);
    (void)atexit(clear);
    return 0;
}

static void say_number(PacketType type, uint32_t number, int *fds, size_t n_fds) {
    Packet packet;

    packet_init(&packet, type, 0);
    packet.number.number = number;
    world_say(channel, &packet, fds, n_fds);
}

static void say_welcome(uint64_t id) {
    Packet packet;

    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.id = id;
    packet.welcome.max_payload = WORLD_STRIDE;
    world_say(channel, &packet, NULL, 0);
}

static void say_queue(Input *input) {
    uint8_t what = input_u8(input);
    int fd;

    if (what < 0xc0)
        MUST(queue_connect(world.request_queue, QUEUE_READ, &fd) == 0);
    else
        fd = fuzz_odd_fd(what);
    say_number(PACKET_QUEUE, what % 2, &fd, 1);
}

static void say_client(Input *input) {
    uint8_t odd = input_u8(input);
    int fds[CLIENT_N_FDS];
    Packet packet;

    packet_init(&packet, PACKET_CLIENT, worker->serial + (odd >> 6));
    packet.client.client = CLIENT_ID;
    packet.client.uid = odd & 1;
    packet.client.n_slots = odd & 2 ? (uint32_t)input_number(input) : WORLD_SLOTS;
    packet.client.stride = odd & 4 ? input_number(input) : WORLD_STRIDE;
    packet.client.flags = odd >> 3 & 7;
    world_fds_of_client(&world, fds, input);
    world_say(channel, &packet, fds, packet.client.flags & CLIENT_GONE ? 0 : CLIENT_N_FDS);
    for (size_t i = 0; i < CLIENT_N_FDS; i++)
        fds[i] = fd_close(fds[i]);
}

static void say_reserved(Input *input) {
    uint8_t how = input_u8(input);
    Packet packet;

    packet_init(&packet, PACKET_RESERVED, worker->serial + how % 4);
    packet.reserved.client = CLIENT_ID;
    packet.reserved.bytes = WORLD_STRIDE;
    packet.reserved.code = how & 0x80 ? input_u8(input) : 0;
    world_say(channel, &packet, NULL, 0);
}

static void write_page(Input *input) {
    uint8_t slot = input_u8(input) % WORLD_SLOTS, how = input_u8(input);
    SlotWord word = state_load(world.states.map, slot, NULL);
    const SubmitRecord record = {
        .generation = word.generation + 1 + (how & 0x10 ? 1 : 0),
        .flags = how & 3,
        .payload_bytes = input_number(input),
        .segment_bytes = how & 0x20 ? input_number(input) : WORLD_STRIDE,
        .deadline_ns = how & 4 ? input_number(input) : 0,
    };

    submit_publish(world.submit.map, slot, &record);
    state_reserve(world.states.map, slot, how & 0x80 ? input_number(input) : WORLD_STRIDE);
}

static void send_message(Input *input) {
    uint8_t how = input_u8(input), slot = how % (WORLD_SLOTS + 1);
    Message message = {.client = how & 0x80 ? input_u8(input) : CLIENT_ID, .slot = slot};

    if (slot < WORLD_SLOTS)
        message.generation = submit_generation(world.submit.map, slot) + (how & 0x40 ? input_u8(input) : 0);
    (void)queue_send(world.request_queue, &message, how & 0x20 ? input_u8(input) % 33 : sizeof(message), 0);
}

/* As a client may: its object has any size. */
static void resize(Input *input) {
    MUST(ftruncate(world.requests_fd, input_u16(input) << 4) == 0);
}

/* Something that the host says. */
static void say(Input *input, uint8_t what) {
    switch (what % 8) {
    case 0:
    case 1:
        say_client(input);
        break;
    case 2:
    case 3:
        say_reserved(input);
        break;
    case 4:
        say_queue(input);
        break;
    case 5:
        say_number(PACKET_UNQUEUE, input_u8(input), NULL, 0);
        break;
    case 6:
        say_welcome(input_number(input));
        break;
    default:
        world_say_anything(channel, worker->serial, input);
    }
}

int __real_wait_for_fd(int fd, uint32_t events, uint64_t until_ns);
int __wrap_wait_for_fd(int fd, uint32_t events, uint64_t until_ns);

/* Here the worker waits for the host. */
int __wrap_wait_for_fd(int fd, uint32_t events, uint64_t until_ns) {
    if (worker && fd == worker->channel && script) {
        if (script->bytes > 0)
            say(script, input_u8(script));
        else
            (void)shutdown(channel, SHUT_WR);
    }
    return __real_wait_for_fd(fd, events, until_ns);
}

static void step(Input *input) {
    uint8_t what = input_u8(input);

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        write_page(input);
        break;
    case 3:
    case 4:
        send_message(input);
        break;
    case 5:
        resize(input);
        break;
    default:
        say(input, what >> 4);
    }
}

static void turn(void) {
    Event event;

    MUST(worker_wait(worker, 0) == 0);
    while (worker_pop_event(worker, &event))
        ;
}

static void connect_worker(void) {
    MUST(worker->state == WORKER_SEEKING);
    MUST(wait_set_timer(worker->wait, clock_now_ns()) == 0); /* it would wait for a while between two tries */
    turn();
    MUST(worker->state == WORKER_GREETING);
    MUST(channel_accept(listener, &channel) == 0);
}

static void one_connection(Input *input) {
    uint8_t how = input_u8(input), n = how % 32;

    connect_worker();
    if (how & 0x80) { /* so that not every input has to find the way in */
        say_welcome(1);
        say_queue(&(Input){NULL, 0});
        turn();
    }
    for (uint8_t i = 0; i < n && input->bytes > 0 && worker->state != WORKER_SEEKING; i++) {
        step(input);
        turn();
    }
    (void)shutdown(channel, SHUT_WR);
    for (int i = 0; i < 100 && worker->state != WORKER_SEEKING; i++)
        turn();
    MUST(worker->state == WORKER_SEEKING);
    channel = fd_close(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    int n_fds = fuzz_count_fds();
    Input input = {data, bytes};

    script = &input;
    world_open(&world);
    MUST(worker_new(&worker, "fuzz", path, &settings, &handler) == 0);
    for (int i = 0; i < 3 && input.bytes > 0; i++)
        one_connection(&input);
    script = NULL;
    worker = worker_free(worker);
    world_close(&world);
    MUST(fuzz_count_fds() == n_fds);
    return 0;
}
