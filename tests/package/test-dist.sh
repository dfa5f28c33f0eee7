#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `meson dist` of a clean clone makes a release that builds, passes its unit tests, is installed and packaged
# again.
# Usage: test-dist.sh BUILD SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
source=$2

git -C "$source" rev-parse --git-dir >/dev/null 2>&1 || { echo '1..0 # SKIP this is no clone'; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Run $1…, and show what it said if it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log"; return 1; }
}

makes_a_release() {
    quietly git clone --no-hardlinks "$source" "$work/clone"
    quietly meson setup "$work/clone/build" "$work/clone"
    quietly meson dist -C "$work/clone/build" --no-tests
    (cd "$work/clone/build/meson-dist" && sha256sum --check ./*.sha256sum)
    mkdir "$work/release"
    tar --extract --directory="$work/release" --strip-components=1 \
        --file="$(echo "$work"/clone/build/meson-dist/*.tar.xz)"
}

builds() {
    quietly meson setup "$work/build" "$work/release" --werror
    quietly ninja -C "$work/build"
}

passes_unit_tests() {
    quietly meson test -C "$work/build" --suite unit --print-errorlogs
}

is_installed() {
    quietly meson setup "$work/lean" "$work/release" --buildtype=release -Dtests=false
    quietly env DESTDIR="$work/dest" meson install -C "$work/lean"
    "$work/dest/usr/bin/shmipc" --version
}

is_packaged_from() {
    "$work/release/docs/packaging/export" "$work/export"
    [ -x "$(echo "$work"/export/shmipc-*/debian/rules)" ]
}

check 'meson dist makes a release of a clean clone' makes_a_release
check 'the release builds without a warning' builds
check 'it passes its unit tests' passes_unit_tests
check 'it is built and installed as README.md says' is_installed
check 'the Debian source tree can be made of it' is_packaged_from
finish
