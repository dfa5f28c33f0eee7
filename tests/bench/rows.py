# SPDX-License-Identifier: MIT
"""What is measured: the rows of the table, the cells they compare, and what they are to reach.

A cell is `PROGRAM KEY=VALUE...`: a program of tests/bench with its options.
"""
import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Row:
    """A comparison of a cell with its reference, or a figure that stands for itself."""
    name: str
    title: str
    cell: str = ""
    reference: str = ""
    key: str = "p50_ns"
    reference_key: str = ""
    aim: typing.Optional[float] = None
    limit: typing.Optional[float] = None
    is_ratio: bool = True       # what aim and limit are about
    more_is_better: bool = False
    special: tuple = ()         # a function of run.py and its argument, in place of cells
    once: bool = False          # not in every round

    def bound(self):
        """Aim and limit in words."""
        if self.aim is None and self.limit is None:
            return ""
        sign = ">=" if self.more_is_better else "<="
        unit, factor = ("", 1) if self.is_ratio else (" us", 1e3) if self.key.endswith("_ns") else \
            (" M/s", 1e6) if self.key == "requests_per_second" else ("", 1)
        return f"aim {sign} {self.aim / factor:g}{unit}, limit {sign} {self.limit / factor:g}{unit}"


ROWS = [
    Row("noise", "raw polling, 64 B: the machine's own", "raw mode=poll size=64"),
    Row("awake-64", "64 B, both awake", "shmipc size=64", "raw mode=poll size=64", aim=250, limit=600, is_ratio=False),
    Row("one-cpu-64", "64 B on one CPU", "shmipc size=64 cpus=1,1", "raw mode=poll size=64 cpus=1,1", aim=3000,
        limit=5000, is_ratio=False),
    Row("flag-64", "raw flag, 64 B: memory is looked at, the queue rung for sleepers only", "raw mode=flag size=64"),
    Row("flag-64-one-cpu", "raw flag, 64 B on one CPU", "raw mode=flag size=64 cpus=1,1"),
    Row("in-flight-32", "64 B, 32 in flight, one client, one worker", "shmipc size=64 in-flight=32",
        "raw mode=poll size=64 in-flight=32", key="requests_per_second", aim=8e6, limit=2.5e6, is_ratio=False,
        more_is_better=True),
    Row("asleep-64", "64 B, both asleep, two CPUs", "shmipc size=64 mode=0", "raw mode=queue size=64", aim=1.02,
        limit=1.15),
    Row("asleep-64-one-cpu", "64 B, both asleep, one CPU", "shmipc size=64 mode=0 cpus=1,1",
        "raw mode=queue size=64 cpus=1,1", aim=1.02, limit=1.15),
    Row("rare-64", "64 B, one request a millisecond, to a raw queue", "shmipc size=64 gap-us=1000",
        "raw mode=queue size=64 gap-us=1000"),
    Row("rare-64-flag", "64 B, one request a millisecond, to a raw flag", "shmipc size=64 gap-us=1000",
        "raw mode=flag size=64 gap-us=1000"),
    *(Row(f"awake-{size}", f"{size}, both awake", f"shmipc size={size}", f"raw mode=poll size={size}", aim=1.02,
          limit=1.08) for size in ("64K", "1M", "16M", "128M")),
    Row("cold-16M", "first exchange of a client at 16 MiB, to the warm one", f"first argument={16 << 20}",
        f"first argument={16 << 20}", key="cold_ns", reference_key="warm_ns", aim=1.3, limit=2),
    *(Row(f"cold-{size}", f"first exchange of a client at {size}iB, to the warm one", f"first argument={n_bytes}",
          f"first argument={n_bytes}", key="cold_ns", reference_key="warm_ns")
      for size, n_bytes in (("64K", 64 << 10), ("1M", 1 << 20))),
    Row("touch-8", "worker touches 8 bytes: 1 GiB to 4 KiB", "shmipc size=1G touch=8", "shmipc size=4K touch=8",
        aim=1.05, limit=1.5),
    Row("call-cat", "`shmipc call` of a 1 GiB file with a `cat` handler, to `cat | cat`", special=("call", 1024), aim=1.0,
        limit=1.3),
    Row("two-workers", "2 workers to 1 on CPU-bound requests",
        "shmipc size=64 in-flight=8 burn-us=1000 servers=2 mode=0 cpus=-1,-1 ms=400 warm-ms=100",
        "shmipc size=64 in-flight=8 burn-us=1000 servers=1 mode=0 cpus=-1,-1 ms=400 warm-ms=100", key="requests_per_second",
        aim=1.95, limit=0, more_is_better=True),
    Row("idle-clients", "p99 of one active client among 2,000 idle ones, to alone", special=("idle_clients", 2000),
        key="p99_ns", aim=1.05, limit=1.2),
    Row("untrusted-1M", "requests of an untrusted uid (copied out), 1 MiB, to trusted", "shmipc size=1M uid=61184",
        "shmipc size=1M", aim=1.5, limit=2.2),
    Row("idle-wakeups", "idle system: wake-ups per second of host + worker", special=("wake_ups", 20), key="per_second",
        aim=0.2, limit=1, is_ratio=False, once=True),
    Row("attach", "attach of a client: connect to first reply", "first argument=64", key="attach_ns", aim=5e5, limit=2e6,
        is_ratio=False),
]

