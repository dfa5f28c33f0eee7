#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether standard input is OpenMetrics text: metadata before samples, families in one piece, no sample twice,
names and values that fit their type, cumulative buckets that end in +Inf, and `# EOF` at the end.  With --text
likewise for Prometheus' older text format, in which there are neither units nor an end, and a counter has the
name of its samples.  Says the first fault and ends with status 1.
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? ([-+0-9.eE]+|[+-]Inf|NaN)")
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)")
SUFFIXES = {
    "counter": {"_total", "_created"},
    "gauge": {""},
    "histogram": {"_bucket", "_count", "_sum", "_created"},
    "summary": {"", "_count", "_sum", "_created"},
}


TEXT = sys.argv[1:] == ["--text"]
if TEXT:
    META = re.compile(rf"# (TYPE|HELP) ({NAME}) (.+)")
    SUFFIXES["counter"] = {""}


class Family:
    def __init__(self, name):
        self.name, self.meta, self.samples = name, {}, {}

    def suffix(self, name):
        """What a sample's name adds to the family's; None if it is none of its."""
        rest = name[len(self.name):] if name.startswith(self.name) else None
        return rest if rest in SUFFIXES[self.meta.get("TYPE", "gauge")] else None

    def add(self, name, labels, value):
        key = (name, labels)
        assert key not in self.samples, f"{key} comes twice"
        assert self.meta["TYPE"] != "counter" or value >= 0, f"{name} goes below 0"
        self.samples[key] = value

    def check(self):
        unit = self.meta.get("UNIT")
        is_total = self.name.endswith("_total")
        assert is_total == (TEXT and self.meta["TYPE"] == "counter"), f"{self.name} has no name of its type"
        assert unit is None or self.name.endswith("_" + unit), f"{self.name} has another unit than {unit}"
        if self.meta.get("TYPE") == "histogram":
            self.check_buckets()

    def check_buckets(self):
        series = {}
        for (name, labels), value in self.samples.items():
            if name == self.name + "_bucket":
                rest = tuple(label for label in labels if not label.startswith("le="))
                bound = next(label for label in labels if label.startswith("le="))[4:-1]
                series.setdefault(rest, []).append((float(bound.replace("+Inf", "inf")), value))
        assert series, f"{self.name} has no bucket"
        for rest, buckets in series.items():
            assert buckets == sorted(buckets), f"{self.name}{rest} is not cumulative"
            assert buckets[-1][0] == float("inf"), f"{self.name}{rest} has no +Inf"
            assert buckets[-1][1] == self.samples[(self.name + "_count", rest)], f"{self.name}{rest}: _count"


def take_meta(kind, name, text, families):
    if name not in families:
        families[name] = Family(name)
    assert list(families)[-1] == name, f"{name} is in two pieces"
    family = families[name]
    assert not family.samples and kind not in family.meta, f"{kind} of {name} comes late or twice"
    assert kind != "TYPE" or text in SUFFIXES, f"{name} is of no type: {text}"
    family.meta[kind] = text


def take_sample(match, families):
    assert families, "a sample before any family"
    family = families[list(families)[-1]]
    name, labels, value = match.groups()
    assert family.suffix(name) is not None, f"{name} is no sample of {family.name}"
    family.add(name, tuple(re.findall(LABEL, labels or "")), float(value.replace("Inf", "inf")))


def check(text):
    families = {}
    end = "" if TEXT else "# EOF\n"
    assert text.endswith("\n" + end), "it does not end as it should"
    for line in text[: len(text) - len(end)].splitlines():
        meta, sample = META.fullmatch(line), SAMPLE.fullmatch(line)
        assert meta or sample, f"neither metadata nor a sample: {line}"
        if meta:
            take_meta(*meta.groups(), families)
        else:
            take_sample(sample, families)
    for family in families.values():
        assert {"TYPE", "HELP"} <= set(family.meta), f"{family.name} lacks TYPE or HELP"
        family.check()
    return len(families)


def main():
    try:
        print(check(sys.stdin.read()), "families")
    except AssertionError as fault:
        sys.exit(f"no OpenMetrics text: {fault}")


main()
