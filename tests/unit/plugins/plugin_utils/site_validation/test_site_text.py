"""Characters that no text of a site may contain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import validator
from sites_tables import errors_of

# Paths of the controller, which no file can have; site_errors requires that the file exists.
PATHS = {"source.path", "files.*.path", "files.*.template"}


def texts(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of each string."""
    if "string" in node.get("type", ()) or node.get("type") == "string":
        yield path, node
    for key, child in node.get("properties", {}).items():
        yield from texts(child, f"{path}.{key}".lstrip("."))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from texts(node[key], f"{path}.*".lstrip("."))


TEXTS = dict(texts(SCHEMA["additionalProperties"]))


def test_all_texts_of_the_schema_are_known() -> None:
    assert TEXTS.keys() > PATHS
    assert {"secrets.*", "env.*", "database.password", "files.*.content", "tls.key"} < TEXTS.keys()


@pytest.mark.parametrize("path", sorted(TEXTS.keys() - PATHS))
def test_text_with_a_nul_byte_is_rejected(path: str) -> None:
    rules = validator().evolve(schema=TEXTS[path])
    rejected = [value for value in ("correct-horse\0", "\0", "a\0b.test") if rules.is_valid(value)]
    assert rejected == [], f"{path}: expected that values with a NUL byte are rejected"


@pytest.mark.parametrize("character", ["\ufdd0", "\ufffe", "\U0010ffff"])
@pytest.mark.parametrize("path", ["env.TITLE", "migrate", "build.0", "secrets.KEY"])
def test_text_with_a_noncharacter_is_rejected(path: str, character: str, root: str) -> None:
    value = [f"a{character}"] if path == "build.0" else f"a{character}"
    shown = path.replace(".0", "[0]")
    found = f"the character U+{ord(character):04X}"
    expected = [f"sites.harbour.{shown}: found {found}, expected a text without Unicode noncharacters"]
    assert errors_of(path.removesuffix(".0"), value, root) == expected


def test_text_with_rare_characters_is_accepted(root: str) -> None:
    assert errors_of("env.TITLE", "\ufffd\U0010fffd\ue000\u200d", root) == []
