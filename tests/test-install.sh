#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What an installation brings, and that programs can be built and run with it alone.
# Usage: test-install.sh BUILD SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
export LC_ALL=C

build=$1
source=$2
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror'

work=$(mktemp -d) || exit 1
export SHMIPC_SOCKET=$work/host.sock
pids=
# shellcheck disable=SC2086 # lists of numbers
end() {
    [ -z "$pids" ] || { kill $pids && wait $pids; } 2>/dev/null
    rm -rf "$work"
}
trap end EXIT

dest=$work/dest
DESTDIR=$dest meson install -C "$build" --no-rebuild >"$work/log" 2>&1 ||
    { echo 'Bail out! meson install failed'; sed 's/^/# /' "$work/log"; exit 1; }
pc=$(find "$dest" -name shmipc.pc)
libdir=${pc%/pkgconfig/shmipc.pc}
module=$(find "$dest" -name shmipc.py)
export PKG_CONFIG_LIBDIR=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export LD_LIBRARY_PATH=$libdir SHMIPC_LIBRARY=$libdir/libshmipc.so.0
export PYTHONPATH=${module%/*} PYTHONDONTWRITEBYTECODE=1

# --- what is installed ---

installs_each_file() {
    local file
    for file in usr/bin/shmipc usr/include/shmipc.h usr/include/shmipc-plugin.h etc/shmipc.conf; do
        [ -f "$dest/$file" ]
    done
    [ "$(readlink "$libdir/libshmipc.so")" = libshmipc.so.0 ]
    [ "$(readlink "$libdir/libshmipc.so.0")" = libshmipc.so.0.1.0 ]
    [ -f "$libdir/libshmipc.so.0.1.0" ]
    [ -f "${module%/*}/_shmipc.py" ]
}

keeps_a_configuration() {
    echo '# mine' >>"$dest/etc/shmipc.conf"
    DESTDIR=$dest meson install -C "$build" --no-rebuild >/dev/null
    tail -n 1 "$dest/etc/shmipc.conf" | grep -x '# mine'
}

installs_units() {
    find "$dest" -name 'shmipc@.service' | grep .
    find "$dest" -name 'shmipc@.socket' | grep .
}

installs_manual_pages() {
    [ -f "$dest/usr/share/man/man1/shmipc.1" ]
    [ -f "$dest/usr/share/man/man3/libshmipc.3" ]
    [ -f "$dest/usr/share/man/man7/shmipc.7" ]
    [ -f "$dest/usr/share/man/man5/shmipc.conf.5" ]
}

installs_completion() {
    grep '^complete -F _shmipc shmipc$' "$dest/usr/share/bash-completion/completions/shmipc"
}

# Objects of the daemon and headers of its inside are nobody's business.
installs_nothing_else() {
    [ "$(find "$dest/usr/include" -type f | wc -l)" = 2 ]
    [ -z "$(find "$dest" -name '*.a' -o -name '*.o')" ]
}

names_no_folder_of_the_build() {
    ! grep -rlF -e "$build" -e "$source/src" -e "$source/tests" -e "$source/docs" "$pc" "$dest/usr/include" "$module" \
        "$dest/etc" "$dest/usr/share/man" # the tree itself may be called /shmipc
}

# --- what can be built with it ---

# shellcheck disable=SC2046,SC2086 # lists of options
compile() { # SOURCE PROGRAM
    gcc -std=c11 $warnings "$1" $(pkg-config --cflags --libs shmipc) -o "$2"
}

examples_are_c11() {
    compile "$source/docs/examples/client.c" "$work/client"
    compile "$source/docs/examples/worker.c" "$work/worker"
}

# The programs in the manual page, as one copies them from there.
manual_examples_are_c11() {
    awk -v work="$work" '
        /^```$/ {
            if (inside) close(file)
            inside = !inside; n += inside; file = work "/manual-" n ".c"; next
        }
        inside { gsub(/\\\\/, "\\"); print > file }' "$source/docs/libshmipc.3.scd"
    local program n=0
    for program in "$work"/manual-*.c; do
        grep -q 'int main' "$program" || continue
        compile "$program" "${program%.c}"
        n=$((n + 1))
    done
    [ "$n" = 2 ]
}

# shellcheck disable=SC2046,SC2086
header_alone() { # COMPILER STANDARD
    local program=$work/header.${1%%c*}
    printf '#include <shmipc.h>\nint main() { return shmipc_version() ? 0 : 1; }\n' >"$program"
    "$1" -x "$3" -std="$2" $warnings "$program" $(pkg-config --cflags --libs shmipc) -o "$work/header"
    "$work/header"
}

pc_says_the_version() {
    [ "$(pkg-config --modversion shmipc)" = "$("$dest/usr/bin/shmipc" --version | cut -d' ' -f2)" ]
    [ "$(pkg-config --variable=plugindir shmipc)" = "$dest/${libdir#"$dest"/}/shmipc/plugins" ] ||
        [ "$(pkg-config --variable=plugindir shmipc)" = "${libdir#"$dest"}/shmipc/plugins" ]
}

# --- what can be run ---

start() { # in the background, to be ended with this script
    "$@" >>"$work/log" 2>&1 &
    pids="$pids $!"
}

stop_all() {
    # shellcheck disable=SC2086
    kill $pids 2>/dev/null
    # shellcheck disable=SC2086
    wait $pids 2>/dev/null
    pids=
}

start_host() {
    start "$dest/usr/bin/shmipc" run host -c "$1"
    check 'the installed host starts' within 60 "$dest/usr/bin/shmipc" status
}

reverses() { # CLIENT…
    [ "$(timeout 60 "$@" 'drawer')" = reward ]
}

client_says_what_is_wrong() {
    local said
    said=$(SHMIPC_SOCKET=$work/nothing fails 1 "$@" hello 2>&1)
    grep -F 'there is no such host' <<<"$said"
}

makes_a_thumbnail() {
    { printf 'P6 640 480 255\n' && head -c $((640 * 480 * 3)) /dev/zero; } >"$work/photo.ppm"
    timeout 60 "$dest/usr/bin/shmipc" call <"$work/photo.ppm" >"$work/small.png"
    [ "$(head -c 4 "$work/small.png" | tail -c 3)" = PNG ]
    [ "$(convert "$work/small.png" -format '%wx%h' info:)" = 256x192 ]
}

skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests - $1 # SKIP $2"
}

check 'headers, library with its links, daemon, configuration and the Python module' installs_each_file
check 'a configuration that is there stays' keeps_a_configuration
if find "$build/systemd" -name 'shmipc@.service' 2>/dev/null | grep -q .; then
    check 'the units' installs_units
fi
if command -v scdoc >/dev/null; then
    check 'the manual pages' installs_manual_pages
else
    skip 'the manual pages' 'there is no scdoc'
fi
check 'the completion for bash' installs_completion
check 'nothing of the inside' installs_nothing_else
check 'no folder of the build is named in what is installed' names_no_folder_of_the_build
check 'shmipc.pc says the version and the folder of plugins' pc_says_the_version
check 'the examples are C11 without a warning' examples_are_c11
check 'the examples of the manual page are C11 without a warning' manual_examples_are_c11
check 'the header alone is C11' header_alone gcc c11 c
check 'the header alone is C17, for clang' header_alone clang c17 c
check 'the header alone is C++17' header_alone g++ c++17 c++

printf 'host: { role = "host"; log_level = "err"; };\n' >"$work/conf"
start_host "$work/conf"
start "$work/worker"
check 'client and worker in C' reverses "$work/client"
check 'client in Python, worker in C' reverses python3 "$source/docs/examples/client.py"
stop_all
start_host "$work/conf"
start python3 "$source/docs/examples/worker.py"
check 'client in C, worker in Python' reverses "$work/client"
check 'client and worker in Python' reverses python3 "$source/docs/examples/client.py"
check 'the client in C says what is wrong' client_says_what_is_wrong "$work/client"
stop_all
if convert -version 2>/dev/null | grep -q ImageMagick; then
    start_host "$source/docs/examples/thumbnails.conf"
    start "$dest/usr/bin/shmipc" run thumbnail -c "$source/docs/examples/thumbnails.conf"
    check 'the thumbnailer makes a small PNG of an image' makes_a_thumbnail
    stop_all
else
    skip 'the thumbnailer makes a small PNG of an image' 'there is no ImageMagick'
fi
finish
