#!/bin/sh
# SPDX-License-Identifier: MIT
# The surface that systemd reads: units, drop-ins, sysusers.d, tmpfiles.d, sysctl.d and the journal
# catalog. Prints TAP.
# Usage: test-units-systemd.sh BUILT-SYSTEMD-FOLDER SOURCE-ROOT
set -u

built=$1
source=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0

# Run the rest as one test: it passes if the command succeeds and prints nothing.
silent() {
    name=$1
    shift
    n=$((n + 1))
    if said=$("$@" 2>&1) && [ -z "$said" ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        printf '%s\n' "$said" | sed 's/^/# /'
    fi
}

skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

# A folder with the units as installed, but for the program, which need not be installed here.
stage_units() {
    mkdir "$work/units" "$work/root" "$work/root/etc"
    for unit in 'shmipc@.service' 'shmipc@.socket' shmipc.target; do
        sed 's,[^ =]*/shmipc ,/bin/true ,' "$built/$unit" >"$work/units/$unit"
    done
}

no_placeholder_is_left() {
    ! grep -nE '@[a-z]+@' "$built/shmipc@.service" "$built/shmipc@.socket" "$built/shmipc.target" \
        "$built/shmipc.sysusers" "$built/shmipc.tmpfiles"
}

verify() {
    for unit in "$@"; do
        systemd-analyze verify --man=no --recursive-errors=no "$work/units/$unit" || return 1
    done
}

verify_with_drop_in() {
    mkdir -p "$work/units/shmipc@worker.service.d"
    cp "$source/systemd/examples/$1" "$work/units/shmipc@worker.service.d/"
    verify 'shmipc@worker.service'
    status=$?
    rm -r "$work/units/shmipc@worker.service.d"
    return $status
}

# Prints the verdict only if it is not the wished one.
exposure_is_at_most_1() {
    systemd-analyze security --offline=true --threshold=10 --no-pager "$work/units/shmipc@.service" \
        >"$work/security" 2>&1 || { tail -1 "$work/security"; return 1; }
}

# Settings that would break what an instance is for; each is explained in the unit.
no_setting_that_breaks_instances() {
    ! grep -nE '^(RuntimeDirectory|PrivateUsers|PrivateIPC|DynamicUser|RemoveIPC|MemoryDenyWriteExecute)=' \
        "$built/shmipc@.service" && ! grep -n '%I' "$built/shmipc@.service" "$built/shmipc@.socket"
}

# Requests that kill workers must not use up how often a unit may be started again, nor be lost for want of a place.
unit_outlives_poison() {
    for line in StartLimitIntervalSec=0 Restart=on-failure RestartSec=500ms StateDirectory=shmipc/%i StateDirectoryMode=0700; do
        grep -qx "$line" "$built/shmipc@.service" || echo "no $line"
    done
    ! grep -nE '^StartLimit(Burst|Action)=' "$built/shmipc@.service"
}

code_ids() {
    sed -nE 's/^#define MESSAGE_ID_[A-Z_]+ +"([0-9a-f]{32})".*/\1/p' "$source/src/app/message-ids.h" | sort
}

catalog_ids() {
    sed -nE 's/^-- ([0-9a-f]{32})$/\1/p' "$source/systemd/shmipc.catalog" | sort
}

every_id_has_one_catalog_entry() {
    [ "$(code_ids | wc -l)" = "$(grep -c '^#define' "$source/src/app/message-ids.h")" ] || echo 'malformed id'
    code_ids | uniq -d | grep . && return 1
    code_ids >"$work/code"
    catalog_ids | diff "$work/code" -
}

# What happened, what it means, and (last) what to do.
each_entry_says_what_to_do() {
    awk -v RS='(^|\n)-- ' 'NR > 1 {
        if (split($0, parts, /\n\n/) < 3) print "no explanation: " $1
        if (gsub(/\nSubject: /, "&") != 1 || !/\nDefined-By: shmipc\n/) print "no head: " $1
        if (gsub(/\n\nWhat to do: /, "&") != 1) print "not one `What to do: `: " $1
    }' "$1"
}

catalog_says_what_to_do() {
    each_entry_says_what_to_do "$source/systemd/shmipc.catalog"
    printf '# one\n\n-- 1\nSubject: x\nDefined-By: shmipc\n\nIt happened.\n' >"$work/poor"
    [ "$(each_entry_says_what_to_do "$work/poor" | wc -l)" = 2 ] || echo 'a poor entry passes'
}

catalog_compiles() {
    mkdir -p "$work/root/usr/lib/systemd/catalog"
    cp "$source/systemd/shmipc.catalog" "$work/root/usr/lib/systemd/catalog/"
    journalctl --root="$work/root" --update-catalog || return 1
    journalctl --root="$work/root" --list-catalog | cut -d ' ' -f 1 | diff "$work/code" -
}

sysusers_makes_user_and_group() {
    systemd-sysusers --root="$work/root" "$built/shmipc.sysusers" >"$work/sysusers" 2>&1 || cat "$work/sysusers"
    user=$(sed -n 's/^User=//p' "$built/shmipc@.service")
    group=$(sed -n 's/^Group=//p' "$built/shmipc@.service")
    grep -q "^$user:" "$work/root/etc/passwd" || echo "no user $user"
    grep -q "^$group:" "$work/root/etc/group" || echo "no group $group"
}

tmpfiles_makes_the_folder() {
    systemd-tmpfiles --root="$work/root" --create "$built/shmipc.tmpfiles" || return 1
    mode=$(stat -c %a "$work/root/run/shmipc") && [ "$mode" = 755 ] || echo "mode $mode"
}

# A misspelt key would be ignored without a word.
sysctl_keys_exist() {
    sed -nE 's/^#?(fs\.[a-z_.]+) = [0-9]+$/\1/p' "$source/systemd/shmipc.sysctl" >"$work/keys"
    [ "$(wc -l <"$work/keys")" = 3 ] || echo 'expected three keys'
    while read -r key; do
        [ -e "/proc/sys/$(echo "$key" | tr . /)" ] || echo "no such key: $key"
    done <"$work/keys"
}

for tool in systemd-analyze systemd-sysusers systemd-tmpfiles journalctl; do
    command -v "$tool" >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
stage_units

silent 'placeholders are filled in' no_placeholder_is_left
silent 'units verify without a word' \
    verify 'shmipc@host.service' 'shmipc@worker-2.service' 'shmipc@host.socket' shmipc.target
for drop_in in open-handler.conf private-ipc.conf plain-wire.conf; do
    silent "unit verifies without a word with $drop_in" verify_with_drop_in "$drop_in"
done
silent 'security exposure is at most 1.0' exposure_is_at_most_1
silent 'no hardening that breaks hosts, workers or handlers' no_setting_that_breaks_instances
silent 'no start limit that poison could use up, and a place for what it was' unit_outlives_poison
silent 'every message id has one catalog entry, and every entry its id' every_id_has_one_catalog_entry
silent 'every catalog entry says what to do' catalog_says_what_to_do
silent 'catalog compiles and keeps every entry' catalog_compiles
silent "sysusers.d makes the units' user and group" sysusers_makes_user_and_group
if [ "$(id -u)" = 0 ]; then
    silent 'tmpfiles.d makes the folder of sockets' tmpfiles_makes_the_folder
else
    skip 'tmpfiles.d makes the folder of sockets' 'only root can give it to the user'
fi
silent 'sysctl.d names keys that exist' sysctl_keys_exist
echo "1..$n"
