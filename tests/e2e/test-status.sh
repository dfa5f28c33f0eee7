#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `shmipc status` shows to people and to programs, of whom, and to whom.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

status() {
    bounded "$SHMIPC" status "$@"
}

# A handler that answers when there is a file `go`.
start_waiting() { # HOST-SETTINGS WORKER…
    configure "$1" "$(runs_script <<'END'
until [ -e "$E2E_WORLD/go" ]; do sleep 0.02; done
cat
END
)"
    shift
    start_host
    start_workers "$@"
}

let_go() {
    local name
    touch "$world/go"
    for name in "$@"; do
        fails 0 ended "$name"
    done
}

# A connection of a client that calls itself $1 and does nothing.
start_named_client() {
    background named python3 -c '
import socket, struct, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
peer.connect(sys.argv[1])
name = sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
peer.send(struct.pack("=IIQ8sIIIIQ64s", 1, 112, 0, b"SHMIPC\r\n", 1, 1, 1, 0, 0, name))
sys.stdin.read()
' "$SHMIPC_SOCKET" "$1" < <(wait_for [ -e "$world/named.end" ])
    wait_for host_has clients 1
}

overview_says_what_goes_on() {
    start_waiting 'memory = "100M";' worker
    background one call "$(payload 3000000)"
    wait_for host_has in_flight 1
    background two call "$(payload 5000)"
    wait_for host_has in_flight 2
    wait_for host_has waiting 1
    status >"$world/status"
    cat "$world/status"
    says "$world/status" '^Host host: '
    says "$world/status" '^ +2 in flight \(1 waiting\), 0 retried, 0 parked$'
    says "$world/status" '^Memory .* of 100M; most: client [0-9]+ \(shmipc call,'
    says "$world/status" '^Workers +1, of which 1 busy, worker for '
    tr -s ' \n' ' ' <"$world/status" >"$world/words"
    says "$world/words" 'Warning: 1 exchange waits while every worker is busy: start one more, as in `systemctl start shmipc@worker-2`'
    [ "$(wc -L <"$world/status")" -le 80 ]
    let_go one two
    says <(status) '^Exchanges +2 done, 0 failed'
    fails 1 grep '^Warning: 1 exchange' <(status)
    fails 1 grep '^Warning: the host runs' <(status)
}

no_worker_is_a_warning() {
    configure
    start_host
    status | tr -s ' \n' ' ' >"$world/words"
    says "$world/words" 'Warning: no worker is attached.*systemctl start shmipc@worker'
}

each_table_is_there() {
    start_waiting '' worker
    background one call "$(payload 100000)"
    wait_for host_has in_flight 1
    wait_for host_has waiting 0
    says <(status workers) '^WORKER +INSTANCE +USER'
    says <(status workers -n -o INSTANCE,STATE,WHOSE) '^worker +busy +shmipc call$'
    says <(status clients -n -o program,in-flight 2>&1) 'in-flight. is no column of .clients'
    says <(status clients -n -o program,flying) '^shmipc call +1$'
    says <(status slots -n -o state,payload,instance) '^running +97\.7K +worker$'
    says <(status memory -n -o holder,request) '^client +100K$'
    says <(status limits -o +CURE) '^memory .*raise .memory. of the host'
    says <(status instances -n -o instance,role,host,pid) "^host +host +host +${pids[host]}$"
    says <(status instances -n -o instance,role,host,pid) "^worker +worker +host +${pids[worker]}$"
    let_go one
}

