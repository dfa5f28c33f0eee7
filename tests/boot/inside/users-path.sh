#!/bin/bash
# SPDX-License-Identifier: MIT
#
# From a package that was unpacked to a stopped service: what somebody does on the first day.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
# shellcheck source=tests/boot/inside/shmipc.sh
. "${0%/*}/shmipc.sh"

units_are_sound() {
    systemd-analyze verify --man=no shmipc@host.service shmipc@host.socket shmipc.target >/tmp/said 2>&1
    cat /tmp/said
    [ ! -s /tmp/said ]
    systemd-analyze security --threshold=10 shmipc@host.service
}

limits_are_raised() {
    [ "$(cat /proc/sys/fs/mqueue/msg_max)" = 1024 ]
    [ "$(cat /proc/sys/fs/mqueue/queues_max)" = 4096 ]
}

shipped_configuration_is_valid() {
    [ -s /etc/shmipc.conf ]
    shmipc check
}

doctor_says() {
    shmipc doctor >/tmp/doctor || :
    sed -i -z 's/\n        / /g' /tmp/doctor
    cat /tmp/doctor
    grep -E "$1" /tmp/doctor
}

doctor_says_how_to_start() {
    fails 1 shmipc doctor
    doctor_says '^ok +user: there are user and group `shmipc`'
    doctor_says '^warn +units of worker: does not run \(inactive\) => systemctl start shmipc@worker$'
    doctor_says '^FAIL +hosts of host: nobody listens.* => systemctl start shmipc@host$'
}

doctor_is_content() {
    within 60 sh -c 'shmipc doctor && shmipc doctor | grep "^ok *hosts of host: answers, with 1 worker"'
    [ -z "$(shmipc doctor -q)" ]
    runuser -u alice -- shmipc doctor
    runuser -u bob -- shmipc doctor | grep 'does not let this user in'
}

doctor_sees_what_was_done_to_units() {
    override worker <<<'RemoveIPC=yes'
    echo '[Service]' >/run/systemd/system/shmipc@worker.service.d/later.conf
    doctor_says '^warn +units of worker: its unit was changed.* => systemctl daemon-reload'
    (cat /etc/shmipc.conf && echo 'plain: { role = "worker"; wire = "plain"; };') >/tmp/plain.conf
    override plain <<<'RemoveIPC=yes'
    (shmipc doctor -c /tmp/plain.conf || :) | sed -z 's/\n        / /g' |
        grep '^FAIL *removal of plain: .* => RemoveIPC=no by `systemctl edit shmipc@plain`'
    rm -r /run/systemd/system/shmipc@*.service.d
    systemctl daemon-reload
}

# Until they have run by the old one for a second.
edited_file_is_seen() {
    touch /etc/shmipc.conf
    doctor_says "^warn +settings of $1: process .* older /etc/shmipc.conf.* => shmipc check && systemctl reload shmipc@$1\$"
}

# A handler as a user who has never heard of ProtectHome= would have it.
doctor_sees_as_units_do() {
    cp /etc/shmipc.conf /tmp/shipped.conf
    install -m 755 /bin/cat /home/alice/handler
    chmod 755 /home/alice
    configure <<EOF
host: { role = "host"; };
worker: { role = "worker"; handler = { type = "exec"; command = [ "/home/alice/handler" ]; }; };
EOF
    within 60 edited_file_is_seen host
    within 60 edited_file_is_seen worker
    doctor_says '^FAIL +commands of worker: .*/home/alice/handler`, which its unit does not let it see \(ProtectHome='
    sed -i 's,/home/alice/handler,ldconfig,' /etc/shmipc.conf # which is in /sbin: not in the PATH of every shell
    systemctl reload shmipc@host shmipc@worker
    (PATH=/usr/bin && doctor_says '^ok +commands: the commands of all handlers are there')
    doctor_says '^ok +settings: '
    cp /tmp/shipped.conf /etc/shmipc.conf
    systemctl reload shmipc@host shmipc@worker
}

host_and_worker_start() {
    systemctl start shmipc@host shmipc@worker
    all_run shmipc@host shmipc@worker
}

instances_run_as_their_user() {
    [ "$(ps -o user= -p "$(main_pid host)" -p "$(main_pid worker)" | sort -u)" = shmipc ]
}

