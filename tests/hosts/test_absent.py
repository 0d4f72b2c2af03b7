"""A site that is absent is served no longer, keeps its data until it is purged, and comes back; its
neighbour notices nothing of it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def play(variables, request, tmp_path):
    """Run a playbook on this host with `myproject` in a state; the finished process."""
    inventory = Path(request.config.getoption("--ansible-inventory"))
    sites = yaml.safe_load((inventory / "group_vars/all/sites.yml").read_text())

    def run(playbook: str, state: str, *arguments: str) -> subprocess.CompletedProcess:
        sites["sites"]["myproject"]["state"] = state
        changed = tmp_path / "sites.json"
        changed.write_text(json.dumps(sites))
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "-e", f"@{changed}"]
        command += ["--limit", variables["inventory_hostname"], ROOT / "playbooks" / playbook, *arguments]
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=environment)

    return run


def neighbour(host, visitor) -> tuple[str, str]:
    """What harbour serves, and by which process."""
    with host.sudo():
        colour = host.check_output("basename $(readlink /run/decanter/harbour/live.sock) .sock")
        pid = host.check_output(f"systemctl show --property MainPID --value harbour@{colour}.service")
    return visitor.get("https://harbour.test/healthz").headers["X-Release"], pid


def exists(host, path: str) -> bool:
    with host.sudo():
        return host.file(path).exists


def test_a_site_goes_is_purged_and_comes_back(host, visitor, play):
    before = neighbour(host, visitor)
    serve = ("--tags", "python_app,gunicorn,certbot,nginx")

    gone = play("site.yml", "absent", *serve)
    assert gone.returncode == 0, gone.stdout
    with pytest.raises(ssl.SSLError):
        visitor.handshake("myproject.test")
    units = host.check_output("systemctl list-unit-files 'myproject*' --no-legend; ls /etc/systemd/system")
    assert "myproject" not in units, f"expected no unit of the site, got {units}"
    assert exists(host, "/srv/myproject/current"), "expected the data of an absent site to be kept"

    again = play("site.yml", "absent", *serve)
    assert "changed=0" in again.stdout, f"expected nothing to change the second time, got {again.stdout}"

    purge = ("-e", "purge_site=myproject", "-e")
    wrong = play("purge.yml", "absent", *purge, "purge_confirm=harbour")
    assert wrong.returncode != 0 and exists(host, "/srv/myproject"), f"expected a refusal, got {wrong.stdout}"
    served = play("purge.yml", "present", *purge, "purge_confirm=myproject")
    assert served.returncode != 0 and exists(host, "/srv/myproject"), (
        f"expected a refusal, got {served.stdout}"
    )
    purged = play("purge.yml", "absent", *purge, "purge_confirm=myproject")
    assert purged.returncode == 0, purged.stdout
    assert not exists(host, "/srv/myproject") and not host.user("myproject").exists, (
        "expected its data to be gone"
    )

    back = play("site.yml", "present", *serve)
    assert back.returncode == 0, back.stdout
    page = visitor.get("https://myproject.test/")
    assert page.status_code == 200, f"expected the site back, got {page.status_code}"
    after = neighbour(host, visitor)
    assert after == before, f"expected harbour to be untouched, {before}; got {after}"
