# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2154 # of lib.sh
#
# The service manager of manager.py for scripts that have sourced tests/e2e/lib.sh: one in each world.

kills_folder=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# A unit that runs the instance $1 of this world; $2 are more keys, as ', "store_max": 10'.
unit_of() {
    printf '{"name": "%s", "command": ["%s", "run", "%s", "-c", "%s"], "log": "%s"%s}' \
        "$1" "$SHMIPC" "$1" "$config" "$world/$1.log" "${2-}"
}

# A manager with the units $1…, each as JSON. Nothing is started yet.
manager_begin() {
    local unit n=0 files=()
    for unit in "$@"; do
        n=$((n + 1))
        echo "$unit" >"$world/unit-$n.json"
        files+=("$world/unit-$n.json")
    done
    background manager python3 "$kills_folder/manager.py" run "$world/manager.ctl" "${files[@]}" </dev/null
}

# Say a command to it: start, stop, restart, kill, hold, release, freeze, thaw, ready, store, status.
ctl() {
    python3 "$kills_folder/manager.py" ctl "$world/manager.ctl" "$@"
}

# Stop all units; each must do so well.
manager_end() {
    ctl exit
    fails 0 ended manager
}
