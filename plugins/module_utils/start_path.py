"""Remedies for an application that writes where it may not: a release is read-only."""

from __future__ import annotations

import posixpath
import re

DENIED = re.compile(
    r"^(?:[\w.]{1,100}\.)?(?:OSError|PermissionError|FileNotFoundError|IsADirectoryError): "
    r"\[Errno (?:30|13|2)\] (Read-only file system|Permission denied|No such file or directory): "
    r"(?:b?(?:'[^'\n]{1,500}'|\"[^\"\n]{1,500}\") -> )?b?(?:'([^'\n]{1,500})'|\"([^\"\n]{1,500})\")$",
    re.M,
)
# /srv/SITE/releases/ID and the links to it.
RELEASE = re.compile(r"/srv/([^/]{1,100})/(?:releases/[^/]{1,100}|blue|green|current)(?:/(.{1,500}))?$")
# The pattern of `uploads` in the schema of sites.
UPLOAD = re.compile(r"(?![./])(?!.*\.\.)(?!.*//)(?!.*/\.?(/|$))[\w./+@-]{1,300}$")
FRAMES = 700  # characters of a traceback that contain its last frames


def path_hint(text: str, working_directory: str) -> list[tuple[int, str]]:
    """Return the position and the remedy of each failed write in a clean log."""
    found = []
    for match in DENIED.finditer(text):
        path = match[2] or match[3]
        frames = text[max(0, match.start() - FRAMES) : match.start()]
        # ENOENT is a failed write only if the traceback opens a log file, which logging would create.
        if match[1].startswith("No such") and "logging/" not in frames:
            continue
        found.append((match.start(), remedy(path, working_directory, is_folder(path, frames))))
    return found


def is_folder(path: str, frames: str) -> bool:
    """Return whether a path is a folder, from the call that failed or from its name."""
    if re.search(r"mkdir|makedirs", frames[-300:]):
        return True
    if re.search(r"\bopen\b|open_func", frames[-300:]):
        return False
    return "." not in posixpath.basename(path)


def remedy(path: str, working_directory: str, folder: bool) -> str:
    """Return what makes a path writable, or where to write instead."""
    absolute = posixpath.normpath(posixpath.join(working_directory, path))
    match = RELEASE.match(absolute)
    if not match:
        return outside(absolute, path)
    inside = match[2] or ""
    wanted = inside if folder else posixpath.dirname(inside)
    if not inside or not wanted:
        name = posixpath.basename(inside)
        example = f", such as instance/{name} with `uploads: [instance]`" if name else ""
        return (
            f"The application writes {name or 'a file'} into the top folder of its release, which is "
            f"read-only: let it write into a folder of its own{example}."
        )
    if wanted.startswith(".venv"):
        return ENVIRONMENT
    if not UPLOAD.match(wanted):
        return (
            f"The application writes into {wanted}, which cannot be one of `uploads`: let it write into a "
            "folder such as instance, with `uploads: [instance]`."
        )
    return f"The application writes into {wanted}, and a release is read-only: add `uploads: [{wanted}]`."


ENVIRONMENT = (
    "The application writes into its environment, which is read-only: let it write into a folder of "
    "`uploads` (for Flask, set `instance_path`)."
)


def outside(absolute: str, path: str) -> str:
    """Return the remedy for a path that is not in a release."""
    if absolute.startswith("/var/log"):
        return (
            f"The application cannot write {absolute}: let it log to standard error, which the journal keeps."
        )
    if re.match(r"/srv/[^/]{1,100}/venvs/", absolute):
        return ENVIRONMENT
    if re.match(r"/srv/[^/]{1,100}/shared/", absolute):
        return f"The application cannot write {absolute}: the site's user must own it."
    if absolute.startswith("/srv/") and not path.startswith("/"):
        return f"{path} lies outside the release: let the application write into a folder of `uploads`."
    return (
        f"The application cannot access {absolute}: it writes only into its `uploads` and /tmp. "
        "Correct the path in its configuration (`env`)."
    )
