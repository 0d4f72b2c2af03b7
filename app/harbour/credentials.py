"""Secrets, from wherever the host keeps them.

A credential called NAME is looked for in these places, and the first that has it wins:

1. the file ``$CREDENTIALS_DIRECTORY/NAME``, where systemd's ``LoadCredential=`` puts it;
2. the file that the variable ``NAME_FILE`` names, as container platforms do;
3. the variable ``NAME``;
4. the keyring's entry NAME of the service "harbour", on a developer's machine where the package
   `keyring` is installed.

Files come first because an environment is inherited by every child process and shows up in
crash reports; a file does neither.

A value that begins with ``kms:`` is the base64 form of what AWS KMS encrypted. It is decrypted when
it is looked for, which the application does once, when it starts.
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
    """A credential that the application cannot start without is nowhere to be found.

    A ClickException, so that the ``flask`` command prints the message and no traceback.
    """


def find(name: str) -> str | None:
    """Return the credential without its surrounding whitespace, or None when there is none.

    An empty value counts as none.

    Raises:
        MissingCredentialError: ``NAME_FILE`` names a file that cannot be read, a credential is
            not UTF-8 text, or one cannot be decrypted. Going on to the next place would hide the
            mistake.
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
        reason: why it is needed, as the end of the sentence "NAME is needed …".

    Raises:
        MissingCredentialError: no place has it; the message names each one.
    """
    value = find(name)
    if value is None:
        places = "\n".join(f"  - {place}" for place in _places(name))
        raise MissingCredentialError(
            f"{name} is needed {reason}, and none of these has a value for it:\n{places}"
        )
    return value


def _files(name: str) -> list[Path]:
    """Return the files that may hold the credential, the first choice first."""
    files = []
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        # systemd's folder holds other credentials too: it is no mistake when it lacks this one.
        files += [path for path in [Path(directory) / name] if path.exists()]
    if named := os.environ.get(f"{name}_FILE"):
        files.append(Path(named))
    return files


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MissingCredentialError(f"{name} cannot be read from {path}: {why}") from error


def _has_keyring() -> bool:
    """Whether to ask a keyring: a service has none, and must not wait for somebody to unlock it."""
    return "CREDENTIALS_DIRECTORY" not in os.environ and bool(importlib.util.find_spec("keyring"))


def _keyring(name: str) -> str | None:
    if not _has_keyring():
        return None
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        value: str | None = keyring.get_password(KEYRING_SERVICE, name)
    except errors.KeyringError:
        return None  # no desktop, so nothing that could be unlocked
    return value


def _plain(name: str, value: str) -> str:
    """Return the value, decrypted if it says that it is encrypted."""
    if not value.startswith(ENCRYPTED):
        return value
    try:
        boto3 = importlib.import_module("boto3")
        botocore = importlib.import_module("botocore.exceptions")
    except ImportError:
        raise MissingCredentialError(
            f"{name} begins with {ENCRYPTED}, which takes boto3: install requirements-aws.txt"
        ) from None
    try:
        encrypted = base64.b64decode(value.removeprefix(ENCRYPTED), validate=True)
        answer: dict[str, Any] = boto3.client("kms").decrypt(CiphertextBlob=encrypted)
        return str(answer["Plaintext"].decode("utf-8").strip())
    except (binascii.Error, UnicodeDecodeError):
        why = "it is not base64 of encrypted UTF-8 text"
    except (botocore.BotoCoreError, botocore.ClientError) as error:
        why = str(error)
    raise MissingCredentialError(f"{name} cannot be decrypted by AWS KMS: {why}")


def _places(name: str) -> list[str]:
    """Describe where `find` looked, for a person."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    file = os.environ.get(f"{name}_FILE")
    places = [
        f"the file {directory}/{name}"
        if directory
        else f"the file $CREDENTIALS_DIRECTORY/{name} (CREDENTIALS_DIRECTORY is not set)",
        f"the file {file} (from {name}_FILE)"
        if file
        else f"the file that {name}_FILE names ({name}_FILE is not set)",
        f"the environment variable {name}",
    ]
    if _has_keyring():
        places.append(f"the keyring's entry {name} of the service {KEYRING_SERVICE}")
    return places
