"""The JSON schema of `sites` for editors."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from jsonschema import Draft7Validator
from repository import ROOT, repository_files
from sites_examples import REMOVE, changed, full, minimal
from sites_tables import EDITOR

INVENTORIES = sorted(ROOT.glob("inventories/*/group_vars/all/sites.yml"))
# The scenario `upgrade` has keys of an earlier version in old_inventory.
EXAMPLES = [
    path
    for path in repository_files("inventories", "molecule")
    if path.endswith("/sites.yml") and "old_inventory" not in path
]


def invalid_paths(sites: Any) -> list[str]:
    """Return the paths that an editor marks."""
    return [".".join(map(str, error.absolute_path)) for error in EDITOR.iter_errors({"sites": sites})]


def paths(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value, as keys and indexes."""
    yield steps
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*steps, step))


def replace(sites: Any, steps: tuple[Any, ...], value: Any) -> Any:
    *parents, last = steps
    target = sites = copy.deepcopy(sites)
    for step in parents:
        target = target[step]
    target[last] = value
    return sites


def test_editor_schema_is_valid() -> None:
    Draft7Validator.check_schema(EDITOR.schema)


@pytest.mark.parametrize("path", EXAMPLES)
def test_editor_accepts_example_inventories(path: str) -> None:
    variables = yaml.safe_load((ROOT / path).read_text())
    assert [error.message for error in EDITOR.iter_errors(variables)] == []


class Loader(yaml.SafeLoader):
    """A loader of YAML 1.2, where `on` is a string, that reads encrypted values as templates."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if first not in "oO"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_multi_constructor("!", lambda loader, suffix, node: "{{ encrypted }}")


def documented_sites() -> Iterator[Any]:
    """Yield the sites of each YAML block of the documentation, also of a block with keys of one site."""
    known = set(SCHEMA["additionalProperties"]["properties"])
    for page in ["README.md", *(path for path in repository_files("docs") if path.endswith(".md"))]:
        for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
            values = yaml.load(block, Loader)
            if isinstance(values, dict) and "sites" in values:
                yield pytest.param(values["sites"], id=f"{page}: {' '.join(values['sites'])}")
            elif isinstance(values, dict) and values.keys() <= known:
                yield pytest.param({"shop": values}, id=f"{page}: {' '.join(values)}")


@pytest.mark.parametrize("sites", list(documented_sites()))
def test_editor_accepts_the_sites_of_the_documentation(sites: Any) -> None:
    # An example of some keys leaves out the keys that every site requires.
    complete = {site_id: minimal()["harbour"] | site for site_id, site in sites.items()}
    assert [error.message for error in EDITOR.iter_errors({"sites": complete})] == []


@pytest.mark.parametrize("example", [minimal, full])
def test_editor_accepts_valid_sites(example: Any) -> None:
    assert invalid_paths(example()) == []


def test_editor_accepts_other_variables() -> None:
    assert list(EDITOR.iter_errors({"nginx_hsts_seconds": 300})) == []


@pytest.mark.parametrize("steps", list(paths(full())), ids=lambda steps: ".".join(map(str, steps)))
@pytest.mark.parametrize("value", ["{{ lookup('env', 'A') }}", "$ANSIBLE_VAULT;1.1;AES256\n6638\n"])
def test_editor_accepts_a_template_in_place_of_a_value(steps: tuple[Any, ...], value: str) -> None:
    assert invalid_paths(replace(full(), steps, value) if steps else value) == []


INVALID = [
    ("wsgi", REMOVE),
    ("wsgi", "harbour"),
    ("nginx.client_max_body_size", "10 MB"),
    ("database", {"engine": "mysql", "auth": "password", "password": "short"}),
    ("files", {"settings.cfg": {"content": "", "path": "a"}}),
    ("serv_names", []),
    ("tls.moode", "acme"),
    ("tls.mode", "letsencrypt"),
    ("once", ["flask seed"]),
    ("nginx.body_size", "10m"),
    ("gunicorn.settings.bind", "x"),
    ("gunicorn.workers", 65),
    ("gunicorn.workers", "2"),
    ("instance_role", "yes"),
    ("env.PATH", "x"),
    ("env.A", 5),
    ("secrets.A", ""),
    ("server_names", []),
    *(("server_names.0", name) for name in ("Harbour.test", "localhost", "-a.test", "a.test.", "1.2.3.400")),
    ("server_names.0", "*.test"),
    ("database", {"engine": "mysql", "name": "mysql"}),
    ("nginx.headers.set-cookie", "a"),
    ("nginx.limits", True),
    ("processes.task", "x"),
    ("sandbox.User", {"value": "x", "because": "x"}),
    ("outbound", {"a": {"to": ["pay.test"], "because": "x"}}),
]


@pytest.mark.parametrize(("dotted", "value"), INVALID)
def test_editor_marks_an_invalid_value(dotted: str, value: Any) -> None:
    assert invalid_paths(changed(minimal(), dotted, value)), f"expected an error at {dotted}"


@pytest.mark.parametrize("site_id", ["Harbour", "root"])
def test_editor_marks_an_invalid_site_id(site_id: str) -> None:
    assert invalid_paths({site_id: minimal()["harbour"]}) == ["sites"]


def nodes(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keywords of a schema with their values, but no names of properties."""
    if isinstance(value, dict) and key != "default":
        for name, item in value.items():
            if key != "properties":
                yield name, item
            yield from nodes(item, "" if key == "properties" else name)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def test_editor_schema_has_only_keywords_of_editors() -> None:
    found = {name for name, _ in nodes(EDITOR.schema)}
    # yaml-language-server supports the last two.
    known = set(Draft7Validator.VALIDATORS) | {"$schema", "$comment", "title", "description", "default"}
    assert found <= known | {"errorMessage", "doNotSuggest"}
    assert "format" not in found, "expected patterns instead of our own formats"


def test_editor_patterns_are_anchored_and_have_no_syntax_of_python() -> None:
    sources = [value for key, value in nodes(SCHEMA) if key == "pattern"]
    assert [pattern for pattern in sources if not (pattern.startswith("^") and pattern.endswith("$"))] == []
    patterns = [value for key, value in nodes(EDITOR.schema) if key == "pattern"]
    assert len(patterns) > 100
    assert [pattern for pattern in patterns if re.search(r"\(\?[a-zA-Z<]|\\[AZ]", pattern)] == []


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.parts[-4])
def test_first_line_of_an_inventory_names_the_schema(path: Any) -> None:
    prefix, _, schema = path.read_text().splitlines()[0].partition("=")
    assert prefix == "# yaml-language-server: $schema"
    assert (path.parent / schema).resolve() == ROOT / "docs/sites.schema.json"
    assert f"{prefix}={schema}\n" in (ROOT / "docs/sites.md").read_text()
