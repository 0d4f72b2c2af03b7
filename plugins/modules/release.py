"""Build a release of a site: its tree and its environment."""

from __future__ import annotations

import json
import pwd
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.decanter.stack.plugins.module_utils import settings
from ansible_collections.decanter.stack.plugins.module_utils.build import Build, finish
from ansible_collections.decanter.stack.plugins.module_utils.build_inputs import Wanted
from ansible_collections.decanter.stack.plugins.module_utils.compression import compress
from ansible_collections.decanter.stack.plugins.module_utils.databases import schema
from ansible_collections.decanter.stack.plugins.module_utils.environments import is_complete
from ansible_collections.decanter.stack.plugins.module_utils.failure import failure
from ansible_collections.decanter.stack.plugins.module_utils.interpreter import BuildError, interpreter
from ansible_collections.decanter.stack.plugins.module_utils.live import reason_to_switch, unfinished
from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, end
from ansible_collections.decanter.stack.plugins.module_utils.release_files import (
    FilesError,
    digests,
    write_files,
)
from ansible_collections.decanter.stack.plugins.module_utils.site import Site, now, read_json
from ansible_collections.decanter.stack.plugins.module_utils.static_files import plain_files, publish
from ansible_collections.decanter.stack.plugins.module_utils.takeover import remove
from ansible_collections.decanter.stack.plugins.module_utils.uploads import code_in

DOCUMENTATION = r"""
module: release
short_description: Build a release of a site, its tree and its environment
description:
  - Called by the action of the same name, which packs the source on the controller.
  - A release is a function of its content and its environment. If a release with both exists, the module
    returns its ID and builds nothing.
  - An incomplete release never has its final name. The next run removes the files of an interrupted one.
options:
  site: {description: The site., type: dict, required: true}
  content: {description: Hash of the source's content., type: str, required: true}
  archive: {description: The packed source on the host; without it the module only reads., type: path}
  private:
    {description: "A file with the texts of the site's files and the credentials of its indexes.", type: path}
  id: {description: "With an archive, the ID of the new release, the same on all hosts.", type: str}
  record: {description: The origin of the source for the release's record., type: dict, default: {}}
  python: {description: The default interpreter of the environment., type: path, required: true}
  server_requirements:
    {description: Locked requirements of the WSGI server gunicorn., type: str, required: true}
  pinned:
    {description: Whether the site stays on the release of a rollback., type: bool, default: true}
"""
RETURN = r"""
id: {description: The release's ID; empty if it is not built yet., type: str, returned: always}
current: {description: Whether the release is live and complete., type: bool, returned: always}
because: {description: The first reason why it is not current., type: str, returned: always}
pin: {description: The pinned release of a rollback., type: dict, returned: always}
setup_done: {description: Commands of C(setup) that have run., type: list, elements: str, returned: always}
taken: {description: The IDs of all releases on this host., type: list, elements: str, returned: always}
"""


def recipe(site: dict, files: dict) -> dict:
    """Return the inputs of a release other than its source and its environment."""
    parts = {"build": site.get("build"), "uploads": site.get("uploads"), "files": digests(files)}
    return {key: value for key, value in parts.items() if value}


def find(site: Site, content: str, wanted: Wanted, recipe: dict) -> str:
    """Return the newest good release of this content, inputs and recipe, or an empty string."""
    for identifier in reversed(site.identifiers()):
        record = site.record(identifier)
        if not identifier.endswith(f"-{content}") or record.get("state") == "failed":
            continue
        environment = (site.release(identifier) / ".venv").resolve()
        if (record.get("inputs"), record.get("recipe", {})) == (wanted.inputs, recipe) and is_complete(
            environment
        ):
            return identifier
    return ""


def build(site: Site, params: dict, wanted: Wanted, recipe: dict, files: dict) -> str:
    """Build the release and return its ID. It gets its final name when it is complete."""
    site.prepare()
    identifier = params["id"]
    record = {
        **params["record"],
        "id": identifier,
        "created": now(),
        "recipe": recipe,
        "inputs": wanted.inputs,
    }
    try:
        environment = Build(site, identifier, wanted).run(params["archive"])
        complete(site, site.releases / f".new-{identifier}", environment, params["site"], files)
    except (BuildError, FilesError) as error:
        remove(site.releases / f".new-{identifier}")
        fault = str(error).splitlines()[0]
        site.write_record(identifier, record | {"state": "failed", "fault": fault})
        site.note("failed", identifier, because=fault, live=site.live_release())
        raise
    site.write_record(identifier, record | {"state": "built"})
    finish(site.releases / f".new-{identifier}", site.release(identifier))
    return identifier


