# SPDX-License-Identifier: MIT
"""Send blocks of memory to workers on this machine, or be such a worker, without copying.

    import shmipc

    with shmipc.connect() as host:
        reply = host.call(b"data")              # a read-only memoryview of shared memory

    @shmipc.worker("host")
    def reverse(job):
        return bytes(job.data)[::-1]            # or: job.reserve(n)[:] = …; return n

    reverse.run()

Replies are read-only memoryviews in place: ``numpy.frombuffer(reply, dtype)`` copies nothing. A reply's slot is given back when its last view
is gone (or was released); closing a connection before that raises BufferError. So no view ever shows another exchange's bytes.

A connection with its requests, and a worker with its jobs, are used by one thread at a time. The memory may be used by any. What goes wrong raises a
subclass of shmipc.Error. Needs libshmipc.so.0 and the standard library only. shmipc.h is the reference for what happens underneath.
"""
from __future__ import annotations

import asyncio
import collections
import ctypes
import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "Connection", "Job", "Request", "Worker", "connect", "worker", "version",
    "Cancelled", "Error", "HostLost", "NoHost", "NoMemory", "Refused", "TimedOut", "TooLarge", "WorkerFailed", "WorkerLost",
]

FOREVER = -1
USER_BYTES = 64
CONNECT_SECONDS = 10.0


class Error(Exception):
    """Something went wrong; ``errno`` is the positive number, the text says what."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.errno = number


class NoHost(Error):
    """There is no such host, or it is not running."""


class Refused(Error):
    """The host does not let this user in, speaks another version, or has reached a limit."""


class TimedOut(Error, TimeoutError):
    """The time was up before there was an answer."""


class HostLost(Error):
    """The host went away."""


class WorkerLost(Error):
    """The worker died or stopped, and so did each further one that tried."""


class Cancelled(Error):
    """The request was cancelled."""


class NoMemory(Error):
    """No memory: here, in the host's budget, or in the file system of shared memory."""


class TooLarge(Error):
    """Larger than the host's ``max_payload``."""


class WorkerFailed(Error):
    """The handler failed: ``status`` is its exit status or code (minus the signal), the text what it said."""

    def __init__(self, number: int, text: str, status: int = 0) -> None:
        super().__init__(number, text)
        self.status = status


