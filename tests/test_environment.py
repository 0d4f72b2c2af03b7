"""What is installed beside what an application asks for."""

from __future__ import annotations

from pathlib import Path

from ours import utils

environment = utils("environment")
ROOT = Path(__file__).parents[1]
LOCKED = """\
gunicorn==27.0.1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
zope-event==6.2 \\
    --hash=sha256:cc
"""


def installed(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / f"lib/python3.13/site-packages/{name}.dist-info").mkdir(parents=True)
    return folder


def test_what_an_application_pins_is_not_replaced_for_our_server(tmp_path):
    assert environment.lacking(installed(tmp_path / "a", "flask-3.0"), LOCKED) == LOCKED
    got = environment.lacking(installed(tmp_path / "b", "zope.event-4.0"), LOCKED)
    assert got == LOCKED.partition("\nzope")[0], f"expected gunicorn with its hashes alone, got {got}"


def test_our_server_brings_what_its_gevent_worker_imports():
    locked = (ROOT / "roles/release/files/gunicorn.txt").read_text()
    assert "\npackaging==" in locked, f"expected packaging beside gunicorn, got {locked}"
