"""The changes of files, folders and links that the module `files` makes."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, replacement


class Refused(Exception):
    """A file cannot be installed; the message is the reason."""


class Change:
    """The change of one path, computed before anything is changed."""

    def __init__(self, entry: dict[str, Any], path: Path | None = None) -> None:
        # In a copy of its folder, the path of a file is not that of the entry.
        self.entry, self.path, self.state = entry, path or Path(entry["path"]), entry["state"]
        self.mode = int(entry.get("mode", "0755" if self.state == "directory" else "0644"), 8)
        self.before = self.read()
        self.after = {"state": self.state}
        if self.state in ("file", "directory"):
            self.after |= {
                "mode": f"{self.mode:04o}",
                "owner": entry.get("owner", "root"),
                "group": entry.get("group", "root"),
            }
        if self.state == "file":
            self.after["content"] = entry["content"]
        elif self.state == "link":
            self.after["to"] = entry["src"]

    @property
    def needed(self) -> bool:
        return self.before != self.after

    def read(self) -> dict[str, Any]:
        """Return the current state of the path, in the format of `after`."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return {"state": "absent"}
        if stat.S_ISLNK(found.st_mode):
            return {"state": "link", "to": os.readlink(self.path)}
        what: dict[str, Any] = {
            "mode": f"{stat.S_IMODE(found.st_mode):04o}",
            "owner": name_of(pwd.getpwuid, found.st_uid),
            "group": name_of(grp.getgrgid, found.st_gid),
        }
        if stat.S_ISDIR(found.st_mode):
            return {"state": "directory"} | what
        if not stat.S_ISREG(found.st_mode):
            return {"state": "neither file nor folder"} | what
        # Bytes, because text mode would convert line endings.
        content = ""
        if self.state == "file":
            content = self.path.read_bytes().decode(errors="replace")
        return {"state": "file", "content": content} | what

    def make(self, module: AnsibleModule) -> None:
        found = self.before["state"]
        if found == "directory" and self.state in ("file", "link"):
            raise Refused(f"{self.path}: found a directory, expected a {self.state}")
        if self.state == "absent" or (self.state == "directory" and found not in ("absent", "directory")):
            remove(self.path)
        if self.state == "directory":
            self.path.mkdir(mode=0o700, exist_ok=True)
            self.own(self.path)
        elif self.state == "link":
            replace_symlink(self.path, self.entry["src"])
        elif self.state == "file" and self.before.get("content") == self.after["content"]:
            self.own(self.path)
        elif self.state == "file":
            self.write(module)

    def write(self, module: AnsibleModule) -> None:
        with replacement(self.path, self.mode) as file:
            file.write(self.entry["content"].encode())
            file.flush()
            if command := self.entry.get("validate"):
                arguments = [word.replace("%s", file.name) for word in shlex.split(command)]
                code, out, err = module.run_command(arguments, handle_exceptions=False)
                if code != 0:
                    raise Refused(
                        f"{self.path}: the new content is invalid. The file was not changed.\n{err or out}"
                    )
            self.own(Path(file.name))

    def own(self, path: Path) -> None:
        try:
            shutil.chown(path, self.after["owner"], self.after["group"])
        except LookupError as error:
            raise Refused(f"{self.path}: {error}") from error
        path.chmod(self.mode)

    def shown(self) -> dict[str, Any]:
        """Return the change in the format of --diff."""
        header = dict.fromkeys(("before_header", "after_header"), str(Path(self.entry["path"])))
        texts = [side.pop("content", "") for side in (self.before, self.after)]
        if texts[0] != texts[1]:
            return header | {"before": texts[0], "after": texts[1]}
        return header | {"before": self.before, "after": self.after}


def name_of(read: Any, number: int) -> str:
    """Return the name of a user or group, or its number if it has no name."""
    try:
        return read(number)[0]
    except KeyError:
        return str(number)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def with_removals(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries, and the removal of other files in exclusive directories."""
    paths = [Path(os.path.normpath(entry["path"])) for entry in entries]
    # Parent folders of an entry stay.
    known = {str(path) for each in paths for path in (each, *each.parents)}
    removals = [
        {"path": path, "state": "absent"}
        for entry in entries
        if entry.get("exclusive") and os.path.isdir(entry["path"])
        for path in sorted(
            os.path.join(os.path.normpath(entry["path"]), name) for name in os.listdir(entry["path"])
        )
        if path not in known
    ]
    return entries + removals


def make(
    module: AnsibleModule, entries: list[dict[str, Any]], done: list[Change], folder: Path, copy: Path
) -> None:
    """Make the changes that entries need, and add them to `done`.

    Files below the folder are written to its copy.
    """
    for entry in entries:
        path = Path(entry["path"])
        change = Change(entry, copy / path.relative_to(folder) if path.is_relative_to(folder) else path)
        if change.needed:
            if not module.check_mode:
                change.make(module)
            done.append(change)
