/* SPDX-License-Identifier: MIT */
/*
 * The library in the hands of those who use it wrongly, or whose surroundings fail: an error, or a promise
 * that still holds; never a crash, a wait without end, or another exchange's bytes
 */
#include "lib-unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static shmipc_request *taken(shmipc_client *client, uint64_t bytes) {
    shmipc_request *request;

    ck_assert_int_eq(shmipc_take(client, bytes, &request), 0);
    return request;
}

static shmipc_request *sent(shmipc_client *client, const char *text) {
    shmipc_request *request = taken(client, strlen(text));

    memcpy(shmipc_data(request), text, strlen(text));
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), 0);
    return request;
}

static shmipc_worker *worker_of_host(void) {
    shmipc_worker *worker;

    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, PATIENT), 0);
    return worker;
}

static shmipc_job *received(shmipc_worker *worker) {
    shmipc_job *job;

    ck_assert_int_eq(shmipc_receive(worker, PATIENT, &job), 0);
    return job;
}

static void replied(shmipc_job *job, const char *text) {
    void *room;

    ck_assert_int_eq(shmipc_job_reserve(job, strlen(text), &room), 0);
    memcpy(room, text, strlen(text));
    ck_assert_int_eq(shmipc_job_reply(job, strlen(text)), 0);
}

/* One whole exchange, client and worker in turns. */
static shmipc_request *exchanged(shmipc_client *client, shmipc_worker *worker, const char *text) {
    shmipc_request *request = sent(client, text), *ended;

    replied(received(worker), text);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_ptr_eq(ended, request);
    ck_assert_int_eq(shmipc_result(request), 0);
    return request;
}

static bool says(const shmipc_request *request, const char *text) {
    uint64_t bytes;
    const void *data = shmipc_reply(request, &bytes);

    return bytes == strlen(text) && (bytes == 0 || memcmp(data, text, bytes) == 0);
}

/* --- clients: the wrong order, odd numbers --- */

START_TEST(request_in_flight_has_no_reply_yet) {
    shmipc_client *client = client_of_host();
    shmipc_request *request = sent(client, "x");
    char text[4] = "old";
    uint64_t bytes = 1;

    ck_assert_int_eq(shmipc_result(request), -EINPROGRESS);
    ck_assert_ptr_null(shmipc_reply(request, &bytes));
    ck_assert_uint_eq(bytes, 0);
    ck_assert_int_eq(shmipc_status(request), 0);
    ck_assert_uint_eq(shmipc_text(request, text, sizeof(text)), 0);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(shmipc_text(request, NULL, 0), 0);
    ck_assert_ptr_null(shmipc_data(request));
    shmipc_close(client);
}
END_TEST

START_TEST(request_that_ended_cannot_be_sent_or_changed) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request = exchanged(client, worker, "once");

    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), -EINVAL);
    ck_assert_int_eq(shmipc_resize(request, 1), -EINVAL);
    ck_assert_int_eq(shmipc_cancel(request), 0);
    ck_assert(says(request, "once"));
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(request_that_was_not_sent_can_be_cancelled_and_sent) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request = taken(client, 1);

    ck_assert_int_eq(shmipc_cancel(request), 0);
    ck_assert_int_eq(shmipc_send(request, 31, SHMIPC_FOREVER), 0);
    replied(received(worker), "y");
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert(says(request, "y"));
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(released_request_is_not_sent) {
    shmipc_client *client = client_of_host();
    shmipc_request *request = taken(client, 1);

    shmipc_release(request);
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), -EINVAL);
    ck_assert_int_eq(shmipc_resize(request, 1), -EINVAL);
    shmipc_release(request); /* nobody has taken it meanwhile */
    shmipc_close(client);
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused) {
    const uint64_t sizes[] = {
        UINT64_MAX, UINT64_MAX - 4095, INT64_MAX, UINT64_C(1) << 63, (UINT64_C(64) << 20) + 1,
    };
    shmipc_client *client = client_of_host();
    shmipc_request *request = taken(client, 10), *other;

    memcpy(shmipc_data(request), "0123456789", 10);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ck_assert_int_eq(shmipc_take(client, sizes[i], &other), -EMSGSIZE);
        ck_assert_int_eq(shmipc_resize(request, sizes[i]), -EMSGSIZE);
    }
    ck_assert_mem_eq(shmipc_data(request), "0123456789", 10);
    shmipc_close(client);
}
END_TEST

