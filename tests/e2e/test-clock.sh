#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The wall clock jumps by an hour, forth and back, all the time: nothing ends too early or too late. (The
# machine's own clock is not touched.)
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# Run $1… under a clock that jumps.
jumping() {
    LD_PRELOAD=$E2E_TOOLS/jumping-clock.so ASAN_OPTIONS=verify_asan_link_order=0 ${exec-} "$@"
}

# The jumps are in every process of the world.
start_jumping() {
    export LD_PRELOAD=$E2E_TOOLS/jumping-clock.so
    export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
    start_pair "$@"
}

the_clock_jumps() {
    jumping python3 -c '
import time
looks = [time.time() for _ in range(9)]
assert max(looks) - min(looks) > 7000, looks
ticks = [time.monotonic() for _ in range(9)]
assert max(ticks) - min(ticks) < 3000, ticks'
}

exchanges_have_their_deadlines() {
    local i
    start_jumping 'health_interval = "1s"'
    for i in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(echo "$i" | call -t 30)" = "$i" ]
        bounded "$E2E_TOOLS/client" -n 3 10 100000 3000 200000 1
    done
}

# Neither at once nor after an hour, which bounded() would not wait for.
calls_time_out() {
    start_jumping '' "$(runs sleep 1000)"
    refuses 5 'timed out after [0-9.]*s:' call -t 1
    fails 1 says "$world/err" 'after 0'
}

handlers_time_out() {
    start_jumping '' "timeout = \"1s\"; $(runs sleep 1000)"
    refuses 5 'timed out' call -t 60
}

probes_go_on() {
    start_jumping 'health_interval = "1s"'
    wait_for says "$world/host.log" 'healthy: a probe went to a worker and back in [0-9.]+(us|ms|s)$'
    murder worker
    wait_for says "$world/host.log" 'not healthy'
    start_workers worker
    wait_for was_healthy_twice
    echoes 'and on'
}

was_healthy_twice() {
    [ "$(grep -c ': healthy: a probe went' "$world/host.log")" = 2 ]
}

# It is killed when its time is up, and what it had goes to another.
hung_workers_are_found() {
    start_jumping 'health_interval = "1s"' "timeout = \"3s\"; $(runs_script <<'END'
read -r _ _ _ worker _ </proc/$PPID/stat
[ "$SHMIPC_ATTEMPT" = 2 ] || kill -STOP "$worker"
echo with another
END
)"
    # shellcheck disable=SC2119
    background call "$SHMIPC" call -t 60 </dev/null
    fails 137 ended worker
    start_workers worker
    fails 0 ended call
    says "$world/call.log" '^with another$'
}

# What waits with a time says which clock counts; the calls on queues are given a time that has passed.
waits_that_name_the_wall_clock() {
    grep -hE 'CLOCK_REALTIME|mq_timed(send|receive)\(' "$world"/*.trace* |
        grep -vE 'mq_timed(send|receive)\(.*\{tv_sec=0, tv_nsec=0\}|clock_gettime|CLOCK_REALTIME_ALARM' || :
}

no_wait_is_by_the_wall_clock() {
    local -x ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_leaks=0" # it traces, too: both cannot be
    local traced='strace -D -f -e trace=mq_timedsend,mq_timedreceive,futex,clock_nanosleep,timerfd_create,ppoll,poll'
    traced+=',epoll_wait,epoll_pwait2,select,pselect6,rt_sigtimedwait,semtimedop,timer_create'
    configure 'health_interval = "1s"' "$(runs cat)"
    start_host $traced -o "$world/host.trace"
    start worker $traced -o "$world/worker.trace" </dev/null
    wait_for host_has workers 1
    echo what | $traced -o "$world/call.trace" "$SHMIPC" call -t 30 | grep -qx what
    $traced -o "$world/client.trace" "$E2E_TOOLS/client" -n 2 10 100000 10
    says "$world/call.trace" 'mq_timedsend\(.*\{tv_sec=0, tv_nsec=0\}' # what is looked for can be found
    says "$world/host.trace" 'timerfd_create\(CLOCK_MONOTONIC'
    fails 1 grep . <<<"$(waits_that_name_the_wall_clock)"
}

if strace -o /dev/null true 2>/dev/null; then
    has_strace=yes
else
    has_strace=no
fi

check 'the clock jumps here' the_clock_jumps
scenario 'exchanges are answered within their deadlines' exchanges_have_their_deadlines
scenario 'a call times out when its time is up' calls_time_out
scenario 'a handler is ended when its time is up' handlers_time_out
scenario 'probes go on, and see who is gone' probes_go_on
scenario 'a worker that hangs is found' hung_workers_are_found
scenario_if has_strace 'no wait is by the wall clock' no_wait_is_by_the_wall_clock
finish
