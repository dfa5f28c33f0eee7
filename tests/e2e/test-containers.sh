#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The host outside, others in containers: each has a root of its own and its own processes, mounts, message
# queues, shared memory, network and name. All that it shares with the host is one socket, mounted where
# programs look for it.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # a script for another shell
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# The first process of a container: makes its root, then becomes the command $1….
inside='
    root=$(mktemp -d "$E2E_WORLD/root.XXXXXX")
    mount -t tmpfs tmpfs "$root"
    cd "$root"
    mkdir -p run/shmipc proc dev/shm dev/mqueue tmp old
    for folder in usr bin lib lib32 lib64; do
        if [ -L "/$folder" ]; then cp -P "/$folder" .
        elif [ -d "/$folder" ]; then mkdir "$folder" && mount --rbind "/$folder" "$folder"; fi
    done
    share() { touch "$2" && mount --bind "$1" "$2"; }
    share /dev/null dev/null
    share "$SHMIPC" tmp/shmipc
    share "$E2E_TOOLS/client" tmp/client
    share "$SHMIPC_SOCKET" run/shmipc/host.sock
    mount -t proc proc proc
    mount -t tmpfs tmpfs dev/shm
    mount -t mqueue mqueue dev/mqueue
    pivot_root . old
    umount -l old
    exec env -i PATH=/tmp:/usr/bin:/bin E2E_WORLD="$E2E_WORLD" $SANITIZERS "$@"'

# The leak sanitizer wants more of the system than a container has.
export SANITIZERS=ASAN_OPTIONS=detect_leaks=0

# Run $1… in a container; of the user $container_uid outside, whom it calls root, if there is one.
in_container() {
    local unshare=(unshare --mount --ipc --pid --net --uts --fork --kill-child=KILL)
    if [ -n "${container_uid-}" ]; then
        as "$container_uid" "${unshare[@]}" --user --map-root-user -- sh -euc "$inside" sh "$@"
    else
        ${exec-} "${unshare[@]}" -- sh -euc "$inside" sh "$@"
    fi
}

call_from_container() {
    in_container timeout "$HANG_SECONDS" shmipc call
}

# It looks at $SHMIPC_SOCKET alone.
client_in_container() {
    in_container env SHMIPC_SOCKET=/run/shmipc/host.sock timeout "$HANG_SECONDS" client "$@"
}

container_shares_nothing_but_the_socket() {
    local ns
    start_pair
    for ns in mnt ipc pid net uts; do
        [ "$(in_container readlink "/proc/self/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ]
    done
    [ "$(in_container sh -c 'echo $$')" = 1 ]
    [ -z "$(in_container find /dev/shm /dev/mqueue -mindepth 1)" ]
    [ "$(in_container find /run ! -type d)" = /run/shmipc/host.sock ]
}

call_from_a_container_is_answered() {
    start_pair
    [ "$(echo hello | call_from_container)" = hello ]
    in_container shmipc status | grep '^Host host'
}

large_payload_crosses() {
    local payload
    start_pair
    payload=$(payload 100000001)
    call_from_container <"$payload" | cmp - "$payload"
}

many_exchanges_cross_at_once() {
    start_pair
    client_in_container -n 8 $((1 << 24)) 1 0 4097 1048576 65536 $((1 << 22)) 17 4096 100000
}

idle_container_that_is_killed_leaves_nothing() {
    local before
    start_pair
    before=$(memory_used)
    mkfifo "$world/open"
    background container client_in_container -w $((1 << 24)) 1000 <>"$world/open"
    wait_for says "$world/container.log" "done"
    host_has clients 1
    fails 1 memory_is_less $((before + 1))
    murder container
    wait_for host_has clients 0
    wait_for memory_is_less $((before + 1))
    echoes others
}

container_that_is_killed_amid_a_request_leaves_nothing() {
    local before
    start_pair '' "$(runs_script <<'END'
touch "$E2E_WORLD/begun"
until [ -e "$E2E_WORLD/go" ]; do sleep 0.02; done
cat
END
)"
    before=$(memory_used)
    background container client_in_container $((1 << 24))
    wait_for test -e "$world/begun"
    murder container
    touch "$world/go"
    wait_for host_has clients 0
    wait_for memory_is_less $((before + 1))
    echoes others
}

root_of_a_container_is_who_it_is_outside() {
    start_pair "access = [\"root\", \"$ALICE\"];"
    [ "$(echo alice | container_uid=$ALICE call_from_container)" = alice ]
    refuses 4 "user $BOB is not in \`access\`" eval "container_uid=$BOB call_from_container"
}

worker_in_a_container_serves() {
    configure
    start_host
    background worker in_container shmipc run worker
    wait_for host_has workers 1
    call "$(payload 16777217)" | cmp - "$(payload 16777217)"
    murder worker
    wait_for host_has workers 0
}

if [ "$has_namespaces" = no ]; then
    echo '1..0 # SKIP there are no namespaces here'
    exit
fi
scenario 'a container shares nothing with its host but the socket' container_shares_nothing_but_the_socket
scenario 'a call from a container is answered' call_from_a_container_is_answered
scenario 'a large payload crosses' large_payload_crosses
scenario 'many exchanges cross at once' many_exchanges_cross_at_once
scenario 'an idle container that is killed leaves nothing' idle_container_that_is_killed_leaves_nothing
scenario 'a container that is killed amid a request leaves nothing' \
    container_that_is_killed_amid_a_request_leaves_nothing
has_user_namespaces=no
# shellcheck disable=SC2034 # scenario_if() looks
! as $ALICE unshare --user --map-root-user true 2>/dev/null || has_user_namespaces=yes
scenario_if has_user_namespaces 'root of a container is who it is outside' root_of_a_container_is_who_it_is_outside
scenario 'a worker in a container serves' worker_in_a_container_serves
finish
