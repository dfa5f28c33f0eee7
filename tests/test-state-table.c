/* SPDX-License-Identifier: MIT */
/*
 * The table of docs/protocol.md, section 4, cell by cell: a slot in one of its states, and one thing that happens
 *
 * A test is named for its cell, ROW__COLUMN; what a cell says of a special case has a test with more words after that.
 * test-state-table.py holds the two against each other. Each test says three things: in which state the slot is
 * then, who was told, and what the client gets.
 *
 * The client does not look at its slot unless the test lets it: so that the message that it needs is seen to come.
 */
#include "party.h"

#include "base/units.h"
#include "os/channel.h"
#include "os/queue.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define SLOT 0

typedef struct Scene {
    Client *client;
    Request *request;
    HostClient *of_host;
    Page states;       /* seen by itself, also after all others have gone */
    int replies;       /* the reading end of the reply queue */
    int announcements; /* and of the request queue */
    Child owner;       /* of the claim; pid 0: none */
    Child other;
} Scene;

static Scene scene;

/* Known to children: set before they are forked. */
static uint64_t wanted_client;
static uid_t wanted_uid;
static SlotState wanted_end;

/* ---- workers, as processes ---- */

static void claim(Hand *hand, Message *ret_message, SlotClaim *ret_claim) {
    hand_attach(hand, wanted_uid);
    hand_take(hand, wanted_client, ret_message);
    hand_meet(hand, ret_message);
    hand_claim(hand, ret_message, ret_claim);
}

/* Nothing is sent: the reply message is what it dies with. */
static int claim_and_end(void) {
    Message message;
    SlotClaim won;
    Hand hand;

    claim(&hand, &message, &won);
    if (!slots_end(hand.states.map, message.slot, &won, wanted_end, &(AnswerRecord){.status = 5}))
        return 1;
    child_report('e');
    pause();
    return 2;
}

static PacketType next_of(Hand *hand, PacketType this, PacketType that) {
    int fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    do {
        while (channel_receive(hand->channel, &packet, sizeof(packet), &bytes, fds, &n_fds) == -EAGAIN)
            if (wait_for_fd(hand->channel, WAIT_READ, UINT64_MAX) < 0)
                _exit(3);
    } while (packet.header.type != this && packet.header.type != that);
    return (PacketType)packet.header.type;
}

/* At CANCEL it looks what is wished, and ends the exchange so. */
static int claim_and_listen(void) {
    SubmitRecord record;
    Message message;
    SlotClaim won;
    Hand hand;

    claim(&hand, &message, &won);
    child_report('c');
    if (next_of(&hand, PACKET_CANCEL, PACKET_GONE) == PACKET_GONE) {
        child_report('g');
        pause();
    }
    submit_copy(hand.submit.map, message.slot, &record);
    if (!slots_end(hand.states.map, message.slot, &won,
                   record.flags & SUBMIT_CANCEL ? SLOT_CANCELLED : SLOT_EXPIRED, &(AnswerRecord){0}))
        return 1;
    child_report('x');
    pause();
    return 2;
}

static int attach_and_wait(void) {
    Hand hand;

    hand_attach(&hand, wanted_uid);
    pause();
    return 1;
}

static Child add_worker(int (*function)(void)) {
    unsigned n_before = party_n_events(EVENT_WORKER_ATTACHED);
    Child child = child_start(UNIT_SAME_UID, function);

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) > n_before);
    return child;
}

static void end_child(Child *child) {
    if (child->pid == 0)
        return;
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(child), -SIGKILL);
    child->pid = 0;
}

/* ---- what can be seen ---- */

static SlotWord word(void) {
    return state_load(scene.states.map, SLOT, NULL);
}

static void check_word(SlotState state, uint32_t generation, uint32_t attempts) {
    ck_assert_int_eq(word().state, state);
    ck_assert_uint_eq(word().generation, generation);
    ck_assert_uint_eq(word().attempts, attempts);
}

