#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the tests of the service manager run: a service that stores what it is told to, and says what it got.

At its start it writes one line into the file $1: the names and kinds of what was passed to it. Then it does
what $2... says: store:NAME (memory), hang:NAME (a pipe whose other end closes), again:NAME (memory, twice),
keep:NAME (as hang:, with FDPOLL=0), remove:NAME, exit:STATUS. Then it says READY=1 and sleeps.
With $FIRST_TIME_ONLY it does all that only if nothing was passed to it.
"""
import os
import signal
import socket
import sys

FIRST_FD = 3


def passed():
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    names = os.environ["LISTEN_FDNAMES"].split(":")
    assert len(names) == int(os.environ["LISTEN_FDS"])
    kinds = [os.readlink(f"/proc/self/fd/{FIRST_FD + i}").split(":")[0] for i in range(len(names))]
    return [f"{name}={kind}" for name, kind in zip(names, kinds)]


def say(text, fds=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect(os.environ["NOTIFY_SOCKET"])
        socket.send_fds(notify, [text.encode()], list(fds))


def half_a_pipe():
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def act(kind, value):
    if kind == "remove":
        say(f"FDSTOREREMOVE=1\nFDNAME={value}")
    elif kind == "exit":
        sys.exit(int(value))
    else:
        fd = half_a_pipe() if kind in ("hang", "keep") else os.memfd_create("memory")
        more = "\nFDPOLL=0" if kind == "keep" else ""
        for _ in range(2 if kind == "again" else 1):
            say(f"FDSTORE=1\nFDNAME={value}{more}", [fd])
        os.close(fd)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    got = passed()
    with open(sys.argv[1], "a", encoding="utf-8") as log:
        print(" ".join(got) or "nothing", file=log)
    if not got or "FIRST_TIME_ONLY" not in os.environ:
        for action in sys.argv[2:]:
            act(*action.split(":", 1))
    say("READY=1")
    while True:
        signal.pause()


main()
