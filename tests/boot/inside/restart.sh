#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Restarting, killing and upgrading a host under load: no client notices.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"
# shellcheck source=tests/boot/inside/load.sh
. "${0%/*}/load.sh"

starts() {
    configure_echo
    systemctl start shmipc@host shmipc@worker shmipc@worker-2
    call_echoes start
}

workers_were_not_disturbed() {
    fails 1 logged worker MESSAGE_ID="$HOST_LOST"
    fails 1 logged worker-2 MESSAGE_ID="$HOST_LOST"
}

n_stored() {
    property host NFileDescriptorStore
}

restarts_cost_nobody() {
    local pid inode
    inode=$(stat -c %i /run/shmipc/host.sock)
    begin_load
    for _ in 1 2 3 4 5; do
        pid=$(main_pid host)
        systemctl restart shmipc@host
        runs_anew host "$pid"
        call_echoes 'restarted'
    done
    end_load
    [ "$(stat -c %i /run/shmipc/host.sock)" = "$inode" ]
    logged host MESSAGE_ID="$TAKEN_UP"
    workers_were_not_disturbed
}

kills_cost_nobody() {
    local pid
    begin_load
    for _ in 1 2 3 4 5; do
        pid=$(main_pid host)
        kill -KILL "$pid"
        within 60 runs_anew host "$pid"
        call_echoes 'killed'
    done
    end_load
    workers_were_not_disturbed
}

# What a package does: other files, each in one moment, then a restart.
replace_files() {
    local file
    while read -r -d '' file; do
        cp -a "/boot-test/stage/$file" "/$file.new" && mv -f "/$file.new" "/$file" || return 1
    done < <(cd /boot-test/stage && find . ! -type d -print0)
}

upgrade_costs_nobody() {
    local pid
    begin_load
    pid=$(main_pid host)
    replace_files
    systemctl daemon-reload
    systemctl restart shmipc@host
    runs_anew host "$pid"
    call_echoes 'upgraded'
    end_load
    workers_were_not_disturbed
}

watchdog_costs_nobody() {
    local pid
    override host <<<'WatchdogSec=2s
TimeoutAbortSec=1s'
    systemctl restart shmipc@host
    begin_load
    pid=$(main_pid host)
    kill -STOP "$pid"
    within 60 runs_anew host "$pid"
    call_echoes 'after the watchdog'
    end_load
    workers_were_not_disturbed
}

store_has() {
    n_stored
    [ "$(n_stored)" = "$1" ]
}

calls_leave_nothing_in_the_store() {
    local i
    call_echoes 'once, so that this user has a queue'
    within 60 store_has 8 # index, socket, queues of two users, two workers with two each
    for i in 1 2 3 4 5; do
        call_echoes "$i"
    done
    within 60 store_has 8
}

socket_unit_stays_what_it_is() {
    local pid
    systemctl stop shmipc.target
    systemctl start shmipc@host.socket shmipc@host shmipc@worker shmipc@worker-2
    call_echoes 'socket unit'
    begin_load
    pid=$(main_pid host)
    systemctl restart shmipc@host
    runs_anew host "$pid"
    kill -KILL "$(main_pid host)"
    call_echoes 'killed'
    end_load
}

full_stop_leaves_nothing() {
    systemctl stop shmipc.target
    none_runs shmipc@host shmipc@worker shmipc@worker-2
    [ "$(n_stored)" = 0 ]
    nothing_is_left
}

starts_afresh_after_a_full_stop() {
    systemctl start shmipc@host shmipc@worker
    call_echoes 'afresh'
    systemctl stop shmipc.target
}

check 'installs' install_shmipc
check 'starts' starts
check 'calls leave nothing in the store' calls_leave_nothing_in_the_store
check 'restarts of the host under load cost nobody anything' restarts_cost_nobody
check 'kills of the host under load cost nobody anything' kills_cost_nobody
check 'an upgrade under load costs nobody anything' upgrade_costs_nobody
check 'a host that hangs and is killed costs nobody anything' watchdog_costs_nobody
check 'a host with a socket unit is restarted and killed likewise' socket_unit_stays_what_it_is
check 'a full stop leaves nothing' full_stop_leaves_nothing
check 'a host starts afresh after a full stop' starts_afresh_after_a_full_stop
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
