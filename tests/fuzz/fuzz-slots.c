/* SPDX-License-Identifier: MIT */
/*
 * The two pages of a client, turned by workers and a host while the client writes anything into its own
 *
 * What must hold whatever the client does: a claim is won only from an end of the generation before or from
 * WAITING; nobody but its owner or the host (owner dead) ends it, once; generations do not go backwards; the
 * state page has nothing of what the client wrote but generations.
 */
#include "fuzz.h"

#include "os/page.h"
#include "wire/slots.h"

#include <stdlib.h>
#include <string.h>

#define N_SLOTS   3
#define N_WORKERS 3

typedef struct World {
    uint8_t *submit;
    uint8_t *state;
    bool claimed[N_SLOTS];
    uint32_t owner[N_SLOTS];
    SlotClaim claim[N_SLOTS];
    uint64_t now_ns;
} World;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    return 0;
}

static void scribble(World *world, Input *input) {
    size_t at = input_u16(input) % slots_page_bytes(N_SLOTS);
    uint64_t number = input_number(input);
    size_t n = slots_page_bytes(N_SLOTS) - at;

    memcpy(world->submit + at, &number, n < sizeof(number) ? n : sizeof(number));
}

static void publish(World *world, uint32_t slot, Input *input) {
    SlotWord word = state_load(world->state, slot, NULL);
    const SubmitRecord record = {
        .generation = word.generation + input_u8(input) % 4,
        .flags = input_u8(input),
        .payload_bytes = input_number(input),
        .segment_bytes = input_number(input),
        .deadline_ns = input_u8(input),
    };

    submit_publish(world->submit, slot, &record);
}

static bool is_open_to(SlotWord word, uint32_t generation) {
    if (word.owner == SLOT_OWNER_HOST)
        return false;
    return word.state == SLOT_WAITING ? word.generation == generation
                                      : state_is_end(word.state) && word.generation + 1 == generation;
}

static void claim(World *world, uint32_t slot, Input *input) {
    SlotWord before = state_load(world->state, slot, NULL), after;
    uint32_t generation = before.generation + input_u8(input) % 3, owner = 1 + input_u8(input) % N_WORKERS;
    SlotClaim won;

    if (!slots_claim(world->submit, world->state, slot, generation, owner, world->now_ns, &won)) {
        after = state_load(world->state, slot, NULL);
        MUST(memcmp(&before, &after, sizeof(before)) == 0);
        return;
    }
    after = state_load(world->state, slot, NULL);
    MUST(!world->claimed[slot] && is_open_to(before, generation));
    MUST(after.state == SLOT_CLAIMED && after.owner == owner && after.generation == generation);
    MUST(after.attempts == (before.state == SLOT_WAITING ? before.attempts + 1 : 1) ||
         after.attempts == SLOT_ATTEMPTS_MAX);
    world->claimed[slot] = true;
    world->owner[slot] = owner;
    world->claim[slot] = won;
}

/* By the worker that won the claim. */
static bool is_owned(const World *world, uint32_t slot) {
    return world->claimed[slot] && world->owner[slot] != SLOT_OWNER_ENDER;
}

static void end(World *world, uint32_t slot, Input *input) {
    static const SlotState ends[] = {SLOT_DONE, SLOT_FAILED, SLOT_CANCELLED, SLOT_EXPIRED};
    SlotState state = ends[input_u8(input) % 4];
    const AnswerRecord answer = {.payload_bytes = input_u16(input), .reason = input_u8(input)};
    AnswerRecord copy;

    if (!world->claim[slot].raw)
        return;
    if (!slots_end(world->state, slot, &world->claim[slot], state, &answer)) {
        MUST(!is_owned(world, slot)); /* an old claim is worth nothing */
        return;
    }
    MUST(is_owned(world, slot));
    state_answer_copy(world->state, slot, &copy);
    MUST(copy.payload_bytes == answer.payload_bytes && copy.reason == answer.reason);
    MUST(state_load(world->state, slot, NULL).state == state);
    world->claimed[slot] = false;
}

