"""A unit that does not accept its new configuration runs with the previous one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.modules.unit_apply import plan
from run_module import CompletedModule, run_module
from stub_programs import program

# The unit started long ago, so each file is newer. Its restart fails if the configuration is wrong.
SYSTEMCTL = """
echo "$*" >> {root}/calls
case $1 in
show)
  echo LoadState=loaded
  echo ActiveState=active
  echo UnitFileState=enabled
  echo "ActiveEnterTimestamp=Sat 2020-01-01 00:00:00.000000 UTC"
  echo "StateChangeTimestamp=Sat 2020-01-01 00:00:00.000000 UTC" ;;
restart)
  ! grep -q wrong {root}/service/main.conf || {{ echo "Job failed." >&2; exit 1; }} ;;
esac
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "systemctl", SYSTEMCTL.format(root=tmp_path))
    program(tmp_path / "bin", "journalctl", "echo unknown variable")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, content in ((".service.previous", "old"), ("service", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.conf").write_text(content)
    return tmp_path


def apply(root: Path, **options: bool) -> CompletedModule:
    folder = str(root / "service")
    return run_module("unit_apply", name="service.service", reads=[folder], restore=folder, **options)


def actions(root: Path) -> list[str]:
    calls = (root / "calls").read_text().splitlines()
    return [call for call in calls if call.startswith("restart")]


def test_accepted_configuration_confirms_the_folder(root):
    done = apply(root)
    assert (done.code, done.result["action"]) == (0, "restart"), done
    assert not (root / ".service.previous").exists() and (root / "service/main.conf").read_text() == "new"


def test_failed_restart_restores_the_previous_configuration(root):
    (root / "service/main.conf").write_text("wrong")
    done = apply(root)
    assert done.code == 1 and (root / "service/main.conf").read_text() == "old", done
    assert not (root / ".service.previous").exists(), "expected no folder with the rejected configuration"
    for words in (
        "the restart failed: ",
        "Job failed.",
        "unknown variable",
        "has its previous content again, and",
    ):
        assert words in done.result["msg"], f"expected {words!r}, got {done.result['msg']}"
    assert len(actions(root)) == 2, f"expected a restart with each content, got {actions(root)}"


def test_failed_restart_without_previous_configuration_reports_the_log(root):
    (root / "service/main.conf").write_text("wrong")
    (root / ".service.previous/main.conf").unlink()
    (root / ".service.previous").rmdir()
    done = apply(root)
    assert done.code == 1 and "previous content" not in done.result["msg"], done
    assert (root / "service/main.conf").read_text() == "wrong" and len(actions(root)) == 1


def test_check_mode_keeps_the_previous_configuration(root):
    assert apply(root, check=True).code == 0
    assert (root / ".service.previous").exists() and actions(root) == []


def test_changed_slice_is_not_restarted(tmp_path):
    """A restart of a slice stops all units in it."""
    file = tmp_path / "decanter-shop.slice"
    file.touch()
    unit = {
        "ActiveState": "active",
        "ActiveEnterTimestamp": "Sat 2020-01-01 00:00:00.000000 UTC",
        "StateChangeTimestamp": "Sat 2020-01-01 00:00:00.000000 UTC",
        "FragmentPath": str(file),
        "DropInPaths": "",
    }
    got = [plan(unit, f"decanter-shop.{kind}", [], False)[0] for kind in ("slice", "service")]
    assert got == ["none", "restart"], got
