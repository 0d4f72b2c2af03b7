"""A git repository as the source, which only the controller ever sees."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("back")


class Repository:
    """One made for the purpose, the application in a folder of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "molecule/releases/jobs", folder / "web/jobs")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("first")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@jobs.test")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, text: str) -> str:
        (self.folder / "web/jobs/text.txt").write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", text)
        return self.git("rev-parse", "HEAD")


def test_a_branch_a_tag_and_a_commit_are_released(host, tmp_path, play, sites, live):
    repository = Repository(tmp_path / "repository")
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")

    def deploy(**source: str) -> str:
        git = {"git": str(repository.folder), "subdir": "web/jobs", **source}
        finished = play("deploy.yml", sites | {"jobs": sites["jobs"] | {"source": git}}, "-e", "site=jobs")
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return live("jobs")

    def record(identifier: str) -> dict:
        with host.sudo():
            return json.loads(host.check_output("cat /srv/jobs/releases/%s.json", identifier))

    one = deploy()
    assert record(one)["commit"] == first, f"expected the commit in the record, got {record(one)}"
    assert record(one)["uncommitted"] is False, f"got {record(one)}"
    second = repository.commit("second")
    two = deploy()
    assert two != one, "expected the branch to be looked at again"
    assert record(two)["commit"] == second, f"expected {second}, got {record(two)}"
    assert deploy(version="v1") == one, f"expected the tag to be release {one}, got {live('jobs')}"
    assert deploy(version=second[:10]) == two, f"expected the commit to be release {two}, got {live('jobs')}"
    with host.sudo():
        inside = host.check_output("ls -A /srv/jobs/releases/%s", two).split()
    assert "jobs.py" in inside and ".git" not in inside, f"expected the folder alone, got {inside}"


def test_what_is_not_there_is_said(play, sites, tmp_path, live):
    old = live("jobs")
    repository = Repository(tmp_path / "repository")
    for source, expected in (
        ({"git": str(repository.folder), "version": "nobody"}, "found no branch, tag or commit nobody"),
        ({"git": str(tmp_path / "nowhere")}, "nowhere"),
        ({"git": str(repository.folder), "subdir": "nowhere"}, "found no such folder"),
    ):
        finished = play("deploy.yml", sites | {"jobs": sites["jobs"] | {"source": source}}, "-e", "site=jobs")
        output = finished.stdout + finished.stderr
        assert finished.returncode != 0 and expected in output, f"expected {expected!r}, got {output}"
    assert live("jobs") == old, f"expected {old} to stay live, got {live('jobs')}"
