/* SPDX-License-Identifier: MIT */
/*
 * What parties do to one slot at the same time, over one mapping, so that a thread sanitizer sees every race;
 * and what random bytes and random calls do to the pages. Payloads here are plain memory beside the pages:
 * whoever touches them relies on the order that the word and the generation promise.
 */
#include "base/cleanup.h"
#include "base/units.h"
#include "os/wait.h"
#include "unit.h"
#include "wire/reason.h"
#include "wire/slots.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define N_SLOTS   4u
#define SLOT      2u
#define N_ROUNDS  2000u
#define N_LEAST   100u
#define ENOUGH_NS (3 * NS_PER_SEC)
#define N_WORKERS 2u
#define NOW       UINT64_C(5000)
#define SEED      UINT64_C(0x2545f4914f6cdd1d)

static void *submit;
static void *state;
static uint64_t begun_ns;

/* A round takes turns on the processors: on a busy machine it is long, and fewer of them see as much. */
static bool goes_on(uint32_t round) {
    return round <= N_LEAST || (round <= N_ROUNDS && clock_now_ns() < begun_ns + ENOUGH_NS);
}

static void make_pages(void) {
    begun_ns = clock_now_ns();
    submit = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    state = aligned_alloc(4096, slots_page_bytes(N_SLOTS));
    ck_assert_ptr_nonnull(submit);
    ck_assert_ptr_nonnull(state);
    memset(submit, 0, slots_page_bytes(N_SLOTS));
    memset(state, 0, slots_page_bytes(N_SLOTS));
    submit_page_format(submit, N_SLOTS);
    state_page_format(state, N_SLOTS);
}

static void free_pages(void) {
    free(submit);
    free(state);
}

/* For what is looked at a million times: an assertion of check's writes into a file each time. */
static void expect(bool is_so, const char *what) {
    if (!is_so)
        ck_abort_msg("not so: %s", what);
}

#define EXPECT(condition) expect((condition), #condition)

static void publish(uint32_t generation, uint64_t deadline_ns) {
    const SubmitRecord record = {.generation = generation, .deadline_ns = deadline_ns};

    submit_publish(submit, SLOT, &record);
}

static uint64_t n_ended(void) {
    SlotCounts counts;

    state_counts(state, N_SLOTS, &counts);
    return counts.n_done + counts.n_failed + counts.n_cancelled;
}

/* ---- two at a time ---- */

/* Two threads that do one thing each in every round, at the same time. */
typedef struct Duel {
    pthread_barrier_t barrier;
    bool is_over;
    uint32_t generation;
    SlotClaim claim;
    bool (*left)(struct Duel *duel);
    bool (*right)(struct Duel *duel);
    bool right_did;
} Duel;

static void *fight_right(void *data) {
    Duel *duel = data;

    for (;;) {
        pthread_barrier_wait(&duel->barrier);
        if (duel->is_over)
            return NULL;
        duel->right_did = duel->right(duel);
        pthread_barrier_wait(&duel->barrier);
    }
}

/* @begin makes the round ready, @end looks what came of it. */
static void fight(Duel *duel, void (*begin)(Duel *duel), void (*end)(Duel *duel, bool left, bool right)) {
    pthread_t thread;

    pthread_barrier_init(&duel->barrier, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, fight_right, duel), 0);
    for (uint32_t i = 1; goes_on(i); i++) {
        bool left;

        duel->generation = i;
        begin(duel);
        pthread_barrier_wait(&duel->barrier);
        left = duel->left(duel);
        pthread_barrier_wait(&duel->barrier);
        end(duel, left, duel->right_did);
    }
    duel->is_over = true;
    pthread_barrier_wait(&duel->barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&duel->barrier);
}

static void begin_submitted(Duel *duel) {
    publish(duel->generation, 0);
}

static void begin_claimed(Duel *duel) {
    publish(duel->generation, 0);
    ck_assert(slots_claim(submit, state, SLOT, duel->generation, 1, NOW, &duel->claim));
}

static void begin_expired(Duel *duel) {
    publish(duel->generation, NOW);
}

static bool claim_as(Duel *duel, uint32_t owner) {
    SlotClaim claim;

    if (!slots_claim(submit, state, SLOT, duel->generation, owner, NOW, &claim))
        return false;
    duel->claim = claim;
    return true;
}

static bool claim_as_1(Duel *duel) {
    return claim_as(duel, 1);
}

