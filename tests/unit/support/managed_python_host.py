"""A host, as folders, on which the module managed_python runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from collection import environment
from python_mirror import Mirror
from run_module import MODULES, CompletedModule
from uv_program import find_uv

# Exclude interpreters and packages of the machine that runs the tests.
WANTED = {"version": "3.12", "package": "decanter-has-no-such-package", "instead": []}


class Host:
    def __init__(self, root: Path, mirror: Mirror, pins: dict[str, Any]) -> None:
        self.root, self.mirror, self.pins = root, mirror, pins
        self.folder, self.link = root / "python", root / "python/bin/python3.12"
        self.uv = find_uv()

    def arguments(self, **more: Any) -> dict[str, Any]:
        return {
            "pythons": [WANTED],
            "pins": self.pins,
            "pins_path": str(self.root / "lib/pythons.json"),
            "mirror": self.mirror.url,
            "path": str(self.folder),
            "system": str(self.root / "usr"),
            "uv": self.uv,
            "environments": [str(self.root / "srv/*/venvs/*")],
        } | more

    def start(self, check: bool = False, **more: Any) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, MODULES / "managed_python.py"], env=environment(),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        given = self.arguments(**more) | {"_ansible_check_mode": check}
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        process.stdin.close()
        return process

    def run(self, check: bool = False, **more: Any) -> CompletedModule:
        with self.start(check, **more) as process:
            text = process.stdout.read()
        result = json.loads(text) if text.strip().startswith("{") else {}
        return CompletedModule(process.returncode, text, result)

    def builds(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("[0-9]*"))

    def version(self) -> str:
        done = subprocess.run([self.link, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def environment(self, site: str) -> Path:
        """Create an environment of a site with the current build, and return its folder."""
        folder = self.root / f"srv/{site}/venvs/0123456789ab/bin"
        folder.mkdir(parents=True)
        (folder / "python").symlink_to(self.link.resolve())
        return folder.parent


def failure_message(done: CompletedModule) -> str:
    """Return the message of a failed module, which is one line."""
    assert done.code != 0 and done.result.get("failed"), f"expected a failure, got {done}"
    assert "\n" not in done.result["msg"], f"expected one line, got {done.result['msg']}"
    return done.result["msg"]
