"""Make a release of a site: its tree and the environment that it runs in."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.compressed import compress
from ansible.module_utils.database import schema
from ansible.module_utils.environment import (
    BuildError,
    build_environment,
    end_of,
    environment_hash,
    interpreter,
    run_as,
)
from ansible.module_utils.live import plain_files, publish, reason_to_switch, unfinished
from ansible.module_utils.requirements import Unusable
from ansible.module_utils.site import Site, now, read_json
from ansible.module_utils.units import show, systemctl

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
  id: {description: With an archive the ID to give to the release; all hosts give it the same., type: str}
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
once: {description: What runs once and has been run., type: list, elements: str, returned: always}
taken: {description: All IDs that have been given here., type: list, elements: str, returned: always}
"""


def unpack(archive: str, tree: Path, user: pwd.struct_passwd) -> None:
    """Unpack the source as the site's own, until it is built; nobody else can look in."""
    tree.mkdir(mode=0o700)
    with tarfile.open(archive) as tar:
        # The controller packed plain files, folders and symlinks that stay inside, no more.
        tar.extractall(tree)
    for folder, _, files in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def settle(path: Path, group: int) -> None:
    """Make a tree root's, readable by the site and by nobody else.

    A folder before what is in it: what a command has left running must not put something else there
    meanwhile.
    """
    os.chown(path, 0, group, follow_symlinks=False)
    if path.is_symlink():
        return
    if path.is_dir():
        path.chmod(0o750)
        for entry in path.iterdir():
            settle(entry, group)
    elif path.is_file():
        path.chmod(0o750 if path.stat().st_mode & 0o100 else 0o640)
    else:
        path.unlink()  # a socket or a pipe is no part of a release


def recipe(wanted: dict) -> dict:
    """What becomes of a source besides its content and its environment."""
    return {key: wanted[key] for key in ("build", "uploads") if wanted.get(key)}


def lacks(tree: Path, site: dict) -> str:
    """What the environment of a release lacks to run the site in its way; an empty string when nothing."""
    if site.get("worker_class") != "gevent" or list(tree.glob(".venv/lib/python*/site-packages/gevent")):
        return ""
    return "gunicorn.worker_class: found gevent, expected gevent among the application's requirements as well"


def find(site: Site, content: str, wanted: dict) -> str:
    """The newest good release of this content, environment and recipe, or an empty string."""
    for identifier in reversed(site.identifiers()):
        record = site.record(identifier)
        if not identifier.endswith(f"-{content}") or record.get("state") == "failed":
            continue
        environment = (site.release(identifier) / ".venv").resolve()
        if (
            record.get("recipe", {}) == wanted["recipe"]
            and environment.name == hash_of(site.release(identifier), wanted)
            and (environment / ".complete").exists()
        ):
            return identifier
    return ""


def needs(wanted: dict) -> dict:
    """What an environment depends on."""
    return {key: wanted[key] for key in ("python", "server", "packages", "requirements")}


def hash_of(tree: Path, wanted: dict) -> str:
    """The environment that a tree needs; an empty string where it no longer has what is asked for."""
    try:
        return environment_hash(tree, **needs(wanted))
    except Unusable:
        return ""


