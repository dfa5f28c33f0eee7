/* SPDX-License-Identifier: MIT */
/*
 * Attacks by the submit page: a client may write anything there at any time, also while workers read it.
 */
#include "attack.h"

#include <fcntl.h>
#include <stdlib.h>

/* Sizes and the like at every boundary that somebody may have drawn. */
static uint64_t boundary(void) {
    static const uint64_t around[] = {0,
                                      1,
                                      8,
                                      64,
                                      4096,
                                      1 << 16,
                                      1 << 20,
                                      UINT64_C(1) << 31,
                                      1u << 31,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 40,
                                      UINT64_C(1) << 63};
    size_t which = attack_random() % (ELEMENTS(around) + 3);
    uint64_t at = which < ELEMENTS(around)        ? around[which]
                  : which == ELEMENTS(around)     ? attacker->stride
                  : which == ELEMENTS(around) + 1 ? attacker->max_payload
                                                  : attacker->stride * attacker->n_slots;

    return at + attack_random() % 3 - 1;
}

static bool is_answerable(const Request *request, uint64_t payload_bytes, uint64_t segment_bytes) {
    return payload_bytes <= segment_bytes && segment_bytes <= request->granted_bytes &&
           segment_bytes % PAGE_BYTES == 0;
}

/* Sizes that are no sizes must end as "bad request"; what fits must be handled. */
static void sizes(void) {
    attack_join();
    while (attack_goes_on()) {
        Request *request = attack_prepare(2 * MIB);
        uint64_t payload_bytes = boundary();
        uint64_t segment_bytes = attack_random() % 2 ? boundary() : round_to_pages(boundary());
        bool fits = is_answerable(request, payload_bytes, segment_bytes);

        request->payload_bytes = payload_bytes;
        segment_published(&request->segment, segment_bytes);
        attack_send_and_wait(request);
        segment_published(&request->segment, 2 * MIB);
        if (fits ? request->end != SLOT_DONE || request->response_bytes != payload_bytes
                 : request->end != SLOT_FAILED || request->reason != REASON_BAD_REQUEST)
            errx(EXIT_FAILURE, "%llu bytes in %llu ended in state %d: %s", (unsigned long long)payload_bytes,
                 (unsigned long long)segment_bytes, (int)request->end, reason_name(request->reason));
        request_release(request);
    }
    attack_be_honest();
}

/* Any word of any record, and of the head, to anything; and the page's memory given back under everybody. */
static void scribble(void) {
    uint64_t *words = attacker->submit.map;

    (void)fallocate(attacker->submit.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_BYTES);
    for (int i = 0; i < 1000; i++) {
        size_t at = attack_random() % (attacker->submit.bytes / sizeof(*words));

        words[at] = attack_random() % 2 ? boundary() : attack_random();
    }
}

/* Records that change all the time, and messages that fit them at some moment. */
static void fields(void) {
    attack_join();
    attack_beside(scribble);
    while (attack_goes_on())
        for (uint32_t slot = 0; slot < attacker->n_slots; slot++) {
            SlotWord word = state_load(attacker->states.map, slot, NULL);
            const SubmitRecord record = {
                .generation = word.generation + 1, .payload_bytes = PAGE_BYTES, .segment_bytes = PAGE_BYTES};
            const Message message = {.client = attacker->id, .slot = slot, .generation = word.generation + 1};

            submit_publish(attacker->submit.map, slot, &record);
            attack_put(&message, sizeof(message), 0);
            if (client_dispatch(attacker) < 0)
                errx(EXIT_FAILURE, "dispatching");
        }
}

/* Generations that are not the next one claim nothing, however they are announced. */
static void generations(void) {
    attack_join();
    while (attack_goes_on())
        for (uint32_t slot = 0; slot < attacker->n_slots; slot++) {
            SlotWord before = state_load(attacker->states.map, slot, NULL), after;
            const SubmitRecord record = {.generation =
                                             before.generation + 2 + (uint32_t)attack_random() % 1000};
            Message message = {.client = attacker->id, .slot = slot, .generation = record.generation};

            submit_publish(attacker->submit.map, slot, &record);
            attack_put(&message, sizeof(message), 0);
            for (uint32_t i = 0; i < 2; i++) {
                message.generation = before.generation + i;
                attack_put(&message, sizeof(message), 0);
            }
            after = state_load(attacker->states.map, slot, NULL);
            if (after.generation != before.generation || after.state != before.state)
                errx(EXIT_FAILURE, "a generation that is not the next was claimed");
        }
}

/* Wishes that are void as soon as they are made: past deadlines, cancels, and the host asked to look. */
static void wishes(void) {
    attack_join();
    while (attack_goes_on()) {
        Request *request = attack_prepare(0);

        if (attack_random() % 2)
            request->deadline_ns = 1 + attack_random() % (2 * clock_now_ns());
        if (request_send(request) < 0 || (attack_random() % 2 && request_cancel(request) < 0))
            errx(EXIT_FAILURE, "sending");
        if (client_dispatch(attacker) < 0)
            errx(EXIT_FAILURE, "dispatching");
        request_release(request);
    }
    attack_be_honest();
}

const Attack slot_attacks[] = {
    {"sizes", sizes}, {"fields", fields}, {"generations", generations}, {"wishes", wishes}, {NULL, NULL},
};
