"""A console script that writes its command and version into the journal."""

import signal
import sys

from almanac import __version__


def main():
    command = sys.argv[1]
    with open("data/journal", "a") as journal:
        journal.write(f"{command} {__version__}\n")
    if command == "watch":
        signal.pause()