static bool claim_as_2(Duel *duel) {
    return claim_as(duel, 2);
}

static void end_claim(Duel *duel) {
    if (state_load(state, SLOT, NULL).state == SLOT_CLAIMED)
        ck_assert(slots_end(state, SLOT, &duel->claim, SLOT_DONE, &(AnswerRecord){0}));
}

static void check_one_claim(Duel *duel, bool left, bool right) {
    ck_assert_int_eq(left + right, 1);
    ck_assert_uint_eq(state_load(state, SLOT, NULL).owner, left ? 1 : 2);
    end_claim(duel);
    ck_assert_uint_eq(n_ended(), duel->generation);
}

START_TEST(of_two_claims_one_is_won) {
    Duel duel = {.left = claim_as_1, .right = claim_as_2};

    fight(&duel, begin_submitted, check_one_claim);
}
END_TEST

static bool look(Duel *duel) {
    SlotState end = slots_look(submit, state, SLOT, false, NOW);

    return end == SLOT_EXPIRED || end == SLOT_CANCELLED;
}

static void check_one_end(Duel *duel, bool left, bool right) {
    ck_assert_int_eq(left + right, 1);
    end_claim(duel);
    ck_assert_uint_eq(n_ended(), duel->generation);
}

START_TEST(of_a_look_and_a_claim_one_is_won) {
    Duel duel = {.left = look, .right = claim_as_1};

    fight(&duel, begin_expired, check_one_end);
}
END_TEST

START_TEST(of_two_looks_one_ends_the_exchange) {
    Duel duel = {.left = look, .right = look};

    fight(&duel, begin_expired, check_one_end);
}
END_TEST

/* The client wishes, then looks at the word. Return: whether it may believe that it never runs. */
static bool cancel_and_look(Duel *duel) {
    submit_cancel(submit, SLOT);
    return state_load(state, SLOT, NULL).state != SLOT_CLAIMED;
}

/* The worker claims, then looks at the wish. Return: whether it goes on. */
static bool claim_and_look(Duel *duel) {
    return claim_as_1(duel) && !(duel->claim.request.flags & SUBMIT_CANCEL);
}

static void check_not_both(Duel *duel, bool never_runs, bool runs) {
    ck_assert(!(never_runs && runs));
    end_claim(duel);
}

START_TEST(what_was_cancelled_before_its_claim_never_runs) {
    Duel duel = {.left = cancel_and_look, .right = claim_and_look};

    fight(&duel, begin_submitted, check_not_both);
}
END_TEST

static bool end_it(Duel *duel) {
    return slots_end(state, SLOT, &duel->claim, SLOT_DONE, &(AnswerRecord){.payload_bytes = 1});
}

static bool settle(Duel *duel) {
    return slots_settle(submit, state, SLOT, 1, 1, true, false, NOW) != SLOT_DONE;
}

static bool settle_again(Duel *duel) {
    return slots_settle(submit, state, SLOT, 1, 2, true, false, NOW) != SLOT_DONE;
}

/* What waits again is taken and ended, so that the next round can begin. */
static void check_one_settlement(Duel *duel, bool left, bool right) {
    ck_assert_int_eq(left + right, 1);
    if (claim_as_2(duel))
        end_claim(duel);
    ck_assert_uint_eq(n_ended(), duel->generation);
}

START_TEST(of_an_end_and_a_settlement_one_counts) {
    Duel duel = {.left = end_it, .right = settle};

    fight(&duel, begin_claimed, check_one_settlement);
}
END_TEST

START_TEST(of_an_end_and_a_redelivery_one_counts) {
    Duel duel = {.left = end_it, .right = settle_again};

    fight(&duel, begin_claimed, check_one_settlement);
}
END_TEST

START_TEST(of_two_settlements_one_counts) {
    Duel duel = {.left = settle, .right = settle};

    fight(&duel, begin_claimed, check_one_settlement);
}
END_TEST

/* ---- all at once ---- */

/* Memory as the segments are: nothing but the slots orders who touches it. */
typedef struct Payloads {
    uint64_t request[N_SLOTS];
    uint64_t response[N_SLOTS];
    uint32_t n_run[N_SLOTS][N_ROUNDS + 1];
    pthread_mutex_t lock; /* for what follows */
    bool stop;
} Payloads;

