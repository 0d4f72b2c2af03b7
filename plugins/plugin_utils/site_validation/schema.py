"""The schema of `sites`, composed of the files of plugins/schema/sites, and its defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Filters load this module before the first task. PyYAML's C library parses the files in a tenth of the time.
from ansible.module_utils.common.yaml import yaml_load

FOLDER = Path(__file__).parents[2] / "schema/sites"


class Composition:
    """The files of a folder as one document without references."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: yaml_load(path.read_text("utf-8")) for path in sorted(folder.glob("*.yml"))}

    def resolve(self, node: Any, file: str) -> Any:
        """Return a copy of a node of a file, with references replaced and included properties added."""
        if isinstance(node, list):
            return [self.resolve(item, file) for item in node]
        if not isinstance(node, dict):
            return node
        resolved = {key: self.resolve(item, file) for key, item in node.items() if key != "$ref"}
        if isinstance(node.get("$ref"), str):
            resolved = self.target(node["$ref"], file) | resolved
        if isinstance(node.get("include"), list):
            for name in resolved.pop("include"):
                resolved["properties"] |= self.properties(name)
        return resolved

    def target(self, reference: str, file: str) -> dict[str, Any]:
        """Return the target of a reference in a file, such as `definitions.yml#/$defs/line`."""
        name, _, pointer = reference.partition("#")
        file = name or file
        node = self.files[file]
        for step in pointer.split("/")[1:]:
            node = node[step]
        return self.resolve(node, file)

    def properties(self, file: str) -> dict[str, Any]:
        return self.resolve(self.files[file]["properties"], file)


def subjects() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the title, the file name and the keys of each subject, in the order of the documentation."""
    composition = Composition(FOLDER)
    for file in ("site.yml", *composition.files["site.yml"]["include"]):
        yield composition.files[file]["title"], file, composition.properties(file)


def load() -> dict[str, Any]:
    return Composition(FOLDER).target("sites.yml", "sites.yml")


SCHEMA = load()


def database_name(site_id: Any) -> str:
    """Return the name of a site's database if the site sets none."""
    return str(site_id).replace("-", "_")


def filled(value: Any, schema: Any = SCHEMA) -> Any:
    """Return a copy of a value with the defaults of its schema at every depth.

    Values that do not match the schema are copied as they are.
    """
    if isinstance(value, list):
        return [filled(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
    items = {key: sub["default"] for key, sub in known.items() if "default" in sub}
    # YAML 1.1 reads `on` without quotes as true.
    items.update({"on" if key is True and "on" in known else key: item for key, item in value.items()})
    return {key: filled(item, known.get(key, others)) for key, item in items.items()}


def with_defaults(sites: Any) -> Any:
    """Return a copy of `sites` with the schema's defaults at every depth.

    Invalid values are copied as they are; site_errors reports them.
    """
    sites = filled(sites)
    for site_id, site in sites.items() if isinstance(sites, dict) else ():
        database = site.get("database") if isinstance(site, dict) else None
        if isinstance(database, dict):
            database.setdefault("name", database_name(site_id))
    return sites
