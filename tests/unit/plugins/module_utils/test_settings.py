"""The settings of a site: a release that fails leaves those of the live release."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import site_module
from ansible_collections.decanter.stack.plugins.module_utils import settings
from repository import ROLES

ENVIRONMENT, GUNICORN, CREDENTIAL = "etc/environment", "etc/gunicorn.conf.py", "etc/credentials/KEY"
SERVICE, WORKER, DROP_IN = "plain@.service", "plain.worker@.service", "plain@.service.d/site.conf"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a site with settings in `etc` and units in `units`, and record calls of systemctl."""
    monkeypatch.setattr(settings, "UNITS", tmp_path / "units")
    monkeypatch.setattr(settings, "systemctl", lambda *arguments: site.calls.append(arguments))
    site = site_module.temporary_site(tmp_path)
    site.calls = []
    for name in (ENVIRONMENT, GUNICORN, CREDENTIAL, f"units/{SERVICE}", f"units/{WORKER}"):
        write(site, name, "good")
    (tmp_path / "units" / DROP_IN).parent.mkdir()
    (tmp_path / "units" / DROP_IN).symlink_to(tmp_path / "etc/unit.conf")
    os.utime(tmp_path / "units/plain@.service.d", (1, 1))
    write(site, "units/other@.service", "good")
    return site


def write(site, name: str, text: str) -> None:
    path: Path = site.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1, 1) if text == "good" else None)


def texts(site) -> dict[str, str]:
    return {
        str(path.relative_to(site.root)): path.read_text()
        for path in sorted(site.root.rglob("*"))
        if path.is_file() and path.suffix != ".tar"
    }


def boot(site) -> None:
    """Run the program that systemd runs at boot, with a stub of systemctl."""
    stub = site.root / "bin/systemctl"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\necho $* >> {site.root}/bin/calls\n")
    stub.chmod(0o755)
    command = ["sh", ROLES["base"] / "files/restore", site.settings.parent]
    subprocess.run(command, check=True, env={"PATH": f"{stub.parent}:{os.environ['PATH']}"})


def test_failed_settings_are_replaced_with_those_of_the_live_release(site):
    settings.keep(site)
    before = texts(site)
    write(site, ENVIRONMENT, "bad")
    write(site, f"units/{WORKER}", "bad")
    (site.root / CREDENTIAL).unlink()
    assert not settings.are_kept(site)
    assert settings.restore(site)
    assert texts(site) == before, f"expected {before}, got {texts(site)}"
    # Otherwise the next run would restart the live instance.
    for path in (ENVIRONMENT, "units/plain@.service.d"):
        modified = (site.root / path).stat().st_mtime
        assert modified == 1, f"{path}: expected the time of the last change to be 1, got {modified}"
    assert site.calls == [("daemon-reload",)] and settings.are_kept(site)
    assert (site.root / "units" / DROP_IN).is_symlink()


def test_boot_restores_the_settings_of_the_live_release(site):
    settings.keep(site)
    before = texts(site)
    write(site, GUNICORN, "bad")
    write(site, "units/other@.service", "bad")
    boot(site)
    got = {name: text for name, text in texts(site).items() if not name.startswith("bin/")}
    assert got == before | {"units/other@.service": "bad"}
    assert (site.root / "bin/calls").read_text() == "daemon-reload\n"


def test_boot_does_not_change_settings_that_are_live(site):
    settings.keep(site)
    boot(site)
    assert not (site.root / "bin/calls").exists(), "expected no reload of systemd"


def test_archive_contains_no_settings_of_another_site_and_is_private(site):
    settings.keep(site)
    names = subprocess.run(["tar", "tf", site.settings, "-P"], check=True, capture_output=True, text=True)
    assert "other@.service" not in names.stdout, names.stdout
    mode = site.settings.stat().st_mode & 0o777
    assert mode == 0o600, f"expected the mode 600, got {mode:o}"


def test_settings_without_an_archive_stay(site):
    write(site, ENVIRONMENT, "new")
    assert not settings.restore(site) and (site.root / ENVIRONMENT).read_text() == "new"
    assert site.calls == []
