"""An inventory's sites.yml, and the text of an entry in it."""

from __future__ import annotations

import json
import stat
import textwrap
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import write_file

LONGEST = 110  # a line of an entry


def flow(value: Any, inside: bool = False) -> str:
    """Return a value on one line, with double quotes where YAML requires quotes."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item, True)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow(item, True) for item in value) + "]"
    # YAML requires more quotes inside brackets than outside.
    text = yaml.safe_dump([value], default_flow_style=inside, width=10**6, allow_unicode=True).strip()
    plain = text[1:-1] if inside else text.removeprefix("- ")
    return json.dumps(value, ensure_ascii=False) if plain.startswith(("'", '"')) else plain


def written(name: str, entry: dict[str, Any], optional: list[str], indent: str) -> str:
    """Return the entry's lines; `indent` is one level of this file."""
    lines = [f"{indent}{name}:"]
    for key, value in entry.items():
        line = f"{indent * 2}{key}: {flow(value)}"
        if key != "env" and (len(line) <= LONGEST or not isinstance(value, dict | list)):
            lines.append(line)
            continue
        lines.append(f"{indent * 2}{key}:")
        if isinstance(value, dict):
            lines += [f"{indent * 3}{item}: {flow(text)}" for item, text in value.items()]
        else:
            lines += [f"{indent * 3}- {flow(item)}" for item in value]
    if optional:
        text = f"Optional variables that it also reads: {', '.join(optional)}"
        lines += textwrap.wrap(
            text, LONGEST, initial_indent=f"{indent * 2}# ", subsequent_indent=f"{indent * 2}# "
        )
    return "\n".join(lines) + "\n"


class Refused(Exception):
    """The file has a form that new-site cannot extend."""


class Loader(yaml.SafeLoader):
    """Reads encrypted and unsafe values, which belong to other entries, as texts."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: f"a value of {suffix}")


class SitesFile:
    """An inventory's sites.yml. A new entry is appended, and the rest of the file keeps its bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            # Bytes, because text mode would change Windows line ends.
            self.text = self.path.read_bytes().decode("utf-8")
            self.content = yaml.load(self.text, Loader)
            root = yaml.compose(self.text, Loader)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise Refused(
                f"{path}: found invalid YAML, expected one document ({' '.join(str(error).split())})"
            ) from error
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        if not pairs or pairs[-1][0].value != "sites" or not self._is_extensible(node := pairs[-1][1]):
            raise Refused(
                f"{path}: found another form, expected `sites:` as the last key, an indented block per site"
            )
        self.sites: dict[str, Any] = self.content["sites"] or {}
        first = node.value[0][0].start_mark.column if self.sites else 2
        self.indent = " " * first
        # An entry cannot follow `sites: {}`: the braces are removed.
        self.braces = slice(node.start_mark.index, node.end_mark.index)

    @staticmethod
    def _is_extensible(node: yaml.Node) -> bool:
        if isinstance(node, yaml.ScalarNode):  # empty, after the last site was removed
            return node.tag == "tag:yaml.org,2002:null" and not node.value
        if not isinstance(node, yaml.MappingNode):
            return False
        return not node.value or (not node.flow_style and node.start_mark.column > 0)

    def append(self, name: str, entry: dict[str, Any], optional: list[str]) -> None:
        """Append the entry, and replace the file in one step."""
        block = written(name, entry, optional, self.indent)
        gap = "\n" if self.sites else ""
        before = self.text
        if not self.sites:
            before = before[: self.braces.start].rstrip(" ") + before[self.braces.stop :]
        added = ("" if before.endswith("\n") else "\n") + gap + block
        text = before + (added.replace("\n", "\r\n") if "\r\n" in before else added)
        self._expect(text, self.content | {"sites": self.sites | {name: entry}})
        write_file(self.path, text, stat.S_IMODE(self.path.stat().st_mode))

    def _expect(self, text: str, content: dict[str, Any]) -> None:
        try:
            found = yaml.load(text, Loader)
        except yaml.YAMLError:
            found = None
        if found != content:
            raise Refused(f"{self.path}: found another end of the file, expected the end of the last site")
