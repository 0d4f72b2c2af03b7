"""Filters for paths of the operator's project on the controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_path


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"project_path": project_path}
