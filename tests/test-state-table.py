#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each cell of the second table of docs/protocol.md, section 4, has its test, and each test its cell. Prints TAP.

Usage: test-state-table.py PROTOCOL.md TEST.c

A cell `–` says that this cannot happen there. A test is named ROW__COLUMN, those of special cases ROW__COLUMN_MORE; it
must be in the suite, not only in the file.
"""
import re
import sys


def read_cells(text):
    """The table whose header has names in it: {(row, column): what it says}."""
    section = text[text.index("\n## 4. ") : text.index("\n## 5. ")]
    header = None
    cells = {}
    for line in section.splitlines():
        fields = [field.strip() for field in line.strip("|").split("|")] if line.startswith("|") else []
        names = [re.fullmatch(r"`(\w+)`", field) for field in fields]
        if len(fields) > 2 and fields[0] == "" and all(names[1:]):
            header = [name.group(1) for name in names[1:]]
        elif header and fields and names[0]:
            assert len(fields) == len(header) + 1, line
            cells.update({(names[0].group(1), column): field for column, field in zip(header, fields[1:])})
    return cells


def read_states(text):
    """The rows of the table of states, which comes first."""
    section = text[text.index("\n## 4. ") : text.index("\nWhat each crash")]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.M))


def read_tests(text):
    defined = set(re.findall(r"^START_TEST\((\w+__\w+)\)", text, re.M))
    added = set(re.findall(r"tcase_add(?:_loop)?_test\(tests, (\w+__\w+)[,)]", text))
    return defined, added


def cell_of(test, cells):
    row, rest = test.split("__", 1)
    fitting = [cell for cell in cells if cell[0] == row and (rest == cell[1] or rest.startswith(cell[1] + "_"))]
    return max(fitting, key=lambda cell: len(cell[1]), default=None)


def say(n, wrong, what):
    print(f"{'not ok' if wrong else 'ok'} {n} - {what}")
    for name in sorted(wrong):
        print(f"# {name}")


def main():
    protocol, program = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
    cells = read_cells(protocol)
    defined, added = read_tests(program)
    happens = {f"{row}__{column}" for (row, column), text in cells.items() if text != "–"}
    print("1..5")
    say(1, set() if len(cells) > 40 else {f"{len(cells)} cells"}, "the table is found")
    say(2, read_states(protocol) ^ {row for row, _ in cells}, "the table has a row for each state")
    say(3, happens - defined, "each cell has a test")
    say(4, defined ^ added, "each test is run")
    say(5, {test for test in defined if cells.get(cell_of(test, cells), "–") == "–"}, "each test has a cell")


main()
