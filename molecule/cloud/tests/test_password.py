"""The database's password is replaced while visitors are there."""

from __future__ import annotations

import json
import secrets

from alb_client import Visits
from conftest import succeeded

from tests.hosts.fixtures.lab import run_playbook

TWO = "SELECT User_attributes->'$.additional_password' IS NOT NULL FROM mysql.user WHERE User = 'harbour'"


def test_nobody_notices_another_password(inventory, sites, balancer, home, inside, tmp_path):
    password = secrets.token_urlsafe(24)
    database = sites["harbour"]["database"] | {"password": password}
    changed = {"sites": sites | {"harbour": sites["harbour"] | {"database": database}}}
    (tmp_path / "sites.json").write_text(json.dumps(changed))
    log_in = ["mysql", "--host=127.0.0.1", "--user=harbour", f"--password={password}", "-NBe", "SELECT 'in'"]

    try:
        with balancer.followed(), Visits(balancer=balancer, paths=("/", home.path)) as visits:
            succeeded(run_playbook("site.yml", inventory, "-e", f"@{tmp_path}/sites.json"))
        got = inside("rds", *log_in)
        assert got == "in", f"expected the new password to do, got {got}"
        two = inside("rds", "mysql", "-NBe", TWO)
        assert two == "0", f"expected the old one to be good no more, got {two}"
    finally:
        succeeded(run_playbook("site.yml", inventory))
    assert len(visits.answers) > 200 and not visits.lost, (
        f"expected none of {len(visits.answers)} to be lost, got {visits.lost[:5]}"
    )
    refused = inside("rds", *log_in, checked=False)
    assert refused == "", f"expected the password before it alone, got {refused}"
