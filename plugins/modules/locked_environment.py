"""Install the packages of a lock file into a separate Python environment, completely or not at all."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError, about, interpreter
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink

DOCUMENTATION = r"""
module: locked_environment
short_description: Install the packages of a lock file into a separate Python environment
description:
  - For programs that use neither the distribution's packages nor those of sites. A new lock file or
    interpreter gets a new environment. The symlink F(PATH/current) is replaced when the environment is
    complete, so that a process starts with the old or the new one.
  - Root can install the packages, because all are wheels, so the installation executes no code of them.
options:
  path: {description: The folder of the environments., type: path, required: true}
  requirements: {description: The text of a lock file with hashes., type: str, required: true}
  python: {description: Paths of interpreters; the first that exists is used., type: list, elements: str,
    required: true}
"""
RETURN = r"""
environment: {description: The environment., type: str, returned: when there is a Python}
"""
# The distribution's pip (python3-pip-whl) runs from its wheel, so environments need no copy of it.
PIP = "/usr/share/python-wheels/pip-*.whl"
LONGEST_LOG = 15  # lines


def build(environment: Path, python: str, requirements: str) -> None:
    """Build an environment at its final path, because scripts contain the path; mark it when complete."""
    wheels = sorted(glob.glob(PIP))
    if not wheels:
        raise BuildError(f"found no {PIP}, expected the package python3-pip-whl")
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir(parents=True, mode=0o755)
    lock = environment / "requirements.txt"
    lock.write_text(requirements)
    pip = (str(environment / "bin/python"), f"{wheels[-1]}/pip", "install")
    quiet = ("--progress-bar", "off", "--no-cache-dir", "--disable-pip-version-check")
    for command in (
        (python, "-m", "venv", "--without-pip", str(environment)),
        (*pip, *quiet, "--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)),
    ):
        # nice: requests have priority. umask: other users must be able to read the environment.
        done = subprocess.run(
            ("nice", *command), umask=0o022, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode != 0:
            tail = "\n".join(done.stdout.rstrip().splitlines()[-LONGEST_LOG:])
            raise BuildError(f"{environment.parent}: {' '.join(command[1:4])} failed\nThe log ends:\n{tail}")
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
        complete = (environment / ".complete").exists()
        linked = current.is_symlink() and os.readlink(current) == environment.name
        others = [path for path in root.glob("*") if path not in (environment, current)]
        result = {"changed": not (complete and linked) or bool(others), "environment": str(environment)}
        if module.check_mode or not result["changed"]:
            module.exit_json(**result)
        if not complete:
            build(environment, python, requirements)
        if not linked:
            replace_symlink(current, environment.name)
        for path in others:
            shutil.rmtree(path)
    except BuildError as error:
        if module.check_mode:  # python3-venv is not installed yet
            module.exit_json(changed=True)
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