START_TEST(longest_timeouts_do_not_wrap_around) {
    const int64_t timeouts[] = {INT64_MAX, INT64_MAX - 1, SHMIPC_FOREVER, INT64_MIN};
    shmipc_client *client;
    shmipc_worker *worker;
    shmipc_request *request;
    shmipc_job *job;

    ck_assert_int_eq(shmipc_connect(&client, NULL, INT64_MAX), 0);
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, INT64_MAX), 0);
    for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        request = taken(client, 1);
        ck_assert_int_eq(shmipc_send(request, 0, timeouts[i]), 0);
        ck_assert_int_eq(shmipc_receive(worker, timeouts[i], &job), 0);
        ck_assert_int_gt(shmipc_job_remaining(job), INT64_C(1000000) * SECOND);
        ck_assert(!shmipc_job_is_cancelled(job));
        replied(job, "z");
        ck_assert_int_eq(shmipc_wait(client, timeouts[i], &request), 0);
        ck_assert(says(request, "z"));
        shmipc_release(request);
    }
    shmipc_worker_free(worker);
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, -1), -EINVAL);
    shmipc_close(client);
}
END_TEST

START_TEST(timeout_of_nothing_is_over_at_once) {
    shmipc_client *client = client_of_host();
    shmipc_request *request = taken(client, 1), *ended;

    ck_assert_int_eq(shmipc_send(request, 0, 0), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_int_eq(shmipc_result(ended), -ETIMEDOUT);
    ck_assert_int_eq(shmipc_wait(client, 0, &ended), -ETIMEDOUT);
    shmipc_close(client);
}
END_TEST

START_TEST(names_of_hosts_that_cannot_be_are_refused) {
    char longest[300];
    shmipc_client *client;
    shmipc_worker *worker;

    unsetenv("SHMIPC_SOCKET");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    ck_assert_int_eq(shmipc_connect(&client, longest, SECOND), -ENAMETOOLONG);
    ck_assert_int_eq(shmipc_worker_new(&worker, longest, SECOND), -ENAMETOOLONG);
    longest[0] = '/';
    ck_assert_int_eq(shmipc_connect(&client, longest, SECOND), -ENAMETOOLONG);
    ck_assert_int_eq(shmipc_connect(&client, "", SECOND), -ENOENT);
    ck_assert_str_eq(shmipc_error_text(NULL), shmipc_strerror(-ENOENT));
    ck_assert_int_eq(shmipc_connect(&client, "/", SECOND), -ECONNREFUSED);
}
END_TEST

START_TEST(nothing_is_freed_without_harm) {
    shmipc_close(NULL);
    shmipc_release(NULL);
    shmipc_worker_free(NULL);
    ck_assert_str_ne(shmipc_strerror(-12345), "");
    ck_assert_str_eq(shmipc_strerror(0), "no error");
    ck_assert_str_ne(shmipc_strerror(INT32_MIN), "");
}
END_TEST

START_TEST(bytes_beside_the_payload_are_never_another_exchanges) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request;
    shmipc_job *job;

    for (int i = 0; i < 4; i++) {
        request = sent(client, "x");
        job = received(worker);
        memset(shmipc_job_reply_user(job), 's', SHMIPC_USER_BYTES);
        replied(job, "x");
        ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    }
    shmipc_release(request);
    request = sent(client, "y");
    ck_assert_int_eq(shmipc_cancel(request), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert_int_eq(*(const char *)shmipc_reply_user(request), 0);
    ck_assert_int_eq(*(char *)shmipc_user(request), 0);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

/* --- hosts that go away, stop, come back --- */

/* Each restart leaves a connection behind, for as long as there is a reply of it. */
START_TEST(replies_of_many_hosts_are_kept_and_let_go) {
    shmipc_client *client = client_of_host();
    int fd = shmipc_get_fd(client);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    shmipc_worker *worker = worker_of_host();
    shmipc_request *kept[5], *none;
    size_t n_fds = unit_n_fds();
    static const char *const texts[] = {"zero", "one", "two", "three", "four"};

    for (int i = 0; i < 5; i++) {
        kept[i] = exchanged(client, worker, texts[i]);
        host_end(i % 2 ? SIGTERM : SIGKILL);
        host_start();
    }
    for (int i = 0; i < 5; i++)
        ck_assert(says(kept[i], texts[i]));
    shmipc_release(exchanged(client, worker, "now"));
    ck_assert_int_eq(shmipc_get_fd(client), fd);
    while (shmipc_wait(client, 0, &none) == 0)
        ;
    ck_assert_int_eq(poll(&poll_fd, 1, 0), 0); /* what is lost does not keep it awake */
    for (int i = 4; i >= 0; i--)
        shmipc_release(kept[i]);
    shmipc_release(exchanged(client, worker, "and now"));
    ck_assert_uint_le(unit_n_fds(), n_fds + 12); /* of the worker and this client; the old ones are gone */
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(messages_that_are_owed_do_not_outlive_their_host) {
    shmipc_client *client;
    struct pollfd poll_fd = {.events = POLLIN};
    shmipc_request *ended;

    host_end(SIGTERM);
    host_configure("queue_depth = 2;");
    host_start();
    client = client_of_host();
    for (int i = 0; i < 4; i++)
        sent(client, "x");
    host_end(SIGKILL);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
        ck_assert_int_eq(shmipc_result(ended), -ECONNRESET);
    }
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), -ECONNRESET);
    host_start();
    shmipc_release(ended);
    sent(client, "y");
    while (shmipc_wait(client, 0, &ended) == 0)
        ;
    poll_fd.fd = shmipc_get_fd(client);
    ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
    shmipc_close(client);
}
END_TEST

