"""A database server elsewhere, such as RDS: only its client connects, over verified TLS."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[3]
testinfra_hosts = ["ansible://client"]

# Logs in with PyMySQL, as an application does. Prints the rows of a statement, or the error.
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
def server(scenario_host) -> str:
    """Return the name of the server, for which its certificate is valid."""
    return scenario_host("remote").ansible.get_variables()["lab_container"]


@pytest.fixture
def sql(host, server, password):
    """Return a function that runs PROBE with the application's login."""

    def run(statement: str, **login):
        verified = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
        login = {"host": server, "user": "town", "password": password("town")} | verified | login
        return host.check_output("python3 -c %s %s %s", PROBE, json.dumps(login), statement)

    return run


@pytest.fixture
def address(host, server) -> str:
    return host.check_output("getent hosts %s", server).split()[0]


def test_application_connects_to_its_database_over_tls(sql):
    got = json.loads(sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'", database="town_hall"))
    assert got[0][1], f"expected a cipher, got {got}"
    assert json.loads(
        sql("SELECT @@require_secure_transport, @@collation_database", database="town_hall")
    ) == [[1, "utf8mb4_unicode_520_ci"]]


def test_application_is_denied_other_databases(sql):
    for statement in ("USE townxhall", "SELECT 1 FROM mysql.user"):
        got = sql(statement)
        assert "denied" in got, f"{statement}: expected an error, got {got}"


def test_connection_without_tls_is_refused(sql):
    got = sql("SELECT 1", ssl_disabled=True)
    # 1045: the user requires TLS. 3159: the server requires TLS.
    assert got.startswith(("refused: 1045", "refused: 3159")), (
        f"expected a connection without TLS to be refused, got {got}"
    )


def test_remote_login_of_root_is_refused(sql, password):
    for secret in ("", password("admin")):
        got = sql("SELECT 1", user="root", password=secret)
        assert got.startswith("refused:"), f"expected root to be refused, got {got}"


def test_firewall_admits_only_the_client(host, scenario_host, server, address):
    probe = f"python3 -c \"import socket; socket.create_connection(('{address}', 3306), 2)\""
    assert host.run(probe).rc == 0, "expected a connection of the client to the server"
    from_local = scenario_host("local").run(probe)
    assert "TimeoutError" in from_local.stderr, f"expected a timeout on the host local, got {from_local}"
    # With rootless Podman, the controller is not in the network of the lab hosts.
    if host.ansible.get_variables()["ansible_host"] != "127.0.0.1":
        with pytest.raises(TimeoutError):
            socket.create_connection((address, 3306), 2).close()


def test_all_users_without_password_are_reported(converge):
    result = converge(mysql_users=[{"name": "fair"}, {"name": "town", "auth": "socket"}])
    output = re.sub(r"\s+", " ", result.stdout)
    assert result.returncode == 2, f"expected 2, got {result.returncode}:\n{output[-2000:]}"
    assert "with another auth: ['fair', 'town']" in output, (
        f"expected both users in the message, got {output[-2000:]}"
    )


def test_server_certificate_of_another_ca_is_rejected(converge, tmp_path):
    ca_file = tmp_path / "ca.crt"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=stranger -keyout ca.key -out ca.crt"
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    try:
        result = converge(mysql_ca_file=str(ca_file))
        output = re.sub(r"\s+", " ", result.stdout)
        assert result.returncode == 2, f"expected 2, got {result.returncode}:\n{output[-2000:]}"
        assert "CERTIFICATE_VERIFY_FAILED" in output, f"expected an invalid certificate, got {output[-2000:]}"
    finally:
        result = converge()
    assert result.returncode == 0, f"expected 0 with the correct CA, got {result.stdout[-2000:]}"


def test_server_certificate_for_another_name_is_rejected(converge, address):
    result = converge(mysql_host=address)
    output = re.sub(r"\s+", " ", result.stdout)
    assert result.returncode == 2, f"expected 2, got {result.returncode}:\n{output[-2000:]}"
    assert "certificate is not valid for" in output, f"expected the name in the message, got {output[-2000:]}"


def test_replaced_password_is_valid_until_it_is_discarded(converge, sql, variables, password):
    (user,), old = variables["mysql_users"], password("town")
    new_password = {"mysql_users": [user | {"password": "another one"}]}

    def can_log_in(secret: str) -> bool:
        return sql("SELECT 'in'", password=secret) == '[["in"]]'

    def run(**settings) -> str:
        result = converge(**settings)
        assert result.returncode == 0, f"expected 0, got {result.returncode}:\n{result.stdout[-2000:]}"
        return result.stdout

    try:
        run(**new_password)
        for when in ("after the change", "after a run without changes"):
            got = [can_log_in(old), can_log_in("another one")]
            assert got == [True, True], f"{when}: expected two valid passwords, got {got}"
            run(**new_password)
        run(**new_password, discard_old_passwords=True)
        got = [can_log_in(old), can_log_in("another one")]
        assert got == [False, True], f"expected only the new password to be valid, got {got}"
    finally:
        run()
        run(discard_old_passwords=True)
    assert [can_log_in(old), can_log_in("another one")] == [True, False]


# --- Variables of a site, and the database commands of a deploy as root --------------------------

# Connects with DATABASE_URL only, as an application does. Prints the cipher of the connection, or the error.
APPLICATION = """
import os, sqlalchemy
engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"], connect_args={"connect_timeout": 5})
try:
    with engine.connect() as connection:
        cipher = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetchone()[1]
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS seen (id INT PRIMARY KEY, name VARCHAR(20))")
        print("connected", cipher)
except sqlalchemy.exc.SQLAlchemyError as error:
    print("refused:", error.orig)
"""
SECRETS = "/etc/decanter/town/secrets.env"


@pytest.fixture
def application(host):
    """Return a function that runs APPLICATION with the site's user and variables.

    `change` is a sed script that is applied to the variables.
    """

    def run(change: str = "s/^//") -> str:
        program = shlex.quote(APPLICATION)
        unit = "systemd-run --quiet --pipe --wait --property=User=town"
        unit += " --property=EnvironmentFile=/run/decanter.env"
        with host.sudo():
            host.check_output(f"umask 077; sed %s {SECRETS} >/run/decanter.env", change)
            try:
                return host.check_output(f"{unit} /usr/bin/python3 -W ignore -c {program}")
            finally:
                host.check_output("rm /run/decanter.env")

    return run


def test_database_url_suffices_for_connection_over_tls(application):
    got = application()
    assert re.match(r"connected \S+", got), f"expected a connection with a cipher, got {got}"


def test_database_url_verifies_ca_and_server_name(application, server, address):
    got = application(f"s/@{server}:/@{address}:/")
    assert got.startswith("refused:"), f"expected an error for a name that the certificate lacks, got {got}"
    assert re.search("certificate|hostname|Hostname|SSL", got), f"expected the name as the reason, got {got}"
    # The public CAs of Debian did not sign the certificate.
    got = application("s#/etc/ssl/decanter-mysql-ca.pem#/etc/ssl/certs/ca-certificates.crt#")
    assert got.startswith("refused:"), f"expected an error with other CAs, got {got}"
    assert re.search("certificate|SSL", got), f"expected the CA as the reason, got {got}"


# The modules with which a deploy reads and dumps a database, and their imports.
CODE = ("databases/__init__.py", "databases/engine.py", "databases/mysql.py", "paths.py", "shared/files.py")


@pytest.fixture
def deploy(host):
    """Return a function that runs the code of a deploy for a site's database as root."""
    folder = "/root/decanter-test"
    modules = "ansible_collections/decanter/stack/plugins/module_utils"
    start = f"""
import gzip
from pathlib import Path
from {modules.replace("/", ".")}.databases import dump, schema
database = {{"engine": "mysql", "name": "town_hall"}}
"""

    # sudo for one command only, because sudo logs commands, and those of fixtures can contain the password.
    def run(text: str):
        with host.sudo():
            return host.run(f"cd {folder} && python3 -c %s", start + text)

    with host.sudo():
        for path in CODE:
            copy = f"{folder}/{modules}/{path}"
            text = (ROOT / "plugins/module_utils" / path).read_text()
            host.check_output("mkdir -p %s && printf %s %s >%s", str(Path(copy).parent), "%s", text, copy)
    yield run
    with host.sudo():
        host.check_output(f"rm -r {folder}")


def test_deploy_reads_columns_and_indexes_of_schema(deploy, application):
    application()
    got = deploy("print(schema('town', database))")
    assert got.rc == 0, got
    assert (
        "'column seen.name': 'varchar(20) YES" in got.stdout and "'index seen.PRIMARY': '0 id'" in got.stdout
    ), got


def test_dump_is_complete_and_can_be_restored(host, deploy, application, sql):
    application()
    sql("REPLACE INTO town_hall.seen VALUES (1, 'before')", autocommit=True)
    got = deploy("dump('town', database, Path('x.sql.gz')); print(gzip.open('x.sql.gz', 'rt').read())")
    assert got.rc == 0, got
    assert "CREATE TABLE `seen`" in got.stdout and "-- Dump completed" in got.stdout, got.stdout[-2000:]
    client = "mariadb --defaults-file=/etc/decanter/town/database.cnf --ssl-verify-server-cert"
    with host.sudo():
        host.check_output(f"{client} -e 'DROP DATABASE town_hall; CREATE DATABASE town_hall'")
        host.check_output(f"zcat /root/decanter-test/x.sql.gz | {client} town_hall")
    got = sql("SELECT name FROM seen WHERE id = 1", database="town_hall")
    assert json.loads(got) == [["before"]], f"expected the row of the dump, got {got}"


def test_deploy_verifies_ca_and_server_name(host, deploy, address):
    cnf = "/etc/decanter/town/database.cnf"
    with host.sudo():
        mode = host.check_output(f"stat --format='%a %U' {cnf}")
        assert mode == "600 root", f"{cnf}: expected 600 root, got {mode}"
        try:
            for change, reason in (
                (f's/^host=.*/host="{address}"/', "name|certificate"),
                ('s#^ssl-ca=.*#ssl-ca="/etc/ssl/certs/ca-certificates.crt"#', "certificate"),
            ):
                host.check_output(f"sed --in-place=.kept %s {cnf}", change)
                got = deploy("dump('town', database, Path('x.sql.gz'))")
                assert got.rc != 0 and re.search(f"(TLS|SSL).*({reason})", got.stderr, re.S), (
                    f"{change}: expected a TLS error, got {got}"
                )
                host.check_output(f"mv {cnf}.kept {cnf}")
        finally:
            host.run(f"mv {cnf}.kept {cnf}")


def test_site_password_is_in_no_unit_and_no_journal(host, password):
    with host.sudo():
        output = host.check_output("systemctl show town.task@x.service; journalctl --boot --no-pager")
        mode = host.check_output(f"stat --format='%a %U' {SECRETS}")
    found = [
        line
        for line in output.splitlines()
        if password("town") in line or f"//town:{quote(password('town'), safe='')}@" in line
    ]
    assert not found, f"expected no line with the password or the URL, got {found}"
    assert mode == "600 root", f"{SECRETS}: expected 600 root, got {mode}"
