"""Errors of YAML files that Ansible cannot read, or reads in another way than the operator expects.

Messages contain keys and no values, because a value may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.documents import (
    Document,
    documents,
    variable_documents,
)

MERGE = "tag:yaml.org,2002:merge"
NULL = "tag:yaml.org,2002:null"
CONTENT = {"inventory": "a dictionary of groups"}
# A key at the start of a line, or of an item of a list, with a colon that is not followed by a space.
TIGHT_KEY = re.compile(r"\s*(?:- +)*([A-Za-z_][\w-]*):(?![\s/])\S")
TEMPLATE = re.compile(r"(?:^|:\s|-\s|[\[,{]\s*)\s*\{[{%]")
QUOTED_TEMPLATE = 'quotes around it, as in name: "{{ … }}"'


def syntax_errors(sources: Iterable[str]) -> list[str]:
    """Return one line for each error in the files of an inventory."""
    return [line for document in documents(sources) for line in document_errors(document)]


def variable_syntax_errors(folder: Path) -> list[str]:
    """Return one line for each error in the group_vars and host_vars of a folder."""
    return [line for document in variable_documents(folder) for line in document_errors(document)]


def document_errors(document: Document) -> Iterator[str]:
    try:
        root = document.compose()
    except yaml.MarkedYAMLError as error:
        line, words = parse_error(error, document.path.read_text("utf-8").splitlines())
        yield f"{document.name}:{line + 1}: {words}"
    except yaml.reader.ReaderError as error:
        line = document.path.read_bytes()[: error.position].count(b"\n")
        yield f"{document.name}:{line + 1}: found a byte that is not UTF-8 text, expected UTF-8"
    except OSError as error:
        yield f"{document.name}: found a file that cannot be read ({error.strerror}), expected a YAML file"
    else:
        for line, words in root_errors(root, CONTENT.get(document.kind, "a dictionary of variables")):
            yield f"{document.name}:{line + 1}: {words}"


def parse_error(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, str]:
    """Return the line of an error of the parser, which starts at 0, and its words."""
    marks = [mark.line for mark in (error.problem_mark, error.context_mark) if mark]
    # The parser finds the error of a line at its end, or in the next line.
    places = [line for mark in marks for line in (mark, mark - 1) if 0 <= line < len(lines)]
    for line in places:
        if "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
            return line, "found a tab at the start of the line, expected spaces"
        if TEMPLATE.search(lines[line]):
            return line, f"found a template without quotes, expected {QUOTED_TEMPLATE}"
        if key := TIGHT_KEY.match(lines[line]):
            return line, tight_key(key[1])
    problem = " ".join(filter(None, (error.context, error.problem)))
    if "mapping values are not allowed" in problem:
        return marks[0], "found a second colon followed by a space, expected quotes around the value"
    if "expected a single document" in problem:
        return marks[0], "found a second document, expected one document"
    return marks[0] if marks else 0, f"found invalid YAML ({problem}), expected a YAML document"


def tight_key(key: str) -> str:
    return f"found the key {key} without a space after its colon, expected {key}: and a space"


def root_errors(root: yaml.Node | None, expected: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each error in the tree of a document."""
    if root is None or root.tag == NULL:
        return
    if not isinstance(root, yaml.MappingNode):
        found = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        yield root.start_mark.line, f"found {found}, expected {expected}"
    yield from node_errors(root, "", set())


def node_errors(node: yaml.Node, path: str, seen: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in seen:  # an alias, which may also contain itself
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from node_errors(item, f"{path}[{index}]", seen)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        line = key.start_mark.line
        place = path and f"{path}: "
        if not isinstance(key, yaml.ScalarNode):
            if node.flow_style and isinstance(key, yaml.MappingNode):  # {{ name }}
                yield line, f"{place}found a template without quotes, expected {QUOTED_TEMPLATE}"
            else:
                yield line, f"{place}found a list or a dictionary as a key, expected a string"
            continue
        below = f"{path}.{key.value}" if path else key.value
        if key.tag != MERGE and (key.tag, key.value) in first:
            other = first[key.tag, key.value] + 1
            yield line, f"{below}: found the key again, which is also in line {other}, expected it once"
        first.setdefault((key.tag, key.value), line)
        is_empty = isinstance(value, yaml.ScalarNode) and value.tag == NULL and not value.value
        if node.flow_style and is_empty and not key.style and (tight := TIGHT_KEY.match(key.value)):
            yield line, f"{place}{tight_key(tight[1])}"
        yield from node_errors(value, below, seen)
