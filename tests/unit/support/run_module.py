"""Run a module of the collection as Ansible does on a host: in a process, with arguments on its input."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

from collection import ROOT, environment

MODULES = ROOT / "plugins/modules"


class CompletedModule(NamedTuple):
    """The exit code, the output and the parsed result of a module."""

    code: int
    text: str
    result: dict[str, Any]


def run_module(name: str, /, *, check: bool = False, diff: bool = False, **arguments: Any) -> CompletedModule:
    given = arguments | {"_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, MODULES / f"{name}.py"],
        env=environment(),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    # A killed module prints nothing.
    result = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
    return CompletedModule(done.returncode, done.stdout + done.stderr, result)
