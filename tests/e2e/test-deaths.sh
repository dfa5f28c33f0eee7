#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Deaths: kill -9 of each party at bad moments, and parties that hang. Every request ends in one answer or one
# clear error, and what is left of the others goes on.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A handler that answers with what it gets, once there is a file `go`. Until then its pid is in `at-work`.
waiting_handler() {
    runs_script <<'END'
cat >"$E2E_WORLD/request.$$"
echo $$ >"$E2E_WORLD/at-work"
until [ -e "$E2E_WORLD/go" ]; do sleep 0.05; done
cat "$E2E_WORLD/request.$$"
END
}

# A handler that kills its worker (its parent's parent: there is a keeper between them) at the attempts that
# match the pattern $1, and answers otherwise.
killing_handler() {
    runs_script <<END
read -r _ _ _ worker _ </proc/\$PPID/stat
case \$SHMIPC_ATTEMPT in
$1) kill -KILL "\$worker"; sleep 1000 ;;
esac
cat
END
}

# Begin a call that is at work when this returns.
begin_call() {
    begin_waiting_call
    wait_for [ -s "$world/at-work" ]
}

begin_waiting_call() {
    echo "what went in" >"$world/in"
    background call "$SHMIPC" call -t 0 -o "$world/out" "$world/in"
}

# It is answered as if nothing had been.
call_is_answered() {
    fails 0 ended call
    cmp "$world/in" "$world/out"
}

handler_is_gone() {
    local pid
    pid=$(cat "$world/at-work")
    wait_for has_ended "$pid"
}

# --- the client ---

client_dies_in_a_call() {
    start_pair '' "$(waiting_handler)"
    begin_call
    murder call
    handler_is_gone
    wait_for host_has in_flight 0
    wait_for host_has clients 0
    touch "$world/go"
    echoes next
}

client_dies_before_a_worker_takes_its_call() {
    start_host_alone "$(waiting_handler)"
    begin_waiting_call
    wait_for host_has in_flight 1
    murder call
    wait_for host_has clients 0
    start_workers worker
    touch "$world/go"
    echoes next
    [ ! -e "$world/out" ]
    [ "$(find "$world" -name 'request.*' | wc -l)" = 1 ] # the next one's: the dead one's was never handled
}

start_host_alone() {
    configure '' "${1-}"
    start_host
}

client_is_interrupted() {
    start_pair '' "$(waiting_handler)"
    echo gone >"$world/in"
    background call env --default-signal=INT "$SHMIPC" call -t 0 "$world/in"
    wait_for [ -s "$world/at-work" ]
    kill -INT "${pids[call]}"
    fails 130 ended call
    handler_is_gone
    wait_for says "$world/worker.log" 'nobody waits for the answer'
    touch "$world/go"
    echoes next
}

clients_of_many_exchanges_die() {
    local i
    configure '' "$(runs cat)"
    start_host
    start_workers worker worker-2
    for i in 1 2 3 4; do
        # shellcheck disable=SC2046 # words
        background "client.$i" "$E2E_TOOLS/client" -n 16 $(seq 100000 100500)
    done
    wait_for host_has clients 4
    for i in 1 2 3 4; do
        murder "client.$i"
    done
    wait_for host_has in_flight 0
    wait_for host_has clients 0
    echoes next
}

# --- the worker ---

worker_dies_with_a_request_that_another_answers() {
    configure '' "$(killing_handler 1)"
    start_host
    start_workers worker worker-2
    [ "$(echo twice | call)" = twice ]
    host_has redelivered 1
    host_has workers 1
    says "$world/host.log" 'goes to another worker after attempt 1'
    dead_workers_end 1
}

# There were as many workers that died as $1 says.
dead_workers_end() {
    local name n=0
    for name in "${!pids[@]}"; do
        if [ "$name" != host ] && has_ended "${pids[$name]}"; then
            fails 137 ended "$name"
            n=$((n + 1))
        fi
    done
    [ "$n" = "$1" ]
}

