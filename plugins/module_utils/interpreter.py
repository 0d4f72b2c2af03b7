"""Find a site's Python interpreter, and reject interpreters that users other than root can modify.

Root executes the interpreter to read its version. A user with write permission for the interpreter, a folder
above it or its standard library could therefore run code as root.
"""

from __future__ import annotations

import functools
import glob
import json
import os
import pwd
import re
import stat
import struct
import subprocess
from collections.abc import Iterator

# Prints the base prefix, the SOABI (the suffix of compiled modules) and the version.
ABOUT = """
import json, platform, sys, sysconfig
print(json.dumps([sys.base_prefix, sysconfig.get_config_var("SOABI"), platform.python_version()]))
"""
ACL = "system.posix_acl_access"
# Entries of that attribute, from the kernel's include/uapi/linux/posix_acl.h.
ACL_OWNER, ACL_MASK, ACL_OTHER, ACL_WRITE = 0x01, 0x10, 0x20, 2
LINKS = 40  # the kernel's limit for one path


class BuildError(Exception):
    """A release cannot be built. The first line is the reason; remedy and log follow."""


def interpreter(wanted: list[str]) -> str:
    """Return the first of some paths or patterns that is an interpreter which only root can modify.

    Returns the program, not a symlink to it: uv writes the path into an environment, and the symlink of a
    managed Python leads to another build later. An environment's own interpreter is returned as it is.
    """
    faults = []
    for pattern in wanted:
        for path in sorted(glob.glob(pattern)):
            try:
                if about(path):
                    return path if environment_files(path) else os.path.realpath(path)
                faults.append(f"{path}: found a program that does not run, expected a Python interpreter")
            except BuildError as error:
                faults.append(str(error))
    reasons = faults or [f"found no Python at {', '.join(wanted)}, expected one there"]
    remedy = "`make converge` installs a version; `python` of the site may name another path."
    raise BuildError("\n".join([*reasons, remedy]))


@functools.lru_cache
def about(python: str) -> list[str]:
    """Return the base prefix, the SOABI and the version of an interpreter; nothing if it does not run.

    Raises BuildError before the interpreter is executed if another user than root can modify it.
    """
    if not os.path.exists(python):
        return []
    if fault := unsafe(python):
        raise BuildError(fault)
    try:
        # -S: the .pth files of site-packages are code, and packages may belong to other users.
        done = subprocess.run([python, "-I", "-S", "-c", ABOUT], capture_output=True, text=True)
    except OSError:
        return []
    return json.loads(done.stdout) if done.returncode == 0 else []


def unsafe(path: str) -> str:
    """Return why an interpreter must not be executed by root, as `PATH: found ..., expected ...`, or "".

    The interpreter, each symlink on the way to it, all parent folders and the standard library must belong to
    root and must not be writable by a group or by others.
    """
    try:
        hops, executable = resolve(path)
        for each in hops:
            if fault := modifiable(each):
                return fault
        if not os.path.isfile(executable) or not os.access(executable, os.X_OK):
            return f"{path}: found no program, expected an interpreter"
        homes = [executable]
        for configuration in environment_files(path):
            if fault := chain_fault(configuration):
                return fault
            if home := environment_home(configuration):
                if fault := chain_fault(home):
                    return fault
                homes.append(os.path.join(home, os.path.basename(executable)))
        for home in homes:
            libraries = standard_libraries(home)
            if not libraries:
                return f"{home}: found no standard library next to it, expected one such as lib/python3.12"
            for library in libraries:
                if fault := chain_fault(library) or tree_fault(os.path.realpath(library)):
                    return fault
    except FileNotFoundError as error:
        return f"{error.filename}: found nothing, expected an interpreter"
    except OSError as error:
        return f"{error.filename or path}: found {error.strerror}, expected an interpreter"
    return ""


