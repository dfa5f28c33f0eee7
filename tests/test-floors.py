#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the source is built, as its includes and its layout show: a file includes only its own floor and those
below, each header of the operating system or of a library that somebody must own has one owner, files and
functions are short enough to be read, and each file names its licence.  Prints TAP.

Usage: test-floors.py SOURCE-ROOT
"""
import pathlib
import re
import statistics
import sys
import tempfile

# What the files of a folder of src may include, besides headers that are nobody's in particular.
FLOORS = {
    "base": {"base"},
    "os": {"base", "os"},
    "wire": {"base", "wire"},  # no system calls here, so that all of it can be fuzzed
    "core": {"base", "os", "wire", "core", "handler"},
    "handler": {"base", "os", "wire", "core", "handler"},
    "app": {"base", "os", "wire", "core", "handler", "app"},
    "lib": {"base", "os", "wire", "core", "handler", "lib"},
    "plugins": set(),  # built as anybody's: against the public headers as they are installed
}

# Public headers stand alone. These files are what they are a contract with.
PUBLIC = {"lib/shmipc.h": {"lib/lib.h"}, "lib/shmipc-plugin.h": {"handler/plugin.c"}}

# "Who maps memory?" has an answer of a few files: sealed pages, and segments with what they are mapped by.
OWNERS = {
    "mqueue.h": {"os/queue.c"},
    "sys/mman.h": {"os/mapping.c", "os/page.c", "os/segment.c"},
    "sys/epoll.h": {"os/wait.c"},
    "sys/socket.h": {"os/channel.c", "os/datagram.c"},
    "sys/un.h": {"os/channel.c", "os/datagram.c"},
    "sys/inotify.h": {"os/watch.c"},
    "sys/pidfd.h": {"os/process.c"},
    "stdatomic.h": {"wire/slots.c", "wire/meter.c", "wire/trace.c"},
    "dlfcn.h": {"handler/plugin.c"},
    "curses.h": {"app/top/screen.c"},
    "sys/sdt.h": {"base/probe.h"},
    "libconfig.h": {"app/config.c"},
    "libsmartcols/libsmartcols.h": {"app/output.c"},
    "systemd/sd-event.h": {"app/loop.c"},
    "systemd/sd-daemon.h": {"app/loop.c"},
    "systemd/sd-bus.h": {"app/job.c"},
    "systemd/sd-login.h": {"app/job.c"},
}
# There is a file of ours for each of these purposes, which does it in another way.
UNUSED = {"systemd/sd-journal.h", "spawn.h", "semaphore.h", "sys/shm.h", "sys/msg.h", "sys/sem.h"}

FILE_LINES = 800
COLUMNS = 110
FUNCTION_LINES_OF_NINE_IN_TEN = 60
FUNCTION_LINES_OF_HALF = 15


def c_files(root):
    return sorted(path for path in (root / "src").rglob("*.[ch]"))


def name_of(root, path):
    return path.relative_to(root / "src").as_posix()


def includes(path):
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def floors_that_are_broken(root):
    """A file includes its own floor and those below."""
    for path in c_files(root):
        name = name_of(root, path)
        floor = name.split("/")[0]
        if floor not in FLOORS:
            yield f"src/{floor} is no floor"
        for header in includes(path):
            there = header.split("/")[0]
            if header in PUBLIC:
                if name not in PUBLIC[header]:
                    yield f"{name} includes the public {header}"
            elif there in FLOORS and there not in FLOORS.get(floor, ()):
                yield f"{name} includes {header}, which is not below it"


def public_headers_that_lean_on_others(root):
    """Whoever has a public header needs nothing else of ours."""
    for header in PUBLIC:
        for included in includes(root / "src" / header):
            if "/" in included or not included.startswith("std"):
                yield f"{header} includes {included}"


def owners_that_are_wrong(root):
    """Each header that somebody must own is included by its owners, and by nobody else."""
    found = {}
    for path in c_files(root):
        for header in includes(path):
            found.setdefault(header, set()).add(name_of(root, path))
    for header, owners in OWNERS.items():
        if found.get(header, set()) != owners:
            yield f"{header} belongs to {sorted(owners)}, and is included by {sorted(found.get(header, ()))}"
    for header in UNUSED & found.keys():
        yield f"{header} has no owner, and is included by {sorted(found[header])}"


def files_that_are_too_long(root):
    tests = [path for path in (root / "tests").rglob("*") if path.suffix in {".c", ".h", ".py", ".sh"}]
    for path in c_files(root) + sorted(tests):
        n = len(path.read_text().splitlines())
        if n > FILE_LINES:
            yield f"{path.relative_to(root)} has {n} lines"


def lines_that_are_too_long(root):
    paths = [path for folder in ("src", "tests") for path in (root / folder).rglob("*.[ch]")]
    for path in sorted(paths):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > COLUMNS:
                yield f"{path.relative_to(root)}:{number} has {len(line)} columns"


def functions(path):
    """(name, lines) of each function, from its name to its closing brace."""
    start = head = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if start is None:
            if re.match(r"[A-Za-z_]", line):
                head = (number, line)
            if head and "(" in head[1] and line.endswith(") {") and "=" not in head[1]:
                start = head
        elif line.startswith("}"):
            yield re.search(r"\w+(?=\()", start[1])[0], number - start[0] + 1
            start = head = None


def function_lengths(root):
    return [(n, name_of(root, path), name) for path in c_files(root) for name, n in functions(path)]


def functions_that_are_too_long(root):
    lengths = sorted(function_lengths(root))
    if not lengths:
        yield "there is none"
        return
    if statistics.median(n for n, _, _ in lengths) > FUNCTION_LINES_OF_HALF:
        yield f"half of the functions have more than {FUNCTION_LINES_OF_HALF} lines"
    longer = [entry for entry in lengths if entry[0] > FUNCTION_LINES_OF_NINE_IN_TEN]
    if len(longer) * 10 > len(lengths):
        yield f"more than one in ten has more than {FUNCTION_LINES_OF_NINE_IN_TEN} lines: {longer}"


def files_without_licence(root):
    sources = [path for folder in ("src", "tests", "conf", "systemd") for path in (root / folder).rglob("*")]
    for path in sorted(sources):
        if path.name != "meson.build" and path.suffix not in {".c", ".h", ".py", ".sh", ".sym", ".in"}:
            continue
        if not any("SPDX-License-Identifier: MIT" in line for line in path.read_text().splitlines()[:2]):
            yield str(path.relative_to(root))


RULES = {
    "no file includes what is above its floor": floors_that_are_broken,
    "public headers stand alone": public_headers_that_lean_on_others,
    "each header of the system and of libraries is included by its owner": owners_that_are_wrong,
    f"no file has more than {FILE_LINES} lines": files_that_are_too_long,
    f"no line has more than {COLUMNS} columns": lines_that_are_too_long,
    f"half of the functions have {FUNCTION_LINES_OF_HALF} lines, nine in ten {FUNCTION_LINES_OF_NINE_IN_TEN}":
        functions_that_are_too_long,
    "each file names its licence": files_without_licence,
}

# --- a tree that breaks every rule, for what a rule that finds nothing may be worth nothing ---

LICENCE = "/* SPDX-License-Identifier: MIT */\n"


def function_of(n, name):
    return f"static int {name}(int a,\n    int b) {{\n" + "    a += b;\n" * (n - 3) + "}\n"


def include_of(header):
    return f"#include <{header}>\n"


def lay_out(root, changed):
    """A small tree that keeps all rules but for the files of src, or of its neighbours, that are @changed."""
    files = {owner: [header] for header, owners in OWNERS.items() for owner in owners}
    for header, owners in OWNERS.items():
        for owner in owners:
            if header not in files[owner]:
                files[owner].append(header)
    text = {name: LICENCE + "".join(map(include_of, headers)) for name, headers in files.items()}
    text["lib/shmipc.h"] = text["lib/shmipc-plugin.h"] = LICENCE + "#include <stddef.h>\n"
    text["base/short.c"] = LICENCE + function_of(5, "one") + function_of(15, "two")
    for name, content in {**text, **changed}.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


LONG = LICENCE + "".join(function_of(61, f"long{i}") for i in range(10))
HALF = LICENCE + "".join(function_of(16, f"f{i}") for i in range(10))

BROKEN = {
    "an include of a floor above": (
        floors_that_are_broken, "base/error.c", LICENCE + include_of("os/wait.h")),
    "an include of the library by a floor below": (
        floors_that_are_broken, "app/main.c", LICENCE + include_of("lib/lib.h")),
    "an include of core by a plugin": (
        floors_that_are_broken, "plugins/zstd.c", LICENCE + '# include "core/exchange.h"\n'),
    "a public header where it does not belong": (
        floors_that_are_broken, "core/x.c", LICENCE + include_of("lib/shmipc.h")),
    "a folder that is no floor": (floors_that_are_broken, "util/x.c", LICENCE),
    "a public header that leans on ours": (
        public_headers_that_lean_on_others, "lib/shmipc.h", LICENCE + '#include "core/client.h"\n'),
    "a second owner": (owners_that_are_wrong, "core/host.c", LICENCE + "#include <sys/mman.h>\n"),
    "an owner in a header": (owners_that_are_wrong, "os/queue.h", LICENCE + "# include <mqueue.h>\n"),
    "an owner that owns no more": (owners_that_are_wrong, "os/queue.c", LICENCE),
    "a header that nobody should include": (
        owners_that_are_wrong, "os/process.c", LICENCE + include_of("spawn.h")),
    "a file of 801 lines": (files_that_are_too_long, "app/main.c", LICENCE + "\n" * 800),
    "a test of 801 lines": (files_that_are_too_long, "../tests/test-main.c", LICENCE + "\n" * 800),
    "a test in Python of 801 lines": (files_that_are_too_long, "../tests/python/main.py", "\n" * 801),
    "a test of a shell of 801 lines": (files_that_are_too_long, "../tests/e2e/main.sh", "\n" * 801),
    "a line of 111 columns": (lines_that_are_too_long, "app/main.c", LICENCE + "x" * 111 + "\n"),
    "too many functions of 61 lines": (functions_that_are_too_long, "app/main.c", LONG),
    "too many functions of 16 lines": (functions_that_are_too_long, "app/main.c", HALF),
    "a file without a licence": (files_without_licence, "app/main.c", "\n\n" + LICENCE),
}


class Tap:
    def __init__(self):
        self.n = self.n_failed = 0

    def report(self, name, faults):
        self.n += 1
        self.n_failed += bool(faults)
        print("not ok" if faults else "ok", self.n, "-", name)
        for fault in faults:
            print("#", fault)


def main():
    tap = Tap()
    root = pathlib.Path(sys.argv[1])
    for name, rule in RULES.items():
        tap.report(name, list(rule(root)))
    lengths = sorted(function_lengths(root))
    half = lengths[len(lengths) // 2][0]
    print("#", len(lengths), "functions, half of them up to", half, "lines; the longest:", *lengths[-1])
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        lay_out(tree, {})
        faults = [fault for rule in RULES.values() for fault in rule(tree)]
        tap.report("a tree that keeps all rules passes", faults)
    for name, (rule, file, content) in BROKEN.items():
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            lay_out(tree, {file: content})
            tap.report(f"{name} is found", [] if list(rule(tree)) else [f"not found in {file}"])
    print(f"1..{tap.n}")
    return tap.n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