_KINDS: dict[int, type[Error]] = {
    errno.ENOENT: NoHost, errno.ECONNREFUSED: NoHost,
    errno.EACCES: Refused, errno.EPROTO: Refused, errno.EUSERS: Refused,
    errno.ETIMEDOUT: TimedOut, errno.ECONNRESET: HostLost, errno.EOWNERDEAD: WorkerLost, errno.ECANCELED: Cancelled,
    errno.ENOMEM: NoMemory, errno.ENOSPC: NoMemory, errno.EMSGSIZE: TooLarge, errno.EREMOTEIO: WorkerFailed,
}

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {}


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("SHMIPC_LIBRARY", "libshmipc.so.0"))
    pointer, i64, u64, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_char_p
    out = ctypes.POINTER(ctypes.c_void_p)
    signatures = {
        "shmipc_version": (text, []),
        "shmipc_strerror": (text, [ctypes.c_int]),
        "shmipc_connect": (ctypes.c_int, [out, text, i64]),
        "shmipc_close": (None, [pointer]),
        "shmipc_error_text": (text, [pointer]),
        "shmipc_max_payload": (u64, [pointer]),
        "shmipc_n_slots": (ctypes.c_uint32, [pointer]),
        "shmipc_take": (ctypes.c_int, [pointer, u64, out]),
        "shmipc_data": (pointer, [pointer]),
        "shmipc_resize": (ctypes.c_int, [pointer, u64]),
        "shmipc_user": (pointer, [pointer]),
        "shmipc_send": (ctypes.c_int, [pointer, ctypes.c_uint, i64]),
        "shmipc_cancel": (ctypes.c_int, [pointer]),
        "shmipc_wait": (ctypes.c_int, [pointer, i64, out]),
        "shmipc_get_fd": (ctypes.c_int, [pointer]),
        "shmipc_result": (ctypes.c_int, [pointer]),
        "shmipc_reply": (pointer, [pointer, ctypes.POINTER(u64)]),
        "shmipc_reply_user": (pointer, [pointer]),
        "shmipc_status": (ctypes.c_int, [pointer]),
        "shmipc_text": (ctypes.c_size_t, [pointer, text, ctypes.c_size_t]),
        "shmipc_release": (None, [pointer]),
        "shmipc_worker_new": (ctypes.c_int, [out, text, i64]),
        "shmipc_worker_free": (None, [pointer]),
        "shmipc_worker_error_text": (text, [pointer]),
        "shmipc_worker_get_fd": (ctypes.c_int, [pointer]),
        "shmipc_receive": (ctypes.c_int, [pointer, i64, out]),
        "shmipc_job_data": (ctypes.c_int, [pointer, out, ctypes.POINTER(u64)]),
        "shmipc_job_user": (pointer, [pointer]),
        "shmipc_job_uid": (ctypes.c_uint32, [pointer]),
        "shmipc_job_client": (u64, [pointer]),
        "shmipc_job_attempt": (ctypes.c_uint32, [pointer]),
        "shmipc_job_remaining": (i64, [pointer]),
        "shmipc_job_is_cancelled": (ctypes.c_int, [pointer]),
        "shmipc_job_reserve": (ctypes.c_int, [pointer, u64, out]),
        "shmipc_job_reply_user": (pointer, [pointer]),
        "shmipc_job_reply": (ctypes.c_int, [pointer, u64]),
        "shmipc_job_fail": (ctypes.c_int, [pointer, ctypes.c_int, text]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


_library = _load()


def version() -> str:
    """The version of libshmipc."""
    return _library.shmipc_version().decode()


def _ns(seconds: float | None) -> int:
    return FOREVER if seconds is None else int(seconds * 1e9)


def _error(result: int, text: bytes | None = None, status: int = 0) -> Error:
    words = (text or b"").decode(errors="replace") or _library.shmipc_strerror(result).decode()
    kind = _KINDS.get(-result, Error)
    return kind(-result, words, status) if kind is WorkerFailed else kind(-result, words)


def _view(address: int | None, length: int, owner: object) -> memoryview:
    """A view of memory that keeps `owner` alive as long as any view of it, or anything made of one, is there."""
    if not address or not length:
        return memoryview(b"")
    block: Any = (ctypes.c_char * length).from_address(address)
    block.owner = owner
    return memoryview(block).cast("B")


class _Lease:
    """A request's slot: released when nothing refers to it any more."""

    __slots__ = ("connection", "pointer", "__weakref__")

    def __init__(self, connection: Connection, pointer: int) -> None:
        self.connection = connection
        self.pointer = pointer
        connection._leases.add(self)

    def __del__(self) -> None:
        self.connection._give_back(self)


class Request:
    """A request, from taken to replied to. Fill ``data``, call ``send()``, then ``result()`` or ``await`` it."""

    def __init__(self, connection: Connection, lease: _Lease, size: int) -> None:
        self._connection = connection
        self._lease: _Lease | None = lease
        self._size = size
        self._sent = False
        self._ended = False

    def _pointer(self) -> int:
        if self._lease is None:
            raise ValueError("the request was released")
        return self._lease.pointer

    @property
    def data(self) -> memoryview:
        """The request's memory, writable, until it is sent."""
        if self._sent:
            raise ValueError("the request was sent: its memory is the worker's")
        return self._connection._lend(self._pointer(), _library.shmipc_data(self._pointer()), self._size, self._lease)

    @property
    def user(self) -> ctypes.Array[ctypes.c_char]:
        """64 bytes of one's own that travel with the request."""
        return (ctypes.c_char * USER_BYTES).from_address(_library.shmipc_user(self._pointer()))

    def resize(self, size: int) -> None:
        """Send `size` bytes instead. Views of ``data`` must be gone: the memory may move."""
        self._connection._refuse_views(self._pointer())
        self._connection._check(_library.shmipc_resize(self._pointer(), size))
        self._size = size

    def send(self, *, priority: int = 0, timeout: float | None = 60.0) -> Request:
        """Send it; returns at once. Views of ``data`` must be gone, since the memory is the worker's from now on."""
        self._connection._refuse_views(self._pointer())
        self._connection._check(_library.shmipc_send(self._pointer(), priority, _ns(timeout)))
        self._sent = True
        self._connection._flying[self._pointer()] = self
        return self

    def cancel(self) -> None:
        """Do not want the answer any more; ``result()`` then raises Cancelled, unless it was too late."""
        self._connection._check(_library.shmipc_cancel(self._pointer()))

    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended

    def result(self) -> memoryview:
        """The reply, read-only and in place; waits for it. Raises how it failed."""
        while not self._ended:
            self._connection._turn(FOREVER)
        return self._reply()

    def __await__(self) -> Iterator[Any]:
        return self._connection._await(self).__await__()

    @property
    def reply_user(self) -> bytes:
        """The 64 bytes that the worker sent with its reply."""
        return ctypes.string_at(_library.shmipc_reply_user(self._pointer()), USER_BYTES)

    def _reply(self) -> memoryview:
        pointer = self._pointer()
        result = _library.shmipc_result(pointer)
        if result < 0:
            text = ctypes.create_string_buffer(65536)
            _library.shmipc_text(pointer, text, len(text))
            raise _error(result, text.value, _library.shmipc_status(pointer))
        size = ctypes.c_uint64()
        address = _library.shmipc_reply(pointer, ctypes.byref(size))
        return _view(address, size.value, self._lease).toreadonly()

    def release(self) -> None:
        """Give it back now, or as soon as the last view of its reply is gone. One in flight is cancelled."""
        if self._lease is not None:
            self._connection._flying.pop(self._lease.pointer, None)
        self._lease = None


class Connection:
    """A client of a host; see connect()."""

    def __init__(self, host: str | None, timeout: float | None) -> None:
        handle = ctypes.c_void_p()
        self._handle: int | None = None
        self._leases: weakref.WeakSet[_Lease] = weakref.WeakSet()
        self._flying: dict[int, Request] = {}
        self._views: dict[int, weakref.ref[Any]] = {}
        self._thread = threading.get_ident()
        self._late: collections.deque[int] = collections.deque()
        self._waiters: dict[Request, asyncio.Future[None]] = {}
        result = _library.shmipc_connect(ctypes.byref(handle), host.encode() if host else None, _ns(timeout))
        if result < 0:
            raise _error(result)
        self._handle = handle.value

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            _library.shmipc_close(self._handle)
            self._handle = None

    def close(self) -> None:
        """Leave the host. Raises BufferError while a view of a request or reply is still in use."""
        if self._handle is None:
            return
        for request in list(self._flying.values()):
            request.release()
        if len(self._leases):
            raise BufferError(f"{len(self._leases)} requests or views of replies are still in use")
        _library.shmipc_close(self._handle)
        self._handle = None

    def _alive(self) -> int:
        if self._handle is None:
            raise ValueError("the connection is closed")
        while self._late:
            _library.shmipc_release(self._late.popleft())
        return self._handle

    def _check(self, result: int) -> None:
        if result < 0:
            raise _error(result, _library.shmipc_error_text(self._alive()))

    def _give_back(self, lease: _Lease) -> None:
        """The collector runs in any thread: what is not this connection's own is done at its next call."""
        if self._handle is None:
            return
        if threading.get_ident() == self._thread:
            _library.shmipc_release(lease.pointer)
        else:
            self._late.append(lease.pointer)

    def _lend(self, pointer: int, address: int | None, size: int, lease: _Lease | None) -> memoryview:
        view = _view(address, size, lease)
        if size:
            self._views[pointer] = weakref.ref(view.obj)
        return view

    def _refuse_views(self, pointer: int) -> None:
        block = self._views.get(pointer)
        if block is not None and block() is not None:
            raise BufferError("a view of the request is still in use: release it first")
        self._views.pop(pointer, None)

    def _turn(self, timeout_ns: int) -> bool:
        """Take note of one request that has ended. Return: whether there was one."""
        pointer = ctypes.c_void_p()
        result = _library.shmipc_wait(self._alive(), timeout_ns, ctypes.byref(pointer))
        if result == -errno.ETIMEDOUT:
            return False
        self._check(result)
        request = self._flying.pop(pointer.value or 0, None)
        if request is not None:
            request._ended = True
            waiter = self._waiters.pop(request, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        return True

    def fileno(self) -> int:
        """For select() and event loops: readable when something has ended."""
        return _library.shmipc_get_fd(self._alive())

    @property
    def max_payload(self) -> int:
        """The host's limit for one request or response, in bytes."""
        return _library.shmipc_max_payload(self._alive())

    @property
    def n_slots(self) -> int:
        """How many requests may be taken at a time."""
        return _library.shmipc_n_slots(self._alive())

    def take(self, size: int) -> Request:
        """Take a request with room for `size` bytes, to be filled in place through its ``data``."""
        pointer = ctypes.c_void_p()
        self._check(_library.shmipc_take(self._alive(), size, ctypes.byref(pointer)))
        assert pointer.value is not None
        return Request(self, _Lease(self, pointer.value), size)

    def submit(self, data: Any, *, priority: int = 0, timeout: float | None = 60.0) -> Request:
        """Send a copy of `data` (anything with a buffer); returns at once."""
        with memoryview(data) as source:
            request = self.take(source.nbytes)
            if source.nbytes:
                with request.data as room:
                    room[:] = source.cast("B") if source.contiguous else source.tobytes()
        return request.send(priority=priority, timeout=timeout)

    def call(self, data: Any, *, priority: int = 0, timeout: float | None = 60.0) -> memoryview:
        """Send a copy of `data`, wait, and return the reply as a read-only view in place."""
        request = self.submit(data, priority=priority, timeout=timeout)
        try:
            return request.result()
        finally:
            request.release()

    async def call_async(self, data: Any, *, priority: int = 0, timeout: float | None = 60.0) -> memoryview:
        """As call(), for asyncio."""
        request = self.submit(data, priority=priority, timeout=timeout)
        try:
            return await request
        finally:
            request.release()

    def _dispatch(self) -> None:
        """What the loop calls when the descriptor is readable."""
        try:
            while self._turn(0):
                pass
        except Error as error:
            for waiter in self._waiters.values():
                if not waiter.done():
                    waiter.set_exception(error)
            self._waiters.clear()

    async def _await(self, request: Request) -> memoryview:
        loop = asyncio.get_running_loop()
        self._dispatch()
        if not request._ended:
            waiter = self._waiters[request] = loop.create_future()
            loop.add_reader(self.fileno(), self._dispatch)
            try:
                await waiter
            finally:
                self._waiters.pop(request, None)
                if not self._waiters:
                    loop.remove_reader(self.fileno())
        return request._reply()


def connect(host: str | None = None, *, timeout: float | None = CONNECT_SECONDS) -> Connection:
    """Become a client of a host: its name, a path of a socket, or None for $SHMIPC_HOST or "host"."""
    return Connection(host, timeout)


class Job:
    """A request as a worker sees it."""

    def __init__(self, worker: Worker, pointer: int) -> None:
        self._worker = worker
        self._pointer: int | None = pointer
        self._views: list[weakref.ref[Any]] = []

    def _alive(self) -> int:
        if self._pointer is None:
            raise ValueError("the job was ended")
        return self._pointer

    def _lend(self, address: int | None, size: int) -> memoryview:
        view = _view(address, size, None)
        if size:
            self._views.append(weakref.ref(view.obj))
        return view

    @property
    def data(self) -> memoryview:
        """The request, read-only and in place."""
        address, size = ctypes.c_void_p(), ctypes.c_uint64()
        self._worker._check(_library.shmipc_job_data(self._alive(), ctypes.byref(address), ctypes.byref(size)))
        return self._lend(address.value, size.value).toreadonly()

    def reserve(self, size: int) -> memoryview:
        """Room for a response of `size` bytes, writable and in place. What was written before stays, but may move."""
        address = ctypes.c_void_p()
        self._worker._check(_library.shmipc_job_reserve(self._alive(), size, ctypes.byref(address)))
        return self._lend(address.value, size)

    @property
    def user(self) -> bytes:
        """The 64 bytes that came with the request."""
        return ctypes.string_at(_library.shmipc_job_user(self._alive()), USER_BYTES)

    @property
    def reply_user(self) -> ctypes.Array[ctypes.c_char]:
        """64 bytes to be filled, which go with the reply."""
        return (ctypes.c_char * USER_BYTES).from_address(_library.shmipc_job_reply_user(self._alive()))

    @property
    def uid(self) -> int:
        """The client's user id, as the kernel says."""
        return _library.shmipc_job_uid(self._alive())

    @property
    def client(self) -> int:
        """The client's number at the host."""
        return _library.shmipc_job_client(self._alive())

    @property
    def attempt(self) -> int:
        """1; more when a worker has died with this request."""
        return _library.shmipc_job_attempt(self._alive())

    @property
    def remaining(self) -> float:
        """Seconds until nobody waits any more."""
        return _library.shmipc_job_remaining(self._alive()) / 1e9

    def is_cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return bool(_library.shmipc_job_is_cancelled(self._alive()))

    def _end(self, end: Callable[[int], int]) -> None:
        pointer = self._alive()
        if any(block() is not None for block in self._views):
            raise BufferError("a view of the job's memory is still in use: release it first")
        self._pointer = None
        self._worker._check(end(pointer))

    def reply(self, data: Any = b"") -> None:
        """End it with a response: bytes (copied), or the number of bytes that count of what was reserved."""
        size = data if isinstance(data, int) else self._copy(data)
        self._end(lambda pointer: _library.shmipc_job_reply(pointer, size))

    def _copy(self, data: Any) -> int:
        with memoryview(data) as source:
            if source.nbytes:
                with self.reserve(source.nbytes) as room:
                    room[:] = source.cast("B") if source.contiguous else source.tobytes()
            return source.nbytes

    def fail(self, text: str, code: int = 1) -> None:
        """End it as failed, with a code and a text for the caller."""
        self._end(lambda pointer: _library.shmipc_job_fail(pointer, code, text.encode()))


class Worker:
    """A worker of a host; it finds the host by itself, and comes back after it was lost."""

    def __init__(self, host: str | None = None, *, timeout: float = 300.0) -> None:
        handle = ctypes.c_void_p()
        self._handle: int | None = None
        result = _library.shmipc_worker_new(ctypes.byref(handle), host.encode() if host else None, _ns(timeout))
        if result < 0:
            raise _error(result)
        self._handle = handle.value

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the host. Jobs that were not ended fail."""
        if self._handle is not None:
            _library.shmipc_worker_free(self._handle)
            self._handle = None

    def _alive(self) -> int:
        if self._handle is None:
            raise ValueError("the worker is closed")
        return self._handle

    def _check(self, result: int) -> None:
        if result < 0:
            raise _error(result, _library.shmipc_worker_error_text(self._alive()))

    def fileno(self) -> int:
        """For select() and event loops: readable when receive(0) is worth calling."""
        return _library.shmipc_worker_get_fd(self._alive())

    def receive(self, timeout: float | None = None) -> Job | None:
        """Claim the next request; None when the time is up."""
        pointer = ctypes.c_void_p()
        result = _library.shmipc_receive(self._alive(), _ns(timeout), ctypes.byref(pointer))
        if result == -errno.ETIMEDOUT:
            return None
        self._check(result)
        assert pointer.value is not None
        return Job(self, pointer.value)


class worker:  # pylint: disable=invalid-name
    """Make a function a worker: it gets each Job and returns the response (bytes, or how many of the reserved ones count).

    What it raises fails the request, with the exception as the text. ``run()`` serves until ``stop`` is set or the process ends.
    """

    def __init__(self, host: str | None = None, *, timeout: float = 300.0) -> None:
        self.host = host
        self.timeout = timeout
        self.stop = False
        self._function: Callable[[Job], Any] | None = None

    def __call__(self, argument: Any) -> Any:
        if self._function is None:
            self._function = argument
            return self
        return self._function(argument)

    def run_one(self, served: Worker, timeout: float | None = None) -> bool:
        """Serve one request. Return: whether there was one."""
        assert self._function is not None
        job = served.receive(timeout)
        if job is None:
            return False
        failure = None
        try:
            answer = self._function(job)
        except Exception as error:  # pylint: disable=broad-except
            failure = f"{type(error).__name__}: {error}"
        if failure is not None:
            job.fail(failure)
        elif job._pointer is not None:
            job.reply(b"" if answer is None else answer)
        return True

    def run(self) -> None:
        """Be a worker."""
        with Worker(self.host, timeout=self.timeout) as served:
            while not self.stop:
                try:
                    self.run_one(served, 0.25 if self.stop else None)
                except Refused:
                    continue  # it goes on trying; the administrator may let it in
