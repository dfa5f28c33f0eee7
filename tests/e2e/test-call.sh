#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command line: what goes in and out of `shmipc call`, each of its exit statuses, and help.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016,SC2119 # patterns with `; functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# --- what goes in and out ---

file_goes_in_and_output_goes_to_a_file() {
    start_pair
    call -o "$world/out" "$(payload 70000)" >"$world/stdout"
    cmp "$(payload 70000)" "$world/out"
    [ ! -s "$world/stdout" ]
}

file_is_read_from_where_standard_input_stands() {
    start_pair
    { head -c 1000 >"$world/head" && call; } <"$(payload 70000)" >"$world/out"
    cat "$world/head" "$world/out" | cmp - "$(payload 70000)"
}

slow_pipe_goes_in_whole() {
    start_pair
    { echo one; wait_for has_client; echo two; } | call >"$world/out"
    printf 'one\ntwo\n' | cmp - "$world/out"
}

has_client() {
    host_has clients 1
}

dash_means_standard_input() {
    start_pair
    [ "$(echo dash | call -)" = dash ]
}

output_replaces_what_was_there() {
    start_pair
    head -c 1000 /dev/zero >"$world/out"
    echo short | call -o "$world/out"
    echo short | cmp - "$world/out"
}

host_may_be_named_by_option_or_environment() {
    unset SHMIPC_SOCKET
    mount -t tmpfs tmpfs /run
    printf 'ours: { role = "host"; };\nworker: { role = "worker"; serves = "ours"; };\n' >"$config"
    start_until ours 'ready: takes clients'
    start worker
    wait_for "$SHMIPC" call -H ours -t 1 "$(payload 1)"
    [ "$(echo named | call --host ours)" = named ]
    [ "$(echo named | SHMIPC_HOST=ours call)" = named ]
    refuses 3 'no host `host` at /run/shmipc/host.sock' call
    stop worker
    stop ours
    [ ! -e /run/shmipc/ours.sock ]
}

# --- exit statuses ---

handler_that_fails_is_1_with_its_status_and_stderr() {
    start_pair '' "$(runs sh -c 'echo half an answer; echo no such colour >&2; exit 7')"
    refuses 1 'handler failed with exit status 7' call
    says "$world/err" '^no such colour$'
}

handler_that_is_killed_is_1_with_the_signal() {
    start_pair '' "$(runs sh -c 'kill -SEGV $$')"
    refuses 1 'handler was killed by signal 11 \(Segmentation fault\)' call
}

handler_that_cannot_start_is_1_with_the_cure() {
    start_pair '' "$(runs no-such-program)"
    refuses 1 'handler could not be started' call
    says "$world/err" 'no-such-program: there is no such command: install it'
}

# The first worker that is given it dies (it is the parent of the handler's keeper), the second has a handler that
# fails: so that host, worker and client all have something to say.
failed_exchange_has_one_id_in_client_host_and_worker() {
    local id
    configure '' "$(runs_script <<<'mkdir "$E2E_WORLD/died" || exit 7
        read -r _ _ _ w _ <"/proc/$PPID/stat"; kill -9 "$w"; sleep 1000')"
    start_host
    start_workers worker
    background call "$SHMIPC" call
    fails 137 ended worker
    start worker-2 </dev/null
    fails 1 ended call
    cat "$world/call.log"
    id=$(sed -nE 's/.*it was exchange ([0-9]+-[0-9]+-[0-9]+);.*/\1/p' "$world/call.log")
    [ -n "$id" ]
    wait_for says "$world/host.log" "exchange $id goes to another worker after attempt 1"
    wait_for says "$world/worker-2.log" "exchange $id of uid .*failed.*exit status 7"
}

failed_call_leaves_its_output_file_alone() {
    start_pair '' "$(runs false)"
    echo before >"$world/kept"
    fails 1 call -o "$world/kept" "$(payload 1)"
    fails 1 call -o "$world/new" "$(payload 1)"
    [ "$(cat "$world/kept")" = before ]
    [ ! -e "$world/new" ]
}

what_fails_on_this_side_is_9() {
    start_pair
    refuses 9 "$world/none: No such file" call "$world/none"
    refuses 9 'reading /: Is a directory' call /
    fails 9 call "$(payload 1)" >/dev/full 2>"$world/err"
    says "$world/err" 'writing standard output: No space left'
    refuses 9 "$world/none/out: No such file" call -o "$world/none/out" "$(payload 1)"
    echoes all is well
}

# A host that speaks another version is none for this program.
host_of_another_version_is_3() {
    python3 -c 'import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1] + ".new")
listener.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
peer = listener.accept()[0]
peer.recv(512)
peer.send(struct.pack("=IIQII232s", 3, 256, 0, 13, 0, b"speak version 2"))
peer.recv(512)' "$SHMIPC_SOCKET" &
    wait_for [ -S "$SHMIPC_SOCKET" ]
    refuses 3 'refused by the host: speak version 2' call
    wait
    rm "$SHMIPC_SOCKET"
}

