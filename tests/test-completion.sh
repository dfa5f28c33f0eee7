#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The completion for bash, asked as bash asks it.
# Usage: test-completion.sh SHMIPC SOURCE-ROOT
# shellcheck disable=SC2317 # check() calls them
# shellcheck source=tests/tap.sh
. "${0%/*}/tap.sh"
export LC_ALL=C

shmipc=$(realpath "$1")
# shellcheck source=src/app/shmipc.bash
. "$2/src/app/shmipc.bash"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir folder state
: >picture.png
: >'two words.png'
cat >good.conf <<'END'
pictures: { role = "host"; };
prints: { role = "host"; };
painter: { role = "worker"; serves = "pictures"; };
END
export STATE_DIRECTORY=$work/state

# What is offered for the command line $@, whose last word is the one that is begun.
offered() (
    set +eE +o pipefail # as in a shell that somebody sits at
    trap - ERR
    COMP_WORDS=("$shmipc" "$@")
    COMP_CWORD=$#
    _shmipc
    printf '%s\n' "${COMPREPLY[@]}" | sort
)

offers() { # WORDS, then the line of what is wanted
    local wanted=${*: -1} said
    said=$(offered "${@:1:$#-1}" | tr '\n' ' ')
    echo "offered: $said"
    [ "${said% }" = "$wanted" ]
}

is_registered() {
    complete -p shmipc | grep -F -- '-F _shmipc'
}

commands_are_those_of_help() {
    local commands
    commands=$("$shmipc" --help | sed -nE 's/^  ([a-z]+) +.*/\1/p' | sort)
    [ "$(wc -l <<<"$commands")" -ge 6 ]
    [ "$(offered '' | grep -v '^-')" = "$commands" ]
    offers che check
    offers --ver --version
}

options_are_those_of_the_command() {
    offers call --t --timeout
    offers run - '--config --help -c -h'
    offers parked list --no --noheadings
    offers doctor --q --quiet
    offers trace --slo --slower
}

users_are_offered_where_a_user_is_meant() {
    offers trace --uid roo root
}

# None is without any.
each_command_has_options() {
    local command
    for command in $("$shmipc" --help | sed -nE 's/^  ([a-z]+) +.*/\1/p'); do
        [[ $("$shmipc" "$command" --help 2>&1) != *'built without'* ]] || continue
        offered "$command" - | grep -x -- --help
    done
}

instances_are_those_of_the_configuration() {
    offers run -c good.conf '' 'painter pictures prints'
    offers run -c good.conf pa painter
    offers run --config = good.conf '' 'painter pictures prints'
    [ "$(offered run '' | tr '\n' ' ')" = 'host worker ' ] || [ -e /etc/shmipc.conf ]
}

# Only hosts are called. (Of the installed file, since `call` has no -c.)
hosts_are_offered_where_a_host_is_meant() {
    local hosts
    hosts=$("$shmipc" check 2>/dev/null | sed -n 's/^\([^:]*\): host,.*/\1/p' | sort)
    [ "$(offered call -H '')" = "$hosts" ]
    [ "$(offered status --host '')" = "$hosts" ]
    [ "$(offered status --host = '')" = "$hosts" ]
}

broken_configuration_offers_nothing() {
    echo 'host {' >bad.conf
    offers run -c bad.conf '' ''
}

files_are_offered_where_a_file_is_meant() {
    offers call pic picture.png
    [ "$(offered call two)" = 'two words.png' ]
    offers call -o pic picture.png
    offers check -c go good.conf
}

words_of_a_command_are_offered() {
    offers parked '' 'drop list retry show'
    offers parked re retry
}

parked_requests_are_offered_by_their_id() {
    offers parked show '' ''
}

unknown_command_offers_nothing() {
    offers nosuch - ''
    offers nosuch '' ''
}

check 'it is registered' is_registered
check 'commands are those of --help' commands_are_those_of_help
check 'options are those of the command' options_are_those_of_the_command
check 'each command has options' each_command_has_options
check 'instances are those of the configuration' instances_are_those_of_the_configuration
check 'hosts are offered where a host is meant' hosts_are_offered_where_a_host_is_meant
check 'users are offered where a user is meant' users_are_offered_where_a_user_is_meant
check 'a broken configuration offers nothing' broken_configuration_offers_nothing
check 'files are offered where a file is meant' files_are_offered_where_a_file_is_meant
check 'the words of a command are offered' words_of_a_command_are_offered
check 'ids of parked requests are offered' parked_requests_are_offered_by_their_id
check 'an unknown command offers nothing' unknown_command_offers_nothing
finish
