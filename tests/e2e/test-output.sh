#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Standard output that takes nothing: each command says so, whatever it had to say, and fails.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2119,SC2120 # functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# Whether $@, whose first word is how a message begins, says with an exit status other than 0 that its output
# is lost, and why, in one line.
is_lost() {
    local name=$1 status=0
    shift
    bounded "$@" >/dev/full 2>"$world/err" || status=$?
    echo "$* exits with $status and says:"
    cat "$world/err"
    [ $status != 0 ]
    says "$world/err" "^$name: .*standard output: No space left on device"
    [ "$(wc -l <"$world/err")" = 1 ]
}

# All that --help names, so that a new one is tried, too.
all_commands() {
    "$SHMIPC" --help | sed -nE 's/^  ([a-z]+) +.*/\1/p'
}

help_that_is_lost_fails() {
    local command
    [ "$(all_commands | wc -l)" -ge 8 ]
    is_lost shmipc "$SHMIPC" --help
    is_lost shmipc "$SHMIPC" --version
    for command in $(all_commands); do
        is_lost "shmipc $command" "$SHMIPC" "$command" --help
    done
}

# Each in all the ways in which it writes.
answers_that_are_lost_fail() {
    local words
    start_pair
    while read -r words; do
        # shellcheck disable=SC2086 # words
        is_lost "shmipc ${words%% *}" "$SHMIPC" $words </dev/null
    done <<END
status
status --json
status --openmetrics
status clients
status -o help
top -b -n 1
top -b
bench -n 5
bench --json -n 5
trace
trace -o help
check -c $config
check --print-sample
check --print-manual
doctor -c $config
doctor --json -c $config
parked list
parked list --json
END
}

response_that_is_lost_fails() {
    start_pair
    echo answer >"$world/request"
    is_lost 'shmipc call' "$SHMIPC" call "$world/request"
    is_lost 'shmipc call' "$SHMIPC" call "$(payload 3000000)"
}

parked_request_that_is_lost_fails() {
    local id
    configure 'attempts = 1;' "$(runs_script <<'END'
read -r _ _ _ worker _ </proc/$PPID/stat
kill -KILL "$worker"
sleep 1000
END
)"
    start_host
    start_workers worker
    fails 7 call "$(payload 100000)"
    fails 137 ended worker
    id=$("$SHMIPC" parked list --noheadings | awk '{ print $1 }')
    is_lost 'shmipc parked' "$SHMIPC" parked show "$id"
    is_lost 'shmipc parked' "$SHMIPC" parked show --payload "$id"
    "$SHMIPC" parked show --payload "$id" | cmp - "$(payload 100000)"
}

# What has failed by itself says that, and keeps its exit status.
exit_status_of_a_failure_stays() {
    configure
    fails 1 "$SHMIPC" doctor -c "$config" >/dev/full 2>"$world/err"
    says "$world/err" '^shmipc doctor: cannot write standard output'
    fails 3 "$SHMIPC" status >/dev/full 2>"$world/err"
    fails 1 says "$world/err" 'standard output'
}

scenario '--help of every command that is lost fails' help_that_is_lost_fails
scenario 'an answer that is lost fails, in whatever form' answers_that_are_lost_fail
scenario 'a response that is lost fails' response_that_is_lost_fails
scenario 'a parked request that is lost fails' parked_request_that_is_lost_fails
scenario 'the exit status of what has failed already stays' exit_status_of_a_failure_stays
finish
