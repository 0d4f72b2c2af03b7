"""The location of a source: a folder, or a git repository, which is cloned."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import URL_CREDENTIALS

from tools.library import ROOT
from tools.new_site import entry as entries
from tools.new_site.errors import Stop
from tools.new_site.project import read_source
from tools.new_site.source import Source

GIT_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+|[\w.-]+@[\w.-]+:\S+")


def git(*arguments: str) -> str:
    """Return the output of git. Raise Stop if git fails."""
    # git fails if it needs a password, as in a deploy.
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise Stop(1, f"source: git failed: {done.stderr.strip()}")
    return done.stdout


def default_branch(url: str) -> str:
    """Return the default branch of a repository."""
    found = re.search(
        r"^ref: refs/heads/(\S+)\s+HEAD$", git("ls-remote", "--symref", "--", url, "HEAD"), re.M
    )
    return found[1] if found else "main"


def checkout(url: str, version: str, folder: Path) -> None:
    """Check out one commit of a repository, without its history."""
    git("init", "--quiet", str(folder))
    git("-C", str(folder), "fetch", "--quiet", "--depth=1", "--end-of-options", url, version)
    git("-C", str(folder), "checkout", "--quiet", "FETCH_HEAD")


def is_repository(given: str) -> bool:
    """Return whether a source is a git repository: a URL, or the folder of a bare repository."""
    folder = Path(given).expanduser()
    return bool(GIT_URL.fullmatch(given)) or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def wrong_source(given: str) -> list[str]:
    """Return the errors of a source that an operator gave."""
    if URL_CREDENTIALS.match(given):
        expected = "them among git's credentials, or a deploy key"
        return [f"source: found an address with credentials, expected {expected}"]
    if is_repository(given) or (given and Path(given).expanduser().is_dir()):
        return []
    found = f"no folder {given}" if given else "nothing"
    return [f"source: found {found}, expected a folder or the address of a git repository"]


def folder_entry(given: str) -> tuple[Path, dict[str, Any]]:
    """Return a folder and its entry in `sites`: relative in this checkout, with ~/ in the home folder."""
    folder = Path(given).expanduser().resolve()
    if folder.is_relative_to(ROOT):
        return folder, {"path": os.path.relpath(folder, entries.ROOT)}
    if folder.is_relative_to(Path.home()):
        return folder, {"path": f"~/{folder.relative_to(Path.home())}"}
    return folder, {"path": str(folder)}


def find_source(given: argparse.Namespace, stack: ExitStack) -> tuple[Source, dict[str, Any], str]:
    """Return the facts about the source, its entry in `sites`, and its name."""
    if not is_repository(given.source):
        for key in ("version", "subdir"):
            if getattr(given, key):
                raise Stop(1, f"{key}: found {key} with a folder, expected it only with a git repository")
        folder, where = folder_entry(given.source)
        source = read_source(folder)
        if source.folder:
            where = {"path": f"{where['path'].rstrip('/')}/{source.folder}"}
        return source, where, folder.name
    version = given.version or default_branch(given.source)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="new-site-")))
    checkout(given.source, version, folder)
    where = {"git": given.source} | ({"version": version} if version != "main" else {})
    if given.subdir:
        folder = folder / given.subdir
        if not folder.is_dir():
            raise Stop(1, f"subdir: found no folder {given.subdir} in {given.source}, expected one")
    source = read_source(folder)
    if subdir := "/".join(part.strip("/") for part in (given.subdir, source.folder) if part):
        where["subdir"] = subdir
    called = given.subdir or given.source.rstrip("/").removesuffix(".git")
    return source, where, re.split(r"[/:]", called.rstrip("/"))[-1]