worker_dies_with_a_request_and_comes_back() {
    start_pair '' "$(killing_handler 1)"
    begin_waiting_call
    fails 137 ended worker
    wait_for host_has workers 0
    start_workers worker
    call_is_answered
    host_has redelivered 1
}

request_that_kills_its_workers_is_given_up() {
    configure '' "$(killing_handler '*')"
    start_host
    start_workers worker worker-2 worker-3
    refuses 7 'worker lost' call
    host_has failed 1
    host_has workers 1
    dead_workers_end 2
}

request_is_tried_once_where_that_is_configured() {
    configure 'attempts = 1;' "$(killing_handler 1)"
    start_host
    start_workers worker worker-2
    refuses 7 'worker lost' call
    host_has redelivered 0
    dead_workers_end 1
}

last_worker_dies_with_a_request() {
    start_pair '' "$(killing_handler 1)"
    refuses 7 'the worker that had the request is lost, and no other has come' call
    fails 137 ended worker
}

handler_dies_with_its_worker() {
    start_pair 'attempts = 1;' "$(waiting_handler)"
    begin_call
    murder worker
    fails 7 ended call
    [ ! -e "$world/out" ]
    handler_is_gone
}

what_a_handler_started_dies_with_its_worker() {
    start_pair 'attempts = 1;' "$(runs_script <<'END'
setsid sh -c 'echo $$ >"$E2E_WORLD/at-work"; exec sleep 1000' &
wait
END
)"
    begin_call
    murder worker
    fails 7 ended call
    handler_is_gone
}

large_request_survives_its_worker() {
    local file
    file=$(payload 16777217)
    configure '' "$(killing_handler 1)"
    start_host
    start_workers worker worker-2
    call "$file" | cmp - "$file"
    host_has redelivered 1
    dead_workers_end 1
}

idle_worker_dies() {
    configure
    start_host
    start_workers worker worker-2
    murder worker
    wait_for host_has workers 1
    says "$world/host.log" 'warning: worker worker \(number [12], .*\) died'
    echoes without it
    start worker
    wait_for host_has workers 2
    echoes with it
}

workers_die_in_a_crowd_of_calls() {
    local i
    configure 'attempts = 15; max_deaths = 0;' "$(runs cat)"
    start_host
    start_workers worker worker-2 worker-3
    for i in 1 2 3; do
        # shellcheck disable=SC2046 # words
        background "client.$i" "$E2E_TOOLS/client" -n 16 $(seq "$i" 97 30000)
    done
    for i in 1 2 3 4 5 6; do
        wait_for exchanges_have_been_done $((i * 40))
        murder worker
        start worker
        murder worker-2
        start worker-2
    done
    for i in 1 2 3; do
        fails 0 ended "client.$i"
    done
}

exchanges_have_been_done() {
    [ "$(host_says "done")" -ge "$1" ]
}

stopped_worker_with_a_request_is_replaced() {
    configure 'health_interval = "1s";' "timeout = \"3s\"; $(stopping_handler)"
    start_host
    start_workers worker worker-2
    [ "$(echo twice | call)" = twice ]
    says "$world/host.log" 'was killed: it holds an exchange for longer than its `timeout`'
    host_has redelivered 1
    dead_workers_end 1
}

# At the first attempt it stops its worker.
stopping_handler() {
    runs_script <<'END'
read -r _ _ _ worker _ </proc/$PPID/stat
[ $SHMIPC_ATTEMPT != 1 ] || kill -STOP "$worker"
cat
END
}

stopped_idle_worker_is_replaced() {
    configure 'health_interval = "1s";'
    start_host
    start_workers worker
    wait_for host_has health '"healthy"'
    kill -STOP "${pids[worker]}"
    begin_waiting_call
    wait_for says "$world/host.log" 'was killed: it is idle and does not answer'
    fails 137 ended worker
    start worker
    call_is_answered
    wait_for host_has health '"healthy"'
}

# --- the host ---