# A host with room for one before it, who is there already and not accepted before the file `accept` exists.
crowded_host() {
    python3 -c 'import os, socket, struct, sys, time
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen(0)
other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
other.connect(sys.argv[1])
open(sys.argv[2] + "/crowded", "w")
while not os.path.exists(sys.argv[2] + "/accept"):
    time.sleep(0.01)
listener.accept()
peer = listener.accept()[0]
peer.recv(512)
peer.send(struct.pack("=IIQII232s", 3, 256, 0, 13, 0, b"let in"))
peer.recv(512)' "$SHMIPC_SOCKET" "$world" &
    wait_for [ -e "$world/crowded" ]
}

crowd_before_the_host_is_waited_for() {
    crowded_host
    refuses 5 'timed out after [0-9a-z. ]*: so many wait for the host' call -t 100ms
    touch "$world/accept"
    refuses 3 'refused by the host: let in' call
    wait
    rm "$SHMIPC_SOCKET"
}

usage_is_2() {
    refuses 2 "Try .shmipc call --help" call --no-such-option
    refuses 2 '-t takes seconds' call -t soon
    refuses 2 'one file at a time' call one two
}

no_host_is_3() {
    refuses 3 "there is no host .host. at $SHMIPC_SOCKET; start it" call
    refuses 3 'no host `other`' call -H other
}

socket_of_a_killed_host_is_3() {
    start_pair
    murder host
    refuses 3 'there is no host' call
    start_host # which takes the socket over, and away
}

no_worker_is_5_and_says_so() {
    configure
    start_host
    runs_out 'timed out after [0-9.]+[a-z]+: no worker is attached to the host' call
}

own_deadline_is_5() {
    start_pair '' "$(runs sleep 1000)"
    runs_out 'timed out after [0-9a-z. ]*: no worker has answered; wait longer with -t' call
    wait_for host_has in_flight 0
}

timeout_of_the_worker_is_5_and_names_the_setting() {
    start_pair '' "timeout = \"300ms\"; $(runs sleep 1000)"
    refuses 5 'handler timed out' call
    says "$world/err" 'timeout. setting'
}

host_that_does_not_answer_is_5() {
    configure
    start_host
    kill -STOP "${pids[host]}"
    refuses 5 'timed out after .*: the host `host` listens on .*, but does not answer' call -t 300ms
    kill -CONT "${pids[host]}"
}

payload_over_the_limit_is_6() {
    local fits
    fits=$(payload 1048576)
    start_pair 'max_payload = "1M";'
    refuses 6 'max_payload' call "$(payload 1048577)"
    call "$fits" | cmp - "$fits"
}

endless_response_is_6() {
    start_pair '' 'handler = { type = "exec"; command = ["cat", "/dev/zero"]; max_response = "100000"; };'
    refuses 6 'response too large' call
    says "$world/err" 'max_response'
}

# --- commands that are no good readers ---

command_that_reads_nothing_answers() {
    start_pair '' "$(runs echo not interested)"
    [ "$(call "$(payload 16777216)")" = 'not interested' ]
}

command_that_reads_a_little_answers() {
    start_pair '' "$(runs head -c 100000)"
    call "$(payload 16777216)" | cmp - <(head -c 100000 "$(payload 16777216)")
}

command_that_writes_first_answers() {
    start_pair '' "$(runs sh -c 'head -c 3000000 /dev/zero; cat')"
    call "$(payload 16777216)" | cmp - <(head -c 3000000 /dev/zero && cat "$(payload 16777216)")
}

# The world's end sees that it is not there any more.
what_a_command_leaves_behind_is_killed() {
    start_pair '' "$(runs sh -c 'sleep 1000 & setsid sleep 1000 & echo done')"
    [ "$(call </dev/null)" = 'done' ]
    wait_for fails 1 grep -lFzx sleep /proc/[0-9]*/cmdline
}

# --- what is shown ---

waiting_handler() {
    runs_script <<<'until [ -e "$E2E_WORLD/go" ]; do sleep 0.05; done'
}

progress_is_shown_on_a_terminal() {
    start_pair '' "$(waiting_handler)"
    background call script -qefc "'$SHMIPC' call '$(payload 70000)'" "$world/typescript"
    wait_for says "$world/typescript" 'waiting: 68\.[0-9]K of 68\.[0-9]K \(100 %\)'
    touch "$world/go"
    fails 0 ended call
}

