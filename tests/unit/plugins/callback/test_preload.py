"""Plugins are loaded before Ansible starts the processes of tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT

# Write the list of the project's plugins that are loaded before a task needs one.
ACTION = """
import json, os, sys
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        paths = (getattr(module, "__file__", None) or "" for module in sys.modules.values())
        files = sorted(map(os.path.realpath, paths))
        open(%r, "w").write(json.dumps([file for file in files if file.startswith(%r)]))
        return {"changed": False}
"""


def test_plugins_are_loaded_before_the_first_task(tmp_path):
    """Otherwise each task loads them again, which takes most of the time of a converge without changes."""
    (tmp_path / "play.yml").write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n    - seen:\n"
    )
    (tmp_path / "action_plugins").mkdir()
    plugins = str(ROOT / "plugins")
    (tmp_path / "action_plugins/seen.py").write_text(ACTION % (str(tmp_path / "seen.json"), plugins))
    command = [Path(sys.executable).with_name("ansible-playbook"), tmp_path / "play.yml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {
        str(Path(file).relative_to(plugins)) for file in json.loads((tmp_path / "seen.json").read_text())
    }
    folders = ("filter", "action")
    expected = {
        f"{folder}/{path.name}" for folder in folders for path in (ROOT / "plugins" / folder).glob("*.py")
    }
    assert expected <= loaded, f"expected {sorted(expected - loaded)} to be loaded"
