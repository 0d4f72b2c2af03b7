"""Fill the disk, in one of several ways, and wait for what is done about it."""

import os
import time
from pathlib import Path

from tools import ENVIRONMENT, SETTINGS, TREE

PLACES = {
    "environment": ENVIRONMENT,
    "tree": TREE,
    "cache": Path(os.environ["UV_CACHE_DIR"]),
    "tmp": Path("/tmp"),
}


def write(folder, number, size):
    with open(folder / f"fill-{number}", "wb") as file:
        file.write(os.urandom(4096) * (size // 4096))


def run():
    folder, megabytes = PLACES[SETTINGS["place"]], SETTINGS["megabytes"]
    if SETTINGS["how"] == "small":
        for number in range(megabytes * 64):
            write(folder, number, 1 << 14)
    elif SETTINGS["how"] == "large":
        for number in range(megabytes // 20):
            write(folder, number, 20 << 20)
    else:  # holes only: a copy takes the space
        for number in range(10):
            with open(folder / f"fill-{number}", "wb") as file:
                file.truncate(SETTINGS["megabytes"] << 20)
        return
    time.sleep(60)