static bool is_stopped(Payloads *payloads) {
    bool stop;

    pthread_mutex_lock(&payloads->lock);
    stop = payloads->stop;
    pthread_mutex_unlock(&payloads->lock);
    return stop;
}

static void stop_all(Payloads *payloads) {
    pthread_mutex_lock(&payloads->lock);
    payloads->stop = true;
    pthread_mutex_unlock(&payloads->lock);
}

typedef struct Hand {
    Payloads *payloads;
    uint32_t owner;
} Hand;

static void answer_slot(const Hand *hand, uint32_t slot) {
    Payloads *payloads = hand->payloads;
    AnswerRecord answer = {0};
    uint32_t generation;
    SlotClaim claim;

    if (!slots_pending(submit, state, slot, &generation) ||
        !slots_claim(submit, state, slot, generation, hand->owner, NOW, &claim))
        return;
    payloads->n_run[slot][generation]++;
    payloads->response[slot] = payloads->request[slot] * 3;
    answer.payload_bytes = claim.request.payload_bytes + 1;
    memcpy(answer.user, claim.request.user, sizeof(answer.user));
    if (!slots_end(state, slot, &claim, SLOT_DONE, &answer))
        abort();
}

static void *work(void *data) {
    while (!is_stopped(((Hand *)data)->payloads)) {
        for (uint32_t slot = 0; slot < N_SLOTS; slot++)
            answer_slot(data, slot);
        sched_yield();
    }
    return NULL;
}

/* The host looks without an end: nothing is cancelled or late, so nothing may change. */
static void *watch(void *data) {
    Payloads *payloads = data;

    while (!is_stopped(payloads)) {
        for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
            SlotState found = slots_look(submit, state, slot, false, NOW);

            if (found == SLOT_CANCELLED || found == SLOT_EXPIRED ||
                slots_settle(submit, state, slot, N_WORKERS + 1, 2, true, false, NOW) != SLOT_DONE)
                abort();
        }
        sched_yield();
    }
    return NULL;
}

static void submit_round(Payloads *payloads, uint32_t slot, uint32_t generation) {
    SubmitRecord record = {.generation = generation, .payload_bytes = generation * UINT64_C(1000)};

    memset(record.user, (int)(generation % 251), sizeof(record.user));
    payloads->request[slot] = generation + slot;
    submit_publish(submit, slot, &record);
}

static void check_round(Payloads *payloads, uint32_t slot, uint32_t generation) {
    SlotWord word = state_load(state, slot, NULL);
    uint8_t user[SLOT_USER_BYTES];
    AnswerRecord answer;

    while (word.generation != generation || !state_is_end(word.state)) {
        sched_yield();
        word = state_load(state, slot, NULL);
    }
    state_answer_copy(state, slot, &answer);
    ck_assert_int_eq(word.state, SLOT_DONE);
    ck_assert_uint_eq(word.attempts, 1);
    ck_assert_uint_eq(answer.payload_bytes, generation * UINT64_C(1000) + 1);
    memset(user, (int)(generation % 251), sizeof(user));
    ck_assert_mem_eq(answer.user, user, sizeof(user));
    ck_assert_uint_eq(payloads->response[slot], (generation + slot) * UINT64_C(3));
    ck_assert_uint_eq(payloads->n_run[slot][generation], 1);
}

START_TEST(each_exchange_runs_once_and_its_payloads_arrive) {
    Payloads *payloads = calloc(1, sizeof(*payloads));
    pthread_t watcher, workers[N_WORKERS];
    Hand hands[N_WORKERS];
    uint32_t generation;

    ck_assert_ptr_nonnull(payloads);
    pthread_mutex_init(&payloads->lock, NULL);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, payloads), 0);
    for (uint32_t i = 0; i < N_WORKERS; i++) {
        hands[i] = (Hand){.payloads = payloads, .owner = i + 1};
        ck_assert_int_eq(pthread_create(&workers[i], NULL, work, &hands[i]), 0);
    }
    for (generation = 1; goes_on(generation); generation++) {
        for (uint32_t slot = 0; slot < N_SLOTS; slot++)
            submit_round(payloads, slot, generation);
        for (uint32_t slot = 0; slot < N_SLOTS; slot++)
            check_round(payloads, slot, generation);
    }
    stop_all(payloads);
    for (uint32_t i = 0; i < N_WORKERS; i++)
        pthread_join(workers[i], NULL);
    pthread_join(watcher, NULL);
    ck_assert_uint_eq(n_ended(), (uint64_t)(generation - 1) * N_SLOTS);
    pthread_mutex_destroy(&payloads->lock);
    free(payloads);
}
END_TEST