/* A worker, or the host that is about to end the exchange. */
static uint32_t some_owner(Input *input) {
    uint8_t what = input_u8(input);

    return what == UINT8_MAX ? SLOT_OWNER_ENDER : 1u + what % N_WORKERS;
}

static void adopt(World *world, uint32_t slot, Input *input) {
    uint32_t owner = some_owner(input);
    SlotWord before = state_load(world->state, slot, NULL), after;
    bool adopted = slots_adopt(world->state, slot, owner);

    MUST(adopted == (world->claimed[slot] && world->owner[slot] == owner));
    if (adopted)
        world->owner[slot] = before.owner = SLOT_OWNER_ENDER;
    after = state_load(world->state, slot, NULL);
    MUST(memcmp(&before, &after, sizeof(before)) == 0);
}

static void settle(World *world, uint32_t slot, Input *input) {
    uint32_t owner = some_owner(input);
    uint8_t how = input_u8(input);
    SlotState state =
        slots_settle(world->submit, world->state, slot, owner, 1 + how % 3, how & 4, how & 8, world->now_ns);

    MUST((state != SLOT_DONE) == (world->claimed[slot] && world->owner[slot] == owner));
    if (state != SLOT_DONE)
        world->claimed[slot] = false;
}

static void look(World *world, uint32_t slot, Input *input) {
    SlotState state = slots_look(world->submit, world->state, slot, input_u8(input) & 1, world->now_ns);

    MUST((state == SLOT_CLAIMED) == world->claimed[slot]);
}

/* The host holds an idle slot, or lets go of it. */
static void hold(World *world, uint32_t slot) {
    if (slots_is_held(world->state, slot)) {
        slots_let_go(world->state, slot);
        MUST(!slots_is_held(world->state, slot));
    } else if (slots_hold(world->submit, world->state, slot)) {
        MUST(!world->claimed[slot] && slots_is_held(world->state, slot));
        (void)slots_empty(world->submit, world->state, slot);
    }
}

static void look_around(World *world, uint32_t slot) {
    uint32_t generation;
    SubmitRecord record;
    SlotCounts counts;

    if (slots_pending(world->submit, world->state, slot, &generation))
        MUST(slots_is_open(world->submit, world->state, slot, generation));
    submit_copy(world->submit, slot, &record);
    (void)submit_is_cancelled(world->submit, slot, record.generation);
    (void)submit_released(world->submit, slot);
    (void)slots_is_idle(world->submit, world->state, slot, &generation);
    state_counts(world->state, N_SLOTS, &counts);
    MUST(state_page_is_valid(world->state, N_SLOTS));
}

static void step(World *world, Input *input) {
    uint8_t what = input_u8(input);
    uint32_t slot = what / 16 % N_SLOTS;
    SlotWord before = state_load(world->state, slot, NULL), after;

    switch (what % 16) {
    case 0:
        scribble(world, input);
        break;
    case 1:
    case 2:
        publish(world, slot, input);
        break;
    case 3:
        submit_cancel(world->submit, slot);
        break;
    case 4:
        submit_release(world->submit, slot, input_u8(input));
        break;
    case 5:
    case 6:
    case 7:
        claim(world, slot, input);
        break;
    case 8:
    case 9:
        end(world, slot, input);
        break;
    case 10:
        settle(world, slot, input);
        break;
    case 11:
        look(world, slot, input);
        break;
    case 12:
        hold(world, slot);
        break;
    case 13:
        world->now_ns += input_u8(input);
        break;
    case 14:
        adopt(world, slot, input);
        break;
    default:
        look_around(world, slot);
    }
    after = state_load(world->state, slot, NULL);
    MUST(after.generation == before.generation || after.generation == before.generation + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Input input = {data, bytes};
    size_t page_bytes = slots_page_bytes(N_SLOTS);
    World world = {.submit = aligned_alloc(4096, page_bytes), .state = aligned_alloc(4096, page_bytes)};

    memset(world.submit, 0, page_bytes);
    memset(world.state, 0, page_bytes);
    submit_page_format(world.submit, N_SLOTS);
    state_page_format(world.state, N_SLOTS);
    while (input.bytes > 0)
        step(&world, &input);
    free(world.submit);
    free(world.state);
    return 0;
}
