/* SPDX-License-Identifier: MIT */
/*
 * The library as a program sees it: through shmipc.h alone, against a host that is a process of its own
 *
 * $SHMIPC is the daemon. Workers are threads of this process, with a shmipc_worker each.
 */
#include "lib-unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND  INT64_C(1000000000)
#define PATIENT (50 * SECOND) /* far beyond what anything here takes: a hang is told from a slow machine */

/* --- a worker in a thread --- */

typedef struct Served {
    pthread_t thread;
    int n;          /* jobs to take */
    sem_t begun;    /* posted for each */
    unsigned order[16];
} Served;

/* What a job asks for stands in its first byte. */
static void answer(shmipc_job *job) {
    const unsigned char *request;
    void *response;
    uint64_t bytes;

    ck_assert_int_eq(shmipc_job_data(job, (const void **)&request, &bytes), 0);
    if (bytes > 0 && request[0] == 'f') {
        ck_assert_int_eq(shmipc_job_fail(job, 7, "will not"), 0);
        return;
    }
    if (bytes > 0 && request[0] == 'o') {
        ck_assert_int_eq(shmipc_job_reply(job, UINT64_C(1) << 40), -EINVAL);
        return;
    }
    if (bytes > 0 && request[0] == 'c')
        while (!shmipc_job_is_cancelled(job))
            ck_assert_int_gt(shmipc_job_remaining(job), 0);
    ck_assert_int_eq(shmipc_job_reserve(job, bytes, &response), 0);
    if (bytes > 0)
        memcpy(response, request, bytes);
    memcpy(shmipc_job_reply_user(job), shmipc_job_user(job), SHMIPC_USER_BYTES);
    ck_assert_int_eq(shmipc_job_reply(job, bytes), 0);
}

static void *serve(void *data) {
    Served *served = data;
    shmipc_worker *worker;
    shmipc_job *job;

    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, PATIENT), 0);
    for (int i = 0; i < served->n; i++) {
        const void *request;
        uint64_t bytes;

        ck_assert_int_eq(shmipc_receive(worker, PATIENT, &job), 0);
        ck_assert_uint_eq(shmipc_job_uid(job), getuid());
        ck_assert_uint_eq(shmipc_job_attempt(job), 1);
        ck_assert_int_eq(shmipc_job_data(job, &request, &bytes), 0);
        ck_assert_int_eq(sem_post(&served->begun), 0);
        served->order[i % 16] = bytes ? *(const unsigned char *)request : 0;
        answer(job);
    }
    shmipc_worker_free(worker);
    return NULL;
}

static void serve_in_thread(Served *served, int n) {
    served->n = n;
    ck_assert_int_eq(sem_init(&served->begun, 0, 0), 0);
    ck_assert_int_eq(pthread_create(&served->thread, NULL, serve, served), 0);
}

static void served_end(Served *served) {
    ck_assert_int_eq(pthread_join(served->thread, NULL), 0);
}

static shmipc_request *sent(shmipc_client *client, const char *text, unsigned priority) {
    shmipc_request *request;

    ck_assert_int_eq(shmipc_take(client, strlen(text), &request), 0);
    memcpy(shmipc_data(request), text, strlen(text));
    ck_assert_int_eq(shmipc_send(request, priority, PATIENT), 0);
    return request;
}

/* --- calls --- */

START_TEST(call_returns_the_answer) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;
    Served served;
    uint64_t bytes;

    serve_in_thread(&served, 2);
    ck_assert_int_eq(shmipc_call(client, "hello", 5, &reply, PATIENT), 0);
    ck_assert_mem_eq(shmipc_reply(reply, &bytes), "hello", 5);
    ck_assert_uint_eq(bytes, 5);
    shmipc_release(reply);
    ck_assert_int_eq(shmipc_call(client, NULL, 0, &reply, PATIENT), 0);
    ck_assert_ptr_null(shmipc_reply(reply, &bytes));
    ck_assert_uint_eq(bytes, 0);
    shmipc_release(reply);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(failed_call_says_what_the_worker_said) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;
    Served served;
    char text[32], cut[5];
    uint64_t bytes;

    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call(client, "fail", 4, &reply, PATIENT), -EREMOTEIO);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(shmipc_result(reply), -EREMOTEIO);
    ck_assert_int_eq(shmipc_status(reply), 7);
    ck_assert_uint_eq(shmipc_text(reply, text, sizeof(text)), 8);
    ck_assert_str_eq(text, "will not");
    ck_assert_uint_eq(shmipc_text(reply, cut, sizeof(cut)), 8);
    ck_assert_str_eq(cut, "will");
    ck_assert_ptr_null(shmipc_reply(reply, &bytes));
    shmipc_release(reply);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(reply_of_more_than_was_reserved_fails_the_request) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;
    Served served;

    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call(client, "over", 4, &reply, PATIENT), -EREMOTEIO);
    shmipc_release(reply);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(call_without_a_worker_times_out) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;

    ck_assert_int_eq(shmipc_call(client, "x", 1, &reply, SECOND / 20), -ETIMEDOUT);
    shmipc_release(reply);
    ck_assert_str_ne(shmipc_error_text(client), "");
    shmipc_close(client);
}
END_TEST

