#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every failing call: one call of a party fails, and nothing else may come of it than a clear error.

Usage: test-faults.py PARTY, one of host, echo, exec, plugin, call, client, worker, or a command that looks at the
host or measures it: status, doctor, bench, files (`call -j`); or `calls`, which looks whether all that our programs call
is in the list of what may fail.

A short life of the party is led once as it is, to count its calls; then again and again, each time with one call
that fails with one error. Each time
  - no party crashes, hangs, or is found at fault by a sanitizer;
  - the party goes on, or ends with an exit status and a message of its own;
  - the others go on: afterwards an exchange succeeds with the party, or with a new one in its place;
  - it holds no more descriptors than without the failure;
  - when all have stopped, no process, memory, queue or socket is left.

FAULTS=every in the environment goes through every call with every error, FAULTS=N (20) through N of them, chosen by
the seed FAULTS_SEED. FAULTS='CALL:N:ERROR' is one of them, to look at.
"""
import collections
import errno
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from errors import CANNOT_FAIL, ERRORS, LIBRARIES

SHMIPC = os.environ["SHMIPC"]
SHIM = os.environ["FAULTY_SHIM"]
TOOLS = pathlib.Path(os.environ["FAULTS_TOOLS"])
HANG_SECONDS = float(os.environ.get("FAULTS_HANG_SECONDS", "60"))
# Without these a host that ends cannot remove its socket, or an object that it was just about to unlink; the next sweeps.
SWEPT_LATER = ("connect", "getsockopt", "mq_unlink", "shm_unlink", "socket", "unlink")
# A worker's reply finds the queue full only while the client that reads it has something to wake up for. Failing
# otherwise, it would leave the client asleep until its time is over.
NEVER = {party: [("mq_timedsend", "EAGAIN")] for party in ("echo", "exec", "plugin", "worker")}
# EPIPE is said of a peer that has hung up, and that it has is heard next.
NEVER["host"] = [("sendmsg", "EPIPE")]
COMMANDS = ("status", "doctor", "bench", "files")
# Without memory glibc ends the program itself here and there.
LIBC_GAVE_UP = re.compile(r"nss_database\.c:.*Assertion|cannot allocate memory for thread-local data: ABORT")
SANITIZER = re.compile(r"Sanitizer|runtime error:|Assertion|assertion")


class Wrong(Exception):
    """What must not come of a failing call."""


class Party:
    """A process, with what it says in a file of its own."""

    def __init__(self, world, name, argv, variables=None):
        self.world = world
        self.name = name
        self.log = world.folder / f"{name}.{len(world.parties)}.log"
        with open(self.log, "wb") as log, open(os.devnull, "rb") as nothing:
            self.process = subprocess.Popen(argv, stdin=nothing, stdout=log, stderr=log,
                                            env={**world.variables, **(variables or {})})
        world.parties.append(self)

    def said(self):
        return self.log.read_text(errors="replace")

    def says(self, text):
        return text in self.said()

    def ended(self):
        return self.process.poll() is not None

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def await_end(self):
        try:
            return self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired as hang:
            raise Wrong(f"{self.name} hangs") from hang

    def await_that(self, condition):
        """Until it holds, or this party has ended."""
        until = time.monotonic() + HANG_SECONDS
        while not condition() and not self.ended():
            if time.monotonic() > until:
                raise Wrong(f"{self.name} does not come so far; it said: {self.said()[-300:]}")
            time.sleep(0.005)

    def stop(self):
        """Ask it to stop, and see how it ends."""
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        self.await_end()

    def check_end(self):
        """An end by itself has a status and, unless it is 0, says why."""
        status = self.process.returncode
        if LIBC_GAVE_UP.search(self.said()):
            return
        if status == -signal.SIGKILL and self.name == "worker":
            return # it or the host hung up, and the host kills before it gives its exchanges to another
        if status < 0:
            raise Wrong(f"{self.name} was killed by signal {-status}: {self.said()[-2000:]}")
        if SANITIZER.search(self.said()):
            raise Wrong(f"{self.name}: {self.said()[-6000:]}")
        if status > 0 and not re.search(r"^\w[\w -]*(\[[\w-]+\])?: .{10}", self.said(), re.MULTILINE):
            raise Wrong(f"{self.name} ended with status {status} and said nothing: {self.said()!r}")


class World:
    """A folder, a configuration, and who is in it. One is gone before the next begins."""

    def __init__(self, party, fault):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
        self.socket = self.folder / "host.sock"
        self.fault_log = self.folder / "faults"
        self.fault_log.touch()
        self.party = party
        self.fault = fault
        self.parties = []
        self.host = self.worker = None
        self.variables = {**os.environ, "SHMIPC_SOCKET": str(self.socket), "LC_ALL": "C.UTF-8",
                          "E2E_WORLD": str(self.folder)}
        self.variables["ASAN_OPTIONS"] = "verify_asan_link_order=0:allocator_may_return_null=1"
        self.config = self.folder / "shmipc.conf"
        handler = {"exec": 'type = "exec"; command = ["cat"];',
                   "plugin": f'type = "plugin"; path = "{TOOLS}/bounce.so";'}.get(party, 'type = "echo";')
        self.config.write_text('host: { role = "host"; parked = "0"; health_interval = "1s"; };\n'
                               f'worker: {{ role = "worker"; handler = {{ {handler} }}; }};\n')
        self.input = self.folder / "input"
        self.input.write_bytes(bytes(i * 7 % 251 for i in range(100_000)))

    # --- who may be the one with the failure ---

    def faulty(self):
        call, n, error = self.fault
        variables = {"LD_PRELOAD": SHIM, "FAULTY_LOG": str(self.fault_log)}
        if call:
            variables.update(FAULTY_CALL=call, FAULTY_N=str(n), FAULTY_ERRNO=str(getattr(errno, error)))
        return variables

    def start(self, name, argv, is_faulty):
        return Party(self, name, argv, self.faulty() if is_faulty else None)

    def start_host(self, is_faulty=False):
        self.host = self.start("host", [SHMIPC, "run", "host", "-c", self.config], is_faulty)
        self.host.await_that(self.host_listens)

    def host_listens(self):
        """As the kernel says: the line in the log may be what failed."""
        listeners = pathlib.Path("/proc/net/unix").read_text(errors="replace").splitlines()
        return any(line.split()[3] == "00010000" and line.endswith(str(self.socket)) for line in listeners)

    def start_worker(self, is_faulty=False):
        argv = [TOOLS / "lib-life", "worker"] if self.party == "worker" else [SHMIPC, "run", "worker", "-c", self.config]
        self.worker = self.start("worker", argv, is_faulty)
        self.worker.await_that(self.worker_is_attached)
        self.keep_up_host()

    def worker_is_attached(self):
        return self.worker.says("attached") or self.host.ended() or self.is_line_lost()

    def is_line_lost(self):
        """Whether that may be what failed."""
        return self.fault[0] in ("write", "pwritev64v2")

    def keep_up(self):
        """As a service manager would: who has ended by itself is started again, and has no further failure."""
        self.keep_up_host()
        if self.worker.ended():
            self.worker.check_end()
            self.start_worker()

    def run(self, name, argv, is_faulty=False):
        """A short program; meanwhile the others are kept up. Return: it, ended."""
        party = self.start(name, argv, is_faulty)
        until = time.monotonic() + HANG_SECONDS
        while not party.ended():
            if time.monotonic() > until:
                raise Wrong(f"{name} hangs: {party.said()[-300:]}")
            self.keep_up()
            time.sleep(0.005)
        party.check_end()
        if party.says("other bytes"):
            raise Wrong(f"{name} was given other bytes than it sent")
        return party

    def call(self, is_faulty=False):
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        party = self.run("call", [SHMIPC, "call", "-t", "30", "-o", output, self.input], is_faulty)
        if party.process.returncode == 0 and output.read_bytes() != self.input.read_bytes():
            raise Wrong("other bytes came back")
        return party

    def exchanges(self, is_faulty=False):
        return self.run("client", [TOOLS / "lib-life", "client", "10", "100000", "3000"], is_faulty)

    def command(self, name, is_faulty=False):
        argv = {"status": ["status"],
                "doctor": ["doctor", "-c", self.config],
                "bench": ["bench", "--size", "64,4K", "--requests", "100"],
                "files": ["call", "-j", "2", "--output-dir", self.folder / "outputs", self.input, self.config]}[name]
        return self.run(name, [SHMIPC, *argv], is_faulty)

    def reload(self):
        if not self.host.ended():
            self.host.process.send_signal(signal.SIGHUP)
            self.host.await_that(lambda: self.host.says("reload") or self.is_line_lost())

    # --- a life ---

    def lead_life(self):
        party = self.party
        self.start_host(party == "host")
        self.keep_up_host()
        self.start_worker(party in ("echo", "exec", "plugin", "worker"))
        self.keep_up()
        self.call(party == "call")
        self.exchanges(party == "client")
        if party in COMMANDS:
            self.command(party, True)
        if party == "host":
            self.command("status")
            self.reload()
            self.call()
        self.succeed()

    def keep_up_host(self):
        if self.host.ended():
            self.host.check_end()
            self.start_host()

    def succeed(self):
        """Whatever failed, now it works."""
        self.keep_up()
        for _ in range(3): # one may meet who is about to end
            self.keep_up()
            party = self.call()
            if party.process.returncode == 0:
                return
        raise Wrong(f"no exchange succeeds any more: {party.said()}")

    def n_descriptors(self):
        """Of who stays, once they have let go of who went."""
        return sum(party.n_descriptors() for party in (self.host, self.worker) if not party.ended())

    def end(self):
        for party in (self.worker, self.host):
            party.stop()
            party.check_end()

    def check_left(self):
        left = [name for name in os.listdir("/dev/shm") if name.startswith("shmipc")]
        left += os.listdir(QUEUES) + [name for name in os.listdir(self.folder) if ".sock" in name]
        usage = os.statvfs("/dev/shm")
        if usage.f_blocks != usage.f_bfree:
            left.append(f"{(usage.f_blocks - usage.f_bfree) * usage.f_bsize} bytes of shared memory")
        for process in os.listdir("/proc"):
            if process.isdigit() and int(process) != os.getpid():
                left += [f"process {process}"] if self.is_of_us(process) else []
        return left

    def is_of_us(self, process):
        try:
            return f"E2E_WORLD={self.folder}".encode() in pathlib.Path("/proc", process, "environ").read_bytes()
        except OSError:
            return False

    def check_nothing_left(self):
        left = self.check_left()
        if left and self.fault[0] in SWEPT_LATER:
            self.start_host() # what could not be removed is swept by the next start
            self.host.stop()
            left = self.check_left()
        until = time.monotonic() + HANG_SECONDS # the kernel frees what a killed child had when it comes to it
        while left and time.monotonic() < until:
            time.sleep(0.02)
            left = self.check_left()
        if left:
            raise Wrong(f"left behind: {left}")

    def clear(self):
        for party in self.parties:
            if not party.ended():
                party.process.kill()
                party.process.wait()
        shutil.rmtree(self.folder)


def await_few_descriptors(world, most):
    until = time.monotonic() + HANG_SECONDS
    while world.n_descriptors() > most:
        if time.monotonic() > until:
            raise Wrong(f"{world.n_descriptors()} descriptors are open, {most} without the failure")
        time.sleep(0.02)


def lead(party, fault, most_descriptors):
    """One life. Return: the names that its faulty one wrote, and how many descriptors were open at last."""
    world = World(party, fault)
    try:
        world.lead_life()
        if most_descriptors is not None:
            await_few_descriptors(world, most_descriptors)
        n_descriptors = world.n_descriptors()
        world.end()
        world.check_nothing_left()
        return world.fault_log.read_text().split(), n_descriptors
    finally:
        world.clear()


# --- which ones ---

def errors_of(party, call):
    return [error for error in ERRORS[call].split() if (call, error) not in NEVER.get(party, [])]


def all_faults(party, counted):
    return [(call, n, error) for call, count in sorted(counted.items())
            for n in range(1, count + 1) for error in errors_of(party, call)]


def chosen_faults(party, counted):
    what = os.environ.get("FAULTS", "20")
    if ":" in what:
        call, n, error = what.split(":")
        return [(call, int(n), error)]
    if what == "every":
        return all_faults(party, counted)
    seed = int(os.environ.get("FAULTS_SEED", time.time_ns() % 1_000_000))
    print(f"# FAULTS_SEED={seed}")
    chance = random.Random(seed)
    calls = sorted(counted)
    faults = []
    for call in chance.choices(calls, k=int(what)): # a function that is called seldom is as interesting
        faults.append((call, chance.randint(1, counted[call]), chance.choice(errors_of(party, call))))
    return sorted(faults)


def record(party, n_cases, n_reached, n_wrong):
    path = os.environ.get("RELIABILITY_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as results:
            results.write(f"faults-{party}\tchosen={os.environ.get('FAULTS', '20')} cases={n_cases} "
                          f"failed_calls={n_reached} wrong={n_wrong}\n")


def try_faults(party):
    names, _ = lead(party, (None, 0, None), None)
    names, n_descriptors = lead(party, (None, 0, None), None) # what is only done at the first time is done
    counted = collections.Counter(names)
    groups = collections.defaultdict(list)
    for fault in chosen_faults(party, counted):
        groups[fault[0]].append(fault)
    n_cases = n_reached = n_wrong = 0
    for number, (call, faults) in enumerate(groups.items(), 1):
        wrong = []
        for fault in faults:
            n_cases += 1
            try:
                n_reached += len(lead(party, fault, n_descriptors)[0])
            except Wrong as what:
                wrong.append(f"{':'.join(map(str, fault))}: {what}")
        n_wrong += len(wrong)
        print(f"{'not ok' if wrong else 'ok'} {number} - {party}: {call} fails, {len(faults)} times "
              f"({counted[call]} calls in a life)", flush=True)
        for text in wrong:
            print("# " + text.replace("\n", "\n#     "), flush=True)
    print(f"1..{len(groups)}")
    print(f"# {n_reached} of {n_cases} came to the call that was to fail")
    record(party, n_cases, n_reached, n_wrong)
    return n_wrong > 0


# --- what is called at all ---

def undefined(program):
    said = subprocess.run(["nm", "-D", "--undefined-only", program], check=True, capture_output=True, text=True)
    return {re.sub("@.*", "", line.split()[-1]) for line in said.stdout.splitlines()}


def unlisted(programs):
    listed = set(ERRORS) | {name for names in CANNOT_FAIL.values() for name in names.split()}
    found = set().union(*map(undefined, programs))
    missing = sorted(found - listed)
    return [f"{name}: list it in errors.py and, if it can fail, in calls.h" for name in missing
            if not name.startswith(LIBRARIES + ("__asan", "__ubsan", "__tsan"))]


def check_calls():
    calls = pathlib.Path(os.environ["FAULTS_SOURCE"], "calls.h").read_text()
    stubs = set(re.findall(r"^RETURNS\(\w+, (\w+)\)", calls, re.MULTILINE))
    results = [
        ("all that is called may fail here, or cannot", unlisted([SHMIPC, os.environ["SHMIPC_LIBRARY"]])),
        ("what is not in the list is found", [] if any("unsetenv:" in fault for fault in unlisted([SHIM])) else ["not found"]),
        ("each that may fail has a stub, and errors", sorted(stubs ^ set(ERRORS))),
        ("each error has a number", [name for names in ERRORS.values() for name in names.split()
                                     if not hasattr(errno, name)]),
    ]
    for number, (name, faults) in enumerate(results, 1):
        print(f"{'not ok' if faults else 'ok'} {number} - {name}")
        for fault in faults:
            print("#", fault)
    print(f"1..{len(results)}")
    return any(faults for _, faults in results)


# --- namespaces ---

QUEUES = os.environ.get("FAULTS_QUEUES")


def enter_namespaces():
    """Run this again where nothing is but ours. Return: only if that is not to be had."""
    script = ('set -e; mount -t tmpfs -o mode=1777,size=90% tmpfs /dev/shm; mkdir -p /tmp/faults-queues.$$; '
              'export FAULTS_QUEUES=/tmp/faults-queues.$$; mount -t tmpfs tmpfs /tmp/faults-queues.$$; '
              'mkdir /tmp/faults-queues.$$/queues; FAULTS_QUEUES=$FAULTS_QUEUES/queues; '
              'mount -t mqueue mqueue "$FAULTS_QUEUES"; exec "$@"')
    for user in ([], ["--user", "--map-root-user"]):
        inside = ["unshare", *user, "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                  script, "sh"]
        if subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            os.execvp("unshare", [*inside, sys.executable, *sys.argv])
    print("1..0 # SKIP there are no namespaces here")


def main():
    party = sys.argv[1]
    if party == "calls":
        return check_calls()
    if not QUEUES:
        return enter_namespaces()
    return try_faults(party)


if __name__ == "__main__":
    sys.exit(main())
