"""Install files, folders and links, many in one call."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shlex
import shutil
import stat
import zlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, replacement

DOCUMENTATION = r"""
module: files
short_description: Install files, folders and links, many in one call
description:
  - Installs the templates and folders of a role in one task and one connection. M(ansible.builtin.template)
    takes two round trips for each of them.
  - Replaces files atomically, with their owner and mode. A reader, or the host after a power failure, finds
    the old or the new file whole.
options:
  files:
    description:
      - The entries, in their order. A text is the path of a file, rendered from the template of that path
        (C(/etc/a.conf) from C(templates/etc/a.conf.j2)).
      - A path with C({site}) is one path for each of O(sites). Its template has the variable C(site), and
        C(site) in its name instead of C({site}). In O(files[].owner), O(files[].group) and O(files[].src) of
        a link, C({site}) is the site's name, too.
    type: list
    elements: raw
    required: true
    suboptions:
      path: {description: The absolute path., type: path, required: true}
      state: {description: The kind., type: str, choices: [file, directory, link, absent], default: file}
      src: {description: The template of a file; the target of a link., type: str}
      content: {description: The content of a file without a template., type: str}
      copy: {description: The path of a file on the controller to copy., type: path}
      folder:
        description:
          - A folder in C(files) of the role. The path is a directory with a copy of each file and subfolder,
            without C(__pycache__). The files are text with mode 0644. Subfolders have O(files[].mode).
          - The owner and group of the copies are O(files[].owner) and O(files[].group).
          - Other files in the directory stay. O(files[].exclusive) removes them, C(__pycache__) too.
        type: str
      shared:
        description:
          - Names of files in C(plugins/module_utils/shared), without C(.py). The path is a directory with a
            copy of each file. A program next to the directory C(shared) imports them as C(shared.NAME).
        type: list
        elements: str
      owner: {description: The user., type: str, default: root}
      group: {description: The group., type: str, default: root}
      mode: {description: The mode; for a directory 0755 by default., type: str, default: "0644"}
      validate: {description: A command that validates the new file at %s before it is installed., type: str}
      exclusive: {description: Whether to remove other files in the directory., type: bool, default: false}
  sites: {description: Dictionaries with a C(name)., type: list, elements: dict, default: []}
"""
RETURN = r"""
paths:
  {description: "Paths that were created, changed or removed.", type: list, elements: str, returned: always}
"""


class Refused(Exception):
    """A file cannot be installed; the message is the reason."""


class Change:
    """The change of one path, computed before anything is changed."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry, self.path, self.state = entry, Path(entry["path"]), entry["state"]
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
        header = {"before_header": str(self.path), "after_header": str(self.path)}
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


def main() -> None:
    module = AnsibleModule(
        # The action plugin encodes `files`, because Ansible logs arguments to the host's journal.
        argument_spec={"packed": {"type": "str", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    entries = json.loads(zlib.decompress(base64.b64decode(module.params["packed"])))
    done: list[Change] = []
    result: dict[str, Any] = {}
    try:
        for entry in with_removals(entries):
            change = Change(entry)
            if change.needed:
                if not module.check_mode:
                    change.make(module)
                done.append(change)
    except (OSError, Refused) as error:
        result["msg"] = str(error)
    result |= {"changed": bool(done), "paths": [str(change.path) for change in done]}
    if module._diff:
        result["diff"] = [change.shown() for change in done]
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
