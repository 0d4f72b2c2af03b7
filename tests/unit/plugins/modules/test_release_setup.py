"""Setup commands of a site: each runs once in its life."""

from __future__ import annotations

import json
from typing import Any

import pytest
import site_module
from ansible_collections.decanter.stack.plugins.modules import release_setup

ID = "20260101T000000Z-aaaa"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Return the result of the module for commands, and the commands that were run; `break` fails."""
    site = site_module.temporary_site(tmp_path)
    site.releases.mkdir()
    site.write_record(ID, {"id": ID, "state": "built"})

    def call(*commands: str) -> tuple[dict[str, Any], list[str]]:
        ran: list[str] = []

        def run(_: Any, __: str, command: str) -> str:
            ran.append(command)
            if command == "break":
                raise release_setup.Failed("Traceback\nKeyError")
            return f"{command} printed this"

        monkeypatch.setattr(release_setup, "Site", lambda _: site)
        monkeypatch.setattr(release_setup, "run", run)
        params = {"site": "plain", "release": ID, "commands": list(commands)}
        return site_module.call(release_setup, params), ran

    call.site = site
    return call


def test_commands_that_have_succeeded_are_not_run_again(call):
    got, ran = call("seed", "index")
    assert got == {"changed": True, "log": "seed printed this\nindex printed this"}, got
    assert ran == ["seed", "index"]
    got, ran = call("seed", "index", "warm")
    assert ran == ["warm"] and got["changed"], (got, ran)
    assert call("seed") == ({"changed": False}, [])


def test_first_command_that_fails_is_the_last(call):
    got, ran = call("seed", "break", "index")
    assert ran == ["seed", "break"], f"expected index not to be run, got {ran}"
    assert got["msg"] == f"plain: `break` failed in release {ID}.", got
    assert got["details"].endswith("Its log ends:\nTraceback\nKeyError"), got
    assert json.loads(call.site.once.read_text()) == {"tasks": ["seed"]}
    assert call.site.record(ID)["state"] == "failed"
