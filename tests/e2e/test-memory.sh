#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Shared memory: given back when nobody uses it, shared between users, and counted as the file system counts.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

MIB=$((1 << 20))
SIZES=(1 $((3 * MIB)) 0 $((8 * MIB)) 4097)

# A client that stays connected, and makes its tour again for each line of descriptor 3.
start_tour() {
    mkfifo "$world/lines"
    background tour "$E2E_TOOLS/client" -w -n 4 "${SIZES[@]}" <>"$world/lines"
    exec 3>"$world/lines"
    tours_done 1
}

go_on() {
    echo again >&3
}

tours_done() {
    wait_for tour_has_come_to "$1"
}

tour_has_come_to() {
    [ "$(grep -c '^done: ' "$world/tour.log")" = "$1" ] || has_ended "${pids[tour]}"
}

# Its answers were right, and it is still connected.
tour_is_well() {
    fails 1 has_ended "${pids[tour]}"
    [ "$(grep -c . "$world/tour.log")" = "$1" ]
}

end_tour() {
    kill -TERM "${pids[tour]}"
    fails 143 ended tour
}

nothing_is_used() {
    memory_used
    [ "$has_namespaces" = no ] || [ "$(memory_used)" = 0 ]
}

# --- given back ---

idle_client_holds_no_memory() {
    start_pair 'memory_idle = "100ms"; health_interval = "1h";'
    start_tour
    wait_for nothing_is_used
    wait_for host_has memory_bytes 0
    go_on
    tours_done 2
    tour_is_well 2
    wait_for nothing_is_used
    end_tour
}

memory_that_is_kept_stays() {
    start_pair 'memory_idle = "never"; health_interval = "1h";'
    start_tour
    [ "$has_namespaces" = no ] || [ "$(memory_used)" -ge $((22 * MIB)) ]
    [ "$(host_says memory_bytes)" -ge $((22 * MIB)) ]
    tour_is_well 1
    end_tour
}

reload_changes_how_long_it_is_kept() {
    start_pair 'memory_idle = "never"; health_interval = "1h";'
    start_tour
    configure 'memory_idle = "100ms"; health_interval = "1h";'
    kill -HUP "${pids[host]}"
    wait_for host_has memory_bytes 0
    go_on
    tours_done 2
    tour_is_well 2
    end_tour
}

# The budget is all taken, by one who does not use it.
idle_memory_is_no_reason_to_refuse() {
    local file
    file=$(payload $((9 * MIB)))
    start_pair "memory = \"24M\"; memory_idle = \"never\"; health_interval = \"1h\";"
    start_tour
    call "$file" | cmp - "$file"
    go_on
    tours_done 2
    tour_is_well 2
    end_tour
}

# --- huge pages ---

has_huge_pages=no
if [ "$has_namespaces" = yes ] &&
    unshare --mount mount -t tmpfs -o huge=always tmpfs /dev/shm 2>/dev/null; then
    # shellcheck disable=SC2034 # scenario_if() looks
    has_huge_pages=yes
fi

is_probed_again() {
    [ "$(host_says probe_ns)" != "$1" ]
}

# A window of a byte takes 2 MiB here. The host looks every second whether clients keep to what they have
# reserved.
clients_are_well_where_pages_are_huge() {
    mount -t tmpfs -o mode=1777,size=90%,huge=always tmpfs /dev/shm
    start_pair 'memory_idle = "never"; health_interval = "1s";'
    start_tour
    for n in 2 3 4; do
        probed=$(host_says probe_ns)
        wait_for is_probed_again "$probed" # at the same time as it looks
        go_on
        tours_done $n
        tour_is_well $n
    done
    fails 1 grep -F 'more memory than it has reserved' "$world/host.log"
    end_tour
}

# --- users ---

user_gets_its_share_of_memory() {
    local large small
    large=$(payload $((9 * MIB)))
    small=$(payload $((2 * MIB)))
    start_pair 'memory = "16M"; access = ["root", "'$ALICE'"]; health_interval = "1h";'
    chmod 777 "$SHMIPC_SOCKET"
    refuses 6 'M more exceed one user.s share of 8M \(`user_share` = 50 % of `memory`\)' \
        as $ALICE "$SHMIPC" call "$large"
    as $ALICE "$SHMIPC" call "$small" | cmp - "$small"
}

scenario 'a client that is idle holds no memory, and gets right answers when it comes back' \
    idle_client_holds_no_memory
scenario 'memory that is to be kept for ever stays' memory_that_is_kept_stays
scenario 'a reload changes how long memory is kept' reload_changes_how_long_it_is_kept
scenario 'idle memory is no reason to refuse another' idle_memory_is_no_reason_to_refuse
scenario_if has_huge_pages 'clients are well where pages are huge' clients_are_well_where_pages_are_huge
scenario_if has_uids 'a user gets its share of memory, and no more' user_gets_its_share_of_memory
finish
