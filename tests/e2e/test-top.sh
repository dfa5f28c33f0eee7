#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `shmipc top`: as text for scripts, and on the screen of a terminal, which tmux is here.
# shellcheck disable=SC2317 # check() calls them
# shellcheck disable=SC2016 # patterns with `
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

if [ ! -x "${SHMIPC%/*}/shmipc-top" ]; then
    echo '1..0 # SKIP built without ncurses'
    exit
fi
has_tmux=no
if command -v tmux >/dev/null; then has_tmux=yes; fi

top() {
    bounded "$SHMIPC" top "$@"
}

# --- as text ---

one_picture_is_written_for_scripts() {
    start_pair 'memory = "100M";'
    echoes once
    top -b -n 1 </dev/null >"$world/top"
    cat "$world/top"
    says "$world/top" '^shmipc top - [0-9:]+, host host '
    says "$world/top" '^Exchanges .*in flight 0, 0 waiting \(since start\)'
    says "$world/top" '^Memory .* of 100M; clients 0 of 256; nearest limit '
    says "$world/top" '^queued +[0-9.]+(ns|us|ms|s) '
    says "$world/top" '^ +1 worker +'
    fails 1 grep -P '\x1b| $' "$world/top"
}

several_pictures_come_one_after_the_other() {
    start_pair
    top -b -n 3 -d 50ms </dev/null >"$world/top"
    [ "$(grep -c '^shmipc top' "$world/top")" = 3 ]
    [ "$(grep -c 'since start' "$world/top")" = 1 ]
}

has_pictures() { # NUMBER
    [ "$(grep -c '^shmipc top' "$world/pictures.log")" -ge "$1" ]
}

# As nohup does.
who_has_it_ignore_a_hang_up_sees_it_go_on() {
    local n
    start_pair
    background pictures sh -c 'trap "" HUP; exec "$SHMIPC" top -b -d 50ms' </dev/null
    wait_for has_pictures 1
    kill -HUP "${pids[pictures]}"
    n=$(grep -c '^shmipc top' "$world/pictures.log")
    wait_for has_pictures $((n + 3))
    stop pictures
}

start_two_clients() {
    configure
    start_host
    background small call "$(payload 100000)"
    wait_for host_has in_flight 1
    background large call "$(payload 3000000)"
    wait_for host_has in_flight 2
}

clients_are_sorted() {
    start_two_clients
    top -b -n 1 -s memory </dev/null >"$world/top"
    cat "$world/top"
    [ "$(awk '/ shmipc call$/ { printf "%s ", $8 }' "$world/top")" = '2.9M 100K ' ]
    start_workers worker
    fails 0 ended small
    fails 0 ended large
}

bad_usage_is_2() {
    refuses 2 'no terminal: -b writes text' top
    refuses 2 'at least' top -b -d 0
    refuses 2 'at least' top -b -d soon
    refuses 2 'load, rate, memory or failed' top -b -s nope
    refuses 2 'a number of pictures' top -b -n 0
    refuses 2 'takes no argument' top -b host
    refuses 3 'there is no host' top -b
}

# --- on the screen ---

tm() {
    bounded tmux -S "$world/tmux" -f /dev/null "$@"
}

# A terminal of $1 columns and $2 lines with a shell in it, which says when a command has ended, and how.
open_terminal() {
    tm new-session -d -x "$1" -y "$2" "env PS1='> ' TERM=screen-256color bash --norc --noprofile"
    type_line "stty -a >'$world/stty.before'; echo be''fore"
    wait_for screen_says '^before'
}

close_terminal() {
    tm kill-server
    rm -f "$world/tmux"
}

type_line() {
    tm send-keys -l "$1"
    tm send-keys Enter
}

screen_says() {
    tm capture-pane -p >"$world/screen"
    cat "$world/screen"
    says "$world/screen" "$1"
}

screen_says_not() {
    ! screen_says "$1"
}

start_top() { # COLUMNS LINES OPTION…
    open_terminal "$1" "$2"
    shift 2
    type_line "'$SHMIPC' top -d 100ms $*; echo ended with \$?"
    wait_for screen_says '^shmipc top - '
}

# The shell is back, the terminal as it was, nothing of ours on it.
top_has_ended() {
    wait_for screen_says "^ended with ${1-0}"
    screen_says_not '^LATENCY'
    type_line "stty -a >'$world/stty.after'; echo af''ter"
    wait_for screen_says '^after'
    cmp "$world/stty.before" "$world/stty.after"
    [ "$(tm display-message -p '#{alternate_on} #{cursor_flag}')" = '0 1' ]
    close_terminal
}

q_ends_it() {
    start_pair
    start_top 80 24
    wait_for screen_says '^ +1 worker '
    [ "$(wc -L <"$world/screen")" -le 80 ]
    tm send-keys q
    top_has_ended
}

