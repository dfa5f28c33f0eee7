#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""reliability.py: runs what proves the promises, and writes docs/reliability.md from what it said.

    docs/reliability.py run BUILD [--suite long] [MESON-TEST-ARGUMENT...]
        run the tests of a build and put what they say into docs/reliability.tsv: without `--suite long` the depth
        that every change goes through, with it the one that takes hours. Each replaces what was there of its tests.
        With names of tests it is done in pieces, also several at a time; each result says which commit it is of.
    docs/reliability.py write
        print the page from docs/reliability.tsv

A line of the file is NAME, a tab, and KEY=VALUE words. Tests add their own in $RELIABILITY_RESULTS; one for each
test that meson ran is added here, named test/NAME.
"""
import datetime
import fcntl
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

# (What it is, the promises that it proves, what it does, the tests it consists of, those of the suite `long`, the
# results that it adds)
MACHINERY = [
    ("State table", "1", "every state of a slot and each crash in it, row by row of docs/protocol.md",
     "state-table* slots* redelivery death* restart*",
     "", ""),
    ("Models", "1 2 4", "every order of steps within their bounds; each rule taken out must be rejected",
     "models models-long models-*",
     "models-long", "models*"),
    ("Killed everywhere", "1 3 4", "a party is killed after each instruction, or at each system call, of what it does",
     "kills-step* kills-sweep* kills-manager",
     "kills-step-long kills-sweep-long", "kills-step* kills-sweep* kills-call*"),
    ("Kill storm", "1 3 4 5", "random kills, stops and restarts of all parties under load, payloads checksummed",
     "kills-storm* storm",
     "kills-storm-long", "kills-storm*"),
    ("Hostile clients", "2 6", "an honest client goes on while an attack does; its rate against its rate alone",
     "hostile* e2e-hostile peers kernel-peers lib-abuse e2e-users",
     "hostile-long", "hostile/*"),
    ("Fuzzing", "2 6", "messages, pages, socket, configuration, plain wire from random bytes; corpora as unit tests",
     "fuzz*",
     "", "fuzz*"),
    ("Every failing call", "3 6", "the n-th allocation and the n-th of each call fails, over a life of each party",
     "faults-*",
     "faults-host-every faults-echo-every faults-exec-every faults-plugin-every faults-call-every "
     "faults-status-every faults-client-every faults-worker-every", "faults-*"),
    ("Time", "1 6", "the wall clock jumps by an hour, forth and back, and no wait is by it",
     "e2e-clock",
     "", ""),
    ("Nobody listens", "6", "full disk, full journal, blocked standard error, a service manager that never reads",
     "e2e-stuck log",
     "", ""),
    ("Deaths end to end", "1 3 5", "kill -9 of each party at bad moments; workers that stop, hang and come back",
     "e2e-deaths e2e-crowd e2e-reload e2e-harness e2e-containers",
     "", ""),
    ("Restart", "4", "the host is killed, restarted and upgraded under load, with a service manager and without",
     "e2e-restart* restart* boot-recovery boot-restart* boot-upgrade*",
     "package-debian", ""),
    ("Parking", "1 6", "what kills every worker is kept, shown, tried again or dropped; who sends it is refused",
     "parked* e2e-parked* park*",
     "", ""),
    ("Limits and memory", "6", "tmpfs, budget, shares, queues and descriptors run out",
     "e2e-limits limits memory account e2e-memory* e2e-sizes e2e-large",
     "", ""),
    ("Copies", "7", "which bytes of a payload cross the kernel: none",
     "copies",
     "", ""),
]

# What the numbers of a machinery are worth, where that is not plain.
NOTES = {
    "Models":
        "The 30 larger bounds had 110 s each: `hold` were seen to their end, `unfinished` went through 3 to 5 million states "
        "each, without a fault.",
    "Killed everywhere":
        "`lost=1` of the deep `kills-sweep` (the host killed at its 13th `openat`, "
        "before it has made anything) is a call that was not over after 60 s, though its own limit was 30 s. It was "
        "not seen again in 240 runs of that point, 200 of them beside six processes that take all CPUs. Other "
        "measurements at a raised priority had one of the two CPUs at about that time, and the kernel complained that "
        "its own workers had not run there for 112 s.",
    "Every failing call":
        "Each of the four deep runs that fail has one fault, the same: in the first look-up of a user glibc 2.36 goes on "
        "with memory that it did not get (`nss_database_check_reload_and_get`), and the process ends by a signal before "
        "it has begun. All other calls were gone through with every error. The host's run had eleven more: a worker that "
        "could not be told that it is let in waited for that for ever, which is mended; the others were expected wrongly "
        "(a line that the test waited for was what could not be written; EPIPE of a peer that is there). All of them were "
        "run again, and are well.",
    "Kill storm":
        "The deep storm went through all of its 100,000 faults, and lost, doubled and left nothing. What failed is "
        "that one client of 22,286 gave up after 60 s without an answer and said so, in the minute in which the "
        "kernel complained that its own workers had not run for 112 s: see above.",
    "Hostile clients":
        "What is judged, on any machine: every answer has the right bytes (`wrong=0`), no exchange and no joining hangs "
        "or is refused without a word, and host and worker are there afterwards, with nothing left. The rates are "
        "medians of turns: the honest client alone, beside company that does no harm, and beside the attack once it "
        "has used up what the host gives to anybody at once (half a second). The service and the honest clients have "
        "one CPU together, attackers and company the other ones: so all that the host does for an attacker is missing "
        "on the honest client's side, and on a machine with a CPU for each less is. Company is as many clients of the "
        "attacker's user that send payloads of the attack's size and do nothing else (`client`), or processes that "
        "keep the other CPUs busy (`busy`), which should leave 100 %: how far from it they are is the noise of the "
        "machine, on which others were at work. Workers take turns between users, and so leave an attacker that sends "
        "proper requests half of their time: that is what is lost beside `deaf`, `fields`, `shrink`, `punch`, "
        "`rewrite` and the handlers that never end. Root is `trusted`, its payloads are mapped, and the kernel makes "
        "a worker wait that touches pages which are being taken away: what `punch` and `shrink` by `trusted` cost is "
        "no accident, and a reason not to add users to `trusted`.",
}


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


def test_results(log_path):
    with open(log_path, encoding="utf-8") as log:
        for entry in map(json.loads, log):
            passed, failed, skipped = count_lines(entry.get("stdout", ""))
            name = re.sub(r".*[:/] *", "", entry["name"])
            yield "test/" + name, {"result": entry["result"], "passed": passed, "failed": failed,
                                   "skipped": skipped, "seconds": round(entry["duration"])}


def circumstances(depth):
    """Of a run at this depth: a result, named run/DEPTH@COMMIT."""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=False).stdout.strip() or "unknown"
    return f"run/{depth}@{commit}", {
        "depth": depth, "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": commit,
        "kernel": platform.release(), "machine": platform.machine(), "cpus": os.cpu_count(),
        "libc": "-".join(platform.libc_ver()), "load": round(os.getloadavg()[2], 1),
    }


def merge(new):
    """Replace what was there of the same tests; runs that no result is of any more are forgotten."""
    with open(RESULTS, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        replaced = {(name, values["depth"]) for name, values in new}
        kept = [(name, values) for name, values in read_results() if (name, values["depth"]) not in replaced]
        used = {f"run/{values['depth']}@{values['commit']}" for name, values in kept + new
                if not name.startswith("run/")}
        text = "".join(show(*result) + "\n" for result in sorted(kept + new, key=lambda result: result[0])
                       if not result[0].startswith("run/") or result[0] in used)
        file.truncate(0)
        file.write(text)


def run(build, arguments):
    depth = "long" if "long" in arguments else "ci"
    log = f"reliability-{os.getpid()}"
    at, of_run = circumstances(depth)
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", suffix=".tsv") as said:
        status = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--logbase", log, *arguments],
                                check=False, env={**os.environ, "RELIABILITY_RESULTS": said.name}).returncode
        lines = [parse(line) for line in said.read().splitlines()]
    of_run["load"] = round(os.getloadavg()[2], 1)
    lines += test_results(build / "meson-logs" / f"{log}.json")
    merge([(at, of_run)] + [(name, {"depth": depth, "commit": of_run["commit"], **values}) for name, values in lines])
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


def verdict(tests, wanted=""):
    """@wanted: names of tests of which some may not have been run."""
    missing = [name for name in wanted.split() if name not in dict(tests)]
    if not tests:
        return "**not run**"
    failed = sum(int(values["failed"]) or values["result"] not in ("OK", "SKIP") for _, values in tests)
    passed = sum(int(values["passed"]) for _, values in tests)
    skipped = sum(int(values["skipped"]) for _, values in tests)
    text = f"{passed} passed, **{failed} failed**" if failed else f"{passed} passed"
    text += f", {skipped} skipped" if skipped else ""
    return text + (f"; **{len(missing)} of {len(wanted.split())} not run**" if missing else "")


def at_depth(tests, depth):
    return [(name, values) for name, values in tests if values.get("depth") == depth]


def words(values, leave_out=("depth", "kernel", "commit")):
    return " ".join(f"{key}={value}" for key, value in values.items() if key not in leave_out)


def write_head(results):
    print("# What was run to prove the promises\n")
    print("Generated: do not edit. To run everything again and write this page anew, with a build in `build`:\n")
    print("    meson compile -C build && docs/reliability.py run build && docs/reliability.py run build --suite long "
          "&& docs/reliability.py write >docs/reliability.md\n")
    print("`ci` is what every change goes through, a sample with a seed that is printed (`.ci/run` has the same "
          "each time); `long` is the suite `long`, on demand, with time limits of its own. A seed repeats its run. "
          "What has no results says so.\n")
    print("Load is the machine's over the last 15 minutes of the run. Where it was above the number of CPUs, others were "
          "at work there: seconds and rates mean nothing, and what was judged (counts, bytes, what is left) is worth "
          "more, since there each party stops at more places.\n")
    print("| depth | day | commit | kernel | C library | machine | CPUs | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for depth in ("ci", "long"):
        runs = at_depth([result for result in results if result[0].startswith("run/")], depth)
        for _, values in runs:
            print(f"| {depth} | {values['date']} | {values['commit']} | {values['kernel']} | {values['libc']} | "
                  f"{values['machine']} | {values['cpus']} | {values.get('load', '')} |")
        if not runs:
            print(f"| {depth} | not run | | | | | | |")


def write_promises(results):
    print("\n## Each promise, and what proves it\n")
    print("A dash: there is no deeper run than that of `ci`.\n")
    print("| | promise (DESIGN) | machinery | ci | long |\n| --- | --- | --- | --- | --- |")
    for number, promise in enumerate(PROMISES, 1):
        first = True
        for title, proves, _, patterns, deep, own in MACHINERY:
            if str(number) not in proves.split():
                continue
            tests, _ = of_machinery(results, patterns, own)
            head = f"| {number} | {promise} " if first else "| | "
            first = False
            print(f"{head}| {title} | {verdict(at_depth(tests, 'ci'))} | "
                  f"{verdict(at_depth(tests, 'long'), deep) if deep else '–'} |")


def write_tests(tests, deep):
    print("| depth | test | result | passed | failed | skipped | seconds | commit |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, values in tests:
        print(f"| {values['depth']} | {name} | {values['result']} | {values['passed']} | {values['failed']} | "
              f"{values['skipped']} | {values['seconds']} | {values['commit']} |")
    for name in deep.split():
        if name not in dict(tests):
            print(f"| long | {name} | **not run** | | | | | |")


def write_machinery(results):
    for title, proves, what, patterns, deep, own in MACHINERY:
        tests, said = of_machinery(results, patterns, own)
        print(f"\n## {title}\n\n{what[0].upper()}{what[1:]}. Promises: {', '.join(proves.split())}.\n")
        if title in NOTES:
            print(NOTES[title] + "\n")
        if not tests and not said:
            print("**Not run.**")
            continue
        write_tests(tests, deep)
        write_said(said)


ATTACKERS = {"0": "trusted", "61184": "client", "61186": "stranger"}  # as tests/e2e/lib.sh calls their uids


def part(values, key):
    return int(values[key].rstrip("%"))


def write_rates(rates):
    """The honest client's rate beside each attack, the slowest first."""
    well = [values for _, values in rates if part(values, "of_alone") >= 90]
    fair = [values for _, values in rates if part(values, "of_alone") < 90 <= part(values, "of_company")]
    print(f"\nOf {len(rates)} attacks {len(well)} leave the honest client 90 % or more of its rate, {len(fair)} more as much as "
          "company that does no harm leaves it.\n")
    print("| attack | by | at a time | alone | beside it | of alone | of company | company of alone | company | host's CPU | "
          "slowest exchange | slowest joining | commit |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, values in sorted(rates, key=lambda rate: part(rate[1], "of_alone")):
        print(f"| {name.removeprefix('hostile/')} | {ATTACKERS.get(values['uid'], values['uid'])} | {values['copies']} | "
              f"{values['alone']} | {values['attack']} | {values['of_alone']} | {values['of_company']} | "
              f"{values['company_of_alone']} | {values['company_is']} | {values['host_cpu']} | {values['slowest']} | "
              f"{values['slowest_join']} | {values['commit']} |")


def write_said(said):
    rates = [(name, values) for name, values in said if "of_alone" in values]
    measured = [(name, values) for name, values in rates if values.get("own_cpus") == "yes"]
    said = [result for result in said if result not in rates]
    if said:
        print("\n| depth | what | it said |\n| --- | --- | --- |")
    for name, values in said:
        print(f"| {values['depth']} | {name} | {words(values)} |")
    if measured:
        write_rates(measured)
    if rates:
        n_wrong = sum(int(values["wrong"]) for _, values in rates)
        print(f"\nIn all of them {sum(int(values['exchanges']) for _, values in rates)} honest exchanges, {n_wrong} wrong; "
              f"{sum(int(values['joins']) for _, values in rates)} joinings.")


def write_rest(results):
    rest = [(name[5:], values) for name, values in results if name.startswith("test/") and not any(
        matches(name[5:], patterns) for _, _, _, patterns, *_ in MACHINERY)]
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