journal_tells_that_the_path_works() {
    within 60 logged worker MESSAGE_ID="$HOST_ATTACHED"
    within 60 logged host MESSAGE_ID="$HEALTH_CHANGED"
}

catalog_explains() {
    journalctl -x -q -b -u shmipc@host MESSAGE_ID="$HEALTH_CHANGED" | grep -F 'sends a probe of its own'
}

large_file_comes_back() {
    head -c 100M /dev/urandom >/tmp/f
    cp /tmp/f /tmp/sent
    shmipc call </tmp/sent | cmp - /tmp/f
}

file_and_output_can_be_named() {
    shmipc call -o /tmp/out /tmp/f
    cmp /tmp/out /tmp/f
}

group_member_may_call() {
    [ "$(echo hello | runuser -u alice -- shmipc call)" = hello ]
}

stranger_is_told_so() {
    fails 4 runuser -u bob -- shmipc call </dev/null
    within 60 logged host MESSAGE_ID="$CLIENT_REFUSED"
}

status_tells_who_is_there() {
    shmipc status | grep -w worker
    shmipc status --json | python3 -m json.tool
    property host StatusText | grep -F '1 worker'
}

edited_handler_is_used_after_restart() {
    configure_command sha256sum
    systemctl restart shmipc@worker
    [ "$(shmipc call </etc/os-release)" = "$(sha256sum </etc/os-release)" ]
}

failure_reaches_caller_and_journal() {
    configure_command 'echo no such luck >&2; exit 9'
    systemctl restart shmipc@worker
    fails 1 shmipc call </dev/null >/tmp/out 2>/tmp/err
    [ ! -s /tmp/out ]
    grep -F 'no such luck' /tmp/err
    within 60 logged worker MESSAGE_ID="$EXCHANGE_FAILED" PAYLOAD_SIZE=0
}

messages_have_fields() {
    local line
    line=$(logged worker MESSAGE_ID="$EXCHANGE_FAILED" | tail -1)
    echo "$line"
    grep -F '"SHMIPC_INSTANCE":"worker"' <<<"$line"
    grep -E '"SHMIPC_CLIENT":"[0-9]+"' <<<"$line"
    grep -E '"SHMIPC_SEQUENCE":"[0-9]+-[0-9]+-[0-9]+"' <<<"$line"
}

payloads_are_never_logged() {
    configure_command cat
    systemctl restart shmipc@worker
    [ "$(echo a-very-private-payload | shmipc call)" = a-very-private-payload ]
    journalctl --sync
    fails 1 sh -c 'journalctl -b -u "shmipc@*" -o export | grep -a a-very-private-payload'
}

call_without_host_says_so() {
    fails 3 shmipc call -H nosuch </dev/null
}

stop_is_clean() {
    systemctl stop shmipc@host shmipc@worker
    [ "$(property host Result)" = success ]
    [ "$(property worker Result)" = success ]
    fails 3 shmipc call </dev/null
}

check 'installs as documented' install_shmipc
check 'units verify, and are exposed by 1.0 at most' units_are_sound
check 'limits of message queues are raised' limits_are_raised
check 'shipped configuration is valid' shipped_configuration_is_valid
check 'the doctor says how to start' doctor_says_how_to_start
check 'host and worker start' host_and_worker_start
check 'they run as their user' instances_run_as_their_user
check 'two starts and nothing else show the path at work in the journal' journal_tells_that_the_path_works
check 'journalctl -x explains' catalog_explains
check 'the doctor is content' doctor_is_content
check 'the doctor sees what was done to units' doctor_sees_what_was_done_to_units
check 'the doctor sees what units see, and what they go by' doctor_sees_as_units_do
check '100 MiB come back as they went' large_file_comes_back
check 'file and output can be named' file_and_output_can_be_named
check 'a member of the group may call' group_member_may_call
check 'a stranger may not, and is told so' stranger_is_told_so
check 'status tells who is there' status_tells_who_is_there
check 'an edited handler is used after a restart' edited_handler_is_used_after_restart
check 'a failure reaches caller and journal' failure_reaches_caller_and_journal
check 'messages have their fields' messages_have_fields
check 'payloads are never logged' payloads_are_never_logged
check 'a call without its host says so' call_without_host_says_so
check 'host and worker stop cleanly' stop_is_clean
check 'nothing of ours is left' nothing_is_left
check 'sanitizers found nothing' sanitizers_found_nothing
finish