control_c_ends_it() {
    start_pair
    start_top 80 24
    tm send-keys C-c
    top_has_ended
}

top_pid() {
    local exe
    for exe in /proc/[0-9]*/exe; do
        [ ! "$exe" -ef "${SHMIPC%/*}/shmipc-top" ] || basename "${exe%/exe}"
    done
}

sigterm_ends_it() {
    start_pair
    start_top 80 24
    kill -TERM "$(top_pid)"
    top_has_ended
}

small_terminals_show_no_garbage() {
    local size
    start_pair
    for size in '40 10' '20 3' '2 2'; do
        # shellcheck disable=SC2086 # two words
        open_terminal 80 24
        type_line "'$SHMIPC' top -d 100ms; echo ended with \$?"
        wait_for screen_says '^shmipc top - '
        tm resize-window -x "${size% *}" -y "${size#* }"
        wait_for screen_says '^s'
        [ "$(wc -L <"$world/screen")" -le "${size% *}" ]
        tm resize-window -x 80 -y 24
        wait_for screen_says '^LATENCY'
        wait_for screen_says '^CLIENT'
        tm send-keys q
        top_has_ended
    done
}

keys_do_what_help_says() {
    start_two_clients
    start_top 100 30
    tm send-keys h
    wait_for screen_says '^Keys of shmipc top'
    screen_says '^  M +clients that hold most memory'
    tm send-keys x
    wait_for screen_says '^CLIENT'
    tm send-keys M
    wait_for screen_says_in_order ' 2\.9M ' ' 100K '
    tm send-keys r
    wait_for screen_says_in_order ' 100K ' ' 2\.9M '
    tm send-keys d
    wait_for screen_says 'delay between two pictures:'
    tm send-keys -l nope
    tm send-keys Enter
    wait_for screen_says 'no such time; delay between'
    tm send-keys BSpace BSpace BSpace BSpace
    tm send-keys -l 200ms
    tm send-keys Enter
    wait_for screen_says_not 'delay between'
    tm send-keys q
    top_has_ended
    start_workers worker
    fails 0 ended small
    fails 0 ended large
}

screen_says_in_order() {
    screen_says "$1" && screen_says "$2" &&
        [ "$(grep -nE -- "$1" "$world/screen" | head -n 1 | cut -d: -f1)" -lt \
            "$(grep -nE -- "$2" "$world/screen" | tail -n 1 | cut -d: -f1)" ]
}

host_that_dies_is_said_and_waited_for() {
    configure
    start_host
    start_top 80 24
    wait_for screen_says 'no worker'
    murder host
    wait_for screen_says 'host host is gone or stuck: waiting for it'
    start_host
    wait_for screen_says '^LATENCY'
    tm send-keys q
    top_has_ended
}

host_that_says_nothing_is_said() {
    start_pair
    start_top 80 24
    kill -STOP "${pids[host]}"
    wait_for screen_says 'host host is gone or stuck'
    kill -CONT "${pids[host]}"
    wait_for screen_says '^LATENCY'
    tm send-keys q
    top_has_ended
}

no_answer_is_1_for_scripts() {
    configure
    start_host
    kill -STOP "${pids[host]}"
    refuses 1 'does not answer' top -b -n 1
    kill -CONT "${pids[host]}"
}

terminal_that_cannot_is_said() {
    start_pair
    open_terminal 80 24
    type_line "TERM=dumb-one '$SHMIPC' top; echo ended with \$?"
    wait_for screen_says 'this terminal \(TERM=dumb-one\) cannot be used'
    top_has_ended 1
}

scenario 'one picture is written for scripts' one_picture_is_written_for_scripts
scenario 'several pictures come one after the other' several_pictures_come_one_after_the_other
scenario 'a hang-up that it is to ignore does not end it' who_has_it_ignore_a_hang_up_sees_it_go_on
scenario 'clients are sorted' clients_are_sorted
scenario 'bad usage is exit 2, no host 3' bad_usage_is_2
scenario 'a host that says nothing is exit 1' no_answer_is_1_for_scripts
scenario_if has_tmux 'q ends it, and the terminal is as it was' q_ends_it
scenario_if has_tmux 'so does Ctrl-C' control_c_ends_it
scenario_if has_tmux 'so does SIGTERM' sigterm_ends_it
scenario_if has_tmux 'small terminals show no garbage' small_terminals_show_no_garbage
scenario_if has_tmux 'keys do what the help says' keys_do_what_help_says
scenario_if has_tmux 'a host that dies is said, and waited for' host_that_dies_is_said_and_waited_for
scenario_if has_tmux 'so is one that says nothing' host_that_says_nothing_is_said
scenario_if has_tmux 'a terminal that cannot show it is said' terminal_that_cannot_is_said

finish
