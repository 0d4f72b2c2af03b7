"""A git repository from which a site is released."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.decanter.stack.plugins.action import release

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


class Repository:
    """A repository with commits of another author."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"]
        command = ["git", "-C", self.folder, *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message=x")
        return self.git("rev-parse", "HEAD")


def source(repository: Repository, **more: str) -> dict[str, str]:
    return {"git": str(repository.folder), "version": "main", **more}


def contents(given: dict[str, str], commit: str = "") -> tuple[dict[str, str], dict[str, object]]:
    """Return the files of an archive with their text, and the record of their source."""
    with release.files_of(given, commit) as (folder, paths, record):
        texts = {str(path): (folder / path).read_text() for path in paths if not (folder / path).is_symlink()}
    assert not folder.exists(), f"expected {folder} to be deleted"
    return texts, record


SSH = """#!/bin/sh
# A stub of ssh: record the arguments and the key, and run the command of git here.
printf '%s\\n' "$@" > "$SSH_NOTES/arguments"
previous=
for argument; do
  if [ "$previous" = -i ]; then
    cat "$argument" > "$SSH_NOTES/key"; stat -c %a "$argument" > "$SSH_NOTES/mode"
  fi
  previous=$argument
done
echo begin >> "$SSH_NOTES/calls"; sleep "${SSH_SLEEP:-0}"
sh -c "$previous"; status=$?
echo end >> "$SSH_NOTES/calls"
exit $status
"""


def remote(repository: Repository, **more: str) -> dict[str, str]:
    return source(repository, **more) | {"git": f"git@git.test:{repository.folder}"}
