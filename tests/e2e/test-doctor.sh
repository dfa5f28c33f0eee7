#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `shmipc doctor`: each fault is made, found, and mended by what it says; what this user may not see is said.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016,SC2119 # patterns with `; functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# A host of so few clients that any machine has room for them.
small='max_clients = 10; memory = "16M";'

# Whether the doctor, asked by means of $2…, exits with $1; what it says is in $world/said.
doctor() {
    local wanted=$1 status=0
    shift
    "$@" timeout "$HANG_SECONDS" "$SHMIPC" doctor -c "$config" >"$world/said" || status=$?
    cat "$world/said"
    [ "$status" = "$wanted" ]
}

# Whether it said $1 of the check or instance $2, in words that match $3. A text goes over several lines.
found() {
    sed -z 's/\n        / /g' "$world/said" >"$world/lines"
    says "$world/lines" "^$1 +$2: .*$3"
}

# The command that follows what matches $1, run.
cure() {
    sed -z 's/\n        / /g' "$world/said" | sed -nE "s/^.*$1.* => (.*)\$/\\1/p" >"$world/cure"
    cat "$world/cure"
    [ -s "$world/cure" ]
    sh -eu "$world/cure"
}

healthy_pair_is_well() {
    start_pair "$small"
    echoes there
    doctor 0 env
    found ok hosts\ of\ host 'answers, with 1 worker;'
    found ok units\ of\ worker 'runs as process'
    found ok configuration "$config: 1 host, 1 worker"
    found ok queues 'enough'
    fails 1 says "$world/said" '^FAIL'
    tail -n 1 "$world/said" | grep -E '^[0-9]+ ok, [0-9]+ warn, 0 FAIL'
}

each_check_says_something() {
    local name
    start_pair "$small"
    doctor 0 env
    for name in configuration commands user units hosts versions settings queues descriptors memory namespaces \
        removal leftovers clock huge-pages; do
        says "$world/said" "^[^ ]+ +$name"
    done
}

faulty_configuration_fails_with_its_line() {
    printf 'host: {\n role = "host";\n memory = 5;\n};\n' >"$config"
    doctor 1 env
    found FAIL configuration "$config:3: .*=> edit $config"
    found '\?' hosts 'needs a valid configuration'
}

missing_host_fails_with_the_command() {
    configure "$small"
    doctor 1 env
    found FAIL hosts\ of\ host "nobody listens at $SHMIPC_SOCKET.*=> .*host"
    found warn units\ of\ host 'does not run'
}

missing_worker_fails_with_the_command() {
    configure "$small"
    start_host
    doctor 1 env
    found FAIL hosts\ of\ host 'no worker is attached.*=> .*worker'
    start_workers worker
    doctor 0 env
}

host_that_nobody_serves_is_named() {
    printf 'host: { role = "host"; %s };\nlost: { role = "worker"; serves = "hosts"; };\n' "$small" >"$config"
    doctor 1 env
    found warn configuration\ of\ host 'no worker of this file serves it'
    found warn configuration\ of\ lost 'serves `hosts`, which is no host of this file'
}

missing_command_fails() {
    start_pair "$small" "$(runs no-such-program)"
    doctor 1 env
    found FAIL commands\ of\ worker "runs \`no-such-program\`, which is in no folder of its PATH \\(${PATH:0:100}"
    : >"$world/not-to-run"
    configure "$small" "$(runs "$world/not-to-run")"
    doctor 1 env
    found FAIL commands\ of\ worker 'cannot be run'
    chmod +x "$world/not-to-run"
    doctor 0 env
    found ok commands 'are there'
}

# Not in that of whoever asks.
command_is_looked_for_in_the_path_of_its_worker() {
    mkdir "$world/bin"
    cp "$(realpath "$(command -v cat)")" "$world/bin/only-there"
    start_pair "$small" "$(runs only-there)"
    doctor 1 env
    found FAIL commands\ of\ worker 'runs `only-there`, which is in no folder of its PATH'
    stop worker
    PATH=$world/bin:$PATH start_workers worker
    doctor 0 env
    found ok commands 'are there'
    stop worker
    configure "$small" "$(runs only-there | sed "s,};\$,environment = [\"PATH=$world/bin\"]; };,")"
    start_workers worker
    doctor 0 env
    found ok commands 'are there'
}

