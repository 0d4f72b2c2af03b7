"""The database server: logins, addresses, privileges, durability, and its restart after a crash."""

from __future__ import annotations

import re
import shlex
import time

import pytest

SYSTEM_DATABASES = {"information_schema", "performance_schema", "mysql", "sys"}
OTHER_USER = "nobody"  # a Unix user without a site
RESTART_SECONDS = 3.0  # from kill -9 to the next response


@pytest.fixture
def sql(host):
    """Return a function that runs SQL over the socket as a Unix user and returns the command's result."""

    def run(statement: str, unix_user: str = "root", user: str | None = None):
        client = f"mysql --batch --skip-column-names --user={user or unix_user}"
        with host.sudo(unix_user):
            return host.run(f"{client} --execute={shlex.quote(statement)}")

    if not host.file("/run/mysqld/mysqld.sock").exists:
        pytest.skip("this host has no database server")
    return run


@pytest.fixture
def unit(host, sql) -> str:
    version = sql("SELECT VERSION()").stdout
    return "mariadb.service" if "MariaDB" in version else "mysql.service"


@pytest.fixture
def socket_users(host, sql) -> list[str]:
    """Return the database users that authenticate as the Unix user of the same name, without SUPER."""
    names = sql(
        "SELECT User FROM mysql.user WHERE plugin IN ('unix_socket', 'auth_socket') AND Super_priv = 'N'"
    )
    users = [name for name in names.stdout.split() if host.user(name).exists]
    if not users:
        pytest.skip("no site on this host uses socket authentication")
    return users


def databases(result) -> set[str]:
    return set(result.stdout.split()) - SYSTEM_DATABASES


def test_root_login_requires_the_unix_user_root(sql):
    as_root = sql("SELECT CURRENT_USER()")
    assert as_root.stdout.strip() == "root@localhost", f"expected root@localhost, got {as_root}"
    result = sql("SELECT 1", unix_user=OTHER_USER, user="root")
    assert result.rc != 0, f"expected another Unix user to be rejected as root, got {result}"


def test_users_without_name_or_authentication_do_not_exist(sql):
    # Users with socket authentication have no authentication string. A MariaDB role has no host.
    if "MariaDB" in sql("SELECT VERSION()").stdout:
        unauthenticated = (
            "JSON_VALUE(Priv, '$.authentication_string') = ''"
            " AND JSON_VALUE(Priv, '$.plugin') <> 'unix_socket'"
            " AND NOT COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0)"
        )
        table = "mysql.global_priv"
    else:
        unauthenticated = "authentication_string = '' AND plugin <> 'auth_socket' AND account_locked = 'N'"
        table = "mysql.user"
    users = sql(
        f"SELECT CONCAT(User, '@', Host) FROM {table} WHERE Host <> '' AND"
        f" (User = '' OR (User = 'root' AND Host <> 'localhost') OR ({unauthenticated}))"
    )
    assert (users.rc, users.stdout) == (0, ""), f"expected none, got {users.stdout or users.stderr}"


def test_server_listens_on_configured_addresses_only(host, sql, variables):
    port = sql("SELECT @@port").stdout.strip()
    with host.sudo():
        lines = host.check_output("ss -Hltnp").splitlines()
    addresses = {line.split()[3] for line in lines if "mysqld" in line or "mariadbd" in line}
    expected = {f"{address}:{port}" for address in variables.get("mysql_bind_addresses", ["127.0.0.1"])}
    assert addresses == expected, f"expected {expected}, got {addresses}"


def test_site_user_reads_its_own_database_only(sql, socket_users):
    all_databases = databases(sql("SHOW DATABASES"))
    previous: set[str] = set()
    for name in socket_users:
        own = databases(sql("SHOW DATABASES", unix_user=name))
        assert own, f"expected {name} to see its database, got none"
        assert not own & previous, f"expected {name} to see no other site's database, got {own & previous}"
        previous |= own
        for table in ("mysql.user", *(f"`{other}`.decanter_probe" for other in all_databases - own)):
            denied = sql(f"SELECT 1 FROM {table}", unix_user=name)
            assert "denied" in denied.stderr, f"expected {name} to be denied {table}, got {denied}"


