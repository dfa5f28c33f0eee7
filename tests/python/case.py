# SPDX-License-Identifier: MIT
"""What the tests of the Python module share: a host that is a process of its own, workers in threads, and TAP.

Environment: SHMIPC, the daemon; SHMIPC_LIBRARY, libshmipc; PYTHONPATH, the folder of the module.
"""
import logging
import os
import pathlib
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


def main():
    """Run what the program holds."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print(f"1..{suite.countTestCases()}")
    runner = unittest.TextTestRunner(resultclass=Tap, verbosity=0, stream=sys.stderr, warnings="error")
    sys.exit(not runner.run(suite).wasSuccessful())