/* How many messages about the slot lie in a queue, which is empty then. */
static unsigned take_all(int queue) {
    Message message;
    unsigned n = 0;
    size_t bytes;

    while (queue_receive(queue, &message, sizeof(message), &bytes) == 0)
        n += message.client == wanted_client && message.slot == SLOT;
    return n;
}

static unsigned n_told(void) {
    return take_all(scene.replies);
}

static unsigned n_announced(void) {
    return take_all(scene.announcements);
}

/* From now on the client turns with the others; it looks at its slot at once. */
static void let_client_look(void) {
    party.clients[0] = scene.client;
    if (scene.client)
        ck_assert_int_eq(client_dispatch(scene.client), 0);
}

static void check_client_gets(SlotState end, Reason reason) {
    let_client_look();
    AWAIT(scene.request->state == REQUEST_ENDED);
    ck_assert_int_eq(scene.request->end, end);
    ck_assert_int_eq(scene.request->reason, reason);
}

static void check_client_waits(void) {
    let_client_look();
    party_settle();
    ck_assert_int_eq(scene.request->state, REQUEST_SENT);
}

/* ---- states ---- */

static void be_fresh(void) {
    int fd;

    scene.client = party_add_client();
    scene.of_host = party_client_of_host(scene.client);
    wanted_client = client_id(scene.client);
    ck_assert_int_eq(queue_connect(scene.of_host->reply_queue, QUEUE_READ, &scene.replies), 0);
    ck_assert_int_eq(queue_connect(scene.of_host->uid->queue, QUEUE_READ, &scene.announcements), 0);
    ck_assert_int_eq(page_reopen(&scene.of_host->states, false, &fd), 0);
    ck_assert_int_eq(
        page_init_connect(&scene.states, fd, slots_page_bytes(scene.of_host->n_slots), false), 0);
}

static void send(void) {
    scene.request = party_send(scene.client, 0);
    ck_assert_uint_eq(scene.request->slot, SLOT);
    party.clients[0] = NULL;
}

/* Its message was taken by somebody who died with it. */
static void be_submitted(void) {
    be_fresh();
    send();
    ck_assert_uint_eq(n_announced(), 1);
}

static void be_claimed(void) {
    be_fresh();
    scene.owner = add_worker(claim_and_listen);
    send();
    ck_assert_int_eq(child_await(&scene.owner), 'c');
    check_word(SLOT_CLAIMED, 1, 1);
}

static void worker_dies(Child *child) {
    size_t n_before = party.host->workers.n;

    end_child(child);
    AWAIT(party.host->workers.n < n_before);
    party_settle();
}

static void be_waiting(void) {
    be_claimed();
    worker_dies(&scene.owner);
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_announced(), 1);
}

static const SlotState ends[] = {SLOT_DONE, SLOT_FAILED, SLOT_CANCELLED, SLOT_EXPIRED};

static void be_ended(SlotState end) {
    be_fresh();
    wanted_end = end;
    scene.owner = add_worker(claim_and_end);
    send();
    if (end == SLOT_CANCELLED)
        submit_cancel(scene.client->submit.map, SLOT); /* without a LOOK */
    ck_assert_int_eq(child_await(&scene.owner), 'e');
    check_word(end, 1, 1);
    ck_assert_uint_eq(n_told(), 0);
}

static void be_released(void) {
    be_ended(SLOT_DONE);
    check_client_gets(SLOT_DONE, REASON_NONE);
    request_release(scene.request);
    party.clients[0] = NULL;
}

/* The host is about to give its windows back. */
static void be_held(void) {
    be_released();
    ck_assert(slots_hold(scene.of_host->submit.map, scene.of_host->states.map, SLOT));
}

/* ---- what happens ---- */

static void client_dies(void) {
    let_client_look();
    party_remove_client(scene.client);
    scene.client = NULL;
    AWAIT(party.host->n_clients == 0);
    party_settle();
}

