"""Have a Python environment that holds what a lock file says, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.environment import BuildError, about, end_of, explained, interpreter

DOCUMENTATION = r"""
module: locked_environment
short_description: Have a Python environment that holds what a lock file says, whole or not at all
description:
  - For a program of its own, away from the distribution's and the sites' packages. Another lock file, or
    another Python, is another environment beside the old one; F(PATH/current) is renamed onto it once it is
    whole, so that whoever runs has the old or the new one.
  - Nothing of a package is run while it is installed, for all are wheels. That is why root may do it.
options:
  path: {description: The folder of the environments., type: path, required: true}
  requirements: {description: What a lock file says, with hashes., type: str, required: true}
  python: {description: Where its interpreter may be, the first that is there., type: list, elements: str,
    required: true}
"""
RETURN = r"""
environment: {description: The environment., type: str, returned: when there is a Python}
"""


def build(environment: Path, python: str, requirements: str) -> None:
    """Build an environment in place, for it knows its own path, and mark it when it is whole."""
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir(parents=True, mode=0o755)
    lock = environment / "requirements.txt"
    lock.write_text(requirements)
    quiet = ("--progress-bar", "off", "--no-cache-dir", "--disable-pip-version-check")
    install = ("install", *quiet, "--only-binary", ":all:", "--require-hashes", "--requirement", str(lock))
    for command in (
        (python, "-m", "venv", str(environment)),
        (str(environment / "bin/python"), "-m", "pip", *install),
    ):
        # After those who serve, and readable whatever root's umask is.
        done = subprocess.run(
            ("nice", *command), umask=0o022, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode != 0:
            words = explained(done.stdout, about(python)[2]) if "pip" in command else end_of(done.stdout)
            raise BuildError(words)
    (environment / ".complete").touch()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "requirements": {"type": "str", "required": True},
            "python": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    root, requirements = Path(module.params["path"]), module.params["requirements"]
    current = root / "current"
    try:
        python = interpreter(module.params["python"])
        parts = [*about(python)[:2], requirements]
        environment = root / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        whole = (environment / ".complete").exists()
        linked = current.is_symlink() and os.readlink(current) == environment.name
        others = [path for path in root.glob("*") if path not in (environment, current)]
        result = {"changed": not (whole and linked) or bool(others), "environment": str(environment)}
        if module.check_mode or not result["changed"]:
            module.exit_json(**result)
        if not whole:
            build(environment, python, requirements)
        if not linked:
            new = root / ".current"
            new.unlink(missing_ok=True)
            new.symlink_to(environment.name)
            new.replace(current)
        for path in others:
            shutil.rmtree(path)
    except BuildError as error:
        if module.check_mode:  # what makes environments is not installed yet
            module.exit_json(changed=True)
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
