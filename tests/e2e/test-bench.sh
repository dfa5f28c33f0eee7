#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `shmipc bench`: what it shows adds up, and each way for it to end. How fast anything is, nobody asks here.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016,SC2119 # patterns with `; functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

bench() {
    bounded "$SHMIPC" bench "$@"
}

# Whether a Python expression holds for the rows that $1 has as JSON.
holds() {
    python3 -c 'import json, sys
rows = json.load(open(sys.argv[1]))["bench"]
assert eval(sys.argv[2]), rows' "$@"
}

table_has_a_line_for_each_size() {
    start_pair
    bench -s 0,64,64K,1M -n 20 >"$world/out"
    cat "$world/out"
    [ "$(awk '{ print $1 }' "$world/out" | tr '\n' ' ')" = 'SIZE 0B 64B 64K 1M ' ]
    [ "$(awk 'NR > 1 { print $2 }' "$world/out" | sort -u)" = 20 ]
}

json_adds_up() {
    start_pair
    bench -s 64,100000 -i 4 -n 300 -w 10ms --json >"$world/out"
    holds "$world/out" '[row["size_bytes"] for row in rows] == [64, 100000]'
    holds "$world/out" 'all(row["requests"] == 300 and row["in_flight"] == 4 for row in rows)'
    holds "$world/out" 'all(0 < row["min_ns"] <= row["p50_ns"] <= row["p90_ns"] <= row["p99_ns"]
        <= row["p999_ns"] <= row["max_ns"] for row in rows)'
    holds "$world/out" 'all(row["min_ns"] <= row["mean_ns"] <= row["max_ns"] for row in rows)'
    holds "$world/out" 'all(abs(row["requests_per_second"] - 300e9 / row["took_ns"]) <= 1 for row in rows)'
    # There and back.
    holds "$world/out" 'all(abs(row["bytes_per_second"] - 600e9 * row["size_bytes"] / row["took_ns"]) <= 1
        for row in rows)'
}

worker_has_had_as_many_requests() {
    start_pair
    bench -n 50 -w 0
    host_has done 50
}

it_ends_when_the_time_is_over() {
    start_pair
    bench -d 300ms -w 0 --json >"$world/out"
    holds "$world/out" 'rows[0]["requests"] > 0 and rows[0]["took_ns"] > 0'
}

# One at a time that takes a fifth of a second, and one due each twentieth: the tenth is due after 0.45 seconds,
# and cannot have ended before 2.
time_runs_from_when_a_request_was_due() {
    start_pair '' "$(runs sleep 0.2)"
    bench -r 20 -n 10 -w 0 --json >"$world/out"
    holds "$world/out" 'rows[0]["max_ns"] >= 1500e6 and rows[0]["requests"] == 10'
    holds "$world/out" 'rows[0]["p50_ns"] >= 600e6'
}

rate_is_kept() {
    start_pair
    bench -r 500 -n 100 -w 0 --json >"$world/out"
    holds "$world/out" '0 < rows[0]["requests_per_second"] <= 510'
}

# The bytes that are not 0 of the second request: what was not touched is.
touched_bytes() {
    : >"$world/bytes"
    bench -s 100000 -n 2 -w 0 "$@" >"$world/out"
    tail -n 1 "$world/bytes"
}
touch_writes_no_more_than_the_first_bytes() {
    start_pair '' "$(runs_script <<<'tr -d "\000" | wc -c >>"$E2E_WORLD/bytes"')"
    [ "$(touched_bytes --touch 8)" = 8 ]
    [ "$(touched_bytes)" = 100000 ]
}

every_way_of_polling_is_taken() {
    local how
    start_pair
    for how in auto always 0 50; do
        bench --poll $how -n 50
    done
}

