#!/bin/bash
# SPDX-License-Identifier: MIT
# The models of docs/protocol.md, section 8, checked with spin. Prints TAP.
# Usage: check-models.sh FOLDER-OF-MODELS
#
# A model holds if spin has seen every state of it and no fault, and if each of its statements was reached in
# one of its runs. A broken variant has one rule of the protocol taken out, and must be rejected for what the
# rule is there for: that shows that the model can tell.
#
# With MODEL_DEPTH=long in the environment larger bounds are gone through as well, for some minutes.
set -u

models=$(realpath "$1") || exit 1

# What is expected (that it holds, or which property is violated: the word behind the assertion that fails),
# the model, its bounds or the rule that is taken out. -DNP asks for runs without an end: they violate rest.
cases=(
    'holds claim -DMISHAPS=3'
    'holds claim -DATTEMPTS=1'
    'holds claim -DCLIENTS=2 -DMISHAPS=1'
    'holds claim -DFOREIGN'
    'holds claim -DNP'
    'ends claim -DNO_REANNOUNCE'
    'awake claim -DNO_RENOTIFY'
    'kept claim -DREDELIVER_UNSEEN'
    'kept claim -DSETTLE_AT_LEAVING'
    'attempts claim -DNO_ATTEMPTS_LIMIT'
    'awake claim -DNO_PING'
    'ends claim -DNO_TIMEOUT'
    'innocent claim -DSTALE_NOTE'
    'ends claim -DNEED_NOTE'
    'answer claim -DSWAP_UNCHECKED'
    'ends claim -DFORGET_GONE'
    'awake claim -DFOREIGN -DANNOUNCE_AT_EXIT'
    'awake claim -DFOREIGN -DREPAIR_ONCE'
    'holds queue -DSLOTS=3'
    'holds queue -DCLIENTS=2 -DSLOTS=1'
    'holds queue -DROUNDS=2'
    'holds queue -DROUNDS=2 -DSLOTS=1 -DNP'
    'taken queue -DSKIP_REQUEST'
    'taken queue -DHOST_BLOCKS'
    'taken queue -DHOST_SKIPS'
    'awake queue -DCLIENT_BLOCKS_BLIND'
    'awake queue -DNO_LOOK'
    'awake queue -DNO_RENOTIFY'
    'awake queue -DNOTIFY_BEFORE_END'
    'taken queue -DBLOCKING_SENDS'
    'taken queue -DFORGET_POLLOUT'
    'taken queue -DEXCLUSIVE_WAKE_UP'
    'rest queue -DROUNDS=2 -DSLOTS=1 -DNP -DDEBT_STAYS'
    'holds reuse'
    'holds reuse -DEXCHANGES=4 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=2 -DFORGED=0 -DWORKERS=1'
    'holds reuse -DEXCHANGES=2 -DDEADLINES'
    'holds reuse -DWORKERS=0'
    'holds reuse -DWORKERS=0 -DDEADLINES'
    'holds reuse -DEXCHANGES=2 -DNP'
    'ends reuse -DNO_GENERATION'
    'honest reuse -DMODULUS=2'
    'sworn reuse -DLOOK_FIRST'
    'sworn reuse -DLOOK_BEFORE_WISH'
    'honest reuse -DCLAIM_UNSUBMITTED'
    'own reuse -DTRUST_MESSAGE'
    'wanted reuse -DGENERATION_FIRST'
    'own reuse -DWORD_FIRST'
    'ends reuse -DREUSE_BEFORE_END'
    'own reuse -DHOST_WRITES_OPEN'
    'wanted reuse -DHOST_TEARS'
    'kept reuse -DHOST_STORES'
    'sworn reuse -DDEADLINES -DCLOCK_BEFORE_CLAIM'
    'ends reuse -DWORKERS=0 -DNO_LOOK_PACKET'
    'holds poll -DROUNDS=3'
    'holds poll -DSTOPS=1 -DDEATHS=0'
    'holds poll -DCLIENTS=2 -DROUNDS=1'
    'taken poll -DSTOPS=1 -DDEATHS=0 -DSKIPPER_RETURNS'
    'awake poll -DSLEEPS_BLIND'
    'awake poll -DLOOKS_FIRST'
    'awake poll -DASKS_BEFORE_END'
    'prompt poll -DWORKER_BLOCKS_BLIND'
    'alone poll -DTWO_POLLERS'
    'clear poll -DFORGET_POLLER'
)

