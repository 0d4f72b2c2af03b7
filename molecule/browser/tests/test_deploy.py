"""Deploy a release while an owner offers homes and a moderator publishes them."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from itertools import count

import pytest
import yaml
from browsing import visit
from conftest import ROOT
from homes import log_in, offer, publish
from playwright.sync_api import sync_playwright

from tests.hosts.fixtures.lab import run_playbook

# Seconds between two homes of the owner. Three clicks send each third home.
PACE = 2.5
# Homes between two resets of the limit of 30 homes an hour.
RESET_INTERVAL = 8


class UserThread(threading.Thread):
    """A user in a browser of its own. `wait` raises the error of the thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work, self.error = work, None
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def wait(self) -> None:
        self.join(120)
        assert not self.is_alive(), "expected the thread to end within two minutes"
        if self.error:
            raise self.error


@pytest.fixture
def deploy(inventory, tmp_path) -> Callable[[], None]:
    """Deploy a changed copy of Harbour."""
    sites = yaml.safe_load((ROOT / "molecule/browser/inventory/group_vars/all/sites.yml").read_text())
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    sites["sites"]["harbour"]["source"] = {"path": str(folder)}
    (tmp_path / "sites.yml").write_text(yaml.safe_dump(sites))

    def release() -> None:
        with (folder / "harbour/static/style.css").open("a") as style:
            style.write(f"\n/* {secrets.token_hex(8)} */\n")
        result = run_playbook("deploy.yml", inventory, "-e", f"@{tmp_path}/sites.yml", "-e", "site=harbour")
        assert result.returncode == 0, result.stdout + result.stderr

    return release


def test_deploy_loses_and_duplicates_no_home(
    endpoint, browser_home, login, photos, lab_host, reset_limits, deploy
):
    mark = f"Harbour house {secrets.token_hex(4)}"
    references: dict[str, str] = {}  # by title
    published: list[str] = []
    releases: dict[str, list[str]] = {"owner": [], "moderator": []}
    stop, owner_done = threading.Event(), threading.Event()

    def owner() -> None:
        with sync_playwright() as playwright, visit(endpoint.launch(playwright, browser_home)) as window:
            page = window.page()
            for number in count():
                if stop.is_set():
                    break
                if number % RESET_INTERVAL == 0:
                    reset_limits()
                title = f"{mark}, number {number}"
                clicks = 3 if number % 3 == 2 else 1
                references[title] = offer(page, title, photos[: 1 + number % 3], clicks)
                time.sleep(PACE)
            releases["owner"] = window.releases

    def moderator() -> None:
        with sync_playwright() as playwright, visit(endpoint.launch(playwright, browser_home)) as window:
            page = window.page()
            log_in(page, login)
            while not owner_done.is_set() or len(published) < len(references):
                pending = [title for title in list(references) if title not in published]
                for title in pending:
                    publish(page, references[title])
                    published.append(title)
                time.sleep(0.2)
            releases["moderator"] = window.releases

    owner_thread, moderator_thread = UserThread(owner), UserThread(moderator)
    while len(published) < 2 and owner_thread.is_alive() and moderator_thread.is_alive():
        time.sleep(0.2)
    deploy()
    before = len(published)
    while len(published) < before + 2 and owner_thread.is_alive() and moderator_thread.is_alive():
        time.sleep(0.2)
    stop.set()
    try:
        owner_thread.wait()
    finally:
        owner_done.set()
    moderator_thread.wait()

    for user, identifiers in releases.items():
        assert len(set(identifiers)) == 2, (
            f"{user}: expected responses of two releases, got {set(identifiers)}"
        )
    query = (
        "SELECT l.id, l.title, l.status, COUNT(p.id) FROM listings l"
        " LEFT JOIN photos p ON p.listing_id = l.id"
        f" WHERE l.title LIKE '{mark}%' GROUP BY l.id, l.title, l.status"
    )
    rows = lab_host.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    stored = sorted(tuple(line.split("\t")) for line in rows.splitlines())
    expected = sorted(
        (str(int(reference.removeprefix("H-"))), title, "published", str(1 + int(title.split()[-1]) % 3))
        for title, reference in references.items()
    )
    assert stored == expected, f"expected {expected}, each once and published with its photos, got {stored}"
    assert len(references) >= 4, f"expected homes before and after the deploy, got {len(references)}"

    names = lab_host.check_output(
        "mysql --batch --skip-column-names harbour --execute %s", "SELECT name FROM photos"
    ).split()
    files = lab_host.check_output("ls /srv/harbour/shared/instance/photos").split()
    expected_files = sorted(f"{name}-{size}.jpg" for name in names for size in ("large", "small"))
    assert sorted(files) == expected_files, (
        f"expected exactly the files of all photos, got a difference of {set(files) ^ set(expected_files)}"
    )


@pytest.fixture(autouse=True)
def restore_release(inventory):
    """Deploy the release of the scenario after the test."""
    yield
    result = run_playbook("deploy.yml", inventory, "-e", "site=harbour")
    assert result.returncode == 0, result.stdout + result.stderr
