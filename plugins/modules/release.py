"""Make a release of a site: its tree and the environment that it runs in."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tarfile
from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.database import schema
from ansible.module_utils.live import publish, reason_to_switch, unfinished
from ansible.module_utils.site import Site, read_json, write_file

DOCUMENTATION = r"""
module: release
short_description: Make a release of a site, its tree and its environment
description:
  - Called through the action of the same name, which packs the source on the controller.
  - A release is a function of its content and its environment. When there is one of both already,
    it is named and nothing is made.
  - Nothing of an unfinished release is ever found under its name; what a run that was cut off
    left behind is cleared away by the next.
options:
  site: {description: The site., type: dict, required: true}
  content: {description: Hash of the source's content., type: str, required: true}
  archive: {description: The packed source on the host; without it the site is only looked at., type: path}
  record: {description: What to remember of where the release came from., type: dict, default: {}}
  python: {description: The interpreter that the environment is made with., type: path, required: true}
  server_requirements:
    {description: Locked requirements of the WSGI server we bring., type: str, required: true}
  pinned:
    {description: Whether a site stays on a release that somebody went back to., type: bool, default: true}
"""
RETURN = r"""
id: {description: The release's ID; empty where it has yet to be made., type: str, returned: always}
current: {description: Whether the release is live with all that belongs to it., type: bool, returned: always}
because: {description: What is not as it should be., type: str, returned: always}
pin: {description: The release that the site stays on, if there is one., type: dict, returned: always}
"""


class BuildError(Exception):
    """The environment could not be built; the message ends with the builder's own last lines."""


def environment_hash(tree: Path, python: str, server: str, packages: list[str]) -> str:
    """Whatever makes two environments differ, hashed. A patch release of Python does not."""
    version = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_config_var('SOABI'))"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    parts = [version, (tree / "requirements.txt").read_text(), server, *sorted(packages)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build_environment(site: Site, tree: Path, environment: Path, python: str, server: str) -> None:
    """Build it as the site's user, for a dependency's set-up code may do anything; then it is root's.

    A virtual environment knows its own path, so it is built in place and marked when it is whole.
    """
    if (environment / ".complete").exists():
        return
    user = pwd.getpwnam(site.name)
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir(mode=0o750)
    os.chown(environment, user.pw_uid, user.pw_gid)

    def run(*command: str) -> None:
        process = subprocess.run(
            ("nice", *command), cwd=environment, umask=0o027,
            user=user.pw_uid, group=user.pw_gid, extra_groups=[],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(environment), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if process.returncode != 0:
            tail = "\n".join(process.stdout.splitlines()[-15:])
            raise BuildError(f"{' '.join(command)} failed:\n{tail}")

    interpreter = str(environment / "bin/python")
    pip = (interpreter, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check")
    run(python, "-m", "venv", str(environment))
    # The requirements are copied in: the unfinished tree is root's alone.
    for name, text in (("requirements.txt", (tree / "requirements.txt").read_text()), ("server.txt", server)):
        write_file(environment / name, text)
    run(*pip, "--requirement", "requirements.txt")
    # An application that pins its own server knows why; ours is for those that do not.
    if not list(environment.glob("lib/python*/site-packages/gunicorn")):
        run(*pip, "--require-hashes", "--requirement", "server.txt")

    for folder, folders, files in os.walk(environment):
        for name in (".", *folders, *files):
            path = os.path.join(folder, name)
            os.chown(path, 0, user.pw_gid, follow_symlinks=False)
    (environment / ".complete").touch(mode=0o640)


def unpack(archive: str, tree: Path, group: int) -> None:
    """Unpack the source as root's, readable by the site and by nobody else."""
    tree.mkdir(mode=0o750)
    with tarfile.open(archive) as tar:
        # The controller packed plain files, folders and symlinks that stay inside, no more.
        tar.extractall(tree)
    for folder, _, files in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, 0, group, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(0o750 if path.is_dir() or path.stat().st_mode & 0o100 else 0o640)


def lacks(tree: Path, site: dict) -> str:
    """What the environment of a release lacks to run the site in its way; an empty string when nothing."""
    if site.get("worker_class") != "gevent" or list(tree.glob(".venv/lib/python*/site-packages/gevent")):
        return ""
    return "gunicorn.worker_class: found gevent, expected gevent among the application's requirements as well"


def find(site: Site, content: str, wanted: dict) -> str:
    """The newest good release of this content and this environment, or an empty string."""
    for identifier in reversed(site.identifiers()):
        if identifier.endswith(f"-{content}") and site.record(identifier).get("state") != "failed":
            tree = site.release(identifier)
            environment = tree / ".venv"
            if (
                environment.resolve().name == environment_hash(tree, **wanted)
                and (environment / ".complete").exists()
            ):
                return identifier
    return ""


def make(site: Site, params: dict, wanted: dict) -> str:
    """Make the release and return its ID. It appears under its name when it is whole."""
    site.prepare()
    moment = datetime.now(timezone.utc)
    identifier = f"{moment:%Y%m%dT%H%M%SZ}-{params['content']}"
    record = {**params["record"], "id": identifier, "created": moment.isoformat(timespec="seconds")}
    try:
        build(site, params, wanted, identifier)
    except BuildError as error:
        fault = str(error).splitlines()[0]
        site.write_record(identifier, record | {"state": "failed", "fault": fault})
        site.note("failed", identifier, because=fault, live=site.live_release())
        raise
    site.write_record(identifier, record | {"state": "built"})
    (site.releases / f".new-{identifier}").rename(site.release(identifier))
    return identifier


def build(site: Site, params: dict, wanted: dict, identifier: str) -> None:
    """Make the release's tree and environment under the name of an unfinished one."""
    group = pwd.getpwnam(site.name).pw_gid
    for leftover in site.releases.glob(".new-*"):
        shutil.rmtree(leftover)
    tree = site.releases / f".new-{identifier}"
    unpack(params["archive"], tree, group)
    if not (tree / "requirements.txt").exists():
        raise BuildError(
            f"{params['record'].get('source')}: found no requirements.txt, expected one at its top"
        )
    environment = site.venvs / environment_hash(tree, **wanted)
    build_environment(site, tree, environment, wanted["python"], wanted["server"])
    (tree / ".venv").symlink_to(environment)
    if fault := lacks(tree, params["site"]):
        raise BuildError(fault)
    # The site cannot write its bytecode here, so it is made now; the tree never changes again.
    # After those who serve: a visitor must not wait for it.
    compiler = [
        "nice",
        wanted["python"],
        "-I",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode=unchecked-hash",
    ]
    # What is no valid Python, as a template may be, is left as it is.
    subprocess.run([*compiler, str(tree)], check=False, capture_output=True)
    for cache in tree.rglob("__pycache__"):
        for path in (cache, *cache.iterdir()):
            os.chown(path, 0, group)
            path.chmod(0o750 if path.is_dir() else 0o640)


def look(site: Site, identifier: str, wanted: dict, pinned: bool) -> str:
    """What is not yet as it should be with a release; an empty string when nothing is.

    One that somebody went back to is not migrated: its schema is whatever there is.
    """
    if not identifier:
        return "there is no release of this content"
    if reason := reason_to_switch(site, identifier, wanted) or unfinished(site, identifier, wanted):
        return reason
    migrated = "migrate" in wanted and not pinned
    if migrated and not site.is_migrated(identifier):
        return "its migration has not been run"
    if migrated and wanted["database"] and schema(site.name, wanted["database"]) != site.schema(identifier):
        return "the schema of its database has changed since"
    if late := [task for task in wanted["once"] if task not in read_json(site.once).get("tasks", [])]:
        return f"`{late[0]}` has not been run"
    if publish(site, identifier, wanted["static"], check=True):
        return "its static files are not all published"
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True},
            "content": {"type": "str", "required": True},
            "archive": {"type": "path"},
            "record": {"type": "dict", "default": {}},
            "python": {"type": "path", "required": True},
            "server_requirements": {"type": "str", "required": True},
            "pinned": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params, site = module.params, Site(module.params["site"]["name"])
    wanted = {
        "python": params["python"],
        "server": params["server_requirements"],
        "packages": params["site"]["packages"],
    }
    pin = read_json(site.pin) if params["pinned"] else {}
    identifier = pin.get("release") or find(site, params["content"], wanted)
    if identifier and (fault := lacks(site.release(identifier), params["site"])):
        module.fail_json(msg=f"{site.name}: {fault}. Still live is {site.live_release() or 'nothing'}.")
    result = {"changed": False, "pin": pin, "id": identifier, "current": False, "because": ""}
    if params["archive"] is None or module.check_mode:
        because = look(site, identifier, params["site"], bool(pin))
        if not because and not params["pinned"] and site.pin.exists():
            because = "somebody went back to it, and a converge would stay on it"
        module.exit_json(**result | {"changed": bool(because), "current": not because, "because": because})
    if not identifier:
        try:
            with site.at_work():
                identifier = make(site, params, wanted)
        except BuildError as error:
            module.fail_json(
                msg=f"{site.name}: no release was made. {error}\n"
                f"Still live is {site.live_release() or 'nothing'}."
            )
    module.exit_json(**result | {"changed": True, "id": identifier})


if __name__ == "__main__":
    main()
