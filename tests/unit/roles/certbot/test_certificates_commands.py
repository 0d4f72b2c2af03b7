"""Commands of the program, and its start as a folder."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from certificates_host import MODULES, PROGRAM, ROOT, Host, new_host, replace_writes

commands = MODULES["commands"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host with a site and its configuration."""
    host = new_host(tmp_path, monkeypatch)
    host.run(a={})
    host.orders()
    (tmp_path / "certificates.json").write_text(json.dumps(host.configuration(a={})))
    monkeypatch.setattr(commands, "CONFIGURATION", tmp_path / "certificates.json")
    return host


def test_request_file_is_valid_for_one_run(host):
    (host.folder / "request.json").write_text('{"force": true}')
    for orders in (1, 0):
        assert commands.main([]) == 0
        assert len(host.orders()) == orders, "expected the request to be valid for one run"
    result = json.loads((host.folder / "last.json").read_text())
    assert result["sites"] == {"a": {"installed": False, "error": ""}}
    assert result.keys() == {"request", "begun", "account", "ended", "sites", "faults"}


def test_list_is_json(host, capsys):
    assert commands.main(["list"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "a"


def test_full_disk_is_reported(host, monkeypatch, capsys):
    def write(path: Path, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    replace_writes(monkeypatch, write)
    (host.folder / "request.json").write_text('{"force": true}')
    assert commands.main([]) == 1
    output = capsys.readouterr().out
    assert f"a: {host.folder}/sites/a.json: No space left on device\n" in output, output
    assert f"{host.folder}/last.json: No space left on device\n" in output, output


def test_failed_transfer_names_the_host(host):
    with pytest.raises(SystemExit, match="this host has no account with an ACME server"):
        commands.main(["pack"])


def test_unknown_command_is_rejected(host, capsys):
    with pytest.raises(SystemExit):
        commands.main(["renew"])
    assert host.calls() == [] and "invalid choice: 'renew'" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(PROGRAM.glob("*.py")), ids=lambda path: path.stem)
def test_module_is_valid_for_python_3_10(path):
    ast.parse(path.read_text(), feature_version=(3, 10))


def test_program_starts_as_a_folder(tmp_path):
    """With the link to the package `shared` that the role creates."""
    (tmp_path / "certificates").mkdir()
    for path in PROGRAM.glob("*.py"):
        (tmp_path / "certificates" / path.name).write_text(path.read_text())
    (tmp_path / "shared").symlink_to(ROOT / "plugins/module_utils/shared")
    (tmp_path / "certificates/shared").symlink_to("../shared")
    command = [sys.executable, "-Es", tmp_path / "certificates", "--help"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0 and "certbot's deploy hook" in done.stdout, done.stderr