/* Another worker has been there before the slot came into its state. */
static void add_other(void) {
    scene.other = add_worker(attach_and_wait);
}

static void other_dies(void) {
    worker_dies(&scene.other);
}

/* Nobody keeps anything for it. */
static void host_dies(void) {
    party_stop_host();
}

static void client_cancels(void) {
    ck_assert_int_eq(request_cancel(scene.request), 0);
    party_settle();
}

static void deadline_passes(void) {
    SubmitRecord record;

    submit_copy(scene.client->submit.map, SLOT, &record);
    record.deadline_ns = scene.request->deadline_ns = 1;
    submit_publish(scene.client->submit.map, SLOT, &record);
    ck_assert_int_eq(client_watch_deadlines(scene.client), 0);
    party_settle();
}

/* One message that must be dropped. */
static void forge(PartyWorker *worker, const Message *message, size_t bytes) {
    unsigned n_before = party_worker_told(worker, EVENT_EXCHANGE_DROPPED);

    ck_assert_int_eq(queue_send(scene.client->request_queue, message, bytes, 0), 0);
    AWAIT(party_worker_told(worker, EVENT_EXCHANGE_DROPPED) > n_before);
}

/* Late, repeated and forged ones; none about @true_one, which would be no forgery. */
static void bad_messages_come(uint32_t true_one) {
    PartyWorker *worker = party_add_worker(NULL);
    Message message = {.client = wanted_client, .slot = SLOT};

    for (uint32_t generation = UINT32_MAX; generation != 4; generation++) {
        message.generation = generation;
        if (generation != true_one || true_one == 0)
            forge(worker, &message, sizeof(message));
    }
    message.generation = 1;
    forge(worker, &message, sizeof(message) - 1);
    message.slot = scene.client->n_slots;
    forge(worker, &message, sizeof(message));
    message.slot = SLOT;
    message.client = wanted_client + 1000;
    forge(worker, &message, sizeof(message));
    ck_assert_uint_eq(party_worker_n_exchanges(worker), 0);
    party_stop_worker(worker);
    party_settle();
}

/* ---- fresh ---- */

START_TEST(fresh__client_dies) {
    be_fresh();
    client_dies();
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(party.host->past.n_cancelled, 0);
}
END_TEST

START_TEST(fresh__other_dies) {
    add_other();
    be_fresh();
    other_dies();
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(n_announced(), 0);
}
END_TEST

START_TEST(fresh__host_dies) {
    Request *request;

    be_fresh();
    host_dies();
    AWAIT(client_state(scene.client) == CLIENT_LOST);
    ck_assert_int_eq(client_take(scene.client, &request), CLIENT_NOT_READY);
    check_word(SLOT_FRESH, 0, 0);
}
END_TEST

START_TEST(fresh__bad_message) {
    be_fresh();
    bad_messages_come(0);
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_told(), 0);
}
END_TEST

/* ---- submitted ---- */

START_TEST(submitted__client_dies) {
    be_submitted();
    client_dies();
    check_word(SLOT_CANCELLED, 1, 0);
    ck_assert_uint_eq(party.host->past.n_cancelled, 1);
}
END_TEST

