#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Commands and options are the same in `--help`, in the code, in shmipc(1) and in the journal's catalog.
Prints TAP.

Usage: test-manual.py SHMIPC SOURCE-ROOT
"""
import pathlib
import re
import subprocess
import sys

UNTOLD = {"--print-manual"}  # for those who write the manual


def help_of(program, *command):
    """None of a command that this build has not."""
    done = subprocess.run([program, *command, "--help"], capture_output=True, text=True)
    if "built without" in done.stderr:
        return None
    done.check_returncode()
    return done.stdout


def options_in_help(text):
    """The options of each line that begins with one; what they mean comes after two blanks."""
    found = set()
    for line in text.splitlines():
        if re.match(r" +-", line):
            found |= set(re.findall(r"(?:^|[ ,])(--?[a-z][a-z-]*)", re.split(r"(?<=\S)  ", line)[0], re.I))
    return found


def commands_in_help(text):
    return re.findall(r"^  ([a-z]+)  +\S", text, re.MULTILINE)


def sections(page):
    """Options of each command's section of the page; of the page itself under ''."""
    found, at = {}, None
    for line in page.splitlines():
        title = re.match(r"## shmipc (\w+)$", line)
        if title:
            at = title[1]
        elif line.startswith("# "):
            at = "" if line == "# OPTIONS" else None
        if at is not None:
            found.setdefault(at, set())
            if line.startswith("*-"):
                found[at] |= set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", line.split("* ")[0]))
    return found


def options_in_code(text):
    """Of getopt_long(): the words of its table, and the letters of its string."""
    words = re.findall(r'\{"([a-z-]+)", \w+_argument, NULL, [^}]+\}', text)
    letters = re.search(r'getopt_long\(argc, argv, ":?([A-Za-z:]+)"', text)[1].replace(":", "")
    return {"--" + word for word in words} | {"-" + letter for letter in letters}


def code_of(folder, command):
    """Where its options are taken: a program of its own has its main.c for that."""
    own = folder / command / "main.c"
    return (own if own.exists() else folder / f"command-{command}.c").read_text()


def differences(one, one_has, other, other_has):
    for word in sorted(one_has - other_has):
        yield f"{word} is in {one}, and not in {other}"
    for word in sorted(other_has - one_has):
        yield f"{word} is in {other}, and not in {one}"


class Tap:
    def __init__(self):
        self.n = self.n_failed = 0

    def report(self, name, faults):
        faults = list(faults)
        self.n += 1
        self.n_failed += bool(faults)
        print("not ok" if faults else "ok", self.n, "-", name)
        for fault in faults:
            print("#", fault)

    def skip(self, name, why):
        self.n += 1
        print("ok", self.n, "-", name, "# SKIP", why)


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    page = (source / "docs" / "shmipc.1.scd").read_text()
    catalog = (source / "systemd" / "shmipc.catalog").read_text()
    general = help_of(program)
    commands = commands_in_help(general)
    described = sections(page)
    tap = Tap()

    tap.report("shmipc(1) has a section for each command, and for no other",
               differences("--help", set(commands), "the page", set(described) - {""}))
    tap.report("shmipc(1) has the options of shmipc itself",
               differences("--help", options_in_help(general), "the page", described.get("", set())))
    for command in commands:
        code = code_of(source / "src" / "app", command)
        text = help_of(program, command)
        if text is None:
            tap.skip(f"shmipc(1) has the options of shmipc {command}", "it is not built")
            continue
        told = options_in_help(text)
        tap.report(f"shmipc(1) has the options of shmipc {command}",
                   differences("--help", told, "the page", described.get(command, set())))
        tap.report(f"help has the options that shmipc {command} takes",
                   differences("--help", told, "the code", options_in_code(code) - UNTOLD))
    statuses = set(re.findall(r"EXIT_\w+ = (\d+)", (source / "src" / "app" / "command.h").read_text())) | {"0"}
    tap.report("shmipc(1) has each exit status",
               differences("command.h", statuses, "the page", set(re.findall(r"^\*(\d+)\*$", page, re.M))))
    tap.report("the catalog names no command that there is not",
               (f"shmipc {word}" for word in re.findall(r'[" ]shmipc ([a-z]+)\b(?=[^.]*")', catalog)
                if word not in commands))

    # A page that lacks an option, and a command, is found.
    poor = sections(page.replace("*-t, --timeout* _SECONDS_", "", 1).replace("## shmipc doctor", "## shmipc nurse"))
    tap.report("what is missing is found",
               [] if "--timeout" not in poor["call"] and "doctor" not in poor and "nurse" in poor
               and {"-t", "--timeout"} <= described["call"] else [str(poor)])
    print(f"1..{tap.n}")
    return tap.n_failed > 0


if __name__ == "__main__":
    sys.exit(main())
