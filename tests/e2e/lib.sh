# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2119,SC2120 # functions that take arguments or none
#
# What the end-to-end tests share: each scenario is a world of its own, with a folder, a configuration, a
# socket and the daemons that it starts. When it ends, they are told to stop and must do so with exit
# status 0, and nothing may be left of them: no process, no memory, no queue, no socket.
#
# As root a script runs in namespaces of its own (IPC, mounts, processes), as another user likewise in a user
# namespace; all that it starts dies with it. Where there are no namespaces it runs without, and what needs
# them is skipped.
#
# Environment: SHMIPC, the program under test; E2E_TOOLS, the folder of the programs that are built for this.
set -u
export LC_ALL=C.UTF-8

: "${SHMIPC:?say which program to test}" "${E2E_TOOLS:?say where the programs for testing are}"
export SHMIPC E2E_TOOLS
[ -x "$SHMIPC" ] || { echo "Bail out! there is no $SHMIPC"; exit 1; }

e2e_script=$0
e2e_folder=$(dirname "$(realpath "$0")")
# shellcheck source=tests/tap.sh
. "$e2e_folder/../tap.sh"

# What takes longer never comes; nothing here is measured.
HANG_SECONDS=${E2E_HANG_SECONDS:-120}

# --- namespaces ---

own_namespaces() {
    unshare "$@" --ipc --mount --pid --fork --kill-child --mount-proc \
        sh -c 'mount -t tmpfs -o mode=1777,size=90% tmpfs /dev/shm && exec "$@"' sh "${e2e_command[@]}"
}

# Run this script again, in there. Return: only if that is not to be had.
enter_namespaces() {
    local user
    for user in '' '--user --map-root-user'; do
        e2e_command=(true)
        # shellcheck disable=SC2086 # two words or none
        own_namespaces $user 2>/dev/null || continue
        e2e_command=(env E2E_NAMESPACES=yes "$BASH" "$e2e_script" "$@")
        # shellcheck disable=SC2086
        own_namespaces $user
        exit
    done
}

[ -n "${E2E_NAMESPACES-}" ] || enter_namespaces "$@"
has_namespaces=${E2E_NAMESPACES:-no}

# Uids that nothing else uses.
# shellcheck disable=SC2034 # for the scripts
ALICE=61184 BOB=61185 CAROL=61186
# shellcheck disable=SC2034
if setpriv --reuid $ALICE --regid $ALICE --clear-groups true 2>/dev/null; then
    has_uids=yes
else
    has_uids=no
fi

# Run $2… as the user $1, who is in no group but $groups. (background() has it run in its own process's
# place.)
as() {
    local uid=$1
    shift
    if [ -n "${groups-}" ]; then
        ${exec-} setpriv --reuid "$uid" --regid "$uid" --groups "$groups" "$@"
    else
        ${exec-} setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
    fi
}

# Files for all tests of the script; in memory, if that can be, where holes cost nothing.
files=$(mktemp -d)
queues=
if [ "$has_namespaces" = yes ]; then
    mount -t tmpfs tmpfs "$files"
    mkdir "$files/queues"
    mount -t mqueue mqueue "$files/queues" && queues=$files/queues
fi
chmod 755 "$files"

files_remove() {
    [ -z "$queues" ] || umount "$queues"
    [ "$has_namespaces" = no ] || umount "$files"
    rm -rf "$files"
}
trap files_remove EXIT

# A file of $1 random bytes. The same size has the same bytes.
payload() {
    local file=$files/$1
    {
        flock 9 # both ends of a pipe may ask
        [ -e "$file" ] || head -c "$1" /dev/urandom >"$file"
    } 9>"$files/lock"
    echo "$file"
}