long_cases=(
    'holds claim -DMISHAPS=4'
    'holds claim -DMISHAPS=3 -DATTEMPTS=3'
    'holds claim -DMISHAPS=3 -DFOREIGN'
    'holds claim -DMISHAPS=2 -DCLIENTS=2'
    'holds queue -DSLOTS=4'
    'holds queue -DROUNDS=2 -DSLOTS=3'
    'holds queue -DROUNDS=2 -DSLOTS=1 -DCLIENTS=2'
    'holds reuse -DEXCHANGES=4'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1'
    'holds reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1'
    'holds reuse -DDEATHS=1 -DFORGED=0'
    'holds reuse -DDEADLINES'
)
lanes=2 # as many at a time, since the memory of more would add up
memory=1000 # MB
compiling=()
if [ "${MODEL_DEPTH-}" = long ]; then
    cases+=("${long_cases[@]}")
    lanes=1
    memory=2000
    compiling=(-O2 -DCOLLAPSE) # states stored in a third of the memory
fi

for program in spin gcc; do
    if ! command -v "$program" >/dev/null; then
        echo "1..0 # SKIP $program is not installed"
        exit 0
    fi
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Make and run the verifier in the present folder. It is compiled without -O: that would take longer than
# the searches, which are small. Partial order reduction stays on (no NOREDUCE): what is asked are
# assertions and cycles, and no process has a `provided` clause or asks for enabled(), which alone it
# does not agree with. Statements are not merged (-o3), so that each is counted when it is reached.
verify() {
    local model=$1 property=-DSAFETY run=(-m200000 -b -w20)
    shift

    case " $* " in
    *' -DNP '*) property=-DNP run+=(-l) ;;
    esac
    spin -a -o3 "$@" "$models/$model.pml" &&
        gcc -w "${compiling[@]}" "$property" -DMEMLIM="$memory" -o pan pan.c &&
        ./pan "${run[@]}"
}

saw_everything() {
    grep -q 'errors: 0$' "$1" &&
        ! grep -qE 'max search depth too small|out of memory|Search not completed' "$1"
}

# The property that the run has seen violated; nothing if it ended for another reason.
violated() {
    local model=$1 line
    shift

    if grep -q '^pan:1: non-progress cycle' said; then
        echo rest
    elif grep -q '^pan:1: assertion violated' said; then
        line=$(spin -k "$model.pml.trail" "$@" "$models/$model.pml" |
            sed -n 's/^spin: .*:\([0-9]*\), Error: assertion violated.*/\1/p' | head -n 1)
        sed -n "${line:-\$}s|.*assert(.*/\* \([a-z]*\) \*/.*|\1|p" "$models/$model.pml"
    fi
}

# The lines of statements that no state has reached. What has no end does not reach its end.
unreached() {
    sed -n '/"-end-"$/!s/^\t\(.*\/\)\?\([a-z]*\.pml:[0-9]*\), state .*/\2/p' said | sort -u
}

# Leave in the case's folder what is printed of it.
check() {
    local n=$1 expected=$2 outcome=nothing verdict=ok
    shift 2

    mkdir "$work/$n" && cd "$work/$n" || return
    verify "$@" >said 2>&1
    : >unreached
    if saw_everything said; then
        outcome=holds
        unreached >unreached
    else
        outcome=$(violated "$@")
    fi
    [ "$outcome" = "$expected" ] || verdict='not ok'
    [ "$expected" = holds ] || expected="is rejected: $expected"
    echo "$verdict $n - $* $expected"
    [ "$verdict" = ok ] || tail -n 40 said | sed 's/^/# /'
} >"$work/$1.tap"

# Statements of a model that none of its runs has reached say that it does not go where it seems to go.
check_reach() {
    local n=$1 model=$2 files=() i missed
    for ((i = 1; i <= ${#cases[@]}; i++)); do
        [[ ${cases[i - 1]} != "holds $model"* || ${cases[i - 1]} == *-DNP* ]] || files+=("$work/$i/unreached")
    done
    missed=$(sort "${files[@]}" | uniq -c | awk -v all="${#files[@]}" '$1 == all { print "# " $2 }')
    echo "$([ -z "$missed" ] || echo 'not ')ok $n - every statement of $model is reached"
    [ -z "$missed" ] || echo "$missed"
} >"$work/$1.tap"

models_checked=(claim queue reuse poll)
n_all=$((${#cases[@]} + ${#models_checked[@]}))
echo "1..$n_all"
n=0
for case in "${cases[@]}"; do
    n=$((n + 1))
    [ "$n" -le "$lanes" ] || wait -n
    # shellcheck disable=SC2086 # words of the table
    check "$n" $case &
done
wait
for model in "${models_checked[@]}"; do
    n=$((n + 1))
    check_reach "$n" "$model"
done
failed=0
for ((n = 1; n <= n_all; n++)); do
    cat "$work/$n.tap"
    ! grep -q '^not ok' "$work/$n.tap" || failed=1
done
exit "$failed"
