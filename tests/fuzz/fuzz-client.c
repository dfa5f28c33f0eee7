/* SPDX-License-Identifier: MIT */
/*
 * A client and a host that speaks garbage: packets that it does not expect, descriptors of the wrong kind, a
 * state page with anything in it, replies about nothing, and a hang-up in between
 *
 * The client may fail, and then ends; it must not crash, hang, or leave a descriptor open. What it hands out
 * has ended exactly once.
 */
#include "fuzz-world.h"

#include "base/units.h"
#include "core/client-internal.h"
#include "os/channel.h"
#include "os/queue.h"
#include "wire/message.h"

#include <string.h>

static World world;
static Client *client;
static int channel;
static bool failed;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    fuzz_enter_namespace();
    return 0;
}

static void note(int r) {
    failed = failed || r < 0;
}

static void say_welcome(Input *input) {
    int fds[WELCOME_N_FDS];
    uint8_t odd = input_u8(input);
    Packet packet;

    packet_init(&packet, PACKET_WELCOME, 0);
    packet.welcome.version = PROTOCOL_VERSION;
    packet.welcome.id = 7;
    packet.welcome.n_slots = odd & 1 ? (uint32_t)input_number(input) : WORLD_SLOTS;
    packet.welcome.stride = odd & 2 ? input_number(input) : WORLD_STRIDE;
    packet.welcome.max_payload = odd & 4 ? input_number(input) : WORLD_STRIDE;
    world_fds_of_welcome(&world, fds, input);
    world_say(channel, &packet, fds, WELCOME_N_FDS);
}

static void say_reserved(Input *input) {
    uint8_t how = input_u8(input);
    Packet packet;

    packet_init(&packet, PACKET_RESERVED, how & 0x80 ? client->serial : input_u8(input));
    packet.reserved.client = client->id;
    packet.reserved.slot = how % (WORLD_SLOTS + 1);
    packet.reserved.direction = how >> 2 & 3;
    packet.reserved.bytes = how & 0x40 ? input_number(input) : WORLD_STRIDE;
    packet.reserved.code = how & 0x20 ? input_u8(input) : 0;
    world_say(channel, &packet, NULL, 0);
}

static void write_state(Input *input) {
    size_t at = input_u16(input) % (world.states.bytes / sizeof(uint64_t)) * sizeof(uint64_t);
    uint64_t number = input_number(input);

    memcpy((uint8_t *)world.states.map + at, &number, sizeof(number));
}

/* A slot's word and answer, that would end what the client has submitted there. */
static void end_slot(Input *input) {
    uint8_t how = input_u8(input);
    size_t slot = how % WORLD_SLOTS, claim = 128 + slot * 64, answer = 128 + 8 * 64 + slot * 128;
    uint64_t word = submit_generation(world.submit.map, how % WORLD_SLOTS) | (uint64_t)(how >> 2 & 7) << 56;
    uint64_t numbers[] = {input_number(input), input_number(input)};

    memcpy((uint8_t *)world.states.map + answer + 8, numbers, sizeof(numbers));
    memcpy((uint8_t *)world.states.map + answer, &word, sizeof(word));
    memcpy((uint8_t *)world.states.map + claim, &word, sizeof(word));
}

static void send_reply(Input *input) {
    Message message;

    input_bytes(input, &message, sizeof(message));
    (void)queue_send(world.reply_queue, &message, 1 + input_u8(input) % sizeof(message), 0);
}

static Request *request_at(Input *input) {
    return client->requests ? &client->requests[input_u8(input) % client->n_slots] : NULL;
}

static void use_request(Input *input, uint8_t what) {
    Request *request = request_at(input);

    if (!request || failed)
        return;
    if (what == 0 && (request->state == REQUEST_TAKEN || request->state == REQUEST_GROWING))
        note(request_reserve(request, input_number(input), what & 1));
    else if (what == 1 && request->state == REQUEST_TAKEN) {
        request->payload_bytes = input_number(input);
        request->deadline_ns = input_number(input);
        note(request_send(request));
    } else if (what == 2)
        note(request_cancel(request));
    else if (what == 3)
        request_release(request);
}

static void pop(void) {
    Request *request;

    while (client_pop(client, &request)) {
        MUST(request->state == REQUEST_ENDED);
        MUST(state_is_end(request->end) && request->end != SLOT_FRESH);
        MUST(request->response_bytes == 0 ||
             (request->response.map && request->response_bytes <= request->response.bytes));
        request_release(request);
    }
}

static void step(Input *input) {
    Request *request;
    uint8_t what = input_u8(input);

    switch (what % 16) {
    case 0:
        say_welcome(input);
        break;
    case 1:
    case 2:
        say_reserved(input);
        break;
    case 3:
        world_say_anything(channel, input_u8(input), input);
        break;
    case 4:
        write_state(input);
        break;
    case 5:
    case 6:
        end_slot(input);
        break;
    case 7:
        send_reply(input);
        break;
    case 8:
        channel = fd_close(channel);
        break;
    case 9:
    case 10:
        (void)client_take(client, &request);
        break;
    case 11:
        pop();
        break;
    default:
        use_request(input, what % 16 - 12);
    }
    if (!failed)
        note(client_dispatch(client));
}

static void check_end(void) {
    channel = fd_close(channel);
    if (failed)
        return;
    note(client_dispatch(client));
    MUST(failed || client->n_in_flight == 0);
    pop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    int n_fds = fuzz_count_fds(), fds[2];
    Input input = {data, bytes};

    failed = false;
    world_open(&world);
    MUST(channel_pair(fds) == 0);
    channel = fds[0];
    MUST(client_new(&client, fds[1], "fuzz") == 0);
    if (input_u8(&input) & 1) /* at once, so that not every input has to find the way in */
        say_welcome(&(Input){NULL, 0});
    for (int i = 0; i < 100 && input.bytes > 0 && !failed; i++)
        step(&input);
    check_end();
    client = client_free(client);
    world_close(&world);
    MUST(fuzz_count_fds() == n_fds);
    return 0;
}
