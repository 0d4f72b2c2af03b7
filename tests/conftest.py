"""Import the collection as Ansible does, through the link that bin/setup creates."""

from __future__ import annotations

from ansible.plugins.loader import init_plugin_loader
from collection import COLLECTIONS

init_plugin_loader([str(COLLECTIONS)])
