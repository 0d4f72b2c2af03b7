"""Fill the disk with small, large or sparse files, and wait for the limit to end the build."""

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
    if SETTINGS["method"] == "small":
        for number in range(megabytes * 64):
            write(folder, number, 1 << 14)
    elif SETTINGS["method"] == "large":
        for number in range(megabytes // 20):
            write(folder, number, 20 << 20)
    else:  # sparse files, which a copy would expand
        for number in range(10):
            with open(folder / f"fill-{number}", "wb") as file:
                file.truncate(SETTINGS["megabytes"] << 20)
        return
    time.sleep(60)