json_has_every_table() {
    start_pair
    echoes once
    status --json >"$world/json"
    status --json workers -o state,instance >"$world/two"
    status --json instances >"$world/instances"
    python3 - "$world" <<'END'
import json, sys
def load(name): return json.load(open(sys.argv[1] + "/" + name))
said = load("json")
assert set(said) == {"host", "clients", "workers", "slots", "memory", "limits", "latency"}, said.keys()
assert {row["limit"] for row in said["limits"]} == {
    "memory", "max_clients", "RLIMIT_MSGQUEUE", "fs.mqueue.queues_max", "RLIMIT_NOFILE"}
assert all(row["max"] is None or row["percent"] == row["used"] * 100 // row["max"] for row in said["limits"])
assert sum(row["total_bytes"] for row in said["memory"]) <= said["host"][0]["memory_bytes"]
assert list(load("two")["workers"][0]) == ["state", "instance"]
assert [row["role"] for row in load("instances")["instances"]] == ["host", "worker"]
END
}

# A name with everything that means something to a table, a terminal, JSON or the label of a metric.
odd_name_breaks_nothing() {
    configure
    start_host
    start_named_client 'a"b\\c\nd\x1b[2J{}\xff'
    status >"$world/status"
    cat -v "$world/status"
    fails 1 grep -P '[^\x20-\x7e]' "$world/status"
    says "$world/status" 'a"b\\c\?d\?\[2J\{\}\?'
    status --openmetrics | tee "$world/metrics" | python3 "$e2e_folder/openmetrics.py"
    status --json | python3 -c '
import json, sys
assert [c["program"] for c in json.load(sys.stdin)["clients"] if not c["program"].startswith("probe")] == ["a\"b\\c?d?[2J{}?"]'
    touch "$world/named.end"
    fails 0 ended named
}

users_see_their_own() {
    configure "access = [\"root\", \"$ALICE\", \"$BOB\"];"
    start_host
    background alice as "$ALICE" "$SHMIPC" call -t 0
    background bob as "$BOB" "$SHMIPC" call -t 0
    wait_for host_has clients 2
    [ "$(status clients -n -o uid,program | grep -c 'shmipc call')" = 2 ]
    [ "$(as "$ALICE" "$SHMIPC" status clients -n -o uid)" = "$ALICE" ]
    [ "$(as "$BOB" "$SHMIPC" status slots -n -o user,state | tr -s ' ')" = "$BOB queued" ]
    says <(as "$ALICE" "$SHMIPC" status) 'You +see your own clients only'
    says <(as "$ALICE" "$SHMIPC" status) '^Clients +2 of '
    fails 1 grep '^You' <(status)
    start_workers worker
    fails 0 ended alice
    fails 0 ended bob
}

# The host's own group, which is that of who started it.
members_of_the_hosts_group_see_all() {
    configure "access = [\"root\", \"$ALICE\", \"$BOB\"]; workers = [\"$ALICE\"];"
    start_host as "$ALICE"
    background alice as "$ALICE" "$SHMIPC" call -t 0
    wait_for host_has clients 1
    [ "$(as "$BOB" "$SHMIPC" status clients -n)" = 'No clients.' ]
    [ "$(groups=$ALICE as "$BOB" "$SHMIPC" status clients -n -o uid,program | grep -c "^$ALICE shmipc call")" = 1 ]
    start_workers_as_alice
    fails 0 ended alice
}
start_workers_as_alice() {
    start worker as "$ALICE" </dev/null
    wait_for host_has workers 1
}

# Three calls of one command that takes a moment: each stage has counted each.
latency_is_told_by_stage() {
    local i
    start_pair '' "$(runs sh -c 'sleep 0.01; cat')"
    for i in 1 2 3; do echoes "$i"; done
    status latency >"$world/latency"
    cat "$world/latency"
    says "$world/latency" '^queued +3 '
    says "$world/latency" '^running +3 +[0-9.]+(ms|s) '
    says "$world/latency" '^replied +3 '
    says <(status) '^Latency +queued .*, running .*, replied '
    status --json latency | python3 -c '
import json, sys
stages = {row["stage"]: row for row in json.load(sys.stdin)["latency"]}
assert list(stages) == ["queued", "running", "replied"]
for row in stages.values():
    assert row["p50_ns"] <= row["p90_ns"] <= row["p99_ns"] <= row["p999_ns"] <= row["max_ns"], row
assert stages["running"]["p50_ns"] >= 10_000_000, stages'
}

metrics_are_as_the_format_wants_them() {
    start_pair
    echoes once
    status --openmetrics >"$world/metrics"
    python3 "$e2e_folder/openmetrics.py" <"$world/metrics"
    says "$world/metrics" '^shmipc_exchanges_total\{host="host",end="done"\} 1$'
    says "$world/metrics" '^shmipc_stage_seconds_count\{host="host",stage="running"\} 1$'
    says "$world/metrics" '^shmipc_limit_used\{host="host",limit="max_clients"\} 0$'
    [ "$(tail -n 1 "$world/metrics")" = '# EOF' ]
}

# Who reads meanwhile has the old ones or the new ones; what cannot be written leaves nothing.
metrics_replace_a_file_in_one_go() {
    start_pair
    mkdir "$world/collector"
    echo old >"$world/collector/shmipc.prom"
    exec 7<"$world/collector/shmipc.prom"
    status --openmetrics="$world/collector/shmipc.prom"
    [ "$(cat <&7)" = old ]
    exec 7<&-
    python3 "$e2e_folder/openmetrics.py" --text <"$world/collector/shmipc.prom"
    fails 1 python3 "$e2e_folder/openmetrics.py" <"$world/collector/shmipc.prom"
    says "$world/collector/shmipc.prom" '^# TYPE shmipc_refused_total counter$'
    [ "$(stat -c %a "$world/collector/shmipc.prom")" = 644 ]
    [ "$(ls "$world/collector")" = shmipc.prom ]
    refuses 1 'No such file' status --openmetrics="$world/nowhere/shmipc.prom"
    mkdir "$world/collector/folder"
    refuses 1 'directory' status --openmetrics="$world/collector/folder"
    [ "$(ls "$world/collector" | wc -l)" = 2 ]
    mkfifo "$world/collector/device"
    refuses 1 'device is a directory, a device' status --openmetrics="$world/collector/device"
    [ -p "$world/collector/device" ]
    ln -s shmipc.prom "$world/collector/link"
    refuses 1 'would be replaced' status --openmetrics="$world/collector/link"
    [ -L "$world/collector/link" ]
    refuses 2 'goes with no table' status --openmetrics clients
}

# A host of version 9.8.7 that answers each question with a row of itself of $1 bytes, one of a client of $2,
# one that nobody knows yet, and the end; or with a trace of $3 bytes.
start_host_of_another_age() {
    background old python3 -c '
import os, socket, struct, sys
host, client, traced = map(int, sys.argv[2:])
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1] + ".new")
listener.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
def row(type, serial, size, body=b""):
    return struct.pack("=IIQ", type, size, serial) + body.ljust(size - 16, b"\0")
