/* SPDX-License-Identifier: MIT */
/*
 * Parking as host and clients see it, in each of its states. A copy is held up where a test wants that by the
 * folder's lock, which a copy waits for.
 */
#include "party.h"

#include "base/units.h"
#include "core/parking.h"
#include "os/file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define LONG_NS (1000 * NS_PER_SEC)

static char path[128];
static int lock_fd;

/* ---- workers ---- */

static int die(Handler *handler, Exchange *exchange) {
    raise(SIGKILL);
    return 0;
}

static int work_and_die(void) {
    const HandlerKind kind = {.handle = die};

    return child_work(&kind, LONG_NS);
}

static int work_well(void) {
    return child_work(&handler_echo, LONG_NS);
}

/* Known to the children. */
static uint64_t wanted_client;
static unsigned n_wanted;

/* As a worker program with many threads: it has several exchanges when it dies. */
static int claim_many_and_die(void) {
    SlotClaim claim;
    Message message;
    Hand hand;

    hand_attach(&hand, geteuid());
    for (unsigned i = 0; i < n_wanted; i++) {
        hand_take(&hand, wanted_client, &message);
        if (i == 0)
            hand_meet(&hand, &message);
        hand_claim(&hand, &message, &claim);
        child_report('c');
    }
    raise(SIGKILL);
    return 0;
}

/* ---- the folder ---- */

static void begin(void) {
    party_begin();
    snprintf(path, sizeof(path), "%s/parked", party.folder);
    party.settings.attempts = 1;
    party.settings.parked = 64 * MIB;
    party.settings.user_share = 100;
    ck_assert_int_eq(host_park_in(party.host, path), 0);
}

static void remove_folder(void) {
    char command[160];

    snprintf(command, sizeof(command), "rm -rf %s", path);
    ck_assert_int_eq(system(command), 0);
}

static void end(void) {
    remove_folder();
    party_end();
}

/* From now on copies wait. */
static void hold_up(void) {
    ck_assert_int_eq(folder_open(path, true, &lock_fd), 0);
    ck_assert_int_eq(folder_lock(lock_fd), 0);
}

static void let_go(void) {
    lock_fd = fd_close(lock_fd);
}

static size_t n_files(void) {
    size_t n = 0;
    char **names;
    int fd;

    ck_assert_int_eq(folder_open(path, true, &fd), 0);
    ck_assert_int_eq(folder_list(fd, &names), 0);
    while (names[n])
        n++;
    free(names);
    fd_close(fd);
    return n;
}

/* The only one there. */
static void get_parked(Parked *ret_parked) {
    ParkingList list;

    ck_assert_int_eq(parking_list(path, &list), 0);
    ck_assert_uint_eq(list.n, 1);
    *ret_parked = list.list[0];
    parking_list_deinit(&list);
}

static void await_nothing_under_way(void) {
    AWAIT(party.host->parking.parks.n == 0);
}

static void check_failed(Request *request) {
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_FAILED);
    ck_assert_int_eq(request->reason, REASON_WORKER_LOST);
}

/* A request whose worker has died; its copy waits. */
static Request *send_and_hold_up(Client *client) {
    Child worker = party_add_child(work_and_die);
    Request *request;

    hold_up();
    request = party_send(client, MIB);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    AWAIT(party.host->parking.n_running == 1 && party.host->workers.n == 0);
    ck_assert_int_eq(party_word(request).state, SLOT_CLAIMED);
    return request;
}

/* ---- what is kept ---- */

