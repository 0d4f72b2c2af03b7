#!/usr/bin/env python3
"""Fetch a site's secrets from AWS with the role of the instance, before the site starts.

decanter-credentials@SITE.service runs when a unit of the site starts, and before a deploy.
/etc/decanter/SITE/fetched.json contains the source of each secret:

    {"as": "credentials", "values": {"SECRET_KEY": "ssm:/staging/harbour/SECRET_KEY", "API_KEY": "kms:AQIC…"}}

The secrets are written to /run/decanter-credentials/SITE, in memory and readable only by root: one file for
each secret, which systemd copies to the units, or one file of environment variables. A file is written only
if all secrets were fetched and its content has changed, because a changed time restarts the site. If a secret
cannot be fetched, the program prints its name and the reason, and the old files remain for restarts.

Uses the standard library of Python 3.10, and botocore.
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

# IMDSv2 only: version 1 of the metadata answers forged requests (SSRF).
os.environ["AWS_EC2_METADATA_V1_DISABLED"] = "true"
# No configuration of a user, and no credentials except the instance's role.
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, MetadataRetrievalError, NoCredentialsError
from botocore.utils import IMDSRegionProvider
from shared.files import write_file
from shared.journal import log

SETTINGS = Path("/etc/decanter")
FETCHED = Path("/run/decanter-credentials")
# Seconds without another request, for units that start together and timers that run every second.
CACHE_SECONDS = 5.0
CLIENT_CONFIGURATION = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
REASONS = {
    "ParameterNotFound": "the parameter does not exist",
    "AccessDeniedException": "the instance's role may not read it",
    "InvalidCiphertextException": "no key of this account and region has encrypted it",
    "IncorrectKeyException": "another key has encrypted it",
    "DisabledException": "its key is disabled",
    "KMSInvalidStateException": "its key is disabled or about to be deleted",
}


class SecretError(Exception):
    """A secret cannot be fetched. The message is the reason."""


class Store:
    """Clients of AWS, which are created when they are first used."""

    def __init__(self) -> None:
        self.session = botocore.session.get_session()
        self.clients: dict[str, Any] = {}
        self.region = os.environ.get("AWS_REGION", "")

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.region = self.region or IMDSRegionProvider(self.session).provide() or ""
            if not self.region:
                raise SecretError("neither credentials_region nor the instance's metadata contains a region")
            self.clients[service] = self.session.create_client(
                service, region_name=self.region, config=CLIENT_CONFIGURATION
            )
        return self.clients[service]

    def secret(self, source: str) -> bytes:
        """Return a secret. Raise SecretError if it cannot be fetched."""
        kind, _, location = source.partition(":")
        try:
            if kind == "ssm":
                response = self.client("ssm").get_parameter(Name=location, WithDecryption=True)
                return response["Parameter"]["Value"].encode()
            ciphertext = base64.b64decode(location, validate=True)
            return self.client("kms").decrypt(CiphertextBlob=ciphertext)["Plaintext"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            message = error.response["Error"].get("Message", "")
            raise SecretError(REASONS.get(code, f"{code}: {message}")) from error
        except (NoCredentialsError, MetadataRetrievalError) as error:
            raise SecretError("the instance has no role, or its metadata does not answer") from error
        except BotoCoreError as error:
            raise SecretError(str(error)) from error
        except binascii.Error as error:
            raise SecretError("the value is not base64") from error


def display(source: str) -> str:
    """Return the source of a secret for messages, with shortened ciphertexts."""
    return source if source.startswith("ssm:") else f"{source[:12]}…"


def variables(secrets: dict[str, bytes]) -> bytes:
    """Return an environment file of systemd: values in double quotes, escaped as in a shell."""
    lines = []
    for name, text in sorted(secrets.items()):
        escaped = re.sub(r'([\\"`$])', r"\\\1", text.decode())
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines).encode()


def fetch(site: str) -> list[str]:
    """Fetch a site's secrets into its folder. Return a line for each secret that cannot be fetched."""
    settings, folder = SETTINGS / site / "fetched.json", FETCHED / site
    stamp = FETCHED / f".{site}"
    if stamp.exists():
        fetched = stamp.stat().st_mtime
        if 0 <= time.time() - fetched < CACHE_SECONDS and settings.stat().st_ctime < fetched:
            return []
    configuration, store = json.loads(settings.read_text()), Store()
    secrets: dict[str, bytes] = {}
    faults = []
    for name, source in sorted(configuration["values"].items()):
        try:
            secrets[name] = store.secret(source)
        except SecretError as error:
            faults.append(f"{site}: found no credential {name} at {display(source)}: {error}")
    if faults:
        return faults
    files = {"environment": variables(secrets)} if configuration["as"] == "environment" else secrets
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
        log(fault, fault=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
