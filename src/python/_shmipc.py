# SPDX-License-Identifier: MIT
"""What the module shmipc stands on: the library through ctypes, its errors, and the memory that it lends."""
from __future__ import annotations

import collections
import ctypes
import errno
import functools
import gc
import math
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

USER_BYTES = 64

_FOREVER = -1
_NS_MAX = 2**63 - 1
_PAGE_BYTES = 4096
_POLL_MS_MAX = 2**31 - 1
_Self = TypeVar("_Self", bound="Party")


# --- errors ---


class Error(Exception):
    """Something went wrong; ``errno`` is the positive number, the text says what.

    Of a request that has failed, ``sequence`` is its own; see Request.sequence.
    """

    sequence = ""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.errno = number


class NoHost(Error):
    """There is no such host, or it is not running."""


class Refused(Error):
    """The host does not let this user in, speaks another version, or has reached a limit."""


class Busy(Error):
    """All requests of this connection are in use. A reply holds its request until its last view is gone."""


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
    errno.EACCES: Refused, errno.EPROTO: Refused, errno.EUSERS: Refused, errno.EBUSY: Busy,
    errno.ETIMEDOUT: TimedOut, errno.ECONNRESET: HostLost, errno.EOWNERDEAD: WorkerLost,
    errno.ECANCELED: Cancelled,
    errno.ENOMEM: NoMemory, errno.ENOSPC: NoMemory, errno.EMSGSIZE: TooLarge, errno.EREMOTEIO: WorkerFailed,
}


