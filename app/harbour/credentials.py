"""Credentials from files, the environment or the keyring.

A credential NAME is read from the first of these places that has it:

1. the file ``$CREDENTIALS_DIRECTORY/NAME``, written by systemd's ``LoadCredential=``;
2. the file in the variable ``NAME_FILE``, as on container platforms;
3. the variable ``NAME``;
4. the keyring's entry NAME of the service "harbour", on a developer's machine with the package
   `keyring`.

Files come first because child processes inherit the environment and crash reports contain it.

A value that starts with ``kms:`` is the base64 form of a ciphertext of AWS KMS. It is decrypted
once, when the application starts.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import click

ENCRYPTED = "kms:"
KEYRING_SERVICE = "harbour"


class MissingCredentialError(click.ClickException):
    """A required credential has no value, or a value cannot be read.

    A ClickException, so that the ``flask`` command prints the message without a traceback.
    """


def find(name: str) -> str | None:
    """Return the credential without surrounding whitespace, or None. Empty values count as missing.

    Raises:
        MissingCredentialError: the file in ``NAME_FILE`` cannot be read, the credential is not
            UTF-8 text, or it cannot be decrypted. The search stops here, because the next place
            would hide the mistake.
    """
    for path in _files(name):
        if value := _read(name, path):
            return _plain(name, value)
    value = os.environ.get(name, "").strip() or (_keyring(name) or "").strip()
    return _plain(name, value) if value else None


def require(name: str, reason: str) -> str:
    """Return the credential.

    Args:
        name: the credential's name.
        reason: the end of the message "NAME is required …".

    Raises:
        MissingCredentialError: no place has it. The message lists all places.
    """
    value = find(name)
    if value is None:
        places = "\n".join(f"  - {place}" for place in _places(name))
        raise MissingCredentialError(f"{name} is required {reason}. Set it in one of these places:\n{places}")
    return value


def _files(name: str) -> list[Path]:
    """Return the files that may contain the credential, in order of precedence."""
    files = []
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        # systemd's folder may lack this credential.
        files += [path for path in [Path(directory) / name] if path.exists()]
    if file := os.environ.get(f"{name}_FILE"):
        files.append(Path(file))
    return files


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MissingCredentialError(f"{name} cannot be read from {path}: {reason}") from error


def _has_keyring() -> bool:
    """Return whether to query the keyring. In a service it would wait for an unlock dialog."""
    return "CREDENTIALS_DIRECTORY" not in os.environ and bool(importlib.util.find_spec("keyring"))


def _keyring(name: str) -> str | None:
    if not _has_keyring():
        return None
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        value: str | None = keyring.get_password(KEYRING_SERVICE, name)
    except errors.KeyringError:
        return None  # no desktop session
    return value


def _plain(name: str, value: str) -> str:
    """Return the value, decrypted if it starts with ``kms:``."""
    if not value.startswith(ENCRYPTED):
        return value
    try:
        boto3 = importlib.import_module("boto3")
        botocore = importlib.import_module("botocore.exceptions")
    except ImportError:
        raise MissingCredentialError(
            f"{name} begins with {ENCRYPTED}, which requires boto3. Install requirements-aws.txt."
        ) from None
    try:
        encrypted = base64.b64decode(value.removeprefix(ENCRYPTED), validate=True)
        response: dict[str, Any] = boto3.client("kms").decrypt(CiphertextBlob=encrypted)
        return str(response["Plaintext"].decode("utf-8").strip())
    except (binascii.Error, UnicodeDecodeError):
        reason = "it is not base64 of encrypted UTF-8 text"
    except (botocore.BotoCoreError, botocore.ClientError) as error:
        reason = str(error)
    raise MissingCredentialError(f"{name} cannot be decrypted by AWS KMS: {reason}")


def _places(name: str) -> list[str]:
    """Return descriptions of the places that `find` searches."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    file = os.environ.get(f"{name}_FILE")
    places = [
        f"the file {directory}/{name}"
        if directory
        else f"the file $CREDENTIALS_DIRECTORY/{name} (CREDENTIALS_DIRECTORY is not set)",
        f"the file {file} (from {name}_FILE)"
        if file
        else f"the file in {name}_FILE ({name}_FILE is not set)",
        f"the environment variable {name}",
    ]
    if _has_keyring():
        places.append(f"the keyring's entry {name} of the service {KEYRING_SERVICE}")
    return places
