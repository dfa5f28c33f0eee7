# SPDX-License-Identifier: MIT
"""The Python module in an event loop: what is awaited, for how long, and what becomes of it when nobody does."""
import asyncio
import contextlib
import resource
import signal

import shmipc
from case import Case, N_SLOTS, PATIENT, Serving, main, sleeper


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


if __name__ == "__main__":
    main()