command_that_is_hidden_from_the_worker_fails() {
    mkdir "$world/home"
    cp "$(realpath "$(command -v cat)")" "$world/home/handler"
    configure "$small" "$(runs "$world/home/handler")"
    start_host
    start worker unshare --mount sh -c 'mount -t tmpfs tmpfs "$0" && exec "$@"' "$world/home"
    wait_for host_has workers 1
    doctor 1 env
    found FAIL commands\ of\ worker 'does not let it see \(ProtectHome=, .*=> put it into'
}

command_that_the_user_of_the_worker_may_not_run_fails() {
    install -m 700 "$(realpath "$(command -v cat)")" "$world/mine"
    configure "$small" "$(runs "$world/mine")"
    chown $ALICE "$config"
    start_host as $ALICE
    start worker as $ALICE
    wait_for host_has workers 1
    doctor 1 env
    found FAIL commands\ of\ worker "cannot be run by user $ALICE: Permission denied"
    chmod 755 "$world/mine"
    doctor 0 env
}

# The kernel's own 10 for a new namespace.
queue_depth_over_the_limit_fails_until_it_is_raised() {
    local max=/proc/sys/fs/mqueue/msg_max before
    before=$(cat "$max")
    configure "$small queue_depth = $((before + 7));"
    doctor 1 env
    found FAIL queues\ of\ host "fs.mqueue.msg_max is $before, and $((before + 7)) is needed"
    says "$world/said" "=> sysctl -w fs.mqueue.msg_max=$((before + 7))"
    echo $((before + 7)) >"$max"
    doctor 1 env # there is no host still
    fails 0 found ok queues 'enough'
    echo "$before" >"$max"
}

too_few_queues_are_a_warning() {
    configure 'max_clients = 60000; memory = "16M";'
    start_host prlimit --msgqueue=819200
    start_workers worker
    doctor 0 env
    found warn queues 'fs.mqueue.queues_max is [0-9]+, and 60003 is needed.*=> sysctl -w fs.mqueue.queues_max=60003'
    found warn queues\ of\ host 'RLIMIT_MSGQUEUE is'
}

# With a limit that this namespace does not have, and the other way round.
limits_are_those_of_the_namespace_of_the_host() {
    local max=/proc/sys/fs/mqueue/queues_max before
    before=$(cat "$max")
    configure "$small"
    start_host unshare --ipc sh -c 'echo 12 >"$0" && exec "$@"' "$max"
    start_workers worker
    doctor 0 env
    found warn queues\ of\ host "queues_max is 12, and 13 is needed.*=> nsenter -t ${pids[host]} -i sysctl -w"
    doctor 0 as $ALICE
    found '\?' queues\ of\ host "process ${pids[host]} has it is for root to see"
    echo 12 >"$max"
    nsenter -t "${pids[host]}" -i sh -c 'echo 13 >"$0"' "$max"
    doctor 0 env
    found ok queues 'enough'
    echo "$before" >"$max"
}

# Those of the process that runs, not of whoever asks.
too_few_descriptors_are_a_warning() {
    configure "$small"
    start_host prlimit --nofile=100
    start_workers worker
    doctor 0 env
    found warn descriptors\ of\ host 'RLIMIT_NOFILE is 100, and `max_clients` = 10 may need 134.*=> '
}

full_memory_fails() {
    start_pair "$small"
    mount -t tmpfs -o size=32M,mode=1777 tmpfs /dev/shm
    fallocate -l 30M /dev/shm/others
    doctor 0 env
    found warn memory '/dev/shm is full to 93 %.*=> mount -o remount,size=[45][0-9]M /dev/shm'
    fallocate -l 32M /dev/shm/others
    doctor 1 env
    found FAIL memory '/dev/shm is full to 100 %'
    cure 'full to 100 %'
    doctor 0 env
    found ok memory 'has [45][0-9].*M, of which [56][0-9] % are used'
    umount /dev/shm
}

