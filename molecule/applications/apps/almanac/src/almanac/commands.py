"""The console script: writes into the journal which command was run, and by which version."""

import signal
import sys

from almanac import __version__


def main():
    command = sys.argv[1]
    with open("data/journal", "a") as journal:
        journal.write(f"{command} {__version__}\n")
    if command == "watch":
        signal.pause()
