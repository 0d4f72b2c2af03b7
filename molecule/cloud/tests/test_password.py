"""A change of the database's password under load."""

from __future__ import annotations

import json
import secrets

from alb_client import HarbourLoad
from conftest import assert_succeeded

from tests.hosts.fixtures.lab import run_playbook

OLD_VALID = (
    "SELECT User_attributes->'$.additional_password' IS NOT NULL FROM mysql.user WHERE User = 'harbour'"
)


def test_change_of_database_password_loses_no_request(inventory, sites, balancer, listing, run_on, tmp_path):
    password = secrets.token_urlsafe(24)
    database = sites["harbour"]["database"] | {"password": password}
    changed = {"sites": sites | {"harbour": sites["harbour"] | {"database": database}}}
    (tmp_path / "sites.json").write_text(json.dumps(changed))
    login = ["mysql", "--host=127.0.0.1", "--user=harbour", f"--password={password}", "-NBe", "SELECT 'in'"]

    try:
        with balancer.polling(), HarbourLoad(balancer=balancer, paths=("/", listing.path)) as load:
            assert_succeeded(run_playbook("site.yml", inventory, "-e", f"@{tmp_path}/sites.json"))
        got = run_on("rds", *login)
        assert got == "in", f"expected a login with the new password, got {got}"
        old = run_on("rds", "mysql", "-NBe", OLD_VALID)
        assert old == "0", f"expected the old password to be discarded, got {old}"
    finally:
        assert_succeeded(run_playbook("site.yml", inventory))
    assert len(load.results) > 200 and not load.lost, (
        f"expected no lost request of {len(load.results)}, got {load.lost[:5]}"
    )
    got = run_on("rds", *login, check=False)
    assert got == "", f"expected no login with the replaced password, got {got}"
