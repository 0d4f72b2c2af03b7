"""Release from a git repository, which only the controller reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("restore_releases")


class Repository:
    """A new git repository with the application in a folder."""

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


def test_branch_tag_and_commit_are_released(host, tmp_path, play, sites, live):
    repository = Repository(tmp_path / "repository")
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")

    def deploy(**source: str) -> str:
        git = {"git": str(repository.folder), "subdir": "web/jobs", **source}
        result = play("deploy.yml", sites | {"jobs": sites["jobs"] | {"source": git}}, "-e", "site=jobs")
        assert result.returncode == 0, result.stdout + result.stderr
        return live("jobs")

    def record(identifier: str) -> dict:
        with host.sudo():
            return json.loads(host.check_output("cat /srv/jobs/releases/%s.json", identifier))

    first_release = deploy()
    assert record(first_release)["commit"] == first, (
        f"expected the commit in the record, got {record(first_release)}"
    )
    assert record(first_release)["uncommitted"] is False, (
        f"expected no uncommitted change, got {record(first_release)}"
    )
    second = repository.commit("second")
    second_release = deploy()
    assert second_release != first_release, "expected a release of the new commit"
    assert record(second_release)["commit"] == second, f"expected {second}, got {record(second_release)}"
    assert deploy(version="v1") == first_release, (
        f"expected release {first_release} of the tag, got {live('jobs')}"
    )
    assert deploy(version=second[:10]) == second_release, (
        f"expected release {second_release} of the commit, got {live('jobs')}"
    )
    with host.sudo():
        names = host.check_output("ls -A /srv/jobs/releases/%s", second_release).split()
    assert "jobs.py" in names and ".git" not in names, f"expected only the files of the folder, got {names}"


def test_missing_repository_version_or_folder_fails(play, sites, tmp_path, live):
    old = live("jobs")
    repository = Repository(tmp_path / "repository")
    for source, expected in (
        ({"git": str(repository.folder), "version": "v9"}, "found no branch, tag or commit v9"),
        ({"git": str(tmp_path / "nowhere")}, "nowhere"),
        ({"git": str(repository.folder), "subdir": "nowhere"}, "found no such folder"),
    ):
        result = play("deploy.yml", sites | {"jobs": sites["jobs"] | {"source": source}}, "-e", "site=jobs")
        output = result.stdout + result.stderr
        assert result.returncode != 0 and expected in output, f"expected {expected!r}, got {output}"
    assert live("jobs") == old, f"expected {old} to stay live, got {live('jobs')}"
