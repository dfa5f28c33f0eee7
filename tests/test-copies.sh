#!/bin/bash
# SPDX-License-Identifier: MIT
#
# How often a payload goes through a system call on each path: the table in docs/copies.md, watched by strace.
# Usage: test-copies.sh DAEMON IN-PLACE SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
export LC_ALL=C

daemon=$1
in_place=$2
source=$3
payload=$((64 << 20))
little=$((256 << 10)) # for all that is no payload: libraries and modules being loaded, messages

moves=read,write,pread64,pwrite64,readv,writev,preadv,pwritev,preadv2,pwritev2,splice,vmsplice,tee
moves=$moves,sendfile,copy_file_range,sendto,sendmsg,sendmmsg,recvfrom,recvmsg,recvmmsg
moves=$moves,process_vm_readv,process_vm_writev

strace -qq true 2>/dev/null || { echo '1..0 # SKIP strace cannot watch anything here'; exit 0; }
work=$(mktemp -d) || exit 1
export SHMIPC_SOCKET=$work/host.sock
pids=
# shellcheck disable=SC2086 # lists of numbers
stop_all() {
    [ -z "$pids" ] || { kill $pids; wait $pids; } 2>/dev/null || true
    pids=
}
trap 'rm -rf "$work"' EXIT

start() { # in the background, until its test ends
    "$@" >>"$work/log" 2>&1 &
    pids="$pids $!"
}

watched() { # NAME COMMAND…: what it moves goes to a file of that name, its pid to pid-of-NAME
    local name=$1
    shift
    # shellcheck disable=SC2016 # that shell's own
    timeout 60 strace -ff -qq -e trace="$moves,execve" -e signal=none -o "$work/$name" \
        sh -c 'echo $$ >"$0"; exec "$@"' "$work/pid-of-$name" "$@"
}

# The bytes that $1 has moved, by the calls $2 (a pattern) or any; not those of a command that it runs.
moved() {
    local traces
    traces=$(grep -LE '^execve\("[^"]*/cat"' "$work/$1".* || true) # its exit status has had two meanings
    # shellcheck disable=SC2086 # a list
    awk -v calls="^(${2:-.*})\\(" '$0 ~ calls && $NF > 0 { sum += $NF } END { printf "%d\n", sum }' $traces
}

is_about() { # BYTES WANTED
    echo "$1 bytes, $2 wanted"
    [ "$1" -ge "$2" ] && [ "$1" -lt $(($2 + little)) ]
}

start_host() { # [SETTINGS [HANDLER]]
    printf '%s: { role = "%s"; log_level = "err"; %s };\n' \
        host host "${1-}" worker worker "${2-}" >"$work/conf"
    trap stop_all EXIT # of the test's own shell, also where it fails
    start "$daemon" run host -c "$work/conf"
    within 60 "$daemon" status
}

exchange_in_place() { # [SETTINGS]
    rm -f "$work"/client.* "$work"/worker.*
    start_host "$@"
    watched worker "$in_place" worker &
    pids="$pids $!"
    watched client "$in_place" client "$payload"
    wait "${pids##* }"
}

in_place_client_moves_nothing() {
    exchange_in_place
    is_about "$(moved client)" 0
    is_about "$(moved worker)" 0
    [ "$(moved client sendmsg)" -gt 0 ] # it was watched
    [ "$(moved worker sendmsg)" -gt 0 ]
}

untrusted_request_is_read_once() {
    exchange_in_place 'trusted = [];'
    is_about "$(moved client)" 0
    is_about "$(moved worker)" "$payload"
    is_about "$(moved worker pread64)" "$payload"
}

call_and_worker() { # SETTINGS HANDLER
    rm -f "$work"/client.* "$work"/worker.*
    head -c "$payload" /dev/zero >"$work/file"
    start_host "$1" "$2"
    watched worker "$daemon" run worker -c "$work/conf" &
    pids="$pids $!"
    watched client "$daemon" call -o "$work/out" "$work/file"
    cmp "$work/file" "$work/out"
    kill "$(cat "$work/pid-of-worker")"
    wait "${pids##* }" # the tracer ends with the worker, and has written all by then
}

call_reads_and_writes_once() {
    call_and_worker '' 'handler = { type = "echo"; };'
    is_about "$(moved client)" $((2 * payload))
    is_about "$(moved client read)" "$payload"
    is_about "$(moved client write)" "$payload"
    is_about "$(moved worker)" 0
}

exec_splices_and_reads_once() { # SETTINGS: whoever asks
    call_and_worker "$1" 'handler = { type = "exec"; command = ["cat"]; };'
    is_about "$(moved worker)" $((2 * payload))
    is_about "$(moved worker splice)" "$payload"
    is_about "$(moved worker read)" "$payload"
}

python_moves_nothing() {
    rm -f "$work"/client.*
    start_host
    start python3 "$source/docs/examples/worker.py"
    watched client python3 -c "
import shmipc
with shmipc.connect() as host:
    request = host.take($payload)
    request.data[:3] = b'abc'
    with request.send().result() as reply:
        assert len(reply) == $payload and reply[-3:] == b'cba'"
    is_about "$(moved client '(pread|pwrite|write|send|recv|splice).*')" 0
    [ "$(moved client)" -lt $((payload / 8)) ] # modules are read
}

check 'C, in place: no payload in any system call, of client or worker' in_place_client_moves_nothing
check 'C, of a user who is not trusted: one pread by the worker' untrusted_request_is_read_once
check 'shmipc call: one read and one write; a worker that echoes moves nothing' call_reads_and_writes_once
check 'exec: one splice of the request, one read of the response' exec_splices_and_reads_once ''
check 'exec, of a user who is not trusted: the same' exec_splices_and_reads_once 'trusted = [];'
check 'Python, in place: none' python_moves_nothing
finish