/* ---- windows that are given back ---- */

#define BYTES UINT64_C(4096) /* that a window is said to have: here it is one number */

/* Punched by the host with nothing but the slot's rules to keep it from what others use. */
typedef struct Windows {
    Payloads payloads;
    bool asked; /* under the lock, as if by the socket */
    bool answered;
    uint32_t n_requests; /* that were punched; the host's own */
    uint32_t n_responses;
} Windows;

static void punch(Windows *windows, unsigned which) {
    if (which & WINDOW_REQUEST) {
        windows->payloads.request[SLOT] = 0;
        windows->n_requests++;
    }
    if (which & WINDOW_RESPONSE) {
        windows->payloads.response[SLOT] = 0;
        windows->n_responses++;
    }
}

static void answer_client(Windows *windows) {
    pthread_mutex_lock(&windows->payloads.lock);
    if (windows->asked) {
        state_reserve(state, SLOT, BYTES);
        windows->asked = false;
        windows->answered = true;
    }
    pthread_mutex_unlock(&windows->payloads.lock);
}

static void *trim(void *data) {
    Windows *windows = data;

    while (!is_stopped(&windows->payloads)) {
        if (slots_hold(submit, state, SLOT)) {
            punch(windows, slots_empty(submit, state, SLOT));
            slots_let_go(state, SLOT);
        }
        answer_client(windows);
        sched_yield();
    }
    return NULL;
}

static void *answer_from_window(void *data) {
    Windows *windows = data;
    AnswerRecord answer;
    uint32_t generation;
    SlotClaim claim;

    while (!is_stopped(&windows->payloads)) {
        sched_yield();
        if (!slots_pending(submit, state, SLOT, &generation) ||
            !slots_claim(submit, state, SLOT, generation, 1, NOW, &claim))
            continue;
        state_answer_copy(state, SLOT, &answer);
        if (answer.segment_bytes == 0 && windows->payloads.response[SLOT] != 0)
            abort(); /* it was to be punched */
        windows->payloads.response[SLOT] = windows->payloads.request[SLOT] * 3;
        answer.segment_bytes = BYTES;
        if (!slots_end(state, SLOT, &claim, SLOT_DONE, &answer))
            abort();
    }
    return NULL;
}

static void ask_host(Windows *windows) {
    bool answered = false;

    pthread_mutex_lock(&windows->payloads.lock);
    windows->asked = true;
    windows->answered = false;
    pthread_mutex_unlock(&windows->payloads.lock);
    while (!answered) {
        sched_yield();
        pthread_mutex_lock(&windows->payloads.lock);
        answered = windows->answered;
        pthread_mutex_unlock(&windows->payloads.lock);
    }
}

static void call_through_window(Windows *windows, uint32_t generation) {
    SlotWord word;

    if (submit_take(submit, state, SLOT) == 0)
        ask_host(windows);
    windows->payloads.request[SLOT] = generation;
    sched_yield();
    EXPECT(windows->payloads.request[SLOT] == generation);
    submit_publish(submit, SLOT, &(SubmitRecord){.generation = generation});
    do {
        sched_yield();
        word = state_load(state, SLOT, NULL);
    } while (word.generation != generation || !state_is_end(word.state));
    EXPECT(windows->payloads.response[SLOT] == generation * UINT64_C(3));
    EXPECT(windows->payloads.request[SLOT] == generation);
    submit_release(submit, SLOT, generation);
    for (uint32_t i = 0; i < generation % 4; i++)
        sched_yield();
}

START_TEST(nothing_that_is_used_is_given_back) {
    Windows *windows = calloc(1, sizeof(*windows));
    pthread_t host, worker;
    uint32_t generation;

    ck_assert_ptr_nonnull(windows);
    pthread_mutex_init(&windows->payloads.lock, NULL);
    ck_assert_int_eq(pthread_create(&host, NULL, trim, windows), 0);
    ck_assert_int_eq(pthread_create(&worker, NULL, answer_from_window, windows), 0);
    for (generation = 1; goes_on(generation / 2); generation++)
        call_through_window(windows, generation);
    stop_all(&windows->payloads);
    pthread_join(host, NULL);
    pthread_join(worker, NULL);
    ck_assert_uint_gt(windows->n_requests, generation / 100); /* it did meet them */
    ck_assert_uint_gt(windows->n_responses, generation / 100);
    pthread_mutex_destroy(&windows->payloads.lock);
    free(windows);
}
END_TEST

