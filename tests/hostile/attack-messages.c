/* SPDX-License-Identifier: MIT */
/*
 * Attacks by messages: a client may put anything into its uid's request queue, in any number, and may do with
 * its own descriptors of queues what it likes.
 */
#include "attack.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdlib.h>

#define PRIORITY_MAX 32767

static void put_forged(uint64_t id, uint32_t slot, uint32_t generation, unsigned priority) {
    const Message message = {
        .client = id,
        .slot = slot,
        .generation = generation,
        .payload_bytes = UINT64_MAX,
        .segment_bytes = UINT64_MAX - 4095,
    };

    attack_put(&message, sizeof(message), priority);
}

/* In the name of others. Ids count up: whoever came shortly before us is in reach. */
static void forge(void) {
    attack_join();
    while (attack_goes_on()) {
        for (uint64_t id = attacker->id - 30; id <= attacker->id + 5; id++)
            put_forged(id, (uint32_t)(attack_random() % (attacker->n_slots + 1)),
                       (uint32_t)(attack_random() % 3), 0);
        put_forged(0, 0, 1, 0);
        put_forged(UINT64_MAX, UINT32_MAX, UINT32_MAX, 0);
    }
    attack_be_honest();
}

static void garbage(void) {
    uint64_t rubbish[sizeof(Message) / sizeof(uint64_t)];

    attack_join();
    while (attack_goes_on()) {
        for (size_t i = 0; i < ELEMENTS(rubbish); i++)
            rubbish[i] = attack_random();
        attack_put(rubbish, sizeof(rubbish), 0);
    }
    attack_be_honest();
}

static void wrong_sizes(void) {
    const char nothing[sizeof(Message)] = "";

    attack_join();
    while (attack_goes_on())
        for (size_t bytes = 0; bytes < sizeof(nothing); bytes++)
            attack_put(nothing, bytes, 0);
    if (queue_send(attacker->request_queue, nothing, sizeof(nothing) + 1, 0) != -EMSGSIZE)
        errx(EXIT_FAILURE, "a message that is too long was taken");
    attack_be_honest();
}

/* At the top priority, about a slot of its own: one look at a page for each. */
static void flood(void) {
    attack_join();
    while (attack_goes_on())
        for (int i = 0; i < 100; i++)
            put_forged(attacker->id, (uint32_t)i % attacker->n_slots, 7, PRIORITY_MAX);
}

/* Likewise about nobody: a worker would have to ask its host for each. */
static void flood_of_strangers(void) {
    attack_join();
    while (attack_goes_on())
        for (uint32_t i = 0; i < 100; i++)
            put_forged(attacker->id + 1000 + attack_random() % 1000000, i, 1, PRIORITY_MAX);
}

/* What was true once, again and again: before, while and after it is handled. */
static void replay(void) {
    attack_join();
    while (attack_goes_on()) {
        Request *request = attack_prepare(PAGE_BYTES);

        if (request_send(request) < 0)
            errx(EXIT_FAILURE, "sending");
        for (int i = 0; i < 20; i++)
            put_forged(attacker->id, request->slot, request->generation - (uint32_t)i % 3, 0);
        while (request->state != REQUEST_ENDED)
            attack_turn();
        put_forged(attacker->id, request->slot, request->generation, 0);
        if (request->end != SLOT_DONE)
            errx(EXIT_FAILURE, "ended in state %d", (int)request->end);
        request_release(request);
    }
}

/* The one registration that a queue has for whoever wants to be told. */
static void notify(void) {
    const struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

    (void)signal(SIGUSR1, SIG_IGN);
    attack_join();
    while (attack_goes_on()) {
        if (mq_notify(attacker->request_queue, &event) < 0 && errno != EBUSY)
            err(EXIT_FAILURE, "mq_notify");
        if (mq_notify(attacker->reply_queue, &event) < 0 && errno != EBUSY)
            err(EXIT_FAILURE, "mq_notify");
        attack_be_honest();
    }
}

/* O_NONBLOCK belongs to the open description, and each one has its own. */
static void clear_nonblock(void) {
    const struct mq_attr blocking = {.mq_flags = 0};
    const int queues[] = {attacker->request_queue, attacker->reply_queue};

    for (size_t i = 0; i < ELEMENTS(queues); i++)
        if (mq_setattr(queues[i], &blocking, NULL) < 0 || fcntl(queues[i], F_SETFL, 0) < 0)
            err(EXIT_FAILURE, "clearing O_NONBLOCK");
}

static void blocking(void) {
    attack_join();
    clear_nonblock();
    while (attack_goes_on()) {
        for (int i = 0; i < 100; i++)
            put_forged(attacker->id, 0, 7, 0);
        attack_be_honest();
    }
}

/* Requests as fast as they are handled, their replies left in the queue. */
static void deaf(void) {
    uint32_t generation[1024] = {0};
    SlotWord word;

    attack_join();
    while (attack_goes_on())
        for (uint32_t slot = 0; slot < attacker->n_slots; slot++) {
            const SubmitRecord record = {.generation = generation[slot] + 1};

            word = state_load(attacker->states.map, slot, NULL);
            if (word.generation != generation[slot] || !state_is_end(word.state))
                continue;
            generation[slot]++;
            submit_publish(attacker->submit.map, slot, &record);
            put_forged(attacker->id, slot, generation[slot], PRIORITY_MAX);
        }
}

const Attack message_attacks[] = {
    {"forge", forge},
    {"garbage-messages", garbage},
    {"wrong-sizes", wrong_sizes},
    {"flood", flood},
    {"flood-of-strangers", flood_of_strangers},
    {"replay", replay},
    {"notify", notify},
    {"blocking", blocking},
    {"deaf", deaf},
    {NULL, NULL},
};
