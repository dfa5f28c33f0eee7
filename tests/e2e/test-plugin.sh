#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Handlers of type "plugin": those that come along against the command line tools that do the same, those
# that misbehave, and one that is built outside of the tree, against what an installation has.
#
# Environment, beside that of lib.sh: E2E_PLUGINS, the folder of the plugins that come along;
# E2E_TEST_PLUGINS, that of tests/plugins; E2E_BUILD, the build; E2E_SOURCE, the tree.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2119,SC2120 # functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

: "${E2E_PLUGINS:?}" "${E2E_TEST_PLUGINS:?}" "${E2E_BUILD:?}" "${E2E_SOURCE:?}"

# shellcheck disable=SC2034 # scenario_if() takes it by name
has_plugin=yes
SIZES="0 1 4096 4097 1048576 16777217"

# The setting for the plugin at $1, with the settings $2 of its own and $3 of the handler.
plugin() {
    echo "handler = { type = \"plugin\"; path = \"$1\"; settings = { ${2-} }; ${3-} };"
}

# Likewise for one that comes along.
shipped() {
    plugin "$E2E_PLUGINS/$1.so" "${@:2}"
}

# Likewise for one of the tests'.
testing() {
    plugin "$E2E_TEST_PLUGINS/$1.so" "${@:2}"
}

# As scenario(), if the plugin $1 was built; $also may be another condition, as of scenario_if().
scenario_with() {
    if [ -e "$E2E_PLUGINS/$1.so" ]; then
        scenario_if "${also:-has_plugin}" "${@:2}"
    else
        skip "$2" "the plugin $1 is not built here"
    fi
}

# --- zstd ---

zstd_undoes() { # FILE
    call "$1" | zstd -dc | cmp - "$1"
}

zstd_undoes_what_the_plugin_did() { # SETTINGS
    local size
    start_pair '' "$(shipped zstd "$1")"
    for size in $SIZES; do
        zstd_undoes "$(payload "$size")"
    done
    zstd_undoes "$(sparse_payload 67108864)"
}

plugin_undoes() { # FILE
    zstd -c "$1" | call | cmp - "$1"
    # shellcheck disable=SC2094 # it is only read
    zstd -1 --no-check -c <"$1" | call | cmp - "$1"
}

plugin_undoes_what_zstd_did() {
    local size
    start_pair '' "$(shipped zstd 'mode = "decompress";')"
    for size in $SIZES; do
        plugin_undoes "$(payload "$size")"
    done
    plugin_undoes "$(sparse_payload 67108864)"
}

corrupt_input_fails_with_the_reason() {
    local file
    file=$(payload 100000)
    start_pair '' "$(shipped zstd 'mode = "decompress";')"
    zstd -c "$file" >"$world/frame"
    head -c 50000 "$world/frame" >"$world/cut"
    refuses 1 'handler failed with exit status 1' call "$world/cut"
    says "$world/err" 'zstd cannot decompress the request: it ends in the middle of a frame'
    refuses 1 'handler failed with exit status 1' call "$file"
    says "$world/err" 'at byte 0 of 100000: Unknown frame descriptor'
    call "$world/frame" | cmp - "$file"
}

bomb_ends_at_the_limit() {
    start_pair '' "$(shipped zstd 'mode = "decompress";' 'max_response = "1M";')"
    zstd -c "$(sparse_payload 67108864)" >"$world/bomb"
    refuses 6 'response too large' call "$world/bomb"
    says "$world/err" 'larger than 1M, the .max_response. of the worker'
    plugin_undoes "$(payload 1048576)"
}

# --- digest ---

sha256_of() { # FILE
    sha256sum <"$1" | cut -d ' ' -f 1
}

digest_is_that_of_sha256sum() {
    local size
    start_pair '' "$(shipped digest)"
    for size in $SIZES; do
        [ "$(call "$(payload "$size")")" = "$(sha256_of "$(payload "$size")")" ]
    done
}

crc32c_is_that_of_iscsi() {
    start_pair '' "$(shipped digest 'algorithm = "crc32c";')"
    [ "$(printf 123456789 | call)" = e3069283 ]
}

raw_digest_is_bytes() {
    local file
    file=$(payload 4097)
    start_pair '' "$(shipped digest 'format = "raw";')"
    [ "$(call "$file" | od -An -v -tx1 | tr -d ' \n')" = "$(sha256_of "$file")" ]
}

