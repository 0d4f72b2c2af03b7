"""Errors of action plugins are printed once, although Ansible appends the message of an exception's cause."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from playbook_run import ROOT, run_playbook


def failure(folder: Path, files: dict[str, dict[str, str]]) -> str:
    """Return the message of the action `release` for a site with these files."""
    (folder / "source").mkdir()
    (folder / "source/app.py").write_text("")
    release = {
        "site": {"name": "shop"},
        "source": {"path": str(folder / "source")},
        "files": files,
        "make": False,
    }
    tasks = [
        {"name": "Fail", "decanter.stack.release": release, "register": "failure", "ignore_errors": True},
        {"name": "Print", "decanter.stack.message": {"lines": ["msg={{ failure.msg }}"]}},
    ]
    play = {"name": "Fail", "hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([play]))
    done = run_playbook(folder / "play.yml", "-i", "localhost,", "--connection", "local")
    (message,) = [line for line in done.stdout.splitlines() if line.startswith("msg=")]
    return message.removeprefix("msg=")


@pytest.mark.parametrize("key", ["path", "template"])
def test_missing_file_of_a_site_is_reported_once(tmp_path, key):
    expected = (
        f'sites.shop.files["config.ini"].{key}: found {tmp_path}/a.ini, expected a file that can be read'
    )
    got = failure(tmp_path, {"config.ini": {key: f"{tmp_path}/a.ini"}})
    assert got == f"{expected} (No such file or directory)"


def test_binary_file_of_a_site_is_reported_once(tmp_path):
    (tmp_path / "a.ini").write_bytes(b"a = \xff\n")
    expected = f'sites.shop.files["config.ini"].path: found {tmp_path}/a.ini, expected text in UTF-8'
    got = failure(tmp_path, {"config.ini": {"path": f"{tmp_path}/a.ini"}})
    assert got == f"{expected} (invalid start byte at byte 4)"


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/action/*.py")), ids=lambda path: path.stem)
def test_action_raises_without_a_cause(path):
    raises = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
    for node in raises:
        cause = ast.unparse(node.cause) if node.cause else "None"
        assert cause == "None", f"{path.name}:{node.lineno}: expected `from None`, found `from {cause}`"
