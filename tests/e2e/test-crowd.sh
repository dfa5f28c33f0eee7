#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Many at once: clients, workers, exchanges in flight. No answer may go to anybody else.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# Begin $1 calls, each with a payload and a size of its own.
begin_calls() {
    local i
    for ((i = 1; i <= $1; i++)); do
        { echo "call $i"; head -c $((i * 1000)) /dev/urandom; } >"$world/in.$i"
        background "call.$i" "$SHMIPC" call -t 0 -o "$world/out.$i" "$world/in.$i"
    done
}

all_are_answered() {
    local i
    for ((i = 1; i <= $1; i++)); do
        fails 0 ended "call.$i"
        cmp "$world/in.$i" "$world/out.$i"
    done
}

calls_share_workers() { # HANDLER
    configure '' "$1"
    start_host
    start_workers worker worker-2 worker-3
    begin_calls 40
    all_are_answered 40
    host_has workers 3
    host_has "done" 40
}

calls_wait_for_the_first_worker() {
    configure
    start_host
    begin_calls 40
    wait_for host_has in_flight 40
    start_workers worker
    all_are_answered 40
}

# Each handler waits until a third one has come.
workers_work_side_by_side() {
    # shellcheck disable=SC2016 # for the handler
    configure '' "$(runs_script <<<'cat
touch "$E2E_WORLD/at-work.$$"
until [ "$(ls "$E2E_WORLD" | grep -c "^at-work")" = 3 ]; do sleep 0.05; done')"
    start_host
    start_workers worker worker-2 worker-3
    begin_calls 3
    all_are_answered 3
}

worker_may_come_first() {
    configure
    start_until worker 'waiting for the host'
    start_host
    wait_for host_has workers 1
    echoes late host
}

sizes_go_up_and_down_on_one_connection() {
    start_pair
    # shellcheck disable=SC2046 # words
    bounded "$E2E_TOOLS/client" 0 1 4095 4096 4097 1048576 16777217 0 5000000 4096 1 0 70000 \
        $(seq 1 997 50000) 3 0
}

memory_that_shrank_is_given_back() {
    start_pair
    mkfifo "$world/more"
    exec 3<>"$world/more"
    background client "$E2E_TOOLS/client" -w 16777216 1 <"$world/more" 3>&-
    wait_for says "$world/client.log" '^done'
    [ "$(memory_used)" -lt 20000000 ] # the response's segment is the worker's, and stays
    exec 3>&-
    fails 0 ended client
    wait_for memory_is_less 100000
}

more_are_in_flight_than_a_queue_holds() {
    start_pair 'requests_per_client = 64; queue_depth = 2;'
    # shellcheck disable=SC2046
    bounded "$E2E_TOOLS/client" -n 64 $(seq 1 91 40000)
}

more_are_wanted_in_flight_than_there_are_slots() {
    start_pair 'requests_per_client = 3;'
    # shellcheck disable=SC2046
    bounded "$E2E_TOOLS/client" -n 10 $(seq 1 91 20000)
}

what_was_given_up_never_answers_another() {
    configure 'requests_per_client = 8;'
    start_host
    start_workers worker worker-2
    # shellcheck disable=SC2046
    bounded "$E2E_TOOLS/client" -n 6 -a $(seq 1 91 40000)
    wait_for host_has in_flight 0
}

busy_connections_do_not_mix() {
    local i
    configure
    start_host
    start_workers worker worker-2
    for i in 1 2 3 4; do
        # shellcheck disable=SC2046
        background "client.$i" "$E2E_TOOLS/client" -n 16 $(seq "$i" 397 100000)
    done
    for i in 1 2 3 4; do
        fails 0 ended "client.$i"
    done
}

scenario '40 calls at once, three workers that echo' calls_share_workers 'handler = { type = "echo"; };'
scenario '40 calls at once, three workers that run a command' calls_share_workers "$(runs cat)"
scenario '40 calls that began before any worker' calls_wait_for_the_first_worker
scenario 'three workers are at work at the same time' workers_work_side_by_side
scenario 'a worker may start before its host' worker_may_come_first
scenario 'sizes go up and down on one connection' sizes_go_up_and_down_on_one_connection
scenario_if has_namespaces 'memory of a request that shrank, and of a client that went, is given back' \
    memory_that_shrank_is_given_back
scenario 'more exchanges in flight than a queue holds messages' more_are_in_flight_than_a_queue_holds
scenario 'more exchanges wanted than there are slots' more_are_wanted_in_flight_than_there_are_slots
scenario 'what was given up never answers another' what_was_given_up_never_answers_another
scenario 'four busy connections do not mix' busy_connections_do_not_mix

finish
