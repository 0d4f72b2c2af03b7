"""Where the code of each site comes from, and the secrets of builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.pem import is_pem
from ansible_collections.decanter.stack.plugins.plugin_utils.project import expand_home


def controller_path(path: str, root: str) -> str:
    """Return a path on the controller. A relative path starts at `root`; ~/ is the operator's home."""
    return str(Path(root) / expand_home(path))


def source(site: Mapping[str, Any], root: str) -> dict[str, str]:
    """Return the key `source` with absolute paths: {path} or {git, version, subdir, key}."""
    found = dict(site["source"])
    if "path" in found:
        return found | {"path": controller_path(found["path"], root)}
    found.setdefault("version", "main")
    if "key" in found and not is_pem(found["key"]):
        found["key"] = controller_path(found["key"], root)
    return found


def files(site: Mapping[str, Any], root: str) -> dict[str, dict[str, str]]:
    """Return the key `files` with absolute paths on the controller."""
    return {
        path: {
            key: controller_path(value, root) if key in ("path", "template") else value
            for key, value in file.items()
        }
        for path, file in site["files"].items()
    }


def build_variables(site: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of uv with the site's package indexes and their credentials."""
    indexes = site["indexes"]
    variables = {
        "UV_DEFAULT_INDEX": [f"{index['name']}={index['url']}" for index in indexes if index["default"]],
        "UV_INDEX": [f"{index['name']}={index['url']}" for index in indexes if not index["default"]],
    }
    found = {name: " ".join(values) for name, values in variables.items() if values}
    for index in indexes:
        for key in ("username", "password"):
            if key in index:
                found[f"UV_INDEX_{index['name'].upper().replace('-', '_')}_{key.upper()}"] = index[key]
    return found | site["build_secrets"]
