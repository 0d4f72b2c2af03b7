"""The defaults of sites, and their schema."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import TYPES
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import (
    FOLDER,
    Composition,
    subjects,
)
from hypothesis import given
from jsonschema import Draft202012Validator
from sites_examples import FILLED_DATABASE, SCHEMA, changed, full, minimal
from sites_strategies import ANYTHING

# Defaults of each type, and those of nested dictionaries.
FILLED = {
    "state": "present",
    "packages": [],
    "build_outbound": True,
    "env": {},
    "instance_role": False,
    "health": {"path": "/", "timeout": 30, "watch": 2},
    "gunicorn": {"worker_class": "gthread", "timeout": 30},
    "nginx": {
        "client_max_body_size": "1m",
        "headers": {},
        "hsts": {"subdomains": False, "preload": False},
        "limits": {"rate": 30, "burst": 150, "connections": 100},
        "cache": False,
        "websockets": False,
        "streams": [],
        "idle_timeout": 600,
    },
    "resources": {},
    "tls": {"mode": "self-signed"},
    "sandbox": {},
}


def test_minimal_site_gets_all_defaults(root: str) -> None:
    filled = sites_check.with_defaults(minimal())
    keys = SCHEMA["additionalProperties"]["properties"]
    assert filled["harbour"].keys() == minimal()["harbour"].keys() | {
        key for key, schema in keys.items() if "default" in schema
    }
    assert filled["harbour"].items() >= (minimal()["harbour"] | FILLED).items()
    assert sites_check.site_errors(filled, root) == []


def changed_values(given: Any, filled: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of given values that the filled-in values change."""
    if isinstance(given, dict):
        for key, item in given.items():
            yield from changed_values(item, filled[key], f"{path}.{key}")
    elif given != filled:
        yield path


def test_full_site_keeps_its_values() -> None:
    sites = full()
    assert list(changed_values(sites, sites_check.with_defaults(sites))) == []


def test_partial_dictionary_gets_missing_defaults() -> None:
    sites = changed(minimal(), "health.path", "/readyz")
    sites = {"town-hall": changed(sites, "database.engine", "mysql")["harbour"]}
    filled = sites_check.with_defaults(sites)["town-hall"]
    assert filled["health"] == {"path": "/readyz", "timeout": 30, "watch": 2}
    assert filled["database"] == {**FILLED_DATABASE, "name": "town_hall"}


def test_defaults_change_neither_input_nor_schema() -> None:
    sites, schema = full() | minimal(), copy.deepcopy(SCHEMA)
    before = copy.deepcopy(sites)
    for site in sites_check.with_defaults(sites).values():
        for container in (site[key] for key in FILLED if isinstance(site[key], dict)):
            container["new"] = 1
        site["server_names"].append("new")
        site["static"].append("new")
        site["env"]["new"] = 1
    assert sites == before
    assert schema == SCHEMA


@pytest.mark.parametrize("invalid", [None, [], 7, {"a": None}, {"a": [{}]}, {5: "x"}])
def test_invalid_sites_pass_through_defaults(invalid: Any) -> None:
    assert sites_check.with_defaults(invalid) == invalid


@given(sites=ANYTHING)
def test_any_input_passes_through_defaults(sites: Any) -> None:
    sites_check.with_defaults(sites)


def nodes(schema: dict[str, Any], path: str = "sites") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for key, sub in schema.get("properties", {}).items():
        yield from nodes(sub, f"{path}.{key}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}.*")


@pytest.mark.parametrize(("path", "node"), list(nodes(SCHEMA)), ids=[p for p, _ in nodes(SCHEMA)])
def test_schema_describes_every_key(path: str, node: dict[str, Any]) -> None:
    assert node["description"].endswith("."), path
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    assert set(types) <= set(TYPES)
    if "default" in node:
        Draft202012Validator(node).validate(node["default"])
    rejected, properties = node.get("refused", {}), node.get("properties", {}).keys()
    assert not rejected.keys() & properties
    assert {rule["renamed"] for rule in rejected.values() if isinstance(rule, dict)} <= properties
    if "object" in types:
        strict = node.get("additionalProperties") is False
        assert strict or {"additionalProperties", "propertyNames"} <= node.keys()


def test_schema_is_valid_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dictionaries(item)


def test_schema_is_self_contained() -> None:
    assert [node for node in dictionaries(SCHEMA) if node.keys() & {"$ref", "include", "$defs"}] == []


def test_keys_next_to_a_reference_keep_its_rules() -> None:
    """A validator applies the reference and the keys next to it. The loader replaces keys."""
    files = Composition(FOLDER).files
    references = [node for node in dictionaries(files) if "$ref" in node]
    assert len(references) > 20
    annotations = {"$ref", "description", "expected", "secret"}
    # The definition of a variable of a site has no rule `allOf` to replace.
    assert [node for node in references if node.keys() - annotations not in (set(), {"allOf"})] == []


def test_subjects_have_different_keys() -> None:
    keys = [key for _, _, properties in subjects() for key in properties]
    assert sorted(keys) == sorted(SCHEMA["additionalProperties"]["properties"])
    files = {"sites.yml", "definitions.yml", *(file for _, file, _ in subjects())}
    assert files == {path.name for path in FOLDER.iterdir()}, "expected site.yml to include every file"
