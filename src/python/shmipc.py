# SPDX-License-Identifier: MIT
"""Send blocks of memory to workers on this machine, or be such a worker, without copying.

    import shmipc

    with shmipc.connect() as host:
        reply = host.call(b"data")              # a read-only memoryview of shared memory

    @shmipc.worker("host")
    def reverse(job):
        return bytes(job.data)[::-1]            # or: job.reserve(n)[:] = …; return n

    reverse.run()

Replies are read-only memoryviews in place: ``numpy.frombuffer(reply, dtype)`` copies nothing. A reply's slot
is given back when its last view is gone; closing a connection before that raises BufferError. So no view ever
shows another exchange's bytes.

A connection with its requests, and a worker with its jobs, are used by one thread at a time. The memory may
be used by any, and the last view of it may go in any. What goes wrong raises a subclass of shmipc.Error.
Needs libshmipc.so.0 and the standard library only. shmipc.h is the reference for what happens underneath.
"""
from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import errno
import functools
import gc
import logging
import os
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any, cast

from _shmipc import (
    USER_BYTES, Busy, Cancelled, Error, HostLost, Loans, NoHost, NoMemory, Party, Refused, TimedOut, TooLarge,
    WorkerFailed, WorkerLost, as_bytes, checked_size, error_of, get_user, host_name, is_past, library,
    nanoseconds, put_user, until_of, version,
)

__all__ = [
    "Connection", "Job", "Request", "Service", "Worker", "connect", "version", "worker", "USER_BYTES",
    "Busy", "Cancelled", "Error", "HostLost", "NoHost", "NoMemory", "Refused", "TimedOut", "TooLarge",
    "WorkerFailed", "WorkerLost",
]

_log = logging.getLogger("shmipc")


# --- clients ---


class _Lease:
    """A request's slot: given back when nothing refers to it any more, neither a Request nor a view."""

    __slots__ = ("connection", "pointer")

    def __init__(self, connection: Connection, pointer: int) -> None:
        self.connection = connection
        self.pointer = pointer

    def __del__(self) -> None:
        self.connection._give_back(self.pointer)


