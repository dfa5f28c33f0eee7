# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Calls on and on while something is done to those who answer: begin_load, then end_load, which fails if one
# call did.

# One connection after the other, each with another payload, until /tmp/enough is there.
call_on_and_on() {
    local n=0 sent got
    until [ -e /tmp/enough ]; do
        n=$((n + 1))
        head -c $((n % 9 * 40000 + 17)) /dev/urandom >"/tmp/sent.$1"
        sent=$(sha256sum <"/tmp/sent.$1")
        got=$(shmipc call -t 60 "/tmp/sent.$1" | sha256sum) || { echo "call $n failed"; return 1; }
        [ "$sent" = "$got" ] || { echo "call $n brought other bytes back"; return 1; }
    done
    echo "$n" >"/tmp/calls.$1"
}

# One connection that stays. Its first calls need more and more memory.
cat >/tmp/stay.py <<'END'
import os, sys
sys.path += sys.argv[1:]
import shmipc
n = 0
with shmipc.connect() as host:
    while not os.path.exists("/tmp/enough"):
        n += 1
        sent = os.urandom(n % 9 * 40000 + 23)
        if bytes(host.call(sent, timeout=60)) != sent:
            sys.exit(f"call {n} brought other bytes back")
print(n)
END
# Where a build has put the module; a package has it where Python looks.
python_folder=$(find /boot-test/stage -name shmipc.py -printf '%h' 2>/dev/null)

begin_load() {
    rm -f /tmp/enough /tmp/calls.*
    set -o pipefail
    call_on_and_on 1 >/tmp/load.1 2>&1 &
    loads=$!
    call_on_and_on 2 >/tmp/load.2 2>&1 &
    loads="$loads $!"
    python3 /tmp/stay.py "${python_folder#/boot-test/stage}" >/tmp/load.3 2>&1 &
    loads="$loads $!"
}

# None saw an error, and each has done something.
end_load() {
    local load status=0
    touch /tmp/enough
    for load in $loads; do
        wait "$load" || status=1
    done
    cat /tmp/load.1 /tmp/load.2 /tmp/load.3
    [ "$status" = 0 ]
    [ "$(cat /tmp/calls.1)" -gt 0 ]
    [ "$(cat /tmp/calls.2)" -gt 0 ]
    [ "$(cat /tmp/load.3)" -gt 0 ]
}
