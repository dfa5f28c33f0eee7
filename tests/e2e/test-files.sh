#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `shmipc call` for many files: what comes back, what is done again and what is not, and what fails.
# shellcheck disable=SC2317,SC1010 # check() calls them; `done` is a word of ours
# shellcheck disable=SC2016,SC2119 # patterns with `; functions that take arguments or none
# shellcheck source=tests/e2e/lib.sh
. "${0%/*}/lib.sh"

# Files of the world, each with its name in it and of another size.
make_files() {
    local name
    mkdir -p "$world/in"
    for name in "$@"; do
        { echo "$name"; head -c $((RANDOM * 9)) "$(payload 300000)"; } >"$world/in/$name"
    done
}

send() {
    bounded "$SHMIPC" call -d "$world/out" "$@" 2>"$world/err" >"$world/stdout" || return
    cat "$world/err"
    [ ! -s "$world/stdout" ]
}

# Whether just these are in the output folder, as they went in.
came_back() {
    local name
    diff <(printf '%s\n' "$@" | sort) <(ls -A "$world/out")
    for name in "$@"; do
        cmp "$world/in/$name" "$world/out/$name"
    done
}

many_files_come_back_by_their_names() {
    local names
    names=$(seq -f 'file %g.png' 40)
    start_pair
    while read -r name; do make_files "$name"; done <<<"$names"
    : >"$world/in/empty"
    send -j 8 "$world"/in/*
    ls "$world/in" >"$world/names"
    mapfile -t names <"$world/names"
    came_back "${names[@]}"
    says "$world/err" '^shmipc call: 41 done \([0-9.]+[KM] in .*\)$'
    [ "$(wc -l <"$world/err")" = 1 ]
    host_has done 41
}

# Each run of the handler takes its turn in the file `runs`, and waits for a file `go-on`.
waiting_handler() {
    runs_script <<'END'
cat >"$E2E_WORLD/request.$$"
echo run >>"$E2E_WORLD/runs"
until [ -e "$E2E_WORLD/go-on" ]; do sleep 0.02; done
[ ! -e "$E2E_WORLD/writes" ] || echo more >>"$E2E_WORLD/in/a"
cat "$E2E_WORLD/request.$$"
END
}
n_runs() {
    [ "$(wc -l <"$world/runs")" = "$1" ]
}

# Other bytes, longer, shorter, or another file with the times of the first.
input_that_was_changed_meanwhile_is_sent_again() {
    local change
    start_pair '' "$(waiting_handler)"
    for change in 'printf X | dd of="$0" conv=notrunc' 'echo more >>"$0"' ': >"$0"' \
        'cp -p "$0" "$0.new" && echo other | dd of="$0.new" conv=notrunc &&
        touch -r "$0" "$0.new" && mv "$0.new" "$0"'; do
        rm -rf "$world"/in "$world"/out "$world"/runs "$world/go-on"
        make_files a
        background sender bounded "$SHMIPC" call -d "$world/out" "$world/in/a" </dev/null
        wait_for n_runs 1
        sh -c "$change" "$world/in/a"
        touch "$world/go-on"
        fails 0 ended sender
        n_runs 2
        came_back a
        says "$world/sender.log" '1 done'
    done
}

input_that_changes_each_time_fails_and_the_others_do_not() {
    start_pair '' "$(waiting_handler)"
    make_files a b
    touch "$world/go-on" "$world/writes"
    fails 9 bounded "$SHMIPC" call -d "$world/out" "$world/in/a" 2>"$world/err"
    says "$world/err" 'in/a: was changed each time while it was at a worker; call it again when'
    n_runs 3
    [ -z "$(ls -A "$world/out")" ]
    rm "$world/writes"
    send "$world"/in/*
    came_back a b
}

input_that_went_meanwhile_fails() {
    start_pair '' "$(waiting_handler)"
    make_files a
    background sender bounded "$SHMIPC" call -d "$world/out" "$world/in/a" </dev/null
    wait_for n_runs 1
    rm "$world/in/a"
    touch "$world/go-on"
    fails 9 ended sender
    says "$world/sender.log" 'in/a: No such file or directory'
    [ -z "$(ls -A "$world/out")" ]
}

again_nothing_is_sent() {
    start_pair
    make_files a b c
    send "$world"/in/*
    host_has done 3
    make_files d
    send "$world"/in/*
    says "$world/err" '1 done .*, 3 were there already'
    host_has done 4
    touch -d '1 minute' "$world/in/b"
    send "$world"/in/*
    says "$world/err" '1 done .*, 3 were there already'
    came_back a b c d
}

# Also without a host, since nothing is to be sent.
all_there_needs_no_host() {
    make_files a
    mkdir "$world/out"
    cp "$world/in/a" "$world/out/a"
    send "$world/in/a"
    says "$world/err" '0 done .*, 1 were there already'
}

# Those that begin with "slow" wait to be let go, those that begin with "bad" fail.
picky_handler() {
    runs_script <<<'cat >"$E2E_WORLD/$$"
        read -r name <"$E2E_WORLD/$$" || :
        case $name in
        slow*) until [ -e "$E2E_WORLD/go" ]; do sleep 0.05; done ;;
        bad*) echo "no good: $name" >&2; exit 7 ;;
        esac
        cat "$E2E_WORLD/$$"'
}

# (What is sent to a script of the shell in the background does not ignore SIGTERM, but SIGINT.)
interrupted_it_does_what_is_missing_when_started_again() {
    start_pair '' "$(picky_handler)"
    make_files a1 a2 slow z1 z2
    background call "$SHMIPC" call -j 1 -d "$world/out" "$world"/in/*
    wait_for [ -e "$world/out/a2" ]
    wait_for host_has in_flight 1
    kill -TERM "${pids[call]}"
    fails 143 ended call
    came_back a1 a2
    says "$world/call.log" '2 done .*, 3 left: the same command does what is missing'
    touch "$world/go"
    send -j 1 "$world"/in/*
    says "$world/err" '3 done .*, 2 were there already'
    came_back a1 a2 slow z1 z2
}

killed_it_leaves_no_half_output() {
    start_pair
    make_files a
    mkdir "$world/out"
    echo half >"$world/out/.shmipc-call.part" # as a kill in the middle of writing leaves it
    send "$world"/in/*
    came_back a
}

# A link to a file of somebody, a pipe that nobody reads.
what_a_stranger_puts_there_is_not_written_into() {
    start_pair
    make_files a b
    mkdir "$world/out"
    echo mine >"$world/mine"
    ln "$world/mine" "$world/out/.shmipc-call.part"
    send "$world/in/a"
    mkfifo "$world/out/.shmipc-call.part"
    send "$world/in/b"
    came_back a b
    [ "$(cat "$world/mine")" = mine ]
}

# Names like those of hidden or temporary files, and the longest one.
any_name_comes_back() {
    local names=(a .a.part .a a.part "$(printf 'n%.0s' {1..255})")
    start_pair
    make_files "${names[@]}"
    send -j 1 "${names[@]/#/$world/in/}"
    came_back "${names[@]}"
    : >"$world/in/.shmipc-call.part"
    fails 2 send "$world/in/.shmipc-call.part"
    says "$world/err" 'nothing is sent: .*/.shmipc-call.part has the name of unfinished outputs'
}

