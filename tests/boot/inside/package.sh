#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The life of the Debian packages: installed, used, upgraded under load, removed, purged. They lie in
# /boot-test/old, and with a higher version in /boot-test/new.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"
# shellcheck source=tests/boot/inside/load.sh
. "${0%/*}/load.sh"
export DEBIAN_FRONTEND=noninteractive

# All that packages may leave on a disk. In /var others are at work, too.
list_files() {
    find /etc /usr /lib /opt -xdev -name __pycache__ -prune -o -path '/etc/*-' -prune -o -print | sort
    find /var -xdev -path /var/lib/dpkg -prune -o -path '*shmipc*' -print | sort
}

dpkg_says_nothing_wrong() {
    dpkg "$@" >/tmp/dpkg 2>&1 </dev/null || { cat /tmp/dpkg; return 1; }
    cat /tmp/dpkg
    fails 1 grep -iE 'warning|error|fail|cannot|not found' /tmp/dpkg
}

# A container that this runs in may have a policy against starting anything. The index of all manual pages of
# the machine is not made anew at each step.
install_old() {
    rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
    list_files >/tmp/before
    dpkg_says_nothing_wrong -i /boot-test/old/*.deb
    dpkg --verify shmipc libshmipc0 libshmipc-dev python3-shmipc
}

makes_what_instances_need() {
    getent passwd shmipc
    getent group shmipc
    [ "$(stat -c '%U:%G %a' /run/shmipc)" = 'shmipc:shmipc 755' ]
    [ "$(cat /proc/sys/fs/mqueue/queues_max)" = 4096 ]
    shmipc check
}

starts_nothing() {
    none_runs shmipc.target shmipc@host shmipc@worker
}

runs_when_enabled() {
    systemctl enable --now shmipc@host shmipc@worker
    call_echoes enabled
    useradd --create-home --groups shmipc alice
    [ "$(echo hello | runuser -u alice -- shmipc call)" = hello ]
    within 60 logged host MESSAGE_ID="$HEALTH_CHANGED"
    journalctl -x -q -b -u shmipc@host MESSAGE_ID="$HEALTH_CHANGED" | grep -F 'sends a probe of its own'
}

library_and_module_work() {
    local examples=/usr/share/doc/libshmipc-dev/examples worker
    systemctl stop shmipc@worker
    # shellcheck disable=SC2046 # options
    cc "$examples/client.c" -o /tmp/client $(pkg-config --cflags --libs shmipc)
    /usr/bin/python3 /usr/share/doc/python3-shmipc/examples/worker.py &
    worker=$!
    trap 'kill $worker' EXIT
    [ "$(/tmp/client drawer)" = reward ]
    [ "$(/usr/bin/python3 /usr/share/doc/python3-shmipc/examples/client.py drawer)" = reward ]
    kill "$worker"
    trap - EXIT
    systemctl start shmipc@worker
}

program_is_the_installed_one() {
    fails 1 sh -c "readlink /proc/$1/exe | grep deleted"
}

upgrade_under_load_costs_nobody() {
    local host worker inode
    systemctl start shmipc@worker-2
    host=$(main_pid host)
    worker=$(main_pid worker)
    inode=$(stat -c %i /run/shmipc/host.sock)
    begin_load
    dpkg_says_nothing_wrong -i /boot-test/new/*.deb
    within 60 runs_anew host "$host"
    within 60 runs_anew worker "$worker"
    call_echoes 'upgraded'
    end_load
    dpkg-query -W shmipc | grep -F +newer
    program_is_the_installed_one "$(main_pid host)"
    program_is_the_installed_one "$(main_pid worker-2)"
    [ "$(stat -c %i /run/shmipc/host.sock)" = "$inode" ]
    logged host MESSAGE_ID="$TAKEN_UP"
}

untouched_configuration_is_replaced() {
    grep -x '# newer' /etc/shmipc.conf
}

downgrade() {
    dpkg --force-downgrade --force-confold -i /boot-test/old/*.deb </dev/null
}

edited_configuration_is_kept() {
    configure_echo
    cp /etc/shmipc.conf /tmp/mine
    downgrade
    dpkg --force-confold -i /boot-test/new/*.deb </dev/null
    cmp /etc/shmipc.conf /tmp/mine
    call_echoes 'kept'
}

upgrade_waits_for_no_worker() {
    local worker caller
    mkdir -p /run/shmipc-test
    configure <<'EOF'
host: { role = "host"; };
worker: { role = "worker"; timeout = "1h"; handler = {
    type = "exec"; command = [ "sh", "-c", "until [ -e /run/shmipc-test/go ]; do sleep 0.1; done; cat" ]; }; };
EOF
    systemctl stop shmipc@worker-2
    systemctl restart shmipc@worker
    worker=$(main_pid worker)
    echo 'long work' | shmipc call -t 3600 >/tmp/answer &
    caller=$!
    within 60 pgrep -u shmipc -x sleep
    downgrade >/tmp/dpkg
    grep -F 'when they have finished what they have' /tmp/dpkg
    [ "$(main_pid worker)" = "$worker" ]
    touch /run/shmipc-test/go
    wait "$caller"
    [ "$(cat /tmp/answer)" = 'long work' ]
    within 60 runs_anew worker "$worker"
    configure_echo
    systemctl restart shmipc@worker
}

upgrade_disturbs_nothing_while_the_configuration_is_invalid() {
    local host
    host=$(main_pid host)
    echo 'host: {' >>/etc/shmipc.conf
    dpkg --force-confold -i /boot-test/new/*.deb </dev/null >/tmp/dpkg 2>&1
    cat /tmp/dpkg
    grep -F 'nothing is restarted' /tmp/dpkg
    [ "$(main_pid host)" = "$host" ]
    call_echoes 'undisturbed'
    configure_echo
    systemctl restart 'shmipc@*.service'
    within 60 runs_anew host "$host"
    call_echoes 'mended'
}

upgrade_obeys_the_policy() {
    local host
    host=$(main_pid host)
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    downgrade
    rm /usr/sbin/policy-rc.d
    [ "$(main_pid host)" = "$host" ]
}

removal_stops_all_and_keeps_what_is_ours() {
    echo parked >/var/lib/shmipc/host/mine
    dpkg_says_nothing_wrong --remove shmipc
    none_runs shmipc@host shmipc@worker
    nothing_is_left
    [ ! -e /run/shmipc ]
    [ ! -e /lib/systemd/system/shmipc@.service ]
    [ -s /etc/shmipc.conf ]
    [ "$(cat /var/lib/shmipc/host/mine)" = parked ]
    [ -z "$(systemctl list-units --plain --no-legend 'shmipc*')" ]
}

installed_again_it_goes_on() {
    dpkg_says_nothing_wrong -i /boot-test/old/shmipc_*.deb
    systemctl start shmipc.target
    within 60 all_run shmipc@host shmipc@worker
    call_echoes 'again'
}

purge_leaves_the_user_alone() {
    userdel --remove alice 2>/dev/null
    dpkg --purge shmipc python3-shmipc libshmipc-dev libshmipc0 >/tmp/dpkg 2>&1
    cat /tmp/dpkg
    fails 1 grep -iE 'warning|error|not empty' /tmp/dpkg
    nothing_is_left
    getent passwd shmipc
    list_files | diff /tmp/before -
}

systemd_is_content() {
    systemctl daemon-reload
    [ -z "$(systemctl list-units --all --plain --no-legend 'shmipc*')" ]
    [ "$(systemctl is-system-running)" = running ]
}

check 'dpkg installs them without a complaint' install_old
check 'user, folder and limits are there, and the configuration is valid' makes_what_instances_need
check 'an installation starts nothing' starts_nothing
check 'enabled instances run and explain themselves' runs_when_enabled
check 'programs in C and Python work as their examples say' library_and_module_work
check 'an upgrade under load costs nobody anything' upgrade_under_load_costs_nobody
check 'a configuration that nobody has edited is replaced' untouched_configuration_is_replaced
check 'an edited configuration is kept' edited_configuration_is_kept
check 'an upgrade waits for no worker, and cuts off none' upgrade_waits_for_no_worker
check 'an upgrade restarts nothing while the configuration is invalid' \
    upgrade_disturbs_nothing_while_the_configuration_is_invalid
check 'an upgrade obeys policy-rc.d' upgrade_obeys_the_policy
check 'a removal stops all, and keeps configuration and state' removal_stops_all_and_keeps_what_is_ours
check 'installed again, enabled instances go on' installed_again_it_goes_on
check 'a purge leaves nothing but the user' purge_leaves_the_user_alone
check 'systemd has no unit of ours, and no failed one' systemd_is_content
check 'sanitizers found nothing' sanitizers_found_nothing
finish