untrusted_request_is_handled_in_a_copy() {
    local file
    file=$(payload 16777217)
    start_pair "access = [\"self\", \"$ALICE\"]; trusted = [];" "$(shipped digest)"
    [ "$(as "$ALICE" timeout "$HANG_SECONDS" "$SHMIPC" call <"$file")" = "$(sha256_of "$file")" ]
}

# --- the start ---

# The worker ends with 78, and the last words of it match $1.
start_is_refused() {
    start worker
    fails 78 ended worker
    cat "$world/worker.log"
    says "$world/worker.log" "error: handler: .*$1"
    fails 1 says "$world/worker.log" 'ready'
}

bad_plugin_is_refused() { # HANDLER PATTERN
    configure '' "$1"
    start_is_refused "$2"
}

plugin_is_described_in_the_log() {
    start_pair '' "$(testing bare)"
    says "$world/worker.log" "handler: plugin bare \($E2E_TEST_PLUGINS/bare.so\): answers with nothing"
}

# --- a reload ---

reload() {
    kill -HUP "${pids[worker]}"
}

answers() { # REQUEST PATTERN
    printf '%s' "$1" | call | grep -q "$2"
}

reload_makes_a_new_plugin() {
    start_pair '' "$(testing good 'colour = "red";')"
    answers '' 'colour=red'
    configure '' "$(testing good 'colour = "blue";')"
    reload
    wait_for answers '' 'colour=blue'
}

reload_takes_a_new_file() {
    cp "$E2E_TEST_PLUGINS/good.so" "$world/plugin.so"
    start_pair '' "$(plugin "$world/plugin.so")"
    answers '' 'uid='
    cp "$E2E_TEST_PLUGINS/acts.so" "$world/new.so"
    mv "$world/new.so" "$world/plugin.so"
    reload
    wait_for answers 'grow 3' '^abc$'
}

refused_reload_changes_nothing() {
    start_pair '' "$(testing good 'colour = "red";')"
    configure '' "$(testing old)"
    reload
    wait_for says "$world/worker.log" 'the reload is taken back'
    says "$world/worker.log" 'error: handler: .*must be built anew'
    wait_for answers '' 'colour=red'
    configure '' "$(testing good 'colour = "blue";')"
    reload
    wait_for answers '' 'colour=blue'
}

reload_ends_the_worker_if_even_the_old_plugin_is_gone() {
    cp "$E2E_TEST_PLUGINS/good.so" "$world/plugin.so"
    start_pair '' "$(plugin "$world/plugin.so")"
    rm "$world/plugin.so"
    reload
    fails 78 ended worker
}

# --- plugins that misbehave ---

worker_dies_with_its_plugin_and_others_go_on() {
    configure 'attempts = 2;' "$(testing acts)"
    start_host
    start_workers worker worker-2 worker-3
    printf crash >"$world/crash"
    refuses 7 'worker lost' call -t 0 "$world/crash"
    host_has workers 1
    answers 'grow 3' '^abc$'
    bury 134
}

# Two of the three workers have ended so.
bury() {
    local name n=0
    for name in worker worker-2 worker-3; do
        if has_ended "${pids[$name]}"; then
            fails "$1" ended "$name"
            n=$((n + 1))
        fi
    done
    [ "$n" = 2 ]
}

hung_plugin_has_its_worker_killed() {
    start_pair 'attempts = 1; health_interval = "1s";' "timeout = \"200ms\"; $(testing acts)"
    printf hang >"$world/hang"
    refuses 7 'worker lost' call -t 0 "$world/hang"
    fails 137 ended worker
    says "$world/host.log" 'holds an exchange for longer than its .timeout'
}

failure_has_the_plugins_code_and_text() {
    start_pair '' "$(testing acts)"
    printf 'fail 42' >"$world/fail"
    refuses 1 'handler failed with exit status 42' call "$world/fail"
    says "$world/err" '^no such colour$'
}

# --- outside of the tree ---

# An installation in $files/root, once. $flags are what pkg-config says of it.
install_all() {
    local config_folder
    [ -d "$files/root" ] || meson install -C "$E2E_BUILD" --destdir "$files/root" --no-rebuild --quiet
    config_folder=$(dirname "$(find "$files/root" -name shmipc.pc)")
    plugindir=$(PKG_CONFIG_PATH=$config_folder pkg-config --variable=plugindir shmipc)
    export PKG_CONFIG_PATH=$config_folder PKG_CONFIG_SYSROOT_DIR=$files/root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
    flags=$(pkg-config --cflags shmipc)
    unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS
}

