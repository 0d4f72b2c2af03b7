"""Nest folders deeper than the recursion limit of programs, in one folder of the build."""

import os

from tools import ENVIRONMENT, SETTINGS, TREE


def nest(folder, depth):
    parent = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=parent)
        child = os.open("d", os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = child
    os.close(parent)


def run():
    places = {"environment": ENVIRONMENT, "tree": TREE, "tmp": "/tmp", "cache": os.environ["UV_CACHE_DIR"]}
    nest(places[SETTINGS["place"]], 3000)
