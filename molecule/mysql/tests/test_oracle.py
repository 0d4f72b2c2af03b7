"""Oracle's MySQL on the host itself: differences from MariaDB, and changes of settings.

tests/hosts/test_mysql.py, which this scenario runs as well, tests what both servers have in common.
"""

from __future__ import annotations

import re
import shlex

import pytest

testinfra_hosts = ["ansible://local"]
UNIT = "mysql.service"


@pytest.fixture
def sql(host):
    """Return a function that runs SQL as a Unix user, and returns output or error."""

    def run(statement: str, unix_user: str = "root") -> str:
        client = f"mysql --batch --skip-column-names --user={unix_user}"
        with host.sudo(unix_user):
            result = host.run(f"{client} --execute={shlex.quote(statement)}")
        return result.stdout.strip() if result.rc == 0 else result.stderr.strip()

    return run


@pytest.fixture
def tcp_sql(host, password):
    """Return a function that runs SQL over TCP and TLS with a password."""

    def run(statement: str, *, secret: str | None = None, user: str = "reports"):
        # Without sudo, because sudo logs commands.
        return host.run(
            "mysql --batch --skip-column-names --host=127.0.0.1 --ssl-mode=REQUIRED"
            f" --user={user} --password={secret or password('reports')} --execute={shlex.quote(statement)}"
        )

    return run


@pytest.fixture
def start_count(host):
    """Return a function that returns the number of the server's starts since the host's boot."""

    def count() -> int:
        with host.sudo():
            host.check_output("journalctl --sync")
            # The ID of systemd's message that the unit has started.
            return int(
                host.check_output(
                    f"journalctl --boot --unit={UNIT} --output=cat"
                    " MESSAGE_ID=39f53479d3a045ac8e11786248231fbf | wc -l"
                )
            )

    return count


def test_server_is_oracle_mysql_9(sql):
    version, comment = sql("SELECT VERSION(), @@version_comment").split("\t")
    assert int(version.split(".")[0]) >= 9 and "MariaDB" not in f"{version}{comment}", (
        f"expected Oracle's MySQL 9, got {version} ({comment})"
    )


def test_users_have_configured_authentication_plugins(sql):
    got = sql(
        "SELECT User, Host, plugin FROM mysql.user"
        " WHERE User NOT LIKE 'mysql.%' AND User <> 'debian-sys-maint'"
    )
    expected = {
        "root\tlocalhost\tauth_socket",
        "town\tlocalhost\tauth_socket",
        "fair\tlocalhost\tauth_socket",
        "reports\tlocalhost\tcaching_sha2_password",
    }
    assert set(got.splitlines()) == expected, f"expected {expected}, got {got}"


def test_password_login_uses_tls_and_rejects_wrong_password(tcp_sql, sql):
    got = tcp_sql("SELECT CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_version'").stdout.split()
    assert got == ["reports@localhost", "Ssl_version", "TLSv1.3"], f"expected reports over TLS, got {got}"
    for secret, user in (("wrong", "reports"), (None, "town"), (None, "root")):
        result = tcp_sql("SELECT 1", secret=secret, user=user)
        assert "Access denied" in result.stderr, f"{user}: expected Access denied, got {result}"


def test_underscore_of_database_name_is_escaped_in_grants(sql):
    sql("CREATE TABLE townxhall.decanter_probe (id INT)")
    try:
        for user, own, others in (("town", "town_hall", "townxhall"), ("fair", "townxhall", "town_hall")):
            error = sql(f"USE {others}", user)
            assert "Access denied" in error, f"{user}: expected no access to {others}, got {error!r}"
            escaped = own.replace("_", r"\_")
            grants = sql("SHOW GRANTS", user).replace(r"\\", "\\").splitlines()
            assert grants == [
                f"GRANT USAGE ON *.* TO `{user}`@`localhost`",
                f"GRANT ALL PRIVILEGES ON `{escaped}`.* TO `{user}`@`localhost`",
            ], f"expected privileges on {own} only, got {grants}"
    finally:
        sql("DROP TABLE townxhall.decanter_probe")


def test_databases_have_unicode_collation(sql):
    got = sql(
        "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME LIKE 'town%'"
    )
    got = dict(line.split("\t") for line in got.splitlines())
    expected = dict.fromkeys(("town_hall", "townxhall"), "utf8mb4_unicode_520_ci")
    assert got == expected, f"expected {expected}, got {got}"


def test_buffer_pool_has_configured_size(host, sql):
    with host.sudo():
        text = host.file("/etc/mysql/mysql.conf.d/zz-decanter.cnf").content_string
    expected = int(re.search(r"^innodb_buffer_pool_size = (\d+)M$", text, re.M)[1]) * 2**20
    got = int(sql("SELECT @@innodb_buffer_pool_size"))
    assert got == expected, f"expected a buffer pool of {expected} bytes, got {got}"


def test_journal_contains_no_password(host, password):
    with host.sudo():
        lines = host.check_output("journalctl --boot --no-pager").splitlines()
    for user in ("reports", "town", "admin"):
        found = [line for line in lines if password(user) in line]
        assert not found, f"expected no line with {user}'s password, got {found}"


def test_changed_setting_restarts_server_once(converge, sql, start_count):
    before, connections = start_count(), int(sql("SELECT @@max_connections"))
    try:
        for expected in (1, 1):
            result = converge(mysql_max_connections=connections + 7)
            assert result.returncode == 0, f"expected 0, got {result.returncode}:\n{result.stdout[-2000:]}"
            got = start_count() - before
            assert got == expected, f"expected {expected} starts, got {got}:\n{result.stdout[-2000:]}"
        assert sql("SELECT @@max_connections") == str(connections + 7)
    finally:
        converge()
    assert sql("SELECT @@max_connections") == str(connections), "expected the inventory's setting"


def test_invalid_setting_is_rejected_and_server_keeps_running(converge, sql, start_count):
    before = start_count()
    try:
        result = converge(mysql_collation="utf8mb4_of_nowhere")
        assert result.returncode == 2, f"expected 2, got {result.returncode}:\n{result.stdout[-2000:]}"
        for message in ("the new content is invalid", "utf8mb4_of_nowhere"):
            # Ansible wraps the lines of messages.
            assert message in re.sub(r"\s+", " ", result.stdout), (
                f"expected {message!r}, got {result.stdout[-2000:]}"
            )
        assert (start_count(), sql("SELECT 1")) == (before, "1"), "expected the same server process"
    finally:
        converge()
    assert sql("SELECT @@collation_server") == "utf8mb4_unicode_520_ci"
