#!/bin/bash
# SPDX-License-Identifier: MIT
# The models of docs/protocol.md, section 8, checked with spin. Prints TAP.
# Usage: check-models.sh FOLDER-OF-MODELS
#
# A model holds if spin has seen every state of it and no fault, and if each of its statements was reached in
# one of its runs. A broken variant has one rule of the protocol taken out, and must be rejected for what the
# rule is there for: that shows that the model can tell.
#
# With MODEL_DEPTH=long in the environment larger bounds are gone through instead, for hours. With MODEL_SECONDS
# no search takes longer than that: what then was not seen to its end, and without a fault, is skipped, in words.
set -u

models=$(realpath "$1") || exit 1

# What is expected (that it holds, or which property is violated: the word behind the assertion that fails),
# the model, its bounds or the rule that is taken out. -DNP asks for runs without an end: they violate rest.
# -DLIVE asks for the model's formula, of fair runs: those against it violate answered.
cases=(
    'holds claim -DMISHAPS=3'
    'holds claim -DATTEMPTS=1'
    'holds claim -DCLIENTS=2 -DMISHAPS=1'
    'holds claim -DFOREIGN'
    'holds claim -DNP'
    'holds claim -DRESTARTS=1 -DMISHAPS=1'
    'holds claim -DRESTARTS=1 -DMISHAPS=0 -DNP'
    'holds claim -DLOST'
    'holds claim -DLIVE'
    'holds claim -DLIVE -DRESTARTS=1 -DMISHAPS=0'
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
    'ends claim -DRESTARTS=1 -DMISHAPS=0 -DNO_AGAIN'
    'ends claim -DRESTARTS=1 -DMISHAPS=1 -DNO_ANNOUNCE_AT_TAKE_UP'
    'awake claim -DRESTARTS=1 -DMISHAPS=1 -DNO_NOTIFY_AT_TAKE_UP'
    'kept claim -DRESTARTS=1 -DMISHAPS=0 -DSETTLE_AT_TAKE_UP'
    'ends claim -DRESTARTS=1 -DMISHAPS=1 -DFORGET_FIRST'
    'ends claim -DRESTARTS=1 -DMISHAPS=2 -DNUMBER_KEPT_LATE'
    'told claim -DLOST -DDEAF'
    'told claim -DLOST -DLOOKS_ON'
    'holds queue -DSLOTS=3'
    'holds queue -DCLIENTS=2 -DSLOTS=1'
    'holds queue -DROUNDS=2'
    'holds queue -DROUNDS=2 -DSLOTS=1 -DNP'
    'holds queue -DRESTARTS=1 -DSLOTS=1'
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
    'taken queue -DRESTARTS=1 -DNO_ANNOUNCE_AT_TAKE_UP'
    'awake queue -DRESTARTS=1 -DNO_NOTIFY_AT_TAKE_UP'
    'taken queue -DRESTARTS=1 -DNO_QUEUES_AT_TAKE_UP'
    'holds turns -DWORKERS=2 -DDEATHS=1'
    'holds turns -DLIVE'
    'holds turns -DLIVE -DWORKERS=2 -DDEATHS=1'
    'turns turns -DFIRST_READY'
    'turns turns -DDRAIN'
    'answered turns -DLIVE -DONE_QUEUE'
    'answered turns -DLIVE -DDEATHS=1 -DHOST_WAITS'
    'holds reuse'
    'holds reuse -DEXCHANGES=4 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=2 -DFORGED=0 -DWORKERS=1'
    'holds reuse -DEXCHANGES=2 -DDEADLINES'
    'holds reuse -DWORKERS=0'
    'holds reuse -DWORKERS=0 -DDEADLINES'
    'holds reuse -DSLOTS=2 -DEXCHANGES=1 -DFORGED=0'
    'holds reuse -DSLOTS=2 -DEXCHANGES=1 -DWORKERS=1 -DDEATHS=1 -DSTAYS_AWAY -DFORGED=0'
    'holds reuse -DEXCHANGES=1 -DDEATHS=2 -DWORKERS=1 -DRESTARTS=1 -DFORGED=0'
    'holds reuse -DEXCHANGES=1 -DDEATHS=1 -DWORKERS=1 -DSTAYS_AWAY -DRESTARTS=1'
    'holds reuse -DEXCHANGES=2 -DNP'
    'ends reuse -DNO_GENERATION'
    'ends reuse -DMODULUS=2'
    'sworn reuse -DLOOK_FIRST'
    'sworn reuse -DLOOK_BEFORE_WISH'
    'honest reuse -DCLAIM_UNSUBMITTED'
    'own reuse -DTRUST_MESSAGE'
    'wanted reuse -DGENERATION_FIRST'
    'own reuse -DWORD_FIRST'
    'wanted reuse -DREUSE_BEFORE_END'
    'own reuse -DHOST_WRITES_OPEN'
    'wanted reuse -DHOST_TEARS'
    'kept reuse -DHOST_STORES'
    'sworn reuse -DDEADLINES -DCLOCK_BEFORE_CLAIM'
    'ends reuse -DWORKERS=0 -DNO_LOOK_PACKET'
    'ends reuse -DSLOTS=2 -DEXCHANGES=1 -DFORGED=0 -DANY_SLOT'
    'ends reuse -DEXCHANGES=1 -DDEATHS=1 -DWORKERS=1 -DSTAYS_AWAY -DSETTLE_BLIND'
    'parked reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1 -DFORGED=0 -DPARK_LATE'
    'parked reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1 -DFORGED=0 -DPARK_GOES_ON'
    'parked reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1 -DFORGED=0 -DPARK_UNCHECKED'
    'ends reuse -DEXCHANGES=1 -DDEATHS=2 -DWORKERS=1 -DFORGED=0 -DRESTARTS=1 -DPARK_FORGOTTEN'
    'ends reuse -DEXCHANGES=1 -DWORKERS=0 -DRESTARTS=1 -DNO_AGAIN'
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
    'awake poll -DLOOKS_AT_SHOWN'
    'holds giveback -DTRIMS=3 -DFORGED=1'
    'holds giveback -DWORKERS=2 -DEXCHANGES=2 -DFORGED=1'
    'holds giveback -DDEATHS=1'
    'holds giveback -DDEATHS=2 -DEXCHANGES=2'
    'whole giveback -DNOT_TAKEN'
    'whole giveback -DTAKEN_LATE'
    'whole giveback -DLOOK_ONCE'
    'paid giveback -DCLAIM_HELD'
    'paid giveback -DNOT_HELD'
    'kept giveback -DNOT_RELEASED'
    'paid giveback -DNOT_COMPARED'
    'ends giveback -DNOT_ANNOUNCED'
    'paid giveback -DZERO_LATE'
    'whole giveback -DNOT_SHOWN'
    'back giveback -DDEATHS=1 -DHOLD_STAYS'
    'paid giveback -DDEATHS=1 -DHOLD_FORGOTTEN'
    'paid giveback -DDEATHS=1 -DPUNCH_FIRST'
)

