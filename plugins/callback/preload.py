"""Load plugins once in the main process of Ansible instead of in each task.

Ansible forks a process for each task and host, which inherits the loaded plugins. Without this callback, each
process loads them again. The callback prints nothing.
"""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, test_loader

DOCUMENTATION = r"""
name: preload
type: aggregate
short_description: Load plugins before the first task starts
description: [Loads filters, tests, lookups and the actions of decanter.stack, which most tasks use.]
requirements: [enable in configuration]
"""
PLUGINS = Path(__file__).parents[1]


def own(kind: str) -> list[str]:
    """Return the full names of the collection's plugins of a kind."""
    return [f"decanter.stack.{path.stem}" for path in sorted((PLUGINS / kind).glob("*.py"))]


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "decanter.stack.preload"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: object) -> None:
        for loader in (filter_loader, test_loader):
            list(loader.all())
        # Loads every file of the collection's filters, because ansible-core searches all of them for a name.
        filter_loader.get("decanter.stack.with_defaults")
        for name in ("ansible.legacy.normal", *own("action")):
            action_loader.get(name, class_only=True)
        for name in ("file", "password"):
            lookup_loader.get(f"ansible.builtin.{name}", class_only=True)