has_answered() {
    [ "$(host_says done)" -gt 10 ]
}
interrupt_shows_what_was_measured() {
    start_pair
    background bench "$SHMIPC" bench -d 1h -w 0 --json
    wait_for has_answered
    kill -INT "${pids[bench]}"
    fails 0 ended bench
    says "$world/bench.log" 'interrupted; this is what was measured'
    grep -v '^shmipc bench' "$world/bench.log" >"$world/out"
    holds "$world/out" 'len(rows) == 1 and rows[0]["requests"] > 0'
}

host_that_dies_is_3_and_what_was_measured_is_shown() {
    start_pair
    background bench "$SHMIPC" bench -d 1h -w 0
    wait_for has_answered
    murder host
    fails 3 ended bench
    cat "$world/bench.log"
    says "$world/bench.log" 'the host `host` went away'
    says "$world/bench.log" '^ *64B '
    stop worker
    start_host # sweeps
}

no_host_is_3() {
    refuses 3 'there is no host `host`' bench
}

more_in_flight_than_slots_is_8() {
    start_pair 'requests_per_client = 4;'
    refuses 8 'gives a client 4 slots.*requests_per_client' bench -i 5
    bench -i 4 -n 10
}

size_over_the_limit_is_6_after_those_that_fit() {
    start_pair 'max_payload = "1M";'
    fails 6 bench -s 64,2M -n 10 >"$world/out" 2>"$world/err"
    says "$world/err" 'max_payload'
    says "$world/out" '^ *64B '
}

handler_that_fails_is_1() {
    start_pair '' "$(runs sh -c 'echo no such colour >&2; exit 7')"
    refuses 1 'no such colour$' bench -n 10
}

usage_is_2() {
    local bad
    for bad in '-s 1x' '-s ,' '-s -1' '-i 0' '-i x' '-i 5000' '-n 0' '-r 0' '-r 1e3' '-p often' '-p -1' '-d x' '-d 0' \
        '-w 1y' '-t x' '-s 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17' 'argument'; do
        # shellcheck disable=SC2086 # two words
        refuses 2 'shmipc bench: ' bench $bad
    done
}

plot_without_gnuplot_is_said() {
    start_pair
    refuses 9 'gnuplot.*install the package gnuplot-nox' env PATH=/nonexistent "$SHMIPC" bench --plot "$world/out.svg"
    [ ! -e "$world/out.svg" ]
}

plot_is_drawn() {
    start_pair
    bench -s 64,64K -n 500 --plot "$world/out.svg"
    python3 -c 'import sys, xml.etree.ElementTree as xml
text = " ".join(xml.parse(sys.argv[1]).getroot().itertext())
assert "64B" in text and "64K" in text and "99.9 %" in text, text' "$world/out.svg"
}

scenario 'a table has a line for each size' table_has_a_line_for_each_size
scenario 'JSON adds up' json_adds_up
scenario 'a worker has had as many requests as were asked for' worker_has_had_as_many_requests
scenario 'it ends when its time is over' it_ends_when_the_time_is_over
scenario 'on a schedule, time runs from when a request was due' time_runs_from_when_a_request_was_due
scenario 'no more are begun than the schedule says' rate_is_kept
scenario '--touch writes no more than the first bytes' touch_writes_no_more_than_the_first_bytes
scenario 'every way of polling is taken' every_way_of_polling_is_taken
scenario 'an interrupt shows what was measured so far' interrupt_shows_what_was_measured

scenario 'exit 1: the handler failed' handler_that_fails_is_1
scenario 'exit 2: usage' usage_is_2
scenario 'exit 3: no host' no_host_is_3
scenario 'exit 3: the host died; what was measured is shown' host_that_dies_is_3_and_what_was_measured_is_shown
scenario 'exit 6: a size over max_payload, after those that fit' size_over_the_limit_is_6_after_those_that_fit
scenario 'exit 8: more in flight than there are slots' more_in_flight_than_slots_is_8
scenario 'exit 9: --plot without gnuplot' plot_without_gnuplot_is_said
if command -v gnuplot >/dev/null; then
    scenario '--plot draws what was measured' plot_is_drawn
else
    skip '--plot draws what was measured' 'gnuplot is not installed'
fi
finish
