"""A release that goes live costs nobody a request, and one that is broken never goes live."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.hosts.fixtures.lab import ROOT

TAGS = ("--tags", "python_app,release")


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of Harbour that may be changed."""
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    return folder


class Readers(threading.Thread):
    """Asks for a page again and again, and notes each answer's status and release."""

    def __init__(self, visitor) -> None:
        super().__init__(daemon=True)
        self.visitor, self.answers, self.over = visitor, [], threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                answer = self.visitor.get("https://harbour.test/listings/")
                self.answers.append((answer.status_code, answer.headers.get("X-Release")))
            except OSError as error:
                self.answers.append((0, repr(error)))
            time.sleep(0.01)

    def __enter__(self) -> Readers:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


def test_releases_go_live_without_a_lost_request(host, visitor, sites, play, source):
    first = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    changed = sites | {"harbour": sites["harbour"] | {"source": {"path": str(source)}}}

    page = source / "harbour/templates/home.html"
    page.write_text(page.read_text() + f"\n<!-- {secrets.token_hex(4)} -->\n")
    with Readers(visitor) as readers:
        run = play("site.yml", changed, *TAGS)
    assert run.returncode == 0, run.stdout
    second = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    assert second != first, f"expected another release than {first}, got {second}"
    lost = [answer for answer in readers.answers if answer not in ((200, first), (200, second))]
    assert len(readers.answers) > 50 and not lost, (
        f"expected no request lost of {len(readers.answers)}, got {lost}"
    )
    with host.sudo():
        environments = host.check_output(
            f"readlink /srv/harbour/releases/{first}/.venv /srv/harbour/releases/{second}/.venv"
        )
    assert len(set(environments.split())) == 1, f"expected one environment for both, got {environments}"

    (source / "harbour/__init__.py").write_text("raise RuntimeError('this release is broken')\n")
    broken = sites | {"harbour": changed["harbour"] | {"migrate": "true"}}
    with Readers(visitor) as readers:
        run = play("site.yml", broken, *TAGS)
    assert run.returncode != 0, f"expected a broken release to fail the run, got {run.stdout}"
    assert "this release is broken" in run.stdout, f"expected the end of its log, got {run.stdout}"
    lost = [answer for answer in readers.answers if answer != (200, second)]
    assert not lost, f"expected {second} to stay live, got {lost}"

    run = play("site.yml", sites, *TAGS)
    assert run.returncode == 0, run.stdout
    last = visitor.get("https://harbour.test/healthz").headers["X-Release"]
    assert last == first, f"expected the same content to be the same release, {first}; got {last}"
