#!/bin/bash
# SPDX-License-Identifier: MIT
#
# storm.py and sweep.py, as $1 says, with $2 faults or points, in namespaces of their own and as a user of
# their own.
# shellcheck disable=SC2154 # of lib.sh
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/../e2e/lib.sh"
# shellcheck source=tests/kills/kills.sh
. "${0%/*}/kills.sh"

if [ "$1" = sweep ] && ! strace -qq -o /dev/null --inject=none:signal=KILL true 2>/dev/null; then
    echo '1..0 # SKIP no strace that can do this'
    exit
fi
kills_files=$files/kills
mkdir "$kills_files"
run=()
if [ "$has_uids" = yes ]; then
    chown $KILLS_UID "$kills_files"
    run=(as "$KILLS_UID")
fi
export PYTHONDONTWRITEBYTECODE=1
status=0
collecting "${run[@]}" nice python3 "${0%/*}/$1.py" "$2" "$kills_files" "$queues" || status=$?
[ $status = 0 ] || tail -n 20 "$kills_files"/*log
exit $status