folder_in_place_of_an_output_is_no_output() {
    start_pair
    make_files a b
    mkdir -p "$world/out/a"
    fails 9 send "$world"/in/*
    says "$world/err" 'writing .*/a: Is a directory'
    says "$world/err" '1 done .*, 1 failed'
    rmdir "$world/out/a"
    came_back b
}

# A host that is stopped lets nobody in; whoever has started it need not wait for that.
interrupted_before_it_is_let_in_it_ends() {
    configure
    start_host
    make_files a
    kill -STOP "${pids[host]}"
    background call "$SHMIPC" call -t 0 -d "$world/out" "$world/in/a"
    wait_for [ -e "$world/out" ]
    wait_for is_asleep "${pids[call]}"
    kill -TERM "${pids[call]}"
    wait_for has_ended "${pids[call]}" # else it never does
    fails 143 ended call
    kill -CONT "${pids[host]}"
}
is_asleep() {
    grep -q '^State:.S' "/proc/$1/status"
}

file_that_fails_does_not_keep_others_back() {
    start_pair '' "$(picky_handler)"
    make_files a bad1 bad2 z
    fails 1 send -j 2 "$world"/in/*
    came_back a z
    cat "$world/err"
    says "$world/err" "in/bad1: handler failed with exit status 7 \(exchange [0-9]+-[0-9]+-[0-9]+\)"
    says "$world/err" '^no good: bad2$'
    says "$world/err" '2 done .*, 2 failed'
}

exit_status_is_theirs_if_all_fail_alike() {
    start_pair '' "$(picky_handler)"
    make_files a bad
    fails 9 send "$world/in/a" "$world/in/none1" "$world/in/none2"
    says "$world/err" 'in/none1: No such file'
    fails 1 send "$world/in/bad" "$world/in/none"
    fails 9 send "$world/in"
    says "$world/err" 'in: is no regular file'
}

names_do_not_steer_the_terminal() {
    local odd=$'\e[2Jodd\nshmipc call: all is well'
    start_pair
    mkdir -p "$world/in/$odd"
    fails 9 send "$world/in/$odd" "$world/in/none$odd"
    says "$world/err" '/\?\[2Jodd shmipc call: all is well: is no regular file'
    [ "$(wc -l <"$world/err")" = 3 ]
    fails 1 grep -P '\x1b' "$world/err"
}

colliding_names_are_refused() {
    start_pair
    make_files a b
    mkdir "$world/other"
    cp "$world/in/a" "$world/other/a"
    fails 2 send "$world/in/a" "$world/in/b" "$world/other/a"
    says "$world/err" "nothing is sent: .*/a and .*/a would both be $world/out/a"
    [ ! -e "$world/out" ]
    fails 2 send -d "$world/in" "$world/in/b"
    says "$world/err" 'b would be replaced by its own response'
    host_has done 0
}