START_TEST(submitted__other_dies) {
    add_other();
    be_submitted();
    other_dies();
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_announced(), 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

START_TEST(submitted__host_dies) {
    be_submitted();
    host_dies();
    check_client_gets(SLOT_FAILED, REASON_HOST_LOST);
    check_word(SLOT_FRESH, 0, 0);
}
END_TEST

START_TEST(submitted__cancelled) {
    be_submitted();
    client_cancels();
    check_word(SLOT_CANCELLED, 1, 0);
    ck_assert_uint_eq(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
}
END_TEST

START_TEST(submitted__late) {
    be_submitted();
    deadline_passes();
    check_word(SLOT_EXPIRED, 1, 0);
    ck_assert_uint_eq(n_told(), 1);
    check_client_gets(SLOT_EXPIRED, REASON_NONE);
}
END_TEST

START_TEST(submitted__bad_message) {
    be_submitted();
    bad_messages_come(1);
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

/* ---- waiting ---- */

START_TEST(waiting__client_dies) {
    be_waiting();
    client_dies();
    check_word(SLOT_CANCELLED, 1, 0);
    ck_assert_uint_eq(party.host->past.n_cancelled, 1);
}
END_TEST

START_TEST(waiting__other_dies) {
    add_other();
    be_waiting();
    other_dies();
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_announced(), 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

START_TEST(waiting__host_dies) {
    be_waiting();
    host_dies();
    check_client_gets(SLOT_FAILED, REASON_HOST_LOST);
    check_word(SLOT_WAITING, 1, 1);
}
END_TEST

START_TEST(waiting__cancelled) {
    be_waiting();
    client_cancels();
    ck_assert_int_eq(word().state, SLOT_CANCELLED);
    ck_assert_uint_eq(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
}
END_TEST

START_TEST(waiting__late) {
    be_waiting();
    deadline_passes();
    ck_assert_int_eq(word().state, SLOT_EXPIRED);
    ck_assert_uint_eq(n_told(), 1);
    check_client_gets(SLOT_EXPIRED, REASON_NONE);
}
END_TEST

START_TEST(waiting__bad_message) {
    be_waiting();
    bad_messages_come(1);
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

/* ---- claimed ---- */

START_TEST(claimed__client_dies) {
    be_claimed();
    client_dies();
    ck_assert_int_eq(child_await(&scene.owner), 'g');
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_ptr_eq(table_find(&party.host->clients, wanted_client), scene.of_host);
}
END_TEST

START_TEST(claimed__owner_dies) {
    be_claimed();
    worker_dies(&scene.owner);
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_announced(), 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

START_TEST(claimed__owner_dies_at_the_last_attempt) {
    party.settings.attempts = 1;
    be_claimed();
    worker_dies(&scene.owner);
    check_word(SLOT_FAILED, 1, 1);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_FAILED, REASON_WORKER_LOST);
}
END_TEST

START_TEST(claimed__owner_dies_after_the_client) {
    be_claimed();
    client_dies();
    worker_dies(&scene.owner);
    ck_assert_int_eq(word().state, SLOT_CANCELLED);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_ptr_null(table_find(&party.host->clients, wanted_client));
}
END_TEST

/* The wish comes without a LOOK: its owner does not hear of it. */
START_TEST(claimed__owner_dies_when_cancelled) {
    be_claimed();
    submit_cancel(scene.client->submit.map, SLOT);
    worker_dies(&scene.owner);
    ck_assert_int_eq(word().state, SLOT_CANCELLED);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
}
END_TEST

START_TEST(claimed__other_dies) {
    add_other();
    be_claimed();
    other_dies();
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

START_TEST(claimed__host_dies) {
    be_claimed();
    host_dies();
    check_client_gets(SLOT_FAILED, REASON_HOST_LOST);
    check_word(SLOT_CLAIMED, 1, 1);
}
END_TEST

START_TEST(claimed__cancelled) {
    be_claimed();
    client_cancels();
    ck_assert_int_eq(child_await(&scene.owner), 'x');
    check_word(SLOT_CANCELLED, 1, 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
}
END_TEST

START_TEST(claimed__late) {
    be_claimed();
    deadline_passes();
    ck_assert_int_eq(child_await(&scene.owner), 'x');
    check_word(SLOT_EXPIRED, 1, 1);
    check_client_gets(SLOT_EXPIRED, REASON_NONE);
}
END_TEST

START_TEST(claimed__bad_message) {
    be_claimed();
    bad_messages_come(0);
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(word().owner, 1);
    check_client_waits();
}
END_TEST

/* ---- ended, in each of the four ways ---- */

static void check_answer_stays(SlotState end) {
    check_word(end, 1, 1);
    check_client_gets(end, REASON_NONE);
    ck_assert_int_eq(scene.request->status, end == SLOT_DONE || end == SLOT_FAILED ? 5 : 0);
}

START_TEST(ended__client_dies) {
    be_ended(ends[_i]);
    client_dies();
    check_word(ends[_i], 1, 1);
    ck_assert_uint_eq(n_told(), 0);
}
END_TEST

START_TEST(ended__owner_dies) {
    be_ended(ends[_i]);
    worker_dies(&scene.owner);
    ck_assert_uint_eq(n_told(), 1);
    ck_assert_uint_eq(n_announced(), 0);
    check_answer_stays(ends[_i]);
}
END_TEST

START_TEST(ended__other_dies) {
    add_other();
    be_ended(ends[_i]);
    other_dies();
    ck_assert_uint_eq(n_told(), 1);
    ck_assert_uint_eq(n_announced(), 0);
    check_answer_stays(ends[_i]);
}
END_TEST

START_TEST(ended__host_dies) {
    be_ended(ends[_i]);
    host_dies();
    check_answer_stays(ends[_i]);
}
END_TEST

START_TEST(ended__cancelled) {
    be_ended(ends[_i]);
    client_cancels();
    ck_assert_uint_eq(n_told(), 1);
    check_answer_stays(ends[_i]);
}
END_TEST

START_TEST(ended__late) {
    be_ended(ends[_i]);
    deadline_passes();
    ck_assert_uint_eq(n_told(), 1);
    check_answer_stays(ends[_i]);
}
END_TEST

START_TEST(ended__bad_message) {
    be_ended(ends[_i]);
    bad_messages_come(0);
    ck_assert_uint_eq(n_announced(), 0);
    check_answer_stays(ends[_i]);
}
END_TEST

/* ---- released ---- */

static void check_nothing_happened(void) {
    check_word(SLOT_DONE, 1, 1);
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(n_announced(), 0);
}

START_TEST(released__client_dies) {
    be_released();
    client_dies();
    check_nothing_happened();
}
END_TEST

START_TEST(released__owner_dies) {
    be_released();
    worker_dies(&scene.owner);
    check_nothing_happened();
}
END_TEST

START_TEST(released__other_dies) {
    add_other();
    be_released();
    other_dies();
    check_nothing_happened();
}
END_TEST

START_TEST(released__host_dies) {
    Request *request;

    be_released();
    host_dies();
    let_client_look();
    AWAIT(client_state(scene.client) == CLIENT_LOST);
    ck_assert(!client_pop(scene.client, &request));
    check_word(SLOT_DONE, 1, 1);
}
END_TEST

START_TEST(released__bad_message) {
    be_released();
    bad_messages_come(0);
    check_nothing_happened();
}
END_TEST

/* ---- held ---- */

static void check_held(void) {
    check_word(SLOT_DONE, 1, 1);
    ck_assert_uint_eq(word().owner, SLOT_OWNER_HOST);
}

START_TEST(held__client_dies) {
    be_held();
    client_dies();
    check_held();
    ck_assert_uint_eq(n_told(), 0);
}
END_TEST

START_TEST(held__other_dies) {
    add_other();
    be_held();
    other_dies();
    check_held();
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(n_announced(), 0);
}
END_TEST

START_TEST(held__host_dies) {
    be_held();
    host_dies();
    let_client_look();
    AWAIT(client_state(scene.client) == CLIENT_LOST);
    check_held();
}
END_TEST

/* Whatever is submitted: what no worker may claim while it is held is announced when the host lets go. */
START_TEST(held__bad_message) {
    const SubmitRecord record = {.generation = 2, .flags = SUBMIT_TAKEN};

    be_held();
    submit_publish(scene.client->submit.map, SLOT, &record);
    bad_messages_come(0);
    check_held();
    client_end_holds(party.host, scene.of_host);
    check_word(SLOT_DONE, 1, 1);
    ck_assert_uint_eq(word().owner, 0);
    ck_assert_uint_eq(n_announced(), 1);
}
END_TEST

/* ---- suite ---- */

static void begin(void) {
    party_begin();
    wanted_uid = geteuid();
    scene = (Scene){.states = PAGE_NULL, .replies = -1, .announcements = -1};
}

static void end(void) {
    let_client_look();
    end_child(&scene.owner);
    end_child(&scene.other);
    page_deinit(&scene.states);
    fd_close(scene.replies);
    fd_close(scene.announcements);
    party_end();
}

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_fresh(TCase *tests) {
    tcase_add_test(tests, fresh__client_dies);
    tcase_add_test(tests, fresh__other_dies);
    tcase_add_test(tests, fresh__host_dies);
    tcase_add_test(tests, fresh__bad_message);
}

static void add_submitted(TCase *tests) {
    tcase_add_test(tests, submitted__client_dies);
    tcase_add_test(tests, submitted__other_dies);
    tcase_add_test(tests, submitted__host_dies);
    tcase_add_test(tests, submitted__cancelled);
    tcase_add_test(tests, submitted__late);
    tcase_add_test(tests, submitted__bad_message);
}

static void add_waiting(TCase *tests) {
    tcase_add_test(tests, waiting__client_dies);
    tcase_add_test(tests, waiting__other_dies);
    tcase_add_test(tests, waiting__host_dies);
    tcase_add_test(tests, waiting__cancelled);
    tcase_add_test(tests, waiting__late);
    tcase_add_test(tests, waiting__bad_message);
}

static void add_claimed(TCase *tests) {
    tcase_add_test(tests, claimed__client_dies);
    tcase_add_test(tests, claimed__owner_dies);
    tcase_add_test(tests, claimed__owner_dies_at_the_last_attempt);
    tcase_add_test(tests, claimed__owner_dies_after_the_client);
    tcase_add_test(tests, claimed__owner_dies_when_cancelled);
    tcase_add_test(tests, claimed__other_dies);
    tcase_add_test(tests, claimed__host_dies);
    tcase_add_test(tests, claimed__cancelled);
    tcase_add_test(tests, claimed__late);
    tcase_add_test(tests, claimed__bad_message);
}

static void add_ended(TCase *tests) {
    const int n = ELEMENTS(ends);

    tcase_add_loop_test(tests, ended__client_dies, 0, n);
    tcase_add_loop_test(tests, ended__owner_dies, 0, n);
    tcase_add_loop_test(tests, ended__other_dies, 0, n);
    tcase_add_loop_test(tests, ended__host_dies, 0, n);
    tcase_add_loop_test(tests, ended__cancelled, 0, n);
    tcase_add_loop_test(tests, ended__late, 0, n);
    tcase_add_loop_test(tests, ended__bad_message, 0, n);
}

static void add_released(TCase *tests) {
    tcase_add_test(tests, released__client_dies);
    tcase_add_test(tests, released__owner_dies);
    tcase_add_test(tests, released__other_dies);
    tcase_add_test(tests, released__host_dies);
    tcase_add_test(tests, released__bad_message);
}

static void add_held(TCase *tests) {
    tcase_add_test(tests, held__client_dies);
    tcase_add_test(tests, held__other_dies);
    tcase_add_test(tests, held__host_dies);
    tcase_add_test(tests, held__bad_message);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("state-table");

    add_fresh(add_case(suite, "fresh"));
    add_submitted(add_case(suite, "submitted"));
    add_waiting(add_case(suite, "waiting"));
    add_claimed(add_case(suite, "claimed"));
    add_ended(add_case(suite, "ended"));
    add_released(add_case(suite, "released"));
    add_held(add_case(suite, "held"));
    return suite;
}
