"""Put files, folders and links in place, many in one call."""

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
short_description: Put files, folders and links in place, many in one call
description:
  - A role's templates and folders in one task and one call of the host, where M(ansible.builtin.template)
    takes two for each of them.
  - A file is replaced at once, with its owner and mode; a reader, or a power cut, sees the old one or
    the new one whole.
options:
  files:
    description:
      - What has to be there, in this order. A path alone is a file that is rendered from the template
        of that path (C(/etc/a.conf) from C(templates/etc/a.conf.j2)).
      - A path with C({site}) stands for one path for each of O(sites). Its template knows the site as C(site)
        and has C(site) in its name where the path has C({site}). In O(files[].owner), O(files[].group) and
        O(files[].src) of a link it stands for the site's name, too.
    type: list
    elements: raw
    required: true
    suboptions:
      path: {description: Where., type: path, required: true}
      state: {description: What., type: str, choices: [file, directory, link, absent], default: file}
      src: {description: A file's template; where a link leads., type: str}
      content: {description: A file's content where it has no template., type: str}
      copy: {description: A file on the controller whose content is copied., type: path}
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
            copy of each file. A program beside the directory C(shared) imports them as C(shared.NAME).
        type: list
        elements: str
      owner: {description: Its user., type: str, default: root}
      group: {description: Its group., type: str, default: root}
      mode: {description: Its mode; 0755 for a directory where none is given., type: str, default: "0644"}
      validate: {description: A command that checks the new file at %s before it takes its place., type: str}
      exclusive: {description: Whether what else is in the directory is removed., type: bool, default: false}
  sites: {description: Dictionaries with a C(name)., type: list, elements: dict, default: []}
"""
RETURN = r"""
paths: {description: What was made, changed or removed., type: list, elements: str, returned: always}
"""


class Refused(Exception):
    """A file cannot be put in place; the message says why."""


class Change:
    """What is to be done for one path, found out before anything is."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry, self.path, self.state = entry, Path(entry["path"]), entry["state"]
        self.mode = int(entry.get("mode", "0755" if self.state == "directory" else "0644"), 8)
        self.before = self.look()
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

    def look(self) -> dict[str, Any]:
        """What is there, in the terms of what is wanted."""
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
        # As it is: lines may end as another system ends them.
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
                    raise Refused(f"{self.path} was left as it is: its new content is refused.\n{err or out}")
            self.own(Path(file.name))

    def own(self, path: Path) -> None:
        try:
            shutil.chown(path, self.after["owner"], self.after["group"])
        except LookupError as error:
            raise Refused(f"{self.path}: {error}") from error
        path.chmod(self.mode)

    def shown(self) -> dict[str, Any]:
        """The change as Ansible prints it with --diff."""
        header = {"before_header": str(self.path), "after_header": str(self.path)}
        texts = [side.pop("content", "") for side in (self.before, self.after)]
        if texts[0] != texts[1]:
            return header | {"before": texts[0], "after": texts[1]}
        return header | {"before": self.before, "after": self.after}


def name_of(read: Any, number: int) -> str:
    """A user's or a group's name, or its number where it has none."""
    try:
        return read(number)[0]
    except KeyError:
        return str(number)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def with_strangers(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries, and the removal of what else is in exclusive directories."""
    paths = [Path(os.path.normpath(entry["path"])) for entry in entries]
    # What is below a folder of ours keeps the folder.
    known = {str(path) for each in paths for path in (each, *each.parents)}
    strangers = [
        {"path": path, "state": "absent"}
        for entry in entries
        if entry.get("exclusive") and os.path.isdir(entry["path"])
        for path in sorted(
            os.path.join(os.path.normpath(entry["path"]), name) for name in os.listdir(entry["path"])
        )
        if path not in known
    ]
    return entries + strangers


def main() -> None:
    module = AnsibleModule(
        # The action plugin packs its `files`: contents in an argument would be in the host's journal.
        argument_spec={"packed": {"type": "str", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    entries = json.loads(zlib.decompress(base64.b64decode(module.params["packed"])))
    done: list[Change] = []
    result: dict[str, Any] = {}
    try:
        for entry in with_strangers(entries):
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
