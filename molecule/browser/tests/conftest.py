"""Fixtures: the host, a browser that trusts the lab's CA, a moderator, and visitors."""

from __future__ import annotations

import email
import email.policy
import json
import secrets
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import testinfra
import yaml
from browsing import NARROW, WIDE, Endpoint, Visit, visit
from homes import photograph, publish_new
from playwright.sync_api import Browser, Playwright, sync_playwright

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]

SCREENSHOTS = ROOT / ".lab/screenshots"
MAILS = "/var/mail/harbour.test"
VARIANTS = [(width, script) for width in (NARROW, WIDE) for script in (True, False)]


@pytest.fixture(scope="session")
def lab_host(inventory) -> testinfra.host.Host:
    """Return the host of the scenario, with commands run as root."""
    return testinfra.get_host(f"ansible://browser?ansible_inventory={inventory}&sudo=True")


@pytest.fixture(scope="session")
def endpoint(inventory) -> Endpoint:
    lab = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
    host = lab["hosts"]["browser"]
    return Endpoint(host["ansible_host"], host["lab_https_port"], f"{lab['vars']['lab_directory']}/ca.crt")


@pytest.fixture(scope="session")
def browser_home(endpoint, tmp_path_factory) -> Path:
    """Return a home folder in which Chromium trusts the lab's CA."""
    return endpoint.create_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright, endpoint, browser_home) -> Iterator[Browser]:
    browser = endpoint.launch(playwright, browser_home)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def photos(browser, tmp_path_factory) -> list[Path]:
    return photograph(browser, ROOT / "app/harbour/static/kinds", tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session", autouse=True)
def reset_limits(lab_host) -> Callable[[], None]:
    """Reset Harbour's limits of requests, which earlier tests of the same hour have used."""

    def reset() -> None:
        lab_host.check_output("redis-cli -s /run/redis-harbour/redis.sock flushall")

    reset()
    return reset


@pytest.fixture(scope="session")
def flask(lab_host) -> Callable[[str], None]:
    """Run a shell command in the live release, as the user of the site."""

    def run(command: str) -> None:
        release = Path(lab_host.check_output("readlink /srv/harbour/current")).name
        # release_setup runs a command only once.
        unique_command = f"{command} # {secrets.token_hex(4)}"
        arguments = json.dumps({"site": "harbour", "release": release, "commands": [unique_command]})
        result = lab_host.ansible("decanter.stack.release_setup", arguments, become=True, check=False)
        assert "log" in result, f"expected {command.split()[0]} to succeed, got {result['msg']}"

    return run


@pytest.fixture(scope="session")
def login(flask) -> tuple[str, str]:
    """Create a moderator. Return the name and the password."""
    name, password = f"warden-{secrets.token_hex(3)}", secrets.token_urlsafe(18)
    flask(f"(echo {password}; echo {password}) | flask moderators add {name}")
    return name, password


@pytest.fixture(scope="session")
def home(browser, login, photos) -> str:
    """Publish a home with photos. Return its path."""
    return publish_new(browser, login, "A house where every window looks at the water", photos)


@pytest.fixture(scope="session")
def mails(lab_host) -> Callable[[str], list[EmailMessage]]:
    """Wait for mails that contain a text, and return them."""

    def wait_for(text: str) -> list[EmailMessage]:
        end = time.monotonic() + 60
        while not (names := lab_host.run("grep -l -- %s %s/*", text, MAILS).stdout.split()):
            assert time.monotonic() < end, f"expected a mail with {text!r} within a minute, got none"
            time.sleep(0.3)
        contents = (lab_host.check_output("cat %s", name) for name in names)
        return [email.message_from_string(content, policy=email.policy.default) for content in contents]

    return wait_for


@pytest.fixture(params=VARIANTS, ids=lambda variant: f"{variant[0]}-{'script' if variant[1] else 'plain'}")
def visitor(browser, reset_limits, request) -> Iterator[Visit]:
    """Yield the window of a visitor with a phone or a laptop, with or without JavaScript."""
    width, script = request.param
    # All visitors have one address here, and exceed the limits of one.
    reset_limits()
    with visit(browser, width, script=script) as window:
        yield window
