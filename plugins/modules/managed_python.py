"""Install Python versions that neither the distribution nor the operator provides, pinned by checksum."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import platform
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import unsafe
from ansible_collections.decanter.stack.plugins.module_utils.python_builds import (
    REMEDY,
    Build,
    Installation,
    ManagedPythonError,
    explained,
    location,
    pinned,
)
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink, write_file

DOCUMENTATION = r"""
module: managed_python
short_description: Install Python versions that neither the distribution nor the operator provides
description:
  - uv downloads each version once and verifies its checksum. Each build has its own folder, so that another
    build never changes the Python below a running environment. F(PATH/bin/pythonX.Y) is a symlink to the
    current build; it is written last, after the build was executed once.
  - A build that is neither current nor the base of an environment is removed by a later run. The run that
    replaces a build keeps it, because a release may be building an environment with it.
  - Check mode returns C(outdated) as well.
options:
  pythons:
    description: Versions that sites need, each with its C(version), the distribution's C(package), and
      C(alternatives), paths or patterns of other interpreters that a site can use.
    type: list
    elements: dict
    required: true
  pins: {description: The builds as in uv's download-metadata.json., type: dict, required: true}
  pins_path:
    {description: Where uv reads the builds., type: path, default: /usr/local/lib/decanter/pythons.json}
  mirror: {description: URL that replaces the default location of the archives., type: str, default: ""}
  path: {description: The folder of the Pythons., type: path, default: /opt/decanter/python}
  system: {description: The folder of the distribution's interpreters., type: path, default: /usr/bin}
  uv: {description: The uv program., type: path, default: /opt/decanter/uv/current/bin/uv}
  environments:
    description: Patterns of environments that need their managed Python.
    type: list
    elements: str
    default: ["/srv/*/venvs/*"]
  timeout: {description: Seconds after which a download is cancelled., type: int, default: 900}
"""
RETURN = r"""
pythons: {description: The interpreter of each managed version., type: dict, returned: success}
outdated:
  {description: One line for each version with a newer pinned build., type: list, elements: str,
  returned: success}
"""
# Modules of the standard library that depend on shared libraries of the archive or the host.
CHECK = "import platform, ssl, sqlite3, ctypes; print(platform.python_version())"


def provided(python: dict[str, Any], system: str) -> bool:
    """Return whether the host has an interpreter of a version, or apt a package of it."""
    patterns = [f"{system}/python{python['version']}", *python.get("alternatives", [])]
    if any(not unsafe(path) for pattern in patterns for path in glob.glob(pattern)):
        return True
    if not shutil.which("apt-cache"):
        return False
    # `apt-cache show` treats python3.8 as a pattern and finds other packages.
    names = subprocess.run(["apt-cache", "pkgnames", python["package"]], capture_output=True, text=True)
    return python["package"] in names.stdout.splitlines()


def checked_mirror(mirror: str) -> str:
    """Return a mirror without a trailing slash. Raises ManagedPythonError if it is not a usable URL."""
    parts = urlsplit(mirror)
    if parts.username or parts.password:  # Ansible writes a module's arguments to the host's log
        raise ManagedPythonError("python_mirror: found a password in the URL, expected it in /root/.netrc.")
    if mirror and not (parts.scheme in ("http", "https") and parts.hostname):
        raise ManagedPythonError(
            f"python_mirror: found {mirror}, expected a URL such as https://mirror.example/python."
        )
    return mirror.rstrip("/")


def end_with_parent() -> None:
    """Make the kernel kill this process when the module ends, so that uv does not outlive a killed run."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def install(build: Build, params: dict[str, Any], mirror: str) -> None:
    """Install a build into its own folder and mark it as complete. Remove the folder if a step fails."""
    folder = Path(params["path"]) / build.folder
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run
    try:
        # Other users cannot reach it before its modes are right: uv's lock file is writable by everyone.
        folder.mkdir(mode=0o700)
        download(build, folder, params, mirror)
        for name in (".temp", ".lock", ".gitignore"):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        own_by_root(folder)
        verify(build, Path(params["path"]) / build.program)
        folder.chmod(0o755)
        sync(folder)
        (folder / ".complete").touch(mode=0o644)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def download(build: Build, folder: Path, params: dict[str, Any], mirror: str) -> None:
    """Run uv, which downloads, verifies and unpacks an archive. Raises ManagedPythonError."""
    command = (
        params["uv"], "python", "install", "--install-dir", str(folder), "--no-bin", "--no-config",
        "--no-cache", "--no-progress", "--color", "never",
        "--python-downloads-json-url", params["pins_path"], build.key,
    )  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
    environment |= {"UV_SYSTEM_CERTS": "1"} | ({"UV_PYTHON_INSTALL_MIRROR": mirror} if mirror else {})
    try:
        done = subprocess.run(
            command, env=environment, timeout=params["timeout"], text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ManagedPythonError(
            f"python: Python {build.version} cannot be downloaded from {location(build, mirror)} within "
            f"{params['timeout']} s. {REMEDY}"
        ) from None
    except OSError as error:
        raise ManagedPythonError(f"{params['uv']}: found {error.strerror}, expected uv.") from None
    if done.returncode != 0:
        raise ManagedPythonError(explained(done.stdout, build, mirror))


def own_by_root(folder: Path) -> None:
    """Set root as the owner of a tree; remove setuid bits and write permissions of other users."""
    for _, folders, files, here in os.fwalk(folder):
        for name in (*folders, *files):
            os.chown(name, os.geteuid(), os.getegid(), dir_fd=here, follow_symlinks=False)
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if not stat.S_ISLNK(mode):
                executable = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
                os.chmod(name, 0o755 if executable else 0o644, dir_fd=here)


def verify(build: Build, program: Path) -> None:
    """Raise ManagedPythonError if an interpreter does not run on this host; write its bytecode if it does."""
    try:
        done = subprocess.run([program, "-I", "-c", CHECK], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagedPythonError(f"{program}: found {error}, expected Python {build.version}.") from None
    if done.returncode != 0 or done.stdout.strip() != build.version:
        output = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ManagedPythonError(f"{program}: found {output}, expected Python {build.version}.")
    # Sites cannot write it. The status is not checked, because the library has tests with invalid syntax.
    library = program.parents[1] / f"lib/python{build.minor}"
    subprocess.run([program, "-I", "-m", "compileall", "-q", "-j", "0", library], capture_output=True)


def sync(folder: Path) -> None:
    """Write a tree to disk: after a power failure a complete build must not have empty files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed", str(folder))
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Create the folder of the Pythons and wait for another run on this host."""
    for folder in (root, root / "bin"):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def apply(params: dict[str, Any], builds: list[Build], mirror: str) -> None:
    """Bring the host to the pinned builds."""
    root = Path(params["path"])
    with locked(root):
        found = Installation(root, builds, params["environments"])
        for build in found.missing:
            install(build, params, mirror)
        for build in found.unlinked:
            replace_symlink(root / f"bin/python{build.minor}", f"../{build.program}")
        for minor in found.stale:
            (root / f"bin/python{minor}").unlink()
        for path in found.superseded:
            shutil.rmtree(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "pythons": {"type": "list", "elements": "dict", "required": True},
            "pins": {"type": "dict", "required": True},
            "pins_path": {"type": "path", "default": "/usr/local/lib/decanter/pythons.json"},
            "mirror": {"type": "str", "default": ""},
            "path": {"type": "path", "default": "/opt/decanter/python"},
            "system": {"type": "path", "default": "/usr/bin"},
            "uv": {"type": "path", "default": "/opt/decanter/uv/current/bin/uv"},
            "environments": {"type": "list", "elements": "str", "default": ["/srv/*/venvs/*"]},
            "timeout": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    params, pins = module.params, Path(module.params["pins_path"])
    try:
        mirror = checked_mirror(params["mirror"])
        versions = {each["version"] for each in params["pythons"] if not provided(each, params["system"])}
        builds = [pinned(params["pins"], version, platform.machine()) for version in sorted(versions)]
        found = Installation(Path(params["path"]), builds, params["environments"])
        text = json.dumps(params["pins"], indent=2) + "\n"
        current = not builds or (pins.exists() and pins.read_text() == text)
        result = {
            "changed": found.changed or not current,
            "outdated": found.outdated,
            "pythons": {build.minor: f"{params['path']}/{build.program}" for build in builds},
        }
        if result["changed"] and not module.check_mode:
            os.umask(0o022)  # sites must be able to read the files
            if not current:
                pins.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write_file(pins, text)
            apply(params, builds, mirror)
    except ManagedPythonError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
