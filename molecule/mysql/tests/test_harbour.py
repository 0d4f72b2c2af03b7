"""Run the test suite of Harbour, which normally uses SQLite, on MySQL and MariaDB."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
testinfra_hosts = ["ansible://client"]

FOLDER = "/var/tmp/harbour"
CA = "/etc/ssl/decanter-mysql-ca.pem"
WORKERS = 2
APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --option DPkg::Lock::Timeout=60"


@pytest.fixture
def harbour(host, ssh) -> None:
    """Copy the application and its tests to the host, and install the requirements."""
    tracked = ["git", "-C", str(ROOT), "ls-files", "-z", "app"]
    files = subprocess.run(tracked, check=True, capture_output=True).stdout
    pack = ["tar", "--create", "--directory", str(ROOT), "--null", "--files-from=-"]
    archive = subprocess.run(pack, input=files, check=True, capture_output=True).stdout
    unpack = f"mkdir -p {FOLDER} && tar --extract --directory {FOLDER} --strip-components=1"
    subprocess.run([*ssh, unpack], input=archive, check=True)
    host.check_output(
        f"cd {FOLDER} && test -e .venv/ready || {{ python3 -m venv .venv"
        " && .venv/bin/pip install --quiet --require-hashes -r requirements-dev.txt && touch .venv/ready; }"
    )


@pytest.fixture(params=["MySQL", "MariaDB"])
def server(request, host, scenario_host) -> str:
    """Create an empty database for each worker, and return the URL of the databases."""
    password = secrets.token_urlsafe(16)
    if request.param == "MySQL":
        name = scenario_host("remote").ansible.get_variables()["lab_container"]
        database_host, user = scenario_host("remote"), "suite@'%'"
        url = f"suite:{password}@{name}/suite?ssl_ca={CA}&"
    else:
        database_host, user = host, "suite@localhost"
        url = f"suite:{password}@/suite?unix_socket=/run/mysqld/mysqld.sock&"
        # Only during this test, because the other tests expect a host without a database server.
        with host.sudo():
            host.check_output(f"{APT} install --no-install-recommends mariadb-server")
    statements = [f"CREATE USER {user} IDENTIFIED BY '{password}'"]
    for worker in range(WORKERS):
        statements += [
            f"CREATE DATABASE suite_gw{worker} CHARACTER SET utf8mb4",
            f"GRANT ALL ON suite_gw{worker}.* TO {user}",
        ]
    with database_host.sudo():
        database_host.check_output("mysql --execute=%s", "; ".join(statements))
    yield f"mysql+pymysql://{url}charset=utf8mb4"
    statements = [f"DROP USER {user}", *(f"DROP DATABASE suite_gw{worker}" for worker in range(WORKERS))]
    with database_host.sudo():
        database_host.check_output("mysql --execute=%s", "; ".join(statements))
    if database_host is host:
        with host.sudo():
            host.check_output(f"{APT} purge mariadb-server")


def test_harbour_test_suite_passes(host, harbour, server):
    result = host.run(
        f"cd {FOLDER} && HARBOUR_TEST_DATABASE_URL=%s timeout 900 .venv/bin/python -m pytest -q"
        f" -p no:cacheprovider --tb=short --durations=5 -n {WORKERS}",
        server,
    )
    print(*result.stdout.splitlines()[-12:], sep="\n")
    assert result.rc == 0, f"expected 0, got {result.rc}:\n{result.stdout[-6000:]}\n{result.stderr[-2000:]}"
