/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/units.h"
#include "os/queue.h"
#include "os/wait.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#define KIND 7u
#define FOR_EVER UINT64_MAX

/* A pipe whose reading end is watched, as often as one likes. */
typedef struct Pair {
    WaitSource source;
    int reader;
    int writer;
} Pair;

static Wait *make(void) {
    Wait *wait = NULL;

    ck_assert_int_eq(wait_new(&wait), 0);
    return wait;
}

static void pair_init(Pair *pair, Wait *wait) {
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    *pair = (Pair){.source = WAIT_SOURCE_NULL, .reader = fds[0], .writer = fds[1]};
    ck_assert_int_eq(wait_add(wait, &pair->source, pair->reader, WAIT_READ, KIND, pair), 0);
}

static void pair_deinit(Pair *pair) {
    wait_remove(&pair->source);
    fd_close(pair->reader);
    fd_close(pair->writer);
}

static void ring(const Pair *pair) {
    ck_assert_int_eq(write(pair->writer, "x", 1), 1);
}

static WaitSource *next(Wait *wait) {
    uint32_t events;

    return wait_next(wait, &events);
}

/* ---- sources ---- */

START_TEST(source_that_is_ready_is_handed_out_once) {
    _cleanup_(wait_freep) Wait *wait = make();
    uint32_t events = 0;
    WaitSource *source;
    Pair pair;

    pair_init(&pair, wait);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_null(next(wait));
    ring(&pair);
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    source = wait_next(wait, &events);
    ck_assert_ptr_eq(source, &pair.source);
    ck_assert_uint_eq(events, WAIT_READ);
    ck_assert_uint_eq(source->kind, KIND);
    ck_assert_ptr_eq(source->owner, &pair);
    ck_assert_ptr_null(next(wait));
    pair_deinit(&pair);
}
END_TEST

START_TEST(source_that_was_not_served_comes_again) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    ring(&pair);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(wait_poll(wait, 0), 0);
        ck_assert_ptr_eq(next(wait), &pair.source);
    }
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(next(wait), &pair.source);
    pair_deinit(&pair);
}
END_TEST

START_TEST(source_removed_by_anothers_handler_is_not_handed_out) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pairs[3];
    WaitSource *first;

    for (size_t i = 0; i < ELEMENTS(pairs); i++) {
        pair_init(&pairs[i], wait);
        ring(&pairs[i]);
    }
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    first = next(wait);
    ck_assert_ptr_nonnull(first);
    /* The handler ends all, itself too, and their memory is used for something else. */
    for (size_t i = 0; i < ELEMENTS(pairs); i++)
        pair_deinit(&pairs[i]);
    memset(pairs, 0xff, sizeof(pairs));
    ck_assert_ptr_null(next(wait));
}
END_TEST

START_TEST(source_added_anew_does_not_inherit_events) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pairs[2];

    for (size_t i = 0; i < ELEMENTS(pairs); i++) {
        pair_init(&pairs[i], wait);
        ring(&pairs[i]);
    }
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_nonnull(next(wait));
    for (size_t i = 0; i < ELEMENTS(pairs); i++) {
        pair_deinit(&pairs[i]);
        pair_init(&pairs[i], wait);
    }
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_null(next(wait));
    for (size_t i = 0; i < ELEMENTS(pairs); i++)
        pair_deinit(&pairs[i]);
}
END_TEST

START_TEST(source_is_looked_at_again_before_it_is_handed_out) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    ring(&pair);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_int_eq(wait_modify(&pair.source, 0), 0);
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_modify(&pair.source, WAIT_READ), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(next(wait), &pair.source);
    pair_deinit(&pair);
}
END_TEST

