# SPDX-License-Identifier: MIT
"""Workers in Python: what is an answer, what is none, and what a job's views, its host and its end do to it."""
import logging
import os
import signal
import subprocess
import sys
import threading

import shmipc
from case import Case, PATIENT, Serving, main


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


if __name__ == "__main__":
    main()
