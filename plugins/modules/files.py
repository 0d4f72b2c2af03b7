"""Install files, folders and links, many in one call."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import staging, unit_check
from ansible_collections.decanter.stack.plugins.module_utils.file_changes import (
    Change,
    Refused,
    make,
    with_removals,
)

DOCUMENTATION = r"""
module: files
short_description: Install files, folders and links, many in one call
description:
  - Installs the templates and folders of a role in one task and one connection. M(ansible.builtin.template)
    takes two round trips for each of them.
  - Replaces files atomically, with their owner and mode. A reader, or the host after a power failure, finds
    the old or the new file whole.
  - Checks unit files with C(systemd-analyze verify). If systemd would reject one or ignore a directive, the
    module fails before it changes a file.
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
  staged:
    description:
      - Has a program check new content of a folder before it replaces the current one. The files are written
        to a copy of the folder, the command sees the copy at the path of the folder, and one rename exchanges
        the two.
      - If the command rejects the copy, the folder keeps its content. If its output names a file of one of
        O(sites), only the files of this site keep their content, and RV(rejected) has the reason.
      - M(decanter.stack.unit_apply) has to follow, with its option C(restore).
    type: dict
    suboptions:
      folder: {description: The folder., type: path, required: true}
      test: {description: A command that fails if the content is invalid., type: str, required: true}
"""
RETURN = r"""
paths:
  {description: "Paths that were created, changed or removed.", type: list, elements: str, returned: always}
rejected:
  description: Sites with rejected files. Their files below the folder of O(staged) keep their content.
  type: list
  elements: dict
  returned: always
  contains:
    item: {description: The name of the site., type: str}
    failed: {description: Always true., type: bool}
    msg: {description: The reason., type: str}
"""


def stage(
    module: AnsibleModule, entries: list[dict[str, Any]], folder: Path, command: str
) -> tuple[list[Change], dict[str, str]]:
    """Make the changes that the command accepts in a copy of the folder.

    Return these changes, and the reason for each site with changes that the command rejects. Raise Refused
    if the command rejects the copy for another reason.
    """
    rejected: dict[str, str] = {}
    while True:
        copy = staging.stage(folder)
        done: list[Change] = []
        make(module, [entry for entry in entries if entry.get("site") not in rejected], done, folder, copy)
        if not done or not (output := staging.fault(folder, command)):
            return done, rejected
        # nginx prints warnings, which may name other sites, before the error.
        error = re.search(r"\[emerg\] (?:\d+#\d+: )?(.+)", output)
        reason = error[1] if error else output
        site = named_site(reason, done)
        if site is None:
            raise Refused(f"{folder}: the new content is invalid. The folder was not changed.\n{output}")
        rejected[site] = f"`{command}` rejects its new files: {reason}"


def named_site(reason: str, changes: list[Change]) -> str | None:
    """Return the changed site with a file, or with a folder such as that of its certificate, in a message."""
    changes = [change for change in changes if change.entry.get("site")]
    # If a message names two sites, the new one conflicts with the one that is served.
    changes.sort(key=lambda change: change.before["state"] != "absent")
    for change in changes:
        if re.search(rf"{re.escape(change.entry['path'])}(?![\w.-])", reason):
            return change.entry["site"]
    return next((change.entry["site"] for change in changes if f"/{change.entry['site']}/" in reason), None)


def check_units(entries: list[dict[str, Any]]) -> None:
    """Raise Refused if systemd rejects a unit file that needs a change."""
    units = unit_check.unit_contents(entries)
    sources = {source for source, _ in units.values()}
    changed = {entry["path"] for entry in entries if entry["path"] in sources and Change(entry).needed}
    names = {
        path.split("/")[0].removesuffix(".d") for path, (source, _) in units.items() if source in changed
    }
    # A changed drop-in is checked with its unit, and a changed unit with its drop-ins.
    units = {path: unit for path, unit in units.items() if path.split("/")[0].removesuffix(".d") in names}
    if faults := unit_check.unit_faults(units):
        raise Refused("\n".join(["systemd rejects the new unit files. No file was changed.", *faults]))


def main() -> None:
    module = AnsibleModule(
        # The action plugin encodes `files`, because Ansible logs arguments to the host's journal.
        argument_spec={
            "packed": {"type": "str", "required": True, "no_log": True},
            "staged": {
                "type": "dict",
                "options": {
                    "folder": {"type": "path", "required": True},
                    "test": {"type": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    entries = with_removals(json.loads(zlib.decompress(base64.b64decode(module.params["packed"]))))
    done: list[Change] = []
    result: dict[str, Any] = {}
    try:
        rejected = install(module, entries, done)
    except (OSError, Refused) as error:
        rejected, result["msg"] = {}, str(error)
    result |= {"changed": bool(done), "paths": [str(Path(change.entry["path"])) for change in done]}
    result["rejected"] = [
        {"item": site, "failed": True, "msg": f"{site}: {reason}"} for site, reason in rejected.items()
    ]
    if module._diff:
        result["diff"] = [change.shown() for change in done]
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


def install(module: AnsibleModule, entries: list[dict[str, Any]], done: list[Change]) -> dict[str, str]:
    """Make all changes and add them to `done`. Return the rejected sites with the reasons."""
    root, staged = Path("/"), module.params["staged"]
    if module.check_mode:
        make(module, entries, done, root, root)
        return {}
    check_units(entries)
    if not staged:
        make(module, entries, done, root, root)
        return {}
    folder = Path(staged["folder"])
    inside = [entry for entry in entries if Path(entry["path"]).is_relative_to(folder)]
    try:
        changes, rejected = stage(module, inside, folder, staged["test"])
        make(module, [entry for entry in entries if entry not in inside], done, root, root)
        if changes and not staging.install(folder):
            make(module, [change.entry for change in changes], [], root, root)
        done += changes
    finally:
        staging.discard(folder)
    for site, reason in rejected.items():
        module.warn(f"{site}: {reason}")
    return rejected


if __name__ == "__main__":
    main()
