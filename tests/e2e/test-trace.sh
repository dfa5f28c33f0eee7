#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `shmipc trace` shows of which exchanges and to whom, and that nothing of it stays behind.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A worker that does what it is told: it fails, takes long, dies at its first attempt or always.
start_obedient() { # HOST-SETTINGS WORKER…
    configure "$1" "$(runs_script <<'END'
read -r word
read -r _ _ _ worker _ </proc/$PPID/stat
case $word in
bad) echo "not that one" >&2; exit 3 ;;
slowly) sleep 0.3 ;;
die) kill -KILL "$worker"; sleep 1000 ;;
dieonce) [ "$SHMIPC_ATTEMPT" != 1 ] || { kill -KILL "$worker"; sleep 1000; } ;;
esac
echo "was $word"
END
)"
    shift
    start_host
    start_workers "$@"
}

# Follow in the background, as $1, with the options $2…; until the host has begun to look.
follow() {
    local name=$1
    shift
    background "$name" env --default-signal=INT "$SHMIPC" trace "$@" </dev/null
    wait_for [ -s "$world/$name.log" ]
}

send() {
    echo "$1" | call >/dev/null 2>"$world/err"
}

# The line of what was sent as `slowly`.
slow_one=' 7B +11B +[0-9.]+[a-z]+ +([0-9]{3}ms|[0-9.]+s) done '

# The lines of $1, without their heading.
lines_of() {
    sed '/^TIME /d' "$world/$1.log"
}

exchanges_are_shown_as_they_end() {
    local id
    start_obedient '' worker
    follow all
    follow wide -o +PROGRAM,USER,TRIES,TOTAL
    send good
    fails 1 send bad
    id=$(sed -n 's/.*it was exchange \([0-9-]*\);.*/\1/p' "$world/err")
    send slowly
    wait_for says "$world/all.log" "$slow_one"
    wait_for says "$world/wide.log" "$slow_one"
    cat "$world/all.log" "$world/wide.log"
    [ "$(lines_of all | wc -l)" = 3 ]
    says "$world/all.log" '^[0-9:.]{12} [0-9]+-0-1 +1 +5B +9B +[0-9.]+[a-z]+ +[0-9.]+[a-z]+ done +-$'
    says "$world/all.log" " $id +1 +4B .* failed handler failed \(exit status 3\)$"
    says "$world/wide.log" 'done +- +shmipc call +[a-z0-9]+ +1 +[0-9.]+ms$'
    kill -INT "${pids[all]}" # as Ctrl-C does
    fails 0 ended all
    stop wide
}

wishes_are_granted() {
    local name client
    start_obedient '' worker
    follow failed --failed
    follow slower --slower 100ms
    follow nobody --uid 61186
    follow me --uid "$(id -u)" -o +TOTAL
    follow other-worker --worker 99
    follow this-worker --worker 1
    background two "$SHMIPC" trace -n 2 --noheadings
    send good
    fails 1 send bad
    send slowly
    for name in me this-worker; do
        wait_for says "$world/$name.log" "$slow_one"
        [ "$(lines_of "$name" | wc -l)" = 3 ]
    done
    client=$(lines_of me | awk 'NR == 2 { sub("-.*", "", $2); print $2 }')
    wait_for says "$world/failed.log" ' failed handler failed'
    [ "$(lines_of failed | wc -l)" = 1 ]
    wait_for says "$world/slower.log" "$slow_one"
    [ "$(lines_of slower | wc -l)" = "$(lines_of me | grep -cE ' ([0-9]{3}ms|[0-9.]+s)$')" ] # a busy one has more
    [ -z "$(lines_of nobody)" ]
    [ -z "$(lines_of other-worker)" ]
    fails 0 ended two
    [ "$(wc -l <"$world/two.log")" = 2 ]
    fails 1 grep TIME "$world/two.log"
    follow of-client --client "$client"
    send good
    wait_for eval '[ "$(lines_of me | wc -l)" = 4 ]'
    [ -z "$(lines_of of-client)" ]
    for name in failed slower nobody me other-worker this-worker of-client; do
        stop "$name"
    done
}

lines_are_json() {
    start_obedient '' worker
    background json "$SHMIPC" trace --json -n 2
    wait_for is_looked_at
    wait_for is_looked_at "${pids[worker]}"
    send good
    fails 1 send bad
    fails 0 ended json
    cat "$world/json.log"
    python3 - "$world/json.log" <<'END'
import json, re, sys
good, bad = [json.loads(line) for line in open(sys.argv[1])]
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", good["time"])
assert good["sequence"] == f'{good["client"]}-{good["slot"]}-{good["generation"]}'
assert good["result"] == "done" and good["reason"] is None and good["program"] == "shmipc call"
assert good["request_bytes"] == 5 and good["response_bytes"] == 9 and good["worker"] == 1
assert good["total_ns"] == good["queued_ns"] + good["running_ns"]
assert bad["result"] == "failed" and bad["reason"] == "handler failed (exit status 3)" and bad["attempts"] == 1
END
}