START_TEST(more_than_one_poll_can_hold_are_all_found) {
    enum { N = 200 };
    _cleanup_(wait_freep) Wait *wait = make();
    static Pair pairs[N];
    bool seen[N] = {false};
    int n_seen = 0;

    for (int i = 0; i < N; i++) {
        pair_init(&pairs[i], wait);
        ring(&pairs[i]);
    }
    for (int polls = 0; polls < N && n_seen < N; polls++) {
        ck_assert_int_eq(wait_poll(wait, 0), 0);
        for (WaitSource *source; (source = next(wait));) {
            ptrdiff_t i = (Pair *)source->owner - pairs;

            n_seen += !seen[i];
            seen[i] = true;
        }
    }
    ck_assert_int_eq(n_seen, N);
    for (int i = 0; i < N; i++)
        pair_deinit(&pairs[i]);
}
END_TEST

START_TEST(hangup_is_told_though_nobody_asked) {
    _cleanup_(wait_freep) Wait *wait = make();
    uint32_t events = 0;
    Pair pair;

    pair_init(&pair, wait);
    ck_assert_int_eq(wait_modify(&pair.source, WAIT_WRITE), 0);
    pair.writer = fd_close(pair.writer);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(wait_next(wait, &events), &pair.source);
    ck_assert_uint_eq(events, WAIT_HANGUP);
    pair_deinit(&pair);
}
END_TEST

START_TEST(room_is_told_to_who_asks) {
    _cleanup_(wait_freep) Wait *wait = make();
    WaitSource source = WAIT_SOURCE_NULL;
    uint32_t events = 0;
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(wait_add(wait, &source, fds[1], WAIT_READ | WAIT_WRITE, KIND, NULL), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(wait_next(wait, &events), &source);
    ck_assert_uint_eq(events, WAIT_WRITE);
    wait_remove(&source);
}
END_TEST

START_TEST(remove_leaves_the_descriptor_open) {
    _cleanup_(wait_freep) Wait *wait = make();
    WaitSource never = WAIT_SOURCE_NULL;
    Pair pair;

    pair_init(&pair, wait);
    wait_remove(&pair.source);
    ck_assert_ptr_null(pair.source.wait);
    ck_assert_int_ge(fcntl(pair.reader, F_GETFD), 0);
    wait_remove(&pair.source);
    wait_remove(&never);
    pair_deinit(&pair);
}
END_TEST

START_TEST(add_of_what_cannot_be_watched_fails) {
    _cleanup_(wait_freep) Wait *wait = make();
    WaitSource source = WAIT_SOURCE_NULL, again = WAIT_SOURCE_NULL;
    Pair pair;

    pair_init(&pair, wait);
    ck_assert_int_eq(wait_add(wait, &source, -1, WAIT_READ, KIND, NULL), -EBADF);
    ck_assert_int_eq(wait_add(wait, &source, open("/", O_RDONLY), WAIT_READ, KIND, NULL), -EPERM);
    ck_assert_int_eq(wait_add(wait, &again, pair.reader, WAIT_READ, KIND, NULL), -EEXIST);
    ck_assert_ptr_null(source.wait);
    ck_assert_ptr_null(again.wait);
    pair_deinit(&pair);
}
END_TEST

START_TEST(free_with_a_source_is_a_fault) {
    Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    wait_free(wait);
}
END_TEST

START_TEST(close_before_remove_is_a_fault) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    fd_close(pair.reader);
    wait_remove(&pair.source);
}
END_TEST

START_TEST(free_closes_and_takes_null) {
    size_t before = unit_n_fds();
    Wait *wait = make();

    ck_assert_ptr_null(wait_free(wait));
    ck_assert_uint_eq(unit_n_fds(), before);
    ck_assert_ptr_null(wait_free(NULL));
}
END_TEST

/* ---- who is woken ---- */

typedef struct Sleeper {
    Wait *wait;
    _Atomic pid_t tid;
    long n_slept;
} Sleeper;

static long n_slept_so_far(void) {
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static void *sleep_until_rung(void *data) {
    Sleeper *sleeper = data;
    long before = n_slept_so_far();

    sleeper->tid = gettid();
    (void)wait_poll(sleeper->wait, FOR_EVER);
    sleeper->n_slept = n_slept_so_far() - before;
    return NULL;
}

static void await_sleep(const Sleeper *sleeper) {
    char path[64], state = 0;

    while (state != 'S') {
        FILE *file;

        sched_yield();
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)sleeper->tid);
        file = sleeper->tid ? fopen(path, "re") : NULL;
        if (!file)
            continue;
        ck_assert_int_eq(fscanf(file, "%*d %*s %c", &state), 1);
        fclose(file);
    }
}

