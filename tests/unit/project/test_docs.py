"""Generated pages are current, and written pages name existing commands, files and messages."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from repository import ROLES, ROOT


def test_generated_pages_are_current():
    run = subprocess.run([ROOT / "bin/docs", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
KINDS = "docs/applications/README.md"


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_files_exist(page):
    text = (ROOT / page).read_text()
    makefiles = [(ROOT / folder / "Makefile").read_text() for folder in (".", "new_project")]
    targets = set(re.findall(r"^([a-z-]+):", "".join(makefiles), re.M))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M):
        assert target in targets, f"{page} names `make {target}`, expected one of {sorted(targets)}"
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(path).exists(), f"{page} links to {path}, which does not exist"


@pytest.mark.parametrize("role", ROLES)
def test_role_has_its_files(role):
    folder = ROLES[role]
    for part in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (folder / part).exists(), f"role {role}: expected {part}, found none"


def test_every_page_is_linked():
    text = (ROOT / "README.md").read_text() + (ROOT / KINDS).read_text().replace("](", "](docs/applications/")
    missing = [page for page in PAGES if page.startswith("docs/") and f"]({page})" not in text]
    assert not missing, f"README.md and {KINDS}: expected links to {missing}, found none"


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub creates them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_anchors_of_links_exist(page):
    text = (ROOT / page).read_text()
    wrong = set(re.findall(r"\]\(#([^)]+)\)", text)) - anchors(text)
    assert not wrong, f"{page} links to {wrong}, expected one of {sorted(anchors(text))}"
    for other, name in re.findall(r"\]\((?!https?:)([^)#]+)#([^)]+)\)", text):
        known = anchors((ROOT / page).parent.joinpath(other).read_text())
        assert name in known, f"{page} links to {other}#{name}, expected one of {sorted(known)}"


ENTRIES = [
    (page, yaml.safe_load(block)["sites"])
    for page in PAGES
    if page.startswith("docs/applications/")
    for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
]


@pytest.mark.parametrize(("page", "sites"), ENTRIES)
def test_example_entry_is_valid(page, sites):
    def with_secrets(value: Any) -> Any:
        """Return the entry with secrets in place of the vault's variables."""
        if isinstance(value, dict):
            return {key: with_secrets(item) for key, item in value.items()}
        if value in [f"{{{{ vault_sites.{site}.secrets }}}}" for site in sites]:
            return {"SECRET_KEY": "a secret"}
        return value

    errors = site_errors(with_secrets(sites), str(ROOT))
    assert not errors, f"{page}: {errors}"


@pytest.mark.parametrize("name", ["orders", "gallery"])
def test_example_entry_is_the_entry_of_the_scenario(name):
    scenario = ROOT / "molecule/applications/inventory/group_vars/all/sites.yml"
    tested = yaml.safe_load(scenario.read_text())["sites"][name]
    documented = [sites[name] for page, sites in ENTRIES if name in sites]
    assert len(documented) == 1, f"expected {name} on one page, got it on {len(documented)}"
    # The lab has its own names, repository and CA.
    for entry in (tested, documented[0]):
        for key in ("server_names", "source", "tls"):
            entry.pop(key, None)
    assert documented[0] == tested, f"expected the entry of the scenario, {tested}, got {documented[0]}"


def test_variables_of_make_commands_exist():
    """The Makefile uses each variable such as SITE= and TO=."""
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        assignments = " ".join(re.findall(r"make [a-z-]+((?: [A-Z]+=\S*)+)", (ROOT / page).read_text()))
        for name in re.findall(r"([A-Z]+)=", assignments):
            assert re.search(rf"\b{name}\b", makefile), (
                f"{page} names {name}=, which the Makefile does not use"
            )


# Parts of messages in the guide, by the file that prints them.
MESSAGES = {
    "plugins/action/release.py": ["found no branch, tag or commit"],
    "plugins/action/release_lock.py": ["locked by", "Nothing was changed. "],
    "plugins/modules/release.py": ["no release was built.", "expected the files of"],
    "roles/python_app/files/build/__main__.py": ["of its build"],
    "plugins/module_utils/build_backend.py": ["cannot be built for Python"],
    "plugins/module_utils/activation.py": ["it did not go live", "was put back"],
    "plugins/filter/release_outcome.py": ["unchanged: switched back to", "not switched back"],
    "plugins/module_utils/live.py": [
        "it ended",
        "it was not healthy within",
        "it became unhealthy when it was live",
    ],
    "plugins/module_utils/companions.py": ["systemd rejects"],
    "plugins/filter/release_plan.py": ["the schema of the database has changed since release"],
}


@pytest.mark.parametrize(("path", "words"), [(path, words) for path in MESSAGES for words in MESSAGES[path]])
def test_messages_in_the_guide_exist_in_code(path, words):
    guide, source = (ROOT / "docs/releases.md").read_text(), (ROOT / path).read_text()
    for name, text in (("docs/releases.md", guide), (path, source)):
        assert words.strip() in text, f"expected {words!r} in {name}"
