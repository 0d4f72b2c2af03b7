"""Create entries that must not be copied: hard links, permissions, access lists, pipes and sockets."""

import os
import socket
import struct

from tools import ENVIRONMENT, RESULTS, SETTINGS, TREE, attempt

ENTRIES = ((1, 7, -1), (2, 7, os.getuid()), (4, 7, -1), (16, 7, -1), (32, 7, -1))
LIST = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, mode, user & 0xFFFFFFFF) for tag, mode, user in ENTRIES
)


def bind(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def run():
    report = {}
    for name, folder in (("environment", ENVIRONMENT), ("tree", TREE)):
        (folder / "odd").mkdir()
        tool = folder / "odd/tool"
        tool.write_text("#!/bin/sh\n")
        report[f"{name} set-user-ID"] = attempt(os.chmod, tool, 0o6777)
        attempt(os.chmod, tool, 0o777)
        attempt(os.chmod, folder / "odd", 0o777)
        report[f"{name} list"] = attempt(os.setxattr, tool, "system.posix_acl_access", LIST)
        attempt(os.setxattr, folder / "odd", "system.posix_acl_default", LIST)
        report[f"{name} pipe"] = attempt(os.mkfifo, folder / "odd/pipe")
        report[f"{name} socket"] = attempt(bind, str(folder / "odd/socket"))
        (folder / "odd/one").write_text("linked")
        report[f"{name} link inside"] = attempt(os.link, folder / "odd/one", folder / "odd/two")
        for target in ("/etc/passwd", SETTINGS["canary"], RESULTS / "resolved.txt", "/tmp/other"):
            attempt(open, "/tmp/other", "w")
            report[f"{name} link {target}"] = attempt(os.link, target, folder / "odd/outside")
        os.mkdir(os.fsencode(folder) + b"/odd/\xff\n\x1b[2J")
    return report