START_TEST(descriptor_to_descriptor_moves_a_file) {
    static char data[3000000], back[sizeof(data)];
    shmipc_client *client = client_of_host();
    FILE *in = tmpfile(), *out = tmpfile();
    shmipc_request *reply;
    Served served;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 % 251 + 1);
    data[0] = 'x';
    ck_assert_uint_eq(fwrite(data, 1, sizeof(data), in), sizeof(data));
    ck_assert_int_eq(fflush(in), 0);
    ck_assert_int_eq(lseek(fileno(in), 0, SEEK_SET), 0);
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call_fd(client, fileno(in), fileno(out), &reply, PATIENT), 0);
    shmipc_release(reply);
    ck_assert_int_eq(pread(fileno(out), back, sizeof(back), 0), (ssize_t)sizeof(back));
    ck_assert_mem_eq(data, back, sizeof(data));
    served_end(&served);
    shmipc_close(client);
    fclose(in);
    fclose(out);
}
END_TEST

START_TEST(descriptor_of_unknown_size_is_read_to_its_end) {
    shmipc_client *client = client_of_host();
    shmipc_request *reply;
    int in[2], out[2];
    char back[8];
    Served served;

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    ck_assert_int_eq(write(in[1], "abcdef", 6), 6);
    close(in[1]);
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call_fd(client, in[0], out[1], &reply, PATIENT), 0);
    ck_assert_int_eq(read(out[0], back, sizeof(back)), 6);
    ck_assert_mem_eq(back, "abcdef", 6);
    shmipc_release(reply);
    served_end(&served);
    shmipc_close(client);
    close(in[0]);
    close(out[0]);
    close(out[1]);
}
END_TEST

/* --- requests --- */

START_TEST(resize_keeps_what_was_written) {
    shmipc_client *client = client_of_host();
    shmipc_request *request, *ended;
    Served served;
    uint64_t bytes;

    ck_assert_int_eq(shmipc_take(client, 6, &request), 0);
    memcpy(shmipc_data(request), "abcdef", 6);
    ck_assert_int_eq(shmipc_resize(request, 1000000), 0);
    ck_assert_mem_eq(shmipc_data(request), "abcdef", 6);
    ck_assert_int_eq(shmipc_resize(request, 3), 0);
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), 0);
    ck_assert_ptr_null(shmipc_data(request));
    ck_assert_int_eq(shmipc_resize(request, 5), -EINVAL);
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), -EINVAL);
    ck_assert_int_eq(shmipc_result(request), -EINPROGRESS);
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_ptr_eq(ended, request);
    ck_assert_mem_eq(shmipc_reply(request, &bytes), "abc", 3);
    ck_assert_uint_eq(bytes, 3);
    shmipc_release(request);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(request_beyond_max_payload_is_refused) {
    shmipc_client *client = client_of_host();
    shmipc_request *request;

    ck_assert_uint_eq(shmipc_max_payload(client), 64 << 20);
    ck_assert_int_eq(shmipc_take(client, (64 << 20) + 1, &request), -EMSGSIZE);
    ck_assert_int_eq(shmipc_take(client, 64 << 20, &request), 0);
    shmipc_release(request);
    shmipc_close(client);
}
END_TEST

START_TEST(request_beyond_the_memory_budget_is_refused_and_named) {
    shmipc_client *client;
    shmipc_request *request;

    host_end(SIGTERM);
    host_configure("memory = \"1M\";");
    host_start();
    client = client_of_host();
    ck_assert_int_eq(shmipc_take(client, 8 << 20, &request), -ENOMEM);
    ck_assert_ptr_nonnull(strstr(shmipc_error_text(client), "memory"));
    ck_assert_int_eq(shmipc_take(client, 4096, &request), 0);
    shmipc_release(request);
    shmipc_close(client);
}
END_TEST

