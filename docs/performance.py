#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""performance.py: measures how fast an exchange is, and writes docs/performance.md from what it found

    docs/performance.py run BUILD [--rounds N] [--ms N] [--urgent]
        run tests/bench/run.py of a build, its rows and its peers, into docs/performance.tsv, which is replaced
    docs/performance.py write
        print the page from docs/performance.tsv, and draw its plots into docs/performance/ with gnuplot

A line of the file is NAME, a tab, and KEY=VALUE words: `row/` for a row of the table of what is to be reached, `cell/`
for a program with its options, `run` for the circumstances.
"""
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "performance.tsv"
PLOTS = ROOT / "docs" / "performance"
sys.path.insert(0, str(ROOT / "tests" / "bench"))
import rows as table  # noqa: E402

BYTES = {"64": 64, "4K": 4 << 10, "64K": 64 << 10, "1M": 1 << 20, "16M": 16 << 20}
DRAWN = ["raw mode=poll", "raw mode=queue", "shmipc", "shmipc mode=0", "iceoryx mode=poll", "iceoryx mode=wait", "zeromq",
         "nng", "dbus mode=copy", "redis", "gearman"]  # what a plot has room for


# --- measuring ---

def said(pattern, path):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return "unknown"
    return found.group(1).strip() if found else "unknown"


def circumstances(rounds, ms):
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=False).stdout.strip()
    values = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": commit or "unknown",
        "kernel": platform.release(), "cpu": said(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo"), "cpus": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.0f}G",
        "libc": "-".join(platform.libc_ver()), "load": round(os.getloadavg()[0], 1), "rounds": rounds, "ms": ms,
        "huge": said(r"\[(\w+)\]", "/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
    }
    return "run\t" + " ".join(f"{key}={str(value).replace(' ', '_')}" for key, value in values.items()) + "\n"


def run(build, arguments):
    rounds, ms = (arguments[arguments.index(option) + 1] if option in arguments else default
                  for option, default in (("--rounds", "5"), ("--ms", "100")))
    options = ["--rounds", rounds, "--ms", ms, *(option for option in arguments if option == "--urgent")]
    RESULTS.write_text(circumstances(rounds, ms), encoding="utf-8")
    for what in ([], ["--peers"]):
        status = subprocess.run([ROOT / "tests" / "bench" / "run.py", build, *what, *options, "--results", RESULTS], check=False).returncode
        if status:
            return status
    return 0


# --- what was measured ---

def read_results():
    results = {}
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        name, _, words = line.partition("\t")
        results[name] = dict(word.split("=", 1) for word in words.split())
    return results


def cell(results, name):
    found = results.get("cell/" + name.replace(" ", ","))
    return {key: float(value) for key, value in found.items()} if found else None


def show_ns(ns):
    if ns < 1e4:
        return f"{ns / 1e3:.2f}"
    return f"{ns / 1e3:.1f}" if ns < 1e5 else f"{ns / 1e3:,.0f}"


def show_value(value, key):
    if key.endswith("_ns"):
        return show_ns(value) + " µs" if value < 1e7 else f"{value / 1e6:,.0f} ms"
    if key == "requests_per_second":
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
    return f"{value:.2f} /s"


# --- the page ---

def write_head(results):
    values = results["run"]
    text = {key: value.replace("_", " ") for key, value in values.items()}
    noise = cell(results, "raw mode=poll size=64")
    print("# How fast an exchange is\n")
    print("Generated: do not edit. To measure again and write this page anew, as root on a machine that does nothing else, "
          "with a release build in `build`:\n")
    print("    tests/bench/install-peers && meson setup build --buildtype=release -Db_lto=true && \\\n"
          "        meson compile -C build $(tests/bench/run.py build --targets) && \\\n"
          f"        docs/performance.py run build --rounds {values['rounds']} --ms {values['ms']} && \\\n"
          "        docs/performance.py write >docs/performance.md\n")
    print("`meson test -C build --benchmark` runs the same without the page; `tests/bench/run.py build awake-64 'cold-*'` some "
          "rows. `shmipc bench` measures a host that runs.\n")
    print(f"Machine: {text['cpus']} CPUs ({text['cpu']}), {text['memory']} of memory, Linux {text['kernel']}, {text['libc']}, "
          f"shmem_enabled `{text['huge']}`; {text['date']}, commit {text['commit']}, load {text['load']} at the start. "
          f"Medians of {values['rounds']} rounds of {values['ms']} ms for each figure; each round runs everything once, one "
          "after the other.")
    if noise:
        print(f"\nThe machine's noise: two processors see each other's writes (64 bytes there and back, by looking at memory) "
              f"in {show_ns(noise['min_ns'])} µs at best, {show_ns(noise['p50_ns'])} µs in the median, "
              f"{show_ns(noise['p99_ns'])} µs in the 99th percentile.")
    if float(values["load"]) > float(values["cpus"]):
        print("\n**Others were at work on the machine.** This ran before them (`--urgent`), but they shared its caches and its "
              "memory: spreads and high percentiles are theirs.")


def write_rows(results):
    print("\n## What is to be reached\n")
    print("Every byte of request and response is written and read on both sides, payloads in place, libshmipc client and "
          "worker, the daemon as it is delivered. What is compared was measured in the same round; a ratio is the median of "
          "the rounds' ratios, and its spread how far they lie apart.\n")
    print("| | measured | beside it | ratio (spread) | aim | limit | reached |\n| --- | --- | --- | --- | --- | --- | --- |")
    for row in table.ROWS:
        found = results.get("row/" + row.name)
        if not found:
            continue
        if "skipped" in found:
            print(f"| {row.title} | skipped: {found['skipped'].replace('_', ' ')} | | | | | |")
            continue
        beside = ratio = ""
        if "ratio" in found:
            key = row.reference_key or row.key
            beside = show_value(float(found["reference"]), key)
            ratio = f"{float(found['ratio']):.2f} ({float(found['ratio_spread']) * 100:.0f} %)"
        aim, limit = ([part.split(" ", 1)[1] for part in row.bound().split(", ")] if row.bound() else ("", ""))
        print(f"| {row.title} | {show_value(float(found['value']), found['key'])} | {beside} | {ratio} | {aim} | {limit} | "
              f"{found['verdict']} |")


def write_limits(results):
    if not {"row/cold-16M", "row/call-cat", "row/asleep-64-one-cpu"} & set(results):
        return
    print("""
