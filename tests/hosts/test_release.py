"""The activation of a release loses no request, and a broken release is never activated."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest

from tests.hosts.fixtures.lab import ROOT, Reader

TAGS = ("--tags", "python_app,release")


@pytest.fixture
def source(tmp_path) -> Path:
    """Return a copy of Harbour that the test can change."""
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return folder


class ReleaseReader(Reader):
    """Request a page repeatedly, and record the status and the release of each response."""

    pause = 0.01

    def request(self) -> tuple[int, str]:
        try:
            response = self.get("https://harbour.test/listings/")
        except OSError as error:
            return 0, repr(error)
        return response.status_code, response.headers.get("X-Release", "")


@pytest.mark.make_test_hosts("trixie")
def test_activation_loses_no_request_and_skips_broken_release(host, visitor, sites, play, source):
    first = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    changed = sites | {"harbour": sites["harbour"] | {"source": {"path": str(source)}}}

    page = source / "harbour/templates/home.html"
    page.write_text(page.read_text() + f"\n<!-- {secrets.token_hex(4)} -->\n")
    with ReleaseReader(visitor) as load:
        run = play("site.yml", changed, *TAGS)
    assert run.returncode == 0, run.stdout
    second = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    assert second != first, f"expected another release than {first}, got {second}"
    lost = [response for response in load.results if response not in ((200, first), (200, second))]
    assert len(load.results) > 50 and not lost, f"expected no request lost of {len(load.results)}, got {lost}"
    with host.sudo():
        environments = host.check_output(
            f"readlink /srv/harbour/releases/{first}/.venv /srv/harbour/releases/{second}/.venv"
        )
    assert len(set(environments.split())) == 1, f"expected one environment for both, got {environments}"

    (source / "harbour/__init__.py").write_text("raise RuntimeError('this release is broken')\n")
    broken = sites | {"harbour": changed["harbour"] | {"migrate": "true"}}
    with ReleaseReader(visitor) as load:
        run = play("site.yml", broken, *TAGS)
    assert run.returncode != 0, f"expected a broken release to fail the run, got {run.stdout}"
    assert "this release is broken" in run.stdout, f"expected the application's error, got {run.stdout}"
    lost = [response for response in load.results if response != (200, second)]
    assert not lost, f"expected {second} to stay live, got {lost}"

    run = play("site.yml", sites, *TAGS)
    assert run.returncode == 0, run.stdout
    last = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    assert last == first, f"expected {first} again, because the content is equal, got {last}"
