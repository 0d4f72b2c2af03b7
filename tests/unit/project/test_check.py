"""The check rejects the shipped inventories, names each placeholder, and connects to no host."""

from __future__ import annotations

import subprocess

import pytest
from playbook_run import ROOT, run_playbook


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_playbook(ROOT / "playbooks/site.yml", *arguments)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_shipped_inventory_is_rejected_with_its_placeholders(environment):
    run = check("-i", f"inventories/{environment}")
    assert run.returncode != 0, f"expected an error, got {run.stdout}"
    for line in (
        "sites.harbour.server_names[0]: found the placeholder",
        "sites.harbour.secrets: found an undefined variable",
        f'hosts.{environment}-web1.ansible_host: found the placeholder "REPLACE_ME"',
    ):
        assert line in run.stdout, f"expected the line {line!r}, got {run.stdout}"
    assert "unreachable=0" in run.stdout and "Gathering" not in run.stdout, (
        f"expected no connection to a host, got {run.stdout}"
    )


def test_limit_does_not_skip_the_check():
    run = check("-i", "inventories/production", "-i", "zz-other,", "--limit", "zz-other")
    assert "found the placeholder" in run.stdout, f"expected the same error, got {run.stdout}"