while True:
    peer = listener.accept()[0]
    peer.recv(512)
    asked, _, serial = struct.unpack_from("=IIQ", peer.recv(512))
    if asked == 28:
        rows = [row(29, serial, traced)]
    else:
        rows = [row(19, serial, host, struct.pack("=64s32s6Q", b"host", b"9.8.7", 1, 1, 1, 1, 1, 4711)),
                row(20, serial, client), row(9999, serial, 64), row(22, serial, 16)]
    try:
        for each in rows: peer.send(each)
    except OSError: # it has heard enough
        pass
    peer.close()
' "$SHMIPC_SOCKET" "$@"
    wait_for [ -S "$SHMIPC_SOCKET" ]
}
end_host_of_another_age() {
    murder old
    rm "$SHMIPC_SOCKET"
}

host_of_another_age_is_understood() {
    local sizes
    for sizes in '384 168 416' '512 512 512'; do
        # shellcheck disable=SC2086 # three words
        start_host_of_another_age $sizes
        status >"$world/status"
        says "$world/status" '^Host host: not known yet, shmipc 9.8.7, pid 1, '
        tr -s ' \n' ' ' <"$world/status" >"$world/words"
        says "$world/words" 'Warning: the host runs shmipc 9.8.7, and this is shmipc .*: `systemctl restart shmipc@host`'
        says <(status --json) '"done": 4711'
        status --openmetrics | tee "$world/metrics" | python3 "$e2e_folder/openmetrics.py"
        says "$world/metrics" '^shmipc_build_info\{host="host",version="9.8.7"\} 1$'
        end_host_of_another_age
    done
}

host_that_is_not_understood_is_exit_3() {
    local wish age='runs shmipc 9.8.7, and this is shmipc [0-9.]+: they do not understand each other; `systemctl restart shmipc@host`'
    start_host_of_another_age 512 160 408
    for wish in status 'status --json' 'status --openmetrics' 'status slots' trace; do
        # shellcheck disable=SC2086 # a word or two
        refuses 3 "$age" bounded "$SHMIPC" $wish
    done
    [ ! -x "${SHMIPC%/*}/shmipc-top" ] || refuses 3 "$age" bounded "$SHMIPC" top -b
    end_host_of_another_age
}

# They wait for a host that is gone; but not for ever at one that they do not understand.
those_who_look_end_at_such_a_host() {
    local name names=trace
    configure
    start_host
    background trace "$SHMIPC" trace </dev/null
    [ ! -x "${SHMIPC%/*}/shmipc-top" ] || { names='trace top'; background top "$SHMIPC" top -b -d 50ms </dev/null; }
    for name in $names; do wait_for [ -s "$world/$name.log" ]; done
    stop host
    for name in $names; do wait_for says "$world/$name.log" 'is gone'; done
    start_host_of_another_age 512 160 408
    for name in $names; do
        fails 3 ended "$name"
        says "$world/$name.log" 'runs shmipc 9.8.7, and this is shmipc'
    done
    end_host_of_another_age
}

bad_usage_is_2() {
    refuses 2 'there is no table .client.: clients, workers' status client
    refuses 2 'takes one table at a time' status clients workers
    refuses 2 '-o goes with a table' status -o PID
    refuses 2 '.nope. is no column of .workers.' status -o pid,nope workers
    refuses 2 '.. is no column of' status -o '' workers
    refuses 2 '.. is no column of' status -o + workers
    refuses 2 'too many columns' status -o "$(printf 'PID,%.0s' {1..64})PID" workers
    says <(status -o help) '^workers +WORKER INSTANCE'
}

scenario 'the overview says what goes on, in 80 columns' overview_says_what_goes_on
scenario 'no worker is a warning' no_worker_is_a_warning
scenario 'each table is there, with the columns that are wished' each_table_is_there
scenario 'JSON has every table' json_has_every_table
scenario 'an odd name breaks neither tables nor JSON' odd_name_breaks_nothing
scenario 'latency is told by stage' latency_is_told_by_stage
scenario 'metrics are as the format wants them' metrics_are_as_the_format_wants_them
scenario 'metrics replace a file in one go' metrics_replace_a_file_in_one_go
scenario_if has_uids 'users see what is their own' users_see_their_own
scenario_if has_uids 'members of the group of the host see all' members_of_the_hosts_group_see_all
scenario 'a host that is older or newer is understood' host_of_another_age_is_understood
scenario 'one that is not is told with both versions, and is exit 3' host_that_is_not_understood_is_exit_3
scenario 'those who look already end there, too' those_who_look_end_at_such_a_host
scenario 'bad usage is exit 2' bad_usage_is_2

finish