def make(site: Site, params: dict, wanted: dict) -> str:
    """Make the release and return its ID. It appears under its name when it is whole."""
    site.prepare()
    identifier = params["id"]
    record = {**params["record"], "id": identifier, "created": now(), "recipe": wanted["recipe"]}
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
    user = pwd.getpwnam(site.name)
    # What a run that was cut off has left at work would write into a tree that is gone.
    if show(builder(site))["ActiveState"] != "inactive":
        systemctl("stop", builder(site))
    for leftover in site.releases.glob(".new-*"):
        shutil.rmtree(leftover)
    tree = site.releases / f".new-{identifier}"
    unpack(params["archive"], tree, user)
    try:
        environment = site.venvs / environment_hash(tree, **needs(wanted))
        build_environment(site, tree, environment, wanted)
    except Unusable as error:
        raise BuildError(str(error)) from error
    for command in wanted["recipe"].get("build", []):
        run_build(site, tree, environment, command)
    # The site cannot write its bytecode later, so it is made now; the tree never changes again. By the
    # site's user, for a link that a command has made leads that user only where it may read. What is no
    # valid Python, as a template may be, is left as it is.
    compiler = ("-I", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash")
    run_as(site, tree, wanted["python"], *compiler, str(tree))
    settle(tree, user.pw_gid)
    link = tree / ".venv"
    remove(link)
    link.symlink_to(environment)
    if fault := lacks(tree, params["site"]):
        raise BuildError(fault)
    for folder in params["site"]["static"]:
        # Not the tree itself, which is not for everyone.
        place = tree / folder["path"]
        if not place.is_dir() or tree.resolve() not in place.resolve().parents:
            made = " after the build" if wanted["recipe"].get("build") else ""
            raise BuildError(
                f"found no folder {folder['path']}{made}, expected the files of {folder['url']} in it"
            )
        compress(plain_files(place), user.pw_gid)
    for folder in wanted["recipe"].get("uploads", []):
        keep_uploads(site, tree, folder)


def builder(site: Site) -> str:
    return f"{site.name}.build.service"


def run_build(site: Site, tree: Path, environment: Path, command: str) -> None:
    """Run one command of the site's `build` in the unfinished tree.

    In a unit, so that nothing of it is left when it has ended; with the site's variables and none of its
    secrets, and nothing to write to but the tree.
    """
    variables = {
        "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{tree}:{tree}/src",
        "HOME": "/tmp",
    }
    properties = {
        "EnvironmentFile": f"-/etc/decanter/{site.name}/environment",
        "ReadWritePaths": str(tree),
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "ProtectHome": "yes",
        "NoNewPrivileges": "yes",
        "UMask": "0027",
    }
    arguments = [
        *("systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={builder(site)}"),
        *(f"--uid={site.name}", f"--gid={site.name}", "--nice=10", f"--working-directory={tree}"),
        *(f"--setenv={name}={value}" for name, value in variables.items()),
        *(f"--property={name}={value}" for name, value in properties.items()),
        # systemd looks for variables of its own.
        *("/bin/sh", "-c", command.replace("$", "$$")),
    ]
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"`{command}` of its build failed ({done.returncode}):\n{end_of(done.stdout)}")


def inside(tree: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(tree.resolve())


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Makes the folder $2, with what is in $1, when there is none. All of it, or nothing: a run may be cut off.
KEEP = """
set -e
[ ! -e "$2" ] || exit 0
new=$(dirname "$2")/.$(basename "$2").new
mkdir -p "$(dirname "$2")"
rm -rf "$new"
if [ -d "$1" ]; then cp -R "$1" "$new"; else mkdir "$new"; fi
chmod -R u+rwX "$new"
mv -T "$new" "$2"
"""


def keep_uploads(site: Site, tree: Path, folder: str) -> None:
    """Put a symlink in a folder's place, to one that outlives releases and begins with what it had."""
    place, target = tree / folder, site.root / "shared" / folder
    if not inside(tree, place.parent) or (place.exists() and not place.is_dir()):
        raise BuildError(f"uploads: found a file or a link at {folder}, expected a folder of the application")
    # As the site, whose own folder that is: a link in there leads its user nowhere new.
    done = run_as(site, tree, "sh", "-c", KEEP, "sh", str(place), str(target))
    if done.returncode != 0:
        raise BuildError(f"uploads: {folder} could not be made in {site.root}/shared:\n{end_of(done.stdout)}")
    remove(place)
    for parent in reversed(place.relative_to(tree).parents):
        if not (tree / parent).is_dir():
            (tree / parent).mkdir()
            settle(tree / parent, pwd.getpwnam(site.name).pw_gid)
    place.symlink_to(target)


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
            "id": {"type": "str"},
            "record": {"type": "dict", "default": {}},
            "python": {"type": "path", "required": True},
            "server_requirements": {"type": "str", "required": True},
            "pinned": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params, site = module.params, Site(module.params["site"]["name"])
    wanted = {
        "server": params["server_requirements"],
        "packages": params["site"]["packages"],
        "requirements": params["site"].get("requirements", ""),
        "recipe": recipe(params["site"]),
    }
    pin = read_json(site.pin) if params["pinned"] else {}
    try:
        wanted["python"] = interpreter(params["site"].get("python") or [params["python"]])
        missing = ""
    except BuildError as error:
        missing = str(error)
    identifier = pin.get("release") or ("" if missing else find(site, params["content"], wanted))
    if identifier and (fault := lacks(site.release(identifier), params["site"])):
        module.fail_json(msg=f"{site.name}: {fault}. Still live is {site.live_release() or 'nothing'}.")
    result = {"changed": False, "pin": pin, "id": identifier, "current": False, "because": ""}
    result["once"] = read_json(site.once).get("tasks", [])
    result["taken"] = [record["id"] for record in site.records()]
    if params["archive"] is None or module.check_mode:
        because = look(site, identifier, params["site"], bool(pin))
        if not because and not params["pinned"] and site.pin.exists():
            because = "somebody went back to it, and a converge would stay on it"
        module.exit_json(**result | {"changed": bool(because), "current": not because, "because": because})
    if not identifier:
        if missing:
            module.fail_json(msg=f"{site.name}: no release was made. {missing}")
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
