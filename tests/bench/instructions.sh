#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions of one small exchange, client and worker together, counted by callgrind, beside those that were
# counted when instructions.txt was written. Nothing fails: compilers differ, and whoever changes the path
# looks at it, and writes the file anew (as it is printed) where it became better.
#
#   instructions.sh PROGRAM TABLE      (environment: SHMIPC, the daemon)
set -eu
program=$1 table=$2
n=400
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

command -v valgrind >/dev/null || { echo "valgrind is not installed: nothing is counted"; exit 77; }

# Instructions of all that PROGRAM does with these arguments.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/out" "$program" "$@" >"$folder/log" 2>&1 ||
        { cat "$folder/log" >&2; exit 1; }
    sed -n 's/^summary: //p' "$folder/out"
}

printf '# what     instructions  before  ratio\n'
for what in polled batch message; do
    once=$(count "$what" $n)
    twice=$(count "$what" $((2 * n)))
    before=$(sed -n "s/^$what  *\([0-9]*\).*/\1/p" "$table")
    awk -v what="$what" -v now=$(((twice - once) / n)) -v before="${before:-0}" \
        'BEGIN { printf "%-10s %12d %7d  %5.2f\n", what, now, before, before ? now / before : 0 }'
done
