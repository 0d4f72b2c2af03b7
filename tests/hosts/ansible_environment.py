"""What switches Mitogen on for a command of Ansible's: the Makefile has the same, and says why."""

from __future__ import annotations

import importlib.util

_FOUND = importlib.util.find_spec("ansible_mitogen")
# Nothing where it is not installed: plain Ansible does the same work.
ACCELERATED: dict[str, str] = (
    {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": f"{_FOUND.submodule_search_locations[0]}/plugins/strategy",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }
    if _FOUND
    else {}
)
