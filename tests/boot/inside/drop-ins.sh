#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The examples of drop-ins, each with what fails without it.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

starts() {
    configure_echo
    systemctl start shmipc@host shmipc@worker
    call_echoes start
}

# Something in /home, and somebody in the network, that a handler may want.
prepare_outside() {
    echo 'from home' >/home/alice/data
    chmod 755 /home/alice
    systemd-run --quiet --unit=answerer python3 -c '
import socketserver
class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"from the network\n")
socketserver.TCPServer(("127.0.0.1", 7777), Answer).serve_forever()
'
    within 60 bash -c 'cat </dev/tcp/127.0.0.1/7777'
}

handler_of_home() {
    configure_command 'cat /home/alice/data'
    systemctl restart shmipc@worker
}

handler_of_the_network() {
    configure_command 'exec bash -c \"cat </dev/tcp/127.0.0.1/7777\"'
    systemctl restart shmipc@worker
}

handlers_are_shut_in() {
    handler_of_home
    fails 1 shmipc call </dev/null
    handler_of_the_network
    fails 1 shmipc call </dev/null
}

open_handler_reads_home() {
    drop_in worker open-handler.conf
    handler_of_home
    [ "$(shmipc call </dev/null)" = 'from home' ]
}

open_handler_reaches_the_network() {
    handler_of_the_network
    [ "$(shmipc call </dev/null)" = 'from the network' ]
}

# No queue is left to users without privileges.
crowd_out() {
    echo 0 >/proc/sys/fs/mqueue/queues_max
}

crowded_host_names_the_limit() {
    configure_echo
    crowd_out
    systemctl restart shmipc@host shmipc@worker
    fails 8 shmipc call -t 30 </dev/null 2>/tmp/err
    grep -F fs.mqueue.queues_max /tmp/err
    within 60 logged host MESSAGE_ID="$LIMIT_REACHED"
}

private_host_is_not_crowded_out() {
    drop_in host private-ipc.conf
    systemctl restart shmipc@host shmipc@worker
    call_echoes private
    [ "$(readlink "/proc/$(main_pid host)/ns/ipc")" != "$(readlink /proc/1/ns/ipc)" ]
}

private_host_has_raised_limits() {
    [ "$(nsenter --ipc -t "$(main_pid host)" cat /proc/sys/fs/mqueue/msg_max)" = 1024 ]
    [ "$(nsenter --ipc -t "$(main_pid host)" cat /proc/sys/fs/mqueue/queues_max)" = 4096 ]
}

# (The host goes by its control group, which may have no such limit here.)
budget_over_the_unit_is_warned_of() {
    configure <<EOF
host: { role = "host"; memory = "1G"; };
worker: { role = "worker"; };
EOF
    fails 0 shmipc check 2>/tmp/err
    [ ! -s /tmp/err ]
    mkdir -p /etc/systemd/system/shmipc@host.service.d
    printf '[Service]\nMemoryMax=200M\n' >/etc/systemd/system/shmipc@host.service.d/max.conf
    systemctl daemon-reload
    fails 0 shmipc check 2>/tmp/err
    grep -F 'host: `memory` = 1G is more than the 200M that' /tmp/err
    rm /etc/systemd/system/shmipc@host.service.d/max.conf
    systemctl daemon-reload
}

# Nothing is left of the machine's shared memory.
fill_shared_memory() {
    mount -o remount,size=64K /dev/shm
    ! cat /dev/zero >/dev/shm/full
    ! (echo more >/dev/shm/more)
}

crowded_call_names_the_file_system() {
    configure <<EOF
host: { role = "host"; memory = "1G"; };
worker: { role = "worker"; };
EOF
    systemctl restart shmipc@host shmipc@worker
    fails 6 shmipc call -t 30 </etc/passwd 2>/tmp/err
    cat /tmp/err
    grep -F "shared memory" /tmp/err
}

own_memory_is_out_of_reach_of_that() {
    drop_in host own-shm.conf
    systemctl restart shmipc@host shmipc@worker
    call_echoes own
    head -c 8M /dev/urandom >/tmp/random
    shmipc call -t 30 </tmp/random | cmp - /tmp/random
    runuser -u alice -- shmipc call -t 30 </tmp/random | cmp - /tmp/random
}

own_memory_is_seen_by_nobody() {
    [ "$(ls /dev/shm)" = $'full\nmore' ]
    [ -z "$(nsenter --mount -t "$(main_pid host)" ls /dev/shm)" ]
    [ "$(nsenter --mount -t "$(main_pid host)" df --output=size -B1G /dev/shm | tail -n 1)" -eq 4 ]
}

empty_shared_memory() {
    rm /dev/shm/full /dev/shm/more
    mount -o remount,size=50% /dev/shm
}

stops() {
    systemctl stop shmipc.target
    systemctl restart systemd-sysctl
}

plain_worker_starts_as_its_peers_user() {
    configure <<EOF
plain: { role = "worker"; wire = "plain"; handler = { type = "exec"; command = [ "tr", "a-z", "A-Z" ]; }; };
EOF
    drop_in plain plain-wire.conf
    systemctl start shmipc@plain
    [ "$(ps -o user= -p "$(main_pid plain)")" = alice ]
}

plain_call() {
    runuser -u alice -- timeout 30 \
        python3 /boot-test/plain_peer.py host /mq_queue_host /mq_queue_worker /sm_services
}

plain_peer_is_answered_again_and_again() {
    for word in one two three; do
        [ "$(plain_call <<<"$word")" = "${word^^}" ]
    done
}

plain_worker_stops() {
    systemctl stop shmipc@plain
    [ "$(property plain Result)" = success ]
}

check 'installs' install_shmipc
check 'starts' starts
check 'there is a file in /home, and somebody in the network' prepare_outside
check 'handlers see neither' handlers_are_shut_in
check 'open-handler.conf: a handler reads /home' open_handler_reads_home
check 'open-handler.conf: a handler reaches the network' open_handler_reaches_the_network
check 'a host that is crowded out names the limit' crowded_host_names_the_limit
check 'private-ipc.conf: a host is out of reach of that' private_host_is_not_crowded_out
check 'private-ipc.conf: limits are raised' private_host_has_raised_limits
check 'a `memory` over MemoryMax= is warned of' budget_over_the_unit_is_warned_of
check 'the shared memory of the machine is full' fill_shared_memory
check 'a call to a host that has no other says so' crowded_call_names_the_file_system
check 'own-shm.conf: a host is out of reach of that, for whoever calls' own_memory_is_out_of_reach_of_that
check 'own-shm.conf: its memory is seen by nobody' own_memory_is_seen_by_nobody
check 'there is shared memory again' empty_shared_memory
check 'stops' stops
check 'plain-wire.conf: a worker runs as its peers do' plain_worker_starts_as_its_peers_user
check 'plain-wire.conf: peers are answered again and again' plain_peer_is_answered_again_and_again
check 'plain-wire.conf: the worker stops' plain_worker_stops
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