long_cases=(
    'holds claim -DMISHAPS=4'
    'holds claim -DMISHAPS=3 -DATTEMPTS=3'
    'holds claim -DMISHAPS=3 -DFOREIGN'
    'holds claim -DMISHAPS=2 -DCLIENTS=2'
    'holds claim -DRESTARTS=1 -DMISHAPS=2'
    'holds claim -DRESTARTS=2 -DMISHAPS=1'
    'holds claim -DRESTARTS=1 -DMISHAPS=1 -DFOREIGN'
    'holds claim -DRESTARTS=1 -DMISHAPS=1 -DNP'
    'holds claim -DRESTARTS=1 -DMISHAPS=0 -DCLIENTS=2'
    'holds claim -DLIVE -DRESTARTS=1 -DMISHAPS=1'
    'holds claim -DLOST -DMISHAPS=3'
    'holds queue -DSLOTS=4'
    'holds queue -DROUNDS=2 -DSLOTS=3'
    'holds queue -DROUNDS=2 -DSLOTS=1 -DCLIENTS=2'
    'holds queue -DRESTARTS=1'
    'holds queue -DRESTARTS=2 -DROUNDS=2 -DSLOTS=1'
    'holds turns -DLIVE -DWORKERS=2 -DDEATHS=2'
    'holds turns -DWORKERS=2 -DDEATHS=2 -DDEPTH=3'
    'holds reuse -DEXCHANGES=4'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1'
    'holds reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1'
    'holds reuse -DDEATHS=1 -DFORGED=0'
    'holds reuse -DDEADLINES'
    'holds reuse -DSLOTS=2 -DEXCHANGES=1'
    'holds reuse -DSLOTS=2 -DEXCHANGES=1 -DWORKERS=1 -DFORGED=0 -DDEATHS=1'
    'holds reuse -DSLOTS=2 -DEXCHANGES=2 -DFORGED=0 -DWORKERS=1'
    'holds reuse -DEXCHANGES=2 -DDEATHS=2 -DWORKERS=1 -DRESTARTS=1 -DFORGED=0'
    'holds reuse -DEXCHANGES=2 -DDEATHS=1 -DWORKERS=1 -DRESTARTS=1 -DDEADLINES -DFORGED=0'
    'holds giveback -DWORKERS=2 -DFORGED=1'
    'holds giveback -DDEATHS=2 -DTRIMS=3 -DFORGED=1'
)
lanes=2 # as many at a time, since the memory of more would add up
memory=1000 # MB
compiling=() bounded=()
if [ "${MODEL_DEPTH-}" = long ]; then
    cases=("${long_cases[@]}")
    memory=2000
    compiling=(-O2 -DCOLLAPSE) # states stored in a third of the memory
