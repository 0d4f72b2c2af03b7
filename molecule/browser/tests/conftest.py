"""The host, a browser that trusts it, and who moderates."""

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
from browsing import NARROW, WIDE, Place, Visit, visit
from homes import photograph, publish_new
from playwright.sync_api import Browser, Playwright, sync_playwright

ROOT = Path(__file__).parents[3]
pytest_plugins = ["tests.hosts.fixtures.lab"]

SCREENSHOTS = ROOT / ".lab/screenshots"
MAILS = "/var/mail/harbour.test"
WAYS = [(width, script) for width in (NARROW, WIDE) for script in (True, False)]


@pytest.fixture(scope="session")
def machine(inventory) -> testinfra.host.Host:
    """The scenario's host, to root."""
    return testinfra.get_host(f"ansible://browser?ansible_inventory={inventory}&sudo=True")


@pytest.fixture(scope="session")
def place(inventory) -> Place:
    lab = yaml.safe_load((Path(inventory) / "hosts.yml").read_text())["all"]
    host = lab["hosts"]["browser"]
    return Place(host["ansible_host"], host["lab_https_port"], f"{lab['vars']['lab_directory']}/ca.crt")


@pytest.fixture(scope="session")
def trusting(place, tmp_path_factory) -> Path:
    """The home of somebody who trusts the lab's authority."""
    return place.trusted_by(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as one:
        yield one


@pytest.fixture(scope="session")
def browser(playwright, place, trusting) -> Iterator[Browser]:
    one = place.browser(playwright, trusting)
    yield one
    one.close()


@pytest.fixture(scope="session")
def photos(browser, tmp_path_factory) -> list[Path]:
    return photograph(browser, ROOT / "app/harbour/static/kinds", tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session", autouse=True)
def fresh(machine) -> Callable[[], None]:
    """Whoever ran the tests within the last hour has used up what one visitor may send."""

    def forget() -> None:
        machine.check_output("redis-cli -s /run/redis-harbour/redis.sock flushall")

    forget()
    return forget


@pytest.fixture(scope="session")
def flask(machine) -> Callable[[str], None]:
    """Run a command of the live release, in a shell, as its site would."""

    def run(command: str) -> None:
        release = Path(machine.check_output("readlink /srv/harbour/current")).name
        # The same command would not be run again.
        once = f"{command} # {secrets.token_hex(4)}"
        arguments = json.dumps({"site": "harbour", "release": release, "commands": [once]})
        told = machine.ansible("decanter.stack.release_setup", arguments, become=True, check=False)
        assert "log" in told, f"expected {command.split()[0]} to end well, got {told['msg']}"

    return run


@pytest.fixture(scope="session")
def login(flask) -> tuple[str, str]:
    """A moderator's name and password."""
    name, password = f"warden-{secrets.token_hex(3)}", secrets.token_urlsafe(18)
    flask(f"(echo {password}; echo {password}) | flask moderators add {name}")
    return name, password


@pytest.fixture(scope="session")
def home(browser, login, photos) -> str:
    """The path of a home with photos that anybody sees."""
    return publish_new(browser, login, "A house where every window looks at the water", photos)


@pytest.fixture(scope="session")
def mails(machine) -> Callable[[str], list[EmailMessage]]:
    """The mails in which a text stands, once there is one."""

    def come(text: str) -> list[EmailMessage]:
        ends = time.monotonic() + 60
        while not (names := machine.run("grep -l -- %s %s/*", text, MAILS).stdout.split()):
            assert time.monotonic() < ends, f"expected a mail with {text!r} within a minute, got none"
            time.sleep(0.3)
        contents = (machine.check_output("cat %s", name) for name in names)
        return [email.message_from_string(content, policy=email.policy.default) for content in contents]

    return come


@pytest.fixture(params=WAYS, ids=lambda one: f"{one[0]}-{'script' if one[1] else 'plain'}")
def visitor(browser, fresh, request) -> Iterator[Visit]:
    """Somebody with a telephone or a laptop, with JavaScript or without."""
    width, script = request.param
    # All of them have one address, and do more than one person may.
    fresh()
    with visit(browser, width, script=script) as one:
        yield one
