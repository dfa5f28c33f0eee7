/* SPDX-License-Identifier: MIT */
/* The plain wire's messages, and what the kernel tells about named objects that others use. */
#include "base/cleanup.h"
#include "os/queue.h"
#include "os/segment.h"
#include "os/watch.h"
#include "unit.h"
#include "wire/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- counts ---- */

START_TEST(a_count_is_digits_and_nothing_else) {
    char message[PLAIN_COUNT_BYTES];

    ck_assert_uint_eq(plain_count_format(0, message), 1);
    ck_assert_mem_eq(message, "0", 1);
    ck_assert_uint_eq(plain_count_format(17, message), 2);
    ck_assert_mem_eq(message, "17", 2);
    ck_assert_uint_eq(plain_count_format(UINT64_MAX, message), 20);
    ck_assert_mem_eq(message, "18446744073709551615", 20);
}
END_TEST

START_TEST(what_is_written_reads_back) {
    static const uint64_t counts[] = {
        0, 1, 9, 10, 4096, (1 << 24) + 1, (UINT64_C(1) << 32) + 1, INT64_MAX, UINT64_MAX};
    char message[PLAIN_COUNT_BYTES];
    uint64_t count;

    for (size_t i = 0; i < ELEMENTS(counts); i++) {
        ck_assert_int_eq(
            plain_count_parse(message, plain_count_format(counts[i], message), UINT64_MAX, &count), 0);
        ck_assert_uint_eq(count, counts[i]);
    }
}
END_TEST

START_TEST(terminators_of_sloppy_peers_are_taken) {
    char buffer[PLAIN_MESSAGE_BYTES] = "17";
    uint64_t count;

    ck_assert_int_eq(plain_count_parse("17", 3, UINT64_MAX, &count), 0);
    ck_assert_int_eq(plain_count_parse("17\n", 3, UINT64_MAX, &count), 0);
    ck_assert_int_eq(plain_count_parse("17\n", 4, UINT64_MAX, &count), 0);
    ck_assert_int_eq(plain_count_parse(buffer, sizeof(buffer), UINT64_MAX, &count), 0);
    ck_assert_int_eq(plain_count_parse("00000017", 8, UINT64_MAX, &count), 0);
    ck_assert_uint_eq(count, 17);
}
END_TEST

START_TEST(what_is_no_count_is_refused) {
    static const char *const rubbish[] = {"x",   "-1",   "+1",     " 1",     "1 ",
                                          "1.0", "0x10", "17\n\n", "17\r\n", "17\n8"};
    char buffer[PLAIN_MESSAGE_BYTES + 1];
    uint64_t count = 7;

    for (size_t i = 0; i < ELEMENTS(rubbish); i++)
        ck_assert_msg(plain_count_parse(rubbish[i], strlen(rubbish[i]), UINT64_MAX, &count) ==
                          PLAIN_FAULT_RUBBISH,
                      "'%s' was taken", rubbish[i]);
    ck_assert_int_eq(plain_count_parse("1\0002", 3, UINT64_MAX, &count), PLAIN_FAULT_RUBBISH);
    memset(buffer, '0', sizeof(buffer));
    ck_assert_int_eq(plain_count_parse(buffer, sizeof(buffer), UINT64_MAX, &count), PLAIN_FAULT_RUBBISH);
    ck_assert_uint_eq(count, 7);
}
END_TEST

START_TEST(an_empty_message_is_refused) {
    uint64_t count = 7;

    ck_assert_int_eq(plain_count_parse("", 0, UINT64_MAX, &count), PLAIN_FAULT_EMPTY);
    ck_assert_int_eq(plain_count_parse("", 1, UINT64_MAX, &count), PLAIN_FAULT_EMPTY);
    ck_assert_int_eq(plain_count_parse("\n", 1, UINT64_MAX, &count), PLAIN_FAULT_EMPTY);
    ck_assert_uint_eq(count, 7);
}
END_TEST

