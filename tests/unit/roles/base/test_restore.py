"""At boot, the program `restore` puts configuration of an interrupted run back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from repository import ROLES


def restore(*folders: Path, settings: Path = Path("/nonexistent")) -> None:
    subprocess.run(["sh", ROLES["base"] / "files/restore", settings, *folders], check=True)


def configuration(folder: Path, name: str, content: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "main.conf").write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_previous_configuration_is_restored(tmp_path):
    for name in ("etc", "etc/ssh"):
        configuration(tmp_path / name, "mysql" if name == "etc" else "sshd_config.d", "new")
    configuration(tmp_path / "etc", ".mysql.previous", "old")
    configuration(tmp_path / "etc/ssh", ".sshd_config.d.previous", "old")
    restore(tmp_path / "etc", tmp_path / "etc/ssh")
    for path in ("etc/mysql", "etc/ssh/sshd_config.d"):
        got = (tmp_path / path / "main.conf").read_text()
        assert got == "old", f"{path}: expected old, got {got}"
    assert (names(tmp_path / "etc"), names(tmp_path / "etc/ssh")) == (["mysql", "ssh"], ["sshd_config.d"])


@pytest.mark.parametrize("left", [[".mysql.previous"], [".mysql.previous", ".mysql.previous.rejected"]])
def test_interrupted_restore_is_completed(tmp_path, left):
    for name in left:
        configuration(tmp_path, name, "old" if name == ".mysql.previous" else "new")
    restore(tmp_path)
    assert names(tmp_path) == ["mysql"] and (tmp_path / "mysql/main.conf").read_text() == "old"


def test_folder_without_previous_configuration_is_kept(tmp_path):
    configuration(tmp_path, "mysql", "new")
    restore(tmp_path)
    assert names(tmp_path) == ["mysql"] and (tmp_path / "mysql/main.conf").read_text() == "new"
