"""The paths at which Python and Ansible find the collection."""

from __future__ import annotations

import os

from repository import ROOT

COLLECTIONS = ROOT / ".ansible/collections"
# Created by bin/setup.
LINK = ".ansible/collections/ansible_collections/decanter/stack"


def environment() -> dict[str, str]:
    """Return the environment of a process that imports the collection without Ansible, such as a module."""
    return os.environ | {"PYTHONPATH": str(COLLECTIONS)}