START_TEST(a_count_over_the_maximum_is_refused) {
    char digits[PLAIN_MESSAGE_BYTES];
    uint64_t count = 7;

    memset(digits, '9', sizeof(digits));
    ck_assert_int_eq(plain_count_parse("100", 3, 99, &count), PLAIN_FAULT_TOO_LARGE);
    ck_assert_int_eq(plain_count_parse("7", 1, 5, &count), PLAIN_FAULT_TOO_LARGE);
    ck_assert_int_eq(plain_count_parse("18446744073709551616", 20, UINT64_MAX, &count),
                     PLAIN_FAULT_TOO_LARGE);
    ck_assert_int_eq(plain_count_parse(digits, sizeof(digits), UINT64_MAX, &count), PLAIN_FAULT_TOO_LARGE);
    ck_assert_uint_eq(count, 7);
    ck_assert_int_eq(plain_count_parse("99", 2, 99, &count), 0);
}
END_TEST

START_TEST(a_failure_is_zero_to_those_who_do_not_know_it) {
    char message[PLAIN_COUNT_BYTES + 1] = {0};
    uint64_t count = 7;
    size_t bytes = plain_failure_format(message);

    ck_assert_int_eq(strtol(message, NULL, 10), 0);
    ck_assert_int_eq(plain_count_parse(message, bytes, UINT64_MAX, &count), PLAIN_FAULT_FAILED);
    ck_assert_uint_eq(count, 7);
    ck_assert_int_eq(plain_count_parse("0", 1, UINT64_MAX, &count), 0);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(each_fault_has_a_text_of_its_own) {
    for (int a = PLAIN_FAULT_FAILED; a <= PLAIN_FAULT_TOO_LARGE; a++)
        for (int b = a + 1; b <= PLAIN_FAULT_TOO_LARGE; b++)
            ck_assert_str_ne(plain_fault_text((PlainFault)a), plain_fault_text((PlainFault)b));
}
END_TEST

/* ---- the kernel ---- */

typedef struct Fixture {
    char queue_name[64];
    char object_name[64];
    int queue;
    int object;
    int watch;
    int queue_id;
    int object_id;
} Fixture;

static void fixture_init(Fixture *fixture) {
    strcpy(fixture->queue_name, unit_name());
    strcpy(fixture->object_name, unit_name());
    ck_assert_int_eq(queue_open_named(fixture->queue_name, QUEUE_BOTH, true, 1, 512, &fixture->queue), 0);
    ck_assert_int_eq(named_object_open(fixture->object_name, &fixture->object), 0);
    ck_assert_int_eq(watch_new(&fixture->watch), 0);
    ck_assert_int_eq(
        watch_add(fixture->watch, fixture->queue, WATCH_UNLINKED | WATCH_CLOSED, &fixture->queue_id), 0);
    ck_assert_int_eq(
        watch_add(fixture->watch, fixture->object, WATCH_UNLINKED | WATCH_OPENED, &fixture->object_id), 0);
}

static void fixture_deinit(Fixture *fixture) {
    queue_unlink(fixture->queue_name);
    object_unlink(fixture->object_name);
    close(fixture->queue);
    close(fixture->object);
    close(fixture->watch);
}

static void expect(Fixture *fixture, int wanted_id, uint32_t wanted) {
    uint32_t events;
    int id;

    ck_assert(watch_next(fixture->watch, &id, &events));
    ck_assert_int_eq(id, wanted_id);
    ck_assert_uint_eq(events, wanted);
}

static void expect_nothing(Fixture *fixture) {
    uint32_t events;
    int id;

    ck_assert(!watch_next(fixture->watch, &id, &events));
}

START_TEST(unlinking_is_told_for_queue_and_object) {
    Fixture fixture;

    fixture_init(&fixture);
    expect_nothing(&fixture);
    ck_assert_int_eq(queue_unlink(fixture.queue_name), 0);
    expect(&fixture, fixture.queue_id, WATCH_UNLINKED);
    ck_assert_int_eq(shm_unlink(fixture.object_name), 0);
    expect(&fixture, fixture.object_id, WATCH_UNLINKED);
    expect_nothing(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_description_of_a_queue_that_is_closed_is_told) {
    Fixture fixture;
    int other;

    fixture_init(&fixture);
    ck_assert_int_eq(queue_open_named(fixture.queue_name, QUEUE_READ, false, 0, 0, &other), 0);
    expect_nothing(&fixture);
    close(other);
    expect(&fixture, fixture.queue_id, WATCH_CLOSED);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_copied_descriptor_that_is_closed_is_not_told) {
    Fixture fixture;

    fixture_init(&fixture);
    close(fcntl(fixture.queue, F_DUPFD_CLOEXEC, 0));
    expect_nothing(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(the_end_of_a_killed_process_is_told_as_a_closing) {
    Fixture fixture;
    int status;
    pid_t pid;

    fixture_init(&fixture);
    pid = fork();
    if (pid == 0) {
        int own;

        (void)queue_open_named(fixture.queue_name, QUEUE_READ, false, 0, 0, &own);
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    expect(&fixture, fixture.queue_id, WATCH_CLOSED);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(an_object_that_is_opened_is_told) {
    Fixture fixture;
    int other;

    fixture_init(&fixture);
    other = shm_open(fixture.object_name, O_RDWR, 0);
    expect(&fixture, fixture.object_id, WATCH_OPENED);
    close(other);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(what_is_watched_no_more_is_not_told) {
    Fixture fixture;

    fixture_init(&fixture);
    watch_remove(fixture.watch, fixture.queue_id);
    watch_remove(fixture.watch, -1);
    ck_assert_int_eq(queue_unlink(fixture.queue_name), 0);
    expect_nothing(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_name_is_lost_by_unlinking_and_not_by_another_object_of_that_name) {
    Fixture fixture;
    int other;

    fixture_init(&fixture);
    ck_assert(object_has_name(fixture.queue));
    ck_assert(object_has_name(fixture.object));
    ck_assert_int_eq(queue_unlink(fixture.queue_name), 0);
    ck_assert_int_eq(shm_unlink(fixture.object_name), 0);
    ck_assert(!object_has_name(fixture.queue));
    ck_assert(!object_has_name(fixture.object));
    ck_assert_int_eq(named_object_open(fixture.object_name, &other), 0);
    ck_assert(!object_has_name(fixture.object));
    close(other);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_queue_is_read_also_without_its_name) {
    Fixture fixture;
    char message[512];
    size_t bytes;
    int host;

    fixture_init(&fixture);
    ck_assert_int_eq(queue_open_named(fixture.queue_name, QUEUE_WRITE, false, 0, 0, &host), 0);
    ck_assert_int_eq(queue_unlink(fixture.queue_name), 0);
    ck_assert_int_eq(queue_send(host, "17", 2, 0), 0);
    ck_assert_int_eq(queue_receive(fixture.queue, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, 2);
    close(host);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(one_description_at_a_time_has_the_claim) {
    Fixture fixture;
    int other;

    fixture_init(&fixture);
    ck_assert_int_eq(named_object_open(fixture.object_name, &other), 0);
    ck_assert(!object_is_claimed(other));
    ck_assert_int_eq(object_claim(fixture.object), 0);
    ck_assert_int_eq(object_claim(other), -EAGAIN);
    ck_assert(object_is_claimed(other));
    ck_assert(!object_is_claimed(fixture.object));
    close(fixture.object);
    ck_assert_int_eq(object_claim(other), 0);
    fixture.object = other;
    fixture_deinit(&fixture);
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("plain");
    TCase *counts = tcase_create("counts");
    TCase *kernel = tcase_create("kernel");

    tcase_add_test(counts, a_count_is_digits_and_nothing_else);
    tcase_add_test(counts, what_is_written_reads_back);
    tcase_add_test(counts, terminators_of_sloppy_peers_are_taken);
    tcase_add_test(counts, what_is_no_count_is_refused);
    tcase_add_test(counts, an_empty_message_is_refused);
    tcase_add_test(counts, a_count_over_the_maximum_is_refused);
    tcase_add_test(counts, a_failure_is_zero_to_those_who_do_not_know_it);
    tcase_add_test(counts, each_fault_has_a_text_of_its_own);
    suite_add_tcase(suite, counts);
    tcase_add_test(kernel, unlinking_is_told_for_queue_and_object);
    tcase_add_test(kernel, a_description_of_a_queue_that_is_closed_is_told);
    tcase_add_test(kernel, a_copied_descriptor_that_is_closed_is_not_told);
    tcase_add_test(kernel, the_end_of_a_killed_process_is_told_as_a_closing);
    tcase_add_test(kernel, an_object_that_is_opened_is_told);
    tcase_add_test(kernel, what_is_watched_no_more_is_not_told);
    tcase_add_test(kernel, a_name_is_lost_by_unlinking_and_not_by_another_object_of_that_name);
    tcase_add_test(kernel, a_queue_is_read_also_without_its_name);
    tcase_add_test(kernel, one_description_at_a_time_has_the_claim);
    suite_add_tcase(suite, kernel);
    return suite;
}