host_dies_in_a_call() {
    start_pair '' "$(waiting_handler)"
    begin_call
    murder host
    fails 3 ended call
    says "$world/call.log" 'the host .host. went away'
    [ ! -e "$world/out" ]
    handler_is_gone
    touch "$world/go"
    start_host
    wait_for host_has workers 1
    echoes next
}

# The worker hears of it first, and ends what it has; the call finds both when it wakes up.
host_dies_while_a_call_sleeps() {
    start_pair '' "$(waiting_handler)"
    begin_call
    kill -STOP "${pids[call]}"
    murder host
    wait_for says "$world/worker.log" 'lost the host'
    kill -CONT "${pids[call]}"
    fails 3 ended call
    says "$world/call.log" 'the host .host. went away'
    handler_is_gone
    start_host
}

host_dies_before_a_worker_takes_a_call() {
    start_host_alone
    begin_waiting_call
    wait_for host_has in_flight 1
    murder host
    fails 3 ended call
    start_host
    start_workers worker
    echoes next
}

workers_come_back_to_a_new_host() {
    configure
    start_host
    start_workers worker worker-2
    murder host
    wait_for says "$world/worker.log" 'lost the host; trying again'
    start_host
    wait_for host_has workers 2
    echoes next
    stop host
    start_host
    wait_for host_has workers 2
    echoes and next
}

second_host_does_not_start() {
    start_pair
    fails 1 bounded "$SHMIPC" run host -c "$config" 2>"$world/err"
    says "$world/err" "is running already: it listens on $SHMIPC_SOCKET"
    [ "$(grep -c 'error:' "$world/err")" = 1 ]
    echoes the first
}

all_die_at_once() {
    start_pair '' "$(waiting_handler)"
    begin_call
    kill -KILL "${pids[@]}"
    fails 137 ended worker
    fails 137 ended call
    fails 137 ended host
    handler_is_gone
    rm "$SHMIPC_SOCKET" # all that is left, and the next start sweeps it away: see above
}

scenario 'client killed in a call: its handler is killed, the worker goes on' client_dies_in_a_call
scenario 'client killed before a worker came: its call is never handled' \
    client_dies_before_a_worker_takes_its_call
scenario 'Ctrl-C in a call cancels it' client_is_interrupted
scenario 'clients killed with many exchanges in flight' clients_of_many_exchanges_die
scenario 'worker killed with a request: another answers it' worker_dies_with_a_request_that_another_answers
scenario 'worker killed with a request: it answers when it is back' worker_dies_with_a_request_and_comes_back
scenario 'worker killed with 16 MiB: another answers them' large_request_survives_its_worker
scenario 'exit 7: a request that kills its workers is given up, the service is not' \
    request_that_kills_its_workers_is_given_up
scenario 'exit 7: attempts = 1 tries once' request_is_tried_once_where_that_is_configured
scenario 'exit 7: no worker comes after the one that died with the request' last_worker_dies_with_a_request
scenario 'worker killed: its handler dies with it' handler_dies_with_its_worker
scenario 'worker killed: what its handler started dies with it' what_a_handler_started_dies_with_its_worker
scenario 'worker killed while idle' idle_worker_dies
scenario 'workers killed again and again under load: no call fails' workers_die_in_a_crowd_of_calls
scenario 'worker stopped with a request: killed, and another answers' \
    stopped_worker_with_a_request_is_replaced
scenario 'worker stopped while idle: killed' stopped_idle_worker_is_replaced
scenario 'exit 3: host killed in a call; the worker finds the next one' host_dies_in_a_call
scenario 'exit 3: host killed while a call sleeps' host_dies_while_a_call_sleeps
scenario 'exit 3: host killed before a worker came' host_dies_before_a_worker_takes_a_call
scenario 'workers come back to a new host' workers_come_back_to_a_new_host
scenario 'a second host of the same name does not start' second_host_does_not_start
scenario 'all killed at once: nothing but the socket is left' all_die_at_once

finish
