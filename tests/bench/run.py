#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py: how fast an exchange is beside what shared memory can do at best, and beside peers

    tests/bench/run.py BUILD [--rounds N] [--ms N] [--list] [--results FILE] [ROW...]

A row compares cells; a cell is a program with its parameters. Each round runs every cell that is needed once, one
after the other, so that the machine's mood is the same for all; a row's ratio is the median over the rounds of the
ratio within a round. The first row is the machine's noise: how long two processors take to see each other's writes.
Rows are chosen by name or pattern ("awake-*"); without any, all rows of the table run. What cannot be measured here is
named and skipped. Nothing here fails for being slow. `best` is the fastest exchange of all against the fastest of the
reference: all that a machine which is busy with other things can tell.
"""
import argparse
import contextlib
import fnmatch
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rows as table  # noqa: E402

STRANGER = 61184  # a uid that the host lets in and does not trust

CONFIG = """
host: {{ role = "host"; log_level = "err"; max_payload = "1G"; memory = "5G"; requests_per_client = 64;
    max_clients = 2200; user_share = 100; health_interval = "{health}"; access = ["root", "self", "{stranger}"]; }};
cat: {{ role = "worker"; serves = "host"; log_level = "err"; handler: {{ type = "exec"; command = ["cat"]; }}; }};
echo: {{ role = "worker"; serves = "host"; log_level = "err"; }};
"""


class Skipped(Exception):
    """It cannot be measured here; the text says why."""


def parse_words(text):
    return {key: float(value) for key, value in (word.split("=", 1) for word in text.split())}


class Bench:
    """A folder, a configuration, a host that runs while it is needed, and programs that are built."""

    def __init__(self, build, ms):
        self.build = pathlib.Path(build).resolve()
        self.ms = ms
        self.shmipc = self.build / "src" / "app" / "shmipc"
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="shmipc-bench-")))
        self.folder.chmod(0o755)
        self.environment = {**os.environ, "SHMIPC_SOCKET": str(self.folder / "host.sock"),
                            "STATE_DIRECTORY": str(self.folder)}
        self.host = None
        self.brokers = {}

    def close(self):
        self.stack.close()

    def start(self, *arguments, **options):
        """Start what is to run until the end, and ends with this program."""
        process = subprocess.Popen([str(argument) for argument in arguments], env=self.environment, **options)
        self.stack.callback(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()

    def start_host(self, health="never"):
        if self.host and self.host.poll() is None:
            return self.host
        config = self.folder / "conf"
        config.write_text(CONFIG.format(health=health, stranger=STRANGER), encoding="utf-8")
        self.host = self.start(self.shmipc, "run", "host", "-c", config)
        self.wait_for(lambda: (self.folder / "host.sock").exists() or self.host.poll() is not None)
        if self.host.poll() is not None:
            raise Skipped("the host does not start")
        return self.host

    def start_worker(self, name):
        worker = self.start(self.shmipc, "run", name, "-c", self.folder / "conf", stdin=subprocess.DEVNULL)
        self.wait_for(lambda: subprocess.run([self.shmipc, "call", "-t", "30"], input=b"x", env=self.environment,
                                             capture_output=True, check=False).returncode == 0)
        return worker

    @staticmethod
    def wait_for(condition):
        until = time.monotonic() + 60
        while not condition():
            if time.monotonic() > until:
                raise Skipped("what was waited for never came")
            time.sleep(0.02)

    def program(self, name):
        path = self.build / "tests" / "bench" / ("bench-" + name)
        if not path.exists():
            raise Skipped(f"{name} was not built: its library is not installed (tests/bench/install-peers)")
        return path

    def start_broker(self, name):
        """The daemon that a peer needs: its words are in the table."""
        command = table.BROKERS.get(name)
        if not command or name in self.brokers:
            return
        if name in table.FILES:
            file, text = table.FILES[name]
            (self.folder / file).write_text(text, encoding="ascii")
        found = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        if not found:
            raise Skipped(f"there is no {command[0]} (tests/bench/install-peers)")
        self.brokers[name] = self.start(found, *(word.format(folder=self.folder) for word in command[1:]),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)  # no client of theirs can wait for them

    def run(self, cell):
        """One measurement. A cell is `PROGRAM KEY=VALUE...`."""
        name, *words = cell.split()
        if name in ("shmipc", "first"):
            self.start_host()
        self.start_broker(name)
        arguments = []
        for key, value in (word.split("=", 1) for word in words):
            arguments += [f"--{key}", value] if key != "argument" else [value]
        if name != "first" and "--ms" not in arguments:
            arguments += ["--ms", str(self.ms), "--warm-ms", str(max(self.ms // 4, 100))]
        environment = {**self.environment, "BENCH_FOLDER": str(self.folder), "BENCH_GEARMAN_PORT": "4731"}
        said = subprocess.run([self.program(name), *arguments], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        if said.returncode != 0:
            raise Skipped(said.stderr.strip().splitlines()[-1] if said.stderr.strip() else f"status {said.returncode}")
        return parse_words(said.stdout.strip().splitlines()[-1])

    # --- what is no cell ---

    def idle_clients(self, n):
        self.start_host()
        cell = "shmipc size=64 ms=500 warm-ms=250"  # a percentile needs many
        alone = self.run(cell)
        crowd = []
        try:
            for _ in range(4):  # what one process may have open is not enough
                crowd.append(subprocess.Popen([str(self.program("idle")), str(n // 4)], env=self.environment, text=True,
                                              stdin=subprocess.PIPE, stdout=subprocess.PIPE))
                if crowd[-1].stdout.readline().strip() != "ready":
                    raise Skipped(f"{n} clients cannot be had here")
            among = self.run(cell)
        finally:
            for process in crowd:
                process.stdin.close()
                process.wait()
        return among, alone

    def call(self, megabytes):
        if shutil.disk_usage("/dev/shm").free < (5 * megabytes) << 20:
            raise Skipped(f"/dev/shm has no room for {5 * megabytes} MiB")
        source, target = (pathlib.Path(f"/dev/shm/{self.folder.name}.{end}") for end in ("in", "out"))
        self.start_host()
        worker = self.start_worker("cat")
        try:
            with open(source, "wb") as file:
                for _ in range(megabytes):
                    file.write(os.urandom(4096) * 256)
            commands = {"ours": f"exec {self.shmipc} call <{source} >{target}", "theirs": f"cat <{source} | cat >{target}"}
            took = {}
            for name, command in (*commands.items(), *commands.items()):  # the second time, either follows the other
                target.unlink(missing_ok=True)
                took[name] = {"p50_ns": self.time(command)}
                if subprocess.run(["cmp", "-s", source, target], check=False).returncode != 0:
                    raise Skipped("what came back is not what was sent")
            return took["ours"], took["theirs"]
        finally:
            self.stop(worker)
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def time(self, command):
        begin = time.monotonic_ns()
        if subprocess.run(["sh", "-c", command], env=self.environment, check=False).returncode != 0:
            raise Skipped(command + " has failed")
        return time.monotonic_ns() - begin

    def wake_ups(self, seconds):
        """Of a host and a worker that nobody uses, probes and all."""
        bench = Bench(self.build, self.ms)
        try:
            host = bench.start_host(health="1min")
            processes = [host, bench.start_worker("echo")]
            time.sleep(3)
            before = [self.switches(process.pid) for process in processes]
            time.sleep(seconds)
            after = [self.switches(process.pid) for process in processes]
        finally:
            bench.close()
        return {"per_second": sum(map(lambda pair: pair[0] - pair[1], zip(after, before))) / seconds}

    @staticmethod
    def switches(pid):
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("voluntary_ctxt"))


class Round:
    """Each cell is run once in a round, whoever asks for it."""

    def __init__(self, bench, best):
        self.bench = bench
        self.best = best
        self.seen = {}

    def cell(self, cell):
        if cell not in self.seen:
            try:
                self.seen[cell] = self.bench.run(cell)
            except (Skipped, subprocess.TimeoutExpired) as reason:
                self.seen[cell] = Skipped(str(reason))
        if isinstance(self.seen[cell], Skipped):
            raise self.seen[cell]
        return self.seen[cell]

    def special(self, function, argument):
        key = f"{function} {argument}"
        if key not in self.seen:
            self.seen[key] = getattr(self.bench, function)(argument)
        return self.seen[key]

    def row(self, row):
        """Return: the value, and the reference's or None."""
        if row.special:
            pair = self.special(*row.special)
            if isinstance(pair, tuple):
                return pair[0][row.key], pair[1][row.key]
            return pair[row.key], None
        value = self.cell(row.cell)[row.key]
        if not row.reference:
            return value, None
        reference = self.cell(row.reference)
        self.best.setdefault(row.name, []).append((self.cell(row.cell).get("min_ns"), reference.get("min_ns")))
        return value, reference[row.reference_key or row.key]


