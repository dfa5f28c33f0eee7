#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Limits: what is too much for memory, for the file system of shared memory, for queues or descriptors is
# refused with a message that names the limit, and hurts nobody else.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

MIB=$((1 << 20))

# Whether everything is as it was: the same host and worker answer, and hold no memory of what failed.
all_is_well() {
    has_not_ended host worker
    echoes all is well
    wait_for holds_no_more_than "$1"
}

has_not_ended() {
    local name
    for name in "$@"; do
        kill -0 "${pids[$name]}"
    done
}

# Of memory, what is idle is given back after a while.
holds_no_more_than() {
    [ "$(host_says memory_bytes)" -le "$1" ]
}

# What the host's own probe holds, once it has been there and back. The next one is larger: let it be late.
probe_memory() {
    wait_for host_has health '"healthy"'
    host_says memory_bytes
}

# --- the budget ---

file_over_the_budget_is_refused_unread() {
    local before
    truncate -s 900G "$world/file" # to read it would take an hour
    start_pair 'memory = "8M"; max_payload = "1T"; health_interval = "1h";'
    before=$(probe_memory)
    refuses 6 'exceed the host.s `memory` budget of 8M' call "$world/file"
    all_is_well "$before"
}

file_over_the_largest_payload_is_refused_unread() {
    truncate -s 900G "$world/file"
    start_pair 'max_payload = "1G";'
    refuses 6 '`max_payload`' call "$world/file"
}

endless_input_is_refused_at_the_budget() {
    local before
    start_pair 'memory = "8M"; health_interval = "1h";'
    before=$(probe_memory)
    fails 6 call </dev/zero >"$world/out" 2>"$world/err"
    says "$world/err" 'exceed the host.s `memory` budget of 8M'
    [ ! -s "$world/out" ]
    all_is_well "$before"
}

response_over_the_budget_is_refused() {
    local before
    start_pair 'memory = "8M"; health_interval = "1h";'
    before=$(probe_memory)
    refuses 6 'memory budget' call "$(payload $((6 * MIB)))"
    all_is_well "$before"
}

# A client's memory is given back when it has gone, and the workers have heard of it.
only_the_probe_has_memory() {
    [ "$(host_says memory_bytes)" -lt "$MIB" ]
}

budget_is_shared_and_given_back() {
    local large small
    large=$(payload $((3 * MIB)))
    small=$(payload "$MIB")
    configure 'memory = "8M";'
    start_host
    background waiting "$SHMIPC" call -t 0 -o "$world/out" "$large"
    wait_for host_has in_flight 1
    # a huge page for the last MiB, where the kernel has one
    refuses 6 'of which [34](\.[0-9])?M are in use' call "$(payload $((6 * MIB)))"
    start_workers worker
    fails 0 ended waiting
    cmp "$large" "$world/out"
    wait_for only_the_probe_has_memory
    call "$small" | cmp - "$small"
    wait_for only_the_probe_has_memory
    call "$large" | cmp - "$large"
}

# --- /dev/shm ---

# From now on /dev/shm has room for 8 MiB, of which $1 bytes are taken by others.
crowd_shm() {
    mount -t tmpfs -o mode=1777,size=8M tmpfs /dev/shm
    head -c "$1" /dev/zero >/dev/shm/others
}

clear_shm() {
    rm /dev/shm/others
}

request_that_finds_dev_shm_full_is_refused() {
    local before file
    file=$(payload $((2 * MIB)))
    crowd_shm $((7 * MIB))
    start_pair 'memory = "1G"; health_interval = "1h";'
    before=$(probe_memory)
    refuses 6 'shared memory .*is full' call "$file"
    all_is_well "$before"
    clear_shm
    call "$file" | cmp - "$file"
}

response_that_finds_dev_shm_full_is_refused() {
    local before file
    file=$(payload $((2 * MIB)))
    crowd_shm $((5 * MIB))
    start_pair 'memory = "1G"; health_interval = "1h";' "$1"
    before=$(probe_memory)
    refuses 6 'shared memory is full' call "$file"
    has_not_ended host worker
    wait_for holds_no_more_than "$before"
    clear_shm
    call "$file" | cmp - "$file"
}

others_go_on_while_dev_shm_is_full() {
    local i before
    crowd_shm $((7 * MIB))
    start_pair 'memory = "1G"; health_interval = "1h";'
    before=$(probe_memory)
    for i in 1 2 3 4; do
        background "large.$i" "$SHMIPC" call "$(payload $((2 * MIB)))"
    done
    # While the kernel tries, and fails, to find room for a large one, there is none for a small one: it is
    # refused, and comes again.
    for i in $(seq 20); do
        wait_for echoes "small $i" 2>/dev/null
    done
    for i in 1 2 3 4; do
        fails 6 ended "large.$i"
    done
    all_is_well "$before"
    clear_shm
}

# A probe needs memory, too: the host says that it is not well, and is again when it can be.
full_dev_shm_is_seen_by_the_probe() {
    mount -t tmpfs -o mode=1777,size=8M tmpfs /dev/shm
    fails 1 head -c $((9 * MIB)) /dev/zero >/dev/shm/others
    start_pair 'memory = "1G"; health_interval = "1s";'
    wait_for host_has health '"not healthy"'
    clear_shm
    wait_for host_has health '"healthy"'
    echoes room again
}

# --- clients, queues, descriptors ---

one_client_too_many_is_refused() {
    configure 'max_clients = 2;'
    start_host
    background one "$SHMIPC" call -t 0
    background two "$SHMIPC" call -t 0
    wait_for host_has clients 2
    refuses 8 'busy: .*`max_clients`.*\(2\)' call
    start_workers worker
    fails 0 ended one
    fails 0 ended two
    echoes room again
}

