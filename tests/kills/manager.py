#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A service manager for tests: as much of systemd as a host's restart needs, and nothing else.

It runs units, hears what they say on NOTIFY_SOCKET, keeps for each a store of descriptors (FDSTORE=1,
FDNAME=, FDPOLL=0, FDSTOREREMOVE=1), hands them back with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID when it
starts the unit again, and starts again what dies. What it keeps true, as systemd 252 does:

- The store outlives a kill, a failure and `restart`; a full `stop` drops it, and so does an exit with
  status 0.
- The descriptors of a socket unit come before those of the store.
- What is in the store already is not stored twice; what does not fit (`store_max`), or has a bad name, is
  refused.
- A stored descriptor that hangs up is dropped, unless it was sent with FDPOLL=0.
- An exit with status 78 (EX_CONFIG) is final.

As a program:

    manager.py run CONTROL UNIT.json...   serve until told `exit`; CONTROL is the path of its control socket
    manager.py ctl CONTROL COMMAND [UNIT] say one command; prints the answer, exits 1 if it is an error

A unit is {"name": ..., "command": [...], "environment": {...}, "socket": PATH or null, "log": PATH or
null, "store_max": 4096, "restart_ms": 20, "uid": null}. Commands:

    start stop restart   as systemctl; they answer when it is done (ready, or gone)
    kill                 SIGKILL; it is started again, with its store
    hold / release       SIGKILL, and hold it down with its store / start it again
    freeze / thaw        SIGSTOP / SIGCONT
    ready                answers as soon as the unit is ready
    store                as JSON: [{"name": ..., "what": what /proc says of it, "poll": ...}, ...]
    status               one unit as JSON: state, pid, starts, refused, last exit
    exit                 stop all; ends the manager

