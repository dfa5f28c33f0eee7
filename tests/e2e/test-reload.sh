#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Stops and reloads: what is at work is finished, what is changed counts, what is wrong changes nothing.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A handler that answers once there is a file `go`.
waiting_handler() {
    runs_script <<'END'
cat >"$E2E_WORLD/request.$$"
echo $$ >>"$E2E_WORLD/at-work"
until [ -e "$E2E_WORLD/go" ]; do sleep 0.05; done
cat "$E2E_WORLD/request.$$"
END
}

begin_call() { # NAME
    echo "$1 went in" >"$world/$1.in"
    background "$1" "$SHMIPC" call -t 0 -o "$world/$1.out" "$world/$1.in"
}

call_is_answered() {
    fails 0 ended "$1"
    cmp "$world/$1.in" "$world/$1.out"
}

# --- stops ---

stopped_worker_finishes_what_it_has() {
    start_pair '' "$(waiting_handler)"
    begin_call one
    wait_for [ -s "$world/at-work" ]
    kill -TERM "${pids[worker]}"
    begin_call two # which it does not take
    wait_for host_has in_flight 2
    touch "$world/go"
    fails 0 ended worker
    call_is_answered one
    wait_for host_has in_flight 1
    [ "$(wc -l <"$world/at-work")" = 1 ]
    start_workers worker
    call_is_answered two
}

ctrl_c_stops_a_worker_and_a_host() {
    configure
    background host env --default-signal=INT "$SHMIPC" run host -c "$config"
    wait_for says "$world/host.log" 'ready: takes clients'
    background worker env --default-signal=INT "$SHMIPC" run worker -c "$config"
    wait_for host_has workers 1
    kill -INT "${pids[worker]}"
    fails 0 ended worker
    wait_for host_has workers 0
    kill -INT "${pids[host]}"
    fails 0 ended host
    says "$world/worker.log" stopped
    says "$world/host.log" stopped
    wait_for nothing_is_left
}

second_signal_stops_a_worker_at_once() {
    start_pair 'attempts = 1;' "$(waiting_handler)"
    begin_call one
    wait_for [ -s "$world/at-work" ]
    kill -TERM "${pids[worker]}"
    wait_for ends_if_told_again
    fails 1 ended worker
    says "$world/worker.log" 'stopped at once'
    fails 7 ended one
    wait_for has_ended "$(cat "$world/at-work")"
}

# Two signals that come too fast are one.
ends_if_told_again() {
    kill -TERM "${pids[worker]}" 2>/dev/null
    has_ended "${pids[worker]}"
}

waiting_worker_stops() {
    configure
    start_until worker 'waiting for the host'
    stop worker
}

stopped_host_says_goodbye() {
    start_pair '' "$(waiting_handler)"
    begin_call one
    wait_for [ -s "$world/at-work" ]
    stop host
    [ ! -e "$SHMIPC_SOCKET" ]
    fails 3 ended one
    wait_for says "$world/worker.log" 'lost the host'
    start_host
    wait_for host_has workers 1
}

stop_order_does_not_matter() {
    start_pair
    stop host
    stop worker
    wait_for nothing_is_left
}

# --- reloads ---

reload() { # NAME
    local before
    before=$(grep -c reloaded "$world/$1.log") || :
    kill -HUP "${pids[$1]}"
    wait_for has_reloaded "$1" "$before"
}

has_reloaded() {
    [ "$(grep -c reloaded "$world/$1.log")" -gt "$2" ]
}

reload_changes_the_handler() {
    start_pair '' "$(runs sed 's/in/out/')"
    [ "$(echo in | call)" = out ]
    configure '' "$(runs sed 's/in/inside/')"
    reload worker
    wait_for answers_by in inside
}

answers_by() {
    [ "$(echo "$1" | call)" = "$2" ]
}

reload_lets_the_worker_finish_with_the_old_handler() {
    start_pair '' "$(waiting_handler)"
    begin_call one
    wait_for [ -s "$world/at-work" ]
    configure '' "$(runs sed 's/in/out/')"
    reload worker
    touch "$world/go"
    call_is_answered one
    wait_for answers_by in out
}

reload_changes_access() {
    configure 'access = ["root"];'
    start_host
    start_workers worker
    refuses 4 'not in `access`' as "$ALICE" "$SHMIPC" call
    configure "access = [\"$ALICE\"];"
    reload host
    refuses 4 'not in `access`' call
    [ "$(echo alice | as "$ALICE" "$SHMIPC" call)" = alice ]
}