# Which the machine's says nothing of.
host_with_memory_of_its_own_is_looked_at_there() {
    configure "$small"
    start_host unshare --mount sh -c 'mount -t tmpfs -o size=20M,mode=1777 tmpfs /dev/shm && exec "$@"' sh
    start_workers worker
    mount -t tmpfs -o size=8M,mode=1777 tmpfs /dev/shm
    doctor 0 env
    found ok memory 'has 8M, of which 0 % are used'
    found ok memory\ of\ host 'its own /dev/shm has 20M'
    fails 1 found warn memory\ of\ host 'is more than the 8M'
    fallocate -l 19M "/proc/${pids[host]}/root/dev/shm/others"
    doctor 0 env
    found warn memory\ of\ host '/dev/shm is full to 9[0-9] %.*=> a larger TemporaryFileSystem=/dev/shm by'
    umount /dev/shm
}

budget_over_the_file_system_is_a_warning() {
    start_pair "$small"
    mount -t tmpfs -o size=8M,mode=1777 tmpfs /dev/shm
    doctor 0 env
    found warn memory\ of\ host '`memory` = 16M is more than the 8M of /dev/shm'
    umount /dev/shm
}

# As if it were in the unit: a file system of control groups with a limit for all.
budget_over_the_control_group_is_a_warning() {
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/memory
    echo 33554432 | tee /sys/fs/cgroup/memory.max >/sys/fs/cgroup/memory/memory.limit_in_bytes
    start_pair 'max_clients = 10; memory = "64M";'
    doctor 0 env
    umount /sys/fs/cgroup
    found warn memory\ of\ host '`memory` = 64M is more than the 32M that the control group may have'
    found warn memory\ of\ worker 'of host, `memory` = 64M is more than the 32M'
    says "$world/host.log" 'warning: `memory` = 64M is more than the 32M that the control group may have \(MemoryMax='
    doctor 0 env
    fails 1 says "$world/said" 'MemoryMax'
}

plain_wire() {
    printf 'plain: { role = "worker"; wire = "plain"; segment = "/doctor-segment"; };\n' >"$config"
}

left_object_is_found_and_removed_by_the_cure() {
    plain_wire
    : >/dev/shm/doctor-segment
    doctor 0 env
    found warn leftovers\ of\ plain '/dev/shm/doctor-segment of user .* left behind'
    cure 'doctor-segment of user'
    [ ! -e /dev/shm/doctor-segment ]
    doctor 0 env
    found ok leftovers 'no object was left behind'
}

anothers_object_fails() {
    plain_wire
    start plain
    wait_for says "$world/plain.log" 'serves the plain wire|plain wire|ready'
    wait_for [ -e /dev/shm/doctor-segment ]
    doctor 0 env
    chown $ALICE /dev/shm/doctor-segment
    doctor 1 env
    found FAIL leftovers\ of\ plain "is of user $ALICE, and the instance runs as.*=> rm /dev/shm/doctor-segment; only if"
    chown root /dev/shm/doctor-segment
}

half_made_object_is_found_when_it_is_old() {
    start_pair "$small"
    : >/dev/shm/shmipc.other.new
    doctor 0 env
    fails 1 says "$world/said" 'shmipc.other.new'
    touch -d '5 minutes ago' /dev/shm/shmipc.other.new
    doctor 0 env
    found warn leftovers 'shmipc.other.new was left by a host that was killed'
    cure 'shmipc.other.new was left'
    [ ! -e /dev/shm/shmipc.other.new ]
}

# What anybody can name, an object or a process, gets neither to the terminal nor into a command for root. (The
# process runs a program that is gone, which would be said of an instance.)
names_of_strangers_are_no_commands() {
    start_pair "$small"
    touch -d '5 minutes ago' '/dev/shm/shmipc.x; evil.new' /dev/shm/shmipc.evil$'\e''[2J.new'
    cp "$(realpath "$(command -v sh)")" "$world/sh"
    echo 'echo begun; read -r _ || :' >"$world/run"
    background stranger bash -c 'cd "$1" && exec -a shmipc "$1/sh" run "host; evil" -c "$2"' - "$world" "$config" \
        < <(wait_for [ -e "$world/end" ])
    wait_for says "$world/stranger.log" begun
    rm "$world/sh"
    doctor 0 env
    touch "$world/end"
    fails 0 ended stranger
    rm /dev/shm/shmipc.*.new
    fails 1 grep -a evil "$world/said"
    found ok leftovers 'no object was left behind'
}

