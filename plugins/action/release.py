"""Pack the source of a site on the controller, and build a release from it on the host."""

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
from ansible_collections.decanter.stack.plugins.plugin_utils.pem import is_pem

# Never deployed, even if git tracks them: secrets of a developer, and caches.
NEVER = {".git", ".env", ".venv", "venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


class SourceError(Exception):
    """The source cannot be packed; the message is the reason."""


def git(folder: Path, *arguments: str) -> str:
    """Return the output of git in a folder, or an empty string if git fails."""
    process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    return process.stdout if process.returncode == 0 else ""


def tracked(folder: Path) -> list[Path]:
    """Return the files of a folder that .gitignore does not exclude, relative to the folder."""
    if not git(folder, "rev-parse", "--git-dir"):
        # With an empty repository elsewhere, git applies the folder's .gitignore.
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
    """Return a hash of names, contents and executable bits. Times and owners do not count."""
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
    """Return the path and the commit of a folder, which the record of a release contains."""
    return {
        "source": str(folder),
        "commit": git(folder, "rev-parse", "HEAD").strip(),
        "uncommitted": bool(git(folder, "status", "--porcelain", "--", ".")),
    }


def fetch(source: Mapping[str, str], key: str | None, run: str = "") -> tuple[Path, str]:
    """Return a bare mirror of a repository, kept between runs, and the commit of the source's version.

    The mirror is updated once per run, so that all hosts get the same commit. Raise SourceError with the
    output of git if git fails.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "decanter/git"
    mirror = cache / hashlib.sha256(source["git"].encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    if key:
        environment["GIT_SSH_COMMAND"] = f"ssh -i {shlex.quote(key)} -o IdentitiesOnly=yes -o BatchMode=yes"
    notes = cache / f"{mirror.name}.json"
    with open(cache / f"{mirror.name}.lock", "w") as lock:
        # The processes of several hosts and sites run at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = json.loads(notes.read_text()) if run and notes.exists() else {}
        if note.get("run") != run or not mirror.exists():
            note = {"run": run, "commits": {}}
            if not mirror.exists():
                run_git(environment, "init", "--quiet", "--bare", str(mirror))
            refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            run_git(environment, "-C", str(mirror), "fetch", "--quiet", "--prune", source["git"], *refs)
        version = source["version"]
        if version not in note["commits"]:
            note["commits"][version] = commit_of(mirror, source)
            notes.write_text(json.dumps(note))
    return mirror, note["commits"][version]


def run_git(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SourceError(f"git failed: {done.stderr.strip()}")
    return done.stdout


def commit_of(mirror: Path, source: Mapping[str, str]) -> str:
    """Return the commit of a branch, a tag or a commit's hash."""
    version = source["version"]
    for name in (f"refs/heads/{version}", f"refs/tags/{version}", version):
        if found := git(mirror, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip():
            return found
    raise SourceError(f"{source['git']}: found no branch, tag or commit {version}")


def check_out(mirror: Path, commit: str, subdir: str, target: Path) -> None:
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
    """Yield a folder with the source's files, the paths to deploy, and their origin for the record."""
    if "path" in source:
        folder = Path(source["path"])
        yield folder, tracked(folder), origin(folder)
        return
    with contextlib.ExitStack() as stack:
        key = source.get("key")
        if key and is_pem(key):  # ssh requires a file that other users cannot read
            file = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            file.write(key if key.endswith("\n") else f"{key}\n")
            file.flush()
            key = file.name
        mirror, commit = fetch({**source, "version": commit or source["version"]}, key, run)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        check_out(mirror, commit, source.get("subdir", ""), folder)
        paths = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_symlink() or p.is_file())
        paths = [path for path in paths if not NEVER & set(path.parts)]
        yield folder, paths, {"source": source["git"], "commit": commit, "uncommitted": False}


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
    except OSError:  # print the details twice rather than not at all
        return result
    return result if first in ("", host) else result | {"details": f"the same as on {first}"}


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        is_build, commit = arguments.pop("make"), arguments.pop("commit", "")
        source = arguments.pop("source")  # not sent to the host: it may contain a key
        # Sent in a file, because Ansible may print arguments of modules.
        private = {"secrets": arguments.pop("secrets", {}), "files": {}}
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            private["files"] = self._files(arguments.pop("files", {}), task_vars)
            with files_of(source, commit, self._task.get_play()._uuid) as (folder, paths, record):
                if not paths:
                    raise SourceError(f"{record['source']}: found no file that git would track")
                arguments["content"] = content_hash(folder, paths)
                arguments["record"] = {**record, "by": f"{getpass.getuser()}@{socket.gethostname()}"}
                if not is_build or self._task.check_mode:
                    result = self._release(arguments, private, task_vars)
                    self._report_pin(result.get("pin"))
                    result |= {"content": arguments["content"], "moment": moment}
                    return result | {"commit": record["commit"] if "git" in source else ""}
                if not arguments["id"].endswith(f"-{arguments['content']}"):
                    raise SourceError(
                        f"{record['source']}: files changed during this run. Remedy: run it again."
                    )
                return self._build(arguments, private, folder, paths, task_vars)
        except SourceError as error:
            # Ansible would append the message of the cause to this one.
            raise AnsibleActionFail(str(error)) from None

    def _report_pin(self, pin):
        """Print that a rollback has pinned the site to a release."""
        if pin:
            site = self._task.args["site"]["name"]
            # Ansible prints warnings with the task's result, which ansible.cfg hides.
            self._display.display(
                f"{site}: pinned to release {pin['release']} by {pin['by']} since {pin['since']}. "
                f"make deploy SITE={site} removes the pin.",
                color=C.config.get_config_value("COLOR_WARN"),
            )

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

    def _build(self, arguments, private, folder, paths, task_vars):
        """Pack the files of the source and build the release on the host."""
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
            with tarfile.open(archive.name, "w:gz", compresslevel=6) as tar:
                for path in paths:
                    tar.add(folder / path, arcname=str(path), recursive=False)
            return self._release(arguments, private, task_vars, archive.name)
