"""A server elsewhere, as RDS is: only its client comes in, over TLS, and only to the server that it meant."""

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
    assert "with another auth: ['fair', 'town']" in said, f"expected both to be named, got {said[-2000:]}"


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


def test_a_password_that_is_replaced_is_good_until_applications_know_the_new_one(
    converge, sql, variables, password
):
    (user,), old = variables["mysql_users"], password("town")
    another = {"mysql_users": [user | {"password": "another one"}]}
    begun = "SELECT 'in'"

    def lets_in(secret: str) -> bool:
        return sql(begun, password=secret) == '[["in"]]'

    def run(**settings) -> str:
        done = converge(**settings)
        assert done.returncode == 0, f"expected 0, got {done.returncode}:\n{done.stdout[-2000:]}"
        return done.stdout

    try:
        run(**another)
        for when in ("with the new one", "when nothing is new any more"):
            got = [lets_in(old), lets_in("another one")]
            assert got == [True, True], f"{when}: expected both passwords to do, got {got}"
            run(**another)
        run(**another, applications_know=True)
        got = [lets_in(old), lets_in("another one")]
        assert got == [False, True], f"expected the new password alone to do, got {got}"
    finally:
        run()
        run(applications_know=True)
    assert [lets_in(old), lets_in("another one")] == [True, False]


# --- What a site is told, and what a deploy does as root ---------------------------------------

# Connects as an application does that knows one variable; prints the connection's cipher, or the error.
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
    """A function that connects with the site's own variables, changed or not, as its user."""

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


def test_the_sites_url_is_all_that_pymysql_needs(application):
    got = application()
    assert re.match(r"connected \S+", got), f"expected a connection with a cipher, got {got}"


def test_the_sites_url_verifies_authority_and_name(application, server, address):
    got = application(f"s/@{server}:/@{address}:/")
    assert got.startswith("refused:"), (
        f"expected another name than the certificate's to be refused, got {got}"
    )
    assert re.search("certificate|hostname|Hostname|SSL", got), (
        f"expected the name to be the reason, got {got}"
    )
    # An authority that every Debian has, and that has not signed this.
    got = application("s#/etc/ssl/decanter-mysql-ca.pem#/etc/ssl/certs/ca-certificates.crt#")
    assert got.startswith("refused:"), f"expected another authority to be refused, got {got}"
    assert re.search("certificate|SSL", got), f"expected the authority to be the reason, got {got}"


# The code of a deploy that reads and dumps a database, and what it imports.
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

    # As root for one command only: sudo logs commands, and a fixture's may have the password.
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


def test_the_schema_is_read_as_the_site(deploy, application):
    application()
    got = deploy("print(schema('town', database))")
    assert got.rc == 0, got
    assert (
        "'column seen.name': 'varchar(20) YES" in got.stdout and "'index seen.PRIMARY': '0 id'" in got.stdout
    ), got


def test_a_dump_is_all_of_it_and_can_be_loaded_back(host, deploy, application, sql):
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
    assert json.loads(got) == [["before"]], f"expected what was there before, got {got}"


def test_a_deploy_verifies_the_server(host, deploy, address):
    cnf = "/etc/decanter/town/database.cnf"
    with host.sudo():
        kept = host.check_output(f"stat --format='%a %U' {cnf}")
        assert kept == "600 root", f"expected root alone to read {cnf}, got {kept}"
        try:
            for change, reason in (
                (f's/^host=.*/host="{address}"/', "name|certificate"),
                ('s#^ssl-ca=.*#ssl-ca="/etc/ssl/certs/ca-certificates.crt"#', "certificate"),
            ):
                host.check_output(f"sed --in-place=.kept %s {cnf}", change)
                got = deploy("dump('town', database, Path('x.sql.gz'))")
                assert got.rc != 0 and re.search(f"(TLS|SSL).*({reason})", got.stderr, re.S), (
                    f"{change}: expected the server to be refused, got {got}"
                )
                host.check_output(f"mv {cnf}.kept {cnf}")
        finally:
            host.run(f"mv {cnf}.kept {cnf}")


def test_what_a_site_is_told_is_in_no_log(host, password):
    with host.sudo():
        shown = host.check_output("systemctl show town.task@x.service; journalctl --boot --no-pager")
        kept = host.check_output(f"stat --format='%a %U' {SECRETS}")
    found = [
        line
        for line in shown.splitlines()
        if password("town") in line or f"//town:{quote(password('town'), safe='')}@" in line
    ]
    assert not found, f"expected no line with the password or the URL, got {found}"
    assert kept == "600 root", f"expected root alone to read {SECRETS}, got {kept}"
