/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include "base/units.h"
#include "core/parking.h"
#include "os/channel.h"
#include "os/queue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

Scene scene;

/* Known to children, as the scene is: set before they are forked. */
static uid_t wanted_uid;
static SlotState wanted_end;

/* ---- workers, as processes ---- */

static void claim(Hand *hand, Message *ret_message, SlotClaim *ret_claim) {
    hand_attach(hand, wanted_uid);
    hand_take(hand, scene.id, ret_message);
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

void end_child(Child *child) {
    if (child->pid == 0)
        return;
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(child), -SIGKILL);
    child->pid = 0;
}

/* ---- what can be seen ---- */

SlotWord word(void) {
    return state_load(scene.states.map, SLOT, NULL);
}

void check_word(SlotState state, uint32_t generation, uint32_t attempts) {
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
        n += message.client == scene.id && message.slot == SLOT;
    return n;
}

unsigned n_told(void) {
    return take_all(scene.replies);
}

unsigned n_announced(void) {
    return take_all(scene.announcements);
}

/* From now on the client turns with the others; it looks at its slot at once. */
void let_client_look(void) {
    party.clients[0] = scene.client;
    if (scene.client)
        ck_assert_int_eq(client_dispatch(scene.client), 0);
}

void check_client_gets(SlotState end, Reason reason) {
    let_client_look();
    AWAIT(scene.request->state == REQUEST_ENDED);
    ck_assert_int_eq(scene.request->end, end);
    ck_assert_int_eq(scene.request->reason, reason);
}

void check_client_waits(void) {
    let_client_look();
    party_settle();
    ck_assert_int_eq(scene.request->state, REQUEST_SENT);
}

/* ---- states ---- */

void be_fresh(void) {
    int fd;

    scene.client = party_add_client();
    scene.of_host = party_client_of_host(scene.client);
    scene.id = client_id(scene.client);
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
void be_submitted(void) {
    be_fresh();
    send();
    ck_assert_uint_eq(n_announced(), 1);
}

void be_claimed(void) {
    be_fresh();
    scene.owner = party_add_child(claim_and_listen);
    send();
    ck_assert_int_eq(child_await(&scene.owner), 'c');
    check_word(SLOT_CLAIMED, 1, 1);
    scene.claim = (SlotClaim){.generation = 1, .attempt = 1};
    (void)state_load(scene.states.map, SLOT, &scene.claim.raw);
}

void worker_dies(Child *child) {
    size_t n_before = party.host->workers.n;

    end_child(child);
    AWAIT(party.host->workers.n < n_before);
    party_settle();
}

void be_waiting(void) {
    be_claimed();
    worker_dies(&scene.owner);
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_announced(), 1);
}

void be_ended(SlotState end) {
    be_fresh();
    wanted_end = end;
    scene.owner = party_add_child(claim_and_end);
    send();
    if (end == SLOT_CANCELLED)
        submit_cancel(scene.client->submit.map, SLOT); /* without a LOOK */
    ck_assert_int_eq(child_await(&scene.owner), 'e');
    check_word(end, 1, 1);
    ck_assert_uint_eq(n_told(), 0);
}

void be_released(void) {
    be_ended(SLOT_DONE);
    check_client_gets(SLOT_DONE, REASON_NONE);
    request_release(scene.request);
    party.clients[0] = NULL;
}

/* The host is about to give its windows back. */
void be_held(void) {
    be_released();
    ck_assert(slots_hold(scene.of_host->submit.map, scene.of_host->states.map, SLOT));
}

static const char *folder(void) {
    static char path[128];

    snprintf(path, sizeof(path), "%s/parked", party.folder);
    return path;
}

void hosts_park(void) {
    party.parks_in = folder();
}

unsigned n_parked(void) {
    ParkingList list;
    unsigned n;

    ck_assert_int_eq(parking_list(folder(), &list), 0);
    n = (unsigned)list.n;
    ck_assert_uint_eq(list.n_damaged, 0);
    parking_list_deinit(&list);
    return n;
}

/* The copy waits for its turn, which does not come. */
void be_parking(void) {
    party.settings.attempts = 1;
    party.settings.parked = MIB;
    ck_assert_int_eq(host_park_in(party.host, folder()), 0);
    party.host->parking.n_running = UINT32_MAX;
    be_claimed();
    worker_dies(&scene.owner);
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(word().owner, SLOT_OWNER_ENDER);
    ck_assert_uint_eq(n_told(), 0);
}

/* ---- what happens ---- */

void client_dies(void) {
    let_client_look();
    party_remove_client(scene.client);
    scene.client = NULL;
    AWAIT(party.host->n_clients == 0);
    party_settle();
}

/* Another worker has been there before the slot came into its state. */
void add_other(void) {
    scene.other = party_add_child(attach_and_wait);
}

/* Nobody keeps anything for it. */
void host_dies(void) {
    party_stop_host();
}

/* Another follows, with what a service manager has kept. */
void host_restarts(void) {
    party_restart_host();
    scene.of_host = party_client_of_host(scene.client);
    ck_assert_ptr_nonnull(scene.of_host);
    party_settle();
}

void client_cancels(void) {
    ck_assert_int_eq(request_cancel(scene.request), 0);
    party_settle();
}

void deadline_passes(void) {
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
void bad_messages_come(uint32_t true_one) {
    PartyWorker *worker = party_add_worker(NULL);
    Message message = {.client = scene.id, .slot = SLOT};

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
    message.client = scene.id + 1000;
    forge(worker, &message, sizeof(message));
    ck_assert_uint_eq(party_worker_n_exchanges(worker), 0);
    party_stop_worker(worker);
    party_settle();
}

/* ---- fixture ---- */

void scene_begin(void) {
    party_begin();
    wanted_uid = geteuid();
    scene = (Scene){.states = PAGE_NULL, .replies = -1, .announcements = -1};
}

/* Where there is one. */
static void remove_folder(void) {
    char command[160];

    snprintf(command, sizeof(command), "rm -rf %s", folder());
    ck_assert_int_eq(system(command), 0);
}

void scene_end(void) {
    let_client_look();
    end_child(&scene.owner);
    end_child(&scene.other);
    page_deinit(&scene.states);
    fd_close(scene.replies);
    fd_close(scene.announcements);
    remove_folder();
    party_end();
}
