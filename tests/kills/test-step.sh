#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A party is killed after each instruction of what it does, in namespaces of its own and as a user of its own.
# The arguments are step's.
# shellcheck disable=SC2154 # of lib.sh
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/../e2e/lib.sh"
# shellcheck source=tests/kills/kills.sh
. "${0%/*}/kills.sh"

# Tracer and traced take turns. On two CPUs that do nothing else each turn is a waking up, and all takes minutes more.
first=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
taskset -cp "$first" $$ >/dev/null || :

if [ "$has_uids" = yes ]; then
    collecting as $KILLS_UID nice "$KILLS_TOOLS/step" -b "$@" "$queues"
else
    collecting nice "$KILLS_TOOLS/step" "$@" "$queues"
fi
