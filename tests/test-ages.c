/* SPDX-License-Identifier: MIT */
/*
 * What those who look (`shmipc status`, `top`, `trace`) make of a host that is older or newer than they are:
 * rows that are shorter or longer are understood; what is not is said, with both versions and the cure. Such
 * a host is made by hand.
 */
#include "app/command.h"
#include "app/status.h"
#include "base/cleanup.h"
#include "os/channel.h"
#include "os/wait.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_VERSION "9.8.7"

static StatusLine line;
static int host; /* the other end of it */

static void begin(void) {
    int fds[2];

    ck_assert_int_eq(channel_pair(fds), 0);
    line = (StatusLine){.fd = fds[0]};
    host = fds[1];
}

static void end(void) {
    status_hang_up(&line);
    host = fd_close(host);
}

/* ---- what the host says ---- */

/* A row as it is when the host's has so many bytes: what exceeds ours is not zero. */
static void say(int fd, Packet *row, size_t bytes) {
    for (size_t i = row->header.bytes; i < bytes; i++)
        row->bytes[i] = '#';
    row->header.bytes = (uint32_t)bytes;
    ck_assert_int_eq(channel_send(fd, row, bytes, NULL, 0), 0);
}

static void say_host(int fd, size_t bytes) {
    Packet row;

    packet_init(&row, PACKET_STATUS_HOST, 1);
    text_copy(row.status_host.name, NAME_BYTES, "host");
    text_copy(row.status_host.version, VERSION_BYTES, OTHER_VERSION);
    row.status_host.n_done = 5;
    row.status_host.huge_pages = 2;
    row.status_host.settings_ns = 77;
    say(fd, &row, bytes);
}

static void say_client(int fd, size_t bytes) {
    Packet row;

    packet_init(&row, PACKET_STATUS_CLIENT, 1);
    row.status_client.id = 9;
    row.status_client.n_slots = 4;
    row.status_client.stages[0].p50_ns = 77;
    say(fd, &row, bytes);
}

static void say_worker(int fd, size_t bytes) {
    Packet row;

    packet_init(&row, PACKET_STATUS_WORKER, 1);
    row.status_worker.number = 3;
    row.status_worker.leaving = 1;
    row.status_worker.timeout_ns = 77;
    say(fd, &row, bytes);
}

static void say_stage(int fd, uint32_t stage, size_t bytes) {
    Packet row;

    packet_init(&row, PACKET_STATUS_STAGE, 1);
    row.status_stage.stage = stage;
    row.status_stage.n_entries = 1;
    row.status_stage.entries[0] = UINT64_C(10) << STAGE_COUNT_BITS | 2;
    say(fd, &row, bytes);
}

/* One that is all head, or has the rest of the record filled. */
static void say_any(int fd, uint32_t type, size_t bytes) {
    Packet row = {.header = {.type = type, .bytes = sizeof(row.header), .serial = 1}};

    say(fd, &row, bytes);
}

static void say_end(int fd, size_t bytes) {
    say_any(fd, PACKET_STATUS_END, bytes);
}

/* ---- rows ---- */

START_TEST(shorter_rows_of_an_older_host_are_understood) {
    _cleanup_(status_deinit) Status status = {0};

    say_host(host, 384);
    say_client(host, 168);
    say_worker(host, 136);
    say_end(host, 16);
    ck_assert_int_eq(status_ask(&line, false, &status), 0);
    ck_assert_str_eq(status.host.version, OTHER_VERSION);
    ck_assert_uint_eq(status.host.n_done, 5);
    ck_assert_uint_eq(status.host.huge_pages, 2);
    ck_assert_uint_eq(status.host.settings_ns, 0); /* it did not say */
    ck_assert_uint_eq(status.n_clients, 1);
    ck_assert_uint_eq(status.clients[0].id, 9);
    ck_assert_uint_eq(status.clients[0].n_slots, 4);
    ck_assert_uint_eq(status.clients[0].stages[0].p50_ns, 0);
    ck_assert_uint_eq(status.n_workers, 1);
    ck_assert_uint_eq(status.workers[0].number, 3);
    ck_assert_uint_eq(status.workers[0].leaving, 1);
    ck_assert_uint_eq(status.workers[0].timeout_ns, 0);
}
END_TEST

START_TEST(longer_rows_of_a_newer_host_are_understood) {
    _cleanup_(status_deinit) Status status = {0};
    size_t more = _i ? PACKET_BYTES_MAX : 0;

    say_host(host, more ? more : sizeof(PacketStatusHost) + 8);
    say_client(host, more ? more : sizeof(PacketStatusClient) + 8);
    say_worker(host, more ? more : sizeof(PacketStatusWorker) + 8);
    say_stage(host, STAGE_RUNNING, more ? more : sizeof(PacketStatusStage) + 8);
    say_end(host, more ? more : 24);
    ck_assert_int_eq(status_ask(&line, false, &status), 0);
    ck_assert_uint_eq(status.host.n_done, 5);
    ck_assert_uint_eq(status.host.settings_ns, 77);
    ck_assert_uint_eq(status.n_clients, 1);
    ck_assert_uint_eq(status.clients[0].stages[0].p50_ns, 77);
    ck_assert_uint_eq(status.n_workers, 1);
    ck_assert_uint_eq(status.workers[0].timeout_ns, 77);
    ck_assert_uint_eq(status.stages[STAGE_RUNNING].n, 2);
}
END_TEST

