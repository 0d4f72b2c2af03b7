"""The generated documentation is what its sources say, and the written one names what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_generated_pages_are_current():
    run = subprocess.run([sys.executable, ROOT / "bin/docs", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_files_exist(page):
    text = (ROOT / page).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M):
        assert target in targets, f"{page} names `make {target}`, expected one of {sorted(targets)}"
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(path).exists(), f"{page} links to {path}, which does not exist"


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_is_whole(role):
    folder = ROOT / "roles" / role
    for part in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (folder / part).exists(), f"role {role}: expected {part}, found none"


def test_the_guide_is_linked():
    text = (ROOT / "README.md").read_text()
    missing = [page for page in PAGES if page.startswith("docs/") and f"]({page})" not in text]
    assert not missing, f"README.md: expected links to {missing}, found none"


def anchors(text: str) -> set[str]:
    """The names that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_into_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text()
    wrong = set(re.findall(r"\]\(#([^)]+)\)", text)) - anchors(text)
    assert not wrong, f"{page} links to {wrong}, expected one of {sorted(anchors(text))}"


def test_the_commands_of_the_guide_are_those_of_make():
    """What follows SITE=, TO= and the like is known to the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        given = " ".join(re.findall(r"make [a-z-]+((?: [A-Z]+=\S*)+)", (ROOT / page).read_text()))
        for name in re.findall(r"([A-Z]+)=", given):
            assert re.search(rf"\b{name}\b", makefile), (
                f"{page} names {name}=, which the Makefile does not know"
            )


# Words of a message in the guide, and where they come from.
SAID = {
    "plugins/action/release.py": ["found no branch, tag or commit"],
    "plugins/action/release_lock.py": ["has been at work on it since", "Nothing was changed. "],
    "plugins/modules/release.py": ["no release was made.", "of its build failed", "expected the files of"],
    "plugins/module_utils/environment.py": ["cannot be built for Python"],
    "plugins/modules/release_switch.py": ["it did not go live", "was put back"],
    "plugins/module_utils/live.py": [
        "it ended",
        "it was not healthy within",
        "it became unhealthy when it was live",
        "systemd refuses",
    ],
    "plugins/filter/releases.py": ["the schema of the database has changed since release"],
}


@pytest.mark.parametrize(("path", "words"), [(path, words) for path in SAID for words in SAID[path]])
def test_the_guide_quotes_what_is_said(path, words):
    guide, source = (ROOT / "docs/releases.md").read_text(), (ROOT / path).read_text()
    for name, text in (("docs/releases.md", guide), (path, source)):
        assert words.strip() in text, f"expected {words!r} in {name}"
