#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Requests that kill their workers: they are parked, seen, sent again and dropped; whoever sends too many of
# them is refused for a while, and nobody else is.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A handler that kills its worker (its parent's parent) for each request that begins with "poison", as long
# as there is no file `mended`.
poisonable_handler() {
    runs_script <<'END'
cat >"$E2E_WORLD/request.$$"
read -r _ _ _ worker _ </proc/$PPID/stat
if [ ! -e "$E2E_WORLD/mended" ] && grep -q ^poison "$E2E_WORLD/request.$$"; then
    kill -KILL "$worker"
    sleep 1000
fi
cat "$E2E_WORLD/request.$$"
END
}

start_poisonable() {
    configure "$1" "$(poisonable_handler)"
    mkdir -m 711 "$world/state" # of the host, which may be another user
    mkdir -m 700 "$world/state/host" # where there is none, the machine's own is looked at
    [ "$has_uids" = no ] || chown "${2-0}" "$world/state" "$world/state/host"
    start_host ${2:+as "$2"}
    start_workers worker worker-2 worker-3
}

parked() {
    bounded "$SHMIPC" parked "$@"
}

poison() {
    echo "poison $*" | call
}

# A request is parked; its id is in $id.
park_one() {
    fails 7 poison "$@"
    id=$(parked list --noheadings | awk '{ print $1 }')
    [ "$(wc -w <<<"$id")" = 1 ]
}

what_kills_its_workers_is_listed_and_shown() {
    start_poisonable 'max_deaths = 0;'
    parked list | grep -F 'No request is parked.'
    park_one one
    says "$world/host.log" "exchange $id of uid $(id -u) .* is parked: its worker died; see .shmipc parked show $id"
    parked list | grep -E '^ID +WHEN +UID +PROGRAM +BYTES +WORKER +WHY'
    parked list --noheadings | grep -E "^$id +20[0-9-]+ [0-9:]+ +$(id -u) +shmipc call +11B +worker(-[23])? +worker lost: its worker died"
    parked show "$id" | grep -E 'from +user .*, shmipc call, pid [0-9]+, client [0-9]+'
    [ "$(parked show "$id" | grep -cE '^ +[0-9]+ +[0-9]+ worker(-[23])? +died')" = 2 ]
    [ "$(parked show "$id" --payload)" = 'poison one' ]
    parked list --json | python3 -c 'import json, sys; one, = json.load(sys.stdin)["parked"]; assert one["payload_bytes"] == 11 and one["attempts"] == 2'
    parked show --json "$id" | python3 -c 'import json, sys; assert len(json.load(sys.stdin)["workers"]) == 2'
    [ "$(stat -c %a "$world/state/host/$id")" = 600 ]
    tail -c +4097 "$world/state/host/$id" | grep -Fx 'poison one'
    host_has parked 1
    dead_workers_are_two
    echoes next
}

dead_workers_are_two() {
    local name n=0
    for name in worker worker-2 worker-3; do
        has_ended "${pids[$name]}" || continue
        fails 137 ended "$name"
        n=$((n + 1))
    done
    [ $n = 2 ]
}

mended_request_is_answered_and_dropped() {
    start_poisonable 'max_deaths = 0;'
    park_one two
    touch "$world/mended"
    [ "$(parked retry "$id")" = 'poison two' ]
    [ -z "$(parked list --noheadings)" ]
    refuses 1 "has parked no request $id; see .shmipc parked list" parked retry "$id"
    dead_workers_are_two
}

request_that_fails_again_stays_and_is_not_kept_twice() {
    start_poisonable 'max_deaths = 0; attempts = 1;'
    park_one three
    fails 7 parked retry -o "$world/answer" "$id"
    [ ! -e "$world/answer" ]
    [ "$(parked list --noheadings | wc -l)" = 1 ]
    dead_workers_are_two
    stop host
    fails 3 parked retry "$id"
    parked drop "$id"
    parked list | grep -F 'No request is parked.'
    start_host
}

