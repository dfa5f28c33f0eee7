#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A kill storm: hosts, workers and clients are killed, stopped and restarted at random while they work

Usage: storm.py FAULTS FOLDER [QUEUES]

A host, two workers by the daemon (echo, exec), one by the library, and clients with several requests in
flight run under the service manager of manager.py, with a store of descriptors. FAULTS times something
happens to one of them, but nothing more after $KILLS_SECONDS, if that is set; the seed ($KILLS_SEED, or the
clock) says what. What the parties did stands in their journal (storm.h). In the end:

- each request that was sent by a client that lived on has ended once (0 lost, 0 doubled), with the right
  bytes or with an error that this storm may cause; a handler has begun it `attempts` times at most;
- one more exchange goes well, the host and the workers have as many descriptors open as before the storm, and
  all stop well when they are told to;
- no memory, queue, socket or byte of queues is left.

Prints TAP, and a line of results for docs/reliability.md. QUEUES is where the namespace's queues are mounted.
"""
import collections
import errno
import os
import random
import signal
import struct
import subprocess
import sys
import time

import left
import manager

N_CLIENTS = 3
ATTEMPTS = 2
HANG_SECONDS = 60
CALM_EVERY = 200  # faults
MEETING_DESCRIPTORS = 5  # that a worker gets when it meets a client
NOTE = struct.Struct("=QIi")  # storm.h
CLIENT_BEGINS, SENT, RUN, ENDED, CLIENT_ENDS = range(5)
WRONG_BYTES = 1
HOST = """host: {{ role = "host"; max_deaths = 0; parked = "0"; access = ["self"]; workers = ["self"];
    trusted = [{trusted}]; memory = "256M"; max_payload = "4M"; requests_per_client = 4;
    attempts = {attempts}; }};