# As a shmipc that nobody may read, so that /proc says it were root's.
process_of_a_stranger_is_not_believed() {
    configure "$small"
    install -m 711 "$(realpath "$(command -v sh)")" "$world/shmipc"
    echo 'echo begun; read -r _ || :' >"$world/run"
    chmod 644 "$config" "$world/run"
    background stranger as $ALICE bash -c 'cd "$1" && exec -a shmipc "$1/shmipc" run host -c "$2"' - "$world" \
        "$config" < <(wait_for [ -e "$world/end" ])
    wait_for says "$world/stranger.log" begun
    doctor 1 env
    found warn units\ of\ host 'does not run'
    touch "$world/end"
    fails 0 ended stranger
}

# Until that is older than a second.
edit() {
    touch "$config"
    ! doctor 0 env || found warn "settings of $1" 'goes by an older'
}

older_than_the_configuration_is_a_warning() {
    local PATH=${SHMIPC%/*}:$PATH
    start_pair "$small"
    doctor 0 env
    found ok settings 'has read'
    wait_for edit host
    wait_for edit worker
    found warn settings\ of\ host "an older $config: .*=> shmipc check -c $config && kill -HUP ${pids[host]}"
    cure "process ${pids[host]} goes by"
    wait_for says "$world/host.log" reloaded
    cure "process ${pids[worker]} goes by"
    wait_for says "$world/worker.log" reloaded
    wait_for host_has workers 1
    doctor 0 env
    found ok settings 'has read'
}

namespace_of_its_own_is_wrong_on_the_plain_wire_only() {
    configure "$small"
    start_host unshare --ipc
    start_workers worker
    doctor 0 env
    found ok namespaces\ of\ host 'an IPC namespace of its own, with limits of its own'
    plain_wire
    start plain unshare --ipc
    wait_for [ -e /dev/shm/doctor-segment ]
    doctor 0 env
    found warn namespaces\ of\ plain 'do not find its queues'
}

slow_clock_is_a_warning() {
    local now=/sys/devices/system/clocksource/clocksource0
    start_pair "$small"
    echo hpet >"$world/now"
    echo 'kvm-clock tsc hpet' >"$world/available"
    mount --bind "$world/now" "$now"/current_clocksource
    mount --bind "$world/available" "$now"/available_clocksource
    doctor 0 env
    umount "$now"/current_clocksource "$now"/available_clocksource
    found warn clock "the clock source is hpet.*=> echo tsc > $now/current_clocksource"
}

denied_huge_pages_are_a_warning() {
    local file=/sys/kernel/mm/transparent_hugepage/shmem_enabled
    start_pair "$small"
    echo 'always within_size advise never [deny] force' >"$world/choice"
    mount --bind "$world/choice" "$file"
    doctor 0 env
    configure "$small huge_pages = \"never\";"
    bounded "$SHMIPC" doctor -c "$config" >"$world/unwanted"
    umount "$file"
    found warn huge-pages "are denied.*=> echo never > $file"
    says "$world/unwanted" '^ok +huge-pages: no host asks'
}

replaced_program_is_a_warning() {
    cp "$SHMIPC" "$world/shmipc"
    configure "$small"
    SHMIPC=$world/shmipc start_host
    start_workers worker
    doctor 0 env
    rm "$world/shmipc"
    doctor 0 env
    found warn versions\ of\ host 'still runs the program from before'
}

stranger_is_told_what_it_cannot_see() {
    start_pair "$small"
    chmod 644 "$config"
    doctor 0 as $ALICE
    found warn hosts\ of\ host 'does not let this user in: .*=> usermod -aG'
    found '\?' versions\ of\ host 'for root to see'
    found '\?' namespaces\ of\ worker 'for root to see'
    says "$world/said" 'could not be looked at: as root more can be seen'
}

configuration_of_others_is_not_ours() {
    start_pair "$small"
    sed 's/host:/other:/; s/worker:/others:/' "$config" >"$world/other.conf"
    doctor 0 env
    config=$world/other.conf
    bounded "$SHMIPC" doctor -c "$config" >"$world/said" || :
    found warn units\ of\ other 'does not run'
}

programs_get_json() {
    configure "$small"
    fails 1 "$SHMIPC" doctor -c "$config" --json >"$world/json"
    python3 - "$world/json" <<'END'
import collections, json, sys
said = json.load(open(sys.argv[1]))
counted = collections.Counter(finding["verdict"] for finding in said["findings"])
summary = said["summary"][0]
assert all(summary[verdict] == counted[verdict] for verdict in ("ok", "warn", "fail", "unseen")), said
failed = [finding for finding in said["findings"] if finding["verdict"] == "fail"]
assert [(finding["check"], finding["instance"]) for finding in failed] == [("hosts", "host")], failed
assert failed[0]["cure"] and failed[0]["text"], failed
END
}

quiet_says_only_what_is_wrong() {
    configure "$small"
    fails 1 "$SHMIPC" doctor -q -c "$config" >"$world/said"
    fails 1 grep -E '^(ok|[0-9]|\?)' "$world/said"
    says "$world/said" '^FAIL'
}

changes_nothing() {
    configure "$small"
    doctor 1 env
    [ -z "$(find /dev/shm -mindepth 1)" ]
    [ ! -e "$SHMIPC_SOCKET" ]
}

scenario 'what works is well: exit status 0' healthy_pair_is_well
scenario 'each check says something' each_check_says_something
scenario 'a faulty configuration fails, with its line' faulty_configuration_fails_with_its_line
scenario 'a host that does not run fails, with the command that starts it' missing_host_fails_with_the_command
scenario 'a host without workers fails, with the command that starts one' missing_worker_fails_with_the_command
scenario 'a host that nobody serves is named' host_that_nobody_serves_is_named
scenario 'a handler without its command fails' missing_command_fails
scenario 'a command is looked for in the PATH of its worker' command_is_looked_for_in_the_path_of_its_worker
scenario_if has_uids 'a command that is hidden from the worker fails' command_that_is_hidden_from_the_worker_fails
scenario_if has_uids 'a command that the user of the worker may not run fails' \
    command_that_the_user_of_the_worker_may_not_run_fails
scenario_if has_namespaces 'a queue_depth over fs.mqueue.msg_max fails until that is raised' \
    queue_depth_over_the_limit_fails_until_it_is_raised
scenario_if has_namespaces 'too small a fs.mqueue.queues_max or RLIMIT_MSGQUEUE is a warning' \
    too_few_queues_are_a_warning
scenario_if has_uids 'limits of queues are those of the IPC namespace of the host' \
    limits_are_those_of_the_namespace_of_the_host
scenario 'too small a RLIMIT_NOFILE of the process is a warning' too_few_descriptors_are_a_warning
scenario_if has_namespaces 'a full /dev/shm fails, and the cure mends it' full_memory_fails
scenario_if has_namespaces 'a host with a /dev/shm of its own is looked at there' \
    host_with_memory_of_its_own_is_looked_at_there
scenario_if has_namespaces 'a budget over the size of /dev/shm is a warning' budget_over_the_file_system_is_a_warning
scenario_if has_uids 'a budget over the limit of the control group is a warning' \
    budget_over_the_control_group_is_a_warning
scenario_if has_namespaces 'a left object is found, and the cure removes it' left_object_is_found_and_removed_by_the_cure
scenario_if has_uids "another user's object fails" anothers_object_fails
scenario_if has_namespaces 'a half-made object is found once it is old' half_made_object_is_found_when_it_is_old
scenario_if has_namespaces 'names of strangers are no commands' names_of_strangers_are_no_commands
scenario_if has_uids 'a process of a stranger is not believed' process_of_a_stranger_is_not_believed
scenario 'what runs by an older configuration is a warning' older_than_the_configuration_is_a_warning
scenario_if has_namespaces 'an IPC namespace of its own is wrong on the plain wire only' \
    namespace_of_its_own_is_wrong_on_the_plain_wire_only
scenario_if has_uids 'a slow clock source is a warning' slow_clock_is_a_warning
if [ -e /sys/kernel/mm/transparent_hugepage/shmem_enabled ]; then
    scenario_if has_uids 'huge pages that are denied are a warning' denied_huge_pages_are_a_warning
else
    skip 'huge pages that are denied are a warning' 'a kernel without huge pages'
fi
scenario 'a program that was replaced is a warning' replaced_program_is_a_warning
scenario_if has_uids 'a stranger is told what it cannot see' stranger_is_told_what_it_cannot_see
scenario 'what runs with another configuration is not looked at' configuration_of_others_is_not_ours
scenario 'programs get JSON' programs_get_json
scenario '--quiet says only what is wrong' quiet_says_only_what_is_wrong
scenario_if has_namespaces 'nothing is changed' changes_nothing
finish
