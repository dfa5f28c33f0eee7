#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Attacks on a host, by users whom it lets in and by strangers. Nobody else is hurt, nor host and worker: see
# siege.c for what is measured and judged meanwhile, attack-*.c for what is done.
#
# test-hostile.sh [long]: with "long" each attack is also made by several processes, and the three
# measurements take turns, with the service and the honest client on one CPU and attackers and company on the
# others, if there are any. In the environment: HOSTILE_MS, how long each measurement takes;
# HOSTILE_BEFORE_MS, how long an attack has gone on when it is measured; HOSTILE_TURNS; HOSTILE_COPIES, by
# how many at a time; HOSTILE_ATTACKS, the names of those to run; HOSTILE_SEED, what the last run has
# printed.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/../e2e/lib.sh"

WORKER=61190 OTHER=61191 # uids as well
ECHO='handler = { type = "echo"; };'
CAT=$(runs cat)
megabyte=1048576
if [ "${1-}" = long ]; then
    window=${HOSTILE_MS:-300} before=${HOSTILE_BEFORE_MS:-3000} turns=${HOSTILE_TURNS:-5} copies=${HOSTILE_COPIES:-1 4}
else
    window=${HOSTILE_MS:-100} before=0 turns=${HOSTILE_TURNS:-1} copies=${HOSTILE_COPIES:-1}
fi
HOSTILE_SEED=${HOSTILE_SEED:-$RANDOM}
export HOSTILE_SEED
echo "# HOSTILE_SEED=$HOSTILE_SEED, $(nproc) CPUs, windows of $window ms, $turns of each"
own_cpus=
if [ "${1-}" = long ] && [ "$(nproc)" -gt 1 ]; then
    first=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
    taskset -cp "$first" $$ >/dev/null && own_cpus=-c
fi

host_settings() {
    echo "access = [\"root\", \"$ALICE\", \"$BOB\"]; max_payload = \"16M\"; requests_per_client = 4;
        health_interval = \"1s\"; $*"
}

# The same host and as many workers are there, and serve others.
nobody_is_hurt() { # N-WORKERS
    local n_workers=${1-1}
    kill -0 "${pids[@]}"
    host_has workers "$n_workers"
    host_has redelivered 0
    call "$(payload 100000)" | cmp - "$(payload 100000)"
    wait_for host_has clients 0
    wait_for host_has in_flight 0
}

siege() { # USER COPIES OPTION... ATTACK
    local user=$1 n=$2
    shift 2
    # shellcheck disable=SC2086 # one word or none
    bounded "$E2E_TOOLS/siege" -w "$window" -b "$before" -k "$turns" $own_cpus -h "$BOB" -u "$user" -n "$n" "$@" |
        tee "$files/line"
}

besieged() { # HANDLER USER COPIES OPTION... ATTACK
    start_pair "$(host_settings)" "$1"
    shift
    siege "$@"
    nobody_is_hurt
}

# The names are taken before the host is there.
squatted() { # ATTACK
    configure "$(host_settings)" "$ECHO"
    mkfifo "$world/end"
    exec 3<>"$world/end"
    background squatter as "$CAROL" "$E2E_TOOLS/attack" "$1" <"$world/end" 3>&-
    wait_for says "$world/squatter.log" 'under way'
    start_host
    start_workers worker
    siege "$CAROL" 1 -a "$1" flicker
    nobody_is_hurt
    echo >&3
    fails 0 ended squatter
}

# Bob's call waits while Alice sends messages in its name, on her queue: they have no effect at all.
forgery_touches_no_call_of_another() {
    # shellcheck disable=SC2016 # for the handler
    configure "$(host_settings)" "$(runs sh -c 'echo x >>$E2E_WORLD/handled; cat')"
    start_host
    echo bob >"$world/in"
    chmod 644 "$world/in"
    background bob as "$BOB" "$SHMIPC" call -t 0 "$world/in"
    wait_for host_has in_flight 1
    mkfifo "$world/end"
    exec 3<>"$world/end"
    background alice as "$ALICE" "$E2E_TOOLS/attack" forge <"$world/end" 3>&-
    wait_for says "$world/alice.log" 'under way'
    start_workers worker
    fails 0 ended bob
    echo >&3
    fails 0 ended alice
    [ "$(cat "$world/bob.log")" = bob ]
    [ "$(wc -l <"$world/handled")" = 2 ] # bob's one, and Alice's honest one at the end
}