/* Messages come and go while somebody sleeps who has @events of the queue. Return: how often he slept. */
static long n_slept_beside_messages(uint32_t events) {
    Sleeper sleeper = {.wait = make()};
    WaitSource source = WAIT_SOURCE_NULL;
    pthread_t thread;
    char message[8];
    size_t bytes;
    Pair pair;
    int fd;

    ck_assert_int_eq(queue_create(unit_name(), 4, sizeof(message), &fd), 0);
    pair_init(&pair, sleeper.wait);
    ck_assert_int_eq(wait_add(sleeper.wait, &source, fd, events, KIND, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_until_rung, &sleeper), 0);
    await_sleep(&sleeper);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(queue_send(fd, "", 0, 0), 0);
        ck_assert_int_eq(queue_receive(fd, message, sizeof(message), &bytes), 0);
        await_sleep(&sleeper);
    }
    ring(&pair);
    pthread_join(thread, NULL);
    wait_remove(&source);
    pair_deinit(&pair);
    fd_close(fd);
    wait_free(sleeper.wait);
    return sleeper.n_slept;
}

/* The queue itself wakes whoever is at it, which is why nobody is who waits for nothing. */
START_TEST(who_waits_for_nothing_is_not_woken) {
    ck_assert_int_eq(n_slept_beside_messages(0), 1);
}
END_TEST

START_TEST(wish_that_comes_later_is_heard) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    ck_assert_int_eq(wait_modify(&pair.source, 0), 0);
    ring(&pair);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_modify(&pair.source, WAIT_READ), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(next(wait), &pair.source);
    ck_assert_int_eq(wait_modify(&pair.source, 0), 0);
    pair_deinit(&pair); /* also one that is not in the set */
}
END_TEST

/* ---- time ---- */

START_TEST(timer_expires_once) {
    _cleanup_(wait_freep) Wait *wait = make();

    ck_assert(!wait_timer_expired(wait));
    ck_assert_int_eq(wait_set_timer(wait, clock_now_ns() + NS_PER_MS), 0);
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    ck_assert_ptr_null(next(wait));
    ck_assert(wait_timer_expired(wait));
    ck_assert(!wait_timer_expired(wait));
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert(!wait_timer_expired(wait));
}
END_TEST

START_TEST(timer_in_the_past_expires_now_and_again) {
    _cleanup_(wait_freep) Wait *wait = make();

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(wait_set_timer(wait, 1), 0);
        ck_assert_int_eq(wait_set_timer(wait, 1), 0);
        ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
        ck_assert(wait_timer_expired(wait));
    }
}
END_TEST

START_TEST(timer_that_was_taken_back_does_not_expire) {
    _cleanup_(wait_freep) Wait *wait = make();

    ck_assert_int_eq(wait_set_timer(wait, 1), 0);
    ck_assert_int_eq(wait_set_timer(wait, 0), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert(!wait_timer_expired(wait));
}
END_TEST

START_TEST(timer_put_off_after_the_poll_has_not_expired) {
    _cleanup_(wait_freep) Wait *wait = make();

    ck_assert_int_eq(wait_set_timer(wait, 1), 0);
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    ck_assert_int_eq(wait_set_timer(wait, UINT64_C(1) << 62), 0);
    ck_assert(!wait_timer_expired(wait));
    ck_assert_int_eq(wait_set_timer(wait, 1), 0);
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    ck_assert(wait_timer_expired(wait));
}
END_TEST

START_TEST(timer_and_sources_come_in_one_poll) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    ring(&pair);
    ck_assert_int_eq(wait_set_timer(wait, 1), 0);
    ck_assert_int_eq(wait_for_fd(wait_get_fd(wait), WAIT_READ, FOR_EVER), WAIT_READ);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(next(wait), &pair.source);
    ck_assert_ptr_null(next(wait));
    ck_assert(wait_timer_expired(wait));
    pair_deinit(&pair);
}
END_TEST