/* ---- random bytes and calls ---- */

static uint64_t random_state;

/* xorshift64*: the same numbers on each machine. */
static uint64_t random_next(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static uint32_t random_below(uint32_t limit) {
    return (uint32_t)((random_next() >> 33) % limit);
}

static void random_begin(void) {
    random_state = SEED;
    printf("# seed %#llx\n", (unsigned long long)SEED);
    fflush(stdout);
}

static void random_fill(void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)data)[i] = (uint8_t)(random_next() >> 40);
}

/* Everything that can be done to one slot, whatever is in its pages. */
static void touch(uint32_t slot) {
    uint32_t generation = random_below(2) ? submit_generation(submit, slot) : (uint32_t)random_next();
    SlotState before = state_load(state, slot, NULL).state, end;
    SubmitRecord record;
    AnswerRecord answer;
    SlotClaim claim;

    submit_copy(submit, slot, &record);
    state_answer_copy(state, slot, &answer);
    EXPECT(state_load(state, slot, NULL).state <= 15);
    (void)submit_is_cancelled(submit, slot, generation);
    end = slots_look(submit, state, slot, random_below(2), random_next());
    EXPECT(end != SLOT_CLAIMED || before == SLOT_CLAIMED);
    end = slots_settle(submit, state, slot, state_load(state, slot, NULL).owner, 15, true, false, NOW);
    EXPECT(end == SLOT_DONE || before == SLOT_CLAIMED);
    if (!slots_claim(submit, state, slot, generation, 1 + random_below(9), NOW, &claim))
        return;
    EXPECT(state_load(state, slot, NULL).state == SLOT_CLAIMED);
    EXPECT(claim.request.generation == generation);
    EXPECT(slots_end(state, slot, &claim, SLOT_DONE, &answer));
}

START_TEST(random_pages_are_read_within_their_bounds) {
    const size_t bytes = 4096; /* heads and records; meters, which are most of a page, steer nothing */

    random_begin();
    for (int i = 0; i < 4000; i++) {
        random_fill(submit, bytes);
        random_fill(state, bytes);
        (void)submit_page_is_valid(submit, N_SLOTS);
        for (uint32_t slot = 0; slot < N_SLOTS; slot++)
            touch(slot);
    }
}
END_TEST

/* What docs/protocol.md, section 4, makes of a slot: the model that the real one is compared with. */
typedef struct Model {
    uint32_t generation;
    uint32_t owner;
    uint32_t attempts;
    SlotState state;
    uint32_t submitted;
    bool cancelled;
    bool late;
    uint64_t n_ended;
} Model;

static bool model_is_open(const Model *model, uint32_t message) {
    if (model->submitted != message || model->state == SLOT_CLAIMED)
        return false;
    return message == model->generation + (model->state == SLOT_WAITING ? 0 : 1);
}

static SlotState model_wish(const Model *model, bool gone) {
    return gone || model->cancelled ? SLOT_CANCELLED : model->late ? SLOT_EXPIRED : SLOT_WAITING;
}

static void model_end(Model *model, SlotState end, uint32_t owner, uint32_t attempts) {
    model->state = end;
    model->owner = owner;
    model->attempts = attempts;
    model->n_ended += end != SLOT_WAITING;
}

/* Mostly what a good client does, sometimes not. */
static void step_submit(Model *model) {
    bool late = random_below(4) == 0;

    if (random_below(10) == 0)
        model->submitted += random_below(3) - 1;
    else if (model->state == SLOT_CLAIMED || model_is_open(model, model->submitted))
        return;
    else
        model->submitted = model->generation + (model->state == SLOT_WAITING ? 0 : 1);
    model->cancelled = false;
    model->late = late;
    publish(model->submitted, late ? NOW : 0);
}

static void step_claim(Model *model, SlotClaim *claim) {
    uint32_t message = model->generation + random_below(3), owner = 1 + random_below(3);
    bool may = model_is_open(model, message);

    EXPECT(slots_claim(submit, state, SLOT, message, owner, NOW, claim) == may);
    if (!may)
        return;
    model->attempts = model->state == SLOT_WAITING ? model->attempts + 1 : 1;
    model->generation = message;
    model->state = SLOT_CLAIMED;
    model->owner = owner;
    EXPECT(!!(claim->request.flags & SUBMIT_CANCEL) == model->cancelled);
}