Or import it: Manager().add(...), .turn(), .start() and so on, for tests with a loop of their own.
"""
import array
import ctypes
import errno
import fcntl
import json
import os
import select
import selectors
import signal
import socket
import sys
import tempfile
import time

FIRST_FD = 3
EXIT_CONFIG = 78
STOP_SECONDS = 60
NAME_MAX = 255
SYS_KCMP = 312  # on x86-64


class Stored:
    """One descriptor in a store."""

    def __init__(self, fd, name, poll):
        self.fd, self.name, self.poll = fd, name, poll

    def what(self):
        return os.readlink(f"/proc/self/fd/{self.fd}")


def is_same(a, b):
    """Whether two descriptors are of one open file description (kcmp(2), KCMP_FILE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.getpid()
    r = libc.syscall(ctypes.c_long(SYS_KCMP), pid, pid, 0, ctypes.c_ulong(a), ctypes.c_ulong(b))
    if r < 0:  # not on this machine: the kind must do
        return os.fstat(a)[:3] == os.fstat(b)[:3] and os.readlink(f"/proc/self/fd/{a}").startswith("socket:")
    return r == 0


class Unit:
    """One service: its process, what it has said, and its store."""

    def __init__(self, name, command, environment=None, socket=None, log=None, store_max=4096, restart_ms=20,
                 uid=None):
        self.name, self.command, self.environment = name, command, environment or {}
        self.socket_path, self.log, self.store_max, self.uid = socket, log, store_max, uid
        self.restart_s = restart_ms / 1000
        self.listener = self.notify = self.pidfd = self.pid = None
        self.store = []
        self.state = "down"  # starting, ready, stopping
        self.wanted = False  # to be started again when it dies
        self.final = False  # the store goes with it
        self.start_at = None
        self.n_starts = self.n_refused = self.n_dropped = 0
        self.last_exit = None
        self.said = {}

    def status(self):
        return {"name": self.name, "state": self.state, "pid": self.pid, "starts": self.n_starts,
                "stored": len(self.store), "refused": self.n_refused, "dropped": self.n_dropped,
                "last_exit": self.last_exit, "said": self.said.get("STATUS")}


def notify_fields(text):
    fields = {}
    for line in text.decode(errors="replace").split("\n"):
        key, separator, value = line.partition("=")
        if separator:
            fields[key] = value
    return fields


class Manager:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="shmipc-manager-")
        os.chmod(self.folder, 0o755)
        self.selector = selectors.DefaultSelector()
        self.units = {}
        self.watched = {}  # stored descriptors that go when they hang up
        self.hang_ups = select.epoll()
        self.selector.register(self.hang_ups, selectors.EVENT_READ, self._on_hang_up)

    # --- units ---

    def add(self, **keys):
        unit = Unit(**keys)
        path = f"{self.folder}/{unit.name}.notify"
        unit.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        unit.notify.bind(path)
        os.chmod(path, 0o777)
        unit.notify_path = path
        self.selector.register(unit.notify, selectors.EVENT_READ, lambda: self._hear(unit))
        self.units[unit.name] = unit
        return unit

    def close(self):
        for unit in self.units.values():
            self.stop(unit)
            unit.notify.close()
            os.unlink(unit.notify_path)
        self.selector.close()
        self.hang_ups.close()
        os.rmdir(self.folder)

    # --- the loop ---

    def turn(self, timeout=None):
        """Do what there is to do; wait at most @timeout seconds for it."""
        soonest = min((u.start_at for u in self.units.values() if u.start_at), default=None)
        if soonest is not None:
            until = max(0, soonest - time.monotonic())
            timeout = until if timeout is None else min(timeout, until)
        for key, _ in self.selector.select(timeout):
            key.data()
        now = time.monotonic()
        for unit in self.units.values():
            if unit.start_at and unit.start_at <= now:
                self._spawn(unit)

    def until(self, condition, seconds=STOP_SECONDS, look_seconds=0.05):
        """Turn until a condition holds, looking again now and then if it is none of this manager's."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.turn(min(left, look_seconds))
        return True

    # --- what is said ---

    def _hear(self, unit):
        room = socket.CMSG_SPACE(253 * array.array("i").itemsize)
        while True:
            try:
                text, ancillary, _, _ = unit.notify.recvmsg(65536, room, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            fds = array.array("i")
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
            self._obey(unit, notify_fields(text), list(fds))

    def _obey(self, unit, fields, fds):
        unit.said.update(fields)
        if fields.get("FDSTORE") == "1":
            for fd in fds:
                self._keep(unit, fd, fields)
            fds = []
        if fields.get("FDSTOREREMOVE") == "1" and "FDNAME" in fields:
            self._drop(unit, lambda stored: stored.name == fields["FDNAME"])
        if fields.get("READY") == "1" and unit.state == "starting":
            unit.state = "ready"
        if fields.get("STOPPING") == "1" and unit.state == "ready":
            unit.state = "stopping"
        for fd in fds:  # as of BARRIER=1: closing them is the answer
            os.close(fd)

    def _keep(self, unit, fd, fields):
        name = fields.get("FDNAME", "stored")
        good = 0 < len(name) <= NAME_MAX and ":" not in name and name.isprintable()
        if any(is_same(fd, stored.fd) for stored in unit.store):
            os.close(fd)
        elif not good or len(unit.store) >= unit.store_max:
            unit.n_refused += 1
            os.close(fd)
        else:
            stored = Stored(fd, name, fields.get("FDPOLL") != "0")
            unit.store.append(stored)
            if stored.poll:
                self._watch_hang_up(unit, stored)

    def _watch_hang_up(self, unit, stored):
        try:
            self.hang_ups.register(stored.fd, 0)  # EPOLLHUP and EPOLLERR come unasked
            self.watched[stored.fd] = (unit, stored)
        except PermissionError:
            stored.poll = False  # memory has no events

    def _on_hang_up(self):
        for fd, _ in self.hang_ups.poll(0):
            unit, stored = self.watched[fd]
            unit.n_dropped += 1
            self._drop(unit, lambda other: other is stored)

    def _drop(self, unit, which):
        for stored in [s for s in unit.store if which(s)]:
            unit.store.remove(stored)
            if stored.poll:
                self.hang_ups.unregister(stored.fd)
                del self.watched[stored.fd]
            os.close(stored.fd)

    # --- processes ---

    def _listen(self, unit):
        if unit.socket_path and not unit.listener:
            unit.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            unit.listener.bind(unit.socket_path)
            unit.listener.listen(128)

    def _spawn(self, unit):
        unit.start_at = None
        self._listen(unit)
        passed = [(unit.listener.fileno(), unit.name + ".socket")] if unit.listener else []
        passed += [(stored.fd, stored.name) for stored in unit.store]
        environment = dict(os.environ, **unit.environment, NOTIFY_SOCKET=unit.notify_path)
        unit.said = {}
        unit.state = "starting"
        unit.n_starts += 1
        sys.stdout.flush()
        unit.pid = os.fork()
        if unit.pid == 0:
            self._become(unit, [fd for fd, _ in passed], [name for _, name in passed], environment)
        unit.pidfd = os.pidfd_open(unit.pid)
        self.selector.register(unit.pidfd, selectors.EVENT_READ, lambda: self._reap(unit))

    def _become(self, unit, fds, names, environment):
        """In the child: the descriptors from 3 on, and nothing else of ours."""
        try:
            safe = FIRST_FD + len(fds) + 1
            fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, safe) for fd in fds]
            if unit.log:
                log = os.open(unit.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
                os.dup2(log, 1)
                os.dup2(log, 2)
            for i, fd in enumerate(fds):
                os.dup2(fd, FIRST_FD + i)
            if fds:
                environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)),
                                   LISTEN_FDNAMES=":".join(names))
            if unit.uid is not None:
                os.setgroups([])
                os.setgid(unit.uid)
                os.setuid(unit.uid)
            os.execvpe(unit.command[0], unit.command, environment)
        except OSError as error:
            print(f"{unit.name}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(203)

    def _reap(self, unit):
        _, status = os.waitpid(unit.pid, 0)
        self.selector.unregister(unit.pidfd)
        os.close(unit.pidfd)
        self._hear(unit)  # its last words count
        unit.last_exit = os.waitstatus_to_exitcode(status)
        unit.pid = unit.pidfd = None
        unit.state = "down"
        again = unit.wanted and unit.last_exit not in (0, EXIT_CONFIG)
        if again:
            unit.start_at = time.monotonic() + unit.restart_s
        elif unit.final or unit.wanted:
            self._drop(unit, lambda stored: True)

    def signal(self, unit, number):
        if unit.pidfd is not None:
            try:
                signal.pidfd_send_signal(unit.pidfd, number)
            except ProcessLookupError:
                pass

    # --- commands ---

    def launch(self, unit):
        """Start it without waiting: for those who do not say when they are ready."""
        unit.wanted, unit.final = True, False
        if unit.pid is None:
            self._spawn(unit)

    def start(self, unit):
        self.launch(unit)
        return self.ready(unit)

    def is_running(self, unit):
        """Whether it runs, or will at once: one that has just been killed is waited for."""
        return self.until(lambda: unit.pid is not None or not unit.start_at) and unit.pid is not None

    def end(self, unit):
        """Tell it to stop, and keep its store. Return: whether it did so well."""
        unit.final = False
        return self._end(unit, signal.SIGTERM) and unit.last_exit in (0, None)

    def ready(self, unit):
        def settled():
            return unit.state == "ready" or (unit.pid is None and not unit.start_at)

        return self.until(settled) and unit.state == "ready"

    def _end(self, unit, number):
        unit.wanted = False
        unit.start_at = None
        self.signal(unit, signal.SIGCONT)
        self.signal(unit, number)
        if not self.until(lambda: unit.pid is None):
            self.signal(unit, signal.SIGKILL)
            self.until(lambda: unit.pid is None)
            return False
        return True

    def stop(self, unit):
        unit.final = True
        good = self._end(unit, signal.SIGTERM)
        self._drop(unit, lambda stored: True)
        if unit.listener:
            unit.listener.close()
            os.unlink(unit.socket_path)
            unit.listener = None
        return good and unit.last_exit in (0, None)

    def restart(self, unit):
        good = self.end(unit)
        return self.start(unit) and good

    def kill(self, unit):
        self.signal(unit, signal.SIGKILL)
        return True

    def hold(self, unit):
        unit.final = False
        return self._end(unit, signal.SIGKILL)

    def freeze(self, unit):
        self.signal(unit, signal.SIGSTOP)
        return True

    def thaw(self, unit):
        self.signal(unit, signal.SIGCONT)
        return True

    release = start

    def store(self, unit):
        return json.dumps([{"name": s.name, "what": s.what(), "poll": s.poll} for s in unit.store])

    def status(self, unit):
        return json.dumps(unit.status())


COMMANDS = ("start", "stop", "restart", "kill", "hold", "release", "freeze", "thaw", "ready", "store",
            "status")


def answer(manager, words):
    if words == ["exit"]:
        return "ok"
    if len(words) != 2 or words[0] not in COMMANDS or words[1] not in manager.units:
        return f"error: no such command or unit: {' '.join(words)}"
    unit = manager.units[words[1]]
    said = getattr(manager, words[0])(unit)
    if isinstance(said, bool):
        return "ok" if said else f"error: {words[0]} {unit.name}: {json.dumps(unit.status())}"
    return said


def serve(control_path, paths):
    manager = Manager()
    for path in paths:
        with open(path, encoding="utf-8") as file:
            manager.add(**json.load(file))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(control_path)
    control.listen()
    going_on = True

    def on_command():
        nonlocal going_on
        connection, _ = control.accept()
        with connection:
            words = connection.makefile().readline().split()
            going_on = words != ["exit"]
            if not going_on:
                manager.close()
            connection.sendall((answer(manager, words) + "\n").encode())

    manager.selector.register(control, selectors.EVENT_READ, on_command)
    while going_on:
        manager.turn()
    control.close()
    os.unlink(control_path)


def say(control_path, words):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        try:
            connection.connect(control_path)
            break
        except OSError as error:  # it may only just have been started
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                raise
            time.sleep(0.01)
    connection.sendall((" ".join(words) + "\n").encode())
    said = connection.makefile().read()
    print(said, end="")
    return 1 if said.startswith("error") or not said else 0


if __name__ == "__main__":
    if len(sys.argv) >= 4 and sys.argv[1] == "run":
        serve(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) >= 4 and sys.argv[1] == "ctl":
        sys.exit(say(sys.argv[2], sys.argv[3:]))
    else:
        sys.exit(__doc__)