def show_value(value, row):
    if row.key.endswith("_ns"):
        return f"{value / 1e3:.2f} us" if value < 1e6 else f"{value / 1e6:.2f} ms"
    if row.key == "requests_per_second":
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
    return f"{value:.2f}"


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0


def best_of(row, best):
    """The fastest of all against the fastest of its reference."""
    if not row.key.endswith("_ns") or not best or None in best[0]:
        return None
    return min(ours for ours, _ in best) / max(min(theirs for _, theirs in best), 1)


def summarize(row, pairs):
    values = [value for value, _ in pairs]
    result = {"value": statistics.median(values), "spread": spread(values), "rounds": len(values), "key": row.key}
    if pairs[0][1] is not None:
        ratios = [value / reference for value, reference in pairs]
        result.update(reference=statistics.median(reference for _, reference in pairs),
                      ratio=statistics.median(ratios), ratio_spread=spread(ratios))
    return result


def verdict(row, result):
    measured = result.get("ratio", result["value"]) if row.is_ratio else result["value"]

    def holds(bound):
        return bound is not None and (measured >= bound if row.more_is_better else measured <= bound)

    if row.aim is None and row.limit is None:
        return "reported"
    return "aim" if holds(row.aim) else "limit" if holds(row.limit) else "missed"


def report(row, pairs, best, reason):
    if not pairs:
        print(f"{row.name:18} skipped: {reason}", flush=True)
        return {"skipped": str(reason).replace(" ", "_")}
    result = summarize(row, pairs)
    result["verdict"] = verdict(row, result)
    if best_of(row, best) is not None:
        result["best"] = best_of(row, best)
    text = f"{row.name:18} {show_value(result['value'], row):>11}"
    if "ratio" in result:
        text += f"  of {show_value(result['reference'], row):>11}  ratio {result['ratio']:6.3f}" \
                f" (spread {result['ratio_spread'] * 100:3.0f} %)"
    else:
        text += f"  (spread {result['spread'] * 100:3.0f} %)" + " " * 22
    text += f"  best {result['best']:6.3f}" if "best" in result else " " * 13
    print(f"{text}  {result['verdict']:8} {row.bound()}", flush=True)
    return result


