"""Start a limited number of processes that sleep, because lab hosts share a kernel."""

import os
import time

from tools import SETTINGS, attempt


def run():
    started = 0
    for _ in range(SETTINGS["processes"]):
        result = attempt(os.fork)
        if result == "0":
            time.sleep(600)
            os._exit(0)
        started += result.isdecimal()
    return {"started": started}
