"""Nest folders deeper than programs recurse, in each folder of the build."""

import os

from tools import ENVIRONMENT, SETTINGS, TREE


def nest(folder, depth):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def run():
    places = {"environment": ENVIRONMENT, "tree": TREE, "tmp": "/tmp", "cache": os.environ["UV_CACHE_DIR"]}
    nest(places[SETTINGS["place"]], 3000)