START_TEST(rows_and_stages_that_only_a_newer_host_has_are_passed_over) {
    _cleanup_(status_deinit) Status status = {0};

    say_host(host, sizeof(PacketStatusHost));
    say_any(host, _PACKET_N, 16);
    say_any(host, UINT32_MAX, PACKET_BYTES_MAX);
    say_stage(host, _STAGE_N, sizeof(PacketStatusStage));
    say_client(host, sizeof(PacketStatusClient));
    say_end(host, 16);
    ck_assert_int_eq(status_ask(&line, false, &status), 0);
    ck_assert_uint_eq(status.n_clients, 1);
    ck_assert_ptr_null(status.stages);
}
END_TEST

/* ---- what cannot be understood ---- */

static const struct {
    uint32_t type;
    size_t bytes;
} nonsense[] = {
    {PACKET_STATUS_HOST, 376},   {PACKET_STATUS_CLIENT, 160},
    {PACKET_STATUS_WORKER, 128}, {PACKET_STATUS_SLOT, 80},
    {PACKET_STATUS_STAGE, 480},  {PACKET_TRACED, 416},
    {PACKET_WELCOME, 64},        {0, 16},
};

START_TEST(what_says_too_little_or_what_nobody_asked_is_an_error_at_once) {
    _cleanup_(status_deinit) Status status = {0};

    say_host(host, sizeof(PacketStatusHost));
    say_any(host, nonsense[_i].type, nonsense[_i].bytes);
    ck_assert_int_eq(status_ask(&line, true, &status), -EBADMSG);
    ck_assert_str_eq(status.host.version, OTHER_VERSION);
}
END_TEST

START_TEST(stage_with_more_entries_than_it_has_room_for_is_an_error) {
    _cleanup_(status_deinit) Status status = {0};
    Packet row;

    packet_init(&row, PACKET_STATUS_STAGE, 1);
    row.status_stage.n_entries = STAGE_ENTRIES + 1;
    say(host, &row, PACKET_BYTES_MAX);
    ck_assert_int_eq(status_ask(&line, false, &status), -EBADMSG);
}
END_TEST

START_TEST(row_that_has_another_size_than_it_says_is_an_error) {
    _cleanup_(status_deinit) Status status = {0};
    Packet row;

    packet_init(&row, PACKET_STATUS_HOST, 1);
    row.header.type = _i ? _PACKET_N : PACKET_STATUS_HOST;
    row.header.bytes = sizeof(PacketStatusHost) + 8;
    ck_assert_int_eq(channel_send(host, &row, sizeof(PacketStatusHost), NULL, 0), 0);
    ck_assert_int_eq(status_ask(&line, false, &status), -EBADMSG);
}
END_TEST

START_TEST(answer_without_its_host_is_an_error) {
    _cleanup_(status_deinit) Status status = {0};

    say_client(host, sizeof(PacketStatusClient));
    say_end(host, 16);
    ck_assert_int_eq(status_ask(&line, false, &status), -EBADMSG);
}
END_TEST

/* Whoever hears it looks at the clock, and at keys, in between. */
START_TEST(host_that_never_ends_its_answer_holds_nobody_up) {
    _cleanup_(status_deinit) Status status = {0};
    Packet row;

    ck_assert_int_eq(status_begin(&line, false), 0);
    packet_init(&row, PACKET_STATUS_WORKER, 2); /* of another question */
    while (channel_send(host, &row, row.header.bytes, NULL, 0) == 0)
        ;
    ck_assert_int_eq(status_hear(&line, &status), 0);
    ck_assert(unit_is_readable(line.fd));
    ck_assert_uint_eq(status.n_workers, 0);
}
END_TEST

/* ---- traces ---- */

START_TEST(trace_of_a_newer_host_is_understood) {
    _cleanup_(status_deinit) Status status = {0};
    PacketTraced traced;
    Packet row;

    packet_init(&row, PACKET_TRACED, 1);
    row.traced.n_records = 2;
    row.traced.records[1].pid = 7;
    say(host, &row, _i ? PACKET_BYTES_MAX : sizeof(PacketTraced));
    ck_assert_int_eq(status_hear_traced(&line, &status, &traced), 1);
    ck_assert_uint_eq(traced.n_records, 2);
    ck_assert_uint_eq(traced.records[1].pid, 7);
    say_any(host, _PACKET_N, 16);
    ck_assert_int_eq(status_hear_traced(&line, &status, &traced), 0);
}
END_TEST

