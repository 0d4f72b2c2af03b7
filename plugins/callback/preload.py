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
OWN = sorted(path.stem for path in (Path(__file__).parents[1] / "action").glob("*.py"))


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "preload"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: object) -> None:
        for loader in (filter_loader, test_loader):
            list(loader.all())
        for name in ("normal", *OWN):
            action_loader.get(f"ansible.legacy.{name}", class_only=True)
        for name in ("file", "password"):
            lookup_loader.get(f"ansible.builtin.{name}", class_only=True)
