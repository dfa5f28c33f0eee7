/* SPDX-License-Identifier: MIT */
/* Events: what somebody does is told so often and no more, and nothing is lost without a word. */
#include "core/event.h"
#include "unit.h"

#include <stdlib.h>

static EventQueue *queue;

static void begin(void) {
    queue = calloc(1, sizeof(*queue));
    ck_assert_ptr_nonnull(queue);
}

static void end(void) {
    free(queue);
}

/* As if so much time had passed. */
static void let_pass(uint64_t ns) {
    for (size_t i = 0; i < EVENT_RATES; i++)
        if (queue->rates[i].since_ns)
            queue->rates[i].since_ns -= ns;
}

static unsigned pop_all(Event *ret_last) {
    unsigned n = 0;

    while (event_pop(queue, ret_last))
        n++;
    return n;
}

static void push_of(unsigned n, EventKind kind, uid_t uid) {
    for (unsigned i = 0; i < n; i++)
        event_push_of(queue, kind, uid)->slot = i;
}

START_TEST(burst_is_told_at_once_and_what_follows_when_its_time_is_over) {
    Event event;

    push_of(EVENTS_BURST + 7, EVENT_PEER_MISBEHAVED, 1000);
    ck_assert_uint_eq(pop_all(&event), EVENTS_BURST);
    ck_assert_uint_eq(event.slot, EVENTS_BURST - 1);
    ck_assert_uint_eq(event.n_similar, 0);
    ck_assert(!event_pop(queue, &event));
    let_pass(EVENTS_INTERVAL_NS);
    ck_assert(event_pop(queue, &event));
    ck_assert_int_eq(event.kind, EVENT_PEER_MISBEHAVED);
    ck_assert_uint_eq(event.uid, 1000);
    ck_assert_uint_eq(event.slot, EVENTS_BURST + 6); /* the latest */
    ck_assert_uint_eq(event.n_similar, 6);           /* and those before it */
    ck_assert(!event_pop(queue, &event));
    ck_assert_uint_eq(queue->n_held, 7);
}
END_TEST

START_TEST(next_interval_has_a_burst_of_its_own) {
    Event event;

    push_of(EVENTS_BURST + 1, EVENT_PEER_MISBEHAVED, 1000);
    ck_assert_uint_eq(pop_all(&event), EVENTS_BURST);
    let_pass(EVENTS_INTERVAL_NS);
    ck_assert_uint_eq(pop_all(&event), 1);
    push_of(EVENTS_BURST + 1, EVENT_PEER_MISBEHAVED, 1000);
    ck_assert_uint_eq(pop_all(&event), EVENTS_BURST);
}
END_TEST

START_TEST(quiet_interval_starts_anew) {
    Event event;

    push_of(EVENTS_BURST, EVENT_PEER_MISBEHAVED, 1000);
    let_pass(EVENTS_INTERVAL_NS);
    push_of(EVENTS_BURST, EVENT_PEER_MISBEHAVED, 1000);
    ck_assert_uint_eq(pop_all(&event), 2 * EVENTS_BURST);
}
END_TEST

START_TEST(other_user_and_other_kind_are_told) {
    Event event;

    push_of(3 * EVENTS_BURST, EVENT_PEER_MISBEHAVED, 1000);
    push_of(2, EVENT_PEER_MISBEHAVED, 1001);
    push_of(2, EVENT_CLIENT_REFUSED, 1000);
    event_push(queue, EVENT_HEALTH);
    ck_assert_uint_eq(pop_all(&event), EVENTS_BURST + 5);
}
END_TEST

/* Were there no end of users, there would be no end of lines. */
START_TEST(users_beyond_the_rates_share_one) {
    unsigned n = 0;
    Event event;

    for (uid_t uid = 1; uid <= 200; uid++) {
        push_of(2, EVENT_CLIENT_REFUSED, uid);
        n += pop_all(&event);
    }
    ck_assert_uint_eq(n, 2 * (EVENT_RATES - 1) + EVENTS_BURST);
    let_pass(EVENTS_INTERVAL_NS);
    ck_assert_uint_eq(pop_all(&event), 1);
    ck_assert_uint_eq(event.n_similar + 1, 2 * 200 - n);
}
END_TEST

START_TEST(rate_whose_time_is_over_is_another_users) {
    Event event;

    for (uid_t uid = 1; uid < EVENT_RATES; uid++)
        push_of(1, EVENT_CLIENT_REFUSED, uid);
    let_pass(EVENTS_INTERVAL_NS);
    for (uid_t uid = 101; uid < 100 + EVENT_RATES; uid++)
        push_of(1, EVENT_CLIENT_REFUSED, uid);
    (void)pop_all(&event);
    ck_assert_uint_eq(queue->rates[EVENT_RATES - 1].since_ns, 0);
}
END_TEST

START_TEST(events_that_did_not_fit_are_told_as_a_number) {
    Event event;

    for (unsigned i = 0; i < EVENTS_MAX + 5; i++)
        event_push(queue, EVENT_HEALTH);
    ck_assert_uint_eq(pop_all(&event), EVENTS_MAX + 1);
    ck_assert_int_eq(event.kind, EVENT_UNTOLD);
    ck_assert_uint_eq(event.n_similar, 5);
    ck_assert(!event_pop(queue, &event));
}
END_TEST

Suite *unit_suite(void) {
    Suite *suite = suite_create("event");
    TCase *all = tcase_create("event");

    tcase_add_checked_fixture(all, begin, end);
    tcase_add_test(all, burst_is_told_at_once_and_what_follows_when_its_time_is_over);
    tcase_add_test(all, next_interval_has_a_burst_of_its_own);
    tcase_add_test(all, quiet_interval_starts_anew);
    tcase_add_test(all, other_user_and_other_kind_are_told);
    tcase_add_test(all, users_beyond_the_rates_share_one);
    tcase_add_test(all, rate_whose_time_is_over_is_another_users);
    tcase_add_test(all, events_that_did_not_fit_are_told_as_a_number);
    suite_add_tcase(suite, all);
    return suite;
}