# A host that may have no more than prlimit's $1 has more clients than that is enough for. Queues of other
# hosts of the same user count, too: it has one of its own.
limit_is_named() { # OPTION NAME
    local i user=$((50000 + RANDOM % 10000))
    configure
    start_host as "$user" prlimit "$1"
    for i in $(seq 30); do
        background "call.$i" "$SHMIPC" call -t 0
    done
    wait_for is_refused
    start_workers worker
    for i in $(seq 30); do
        is_answered_or_refused "call.$i" "$2"
    done
    wait_for host_has clients 0
    echoes room again
}

is_refused() {
    grep -q 'refused by the host' "$world"/call.*.log
}

# Answered; or refused in words.
is_answered_or_refused() {
    local name=$1 limit=$2 status=0
    ended "$name" || status=$?
    case $status in
    0) [ ! -s "$world/$name.log" ] ;;
    8) says "$world/$name.log" "refused by the host: busy: .*$limit" ;;
    *) fails 0 exit "$status" ;;
    esac
}

# With room for $1 descriptors more, the host cannot let anybody in, but says so.
host_without_descriptors_turns_away() {
    configure
    start_host
    prlimit --pid "${pids[host]}" --nofile=$(($(lowest_free_descriptor) + $1)):
    refuses 8 'refused by the host: busy: no descriptor is left; raise LimitNOFILE=' call
    wait_for says "$world/host.log" 'a connection was turned away: .*LimitNOFILE'
    prlimit --pid "${pids[host]}" --nofile=1024:
    start_workers worker
    echoes room again
}

lowest_free_descriptor() {
    local fd=0
    while [ -e "/proc/${pids[host]}/fd/$fd" ]; do
        fd=$((fd + 1))
    done
    echo "$fd"
}

too_deep_a_queue_keeps_the_host_from_starting() {
    configure 'queue_depth = 65536;'
    fails 78 "$SHMIPC" run host -c "$config" 2>"$world/err"
    says "$world/err" '`queue_depth` = 65536 cannot be had: .*fs\.mqueue\.msg_max'
    [ ! -e "$SHMIPC_SOCKET" ]
}

too_deep_a_queue_is_not_reloaded() {
    start_pair
    configure 'queue_depth = 65536; max_clients = 3;'
    kill -HUP "${pids[host]}"
    wait_for says "$world/host.log" 'the reload is taken back'
    says "$world/host.log" '`queue_depth` = 65536 cannot be had: .*fs\.mqueue\.msg_max'
    host_has max_clients 256
    echoes as before
}

# Queues of the namespace, of which the host has made two and one user will have one.
clients_that_fit_are_told() {
    echo 20 >/proc/sys/fs/mqueue/queues_max
    start_pair 'max_clients = 18;'
    says "$world/host.log" 'warning: only 17 clients fit, not `max_clients` = 18: fs.mqueue.queues_max allows no more; raise it with sysctl'
    host_has clients_fit 17
    host_has clients_fit_limit '"fs.mqueue.queues_max"'
    "$SHMIPC" status >"$world/status"
    says "$world/status" '^Clients +0 of 18; 17 fit, by fs.mqueue.queues_max$'
    tr -s ' \n' ' ' <"$world/status" >"$world/words"
    says "$world/words" 'Warning: `max_clients` = 18 cannot be reached, .*raise it with sysctl'
    echo 21 >/proc/sys/fs/mqueue/queues_max
    host_has clients_fit 18
    fails 1 grep Warning <("$SHMIPC" status)
}

scenario 'a file over the memory budget is refused before it is read' file_over_the_budget_is_refused_unread
scenario 'a file over max_payload is refused before it is read' \
    file_over_the_largest_payload_is_refused_unread
scenario 'an endless input is refused at the memory budget' endless_input_is_refused_at_the_budget
scenario 'a response over the memory budget is refused' response_over_the_budget_is_refused
scenario 'the memory budget is shared, and given back' budget_is_shared_and_given_back
scenario_if has_namespaces 'a request that finds /dev/shm full is refused' \
    request_that_finds_dev_shm_full_is_refused
scenario_if has_namespaces 'an echo that finds /dev/shm full is refused' \
    response_that_finds_dev_shm_full_is_refused 'handler = { type = "echo"; };'
scenario_if has_namespaces 'a response of a command that finds /dev/shm full is refused' \
    response_that_finds_dev_shm_full_is_refused "$(runs cat)"
scenario_if has_namespaces 'others go on while /dev/shm is full' others_go_on_while_dev_shm_is_full
scenario_if has_namespaces 'a full /dev/shm is seen by the probe, and its end, too' \
    full_dev_shm_is_seen_by_the_probe
scenario 'one client too many is refused' one_client_too_many_is_refused
scenario_if has_uids 'too few bytes for queues are named' limit_is_named --msgqueue=4000 RLIMIT_MSGQUEUE
scenario_if has_uids 'too few descriptors are named' limit_is_named --nofile=100:100 LimitNOFILE
scenario 'a host without a descriptor turns away, and says so' host_without_descriptors_turns_away 0
scenario 'so does one that has only one' host_without_descriptors_turns_away 1
scenario 'too deep a queue keeps the host from starting' too_deep_a_queue_keeps_the_host_from_starting
scenario 'too deep a queue is not reloaded' too_deep_a_queue_is_not_reloaded
scenario_if has_namespaces 'how many clients fit is told' clients_that_fit_are_told

finish