# shellcheck disable=SC2086 # $flags are words
plugin_is_built_against_an_installation() {
    install_all
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC $flags \
        -o "$world/letters.so" "$E2E_SOURCE/docs/examples/plugin/letters.c"
    start_pair '' "$(plugin "$world/letters.so" 'case = "upper";')"
    [ "$(echo "Large letters" | call)" = 'LARGE LETTERS' ]
    configure '' "$(plugin "$world/letters.so")"
    reload
    wait_for says "$world/worker.log" 'letters cannot be used: say case = "upper" or case = "lower"'
}

# shellcheck disable=SC2086
header_is_right_in_c_and_in_cxx() {
    install_all
    printf '#include <%s>\n' shmipc.h shmipc-plugin.h >"$world/headers.c"
    # Padding is no fault; \@name is how our comments name an argument.
    clang -x c -std=c11 -Weverything -Wno-padded -Wno-documentation-unknown-command -Werror $flags \
        -fsyntax-only "$world/headers.c"
    clang -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror $flags -fsyntax-only "$world/headers.c"
}

# What a sanitizer adds is not ours.
exports() {
    nm -D --defined-only "$1" | awk '$3 !~ /asan/ { print $3 }'
}

plugins_are_installed_with_one_symbol() {
    local name
    install_all
    for name in zstd digest; do
        [ -e "$E2E_PLUGINS/$name.so" ] || continue
        [ "$(exports "$files/root$plugindir/$name.so")" = shmipc_plugin ]
    done
}

bare_name_is_one_of_the_plugin_folder() {
    install_all
    bad_plugin_is_refused "$(plugin none)" "cannot be loaded: $plugindir/none.so"
}

scenario_with zstd 'zstd -d takes what the plugin made' zstd_undoes_what_the_plugin_did ''
scenario_with zstd 'zstd -d takes what the plugin made at a level' zstd_undoes_what_the_plugin_did \
    'level = -5;'
scenario_with zstd 'the plugin takes what zstd made' plugin_undoes_what_zstd_did
scenario_with zstd 'corrupt input is a failed exchange, with the reason' corrupt_input_fails_with_the_reason
scenario_with zstd 'a bomb ends at max_response' bomb_ends_at_the_limit
scenario_with digest 'sha256 is what sha256sum says' digest_is_that_of_sha256sum
scenario_with digest 'crc32c is that of iSCSI' crc32c_is_that_of_iscsi
scenario_with digest 'a raw digest is bytes' raw_digest_is_bytes
also=has_uids scenario_with digest 'a request that is not trusted is handled in a copy' \
    untrusted_request_is_handled_in_a_copy

scenario 'a plugin is described in the log' plugin_is_described_in_the_log
scenario 'exit 78: there is no such file' bad_plugin_is_refused \
    "$(plugin /nonexistent/colour.so)" 'cannot open shared object file'
scenario 'exit 78: another ABI' bad_plugin_is_refused "$(testing old)" 'must be built anew'
scenario 'exit 78: no plugin' bad_plugin_is_refused "$(testing nothing)" 'is no plugin'
scenario 'exit 78: a function is missing' bad_plugin_is_refused "$(testing lacks)" 'undefined symbol'
scenario 'exit 78: init fails, with its text' bad_plugin_is_refused \
    "$(testing refuses 'text = "out of red";')" 'the plugin refuses cannot be used: out of red'
scenario_with zstd 'exit 78: a setting that the plugin does not know' bad_plugin_is_refused \
    "$(shipped zstd 'levle = 3;')" 'levle is not a setting'

scenario 'a reload makes the plugin anew, with its new settings' reload_makes_a_new_plugin
scenario 'a reload takes a file that was replaced' reload_takes_a_new_file
scenario 'a reload that the plugin refuses changes nothing' refused_reload_changes_nothing
scenario 'exit 78: a reload, with even the old plugin gone' \
    reload_ends_the_worker_if_even_the_old_plugin_is_gone

scenario 'a plugin that crashes takes workers along, attempts in all' \
    worker_dies_with_its_plugin_and_others_go_on
scenario 'a plugin that hangs has its worker killed' hung_plugin_has_its_worker_killed
scenario 'a failure has the plugin'"'"'s code and text' failure_has_the_plugins_code_and_text

scenario 'a plugin is built outside of the tree, with an installation alone' \
    plugin_is_built_against_an_installation
scenario 'the installed headers are right in C11 and C++17' header_is_right_in_c_and_in_cxx
scenario 'installed plugins export one symbol' plugins_are_installed_with_one_symbol
scenario 'a bare name is one of the plugin folder' bare_name_is_one_of_the_plugin_folder

finish
