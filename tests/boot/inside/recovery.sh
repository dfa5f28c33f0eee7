#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Instances that are killed, hang, and are stopped at a bad moment.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

starts() {
    configure_echo
    systemctl start shmipc@host shmipc@worker shmipc@worker-2
    # Ready is a worker also without its host.
    within 60 logged worker MESSAGE_ID="$HOST_ATTACHED"
    within 60 logged worker-2 MESSAGE_ID="$HOST_ATTACHED"
    call_echoes start
}

killed_worker_comes_back() {
    local pid
    pid=$(main_pid worker)
    kill -KILL "$pid"
    within 60 runs_anew worker "$pid"
    within 60 logged host MESSAGE_ID="$WORKER_DIED"
    systemctl stop shmipc@worker-2
    call_echoes 'worker killed'
}

killed_host_comes_back_and_is_found() {
    local pid
    pid=$(main_pid host)
    kill -KILL "$pid"
    within 60 runs_anew host "$pid"
    call_echoes 'host killed'
}

# systemd's own limit is five starts in ten seconds.
worker_comes_back_however_often() {
    local pid
    for _ in 1 2 3 4 5 6; do
        pid=$(main_pid worker)
        kill -KILL "$pid"
        within 60 runs_anew worker "$pid"
    done
    call_echoes 'killed six times'
}

stopping_one_leaves_the_others() {
    systemctl start shmipc@worker-2
    systemctl stop shmipc@worker
    [ -d /run/shmipc ]
    call_echoes 'one stopped'
    systemctl start shmipc@worker
}

# A handler that says which unit it runs in, then waits to be let go.
configure_waiting() {
    rm -f /run/shmipc/at-work /run/shmipc/go
    configure_command 'cat /proc/self/cgroup >/run/shmipc/at-work;'\
' until [ -e /run/shmipc/go ]; do sleep 0.1; done; cat'
    systemctl restart shmipc@worker shmipc@worker-2
}

# The instance whose handler is at work.
at_work() {
    sed -nE 's,.*/shmipc@([a-z0-9-]+)\.service.*,\1,p' /run/shmipc/at-work | grep .
}

# Waits for the background process $1, whose output /tmp/out is to be $2.
answered() {
    wait "$1"
    [ "$(cat /tmp/out)" = "$2" ]
    rm /run/shmipc/at-work /run/shmipc/go
}

request_of_a_killed_worker_is_handled_by_another() {
    local call victim pid
    configure_waiting
    echo twice | shmipc call -t 60 >/tmp/out &
    call=$!
    within 60 at_work
    victim=$(at_work)
    rm /run/shmipc/at-work
    pid=$(main_pid "$victim")
    kill -KILL "$pid"
    within 60 at_work
    touch /run/shmipc/go
    answered "$call" twice
    within 60 logged host MESSAGE_ID="$EXCHANGE_REDELIVERED"
    within 60 runs_anew "$victim" "$pid"
}

stopped_worker_finishes_what_it_has() {
    local call stop victim
    configure_waiting
    echo finished | shmipc call -t 60 >/tmp/out &
    call=$!
    within 60 at_work
    victim=$(at_work)
    systemctl stop "shmipc@$victim" &
    stop=$!
    within 60 sh -c "systemctl is-active shmipc@$victim | grep deactivating"
    touch /run/shmipc/go
    answered "$call" finished
    wait "$stop"
    [ "$(property "$victim" Result)" = success ]
    [ "$(property "$victim" NRestarts)" = 0 ]
    systemctl start "shmipc@$victim"
}

stopped_worker_may_take_longer() {
    local call
    override worker <<<'TimeoutStopSec=2s'
    configure_command 'touch /run/shmipc/at-work; sleep 4; cat'
    systemctl stop shmipc@worker-2
    systemctl restart shmipc@worker
    echo extended | shmipc call -t 60 >/tmp/out &
    call=$!
    within 60 test -e /run/shmipc/at-work
    systemctl stop shmipc@worker
    wait "$call"
    [ "$(cat /tmp/out)" = extended ]
    [ "$(property worker Result)" = success ]
    rm /run/shmipc/at-work
}

# Its first worker dies of it, its second reports a failure: host, worker and client all tell of it.
failed_exchange_is_followed_by_its_id() {
    local id
    rm -f /run/shmipc/died
    configure_command 'mkdir /run/shmipc/died || exit 7; read -r _ _ _ w _ </proc/$PPID/stat; kill -9 $w; sleep 9'
    systemctl restart shmipc@worker shmipc@worker-2
    fails 1 shmipc call -t 60 </dev/null 2>/tmp/err
    rmdir /run/shmipc/died
    id=$(sed -nE 's/.*`journalctl SHMIPC_SEQUENCE=([0-9-]+)`.*/\1/p' /tmp/err)
    journalctl --sync
    journalctl -q "SHMIPC_SEQUENCE=$id" -o json --output-fields=SHMIPC_INSTANCE,SHMIPC_UID >/tmp/lines
    cat /tmp/err /tmp/lines
    grep '"SHMIPC_INSTANCE":"host"' /tmp/lines
    grep -E '"SHMIPC_INSTANCE":"worker(-2)?"' /tmp/lines
    # All of the client's: these, and the first exchange with its worker.
    journalctl -q "SHMIPC_CLIENT=${id%%-*}" -o cat | tee /tmp/lines
    grep "exchange $id goes to another worker" /tmp/lines
    grep "exchange $id of uid 0.*failed" /tmp/lines
    within 60 all_run shmipc@worker shmipc@worker-2
}

