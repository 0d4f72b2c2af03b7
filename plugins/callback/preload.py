"""Load once what every task would load for itself.

Each task, on each host, is a process of its own that begins as a copy of this one: what is loaded here is
there already. It says nothing, and where it is not enabled the same is done more slowly.
"""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, test_loader

DOCUMENTATION = r"""
name: preload
type: aggregate
short_description: Load plugins before the first task is begun
description: [Filters, tests, lookups and the project's own actions, which most tasks use.]
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