fi
[ -z "${MODEL_SECONDS-}" ] || bounded=(timeout -s INT "$MODEL_SECONDS") # it says then how far it has come

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
    *' -DLIVE '*) property=-DNFAIR=3 run+=(-a -f) ;;
    esac
    spin -a -o3 "$@" "$models/$model.pml" &&
        gcc -w "${compiling[@]}" "$property" -DMEMLIM="$memory" -o pan pan.c &&
        "${bounded[@]}" ./pan "${run[@]}"
}

saw_everything() {
    grep -q 'errors: 0$' "$1" &&
        ! grep -qE 'max search depth too small|out of memory|Search not completed' "$1"
}

was_cut_short() {
    [ ${#bounded[@]} -gt 0 ] && grep -q 'errors: 0$' "$1" && grep -q '^Interrupted' "$1"
}

# The property that the run has seen violated; nothing if it ended for another reason.
violated() {
    local model=$1 line
    shift

    if grep -q '^pan:1: non-progress cycle' said; then
        echo rest
    elif grep -q '^pan:1: acceptance cycle' said; then
        echo answered
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
    if saw_everything said; then
        outcome=holds
        unreached >unreached
    elif was_cut_short said; then
        echo "ok $n - $* # SKIP no fault in $MODEL_SECONDS s, in $(sed -n 's/ *\([^ ]*\) states, stored.*/\1/p' said) states"
        return
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
    ls "${files[@]}" >/dev/null 2>&1 || {
        echo "ok $n - every statement of $model is reached # SKIP not every run of it came to its end"
        return
    }
    missed=$(sort "${files[@]}" | uniq -c | awk -v all="${#files[@]}" '$1 == all { print "# " $2 }')
    echo "$([ -z "$missed" ] || echo 'not ')ok $n - every statement of $model is reached"
    [ -z "$missed" ] || echo "$missed"
} >"$work/$1.tap"

mapfile -t models_checked < <(printf '%s\n' "${cases[@]}" | awk '$1 == "holds" && !seen[$2]++ { print $2 }')
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
# A line for docs/reliability.py.
[ -z "${RELIABILITY_RESULTS-}" ] ||
    cat "$work"/*.tap | awk -v bounds="${MODEL_DEPTH:-short}" -v seconds="${MODEL_SECONDS:-any}" '
        /^ok.* holds$/ { hold++ } /^ok.* is rejected/ { rejected++ } /^not ok/ { failed++ }
        /^ok.*SKIP no fault/ { unfinished++ }
        END { printf "models\tbounds=%s seconds_for_each=%s hold=%d rejected=%d unfinished=%d failed=%d\n", bounds, seconds,
            hold, rejected, unfinished, failed }' >>"$RELIABILITY_RESULTS"
exit "$failed"
