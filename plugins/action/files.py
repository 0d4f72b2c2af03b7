"""Render a role's templates on the controller, and have the host put all of them in place in one call."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

KEYS = {"path", "state", "src", "content", "copy", "owner", "group", "mode", "validate", "exclusive"}
STATES = ("file", "directory", "link", "absent")


def expand(files: Sequence[Any], sites: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each file once, and one whose path has {site} once for each site, which is its `site`.

    A path alone is a file from a template. Raises ValueError for what is no file.
    """
    for given in files:
        if not isinstance(given, str | Mapping):
            raise ValueError(f"found {given!r}, expected a path or a dictionary")
        file = {"path": given} if isinstance(given, str) else dict(given)
        if strange := file.keys() - KEYS:
            raise ValueError(f"found {', '.join(sorted(strange))}, expected {', '.join(sorted(KEYS))}")
        path, state = str(file.get("path", "none")), file.setdefault("state", "file")
        if not path.startswith("/"):
            raise ValueError(f"found the path {path}, expected an absolute one")
        if state not in STATES:
            raise ValueError(f"{path}: found the state {state}, expected {', '.join(STATES)}")
        if state == "link" and "src" not in file:
            raise ValueError(f"{path}: found no src, expected where the link leads")
        if not isinstance(file.get("content", ""), str):  # not shown: it may be a secret
            raise ValueError(f"{path}: found the content a {type(file['content']).__name__}, expected text")
        mode = file.get("mode", "0644")
        if not (isinstance(mode, str) and re.fullmatch("[0-7]{3,4}", mode)):
            raise ValueError(f'{path}: found the mode {mode!r}, expected text such as "0644"')
        if state == "file" and not {"content", "copy"} & file.keys():
            # A template lies in the role as its file does on the host.
            file.setdefault("src", path.lstrip("/").replace("{site}", "site") + ".j2")
        for site in sites if "{site}" in path else [None]:
            yield {
                key: value.replace("{site}", site["name"]) if site and isinstance(value, str) else value
                for key, value in file.items()
                if not (key == "src" and state == "file")
            } | ({"template": file["src"], "site": site} if state == "file" and "src" in file else {})


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = self._task.args
        if "files" not in arguments or arguments.keys() - {"files", "sites"}:
            raise AnsibleActionFail(f"files: found {', '.join(sorted(arguments))}, expected files and sites")
        try:
            files = list(expand(arguments["files"], arguments.get("sites", [])))
        except ValueError as error:
            raise AnsibleActionFail(f"files: {error}") from None
        for file in files:
            site, template = file.pop("site", None), file.pop("template", None)
            if "copy" in file:
                file["content"] = self._loader.get_text_file_contents(file.pop("copy"))
            if template:
                file["content"] = self._rendered(template, task_vars | ({"site": site} if site else {}))
        # Packed, so that nothing of the contents is logged with the call.
        packed = base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()
        return self._execute_module("decanter.stack.files", {"packed": packed}, task_vars=task_vars)

    def _rendered(self, template: str, variables: dict[str, Any]) -> str:
        """A template's text, as the module ansible.builtin.template makes it."""
        path = self._find_needle("templates", template)
        text = trust_as_template(self._loader.get_text_file_contents(path))
        folder = path.removesuffix(template)  # where includes are looked for
        known = {"ansible_managed": "Ansible managed"} | variables
        templar = self._templar.copy_with_new_env(searchpath=[folder], available_variables=known)
        return templar.template(text, escape_backslashes=False)
