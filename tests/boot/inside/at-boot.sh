#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Instances that were enabled before the machine was booted.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

boot_made_what_they_need() {
    getent passwd shmipc
    [ "$(stat -c '%U:%G %a' /run/shmipc)" = 'shmipc:shmipc 755' ]
    [ "$(cat /proc/sys/fs/mqueue/queues_max)" = 4096 ]
}

enabled_instances_run() {
    within 60 all_run shmipc.target shmipc@host shmipc@worker
    call_echoes boot
}

target_stops_and_starts_them() {
    systemctl stop shmipc.target
    none_runs shmipc@host shmipc@worker
    systemctl start shmipc.target
    within 60 all_run shmipc@host shmipc@worker
    call_echoes 'started again'
}

disabled_instance_is_not_started() {
    systemctl disable shmipc@worker
    systemctl stop shmipc.target
    systemctl start shmipc.target
    within 60 all_run shmipc@host
    none_runs shmipc@worker
}

stops() {
    systemctl stop shmipc.target
}

check 'a boot makes what they need' boot_made_what_they_need
check 'enabled instances run after a boot' enabled_instances_run
check 'the target stops them and starts them' target_stops_and_starts_them
check 'a disabled instance is not started' disabled_instance_is_not_started
check 'stops' stops
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
