#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count.py LOG...: add up what the test programs said in meson's testlog.json, a TAP line each.

Prints which were skipped and why, then `N passed, N failed, N skipped`. A program that failed without a failing line (it crashed,
or ran out of time) counts as one failure. Exits with 1 if anything failed or nothing ran.
"""
import json
import re
import sys


def count(entry):
    passed = failed = skipped = 0
    for line in entry.get("stdout", "").splitlines():
        if re.match(r"1\.\.0\b", line):
            skipped += 1
            print(f"skipped: {entry['name']}: {line.partition('#')[2].strip() or 'no reason given'}")
        elif re.match(r"(not )?ok\b.*# *SKIP", line, re.I):
            skipped += 1
            print(f"skipped: {entry['name']}: {line}")
        elif re.match(r"ok\b", line):
            passed += 1
        elif re.match(r"not ok\b", line):
            failed += 1
    if entry["result"] == "OK" and not passed + failed + skipped:
        passed = 1  # a program that speaks no TAP
    if entry["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and failed == 0:
        failed = 1
        print(f"failed: {entry['name']}: {entry['result']}")
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as log:
            for line in log:
                totals = [a + b for a, b in zip(totals, count(json.loads(line)))]
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or not totals[0] else 0


sys.exit(main())
