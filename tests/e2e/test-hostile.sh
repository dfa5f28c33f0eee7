#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Clients that do what none may do, trusted ones and others. Nobody else is hurt, nor host and worker.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

ECHO='handler = { type = "echo"; };'
CAT=$(runs cat)

# The same host and worker are there, and serve others.
nobody_is_hurt() {
    kill -0 "${pids[host]}" "${pids[worker]}"
    host_has workers 1
    host_has redelivered 0
    [ "$(echo bob | as "$BOB" "$SHMIPC" call)" = bob ]
    call "$(payload 100000)" | cmp - "$(payload 100000)"
}

deed_hurts_nobody() { # USER HANDLER DEED
    start_pair "access = [\"root\", \"$ALICE\", \"$BOB\"];" "$2"
    as "$1" timeout "$HANG_SECONDS" "$E2E_TOOLS/hostile" "$3"
    nobody_is_hurt
}

# Bob's call waits while Alice sends messages in its name, on her queue.
forgery_touches_no_call_of_another() {
    # shellcheck disable=SC2016 # for the handler
    configure "access = [\"$ALICE\", \"$BOB\"];" "$(runs sh -c 'echo x >>$E2E_WORLD/handled; cat')"
    start_host
    echo bob >"$world/in"
    chmod 644 "$world/in"
    background bob as "$BOB" "$SHMIPC" call -t 0 "$world/in"
    wait_for host_has in_flight 1
    background alice as "$ALICE" "$E2E_TOOLS/hostile" forge
    wait_for host_has clients 2
    start_workers worker
    fails 0 ended alice
    fails 0 ended bob
    [ "$(cat "$world/bob.log")" = bob ]
    [ "$(wc -l <"$world/handled")" = 2 ] # bob's one, and Alice's honest one
}

flood_drowns_nobody() {
    local i
    start_pair "access = [\"root\", \"$ALICE\", \"$BOB\"];" "$ECHO"
    mkfifo "$world/end"
    exec 3<>"$world/end"
    background alice as "$ALICE" "$E2E_TOOLS/hostile" flood <"$world/end" 3>&-
    wait_for says "$world/alice.log" flooding
    for i in $(seq 20); do
        [ "$(echo "$i" | as "$BOB" "$SHMIPC" call)" = "$i" ]
    done
    echo >&3
    fails 0 ended alice
    nobody_is_hurt
}

for deed in \
    'taking memory away:shrink' \
    'lying about the size:lie' \
    'rewriting a payload meanwhile:rewrite' \
    'forging messages:forge' \
    'sending messages of wrong sizes:rubbish'; do
    for handler in "echo=$ECHO" "a command=$CAT"; do
        scenario_if has_uids "${deed%:*} hurts nobody: ${handler%%=*}, a trusted client" \
            deed_hurts_nobody 0 "${handler#*=}" "${deed#*:}"
        scenario_if has_uids "${deed%:*} hurts nobody: ${handler%%=*}, another client" \
            deed_hurts_nobody "$ALICE" "${handler#*=}" "${deed#*:}"
    done
done
scenario_if has_uids 'forged messages touch no call of another user' forgery_touches_no_call_of_another
scenario_if has_uids "one user's flood drowns nobody" flood_drowns_nobody

finish