def test_site_user_login_fails_for_other_unix_users(sql, socket_users):
    for name in socket_users:
        result = sql("SELECT 1", unix_user=OTHER_USER, user=name)
        assert result.rc != 0, f"expected another Unix user to be rejected as {name}, got {result}"


def test_site_user_may_run_statements_of_migrations(sql, socket_users):
    """Create a table, an index, a trigger and a view. Comparisons of text distinguish emoji."""
    for name in socket_users:
        database = min(databases(sql("SHOW DATABASES", unix_user=name)))
        result = sql(
            f"USE `{database}`; CREATE TABLE decanter_probe (id INT PRIMARY KEY, t VARCHAR(9));"
            " CREATE TRIGGER decanter_probe_t BEFORE INSERT ON decanter_probe"
            " FOR EACH ROW SET NEW.id = NEW.id + 1;"
            " CREATE VIEW decanter_probe_v AS SELECT id FROM decanter_probe;"
            " ALTER TABLE decanter_probe ADD INDEX (t); SET NAMES utf8mb4;"
            " INSERT INTO decanter_probe VALUES (1, '🐟');"
            " SELECT id, (SELECT COUNT(*) FROM decanter_probe WHERE t = '🐠') FROM decanter_probe_v",
            unix_user=name,
        )
        sql(f"USE `{database}`; DROP VIEW IF EXISTS decanter_probe_v; DROP TABLE IF EXISTS decanter_probe")
        assert result.stdout.split() == ["2", "0"], (
            f"{name}: expected row 2 and no match of another emoji, got {result}"
        )


def test_commits_are_durable_and_binary_log_has_rows(sql):
    result = sql("SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin, @@binlog_format")
    assert result.stdout.split() == ["1", "1", "1", "ROW"], f"expected 1 1 1 ROW, got {result.stdout}"


def test_settings_override_those_of_the_packages(sql):
    result = sql("SELECT @@key_buffer_size, @@local_infile")  # Oracle's package sets 16M, MariaDB 128M
    assert result.stdout.split() == ["8388608", "0"], f"expected 8388608 0, got {result.stdout}"


def test_unit_is_sandboxed(host, unit):
    with host.sudo():
        # Ubuntu 22.04 does not support --threshold.
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    exposure = float(re.search(r"[0-9.]+(?= [A-Z])", line)[0])
    assert exposure <= 2.2, f"expected an exposure of at most 2.2, got {line}"


def test_unit_starts_at_boot(host, unit):
    assert host.service(unit).is_enabled, f"expected {unit} to start at boot, got disabled"


@pytest.mark.alone
def test_killed_server_restarts_with_its_data(host, sql, unit):
    sql("CREATE DATABASE decanter_probe")
    sql("CREATE TABLE decanter_probe.t (id INT); INSERT INTO decanter_probe.t VALUES (7)")
    try:
        with host.sudo():
            # The old name of the option, because systemd 249 (Ubuntu 22.04) does not support the new one.
            host.check_output(f"systemctl kill --kill-who=main --signal=KILL {unit}")
        killed = time.monotonic()
        time.sleep(0.2)  # the killed process may still respond
        while (response := sql("SELECT id FROM decanter_probe.t")).rc != 0 and time.monotonic() - killed < 30:
            time.sleep(0.05)
        duration = time.monotonic() - killed
        assert response.stdout == "7\n", f"expected the row from before the crash, got {response}"
        assert duration <= RESTART_SECONDS, (
            f"expected a response within {RESTART_SECONDS} s of kill -9, got one after {duration:.1f} s"
        )
    finally:
        sql("DROP DATABASE IF EXISTS decanter_probe")