usage_says_what_is_missing() {
    make_files a
    refuses 2 'one file at a time, not 2, unless --output-dir' call "$world/in/a" "$world/in/b"
    refuses 2 '.j needs --output-dir' call -j 3 "$world/in/a"
    refuses 2 'output-dir needs files' call -d "$world/out"
    refuses 2 'not both' call -d "$world/out" -o "$world/one" "$world/in/a"
    refuses 2 'a number from 1 to 1024, not `0`' call -j 0 -d "$world/out" "$world/in/a"
    refuses 2 'a number from 1 to 1024, not `many`' call -j many -d "$world/out" "$world/in/a"
    refuses 2 'is no name of a file' call -d "$world/out" "$world/in/a" -
    rm "$world/out"
    fails 3 send "$world/in/a"
    says "$world/err" 'there is no host'
}

as_many_are_in_flight_as_asked_for() {
    start_pair '' "$(picky_handler)"
    make_files slow1 slow2 slow3 slow4
    background call "$SHMIPC" call -j 3 -d "$world/out" "$world"/in/*
    wait_for host_has in_flight 3
    touch "$world/go"
    fails 0 ended call
    came_back slow1 slow2 slow3 slow4
}

# The budget has room for the requests of all of them, and then for no response.
want_of_memory_makes_it_slower_only() {
    local name
    configure 'memory = "19M";'
    start_host
    mkdir "$world/in"
    for name in a b c d e f g h i; do
        { echo "$name"; cat "$(payload 2000000)"; } >"$world/in/$name"
    done
    background call "$SHMIPC" call -t 0 -j 9 -d "$world/out" "$world"/in/*
    wait_for host_has in_flight 9
    start_workers worker
    fails 0 ended call
    came_back a b c d e f g h i
    says "$world/worker.log" 'memory budget exhausted' # or this shows nothing
}

file_that_is_too_large_fails_alone() {
    start_pair 'max_payload = "1M";'
    make_files a z
    cp "$(payload 1048577)" "$world/in/large"
    fails 6 send "$world"/in/*
    came_back a z
    says "$world/err" 'in/large: cannot be sent: it is larger than the host.s .max_payload. of 1M: raise that'
}

folder_is_one_commands_at_a_time() {
    start_pair '' "$(picky_handler)"
    make_files slow
    background call "$SHMIPC" call -d "$world/out" "$world"/in/*
    wait_for host_has in_flight 1
    fails 8 send "$world"/in/*
    says "$world/err" 'another `shmipc call` is at work there'
    touch "$world/go"
    fails 0 ended call
    came_back slow
}

no_worker_is_5() {
    local ms
    configure
    start_host
    make_files a b
    for ms in 300 1000 3000 9000 27000; do # as in runs_out()
        fails 5 send -j 2 -t "${ms}ms" "$world"/in/*
        ! says "$world/err" 'in/a: timed out; wait longer with -t' || break
    done
    says "$world/err" 'in/a: timed out; wait longer with -t'
    says "$world/err" '0 done .*, 2 failed'
}

lost_host_is_3_and_what_is_missing_is_done_later() {
    start_pair '' "$(picky_handler)"
    make_files a slow z
    background call "$SHMIPC" call -j 1 -d "$world/out" "$world"/in/*
    wait_for host_has in_flight 1
    wait_for [ -e "$world/out/a" ]
    murder host
    fails 3 ended call
    says "$world/call.log" 'the host `host` went away|went away while'
    touch "$world/go"
    start_host
    wait_for host_has workers 1
    send "$world"/in/*
    came_back a slow z
}

start_two_more_workers() {
    start worker-2 </dev/null
    start worker-3 </dev/null
    wait_for host_has workers 3
}

progress_is_a_bar_on_a_terminal() {
    start_pair '' "$(picky_handler)"
    start_two_more_workers
    make_files a slow1 slow2
    background call script -qefc "'$SHMIPC' call -j 2 -d '$world/out' '$world'/in/*" "$world/typescript"
    wait_for says "$world/typescript" '\[[#-]{20}\] 1 of 3 files, [0-9.]+[BKM]/s, .* left'
    touch "$world/go"
    fails 0 ended call
    says "$world/typescript" 'shmipc call: 3 done'
    came_back a slow1 slow2
}

scenario 'many files come back, by their names' many_files_come_back_by_their_names
scenario 'an input that was changed meanwhile is sent again' input_that_was_changed_meanwhile_is_sent_again
scenario 'an input that changes each time fails, and the others do not' \
    input_that_changes_each_time_fails_and_the_others_do_not
scenario 'an input that went meanwhile fails' input_that_went_meanwhile_fails
scenario 'again, only what is new or newer is sent' again_nothing_is_sent
scenario 'where all is there no host is needed' all_there_needs_no_host
scenario 'interrupted and started again it does what is missing' interrupted_it_does_what_is_missing_when_started_again
scenario 'what a kill has left of an output is replaced' killed_it_leaves_no_half_output
scenario 'what a stranger puts there is not written into' what_a_stranger_puts_there_is_not_written_into
scenario 'any name comes back' any_name_comes_back
scenario 'a folder in the place of an output is no output' folder_in_place_of_an_output_is_no_output
scenario 'interrupted before it is let in, it ends' interrupted_before_it_is_let_in_it_ends
scenario 'a file that fails does not keep the others back' file_that_fails_does_not_keep_others_back
scenario 'the exit status is that of all failures, if it is one' exit_status_is_theirs_if_all_fail_alike
scenario 'names of files do not steer the terminal' names_do_not_steer_the_terminal
scenario 'names that collide are refused before anything is sent' colliding_names_are_refused
scenario 'usage says what is missing' usage_says_what_is_missing
scenario 'as many are in flight as -j says' as_many_are_in_flight_as_asked_for
scenario 'want of memory makes it slower, and that is all' want_of_memory_makes_it_slower_only
scenario 'a file that is too large fails alone' file_that_is_too_large_fails_alone
scenario 'a folder is one command'\''s at a time' folder_is_one_commands_at_a_time
scenario 'no worker is exit status 5' no_worker_is_5
scenario 'a host that goes is exit status 3' lost_host_is_3_and_what_is_missing_is_done_later
scenario 'progress is a bar on a terminal' progress_is_a_bar_on_a_terminal
finish
