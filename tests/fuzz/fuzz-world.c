/* SPDX-License-Identifier: MIT */
#include "fuzz-world.h"

#include "base/cleanup.h"
#include "os/channel.h"
#include "os/queue.h"
#include "os/segment.h"
#include "wire/message.h"
#include "wire/slots.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Others of its kind run beside it. */
static const char *own_name(void) {
    static char name[32];

    snprintf(name, sizeof(name), "/fuzz.%d", (int)getpid());
    return name;
}

void world_open(World *world) {
    size_t bytes = slots_page_bytes(WORLD_SLOTS);

    *world = (World)WORLD_NULL;
    MUST(queue_create(own_name(), 3, sizeof(Message), &world->request_queue) == 0);
    MUST(queue_create(own_name(), 2, sizeof(Message), &world->reply_queue) == 0);
    MUST(page_init_create(&world->submit, "fuzz-submit", bytes) == 0);
    MUST(page_init_create(&world->states, "fuzz-state", bytes) == 0);
    submit_page_format(world->submit.map, WORLD_SLOTS);
    state_page_format(world->states.map, WORLD_SLOTS);
    MUST(object_create(own_name(), WORLD_SLOTS * WORLD_STRIDE, &world->requests_fd) == 0);
    MUST(object_create(own_name(), WORLD_SLOTS * WORLD_STRIDE, &world->responses_fd) == 0);
}

void world_close(World *world) {
    page_deinit(&world->submit);
    page_deinit(&world->states);
    fd_close(world->request_queue);
    fd_close(world->reply_queue);
    fd_close(world->requests_fd);
    fd_close(world->responses_fd);
    *world = (World)WORLD_NULL;
}

static void replace_one(int *fds, size_t n_fds, Input *input) {
    uint8_t what = input_u8(input);
    int odd;

    if (what < 0x80)
        return;
    odd = fuzz_odd_fd(what >> 3);
    fd_close(fds[what % n_fds]);
    fds[what % n_fds] = odd;
}

void world_fds_of_welcome(const World *world, int fds[static WELCOME_N_FDS], Input *input) {
    MUST(queue_connect(world->request_queue, QUEUE_WRITE, &fds[WELCOME_REQUEST_QUEUE]) == 0);
    MUST(queue_connect(world->reply_queue, QUEUE_READ, &fds[WELCOME_REPLY_QUEUE]) == 0);
    MUST(page_reopen(&world->submit, true, &fds[WELCOME_SUBMIT]) == 0);
    MUST(page_reopen(&world->states, false, &fds[WELCOME_STATE]) == 0);
    MUST(object_connect(world->requests_fd, true, &fds[WELCOME_REQUESTS]) == 0);
    MUST(object_connect(world->responses_fd, false, &fds[WELCOME_RESPONSES]) == 0);
    replace_one(fds, WELCOME_N_FDS, input);
}

void world_fds_of_client(const World *world, int fds[static CLIENT_N_FDS], Input *input) {
    MUST(queue_connect(world->reply_queue, QUEUE_WRITE, &fds[CLIENT_REPLY_QUEUE]) == 0);
    MUST(page_reopen(&world->submit, false, &fds[CLIENT_SUBMIT]) == 0);
    MUST(page_reopen(&world->states, true, &fds[CLIENT_STATE]) == 0);
    MUST(object_connect(world->requests_fd, false, &fds[CLIENT_REQUESTS]) == 0);
    MUST(object_connect(world->responses_fd, true, &fds[CLIENT_RESPONSES]) == 0);
    replace_one(fds, CLIENT_N_FDS, input);
}

void world_say(int channel, const Packet *packet, int *fds, size_t n_fds) {
    if (channel >= 0)
        (void)channel_send(channel, packet, packet->header.bytes, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fd_close(fds[i]);
}

void world_say_anything(int channel, uint64_t serial, Input *input) {
    int fds[CHANNEL_FDS_MAX];
    size_t n_fds = input_u8(input);
    Packet packet;
    size_t bytes = packet_init(&packet, (PacketType)(1 + input_u8(input) % (_PACKET_N - 1)), serial);

    n_fds = n_fds < 0x80 ? 0 : n_fds % (CHANNEL_FDS_MAX + 1);
    if (packet.header.type == PACKET_QUEUE)
        n_fds = 1;
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fuzz_odd_fd(input_u8(input));
    input_bytes(input, (uint8_t *)&packet + sizeof(packet.header), bytes - sizeof(packet.header));
    world_say(channel, &packet, fds, n_fds);
}
