#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The probes that the scripts in docs/probes look at are in the program, with as many values as they read.
# Usage: test-probes.sh PROGRAM SOURCE
# shellcheck disable=SC2317 # check() calls them
set -u
program=$1 scripts=$2/docs/probes
# shellcheck source=tests/tap.sh
. "$2/tests/tap.sh"

if ! command -v readelf >/dev/null || ! readelf -n "$program" 2>/dev/null | grep -q 'Provider: shmipc'; then
    echo '1..0 # SKIP built without probes'
    exit
fi

# "NAME VALUES" of each probe.
probes() {
    readelf -n "$program" | awk '/ Name: / { name = $2 } / Arguments: / { print name, NF - 1 }' | sort -u
}

# The same of what a script looks at: a value is read by its number, from 0.
used() {
    awk '/^usdt:/ { split($1, part, ":"); name = part[4] }
         name != "" { line = $0; while (match(line, /arg[0-9]/)) {
             n = substr(line, RSTART + 3, 1) + 1; if (n > most[name]) most[name] = n
             line = substr(line, RSTART + 4) } }
         END { for (name in most) print name, most[name] }' "$1"
}

every_probe_is_there() {
    [ "$(probes | cut -d' ' -f1 | paste -sd' ')" = 'claim redeliver remap reply submit' ]
}

script_reads_what_there_is() {
    local name n has
    [ "$(used "$1" | wc -l)" -ge 3 ]
    while read -r name n; do
        has=$(probes | awk -v name="$name" '$1 == name { print $2; exit }')
        echo "$name: $n of $has"
        [ "$n" -le "$has" ]
    done < <(used "$1")
}

check 'every probe is in the program' every_probe_is_there
for script in "$scripts"/*.bt; do
    check "${script##*/} reads values that there are" script_reads_what_there_is "$script"
done
finish