# The handler is a shell for Alice, and `cat` for others. Its workers are users of their own, whose processes
# are limited; Bob is answered by the one that is not busy.
handler_besieged() { # ATTACK
    local name
    configure "$(host_settings "workers = [\"root\", \"$WORKER\", \"$OTHER\"];")" \
        "$(runs_script <<'END'
[ "$SHMIPC_CLIENT_UID" != 61184 ] || exec sh
exec cat
END
    )"
    start_host
    chmod 755 "$world/handler"
    start worker prlimit --nproc=40 setpriv --reuid "$WORKER" --regid "$WORKER" --clear-groups </dev/null
    start worker-2 prlimit --nproc=40 setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups </dev/null
    wait_for host_has workers 2
    siege "$ALICE" 1 "$1"
    nobody_is_hurt 2
    wait_for fails 1 pgrep -U "$WORKER,$OTHER" sleep
}

# What the siege has measured, below its test.
show_line() {
    [ ! -s "$files/line" ] || sed 's/^/# /' "$files/line"
    rm -f "$files/line"
}

is_wanted() {
    [ -z "${HOSTILE_ATTACKS-}" ] || [[ " $HOSTILE_ATTACKS " = *" $1 "* ]]
}

# attack NAME WHO WHAT [OPTION...]: NAME is the attack's, WHO one of "client", "trusted" and "stranger".
attack() {
    local name=$1 who=$2 what=$3 user n
    shift 3
    is_wanted "$name" || return 0
    case $who in
    client*) user=$ALICE ;;
    trusted*) user=0 ;;
    *) user=$CAROL ;;
    esac
    for n in $copies; do
        scenario_if has_uids "$what hurts nobody: $who${handler_name:+, $handler_name}, $n at a time" \
            besieged "${handler:-$ECHO}" "$user" "$n" "$@" "$name"
        show_line
    done
}

# --- memory ---
for who in client trusted; do
    attack shrink-before $who 'taking memory away before it is read' -e $megabyte
    attack shrink $who 'taking memory away while it is read' -e $megabyte
    attack punch $who 'punching holes while it is read' -e $megabyte
    attack rewrite $who 'rewriting a payload while it is read' -e $megabyte
done
for name in shrink-before shrink rewrite; do
    handler=$CAT handler_name='a command' attack "$name" client "$name" -e $megabyte
done
attack sparse client 'a payload of holes' -e $((8 * megabyte))
attack overgrow client 'more memory than reserved'
attack reach client 'reaching for what is read only'

# --- messages ---
attack forge client 'forging messages in the name of others' -e 4096
attack garbage-messages client 'random messages' -e 4096
attack wrong-sizes client 'messages of wrong sizes' -e 4096
attack flood client 'a flood of messages at the top priority' -e 4096
attack flood-of-strangers client 'a flood of messages about nobody' -e 4096
attack replay client 'replaying messages' -e 4096
attack notify client 'taking mq_notify' -e 4096
attack blocking client 'clearing O_NONBLOCK' -e 4096
attack deaf client 'never reading replies' -e 0

# --- the submit page ---
attack sizes client 'sizes at every boundary' -e $((2 * megabyte))
attack fields client 'rewriting the submit page meanwhile' -e 4096
attack generations client 'generations that are not the next' -e 4096
attack wishes client 'deadlines that have passed, and cancels' -e 0

# --- the socket ---
attack garbage-packets stranger 'random packets'
attack lengths stranger 'packets too short or too long'
attack versions stranger 'versions that are not spoken'
attack stranger stranger 'asking to be let in'
attack impostor client 'asking to be a worker'
attack out-of-turn client 'speaking out of turn'
attack churn client 'coming and going'
attack look client 'asking for looks without end'
attack reserve client 'asking for memory without end'
attack status client 'asking for the status without end'
attack unread-answers client 'questions whose answers are not read'
attack descriptors stranger 'passing descriptors of every kind'

# --- keeping, stopping ---
attack silent stranger 'hoarding connections'
attack never-received client 'never receiving descriptors'
attack crowd client 'taking all places'
attack queues client 'keeping queues'
attack middle client 'stopping in the middle'

# --- names ---
attack flicker stranger 'names that come and go'
attack queues-max stranger 'taking all queues of the namespace' -r
attack socket-name stranger 'reaching for the socket'

for name in squat-file squat-link squat-fifo squat-folder squat-socket; do
    is_wanted $name || continue
    scenario_if has_uids "names that are taken before the host comes hurt nobody: $name" squatted $name
    show_line
done
scenario_if has_uids 'forged messages touch no call of another user' forgery_touches_no_call_of_another

# --- handlers ---
for name in endless-output endless-errors stops-itself ignores-signals leaves-daemons forks; do
    is_wanted $name || continue
    scenario_if has_uids "a handler that is made to do evil hurts nobody: $name" handler_besieged $name
    show_line
done

finish
