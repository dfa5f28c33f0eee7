/* SPDX-License-Identifier: MIT */
#include "exec-unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Rig rig;
char exec_folder[] = "/tmp/shmipc-test-XXXXXX";
static char roll_path[64];
static char roll_variable[80];
static const char *environment[] = {roll_variable, "UNIT_SETTING=set", NULL};
int roll_fd;       /* non-blocking, for reading */
int roll_write_fd; /* so that it does not end before anybody has opened it */

/* ---- the wire ---- */

static int rig_grow(Exchange *exchange, uint64_t segment_bytes) {
    Rig *of = exchange->wire;

    of->n_grown++;
    return of->refuse_growth && segment_bytes > of->growth_limit ? (int)of->refuse_growth : 0;
}

uint64_t count_pipe_bytes(void) {
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    uint64_t bytes = 0;

    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory))) {
        int size = fcntl(atoi(entry->d_name), F_GETPIPE_SZ);

        bytes += size > 0 ? (uint64_t)size : 0;
    }
    closedir(directory);
    return bytes;
}

static bool rig_cancelled(Exchange *exchange) {
    Rig *of = exchange->wire;
    char bytes[64];
    ssize_t n = read(roll_fd, bytes, sizeof(bytes));
    const uint64_t pipe_bytes = count_pipe_bytes();

    of->n_asked++;
    of->pipe_bytes = pipe_bytes > of->pipe_bytes ? pipe_bytes : of->pipe_bytes;
    of->n_on_roll += n > 0 ? (unsigned)n : 0;
    if (of->n_on_roll < of->n_awaited)
        return false;
    if (of->then == THEN_EXPIRE)
        exchange->deadline_ns = 1;
    return of->then == THEN_CANCEL;
}

static int window_new(void) {
    const char *name = unit_name();
    int fd;

    /* Of a test that was killed, whose process id comes again. */
    ck_assert_int_eq(object_unlink(name), 0);
    ck_assert_int_eq(object_create(name, OFFSET + WINDOW_BYTES, &fd), 0);
    return fd;
}

void rig_init(Rig *of) {
    int request_fd = window_new(), response_fd = window_new();

    *of = (Rig){0};
    segment_init(&of->response, response_fd, true, OFFSET, WINDOW_BYTES);
    of->settings =
        (HandlerSettings){.type = HANDLER_EXEC, .environment = (char **)environment, .max_stderr = 4096};
    of->exchange = (Exchange){
        .uid = 1234,
        .attempt = 1,
        .deadline_ns = UINT64_MAX,
        .request_fd = request_fd,
        .request_offset = OFFSET,
        .response = &of->response,
        .max_response = WINDOW_BYTES,
        .grow = rig_grow,
        .cancelled = rig_cancelled,
        .cancel_fd = -1,
        .wire = of,
    };
}

void rig_deinit(Rig *of) {
    segment_disconnect(&of->response);
    fd_close(of->response.fd);
    fd_close(of->exchange.request_fd);
}

static void set_up(void) {
    rig_init(&rig);
    ck_assert_ptr_nonnull(mkdtemp(exec_folder));
    snprintf(roll_path, sizeof(roll_path), "%s/roll", exec_folder);
    snprintf(roll_variable, sizeof(roll_variable), "ROLL=%s", roll_path);
    ck_assert_int_eq(mkfifo(roll_path, 0600), 0);
    ck_assert_int_ge(roll_fd = open(roll_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), 0);
    ck_assert_int_ge(roll_write_fd = open(roll_path, O_WRONLY | O_CLOEXEC), 0);
}

static void tear_down(void) {
    handler_exec.free(rig.handler);
    rig_deinit(&rig);
    ck_assert_int_eq(unlink(roll_path), 0);
    ck_assert_int_eq(rmdir(exec_folder), 0);
}

/* ---- what a test says ---- */

/* Byte @at of what is sent. */
static char pattern(uint64_t at) {
    return (char)(at * 31 + (at >> 12));
}

void set_request(uint64_t bytes) {
    const Segment window = {.fd = rig.exchange.request_fd, .offset = OFFSET, .capacity = WINDOW_BYTES};
    _cleanup_free_ char *data = malloc(bytes + 1);

    for (uint64_t i = 0; i < bytes; i++)
        data[i] = pattern(i);
    ck_assert_int_eq(segment_write(&window, 0, data, bytes), 0);
    rig.exchange.request_bytes = bytes;
}

void set_request_text(const char *text) {
    const Segment window = {.fd = rig.exchange.request_fd, .offset = OFFSET, .capacity = WINDOW_BYTES};

    ck_assert_int_eq(segment_write(&window, 0, text, strlen(text)), 0);
    rig.exchange.request_bytes = strlen(text);
}

void make(Rig *of, const char **command) {
    of->handler = handler_exec.free(of->handler);
    of->settings.command = (char **)command;
    ck_assert_int_eq(handler_exec.new(&of->handler, &of->settings, NULL), 0);
}

void handle(const char **command) {
    make(&rig, command);
    rig.exchange.reason = REASON_NONE;
    rig.exchange.status = 0;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
}

const char *text(void) {
    static char copy[65536];

    ck_assert_uint_lt(rig.exchange.response_bytes, sizeof(copy));
    memcpy(copy, rig.response.map, rig.exchange.response_bytes);
    copy[rig.exchange.response_bytes] = '\0';
    return copy;
}

void assert_failed(Reason reason, int status) {
    ck_assert_msg(rig.exchange.reason == reason, "%s: %s", reason_name(rig.exchange.reason), text());
    ck_assert_int_eq(rig.exchange.status, status);
}

void assert_answered(uint64_t bytes) {
    ck_assert_msg(rig.exchange.reason == REASON_NONE, "%s: %s", reason_name(rig.exchange.reason), text());
    ck_assert_int_eq(rig.exchange.status, 0);
    ck_assert_uint_eq(rig.exchange.response_bytes, bytes);
}

void assert_answer(const char *expected) {
    assert_answered(strlen(expected));
    ck_assert_str_eq(text(), expected);
}

void assert_pattern(const char *data, uint64_t bytes) {
    uint64_t at = 0;

    while (at < bytes && data[at] == pattern(at))
        at++;
    ck_assert_msg(at == bytes, "byte %" PRIu64 " is wrong", at);
}

void assert_says(const char *part) {
    ck_assert_msg(strstr(text(), part) != NULL, "\"%s\" does not say \"%s\"", text(), part);
}

void await_roll(unsigned n_awaited, Then then) {
    rig.exchange.cancel_fd = roll_fd;
    rig.n_awaited = n_awaited;
    rig.then = then;
}

void assert_nobody_left(void) {
    char bytes[64];
    ssize_t n;

    roll_write_fd = fd_close(roll_write_fd);
    while ((n = read(roll_fd, bytes, sizeof(bytes))) > 0)
        ;
    ck_assert_msg(n == 0, "somebody is left");
}

TCase *exec_add_case(Suite *suite, const char *name) {
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}
