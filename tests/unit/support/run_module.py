"""Runs a module of ours as Ansible does on a host: a process of its own, its arguments on its input."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

from collection import ROOT, environment

MODULES = ROOT / "plugins/modules"


class Done(NamedTuple):
    """What a module has said, whole and understood."""

    code: int
    text: str
    result: dict[str, Any]


def run_module(name: str, /, *, check: bool = False, diff: bool = False, **arguments: Any) -> Done:
    given = arguments | {"_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, MODULES / f"{name}.py"],
        env=environment(),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    # Killed, it says nothing.
    result = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
    return Done(done.returncode, done.stdout + done.stderr, result)
