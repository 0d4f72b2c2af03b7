"""Import the collection as Ansible does, through the link that bin/setup creates."""

from __future__ import annotations

import importlib
import sys

from ansible.plugins.loader import init_plugin_loader
from collection import COLLECTIONS

init_plugin_loader([str(COLLECTIONS)])
# Programs of hosts import this package from their own folder.
sys.modules["shared"] = importlib.import_module(
    "ansible_collections.decanter.stack.plugins.module_utils.shared"
)