def measure(bench, chosen, n_rounds):
    """Return: for each row, its pairs, its fastest exchanges, and why it has none; what each cell said."""
    pairs, best, reasons, cells = {row.name: [] for row in chosen}, {}, {}, {}
    for i in range(n_rounds):
        this = Round(bench, best)
        for row in chosen:
            if row.once and i > 0:
                continue
            try:
                pairs[row.name].append(this.row(row))
            except Skipped as reason:
                reasons[row.name] = reason
        for cell, said in this.seen.items():
            if isinstance(said, dict):
                cells.setdefault(cell, []).append(said)
        if sys.stderr.isatty():
            print(f"round {i + 1} of {n_rounds}", end="\r", file=sys.stderr, flush=True)
    return pairs, best, reasons, cells


def measure_peers(bench, n_rounds):
    """Return: what each cell said, and why others say nothing."""
    cells, reasons = {}, {}
    for _ in range(n_rounds):
        this = Round(bench, {})
        for cell in table.peer_cells():
            if cell in reasons:
                continue
            try:
                cells.setdefault(cell, []).append(this.cell(cell))
            except Skipped as reason:
                reasons[cell] = reason
    return {cell: said for cell, said in cells.items() if said}, reasons


def report_peers(cells, reasons):
    for cell in table.peer_cells():
        if cell in cells:
            said = {key: statistics.median(one[key] for one in cells[cell]) for key in cells[cell][0]}
            print(f"{cell:36} p50 {said['p50_ns'] / 1e3:10.2f} us  p99 {said['p99_ns'] / 1e3:10.2f} us "
                  f"{said['requests_per_second']:12.0f} /s", flush=True)
        else:
            print(f"{cell:36} skipped: {reasons[cell]}", flush=True)


