"""Connect to services and read files of the host that no build needs."""

import glob
import os
import socket

from tools import SETTINGS, attempt


def connect(family, address):
    with socket.socket(family) as connection:
        connection.settimeout(3)
        connection.connect(address)
        return "connected"


def content(path):
    if os.path.isdir(path):
        return f"lists {os.listdir(path)}"
    with open(path, "rb") as file:
        return f"reads {file.read(50)}"


def processes():
    """Return the folders in /proc of processes of other users."""
    folders = []
    for path in glob.glob("/proc/[0-9]*"):
        if os.stat(path).st_uid != os.getuid():
            folders.append(path)
    return str(folders)


def run():
    report = {"processes": attempt(processes), "user": f"{os.getuid()} {os.getgroups()}"}
    for host, port in SETTINGS["addresses"]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        report[f"{host} {port}"] = attempt(connect, family, (host, port))
    for path in SETTINGS["sockets"]:
        report[path] = attempt(connect, socket.AF_UNIX, path)
    for pattern in SETTINGS["files"]:
        for path in glob.glob(pattern) or [pattern]:
            report[path] = attempt(content, path)
    own = [content(path) for path in glob.glob("/proc/[0-9]*/environ") if os.access(path, os.R_OK)]
    report["secrets"] = str([word for word in SETTINGS["secrets"] if word in f"{own}{dict(os.environ)}"])
    return report
