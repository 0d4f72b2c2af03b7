"""Publish what is live, for hosts that make themselves: roles/fleet/files/fleet.py takes it."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.decanter.stack.plugins.action import release
from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_folder

ROOT = Path(__file__).parents[2]
# This collection in the archive.
NAME = Path("ansible_collections/decanter/stack")
# What a host needs to make itself: of this collection, and of those that it depends on.
PARTS = ("meta", "playbooks", "plugins", "roles", "vars")
COLLECTIONS = ("ansible/posix", "community/crypto", "community/general", "community/mysql")
COLLECTION_PARTS = ("meta", "plugins")
PROGRAM = ROOT / "roles/fleet/files/fleet.py"


class PublishError(Exception):
    """It cannot be published; the message says why."""


def packed(files: Iterable[tuple[Path, str]]) -> bytes:
    """Files under their names as an archive that is the same for the same content."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path, name in files:
            told = tar.gettarinfo(path, name)
            told.mtime = told.uid = told.gid = 0
            told.uname = told.gname = "root"
            told.mode = 0o755 if told.mode & 0o100 else 0o644
            if told.isfile():
                with open(path, "rb") as content:
                    tar.addfile(told, content)
            else:
                tar.addfile(told)
    return gzip.compress(plain.getvalue(), 6, mtime=0)


def files_below(folder: Path, *parts: str) -> list[Path]:
    """Return the files in parts of a folder, relative to it and without compiled Python."""
    found = [path.relative_to(folder) for part in parts for path in sorted((folder / part).rglob("*"))]
    return [path for path in found if (folder / path).is_file() and "__pycache__" not in path.parts]


def repository(inventory: Path, more: Iterable[str]) -> bytes:
    """Return an archive of this collection, and of the variables and files of one environment."""
    files = [(ROOT / "ansible.cfg", "ansible.cfg")]
    files += [(ROOT / path, str(NAME / path)) for path in files_below(ROOT, *PARTS)]
    project = project_folder().resolve()
    for given in sorted(set(more)):
        path = (project / given).resolve()
        if not path.is_relative_to(project) or not path.is_file():
            raise PublishError(f'fleet_files: found "{given}", expected a file in {project}')
        files.append((path, str(path.relative_to(project))))
    variables = files_below(inventory, "group_vars")
    return packed([*files, *((inventory / path, f"inventory/{path}") for path in variables)])


def collections() -> tuple[str, list[tuple[Path, str]]]:
    """What stands for their versions, and their files."""
    digest, files = hashlib.sha256(), []
    for name in COLLECTIONS:
        # Installed with the package `ansible`, or by ansible-galaxy.
        package = importlib.import_module(f"ansible_collections.{name.replace('/', '.')}")
        home = Path(package.__path__[0])
        manifest = home / "MANIFEST.json"
        digest.update(manifest.read_bytes())
        files.append((manifest, f"ansible_collections/{name}/MANIFEST.json"))
        files += [
            (home / path, f"ansible_collections/{name}/{path}")
            for path in files_below(home, *COLLECTION_PARTS)
        ]
    return digest.hexdigest()[:16], files


class Bucket:
    """The environment's bucket, or what would be there in a check."""

    def __init__(self, client: Any, name: str, prefix: str, dry: bool) -> None:
        self.client, self.name, self.prefix, self.dry = client, name, prefix, dry
        self.changed = False

    def put(self, name: str, content: bytes) -> dict[str, str]:
        """Have an object there; where it is and what it is."""
        key, digest = f"{self.prefix}/{name}", hashlib.sha256(content).hexdigest()
        if self.digest(name) != digest:
            self.changed = True
            if not self.dry:
                self.client.put_object(Bucket=self.name, Key=key, Body=content, Metadata={"sha256": digest})
        return {"key": name, "sha256": digest}

    def digest(self, name: str) -> str:
        """That of an object; an empty string where there is none."""
        from botocore.exceptions import ClientError

        try:
            found = self.client.head_object(Bucket=self.name, Key=f"{self.prefix}/{name}")
        except ClientError as error:
            # Without the right to list a bucket, what is not there is forbidden.
            if error.response["Error"]["Code"] in ("404", "403", "NoSuchKey"):
                return ""
            raise
        return found["Metadata"].get("sha256", "")

    def had(self, name: str) -> dict[str, str] | None:
        """An object that never changes under its name, if it is there."""
        digest = self.digest(name)
        return {"key": name, "sha256": digest} if digest else None


def site_source(bucket: Bucket, name: str, source: dict[str, str], live: dict[str, Any]) -> dict[str, str]:
    """The source that the live release was made of."""
    key = f"sources/{name}/{live['id']}.tar.gz"
    if there := bucket.had(key):
        return there
    with release.files_of(source, live["commit"] if "git" in source else "") as (folder, paths, _):
        if not live["id"].endswith(f"-{release.content_hash(folder, paths)}"):
            raise PublishError(
                f"{name}: found another source than that of release {live['id']}, which is live and was "
                f"never published. Hosts that start take what was before; make deploy SITE={name} ends that"
            )
        return bucket.put(key, packed((folder / path, str(path)) for path in paths))


def agreed(looks: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What is live of each site, which all hosts have to agree on."""
    live: dict[str, dict[str, Any]] = {}
    for host, found in looks.items():
        for look in found:
            name, identifier = look["item"]["name"], look["live"]
            if not identifier:
                raise PublishError(f"{name}: found no release on {host}, expected one that is live")
            record: dict[str, Any] = next((one for one in look["releases"] if one["id"] == identifier), {})
            one = {"id": identifier, "pinned": bool(look["pin"]), "commit": record.get("commit", "")}
            if live.setdefault(name, one)["id"] != identifier:
                other = next(iter(looks))
                raise PublishError(
                    f"{name}: found {identifier} on {host} and {live[name]['id']} on {other}, expected one "
                    f"release on all. Nothing was published; make deploy SITE={name} ends that"
                )
    return live


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        told = self._task.args
        try:
            import boto3
        except ImportError:
            raise AnsibleActionFail("found no boto3 on the controller, expected it: bin/setup aws") from None
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = boto3.client("s3", region_name=told["region"] or None)
            bucket = Bucket(client, told["bucket"], told["prefix"], self._task.check_mode)
            self.publish(bucket, told)
        except (PublishError, release.SourceError) as error:
            raise AnsibleActionFail(str(error)) from None
        except (BotoCoreError, ClientError) as error:
            raise AnsibleActionFail(f"s3://{told['bucket']}: AWS refused. {error}") from None
        return {"changed": bucket.changed}

    def publish(self, bucket, told):
        """Each part, and the note of all of them last: who reads it finds what it names."""
        live = agreed(told["looks"])
        version, files = collections()
        shared = f"collections/{version}.tar.gz"
        tree = repository(Path(told["inventory"]), told["files"])
        digest = hashlib.sha256(tree).hexdigest()
        note = {
            "first": told["first"],
            "repository": bucket.put(f"repositories/{digest[:16]}.tar.gz", tree),
            "collections": bucket.had(shared) or bucket.put(shared, packed(files)),
            "sites": {
                name: {
                    **{key: live[name][key] for key in ("id", "pinned")},
                    "source": site_source(bucket, name, source, live[name]),
                }
                for name, source in told["sources"].items()
            },
        }
        bucket.put("fleet.py", PROGRAM.read_bytes())
        bucket.put("live.json", json.dumps(note, indent=2, sort_keys=True).encode())