START_TEST(request_that_kills_its_workers_is_kept_with_all_that_is_known) {
    Client *client = party_add_client();
    Request *request = party_take(client, MIB);
    pid_t pids[2];
    Child worker;
    Parked parked;
    uint8_t *data;
    char id[PARKED_ID_BYTES];
    int fd;

    party.settings.attempts = 2;
    strcpy((char *)request->user, "own");
    ck_assert_int_eq(request_send(request), 0);
    for (size_t i = 0; i < 2; i++) {
        worker = party_add_child(work_and_die);
        pids[i] = worker.pid;
        ck_assert_int_eq(child_end(&worker), -SIGKILL);
        AWAIT(party.host->workers.n == 0);
    }
    check_failed(request);
    get_parked(&parked);
    ck_assert_uint_eq(parked.client, client_id(client));
    ck_assert_uint_eq(parked.slot, request->slot);
    ck_assert_uint_eq(parked.generation, request->generation);
    ck_assert_uint_eq(parked.uid, geteuid());
    ck_assert_uint_eq(parked.pid, (uint32_t)getpid());
    ck_assert_str_eq(parked.program, "test-client");
    ck_assert_uint_eq(parked.reason, REASON_WORKER_LOST);
    ck_assert_str_eq((char *)parked.user, "own");
    ck_assert_uint_eq(parked.n_workers, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(parked.workers[i].number, i + 1);
        ck_assert_uint_eq(parked.workers[i].pid, (uint32_t)pids[i]);
        ck_assert_str_eq(parked.workers[i].name, "test-child");
    }
    ck_assert_uint_eq(parked.kept_bytes, MIB);
    data = malloc(MIB);
    ck_assert_int_eq(parking_open(path, parked_id(&parked, id), &parked, &fd), 0);
    ck_assert_int_eq(file_read(fd, PARKED_HEAD_BYTES, data, MIB), 0);
    ck_assert_mem_eq(data, request->segment.map, MIB);
    free(data);
    fd_close(fd);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_PARKED), 1);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_FAILED), 1);
    ck_assert_uint_eq(party.host->parking.n_parked, 1);
}
END_TEST

START_TEST(worker_that_the_host_has_killed_is_noted_as_such) {
    Client *client = party_add_client();
    Child worker;
    Request *request;
    Parked parked;

    wanted_client = client_id(client);
    n_wanted = 2; /* there will be one only, so that it waits with its claim */
    worker = party_add_child(claim_many_and_die);
    request = party_send(client, 10);
    ck_assert_int_eq(child_await(&worker), 'c');
    ((HostWorker *)table_at(&party.host->workers, 0))->timeout_ns = 0;
    party.host->patience.grace_ns = 0;
    party_tick();
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    check_failed(request);
    get_parked(&parked);
    ck_assert(parked.workers[0].killed);
    ck_assert_ptr_nonnull(strstr(parked.why, "longer than its `timeout`"));
}
END_TEST

START_TEST(its_slot_is_used_again_and_the_kept_one_stays) {
    Client *client = party_add_client();
    Child worker = party_add_child(work_and_die);
    Request *request = party_send(client, 100);

    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    check_failed(request);
    request_release(request);
    worker = party_add_child(work_well);
    party_echo(client, 1000);
    ck_assert_uint_eq(n_files(), 1);
    party_kill_child(&worker);
}
END_TEST

START_TEST(others_go_on_while_it_is_copied) {
    Client *client = party_add_client(), *other = party_add_client();
    Request *request = send_and_hold_up(client);
    Child worker = party_add_child(work_well);

    party_echo(other, MIB);
    party_echo(client, MIB); /* in another slot */
    ck_assert_int_eq(request->state, REQUEST_SENT);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_FAILED), 0);
    let_go();
    check_failed(request);
    ck_assert_uint_eq(n_files(), 1);
    party_kill_child(&worker);
}
END_TEST

/* One worker dies of @n requests at a time, and the copies of them are held up. Return: whose they are. */
static Client *lose_many(Request **requests, uint32_t n) {
    Client *client;
    Child worker;

    party.settings.requests_per_client = n;
    party.settings.queue_depth = 10;
    client = party_add_client();
    wanted_client = client_id(client);
    n_wanted = n;
    hold_up();
    worker = party_add_child(claim_many_and_die);
    for (size_t i = 0; i < n; i++)
        requests[i] = party_send(client, 1000 * i);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    AWAIT(party.host->parking.parks.n == n);
    return client;
}