**What limits the first exchange, and files through a command.** Both are mostly the kernel's clearing of memory that nobody has
had (`perf`: `clear_page_erms` below `MADV_COLLAPSE`): 0.1 ms for a MiB in huge pages; ten times that and more in a virtual machine
whose hypervisor takes free memory back, and then gives it page by page.

- The first exchange of 16 MiB clears 16 MiB on each side, one after the other, 1.5 ms each at best. Its two questions to the
  host take 0.1 ms each. Tried: to clear with several threads. Where other processes are busy that waits for threads which are
  not scheduled, and the ratio was 10 in place of 1.8.
- `shmipc call` with `cat` copies five times, `cat | cat` four times. It needs two payloads of memory more, for request and
  response are there as a whole: nothing reaches the output before the exchange is known to be done. So reading, `cat` and
  writing follow each other, where `cat | cat` does all of it at once on two processors. Writing to tmpfs, which one thread at a
  time can do for a file, takes 0.6 s of processor time for a GiB; `cat | cat` takes 1.2 s in all. Lending the request's
  pages to the pipe (`splice`) costs under 1 %. Tried, and no faster than the noise: to grow the response in smaller steps, to
  give the request back before the output is written.

**What limits the small exchange asleep.** Both sides make the same three calls as the raw queue: wait, receive, send. But the raw
queue waits for one descriptor, and a client or worker for three, since it hears its host and its timer as well: on one
processor `poll()` of one takes 9.0 µs there and back, of three 9.7, `epoll` of the three 9.6, edge-triggered or not. The rest
is 0.9 µs of both sides' own code: to claim, to answer and to measure. To block in the receive itself would take 7.1 µs,
and not hear a host that goes.""")


def write_sizes(results):
    print("\n## Beside peers, by size\n")
    print("Round trip of a request and a response of that size, p50 in µs; two processes, each on a CPU of its own. Every "
          "peer is driven by the same program, which writes and reads every byte with the same instructions. What polls "
          "burns a CPU while it waits; the others sleep.\n")
    print("| | " + " | ".join(f"{size}B" if size == "64" else f"{size}iB" for size in BYTES) + " |")
    print("| --- |" + " --- |" * len(BYTES))
    for name, program, _, _ in table.PEERS:
        found = [cell(results, table.peer_cell(program, size)) for size in BYTES]
        if any(found):
            print(f"| {name} | " + " | ".join(show_ns(one["p50_ns"]) if one else "–" for one in found) + " |")
        else:
            print(f"| {name} | skipped: not there |" + " |" * (len(BYTES) - 1))


def write_percentiles(results):
    print("\n## Percentiles, 64 bytes\n\n| µs | min | p50 | p90 | p99 | p99.9 | max |\n|" + " --- |" * 7)
    for name, program, _, _ in table.PEERS:
        found = cell(results, table.peer_cell(program, "64"))
        if found:
            print(f"| {name} | " + " | ".join(show_ns(found[key + "_ns"])
                                              for key in ("min", "p50", "p90", "p99", "p999", "max")) + " |")


def write_in_flight(results):
    print("\n## Throughput by requests in flight, 64 bytes\n")
    print("| thousands a second | " + " | ".join(map(str, table.IN_FLIGHT)) + " |\n|" + " --- |" * (len(table.IN_FLIGHT) + 1))
    for name, program, _, most in table.PEERS:
        found = [cell(results, table.peer_cell(program, "64", n)) for n in table.IN_FLIGHT]
        if most > 1 and any(found):
            print(f"| {name} | " + " | ".join(f"{one['requests_per_second'] / 1e3:,.1f}" if one else "–" for one in found)
                  + " |")


# --- plots ---

def gnuplot(name, script):
    PLOTS.mkdir(exist_ok=True)
    head = (f"set terminal svg size 760,460 noenhanced background rgb 'white'\nset output '{PLOTS / name}.svg'\nset grid\n"
            "set key outside right\nset style data linespoints\n")
    subprocess.run(["gnuplot", "-"], input=head + script, text=True, check=True)
    print(f"\n![{name.replace('-', ' ')}](performance/{name}.svg)")


def curves(lines):
    """A gnuplot script for {title: [(x, y)]}."""
    blocks = "".join(f"$line{i} << end\n" + "".join(f"{x} {y}\n" for x, y in points) + "end\n"
                     for i, points in enumerate(lines.values()))
    return blocks + "plot " + ", ".join(f"$line{i} linewidth 2 title '{title}'" for i, title in enumerate(lines)) + "\n"


def title_of(program):
    name = next(name for name, other, _, _ in table.PEERS if other == program)
    return re.sub(r"[*`']", "", name).replace("shared memory", "shm").replace(" through dbus-broker", "")


def points_of(results, cells, key, factor):
    found = [(x, cell(results, name)) for x, name in cells]
    return [(x, one[key] * factor) for x, one in found if one]


def draw_sizes(results):
    lines = {title_of(program): points_of(results, [(n, table.peer_cell(program, size)) for size, n in BYTES.items()],
                                          "p50_ns", 1e-3) for program in DRAWN}
    gnuplot("latency-by-size", "set logscale xy\nset xlabel 'bytes of request and response'\nset ylabel 'p50 (us)'\n"
            "set xtics ('64' 64, '4K' 4096, '64K' 65536, '1M' 1048576, '16M' 16777216)\n"
            + curves({title: points for title, points in lines.items() if points}))


def draw_percentiles(results):
    lines = {}
    for program in DRAWN:
        found = cell(results, table.peer_cell(program, "64"))
        if found:
            lines[title_of(program)] = [(i, found[key + "_ns"] / 1e3)
                                        for i, key in enumerate(("min", "p50", "p90", "p99", "p999", "max"))]
    gnuplot("percentiles", "set logscale y\nset xlabel 'of the exchanges, 64 bytes'\nset ylabel 'time at most (us)'\n"
            "set xtics ('min' 0, '50 %%' 1, '90 %%' 2, '99 %%' 3, '99.9 %%' 4, 'max' 5)\n" + curves(lines))


def draw_in_flight(results):
    lines = {}
    for name, program, _, most in table.PEERS:
        points = points_of(results, [(n, table.peer_cell(program, "64", n)) for n in table.IN_FLIGHT],
                           "requests_per_second", 1)
        if most > 1 and points:
            lines[title_of(program)] = points
    gnuplot("throughput-by-requests-in-flight", "set logscale xy\nset xlabel 'requests in flight, 64 bytes'\n"
            "set ylabel 'requests per second'\nset xtics (" + ", ".join(map(str, table.IN_FLIGHT)) + ")\n" + curves(lines))


def draw_cold(results):
    sizes = [(n, f"first argument={n}") for n in (64 << 10, 1 << 20, 16 << 20)]
    lines = {"first exchange": points_of(results, sizes, "cold_ns", 1e-3),
             "those after it": points_of(results, sizes, "warm_ns", 1e-3)}
    gnuplot("cold-against-warm", "set logscale xy\nset xlabel 'bytes of request and response'\nset ylabel 'us'\n"
            "set xtics ('64K' 65536, '1M' 1048576, '16M' 16777216)\n" + curves(lines))


def write():
    results = read_results()
    write_head(results)
    write_rows(results)
    write_limits(results)
    draw_cold(results)
    write_sizes(results)
    draw_sizes(results)
    write_percentiles(results)
    draw_percentiles(results)
    write_in_flight(results)
    draw_in_flight(results)
    return 0


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "run":
        return run(sys.argv[2], sys.argv[3:])
    if sys.argv[1:] == ["write"]:
        return write()
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
