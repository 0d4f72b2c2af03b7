"""Write the generated documentation: keys of `sites`, their schema, commands, messages, variables of roles.

With --check, print the stale files instead, and exit with status 1 if there are any.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import expected_words
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA, subjects
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import refusal

from tools import message_reference
from tools.editor_schema import variables_schema
from tools.library import ROOT

# Everything after a mark is generated.
KEYS_MARK = "<!-- keys -->"
VARIABLES_MARK = "<!-- variables -->"
MESSAGES_MARK = "<!-- messages -->"
COMMANDS_MARK = "<!-- commands -->"
# A group of targets, or a target with its description.
TARGET = re.compile(r"^## (?P<group>.+)$|^(?P<name>[a-z-]+):.*?## (?P<text>.+)$", re.MULTILINE)
TYPES = {"array": "list", "object": "dictionary", "integer": "number", "boolean": "true or false"}


def cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", r"\|")


def literal(text: str) -> str:
    """Return a text for a table or a list, with its characters of Markdown and HTML escaped."""
    return cell(text).replace("<", "&lt;").replace("*", r"\*").replace("`", r"\`")


def code(value: Any) -> str:
    if isinstance(value, str) and value:
        return f"`{cell(value)}`"
    return f"`{cell(json.dumps(value, ensure_ascii=False))}`"


def schema_nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the path and the schema of each key and of list items, and whether the key is required."""
    for name, child in node.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        yield where, child, name in node.get("required", [])
        yield from schema_nodes(child, where)
        if child["type"] == "array":
            yield f"{where}[]", child["items"], False
            yield from schema_nodes(child["items"], f"{where}[]")


def schema_rows(node: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each key of a schema: its path, type, default and description."""
    for where, child, is_required in schema_nodes(node):
        if where.endswith("[]"):
            continue
        kinds = child["type"] if isinstance(child["type"], list) else [child["type"]]
        kind = " or ".join(str(TYPES.get(kind, kind)) for kind in kinds)
        if "enum" in child:
            kind = " or ".join(code(value) for value in child["enum"])
        default = code(child["default"]) if child.get("default") not in (None, {}) else ""
        yield where, kind, "**required**" if is_required else default, child["description"]


def expected_rows(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path of each key of a schema, and the words that its error has after `expected`."""
    nodes = list(schema_nodes(node))
    for where, child, _ in nodes:
        if not where.endswith("[]") or {"expected", "enum"} & child.keys():
            yield where, expected_words(child)
    for where, child in [("", node), *((where, child) for where, child, _ in nodes)]:
        for name, rule in child.get("refused", {}).items():
            yield f"{where}.{name}".lstrip("."), refusal(rule)["expected"]


def message_lists() -> str:
    """Return the values that errors of `sites` expect, and the messages of the code by subject."""
    rows = expected_rows(SCHEMA["additionalProperties"])
    lines = [f"| `{key}` | {literal(words)} |" for key, words in rows]
    parts = ["## Values of sites\n", "| key of a site | expected |", "| --- | --- |", *lines]
    for title, patterns in message_reference.SECTIONS.items():
        parts += [f"\n## {title}\n", *(f"- {literal(text)}" for text in message_reference.messages(patterns))]
    return "\n".join(parts) + "\n"


def spec_rows(options: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each option of an argument spec, and for the options below it."""
    for name, option in options.items():
        where = f"{path}{name}"
        kind = option.get("type", "str")
        if "elements" in option:
            kind = f"{kind} of {option['elements']}"
        if "choices" in option:
            kind = " or ".join(code(value) for value in option["choices"])
        default = (
            "**required**"
            if option.get("required")
            else code(option["default"])
            if "default" in option
            else ""
        )
        description = option["description"]
        yield where, kind, default, " ".join(description) if isinstance(description, list) else description
        if "options" in option:
            yield from spec_rows(option["options"], f"{where}[]." if kind.startswith("list") else f"{where}.")


def table(rows: Iterator[tuple[str, str, str, str]], first: str) -> str:
    lines = [f"| {first} | type | default | |", "| --- | --- | --- | --- |"]
    lines += [f"| `{where}` | {kind} | {default} | {cell(text)} |" for where, kind, default, text in rows]
    return "\n".join(lines) + "\n"


def key_tables() -> str:
    """Return the rule of a site's id, and a table of the keys of each subject."""
    required = {"required": SCHEMA["additionalProperties"]["required"]}
    tables = [
        f"## {title}\n\n{table(schema_rows({'properties': keys} | required), 'key of a site')}"
        for title, _, keys in subjects()
    ]
    identifier = (
        f"Each key of `sites` is {SCHEMA['propertyNames']['expected']}. "
        "A name that the system uses is invalid, such as `mysql`."
    )
    return f"{identifier}\n\n" + "\n".join(tables)


def command_table(makefile: Path) -> str:
    """Return a table of the targets of a makefile, as `make help` prints them."""
    lines = ["| command | |", "| --- | --- |"]
    for found in TARGET.finditer(makefile.read_text()):
        lines.append(
            f"| **{cell(found['group'])}** | |"
            if found["group"]
            else f"| `make {found['name']}` | {cell(found['text'])} |"
        )
    return "\n".join(lines) + "\n"


def command_tables() -> str:
    """Return the commands of a clone, and those of an operator's project."""
    return (
        f"## In a clone\n\n{command_table(ROOT / 'Makefile')}\n"
        f"## In your own project\n\n{command_table(ROOT / 'new_project/Makefile')}"
    )


def written(path: Path, mark: str) -> str:
    """Return the part of a page that is not generated, with the mark at its end."""
    return path.read_text().split(mark)[0] + mark + "\n\n"


def pages() -> Iterator[tuple[Path, str]]:
    sites = ROOT / "docs/sites.md"
    yield sites, written(sites, KEYS_MARK) + key_tables()
    yield ROOT / "docs/sites.schema.json", json.dumps(variables_schema(), indent=2, ensure_ascii=False) + "\n"
    reference = ROOT / "docs/messages.md"
    yield reference, written(reference, MESSAGES_MARK) + message_lists()
    commands = ROOT / "docs/commands.md"
    yield commands, written(commands, COMMANDS_MARK) + command_tables()
    for readme in sorted([*ROOT.glob("roles/*/README.md"), *ROOT.glob("tests/lab/roles/*/README.md")]):
        specs = yaml.safe_load((readme.parent / "meta/argument_specs.yml").read_text())
        variables = table(spec_rows(specs["argument_specs"]["main"]["options"]), "variable")
        yield readme, written(readme, VARIABLES_MARK) + f"## Variables\n\n{variables}"


def main() -> int:
    stale = [(path, text) for path, text in pages() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        name = path.relative_to(ROOT)
        if "--check" in sys.argv:
            print(f"{name} is stale: run make docs")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
