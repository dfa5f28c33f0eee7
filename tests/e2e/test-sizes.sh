#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Payloads of every size, through echo and through commands, by file and by pipe. With the argument `large`
# those that take long.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

MIB=$((1 << 20))
GIB=$((1 << 30))
SIZES="0 1 4095 4096 4097 $MIB $(((1 << 24) + 1))"
LARGE=$((300 * MIB))
HUGE=$(((1 << 32) + 1)) # what does not fit into 32 bits

ECHO='handler = { type = "echo"; };'
SUM=$(runs sha256sum)
PACK=$(runs gzip -c)
COUNT=$(runs cksum) # which is fast, and says how many bytes it has seen

echoed() { # FILE: however it goes in
    call "$1" | cmp - "$1"
    # shellcheck disable=SC2002 # a pipe, which has no size
    cat "$1" | call | cmp - "$1"
}

summed() {
    [ "$(call <"$1")" = "$(sha256sum <"$1")" ]
}

packed() {
    call "$1" | gunzip -c | cmp - "$1"
}

# The test $2 of the file $3 with the handler $1.
through() {
    start_pair '' "$1"
    "$2" "$3"
}

# Small and large ones in turn, by the same worker.
all_through() {
    local size
    start_pair '' "$ECHO"
    for size in $SIZES $(tr ' ' '\n' <<<"$SIZES" | sort -nr); do
        echoed "$(payload "$size")"
    done
}

# As scenario(), where the machine has the memory, which is $1 GiB.
scenario_with_memory() {
    if [ "$(memory_available)" -ge $(($1 * GIB)) ] && [ "$(shm_available)" -ge $(($1 * GIB)) ]; then
        scenario "${@:2}"
    else
        skip "$2" "needs $1 GiB of memory and of room in /dev/shm"
    fi
}

shm_available() {
    df --output=avail -B1 /dev/shm | tail -n 1
}

# More than 2^32 bytes take minutes on a busy machine. The file's size is known, so no more memory is taken
# than it takes.
huge_through() { # HANDLER TEST FILE
    HANG_SECONDS=500
    start_pair 'memory = "9G";' "$1"
    "$2" "$3"
}

huge_echoed() {
    [ "$(call -t 0 "$1" | cksum)" = "$(count_of "$1")" ]
}

huge_counted() {
    [ "$(call -t 0 "$1")" = "$(count_of "$1")" ]
}

# Of a file, counted once.
count_of() {
    [ -e "$1.count" ] || cksum <"$1" >"$1.count"
    cat "$1.count"
}

small() {
    local size
    for size in $SIZES; do
        scenario "$size bytes through echo" through "$ECHO" echoed "$(payload "$size")"
        scenario "$size bytes through sha256sum" through "$SUM" summed "$(payload "$size")"
        scenario "$size bytes through gzip -c" through "$PACK" packed "$(payload "$size")"
    done
    scenario 'all of them, up and down, through one worker' all_through
}

large() {
    scenario_with_memory 2 '300 MiB through echo' through "$ECHO" echoed "$(payload "$LARGE")"
    scenario_with_memory 1 '300 MiB through sha256sum' through "$SUM" summed "$(payload "$LARGE")"
    rm "$files/$LARGE"
    scenario_with_memory 1 '300 MiB through gzip -c' through "$PACK" packed "$(sparse_payload "$LARGE")"
    scenario_with_memory 10 '2^32+1 bytes through echo' \
        huge_through "$ECHO" huge_echoed "$(sparse_payload "$HUGE")"
    scenario_with_memory 6 '2^32+1 bytes through a command' \
        huge_through "$COUNT" huge_counted "$(sparse_payload "$HUGE")"
}

case ${1-} in
large) large ;;
*) small ;;
esac
finish