class Request:
    """A request, from taken to replied to: fill ``data``, call ``send()``, then ``result()`` or ``await`` it.

    One that is sent and forgotten runs to its end; ``release()`` cancels it.
    """

    def __init__(self, connection: Connection, lease: _Lease, size: int) -> None:
        self._connection = connection
        self._lease: _Lease | None = lease
        self._size = size
        self._sent = False
        self._ended = False
        self._loans = Loans(connection)

    def _pointer(self) -> int:
        if self._lease is None:
            raise ValueError("the request was released")
        return self._lease.pointer

    @property
    def data(self) -> memoryview:
        """The request's memory, writable, until it is sent."""
        if self._sent:
            raise ValueError("the request was sent: its memory is the worker's")
        address = self._connection._call(library.shmipc_data, self._pointer())
        return self._loans.lend(address, self._size, self._lease, readonly=False)

    @property
    def user(self) -> bytes:
        """64 bytes of one's own that travel with the request, to be set before it is sent."""
        return get_user(self._connection._call(library.shmipc_user, self._pointer()))

    @user.setter
    def user(self, value: bytes) -> None:
        if self._sent:
            raise ValueError("the request was sent")
        put_user(self._connection._call(library.shmipc_user, self._pointer()), value)

    def resize(self, size: int) -> None:
        """Send `size` bytes instead; what was written stays. Ends the views of ``data``, as send() does."""
        pointer = self._pointer()
        self._loans.recall()
        self._connection._try(library.shmipc_resize, pointer, checked_size(size))
        self._size = size

    def send(self, *, priority: int = 0, timeout: float | None = 60.0) -> Request:
        """Send it; returns at once. Ends the views of ``data``: the memory is the worker's from now on.

        Raises BufferError if something that was made of such a view is still in use. `priority` is 0 to 31;
        higher ones go first. `timeout` is in seconds.
        """
        pointer, timeout_ns = self._pointer(), nanoseconds(timeout)
        if not 0 <= priority <= 31:
            raise ValueError("priorities are 0 to 31")
        self._loans.recall()
        self._connection._try(library.shmipc_send, pointer, priority, timeout_ns)
        self._sent = True
        self._connection._flying[pointer] = self
        return self

    def cancel(self) -> None:
        """Do not want the answer any more; ``result()`` then raises Cancelled, unless it was too late."""
        self._connection._try(library.shmipc_cancel, self._pointer())

    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended

    def result(self) -> memoryview:
        """The reply, read-only and in place; waits for it. Raises how it failed."""
        self._require_sent()
        while not self._ended:
            self._connection._turn(None)
        return self._reply()

    def __await__(self) -> Generator[Any, None, memoryview]:
        self._require_sent()
        return self._connection._await(self).__await__()

    @property
    def reply_user(self) -> bytes:
        """The 64 bytes that the worker sent with its reply."""
        if not self._ended:
            raise ValueError("the request has not ended")
        return get_user(self._connection._call(library.shmipc_reply_user, self._pointer()))

    @property
    def sequence(self) -> str:
        """What the logs of host and worker call it, once it is sent: ``journalctl SHMIPC_SEQUENCE=…``."""
        return self._text(library.shmipc_sequence, self._pointer())

    def _text(self, function: Any, pointer: int) -> str:
        """What one of the calls copies that want room for a text."""
        call = self._connection._call
        text = ctypes.create_string_buffer(call(function, pointer, None, 0) + 1)
        call(function, pointer, text, len(text))
        return text.raw[:-1].decode(errors="replace")

    def release(self) -> None:
        """Give it back now, or as soon as the last view of its reply is gone. One in flight is cancelled."""
        if self._lease is not None:
            self._connection._flying.pop(self._lease.pointer, None)
        self._lease = None

    def _require_sent(self) -> None:
        if not self._sent:
            raise ValueError("the request was not sent")

    def _reply(self) -> memoryview:
        pointer, size = self._pointer(), ctypes.c_uint64()
        result = self._connection._call(library.shmipc_result, pointer)
        if result < 0:
            raise self._failure(pointer, result)
        address = self._connection._call(library.shmipc_reply, pointer, ctypes.byref(size))
        return self._loans.lend(address, size.value, self._lease, readonly=True)

    def _failure(self, pointer: int, result: int) -> Error:
        text = self._text(library.shmipc_text, pointer).encode()
        error = error_of(result, text, self._connection._call(library.shmipc_status, pointer))
        error.sequence = self.sequence
        return error


