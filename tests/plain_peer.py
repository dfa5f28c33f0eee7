#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A host and a worker of the plain wire, in another language: written from docs/protocol.md, section 7.

    plain_peer.py host|worker HOST_QUEUE WORKER_QUEUE SEGMENT

The host's request is on stdin and the response goes to stdout; the worker answers with the request and
" processed" after it. Each does one exchange and ends; the host removes the three names, however it ends.
"""
import ctypes
import mmap
import os
import sys

MESSAGE_BYTES = 512
PAGE = 4096

libc = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_long),
        ("maxmsg", ctypes.c_long),
        ("msgsize", ctypes.c_long),
        ("curmsgs", ctypes.c_long),
        ("reserved", ctypes.c_long * 4),
    ]


def call(name, *arguments):
    function = getattr(libc, name)
    function.restype = ctypes.c_ssize_t if name == "mq_receive" else ctypes.c_int
    result = function(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def open_queue(name, flags):
    attributes = Attributes(maxmsg=1, msgsize=MESSAGE_BYTES)
    return call("mq_open", name.encode(), flags | os.O_CREAT, 0o600, ctypes.byref(attributes))


def receive(queue):
    buffer = ctypes.create_string_buffer(MESSAGE_BYTES)
    size = call("mq_receive", queue, buffer, ctypes.c_size_t(MESSAGE_BYTES), None)
    return int(buffer.raw[:size].decode())


def send(queue, count):
    message = str(count).encode()
    call("mq_send", queue, message, ctypes.c_size_t(len(message)), 0)


class Segment:
    def __init__(self, name):
        self.fd = call("shm_open", name.encode(), os.O_RDWR | os.O_CREAT, 0o600)
        self.view = None

    def remap(self):
        size = os.fstat(self.fd).st_size
        if self.view is None or len(self.view) != size:
            self.view = mmap.mmap(self.fd, size)

    def write(self, payload):
        wanted = (len(payload) + PAGE - 1) // PAGE * PAGE
        if os.fstat(self.fd).st_size != wanted:
            os.ftruncate(self.fd, wanted)
        if payload:
            self.remap()
            self.view[: len(payload)] = payload

    def read(self, count):
        self.remap()
        payload = self.view[:count]
        if len(payload) != count:
            raise ValueError(f"{count} bytes said, but the segment has {len(payload)}")
        return payload


def host(host_queue, worker_queue, name):
    try:
        segment = Segment(name)
        out = open_queue(host_queue, os.O_WRONLY)
        answers = open_queue(worker_queue, os.O_RDONLY)
        request = sys.stdin.buffer.read()
        segment.write(request)
        send(out, len(request))
        sys.stdout.buffer.write(segment.read(receive(answers)))
    finally:
        for function, what in (("mq_unlink", host_queue), ("mq_unlink", worker_queue), ("shm_unlink", name)):
            getattr(libc, function)(what.encode())


def worker(host_queue, worker_queue, name):
    segment = Segment(name)
    out = open_queue(worker_queue, os.O_WRONLY)
    requests = open_queue(host_queue, os.O_RDONLY)
    response = segment.read(receive(requests)) + b" processed"
    segment.write(response)
    send(out, len(response))


if __name__ == "__main__":
    {"host": host, "worker": worker}[sys.argv[1]](*sys.argv[2:])