START_TEST(memory_that_was_refused_once_can_be_had_later) {
    shmipc_client *client;
    shmipc_request *big, *small;
    int r;

    host_end(SIGTERM);
    host_configure("memory = \"8M\";");
    host_start();
    client = client_of_host();
    ck_assert_int_eq(shmipc_take(client, 6 << 20, &big), 0);
    ck_assert_int_eq(shmipc_take(client, 1, &small), 0);
    ck_assert_int_eq(shmipc_resize(small, 6 << 20), -ENOMEM);
    shmipc_release(big);
    do /* the host looks once a second for what nobody uses */
        r = shmipc_resize(small, 6 << 20);
    while (r == -ENOMEM);
    ck_assert_int_eq(r, 0);
    shmipc_close(client);
}
END_TEST

START_TEST(taking_more_than_there_are_slots_says_busy) {
    shmipc_client *client = client_of_host();
    shmipc_request *requests[4], *more;

    ck_assert_uint_eq(shmipc_n_slots(client), 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(shmipc_take(client, 1, &requests[i]), 0);
    ck_assert_int_eq(shmipc_take(client, 1, &more), -EBUSY);
    shmipc_release(requests[2]);
    ck_assert_int_eq(shmipc_take(client, 1, &more), 0);
    shmipc_close(client);
}
END_TEST

START_TEST(several_in_flight_are_handed_out_once_each) {
    shmipc_client *client = client_of_host();
    shmipc_request *request;
    bool seen[4] = {false};
    Served served;

    serve_in_thread(&served, 4);
    for (uintptr_t i = 0; i < 4; i++)
        shmipc_set_tag(sent(client, "x", 0), (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        uintptr_t tag;

        ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
        tag = (uintptr_t)shmipc_get_tag(request) - 1;
        ck_assert_uint_lt(tag, 4);
        ck_assert(!seen[tag]);
        seen[tag] = true;
    }
    ck_assert_int_eq(shmipc_wait(client, 0, &request), -ETIMEDOUT);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(many_are_called_at_once_and_each_has_its_own_result) {
    shmipc_client *client = client_of_host();
    shmipc_request *requests[4], *other;
    Served served;

    serve_in_thread(&served, 4);
    ck_assert_int_eq(shmipc_call_many(NULL, 0, PATIENT), 0);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        ck_assert_int_eq(shmipc_take(client, i + 1, &requests[i]), 0);
        memset(shmipc_data(requests[i]), '0' + (int)i, i + 1);
    }
    ck_assert_int_eq(shmipc_call_many(requests, 4, PATIENT), 0);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        uint64_t bytes;
        const char *reply = shmipc_reply(requests[i], &bytes);

        ck_assert_int_eq(shmipc_result(requests[i]), 0);
        ck_assert_uint_eq(bytes, i + 1);
        ck_assert_int_eq(reply[i], '0' + (int)i);
        shmipc_release(requests[i]);
    }
    ck_assert_int_eq(shmipc_wait(client, 0, &other), -ETIMEDOUT); /* none is handed out again */
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(many_of_several_clients_are_not_called) {
    shmipc_client *first = client_of_host(), *second = client_of_host();
    shmipc_request *requests[2];

    ck_assert_int_eq(shmipc_take(first, 1, &requests[0]), 0);
    ck_assert_int_eq(shmipc_take(second, 1, &requests[1]), 0);
    ck_assert_int_eq(shmipc_call_many(requests, 2, PATIENT), -EINVAL);
    ck_assert_int_eq(shmipc_result(requests[0]), -EINPROGRESS);
    shmipc_close(first);
    shmipc_close(second);
}
END_TEST

START_TEST(call_of_many_without_a_worker_times_out) {
    shmipc_client *client = client_of_host();
    shmipc_request *requests[2];

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        ck_assert_int_eq(shmipc_take(client, 1, &requests[i]), 0);
    ck_assert_int_eq(shmipc_call_many(requests, 2, SECOND / 10), 0);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        ck_assert_int_eq(shmipc_result(requests[i]), -ETIMEDOUT);
        shmipc_release(requests[i]);
    }
    shmipc_close(client);
}
END_TEST

START_TEST(user_bytes_travel_both_ways) {
    shmipc_client *client = client_of_host();
    shmipc_request *request, *ended;
    Served served;

    ck_assert_int_eq(shmipc_take(client, 0, &request), 0);
    memset(shmipc_user(request), 'u', SHMIPC_USER_BYTES);
    ck_assert_int_eq(shmipc_send(request, 0, PATIENT), 0);
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    for (int i = 0; i < SHMIPC_USER_BYTES; i++)
        ck_assert_int_eq(((const char *)shmipc_reply_user(ended))[i], 'u');
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(higher_priorities_go_first) {
    shmipc_client *client = client_of_host();
    shmipc_request *request;
    Served served;

    ck_assert_int_eq(shmipc_take(client, 1, &request), 0);
    ck_assert_int_eq(shmipc_send(request, 32, PATIENT), -EINVAL);
    shmipc_release(request);
    sent(client, "1", 1);
    sent(client, "3", 3);
    sent(client, "2", 2);
    serve_in_thread(&served, 3);
    served_end(&served);
    ck_assert_uint_eq(served.order[0], '3');
    ck_assert_uint_eq(served.order[1], '2');
    ck_assert_uint_eq(served.order[2], '1');
    shmipc_close(client);
}
END_TEST

START_TEST(cancelled_before_a_claim_never_runs) {
    shmipc_client *client = client_of_host();
    shmipc_request *request, *ended;
    Served served;

    request = sent(client, "a", 0);
    ck_assert_int_eq(shmipc_cancel(request), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_ptr_eq(ended, request);
    ck_assert_int_eq(shmipc_result(request), -ECANCELED);
    shmipc_release(request);
    sent(client, "b", 0);
    serve_in_thread(&served, 1);
    served_end(&served);
    ck_assert_uint_eq(served.order[0], 'b');
    shmipc_close(client);
}
END_TEST

START_TEST(worker_sees_a_cancelled_job) {
    shmipc_client *client = client_of_host();
    shmipc_request *request;
    Served served;

    serve_in_thread(&served, 2);
    request = sent(client, "cancel me", 0);
    ck_assert_int_eq(sem_wait(&served.begun), 0);
    ck_assert_int_eq(shmipc_cancel(request), 0);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
    shmipc_release(request);
    sent(client, "cancel me", 0);
    ck_assert_int_eq(sem_wait(&served.begun), 0);
    shmipc_close(client); /* what a client that goes had in flight is cancelled as well */
    served_end(&served);
}
END_TEST

START_TEST(sequence_is_the_same_on_both_sides) {
    shmipc_client *client = client_of_host();
    char here[43] = "?", there[43], cut[4], wanted[64];
    shmipc_request *request;
    shmipc_worker *worker;
    shmipc_job *job;

    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, PATIENT), 0);
    for (unsigned generation = 1; generation <= 2; generation++) {
        ck_assert_int_eq(shmipc_take(client, 0, &request), 0);
        ck_assert_uint_eq(shmipc_sequence(request, here, sizeof(here)), 0);
        ck_assert_str_eq(here, "");
        ck_assert_uint_eq(shmipc_sequence(request, NULL, 0), 0);
        ck_assert_int_eq(shmipc_send(request, 0, PATIENT), 0);
        ck_assert_int_eq(shmipc_receive(worker, PATIENT, &job), 0);
        snprintf(wanted, sizeof(wanted), "%llu-0-%u", (unsigned long long)shmipc_job_client(job), generation);
        ck_assert_uint_eq(shmipc_job_sequence(job, there, sizeof(there)), strlen(wanted));
        ck_assert_str_eq(there, wanted);
        ck_assert_uint_eq(shmipc_job_sequence(job, cut, sizeof(cut)), strlen(wanted));
        ck_assert_uint_eq(strlen(cut), sizeof(cut) - 1);
        ck_assert_int_eq(shmipc_job_reply(job, 0), 0);
        ck_assert_int_eq(shmipc_wait(client, PATIENT, &request), 0);
        ck_assert_uint_eq(shmipc_sequence(request, here, sizeof(here)), strlen(wanted));
        ck_assert_str_eq(here, wanted);
        shmipc_release(request);
    }
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

/* --- the descriptor, the host, fork --- */

START_TEST(descriptor_is_readable_when_a_request_has_ended) {
    shmipc_client *client = client_of_host();
    struct pollfd ready = {.fd = shmipc_get_fd(client), .events = POLLIN};
    shmipc_request *request;
    Served served;

    while (shmipc_wait(client, 0, &request) != -ETIMEDOUT)
        ;
    sent(client, "x", 0);
    serve_in_thread(&served, 1);
    while (shmipc_wait(client, 0, &request) == -ETIMEDOUT)
        ck_assert_int_eq(poll(&ready, 1, 20000), 1);
    ck_assert_int_eq(shmipc_result(request), 0);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(host_that_dies_costs_what_is_in_flight_and_no_more) {
    shmipc_client *client = client_of_host();
    int fd = shmipc_get_fd(client);
    shmipc_request *request, *reply;
    Served served;

    request = sent(client, "x", 0);
    host_end(SIGKILL);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &reply), 0);
    ck_assert_ptr_eq(reply, request);
    ck_assert_int_eq(shmipc_result(request), -ECONNRESET);
    ck_assert_int_eq(shmipc_take(client, 1, &reply), -ENOENT);
    host_start();
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call(client, "y", 1, &reply, PATIENT), 0);
    ck_assert_int_eq(shmipc_get_fd(client), fd);
    ck_assert_int_eq(shmipc_result(request), -ECONNRESET); /* still readable, though its connection is gone */
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(worker_comes_back_after_a_host_restart) {
    shmipc_client *client;
    shmipc_request *reply;
    Served served;

    serve_in_thread(&served, 2);
    client = client_of_host();
    ck_assert_int_eq(shmipc_call(client, "x", 1, &reply, PATIENT), 0);
    shmipc_release(reply);
    host_end(SIGTERM); /* its end of the socket is closed by then */
    host_start();
    ck_assert_int_eq(shmipc_call(client, "y", 1, &reply, PATIENT), 0);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

START_TEST(child_after_fork_is_told_so_and_does_no_harm) {
    shmipc_client *client = client_of_host();
    shmipc_request *request, *reply;
    Served served;
    int status;
    pid_t child;

    ck_assert_int_eq(shmipc_take(client, 1, &request), 0);
    child = fork();
    if (child == 0) {
        bool told = shmipc_take(client, 1, &reply) == -ECHILD && shmipc_send(request, 0, SECOND) == -ECHILD &&
                    shmipc_wait(client, 0, &reply) == -ECHILD && shmipc_get_fd(client) == -ECHILD;

        shmipc_close(client);
        _exit(told ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call(client, "x", 1, &reply, PATIENT), 0);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

/* A listener with room for one, who is there already. */
static int crowded_listener(struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int other = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s.crowd", getenv("SHMIPC_SOCKET"));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(connect(other, (struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

START_TEST(connect_waits_where_a_crowd_does) {
    struct sockaddr_un address;
    int fd = crowded_listener(&address);
    shmipc_client *client = NULL;

    ck_assert_int_eq(shmipc_connect(&client, address.sun_path, SECOND / 50), -ETIMEDOUT);
    ck_assert_ptr_null(client);
    ck_assert_ptr_nonnull(strstr(shmipc_error_text(NULL), "too many wait"));
    close(fd);
    ck_assert_int_eq(unlink(address.sun_path), 0);
}
END_TEST

START_TEST(connect_says_what_is_wrong) {
    shmipc_client *client = NULL;

    ck_assert_int_eq(shmipc_connect(&client, "/nowhere/host.sock", SECOND), -ENOENT);
    ck_assert_ptr_null(client);
    host_end(SIGTERM);
    host_configure("access = [];");
    host_start();
    ck_assert_int_eq(shmipc_connect(&client, NULL, PATIENT), -EACCES);
    ck_assert_ptr_null(client);
    ck_assert_str_eq(shmipc_strerror(-EACCES), "the host does not let this user in");
}
END_TEST

/* --- workers --- */

START_TEST(worker_that_is_not_let_in_is_told_so) {
    shmipc_worker *worker;
    shmipc_job *job;

    host_end(SIGTERM);
    host_configure("workers = [];");
    host_start();
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, SECOND), 0);
    ck_assert_int_eq(shmipc_receive(worker, PATIENT, &job), -EACCES);
    ck_assert_ptr_nonnull(strstr(shmipc_worker_error_text(worker), "workers"));
    shmipc_worker_free(worker);
}
END_TEST

START_TEST(worker_without_a_host_waits_for_its_time) {
    shmipc_worker *worker;
    shmipc_job *job;

    ck_assert_int_eq(shmipc_worker_new(&worker, "/nowhere/host.sock", SECOND), 0);
    ck_assert_int_eq(shmipc_receive(worker, SECOND / 20, &job), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(shmipc_worker_error_text(worker), "/nowhere"));
    shmipc_worker_free(worker);
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(many_are_received_at_once) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker;
    shmipc_job *jobs[4];
    shmipc_request *ended;
    size_t n = 0, n_now;

    for (int i = 0; i < 3; i++)
        sent(client, "x", 0);
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, PATIENT), 0);
    for (; n < 3; n += n_now)
        ck_assert_int_eq(shmipc_receive_many(worker, PATIENT, SECOND / 50, jobs + n, 4 - n, &n_now), 0);
    for (size_t i = 0; i < n; i++)
        answer(jobs[i]);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    shmipc_worker_free(worker);
    shmipc_close(client);
}
END_TEST

START_TEST(job_of_a_worker_that_is_freed_ends_as_lost) {
    shmipc_client *client = client_of_host();
    shmipc_worker *worker;
    shmipc_request *ended;
    shmipc_job *job;

    sent(client, "x", 0);
    ck_assert_int_eq(shmipc_worker_new(&worker, NULL, PATIENT), 0);
    ck_assert_int_eq(shmipc_receive(worker, PATIENT, &job), 0);
    shmipc_worker_free(worker);
    ck_assert_int_eq(shmipc_wait(client, PATIENT, &ended), 0);
    ck_assert_int_eq(shmipc_result(ended), -EOWNERDEAD);
    shmipc_close(client);
}
END_TEST

START_TEST(request_of_who_is_not_trusted_is_copied_before_it_is_read) {
    shmipc_client *client;
    shmipc_request *reply;
    Served served;
    uint64_t bytes;

    host_end(SIGTERM);
    host_configure("trusted = [];");
    host_start();
    client = client_of_host();
    serve_in_thread(&served, 1);
    ck_assert_int_eq(shmipc_call(client, "hello", 5, &reply, PATIENT), 0);
    ck_assert_mem_eq(shmipc_reply(reply, &bytes), "hello", 5);
    served_end(&served);
    shmipc_close(client);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("lib");
    TCase *tests = tcase_create("lib");

    tcase_add_checked_fixture(tests, lib_set_up, lib_tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, call_returns_the_answer);
    tcase_add_test(tests, failed_call_says_what_the_worker_said);
    tcase_add_test(tests, reply_of_more_than_was_reserved_fails_the_request);
    tcase_add_test(tests, call_without_a_worker_times_out);
    tcase_add_test(tests, descriptor_to_descriptor_moves_a_file);
    tcase_add_test(tests, descriptor_of_unknown_size_is_read_to_its_end);
    tcase_add_test(tests, resize_keeps_what_was_written);
    tcase_add_test(tests, request_beyond_max_payload_is_refused);
    tcase_add_test(tests, request_beyond_the_memory_budget_is_refused_and_named);
    tcase_add_test(tests, memory_that_was_refused_once_can_be_had_later);
    tcase_add_test(tests, taking_more_than_there_are_slots_says_busy);
    tcase_add_test(tests, several_in_flight_are_handed_out_once_each);
    tcase_add_test(tests, many_are_called_at_once_and_each_has_its_own_result);
    tcase_add_test(tests, many_of_several_clients_are_not_called);
    tcase_add_test(tests, call_of_many_without_a_worker_times_out);
    tcase_add_test(tests, user_bytes_travel_both_ways);
    tcase_add_test(tests, higher_priorities_go_first);
    tcase_add_test(tests, cancelled_before_a_claim_never_runs);
    tcase_add_test(tests, worker_sees_a_cancelled_job);
    tcase_add_test(tests, sequence_is_the_same_on_both_sides);
    tcase_add_test(tests, descriptor_is_readable_when_a_request_has_ended);
    tcase_add_test(tests, host_that_dies_costs_what_is_in_flight_and_no_more);
    tcase_add_test(tests, worker_comes_back_after_a_host_restart);
    tcase_add_test(tests, child_after_fork_is_told_so_and_does_no_harm);
    tcase_add_test(tests, connect_says_what_is_wrong);
    tcase_add_test(tests, connect_waits_where_a_crowd_does);
    tcase_add_test(tests, worker_that_is_not_let_in_is_told_so);
    tcase_add_test(tests, worker_without_a_host_waits_for_its_time);
    tcase_add_test(tests, many_are_received_at_once);
    tcase_add_test(tests, job_of_a_worker_that_is_freed_ends_as_lost);
    tcase_add_test(tests, request_of_who_is_not_trusted_is_copied_before_it_is_read);
    suite_add_tcase(suite, tests);
    return suite;
}