START_TEST(poll_ends_when_its_time_has_come) {
    _cleanup_(wait_freep) Wait *wait = make();
    uint64_t until = clock_now_ns() + NS_PER_MS;

    ck_assert_int_eq(wait_poll(wait, until), 0);
    ck_assert_uint_ge(clock_now_ns(), until);
    ck_assert_int_eq(wait_poll(wait, until), 0);
    ck_assert_ptr_null(next(wait));
}
END_TEST

/* The kernel is told of the earlier of the two only. */
START_TEST(poll_ends_when_its_time_or_the_timer_has_come) {
    _cleanup_(wait_freep) Wait *wait = make();
    uint64_t until = clock_now_ns() + NS_PER_MS;

    ck_assert_int_eq(wait_set_timer(wait, UINT64_C(1) << 62), 0);
    ck_assert_int_eq(wait_poll(wait, until), 0);
    ck_assert_uint_ge(clock_now_ns(), until);
    ck_assert(!wait_timer_expired(wait));
    until = clock_now_ns() + NS_PER_MS;
    ck_assert_int_eq(wait_set_timer(wait, until), 0);
    ck_assert_int_eq(wait_poll(wait, UINT64_C(1) << 62), 0);
    ck_assert_uint_ge(clock_now_ns(), until);
    ck_assert(wait_timer_expired(wait));
    ck_assert_int_eq(wait_poll(wait, clock_now_ns() + NS_PER_MS), 0); /* it is not waited for again */
}
END_TEST

static void on_alarm(int number) {
}

/* Until it is stopped a signal comes every millisecond, so that none can come too early. */
static void start_alarms(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval every_ms = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};

    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
}

START_TEST(signal_ends_a_wait_without_an_error) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;

    pair_init(&pair, wait);
    start_alarms();
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    ck_assert_ptr_null(next(wait));
    ck_assert_int_eq(wait_for_fd(pair.reader, WAIT_READ, FOR_EVER), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), 0);
    pair_deinit(&pair);
}
END_TEST

START_TEST(clocks_never_go_back) {
    uint64_t ns = clock_now_ns(), us = clock_boot_us();

    for (int i = 0; i < 1000; i++) {
        uint64_t next_ns = clock_now_ns(), next_us = clock_boot_us();

        ck_assert_uint_ge(next_ns, ns);
        ck_assert_uint_ge(next_us, us);
        ns = next_ns;
        us = next_us;
    }
    ck_assert_uint_gt(us, 0);
}
END_TEST

/* ---- other loops ---- */

START_TEST(a_wait_nests_in_another) {
    _cleanup_(wait_freep) Wait *outer = make();
    _cleanup_(wait_freep) Wait *inner = make();
    WaitSource source = WAIT_SOURCE_NULL;
    Pair pair;

    pair_init(&pair, inner);
    ck_assert_int_eq(wait_add(outer, &source, wait_get_fd(inner), WAIT_READ, KIND, NULL), 0);
    ck_assert_int_eq(wait_poll(outer, 0), 0);
    ck_assert_ptr_null(next(outer));
    ring(&pair);
    ck_assert_int_eq(wait_poll(outer, FOR_EVER), 0);
    ck_assert_ptr_eq(next(outer), &source);
    pair_deinit(&pair);
    ck_assert_int_eq(wait_poll(outer, 0), 0);
    ck_assert_ptr_null(next(outer));
    ck_assert_int_eq(wait_set_timer(inner, 1), 0);
    ck_assert_int_eq(wait_poll(outer, FOR_EVER), 0);
    ck_assert_ptr_eq(next(outer), &source);
    wait_remove(&source);
}
END_TEST

