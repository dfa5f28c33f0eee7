#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Puts into DESTDIR, the root of a system that is about to be booted, what the story needs there.
# Usage: prepare.sh BUILD STORY
set -eu

build=$1
story=$2
tests=$(dirname "$(dirname "$(realpath "$0")")")

# A package that the story unpacks and sets up; where it is about the boot itself, an installed one.
case $story in
at-boot) root=$DESTDIR ;;
*) root=$DESTDIR/boot-test/stage ;;
esac

mkdir -p "$DESTDIR/boot-test"
cp "$tests/plain_peer.py" "$DESTDIR/boot-test/"
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet

# The leak sanitizer traces its own process, which the hardening of the units rightly forbids.
if grep -q __asan_init "$root/usr/bin/shmipc"; then
    mkdir "$DESTDIR/etc/systemd/system/shmipc@.service.d"
    printf '[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n' \
        >"$DESTDIR/etc/systemd/system/shmipc@.service.d/sanitizers.conf"
fi

if [ "$story" = at-boot ]; then
    systemctl --root="$DESTDIR" enable shmipc@host.service shmipc@worker.service
fi
