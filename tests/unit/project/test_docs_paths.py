"""Paths of the repository in pages of the documentation exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
FOLDERS = "app|bin|docs|inventories|molecule|new_project|playbooks|plugins|roles|tests|tools|vars"
# Between backticks, with optional arguments.
PATH = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*[\w*])[` ]")
# A name that the reader replaces.
PLACEHOLDER = re.compile(r"(?:^|[/_.])[A-Z]{3,}(?:[/_.]|$)")
# Files that the operator creates.
OWN_FILES = re.compile(r"inventories/(?:staging|production)/.*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_path_exists(page: Path):
    for path in PATH.findall(page.read_text()):
        if PLACEHOLDER.search(path) or OWN_FILES.fullmatch(path):
            continue
        assert list(ROOT.glob(path)), f"{page.relative_to(ROOT)} names {path}, which does not exist"