other_users_exchanges_are_not_shown() {
    start_obedient "access = [\"root\", \"$ALICE\"];" worker
    background hers as "$ALICE" "$SHMIPC" trace -o UID,RESULT </dev/null
    wait_for says "$world/hers.log" UID
    background all "$SHMIPC" trace -o UID,RESULT -n 2
    wait_for says "$world/all.log" UID
    send good
    echo good | as "$ALICE" timeout "$HANG_SECONDS" "$SHMIPC" call >/dev/null
    fails 0 ended all
    wait_for says "$world/hers.log" " done"
    [ "$(tail -n +2 "$world/hers.log" | tr -s ' ' | sed 's/^ //')" = "$ALICE done" ]
    stop hers
    refuses 4 "user $CAROL is not in" as "$CAROL" "$SHMIPC" trace
}

# Whether the host, or the process $1, has a ring.
is_looked_at() {
    grep shmipc-trace "/proc/${1-${pids[host]}}/maps"
}
nobody_looks() {
    fails 1 is_looked_at
    fails 1 is_looked_at "${pids[worker]}"
}

tracer_that_is_killed_costs_nothing_any_more() {
    start_obedient '' worker
    nobody_looks
    follow one
    wait_for is_looked_at "${pids[worker]}"
    murder one
    wait_for nobody_looks
    follow one
    send good
    wait_for says "$world/one.log" ' done '
    stop one
    wait_for nobody_looks
}

dead_workers_exchange_is_shown_again() {
    local name
    start_obedient 'attempts = 2; max_deaths = 0;' worker worker-2 worker-3 worker-4
    follow all -o RESULT,TRIES,REASON
    send dieonce
    wait_for says "$world/all.log" '^done +2 -$'
    says "$world/all.log" '^again +1 worker lost$'
    fails 7 send die
    wait_for says "$world/all.log" '^failed +2 worker lost$'
    says "$world/all.log" '^parked +2 worker lost$'
    cat "$world/all.log"
    stop all
    for name in worker worker-2 worker-3 worker-4; do
        ! has_ended "${pids[$name]}" || unset "pids[$name]"
    done
}

host_that_comes_again_is_followed() {
    start_obedient '' worker
    follow all
    send good
    wait_for says "$world/all.log" ' done '
    stop host
    wait_for says "$world/all.log" 'host `host` is gone: waiting for it at'
    start_host
    wait_for host_has workers 1
    wait_for says "$world/all.log" 'host `host` is there again'
    fails 1 send bad
    wait_for says "$world/all.log" ' failed '
    stop all
}

# What nobody reads is counted: each exchange is either shown or not. Nobody waits for it.
slow_reader_is_told_what_it_missed() {
    local shown missed n=20000
    configure
    start_host
    start_workers worker
    mkfifo "$world/pipe"
    background reader sh -c 'until [ -e "$1/read" ]; do sleep 0.02; done; cat <"$1/pipe"' sh "$world"
    exec 7<>"$world/pipe"
    "$SHMIPC" trace >"$world/pipe" 2>"$world/trace.err" 7>&- &
    pids[trace]=$!
    wait_for is_looked_at
    wait_for is_looked_at "${pids[worker]}"
    bounded "$SHMIPC" bench -n "$n" -w 0 7>&- >/dev/null
    touch "$world/read"
    until says "$world/reader.log" ' 5B +5B '; do # then there is room again
        send room
        n=$((n + 1))
    done
    send finally
    n=$((n + 1))
    wait_for says "$world/reader.log" ' 8B +8B ' # and all that was before has been told
    exec 7>&-
    stop trace
    fails 0 ended reader
    cat "$world/trace.err"
    shown=$(lines_of reader | wc -l)
    missed=$(sed -n 's/^shmipc trace: \([0-9]*\) exchanges were not shown.*/\1/p' "$world/trace.err")
    echo "$shown shown, $missed missed"
    [ "$missed" -gt 0 ]
    [ $((shown + missed)) = "$n" ]
}

wrong_words_are_usage() {
    configure
    refuses 2 '`shmipc trace -o help` names them' "$SHMIPC" trace -o NOPE
    refuses 2 'there is no user' "$SHMIPC" trace --uid nobody-of-that-name
    refuses 2 'wants a time' "$SHMIPC" trace --slower fast
    refuses 2 'wants a number of lines' "$SHMIPC" trace -n 0
    refuses 2 'wants the number of one' "$SHMIPC" trace --worker worker
    refuses 2 'wants the number of one' "$SHMIPC" trace --client 0
    refuses 2 'takes no argument' "$SHMIPC" trace all
    refuses 3 'there is no host `host`' "$SHMIPC" trace
    says <("$SHMIPC" trace -o help) '^SEQUENCE$'
}

scenario 'exchanges are shown as they end' exchanges_are_shown_as_they_end
scenario 'only those that are wished for' wishes_are_granted
scenario 'an object a line for programs' lines_are_json
scenario_if has_uids "another user's exchanges are not shown" other_users_exchanges_are_not_shown
scenario 'a tracer that is killed costs nothing any more' tracer_that_is_killed_costs_nothing_any_more
scenario "what a dead worker had is shown, and what became of it" dead_workers_exchange_is_shown_again
scenario 'a host that comes again is followed' host_that_comes_again_is_followed
scenario 'who reads slowly is told what it missed' slow_reader_is_told_what_it_missed
scenario 'wrong words are a matter of usage' wrong_words_are_usage

finish