START_TEST(trace_that_says_too_little_is_an_error) {
    _cleanup_(status_deinit) Status status = {0};
    PacketTraced traced;

    say_any(host, PACKET_TRACED, sizeof(PacketTraced) - 8);
    ck_assert_int_eq(status_hear_traced(&line, &status, &traced), -EBADMSG);
}
END_TEST

/* ---- what people are told ---- */

START_TEST(refusal_for_the_version_is_told_with_ours) {
    _cleanup_(status_deinit) Status status = {0};
    int fd = unit_stderr_to(false), r;
    const char *text;
    Packet row;

    packet_init(&row, PACKET_REFUSED, 0);
    row.refused.code = REASON_VERSION;
    text_copy(row.refused.text, REFUSED_TEXT_BYTES, "too old");
    say(host, &row, row.header.bytes);
    r = status_ask(&line, false, &status);
    ck_assert_int_eq(r, -EPROTO);
    ck_assert_int_eq(status_explain("status", r, &status, "host", "/nowhere"), EXIT_NO_HOST);
    text = unit_said(fd);
    ck_assert_ptr_nonnull(strstr(text, "too old"));
    ck_assert_ptr_nonnull(strstr(text, "shmipc " SHMIPC_VERSION));
    close(fd);
}
END_TEST

/* A host that is asked once, and says no more than which version it is. */
static void answer_once(int listener, const char *version) {
    int fd, fds[CHANNEL_FDS_MAX];
    size_t bytes, n_fds;
    Packet packet;

    while (channel_accept(listener, &fd) < 0)
        (void)wait_for_fd(listener, WAIT_READ, UINT64_MAX);
    do
        (void)wait_for_fd(fd, WAIT_READ, UINT64_MAX);
    while (channel_receive(fd, &packet, sizeof(packet), &bytes, fds, &n_fds) == 0 &&
           packet.header.type != PACKET_STATUS);
    packet_init(&packet, PACKET_STATUS_HOST, packet.header.serial);
    text_copy(packet.status_host.version, VERSION_BYTES, version);
    (void)channel_send(fd, &packet, packet.header.bytes, NULL, 0);
    fd_close(fd);
}

static const struct {
    int error;
    const char *version;
    const char *said;
} silent[] = {
    {-EBADMSG, OTHER_VERSION, "runs shmipc " OTHER_VERSION ", and this is shmipc " SHMIPC_VERSION ": "},
    {-EPIPE, OTHER_VERSION, "runs shmipc " OTHER_VERSION ", and this is shmipc " SHMIPC_VERSION ": "},
    {-EBADMSG, "", "runs another version, and this is shmipc " SHMIPC_VERSION ": "},
    {-EPIPE, SHMIPC_VERSION, "has hung up, and is there; `journalctl -u shmipc@host"},
    {-EPIPE, "", "there is no host `host`"},
};

START_TEST(host_that_does_not_answer_as_it_should_is_told_with_both_versions_and_the_cure) {
    char folder[] = "/tmp/shmipc-ages.XXXXXX", path[sizeof(folder) + 8];
    int listener, status, fd;
    const char *text;
    pid_t pid;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    ck_assert_int_eq(channel_listen(path, &listener), 0);
    pid = fork();
    if (pid == 0) {
        answer_once(listener, silent[_i].version);
        _exit(0);
    }
    fd = unit_stderr_to(false);
    ck_assert_int_eq(status_explain("top", silent[_i].error, &(Status){0}, "host", path), EXIT_NO_HOST);
    text = unit_said(fd);
    ck_assert_ptr_nonnull(strstr(text, silent[_i].said));
    if (strstr(text, "understand"))
        ck_assert_ptr_nonnull(strstr(text, "`systemctl restart shmipc@host` starts what is installed"));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    channel_unlink(path, listener);
    fd_close(listener);
    close(fd);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("ages");
    TCase *tests = tcase_create("rows");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shorter_rows_of_an_older_host_are_understood);
    tcase_add_loop_test(tests, longer_rows_of_a_newer_host_are_understood, 0, 2);
    tcase_add_test(tests, rows_and_stages_that_only_a_newer_host_has_are_passed_over);
    tcase_add_loop_test(tests, what_says_too_little_or_what_nobody_asked_is_an_error_at_once, 0,
                        ELEMENTS(nonsense));
    tcase_add_test(tests, stage_with_more_entries_than_it_has_room_for_is_an_error);
    tcase_add_loop_test(tests, row_that_has_another_size_than_it_says_is_an_error, 0, 2);
    tcase_add_test(tests, answer_without_its_host_is_an_error);
    tcase_add_test(tests, host_that_never_ends_its_answer_holds_nobody_up);
    tcase_add_loop_test(tests, trace_of_a_newer_host_is_understood, 0, 2);
    tcase_add_test(tests, trace_that_says_too_little_is_an_error);
    tcase_add_test(tests, refusal_for_the_version_is_told_with_ours);
    tcase_add_loop_test(tests, host_that_does_not_answer_as_it_should_is_told_with_both_versions_and_the_cure,
                        0, ELEMENTS(silent));
    suite_add_tcase(suite, tests);
    return suite;
}
