#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The systemd that the other stories are told in: it is a real one, and shut in.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"

systemd_is_up() {
    [ "$(cat /proc/1/comm)" = systemd ]
    systemctl is-system-running --wait
}

environment_is_systemds() {
    ! env | cut -d = -f 1 | grep -vxE 'PATH|LANG|PWD|SHLVL|_|INVOCATION_ID|SYSTEMD_EXEC_PID'
}

journal_is_kept() {
    journalctl -b -t systemd -o cat --grep 'Reached target multi-user.target'
}

kernel_settings_are_read_only() {
    for setting in fs/nr_open kernel/pid_max vm/overcommit_memory; do
        fails 2 sh -c "cat /proc/sys/$setting >/proc/sys/$setting"
    done
}

capabilities_are_gone() {
    fails 1 date --set "$(date)"
}

# The folder shows the limits of whoever looks, though its neighbours are mounts.
queue_limits_are_the_namespaces() {
    echo 77 >/proc/sys/fs/mqueue/msg_max
    [ "$(unshare --ipc cat /proc/sys/fs/mqueue/msg_max)" = 10 ]
    unshare --ipc sh -c 'echo 88 >/proc/sys/fs/mqueue/msg_max'
    [ "$(cat /proc/sys/fs/mqueue/msg_max)" = 77 ]
}

check 'systemd is up and no unit failed' systemd_is_up
check 'environment has nothing of the caller' environment_is_systemds
check 'journal is kept from the boot on' journal_is_kept
check 'settings of the kernel are read-only' kernel_settings_are_read_only
check 'the clock cannot be set' capabilities_are_gone
check 'limits of message queues are those of the IPC namespace' queue_limits_are_the_namespaces
finish
