"""Our plugins, imported as Ansible would: action plugins by their file, module_utils beside Ansible's own."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import ansible.module_utils

PLUGINS = Path(__file__).parents[1] / "plugins"

if str(PLUGINS / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(PLUGINS / "module_utils"))


def load(kind: str, name: str) -> ModuleType:
    """A plugin of a kind: action, modules."""
    spec = importlib.util.spec_from_file_location(f"{kind}_{name}", PLUGINS / kind / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def utils(name: str) -> ModuleType:
    return importlib.import_module(f"ansible.module_utils.{name}")