# A file of $1 bytes that takes neither time nor room to make: zeros with random islands at its ends, in its
# middle and around 2^32.
sparse_payload() {
    local file=$files/$1.sparse at
    {
        flock 9
        if [ ! -e "$file" ]; then
            truncate -s "$1" "$file"
            for at in 0 $(($1 / 2)) $(((1 << 32) - 4096)) $(($1 - 8192)); do
                [ $at -ge "$1" ] || head -c 8192 /dev/urandom |
                    dd of="$file" oflag=seek_bytes seek=$at conv=notrunc status=none
            done
        fi
    } 9>"$files/lock"
    echo "$file"
}

# Bytes of memory that may still be used, as far as the machine and our control group (of the newer kind) say.
memory_available() {
    local free group limit used
    free=$(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) * 1024))
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    limit=$(cat "$group/memory.max" 2>/dev/null) || limit=max
    if [ "$limit" != max ]; then
        used=$(cat "$group/memory.current")
        [ $((limit - used)) -ge "$free" ] || free=$((limit - used))
    fi
    echo "$free"
}

# --- tests ---

skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests - $1 # SKIP $2"
}

# Run $2… as the test that is called $1, in a world of its own.
scenario() {
    check "$1" in_world "${@:2}"
}

# As scenario(), if $1 (as "has_uids") says yes.
scenario_if() {
    if [ "${!1}" = yes ]; then
        scenario "${@:2}"
    else
        skip "$2" "not possible here: ${1#has_}"
    fi
}

in_world() {
    world_begin
    trap world_clear EXIT
    "$@"
    world_end
}

# Wait until a condition holds.
wait_for() {
    local until=$((SECONDS + HANG_SECONDS)) said
    until said=$("$@" 2>&1); do
        [ $SECONDS -lt $until ] || { echo "never: $*"; echo "$said"; return 1; }
        sleep 0.02
    done
}

says() { # FILE PATTERN
    grep -qE -- "$2" "$1"
}

# --- a world ---

world_begin() {
    world=$(mktemp -d)
    chmod 1777 "$world" # for whoever is the host
    config=$world/shmipc.conf
    export E2E_WORLD=$world SHMIPC_SOCKET=$world/host.sock STATE_DIRECTORY=$world/state/host
    declare -gA pids=()
}

# However a scenario ended: end what it has started, and show the logs if it failed.
world_clear() {
    local status=$? log
    [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || :
    wait
    if [ $status != 0 ]; then
        for log in "$world"/*.log; do
            [ ! -s "$log" ] || sed "s,^,${log##*/}: ," "$log" | tail -n 30
        done
    fi
    rm -rf "$world"
}

# The end of a scenario that went well. Workers go first, so that the host says goodbye to them.
world_end() {
    local name
    for name in "${!pids[@]}"; do
        [ "$name" = host ] || stop "$name"
    done
    [ -z "${pids[host]-}" ] || stop host
    wait_for nothing_is_left
    fails 1 grep -rhE --include='*.log' 'Sanitizer|runtime error:' "$world"
}

nothing_is_left() {
    local left
    left=$(list_what_is_left)
    echo "$left"
    [ -z "$left" ]
}

# Processes, memory, queues, files of this world.
list_what_is_left() (
    set +e          # some find nothing
    unset E2E_WORLD # who looks is not of it
    grep -lFz "E2E_WORLD=$world" /proc/[0-9]*/environ 2>/dev/null
    find "$world" -name '*.sock*'
    find /dev/shm -name 'shmipc.*'
    [ -z "$queues" ] || ls "$queues"
    [ "$has_namespaces" = no ] || memory_used | grep -vx 0
    :
)

# Bytes in the file system of shared memory, also those of objects without a name.
memory_used() {
    df --output=used -B1 /dev/shm | tail -n 1 | tr -d ' '
}

memory_is_less() {
    [ "$(memory_used)" -lt "$1" ]
}

# The settings of the host are $1, those of its worker $2.
configure() {
    printf 'host: { role = "host"; %s };\nworker: { role = "worker"; %s };\n' "${1-}" "${2-}" >"$config"
}

