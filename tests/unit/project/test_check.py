"""The check rejects the shipped inventories, names each placeholder, and connects to no host."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


@pytest.mark.parametrize("secret", ["ab{{cd", "ab{{cd}}", "ab{%cd", "ab{#cd"])
def test_secret_with_template_syntax_needs_unsafe(secret: str, tmp_path: Path) -> None:
    """Ansible reads such a secret as a template, also from the vault."""
    inventory = tmp_path / "hosts.yml"

    def lines(tag: str) -> str:
        inventory.write_text(
            f"""
all:
  vars:
    vault_secret: {tag}"{secret}"
    sites:
      shop:
        server_names: [shop.test]
        source: {{path: app}}
        wsgi: harbour:create_app()
        secrets: {{A: "{{{{ vault_secret }}}}"}}
  children:
    web: {{hosts: {{web1: {{ansible_host: 10.0.0.1}}}}}}
"""
        )
        return run_playbook(ROOT / "playbooks/check.yml", "-i", str(inventory)).stdout

    found = lines("")
    assert "sites.shop.secrets.A: found a" in found, found
    assert "; put !unsafe before a value that itself contains {{, {% or {#" in found, found
    assert "failed=0" in lines("!unsafe "), "expected that the check accepts the secret with !unsafe"
