/* SPDX-License-Identifier: MIT */
/*
 * Exchanges here have windows in real shared memory, and a wire that only counts. The windows begin a page
 * into their objects, so that offsets matter.
 *
 * Commands that are to be killed say that they run by a byte into the "roll", a FIFO that they hold open:
 * $ROLL. It is the exchange's cancel_fd too: the wire hears it, and lets the deadline pass or cancels when
 * all of them are up. Afterwards the roll reads as ended when none of them is left.
 */
#include "base/units.h"
#include "handler/handler.h"
#include "os/wait.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define WINDOW_BYTES (UINT64_C(64) << 20)
#define OFFSET       PAGE_BYTES
#define MIB          (UINT64_C(1) << 20)
#define PIPE_UNASKED (UINT64_C(64) << 10)

#define COMMAND(...)  ((const char *[]){__VA_ARGS__, NULL})
#define SHELL(script) COMMAND("sh", "-c", script)

/* What the wire does once the roll has n_awaited bytes. */
typedef enum Then {
    THEN_GO_ON,
    THEN_EXPIRE,
    THEN_CANCEL,
} Then;

typedef struct Rig {
    Exchange exchange;
    Segment response;
    HandlerSettings settings;
    Handler *handler;

    unsigned n_grown;
    Reason refuse_growth; /* what grow says to more than growth_limit bytes */
    uint64_t growth_limit;

    Then then;
    unsigned n_awaited;
    unsigned n_on_roll;
    unsigned n_asked;
    uint64_t pipe_bytes; /* the most that all pipes could hold when it was asked */
} Rig;

static Rig rig;
static char folder[] = "/tmp/shmipc-test-XXXXXX";
static char roll_path[64];
static char roll_variable[80];
static const char *environment[] = {roll_variable, "UNIT_SETTING=set", NULL};
static int roll_fd;       /* non-blocking, for reading */
static int roll_write_fd; /* so that it does not end before anybody has opened it */

/* ---- the wire ---- */

static int rig_grow(Exchange *exchange, uint64_t segment_bytes) {
    Rig *of = exchange->wire;

    of->n_grown++;
    return of->refuse_growth && segment_bytes > of->growth_limit ? (int)of->refuse_growth : 0;
}

