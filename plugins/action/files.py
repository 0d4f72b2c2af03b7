"""Render a role's templates on the controller, and install all of them on the host with one module call."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.decanter.stack.plugins.module_utils.paths import slice_name

KEYS = {
    *("path", "state", "src", "content", "copy", "folder", "shared"),
    *("owner", "group", "mode", "validate", "exclusive"),
}
STATES = ("file", "directory", "link", "absent")
# Code of modules and of programs on hosts.
SHARED = Path(__file__).parents[1] / "module_utils/shared"


def expand(files: Sequence[Any], sites: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the entries of files, and for a path with {site} or {slice} one entry per site.

    A text is the path of a file from a template. Raise ValueError if an entry is invalid.
    """
    for entry in files:
        if not isinstance(entry, str | Mapping):
            raise ValueError(f"found {entry!r}, expected a path or a dictionary")
        file = {"path": entry} if isinstance(entry, str) else dict(entry)
        if unknown := file.keys() - KEYS:
            raise ValueError(f"found {', '.join(sorted(unknown))}, expected {', '.join(sorted(KEYS))}")
        copied = file.keys() & {"folder", "shared"}
        path = str(file.get("path", "none"))
        state = file.setdefault("state", "directory" if copied else "file")
        if not path.startswith("/"):
            raise ValueError(f"found the path {path}, expected an absolute one")
        if state not in STATES:
            raise ValueError(f"{path}: found the state {state}, expected {', '.join(STATES)}")
        if state == "link" and "src" not in file:
            raise ValueError(f"{path}: found no src, expected the target of the link")
        if copied:
            check_copied(file, path)
        if not isinstance(file.get("content", ""), str):  # the message omits the value, which may be a secret
            raise ValueError(f"{path}: found the content a {type(file['content']).__name__}, expected text")
        mode = file.get("mode", "0644")
        if not (isinstance(mode, str) and re.fullmatch("[0-7]{3,4}", mode)):
            raise ValueError(f'{path}: found the mode {mode!r}, expected text such as "0644"')
        if state == "file" and not {"content", "copy"} & file.keys():
            # The path of a template in the role is the path of its file on the host.
            file.setdefault("src", path.lstrip("/").replace("{site}", "site") + ".j2")
        for site in sites if "{site}" in path or "{slice}" in path else [None]:
            template = {"template": file["src"]} if state == "file" and "src" in file else {}
            yield {
                key: named(value, site["name"]) if site and isinstance(value, str) else value
                for key, value in file.items()
                if not (key == "src" and state == "file")
            } | {"site": site, **template}


def named(text: str, site: str) -> str:
    """Return a text with the name and the slice of a site."""
    return text.replace("{site}", site).replace("{slice}", slice_name(site))


def check_copied(file: Mapping[str, Any], path: str) -> None:
    """Raise ValueError if the keys `folder` and `shared` of an entry are invalid."""
    if file["state"] != "directory":
        raise ValueError(f"{path}: found the state {file['state']}, expected directory with folder or shared")
    folder, shared = file.get("folder", "folder"), file.get("shared", [])
    if not isinstance(folder, str) or folder.startswith("/"):
        raise ValueError(f"{path}: found the folder {folder!r}, expected a folder of the role's files")
    known = sorted(module.stem for module in SHARED.glob("*.py"))
    if not isinstance(shared, list) or any(name not in known for name in shared):
        raise ValueError(f"{path}: found shared {shared!r}, expected a list of: {', '.join(known)}")


def copies(
    entry: Mapping[str, Any], source: Path, names: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield an entry for each file and subfolder of a folder, or for its Python files of these names.

    Directories have the mode of the entry. Raise ValueError if a file is not text.
    """
    owner = {key: entry[key] for key in ("owner", "group") if key in entry}
    mode = {key: entry[key] for key in ("mode",) if key in entry}
    paths = source.rglob("*") if names is None else (source / f"{name}.py" for name in names)
    for path in sorted(path for path in paths if "__pycache__" not in path.relative_to(source).parts):
        copy = {"path": f"{entry['path']}/{path.relative_to(source)}"}
        if path.is_dir():
            yield copy | {"state": "directory"} | owner | mode
            continue
        try:
            yield copy | {"state": "file", "content": path.read_bytes().decode()} | owner
        except UnicodeDecodeError:
            raise ValueError(f"{entry['path']}: found {path}, expected a text in UTF-8") from None


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = self._task.args
        if "files" not in arguments or arguments.keys() - {"files", "sites", "staged"}:
            found = ", ".join(sorted(arguments))
            raise AnsibleActionFail(f"files: found {found}, expected files, sites and staged")
        try:
            entries = list(expand(arguments["files"], arguments.get("sites", [])))
            files = [file for entry in entries for file in self._with_copies(entry)]
        except ValueError as error:
            raise AnsibleActionFail(f"files: {error}") from None
        for file in files:
            site, template = file.pop("site", None), file.pop("template", None)
            if "copy" in file:
                file["content"] = self._loader.get_text_file_contents(file.pop("copy"))
            if template:
                file["content"] = self._rendered(template, task_vars | ({"site": site} if site else {}))
            if site:
                file["site"] = site["name"]
        # Compressed and encoded, so that the log of the module call does not contain the files' contents.
        packed = base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()
        given = {"packed": packed} | {key: arguments[key] for key in ("staged",) if key in arguments}
        return self._execute_module("decanter.stack.files", given, task_vars=task_vars)

    def _with_copies(self, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield an entry, and the entries of the files that `folder` and `shared` copy into its directory."""
        folder, shared = entry.pop("folder", None), entry.pop("shared", None)
        yield entry
        if folder is not None:
            yield from copies(entry, Path(self._find_needle("files", folder)))
        if shared is not None:
            yield from copies(entry, SHARED, shared)

    def _rendered(self, template: str, variables: dict[str, Any]) -> str:
        """Return the text of a template, rendered as the module ansible.builtin.template renders it."""
        path = self._find_needle("templates", template)
        text = trust_as_template(self._loader.get_text_file_contents(path))
        folder = path.removesuffix(template)  # includes are relative to it
        known_variables = {"ansible_managed": "Ansible managed"} | variables
        templar = self._templar.copy_with_new_env(searchpath=[folder], available_variables=known_variables)
        return templar.template(text, escape_backslashes=False)