def write_results(path, results, cells):
    """What docs/performance.py reads: a line is NAME, a tab, and KEY=VALUE words; medians over all rounds."""
    lines = [f"row/{name}\t" + " ".join(f"{key}={value}" for key, value in values.items())
             for name, values in results.items()]
    for cell, said in cells.items():
        medians = {key: statistics.median(one[key] for one in said) for key in said[0]}
        lines.append(f"cell/{cell.replace(' ', ',')}\t" + " ".join(f"{key}={value:g}" for key, value in medians.items()))
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def choose(names):
    for name in names:
        if not any(fnmatch.fnmatch(row.name, name) for row in table.ROWS):
            sys.exit(f"there is no row {name}: see --list")
    if not names:
        return table.ROWS
    return [row for row in table.ROWS if any(fnmatch.fnmatch(row.name, name) for name in names)]


def targets(build):
    said = subprocess.run(["meson", "introspect", "--targets", build], capture_output=True, check=True).stdout
    return ["shmipc:executable"] + [target["name"] for target in json.loads(said)
                                    if target["name"].startswith("bench-") and target["type"] == "executable"]


def go_first():
    """On a machine that others use, too: a session of our own is scheduled before theirs."""
    with contextlib.suppress(OSError):
        os.setsid()
        pathlib.Path("/proc/self/autogroup").write_text("-20", encoding="ascii")
    with contextlib.suppress(OSError):
        os.nice(-20)


def enter_namespace():
    """An IPC namespace of our own has room for as many queues as we like, and nobody else's in it."""
    if os.geteuid() != 0 or os.environ.get("BENCH_NAMESPACE") or not shutil.which("unshare"):
        return
    os.environ["BENCH_NAMESPACE"] = "yes"
    script = "echo 8192 >/proc/sys/fs/mqueue/queues_max 2>/dev/null; exec \"$@\""
    os.execvp("unshare", ["unshare", "--ipc", "sh", "-c", script, "sh", sys.executable, *sys.argv])


def run_rows(bench, chosen, options):
    pairs, best, reasons, cells = measure(bench, chosen, options.rounds)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; medians of {options.rounds} rounds", flush=True)
    return {row.name: report(row, pairs[row.name], best.get(row.name), reasons.get(row.name)) for row in chosen}, cells


def run_peers(bench, options):
    cells, reasons = measure_peers(bench, options.rounds)
    report_peers(cells, reasons)
    return {}, cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ms", type=int, default=100, help="that a cell measures for, after a quarter of it (100 at least) to warm up")
    parser.add_argument("--peers", action="store_true", help="all peers at all sizes, in place of the rows")
    parser.add_argument("--urgent", action="store_true", help="before everything else that runs here, as root")
    parser.add_argument("--targets", action="store_true", help="what to build, for `meson compile`")
    parser.add_argument("--list", action="store_true", help="the rows there are")
    parser.add_argument("--results", help="append them to this file, for docs/performance.py")
    options = parser.parse_intermixed_args()
    chosen = choose(options.rows)
    if options.list:
        for row in chosen if options.rows else table.ROWS:
            print(f"{row.name:18} {row.title}")
        return
    if options.targets:
        print(*targets(options.build))
        return
    if options.urgent and not os.environ.get("BENCH_NAMESPACE"):
        go_first()
    enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started ends with us
    bench = Bench(options.build, options.ms)
    try:
        results, cells = run_peers(bench, options) if options.peers else run_rows(bench, chosen, options)
    finally:
        bench.close()
    if options.results:
        write_results(options.results, results, cells)


if __name__ == "__main__":
    main()
