/* SPDX-License-Identifier: MIT */
/*
 * A host that takes up what another has left believes none of it: what does not fit together is let go of,
 * on both sides, and harms nobody else. What goes well is in test-takeup.c.
 */
#include "party.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

static unsigned find_kept(const char *name) {
    for (unsigned i = 0; i < PARTY_KEPT; i++)
        if (party.kept[i].fd > 0 && !strcmp(party.kept[i].name, name))
            return i;
    ck_abort_msg("nothing is kept as %s", name);
}

static void lose_kept(const char *name) {
    unsigned i = find_kept(name);

    party.kept[i].fd = fd_close(party.kept[i].fd);
}

/* All peers find out, and come again; nothing that was kept is kept any longer. */
static void check_fresh_start(Client *client, PartyWorker *worker) {
    party_start_host();
    AWAIT(party_n_events(EVENT_TAKEN_UP) == 1);
    ck_assert_int_eq(party_event(EVENT_TAKEN_UP)->ok, false);
    ck_assert_uint_eq(party.host->n_clients, 0);
    AWAIT(client_state(client) == CLIENT_LOST);
    AWAIT(party_worker_told(worker, EVENT_HOST_ATTACHED) == 2);
    party_remove_client(client);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    ck_assert_uint_eq(party_n_kept("index"), 1);
    ck_assert_uint_eq(party_n_kept("socket"), 1);
    party_echo(party_add_client(), 100);
    party_stop_worker(worker);
}

static void *map_of_index(void) {
    return party.host->store.index.map;
}

START_TEST(index_of_another_version_lets_everything_go) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    ((uint32_t *)map_of_index())[2]++;
    party_leave_host();
    check_fresh_start(client, worker);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_TAKEN_UP)->text, "another version"));
}
END_TEST

START_TEST(lost_index_lets_everything_go) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    party_leave_host();
    lose_kept("index");
    check_fresh_start(client, worker);
}
END_TEST

START_TEST(second_index_lets_everything_go) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    unsigned i;

    party_leave_host();
    i = find_kept("w0");
    strcpy(party.kept[i].name, "index");
    check_fresh_start(client, worker);
}
END_TEST

START_TEST(index_that_is_something_else_lets_everything_go) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    unsigned i;

    party_leave_host();
    i = find_kept("index");
    fd_close(party.kept[i].fd);
    party.kept[i].fd = eventfd(0, EFD_CLOEXEC);
    check_fresh_start(client, worker);
}
END_TEST

/* Each descriptor in turn is not there, or is another one: that client is let go of, the other is not. */
START_TEST(client_that_is_not_complete_is_let_go_of) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client(), *other = party_add_client();
    unsigned at, lost = (unsigned)_i % KEPT_N_FDS;

    party_leave_host();
    for (at = find_kept("c0"); lost > 0; lost--)
        do
            at++;
        while (strcmp(party.kept[at].name, "c0") != 0);
    fd_close(party.kept[at].fd);
    party.kept[at].fd = _i < KEPT_N_FDS ? -1 : eventfd(0, EFD_CLOEXEC);
    party_start_host();
    party_await_take_up(1, 1);
    AWAIT(client_state(client) == CLIENT_LOST);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    ck_assert_uint_eq(party_n_kept("c1"), KEPT_N_FDS);
    party_echo(other, 100);
    party_stop_worker(worker);
}
END_TEST

/* Return: how many of "c0" @ret_fds, of KEPT_N_FDS, now has. */
static unsigned copy_kept(int *ret_fds) {
    unsigned n = 0;

    for (unsigned i = 0; i < PARTY_KEPT; i++)
        if (party.kept[i].fd > 0 && !strcmp(party.kept[i].name, "c0"))
            ret_fds[n++] = fcntl(party.kept[i].fd, F_DUPFD_CLOEXEC, 3);
    return n;
}

