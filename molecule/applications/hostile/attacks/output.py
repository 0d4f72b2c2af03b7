"""Start a process that keeps the output of the build open."""

import time

from tools import SETTINGS, daemon


def run():
    daemon(lambda: time.sleep(SETTINGS["seconds"]), keep_output=True)
