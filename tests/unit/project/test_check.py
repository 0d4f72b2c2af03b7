"""The inventories as they are shipped are refused, each placeholder by its name, and no host is contacted."""

from __future__ import annotations

import subprocess

import pytest
from playbook_run import ROOT, run_playbook


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_playbook(ROOT / "playbooks/site.yml", *arguments)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_what_is_shipped_is_refused_until_it_is_edited(environment):
    run = check("-i", f"inventories/{environment}")
    assert run.returncode != 0, f"expected a refusal, got {run.stdout}"
    for line in (
        "sites.harbour.server_names[0]: found the placeholder",
        "sites.harbour.secrets: found an undefined variable",
        f'hosts.{environment}-web1.ansible_host: found the placeholder "REPLACE_ME"',
    ):
        assert line in run.stdout, f"expected the line {line!r}, got {run.stdout}"
    assert "unreachable=0" in run.stdout and "Gathering" not in run.stdout, (
        f"expected no host met, got {run.stdout}"
    )


def test_a_limit_does_not_get_around_the_check():
    run = check("-i", "inventories/production", "-i", "zz-other,", "--limit", "zz-other")
    assert "found the placeholder" in run.stdout, f"expected the same refusal, got {run.stdout}"
