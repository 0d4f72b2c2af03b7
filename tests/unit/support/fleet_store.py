"""A bucket of sources, and the publication of a source."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.action import fleet_publish


class Store:
    """A stub of boto3's S3 client for one bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.put: list[str] = []

    def put_object(self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str]) -> None:
        self.objects[Key] = (Body, Metadata)
        self.put.append(Key)

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"Metadata": self.objects[Key][1]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[Key][0])}


def bucket(store: Store, dry: bool = False) -> Any:
    return fleet_publish.Bucket(store, "media", "decanter", dry)


def content(source: dict[str, str]) -> str:
    folder = Path(source["path"])
    return fleet_publish.release.content_hash(folder, fleet_publish.release.tracked(folder))


def looks(app: dict[str, str], **of_host: str) -> dict[str, Any]:
    """Return the result of the module `releases` for one site on each host."""
    return {
        host: [{"item": {"name": "plain"}, "live": live, "pin": {}, "releases": [{"id": live, "commit": ""}]}]
        for host, live in of_host.items()
    }


def publish(store: Store, arguments: dict[str, Any], dry: bool = False) -> bool:
    one = bucket(store, dry)
    fleet_publish.ActionModule.publish(None, one, arguments)
    return one.changed
