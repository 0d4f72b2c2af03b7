"""Oracle's MySQL on the host itself, where it differs from MariaDB and where its settings change.

What both makes have in common is asked by tests/hosts/test_mysql.py, which runs here as well.
"""

from __future__ import annotations

import re
import shlex

import pytest

testinfra_hosts = ["ansible://local"]
UNIT = "mysql.service"


@pytest.fixture
def sql(host):
    """A function that runs SQL as a Unix user over the socket; what it prints, or its error."""

    def run(statement: str, unix_user: str = "root") -> str:
        client = f"mysql --batch --skip-column-names --user={unix_user}"
        with host.sudo(unix_user):
            done = host.run(f"{client} --execute={shlex.quote(statement)}")
        return done.stdout.strip() if done.rc == 0 else done.stderr.strip()

    return run


@pytest.fixture
def reports(host, password):
    """A function that runs SQL as the user with a password, over TCP and TLS."""

    def run(statement: str, *, secret: str | None = None, user: str = "reports"):
        # Not by sudo, which logs commands.
        return host.run(
            "mysql --batch --skip-column-names --host=127.0.0.1 --ssl-mode=REQUIRED"
            f" --user={user} --password={secret or password('reports')} --execute={shlex.quote(statement)}"
        )

    return run


@pytest.fixture
def starts(host):
    """A function that counts how often the server was started in this boot."""

    def count() -> int:
        with host.sudo():
            host.check_output("journalctl --sync")
            # systemd's message for a start that has ended well.
            return int(
                host.check_output(
                    f"journalctl --boot --unit={UNIT} --output=cat"
                    " MESSAGE_ID=39f53479d3a045ac8e11786248231fbf | wc -l"
                )
            )

    return count


def test_it_is_oracles(sql):
    version, comment = sql("SELECT VERSION(), @@version_comment").split("\t")
    assert int(version.split(".")[0]) >= 9 and "MariaDB" not in f"{version}{comment}", (
        f"expected Oracle's MySQL 9, got {version} ({comment})"
    )


def test_each_user_proves_itself_as_it_was_told_to(sql):
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


def test_a_password_lets_in_over_tls_only_the_one_who_knows_it(reports, sql):
    got = reports("SELECT CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_version'").stdout.split()
    assert got == ["reports@localhost", "Ssl_version", "TLSv1.3"], f"expected reports over TLS, got {got}"
    for secret, user in (("wrong", "reports"), (None, "town"), (None, "root")):
        denied = reports("SELECT 1", secret=secret, user=user)
        assert "Access denied" in denied.stderr, f"expected {user} to be denied, got {denied}"


def test_an_underscore_is_no_wildcard(sql):
    sql("CREATE TABLE townxhall.decanter_probe (id INT)")
    try:
        for user, own, others in (("town", "town_hall", "townxhall"), ("fair", "townxhall", "town_hall")):
            denied = sql(f"USE {others}", user)
            assert "Access denied" in denied, f"expected {user} to be kept out of {others}, got {denied!r}"
            escaped = own.replace("_", r"\_")
            grants = sql("SHOW GRANTS", user).replace(r"\\", "\\").splitlines()
            assert grants == [
                f"GRANT USAGE ON *.* TO `{user}`@`localhost`",
                f"GRANT ALL PRIVILEGES ON `{escaped}`.* TO `{user}`@`localhost`",
            ], f"expected all on {own} and nothing else, got {grants}"
    finally:
        sql("DROP TABLE townxhall.decanter_probe")


def test_text_is_text_of_any_language(sql):
    got = sql(
        "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME LIKE 'town%'"
    )
    got = dict(line.split("\t") for line in got.splitlines())
    expected = dict.fromkeys(("town_hall", "townxhall"), "utf8mb4_unicode_520_ci")
    assert got == expected, f"expected {expected}, got {got}"


def test_memory_is_what_the_file_says(host, sql):
    with host.sudo():
        text = host.file("/etc/mysql/mysql.conf.d/zz-decanter.cnf").content_string
    expected = int(re.search(r"^innodb_buffer_pool_size = (\d+)M$", text, re.M)[1]) * 2**20
    got = int(sql("SELECT @@innodb_buffer_pool_size"))
    assert got == expected, f"expected a buffer pool of {expected} bytes, got {got}"


def test_no_password_is_in_the_log(host, password):
    with host.sudo():
        lines = host.check_output("journalctl --boot --no-pager").splitlines()
    for user in ("reports", "town", "admin"):
        found = [line for line in lines if password(user) in line]
        assert not found, f"expected no line with {user}'s password, got {found}"


def test_a_changed_setting_restarts_it_once_and_an_unchanged_one_does_not(converge, sql, starts):
    before, connections = starts(), int(sql("SELECT @@max_connections"))
    try:
        for expected in (1, 1):
            done = converge(mysql_max_connections=connections + 7)
            assert done.returncode == 0, f"expected 0, got {done.returncode}:\n{done.stdout[-2000:]}"
            got = starts() - before
            assert got == expected, f"expected {expected} start, got {got}:\n{done.stdout[-2000:]}"
        assert sql("SELECT @@max_connections") == str(connections + 7)
    finally:
        converge()
    assert sql("SELECT @@max_connections") == str(connections), "expected the inventory's setting again"


def test_a_wrong_setting_is_refused_and_the_server_goes_on(converge, sql, starts):
    before = starts()
    try:
        done = converge(mysql_collation="utf8mb4_of_nowhere")
        assert done.returncode == 2, f"expected 2, got {done.returncode}:\n{done.stdout[-2000:]}"
        for words in ("the new configuration is invalid", "utf8mb4_of_nowhere"):
            # Ansible breaks lines where it likes.
            assert words in re.sub(r"\s+", " ", done.stdout), f"expected {words!r}, got {done.stdout[-2000:]}"
        assert (starts(), sql("SELECT 1")) == (before, "1"), "expected the server to go on, got another"
    finally:
        converge()
    assert sql("SELECT @@collation_server") == "utf8mb4_unicode_520_ci"