START_TEST(all_that_a_worker_had_is_kept_a_few_at_a_time) {
    enum { N = 12 };
    Request *requests[N];

    (void)lose_many(requests, N);
    ck_assert_uint_eq(party.host->parking.n_running, 4);
    let_go();
    for (size_t i = 0; i < N; i++)
        check_failed(requests[i]);
    ck_assert_uint_eq(n_files(), N);
    ck_assert_uint_eq(party.host->parking.n_running, 0);
}
END_TEST

/* ---- what is not kept ---- */

START_TEST(request_that_says_so_is_not_kept) {
    Client *client = party_add_client();
    Child worker = party_add_child(work_and_die);
    Request *request = party_take(client, 100);

    request->unkept = true;
    ck_assert_int_eq(request_send(request), 0);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    check_failed(request);
    ck_assert_uint_eq(n_files(), 0);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_NOT_PARKED), 0);
}
END_TEST

START_TEST(nothing_is_kept_where_that_is_off) {
    Client *client = party_add_client();
    Child worker = party_add_child(work_and_die);
    Request *request;

    party.settings.parked = 0;
    request = party_send(client, 100);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    check_failed(request);
    ck_assert_uint_eq(n_files(), 0);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_NOT_PARKED), 0);
}
END_TEST

static void check_not_kept(const char *why) {
    Client *client = party_add_client();
    Child worker = party_add_child(work_and_die);
    Request *request = party_send(client, MIB);
    const Event *event;

    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    check_failed(request);
    event = party_event(EVENT_EXCHANGE_NOT_PARKED);
    ck_assert_msg(strstr(event->text, why), "it says: %s", event->text);
    ck_assert_uint_eq(event->client, client_id(client));
    ck_assert_uint_eq(party.host->parking.n_parked, 0);
    await_nothing_under_way();
}

START_TEST(exchange_over_the_budget_fails_all_the_same) {
    party.settings.parked = MIB;
    check_not_kept("the host's `parked` budget of 1M is used up: see `shmipc parked list`");
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

START_TEST(exchange_of_a_host_without_a_folder_fails_all_the_same) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* something else is there */

    ck_assert_int_ge(fd, 0);
    fd_close(fd);
    check_not_kept(path);
}
END_TEST

START_TEST(exchange_of_a_host_that_may_not_write_fails_all_the_same) {
    ck_assert_int_eq(mkdir(path, 0777), 0);
    ck_assert_int_eq(chmod(path, 0777), 0); /* anybody could */
    check_not_kept("the unit needs StateDirectory=shmipc/%i,");
}
END_TEST

/* A record that a client has written anew after the claim, with @bytes that it has asked no memory for. */
static void send_and_claim_more(uint64_t bytes) {
    Client *client = party_add_client();
    Child worker;
    Request *request;

    wanted_client = client_id(client);
    n_wanted = 2; /* there will be one only, so that it waits with its claim */
    worker = party_add_child(claim_many_and_die);
    request = party_send(client, PAGE_BYTES);
    ck_assert_int_eq(child_await(&worker), 'c');
    submit_publish(client->submit.map, request->slot,
                   &(SubmitRecord){.generation = request->generation,
                                   .payload_bytes = bytes,
                                   .segment_bytes = bytes});
    party_kill_child(&worker);
    check_failed(request);
}

START_TEST(no_more_is_kept_than_was_reserved) {
    send_and_claim_more(32 * MIB);
    ck_assert_uint_eq(n_files(), 0);
    send_and_claim_more(PAGE_BYTES);
    ck_assert_uint_eq(n_files(), 1);
}
END_TEST

