"""Print 100 MB with control characters, then fail."""

import sys


def run():
    line = "\x1b[2J\x1b]0;title\x07\x9b31m\r\x08 noise \u202e" + "x" * 4000 + "\n"
    for _ in range(25_000):
        sys.stdout.write(line)
    sys.stdout.flush()
    sys.exit("\x1b[31mthe end of the noise\x07")