watchdog_kills_a_hung_host() {
    local pid
    configure_echo
    override host <<<'WatchdogSec=2s'
    systemctl restart shmipc@host shmipc@worker shmipc@worker-2
    call_echoes 'before the watchdog'
    pid=$(main_pid host)
    kill -STOP "$pid"
    within 60 runs_anew host "$pid"
    journalctl --sync
    journalctl -q -b -u shmipc@host -o cat | grep -F 'Watchdog timeout'
    call_echoes 'after the watchdog'
}

watchdog_leaves_a_handler_at_work() {
    local pid
    configure_command 'sleep 5; cat'
    override worker <<<'WatchdogSec=2s'
    systemctl stop shmipc@worker-2
    systemctl restart shmipc@worker
    pid=$(main_pid worker)
    call_echoes 'longer than the watchdog'
    [ "$(main_pid worker)" = "$pid" ]
}

# Whatever begins with "poison" kills its worker, the parent of the handler's keeper, until it is mended.
configure_poisonable() {
    configure_command 'read -r line; read -r _ _ _ w _ </proc/$PPID/stat;'\
' case $line in poison*) [ -e /run/shmipc/mended ] || { kill -9 $w; sleep 9; } ;; esac; echo $line'
    systemctl restart shmipc@worker shmipc@worker-2
    within 60 sh -c 'shmipc status | grep "2 workers\|worker-2"'
}

poison_is_parked_and_the_service_goes_on() {
    local id
    rm -rf /run/systemd/system/shmipc@*.service.d
    systemctl daemon-reload
    systemctl restart shmipc@host
    configure_poisonable
    fails 7 runuser -u alice -- sh -c 'echo poison | shmipc call -t 60'
    [ "$(echo bread | shmipc call -t 60)" = bread ]
    within 60 logged host MESSAGE_ID="$EXCHANGE_PARKED"
    id=$(shmipc parked list --noheadings | awk '{ print $1 }')
    shmipc parked show "$id" | grep -F "user $(id -u alice)"
    [ "$(shmipc parked show "$id" --payload)" = poison ]
    [ "$(stat -c '%U %a' /var/lib/shmipc/host/"$id")" = 'shmipc 600' ]
    fails 4 runuser -u alice -- shmipc parked list
    touch /run/shmipc/mended
    [ "$(shmipc parked retry "$id")" = poison ]
    rm /run/shmipc/mended
    shmipc parked list | grep -F 'No request is parked.'
}

poisoner_is_refused_and_others_go_on() {
    local n
    # Its second death was the one before: the third is one too many, whether this request has two workers or one.
    fails 4 runuser -u alice -- sh -c 'echo poison again | shmipc call -t 60'
    within 60 logged host MESSAGE_ID="$USER_REFUSED"
    fails 4 runuser -u alice -- sh -c 'echo bread | shmipc call -t 60' 2>/tmp/err
    grep -E 'no more are taken for another [0-9]+ s' /tmp/err
    for n in 1 2 3 4 5; do
        [ "$(echo "bread $n" | shmipc call -t 60)" = "bread $n" ]
    done
    within 60 all_run shmipc@host shmipc@worker shmipc@worker-2
    shmipc parked drop --all
}

target_stops_all() {
    systemctl start shmipc@worker-2
    systemctl stop shmipc.target
    none_runs shmipc@host shmipc@worker shmipc@worker-2
}

check 'installs' install_shmipc
check 'starts' starts
check 'a killed worker comes back' killed_worker_comes_back
check 'a worker comes back however often it dies' worker_comes_back_however_often
check 'a killed host comes back and is found by its worker' killed_host_comes_back_and_is_found
check 'stopping one instance leaves the others' stopping_one_leaves_the_others
check 'a request of a killed worker is handled by another' request_of_a_killed_worker_is_handled_by_another
check 'a stopped worker finishes what it has' stopped_worker_finishes_what_it_has
check "a stopped worker may take longer than its unit's timeout" stopped_worker_may_take_longer
check 'a failed exchange is followed by its id, through client, host and worker' failed_exchange_is_followed_by_its_id
check 'the watchdog kills a hung host' watchdog_kills_a_hung_host
check 'the watchdog leaves a handler at work alone' watchdog_leaves_a_handler_at_work
check 'what kills its workers is parked, and the service goes on' poison_is_parked_and_the_service_goes_on
check 'who kills workers is refused, and others go on' poisoner_is_refused_and_others_go_on
check 'stopping the target stops all' target_stops_all
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
