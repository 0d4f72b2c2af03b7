"""Secrets, from wherever the host keeps them.

A credential called NAME is looked for in three places, and the first that has it wins:

1. the file ``$CREDENTIALS_DIRECTORY/NAME``, where systemd's ``LoadCredential=`` puts it;
2. the file that the variable ``NAME_FILE`` names, as container platforms do;
3. the variable ``NAME``.

Files come first because an environment is inherited by every child process and shows up in
crash reports; a file does neither.
"""

from __future__ import annotations

import os
from pathlib import Path

import click


class MissingCredentialError(click.ClickException):
    """A credential that the application cannot start without is nowhere to be found.

    A ClickException, so that the ``flask`` command prints the message and no traceback.
    """


def find(name: str) -> str | None:
    """Return the credential without its surrounding whitespace, or None when there is none.

    An empty value counts as none.

    Raises:
        MissingCredentialError: ``NAME_FILE`` names a file that cannot be read, or a credential is
            not UTF-8 text. Going on to the next place would hide the mistake.
    """
    for path in _files(name):
        value = _read(name, path)
        if value:
            return value
    return os.environ.get(name, "").strip() or None


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


def _places(name: str) -> list[str]:
    """Describe where `find` looked, for a person."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    file = os.environ.get(f"{name}_FILE")
    return [
        f"the file {directory}/{name}"
        if directory
        else f"the file $CREDENTIALS_DIRECTORY/{name} (CREDENTIALS_DIRECTORY is not set)",
        f"the file {file} (from {name}_FILE)"
        if file
        else f"the file that {name}_FILE names ({name}_FILE is not set)",
        f"the environment variable {name}",
    ]