echo: {{ role = "worker"; }};
exec: {{ role = "worker"; handler = {{ type = "exec"; command = ["{storm}", "handler"]; }}; }};
"""

# How often each thing happens, to whom.
FAULTS = [
    (30, "kill", "worker"), (20, "kill", "client"), (8, "kill", "host"),
    (12, "stop", "worker"), (8, "stop", "client"), (6, "stop", "host"),
    (8, "restart", "worker"), (3, "restart", "host"), (5, "restart", "client"),
]


def links_of(pid):
    folder = f"/proc/{pid}/fd"
    return {int(fd): os.readlink(f"{folder}/{fd}") for fd in sorted(os.listdir(folder), key=int)}


class Storm:
    def __init__(self, folder, queues, seed):
        self.folder, self.queues, self.seed = folder, queues, seed
        self.random = random.Random(seed)
        self.manager = manager.Manager()
        self.journal = f"{folder}/journal"
        self.socket = f"{folder}/host.sock"
        self.stopped = []  # (unit, until)
        self.killed = set()  # pids
        self.counts = collections.Counter()
        self.complaints = []
        self.has_store = self.was_deaf = False
        self.reader = None

    # --- the parties ---

    def configure(self):
        text = HOST.format(trusted=self.random.choice(['"self"', ""]), attempts=ATTEMPTS, storm=self.storm)
        with open(f"{self.folder}/shmipc.conf", "w", encoding="utf-8") as file:
            file.write(text)
        with open(self.journal, "wb"):
            pass
        self.reader = open(self.journal, "rb")

    @property
    def storm(self):
        return os.environ["KILLS_TOOLS"] + "/storm"

    def add(self, name, command, **more):
        environment = {"SHMIPC_SOCKET": self.socket, "STORM_JOURNAL": self.journal}
        return self.manager.add(name=name, command=command, environment=environment, restart_ms=1,
                                log=f"{self.folder}/{name}.log", **more)

    def add_daemon(self, name):
        return self.add(name, [os.environ["SHMIPC"], "run", name, "-c", f"{self.folder}/shmipc.conf"])

    def begin(self):
        self.configure()
        self.host = self.add_daemon("host")
        self.workers = [self.add_daemon("echo"), self.add_daemon("exec"),
                        self.add("library", [self.storm, "worker"])]
        self.clients = [self.add(f"client-{i}", [self.storm, "client", str(i)]) for i in range(N_CLIENTS)]
        if not self.must(self.manager.start(self.host), "the host does not start"):
            return
        for unit in self.workers:
            self.manager.launch(unit)
        if not self.must(self.manager.until(self.all_work, HANG_SECONDS), "no exchange works"):
            return
        self.n_descriptors = self.descriptors()
        for unit in self.clients:
            self.manager.launch(unit)

    def all_work(self):
        environment = dict(os.environ, SHMIPC_SOCKET=self.socket)
        status = subprocess.run([os.environ["SHMIPC"], "status", "--json"], env=environment,
                                capture_output=True, check=False)
        attached = status.returncode == 0 and f'"workers": {len(self.workers)},' in status.stdout.decode()
        return attached and self.exchange_works()

    def exchange_works(self):
        text = struct.pack("=Q", 0) + b"x" * 5000
        environment = dict(os.environ, SHMIPC_SOCKET=self.socket)
        call = subprocess.run([os.environ["SHMIPC"], "call", "--timeout", "10s"], input=text,
                              env=environment, capture_output=True, check=False)
        return call.returncode == 0 and call.stdout == text

    # --- looking ---

    def must(self, well, what):
        if not well:
            self.complaints.append(what)
        return well

    def descriptors(self):
        """How many each of those who stay has open."""
        return {unit.name: len(os.listdir(f"/proc/{unit.pid}/fd")) for unit in [self.host] + self.workers}

    def descriptors_are_as_before(self):
        """Not more, but for a worker that has met the host's probe since."""
        now = self.descriptors()
        return all(now[name] <= before + (0 if name == "host" else MEETING_DESCRIPTORS)
                   for name, before in self.n_descriptors.items())

    def n_notes(self):
        return os.stat(self.journal).st_size // NOTE.size

    # --- faults ---

    def victim(self, kind):
        if kind == "host":
            return self.host
        return self.random.choice(self.workers if kind == "worker" else self.clients)

    def strike(self):
        _, what, kind = self.random.choices(FAULTS, [weight for weight, _, _ in FAULTS])[0]
        unit = self.victim(kind)
        self.counts[f"{what} {kind}"] += 1
        if what == "kill":
            self.killed.add(unit.pid)
            self.manager.kill(unit)
        elif what == "stop":
            self.manager.freeze(unit)
            self.stopped.append((unit, time.monotonic() + self.random.random() * 0.1))
        else:
            self.thaw_all()  # who is waited for may wait for a party that was stopped
            self.restart(unit)
        self.pass_time(self.random.random() * 0.01)

    def restart(self, unit):
        notifies = unit.command[0] == os.environ["SHMIPC"]
        pid = unit.pid
        if unit.pid is None or (notifies and unit.state != "ready"):
            return  # it is being started again
        if notifies:
            well = self.manager.restart(unit)
        else:
            well = self.manager.end(unit)
            self.manager.launch(unit)
        self.must(well or self.is_excused(unit, pid), f"{unit.name} did not stop well: {unit.status()}")

    def is_excused(self, unit, pid):
        """It was killed just before; or it was told before it has begun to listen."""
        return (pid in self.killed and unit.last_exit == -signal.SIGKILL) or (
            unit.command[0] == self.storm and unit.last_exit == -signal.SIGTERM)

    def pass_time(self, seconds):
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for unit, _ in [s for s in self.stopped if s[1] <= now]:
                self.manager.thaw(unit)
            self.stopped = [s for s in self.stopped if s[1] > now]
            if now >= end:
                return
            soonest = min([end] + [until for _, until in self.stopped])
            self.manager.turn(max(0, min(soonest - now, 0.01)))

    def thaw_all(self):
        for unit, _ in self.stopped:
            self.manager.thaw(unit)
        self.stopped = []

    def calm(self):
        """Every client gets something done."""
        self.thaw_all()
        self.has_store = self.has_store or len(self.host.store) > 0
        wanted = self.n_notes() + 20 * N_CLIENTS
        return self.must(self.manager.until(lambda: self.n_notes() >= wanted, HANG_SECONDS),
                         "nothing goes on any more")

    def rage(self, n_faults):
        end = time.monotonic() + float(os.environ.get("KILLS_SECONDS", "inf"))
        for i in range(n_faults):
            if time.monotonic() > end:
                break
            self.strike()
            if i % CALM_EVERY == CALM_EVERY - 1 and not self.calm():
                return
        self.calm()

    # --- the end ---

    def end(self):
        self.thaw_all()
        for unit in self.clients:
            pid = self.manager.is_running(unit) and unit.pid
            self.must(self.manager.end(unit) or self.is_excused(unit, pid),
                      f"{unit.name} did not end well: {unit.status()}")
        self.must(self.manager.ready(self.host), "the host is not ready in the end")
        self.must(self.manager.until(self.all_work, HANG_SECONDS), "no exchange works in the end")
        for unit in self.workers:
            self.manager.is_running(unit)
        if not self.manager.until(self.descriptors_are_as_before, HANG_SECONDS):
            self.must(False, f"descriptors: {self.n_descriptors} before, {self.descriptors()} in the end")
            self.must(False, f"the host's are {links_of(self.host.pid)}")
        for unit in self.workers + [self.host]:
            self.must(self.manager.stop(unit), f"{unit.name} did not stop well: {unit.status()}")
        for unit in self.manager.units.values():
            self.complain_of_log(unit)
        self.manager.close()

    def complain_of_log(self, unit):
        for line in open(unit.log, encoding="utf-8", errors="replace"):
            if "stopped by an error" in line or "Sanitizer" in line:
                self.must(False, f"{unit.name} says: {line.strip()}")
            # This manager was too slow: a client was let in all the same, and is not kept.
            self.was_deaf = self.was_deaf or "the service manager takes no descriptors" in line

    # --- the journal ---

    def judge(self):
        """What became of each request. Return: the counts of the result line."""
        sent, ended, runs, clients, lived = {}, {}, collections.Counter(), 0, set()
        found = collections.Counter()
        for number, kind, result in NOTE.iter_unpack(self.reader.read()):
            if kind == SENT:
                sent[number] = result
            elif kind == RUN:
                runs[number] += 1
            elif kind == ENDED:
                found["doubled"] += number in ended
                ended[number] = result
            elif kind == CLIENT_BEGINS:
                clients += 1
            else:
                lived.add(number)
        allowed = self.allowed()
        for number, cancelled in sent.items():
            result = ended.get(number)
            found["doubled"] += runs[number] > ATTEMPTS
            if result is None:
                found["lost"] += number >> 20 << 20 in lived
            elif result == WRONG_BYTES:
                found["wrong"] += 1
            elif result == 0:
                found["right"] += 1
            elif -result in allowed or (cancelled and result == -errno.ECANCELED):
                found[errno.errorcode[-result]] += 1
            else:
                found["lost"] += 1
                self.must(False, f"a request ended with {errno.errorcode.get(-result, result)}")
        found["exchanges"] = len(sent)
        found["clients"] = clients
        found["killed_clients"] = clients - len(lived)
        return found

    def allowed(self):
        """Clear errors that a storm may cause: two workers died with a request, or nothing was kept of it."""
        return {errno.EOWNERDEAD} | (set() if self.has_store and not self.was_deaf else {errno.ECONNRESET})


