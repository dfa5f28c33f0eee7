# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # of and for the scripts and lib.sh
#
# What the scripts that kill share; they have sourced tests/e2e/lib.sh.

if [ "$has_namespaces" = no ]; then
    echo '1..0 # SKIP no namespaces: what is left could not be told from what others have'
    exit
fi

# A user that nobody else is, not even another run of this: the kernel counts bytes of queues for each user,
# whatever the namespace.
KILLS_UID=$((62000 + RANDOM % 3000))

# Show what $@ prints, and collect its results ("# NAME<tab>key=value…") in the file $RELIABILITY_RESULTS.
# Return: its exit status.
collecting() {
    local status
    "$@" | tee "$files/output"
    status=${PIPESTATUS[0]}
    [ -z "${RELIABILITY_RESULTS-}" ] ||
        sed -n 's/^# \(kills-[a-z-]*\tseed=\)/\1/p' "$files/output" >>"$RELIABILITY_RESULTS"
    return "$status"
}

# Where the programs for this are.
: "${KILLS_TOOLS:?say where the programs for this are}"
