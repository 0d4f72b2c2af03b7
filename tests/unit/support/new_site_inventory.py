"""The inventory to which new-site adds an entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from new_site_command import command, sites_file

BEFORE = """\
# The sites of this inventory.
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
    """Return the entry that was added to the file. Fail if the rest of the file has changed."""
    text = path.read_bytes().decode()
    assert text.startswith(before), f"expected the old file at the start, got:\n{text}"
    sites = yaml.load(text, sites_file.Loader)["sites"]
    assert list(sites)[:-1] == list(yaml.load(before, sites_file.Loader)["sites"] or []), f"got {list(sites)}"
    return sites[list(sites)[-1]]


def run(*arguments: str, prompt: Callable[[str], str] | None = None, env: str = "production") -> int:
    return command.main(["--env", env, *arguments], prompt)


def give(*answers: str) -> Callable[[str], str]:
    remaining = list(answers)

    def answer(question: str) -> str:
        assert remaining, f"expected no further question, got {question!r}"
        return remaining.pop(0)

    return answer
