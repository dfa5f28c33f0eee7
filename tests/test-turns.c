/* SPDX-License-Identifier: MIT */
/*
 * Queues by turns (docs/protocol.md, section 5, Worker 1; docs/protocol/turns.pml): a user whose queue never
 * empties holds up nobody else's
 *
 * All messages lie in their queues before the worker takes the first. It says of which user each is that it
 * takes.
 */
#include "party.h"

#include "base/units.h"
#include "os/channel.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { N_EACH = 4 }; /* as many as queue and slots hold */

static uid_t first_uid; /* whose queue is older */

static void say_whose(const Exchange *exchange) {
    child_report(exchange->uid == first_uid ? 'f' : 's');
}

/* ---- clients ---- */

/* It sends nothing before the other has come in. */
static int send_all_when_told(void) {
    Request *request;
    Client *client;
    int fd;

    if (channel_connect(party.path, &fd) < 0 || client_new(&client, fd, "second") < 0)
        return 1;
    while (client_state(client) == CLIENT_CONNECTING)
        client_wait(client, UINT64_MAX);
    for (unsigned i = 0; i < N_EACH; i++)
        if (client_take(client, &request) != 0 || request_send(request) < 0)
            return 2;
    child_report('s');
    pause();
    return 3;
}

/* ---- workers: as the library has them, which hand each exchange out; and as the daemon has them ---- */

static int work_by_jobs(void) {
    const WorkerSettings settings = {.serves = (char *)"test", .timeout_ns = 100 * NS_PER_SEC};
    Exchange *exchange;
    Worker *worker;
    int r = worker_new(&worker, "test-child", party.path, &settings, NULL);

    while (r == 0) {
        r = worker_wait(worker, UINT64_MAX);
        if (r == 0 && worker_pop(worker, &exchange)) {
            say_whose(exchange);
            r = worker_end(exchange);
        }
    }
    return 1;
}

static int handle_whose(Handler *handler, Exchange *exchange) {
    say_whose(exchange);
    return 0;
}

static int work_by_handler(void) {
    const HandlerKind kind = {.handle = handle_whose};

    return child_work(&kind, 100 * NS_PER_SEC);
}

static int (*const kinds_of_work[])(void) = {work_by_jobs, work_by_handler};

static void end_child(Child *child) {
    ck_assert_int_eq(kill(child->pid, SIGKILL), 0);
    ck_assert_int_eq(child_end(child), -SIGKILL);
}

START_TEST(users_whose_queues_are_both_full_are_served_by_turns) {
    Child other, worker;
    char whose[2 * N_EACH];
    Client *client;

    first_uid = geteuid();
    client = party_add_client();
    other = child_start(UNIT_UID, send_all_when_told);
    ck_assert_int_eq(child_await(&other), 's');
    for (unsigned i = 0; i < N_EACH; i++)
        party_send(client, 0);
    worker = child_start(UNIT_SAME_UID, kinds_of_work[_i]);
    for (unsigned i = 0; i < 2 * N_EACH; i++)
        whose[i] = child_await(&worker);
    /* The second queue may become known a moment after the first; the probe has the turn of its user once. */
    for (unsigned i = 2; i + 3 < 2 * N_EACH; i++)
        ck_assert_msg(memchr(whose + i, 'f', 3) && memchr(whose + i, 's', 3), "not by turns: %.*s",
                      2 * N_EACH, whose);
    end_child(&worker);
    end_child(&other);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("turns");
    TCase *tests = tcase_create("turns");

    if (unit_is_root()) {
        tcase_add_checked_fixture(tests, party_begin, party_end);
        tcase_add_loop_test(tests, users_whose_queues_are_both_full_are_served_by_turns, 0,
                            (int)ELEMENTS(kinds_of_work));
        tcase_set_timeout(tests, 60);
    }
    suite_add_tcase(suite, tests);
    return suite;
}
