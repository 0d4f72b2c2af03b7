"""The database: who gets in, from where, to what, and that it comes back."""

from __future__ import annotations

import re
import shlex
import time

import pytest

SYSTEM = {"information_schema", "performance_schema", "mysql", "sys"}
WITHIN = 3.0  # seconds after kill -9 until it answers again


@pytest.fixture
def sql(host):
    """A function that runs SQL over the socket as a Unix user: its exit status, rows and error."""

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
    """The users that log in as the Unix user of the same name and own nothing but databases."""
    names = sql(
        "SELECT User FROM mysql.user WHERE plugin IN ('unix_socket', 'auth_socket') AND Super_priv = 'N'"
    )
    users = [name for name in names.stdout.split() if host.user(name).exists]
    if not users:
        pytest.skip("no site on this host logs in by the socket")
    return users


def databases(result) -> set[str]:
    return set(result.stdout.split()) - SYSTEM


def test_root_needs_no_password_and_nobody_else_is_root(sql):
    as_root = sql("SELECT CURRENT_USER()")
    assert as_root.stdout.strip() == "root@localhost", f"expected root@localhost, got {as_root}"
    as_nobody = sql("SELECT 1", unix_user="nobody", user="root")
    assert as_nobody.rc != 0, f"expected nobody to be refused as root, got {as_nobody}"


def test_no_user_without_a_name_or_a_way_to_prove_it(sql):
    # Socket users have no authentication string and need none; a MariaDB role has no host.
    if "MariaDB" in sql("SELECT VERSION()").stdout:
        open_to_all = (
            "JSON_VALUE(Priv, '$.authentication_string') = ''"
            " AND JSON_VALUE(Priv, '$.plugin') <> 'unix_socket'"
            " AND NOT COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0)"
        )
        table = "mysql.global_priv"
    else:
        open_to_all = "authentication_string = '' AND plugin <> 'auth_socket' AND account_locked = 'N'"
        table = "mysql.user"
    users = sql(
        f"SELECT CONCAT(User, '@', Host) FROM {table} WHERE Host <> '' AND"
        f" (User = '' OR (User = 'root' AND Host <> 'localhost') OR ({open_to_all}))"
    )
    assert (users.rc, users.stdout) == (0, ""), f"expected none, got {users.stdout or users.stderr}"


def test_it_listens_where_it_was_told_to_only(host, sql, variables):
    port = sql("SELECT @@port").stdout.strip()
    with host.sudo():
        lines = host.check_output("ss -Hltnp").splitlines()
    ours = {line.split()[3] for line in lines if "mysqld" in line or "mariadbd" in line}
    expected = {f"{address}:{port}" for address in variables.get("mysql_bind_addresses", ["127.0.0.1"])}
    assert ours == expected, f"expected {expected}, got {ours}"


def test_a_site_reaches_its_own_database_only(sql, socket_users):
    every = databases(sql("SHOW DATABASES"))
    taken: set[str] = set()
    for name in socket_users:
        own = databases(sql("SHOW DATABASES", unix_user=name))
        assert own, f"expected {name} to see its database, got none"
        assert not own & taken, f"expected {name} to see no other site's database, got {own & taken}"
        taken |= own
        for table in ("mysql.user", *(f"`{other}`.decanter_probe" for other in every - own)):
            denied = sql(f"SELECT 1 FROM {table}", unix_user=name)
            assert "denied" in denied.stderr, f"expected {name} to be denied {table}, got {denied}"


def test_nobody_passes_for_a_site(sql, socket_users):
    for name in socket_users:
        result = sql("SELECT 1", unix_user="nobody", user=name)
        assert result.rc != 0, f"expected nobody to be refused as {name}, got {result}"


def test_migrations_may_do_what_they_do(sql, socket_users):
    """A table, an index, a trigger and a view as the site's own user; text that tells emoji apart."""
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
        assert result.stdout.split() == ["2", "0"], f"{name}: expected row 2 and no other fish, got {result}"


def test_what_is_committed_is_kept(sql):
    result = sql("SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin, @@binlog_format")
    assert result.stdout.split() == ["1", "1", "1", "ROW"], f"expected 1 1 1 ROW, got {result.stdout}"


def test_the_packages_files_do_not_overrule_ours(sql):
    result = sql("SELECT @@key_buffer_size, @@local_infile")  # Oracle's package says 16M, MariaDB has 128M
    assert result.stdout.split() == ["8388608", "0"], f"expected 8388608 0, got {result.stdout}"


def test_the_unit_is_locked_up(host, unit):
    with host.sudo():
        # Not --threshold, which Ubuntu 22.04 does not know.
        line = host.check_output(f"systemd-analyze security --no-pager {unit} | grep 'Overall exposure'")
    exposure = float(re.search(r"[0-9.]+(?= [A-Z])", line)[0])
    assert exposure <= 2.2, f"expected an exposure of at most 2.2, got {line}"


def test_it_starts_at_boot(host, unit):
    assert host.service(unit).is_enabled, f"expected {unit} to start at boot, got disabled"


@pytest.mark.alone
def test_killed_it_is_back_with_its_data(host, sql, unit):
    sql("CREATE DATABASE decanter_probe")
    sql("CREATE TABLE decanter_probe.t (id INT); INSERT INTO decanter_probe.t VALUES (7)")
    try:
        with host.sudo():
            # --kill-whom is its name since systemd 252; Ubuntu 22.04 has 249. Both take this one.
            host.check_output(f"systemctl kill --kill-who=main --signal=KILL {unit}")
        killed = time.monotonic()
        time.sleep(0.2)  # or the one that is ending might still answer
        while (answer := sql("SELECT id FROM decanter_probe.t")).rc != 0 and time.monotonic() - killed < 30:
            time.sleep(0.05)
        took = time.monotonic() - killed
        assert answer.stdout == "7\n", f"expected the row that was there, got {answer}"
        assert took <= WITHIN, f"expected an answer within {WITHIN} s of kill -9, got one after {took:.1f} s"
    finally:
        sql("DROP DATABASE IF EXISTS decanter_probe")
