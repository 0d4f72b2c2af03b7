"""The preflight script of the role base reports the Pythons that sites need and the units of services."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.template import Templar, trust_as_template
from repository import ROOT
from templates_rendering import LOADER

PASSWD = """\
deploy:x:1000:1000:Deploy:/home/deploy:/bin/bash
shop:x:998:998::/srv/shop:/usr/sbin/nologin
hall:x:1001:1001::/srv/hall:/usr/sbin/nologin
mailer:x:110:110::/var/lib/mailer:/usr/sbin/nologin
"""
SCRIPT = ROOT / "roles/base/files/preflight"


@pytest.fixture
def preflight(tmp_path, monkeypatch):
    """Return a function that runs the script on this machine, with stubs of apt-cache and ls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    # As in apt, `show` treats a name as a pattern; `pkgnames` prints all names that start with it.
    (tools / "apt-cache").write_text(
        "#!/bin/sh\n[ $1 = show ] || printf '%s\\n' python3.12 python3.12-venv python3.13-doc\n"
    )
    (tools / "apt-cache").chmod(0o755)
    (tools / "ls").write_text(
        '#!/bin/sh\n[ $1 = /etc/systemd/system/multi-user.target.wants ] || exec /bin/ls "$@"\n'
        "printf '%s.service\\n' cron getty@tty1 redis@a-b memcached@null\n"
    )
    (tools / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    (tools / "getent").write_text(
        f'#!/bin/sh\n[ $1 = passwd ] || exit 2\nshift\nfor name; do grep "^$name:" {tmp_path}/passwd; done\n'
    )
    (tools / "getent").chmod(0o755)
    (tmp_path / "passwd").write_text(PASSWD)

    def run(*pythons: str, sites: str = "") -> dict[str, Any]:
        given = f"python=python3 admins=nobody absent=\npythons='{' '.join(pythons)}' sites='{sites}'"
        text = f"{given}\n{SCRIPT.read_text()}"
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60)
        return yaml.safe_load(done.stdout)

    return run


def test_pythons_are_found_by_path_then_by_package(preflight, tmp_path):
    program = tmp_path / "opt/python3.13/bin/python3.13"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    program.chmod(0o755)
    (tmp_path / "text").touch(mode=0o644)
    nowhere = f"{tmp_path}/nowhere/python3.12"
    found = preflight(
        f"python3.13={nowhere}:{tmp_path}/opt/python*/bin/python3.13",
        f"python3.12={nowhere}",
        f"python3.13={nowhere}",
        f"python3.1={nowhere}",
        f"={tmp_path}/text",
        f"={program.parent}",
    )["pythons"]
    assert found == [str(program), "apt", "", "", "", ""], found
    assert not (tmp_path / "executed").exists(), "expected no interpreter to be executed"


def test_processor_is_reported(preflight):
    assert preflight()["machine"] == os.uname().machine


def test_instances_that_start_at_boot_are_reported(preflight):
    assert preflight()["instances"] == ["getty@tty1", "redis@a-b", "memcached@null"]


def test_accounts_that_are_not_those_of_sites_are_reported(preflight):
    assert preflight()["accounts"] == []
    assert preflight(sites="deploy shop hall mailer new")["accounts"] == [
        "deploy (UID 1000, home /home/deploy, shell /bin/bash)",
        "hall (UID 1001, home /srv/hall, shell /usr/sbin/nologin)",
        "mailer (UID 110, home /var/lib/mailer, shell /usr/sbin/nologin)",
    ]


def test_unit_templates_of_packages_are_reported(preflight):
    template = Path("/usr/lib/systemd/system/getty@.service")
    if not template.exists():
        pytest.skip("this machine has no systemd")
    assert preflight(sites="shop getty")["templates"] == [str(template)]


def test_errors_name_the_memory_the_account_and_the_unit(preflight):
    variables = yaml.safe_load((ROOT / "roles/base/vars/main.yml").read_text())
    host = preflight(sites="deploy") | {"templates": ["/usr/lib/systemd/system/shop@.service"]}
    host |= {"distribution": "Debian GNU/Linux 13", "init": "systemd", "python": "3.13"}
    host |= {"memory_mb": 900, "disk_free_mb": 9000}
    scope = {"__base_host": host, "__base_python": "/usr/bin/python3", "__base_pythons_missing": []}
    scope |= {"base_memory_min_mb": 450, "base_disk_min_mb": 3000, "__base_pythons_remedy": ""}
    scope |= {"base_memory_needs": {"the system": 250, "shop": 800}}
    errors = trust_as_template(variables["__base_preflight_errors"])
    assert Templar(LOADER, scope).template(errors) == [
        "found 900 MiB of memory, expected at least 1050 (250 for the system, 800 for shop). Lower "
        "gunicorn.workers or resources.memory of a site, or use a larger host",
        "found the account deploy (UID 1000, home /home/deploy, shell /bin/bash), expected no account with "
        "the name of a site except its own. Rename the site",
        "found the unit /usr/lib/systemd/system/shop@.service of a package, expected no unit with the name "
        "of a site. Rename the site",
    ]
