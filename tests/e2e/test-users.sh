#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Users: who may call, who may work, whose payloads are copied, and what one user can do to another.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

SIZES="0 1 4095 4096 4097 1048576 $(((1 << 24) + 1)) 50000000"
GROUP=61190

# A host of root's, for clients of some users and of one group.
start_for_users() { # HANDLER
    start_pair "access = [\"$ALICE\", \"$BOB\", \"@$GROUP\"];" "${1-}"
}

call_as() {
    as "$1" timeout "$HANG_SECONDS" "$SHMIPC" call "${@:2}"
}

# --- access ---

listed_user_is_served() {
    start_for_users
    [ "$(echo alice | call_as "$ALICE")" = alice ]
}

user_who_is_not_listed_is_refused() {
    start_for_users
    refuses 4 "user $CAROL is not in \`access\` of host" call_as "$CAROL"
    says "$world/host.log" "uid $CAROL.* was refused"
    [ "$(echo alice | call_as "$ALICE")" = alice ]
}

root_is_nothing_special() {
    start_for_users
    refuses 4 'user 0 is not in `access`' call
}

member_by_a_supplementary_group_is_served() {
    start_for_users
    [ "$(echo carol | groups=$GROUP call_as "$CAROL")" = carol ]
    [ "$(echo carol | groups=61191,$GROUP,61192 call_as "$CAROL")" = carol ]
    refuses 4 'not in `access`' eval "groups=61191 call_as $CAROL"
}

member_by_the_primary_group_is_served() {
    start_for_users
    local said
    said=$(echo carol | bounded setpriv --reuid "$CAROL" --regid "$GROUP" --clear-groups "$SHMIPC" call)
    [ "$said" = carol ]
}

status_is_for_those_with_access() {
    start_for_users
    as "$ALICE" "$SHMIPC" status | grep '^Host host'
    fails 4 as "$CAROL" "$SHMIPC" status
}

# A worker is told why it may not work, and comes in when it may.
worker_that_is_not_listed_waits() {
    configure "access = [\"root\"]; workers = [\"$ALICE\"];"
    start_host
    start worker
    wait_for says "$world/worker.log" 'the host refuses this worker: user 0 is not in `workers`'
    host_has workers 0
    configure "access = [\"root\"]; workers = [\"root\"];"
    kill -HUP "${pids[host]}"
    wait_for host_has workers 1
    echoes let in
}

worker_of_another_user_serves() {
    configure "access = [\"root\"]; workers = [\"$ALICE\"]; trusted = [\"root\"];"
    start_host
    start worker as "$ALICE"
    wait_for host_has workers 1
    echoes by alice
    call "$(payload 16777217)" | cmp - "$(payload 16777217)"
}

# --- a host that is not root's ---

host_of_a_user_is_found_in_the_runtime_folder() {
    local runtime=$world/runtime
    mkdir -m 700 "$runtime"
    chown "$ALICE" "$runtime"
    configure
    unset SHMIPC_SOCKET
    export XDG_RUNTIME_DIR=$runtime
    start_host as "$ALICE"
    [ -S "$runtime/shmipc/host.sock" ]
    start worker as "$ALICE"
    [ "$(echo own | call_as "$ALICE" -t 30)" = own ]
    # Root has no runtime folder of alice's.
    refuses 3 '/run/shmipc/host.sock' call
    stop worker
    stop host
    [ ! -e "$runtime/shmipc/host.sock" ]
}

user_without_a_runtime_folder_is_told_the_cure() {
    configure
    fails 1 as "$ALICE" env -u SHMIPC_SOCKET -u XDG_RUNTIME_DIR "$SHMIPC" run host -c "$config" 2>"$world/err"
    says "$world/err" 'XDG_RUNTIME_DIR or SHMIPC_SOCKET'
    [ "$(grep -c 'error:' "$world/err")" = 1 ]
}

# --- copied payloads ---

every_size_is_copied() { # HANDLER COMMAND
    local size file
    start_for_users "$1"
    for size in $SIZES $(tr ' ' '\n' <<<"$SIZES" | sort -nr); do
        file=$(payload "$size")
        call_as "$ALICE" "$file" | cmp - <($2 <"$file")
    done
}

status_says_whose_payloads_are_copied() {
    configure "access = [\"root\", \"$ALICE\"];"
    start_host
    background alice as "$ALICE" "$SHMIPC" call -t 0
    background root "$SHMIPC" call -t 0
    wait_for host_has clients 2
    "$SHMIPC" status clients --noheadings -o PROGRAM,UID,REQUESTS >"$world/status"
    cat "$world/status"
    grep "shmipc call *$ALICE copied" "$world/status"
    grep 'shmipc call *0 in place' "$world/status"
    start_workers worker
    fails 0 ended alice
    fails 0 ended root
}

handler_is_told_who_asks() {
    start_for_users "$(runs printenv SHMIPC_CLIENT_UID)"
    [ "$(call_as "$ALICE" </dev/null)" = "$ALICE" ]
    [ "$(call_as "$BOB" </dev/null)" = "$BOB" ]
}

