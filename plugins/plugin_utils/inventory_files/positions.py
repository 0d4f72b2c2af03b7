"""Add the file and the line to errors of an inventory.

ansible-core records the origin of each value, but has no public function that returns it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.documents import (
    Document,
    documents,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import MERGE
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import shown

Pairs = list[tuple[yaml.Node, yaml.Node]]
POSITION = re.compile(r"(.+?):(\d+): ")


@dataclass(frozen=True)
class Scope:
    """Variables of a group or host in a file."""

    file: str
    line: int  # of the group or host
    node: yaml.Node
    is_host: bool
    owner: str
    level: int  # Ansible's precedence of variables: a higher level replaces a lower one


def pairs(node: yaml.Node) -> Pairs:
    """Return the keys and values of a mapping, with those that `<<` includes at the end."""
    if not isinstance(node, yaml.MappingNode):
        return []
    own = [(key, value) for key, value in node.value if key.tag != MERGE]
    for key, value in node.value:
        if key.tag == MERGE:
            targets = value.value if isinstance(value, yaml.SequenceNode) else [value]
            own += [pair for target in targets if target is not node for pair in pairs(target)]
    return own


def item(node: yaml.Node, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((pair for pair in pairs(node) if pair[0].value == name), None)


def below(node: yaml.Node, name: str) -> Pairs:
    found = item(node, name)
    return pairs(found[1]) if found else []


def steps(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield each form in which an error writes a key or an index, with the nodes of the key and the value."""
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"[{index}]", value, value
    for key, value in pairs(node):
        if isinstance(key, yaml.ScalarNode):
            for form in (f".{key.value}", f"[{shown(key.value)}]", f"[{key.value}]"):
                yield form, key, value


def deepest_line(node: yaml.Node, line: int, path: str) -> int:
    """Return the line of the last key of a path that exists below a node. The path ends with a colon."""
    found = [step for step in steps(node) if path.startswith(step[0]) and path[len(step[0])] in ".[:"]
    if not found:
        return line
    form, key, value = max(found, key=lambda step: len(step[0]))
    return deepest_line(value, key.start_mark.line, path[len(form) :])


class Positions:
    """The keys of an inventory's files. `groups` has the hosts of each group."""

    def __init__(self, sources: Iterable[str], groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = groups
        self.hosts = groups.get("all", [])
        self.scopes: list[Scope] = []
        for document in documents(sources):
            try:
                root = document.compose()
            except (yaml.YAMLError, OSError):  # syntax_errors reports them
                continue
            if root is not None:
                self.scopes += document_scopes(document, root)
        # A group in another one has fewer hosts, and replaces the variables of that one.
        self.scopes.sort(key=lambda scope: (scope.level, -len(self.members(scope))))

    def members(self, scope: Scope) -> Sequence[str]:
        return [scope.owner] if scope.is_host else self.groups.get(scope.owner, [])

    def located(self, error: str) -> str:
        """Return the error with its file and line in front, or unchanged if no file has its path."""
        position = self.position(error)
        return f"{position[0]}:{position[1] + 1}: {error}" if position else error

    def position(self, error: str) -> tuple[str, int] | None:
        kind, _, rest = error.partition(".")
        if kind == "groups":
            return self.group_position(re.split(r"[:.\[]", rest)[0])
        if kind == "hosts":
            hosts = [host for host in self.hosts if rest.startswith(f"{host}.")]
            if not hosts:
                return None
            host = max(hosts, key=len)
            return self.variable_position(host, rest.removeprefix(host)) or self.owner_position(host, True)
        return self.variable_position(self.hosts[0], f".{error}") if self.hosts else None

    def variable_position(self, host: str, path: str) -> tuple[str, int] | None:
        """Return the position of a path, which starts with a dot and a variable of the host."""
        for scope in reversed(self.scopes):
            if host in self.members(scope):
                line = deepest_line(scope.node, -1, path)
                if line >= 0:
                    return scope.file, line
        return None

    def owner_position(self, owner: str, is_host: bool) -> tuple[str, int] | None:
        """Return the position of a host or group in a file with groups and hosts."""
        found = [scope for scope in self.scopes if (scope.owner, scope.is_host) == (owner, is_host)]
        return next(((scope.file, scope.line) for scope in found if scope.line >= 0), None)

    def group_position(self, group: str) -> tuple[str, int] | None:
        return self.owner_position(group, False) or self.owner_position("all", False)


def document_scopes(document: Document, root: yaml.Node) -> Iterator[Scope]:
    if document.kind == "inventory":
        if not item(root, "plugin"):
            yield from group_scopes(document.name, pairs(root))
        return
    is_host = document.kind == "host"
    level = 4 if is_host else 1 if document.owner == "all" else 2
    yield Scope(document.name, -1, root, is_host, document.owner, level)


def group_scopes(file: str, groups: Pairs) -> Iterator[Scope]:
    for key, group in groups:
        variables = item(group, "vars")
        yield Scope(file, key.start_mark.line, variables[1] if variables else key, False, key.value, 0)
        for host, values in below(group, "hosts"):
            yield Scope(file, host.start_mark.line, values, True, host.value, 3)
        yield from group_scopes(file, below(group, "children"))


def with_positions(
    errors: Iterable[str], sources: Iterable[Any], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return errors with their file and line in front, in the order of the files.

    A value of a template has the position of the key with the template. A missing key has that of its parent.
    """
    lines = list(errors)
    if not lines:
        return []
    positions = Positions(map(str, sources), groups)
    return sorted(map(positions.located, lines), key=order)


def order(line: str) -> tuple[str, int]:
    found = POSITION.match(line)
    return (found[1], int(found[2])) if found else ("\U0010ffff", 0)
