"""Calls of systemctl, with a stub in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import systemd


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Install a stub with a body, a shell script."""

    def install(body: str) -> None:
        (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "systemctl").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return install


def test_systemctl_returns_its_output(systemctl):
    systemctl('echo "$*"')
    assert systemd.systemctl("is-enabled", "a.service") == "is-enabled a.service\n"


def test_failed_systemctl_raises_its_error_unless_check_is_false(systemctl):
    systemctl("echo out; echo no such unit >&2; exit 5")
    with pytest.raises(systemd.SystemdError, match=r"^systemctl stop a\.service: no such unit$") as raised:
        systemd.systemctl("stop", "a.service")
    assert raised.value.output == "no such unit"
    assert systemd.systemctl("stop", "a.service", check=False) == "out\n"


def test_show_returns_every_property_that_was_requested(systemctl):
    systemctl("echo Result=success; echo Description=a=b")
    got = systemd.show("a.service", ("Result", "Description", "InvocationID"))
    assert got == {"Result": "success", "Description": "a=b", "InvocationID": ""}


def test_seconds_of_a_timestamp():
    assert systemd.timestamp_seconds("Thu 1970-01-01 00:00:01.500000 UTC") == 1.5
    assert systemd.timestamp_seconds("") == 0.0