static void keep_and_close(const int *fds, size_t n) {
    party_keeper.store(NULL, "c0", fds, n);
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* The service manager has not heard that the name was free: it was not listening. */
START_TEST(what_is_left_of_a_name_does_not_harm_who_has_it_now) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    int left[KEPT_N_FDS];

    ck_assert_uint_eq(copy_kept(left), KEPT_N_FDS);
    party_remove_client(client);
    AWAIT(party_n_kept("c0") == 0);
    keep_and_close(left, KEPT_N_FDS);
    client = party_add_client();
    ck_assert_uint_eq(party_n_kept("c0"), 2 * KEPT_N_FDS);
    for (int i = 0; i < 2; i++) {
        party_restart_host();
        party_await_take_up(1, 1);
        party_echo(client, 100);
    }
    party_remove_client(client);
    AWAIT(party_n_kept("c0") == 0);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_with_two_descriptors_for_one_role_is_let_go_of) {
    Client *client = party_add_client();
    int fds[KEPT_N_FDS];

    ck_assert_uint_eq(copy_kept(fds), KEPT_N_FDS);
    keep_and_close(fds, KEPT_N_FDS);
    party_restart_host();
    ck_assert_uint_eq(party.host->n_clients, 0);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    AWAIT(client_state(client) == CLIENT_LOST);
}
END_TEST

START_TEST(what_the_index_does_not_know_is_let_go_of) {
    static const char *const names[] = {"c7", "c2999", "c3000", "u5", "w3", "w01", "nonsense", "", "c", "-1"};
    Client *client = party_add_client();

    party_leave_host();
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        int fd = eventfd(0, EFD_CLOEXEC);

        party_keeper.store(NULL, names[i], &fd, 1);
        fd_close(fd);
    }
    party_start_host();
    ck_assert_uint_eq(party.host->n_clients, 1);
    for (size_t i = 0; i < ELEMENTS(names); i++)
        ck_assert_uint_eq(party_n_kept(names[i]), 0);
    party_remove_client(client);
}
END_TEST

START_TEST(record_that_is_wrong_is_let_go_of) {
    Client *client = party_add_client();
    IndexClient *record = index_record(map_of_index(), INDEX_CLIENT, 0);

    switch (_i) {
    case 0:
        record->n_slots = 0;
        break;
    case 1:
        record->n_slots = UINT32_MAX;
        break;
    case 2:
        record->n_slots++;
        break;
    case 3:
        record->stride = 0;
        break;
    case 4:
        record->stride += 1;
        break;
    case 5:
        record->stride = UINT64_MAX - 4095;
        break;
    case 6:
        record->objects[KEPT_SUBMIT] = record->objects[KEPT_STATE];
        break;
    default: { /* roles that are mixed up */
        IndexObject submit = record->objects[KEPT_SUBMIT];

        record->objects[KEPT_SUBMIT] = record->objects[KEPT_STATE];
        record->objects[KEPT_STATE] = submit;
    }
    }
    party_restart_host();
    ck_assert_uint_eq(party.host->n_clients, 0);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    AWAIT(client_state(client) == CLIENT_LOST);
    (void)party_add_client();
}
END_TEST

/* A host was killed between its two steps: what it had handed over does not count yet, or no longer. */
START_TEST(record_that_does_not_count_is_let_go_of) {
    Client *client = party_add_client();

    index_set(map_of_index(), INDEX_CLIENT, 0, 0);
    party_restart_host();
    ck_assert_uint_eq(party.host->n_clients, 0);
    ck_assert_uint_eq(party_n_kept("c0"), 0);
    AWAIT(client_state(client) == CLIENT_LOST);
}
END_TEST

START_TEST(record_without_descriptors_is_none) {
    Client *client = party_add_client();

    party_leave_host();
    party_keeper.drop(NULL, "c0");
    party_start_host();
    ck_assert_uint_eq(party.host->n_clients, 0);
    AWAIT(client_state(client) == CLIENT_LOST);
    (void)party_add_client();
    ck_assert_uint_eq(party_n_kept("c0"), KEPT_N_FDS); /* its place is free */
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("distrust");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, party_begin_kept, party_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, index_of_another_version_lets_everything_go);
    tcase_add_test(tests, lost_index_lets_everything_go);
    tcase_add_test(tests, second_index_lets_everything_go);
    tcase_add_test(tests, index_that_is_something_else_lets_everything_go);
    tcase_add_loop_test(tests, client_that_is_not_complete_is_let_go_of, 0, 2 * KEPT_N_FDS);
    tcase_add_test(tests, what_is_left_of_a_name_does_not_harm_who_has_it_now);
    tcase_add_test(tests, client_with_two_descriptors_for_one_role_is_let_go_of);
    tcase_add_test(tests, what_the_index_does_not_know_is_let_go_of);
    tcase_add_loop_test(tests, record_that_is_wrong_is_let_go_of, 0, 8);
    tcase_add_test(tests, record_that_does_not_count_is_let_go_of);
    tcase_add_test(tests, record_without_descriptors_is_none);
    suite_add_tcase(suite, tests);
    return suite;
}
