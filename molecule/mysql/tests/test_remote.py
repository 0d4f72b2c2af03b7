"""A server elsewhere, as RDS is: only its client comes in, over TLS, and only to the server that it meant."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess

import pytest

testinfra_hosts = ["ansible://client"]

# Logs in with PyMySQL, as an application does; prints the rows of a statement, or the error.
PROBE = """
import json, pymysql, sys
login, statement = json.loads(sys.argv[1]), sys.argv[2]
try:
    cursor = pymysql.connect(connect_timeout=5, **login).cursor()
    cursor.execute(statement)
    print(json.dumps(cursor.fetchall()))
except pymysql.MySQLError as error:
    print("refused:", *error.args)
"""
CA = "/etc/ssl/decanter-mysql-ca.pem"


@pytest.fixture
def server(other) -> str:
    """The name of the server, which its certificate is for."""
    return other("remote").ansible.get_variables()["lab_container"]


@pytest.fixture
def sql(host, server, password):
    """A function that runs SQL on the server elsewhere as the application; its rows, or why not."""

    def run(statement: str, **login):
        verified = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
        login = {"host": server, "user": "town", "password": password("town")} | verified | login
        return host.check_output("python3 -c %s %s %s", PROBE, json.dumps(login), statement)

    return run


@pytest.fixture
def address(host, server) -> str:
    return host.check_output("getent hosts %s", server).split()[0]


def test_the_application_has_its_database_over_tls(sql):
    got = json.loads(sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'", database="town_hall"))
    assert got[0][1], f"expected a cipher, got {got}"
    assert json.loads(
        sql("SELECT @@require_secure_transport, @@collation_database", database="town_hall")
    ) == [[1, "utf8mb4_unicode_520_ci"]]


def test_it_has_no_other(sql):
    for statement in ("USE townxhall", "SELECT 1 FROM mysql.user"):
        got = sql(statement)
        assert "denied" in got, f"{statement}: expected it to be denied, got {got}"


def test_nobody_comes_in_the_clear(sql):
    got = sql("SELECT 1", ssl_disabled=True)
    # Denied for what the user must use; the server would refuse the transport itself.
    assert got.startswith(("refused: 1045", "refused: 3159")), (
        f"expected a connection without TLS to be refused, got {got}"
    )


def test_root_does_not_come_from_elsewhere(sql, password):
    for secret in ("", password("admin")):
        got = sql("SELECT 1", user="root", password=secret)
        assert got.startswith("refused:"), f"expected root to be refused, got {got}"


def test_only_its_client_reaches_it(host, other, server, address):
    probe = f"python3 -c \"import socket; socket.create_connection(('{address}', 3306), 2)\""
    assert host.run(probe).rc == 0, "expected the client to reach the server, got no connection"
    from_another = other("local").run(probe)
    assert "TimeoutError" in from_another.stderr, f"expected its packets to be dropped, got {from_another}"
    if (
        host.ansible.get_variables()["ansible_host"] != "127.0.0.1"
    ):  # else this machine is on no network of theirs
        with pytest.raises(TimeoutError):
            socket.create_connection((address, 3306), 2).close()


def test_a_user_without_a_password_is_named(converge):
    done = converge(mysql_users=[{"name": "fair"}, {"name": "town", "auth": "socket"}])
    said = re.sub(r"\s+", " ", done.stdout)
    assert done.returncode == 2, f"expected 2, got {done.returncode}:\n{said[-2000:]}"
    assert "with another auth ['fair', 'town']" in said, f"expected both to be named, got {said[-2000:]}"


def test_another_authority_is_refused(converge, tmp_path):
    stranger = tmp_path / "ca.crt"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=stranger -keyout ca.key -out ca.crt"
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    try:
        done = converge(mysql_ca_file=str(stranger))
        said = re.sub(r"\s+", " ", done.stdout)
        assert done.returncode == 2, f"expected 2, got {done.returncode}:\n{said[-2000:]}"
        assert "CERTIFICATE_VERIFY_FAILED" in said, (
            f"expected the certificate to be refused, got {said[-2000:]}"
        )
    finally:
        again = converge()
    assert again.returncode == 0, f"expected the right authority to do, got {again.stdout[-2000:]}"


def test_another_name_is_refused(converge, address):
    done = converge(mysql_host=address)
    said = re.sub(r"\s+", " ", done.stdout)
    assert done.returncode == 2, f"expected 2, got {done.returncode}:\n{said[-2000:]}"
    assert "certificate is not valid for" in said, f"expected the name to be refused, got {said[-2000:]}"