some_or_all_are_dropped() {
    start_poisonable 'max_deaths = 0; attempts = 1;'
    fails 7 poison 1
    fails 7 poison 2
    parked drop "$(parked list -n | awk 'NR == 1 { print $1 }')"
    [ "$(parked list --noheadings | wc -l)" = 1 ]
    parked drop --all
    [ -z "$(parked list --noheadings)" ]
    dead_workers_are_two
}

errors_are_clear() {
    mkdir -p "$world/state/host"
    refuses 2 'say what to do: list, show, retry or drop' parked
    refuses 2 'there is nothing called .lst.' parked lst
    refuses 2 'show takes one id' parked show
    refuses 2 'drop takes ids, or --all' parked drop
    refuses 2 'drop takes ids, or --all' parked drop --all 1-2-3
    refuses 2 'list takes no id' parked list 1-2-3
    refuses 1 'has parked no request 1-2-3' parked show 1-2-3
    refuses 1 'has parked no request ../x' parked drop ../x
    echo rubbish >"$world/state/host/1-2-3"
    refuses 1 '1-2-3 is damaged' parked show 1-2-3
    parked list 2>&1 | grep -F '1-2-3 is damaged'
    parked drop --all
    [ ! -e "$world/state/host/1-2-3" ]
    rm -r "$world/state"
}

others_may_not_look() {
    mkdir -m 700 -p "$world/state/host"
    refuses 4 'permission denied; run as root or as the user of the host .host.' as $ALICE "$SHMIPC" parked list
    refuses 4 'permission denied' as $ALICE "$SHMIPC" parked drop 1-2-3
    rm -r "$world/state"
}

full_budget_is_said() {
    start_poisonable 'max_deaths = 0; attempts = 1; parked = "4K";'
    fails 7 poison much
    says "$world/host.log" 'is not parked: the host.s .parked. budget of 4K is used up: see .shmipc parked list'
    [ -z "$(parked list --noheadings)" ]
    for name in worker worker-2 worker-3; do
        ! has_ended "${pids[$name]}" || fails 137 ended "$name"
    done
    echoes next
}

killer_is_refused_and_others_are_not() {
    start_poisonable "access = [\"$ALICE\", \"$BOB\", \"self\"]; attempts = 1;"
    fails 7 as_user $ALICE 'poison 1'
    fails 7 as_user $ALICE 'poison 2'
    fails 4 as_user $ALICE 'poison 3' # the one too many
    fails 4 as_user $ALICE 'nothing bad' 2>"$world/err"
    says "$world/err" "requests of user $ALICE have killed 3 workers .* no more are taken for another [0-9]+ s"
    for name in worker worker-2 worker-3; do
        fails 137 ended "$name"
    done
    start_workers worker
    [ "$(as_user $BOB 'as ever')" = 'as ever' ]
    echoes from root
    says "$world/host.log" "user $ALICE is refused for 1min"
    [ "$(parked list -n | wc -l)" = 3 ]
}

as_user() { # UID TEXT
    echo "$2" | as "$1" timeout "$HANG_SECONDS" "$SHMIPC" call
}

scenario 'what kills its workers is listed and shown' what_kills_its_workers_is_listed_and_shown
scenario 'once mended, it is answered and dropped' mended_request_is_answered_and_dropped
scenario 'what fails again stays, and is not kept twice' request_that_fails_again_stays_and_is_not_kept_twice
scenario 'some or all are dropped' some_or_all_are_dropped
scenario 'exit 1, 2: clear errors' errors_are_clear
scenario_if has_uids 'exit 4: other users may not look' others_may_not_look
scenario 'a full budget is said, and the call fails as ever' full_budget_is_said
scenario_if has_uids 'exit 4: who kills workers is refused, and others are not' killer_is_refused_and_others_are_not

finish