# The setting for a handler that runs the command $1….
runs() {
    printf 'handler = { type = "exec"; command = ['
    printf '"%s"' "$1"
    shift
    [ $# = 0 ] || printf ', "%s"' "$@"
    printf ']; };'
}

# The setting for a handler that runs the shell script on standard input. $E2E_WORLD is its world.
runs_script() {
    cat >"$world/handler"
    runs sh "$world/handler"
}

# Start $2… in the background, called $1, with its output in $1.log.
background() {
    local name=$1 exec=exec
    shift
    "$@" >>"$world/$name.log" 2>&1 <&0 &
    pids[$name]=$!
}

# Start the instance $1, by means of $2….
start() {
    local name=$1
    shift
    background "$name" "$@" "$SHMIPC" run "$name" -c "$config"
}

# Start the instance $1, by means of $3…, and wait until its log says $2, once more than it did: the one before
# may have said it, too.
start_until() {
    local name=$1 pattern=$2 n
    shift 2
    n=$(times_said "$name" "$pattern")
    start "$name" "$@" </dev/null
    wait_for says_again_or_has_ended "$name" "$pattern" "$n"
    says_again "$name" "$pattern" "$n"
}
times_said() {
    [ ! -e "$world/$1.log" ] || grep -cE -- "$2" "$world/$1.log" || true
}
says_again() {
    [ "$(times_said "$1" "$2")" -gt "${3:-0}" ]
}
says_again_or_has_ended() {
    says_again "$@" || has_ended "${pids[$1]}"
}

# Start a host by means of $1…, and wait until it can be called.
start_host() {
    start_until host 'ready: takes clients' "$@"
}

# Start workers, and wait until all are attached to a host that had none.
start_workers() {
    local name
    for name in "$@"; do
        start "$name" </dev/null
    done
    wait_for host_has workers $#
}

# A host and its worker, with their settings.
start_pair() {
    configure "${1-}" "${2-}"
    start_host
    start_workers worker
}

# Wait until what is called $1 has ended. Return: its exit status.
ended() {
    local pid=${pids[$1]}
    wait_for has_ended "$pid" || return # also where fails() asks, or it would wait without end
    unset "pids[$1]"
    wait "$pid"
}

has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# Ask it to stop; it must do so, and well.
stop() {
    kill -TERM "${pids[$1]}"
    fails 0 ended "$1"
}

# Kill it as nobody can foresee.
murder() {
    kill -KILL "${pids[$1]}"
    fails 137 ended "$1"
}

# What the host says of itself: a number, or a text in quotes.
host_says() {
    bounded "$SHMIPC" status --json | sed -n "s/^ *\"$1\": \\(.*[^,]\\),*\$/\\1/p" | head -n 1
}

host_has() {
    local said
    said=$(host_says "$1")
    echo "$1: $said"
    [ "$said" = "$2" ]
}

# Run a program that may hang.
bounded() {
    ${exec-} timeout "$HANG_SECONDS" "$@"
}

call() {
    bounded "$SHMIPC" call "$@"
}

# Whether what is sent comes back.
echoes() {
    [ "$(echo "$*" | call)" = "$*" ]
}

# Whether a call fails with the exit status $1, nothing on standard output, and a message that matches $2.
refuses() {
    local wanted=$1 pattern=$2
    shift 2
    fails "$wanted" "$@" >"$world/out" 2>"$world/err" </dev/null
    cat "$world/err"
    [ ! -s "$world/out" ]
    says "$world/err" "$pattern"
}

# Whether the time (-t) of the command $2… runs out where a message says so that matches $1. On a busy machine it
# may have run out before, somewhere else: then there is more of it.
runs_out() {
    local pattern=$1 ms
    shift
    for ms in 300 1000 3000 9000 27000; do
        refuses 5 'timed out' "$1" -t "${ms}ms" "${@:2}"
        ! says "$world/err" "$pattern" || return 0
    done
    return 1
}