# --- the library ---


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("SHMIPC_LIBRARY", "libshmipc.so.0"))
    pointer, i64, u64, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_char_p
    out, out_u64 = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint64)
    signatures: dict[str, tuple[Any, list[Any]]] = {
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
        "shmipc_reply": (pointer, [pointer, out_u64]),
        "shmipc_reply_user": (pointer, [pointer]),
        "shmipc_status": (ctypes.c_int, [pointer]),
        "shmipc_text": (ctypes.c_size_t, [pointer, text, ctypes.c_size_t]),
        "shmipc_sequence": (ctypes.c_size_t, [pointer, text, ctypes.c_size_t]),
        "shmipc_release": (None, [pointer]),
        "shmipc_worker_new": (ctypes.c_int, [out, text, i64]),
        "shmipc_worker_free": (None, [pointer]),
        "shmipc_worker_error_text": (text, [pointer]),
        "shmipc_worker_get_fd": (ctypes.c_int, [pointer]),
        "shmipc_receive": (ctypes.c_int, [pointer, i64, out]),
        "shmipc_job_data": (ctypes.c_int, [pointer, out, out_u64]),
        "shmipc_job_user": (pointer, [pointer]),
        "shmipc_job_uid": (ctypes.c_uint32, [pointer]),
        "shmipc_job_client": (u64, [pointer]),
        "shmipc_job_attempt": (ctypes.c_uint32, [pointer]),
        "shmipc_job_sequence": (ctypes.c_size_t, [pointer, text, ctypes.c_size_t]),
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


library = _load()


def version() -> str:
    """The version of libshmipc."""
    return cast(bytes, library.shmipc_version()).decode()


def nanoseconds(seconds: float | None) -> int:
    """What the library takes for a timeout: None is for ever, and no number is."""
    if seconds is None:
        return _FOREVER
    if math.isnan(seconds) or seconds < 0:
        raise ValueError("a timeout is not negative; None waits for ever")
    return int(min(seconds * 1e9, _NS_MAX))


def host_name(host: str | os.PathLike[str] | None) -> bytes | None:
    return None if host is None else os.fsencode(host)


def error_of(result: int, text: bytes | None = None, status: int = 0) -> Error:
    words = (text or cast(bytes, library.shmipc_strerror(result))).decode(errors="replace")
    kind = _KINDS.get(-result, Error)
    return WorkerFailed(-result, words, status) if kind is WorkerFailed else kind(-result, words)


def as_bytes(source: memoryview) -> memoryview | bytes:
    """One dimension of single bytes, which is what can be assigned to shared memory."""
    return source.cast("B") if source.c_contiguous else source.tobytes()


def put_user(address: int, value: bytes) -> None:
    if len(value) > USER_BYTES:
        raise ValueError(f"at most {USER_BYTES} bytes")
    ctypes.memmove(address, value.ljust(USER_BYTES, b"\0"), USER_BYTES)


def get_user(address: int) -> bytes:
    return ctypes.string_at(address, USER_BYTES)


# --- memory that is lent ---


@functools.lru_cache(maxsize=256)
def _block_type(n_pages: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    """Whole pages, so that payloads of many sizes share a type: making one costs more than an exchange."""
    return ctypes.c_ubyte * (n_pages * _PAGE_BYTES)


class Loans:
    """The views of one request's or job's memory.

    A view is a memoryview of a ctypes block that lies over the memory; whatever is made of a view (a slice,
    an array of numpy) keeps the block alive, and the block keeps its owner alive.
    """

    def __init__(self, party: Party) -> None:
        self._all = party._blocks
        self._views: list[tuple[weakref.ref[memoryview], weakref.ref[Any]]] = []

    def lend(self, address: int | None, size: int, owner: object, readonly: bool) -> memoryview:
        """A view of `size` bytes; the mapping goes on to the end of their last page."""
        if not address or not size:
            return memoryview(b"") if readonly else memoryview(bytearray())
        block: Any = _block_type(-(-size // _PAGE_BYTES)).from_address(address)
        block.owner = owner
        key, forget = id(block), self._all.pop
        self._all[key] = weakref.ref(block, lambda _: forget(key, None))
        view = memoryview(block).cast("B")[:size]
        if readonly:
            view = view.toreadonly()
        self._views = [loan for loan in self._views if loan[1]() is not None]
        self._views.append((weakref.ref(view), weakref.ref(block)))
        return view

    def recall(self) -> None:
        """End the views. Raises BufferError if something that was made of one is still there."""
        for view, _ in self._views:
            lent = view()
            if lent is not None:
                lent.release()
                del lent
        if any(block() is not None for _, block in self._views):
            raise BufferError("something made of a view of this memory (a slice, an array) is still in use")
        self._views.clear()


class Party:
    """What connections and workers have in common.

    One thread at a time is inside the library, whichever it is: the collector of garbage may give memory back
    in a thread that has nothing to do with it. It never waits for that: what cannot be done at once is done
    with the next call.
    """

    def __init__(self) -> None:
        self._handle: int | None = None
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._late: collections.deque[Callable[[], None]] = collections.deque()
        self._blocks: dict[int, weakref.ref[Any]] = {}  # the memory that is lent

    def _free(self, handle: int) -> None:
        raise NotImplementedError

    def _error_text(self, handle: int) -> bytes:
        raise NotImplementedError

    def fileno(self) -> int:
        """The descriptor, which stays the same."""
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            self.close()
        except BufferError:
            if kind is None:
                raise
            # What is on its way has views in its traceback. It closes when those are gone.

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle is not None:
            self._free(handle)

    def close(self) -> None:
        """Leave the host. Raises BufferError while a view of its memory is still in use."""
        with self._lock:
            if self._handle is None:
                return
            if self._blocks:
                gc.collect()  # a traceback, or another circle, may have the last one
            if self._blocks:
                raise BufferError("a view of a request or reply is still in use")
            handle, self._handle = self._handle, None
            self._free(handle)

    def _alive(self) -> int:
        """The handle, for a call that is made under the lock."""
        if self._handle is None:
            raise ValueError("it was closed")
        if os.getpid() != self._pid:
            raise error_of(-errno.ECHILD)
        while self._late:
            self._late.popleft()()
        return self._handle

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._lock:
            self._alive()
            return function(*arguments)

    def _try(self, function: Callable[..., int], *arguments: Any) -> None:
        """A call that can fail."""
        with self._lock:
            handle = self._alive()
            result = function(*arguments)
            if result < 0:
                raise error_of(result, self._error_text(handle))

    def _happens(self, function: Callable[..., int], *arguments: Any) -> bool:
        """A call that waits for something, but not now."""
        with self._lock:
            handle = self._alive()
            result = function(handle, 0, *arguments)
            if result < 0 and result != -errno.ETIMEDOUT:
                raise error_of(result, self._error_text(handle))
            return result == 0

    def _sometime(self, function: Callable[[], None]) -> None:
        """What the collector of garbage wants, in any thread: now if that is possible, or else soon."""
        if not self._lock.acquire(blocking=False):
            self._late.append(function)
            return
        try:
            if self._handle is not None:
                function()
        finally:
            self._lock.release()

    def _sleep(self, until: float | None, *others: int) -> None:
        """Wait for the descriptor, or one of `others`: in Python, so that Ctrl-C and signals are heard."""
        poll = select.poll()
        for descriptor in (self.fileno(), *others):
            poll.register(descriptor, select.POLLIN)
        if until is None:
            poll.poll()
        else:
            poll.poll(min(max(0, math.ceil((until - time.monotonic()) * 1e3)), _POLL_MS_MAX))


def until_of(timeout: float | None) -> float | None:
    return None if timeout is None or nanoseconds(timeout) == _NS_MAX else time.monotonic() + timeout


def is_past(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def checked_size(size: int) -> int:
    if not 0 <= size < 2**63:
        raise ValueError("a size is a number of bytes")
    return size
