"""Two at work, each in a browser of their own, while a release goes live: nothing lost, nothing doubled."""

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

# Seconds between two homes of an owner. Each third is sent by more than one click.
PACE = 2.5
# A visitor may send 30 an hour; how long a deploy takes is the machine's to say.
REST = 8


class Worker(threading.Thread):
    """Somebody with a browser of their own. What goes wrong is raised by `finished`."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work, self.error = work, None
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def finished(self) -> None:
        self.join(120)
        assert not self.is_alive(), "expected everybody to be done within two minutes"
        if self.error:
            raise self.error


@pytest.fixture
def deploy(inventory, tmp_path) -> Callable[[], None]:
    """Release a Harbour that differs."""
    sites = yaml.safe_load((ROOT / "molecule/browser/inventory/group_vars/all/sites.yml").read_text())
    folder = tmp_path / "app"
    shutil.copytree(ROOT / "app", folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "instance"))
    sites["sites"]["harbour"]["source"] = {"path": str(folder)}
    (tmp_path / "sites.yml").write_text(yaml.safe_dump(sites))

    def release() -> None:
        with (folder / "harbour/static/style.css").open("a") as style:
            style.write(f"\n/* {secrets.token_hex(8)} */\n")
        finished = run_playbook("deploy.yml", inventory, "-e", f"@{tmp_path}/sites.yml", "-e", "site=harbour")
        assert finished.returncode == 0, finished.stdout + finished.stderr

    return release


def test_a_deploy_in_the_middle(place, trusting, login, photos, machine, fresh, deploy):
    mark = f"Harbour house {secrets.token_hex(4)}"
    offered: dict[str, str] = {}  # references by title
    published: list[str] = []
    releases: dict[str, list[str]] = {"owner": [], "moderator": []}
    enough, all_offered = threading.Event(), threading.Event()

    def owner() -> None:
        with sync_playwright() as playwright, visit(place.browser(playwright, trusting)) as one:
            page = one.page()
            for number in count():
                if enough.is_set():
                    break
                if number % REST == 0:
                    fresh()
                title = f"{mark}, number {number}"
                clicks = 3 if number % 3 == 2 else 1
                offered[title] = offer(page, title, photos[: 1 + number % 3], clicks)
                time.sleep(PACE)
            releases["owner"] = one.releases

    def moderator() -> None:
        with sync_playwright() as playwright, visit(place.browser(playwright, trusting)) as one:
            page = one.page()
            log_in(page, login)
            while not all_offered.is_set() or len(published) < len(offered):
                waiting = [title for title in list(offered) if title not in published]
                for title in waiting:
                    publish(page, offered[title])
                    published.append(title)
                time.sleep(0.2)
            releases["moderator"] = one.releases

    owners, moderators = Worker(owner), Worker(moderator)
    while len(published) < 2 and owners.is_alive() and moderators.is_alive():
        time.sleep(0.2)
    deploy()
    before = len(published)
    while len(published) < before + 2 and owners.is_alive() and moderators.is_alive():
        time.sleep(0.2)
    enough.set()
    try:
        owners.finished()
    finally:
        all_offered.set()
    moderators.finished()

    for who, seen in releases.items():
        assert len(set(seen)) == 2, f"expected the {who} to see the release change, got {set(seen)}"
    query = (
        "SELECT l.id, l.title, l.status, COUNT(p.id) FROM listings l"
        " LEFT JOIN photos p ON p.listing_id = l.id"
        f" WHERE l.title LIKE '{mark}%' GROUP BY l.id, l.title, l.status"
    )
    rows = machine.check_output("mysql --batch --skip-column-names harbour --execute %s", query)
    kept = sorted(tuple(line.split("\t")) for line in rows.splitlines())
    expected = sorted(
        (str(int(reference.removeprefix("H-"))), title, "published", str(1 + int(title.split()[-1]) % 3))
        for title, reference in offered.items()
    )
    assert kept == expected, f"expected {expected}, each once and published with its photos, got {kept}"
    assert len(offered) >= 4, f"expected homes before and after the deploy, got {len(offered)}"

    names = machine.check_output(
        "mysql --batch --skip-column-names harbour --execute %s", "SELECT name FROM photos"
    ).split()
    files = machine.check_output("ls /srv/harbour/shared/instance/photos").split()
    wanted = sorted(f"{name}-{size}.jpg" for name in names for size in ("large", "small"))
    assert sorted(files) == wanted, (
        f"expected the files of all photos and no others, got {set(files) ^ set(wanted)}"
    )


@pytest.fixture(autouse=True)
def back(inventory):
    """The scenario's own release is live again afterwards."""
    yield
    finished = run_playbook("deploy.yml", inventory, "-e", "site=harbour")
    assert finished.returncode == 0, finished.stdout + finished.stderr