status_is_told_to_programs() {
    start_pair 'memory = "100M";'
    echoes three bytes more
    "$SHMIPC" status --json >"$world/status"
    cat "$world/status"
    python3 - "$world/status" "${pids[host]}" "${pids[worker]}" <<'END'
import json, sys
said = json.load(open(sys.argv[1]))
host, worker = said["host"][0], said["workers"][0]
assert host["pid"] == int(sys.argv[2]) and worker["pid"] == int(sys.argv[3])
assert host["done"] == 1 and host["request_bytes"] == host["response_bytes"] == len("three bytes more\n")
assert host["memory_limit_bytes"] == 100 << 20 and worker["instance"] == "worker"
END
}

status_of_no_host_is_3() {
    fails 3 "$SHMIPC" status 2>"$world/err"
    says "$world/err" 'there is no host `host`'
}

# --- help ---

# shellcheck disable=SC2086 # a word or none
help_fits_a_terminal() {
    local text
    text=$("$SHMIPC" $1 --help)
    echo "$text"
    [ "$(wc -L <<<"$text")" -le 80 ]
    [ "$(wc -l <<<"$text")" -le 24 ]
    head -n 1 <<<"$text" | grep "^Usage: shmipc ${1:-COMMAND}"
    [ "$("$SHMIPC" $1 -h)" = "$text" ]
}

unknown_option_is_usage() {
    local said=0
    # shellcheck disable=SC2086
    "$SHMIPC" $1 --no-such-option >"$world.out" 2>"$world.err" || said=$?
    cat "$world.err"
    [ "$said" = 2 ]
    [ ! -s "$world.out" ]
    says "$world.err" "^shmipc${1:+ $1}: "
    says "$world.err" '--help'
}

unknown_command_is_usage() {
    fails 2 "$SHMIPC" cal 2>"$world.err"
    says "$world.err" 'no command .cal.'
    fails 2 "$SHMIPC" 2>"$world.err"
    says "$world.err" 'say what to do'
}

version_is_said() {
    "$SHMIPC" --version | grep -xE 'shmipc [0-9]+\.[0-9]+\.[0-9]+'
}

scenario 'a file goes in, -o OUT takes the response' file_goes_in_and_output_goes_to_a_file
scenario 'standard input is read from where it stands' file_is_read_from_where_standard_input_stands
scenario 'a slow pipe goes in whole' slow_pipe_goes_in_whole
scenario 'FILE may be -' dash_means_standard_input
scenario 'OUT is replaced' output_replaces_what_was_there
scenario_if has_namespaces '-H and SHMIPC_HOST name the host' host_may_be_named_by_option_or_environment

scenario 'exit 1: the handler failed; its status and standard error are shown' \
    handler_that_fails_is_1_with_its_status_and_stderr
scenario 'exit 1: the handler was killed; the signal is shown' handler_that_is_killed_is_1_with_the_signal
scenario 'exit 1: the handler cannot be started; the cure is shown' \
    handler_that_cannot_start_is_1_with_the_cure
scenario 'a failed exchange has one id in client, host and worker' \
    failed_exchange_has_one_id_in_client_host_and_worker
scenario 'a failed call neither makes nor changes OUT' failed_call_leaves_its_output_file_alone
scenario 'exit 2: usage' usage_is_2
scenario 'what fails on this side is 9' what_fails_on_this_side_is_9
scenario 'a host of another version is none' host_of_another_version_is_3
scenario 'exit 3: no host' no_host_is_3
scenario 'exit 3: the host was killed' socket_of_a_killed_host_is_3
scenario 'exit 5: no worker, and it says so' no_worker_is_5_and_says_so
scenario 'exit 5: the deadline of the call' own_deadline_is_5
scenario 'exit 5: the timeout of the worker, which is named' timeout_of_the_worker_is_5_and_names_the_setting
scenario 'exit 5: a host that does not answer' host_that_does_not_answer_is_5
scenario 'a crowd before the host is waited for' crowd_before_the_host_is_waited_for
scenario 'exit 6: a payload over max_payload' payload_over_the_limit_is_6
scenario 'exit 6: a response without end' endless_response_is_6

scenario 'a command that reads nothing answers' command_that_reads_nothing_answers
scenario 'a command that reads a little answers' command_that_reads_a_little_answers
scenario 'a command that writes before it reads answers' command_that_writes_first_answers
scenario 'what a command leaves behind is killed' what_a_command_leaves_behind_is_killed

scenario 'progress is shown on a terminal' progress_is_shown_on_a_terminal
scenario 'status tells programs' status_is_told_to_programs
scenario 'status without a host is exit 3' status_of_no_host_is_3

world=$files/help
for command in '' run call parked status top bench check doctor; do
    check "help of shmipc${command:+ $command} fits 80 columns and 24 lines" help_fits_a_terminal "$command"
    check "an unknown option of shmipc${command:+ $command} is exit 2" unknown_option_is_usage "$command"
done
check 'an unknown command, or none, is exit 2' unknown_command_is_usage
check '--version says which' version_is_said

finish
