# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Tests in a shell script, as TAP: `check 'name of one behaviour' function`, as often as there are
# tests, then `finish`.

n_tests=0
n_failed=0

# Run $2… as the test that is called $1, in a subshell that ends at its first failing command. What it
# printed is shown only if it failed.
check() {
    local name=$1 said status
    shift
    n_tests=$((n_tests + 1))
    said=$(set -eEu -o pipefail; shopt -s inherit_errexit; trap 'echo "failed: $BASH_COMMAND"' ERR; "$@" 2>&1)
    status=$?
    if [ $status = 0 ]; then
        echo "ok $n_tests - $name"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $name"
        printf '%s\n' "$said" "status $status" | sed 's/^/# /'
    fi
}

finish() {
    echo "1..$n_tests"
    exit $((n_failed > 0))
}

# Expect exit status $1 of the command $2….
fails() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    [ $status = "$wanted" ] || { echo "status $status, not $wanted: $*"; return 1; }
}

# Wait until the command $2… succeeds, for $1 seconds at most. Shows what it said last.
within() {
    local until=$((SECONDS + $1)) said
    shift
    until said=$("$@" 2>&1); do
        [ $SECONDS -lt $until ] || { echo "not within its time: $*"; echo "$said"; return 1; }
        sleep 0.1
    done
}
