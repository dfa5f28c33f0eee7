# SPDX-License-Identifier: MIT
"""The Python module, against a host that is a process of its own and workers in threads and processes.

Environment: SHMIPC, the daemon; SHMIPC_LIBRARY, libshmipc; PYTHONPATH, the folder of the module. Prints TAP.
"""
import asyncio
import contextlib
import errno
import gc
import logging
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import shmipc

try:
    import numpy
except ImportError:
    numpy = None

PATIENT = 60.0  # far beyond what anything here takes: a hang is told from a slow machine
N_SLOTS = 4


class Host:
    """A host of its own, on a socket in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shmipc-python-"))
        self.socket = self.folder / "host.sock"
        self.process = None
        os.environ["SHMIPC_SOCKET"] = str(self.socket)

    def configure(self, settings=""):
        (self.folder / "conf").write_text(
            'host: { role = "host"; parked = "0"; max_deaths = 0; log_level = "err"; max_payload = "32M"; '
            f"requests_per_client = {N_SLOTS}; {settings} }};\n", encoding="ascii")

    def start(self):
        self.process = subprocess.Popen([os.environ["SHMIPC"], "run", "host", "-c", self.folder / "conf"])
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as knock:
            while knock.connect_ex(str(self.socket)) != 0:
                if self.process.poll() is not None:
                    raise AssertionError(f"the host has ended with {self.process.returncode}")
                time.sleep(0.002)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(PATIENT)
        if how == signal.SIGKILL:
            self.socket.unlink()

    def remove(self):
        self.end()
        shutil.rmtree(self.folder)


def answer(job):
    """What a request asks for stands in its first byte."""
    if bytes(job.data[:1]) == b"!":
        job.fail("will not", 7)
    elif bytes(job.data[:1]) == b"?":
        raise KeyError("no such thing")
    else:
        job.reply_user = job.user
        with job.data as request, job.reserve(len(request)) as response:
            response[:] = request
            return len(request)
    return None


class Serving:
    """Workers in threads, until the end of the block."""

    def __init__(self, function=answer, n=1):
        self.services = [shmipc.worker()(function) for _ in range(n)]
        self.threads = [threading.Thread(target=service.run) for service in self.services]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for service in self.services:
            service.stop()
        for thread in self.threads:
            thread.join(PATIENT)
            assert not thread.is_alive()


def sleeper():
    """A function that works until it is let go or nobody waits any more, and where it says so."""
    entered, leave = threading.Event(), threading.Event()

    def sleep(job):
        entered.set()
        while not leave.wait(0.001) and not job.is_cancelled():
            pass
        return b"slept"

    return sleep, entered, leave


def run_python(program):
    return subprocess.run([sys.executable, "-c", program], timeout=PATIENT, capture_output=True, check=False)


class Case(unittest.TestCase):
    """Each test has a host of its own, and lets nothing be forgotten."""

    settings = ""

    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.remove)
        self.host.configure(self.settings)
        self.host.start()
        logging.getLogger("shmipc").setLevel(logging.CRITICAL)

    def connect(self):
        """A connection that is closed in the end, which fails if a view was left."""
        connection = shmipc.connect(timeout=PATIENT)
        self.addCleanup(connection.close)
        return connection

    def assert_free(self, connection, n=N_SLOTS):
        """That so many requests can be taken, and no more."""
        requests = [connection.take(1) for _ in range(n)]
        with self.assertRaises(shmipc.Busy):
            connection.take(1)
        for request in requests:
            request.release()


class Calls(Case):
    def test_call_returns_the_answer(self):
        with Serving(), shmipc.connect() as host:
            self.assertEqual(host.call(b"data"), b"data")

    def test_empty_request_has_an_empty_reply(self):
        with Serving(), shmipc.connect() as host:
            self.assertEqual(bytes(host.call(b"")), b"")

    def test_reply_is_a_readonly_memoryview(self):
        with Serving(), shmipc.connect() as host, host.call(b"data") as reply:
            self.assertIsInstance(reply, memoryview)
            self.assertTrue(reply.readonly)
            with self.assertRaises(TypeError):
                reply[0] = 1

    def test_anything_with_a_buffer_can_be_sent(self):
        with Serving(), shmipc.connect() as host:
            self.assertEqual(host.call(bytearray(b"abcdef")), b"abcdef")
            self.assertEqual(host.call(memoryview(b"abcdef")[::2]), b"ace")
            self.assertEqual(host.call(memoryview(bytes(range(12))).cast("B", (3, 4))), bytes(range(12)))
            with self.assertRaises(TypeError):
                host.call("text")

    def test_large_payload_comes_back(self):
        data = os.urandom(5_000_003)
        with Serving(), shmipc.connect() as host:
            self.assertEqual(host.call(data), data)

    def test_request_is_filled_in_place(self):
        with Serving(), shmipc.connect() as host:
            request = host.take(6)
            request.data[:] = b"abcdef"
            request.resize(10_000)
            self.assertEqual(request.data[:6], b"abcdef")
            request.resize(3)
            self.assertEqual(request.send().result(), b"abc")

    def test_views_of_a_request_end_when_it_is_sent(self):
        with Serving(), shmipc.connect() as host:
            request = host.take(4)
            room = request.data
            part = room[1:]
            with self.assertRaises(BufferError):
                request.send()
            with self.assertRaises(BufferError):
                request.resize(8)
            part.release()
            request.send()
            with self.assertRaises(ValueError):
                room[0] = 1
            with self.assertRaises(ValueError):
                request.data  # pylint: disable=pointless-statement
            request.result()

    def test_several_in_flight_end_each_with_its_own(self):
        with Serving(n=2), shmipc.connect() as host:
            requests = [host.submit(f"request {i}".encode()) for i in range(N_SLOTS)]
            for i, request in reversed(list(enumerate(requests))):
                self.assertEqual(request.result(), f"request {i}".encode())
                self.assertTrue(request.done())

    def test_user_bytes_travel_both_ways(self):
        with Serving(), shmipc.connect() as host:
            request = host.submit(b"x", user=b"type:1")
            request.result()
            self.assertEqual(request.reply_user, b"type:1".ljust(shmipc.USER_BYTES, b"\0"))
            with self.assertRaises(ValueError):
                host.take(1).user = b"x" * 65

    def test_user_bytes_of_another_exchange_are_never_seen(self):
        with Serving(), shmipc.connect() as host:
            for _ in range(N_SLOTS):
                host.submit(b"x", user=b"secret").result()
            for request in [host.take(1) for _ in range(N_SLOTS)]:
                self.assertEqual(request.user, bytes(shmipc.USER_BYTES))
                request.send().cancel()
                with contextlib.suppress(shmipc.Cancelled):
                    request.result()
                self.assertEqual(request.reply_user, bytes(shmipc.USER_BYTES))

    def test_what_was_not_sent_has_no_result(self):
        with shmipc.connect() as host, self.assertRaises(ValueError):
            host.take(1).result()

    def test_sent_and_forgotten_requests_give_their_slots_back(self):
        with Serving(), shmipc.connect() as host:
            for _ in range(3 * N_SLOTS):
                while True:
                    try:
                        host.submit(b"x")
                        break
                    except shmipc.Busy:
                        host._sleep(None)

    def test_host_may_be_named_by_a_path(self):
        del os.environ["SHMIPC_SOCKET"]
        with Serving(lambda job: b"") as _:
            pass
        with shmipc.connect(self.host.socket) as host:
            self.assertEqual(host.n_slots, N_SLOTS)
            self.assertEqual(host.max_payload, 32 << 20)

    def test_version_is_said(self):
        self.assertRegex(shmipc.version(), r"^\d+\.\d+\.\d+$")


class Views(Case):
    def test_slot_is_given_back_with_the_last_view(self):
        host = self.connect()
        with Serving():
            views = [host.call(b"reply %d" % i) for i in range(N_SLOTS)]
            part, iterator = views[1][2:], iter(views[2])
            with self.assertRaises(shmipc.Busy):
                host.call(b"one more")
            views[0].release()
            views[1] = views[2] = None
            self.assertEqual(host.call(b"in the slot of the first"), b"in the slot of the first")
            self.assertEqual(bytes(part), b"ply 1")
            self.assertEqual(next(iterator), ord("r"))
            host.call(b"x")
            with self.assertRaises(shmipc.Busy):
                views[0] = (host.call(b"x"), host.call(b"x"))
            del part, iterator, views
        self.assert_free(host)

    def test_release_gives_a_request_back_unless_its_reply_is_in_use(self):
        host = self.connect()
        with Serving():
            request = host.submit(b"x")
            reply = request.result()
            request.release()
            with self.assertRaises(ValueError):
                request.result()
            self.assert_free(host, N_SLOTS - 1)
            self.assertEqual(reply, b"x")
            del reply
        self.assert_free(host)

    def test_closing_before_raises(self):
        with Serving():
            host = shmipc.connect()
            reply = host.call(b"data")
            part = reply[1:]
            with self.assertRaises(BufferError):
                host.close()
            reply.release()
            with self.assertRaises(BufferError):
                host.close()
            self.assertEqual(part, b"ata")
            self.assertEqual(host.call(b"still open"), b"still open")
            part.release()
            host.close()
            host.close()
            with self.assertRaises(ValueError):
                host.call(b"x")

    def test_requests_without_a_view_do_not_keep_it_open(self):
        with Serving():
            with shmipc.connect() as host:
                ended, sent, taken = host.submit(b"x"), host.submit(b"y"), host.take(1)
                ended.result().release()
            for use in (ended.result, sent.result, taken.send, sent.cancel, lambda: taken.data):
                self.assertRaises(ValueError, use)
            del ended, sent, taken

    def test_an_exception_is_not_hidden_by_its_own_views(self):
        with Serving():
            with self.assertRaises(ZeroDivisionError), shmipc.connect() as host:
                reply = host.call(b"data")
                len(reply) / 0
            self.assertEqual(reply, b"data")
            with self.assertRaises(BufferError):
                host.close()
            del reply
            host.close()

    def test_connection_without_a_name_lives_as_long_as_its_view(self):
        before = len(os.listdir("/proc/self/fd"))
        with Serving():
            reply = shmipc.connect().call(b"data")
            gc.collect()
            self.assertEqual(reply, b"data")
        del reply
        gc.collect()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_no_view_ever_shows_another_exchange(self):
        host = self.connect()
        with Serving(n=2):
            held = host.call(b"held" * 5000)
            requests = []
            for i in range(300):
                data = b"%d" % i * (i * 37 % 9000 + 1)
                requests.append((host.submit(data), data))
                if len(requests) == N_SLOTS - 1:
                    request, data = requests.pop(0)
                    self.assertEqual(request.result(), data)
                    del request
                self.assertEqual(held, b"held" * 5000)
            for request, data in requests:
                self.assertEqual(request.result(), data)
            del held, request, requests

    def test_view_outlives_the_host(self):
        host = self.connect()
        with Serving():
            reply = host.call(b"data" * 10_000)
        self.host.end(signal.SIGKILL)
        self.host.start()
        with Serving():
            for i in range(3 * N_SLOTS):
                self.assertEqual(host.call(b"%d" % i), b"%d" % i)
            self.assertEqual(reply, b"data" * 10_000)
            del reply

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_numpy_copies_nothing(self):
        host = self.connect()
        with Serving():
            reply = host.call(numpy.arange(1000, dtype=numpy.int64))
            array = numpy.frombuffer(reply, dtype=numpy.int64)
            self.assertEqual(array.__array_interface__["data"], (numpy.frombuffer(
                reply, numpy.uint8).ctypes.data, True))
            self.assertEqual(array.sum(), 499500)
            del reply
            with self.assertRaises(BufferError):
                host.close()
            request = host.take(8000)
            room = numpy.frombuffer(request.data, dtype=numpy.int64)
            room[:] = array
            self.assertRaises(BufferError, request.send)
            del room, array
            self.assertEqual(numpy.frombuffer(request.send().result(), dtype=numpy.int64)[999], 999)

    def test_garbage_may_be_collected_in_any_thread(self):
        host = self.connect()
        stop = threading.Event()
        views = []

        def collect():
            while not stop.is_set():
                with contextlib.suppress(IndexError):
                    circle = [views.pop()]
                    circle.append(circle)
                    del circle
                gc.collect()

        threads = [threading.Thread(target=collect) for _ in range(2)]
        with Serving():
            for thread in threads:
                thread.start()
            for i in range(300):
                data = b"%d" % i * 50
                while True:
                    with contextlib.suppress(shmipc.Busy):
                        reply = host.call(data)
                        break
                self.assertEqual(reply, data)
                views.append(reply)
                del reply
            stop.set()
            for thread in threads:
                thread.join(PATIENT)
            views.clear()
            gc.collect()
        self.assert_free(host)

    def test_sizes_do_not_pile_up_types(self):
        host = self.connect()
        def n_types():
            gc.collect()
            return sum(isinstance(kind, type) and kind.__name__.startswith("c_ubyte_Array")
                       for kind in gc.get_objects())

        with Serving():
            host.call(bytes(4096))
            before = n_types()
            for size in range(1, 4096, 7):
                host.call(bytes(size))
        self.assertLessEqual(n_types(), before)


class Failures(Case):
    def test_failed_worker_tells_its_status_and_text(self):
        with Serving(), shmipc.connect() as host, self.assertRaises(shmipc.WorkerFailed) as failed:
            host.call(b"!")
        self.assertEqual((failed.exception.status, str(failed.exception)), (7, "will not"))
        self.assertEqual(failed.exception.errno, errno.EREMOTEIO)

    def test_sequence_is_the_same_on_both_sides_and_in_an_error(self):
        seen = []

        def note(job):
            seen.append(job.sequence)
            return answer(job)

        with Serving(note), shmipc.connect() as host:
            request = host.take(1)
            self.assertEqual(request.sequence, "")
            request.data[:] = b"."
            sent = request.send().sequence
            request.result().release()
            self.assertEqual(request.sequence, sent)
            with self.assertRaises(shmipc.WorkerFailed) as failed:
                host.call(b"!")
        self.assertRegex(sent, r"\A[0-9]+-0-1\Z")
        self.assertEqual(seen, [sent, failed.exception.sequence])

    def test_exception_of_a_worker_is_the_text(self):
        with Serving(), shmipc.connect() as host:
            with self.assertRaisesRegex(shmipc.WorkerFailed, "KeyError: 'no such thing'"):
                host.call(b"?")
            self.assertEqual(host.call(b"next"), b"next")

    def test_without_a_worker_it_times_out(self):
        with shmipc.connect() as host:
            with self.assertRaises(shmipc.TimedOut):
                host.call(b"x", timeout=0.05)
            with self.assertRaises(TimeoutError):
                host.call(b"x", timeout=0)

    def test_cancelled_request_never_runs(self):
        with shmipc.connect() as host:
            request = host.submit(b"x")
            request.cancel()
            self.assertRaises(shmipc.Cancelled, request.result)
            seen = []
            with Serving(lambda job: seen.append(bytes(job.data))):
                host.call(b"y")
            self.assertEqual(seen, [b"y"])

    def test_worker_sees_that_nobody_waits(self):
        sleep, entered, _ = sleeper()
        with Serving(sleep), shmipc.connect() as host:
            request = host.submit(b"x")
            entered.wait(PATIENT)
            request.release()  # cancels; the worker would otherwise never end

    def test_missing_host_is_told(self):
        for path in ("/nowhere/host.sock", str(self.host.folder / "conf")):
            self.assertRaises(shmipc.NoHost, shmipc.connect, path)

    def test_too_large_is_told(self):
        with shmipc.connect() as host:
            self.assertRaises(shmipc.TooLarge, host.take, (32 << 20) + 1)
            self.assertRaises(ValueError, host.take, -1)
            self.assertRaises(ValueError, host.take, 2**64)

    def test_worker_that_dies_is_told(self):
        program = "import os, shmipc\nshmipc.worker()(lambda job: os._exit(1)).run()\n"
        workers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
        try:
            with shmipc.connect() as host:
                self.assertRaises(shmipc.WorkerLost, host.call, b"x")
        finally:
            for process in workers:
                process.wait(PATIENT)

    def test_odd_arguments_are_refused(self):
        with shmipc.connect() as host:
            self.assertRaises(ValueError, host.call, b"x", timeout=-1)
            self.assertRaises(ValueError, host.call, b"x", timeout=float("nan"))
            self.assertRaises(ValueError, host.call, b"x", priority=32)
            self.assertRaises(ValueError, host.call, b"x", priority=-1)
            host.submit(b"x", timeout=float("inf")).release()
            host.submit(b"x", timeout=1e300).release()

    def test_every_kind_is_an_error(self):
        for name in shmipc.__all__:
            kind = getattr(shmipc, name)
            if isinstance(kind, type) and issubclass(kind, Exception):
                self.assertTrue(issubclass(kind, shmipc.Error))

    def test_child_after_fork_is_told(self):
        with Serving(), shmipc.connect() as host:
            child = os.fork()
            if child == 0:
                try:
                    host.call(b"x")
                except shmipc.Error as error:
                    os._exit(0 if error.errno == errno.ECHILD else 1)
                os._exit(2)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(host.call(b"x"), b"x")

    def test_interrupt_ends_a_wait(self):
        program = ("import shmipc, signal\nsignal.setitimer(signal.ITIMER_REAL, 0.3)\n"
                   "signal.signal(signal.SIGALRM, signal.default_int_handler)\nhost = shmipc.connect()\n"
                   "host.call(b'x', timeout=None)")
        ended = run_python(program)
        self.assertIn(b"KeyboardInterrupt", ended.stderr)

    def test_end_of_the_interpreter_is_silent(self):
        program = ("import shmipc\nhost = shmipc.connect()\nrequests = [host.submit(b'x'), host.take(1)]\n"
                   "requests[1].data[0] = 1\nview = requests[1].data\ncircle = [view, host]\n"
                   "circle.append(circle)\nworker = shmipc.Worker()\n")
        ended = run_python(program)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, b"", b""))


class RefusedClients(Case):
    settings = "access = [];"

    def test_who_is_not_let_in_is_told_why(self):
        with self.assertRaisesRegex(shmipc.Refused, "access"):
            shmipc.connect()


class Limits(Case):
    settings = 'memory = "1M";'

    def test_memory_budget_is_named(self):
        with shmipc.connect() as host, self.assertRaisesRegex(shmipc.NoMemory, "memory"):
            host.take(8 << 20)


class Restarts(Case):
    def test_request_in_flight_ends_and_the_next_one_connects_again(self):
        with shmipc.connect() as host:
            fd, request = host.fileno(), host.submit(b"x")
            self.host.end(signal.SIGKILL)
            self.assertRaises(shmipc.HostLost, request.result)
            self.assertRaises(shmipc.NoHost, host.call, b"x")
            self.host.start()
            with Serving():
                self.assertEqual(host.call(b"y"), b"y")
            self.assertEqual(host.fileno(), fd)
            self.assertRaises(shmipc.HostLost, request.result)

    def test_worker_comes_back(self):
        with Serving(), shmipc.connect() as host:
            for _ in range(3):
                self.assertEqual(host.call(b"x"), b"x")
                self.host.end()
                self.host.start()
            self.assertEqual(host.call(b"x"), b"x")


class Asyncio(Case):
    def run_async(self, function):
        async def run():
            async with asyncio.timeout(PATIENT):
                await function()
        asyncio.run(run())

    def test_gather(self):
        async def gather():
            async with shmipc.connect() as host:
                requests = [host.submit(b"%d" % i) for i in range(N_SLOTS)]
                replies = await asyncio.gather(*requests)
                self.assertEqual([bytes(reply) for reply in replies], [b"%d" % i for i in range(N_SLOTS)])
                del replies, requests

        with Serving(n=2):
            self.run_async(gather)

    def test_more_calls_than_slots_wait_for_one(self):
        async def one(host, i):
            return bytes(await host.call_async(b"%d" % i)) == b"%d" % i

        async def many():
            async with shmipc.connect() as host:
                self.assertTrue(all(await asyncio.gather(*(one(host, i) for i in range(20 * N_SLOTS)))))
                self.assertEqual(asyncio.get_running_loop().remove_reader(host.fileno()), False)
                self.assert_free(host)

        with Serving(n=2):
            self.run_async(many)

    def test_waiting_for_a_slot_has_its_time(self):
        async def wait():
            async with shmipc.connect() as host:
                held = [host.take(1) for _ in range(N_SLOTS)]
                with self.assertRaisesRegex(shmipc.TimedOut, "in use"):
                    await host.call_async(b"x", timeout=0.05)
                call = asyncio.create_task(host.call_async(b"x"))
                await asyncio.sleep(0)
                held.pop().release()
                with Serving():
                    self.assertEqual(await call, b"x")
                del call

        self.run_async(wait)

    def test_cancelled_wait_for_a_slot_lets_the_next_have_it(self):
        async def wait():
            async with shmipc.connect() as host:
                held = [host.take(1) for _ in range(N_SLOTS)]
                first, second = (asyncio.create_task(host.call_async(b"%d" % i)) for i in range(2))
                await asyncio.sleep(0)
                held.pop().release()  # wakes the first
                asyncio.get_running_loop().call_soon(first.cancel)
                await asyncio.wait([first])
                self.assertEqual(await second, b"1")
                del second

        with Serving():
            self.run_async(wait)

    def test_cancelled_task_cancels_its_request(self):
        sleep, entered, _ = sleeper()

        async def cancel():
            async with shmipc.connect() as host:
                task = asyncio.create_task(host.call_async(b"x", timeout=None))
                await asyncio.get_running_loop().run_in_executor(None, entered.wait, PATIENT)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                while True:  # its slot comes back when the worker has seen it
                    with contextlib.suppress(shmipc.Busy):
                        self.assert_free(host)
                        break
                    await asyncio.sleep(0)

        with Serving(sleep):
            self.run_async(cancel)

    def test_request_that_was_waited_for_in_vain_can_be_awaited_again(self):
        sleep, _, leave = sleeper()

        async def again():
            async with shmipc.connect() as host:
                request = host.submit(b"x")
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(request, 0.02)
                leave.set()
                self.assertEqual(await request, b"slept")

        with Serving(sleep):
            self.run_async(again)

    def test_timeout_of_a_call(self):
        async def late():
            with shmipc.connect() as host, self.assertRaises(shmipc.TimedOut):
                await host.call_async(b"x", timeout=0.02)

        self.run_async(late)

    def test_failures_are_raised(self):
        async def fail():
            async with shmipc.connect() as host:
                results = await asyncio.gather(host.call_async(b"!"), host.call_async(b"fine"),
                                               return_exceptions=True)
                self.assertIsInstance(results[0], shmipc.WorkerFailed)
                self.assertEqual(results[1], b"fine")
                del results

        with Serving():
            self.run_async(fail)

    def test_host_that_goes_away_is_told(self):
        async def lose():
            async with shmipc.connect() as host:
                task = asyncio.create_task(host.call_async(b"x", timeout=None))
                await asyncio.sleep(0)
                self.host.end(signal.SIGKILL)
                with self.assertRaises(shmipc.HostLost):
                    await task
                self.host.start()
                with Serving():
                    self.assertEqual(await host.call_async(b"y"), b"y")

        self.run_async(lose)

    def test_closing_ends_what_is_awaited(self):
        async def close():
            host = shmipc.connect()
            task = asyncio.create_task(host.call_async(b"x", timeout=None))
            await asyncio.sleep(0)
            host.close()
            with self.assertRaises(ValueError):
                await task

        self.run_async(close)

    def test_waiting_costs_no_time_of_the_processor(self):
        async def wait():
            async with shmipc.connect() as host:
                before = resource.getrusage(resource.RUSAGE_THREAD)
                with self.assertRaises(shmipc.TimedOut):
                    await host.call_async(b"x", timeout=0.5)
                after = resource.getrusage(resource.RUSAGE_THREAD)
                self.assertLess(after.ru_nvcsw - before.ru_nvcsw, 50)

        self.run_async(wait)


class Workers(Case):
    def serve(self, function, *requests):
        """What the requests come to: bytes, or the text of the failure."""
        said = []
        with Serving(function), shmipc.connect() as host:
            for data in requests:
                try:
                    said.append(bytes(host.call(data)))
                except shmipc.WorkerFailed as error:
                    said.append(str(error))
        return said

    def test_bytes_are_the_response(self):
        self.assertEqual(self.serve(lambda job: bytes(job.data)[::-1], b"abc"), [b"cba"])

    def test_nothing_is_an_empty_response(self):
        self.assertEqual(self.serve(lambda job: None, b"abc"), [b""])

    def test_number_counts_what_was_reserved(self):
        def reserve(job):
            job.reserve(100)[:3] = b"abc"
            return 3

        self.assertEqual(self.serve(reserve, b""), [b"abc"])

    def test_reserving_more_keeps_what_was_written(self):
        def reserve(job):
            job.reserve(3)[:] = b"abc"
            job.reserve(1_000_000)[3:6] = b"def"
            return 6

        self.assertEqual(self.serve(reserve, b""), [b"abcdef"])

    def test_wrong_answers_fail_the_request_and_not_the_worker(self):
        answers = iter(["text", 5_000_000, -1, object(), b"right"])
        said = self.serve(lambda job: next(answers), *[b""] * 5)
        self.assertRegex(said[0], "TypeError")
        self.assertRegex(said[1], "reserved")
        self.assertRegex(said[2], "ValueError")
        self.assertRegex(said[3], "TypeError")
        self.assertEqual(said[4], b"right")

    def test_views_end_with_the_job(self):
        kept = []

        def keep(job):
            kept.append(job.data)
            kept.append(job.reserve(3))
            return 3

        self.assertEqual(len(self.serve(keep, b"abc")[0]), 3)
        for view in kept:
            self.assertRaises(ValueError, view.tobytes)

    def test_job_is_not_ended_while_something_made_of_a_view_is_used(self):
        ended = []

        def keep(job):
            part = job.data[1:]
            with self.assertRaises(BufferError):
                job.reply(b"x")
            ended.append(job.ended)
            del part
            job.reply(b"y")

        self.assertEqual(self.serve(keep, b"abc"), [b"y"])
        self.assertEqual(ended, [False])

    def test_exception_whose_frames_have_views_still_fails_the_request(self):
        def circle(job):
            part = job.data[1:]
            try:
                raise RuntimeError("in a circle")
            except RuntimeError as error:
                again = error
                raise RuntimeError(f"{len(part)} bytes") from again

        said = self.serve(circle, b"abc", b"abcd")
        self.assertEqual(said, ["RuntimeError: 2 bytes", "RuntimeError: 3 bytes"])

    def test_job_tells_of_its_client(self):
        said = []

        def look(job):
            said.extend((job.uid, job.attempt, job.client > 0, 0 < job.remaining <= 60, job.user[:1]))
            said.append(job.is_cancelled())

        with Serving(look), shmipc.connect() as host:
            host.call(b"", user=b"u")
        self.assertEqual(said, [os.getuid(), 1, True, True, b"u", False])

    def test_job_that_is_dropped_fails(self):
        with shmipc.Worker() as served, shmipc.connect() as host:
            request = host.submit(b"x")
            job = served.receive(PATIENT)
            del job
            with self.assertRaisesRegex(shmipc.WorkerFailed, "dropped"):
                request.result()

    def test_job_of_a_closed_worker_is_lost(self):
        with shmipc.connect() as host:
            request = host.submit(b"x")
            with shmipc.Worker() as served:
                job = served.receive(PATIENT)
            self.assertRaises(shmipc.WorkerLost, request.result)
            self.assertRaises(ValueError, lambda: job.data)
            self.assertRaises(ValueError, job.reply)

    def test_worker_is_not_closed_under_a_view(self):
        with shmipc.connect() as host:
            request = host.submit(b"data")
            served = shmipc.Worker()
            job = served.receive(PATIENT)
            view = job.data
            self.assertRaises(BufferError, served.close)
            self.assertEqual(view, b"data")
            job.reply(b"x")
            served.close()
            self.assertEqual(request.result(), b"x")

    def test_receive_comes_back_when_its_time_is_up(self):
        with shmipc.Worker() as served:
            self.assertIsNone(served.receive(0))
            self.assertIsNone(served.receive(0.02))

    def test_function_can_still_be_called(self):
        @shmipc.worker()
        def double(job):
            """Twice as much."""
            return job * 2

        self.assertEqual((double(2), double.__doc__, double.__name__), (4, "Twice as much.", "double"))
        with self.assertRaises(TypeError):
            shmipc.worker(lambda job: job)

    def test_stop_may_come_from_a_signal_handler(self):
        program = ("import shmipc, signal\n@shmipc.worker()\ndef nothing(job):\n    pass\n"
                   "signal.signal(signal.SIGTERM, lambda *_: nothing.stop())\nprint('ready', flush=True)\n"
                   "nothing.run()\nprint('stopped')\n")
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            process.terminate()
            self.assertEqual(process.stdout.read(), b"stopped\n")


class RefusedWorkers(Case):
    settings = "workers = [];"

    def test_who_is_not_let_in_is_told_why(self):
        with shmipc.Worker() as served, self.assertRaisesRegex(shmipc.Refused, "workers"):
            served.receive(PATIENT)

    def test_service_says_so_once_and_can_be_stopped(self):
        logging.getLogger("shmipc").setLevel(logging.WARNING)
        said = threading.Event()
        handler = logging.Handler()
        handler.emit = lambda record: said.set() if "workers" in record.getMessage() else None
        logging.getLogger("shmipc").addHandler(handler)
        self.addCleanup(logging.getLogger("shmipc").removeHandler, handler)
        with Serving():
            self.assertTrue(said.wait(PATIENT))


class Tap(unittest.TextTestResult):
    """A line for each test, for those who read TAP."""

    n = 0

    def say(self, word, test, more=""):
        self.n += 1
        print(f"{word} {self.n} - {test.id().partition('.')[2]}{more}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, f" # SKIP {reason}")

    def addError(self, test, err):
        super().addError(test, err)
        self.say("not ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("not ok", test)


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print(f"1..{suite.countTestCases()}")
    runner = unittest.TextTestRunner(resultclass=Tap, verbosity=0, stream=sys.stderr, warnings="error")
    sys.exit(not runner.run(suite).wasSuccessful())
