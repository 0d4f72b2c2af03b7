"""The check rejects the shipped inventories, names each placeholder, and connects to no host."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from collection import LINK
from playbook_run import ROOT, run_playbook

HOSTS = {"all": {"children": {"web": {"hosts": {"web1": {"ansible_host": "198.18.0.1"}, "web2": {}}}}}}
SECONDS = 2  # of one core, for 50 sites


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


def check_inventory(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Return the finished process of `make check`."""
    program = ROOT / LINK / "plugins/plugin_utils/check_inventory.py"
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [sys.executable, "-P", program, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def site(name: str) -> dict[str, object]:
    return {
        "server_names": [f"{name}.shop.test", f"www.{name}.shop.test"],
        "source": {"path": "app"},
        "wsgi": "harbour:create_app()",
        "env": {"SITE": name},
        "secrets": {"SECRET_KEY": "{{ prefix }}-secret"},
        "nginx": {"cache": {"except": ["/admin"]}, "limits": {"burst": 30}},
        "tls": {"mode": "ca"},
    }


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return an inventory with 50 valid sites."""
    sites = {f"site{number}": site(f"site{number}") for number in range(50)}
    (tmp_path / "shops/group_vars/all").mkdir(parents=True)
    (tmp_path / "shops/hosts.yml").write_text(yaml.safe_dump(HOSTS))
    (tmp_path / "shops/group_vars/all/prefix.yml").write_text("prefix: shop\n")
    (tmp_path / "shops/group_vars/all/sites.yml").write_text(
        yaml.safe_dump({"sites": sites}, sort_keys=False)
    )
    return tmp_path / "shops"


def test_valid_inventory_prints_one_line_in_time(inventory):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = check_inventory("-i", "shops", folder=inventory.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stdout) == (0, "shops: 50 sites, 2 hosts: valid\n"), run.stdout + run.stderr
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < SECONDS, f"expected less than {SECONDS} s of processor time, got {seconds:.1f} s"


def test_check_prints_all_errors_with_their_lines(inventory):
    path = inventory / "group_vars/all/sites.yml"
    path.write_text(path.read_text().replace("wsgi: harbour:create_app()", "wsgi: harbour", 2))
    run = check_inventory("-i", "shops", folder=inventory.parent)
    lines = path.read_text().splitlines()
    expected = [
        f'shops/group_vars/all/sites.yml:{number}: sites.site{index}.wsgi: found "harbour", expected '
        'module:object or module:factory(), such as "harbour:create_app()", without a dot after the colon'
        for index, number in enumerate(n for n, line in enumerate(lines, 1) if line == "    wsgi: harbour")
    ]
    assert (run.returncode, run.stdout.splitlines()) == (1, expected), run.stdout + run.stderr


def test_check_and_playbook_print_the_same_errors():
    run, playbook = check_inventory("-i", "inventories/production"), check("-i", "inventories/production")
    assert run.returncode == 1, run.stdout + run.stderr
    position = "inventories/production/group_vars/all/sites.yml:6: sites.harbour.server_names[0]: found"
    assert run.stdout.startswith(position), run.stdout
    printed = [line.strip() for line in playbook.stdout.splitlines() if ": found " in line]
    assert printed == run.stdout.splitlines(), f"expected {run.stdout}, got {playbook.stdout}"


@pytest.mark.parametrize(
    ("file", "text"), [("hosts.yml", "all:\n\thosts:\n"), ("group_vars/web.yml", "a: 1\na: 2\n")]
)
def test_invalid_yaml_prints_one_line(file, text, inventory):
    (inventory / file).write_text(text)
    run = check_inventory("-i", "shops", folder=inventory.parent)
    assert run.returncode == 1 and not run.stderr, run.stdout + run.stderr
    assert run.stdout.startswith(f"shops/{file}:2: ") and run.stdout.count("\n") == 1, run.stdout


@pytest.mark.parametrize("source", ["", "hosts.yml"])
@pytest.mark.parametrize(("file", "text", "line", "words"), [
    ("hosts.yml", "all:\n\thosts:\n", 2, "found a tab at the start of the line, expected spaces"),
    ("group_vars/web.yml", "- a\n", 1, "found a list, expected a dictionary of variables"),
])  # fmt: skip
def test_invalid_yaml_stops_a_run_before_its_first_task(file, text, line, words, source, inventory):
    (inventory / file).write_text(text)
    run = check("-i", str(inventory / source))
    assert run.returncode == 4 and "PLAY" not in run.stdout, run.stdout
    assert run.stderr == f"[ERROR]: {inventory}/{file}:{line}: {words}\n"


def test_check_counts_a_site_from_an_extra_variable(inventory):
    values = json.dumps({"sites": {"blog": site("blog")}})
    run = check_inventory("-i", str(inventory), "-e", values)
    assert run.stdout == f"{inventory}: 1 site, 2 hosts: valid\n", run.stdout + run.stderr


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
        return check("-i", str(inventory)).stdout

    found = lines("")
    assert "sites.shop.secrets.A: found a" in found, found
    assert "; put !unsafe before a value that itself contains {{, {% or {#" in found, found
    assert "failed=0" in lines("!unsafe "), "expected that the check accepts the secret with !unsafe"