/* What can lie in all pipes that this process has an end of. */
static uint64_t count_pipe_bytes(void) {
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

static void rig_init(Rig *of) {
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

static void rig_deinit(Rig *of) {
    segment_disconnect(&of->response);
    fd_close(of->response.fd);
    fd_close(of->exchange.request_fd);
}

static void set_up(void) {
    rig_init(&rig);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(roll_path, sizeof(roll_path), "%s/roll", folder);
    snprintf(roll_variable, sizeof(roll_variable), "ROLL=%s", roll_path);
    ck_assert_int_eq(mkfifo(roll_path, 0600), 0);
    ck_assert_int_ge(roll_fd = open(roll_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), 0);
    ck_assert_int_ge(roll_write_fd = open(roll_path, O_WRONLY | O_CLOEXEC), 0);
}

static void tear_down(void) {
    handler_exec.free(rig.handler);
    rig_deinit(&rig);
    ck_assert_int_eq(unlink(roll_path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- what a test says ---- */

/* Byte @at of a request or a response of `cat`. */
static char pattern(uint64_t at) {
    return (char)(at * 31 + (at >> 12));
}

static void set_request(uint64_t bytes) {
    const Segment window = {.fd = rig.exchange.request_fd, .offset = OFFSET, .capacity = WINDOW_BYTES};
    _cleanup_free_ char *data = malloc(bytes + 1);

    for (uint64_t i = 0; i < bytes; i++)
        data[i] = pattern(i);
    ck_assert_int_eq(segment_write(&window, 0, data, bytes), 0);
    rig.exchange.request_bytes = bytes;
}

static void set_request_text(const char *text) {
    const Segment window = {.fd = rig.exchange.request_fd, .offset = OFFSET, .capacity = WINDOW_BYTES};

    ck_assert_int_eq(segment_write(&window, 0, text, strlen(text)), 0);
    rig.exchange.request_bytes = strlen(text);
}

static void make(Rig *of, const char **command) {
    of->handler = handler_exec.free(of->handler);
    of->settings.command = (char **)command;
    ck_assert_int_eq(handler_exec.new(&of->handler, &of->settings, NULL), 0);
}

static void handle(const char **command) {
    make(&rig, command);
    rig.exchange.reason = REASON_NONE;
    rig.exchange.status = 0;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
}

/* The response, or the text of a failure. Static buffer. */
static const char *text(void) {
    static char copy[65536];

    ck_assert_uint_lt(rig.exchange.response_bytes, sizeof(copy));
    memcpy(copy, rig.response.map, rig.exchange.response_bytes);
    copy[rig.exchange.response_bytes] = '\0';
    return copy;
}

static void assert_failed(Reason reason, int status) {
    ck_assert_msg(rig.exchange.reason == reason, "%s: %s", reason_name(rig.exchange.reason), text());
    ck_assert_int_eq(rig.exchange.status, status);
}

static void assert_answered(uint64_t bytes) {
    ck_assert_msg(rig.exchange.reason == REASON_NONE, "%s: %s", reason_name(rig.exchange.reason), text());
    ck_assert_int_eq(rig.exchange.status, 0);
    ck_assert_uint_eq(rig.exchange.response_bytes, bytes);
}

static void assert_answer(const char *expected) {
    assert_answered(strlen(expected));
    ck_assert_str_eq(text(), expected);
}

static void assert_pattern(const char *data, uint64_t bytes) {
    uint64_t at = 0;

    while (at < bytes && data[at] == pattern(at))
        at++;
    ck_assert_msg(at == bytes, "byte %" PRIu64 " is wrong", at);
}

static void assert_says(const char *part) {
    ck_assert_msg(strstr(text(), part) != NULL, "\"%s\" does not say \"%s\"", text(), part);
}

static void await_roll(unsigned n_awaited, Then then) {
    rig.exchange.cancel_fd = roll_fd;
    rig.n_awaited = n_awaited;
    rig.then = then;
}

/* Nobody holds the roll open. */
static void assert_nobody_left(void) {
    char bytes[64];
    ssize_t n;

    roll_write_fd = fd_close(roll_write_fd);
    while ((n = read(roll_fd, bytes, sizeof(bytes))) > 0)
        ;
    ck_assert_msg(n == 0, "somebody is left");
}

static unsigned count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;

    ck_assert_ptr_nonnull(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

/* The pipes of a command that says it runs. */
static uint64_t pipe_bytes_of(const char **command) {
    const uint64_t before = count_pipe_bytes();

    await_roll(1, THEN_GO_ON);
    handle(command);
    ck_assert_uint_gt(rig.n_asked, 0);
    return rig.pipe_bytes - before;
}

/* ---- payloads ---- */

START_TEST(request_comes_back_through_cat) {
    set_request(8 * MIB);
    handle(COMMAND("cat"));
    assert_answered(8 * MIB);
    assert_pattern(rig.response.map, 8 * MIB);
}
END_TEST

/* Else a user's share of pipes would be used up by a few commands at a time. */
START_TEST(pipes_are_no_bigger_than_what_goes_through_them) {
    set_request_text("small");
    rig.settings.max_response = PAGE_BYTES;
    ck_assert_uint_le(pipe_bytes_of(SHELL("echo > $ROLL; cat")), 4 * PIPE_UNASKED);
    assert_answer("small");
}
END_TEST

START_TEST(pipes_of_big_payloads_are_big) {
    uint64_t bytes;

    set_request(4 * MIB);
    bytes = pipe_bytes_of(SHELL("echo > $ROLL; cat"));
    ck_assert_uint_ge(bytes, 2 * MIB);
    ck_assert_uint_le(bytes, 2 * MIB + 4 * PIPE_UNASKED);
    assert_answered(4 * MIB);
}
END_TEST

START_TEST(request_of_odd_size_comes_back_through_cat) {
    set_request((UINT64_C(1) << 24) + 1);
    handle(COMMAND("cat"));
    assert_answered((UINT64_C(1) << 24) + 1);
    assert_pattern(rig.response.map, (UINT64_C(1) << 24) + 1);
}
END_TEST

START_TEST(request_is_what_sha256sum_reads) {
    set_request_text("abc");
    handle(COMMAND("sha256sum"));
    assert_answer("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n");
}
END_TEST

START_TEST(empty_request_is_an_empty_input) {
    handle(COMMAND("wc", "-c"));
    assert_answer("0\n");
}
END_TEST

START_TEST(empty_response_takes_no_memory) {
    set_request(100);
    handle(SHELL("cat > /dev/null"));
    assert_answered(0);
    ck_assert_uint_eq(rig.n_grown, 0);
    ck_assert_uint_eq(rig.response.bytes, 0);
}
END_TEST

/* 2^32 + 1 bytes, of which only holes are there. */
START_TEST(request_may_be_larger_than_4_gib) {
    const uint64_t bytes = (UINT64_C(1) << 32) + 1;

    ck_assert_int_eq(ftruncate(rig.exchange.request_fd, (off_t)(OFFSET + bytes)), 0);
    rig.exchange.request_bytes = bytes;
    handle(COMMAND("wc", "-c"));
    assert_answer("4294967297\n");
}
END_TEST

START_TEST(response_grows_beyond_what_is_reserved) {
    ck_assert_int_eq(segment_resize(&rig.response, PAGE_BYTES), 0);
    set_request(100 * 1000);
    handle(COMMAND("cat"));
    assert_answered(100 * 1000);
    assert_pattern(rig.response.map, 100 * 1000);
    ck_assert_uint_ge(rig.n_grown, 1);
}
END_TEST

START_TEST(response_into_what_is_reserved_does_not_grow) {
    ck_assert_int_eq(segment_resize(&rig.response, MIB), 0);
    set_request(MIB);
    handle(COMMAND("cat"));
    assert_answered(MIB);
    ck_assert_uint_eq(rig.n_grown, 0);
}
END_TEST

START_TEST(one_handler_handles_one_exchange_after_the_other) {
    set_request(MIB);
    make(&rig, COMMAND("cat"));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
        assert_answered(MIB);
    }
    rig.exchange.request_bytes = 10;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    assert_answered(10);
    assert_pattern(rig.response.map, 10);
}
END_TEST

START_TEST(environment_tells_about_the_exchange) {
    set_request(77);
    rig.exchange.attempt = 2;
    handle(SHELL("echo $SHMIPC_CLIENT_UID $SHMIPC_ATTEMPT $SHMIPC_REQUEST_BYTES $UNIT_SETTING"));
    assert_answer("1234 2 77 set\n");
}
END_TEST

START_TEST(environment_may_be_none) {
    rig.settings.environment = NULL;
    handle(SHELL("echo $SHMIPC_CLIENT_UID"));
    assert_answer("1234\n");
}
END_TEST

/* ---- commands that do not read, then write, then exit ---- */

START_TEST(command_need_not_read) {
    set_request(MIB);
    handle(COMMAND("true"));
    assert_answered(0);
}
END_TEST

START_TEST(command_may_close_its_input_early) {
    set_request(8 * MIB);
    handle(SHELL("exec < /dev/null; head -c 3000000 /dev/zero | tr '\\0' x"));
    assert_answered(3000000);
}
END_TEST

START_TEST(command_may_read_a_part) {
    set_request(8 * MIB);
    handle(COMMAND("head", "-c", "5000"));
    assert_answered(5000);
    assert_pattern(rig.response.map, 5000);
}
END_TEST

START_TEST(command_may_write_before_it_has_read) {
    set_request(3 * MIB);
    handle(SHELL("head -c 3145728 /dev/zero; cat"));
    assert_answered(6 * MIB);
    assert_pattern((const char *)rig.response.map + 3 * MIB, 3 * MIB);
}
END_TEST

START_TEST(command_may_close_its_output_and_go_on) {
    set_request(MIB);
    handle(SHELL("echo out; exec >&- 2>&-; wc -c > /dev/null; exit 3"));
    assert_failed(REASON_HANDLER_FAILED, 3);
}
END_TEST

START_TEST(sigpipe_is_left_as_it_was) {
    sigset_t signals;

    set_request(8 * MIB);
    handle(COMMAND("true"));
    ck_assert_int_eq(sigpending(&signals), 0);
    ck_assert_int_eq(sigismember(&signals, SIGPIPE), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &signals), 0);
    ck_assert_int_eq(sigismember(&signals, SIGPIPE), 0);
}
END_TEST

START_TEST(background_processes_are_killed_when_the_command_exits) {
    handle(SHELL("exec 9> $ROLL; sleep 1000 & echo done; exit 0"));
    assert_answer("done\n");
    assert_nobody_left();
}
END_TEST

START_TEST(escapees_are_killed_when_the_command_exits) {
    handle(SHELL("exec 9> $ROLL; setsid sleep 1000 & (setsid sleep 1000 &); echo done"));
    assert_answer("done\n");
    assert_nobody_left();
}
END_TEST

START_TEST(what_was_written_before_the_exit_is_whole) {
    handle(SHELL("head -c 60000 /dev/zero | tr '\\0' x; sleep 1000 & exit 0"));
    assert_answered(60000);
}
END_TEST

/* ---- limits ---- */

START_TEST(response_of_max_response_is_an_answer) {
    rig.settings.max_response = 1000;
    set_request(1000);
    handle(COMMAND("cat"));
    assert_answered(1000);
}
END_TEST

START_TEST(response_over_max_response_fails) {
    rig.settings.max_response = 1000;
    set_request(1001);
    handle(COMMAND("cat"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_says("`max_response`");
}
END_TEST

START_TEST(response_without_end_is_killed) {
    rig.settings.max_response = 3 * MIB + 5;
    handle(SHELL("exec 9> $ROLL; yes & yes"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(response_over_the_hosts_limit_names_its_setting) {
    rig.exchange.max_response = 2 * MIB;
    handle(COMMAND("yes"));
    assert_failed(REASON_RESPONSE_TOO_LARGE, 0);
    assert_says("`max_payload` of the host");
    assert_says("2M");
}
END_TEST

START_TEST(refused_memory_budget_fails_and_kills) {
    rig.refuse_growth = REASON_MEMORY_BUDGET;
    rig.growth_limit = MIB;
    handle(SHELL("exec 9> $ROLL; yes"));
    assert_failed(REASON_MEMORY_BUDGET, 0);
    assert_says("`memory` of the host");
    assert_nobody_left();
}
END_TEST

START_TEST(full_shared_memory_fails_and_kills) {
    rig.refuse_growth = REASON_MEMORY_FULL;
    rig.growth_limit = MIB;
    handle(SHELL("exec 9> $ROLL; yes"));
    assert_failed(REASON_MEMORY_FULL, 0);
    assert_says("/dev/shm");
    assert_nobody_left();
}
END_TEST

START_TEST(request_that_shrinks_fails_and_kills) {
    set_request(2 * MIB);
    ck_assert_int_eq(ftruncate(rig.exchange.request_fd, (off_t)(OFFSET + MIB)), 0);
    handle(SHELL("exec 9> $ROLL; cat"));
    assert_failed(REASON_REQUEST_CHANGED, 0);
    assert_says("1048576 of the request's 2097152 bytes");
    assert_nobody_left();
}
END_TEST

/* Every descriptor that an exchange needs is refused once. */
START_TEST(without_descriptors_it_is_not_started) {
    const unsigned n_before = count_descriptors();
    struct rlimit limit;
    int r = REASON_HANDLER_NOT_STARTED;

    set_request(5000);
    make(&rig, COMMAND("cat"));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (limit.rlim_cur = 3; r != REASON_NONE; limit.rlim_cur++) {
        ck_assert_uint_lt(limit.rlim_cur, 100);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        rig.exchange.reason = REASON_NONE;
        ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
        r = rig.exchange.reason;
        if (r != REASON_NONE) {
            assert_failed(REASON_HANDLER_NOT_STARTED, 0);
            assert_says("LimitNOFILE=");
        }
    }
    assert_answered(5000);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(count_descriptors(), n_before);
}
END_TEST

/* ---- failures ---- */

START_TEST(exit_status_and_stderr_reach_the_caller) {
    handle(SHELL("echo half an answer; echo 'no such frame' >&2; exit 3"));
    assert_failed(REASON_HANDLER_FAILED, 3);
    ck_assert_str_eq(text(), "no such frame");
}
END_TEST

START_TEST(failure_without_words_has_no_text) {
    handle(SHELL("exit 1"));
    assert_failed(REASON_HANDLER_FAILED, 1);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
}
END_TEST

START_TEST(stderr_of_a_success_is_not_told) {
    handle(SHELL("echo warning >&2; echo answer"));
    assert_answer("answer\n");
}
END_TEST

START_TEST(stderr_of_one_exchange_is_not_the_nexts) {
    make(&rig, SHELL("[ $SHMIPC_ATTEMPT = 2 ] || echo first >&2; exit 1"));
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    ck_assert_str_eq(text(), "first");
    rig.exchange.attempt = 2;
    ck_assert_int_eq(handler_exec.handle(rig.handler, &rig.exchange), 0);
    ck_assert_str_eq(text(), "");
}
END_TEST

START_TEST(signal_and_stderr_reach_the_caller) {
    handle(SHELL("echo 'last words' >&2; kill -9 $$"));
    assert_failed(REASON_HANDLER_KILLED, -SIGKILL);
    ck_assert_str_eq(text(), "last words");
}
END_TEST

START_TEST(flood_of_stderr_leaves_its_end) {
    handle(SHELL("head -c 10485760 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_uint_eq(rig.exchange.response_bytes, strlen("…") + 4096 - strlen("\n"));
    ck_assert_int_eq(strncmp(text(), "…xxxx", strlen("…xxxx")), 0);
    assert_says("xxxxthe end");
}
END_TEST

START_TEST(stderr_may_be_as_long_as_max_stderr) {
    rig.settings.max_stderr = 20000;
    handle(SHELL("head -c 20000 /dev/zero | tr '\\0' x >&2; exit 4"));
    ck_assert_uint_eq(rig.exchange.response_bytes, 20000);
}
END_TEST

START_TEST(stderr_is_cut_to_a_response_that_may_be_less) {
    rig.exchange.max_response = 9;
    handle(SHELL("echo 'ääääääää' >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_str_eq(text(), "ääää");
}
END_TEST

START_TEST(stderr_may_be_kept_by_nobody) {
    rig.settings.max_stderr = 0;
    handle(SHELL("head -c 1048576 /dev/zero >&2; exit 4"));
    assert_failed(REASON_HANDLER_FAILED, 4);
    ck_assert_uint_eq(rig.exchange.response_bytes, 0);
}
END_TEST

/* ---- what cannot be started ---- */

START_TEST(missing_command_says_so) {
    handle(COMMAND("shmipc-no-such-command"));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("shmipc-no-such-command: there is no such command");
}
END_TEST

START_TEST(command_that_is_not_executable_says_so) {
    handle(COMMAND("/etc/passwd"));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("/etc/passwd: the worker's user may not execute it");
}
END_TEST

START_TEST(command_that_is_no_program_says_so) {
    _cleanup_close_ int fd = -1;
    char path[64];

    snprintf(path, sizeof(path), "%s/program", folder);
    ck_assert_int_ge(fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700), 0);
    ck_assert_int_eq(write(fd, "text\n", 5), 5);
    fd = fd_close(fd);
    handle(COMMAND(path));
    assert_failed(REASON_HANDLER_NOT_STARTED, 0);
    assert_says("it is no program");
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(handler_without_a_command_is_refused) {
    ck_assert_int_eq(handler_exec.new(&rig.handler, &rig.settings, NULL), -EINVAL);
    rig.settings.command = (char **)(const char *[]){NULL};
    ck_assert_int_eq(handler_exec.new(&rig.handler, &rig.settings, NULL), -EINVAL);
    ck_assert_ptr_null(rig.handler);
}
END_TEST

/* ---- deadline and cancel ---- */

#define FOUR_THAT_STAY                                                                                       \
    SHELL("exec 9> $ROLL; stay='echo >&9; sleep 1000; :'; sh -c \"$stay\" & setsid sh -c \"$stay\" & "       \
          "(setsid sh -c \"$stay\" &); echo half an answer; echo >&9; sleep 1000; :")

START_TEST(deadline_kills_the_command_and_what_it_started) {
    await_roll(4, THEN_EXPIRE);
    handle(FOUR_THAT_STAY);
    assert_failed(REASON_TIMED_OUT, 0);
    assert_says("`timeout`");
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_without_anything_happening) {
    rig.exchange.deadline_ns = clock_now_ns() + 50 * NS_PER_MS;
    rig.exchange.client_deadline = true;
    handle(SHELL("exec 9> $ROLL; sleep 1000; :"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_says("the caller's time");
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_while_the_request_waits) {
    set_request(8 * MIB);
    await_roll(1, THEN_EXPIRE);
    handle(SHELL("exec 9> $ROLL; echo >&9; sleep 1000; :"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(deadline_passes_while_the_response_comes) {
    await_roll(1, THEN_EXPIRE);
    handle(SHELL("exec 9> $ROLL; echo >&9; while :; do echo; sleep 0.01; done"));
    assert_failed(REASON_TIMED_OUT, 0);
    assert_nobody_left();
}
END_TEST

START_TEST(cancel_kills_the_command_and_what_it_started) {
    await_roll(4, THEN_CANCEL);
    handle(FOUR_THAT_STAY);
    ck_assert_int_ne(rig.exchange.reason, REASON_NONE);
    assert_nobody_left();
}
END_TEST

/* Whoever asks for memory hears what else there is to hear, and the descriptor does not tell it again. */
START_TEST(cancel_that_was_heard_with_an_answer_about_memory_kills_the_command) {
    rig.exchange.deadline_ns = clock_now_ns() + 20 * NS_PER_SEC;
    rig.then = THEN_CANCEL;
    handle(SHELL("exec 9> $ROLL; echo half an answer; sleep 1000; :"));
    ck_assert_int_eq(rig.exchange.reason, REASON_STOPPED);
    assert_nobody_left();
}
END_TEST

START_TEST(question_about_cancelling_may_be_denied) {
    await_roll(1, THEN_GO_ON);
    handle(SHELL("echo > $ROLL; echo answer"));
    assert_answer("answer\n");
}
END_TEST

/* A wire that hangs up is asked once, not as fast as poll() returns. */
START_TEST(cancel_fd_that_hung_up_is_left_alone) {
    await_roll(1, THEN_GO_ON);
    roll_write_fd = fd_close(roll_write_fd);
    rig.exchange.cancel_fd = roll_fd;
    set_request(8 * MIB);
    handle(SHELL("echo > $ROLL; cat"));
    assert_answered(8 * MIB);
    ck_assert_uint_le(rig.n_asked, 3);
}
END_TEST

/* ---- threads ---- */

static void *thread_main(void *data) {
    Rig *of = data;

    for (int i = 0; i < 5; i++) {
        of->exchange.reason = REASON_NONE;
        if (handler_exec.handle(of->handler, &of->exchange) < 0 || of->exchange.reason != REASON_NONE ||
            of->exchange.response_bytes != strlen("orphan\n"))
            return data;
    }
    return NULL;
}

/* The answer comes from a process that has lost its parent, in a session of its own. */
#define ASK_AN_ORPHAN                                                                                        \
    SHELL("mkfifo $ROLL.$$; (setsid sh -c \"echo orphan > $ROLL.$$\" &); read -r answer < $ROLL.$$; "        \
          "rm $ROLL.$$; echo $answer")

START_TEST(handlers_of_several_threads_do_not_kill_each_others_processes) {
    static Rig rigs[4];
    const char **command = ASK_AN_ORPHAN;
    pthread_t threads[ELEMENTS(rigs)];
    void *failed;

    for (size_t i = 0; i < ELEMENTS(rigs); i++) {
        rig_init(&rigs[i]);
        make(&rigs[i], command);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main, &rigs[i]), 0);
    }
    for (size_t i = 0; i < ELEMENTS(rigs); i++) {
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
        handler_exec.free(rigs[i].handler);
        rig_deinit(&rigs[i]);
    }
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("exec");
    TCase *tests = tcase_create("exec");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, request_comes_back_through_cat);
    tcase_add_test(tests, request_of_odd_size_comes_back_through_cat);
    tcase_add_test(tests, pipes_are_no_bigger_than_what_goes_through_them);
    tcase_add_test(tests, pipes_of_big_payloads_are_big);
    tcase_add_test(tests, request_is_what_sha256sum_reads);
    tcase_add_test(tests, empty_request_is_an_empty_input);
    tcase_add_test(tests, empty_response_takes_no_memory);
    tcase_add_test(tests, request_may_be_larger_than_4_gib);
    tcase_add_test(tests, response_grows_beyond_what_is_reserved);
    tcase_add_test(tests, response_into_what_is_reserved_does_not_grow);
    tcase_add_test(tests, one_handler_handles_one_exchange_after_the_other);
    tcase_add_test(tests, environment_tells_about_the_exchange);
    tcase_add_test(tests, environment_may_be_none);
    tcase_add_test(tests, command_need_not_read);
    tcase_add_test(tests, command_may_close_its_input_early);
    tcase_add_test(tests, command_may_read_a_part);
    tcase_add_test(tests, command_may_write_before_it_has_read);
    tcase_add_test(tests, command_may_close_its_output_and_go_on);
    tcase_add_test(tests, sigpipe_is_left_as_it_was);
    tcase_add_test(tests, background_processes_are_killed_when_the_command_exits);
    tcase_add_test(tests, escapees_are_killed_when_the_command_exits);
    tcase_add_test(tests, what_was_written_before_the_exit_is_whole);
    tcase_add_test(tests, response_of_max_response_is_an_answer);
    tcase_add_test(tests, response_over_max_response_fails);
    tcase_add_test(tests, response_without_end_is_killed);
    tcase_add_test(tests, response_over_the_hosts_limit_names_its_setting);
    tcase_add_test(tests, refused_memory_budget_fails_and_kills);
    tcase_add_test(tests, full_shared_memory_fails_and_kills);
    tcase_add_test(tests, request_that_shrinks_fails_and_kills);
    tcase_add_test(tests, without_descriptors_it_is_not_started);
    tcase_add_test(tests, exit_status_and_stderr_reach_the_caller);
    tcase_add_test(tests, failure_without_words_has_no_text);
    tcase_add_test(tests, stderr_of_a_success_is_not_told);
    tcase_add_test(tests, stderr_of_one_exchange_is_not_the_nexts);
    tcase_add_test(tests, signal_and_stderr_reach_the_caller);
    tcase_add_test(tests, flood_of_stderr_leaves_its_end);
    tcase_add_test(tests, stderr_may_be_as_long_as_max_stderr);
    tcase_add_test(tests, stderr_is_cut_to_a_response_that_may_be_less);
    tcase_add_test(tests, stderr_may_be_kept_by_nobody);
    tcase_add_test(tests, missing_command_says_so);
    tcase_add_test(tests, command_that_is_not_executable_says_so);
    tcase_add_test(tests, command_that_is_no_program_says_so);
    tcase_add_test(tests, handler_without_a_command_is_refused);
    tcase_add_test(tests, deadline_kills_the_command_and_what_it_started);
    tcase_add_test(tests, deadline_passes_without_anything_happening);
    tcase_add_test(tests, deadline_passes_while_the_request_waits);
    tcase_add_test(tests, deadline_passes_while_the_response_comes);
    tcase_add_test(tests, cancel_kills_the_command_and_what_it_started);
    tcase_add_test(tests, cancel_that_was_heard_with_an_answer_about_memory_kills_the_command);
    tcase_add_test(tests, question_about_cancelling_may_be_denied);
    tcase_add_test(tests, cancel_fd_that_hung_up_is_left_alone);
    tcase_add_test(tests, handlers_of_several_threads_do_not_kill_each_others_processes);
    suite_add_tcase(suite, tests);
    return suite;
}
