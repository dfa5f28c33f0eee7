#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What libshmipc shows of itself: header, list of symbols, manual page and library say the same.
# Usage: test-symbols.sh LIBRARY DAEMON SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
export LC_ALL=C

library=$1
daemon=$2
source=$3

exported() {
    nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

listed() {
    sed -n '/^global:/,/^local:/s/^ *\(shmipc_[a-z_]*\);$/\1/p' "$source/src/lib/libshmipc.sym" | sort
}

# What is called in the declarations that remain when comments are gone.
declared() {
    gcc -fpreprocessed -dD -E -P "$source/src/lib/shmipc.h" | tr '\n' ' ' | tr ';' '\n' |
        sed -nE 's/^[^(]*\b(shmipc_[a-z_]+)\(.*/\1/p' | sort
}

described() {
    grep -o '\*shmipc_[a-z_]*\*(' "$source/docs/libshmipc.3.scd" | tr -d '*(' | sort -u
}

exports_what_is_listed() {
    diff <(listed) <(exported)
}

declares_what_is_listed() {
    [ "$(declared | wc -l)" -gt 40 ]
    diff <(listed) <(declared)
}

describes_what_is_listed() {
    diff <(listed) <(described)
}

is_sorted() {
    sed -n 's/^ *\(shmipc_[a-z_]*\);$/\1/p' "$source/src/lib/libshmipc.sym" | sort -c
}

versions_every_symbol() {
    ! nm -D --defined-only --with-symbol-versions "$library" | grep -v '@@LIBSHMIPC_0$' | grep -v ' A '
}

has_soname() {
    readelf -d "$library" | grep -F 'SONAME' | grep -F '[libshmipc.so.0]'
}

needs_no_more_than_libc() {
    local needed
    needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    echo "$needed"
    ! grep -vE '^(libc\.so\.6|ld-linux.*)$' <<<"$needed"
}

daemon_needs_no_libshmipc() {
    local needed
    needed=$(ldd "$daemon")
    grep -F libc.so <<<"$needed"
    ! grep -F libshmipc <<<"$needed"
}

# Other languages bind to it: constants are all that its macros are.
header_has_no_code() {
    local macros
    macros=$(gcc -fpreprocessed -dD -E -P "$source/src/lib/shmipc.h" | sed -n 's/^#define //p')
    [ "$macros" = "$(printf 'SHMIPC_FOREVER INT64_C(-1)\nSHMIPC_USER_BYTES 64')" ]
    ! gcc -fpreprocessed -dD -E -P "$source/src/lib/shmipc.h" | grep -E 'inline|__attribute__|\) *\{'
}

check 'the library exports what libshmipc.sym lists, and nothing else' exports_what_is_listed
check 'shmipc.h declares it' declares_what_is_listed
check 'libshmipc(3) describes it' describes_what_is_listed
check 'the list is in order' is_sorted
check 'each symbol has the version LIBSHMIPC_0' versions_every_symbol
check 'the soname is libshmipc.so.0' has_soname
check 'the library needs nothing but libc' needs_no_more_than_libc
check 'the daemon does not need the library' daemon_needs_no_libshmipc
check 'the header holds declarations and two constants' header_has_no_code
finish
