#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Kills the real programs at each of their system calls, and sees what becomes of the others

Usage: sweep.py POINTS FOLDER [QUEUES]

A short life of each party (a host; workers that echo and that run a command; a call) is led under strace
once, to count its system calls, and then again and again with `--inject=CALL:signal=KILL:when=N`, for each
system call that it makes and each N. POINTS (0 for all) are shared by the parties; the seed ($KILLS_SEED, or
the clock) says which. After each:

- a call during the life of a worker that is killed brings the right bytes; so does one during that of a host,
  from when it has said that it is ready, since its state is kept; where a command is killed, those or exit
  status 1 ("handler failed"); a call that is killed disturbs nobody;
- started again as it would be by a service manager, the party serves a call, and all stop well when told to;
- no memory, queue, socket, byte of queues or descriptor of the others is left.

A thread or child of the victim counts its own calls, so that it dies at its own N.
"""
import collections
import os
import random
import re
import subprocess
import sys
import time

import left
import manager

HANG_SECONDS = 60
HANDLER_FAILED, NO_HOST = 1, 3
PAYLOAD = bytes(range(256)) * 300
CONFIGURATION = """host: { role = "host"; max_deaths = 0; parked = "0"; access = ["self"];
    workers = ["self"]; };
echo: { role = "worker"; };
exec: { role = "worker"; handler = { type = "exec"; command = ["cat"]; }; };
"""


class Fault(Exception):
    pass


def must(well, what):
    if not well:
        raise Fault(what)


class Life:
    """One life of a host and a worker, one of them or a call as the victim."""

    def __init__(self, folder, victim, strace):
        self.socket, self.log = f"{folder}/host.sock", f"{folder}/log"
        self.config, self.strace = f"{folder}/shmipc.conf", strace
        self.victim = victim
        self.worker_name = victim if victim in ("echo", "exec") else "echo"
        self.payload, self.answer = f"{folder}/payload", f"{folder}/answer"
        self.environment = {"SHMIPC_SOCKET": self.socket}
        self.manager = manager.Manager()
        self.host = self.add("host")
        self.worker = self.add(self.worker_name)
        self.statuses = []

    def add(self, name):
        plain = [os.environ["SHMIPC"], "run", name, "-c", self.config]
        unit = self.manager.add(name=name, command=plain, environment=self.environment, restart_ms=1,
                                log=self.log)
        if name == self.victim:
            unit.command = self.strace + plain
        return unit

    def launch(self, unit):
        """The first time perhaps under strace, later as it is."""
        self.manager.launch(unit)
        unit.command = unit.command[-5:]

    def call(self, strace=()):
        """Return: the exit status. What it wrote is right or nothing; of one that was killed, part of it."""
        command = list(strace) + [os.environ["SHMIPC"], "call", "-t", "30s"]
        environment = dict(os.environ, **self.environment)
        with open(self.payload, "rb") as payload, open(self.answer, "w+b") as answer, \
                open(self.log, "ab") as log:
            call = subprocess.Popen(command, stdin=payload, stdout=answer, stderr=log, env=environment)
            must(self.manager.until(lambda: call.poll() is not None, HANG_SECONDS, 0.002), "a call hangs")
            answer.seek(0)
            said = answer.read()
        must(PAYLOAD.startswith(said) if call.returncode < 0 else said == (PAYLOAD, b"")[call.returncode > 0],
             f"a call that ended with {call.returncode} wrote {len(said)} bytes")
        return call.returncode

    def call_until_there_is_a_host(self):
        end = time.monotonic() + HANG_SECONDS
        while (status := self.call()) == NO_HOST and time.monotonic() < end:
            self.manager.turn(0.01)
        return status

    def lead(self):
        """The life in which the victim is killed, or not if it is over before."""
        self.launch(self.host)
        self.launch(self.worker)
        must(self.manager.until(lambda: os.path.exists(self.socket), HANG_SECONDS), "the host does not begin")
        if self.victim == "call":
            must(self.call_until_there_is_a_host() == 0, "the first call failed")
            self.statuses = [self.call(self.strace)]
        else:
            self.statuses = [self.call_until_there_is_a_host(), self.call()]
            if self.victim == "host":
                self.manager.restart(self.host)
            else:
                self.manager.restart(self.worker)

    def judge(self):
        if self.victim == "call":
            return
        allowed = (0, HANDLER_FAILED) if self.victim == "exec" else (0,)
        must(all(status in allowed for status in self.statuses), f"calls ended with {self.statuses}")

    def was_killed(self):
        unit = {"host": self.host, "call": None}.get(self.victim, self.worker)
        return self.statuses == [-9] if unit is None else unit.n_starts > 2 or unit.last_exit == -9

    def end(self):
        must(self.manager.ready(self.host), "the host does not come back")
        must(self.call_until_there_is_a_host() == 0, "a call fails in the end")
        for unit in (self.worker, self.host):
            must(self.manager.stop(unit), f"{unit.name} does not stop well: {unit.status()}")
        self.manager.close()


class Sweep:
    def __init__(self, folder, queues, seed):
        self.folder, self.queues = folder, queues
        self.random = random.Random(seed)
        self.n_points = self.n_calls = self.n_left = 0
        self.faults = collections.Counter()
        with open(f"{folder}/shmipc.conf", "w", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        with open(f"{folder}/payload", "wb") as file:
            file.write(PAYLOAD)

    def points(self, victim):
        """Each system call of a life, by its name and its number among those of that name in its thread."""
        path = f"{self.folder}/calls"
        life = Life(self.folder, victim, ["strace", "-D", "-f", "-qq", "-o", path])
        life.lead()
        life.end()
        threads = collections.Counter()
        with open(path, encoding="utf-8") as calls:
            threads.update(re.findall(r"^(\d+) +(\w+)\(", calls.read(), re.M))
        most = {name: max(n for (_, other), n in threads.items() if other == name) for _, name in threads}
        return [(name, n) for name in sorted(most) for n in range(1, most[name] + 1)]

    def kill_at(self, victim, name, n):
        before = left.objects(self.queues)
        life = Life(self.folder, victim, ["strace", "-D", "-f", "-qq", "-o", "/dev/null",
                                          f"--inject={name}:signal=KILL:when={n}"])
        try:
            life.lead()
            life.judge()
            life.end()
        except Fault as fault:
            self.faults[victim] += 1
            print(f"# {victim} killed at {name} {n}: {fault}", flush=True)
            life.manager.close()
        self.n_points += 1
        self.n_calls += len(life.statuses) + 1
        after = left.wait_for(before, self.queues)
        if after != before or os.path.exists(life.socket):
            self.n_left += 1
            self.faults[victim] += 1
            print(f"# {victim} killed at {name} {n} leaves {after}, before: {before}")
        return life.was_killed()

    def sweep(self, number, victim, n_points):
        points = every = self.points(victim)
        if 0 < n_points < len(every):
            points = sorted(self.random.sample(every, n_points))
        n_killed = sum(self.kill_at(victim, name, n) for name, n in points)
        well = self.faults[victim] == 0 and n_killed > 0
        print(f"{'ok' if well else 'not ok'} {number} - {victim}: {len(points)} points of {len(every)} "
              f"system calls, killed at {n_killed}", flush=True)
        return well


def main():
    n_points, folder = int(sys.argv[1]), sys.argv[2]
    queues = sys.argv[3] if len(sys.argv) > 3 else None
    seed = int(os.environ.get("KILLS_SEED", str(time.time_ns())), 0)
    print(f"# seed {seed:#x} (KILLS_SEED)", flush=True)
    start = time.monotonic()
    sweep = Sweep(folder, queues, seed)
    victims = ("host", "echo", "exec", "call")
    well = [sweep.sweep(i + 1, victim, n_points // len(victims)) for i, victim in enumerate(victims)]
    n_lost = sum(sweep.faults.values()) - sweep.n_left
    print(f"1..{len(victims)}")
    print(f"# kills-sweep\tseed={seed:#x} kernel={os.uname().release} points={sweep.n_points} "
          f"exchanges={sweep.n_calls} lost={n_lost} doubled=0 wrong=0 left={sweep.n_left} "
          f"seconds={time.monotonic() - start:.0f}")
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
