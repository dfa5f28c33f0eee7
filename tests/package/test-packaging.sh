#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the Debian packages are made of says the same as the rest of the tree. Nothing is built here: see
# test-debian.sh.
# Usage: test-packaging.sh BUILD SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/../tap.sh"
export LC_ALL=C

build=$1
source=$2
debian=$source/docs/packaging/debian

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# An installation as debian/rules configures it: units go to /lib.
dest=$work/dest
DESTDIR=$dest meson install -C "$build" --no-rebuild >"$work/log" 2>&1 ||
    { echo 'Bail out! meson install failed'; sed 's/^/# /' "$work/log"; exit 1; }
if [ -d "$dest/usr/lib/systemd/system" ]; then
    mkdir -p "$dest/lib/systemd"
    mv "$dest/usr/lib/systemd/system" "$dest/lib/systemd/"
fi

# Files below $dest that the line $1 of a .install brings.
brought_by() {
    local paths
    # shellcheck disable=SC2206 # a pattern
    paths=("$dest"/$1)
    find "${paths[@]}" ! -type d 2>/dev/null
}

lines() {
    cat "$debian"/*.install
}

every_line_brings_something() {
    local line
    lines | while read -r line; do
        brought_by "$line" | grep -q . || { echo "nothing: $line"; return 1; }
    done
}

every_file_is_in_one_package() {
    local line
    lines | while read -r line; do brought_by "$line"; done | sort >"$work/brought"
    [ -s "$work/brought" ]
    diff <(find "$dest" ! -type d | sort) "$work/brought"
}

examples_exist() {
    local file
    cat "$debian"/*.examples | while read -r file; do
        [ -e "$source/$file" ] || { echo "there is no $file"; return 1; }
    done
}

project_version() {
    sed -n "s/^  version: '\(.*\)',\$/\1/p" "$source/meson.build"
}

changelog_has_the_version() {
    [ -n "$(project_version)" ]
    head -n 1 "$debian/changelog" | grep -F "shmipc ($(project_version)-"
}

# A symbol that is new gets the version that brings it; one that is gone needs another soname.
symbols_are_those_of_the_library() {
    diff <(sed -n 's/^ *\(shmipc_[a-z_]*\);$/\1/p' "$source/src/lib/libshmipc.sym") \
        <(sed -n 's/^ \(shmipc_[a-z_]*\)@LIBSHMIPC_0 [0-9.]*$/\1/p' "$debian/libshmipc0.symbols")
}

# What builds it on a bare system, but for what every Debian build has, and what meson brings.
builds_with_what_ci_installs() {
    local package
    sed -n 's/^build //p' "$source/.ci/packages" | grep -vxE 'dpkg-dev|gcc|libc6-dev|ninja-build' |
        while read -r package; do
            grep -qE "^ $package( |,)" "$debian/control" || { echo "no Build-Depends: $package"; return 1; }
        done
}

# What is optional is in the packages: whether it is must not hang on what a machine happens to have.
has_every_option() {
    local option
    sed -n "s/^option('\([a-z]*\)', type: 'feature'.*/\1/p" "$source/meson_options.txt" >"$work/options"
    [ "$(wc -l <"$work/options")" -ge 4 ]
    while read -r option; do
        grep -qE -- "-D$option=enabled" "$debian/rules" || { echo "not enabled: $option"; return 1; }
    done <"$work/options"
}

scripts_are_sound() {
    local script
    for script in "$debian"/*.postinst "$debian"/*.prerm "$debian"/*.postrm; do
        sh -n "$script"
        grep -qx '#DEBHELPER#' "$script"
    done
}

tree_stays_as_it_is() {
    find "$source" -maxdepth 1 >"$work/before"
    "$source/docs/packaging/export" "$work/export"
    find "$source" -maxdepth 1 | diff "$work/before" -
}

export_has_all_a_build_needs() {
    local tree
    tree=$work/export/shmipc-$(project_version)
    [ -x "$tree/debian/rules" ]
    diff -r "$debian" "$tree/debian"
    tar --list --file="$tree/../shmipc_$(project_version).orig.tar.gz" >"$work/list"
    grep -F '/meson.build' "$work/list"
    fails 1 grep -E '^[^/]*/(debian|\.git|build[^/]*)/' "$work/list"
}

export_overwrites_nothing() {
    fails 1 "$source/docs/packaging/export" "$work/export"
}

check 'every line of a .install brings something' every_line_brings_something
check 'every installed file is in exactly one package' every_file_is_in_one_package
check 'examples of the packages exist' examples_exist
check 'the changelog has the version of the project' changelog_has_the_version
check 'libshmipc0.symbols lists what libshmipc.sym exports' symbols_are_those_of_the_library
check 'the build depends on what a bare system gets installed' builds_with_what_ci_installs
check 'the packages have all that is optional' has_every_option
check 'the maintainer scripts are sound' scripts_are_sound
check 'export leaves the tree as it is' tree_stays_as_it_is
check 'export makes a source tree and its tarball' export_has_all_a_build_needs
check 'export overwrites nothing' export_overwrites_nothing
finish