START_TEST(wait_without_a_host_is_not_without_end) {
    shmipc_client *client = client_of_host();
    shmipc_request *request;

    host_end(SIGKILL);
    ck_assert_int_eq(shmipc_take(client, 1, &request), -ENOENT);
    ck_assert_int_eq(shmipc_take(client, 1, &request), -ENOENT);
    ck_assert_int_eq(shmipc_wait(client, SHMIPC_FOREVER, &request), -ECONNRESET);
    ck_assert_uint_eq(shmipc_n_slots(client), 0);
    ck_assert_uint_eq(shmipc_max_payload(client), 0);
    shmipc_close(client);
    host_start();
}
END_TEST

START_TEST(wait_for_hosts_that_all_went_away_is_not_without_end) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *kept = exchanged(client, worker, "kept"), *ended;

    host_end(SIGKILL);
    host_start();
    sent(client, "x");
    host_end(SIGKILL);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_int_eq(shmipc_result(ended), -ECONNRESET);
    ck_assert_int_eq(shmipc_wait(client, SHMIPC_FOREVER, &ended), -ECONNRESET);
    ck_assert(says(kept, "kept"));
    shmipc_worker_free(worker);
    shmipc_close(client);
    host_start();
}
END_TEST

START_TEST(what_ends_while_something_else_is_asked_is_told_by_the_descriptor) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    struct pollfd ready = {.fd = shmipc_get_fd(client), .events = POLLIN};
    shmipc_request *first, *second, *ended;

    while (shmipc_wait(client, 0, &ended) != -ETIMEDOUT)
        ;
    first = sent(client, "first");
    replied(received(worker), "first");
    second = taken(client, 1 << 20); /* for which the host is asked, and the first seen to have ended */
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_int_eq(shmipc_send(second, 0, PATIENT), 0);
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_int_eq(shmipc_wait(client, 0, &ended), 0);
    ck_assert_ptr_eq(ended, first);
    ck_assert_int_eq(shmipc_wait(client, 0, &ended), -ETIMEDOUT);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    replied(received(worker), "second");
    ck_assert_int_eq(poll(&ready, 1, -1), 1);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_ptr_eq(ended, second);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(request_taken_from_a_host_that_went_away_is_told_so) {
    shmipc_client *client = client_of_host();
    shmipc_request *request = taken(client, 10), *ended;

    host_end(SIGKILL);
    host_start();
    ck_assert_int_eq(shmipc_wait(client, 0, &ended), -ECONNRESET);
    ck_assert_int_eq(shmipc_resize(request, 1 << 20), -ECONNRESET);
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), -ECONNRESET);
    shmipc_release(request);
    shmipc_release(taken(client, 1 << 20));
    shmipc_close(client);
}
END_TEST

