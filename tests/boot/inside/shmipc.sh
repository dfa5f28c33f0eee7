# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the stories about shmipc share.

# MESSAGE_IDs are for ever, so they may well be said twice. (src/app/message-ids.h)
# shellcheck disable=SC2034 # for the stories
{
    TAKEN_UP=1416975105ae4670a13864eebd13e83f
    HOST_LOST=04720b5fe35549dd803739510519c590
    WORKER_DIED=9d9458d55d07479a8c88739146ad83a7
    HEALTH_CHANGED=52242d100826437499eb8f0d96c35fde
    HOST_ATTACHED=a0362d259b9545dd97e8ed1389f6f859
    CLIENT_REFUSED=860097271c614479ba3cd6133fc01b2e
    EXCHANGE_FAILED=4ed628b2d6514d1dae253321b5927735
    EXCHANGE_REDELIVERED=f3a9977c5bba42d8a2ba0d682c769c84
    EXCHANGE_PARKED=1a865e6a9e314f5a83422fe3920b81a4
    USER_REFUSED=751724bf56694f3085d7df85f8ab5dab
    LIMIT_REACHED=38e29313d8c446dd83897497d56b54a4
    CONFIG_INVALID=38aff1aac98f48da841204a6af2e15e4
    CONFIG_RELOADED=b1da6ad72128404e9a42fcf3159419e3
}

# What docs/systemd.md says, on a system that runs; and a user who may call, and one who may not.
install_shmipc() {
    cp -a /boot-test/stage/. /
    ldconfig
    systemd-sysusers
    systemd-tmpfiles --create
    journalctl --update-catalog
    systemctl daemon-reload
    systemctl restart systemd-sysctl
    useradd --create-home --groups shmipc alice
    useradd --create-home bob
}

# The groups of the configuration file come on standard input.
configure() {
    cat >/etc/shmipc.conf
    shmipc check
}

# A host, and a worker whose handler is the shell command $1.
configure_command() {
    configure <<EOF
host: { role = "host"; };
worker: { role = "worker"; handler = { type = "exec"; command = [ "sh", "-c", "$1" ]; }; };
EOF
}

configure_echo() {
    configure <<EOF
host: { role = "host"; };
worker: { role = "worker"; handler = { type = "echo"; }; };
EOF
}

# Install the example $2 for the instance $1.
drop_in() {
    install -D "/usr/share/doc/shmipc/examples/$2" "/etc/systemd/system/shmipc@$1.service.d/$2"
    systemctl daemon-reload
}

# Have the lines of standard input in the section [Service] of instance $1, until the next boot.
override() {
    mkdir -p "/run/systemd/system/shmipc@$1.service.d"
    (echo '[Service]' && cat) >"/run/systemd/system/shmipc@$1.service.d/override.conf"
    systemctl daemon-reload
}

property() {
    systemctl show --value -p "$2" "shmipc@$1.service"
}

main_pid() {
    property "$1" MainPID
}

# Whether instance $1 logged something that matches all of $2… (as of journalctl); shows it.
logged() {
    local instance=$1
    shift
    journalctl --sync
    journalctl -q -b -u "shmipc@$instance" -o json "$@" | grep .
}

# Whether a call brings back what was sent.
call_echoes() {
    [ "$(echo "$1 went in" | shmipc call -t 30)" = "$1 went in" ]
}

# Whether instance $1 runs as another process than $2. (Between the two it has none, which is process 0.)
runs_anew() {
    local pid
    pid=$(main_pid "$1")
    [ "$pid" != "$2" ] && [ "$pid" != 0 ] && systemctl is-active "shmipc@$1"
}

# Whether each of the units runs. (systemctl is-active is content with one of them.)
all_run() {
    local unit
    for unit in "$@"; do
        systemctl is-active "$unit" || return 1
    done
}

# Whether none of the units does, nor is about to end.
none_runs() {
    local unit
    for unit in "$@"; do
        (systemctl is-active "$unit" || :) | grep -xE 'inactive|failed' || return 1
    done
}

# Neither objects nor sockets nor processes.
nothing_is_left() {
    find /dev/shm /dev/mqueue -mindepth 1 >/tmp/left
    find /run -path '/run/shmipc/*' >>/tmp/left
    ps -o pid,args --no-headers -u shmipc >>/tmp/left || :
    cat /tmp/left
    [ ! -s /tmp/left ]
}

# Builds with sanitizers say in the journal what they found.
sanitizers_found_nothing() {
    journalctl --sync
    fails 1 sh -c "journalctl -b -o cat | grep -E '(Address|Leak|Thread)Sanitizer|runtime error:'"
}
