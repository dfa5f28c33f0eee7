#!/bin/bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # of lib.sh
#
# The service manager that the tests of restarts and kills trust in does what systemd does.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/../e2e/lib.sh"
# shellcheck source=tests/kills/manager.sh
. "${0%/*}/manager.sh"

# A manager with one unit that runs the fake service with the actions $1….
with_service() {
    local command
    command=$(printf '"%s", ' python3 "$kills_folder/fake-service.py" "$world/got" "$@")
    manager_begin "{\"name\": \"fake\", \"command\": [${command%, }],
        \"environment\": {\"FIRST_TIME_ONLY\": \"1\"}${more-}}"
    ctl start fake
}

got() { # LINES: what it was passed, at each start
    [ "$(tr '\n' '|' <"$world/got")" = "$1" ] || { cat "$world/got"; return 1; }
}

got_in_the_end() {
    wait_for got "$1"
    ctl ready fake
}

store_has() {
    local names
    names=$(ctl store fake | sed 's/}/\n/g' | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' | tr '\n' ' ')
    [ "$names" = "$1" ] || { echo "stored: $names"; return 1; }
}

store_outlives_a_kill() {
    with_service store:one store:two
    store_has 'one two '
    ctl kill fake
    got_in_the_end 'nothing|one=/memfd two=/memfd|'
    manager_end
}

store_outlives_a_restart() {
    with_service store:one
    ctl restart fake
    got_in_the_end 'nothing|one=/memfd|'
    manager_end
}

store_is_dropped_by_a_stop() {
    with_service store:one
    ctl stop fake
    store_has ''
    ctl start fake
    got_in_the_end 'nothing|nothing|'
    manager_end
}

held_service_stays_down_and_keeps_its_store() {
    with_service store:one
    ctl hold fake
    ctl status fake | grep -q '"state": "down"'
    store_has 'one '
    ctl release fake
    got_in_the_end 'nothing|one=/memfd|'
    manager_end
}

removed_by_name() {
    with_service store:one store:two store:one remove:one
    store_has 'two '
    manager_end
}

same_descriptor_is_stored_once() {
    with_service again:one
    store_has 'one '
    manager_end
}

what_hangs_up_is_dropped_unless_told_otherwise() {
    with_service hang:one keep:two store:three
    wait_for store_has 'two three '
    manager_end
}

bad_names_and_too_many_are_refused() {
    more=', "store_max": 2' with_service "store:$(printf 'x%.0s' {1..256})" store:a:b store:one store:two \
        store:three
    store_has 'one two '
    ctl status fake | grep -q '"refused": 3'
    manager_end
}

socket_of_a_unit_comes_before_its_store() {
    more=", \"socket\": \"$world/fake.sock\"" with_service
    got 'fake.socket=socket|'
    ctl kill fake
    got_in_the_end 'fake.socket=socket|fake.socket=socket|'
    manager_end
    [ ! -e "$world/fake.sock" ]
}

failure_is_started_again_with_its_store() {
    with_service store:one exit:3
    got 'nothing|one=/memfd|'
    manager_end
}

bad_configuration_is_final() {
    fails 1 with_service store:one exit:78
    ctl status fake | grep -q '"starts": 1'
    store_has ''
    manager_end
}

# The real program under it: it is ready when it says so, and comes back after a kill.
host_and_worker_run_and_come_back() {
    configure
    manager_begin "$(unit_of host)" "$(unit_of worker)"
    ctl start host
    ctl start worker
    wait_for host_has workers 1
    echoes one
    ctl kill host
    wait_for echoes two
    ctl restart host
    wait_for echoes three
    ctl hold host
    background call "$SHMIPC" call <<<four # it waits: the store has the socket
    ctl release host
    fails 0 ended call
    says "$world/call.log" '^four$'
    wait_for echoes five
    ctl stop worker
    ctl stop host
    manager_end
}

for name in store_outlives_a_kill store_outlives_a_restart store_is_dropped_by_a_stop \
    held_service_stays_down_and_keeps_its_store removed_by_name same_descriptor_is_stored_once \
    what_hangs_up_is_dropped_unless_told_otherwise bad_names_and_too_many_are_refused \
    socket_of_a_unit_comes_before_its_store failure_is_started_again_with_its_store \
    bad_configuration_is_final \
    host_and_worker_run_and_come_back; do
    scenario "$name" $name
done
finish
