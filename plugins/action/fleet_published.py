"""Publish what is live, for hosts that make themselves: roles/fleet/files/fleet.py takes it."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ansible
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).parents[2]
# How a site's files are chosen and counted is said once; action plugins are no package.
spec = importlib.util.spec_from_file_location("decanter_release", Path(__file__).with_name("release.py"))
assert spec and spec.loader
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)

# What a host needs to make itself: of the repository, and of the collections that come with `ansible`.
PARTS = ("ansible.cfg", "playbooks", "plugins", "roles")
COLLECTIONS = ("ansible/posix", "community/crypto", "community/general", "community/mysql")
COLLECTION_PARTS = ("MANIFEST.json", "meta", "plugins")
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


def repository(inventory: Path, more: Iterable[str]) -> bytes:
    """The playbooks and what they need, and the variables of one environment: no other's are in it."""
    paths = [path for path in release.tracked(ROOT) if path.parts[0] in PARTS]
    for given in more:
        path = (ROOT / given).resolve()
        if not path.is_relative_to(ROOT.resolve()) or not path.is_file():
            raise PublishError(f'fleet_files: found "{given}", expected a file of this repository')
        paths.append(path.relative_to(ROOT.resolve()))
    files = [(ROOT / path, str(path)) for path in sorted(set(paths))]
    of_all = inventory / "group_vars"
    variables = [path for path in sorted(of_all.rglob("*")) if path.is_file()]
    return packed(
        [*files, *((path, f"inventory/group_vars/{path.relative_to(of_all)}") for path in variables)]
    )


def collections() -> tuple[str, list[tuple[Path, str]]]:
    """What stands for their versions, and their files."""
    home = Path(ansible.__file__).parents[1] / "ansible_collections"
    digest, files = hashlib.sha256(), []
    for name in COLLECTIONS:
        digest.update((home / name / "MANIFEST.json").read_bytes())
        for part in COLLECTION_PARTS:
            place = home / name / part
            found = [place] if place.is_file() else sorted(place.rglob("*"))
            files += [
                (path, f"ansible_collections/{path.relative_to(home)}") for path in found if path.is_file()
            ]
    return digest.hexdigest()[:16], [(path, name) for path, name in files if "__pycache__" not in path.parts]


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
