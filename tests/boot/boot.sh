#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boots a real systemd and runs a script in it.
#
# Usage: boot.sh [-p PREPARE] SCRIPT RESULTDIR
#
# systemd is PID 1 of new namespaces (PID, mount, UTS, IPC, network, cgroup), on a throw-away
# overlay of this machine's root, whose upper layer is a tmpfs. PREPARE is a shell command that is
# run first, outside of the overlay, with DESTDIR set to it: `meson install` and `systemctl --root=`
# do their work there, and nothing of the machine is touched. Once multi-user.target is reached,
# SCRIPT is run as root, with its folder copied to /boot-test/inside, an environment with nothing of
# the caller's, and /boot-test/result, which is RESULTDIR. When it ends, all ends.
#
# RESULTDIR gets `output` (of SCRIPT), `journal` (read it with journalctl -D) and `setup` (of what
# came before). Exit status: SCRIPT's; 77 where this cannot run, with the reason on standard output;
# 125 if SCRIPT was not run or did not end within BOOT_TIMEOUT seconds (300).
#
# What must never reach the machine, and what keeps it away: files - the overlay; mounts - a private
# mount namespace; kernel settings - /proc/sys is read-only except where it belongs to the
# namespaces; devices - a /dev with six harmless ones, a read-only /sys; the clock and modules -
# no capabilities for them; processes and control groups - one control group that is killed and
# removed at the end.
set -eu

CANNOT=77
BROKEN=125

# ---- outside: this machine, as we found it

usage() {
    echo 'usage: boot.sh [-p PREPARE] SCRIPT RESULTDIR' >&2
    exit 2
}

cannot() {
    echo "$*"
    exit $CANNOT
}

# Each thing that the boot needs of this machine, tried in namespaces that end at once.
probe() {
    [ "$(id -u)" = 0 ] || cannot 'not root'
    [ -x /lib/systemd/systemd ] || cannot 'systemd is not installed'
    for tool in unshare pivot_root setpriv timeout; do
        command -v $tool >/dev/null || cannot "$tool is not installed"
    done
    unshare --fork --pid --mount --uts --ipc --net --cgroup true 2>/dev/null ||
        cannot 'namespaces may not be made'
    unshare --mount sh -eu -c '
        mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
        mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
        ' 2>/dev/null || cannot 'no overlay of / on a tmpfs'
    unshare --mount sh -eu -c '
        mount -t tmpfs tmpfs /mnt && mknod /mnt/null c 1 3 && : >/mnt/null
        ' 2>/dev/null || cannot 'device nodes may not be made'
    unshare --mount mount -t cgroup2 cgroup2 /mnt 2>/dev/null || cannot 'no cgroup2'
}

outside() {
    prepare=true
    while getopts p: option; do
        case $option in
        p) prepare=$OPTARG ;;
        *) usage ;;
        esac
    done
    shift $((OPTIND - 1))
    [ $# = 2 ] || usage
    probe
    script=$(realpath "$1")
    mkdir -p "$2"
    result=$(realpath "$2")
    rm -rf "$result/journal" "$result/output" "$result/setup" "$result/status"
    export BOOT_SCRIPT="$script" BOOT_RESULT="$result" BOOT_PREPARE="$prepare"
    unshare --mount "$0" --between || :
    if [ ! -s "$result/status" ]; then
        echo "boot.sh: $script was not run, or did not end; see $result" >&2
        exit $BROKEN
    fi
    exit "$(cat "$result/status")"
}

# ---- between: a mount namespace, in which we make the control group, wait, and clean up

# Prints the folder of a new control group below our own.
make_cgroup() {
    mount -t cgroup2 cgroup2 /mnt
    made=/mnt$(sed -n 's/^0:://p' /proc/self/cgroup)/shmipc-boot.$$
    mkdir "$made"
    echo "$made"
}

# Whatever has not ended by now is killed, and waited for: an empty control group can be removed.
remove_cgroup() {
    echo 1 >"$1/cgroup.kill"
    timeout 30 sh -c "until grep -q '^populated 0' '$1/cgroup.events'; do sleep 0.05; done"
    find "$1" -depth -type d -exec rmdir {} +
}

