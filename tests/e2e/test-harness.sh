#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the other scripts trust in: that whatever a scenario leaves behind, or misses, is found.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# Something is left of this world, whose line matches $1; nothing is when $2… has run.
finds() {
    local pattern=$1
    shift
    wait_for list_has "$pattern"
    fails 1 nothing_is_left
    "$@"
    wait_for nothing_is_left
}

list_has() {
    list_what_is_left | grep -E "$1"
}

process_that_is_left_is_found() {
    setsid sleep 1000 >/dev/null 2>&1 &
    finds "/proc/$!/environ" kill "$!"
}

socket_that_is_left_is_found() {
    touch "$SHMIPC_SOCKET"
    finds 'host\.sock' rm "$SHMIPC_SOCKET"
}

queue_that_is_left_is_found() {
    touch "$queues/shmipc.host.new"
    finds 'shmipc\.host\.new' rm "$queues/shmipc.host.new"
}

memory_with_a_name_is_found() {
    head -c 5000 /dev/zero >/dev/shm/shmipc.host.new
    finds '^8192$' rm /dev/shm/shmipc.host.new
}

memory_without_a_name_is_found() {
    head -c 5000 /dev/zero >/dev/shm/others
    exec 3</dev/shm/others
    rm /dev/shm/others
    finds '^8192$' close_it
}

close_it() {
    exec 3<&-
}

# A scenario of these commands fails, with a message that matches $1.
fails_saying() {
    local pattern=$1 said
    shift
    said=$(
        set +eE
        n_failed=0
        scenario inner "$@"
        [ "$n_failed" = 1 ]
    )
    echo "$said"
    grep -E "$pattern" <<<"$said"
}

daemon_that_fails() {
    background daemon sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.05; done'
    wait_for says "$world/daemon.log" up
}

daemon_that_found_a_leak() {
    start_pair
    echo '==1==ERROR: LeakSanitizer: detected memory leaks' >>"$world/host.log"
}

answer_that_differs() {
    start_pair '' "$(runs tr a b)"
    echoes banana
}

message_that_differs() {
    refuses 3 'the moon is full' call
}

what_never_comes() {
    HANG_SECONDS=1
    wait_for false
}

check 'a process that is left is found' in_world process_that_is_left_is_found
check 'a socket that is left is found' in_world socket_that_is_left_is_found
if [ -n "$queues" ]; then
    check 'a queue that is left is found' in_world queue_that_is_left_is_found
else
    skip 'a queue that is left is found' 'queues cannot be listed here'
fi
scenario_if has_namespaces 'memory with a name is found' memory_with_a_name_is_found
scenario_if has_namespaces 'memory without a name is found' memory_without_a_name_is_found
check 'a daemon that ends badly fails its scenario' \
    fails_saying 'status 3, not 0: ended daemon' daemon_that_fails
check 'a finding of a sanitizer fails its scenario' fails_saying 'LeakSanitizer' daemon_that_found_a_leak
check 'another answer fails its scenario' fails_saying 'failed:' answer_that_differs
check 'another message fails its scenario' fails_saying 'there is no host' message_that_differs
check 'what never comes fails its scenario' fails_saying 'never: false' what_never_comes

finish
