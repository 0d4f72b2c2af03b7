#!/usr/bin/env python3
"""Fetches a site's secrets from AWS, as the role of the instance, before the site starts.

decanter-credentials@SITE.service runs it whenever a unit of the site starts, and a deploy before it begins.
/etc/decanter/SITE/fetched.json says what is wanted, and where each is:

    {"as": "credentials", "values": {"SECRET_KEY": "ssm:/staging/harbour/SECRET_KEY", "API_KEY": "kms:AQIC…"}}

What was got is in /run/decanter-credentials/SITE, in memory and root's alone: a file each, of which systemd
hands the units copies; or one file of environment variables. Nothing is written unless all was got, and
a file only when its content is another: its time says whether the site has to start anew. Where one cannot
be had, a line says which and why, never its value; what was there stays, and a site that crashes comes back
with that.

Standard library of Python 3.10, and botocore.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

# Tokens alone: version 1 of the metadata answers whoever can have a request sent.
os.environ["AWS_EC2_METADATA_V1_DISABLED"] = "true"
# Of nobody's home, and nothing but the instance's role.
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, MetadataRetrievalError, NoCredentialsError
from botocore.utils import IMDSRegionProvider
from shared.files import write_file
from shared.journal import say

SETTINGS = Path("/etc/decanter")
FETCHED = Path("/run/decanter-credentials")
# Units that start together, or a timer that runs every second, have it asked once.
FRESH = 5.0
PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
EXPLAINED = {
    "ParameterNotFound": "there is no such parameter",
    "AccessDeniedException": "the instance's role may not read it",
    "InvalidCiphertextException": "no key of this account and region has encrypted it",
    "IncorrectKeyException": "another key has encrypted it",
    "DisabledException": "its key is disabled",
    "KMSInvalidStateException": "its key is disabled or about to be deleted",
}


class Refused(Exception):
    """A secret cannot be had; the message says why."""


class Store:
    """What is asked at AWS; each kind of it when it is first needed."""

    def __init__(self) -> None:
        self.session = botocore.session.get_session()
        self.clients: dict[str, Any] = {}
        self.region = os.environ.get("AWS_REGION", "")

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.region = self.region or IMDSRegionProvider(self.session).provide() or ""
            if not self.region:
                raise Refused("neither credentials_region nor the instance's metadata says where")
            told = {"region_name": self.region, "config": PATIENCE}
            self.clients[service] = self.session.create_client(service, **told)
        return self.clients[service]

    def secret(self, where: str) -> bytes:
        """Raises Refused where it cannot be had."""
        kind, _, rest = where.partition(":")
        try:
            if kind == "ssm":
                found = self.client("ssm").get_parameter(Name=rest, WithDecryption=True)
                return found["Parameter"]["Value"].encode()
            blob = base64.b64decode(rest, validate=True)
            return self.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            said = error.response["Error"].get("Message", "")
            raise Refused(EXPLAINED.get(code, f"{code}: {said}")) from error
        except (NoCredentialsError, MetadataRetrievalError) as error:
            raise Refused("the instance has no role, or its metadata does not answer") from error
        except BotoCoreError as error:
            raise Refused(str(error)) from error
        except binascii.Error as error:
            raise Refused("it is no base64") from error


def shown(where: str) -> str:
    """Where a secret is, as far as people need it: what was encrypted is long and says nothing."""
    return where if where.startswith("ssm:") else f"{where[:12]}…"


def variables(secrets: dict[str, bytes]) -> bytes:
    """As systemd reads them from a file: in double quotes, with a backslash where a shell would want one."""
    lines = []
    for name, text in sorted(secrets.items()):
        escaped = re.sub(r'([\\"`$])', r"\\\1", text.decode())
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines).encode()


def fetch(site: str) -> list[str]:
    """Have the folder hold what is wanted; a line for each that cannot be had."""
    settings, folder = SETTINGS / site / "fetched.json", FETCHED / site
    stamp = FETCHED / f".{site}"
    if stamp.exists():
        asked = stamp.stat().st_mtime
        if 0 <= time.time() - asked < FRESH and settings.stat().st_ctime < asked:
            return []
    wanted, store = json.loads(settings.read_text()), Store()
    got: dict[str, bytes] = {}
    faults = []
    for name, where in sorted(wanted["values"].items()):
        try:
            got[name] = store.secret(where)
        except Refused as refused:
            faults.append(f"{site}: found no credential {name} at {shown(where)}: {refused}")
    if faults:
        return faults
    files = {"environment": variables(got)} if wanted["as"] == "environment" else got
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            write_file(path, content, 0o600)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    stamp.touch(mode=0o600)
    return []


def main() -> int:
    os.umask(0o077)
    faults = fetch(sys.argv[1])
    for fault in faults:
        say(fault, fault=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