/* @claim is the latest that was won; it may be lost by now. */
static void step_end(Model *model, const SlotClaim *claim) {
    SlotState end = SLOT_DONE + random_below(4);
    bool may = model->state == SLOT_CLAIMED;

    if (claim->generation == 0)
        return; /* none was won yet */
    EXPECT(slots_end(state, SLOT, claim, end, &(AnswerRecord){0}) == may);
    if (may)
        model_end(model, end, model->owner, model->attempts);
}

static void step_look(Model *model) {
    bool gone = random_below(8) == 0;
    SlotState found = slots_look(submit, state, SLOT, gone, NOW), wish = model_wish(model, gone);

    if (model->state == SLOT_CLAIMED)
        EXPECT(found == SLOT_CLAIMED);
    else if (!model_is_open(model, model->submitted))
        EXPECT(found == SLOT_DONE);
    else {
        EXPECT(found == wish);
        model->generation = model->submitted;
        if (wish != SLOT_WAITING)
            model_end(model, wish, 0, 0);
        else if (model->state != SLOT_WAITING)
            model->generation--; /* only submitted */
    }
}

static void step_settle(Model *model) {
    uint32_t owner = 1 + random_below(3), attempts = 1 + random_below(3);
    bool again = random_below(4) > 0, mine = model->state == SLOT_CLAIMED && model->owner == owner;
    SlotState found = slots_settle(submit, state, SLOT, owner, attempts, again, false, NOW);
    SlotState end = model->submitted == model->generation ? model_wish(model, false) : SLOT_WAITING;

    if (end == SLOT_WAITING && (!again || model->attempts >= attempts))
        end = SLOT_FAILED;
    EXPECT(found == (mine ? end : SLOT_DONE));
    if (mine)
        model_end(model, end, 0, model->attempts);
}

static void check_model(const Model *model) {
    SlotWord word = state_load(state, SLOT, NULL);
    uint32_t pending;

    EXPECT(word.generation == model->generation);
    EXPECT(word.owner == model->owner);
    EXPECT(word.attempts == model->attempts);
    EXPECT(word.state == model->state);
    EXPECT(n_ended() == model->n_ended);
    EXPECT(slots_pending(submit, state, SLOT, &pending) == model_is_open(model, model->submitted));
}

static void step(Model *model, SlotClaim *claim) {
    switch (random_below(8)) {
    case 0:
    case 1:
        step_submit(model);
        break;
    case 2:
    case 3:
        step_claim(model, claim);
        break;
    case 4:
        step_end(model, claim);
        break;
    case 5:
        step_look(model);
        break;
    case 6:
        step_settle(model);
        break;
    default:
        if (random_below(4) == 0) {
            submit_cancel(submit, SLOT);
            model->cancelled = true;
        }
        break;
    }
}

START_TEST(random_calls_do_what_the_table_of_states_says) {
    Model model = {0};
    SlotClaim claim = {0};

    random_begin();
    for (int i = 0; i < 300000; i++) {
        step(&model, &claim);
        check_model(&model);
    }
    ck_assert_uint_gt(model.generation, 1000); /* it went somewhere */
}
END_TEST

/* ---- suite ---- */

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, make_pages, free_pages);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("slots-races");
    TCase *races = add_case(suite, "races");
    TCase *random = add_case(suite, "random");

    tcase_add_test(races, of_two_claims_one_is_won);
    tcase_add_test(races, of_a_look_and_a_claim_one_is_won);
    tcase_add_test(races, of_two_looks_one_ends_the_exchange);
    tcase_add_test(races, what_was_cancelled_before_its_claim_never_runs);
    tcase_add_test(races, of_an_end_and_a_settlement_one_counts);
    tcase_add_test(races, of_an_end_and_a_redelivery_one_counts);
    tcase_add_test(races, of_two_settlements_one_counts);
    tcase_add_test(races, each_exchange_runs_once_and_its_payloads_arrive);
    tcase_add_test(races, nothing_that_is_used_is_given_back);
    tcase_add_test(random, random_pages_are_read_within_their_bounds);
    tcase_add_test(random, random_calls_do_what_the_table_of_states_says);
    return suite;
}
