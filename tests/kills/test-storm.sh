#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A kill storm of $1 faults, in namespaces of its own and as a user of its own.
# shellcheck disable=SC2154 # of lib.sh
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/../e2e/lib.sh"
# shellcheck source=tests/kills/kills.sh
. "${0%/*}/kills.sh"

storm_folder=$files/storm
mkdir "$storm_folder"
run=()
if [ "$has_uids" = yes ]; then
    chown $KILLS_UID "$storm_folder"
    run=(as "$KILLS_UID")
fi
export PYTHONDONTWRITEBYTECODE=1
status=0
collecting "${run[@]}" nice python3 "${0%/*}/storm.py" "$1" "$storm_folder" "$queues" || status=$?
[ $status = 0 ] || tail -n 20 "$storm_folder"/*.log
exit $status