START_TEST(wait_for_fd_tells_what_is_there) {
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(wait_for_fd(fds[0], WAIT_READ, 0), 0);
    ck_assert_int_eq(wait_for_fd(fds[0], WAIT_READ, clock_now_ns() + NS_PER_MS), 0);
    ck_assert_int_eq(wait_for_fd(fds[1], WAIT_WRITE, FOR_EVER), WAIT_WRITE);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(wait_for_fd(fds[0], WAIT_READ, FOR_EVER), WAIT_READ);
    fd_close(fds[1]);
    ck_assert_int_eq(wait_for_fd(fds[0], WAIT_READ, FOR_EVER), WAIT_READ | WAIT_HANGUP);
    ck_assert_int_eq(wait_for_fd(fds[0], 0, FOR_EVER), WAIT_HANGUP);
    ck_assert_int_eq(wait_for_fd(fds[1], WAIT_READ, FOR_EVER), -EBADF);
}
END_TEST

static int abandon_and_remove(Wait *wait, Pair *pair) {
    WaitSource source = WAIT_SOURCE_NULL;

    wait_abandon(wait);
    if (next(wait) || wait_timer_expired(wait))
        return 1;
    if (wait_add(wait, &source, pair->writer, WAIT_WRITE, KIND, NULL) != -EBADF)
        return 2;
    pair_deinit(pair);
    return next(wait) ? 3 : 0;
}

START_TEST(child_that_abandons_a_wait_takes_nothing_from_its_parent) {
    _cleanup_(wait_freep) Wait *wait = make();
    Pair pair;
    int status;
    pid_t pid;

    pair_init(&pair, wait);
    ring(&pair);
    ck_assert_int_eq(wait_set_timer(wait, 1), 0);
    ck_assert_int_eq(wait_poll(wait, FOR_EVER), 0);
    pid = fork();
    if (pid == 0)
        _exit(abandon_and_remove(wait, &pair));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(wait_poll(wait, 0), 0);
    ck_assert_ptr_eq(next(wait), &pair.source);
    ck_assert(wait_timer_expired(wait));
    pair_deinit(&pair);
}
END_TEST

static void add_time(Suite *suite) {
    TCase *tests = tcase_create("time");

    tcase_add_test(tests, timer_expires_once);
    tcase_add_test(tests, timer_in_the_past_expires_now_and_again);
    tcase_add_test(tests, timer_that_was_taken_back_does_not_expire);
    tcase_add_test(tests, timer_put_off_after_the_poll_has_not_expired);
    tcase_add_test(tests, timer_and_sources_come_in_one_poll);
    tcase_add_test(tests, poll_ends_when_its_time_has_come);
    tcase_add_test(tests, poll_ends_when_its_time_or_the_timer_has_come);
    tcase_add_test(tests, signal_ends_a_wait_without_an_error);
    tcase_add_test(tests, clocks_never_go_back);
    tcase_add_test(tests, a_wait_nests_in_another);
    tcase_add_test(tests, child_that_abandons_a_wait_takes_nothing_from_its_parent);
    tcase_add_test(tests, wait_for_fd_tells_what_is_there);
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("wait");
    TCase *tests = tcase_create("sources");

    tcase_add_test(tests, source_that_is_ready_is_handed_out_once);
    tcase_add_test(tests, source_that_was_not_served_comes_again);
    tcase_add_test(tests, source_removed_by_anothers_handler_is_not_handed_out);
    tcase_add_test(tests, source_added_anew_does_not_inherit_events);
    tcase_add_test(tests, source_is_looked_at_again_before_it_is_handed_out);
    tcase_add_test(tests, more_than_one_poll_can_hold_are_all_found);
    tcase_add_test(tests, hangup_is_told_though_nobody_asked);
    tcase_add_test(tests, room_is_told_to_who_asks);
    tcase_add_test(tests, remove_leaves_the_descriptor_open);
    tcase_add_test(tests, add_of_what_cannot_be_watched_fails);
    tcase_add_test_raise_signal(tests, free_with_a_source_is_a_fault, SIGABRT);
    tcase_add_test_raise_signal(tests, close_before_remove_is_a_fault, SIGABRT);
    tcase_add_test(tests, free_closes_and_takes_null);
    tcase_add_test(tests, who_waits_for_nothing_is_not_woken);
    tcase_add_test(tests, wish_that_comes_later_is_heard);
    suite_add_tcase(suite, tests);
    add_time(suite);
    return suite;
}
