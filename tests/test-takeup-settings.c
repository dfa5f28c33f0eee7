/* SPDX-License-Identifier: MIT */
/* A host that takes up peers which its settings do not let in any more, or not as they were. */
#include "party.h"

#include "base/units.h"

#include <signal.h>
#include <string.h>

static const Principals nobody;

static void check_let_go(Client *client) {
    ck_assert_uint_eq(party.host->n_clients, 0);
    AWAIT(client_state(client) == CLIENT_LOST); /* also where it was told why: it may come again */
    AWAIT(party_n_kept("c0") == 0);
    ck_assert_uint_eq(party_event(EVENT_CLIENT_REFUSED)->uid, geteuid());
    ck_assert_uint_eq(party_n_events(EVENT_CLIENT_DETACHED), 1);
}

START_TEST(client_that_is_no_longer_let_in_is_let_go_of) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();
    const char *text;

    party_echo(client, 100);
    party.settings.access = nobody;
    party_restart_host();
    check_let_go(client);
    AWAIT(client_refusal(client, &text) == REASON_NOT_ALLOWED);
    ck_assert_msg(strstr(text, "is not in `access` of host `test`"), "it says: %s", text);
    AWAIT(table_find(&party.host->clients, client_id(client)) == NULL);
    party_stop_worker(worker);
}
END_TEST

START_TEST(client_that_is_no_longer_trusted_connects_again) {
    PartyWorker *worker = party_add_worker(NULL);
    Client *client = party_add_client();

    ck_assert(party_client_of_host(client)->trusted);
    party.settings.trusted = nobody;
    party_restart_host();
    check_let_go(client);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_CLIENT_REFUSED)->text, "`trusted` of host `test`"));
    client = party_add_client();
    ck_assert(!party_client_of_host(client)->trusted);
    party_echo(client, 100);
    party_restart_host(); /* it has not changed since */
    ck_assert_uint_eq(party.host->n_clients, 1);
    AWAIT(party.host->n_counting == 0);
    party.settings.trusted = party.settings.access;
    party_restart_host();
    ck_assert_uint_eq(party.host->n_clients, 0);
    AWAIT(client_state(client) == CLIENT_LOST);
    party_stop_worker(worker);
}
END_TEST

static int work_and_wait(void) {
    return child_wait_for_ever(1000 * NS_PER_SEC);
}

static int work_for_ever(void) {
    return child_work(&handler_echo, 1000 * NS_PER_SEC);
}

START_TEST(worker_that_is_no_longer_let_in_is_killed) {
    Child child = child_start(UNIT_SAME_UID, work_for_ever);
    Client *client = party_add_client();

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) == 1);
    party_echo(client, 100);
    party.settings.workers = nobody;
    party_restart_host();
    ck_assert_int_eq(child_end(&child), -SIGKILL);
    AWAIT(party.host->workers.n == 0);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_WORKER_KILLED)->text, "no longer in `workers`"));
    ck_assert_uint_eq(party_n_kept("w0"), 0);
    ck_assert_uint_eq(party.host->n_clients, 1);
    AWAIT(client->n_workers == 0);
}
END_TEST

START_TEST(exchange_of_a_worker_that_is_no_longer_let_in_is_settled) {
    Child child = child_start(UNIT_SAME_UID, work_and_wait);
    Request *request;

    AWAIT(party_n_events(EVENT_WORKER_ATTACHED) == 1);
    request = party_send(party_add_client(), 100);
    ck_assert_int_eq(child_await(&child), 'c');
    party.settings.workers = nobody;
    party_restart_host();
    ck_assert_int_eq(child_end(&child), -SIGKILL);
    AWAIT(party_n_events(EVENT_WORKER_DIED) == 1);
    ck_assert_int_eq(party_word(request).state, SLOT_WAITING);
}
END_TEST

/* ---- suite ---- */

Suite *unit_suite(void) {
    Suite *suite = suite_create("takeup-settings");
    TCase *tests = tcase_create("settings");

    tcase_add_checked_fixture(tests, party_begin_kept, party_end);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, client_that_is_no_longer_let_in_is_let_go_of);
    tcase_add_test(tests, client_that_is_no_longer_trusted_connects_again);
    tcase_add_test(tests, worker_that_is_no_longer_let_in_is_killed);
    tcase_add_test(tests, exchange_of_a_worker_that_is_no_longer_let_in_is_settled);
    return suite;
}