# --- peers ---

# Daemons that a peer needs.
BROKERS = {
    "redis": ["redis-server", "--port", "0", "--unixsocket", "{folder}/redis.sock", "--save", "", "--appendonly", "no",
              "--proto-max-bulk-len", "1gb"],
    "gearman": ["gearmand", "-L", "127.0.0.1", "-p", "4731", "--log-file", "none"],
    "iceoryx": ["iox-roudi", "-c", "{folder}/roudi.toml", "-m", "off", "-l", "off"],
}
FILES = {  # what these want to read in their folder
    "iceoryx": ("roudi.toml", "[general]\nversion = 1\n[[segment]]\n" + "".join(
        f"[[segment.mempool]]\nsize = {size}\ncount = {count}\n"
        for size, count in ((1024, 400), (4608, 200), (66048, 200), (1049088, 60), (16777728, 8)))),
}

# (Name in the tables, program and its options, the sizes it can carry, how many it can have in flight)
ALL_SIZES = ("64", "4K", "64K", "1M", "16M")
PEERS = [
    ("floor: writes and reads alone, one process", "raw mode=floor", ALL_SIZES, 1),
    ("raw: polling of shared memory", "raw mode=poll", ALL_SIZES, 32),
    ("raw: queue + shared memory, never sleeping", "raw mode=spin", ALL_SIZES, 1),
    ("raw: queue + shared memory, sleeping", "raw mode=queue", ALL_SIZES, 1),
    ("**shmipc**, as it is (`poll_us` auto)", "shmipc", ALL_SIZES, 32),
    ("**shmipc**, sleeping (`poll_us` 0)", "shmipc mode=0", ALL_SIZES, 32),
    ("iceoryx 2.0, polling", "iceoryx mode=poll", ALL_SIZES, 8),
    ("iceoryx 2.0, waitset", "iceoryx mode=wait", ALL_SIZES, 1),
    ("Boost.Interprocess: shared memory, semaphores", "boost", ALL_SIZES, 32),
    ("ZeroMQ, Unix socket", "zeromq", ALL_SIZES, 32),
    ("nng, Unix socket", "nng", ALL_SIZES, 32),
    ("sd-bus through dbus-broker, kept shared memory", "dbus mode=memory", ALL_SIZES, 32),
    ("sd-bus through dbus-broker, copied", "dbus mode=copy", ALL_SIZES, 32),
    ("Redis, lists", "redis", ALL_SIZES, 32),
    ("gearmand", "gearman", ("64", "4K", "64K", "1M"), 32),
]
IN_FLIGHT = (1, 2, 4, 8, 16, 32)


def peer_cell(program, size, n_in_flight=1):
    name, _, options = program.partition(" ")
    words = [name, f"size={size}", options, f"in-flight={n_in_flight}" if n_in_flight > 1 else ""]
    return " ".join(word for word in words if word)


def peer_cells():
    """All cells of the comparison with peers."""
    for _, program, sizes, n_most in PEERS:
        yield from (peer_cell(program, size) for size in sizes)
        yield from (peer_cell(program, "64", n) for n in IN_FLIGHT if 1 < n <= n_most)
