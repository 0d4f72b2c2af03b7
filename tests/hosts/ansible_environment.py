"""The environment of a command of Ansible's, plain and with Mitogen, which the Makefile explains."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FOUND = importlib.util.find_spec("ansible_mitogen")
# Nothing where it is not installed: plain Ansible does the same work.
ACCELERATED: dict[str, str] = (
    {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": f"{_FOUND.submodule_search_locations[0]}/plugins/strategy",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }
    if _FOUND and _FOUND.submodule_search_locations
    else {}
)
# Of commands that are measured: what is set in the caller's shell must not decide what is found.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
PLAIN["ANSIBLE_CONFIG"] = str(_ROOT / "ansible.cfg")
MITOGEN = PLAIN | ACCELERATED
