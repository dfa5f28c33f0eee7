#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nobody listens: what host, worker and call have to say goes nowhere, or to somebody who takes nothing. That
# stops nothing: exchanges go on, and who is told to stop does.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A pipe that is full and that nobody reads; it is open as descriptor 7.
full_pipe() {
    mkfifo "$world/pipe"
    exec 7<>"$world/pipe"
    dd if=/dev/zero of="$world/pipe" bs=64K count=64 oflag=nonblock status=none 2>/dev/null || :
}

# Run $2… with its standard error in the file $1.
complains_to() {
    local place=$1
    shift
    # shellcheck disable=SC2093 # in the place of the process that background() has made
    exec "$@" 2>>"$place"
}

# Start host and worker, each by means of $1…, and everything that they do is told.
start_pair_by() {
    configure 'log_level = "debug"' 'log_level = "debug"; handler = { type = "echo" }'
    start host "$@" </dev/null
    wait_for [ -S "$SHMIPC_SOCKET" ]
    start worker "$@" </dev/null
    wait_for host_has workers 1
}

# Many more lines than there is room for.
goes_on() {
    local i
    for i in 1 2 3 4 5; do
        bounded "$E2E_TOOLS/client" -n 2 $((i * 1000)) $((i * 100000)) 10 200000 1
        echoes "call number $i"
    done
    kill -HUP "${pids[host]}" "${pids[worker]}"
    echoes 'after a reload'
    wait_for host_has clients 0
}

standard_error_is_a_full_pipe() {
    full_pipe
    start_pair_by complains_to "$world/pipe"
    goes_on
    echo what | call 2>"$world/pipe" | grep -qx what
}

standard_error_is_full() {
    start_pair_by complains_to /dev/full
    goes_on
    echo what | call 2>/dev/full | grep -qx what
}

standard_error_is_closed() {
    start_pair_by sh -c 'exec "$@" 2>&-' sh
    goes_on
    echo what | call 2>&- | grep -qx what
}

lines_that_were_lost_are_counted() {
    full_pipe
    start_pair_by complains_to "$world/pipe"
    goes_on
    background reader cat "$world/pipe"
    wait_for tells_what_was_lost
    murder reader
}

# There is something to say, and it is preceded by what could not be said.
tells_what_was_lost() {
    echoes 'once somebody reads'
    tr -d '\0' <"$world/reader.log" | grep -qE 'warning: [0-9]+ lines? before this one could not be logged'
}

# --- the journal and the service manager ---

# A datagram socket that takes a few and is never read; @NAME is an abstract one.
never_read() {
    background listener python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\0", 1))
print("bound", flush=True)
time.sleep(1000)' "$1"
    wait_for says "$world/listener.log" bound
}

# Have /run/systemd/journal to ourselves.
own_journal() {
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/journal
}

# As systemd starts a service: standard error is a stream of the journal's, which is told to it.
in_service() {
    # shellcheck disable=SC2016
    exec sh -c 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"' sh "$@"
}

journal_is_never_read() {
    own_journal
    never_read /run/systemd/journal/socket
    start_pair_by in_service
    goes_on
    fails 1 says "$world/host.log" 'attached' # it went to the journal
    leave_journal
}

journal_is_absent() {
    own_journal
    start_pair_by in_service
    goes_on
    leave_journal
}

leave_journal() {
    [ -z "${pids[listener]-}" ] || murder listener
    umount -l /run
}

service_manager_never_reads() {
    local socket=$1$world/notify
    never_read "$socket"
    start_pair_by env NOTIFY_SOCKET="$socket"
    goes_on
    murder listener
}

service_manager_is_absent() {
    start_pair_by env NOTIFY_SOCKET="$world/nowhere"
    goes_on
}

scenario 'a full pipe as standard error, which nobody reads, stops nothing' standard_error_is_a_full_pipe
scenario 'a full disk under standard error stops nothing' standard_error_is_full
scenario 'no standard error stops nothing' standard_error_is_closed
scenario 'lines that nobody took are counted once somebody does' lines_that_were_lost_are_counted
scenario_if has_namespaces 'a journal that takes no more stops nothing' journal_is_never_read
scenario_if has_namespaces 'a journal that is not there stops nothing' journal_is_absent
scenario 'a service manager that never reads stops nothing' service_manager_never_reads ''
scenario 'nor one with an abstract name' service_manager_never_reads @
scenario 'a service manager that is not there stops nothing' service_manager_is_absent
finish
