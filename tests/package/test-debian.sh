#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the Debian packages of this tree, has lintian look at them, and boots a systemd in which they are
# installed, upgraded under load, removed and purged (../boot/inside/package.sh).
# Usage: test-debian.sh BUILD SOURCE-ROOT. What a failed one leaves is in BUILD/tests/package.
# With SHMIPC_PACKAGES, a folder of packages that are built already, only the last part is done.
# shellcheck disable=SC2317 # check() calls them
here=$(dirname "$(realpath "$0")")
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"

result=$1/tests/package
source=$2

for tool in dpkg-buildpackage dh dh_python3 lintian dpkg-deb; do
    command -v $tool >/dev/null ||
        { echo "1..0 # SKIP there is no $tool; as root: .ci/install-packages package"; exit 0; }
done

rm -rf "$result"
mkdir -p "$result/new"
packages=${SHMIPC_PACKAGES:-$result/built}

# As on a machine that builds packages: nothing of whoever runs the tests.
cleanly() {
    env -i HOME="$HOME" PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}

builds() {
    "$source/docs/packaging/export" "$packages"
    cd "$packages"/shmipc-*/
    # The unit tests are run by whoever runs this one.
    cleanly DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc >"$result/log" 2>&1 ||
        { grep -E -A 3 '(error|warning):' "$result/log"; echo "see $result/log"; return 1; }
    for package in shmipc libshmipc0 libshmipc-dev python3-shmipc; do
        [ -f "$(echo "../${package}_"*.deb)" ]
    done
}

# No part of ours is compiled with a warning, nor packed with one.
builds_without_warnings() {
    fails 1 grep -E 'warning:|^dh_[a-z0-9]*: (warning|error)|^dpkg-[a-z]*: warning' "$result/log"
}

lintian_is_content() {
    cd "$packages"
    cleanly lintian --allow-root --fail-on error,warning --tag-display-limit 0 ./*.changes
}

# The same packages with a higher version, another line in their configuration, and the same daemon in another
# file.
makes_a_newer_version() {
    local old file
    for old in "$packages"/*.deb; do
        case $old in *-dbgsym_*) continue ;; esac
        file=$result/new/$(basename "$old")
        dpkg-deb --raw-extract "$old" "$result/tree"
        sed -i -E 's/^(Version: .*)$/\1+newer/; s/\(= ([^)]*)\)/(= \1+newer)/' "$result/tree/DEBIAN/control"
        [ ! -e "$result/tree/etc/shmipc.conf" ] || echo '# newer' >>"$result/tree/etc/shmipc.conf"
        dpkg-deb --build --root-owner-group "$result/tree" "$file"
        rm -r "$result/tree"
    done
}

# A machine that does much else takes its time with so many packages.
boot() {
    export BOOT_TIMEOUT=1800
    local status why
    why=$("$here/../boot/boot.sh" -p "mkdir -p \$DESTDIR/boot-test &&
        cp -r '$result/old' '$result/new' \$DESTDIR/boot-test/" "$here/../boot/inside/package.sh" "$result/boot")
    status=$?
    # Its tests are numbered on, as ours.
    if [ -e "$result/boot/output" ]; then
        sed -E '/^1\.\.[0-9]+$/d; s/^((not )?ok) [0-9]+ - /\1 - /' "$result/boot/output"
        n_tests=$((n_tests + $(grep -cE '^(not )?ok ' "$result/boot/output")))
        n_failed=$((n_failed + $(grep -cE '^not ok ' "$result/boot/output")))
    fi
    case $status in
    0 | 1) ;;
    77) check "packages live in a booted systemd # SKIP $why" true ;;
    *) check 'the boot ended as it should' fails 0 sh -c "tail -n 20 '$result/boot/setup'; exit $status" ;;
    esac
}

if [ -z "${SHMIPC_PACKAGES-}" ]; then
    check 'dpkg-buildpackage makes four packages of an exported tree' builds
    [ $n_failed = 0 ] || finish
    check 'it says no warning' builds_without_warnings
    check 'lintian has neither errors nor warnings' lintian_is_content
fi
check 'a newer version can be made of them' makes_a_newer_version
mkdir "$result/old"
find "$packages" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' -exec cp {} "$result/old/" \;
boot
[ $n_failed != 0 ] || rm -rf "$result"
finish
