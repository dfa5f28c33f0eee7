#!/bin/bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154,SC2317 # of lib.sh; check() calls them
#
# Hosts that are killed and started again by a service manager that keeps their descriptors: nobody notices.
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/kills/manager.sh
. "${0%/*}/../kills/manager.sh"

HOST_MORE=', "store_max": 20002, "restart_ms": 1'

with_manager() {
    configure
    manager_begin "$(unit_of host "$HOST_MORE")" "$(unit_of worker)"
    wait_for test -S "$world/manager.ctl"
    ctl start host
    ctl start worker
    wait_for host_has workers 1
}

# Calls one after the other, each with another size, until $world/enough is there; each must bring back what it sent.
call_on_and_on() {
    local n=0 file
    until [ -e "$world/enough" ]; do
        n=$((n + 1))
        file=$(payload $((n % 7 * 50000 + $1)))
        call -t 60 "$file" >"$world/got.$1" || { echo "call $n failed"; return 1; }
        cmp "$file" "$world/got.$1" || return 1
    done
    echo "$n" >"$world/calls.$1"
}

begin_load() {
    local i
    for i in "$@"; do
        call_on_and_on "$i" >"$world/load-$i.log" 2>&1 &
        pids[load-$i]=$!
    done
}

end_load() {
    local i
    touch "$world/enough"
    for i in "$@"; do
        fails 0 ended "load-$i"
    done
}

kills_cost_no_call() {
    with_manager
    begin_load 1 2
    for _ in 1 2 3 4 5; do
        ctl kill host
        ctl ready host
        wait_for host_has workers 1
    done
    end_load 1 2
    fails 1 grep -h 'lost' "$world/worker.log"
    says "$world/host.log" '^shmipc\[host\]: took up [0-9]+ clients and 1 workers of the host before'
    [ "$(ctl status worker | sed 's/.*"starts": \([0-9]*\).*/\1/')" = 1 ]
    manager_end
}

# One that hangs is killed by its watchdog: the same as this.
frozen_host_costs_no_call() {
    with_manager
    begin_load 1
    for _ in 1 2 3; do
        ctl freeze host
        echo frozen | call -t 60 >"$world/out" &
        pids[early]=$!
        ctl kill host
        ctl ready host
        fails 0 ended early
        [ "$(cat "$world/out")" = frozen ]
    done
    end_load 1
    manager_end
}

# The names in the store of the host, and how often each is there.
store_names() {
    ctl store host | sed 's/}/\n/g' | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' | sort | uniq -c |
        awk '{ printf "%s*%d ", $2, $1 }'
}

calls_leave_nothing_in_the_store() {
    local i
    with_manager
    for i in 1 2 3; do
        echoes "$i"
    done
    wait_for store_is 'index*1 socket*1 u0*1 w0*2 '
    ctl kill host
    ctl ready host
    wait_for store_is 'index*1 socket*1 u0*1 w0*2 '
    manager_end
}

store_is() {
    local names
    names=$(store_names)
    echo "$names"
    [ "$names" = "$1" ]
}

call_waits_for_a_host_that_is_down() {
    with_manager
    ctl hold host
    echo early | call -t 60 >"$world/out" &
    pids[early]=$!
    ctl release host
    fails 0 ended early
    [ "$(cat "$world/out")" = early ]
    manager_end
}

full_stop_leaves_nothing() {
    with_manager
    echoes first
    ctl stop host
    [ ! -e "$SHMIPC_SOCKET" ]
    store_is ''
    refuses 3 'there is no host' call
    ctl start host
    wait_for host_has workers 1
    echoes second
    manager_end
}

other_binary_takes_over() {
    cp "$SHMIPC" "$world/shmipc"
    SHMIPC=$world/shmipc with_manager
    begin_load 1
    cp "$SHMIPC" "$world/shmipc.new"
    mv "$world/shmipc.new" "$world/shmipc"
    ctl kill host
    ctl ready host
    wait_for host_has workers 1
    end_load 1
    manager_end
}

without_manager_a_call_fails_and_the_next_one_works() {
    configure '' "$(runs_script <<<'touch "$E2E_WORLD/at-work"; until [ -e "$E2E_WORLD/go" ]; do sleep 0.02; done; cat')"
    start_host
    start_workers worker
    echo lost | call >"$world/out" 2>"$world/err" &
    pids[call]=$!
    wait_for test -e "$world/at-work"
    murder host
    fails 3 ended call
    says "$world/err" 'the host `host` went away'
    [ "$(grep -vc "^shmipc call: it was exchange " "$world/err")" = 1 ]
    fails 1 grep -x lost "$world/out"
    touch "$world/go"
    start_host
    wait_for host_has workers 1
    echoes again
}

scenario 'kills of the host under load cost no call' kills_cost_no_call
scenario 'a host that hangs and is killed costs no call' frozen_host_costs_no_call
scenario 'calls leave nothing in the store' calls_leave_nothing_in_the_store
scenario 'a call waits for a host that is down' call_waits_for_a_host_that_is_down
scenario 'a full stop leaves nothing' full_stop_leaves_nothing
scenario 'a host of another binary takes over' other_binary_takes_over
scenario 'without a service manager a call fails once' without_manager_a_call_fails_and_the_next_one_works
finish