def resolve(path: str) -> tuple[list[str], str]:
    """Return every file, folder and symlink that leads to a path, outermost first, and its final target."""
    visited: list[str] = ["/"]
    pending, current, links = os.path.abspath(path).split("/")[:0:-1], "/", 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            current = os.path.dirname(current)
            continue
        candidate = os.path.join(current, name)
        visited.append(candidate)
        if stat.S_ISLNK(os.lstat(candidate).st_mode):
            links += 1
            if links > LINKS:
                raise OSError(0, "a loop of symlinks", path)
            target = os.readlink(candidate)
            current = "/" if target.startswith("/") else current
            pending += target.split("/")[::-1]
        else:
            current = candidate
    return list(dict.fromkeys(visited)), current


def chain_fault(path: str) -> str:
    """Return the first fault of a path and of everything that leads to it."""
    return next(filter(None, map(modifiable, resolve(path)[0])), "")


def tree_fault(folder: str) -> str:
    """Return the first fault below a folder. Packages are left out, because `about` does not import them."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("site-packages", "dist-packages")]
        for name in (*folders, *files):
            path = os.path.join(here, name)
            fault = chain_fault(path) if os.path.islink(path) and os.path.exists(path) else modifiable(path)
            if fault:
                return fault
    return ""


def modifiable(path: str) -> str:
    """Return a fault if a user other than root can modify a file, folder or symlink."""
    status = os.lstat(path)
    if status.st_uid != 0:
        return f"{path}: found the owner {user_name(status.st_uid)}, expected root"
    if stat.S_ISLNK(status.st_mode):  # its own mode means nothing, its folder is checked
        return ""
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        return f"{path}: found the mode {mode:04o}, expected no write permission for group and others"
    if any(acl_writers(path)):
        return f"{path}: found an ACL that grants write permission, expected none (setfacl --remove-all)"
    return ""


def acl_writers(path: str) -> Iterator[int]:
    """Return the tags of a POSIX ACL's entries that grant write permission to anyone but the owner."""
    try:
        if ACL not in os.listxattr(path):
            return
        value = os.getxattr(path, ACL)
    except OSError:  # a file system without extended attributes has no ACLs
        return
    entries = list(struct.iter_unpack("<HHI", value[4:]))
    mask = next((permissions for tag, permissions, _ in entries if tag == ACL_MASK), 7)
    for tag, permissions, _ in entries:
        granted = permissions if tag == ACL_OTHER else permissions & mask
        if tag not in (ACL_OWNER, ACL_MASK) and granted & ACL_WRITE:
            yield tag


def environment_files(path: str) -> list[str]:
    """Return the pyvenv.cfg files that an interpreter reads before it finds its standard library."""
    folder = os.path.dirname(os.path.abspath(path))
    files = [os.path.join(each, "pyvenv.cfg") for each in (folder, os.path.dirname(folder))]
    return [file for file in files if os.path.lexists(file)]


def environment_home(configuration: str) -> str:
    """Return the folder of the base interpreter that a pyvenv.cfg names."""
    with open(configuration, encoding="utf-8", errors="replace") as file:
        match = re.search(r"^\s*home\s*=\s*(/.*?)\s*$", file.read(), re.M | re.I)
    return match[1] if match else ""


def standard_libraries(executable: str) -> list[str]:
    """Return the folders that an interpreter may take for its standard library.

    CPython searches the parent folders of its executable for lib/pythonX.Y/os.py; PyPy's archives have
    lib/pypyX.Y or lib-python/3.
    """
    version = re.search(r"\d+\.\d+", os.path.basename(executable))
    folder = os.path.dirname(executable)
    while True:
        found = glob.glob(os.path.join(glob.escape(folder), "lib*/*/os.py"))
        found += glob.glob(os.path.join(glob.escape(folder), "os.py"))
        libraries = sorted(os.path.dirname(each) for each in found)
        if libraries:
            own = [each for each in libraries if version and os.path.basename(each).endswith(version[0])]
            return own or libraries
        if folder == "/":
            return []
        folder = os.path.dirname(folder)


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
