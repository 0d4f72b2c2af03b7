"""The operator's project on the controller: the folder that has ansible.cfg and the inventories."""

from __future__ import annotations

import os
from pathlib import Path

from ansible import constants


def expand_home(path: str) -> str:
    """Return a path on the controller, where only ~/ is a home folder: that of the operator."""
    return os.path.expanduser(path) if path.startswith("~/") else path


def project_folder() -> Path:
    """Return the folder of ansible.cfg, or the working folder if Ansible runs without an ansible.cfg."""
    file = constants.config.get_config_value("CONFIG_FILE")
    return Path(file).parent if file else Path.cwd()


def project_path(path: str) -> str:
    """Return a path of the inventory as an absolute path. A relative path starts at the project folder."""
    return str(project_folder() / (expand_home(path)))
