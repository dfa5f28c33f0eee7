/* SPDX-License-Identifier: MIT */
/*
 * Attacks by what a handler is made to do: the payload is a script that the handler's shell runs, as may be
 * the case for any command that has a hole. Each of them must end in the way that it says; those that would
 * never end by themselves have a deadline.
 */
#include "attack.h"

#include <stdlib.h>

#define DEADLINE_NS (300 * NS_PER_MS)

/* What never ends by itself is to end as EXPIRED, anything else as FAILED for @reason. */
static void run(const char *script, Reason reason) {
    Request *request = attack_prepare(strlen(script));

    memcpy(request->segment.map, script, strlen(script));
    if (reason == REASON_NONE)
        request->deadline_ns = clock_now_ns() + DEADLINE_NS;
    attack_send_and_wait(request);
    if (reason == REASON_NONE ? request->end != SLOT_EXPIRED
                              : request->end != SLOT_FAILED || request->reason != reason)
        errx(EXIT_FAILURE, "`%s` ended in state %d: %s", script, (int)request->end,
             reason_name(request->reason));
    request_release(request);
}

static void run_for_ever(const char *script, Reason reason) {
    attack_join();
    do
        run(script, reason);
    while (attack_goes_on());
}

static void endless_output(void) {
    run_for_ever("yes", REASON_RESPONSE_TOO_LARGE);
}

static void endless_errors(void) {
    run_for_ever("yes >&2", REASON_NONE);
}

static void stops_itself(void) {
    run_for_ever("kill -STOP $$", REASON_NONE);
}

static void ignores_signals(void) {
    run_for_ever("trap '' TERM INT HUP PIPE; while :; do sleep 1000; done", REASON_NONE);
}

/* Nothing of it is there when its exchange has ended: the response would come late, or for somebody else. */
static void leaves_daemons(void) {
    run_for_ever("for i in 1 2 3; do (setsid sleep 1000 &); done; sleep 1000 & exit 3",
                 REASON_HANDLER_FAILED);
}

/*
 * As far as RLIMIT_NPROC, or TasksMax= of the unit, allow. The shell itself forks once: the second of two
 * forks may be one too many already, and then it ends.
 */
static void forks(void) {
    run_for_ever("f() { f | f & }; f & while :; do :; done", REASON_NONE);
}

const Attack handler_attacks[] = {
    {"endless-output", endless_output},
    {"endless-errors", endless_errors},
    {"stops-itself", stops_itself},
    {"ignores-signals", ignores_signals},
    {"leaves-daemons", leaves_daemons},
    {"forks", forks},
    {NULL, NULL},
};