def complete(site: Site, tree: Path, environment: Path, wanted: dict, files: dict) -> None:
    """Add files, compressed static files and uploads to a built tree, which root owns."""
    group = pwd.getpwnam(site.name).pw_gid
    link = tree / ".venv"
    remove(link)
    link.symlink_to(environment)
    write_files(tree, files, group)
    for folder in wanted["static"]:
        # The tree itself is not allowed, because every user can read static files.
        place = tree / folder["path"]
        if not place.is_dir() or tree.resolve() not in place.resolve().parents:
            built = " after the build" if wanted.get("build") else ""
            raise BuildError(
                f"static: found no folder {folder['path']}{built}, "
                f"expected the files of {folder['url']} in it"
            )
        compress(plain_files(place), group)
    for folder in wanted.get("uploads", []):
        keep_uploads(site, tree, folder)


def inside(tree: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(tree.resolve())


# Create the folder $2 with a copy of $1 if it does not exist. The rename makes it atomic.
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


def run_as(site: Site, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the site's user, with a lower priority than requests."""
    user = pwd.getpwnam(site.name)
    return subprocess.run(
        ("nice", *command), cwd=folder, umask=0o027, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip


def keep_uploads(site: Site, tree: Path, folder: str) -> None:
    """Replace a folder by a symlink to its persistent copy in `shared`, which is created if missing."""
    place, target = tree / folder, site.root / "shared" / folder
    if not inside(tree, place.parent) or (place.exists() and not place.is_dir()):
        raise BuildError(f"uploads: found a file or a link at {folder}, expected a folder of the application")
    if code := code_in(place):
        raise BuildError(
            f"uploads: found {folder}/{code}, which is code, and later releases would not replace it\n"
            "Remedy: name a folder that has only files of users, or move the code."
        )
    # Run as the owner of the folder, the site: a symlink there gives the user no more access.
    done = run_as(site, tree, "sh", "-c", KEEP, "sh", str(place), str(target))
    if done.returncode != 0:
        raise BuildError(
            f"uploads: {folder} cannot be created in {site.root}/shared:\n{end(clean(done.stdout))}"
        )
    remove(place)
    for parent in reversed(place.relative_to(tree).parents):
        if not (tree / parent).is_dir():
            (tree / parent).mkdir(mode=0o755)
    place.symlink_to(target)


def reason_to_release(site: Site, identifier: str, wanted: dict, pinned: bool) -> str:
    """Return the first reason why a release is not live and complete, or an empty string.

    The release of a rollback (`pinned`) is not migrated, and accepts any schema.
    """
    if not identifier:
        return "this content has no release"
    if reason := reason_to_switch(site, identifier, wanted) or unfinished(site, identifier, wanted):
        return reason
    migrated = "migrate" in wanted and not pinned
    if migrated and not site.is_migrated(identifier):
        return "its migration has not been run"
    database = wanted["database"]
    if migrated and database and schema(site.name, database) != site.schema(identifier):
        return "the schema of its database has changed since the migration"
    if late := [task for task in wanted["setup"] if task not in read_json(site.once).get("tasks", [])]:
        return f"`{late[0]}` has not been run"
    if publish(site, identifier, wanted["static"], check=True):
        return "some of its static files are not published"
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "dict", "required": True},
            "content": {"type": "str", "required": True},
            "archive": {"type": "path"},
            "private": {"type": "path"},
            "id": {"type": "str"},
            "record": {"type": "dict", "default": {}},
            "python": {"type": "path", "required": True},
            "server_requirements": {"type": "str", "required": True},
            "pinned": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params, site = module.params, Site(module.params["site"]["name"])
    private = (
        json.loads(Path(params["private"]).read_text()) if params["private"] else {"files": {}, "secrets": {}}
    )
    given, files = params["site"], private["files"]
    inputs = recipe(given, files)
    pin = read_json(site.pin) if params["pinned"] else {}
    wanted, missing = None, ""
    try:
        python = interpreter(given["interpreter"]["paths"] or [params["python"]])
        wanted = Wanted(
            python, params["server_requirements"], given, given.get("build", []), private["secrets"]
        )
    except BuildError as error:
        missing = str(error)
    identifier = pin.get("release") or (find(site, params["content"], wanted, inputs) if wanted else "")
    result = {"changed": False, "pin": pin, "id": identifier, "current": False, "because": ""}
    result["setup_done"] = read_json(site.once).get("tasks", [])
    result["taken"] = [record["id"] for record in site.records()]
    if params["archive"] is None or module.check_mode:
        because = reason_to_release(site, identifier, params["site"], bool(pin))
        if not because and not params["pinned"] and site.pin.exists():
            because = "a rollback has pinned it"
        module.exit_json(**result | {"changed": bool(because), "current": not because, "because": because})
    if not identifier:
        if wanted is None:
            module.fail_json(**failure(f"{site.name}: no release was built. {missing}"))
        try:
            with site.exclusive():
                identifier = build(site, params, wanted, inputs, files)
        except (BuildError, FilesError) as error:
            settings.restore(site)
            text = f"{site.name}: no release was built. {error}"
            module.fail_json(**failure(f"{text}\nStill live is {site.live_release() or 'nothing'}."))
    module.exit_json(**result | {"changed": True, "id": identifier})


if __name__ == "__main__":
    main()