START_TEST(want_of_descriptors_is_said) {
    Client *client = party_add_client();
    struct rlimit limit, few;
    Child worker;
    Request *request;

    wanted_client = client_id(client);
    n_wanted = 2;
    worker = party_add_child(claim_many_and_die);
    request = party_send(client, PAGE_BYTES);
    ck_assert_int_eq(child_await(&worker), 'c');
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = PARTY_CLIENTS + 3, .rlim_max = limit.rlim_max}; /* poll wants them */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (dup(STDERR_FILENO) >= 0)
        ;
    party_kill_child(&worker);
    check_failed(request);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_ptr_nonnull(strstr(party_event(EVENT_EXCHANGE_NOT_PARKED)->text, "raise LimitNOFILE="));
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

/* ---- while it is copied ---- */

START_TEST(cancel_ends_it_at_once_and_nothing_is_kept) {
    Client *client = party_add_client();
    Request *request = send_and_hold_up(client);
    Child worker;

    ck_assert_int_eq(request_cancel(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_CANCELLED);
    ck_assert_uint_eq(party.host->parking.n_running, 1); /* it does not know yet */
    request_release(request);
    worker = party_add_child(work_well);
    party_echo(client, MIB); /* over what is being copied */
    let_go();
    await_nothing_under_way();
    ck_assert_uint_eq(n_files(), 0);
    ck_assert_uint_eq(party_n_events(EVENT_EXCHANGE_PARKED) + party_n_events(EVENT_EXCHANGE_NOT_PARKED), 0);
    party_kill_child(&worker);
}
END_TEST

START_TEST(deadline_ends_it_at_once_and_nothing_is_kept) {
    Client *client = party_add_client();
    Request *request = send_and_hold_up(client);

    submit_publish(client->submit.map, request->slot,
                   &(SubmitRecord){.generation = request->generation, .deadline_ns = 1});
    request->deadline_ns = 1;
    ck_assert_int_eq(client_watch_deadlines(client), 0);
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_int_eq(request->end, SLOT_EXPIRED);
    let_go();
    await_nothing_under_way();
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

START_TEST(look_without_a_wish_changes_nothing) {
    Client *client = party_add_client();
    Request *request = send_and_hold_up(client);
    const PacketSlot look = {.slot = request->slot, .generation = request->generation};

    client_hear_look(party.host, party_client_of_host(client), &look);
    ck_assert_int_eq(party_word(request).state, SLOT_CLAIMED);
    let_go();
    check_failed(request);
    ck_assert_uint_eq(n_files(), 1);
}
END_TEST

START_TEST(client_that_goes_is_forgotten_at_once_and_nothing_is_kept) {
    Client *client = party_add_client();

    send_and_hold_up(client);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->past.n_cancelled, 1);
    let_go();
    await_nothing_under_way();
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

START_TEST(those_that_wait_for_their_turn_end_as_their_clients_wish) {
    enum { N = 6 };
    Request *requests[N];
    Client *client;

    client = lose_many(requests, N);
    ck_assert_int_eq(request_cancel(requests[N - 1]), 0);
    AWAIT(requests[N - 1]->state == REQUEST_ENDED);
    ck_assert_int_eq(requests[N - 1]->end, SLOT_CANCELLED);
    ck_assert_uint_eq(party.host->parking.parks.n, N - 1);
    party_remove_client(client);
    AWAIT(party.host->clients.n == 1);
    ck_assert_uint_eq(party.host->parking.parks.n, 4); /* those that have begun */
    let_go();
    await_nothing_under_way();
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

START_TEST(slot_that_ended_is_not_ended_by_its_former_copy) {
    Client *client = party_add_client();
    Request *request = send_and_hold_up(client), *next;
    Child worker;

    ck_assert_int_eq(request_cancel(request), 0);
    AWAIT(request->state == REQUEST_ENDED);
    request_release(request);
    worker = party_add_child(work_and_die);
    next = party_send(client, 100); /* dies as well, and waits as well */
    ck_assert_ptr_eq(next, request);
    ck_assert_int_eq(child_end(&worker), -SIGKILL);
    AWAIT(party.host->parking.n_running == 2);
    let_go();
    check_failed(next);
    await_nothing_under_way();
    ck_assert_uint_eq(n_files(), 1);
}
END_TEST

START_TEST(host_that_ends_leaves_no_half_of_it) {
    Client *client = party_add_client();
    Request *request = send_and_hold_up(client);

    let_go();
    party_stop_host();
    AWAIT(request->state == REQUEST_ENDED);
    ck_assert_uint_le(n_files(), 1); /* it may have been faster; then all of it is there */
    if (n_files() == 1) {
        Parked parked;

        get_parked(&parked);
        ck_assert_uint_eq(parked.kept_bytes, MIB);
    }
    party_start_host();
}
END_TEST

START_TEST(half_of_a_host_that_was_killed_is_swept_by_the_next) {
    char half[192];

    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(half, sizeof(half), "%s/1-2-3.half", path);
    fd_close(open(half, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_uint_eq(n_files(), 1);
    party_stop_host();
    party_start_host();
    ck_assert_int_eq(host_park_in(party.host, path), 0);
    ck_assert_uint_eq(n_files(), 0);
}
END_TEST

/* A claim of a host's own, found at the take-up, is what one that was killed has left. */
START_TEST(what_the_host_before_was_about_to_end_is_settled_anew) {
    Request *request = party_send(party_add_client(), 1000);
    HostClient *of_host = party_client_of_host(request->client);
    SlotClaim claim;
    Parked parked;

    ck_assert(slots_claim(of_host->submit.map, of_host->states.map, request->slot, request->generation,
                          SLOT_OWNER_ENDER, clock_now_ns(), &claim));
    host_settle_own(party.host);
    check_failed(request);
    get_parked(&parked);
    ck_assert_uint_eq(parked.kept_bytes, 1000);
    ck_assert_uint_eq(parked.n_workers, 0);
    ck_assert_str_eq(parked.why, "its worker died, and the host after that");
}
END_TEST

/* ---- suite ---- */

static void add_copies(TCase *tests) {
    tcase_add_test(tests, cancel_ends_it_at_once_and_nothing_is_kept);
    tcase_add_test(tests, deadline_ends_it_at_once_and_nothing_is_kept);
    tcase_add_test(tests, look_without_a_wish_changes_nothing);
    tcase_add_test(tests, client_that_goes_is_forgotten_at_once_and_nothing_is_kept);
    tcase_add_test(tests, those_that_wait_for_their_turn_end_as_their_clients_wish);
    tcase_add_test(tests, slot_that_ended_is_not_ended_by_its_former_copy);
    tcase_add_test(tests, host_that_ends_leaves_no_half_of_it);
    tcase_add_test(tests, what_the_host_before_was_about_to_end_is_settled_anew);
    tcase_add_test(tests, half_of_a_host_that_was_killed_is_swept_by_the_next);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("park");
    TCase *tests = party_add_case(suite, "kept", begin, end);

    tcase_add_test(tests, request_that_kills_its_workers_is_kept_with_all_that_is_known);
    tcase_add_test(tests, worker_that_the_host_has_killed_is_noted_as_such);
    tcase_add_test(tests, its_slot_is_used_again_and_the_kept_one_stays);
    tcase_add_test(tests, others_go_on_while_it_is_copied);
    tcase_add_test(tests, all_that_a_worker_had_is_kept_a_few_at_a_time);
    tests = party_add_case(suite, "not kept", begin, end);
    tcase_add_test(tests, request_that_says_so_is_not_kept);
    tcase_add_test(tests, nothing_is_kept_where_that_is_off);
    tcase_add_test(tests, exchange_over_the_budget_fails_all_the_same);
    tcase_add_test(tests, exchange_of_a_host_without_a_folder_fails_all_the_same);
    tcase_add_test(tests, exchange_of_a_host_that_may_not_write_fails_all_the_same);
    tcase_add_test(tests, no_more_is_kept_than_was_reserved);
    tcase_add_test(tests, want_of_descriptors_is_said);
    add_copies(party_add_case(suite, "copied", begin, end));
    return suite;
}
