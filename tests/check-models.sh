#!/bin/bash
# SPDX-License-Identifier: MIT
# The models of docs/protocol.md, section 8, checked with spin. Prints TAP.
# Usage: check-models.sh FOLDER-OF-MODELS
#
# A model holds if spin has seen every state of it and no fault. A broken variant has one rule of the
# protocol taken out, and must be rejected: that shows that the model can tell.
set -u

models=$(realpath "$1") || exit 1

# What is expected, the model, its bounds or the rule that is taken out. -DNP asks for runs without an end.
cases=(
    'holds claim'
    'holds claim -DCLIENTS=2 -DMISHAPS=1 -DATTEMPTS=1 -DDEPTH=1'
    'holds claim -DFOREIGN'
    'rejected claim -DNO_REANNOUNCE'
    'rejected claim -DNO_RENOTIFY'
    'rejected claim -DREDELIVER_UNSEEN'
    'rejected claim -DSETTLE_AT_LEAVING'
    'rejected claim -DNO_ATTEMPTS_LIMIT'
    'rejected claim -DNO_PING'
    'rejected claim -DNO_TIMEOUT'
    'rejected claim -DSTALE_NOTE'
    'rejected claim -DNEED_NOTE'
    'rejected claim -DSWAP_UNCHECKED'
    'rejected claim -DFORGET_GONE'
    'rejected claim -DFOREIGN -DANNOUNCE_AT_EXIT'
    'rejected claim -DFOREIGN -DREPAIR_ONCE'
    'holds queue'
    'holds queue -DCLIENTS=2 -DSLOTS=1'
    'holds queue -DROUNDS=2'
    'holds queue -DROUNDS=2 -DSLOTS=1 -DNP'
    'rejected queue -DSKIP_REQUEST'
    'rejected queue -DHOST_BLOCKS'
    'rejected queue -DHOST_SKIPS'
    'rejected queue -DCLIENT_BLOCKS_BLIND'
    'rejected queue -DNO_LOOK'
    'rejected queue -DNO_RENOTIFY'
    'rejected queue -DNOTIFY_BEFORE_END'
    'rejected queue -DBLOCKING_SENDS'
    'rejected queue -DFORGET_POLLOUT'
    'rejected queue -DEXCLUSIVE_WAKE_UP'
    'rejected queue -DROUNDS=2 -DSLOTS=1 -DNP -DDEBT_STAYS'
    'holds reuse -DEXCHANGES=2'
    'holds reuse -DEXCHANGES=4 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEADLINES'
    'holds reuse -DWORKERS=0'
    'rejected reuse -DNO_GENERATION'
    'rejected reuse -DMODULUS=2'
    'rejected reuse -DLOOK_FIRST'
    'rejected reuse -DLOOK_BEFORE_WISH'
    'rejected reuse -DCLAIM_UNSUBMITTED'
    'rejected reuse -DTRUST_MESSAGE'
    'rejected reuse -DGENERATION_FIRST'
    'rejected reuse -DWORD_FIRST'
    'rejected reuse -DREUSE_BEFORE_END'
    'rejected reuse -DHOST_WRITES_OPEN'
    'rejected reuse -DHOST_TEARS'
    'rejected reuse -DHOST_STORES'
    'rejected reuse -DDEADLINES -DCLOCK_BEFORE_CLAIM'
    'rejected reuse -DWORKERS=0 -DNO_LOOK_PACKET'
)

if ! command -v spin >/dev/null; then
    echo '1..0 # SKIP spin is not installed'
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Make and run the verifier in the present folder. It is compiled without -O: that would take longer than
# the searches, which are small. Partial order reduction stays on (no NOREDUCE): what is asked are
# assertions and cycles, and no process has a `provided` clause or asks for enabled(), which alone it
# does not agree with.
verify() {
    local model=$2 property=-DSAFETY run=(-m200000 -w20)
    shift 2

    case " $* " in
    *' -DNP '*) property=-DNP run+=(-l) ;;
    esac
    spin -a "$@" "$models/$model.pml" &&
        gcc -w "$property" -DMEMLIM=1024 -o pan pan.c &&
        ./pan "${run[@]}"
}

saw_everything() {
    grep -q 'errors: 0$' "$1" &&
        ! grep -qE 'max search depth too small|out of memory|Search not completed' "$1"
}

saw_a_fault() {
    grep -q 'errors: [1-9]' "$1" &&
        grep -qE '^pan:1: (assertion violated|invalid end state|non-progress cycle)' "$1"
}

# Return: whether @expected is what the verifier said in file @said.
is_as_expected() {
    case $1 in
    holds) saw_everything "$2" ;;
    rejected) saw_a_fault "$2" ;;
    esac
}

# Leave in the case's folder what is printed of it.
check() {
    local n=$1 expected=$2 verdict=ok
    shift

    mkdir "$work/$n" && cd "$work/$n" || return
    verify "$@" >said 2>&1
    is_as_expected "$expected" said || verdict='not ok'
    echo "$verdict $n - ${*:2} $([ "$expected" = holds ] && echo holds || echo is rejected)"
    [ "$verdict" = ok ] || tail -n 40 said | sed 's/^/# /'
} >"$work/$1.tap"

echo "1..${#cases[@]}"
n=0
for case in "${cases[@]}"; do
    n=$((n + 1))
    [ "$n" -le 2 ] || wait -n # two at a time: the memory of more would add up
    # shellcheck disable=SC2086 # words of the table
    check "$n" $case &
done
wait
failed=0
for ((n = 1; n <= ${#cases[@]}; n++)); do
    cat "$work/$n.tap"
    ! grep -q '^not ok' "$work/$n.tap" || failed=1
done
exit "$failed"
