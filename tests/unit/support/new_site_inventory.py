"""The inventory to which new-site adds an entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from new_site_command import command, sites_file

BEFORE = """\
# What is served here.
sites:
  harbour:
    # The first is canonical.
    server_names:   [harbour.example.com]
    source: {path: app}
    wsgi: harbour:create_app()
    secrets: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      3030
    database: {engine: mysql}
"""


def added(path: Path, before: str = BEFORE) -> dict:
    """The entry that came to the file, all that was there before being as it was."""
    text = path.read_bytes().decode()
    assert text.startswith(before), f"expected the file as it was and more, got:\n{text}"
    sites = yaml.load(text, sites_file.Loader)["sites"]
    assert list(sites)[:-1] == list(yaml.load(before, sites_file.Loader)["sites"] or []), f"got {list(sites)}"
    return sites[list(sites)[-1]]


def run(*arguments: str, ask: Callable[[str], str] | None = None, env: str = "production") -> int:
    return command.main(["--env", env, *arguments], ask)


def give(*answers: str) -> Callable[[str], str]:
    left = list(answers)

    def ask(question: str) -> str:
        assert left, f"expected no further question, got {question!r}"
        return left.pop(0)

    return ask