reload_keeps_clients_and_workers() {
    start_pair '' "$(waiting_handler)"
    begin_call one
    wait_for [ -s "$world/at-work" ]
    configure 'max_clients = 7;' "$(waiting_handler)"
    reload host
    host_has workers 1
    host_has clients 1
    host_has max_clients 7
    touch "$world/go"
    call_is_answered one
}

reload_of_a_bad_file_changes_nothing() { # NAME
    start_pair '' "$(runs sed 's/in/out/')"
    {
        echo 'host: { role = "host"; max_clients = 0; };'
        echo 'worker: { role = "worker"; handler = { type = "ecko"; }; };'
    } >"$config"
    reload "$1"
    says "$world/$1.log" 'not reloaded: everything stays as it was'
    says "$world/$1.log" "error: $config:1: .*max_clients"
    says "$world/$1.log" "error: $config:2: .*ecko.*did you mean \"echo\"\\?"
    host_has max_clients 256
    [ "$(echo in | call)" = out ]
}

reload_of_a_missing_file_changes_nothing() {
    start_pair
    rm "$config"
    reload worker
    says "$world/worker.log" 'not reloaded'
    echoes as before
}

# It hangs up before it is let in. The host must not take that for a death that it has to see to.
reload_before_the_host_answers() {
    configure
    start_host
    kill -STOP "${pids[host]}"
    start worker
    wait_for has_socket worker
    reload worker
    kill -CONT "${pids[host]}"
    wait_for host_has workers 1
    echoes whoever it is
    fails 1 says "$world/host.log" 'died|killed'
}

has_socket() {
    find "/proc/${pids[$1]}/fd" -lname 'socket:*' | grep .
}

reload_of_another_role_changes_nothing() {
    start_pair
    printf 'worker: { role = "host"; };\n' >"$config"
    reload worker
    says "$world/worker.log" 'role .*cannot change'
    echoes as before
}

# --- starts ---

bad_file_does_not_start() {
    printf 'host: { role = "host"; memroy = "1G"; };\nworker: { role = "worker"; };\n' >"$config"
    fails 78 bounded "$SHMIPC" run host -c "$config" 2>"$world/err"
    says "$world/err" "$config:1: .*memroy.*did you mean \"memory\"\\?"
    fails 78 bounded "$SHMIPC" run worker -c "$config"
    fails 78 bounded "$SHMIPC" check -c "$config"
}

unknown_instance_does_not_start() {
    configure
    fails 78 bounded "$SHMIPC" run wroker -c "$config" 2>"$world/err"
    says "$world/err" 'wroker'
    fails 78 bounded "$SHMIPC" run host-2 -c "$config"
}

scenario 'a worker that is told to stop finishes what it has, and takes no more' \
    stopped_worker_finishes_what_it_has
scenario 'Ctrl-C stops a worker and a host, and nothing is left' ctrl_c_stops_a_worker_and_a_host
scenario 'told twice, a worker stops at once' second_signal_stops_a_worker_at_once
scenario 'a worker that waits for its host stops' waiting_worker_stops
scenario 'a host that is told to stop ends its calls; the worker waits for the next' stopped_host_says_goodbye
scenario 'the order of stops does not matter' stop_order_does_not_matter
scenario 'a reload changes the handler' reload_changes_the_handler
scenario 'a reload lets the old handler finish' reload_lets_the_worker_finish_with_the_old_handler
scenario_if has_uids 'a reload changes who has access' reload_changes_access
scenario 'a reload keeps clients and workers' reload_keeps_clients_and_workers
scenario 'a reload of a bad file changes nothing for a host, and says what is wrong' \
    reload_of_a_bad_file_changes_nothing host
scenario 'a reload of a bad file changes nothing for a worker, and says what is wrong' \
    reload_of_a_bad_file_changes_nothing worker
scenario 'a reload of a missing file changes nothing' reload_of_a_missing_file_changes_nothing
scenario 'a worker that is reloaded before its host answers is not taken for dead' \
    reload_before_the_host_answers
scenario 'a reload cannot change the role' reload_of_another_role_changes_nothing
scenario 'a bad file: exit 78, and every fault is named' bad_file_does_not_start
scenario 'an unknown instance: exit 78' unknown_instance_does_not_start

finish