def main():
    n_faults, folder = int(sys.argv[1]), sys.argv[2]
    queues = sys.argv[3] if len(sys.argv) > 3 else None
    seed = int(os.environ.get("KILLS_SEED", str(time.time_ns())), 0)
    print(f"# seed {seed:#x} (KILLS_SEED)", flush=True)
    start = time.monotonic()
    before = left.objects(queues)
    storm = Storm(folder, queues, seed)
    storm.begin()
    if not storm.complaints:
        storm.rage(n_faults)
        storm.end()
    found = storm.judge()
    storm.reader.close()
    after = left.wait_for(before, queues)
    n_left = sum(before[key] != after[key] for key in before) + os.path.exists(storm.socket)
    if n_left:
        print(f"# before: {before}\n# after: {after}")
    tell(storm, found, n_left, seed, time.monotonic() - start)


def tell(storm, found, n_left, seed, seconds):
    def check(number, name, well):
        print(f"{'ok' if well else 'not ok'} {number} - {name}")
        return well

    print(f"# faults: {dict(storm.counts)}")
    print(f"# found: {dict(found)}, store: {storm.has_store}")
    for complaint in storm.complaints[:20]:
        print(f"# {complaint}")
    n_faults = sum(storm.counts.values())
    well = [
        check(1, f"{n_faults} faults, {found['exchanges']} exchanges: none lost", found["lost"] == 0),
        check(2, "none doubled", found["doubled"] == 0),
        check(3, "no wrong bytes", found["wrong"] == 0 and found["right"] > n_faults // 2),
        check(4, "nothing left", n_left == 0),
        check(5, "all go on, and end well", not storm.complaints),
    ]
    print("1..5")
    print(f"# kills-storm\tseed={seed:#x} kernel={os.uname().release} faults={n_faults} "
          f"exchanges={found['exchanges']} lost={found['lost']} doubled={found['doubled']} "
          f"wrong={found['wrong']} left={n_left} host_lost={found['ECONNRESET']} "
          f"worker_lost={found['EOWNERDEAD']} store={'yes' if storm.has_store else 'no'} "
          f"seconds={seconds:.0f}")
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
