"""Publish the live releases for the bootstrap of new instances (roles/fleet/files/fleet.py)."""

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
# The folders that a bootstrap needs: of this collection, and of its dependencies.
PARTS = ("meta", "playbooks", "plugins", "roles", "vars")
COLLECTIONS = ("ansible/posix", "community/crypto", "community/general", "community/mysql")
COLLECTION_PARTS = ("meta", "plugins")
PROGRAM = ROOT / "roles/fleet/files/fleet.py"


class PublishError(Exception):
    """The live releases cannot be published; the message is the reason."""


def packed(files: Iterable[tuple[Path, str]]) -> bytes:
    """Return a tar.gz of files under their names. Equal contents give equal archives."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path, name in files:
            member = tar.gettarinfo(path, name)
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            if member.isfile():
                with open(path, "rb") as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)
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
    """Return a hash of the versions of COLLECTIONS, and their files."""
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
    """The bucket of the environment. In check mode nothing is written."""

    def __init__(self, client: Any, name: str, prefix: str, dry: bool) -> None:
        self.client, self.name, self.prefix, self.dry = client, name, prefix, dry
        self.changed = False

    def put(self, name: str, content: bytes) -> dict[str, str]:
        """Write an object if its content differs; return its key and hash."""
        key, digest = f"{self.prefix}/{name}", hashlib.sha256(content).hexdigest()
        if self.digest(name) != digest:
            self.changed = True
            if not self.dry:
                self.client.put_object(Bucket=self.name, Key=key, Body=content, Metadata={"sha256": digest})
        return {"key": name, "sha256": digest}

    def digest(self, name: str) -> str:
        """Return the hash of an object, or an empty string if it does not exist."""
        from botocore.exceptions import ClientError

        try:
            found = self.client.head_object(Bucket=self.name, Key=f"{self.prefix}/{name}")
        except ClientError as error:
            # Without s3:ListBucket, S3 returns 403 for a missing object.
            if error.response["Error"]["Code"] in ("404", "403", "NoSuchKey"):
                return ""
            raise
        return found["Metadata"].get("sha256", "")

    def existing(self, name: str) -> dict[str, str] | None:
        """Return the key and hash of an object with constant content, or None if it does not exist."""
        digest = self.digest(name)
        return {"key": name, "sha256": digest} if digest else None


def site_source(bucket: Bucket, name: str, source: dict[str, str], live: dict[str, Any]) -> dict[str, str]:
    """Publish the source of the live release; return its key and hash."""
    key = f"sources/{name}/{live['id']}.tar.gz"
    if existing := bucket.existing(key):
        return existing
    with release.files_of(source, live["commit"] if "git" in source else "") as (folder, paths, _):
        if not live["id"].endswith(f"-{release.content_hash(folder, paths)}"):
            raise PublishError(
                f"{name}: the source of the live release {live['id']} was never published, and the source on "
                f"the controller differs. New hosts start with the previous release. "
                f"Remedy: make deploy SITE={name}."
            )
        return bucket.put(key, packed((folder / path, str(path)) for path in paths))


def common_releases(states: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the live release of each site. Raise PublishError if it differs between hosts."""
    live: dict[str, dict[str, Any]] = {}
    for host, found in states.items():
        for state in found:
            name, identifier = state["item"]["name"], state["live"]
            if not identifier:
                raise PublishError(f"{name}: found no release on {host}, expected one that is live")
            record: dict[str, Any] = next((one for one in state["releases"] if one["id"] == identifier), {})
            one = {"id": identifier, "pinned": bool(state["pin"]), "commit": record.get("commit", "")}
            if live.setdefault(name, one)["id"] != identifier:
                other = next(iter(states))
                raise PublishError(
                    f"{name}: found {identifier} on {host} and {live[name]['id']} on {other}, expected one "
                    f"release on all. Nothing was published. Remedy: make deploy SITE={name}."
                )
    return live


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = self._task.args
        try:
            import boto3
        except ImportError:
            raise AnsibleActionFail("controller: found no boto3. Remedy: bin/setup aws.") from None
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = boto3.client("s3", region_name=arguments["region"] or None)
            bucket = Bucket(client, arguments["bucket"], arguments["prefix"], self._task.check_mode)
            self.publish(bucket, arguments)
        except (PublishError, release.SourceError) as error:
            raise AnsibleActionFail(str(error)) from None
        except (BotoCoreError, ClientError) as error:
            raise AnsibleActionFail(f"s3://{arguments['bucket']}: the request failed: {error}") from None
        return {"changed": bucket.changed}

    def publish(self, bucket, arguments):
        """Publish all parts, and live.json last, so that everything it names exists."""
        live = common_releases(arguments["looks"])
        version, files = collections()
        shared = f"collections/{version}.tar.gz"
        tree = repository(Path(arguments["inventory"]), arguments["files"])
        digest = hashlib.sha256(tree).hexdigest()
        note = {
            "first": arguments["first"],
            "repository": bucket.put(f"repositories/{digest[:16]}.tar.gz", tree),
            "collections": bucket.existing(shared) or bucket.put(shared, packed(files)),
            "sites": {
                name: {
                    **{key: live[name][key] for key in ("id", "pinned")},
                    "source": site_source(bucket, name, source, live[name]),
                }
                for name, source in arguments["sources"].items()
            },
        }
        bucket.put("fleet.py", PROGRAM.read_bytes())
        bucket.put("live.json", json.dumps(note, indent=2, sort_keys=True).encode())
