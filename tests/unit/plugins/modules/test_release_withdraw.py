"""Switch back to the release that was live before a run, on one host."""

from __future__ import annotations

from typing import Any

import pytest
import site_module
from ansible_collections.decanter.stack.plugins.module_utils import (
    activation,
    companions,
    live,
    pruning,
    static_files,
)
from ansible_collections.decanter.stack.plugins.module_utils import site as module_site
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replace_symlink
from ansible_collections.decanter.stack.plugins.modules import release_switch, release_withdraw

OLD, NEW = "20260101T000000Z-aaaa", "20260202T000000Z-bbbb"
WANTED = {"name": "plain", "static": [], "setup": [], "database": None, "health": {"watch": 0}}


class Host:
    """A host with one site. Releases in `broken` do not start."""

    def __init__(self, root, monkeypatch) -> None:
        self.site, self.broken = site_module.temporary_site(root), set()
        self.site.releases.mkdir()
        for identifier in (OLD, NEW):
            self.site.write_record(identifier, {"id": identifier, "created": "x", "state": "built"})
        for module in (release_switch, release_withdraw):
            monkeypatch.setattr(module, "Site", lambda name: self.site)
            monkeypatch.setattr(module, "switch", self.switch)
            monkeypatch.setattr(module, "keep_instance", lambda site: None)
        functions = {
            companions: ("move_companions", "unreadable"),
            pruning: ("prune",),
            static_files: ("publish", "withdraw"),
        }
        for module, names in functions.items():
            for name in names:
                monkeypatch.setattr(module, name, lambda *given, **named: "")
        monkeypatch.setattr(release_switch.live, "reason_to_switch", self.reason)

    def reason(self, site, identifier, wanted) -> str:
        return "" if site.live_release() == identifier else "another was live"

    def switch(self, site, identifier, wanted) -> None:
        if identifier in self.broken:
            raise activation.Refused("it did not go live, it ended. Its log ends:\nTraceback")
        colour = "green" if site.live_colour() == "blue" else "blue"
        replace_symlink(site.slot(colour), f"releases/{identifier}")
        replace_symlink(site.live_socket, f"{colour}.sock")

    def call(self, module, identifier: str, **more: Any) -> dict[str, Any]:
        """Return the result of a module."""
        defaults = {"keep": 5, "pin": False, "elsewhere": False, "fault": "it failed on web2: it ended"}
        return site_module.call(module, {**defaults, "site": WANTED, "release": identifier, **more})

    def activate(self, identifier: str, **more: Any) -> dict[str, Any]:
        return self.call(release_switch, identifier, **more)

    def withdraw(self, identifier: str) -> dict[str, Any]:
        return self.call(release_withdraw, identifier)

    def finish_run(self) -> None:
        self.site.provisional.unlink()


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_withdrawn_release_fails_and_the_previous_is_live(host):
    host.activate(OLD)
    host.finish_run()
    host.activate(NEW)
    assert module_site.read_json(host.site.provisional)["before"] == OLD
    got = host.withdraw(NEW)
    assert (got["changed"], got["returned"], got["live"], got["kept"]) == (True, True, OLD, ""), got
    record = host.site.record(NEW)
    assert (record["state"], record["fault"]) == ("failed", "it failed on web2: it ended"), record
    assert host.site.record(OLD)["state"] == "good"
    assert not host.site.provisional.exists()
    second = host.withdraw(NEW)
    assert (second["changed"], second["live"]) == (False, OLD), second


def test_withdrawn_first_release_stays(host):
    host.activate(NEW)
    got = host.withdraw(NEW)
    assert (got["returned"], got["live"], got["kept"]) == (False, NEW, "nothing was live before"), got
    assert host.site.record(NEW)["state"] == "good", "expected the live release not to be marked as failed"


def test_withdrawn_restart_stays(host):
    """The release was live before; only its settings have changed."""
    host.activate(OLD)
    host.finish_run()
    host.activate(OLD)
    got = host.withdraw(OLD)
    assert (got["live"], got["kept"]) == (OLD, "it was live before, and its settings have changed"), got
    assert host.site.record(OLD)["state"] == "good"


def test_withdrawn_release_that_was_not_live_is_failed(host):
    host.activate(OLD)
    host.finish_run()
    got = host.withdraw(NEW)
    assert (got["changed"], got["live"]) == (False, OLD), got
    assert host.site.record(NEW)["state"] == "failed", "expected the next run to make a new release"


def test_withdrawn_release_without_build_gets_no_record(host):
    host.activate(OLD)
    host.finish_run()
    host.withdraw("20260303T000000Z-cccc")
    assert not host.site.record("20260303T000000Z-cccc")


def test_failed_activation_leaves_no_provisional_file(host):
    host.activate(OLD)
    host.finish_run()
    host.broken = {NEW}
    got = host.activate(NEW)
    assert got["failed"] and got["live"] == OLD and got["details"] == "Traceback", got
    assert got["msg"].endswith("it ended. Its log ends:") and "\n" not in got["msg"], got
    assert not host.site.provisional.exists()


def test_killed_run_keeps_the_previous_release(host):
    """A killed run has activated NEW. The next run activates another release, which fails on this host."""
    host.activate(OLD)
    host.finish_run()
    host.activate(NEW)
    later = "20260303T000000Z-cccc"
    host.site.write_record(later, {"id": later, "created": "x", "state": "built"})
    host.broken = {later}
    assert host.activate(later)["live"] == NEW
    got = host.withdraw(later)
    assert (got["live"], got["returned"]) == (OLD, True), f"expected the last release of all hosts, got {got}"
    assert {host.site.record(one)["state"] for one in (NEW, later)} == {"failed"}


def test_broken_previous_release_keeps_the_provisional_file(host):
    host.activate(OLD)
    host.finish_run()
    host.activate(NEW)
    host.broken = {OLD}
    got = host.withdraw(NEW)
    assert got["failed"] and got["live"] == NEW and f"{OLD} cannot be activated again" in got["msg"], got
    assert host.site.provisional.exists() and host.site.record(NEW)["state"] == "good"


def test_withdrawal_restores_the_pin(host):
    """Withdraw a rollback: a converge must not stay on the withdrawn release."""
    host.activate(OLD)
    host.finish_run()
    host.activate(NEW)
    host.finish_run()
    host.activate(OLD, pin=True)
    assert module_site.read_json(host.site.pin)["release"] == OLD
    got = host.withdraw(OLD)
    assert got["live"] == NEW and not host.site.pin.exists(), got


def test_release_of_a_killed_run_is_unfinished(host):
    host.activate(OLD)
    assert "was interrupted" in live.unfinished(host.site, OLD, WANTED)