many_exchanges_of_a_user() {
    start_for_users
    # shellcheck disable=SC2046 # words
    as "$ALICE" timeout "$HANG_SECONDS" "$E2E_TOOLS/client" -n 16 $(seq 0 977 100000)
}

# --- between users ---

two_users_at_once() {
    local i
    configure "access = [\"$ALICE\", \"$BOB\"];"
    start_host
    start_workers worker worker-2
    for i in 1 2 3; do
        # shellcheck disable=SC2046
        background "alice.$i" as "$ALICE" "$E2E_TOOLS/client" -n 8 $(seq "$i" 397 50000)
        # shellcheck disable=SC2046
        background "bob.$i" as "$BOB" "$E2E_TOOLS/client" -n 8 $(seq "$i" 397 50000)
    done
    for i in 1 2 3; do
        fails 0 ended "alice.$i"
        fails 0 ended "bob.$i"
    done
}

# Alice has more waiting than her queue holds. Bob's one call has a queue of its own.
full_queue_of_one_user_is_not_anothers() {
    local i
    configure "access = [\"root\", \"$ALICE\", \"$BOB\"]; queue_depth = 2;"
    start_host
    for i in $(seq 20); do
        background "alice.$i" as "$ALICE" "$SHMIPC" call -t 0
    done
    wait_for host_has in_flight 20
    echo bob >"$world/in"
    chmod 644 "$world/in"
    background bob as "$BOB" "$SHMIPC" call -t 0 "$world/in"
    wait_for host_has in_flight 21
    start_workers worker
    fails 0 ended bob
    [ "$(cat "$world/bob.log")" = bob ]
    for i in $(seq 20); do
        fails 0 ended "alice.$i"
    done
}

# Alice wants more than her half. Bob has his.
one_user_has_half_of_the_clients() {
    local i
    configure "access = [\"root\", \"$ALICE\", \"$BOB\"]; max_clients = 6;"
    start_host
    for i in 1 2 3; do
        background "alice.$i" as "$ALICE" "$SHMIPC" call -t 0
    done
    wait_for host_has clients 3
    refuses 8 "busy: user $ALICE has 3 clients, .*\`user_share\` = 50 % of \`max_clients\` = 6" call_as "$ALICE"
    for i in 1 2 3; do
        background "bob.$i" as "$BOB" "$SHMIPC" call -t 0
    done
    wait_for host_has clients 6
    [ "$(grep -c 'was refused' "$world/host.log")" = 1 ]
    host_has refused 1
    start_workers worker
    for i in 1 2 3; do
        fails 0 ended "alice.$i"
        fails 0 ended "bob.$i"
    done
    [ "$(echo room again | call_as "$ALICE")" = 'room again' ]
}

# Every one is counted, and either a line or kept out of the log: how many, depends on how fast they come.
refused_calls_are_counted() {
    local i lines
    start_for_users
    for i in $(seq 40); do
        fails 4 call_as "$CAROL" </dev/null 2>/dev/null
    done
    host_has refused 40
    lines=$(grep "uid $CAROL.* was refused" "$world/host.log" | grep -vc 'more like this')
    host_has log_untold $((40 - lines))
    [ "$lines" -ge 20 ]
    [ "$(echo alice | call_as "$ALICE")" = alice ]
}

scenario_if has_uids 'one user can have half of the clients' one_user_has_half_of_the_clients
scenario_if has_uids 'refused calls are counted' refused_calls_are_counted
scenario_if has_uids 'a user who is listed is served' listed_user_is_served
scenario_if has_uids 'a user who is not is refused, with the cure' user_who_is_not_listed_is_refused
scenario_if has_uids 'so is root, where access leaves it out' root_is_nothing_special
scenario_if has_uids 'a member by a supplementary group is served' member_by_a_supplementary_group_is_served
scenario_if has_uids 'a member by the primary group is served' member_by_the_primary_group_is_served
scenario_if has_uids 'status is for those who have access' status_is_for_those_with_access
scenario_if has_uids 'a worker that is not listed waits until it is' worker_that_is_not_listed_waits
scenario_if has_uids 'a worker of another user serves' worker_of_another_user_serves
scenario_if has_uids "a user's own host is in the runtime folder" \
    host_of_a_user_is_found_in_the_runtime_folder
scenario_if has_uids 'a user without one is told the cure' user_without_a_runtime_folder_is_told_the_cure
scenario_if has_uids 'status says whose payloads are copied' status_says_whose_payloads_are_copied
scenario_if has_uids 'a command is told who asks' handler_is_told_who_asks
scenario_if has_uids 'many exchanges of a user who is not trusted' many_exchanges_of_a_user
scenario_if has_uids 'two users at once' two_users_at_once
scenario_if has_uids "one user's full queue is not another's" full_queue_of_one_user_is_not_anothers
scenario_if has_uids 'every size is copied to echo' every_size_is_copied 'handler = { type = "echo"; };' cat
scenario_if has_uids 'every size is copied to a command' every_size_is_copied "$(runs sha256sum)" sha256sum

finish
