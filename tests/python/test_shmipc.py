# SPDX-License-Identifier: MIT
"""The Python module as its callers have it, against a host that is a process of its own and workers in threads
and processes. What is awaited is in test_asyncio.py, and the other side in test_workers.py.
"""
import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import unittest

import shmipc
from case import Case, N_SLOTS, PATIENT, Serving, answer, main, run_python, sleeper

try:
    import numpy
except ImportError:
    numpy = None


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
        program = ("import shmipc, signal\nsignal.signal(signal.SIGALRM, signal.default_int_handler)\n"
                   "signal.setitimer(signal.ITIMER_REAL, 0.3)\nhost = shmipc.connect()\n"
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


if __name__ == "__main__":
    main()
