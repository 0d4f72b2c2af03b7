"""Unit files that systemd rejects never replace valid ones."""

from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import zlib
from pathlib import Path
from shutil import which

import pytest
from run_module import CompletedModule, run_module

pytestmark = pytest.mark.skipif(not which("systemd-analyze"), reason="the machine has no systemd-analyze")
OWNER = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
# The program of a new site does not exist before its first release.
SERVICE = "[Service]\nExecStart=/srv/shop/blue/.venv/bin/python\n"


def put(root: Path, files: dict[str, str], links: dict[str, str] | None = None) -> CompletedModule:
    entries = [
        {"path": f"{root}/{path}", "state": "file", "content": content} | OWNER
        for path, content in files.items()
    ]
    entries += [
        {"path": f"{root}/{path}", "state": "link", "src": f"{root}/{target}"}
        for path, target in (links or {}).items()
    ]
    for entry in entries:
        Path(entry["path"]).parent.mkdir(parents=True, exist_ok=True)
    return run_module("files", packed=base64.b64encode(zlib.compress(json.dumps(entries).encode())).decode())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[Service]\n", "bad unit file setting"),
        (f"{SERVICE}MemoryMax=plenty\n", "systemd/system/shop@.service:3: "),
        (f"{SERVICE}ProtectEverything=yes\n", "systemd/system/shop@.service:3: Unknown key"),
    ],
)
def test_invalid_unit_does_not_replace_a_valid_one(tmp_path, content, expected):
    unit = "systemd/system/shop@.service"
    assert put(tmp_path, {unit: SERVICE}).code == 0
    done = put(tmp_path, {"first": "x", unit: content})
    assert done.code == 1 and expected in done.result["msg"], f"expected {expected!r}, got {done}"
    assert "systemd rejects the new unit files. No file was changed." in done.result["msg"], done
    assert (tmp_path / unit).read_text() == SERVICE and not (tmp_path / "first").exists()


def test_linked_drop_in_is_checked_with_its_unit(tmp_path):
    files = {"systemd/system/shop@.service": SERVICE, "decanter/shop/unit.conf": "[Service]\nNice=5\n"}
    links = {"systemd/system/shop@.service.d/site.conf": "decanter/shop/unit.conf"}
    assert put(tmp_path, files, links).code == 0
    done = put(tmp_path, files | {"decanter/shop/unit.conf": "[Service]\nNice=50\n"}, links)
    assert done.code == 1 and f"{tmp_path}/decanter/shop/unit.conf:2: " in done.result["msg"], done
    assert (tmp_path / "decanter/shop/unit.conf").read_text() == "[Service]\nNice=5\n"


def test_unit_of_a_missing_package_needs_no_check(tmp_path):
    drop_in = "systemd/system/missing.service.d/decanter.conf"
    assert put(tmp_path, {drop_in: "[Service]\nNice=5\n"}).code == 0
