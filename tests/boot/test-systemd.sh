#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boots a systemd, installs the build into it, and has a story run inside. Prints TAP.
#
# Usage: test-systemd.sh BUILD STORY, for a script of the folder inside. What a failed one leaves
# (its output, its journal) is in BUILD/tests/boot/STORY.
set -u

here=$(dirname "$(realpath "$0")")
build=$(realpath "$1")
story=$2
result=$build/tests/boot/$story

why=$("$here/boot.sh" -p "'$here/prepare.sh' '$build' '$story'" "$here/inside/$story.sh" "$result")
status=$?
case $status in
77)
    echo "1..0 # SKIP $why"
    exit 0
    ;;
125)
    cat "$result/output" 2>/dev/null
    sed 's/^/# /' "$result/setup"
    echo "Bail out! $story was not run, or did not end; its journal: journalctl -D $result/journal"
    ;;
0)
    cat "$result/output"
    rm -rf "$result"
    ;;
*)
    cat "$result/output"
    echo "# its journal: journalctl -D $result/journal"
    ;;
esac
exit $status
