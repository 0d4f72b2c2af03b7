"""Pack a site's source on the controller, and make a release of it on the host."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import io
import json
import os
import shlex
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# What git may track all the same, and no host needs: secrets of a developer's own, and caches.
NEVER = {".git", ".env", ".venv", "venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


class SourceError(Exception):
    """The source cannot be packed; the message says why."""


def git(folder: Path, *arguments: str) -> str:
    """What git says, an empty string where it has nothing to say of this folder."""
    process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    return process.stdout if process.returncode == 0 else ""


def tracked(folder: Path) -> list[Path]:
    """The files that git would track in a folder, relative to it, whether or not it is in a checkout."""
    if not git(folder, "rev-parse", "--git-dir"):
        # An empty repository beside it applies the folder's .gitignore all the same.
        with tempfile.TemporaryDirectory() as repository:
            git(Path(repository), "init", "--quiet", "--bare", ".")
            listing = git(
                folder,
                f"--git-dir={repository}",
                "--work-tree=.",
                "ls-files",
                "-z",
                "--others",
                "--exclude-standard",
            )
    else:
        listing = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = {Path(name) for name in listing.split("\0") if name}
    return sorted(p for p in paths if not NEVER & set(p.parts) and os.path.lexists(folder / p))


def content_hash(folder: Path, paths: list[Path]) -> str:
    """The content alone: names, contents, what may be run. Not the time, and not the owner."""
    digest = hashlib.sha256()
    root = folder.resolve()
    for path in paths:
        file = folder / path
        if file.is_symlink():
            if not file.resolve().is_relative_to(root):
                raise SourceError(
                    f"{file}: found a symlink to {os.readlink(file)}, expected one that stays inside"
                )
            kind, content = b"link", os.readlink(file).encode()
        elif file.is_file():
            kind, content = (b"run" if os.access(file, os.X_OK) else b"file"), file.read_bytes()
        else:
            raise SourceError(f"{file}: found neither a file nor a symlink (a submodule is not packed)")
        for part in (kind, str(path).encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def origin(folder: Path) -> dict[str, object]:
    """Where a release of a folder came from, for its record."""
    return {
        "source": str(folder),
        "commit": git(folder, "rev-parse", "HEAD").strip(),
        "uncommitted": bool(git(folder, "status", "--porcelain", "--", ".")),
    }


def fetched(source: Mapping[str, str], key: str | None, run: str = "") -> tuple[Path, str]:
    """A bare mirror of a repository, kept between runs, and the commit that is meant.

    It is brought up to date once in a run: all hosts get one commit, whatever is pushed meanwhile. Raises
    SourceError with git's own words.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "decanter/git"
    mirror = cache / hashlib.sha256(source["git"].encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    if key:
        environment["GIT_SSH_COMMAND"] = f"ssh -i {shlex.quote(key)} -o IdentitiesOnly=yes -o BatchMode=yes"
    notes = cache / f"{mirror.name}.json"
    with open(cache / f"{mirror.name}.lock", "w") as lock:
        # Several hosts, and several sites, may ask at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = json.loads(notes.read_text()) if run and notes.exists() else {}
        if asked.get("run") != run or not mirror.exists():
            asked = {"run": run, "commits": {}}
            if not mirror.exists():
                run_git(environment, "init", "--quiet", "--bare", str(mirror))
            refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            run_git(environment, "-C", str(mirror), "fetch", "--quiet", "--prune", source["git"], *refs)
        version = source["version"]
        if version not in asked["commits"]:
            asked["commits"][version] = commit_of(mirror, source)
            notes.write_text(json.dumps(asked))
    return mirror, asked["commits"][version]


def run_git(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SourceError(f"git failed: {done.stderr.strip()}")
    return done.stdout


def commit_of(mirror: Path, source: Mapping[str, str]) -> str:
    """The commit that a branch, a tag or a commit's own hash stands for."""
    version = source["version"]
    for name in (f"refs/heads/{version}", f"refs/tags/{version}", version):
        if found := git(mirror, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip():
            return found
    raise SourceError(f"{source['git']}: found no branch, tag or commit {version}")


def checked_out(mirror: Path, commit: str, subdir: str, target: Path) -> None:
    """Write the files of a commit, or of a folder in it, to a folder."""
    tree = f"{commit}:{subdir.strip('/')}" if subdir else commit
    archive = subprocess.run(["git", "-C", str(mirror), "archive", "--format=tar", tree], capture_output=True)
    if archive.returncode != 0:
        raise SourceError(f"{subdir}: found no such folder in commit {commit[:12]}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(target, filter="tar")


@contextlib.contextmanager
def files_of(
    source: Mapping[str, str], commit: str, run: str = ""
) -> Iterator[tuple[Path, list[Path], dict[str, object]]]:
    """A folder with a source's files, which of them to take, and where they came from."""
    if "path" in source:
        folder = Path(source["path"])
        yield folder, tracked(folder), origin(folder)
        return
    with contextlib.ExitStack() as stack:
        key = source.get("key")
        if key and "-----BEGIN" in key:  # ssh reads a key from a file that nobody else may read
            file = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            file.write(key if key.endswith("\n") else f"{key}\n")
            file.flush()
            key = file.name
        mirror, commit = fetched({**source, "version": commit or source["version"]}, key, run)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        checked_out(mirror, commit, source.get("subdir", ""), folder)
        paths = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_symlink() or p.is_file())
        taken = [path for path in paths if not NEVER & set(path.parts)]
        yield folder, taken, {"source": source["git"], "commit": commit, "uncommitted": False}


def detailed_once(site: str, host: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a failure without the details that another host of this run has returned for the site.

    A failed build has the same log on all hosts. The processes of a run share its folder of temporary files.
    """
    if not result.get("details"):
        return result
    digest = hashlib.sha256(f"{site}\n{result['details']}".encode()).hexdigest()
    folder = Path(vars(C)["DEFAULT_LOCAL_TMP"])
    try:
        with open(folder / f"decanter-{digest}", "a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            first = note.read()
            if not first:
                note.write(host)
    except OSError:  # printed twice rather than never
        return result
    return result if first in ("", host) else result | {"details": f"the same as on {first}"}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        making, commit = arguments.pop("make"), arguments.pop("commit", "")
        source = arguments.pop("source")  # stays here, with its key
        # In a file, because arguments of modules may be shown.
        private = {"secrets": arguments.pop("secrets", {}), "files": {}}
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            private["files"] = self._files(arguments.pop("files", {}), task_vars)
            with files_of(source, commit, self._task.get_play()._uuid) as (folder, paths, record):
                if not paths:
                    raise SourceError(f"{record['source']}: found no file that git would track")
                arguments["content"] = content_hash(folder, paths)
                arguments["record"] = {**record, "by": f"{getpass.getuser()}@{socket.gethostname()}"}
                if not making or self._task.check_mode:
                    result = self._release(arguments, private, task_vars)
                    result = self._told(result) | {"content": arguments["content"], "moment": moment}
                    return result | {"commit": record["commit"] if "git" in source else ""}
                if not arguments["id"].endswith(f"-{arguments['content']}"):
                    raise SourceError(f"{record['source']}: it was changed in this moment; run this again")
                return self._made(arguments, private, folder, paths, task_vars)
        except SourceError as error:
            # Ansible would append the message of the cause to this one.
            raise AnsibleActionFail(str(error)) from None

    def _told(self, result):
        """Say so when a site stays where somebody went back to."""
        if pin := result.get("pin"):
            site = self._task.args["site"]["name"]
            # A warning would be shown with an ok result, which is not shown itself.
            self._display.display(
                f"{site} stays on release {pin['release']}, to which {pin['by']} went back at "
                f"{pin['since']}; make deploy ends that",
                color=C.config.get_config_value("COLOR_WARN"),
            )
        return result

    def _files(self, files, task_vars):
        """Return the text of each of the site's files, from the inventory or from the controller."""
        texts = {}
        for path, file in files.items():
            if "content" in file:
                text = file["content"]
            else:
                key = "path" if "path" in file else "template"
                here = Path(file[key])
                where = f"sites.{self._task.args['site']['name']}.files[{json.dumps(path)}].{key}"
                try:
                    text = here.read_text("utf-8")
                except OSError as error:
                    expected = f"a file that can be read ({error.strerror})"
                    raise SourceError(f"{where}: found {here}, expected {expected}") from None
                except UnicodeDecodeError as error:
                    expected = f"text in UTF-8 ({error.reason} at byte {error.start})"
                    raise SourceError(f"{where}: found {here}, expected {expected}") from None
                if "template" in file:
                    text = self._render(here, text, task_vars)
            texts[path] = {"text": text}
        return texts

    def _render(self, path, text, task_vars):
        """Render a template of the controller with the variables of the host."""
        from ansible.template import trust_as_template

        data = self._templar.copy_with_new_env(available_variables=task_vars, searchpath=[str(path.parent)])
        return data.template(
            trust_as_template(text), escape_backslashes=False, preserve_trailing_newlines=True
        )

    def _release(self, arguments, private, task_vars, archive=None):
        """Run the module with private data in a file, and with the source's archive to make a release."""
        self._make_tmp_path()
        place = self._connection._shell.join_path
        folder = self._connection._shell.tmpdir
        try:
            if private["files"] or private["secrets"]:
                arguments = arguments | {"private": place(folder, "private.json")}
                self._transfer_data(arguments["private"], json.dumps(private))
            if archive:
                arguments = arguments | {"archive": place(folder, "source.tar.gz")}
                self._transfer_file(archive, arguments["archive"])
            result = self._execute_module("decanter.stack.release", arguments, task_vars=task_vars)
            host = (task_vars or {}).get("inventory_hostname", "")
            return detailed_once(arguments["site"]["name"], host, result)
        finally:
            self._remove_tmp_path(folder)

    def _made(self, arguments, private, folder, paths, task_vars):
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            with tarfile.open(archive.name, "w:gz", compresslevel=6) as tar:
                for path in paths:
                    tar.add(folder / path, arcname=str(path), recursive=False)
            return self._release(arguments, private, task_vars, archive.name)
