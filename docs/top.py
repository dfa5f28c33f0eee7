#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/top.svg: a picture of `shmipc top` on a terminal, of a host that has something to do.

Starts a host, workers and clients of its own, runs `shmipc top` in tmux, and draws what tmux then has on its
screen, with its colours. Nothing in it is made up, so it is another picture each time.

Usage: docs/top.py SHMIPC FILE.svg      (as root: its queues are in a namespace of their own)
"""
import html
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

COLUMNS, LINES = 86, 19
WIDTH, HEIGHT, MARGIN = 8.4, 17, 12  # of a character, in the picture
CONFIG = """\
host: { role = "host"; access = ["root", "nobody"]; };
worker: { role = "worker"; };
"""
NOBODY = ("setpriv", "--reuid", "nobody", "--clear-groups")
CLIENTS = (
    ((), ("bench", "-s", "64", "-d", "60")),
    ((), ("bench", "-s", "64K", "-i", "4", "-r", "5000", "-d", "60")),
    (NOBODY, ("bench", "-s", "1M", "-i", "2", "-r", "500", "-d", "60")),
    ((), ("bench", "-s", "32M", "-i", "3", "-d", "60")),
)
PALETTE = ("#1d1f21", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d0d0d0")
PLAIN, GROUND = PALETTE[7], PALETTE[0]


class Style:
    """What the escape sequences of a terminal have set so far (ECMA-48, SGR)."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.bold = self.reverse = False
        self.front = self.back = None

    def take(self, code):
        if code == 0:
            self.reset()
        elif code in (1, 22):
            self.bold = code == 1
        elif code in (7, 27):
            self.reverse = code == 7
        elif code // 10 in (3, 9):
            self.front = None if code == 39 else code % 10
        elif code // 10 in (4, 10):
            self.back = None if code == 49 else code % 10

    def colours(self):
        front = PLAIN if self.front is None else PALETTE[self.front % 8]
        back = GROUND if self.back is None else PALETTE[self.back % 8]
        return (back, front) if self.reverse else (front, back)


def runs(line, style):
    """(column, text, style) of each part of a line that looks alike."""
    column = 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            for code in part[2:-1].split(";"):
                style.take(int(code or 0))
        elif part:
            yield column, part
            column += len(part)


def draw(screen):
    style = Style()
    width, height = COLUMNS * WIDTH + 2 * MARGIN, LINES * HEIGHT + 2 * MARGIN
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
           f'viewBox="0 0 {width:.0f} {height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
           f'font-size="14"><title>shmipc top</title>')
    yield f'<rect width="100%" height="100%" rx="6" fill="{GROUND}"/>'
    for number, line in enumerate(screen.splitlines()[:LINES]):
        top = MARGIN + number * HEIGHT
        for column, text in runs(line, style):
            front, back = style.colours()
            left, wide = MARGIN + column * WIDTH, len(text) * WIDTH
            if back != GROUND:
                yield f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{HEIGHT}" fill="{back}"/>'
            if text.strip():
                bold = ' font-weight="bold"' if style.bold else ""
                yield (f'<text x="{left:.1f}" y="{top + 13}" fill="{front}"{bold} xml:space="preserve" '
                       f'textLength="{wide:.1f}">{html.escape(text)}</text>')
    yield "</svg>"


def photograph(shmipc):
    """What the terminal has on its screen while all of them are at work."""
    tmux = ["tmux", "-L", f"shmipc-top-{os.getpid()}", "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "-e", "TERM=screen-256color",
                    f"exec {shmipc} top -d 1"], check=True)
    try:
        screen = ""
        # The first picture is of all the time since the start. Then one in which a worker is seen at work.
        while "since start" in screen or screen.count(" busy ") < 1:
            time.sleep(1)
            screen = subprocess.run([*tmux, "capture-pane", "-e", "-p", "-N"], check=True, capture_output=True,
                                    text=True).stdout
        return screen
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def main():
    if os.environ.get("SHMIPC_TOP_INSIDE") is None:
        os.environ["SHMIPC_TOP_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--ipc", sys.executable, *sys.argv])
    shmipc, target = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # for the one who is nobody
        config = pathlib.Path(folder, "shmipc.conf")
        config.write_text(CONFIG)
        os.environ.update(SHMIPC_SOCKET=f"{folder}/host.sock", STATE_DIRECTORY=f"{folder}/state")
        started = []

        def start(*words, by=()):
            started.append(subprocess.Popen([*by, shmipc, *words], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        try:
            for name in ("host", "worker", "worker-2"):
                start("run", name, "-c", str(config))
            while subprocess.run([shmipc, "call"], input=b"x", capture_output=True).returncode != 0:
                time.sleep(0.1)
            for by, words in CLIENTS:
                start(*words, by=by)
            screen = photograph(shmipc)
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                process.wait()
    target.write_text("\n".join(draw(screen)) + "\n")


if __name__ == "__main__":
    main()
