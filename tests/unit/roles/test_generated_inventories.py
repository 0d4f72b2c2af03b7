"""The programs accept the files of each inventory that site_errors accepts.

Hypothesis generates inventories from the schema: 200 in `make test`, and 2000 for each platform in
`make test-all`, which sets DECANTER_ALL=1. DECANTER_INVENTORIES is the number for each platform; one takes
0.2 s. The seed is fixed, so that a change fails for its own faults only. DECANTER_SEED selects others.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import passwords
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import with_defaults
from haproxy_configuration import check_haproxy
from hypothesis import HealthCheck, Phase, given, seed, settings
from inventory_strategies import Inventory, inventories
from nginx_configuration import as_installed, check_nginx
from systemd_units import add_units, check_systemd
from templates_cases import HOSTS
from templates_rendering import File, render, root_of

ALL = os.environ.get("DECANTER_ALL") == "1"
COUNT = int(os.environ.get("DECANTER_INVENTORIES", "2000" if ALL else "50"))
# Roles with files that depend on `sites`. Tests of each topology render the files of all roles.
SITE_ROLES = ("balancer", "certbot", "credentials", "nginx", "python_app", "services")
SEED = int(os.environ.get("DECANTER_SEED", "1"))


@pytest.mark.parametrize("host", HOSTS)
def test_programs_accept_generated_inventories(host, root, tmp_path, monkeypatch):
    # Hashes of passwords take most of the time, and no program reads them before a login.
    monkeypatch.setattr(passwords, "hashed", lambda *_: "$6$salt$hash")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    print(f"{COUNT} inventories, DECANTER_SEED={SEED}")  # pytest shows the output of a failed test

    @seed(f"{SEED}-{host}")
    # No shrinking, which takes minutes: the message of the program names the line.
    @settings(
        max_examples=COUNT,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(inventories(Path(root)))
    def check(case: Inventory) -> None:
        (tmp_path / "sites.json").write_text(case.text())
        files = render(host, case, SITE_ROLES, __balancer_openssl_version="3.0", **as_installed(host))
        for folder in root_of(files):
            add_units(folder, case.sites)
            check_systemd(folder, host)
            if "balancer" in case.groups:
                check_haproxy(folder, host)
            else:
                check_nginx(folder, host)
        check_environments(files, case)
        check_gunicorn(files)

    try:
        check()
    except AssertionError as error:
        error.add_note(f"The inventory is in {tmp_path}/sites.json.")
        raise


def check_environments(files: list[File], case: Inventory) -> None:
    """Fail if the environment file of a site does not have the values of `env`."""
    texts = {file.path: file.text for file in files}
    for name, site in with_defaults(case.sites).items():
        if site["state"] == "absent":
            continue
        lines = texts[f"/etc/decanter/{name}/environment"].split(
            "\n"
        )  # values may have other line separators
        # In double quotes, systemd reads backslashes as a shell does.
        words = (shlex.split(line)[0] for line in lines if line and not line.startswith("#"))
        got = dict(word.split("=", 1) for word in words)
        expected = {key: value for key, value in site["env"].items() if "{release}" not in value}
        wrong = {key: got.get(key) for key, value in expected.items() if got.get(key) != value}
        assert not wrong, f"{name}: expected {expected}, got {wrong}"


def check_gunicorn(files: list[File]) -> None:
    """Fail if gunicorn rejects a setting of a site."""
    for file in files:
        if not file.path.endswith("/gunicorn.conf.py"):
            continue
        values: dict[str, Any] = {"__file__": file.path}
        exec(compile(file.text, file.path, "exec"), values)
        if importlib.util.find_spec("gunicorn"):
            from gunicorn.config import Config

            config = Config()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                for name in config.settings.keys() & values.keys():
                    config.set(name, values[name])
