"""`make lint` and the hooks run the same programs, on all files of the repository."""

from __future__ import annotations

import configparser
import os
import re
import subprocess

import pytest
import tomllib
import yaml
from repository import ROOT, repository_files, repository_symlinks

PRODUCT = ("plugins", "roles", "tools")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def test_commands_are_shell_scripts():
    """Python belongs to tools/, because ruff and mypy find files by their suffix."""
    first = {path: (ROOT / path).read_text().splitlines()[0] for path in repository_files("bin")}
    assert set(first.values()) == {"#!/bin/sh", "#!/bin/bash"}, first


def test_symlinks_stay_inside_the_repository():
    """A link to a folder outside, such as a linked .venv, is broken on other machines."""
    links = {path: (ROOT / path).readlink() for path in repository_symlinks()}
    outside = {
        path: str(target)
        for path, target in links.items()
        if target.is_absolute() or not (ROOT / path).resolve().is_relative_to(ROOT)
    }
    assert links and not outside, f"expected relative links inside the repository, got {outside}"


def test_ruff_has_one_configuration():
    application = tomllib.loads((ROOT / "app/pyproject.toml").read_text())["tool"]["ruff"]
    assert application.keys() == {"extend", "lint"}, application
    assert (ROOT / "app" / application["extend"]).resolve() == ROOT / "pyproject.toml"
    assert "select" not in application["lint"], "expected app/ to extend the rules of the repository"


def test_typecheck_covers_all_product_code():
    done = subprocess.run(
        [ROOT / "bin/typecheck"],
        env=os.environ | {"MYPY": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    checked = {(ROOT / word).resolve() for word in done.stdout.split() if not word.startswith("-")}
    expected = {path for path in repository_files(*PRODUCT) if path.endswith(".py")}
    missing = [
        path for path in sorted(expected) if not checked & {ROOT / path, *(ROOT / path).parents} - {ROOT}
    ]
    assert not missing, f"expected bin/typecheck to check {', '.join(missing)}"


def test_typecheck_ignores_no_errors():
    for override in SETTINGS["mypy"].get("overrides", []):
        assert override.keys() <= {"module", "ignore_missing_imports", "follow_untyped_imports"}, override
    assert SETTINGS["mypy"]["check_untyped_defs"] is True


@pytest.mark.parametrize(
    "hook", [hook for repo in HOOKS for hook in repo["hooks"]], ids=lambda hook: hook["id"]
)
def test_hook_runs_a_command_of_lint(hook):
    """Hooks need no network, and their arguments are those of bin/test."""
    assert [repo["repo"] for repo in HOOKS] == ["local"]
    assert hook["language"] == "system", hook
    command = (
        re.sub(r"^env \S+ ", "", hook["entry"]).replace(" --force-exclude", "").replace(".venv/bin/", "")
    )
    assert command in (ROOT / "bin/test").read_text(), f"expected {command} in bin/test"


def test_files_follow_editorconfig():
    parser = configparser.ConfigParser()
    parser.read_string("[root]\n" + (ROOT / ".editorconfig").read_text())
    assert int(parser["*.py"]["max_line_length"]) == SETTINGS["ruff"]["line-length"]
    wrong = []
    for path in repository_files():
        content = (ROOT / path).read_bytes()
        if b"\0" in content or not content:
            continue
        if not content.endswith(b"\n") or b"\r\n" in content:
            wrong.append(f"{path}: expected a newline at the end, and no carriage returns")
        # `-- ` starts a mail's signature.
        if not path.endswith(".log") and re.search(rb"[ \t]\n", content.replace(b"\n-- \n", b"\n")):
            wrong.append(f"{path}: found blanks at the end of a line")
        if not path.endswith(("Makefile", ".log")) and re.search(rb"^\t", content, re.M):
            wrong.append(f"{path}: found a line that starts with a tab")
    assert not wrong, "\n".join(wrong)
