#!/bin/bash
# SPDX-License-Identifier: MIT
# The main job, without systemd: build shmipc, run a host and workers in the foreground, send a real file through and back, compare the answers, end
# cleanly, and see that nothing is left. For root it installs the packages that are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
.ci/install-packages build
build=build-demo
[ -d "$build/meson-private" ] || meson setup "$build" -Dtests=false >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build" --quiet
rm -f "$build.log"
shmipc=$PWD/$build/src/app/shmipc

folder=$(mktemp -d)
export SHMIPC_SOCKET=$folder/host.sock # so that a host of this machine is not disturbed
pids=
end() {
    # shellcheck disable=SC2086 # a list of numbers
    [ -z "$pids" ] || { kill $pids 2>/dev/null || true; wait $pids 2>/dev/null || true; }
    rm -rf "$folder"
}
trap end EXIT

# Of the names there, those that are ours: others come and go.
names() {
    find /dev/shm /dev/mqueue -name '*shmipc*' 2>/dev/null || true
}
before=$(names)

say() { printf '\n%s\n' "$*"; }
start() {
    printf '$ shmipc run %s &\n' "$*"
    "$shmipc" run "$@" &
    pids="$pids $!"
}
stop() {
    for pid in $(printf '%s\n' $pids | tac); do # the workers first
        kill "$pid"
        wait "$pid"
    done
    pids=
}
reachable() {
    until "$shmipc" status >/dev/null 2>&1; do sleep 0.05; done
}

say '1. A host and a worker that echoes, on the built-in configuration (or /etc/shmipc.conf, if there is one).'
start host
reachable
start worker
say 'An 8 MiB file through the worker and back:'
head -c 8M /dev/urandom >"$folder/file"
"$shmipc" call "$folder/file" >"$folder/answer"
cmp "$folder/file" "$folder/answer" && echo 'The answer is equal to the file.'
say 'What the host says of itself:'
"$shmipc" status
stop

say '2. A worker that runs a command for each request: `sha256sum`.'
cat >"$folder/shmipc.conf" <<'CONF'
host: { role = "host"; };
worker: { role = "worker"; handler: { type = "exec"; command = ["sha256sum"]; }; };
CONF
cat "$folder/shmipc.conf"
start host -c "$folder/shmipc.conf"
reachable
start worker -c "$folder/shmipc.conf"
say 'This README through it:'
"$shmipc" call <README.md | tee "$folder/answer"
sha256sum <README.md | cmp - "$folder/answer" && echo 'The answer is equal to that of `sha256sum < README.md`.'
stop

say '3. What is left:'
after=$(names)
[ "$before" = "$after" ] || { echo "in /dev/shm or /dev/mqueue: before: $before, after: $after"; exit 1; }
[ -z "$(ls -A "$folder" | grep sock || true)" ] || { echo 'the socket'; exit 1; }
echo 'nothing in /dev/shm, nothing in /dev/mqueue, no socket.'
