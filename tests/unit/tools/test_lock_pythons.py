"""The pinned Pythons that hosts may download, and the program that pins them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.python_builds import pinned
from python_mirror import RELEASES
from repository import ROOT
from uv_program import find_uv

from tools import lock_pythons

PINS = json.loads((ROOT / "roles/python_app/files/pythons.json").read_text())
MINORS = sorted({pin["minor"] for pin in PINS.values()})


def entry(minor: int, patch: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{RELEASES}/1/a.tar.gz",
        "sha256": "0" * 64,
        "variant": None,
        "build": "1",
    } | more


def test_every_version_has_a_build_for_every_machine():
    assert list(range(10, MINORS[-1] + 1)) == MINORS and MINORS[-1] >= 14, MINORS
    found = sorted((pin["minor"], pin["arch"]["family"]) for pin in PINS.values())
    expected = [(minor, machine) for minor in MINORS for machine in lock_pythons.MACHINES]
    assert found == expected, f"expected one build each, got {found}"


@pytest.mark.parametrize("key", PINS)
def test_pin_names_its_archive_and_checksum(key):
    pin = PINS[key]
    version, machine = f"3.{pin['minor']}.{pin['patch']}", pin["arch"]["family"]
    assert key == f"cpython-{version}-linux-{machine}-gnu"
    assert re.fullmatch("[0-9a-f]{64}", pin["sha256"]), f"{key}: expected a SHA-256, got {pin['sha256']}"
    name = f"cpython-{version}%2B{pin['build']}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    assert pin["url"] == f"{RELEASES}/{pin['build']}/{name}", pin["url"]
    assert pinned(PINS, f"3.{pin['minor']}", machine).key == key


def test_uv_reads_the_pins(tmp_path):
    command = [
        find_uv(), "python", "list", "--no-config", "--only-downloads", "--all-versions", "--all-platforms",
        "--all-arches", "--output-format", "json", "--cache-dir", str(tmp_path),
        "--python-downloads-json-url", str(ROOT / "roles/python_app/files/pythons.json"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    keys = sorted(each["key"] for each in json.loads(done.stdout))
    assert keys == sorted(PINS), f"expected {sorted(PINS)}, got {keys} {done.stderr}"


def test_newest_stable_build_is_pinned():
    known = {
        "old": entry(12, 9),
        "new": entry(12, 10),
        "early": entry(12, 11, prerelease="rc1"),
        "free": entry(12, 12, variant="freethreaded"),
        "musl": entry(12, 13, libc="musl"),
        "mac": entry(12, 14, os="darwin", libc="none"),
        "pypy": entry(12, 15, name="pypy"),
        "fast": entry(12, 16, arch={"family": "x86_64", "variant": "v3"}),
        "arm": entry(12, 8, arch={"family": "aarch64", "variant": None}),
        "other": entry(12, 17, arch={"family": "riscv64", "variant": None}),
        "unsupported": entry(9, 25),
    }
    assert list(lock_pythons.pins(known)) == ["arm", "new"], lock_pythons.pins(known)
    with pytest.raises(ValueError, match="new: found no checksum"):
        lock_pythons.pins({"new": entry(12, 10, sha256=None)})


def test_list_is_read_from_sources_and_from_a_program(tmp_path):
    known = {"cpython-3.12.10-linux-x86_64-gnu": entry(12, 10)}
    source = tmp_path / "download-metadata.json"
    source.write_text(json.dumps(known, indent=2))
    assert lock_pythons.metadata(source) == known
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed; make lock needs it")
    text = json.dumps(known, separators=(",", ":")).encode()
    packed = subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout
    program = tmp_path / "uv"
    program.write_bytes(
        b"\x7fELF" + lock_pythons.ZSTD + b"not a frame" + packed + b"and the rest of the program"
    )
    assert lock_pythons.metadata(program) == known
    program.write_bytes(b"\x7fELF" + lock_pythons.ZSTD)
    with pytest.raises(ValueError, match="found no list of Pythons"):
        lock_pythons.metadata(program)


def test_list_of_the_locked_uv_is_read():
    """uv has no command that prints checksums: another release may keep its list in another form."""
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed; make lock needs it")
    pins = lock_pythons.pins(lock_pythons.metadata(Path(find_uv()).resolve()))
    assert {pin["minor"] for pin in pins.values()} >= set(MINORS), list(pins)


def test_program_without_a_list_changes_nothing(tmp_path):
    (tmp_path / "uv").write_text("none")
    before = (ROOT / "roles/python_app/files/pythons.json").read_bytes()
    command = [ROOT / "bin/lock-pythons", tmp_path / "uv"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr.startswith("lock-pythons: "), done
    assert (ROOT / "roles/python_app/files/pythons.json").read_bytes() == before