class Connection(Party):
    """A client of a host; see connect()."""

    def __init__(self, host: str | os.PathLike[str] | None, timeout: float | None) -> None:
        super().__init__()
        handle = ctypes.c_void_p()
        self._flying: dict[int, Request] = {}
        self._waiters: dict[Request, asyncio.Future[None]] = {}
        self._hungry: collections.deque[asyncio.Future[None]] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched_fd = -1
        result = library.shmipc_connect(ctypes.byref(handle), host_name(host), nanoseconds(timeout))
        if result < 0:
            raise error_of(result, library.shmipc_error_text(None))
        self._handle = handle.value

    def _free(self, handle: int) -> None:
        self._disappoint(ValueError("it was closed"))
        library.shmipc_close(handle)

    def _error_text(self, handle: int) -> bytes:
        return cast(bytes, library.shmipc_error_text(handle))

    def fileno(self) -> int:
        """For select() and event loops: readable when something has ended."""
        return cast(int, self._call(library.shmipc_get_fd, self._handle))

    @property
    def max_payload(self) -> int:
        """The host's limit for one request or response, in bytes."""
        return cast(int, self._call(library.shmipc_max_payload, self._handle))

    @property
    def n_slots(self) -> int:
        """How many requests may be taken at a time."""
        return cast(int, self._call(library.shmipc_n_slots, self._handle))

    # --- requests ---

    def take(self, size: int) -> Request:
        """Take a request with room for `size` bytes, to be filled in place through its ``data``."""
        pointer = ctypes.c_void_p()
        while pointer.value is None:
            try:
                self._try(library.shmipc_take, self._handle, checked_size(size), ctypes.byref(pointer))
            except Busy:
                if not self._turn(0):  # what was sent and forgotten may have ended
                    raise
        return Request(self, _Lease(self, pointer.value), size)

    def submit(self, data: Any, *, user: bytes = b"", priority: int = 0,
               timeout: float | None = 60.0) -> Request:
        """Send a copy of `data` (anything with a buffer); returns at once. `user`: see Request.user."""
        with memoryview(data) as source:
            request = self.take(source.nbytes)
            if source.nbytes:
                with request.data as room:
                    room[:] = as_bytes(source)
        if user:
            request.user = user
        return request.send(priority=priority, timeout=timeout)

    def call(self, data: Any, *, user: bytes = b"", priority: int = 0,
             timeout: float | None = 60.0) -> memoryview:
        """Send a copy of `data`, wait, and return the reply as a read-only view in place."""
        request = self.submit(data, user=user, priority=priority, timeout=timeout)
        try:
            return request.result()
        finally:
            request.release()

    def _turn(self, until: float | None) -> bool:
        """Take note of one request that has ended. Return: whether there was one."""
        pointer = ctypes.c_void_p()
        while not self._happens(library.shmipc_wait, ctypes.byref(pointer)):
            if is_past(until):
                return False
            self._sleep(until)
        self._note_end(self._flying.pop(pointer.value or 0, None))
        return True

    def _note_end(self, request: Request | None) -> None:
        if request is None:
            return
        request._ended = True
        waiter = self._waiters.pop(request, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _give_back(self, pointer: int) -> None:
        self._sometime(functools.partial(library.shmipc_release, pointer))
        loop = self._loop
        if self._hungry and loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(self._feed)

    # --- asyncio ---

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await asyncio.sleep(0)  # until now the loop has what was awaited last, and with it the views in there
        self.__exit__(*error)

    async def call_async(self, data: Any, *, user: bytes = b"", priority: int = 0,
                         timeout: float | None = 60.0) -> memoryview:
        """As call(), for asyncio. Where all requests are in use it waits for one, within the `timeout`."""
        request = await self.submit_async(data, user=user, priority=priority, timeout=timeout)
        try:
            return await request
        finally:
            request.release()

    async def submit_async(self, data: Any, *, user: bytes = b"", priority: int = 0,
                           timeout: float | None = 60.0) -> Request:
        """As submit(), but where all requests are in use it waits for one, within the `timeout`."""
        until = until_of(timeout)
        while True:
            left = timeout if until is None else max(0.0, until - time.monotonic())
            try:
                request = self.submit(data, user=user, priority=priority, timeout=left)
                self._feed()  # there may be room for one more
                return request
            except Busy as busy:
                await self._room(left, busy)

    async def _room(self, timeout: float | None, busy: Busy) -> None:
        """Wait until it is worth asking for a request again."""
        waiter = asyncio.get_running_loop().create_future()
        self._hungry.append(waiter)
        self._watch()
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except BaseException as error:
            if waiter in self._hungry:
                self._hungry.remove(waiter)
            else:
                self._feed()  # it was this one's turn
            if isinstance(error, TimeoutError):
                raise TimedOut(errno.ETIMEDOUT, f"timed out while waiting for one: {busy}") from None
            raise
        finally:
            self._unwatch()

    def _feed(self) -> None:
        """Let the first of those who wait for a request try again; it sees to the next."""
        while self._hungry:
            waiter = self._hungry.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _await(self, request: Request) -> memoryview:
        self._dispatch()
        if not request._ended:
            waiter = self._waiters[request] = asyncio.get_running_loop().create_future()
            self._watch()
            try:
                await waiter
            finally:
                self._waiters.pop(request, None)
                self._unwatch()
        return request._reply()

    def _watch(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._watched_fd = self.fileno()
            self._loop.add_reader(self._watched_fd, self._dispatch)

    def _unwatch(self) -> None:
        if self._loop is not None and not self._waiters and not self._hungry:
            self._loop.remove_reader(self._watched_fd)
            self._loop = None

    def _disappoint(self, error: BaseException) -> None:
        """Nobody waits any more: there is nothing to wait for."""
        for waiter in (*self._waiters.values(), *self._hungry):
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()
        self._hungry.clear()
        self._unwatch()

    def _dispatch(self) -> None:
        """What the loop calls when the descriptor is readable."""
        try:
            while self._turn(0):
                pass
        except Error as error:
            self._disappoint(error)
        self._feed()


def connect(host: str | os.PathLike[str] | None = None, *, timeout: float | None = 10.0) -> Connection:
    """Become a client of a host: its name, a path of a socket, or None for $SHMIPC_HOST or "host".

    `timeout` is for the host to answer, now and when it grants memory. When the host goes away later, what is
    in flight ends with HostLost, and the next request connects again.
    """
    return Connection(host, timeout)


# --- workers ---


class Job:
    """A request as a worker sees it. One that is dropped without an end fails."""

    def __init__(self, worker: Worker, pointer: int) -> None:
        self._worker = worker
        self._job: int | None = pointer
        self._loans = Loans(worker)
        self._response = Loans(worker)

    def __del__(self) -> None:
        if self._job is not None:
            end = functools.partial(library.shmipc_job_fail, self._job, 1, b"the worker has dropped the job")
            self._worker._sometime(end)

    def _pointer(self) -> int:
        if self._job is None:
            raise ValueError("the job was ended")
        return self._job

    @property
    def ended(self) -> bool:
        """Whether it was replied to, or failed."""
        return self._job is None

    @property
    def data(self) -> memoryview:
        """The request, read-only and in place, until the job is ended."""
        address, size = ctypes.c_void_p(), ctypes.c_uint64()
        self._worker._try(library.shmipc_job_data, self._pointer(), ctypes.byref(address), ctypes.byref(size))
        return self._loans.lend(address.value, size.value, self, readonly=True)

    def reserve(self, size: int) -> memoryview:
        """Room for a response of `size` bytes, writable and in place, until the job is ended.

        What was written before stays, but may move: it ends the views of what was reserved before.
        """
        address, pointer = ctypes.c_void_p(), self._pointer()
        self._response.recall()
        self._worker._try(library.shmipc_job_reserve, pointer, checked_size(size), ctypes.byref(address))
        return self._response.lend(address.value, size, self, readonly=False)

    @property
    def user(self) -> bytes:
        """The 64 bytes that came with the request."""
        return get_user(self._worker._call(library.shmipc_job_user, self._pointer()))

    @property
    def reply_user(self) -> bytes:
        """64 bytes that go with the reply; to be set before it."""
        return get_user(self._worker._call(library.shmipc_job_reply_user, self._pointer()))

    @reply_user.setter
    def reply_user(self, value: bytes) -> None:
        put_user(self._worker._call(library.shmipc_job_reply_user, self._pointer()), value)

    @property
    def uid(self) -> int:
        """The client's user id, as the kernel says."""
        return cast(int, self._worker._call(library.shmipc_job_uid, self._pointer()))

    @property
    def client(self) -> int:
        """The client's number at the host."""
        return cast(int, self._worker._call(library.shmipc_job_client, self._pointer()))

    @property
    def attempt(self) -> int:
        """1; more when a worker has died with this request."""
        return cast(int, self._worker._call(library.shmipc_job_attempt, self._pointer()))

    @property
    def sequence(self) -> str:
        """What the logs of host and worker, and the client's Request.sequence, call it."""
        text = ctypes.create_string_buffer(64)
        self._worker._call(library.shmipc_job_sequence, self._pointer(), text, len(text))
        return text.value.decode()

    @property
    def remaining(self) -> float:
        """Seconds until nobody waits any more."""
        return cast(int, self._worker._call(library.shmipc_job_remaining, self._pointer())) / 1e9

    def is_cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return bool(self._worker._call(library.shmipc_job_is_cancelled, self._pointer()))

    def reply(self, data: Any = b"") -> None:
        """End it with a response: bytes (copied), or the number of bytes that count of what was reserved.

        Ends the views of its memory. Raises BufferError, and does not end the job, if something that was made
        of one is still in use.
        """
        size = checked_size(data) if isinstance(data, int) else self._copy(data)
        self._end(library.shmipc_job_reply, size)

    def fail(self, text: str, code: int = 1) -> None:
        """End it as failed, with a code and a text for the caller. Views: as reply()."""
        self._end(library.shmipc_job_fail, code, text.encode(errors="replace"))

    def _copy(self, data: Any) -> int:
        with memoryview(data) as source:
            if source.nbytes:
                with self.reserve(source.nbytes) as room:
                    room[:] = as_bytes(source)
            return source.nbytes

    def _end(self, end: Callable[..., int], *arguments: Any) -> None:
        pointer = self._pointer()
        self._loans.recall()
        self._response.recall()
        with self._worker._lock:
            self._worker._alive()
            self._job = None
            self._worker._try(end, pointer, *arguments)


class Worker(Party):
    """A worker of a host; it finds the host by itself, and comes back after it was lost.

    `timeout` is how long one job may take; the host kills a process that holds one for longer. It also kills
    one that has no job and neither is in receive() nor calls it when fileno() is readable, if it does not
    come to that within ten seconds after the host has asked whether it is there.
    """

    def __init__(self, host: str | os.PathLike[str] | None = None, *, timeout: float = 300.0) -> None:
        super().__init__()
        handle = ctypes.c_void_p()
        result = library.shmipc_worker_new(ctypes.byref(handle), host_name(host), nanoseconds(timeout))
        if result < 0:
            raise error_of(result)
        self._handle = handle.value

    def _free(self, handle: int) -> None:
        library.shmipc_worker_free(handle)

    def _error_text(self, handle: int) -> bytes:
        return cast(bytes, library.shmipc_worker_error_text(handle))

    def fileno(self) -> int:
        """For select() and event loops: readable when receive(0) is worth calling."""
        return cast(int, self._call(library.shmipc_worker_get_fd, self._handle))

    def receive(self, timeout: float | None = None) -> Job | None:
        """Claim the next request; None when the time is up. Raises Refused while it is not let in."""
        until, job = until_of(timeout), None
        while True:
            job = self._receive_now()
            if job is not None or is_past(until):
                return job
            self._sleep(until)

    def _receive_now(self) -> Job | None:
        pointer = ctypes.c_void_p()
        if not self._happens(library.shmipc_receive, ctypes.byref(pointer)):
            return None
        assert pointer.value is not None
        return Job(self, pointer.value)


class Service:
    """A function that serves requests; see worker(). It can still be called as a function."""

    def __init__(self, function: Callable[[Job], Any], host: str | os.PathLike[str] | None,
                 timeout: float) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._host = host
        self._timeout = timeout
        self._stopped_fd, self._stop_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, self._stopped_fd)
        weakref.finalize(self, os.close, self._stop_fd)

    def __call__(self, job: Job) -> Any:
        return self._function(job)

    def stop(self) -> None:
        """Let run() return when it has ended the job that it has; from any thread, or a signal handler."""
        with contextlib.suppress(BlockingIOError):  # it was told so often enough
            os.write(self._stop_fd, b"!")

    def run(self) -> None:
        """Be a worker until stop() is called."""
        with Worker(self._host, timeout=self._timeout) as served:
            refused = ""
            while not self._is_stopped():
                try:
                    job = served._receive_now()
                except Refused as error:  # it goes on trying: the administrator may let it in
                    job = None
                    if refused != str(error):
                        refused = str(error)
                        _log.warning("%s", refused)
                if job is None:
                    served._sleep(None, self._stopped_fd)
                else:
                    self.serve(job)
                    del job

    def serve(self, job: Job) -> None:
        """Have the function end one job."""
        try:
            answer = self._function(job)
            if not job.ended:
                job.reply(b"" if answer is None else answer)
            return
        except Exception as error:  # pylint: disable=broad-except
            _log.warning("request %s fails", "" if job.ended else job.sequence, exc_info=True)
            failure = f"{type(error).__name__}: {error}"
        if not job.ended:
            gc.collect()  # the exception's frames may have views of the job
            job.fail(failure)

    def _is_stopped(self) -> bool:
        try:
            return bool(os.read(self._stopped_fd, 4096))
        except BlockingIOError:
            return False


def worker(host: str | os.PathLike[str] | None = None, *,
           timeout: float = 300.0) -> Callable[[Callable[[Job], Any]], Service]:
    """Make a function a worker: it gets each Job and returns the response.

    That is bytes, or how many bytes count of those that it has reserved, or None for an empty response; or it
    ends the job itself. What it raises fails the request, with the exception as the text. Service.run()
    serves until Service.stop() is called or the process ends.
    """
    if callable(host):
        raise TypeError("write @shmipc.worker(), with its parentheses")
    return functools.partial(Service, host=host, timeout=timeout)