START_TEST(call_to_a_stopped_host_comes_back_when_its_time_is_up) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;

    shmipc_release(taken(client, 1)); /* the memory is granted */
    ck_assert_int_eq(kill(lib_host_pid, SIGSTOP), 0);
    ck_assert_int_eq(shmipc_call(client, "x", 1, &reply, SECOND / 100), -ETIMEDOUT);
    ck_assert_ptr_null(reply);
    ck_assert_int_eq(kill(lib_host_pid, SIGCONT), 0);
    shmipc_close(client);
}
END_TEST

/* Connect with so little patience that a test need not wait long, however slow the machine is. */
static shmipc_client *impatient_client(void) {
    shmipc_client *client;
    int r;

    do
        r = shmipc_connect(&client, NULL, SECOND / 5);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, 0);
    return client;
}

START_TEST(size_that_a_stopped_host_does_not_grant_leaves_the_one_before) {
    shmipc_client *client = impatient_client();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request, *ended;
    int r;

    do
        r = shmipc_take(client, 3, &request);
    while (r == -ETIMEDOUT);
    ck_assert_int_eq(r, 0);
    memcpy(shmipc_data(request), "old", 3);
    ck_assert_int_eq(kill(lib_host_pid, SIGSTOP), 0);
    ck_assert_int_eq(shmipc_resize(request, 1 << 20), -ETIMEDOUT);
    ck_assert_mem_eq(shmipc_data(request), "old", 3);
    ck_assert_int_eq(shmipc_send(request, 0, SHMIPC_FOREVER), 0);
    ck_assert_int_eq(kill(lib_host_pid, SIGCONT), 0);
    replied(received(worker), "new");
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_ptr_eq(ended, request);
    ck_assert(says(ended, "new"));
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(connection_to_a_stopped_host_times_out) {
    shmipc_client *client;

    ck_assert_int_eq(kill(lib_host_pid, SIGSTOP), 0);
    ck_assert_int_eq(shmipc_connect(&client, NULL, SECOND / 20), -ETIMEDOUT);
    ck_assert_int_eq(kill(lib_host_pid, SIGCONT), 0);
}
END_TEST

/* --- workers --- */

START_TEST(reply_of_more_than_was_reserved_shows_no_earlier_response) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request;
    shmipc_job *job;
    void *room;

    shmipc_release(exchanged(client, worker, "a secret that is longer"));
    request = sent(client, "x");
    job = received(worker);
    ck_assert_int_eq(shmipc_job_reserve(job, 3, &room), 0);
    ck_assert_int_eq(shmipc_job_reply(job, 20), -EINVAL);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert_int_eq(shmipc_result(request), -EREMOTEIO);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(reply_without_reserving_is_empty_or_an_error) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request;

    request = sent(client, "x");
    ck_assert_int_eq(shmipc_job_reply(received(worker), 0), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert(says(request, ""));
    request = sent(client, "x");
    ck_assert_int_eq(shmipc_job_reply(received(worker), 1), -EINVAL);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert_int_eq(shmipc_result(request), -EREMOTEIO);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(responses_that_cannot_be_are_refused_and_the_job_goes_on) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request = sent(client, "x");
    shmipc_job *job = received(worker);
    void *room;

    ck_assert_int_eq(shmipc_job_reserve(job, UINT64_MAX, &room), -EMSGSIZE);
    ck_assert_int_eq(shmipc_job_reserve(job, INT64_MAX, &room), -EMSGSIZE);
    ck_assert_int_eq(shmipc_job_reserve(job, (UINT64_C(64) << 20) + 1, &room), -EMSGSIZE);
    ck_assert_int_eq(shmipc_job_reserve(job, 0, &room), 0);
    replied(job, "fine");
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert(says(request, "fine"));
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(failure_may_have_no_text_or_a_long_one) {
    static char longest[100000];
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request;

    memset(longest, 'l', sizeof(longest) - 1);
    sent(client, "x");
    ck_assert_int_eq(shmipc_job_fail(received(worker), -1, NULL), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert_int_eq(shmipc_status(request), -1);
    ck_assert_uint_eq(shmipc_text(request, NULL, 0), 0);
    sent(client, "x");
    ck_assert_int_eq(shmipc_job_fail(received(worker), 1, longest), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    ck_assert_uint_eq(shmipc_text(request, NULL, 0), sizeof(longest) - 1);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

/* The new host knows nothing of the old one's clients: to ask it for memory would look like an attack. */
START_TEST(job_of_a_lost_host_is_told_so_and_costs_the_worker_nothing) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();
    shmipc_request *request = sent(client, "x"), *ended;
    shmipc_job *job = received(worker);
    void *room;

    host_end(SIGKILL);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_int_eq(shmipc_result(request), -ECONNRESET);
    host_start();
    shmipc_release(request);
    sent(client, "y");
    replied(received(worker), "y"); /* so it is with the new host by now */
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert(shmipc_job_is_cancelled(job));
    ck_assert_int_eq(shmipc_job_reserve(job, 1 << 20, &room), -ECONNRESET);
    shmipc_release(exchanged(client, worker, "still there"));
    ck_assert_int_eq(shmipc_job_reply(job, 0), 0);
    shmipc_release(exchanged(client, worker, "and still"));
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

/* A host in a child: it hangs up on @n_hung_up clients, then stops to listen. */
static pid_t hang_up_on(const char *path, int n_hung_up) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pid_t pid;

    strcpy(address.sun_path, path);
    (void)unlink(path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    pid = fork();
    if (pid == 0) {
        while (n_hung_up-- > 0)
            close(accept(fd, NULL, NULL));
        _exit(0);
    }
    close(fd);
    return pid;
}

/*
 * One that was restarted just then has only lost the HELLO. One that hangs up again and again is asked four
 * times.
 */
START_TEST(host_that_hangs_up_before_it_answers_is_asked_again) {
    char path[] = "/tmp/shmipc-hang-up-XXXXXX";
    shmipc_client *client = NULL;
    pid_t pid;

    ck_assert_int_ge(close(mkstemp(path)), 0);
    pid = hang_up_on(path, 4);
    ck_assert_int_eq(shmipc_connect(&client, path, PATIENT), -ECONNRESET);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid); /* all four came */
    ck_assert_int_eq(shmipc_connect(&client, path, PATIENT), -ECONNREFUSED);
    ck_assert_ptr_null(client);
    unlink(path);
}
END_TEST

START_TEST(worker_may_be_freed_while_its_host_is_away) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker = worker_of_host();

    sent(client, "x");
    (void)received(worker);
    host_end(SIGKILL);
    shmipc_worker_free(worker);
    host_start();
    shmipc_close(client);
}
END_TEST

/* --- fork --- */

static bool child_says(bool (*test)(void *data), void *data) {
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(test(data) ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

typedef struct Inherited {
    shmipc_client *client;
    shmipc_request *ended, *flying, *taken;
    shmipc_worker *worker;
    shmipc_job *job;
} Inherited;

static bool client_is_of_no_use(void *data) {
    Inherited *of = data;
    shmipc_request *none;

    return shmipc_send(of->taken, 0, SECOND) == -ECHILD && shmipc_resize(of->taken, 1) == -ECHILD &&
           shmipc_cancel(of->flying) == -ECHILD &&
           shmipc_call(of->client, "x", 1, &none, SECOND) == -ECHILD &&
           shmipc_call_fd(of->client, 0, 1, &none, SECOND) == -ECHILD && says(of->ended, "ended");
}

static bool worker_is_of_no_use(void *data) {
    Inherited *of = data;
    const void *request;
    uint64_t bytes;
    shmipc_job *job;
    void *room;
    size_t n;

    return shmipc_receive(of->worker, 0, &job) == -ECHILD && shmipc_worker_get_fd(of->worker) == -ECHILD &&
           shmipc_receive_many(of->worker, 0, 0, &job, 1, &n) == -ECHILD &&
           shmipc_job_data(of->job, &request, &bytes) == -ECHILD &&
           shmipc_job_reserve(of->job, 1, &room) == -ECHILD &&
           shmipc_job_reply(of->job, 0) == -ECHILD && shmipc_job_fail(of->job, 1, "") == -ECHILD &&
           shmipc_job_is_cancelled(of->job);
}

static bool all_is_freed(void *data) {
    Inherited *of = data;

    shmipc_release(of->flying);
    shmipc_release(of->taken);
    shmipc_close(of->client);
    shmipc_worker_free(of->worker);
    return true;
}

START_TEST(child_cannot_use_what_it_inherited_nor_harm_it) {
    Inherited of = {.client = client_of_host(), .worker = worker_of_host()};
    shmipc_request *ended;

    of.ended = exchanged(of.client, of.worker, "ended");
    of.flying = sent(of.client, "flying");
    of.job = received(of.worker);
    of.taken = taken(of.client, 10);
    ck_assert(child_says(client_is_of_no_use, &of));
    ck_assert(child_says(worker_is_of_no_use, &of));
    ck_assert(child_says(all_is_freed, &of));
    ck_assert_int_eq(shmipc_send(of.taken, 0, PATIENT), 0);
    replied(of.job, "landed");
    replied(received(of.worker), "sent");
    ck_assert_int_eq(shmipc_wait(of.client, PATIENT, &ended), 0);
    ck_assert_int_eq(shmipc_wait(of.client, PATIENT, &ended), 0);
    ck_assert(says(of.flying, "landed"));
    ck_assert(says(of.taken, "sent"));
    ck_assert(says(of.ended, "ended"));
    shmipc_worker_free(of.worker);
    shmipc_close(of.client);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("lib-abuse");
    TCase *tests = tcase_create("lib-abuse");

    tcase_add_checked_fixture(tests, lib_set_up, lib_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, request_in_flight_has_no_reply_yet);
    tcase_add_test(tests, request_that_ended_cannot_be_sent_or_changed);
    tcase_add_test(tests, request_that_was_not_sent_can_be_cancelled_and_sent);
    tcase_add_test(tests, released_request_is_not_sent);
    tcase_add_test(tests, sizes_that_cannot_be_are_refused);
    tcase_add_test(tests, longest_timeouts_do_not_wrap_around);
    tcase_add_test(tests, timeout_of_nothing_is_over_at_once);
    tcase_add_test(tests, names_of_hosts_that_cannot_be_are_refused);
    tcase_add_test(tests, nothing_is_freed_without_harm);
    tcase_add_test(tests, bytes_beside_the_payload_are_never_another_exchanges);
    tcase_add_test(tests, replies_of_many_hosts_are_kept_and_let_go);
    tcase_add_test(tests, messages_that_are_owed_do_not_outlive_their_host);
    tcase_add_test(tests, wait_without_a_host_is_not_without_end);
    tcase_add_test(tests, wait_for_hosts_that_all_went_away_is_not_without_end);
    tcase_add_test(tests, what_ends_while_something_else_is_asked_is_told_by_the_descriptor);
    tcase_add_test(tests, request_taken_from_a_host_that_went_away_is_told_so);
    tcase_add_test(tests, call_to_a_stopped_host_comes_back_when_its_time_is_up);
    tcase_add_test(tests, size_that_a_stopped_host_does_not_grant_leaves_the_one_before);
    tcase_add_test(tests, connection_to_a_stopped_host_times_out);
    tcase_add_test(tests, reply_of_more_than_was_reserved_shows_no_earlier_response);
    tcase_add_test(tests, reply_without_reserving_is_empty_or_an_error);
    tcase_add_test(tests, responses_that_cannot_be_are_refused_and_the_job_goes_on);
    tcase_add_test(tests, failure_may_have_no_text_or_a_long_one);
    tcase_add_test(tests, job_of_a_lost_host_is_told_so_and_costs_the_worker_nothing);
    tcase_add_test(tests, host_that_hangs_up_before_it_answers_is_asked_again);
    tcase_add_test(tests, worker_may_be_freed_while_its_host_is_away);
    tcase_add_test(tests, child_cannot_use_what_it_inherited_nor_harm_it);
    suite_add_tcase(suite, tests);
    return suite;
}