between() {
    cgroup=$(make_cgroup)
    trap 'remove_cgroup "$cgroup"' EXIT
    # A shell of its own enters the control group, so that we are not killed with it.
    sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' enter "$cgroup" \
        timeout --foreground --signal=KILL "${BOOT_TIMEOUT:-300}" \
        unshare --fork --kill-child --pid --mount --uts --ipc --net --cgroup \
        "$0" --below </dev/null >"$BOOT_RESULT/setup" 2>&1
}

# ---- below: PID 1 of the new namespaces, which turns into systemd

make_overlay() {
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
    cd /mnt/root
    mount -t tmpfs -o mode=755 tmpfs etc/systemd/system
}

read_only() {
    for path in "$@"; do
        mount --bind "$path" "$path"
        mount -o remount,bind,ro "$path"
    done
}

# Of /proc/sys, net and fs/mqueue belong to the new namespaces; the rest is the machine's. (A mount on mqueue
# itself would show this namespace's limits in every other one, too: its neighbours are mounted over instead.)
mount_proc() {
    mount -t proc -o nosuid,nodev,noexec proc proc
    mkdir /mnt/sys
    mount --bind proc/sys /mnt/sys
    read_only proc/sys
    mount --bind /mnt/sys/net proc/sys/net
    mount --bind /mnt/sys/fs proc/sys/fs
    umount /mnt/sys
    for path in proc/sys/fs/*; do
        [ "$path" = proc/sys/fs/mqueue ] || read_only "$path"
    done
    [ ! -e proc/sysrq-trigger ] || read_only proc/sysrq-trigger
}

mount_sys() {
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
}

mount_dev() {
    mount -t tmpfs -o mode=755,nosuid tmpfs dev
    mknod -m 666 dev/null c 1 3
    mknod -m 666 dev/zero c 1 5
    mknod -m 666 dev/full c 1 7
    mknod -m 666 dev/random c 1 8
    mknod -m 666 dev/urandom c 1 9
    mknod -m 666 dev/tty c 5 0
    ln -s /proc/self/fd dev/fd
    ln -s /proc/self/fd/0 dev/stdin
    ln -s /proc/self/fd/1 dev/stdout
    ln -s /proc/self/fd/2 dev/stderr
    mkdir dev/pts dev/shm dev/mqueue
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
    mount -t mqueue mqueue dev/mqueue
}

# The journal is written into RESULTDIR from its first line on.
mount_rest() {
    mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
    mkdir -p boot-test/result run/log/journal "$BOOT_RESULT/journal"
    mount --bind "$BOOT_RESULT" boot-test/result
    mount --bind "$BOOT_RESULT/journal" run/log/journal
}

# A machine of its own: no disks, no units that were enabled here, nothing of a first boot, no binary formats,
# which are the kernel's.
write_etc() {
    tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
    echo boot-test >etc/hostname
    : >etc/fstab
    mkdir -p etc/systemd/journald.conf.d
    printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >etc/systemd/journald.conf.d/boot-test.conf
    ln -s /dev/null etc/systemd/system/systemd-binfmt.service
    ln -s /dev/null etc/systemd/system/proc-sys-fs-binfmt_misc.automount
    ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
    mkdir -p etc/systemd/system/multi-user.target.wants
    ln -s ../boot-test.service etc/systemd/system/multi-user.target.wants/
    cat >etc/systemd/system/boot-test.service <<EOF
[Unit]
Description=The script of the test
After=multi-user.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=exec
ExecStart=/bin/sh -c '/boot-test/inside/${BOOT_SCRIPT##*/}; echo \$\$? >/boot-test/result/status'
StandardOutput=file:/boot-test/result/output
StandardError=inherit
EOF
}

below() {
    make_overlay
    DESTDIR=$PWD sh -c "cd / && $BOOT_PREPARE"
    mount_proc
    mount_sys
    mount_dev
    mount_rest
    write_etc
    cp -RL "${BOOT_SCRIPT%/*}" boot-test/inside # its links lead elsewhere in the tree
    mkdir boot-test/machine
    pivot_root . boot-test/machine
    cd /
    umount -l boot-test/machine
    exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-syslog \
        env -i container=boot-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system
}

case ${1:-} in
--between) between ;;
--below) below ;;
*) outside "$@" ;;
esac
