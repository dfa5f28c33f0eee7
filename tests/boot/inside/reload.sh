#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A configuration that is edited while everything runs, well and badly.
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

starts() {
    configure_echo
    systemctl start shmipc@host shmipc@worker shmipc@worker-2
    call_echoes start
}

reload_takes_what_can_change() {
    configure <<EOF
host: { role = "host"; log_level = "debug"; };
worker: { role = "worker"; log_level = "debug"; };
EOF
    systemctl reload shmipc@host shmipc@worker shmipc@worker-2
    within 60 logged host MESSAGE_ID="$CONFIG_RELOADED"
    within 60 logged worker MESSAGE_ID="$CONFIG_RELOADED"
    within 60 logged worker-2 MESSAGE_ID="$CONFIG_RELOADED"
    systemctl stop shmipc@worker-2
    call_echoes reload
    within 60 logged worker PRIORITY=7
}

# Those who call from then on are under the new limit.
reload_changes_limits() {
    configure <<EOF
host: { role = "host"; max_payload = "4K"; };
worker: { role = "worker"; };
EOF
    systemctl reload shmipc@host
    head -c 4096 /dev/zero >/tmp/fits
    head -c 4097 /dev/zero >/tmp/too-large
    within 60 fails 6 shmipc call -o /tmp/out /tmp/too-large
    shmipc call /tmp/fits | cmp - /tmp/fits
}

what_waits_for_a_restart_is_named() {
    configure <<EOF
host: { role = "worker"; serves = "other"; };
other: { role = "host"; };
worker: { role = "worker"; serves = "other"; };
EOF
    systemctl reload shmipc@host
    within 60 logged host MESSAGE_ID="$CONFIG_INVALID"
    journalctl -q -b -o cat -u shmipc@host MESSAGE_ID="$CONFIG_INVALID" | grep restart
    call_echoes 'still a host'
}

bad_file_fails_the_reload_and_changes_nothing() {
    local pid
    pid=$(main_pid worker)
    printf 'worker: {\n  role = "worker";\n  handlr = { type = "echo"; };\n};\n' >/etc/shmipc.conf
    fails 1 systemctl reload shmipc@worker
    [ "$(main_pid worker)" = "$pid" ]
    call_echoes 'bad file'
    within 60 sh -c 'journalctl -q -b -o cat -u shmipc@worker | grep -E "shmipc.conf:3: .*handlr"'
}

bad_file_and_a_signal_change_nothing() {
    kill -HUP "$(main_pid worker)"
    within 60 logged worker MESSAGE_ID="$CONFIG_INVALID"
    call_echoes 'signal'
}

bad_file_keeps_an_instance_from_starting_once() {
    fails 1 systemctl restart shmipc@worker
    [ "$(property worker ExecMainStatus)" = 78 ]
    [ "$(property worker NRestarts)" = 0 ]
    none_runs shmipc@worker
}

mended_file_starts() {
    configure_echo
    systemctl start shmipc@worker
    call_echoes mended
}

instance_without_group_is_a_configuration_error() {
    fails 1 systemctl start shmipc@nosuch
    [ "$(property nosuch ExecMainStatus)" = 78 ]
}

stops() {
    systemctl stop shmipc@host shmipc@worker
}

check 'installs' install_shmipc
check 'starts, with a copy of the worker' starts
check 'a reload takes what can change' reload_takes_what_can_change
check 'a reload changes limits' reload_changes_limits
check 'a reload names what waits for a restart' what_waits_for_a_restart_is_named
check 'a bad file fails the reload and changes nothing' bad_file_fails_the_reload_and_changes_nothing
check 'a bad file and SIGHUP change nothing' bad_file_and_a_signal_change_nothing
check 'a bad file keeps an instance from starting, once' bad_file_keeps_an_instance_from_starting_once
check 'the mended file starts' mended_file_starts
check 'an instance without a group ends with status 78' instance_without_group_is_a_configuration_error
check 'stops' stops
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
