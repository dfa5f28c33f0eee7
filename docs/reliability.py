#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reliability.py: runs what proves the promises, and writes docs/reliability.md from what it said.

    docs/reliability.py run BUILD [--suite long] [MESON-TEST-ARGUMENT...]
        run the tests of a build and put what they say into docs/reliability.tsv: without `--suite long` the depth
        that every change goes through, with it the one that takes hours. Each replaces what was there of its tests.
    docs/reliability.py write
        print the page from docs/reliability.tsv

A line of the file is NAME, a tab, and KEY=VALUE words. Tests add their own in $RELIABILITY_RESULTS; one for each
test that meson ran is added here, named test/NAME.
"""
import datetime
import fnmatch
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "reliability.tsv"

PROMISES = [
    "Every accepted request ends in exactly one answer or one clear error, whoever dies and whenever; it runs at most "
    "`attempts` times. What kills every worker that touches it is parked.",
    "No exchange sees another's bytes. No client can read, forge, delay without bound, or crash another's exchanges, "
    "the host or a worker.",
    "Nothing stays behind: no queue, memory or socket is left once the last process is gone and the next start or "
    "stop has swept.",
    "A host restart or package upgrade under systemd loses no client and no exchange.",
    "A worker told to stop finishes what it has.",
    "Full memory, limits, bad configuration, no worker: a clear error; no crash, no wait without end, the others "
    "unhurt.",
    "On the zero-copy path the cost of an exchange does not grow with the payload; idle clients cost an active one "
    "nothing.",
]

# (What it is, the promises that it proves, what it does, the tests it consists of, the results that it adds)
MACHINERY = [
    ("State table", "1", "every state of a slot and each crash in it, row by row of docs/protocol.md",
     "state-table* slots slots-races redelivery death restart*", ""),
    ("Models", "1 2 4", "every order of steps within their bounds; each rule taken out must be rejected",
     "models models-long models-*", "models*"),
    ("Killed everywhere", "1 3 4", "a party is killed after each instruction, or at each system call, of what it does",
     "kills-step* kills-sweep* kills-manager", "kills-step* kills-sweep* kills-call*"),
    ("Kill storm", "1 3 4 5", "random kills, stops and restarts of all parties under load, payloads checksummed",
     "kills-storm* storm", "kills-storm*"),
    ("Hostile clients", "2 6", "an honest client goes on while an attack does; its rate against its rate alone",
     "hostile* e2e-hostile peers kernel-peers lib-abuse e2e-users", "hostile/*"),
    ("Fuzzing", "2 6", "messages, pages, socket, configuration, plain wire from random bytes; corpora as unit tests",
     "fuzz*", "fuzz*"),
    ("Every failing call", "3 6", "the n-th allocation and the n-th of each call fails, over a life of each party",
     "faults-*", "faults-*"),
    ("Time", "1 6", "the wall clock jumps by an hour, forth and back, and no wait is by it", "e2e-clock", ""),
    ("Nobody listens", "6", "full disk, full journal, blocked standard error, a service manager that never reads",
     "e2e-stuck log", ""),
    ("Deaths end to end", "1 3 5", "kill -9 of each party at bad moments; workers that stop, hang and come back",
     "e2e-deaths e2e-crowd e2e-reload e2e-harness", ""),
    ("Restart", "4", "the host is killed, restarted and upgraded under load, with a service manager and without",
     "e2e-restart* restart* boot-recovery boot-restart* boot-upgrade*", ""),
    ("Parking", "1 6", "what kills every worker is kept, shown, tried again or dropped; who sends it is refused",
     "parked* e2e-parked* park*", ""),
    ("Limits and memory", "6", "tmpfs, budget, shares, queues and descriptors run out", "e2e-limits limits memory "
     "account e2e-memory* e2e-sizes e2e-large", ""),
    ("Copies", "7", "which bytes of a payload cross the kernel: none", "copies", ""),
]


# --- results ---

def read_results():
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return [parse(line) for line in lines if line.strip()]


def parse(line):
    name, _, words = line.partition("\t")
    return name, dict(word.split("=", 1) for word in words.split() if "=" in word)


def show(name, values):
    return name + "\t" + " ".join(f"{key}={value}" for key, value in values.items())


def count_lines(said):
    skipped = len(re.findall(r"^(?:(?:not )?ok\b.*# *SKIP|1\.\.0\b)", said, re.MULTILINE | re.IGNORECASE))
    failed = len(re.findall(r"^not ok\b", said, re.MULTILINE))
    passed = len(re.findall(r"^ok\b", said, re.MULTILINE)) - len(
        re.findall(r"^ok\b.*# *SKIP", said, re.MULTILINE | re.IGNORECASE))
    return passed, failed, skipped


def test_results(build):
    with open(build / "meson-logs" / "testlog.json", encoding="utf-8") as log:
        for entry in map(json.loads, log):
            passed, failed, skipped = count_lines(entry.get("stdout", ""))
            name = re.sub(r".*[:/] *", "", entry["name"])
            yield "test/" + name, {"result": entry["result"], "passed": passed, "failed": failed,
                                   "skipped": skipped, "seconds": round(entry["duration"])}


def circumstances(is_long):
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=False).stdout.strip()
    return "run/" + ("long" if is_long else "ci"), {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": commit or "unknown",
        "kernel": platform.release(), "machine": platform.machine(), "cpus": os.cpu_count(),
        "libc": "-".join(platform.libc_ver()), "load": round(os.getloadavg()[2], 1),
    }


def run(build, arguments):
    is_long = "long" in arguments
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", suffix=".tsv") as said:
        status = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", *arguments], check=False,
                                env={**os.environ, "RELIABILITY_RESULTS": said.name}).returncode
        lines = [parse(line) for line in said.read().splitlines()]
    depth = "long" if is_long else "ci"
    new = [circumstances(is_long)]
    new += [(name, {"depth": depth, **values}) for name, values in [*lines, *test_results(build)]]
    replaced = {(name, values.get("depth")) for name, values in new}
    kept = [(name, values) for name, values in read_results() if (name, values.get("depth")) not in replaced]
    text = "".join(show(*result) + "\n" for result in sorted([*kept, *new], key=lambda result: result[0]))
    RESULTS.write_text(text, encoding="utf-8")
    return status


# --- the page ---

def matches(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split())


def of_machinery(results, patterns, own):
    tests = [(name[5:], values) for name, values in results
             if name.startswith("test/") and matches(name[5:], patterns)]
    said = [(name, values) for name, values in results if own and "/" not in name and matches(name, own)]
    said += [(name, values) for name, values in results
             if own and "/" in name and not name.startswith(("test/", "run/")) and matches(name, own)]
    return tests, said


def verdict(tests):
    if not tests:
        return "**not run**"
    failed = sum(int(values["failed"]) or values["result"] not in ("OK", "SKIP") for _, values in tests)
    passed = sum(int(values["passed"]) for _, values in tests)
    skipped = sum(int(values["skipped"]) for _, values in tests)
    text = f"{passed} passed, **{failed} failed**" if failed else f"{passed} passed"
    return text + (f", {skipped} skipped" if skipped else "")


def at_depth(tests, depth):
    return [(name, values) for name, values in tests if values.get("depth") == depth]


def words(values, leave_out=("depth", "kernel")):
    return " ".join(f"{key}={value}" for key, value in values.items() if key not in leave_out)


def write_head(results):
    print("# What was run to prove the promises\n")
    print("Generated: do not edit. To run everything again and write this page anew, with a build in `build`:\n")
    print("    meson compile -C build && docs/reliability.py run build && docs/reliability.py run build --suite long "
          "&& docs/reliability.py write >docs/reliability.md\n")
    print("`ci` is what every change goes through, a sample with a seed that is printed; `long` is the suite `long`, on "
          "demand, with time limits of its own. A seed repeats its run. What has no results says so.\n")
    print("Load is the machine's over the last 15 minutes of the run. Where it was above the number of CPUs, others were "
          "at work there and rates mean nothing.\n")
    print("| depth | day | commit | kernel | C library | machine | CPUs | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    found = dict(results)
    for depth in ("ci", "long"):
        values = found.get("run/" + depth)
        if values:
            print(f"| {depth} | {values['date']} | {values['commit']} | {values['kernel']} | {values['libc']} | "
                  f"{values['machine']} | {values['cpus']} | {values.get('load', '')} |")
        else:
            print(f"| {depth} | not run | | | | | | |")


def write_promises(results):
    print("\n## Each promise, and what proves it\n")
    print("| | promise (DESIGN) | machinery | ci | long |\n| --- | --- | --- | --- | --- |")
    for number, promise in enumerate(PROMISES, 1):
        first = True
        for title, proves, _, patterns, own in MACHINERY:
            if str(number) not in proves.split():
                continue
            tests, _ = of_machinery(results, patterns, own)
            head = f"| {number} | {promise} " if first else "| | "
            first = False
            print(f"{head}| {title} | {verdict(at_depth(tests, 'ci'))} | {verdict(at_depth(tests, 'long'))} |")


def write_machinery(results):
    for title, proves, what, patterns, own in MACHINERY:
        tests, said = of_machinery(results, patterns, own)
        print(f"\n## {title}\n\n{what[0].upper()}{what[1:]}. Promises: {', '.join(proves.split())}.\n")
        if not tests and not said:
            print("**Not run.**")
            continue
        print("| depth | test | result | passed | failed | skipped | seconds |\n| --- | --- | --- | --- | --- | --- | --- |")
        for name, values in tests:
            print(f"| {values['depth']} | {name} | {values['result']} | {values['passed']} | {values['failed']} | "
                  f"{values['skipped']} | {values['seconds']} |")
        if said:
            print("\n| depth | what | it said |\n| --- | --- | --- |")
        for name, values in said:
            print(f"| {values.get('depth', '')} | {name} | {words(values)} |")


def write_rest(results):
    rest = [(name[5:], values) for name, values in results if name.startswith("test/") and not any(
        matches(name[5:], patterns) for _, _, _, patterns, _ in MACHINERY)]
    print("\n## All other tests\n")
    print(f"{len(rest)} programs: {verdict(rest)}.")
    for name, values in rest:
        if values["result"] != "OK":
            print(f"\n- {name}: {values['result']}")


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "run":
        return run(pathlib.Path(sys.argv[2]), sys.argv[3:])
    if sys.argv[1:] != ["write"]:
        print(__doc__, file=sys.stderr)
        return 2
    results = read_results()
    write_head(results)
    write_promises(results)
    write_machinery(results)
    write_rest(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
