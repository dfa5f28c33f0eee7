/* SPDX-License-Identifier: MIT */
/*
 * The table of docs/protocol.md, section 4, cell by cell: a slot in one of its states, and one thing happens
 *
 * A test is named for its cell, ROW__COLUMN; what a cell says of a special case has a test with more words
 * after that. test-state-table.py holds the two against each other. Each test says three things: in which
 * state the slot is then, who was told, and what the client gets.
 */
#include "scene.h"

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
    worker_dies(&scene.other);
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

START_TEST(fresh__host_restarts) {
    party_keep();
    be_fresh();
    host_restarts();
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_int_eq(client_state(scene.client), CLIENT_READY);
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
    worker_dies(&scene.other);
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

START_TEST(submitted__host_restarts) {
    party_keep();
    be_submitted();
    host_restarts();
    check_word(SLOT_FRESH, 0, 0);
    ck_assert_uint_eq(n_announced(), 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

/* Nobody hears its LOOK before the next host does. */
START_TEST(submitted__host_restarts_when_cancelled) {
    party_keep();
    be_submitted();
    ck_assert_int_eq(request_cancel(scene.request), 0);
    host_restarts();
    check_word(SLOT_CANCELLED, 1, 0);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
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
    worker_dies(&scene.other);
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

START_TEST(waiting__host_restarts) {
    party_keep();
    be_waiting();
    host_restarts();
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(n_announced(), 1);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
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
    ck_assert_ptr_eq(table_find(&party.host->clients, scene.id), scene.of_host);
}
END_TEST

START_TEST(claimed__owner_dies) {
    be_claimed();
    ck_assert(state_poll_begin(scene.of_host->states.map, word().owner));
    worker_dies(&scene.owner);
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(state_poller(scene.states.map), 0);
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
    ck_assert_ptr_null(table_find(&party.host->clients, scene.id));
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
    worker_dies(&scene.other);
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

START_TEST(claimed__host_restarts) {
    party_keep();
    be_claimed();
    host_restarts();
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
    client_cancels(); /* the new host knows whose it is */
    ck_assert_int_eq(child_await(&scene.owner), 'x');
    check_word(SLOT_CANCELLED, 1, 1);
}
END_TEST

START_TEST(claimed__host_restarts_after_its_owner) {
    party_keep();
    be_claimed();
    ck_assert(state_poll_begin(scene.of_host->states.map, word().owner));
    party_leave_host();
    end_child(&scene.owner);
    party_start_host();
    AWAIT(word().state == SLOT_WAITING);
    party_settle();
    check_word(SLOT_WAITING, 1, 1);
    ck_assert_uint_eq(state_poller(scene.states.map), 0);
    ck_assert_uint_eq(n_announced(), 1);
    check_client_waits();
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

/* ---- parking ---- */

START_TEST(parking__client_dies) {
    be_parking();
    client_dies();
    ck_assert_int_eq(word().state, SLOT_CANCELLED);
    ck_assert_ptr_null(table_find(&party.host->clients, scene.id));
}
END_TEST

START_TEST(parking__other_dies) {
    add_other();
    be_parking();
    worker_dies(&scene.other);
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(n_announced(), 0);
    ck_assert_uint_eq(n_told(), 0);
    check_client_waits();
}
END_TEST

START_TEST(parking__host_dies) {
    be_parking();
    host_dies();
    check_client_gets(SLOT_FAILED, REASON_HOST_LOST);
    check_word(SLOT_CLAIMED, 1, 1);
}
END_TEST

/* This one has no folder to park in. */
START_TEST(parking__host_restarts) {
    party_keep();
    be_parking();
    host_restarts();
    check_word(SLOT_FAILED, 1, 1);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_FAILED, REASON_WORKER_LOST);
}
END_TEST

START_TEST(parking__host_restarts_with_a_folder) {
    party_keep();
    hosts_park();
    be_parking();
    host_restarts();
    AWAIT(word().state == SLOT_FAILED);
    check_word(SLOT_FAILED, 1, 1);
    ck_assert_uint_ge(n_told(), 1);
    ck_assert_uint_eq(n_parked(), 1);
    check_client_gets(SLOT_FAILED, REASON_WORKER_LOST);
}
END_TEST

/* Nobody hears its LOOK before the next host does. */
START_TEST(parking__host_restarts_when_cancelled) {
    party_keep();
    hosts_park();
    be_parking();
    ck_assert_int_eq(request_cancel(scene.request), 0);
    host_restarts();
    AWAIT(word().state == SLOT_CANCELLED);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
    AWAIT(party.host->parking.parks.n == 0); /* a copy has begun, perhaps */
}
END_TEST

START_TEST(parking__host_restarts_after_its_client) {
    party_keep();
    hosts_park();
    be_parking();
    party_leave_host();
    let_client_look();
    party_remove_client(scene.client);
    scene.client = NULL;
    party_start_host();
    AWAIT(party.host->n_clients == 0);
    ck_assert(state_is_end(word().state));
    AWAIT(party.host->parking.parks.n == 0);
    ck_assert_uint_eq(n_announced(), 0);
}
END_TEST

START_TEST(parking__cancelled) {
    be_parking();
    client_cancels();
    ck_assert_int_eq(word().state, SLOT_CANCELLED);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_CANCELLED, REASON_NONE);
}
END_TEST

START_TEST(parking__late) {
    be_parking();
    deadline_passes();
    ck_assert_int_eq(word().state, SLOT_EXPIRED);
    ck_assert_uint_ge(n_told(), 1);
    check_client_gets(SLOT_EXPIRED, REASON_NONE);
}
END_TEST

START_TEST(parking__bad_message) {
    be_parking();
    bad_messages_come(0);
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(word().owner, SLOT_OWNER_ENDER);
    check_client_waits();
}
END_TEST

/* As of a process that was seen dead too early. */
START_TEST(parking__bad_message_of_its_former_owner) {
    AnswerRecord answer;

    be_parking();
    ck_assert(
        !slots_end(scene.of_host->states.map, SLOT, &scene.claim, SLOT_DONE, &(AnswerRecord){.status = 5}));
    check_word(SLOT_CLAIMED, 1, 1);
    ck_assert_uint_eq(word().owner, SLOT_OWNER_ENDER);
    state_answer_copy(scene.states.map, SLOT, &answer);
    ck_assert_int_eq(answer.status, 0);
    check_client_waits();
}
END_TEST

/* ---- ended, in each of the four ways ---- */

static const SlotState ends[] = {SLOT_DONE, SLOT_FAILED, SLOT_CANCELLED, SLOT_EXPIRED};

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
    worker_dies(&scene.other);
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

START_TEST(ended__host_restarts) {
    party_keep();
    be_ended(ends[_i]);
    host_restarts();
    ck_assert_uint_eq(n_told(), 1);
    ck_assert_uint_eq(n_announced(), 0);
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
    worker_dies(&scene.other);
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

START_TEST(released__host_restarts) {
    party_keep();
    be_released();
    host_restarts();
    check_nothing_happened();
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
    worker_dies(&scene.other);
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

START_TEST(held__host_restarts) {
    party_keep();
    be_held();
    host_restarts();
    check_word(SLOT_DONE, 1, 1);
    ck_assert_uint_eq(word().owner, 0);
    ck_assert_uint_eq(state_reserved(scene.states.map, SLOT), 0);
    ck_assert_uint_eq(n_told(), 0);
    ck_assert_uint_eq(n_announced(), 0);
}
END_TEST

/* No worker could claim it, and the old host could not end it. */
START_TEST(held__host_restarts_when_submitted_and_cancelled) {
    const SubmitRecord record = {.generation = 2, .flags = SUBMIT_CANCEL};
    Packet look;

    party_keep();
    be_held();
    submit_publish(scene.client->submit.map, SLOT, &record);
    packet_init(&look, PACKET_LOOK, 0);
    look.slot = (PacketSlot){.header = look.header, .slot = SLOT, .generation = 2};
    ck_assert_int_eq(client_say(scene.client, &look), 0);
    host_restarts();
    check_word(SLOT_CANCELLED, 2, 0);
    ck_assert_uint_ge(n_told(), 1);
}
END_TEST

/* Whatever is submitted: what no worker may claim while it is held is announced when the host lets go. */
START_TEST(held__bad_message) {
    const SubmitRecord record = {.generation = 2};

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

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, scene_begin, scene_end);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_fresh(TCase *tests) {
    tcase_add_test(tests, fresh__client_dies);
    tcase_add_test(tests, fresh__other_dies);
    tcase_add_test(tests, fresh__host_dies);
    tcase_add_test(tests, fresh__host_restarts);
    tcase_add_test(tests, fresh__bad_message);
}

static void add_submitted(TCase *tests) {
    tcase_add_test(tests, submitted__client_dies);
    tcase_add_test(tests, submitted__other_dies);
    tcase_add_test(tests, submitted__host_dies);
    tcase_add_test(tests, submitted__host_restarts);
    tcase_add_test(tests, submitted__host_restarts_when_cancelled);
    tcase_add_test(tests, submitted__cancelled);
    tcase_add_test(tests, submitted__late);
    tcase_add_test(tests, submitted__bad_message);
}

static void add_waiting(TCase *tests) {
    tcase_add_test(tests, waiting__client_dies);
    tcase_add_test(tests, waiting__other_dies);
    tcase_add_test(tests, waiting__host_dies);
    tcase_add_test(tests, waiting__host_restarts);
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
    tcase_add_test(tests, claimed__host_restarts);
    tcase_add_test(tests, claimed__host_restarts_after_its_owner);
    tcase_add_test(tests, claimed__cancelled);
    tcase_add_test(tests, claimed__late);
    tcase_add_test(tests, claimed__bad_message);
}

static void add_parking(TCase *tests) {
    tcase_add_test(tests, parking__client_dies);
    tcase_add_test(tests, parking__other_dies);
    tcase_add_test(tests, parking__host_dies);
    tcase_add_test(tests, parking__host_restarts);
    tcase_add_test(tests, parking__host_restarts_with_a_folder);
    tcase_add_test(tests, parking__host_restarts_when_cancelled);
    tcase_add_test(tests, parking__host_restarts_after_its_client);
    tcase_add_test(tests, parking__cancelled);
    tcase_add_test(tests, parking__late);
    tcase_add_test(tests, parking__bad_message);
    tcase_add_test(tests, parking__bad_message_of_its_former_owner);
}

static void add_ended(TCase *tests) {
    const int n = ELEMENTS(ends);

    tcase_add_loop_test(tests, ended__client_dies, 0, n);
    tcase_add_loop_test(tests, ended__owner_dies, 0, n);
    tcase_add_loop_test(tests, ended__other_dies, 0, n);
    tcase_add_loop_test(tests, ended__host_dies, 0, n);
    tcase_add_loop_test(tests, ended__host_restarts, 0, n);
    tcase_add_loop_test(tests, ended__cancelled, 0, n);
    tcase_add_loop_test(tests, ended__late, 0, n);
    tcase_add_loop_test(tests, ended__bad_message, 0, n);
}

static void add_released(TCase *tests) {
    tcase_add_test(tests, released__client_dies);
    tcase_add_test(tests, released__owner_dies);
    tcase_add_test(tests, released__other_dies);
    tcase_add_test(tests, released__host_dies);
    tcase_add_test(tests, released__host_restarts);
    tcase_add_test(tests, released__bad_message);
}

static void add_held(TCase *tests) {
    tcase_add_test(tests, held__client_dies);
    tcase_add_test(tests, held__other_dies);
    tcase_add_test(tests, held__host_dies);
    tcase_add_test(tests, held__host_restarts);
    tcase_add_test(tests, held__host_restarts_when_submitted_and_cancelled);
    tcase_add_test(tests, held__bad_message);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("state-table");

    add_fresh(add_case(suite, "fresh"));
    add_submitted(add_case(suite, "submitted"));
    add_waiting(add_case(suite, "waiting"));
    add_claimed(add_case(suite, "claimed"));
    add_parking(add_case(suite, "parking"));
    add_ended(add_case(suite, "ended"));
    add_released(add_case(suite, "released"));
    add_held(add_case(suite, "held"));
    return suite;
}
