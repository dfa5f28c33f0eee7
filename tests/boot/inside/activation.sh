#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A host that is started by whoever connects first.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

socket_waits_for_somebody() {
    configure_echo
    systemctl enable --now shmipc@host.socket
    [ -S /run/shmipc/host.sock ]
    none_runs shmipc@host
}

client_starts_the_host() {
    local call
    echo first | shmipc call -t 60 >/tmp/out &
    call=$!
    within 60 systemctl is-active shmipc@host
    systemctl start shmipc@worker
    wait "$call"
    [ "$(cat /tmp/out)" = first ]
}

worker_starts_the_host() {
    systemctl stop shmipc@worker shmipc@host
    none_runs shmipc@host
    systemctl start shmipc@worker
    within 60 systemctl is-active shmipc@host
    call_echoes worker
}

host_still_looks_who_it_is() {
    fails 4 runuser -u bob -- shmipc call </dev/null
    [ "$(echo hello | runuser -u alice -- shmipc call)" = hello ]
}

socket_outlives_the_host() {
    local pid inode
    inode=$(stat -c %i /run/shmipc/host.sock)
    pid=$(main_pid host)
    kill -KILL "$pid"
    within 60 runs_anew host "$pid"
    [ "$(stat -c %i /run/shmipc/host.sock)" = "$inode" ]
    call_echoes 'host killed'
}

target_stops_sockets_too() {
    systemctl stop shmipc.target
    none_runs shmipc@host.socket shmipc@host shmipc@worker
}

check 'installs' install_shmipc
check 'an enabled socket waits for somebody' socket_waits_for_somebody
check 'a client starts the host' client_starts_the_host
check 'a worker starts the host' worker_starts_the_host
check 'the host still looks who it is' host_still_looks_who_it_is
check 'the socket outlives a killed host' socket_outlives_the_host
check 'stopping the target stops sockets too' target_stops_sockets_too
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
