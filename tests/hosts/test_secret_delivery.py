"""Secrets in the environment of an application with a database password and gevent.

Each secret arrives unchanged, and only the application can read it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TAGS = ("--tags", "mysql,python_app,release")
# Whatever a shell, systemd or Python might take for its own.
ODD = "quotes \" ' `id` \\ \\n $HOME ${HOME} $$ % %i %% # ; !\n\tthe next line\\\nand the last"
PASSWORD = "pass\"w'ord\\#%$& +/@:;?"
APPLICATION = """
import hashlib, os, sys, time
from flask import Flask

app = Flask(__name__)


def told():
    names = [name for name in ("ODD", "TOKEN", "DB_PASS") if name in os.environ]
    return {name: hashlib.sha256(os.environ[name].encode()).hexdigest() for name in names}


@app.route("/")
def index():
    import gevent.monkey, pymysql
    login = {"host": os.environ["DB_HOST"], "port": int(os.environ["DB_PORT"]), "user": os.environ["DB_USER"]}
    login |= {"password": os.environ["DB_PASS"], "database": os.environ["DB"]}
    with pymysql.connect(**login) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), @@version_comment")
        user = cursor.fetchone()[0]
    return {"told": told(), "user": user, "gevent": gevent.monkey.is_module_patched("socket")}


if __name__ == "__main__":
    with open(f"/srv/myproject/shared/{sys.argv[1]}", "w") as file:
        print(told(), file=file)
    time.sleep(3600 if sys.argv[1] == "worker" else 0)
"""


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "myproject"
    folder.mkdir()
    # Another release each time: one that has been migrated is not migrated again.
    (folder / "myproject.py").write_text(f"{APPLICATION}\n# {secrets.token_hex(4)}\n")
    (folder / "requirements.txt").write_text("flask\npymysql\ngevent\n")
    return folder


@pytest.fixture
def site(sites, source) -> dict:
    """The neighbour as such an application."""
    return sites["myproject"] | {
        "source": {"path": str(source)},
        "database": {
            **{"engine": "mysql", "auth": "password", "password": PASSWORD},
            "variables": {
                **{"DB_HOST": "host", "DB_PORT": "port", "DB_USER": "user", "DB_PASS": "password"},
                "DB": "name",
            },
        },
        "secrets": {"ODD": ODD, "TOKEN": "first"},
        "secret_delivery": "environment",
        "migrate": "python myproject.py task",
        "processes": {"worker": "python myproject.py worker"},
        "gunicorn": {
            **{"workers": 2, "worker_class": "gevent", "worker_connections": 50},
            "settings": {"max_requests": 5000, "proc_name": "told"},
        },
        "outbound": {"payments": {"to": ["192.0.2.0/24"], "because": "It takes cards."}},
        "sandbox": {"MemoryDenyWriteExecute": {"value": False, "because": "A compiler writes code."}},
    }


@pytest.fixture
def neighbour(variables) -> str:
    return f"https://{variables['ansible_host']}/"


@pytest.fixture
def converge(host, play, sites, sql) -> Iterator[Callable]:
    """Converge with another neighbour; afterwards it is what it was."""
    yield lambda site: play("site.yml", sites | {"myproject": site}, *TAGS, "--diff")
    done = play("site.yml", sites, *TAGS)
    sql("mysql", "DROP DATABASE IF EXISTS myproject; DROP USER IF EXISTS myproject@localhost")
    with host.sudo():
        host.check_output("rm -f /srv/myproject/shared/task /srv/myproject/shared/worker")
        left = host.run("ls /etc/decanter/myproject/secrets.env /etc/decanter/myproject/database.cnf").stdout
    assert done.returncode == 0, done.stdout
    assert left == "", f"expected no secrets of a site that has none, got {left}"


def test_an_application_is_told_all_in_its_environment(
    host, visitor, variables, converge, site, source, neighbour
):
    if variables["inventory_hostname"] != variables["groups"]["all"][0]:
        pytest.skip("it takes a minute, and the first host has the oldest systemd")
    secret = {"ODD": ODD, "TOKEN": "first", "DB_PASS": PASSWORD}
    done = converge(site)
    assert done.returncode == 0, done.stdout
    expected = {"told": {name: digest(value) for name, value in secret.items()}}
    expected |= {"user": "myproject@localhost", "gevent": True}
    answer = visitor.get(neighbour)
    assert answer.status_code == 200 and answer.json() == expected, (
        f"expected {expected}, got {answer.status_code} {answer.text}"
    )
    live = Path(host.check_output("readlink /srv/myproject/current")).name
    assert answer.headers["X-Release"] == live, f"expected {live} in the header, got {answer.headers}"
    with host.sudo():
        for command in ("task", "worker"):
            got = host.check_output(f"cat /srv/myproject/shared/{command}")
            assert got == str(expected["told"]), f"{command}: expected {expected['told']}, got {got}"
        unit = (
            f"myproject@{host.check_output('basename $(readlink /run/decanter/myproject/live.sock) .sock')}"
        )
        shown = host.check_output(f"systemctl show {unit} myproject.task@x myproject.worker@{live}")
        journal = host.check_output("journalctl --boot --no-pager --output=cat")
        commands = host.check_output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        kept = host.check_output("stat --format='%a %U' /etc/decanter/myproject/secrets.env")
    assert kept == "600 root", f"expected root alone to read the secrets, got {kept}"
    places = {"systemctl show": shown, "the journal": journal, "commands": commands, "the run": done.stdout}
    found = [place for place, text in places.items() for word in (PASSWORD, "${HOME} $$") if word in text]
    assert not found, f"expected the secrets nowhere else, got them in {found}"
    read = dict(line.split("=", 1) for line in shown.split("\n\n")[0].splitlines())
    got = (
        *(set(read[f"IPAddress{what}"].split()) for what in ("Allow", "Deny")),
        read["MemoryDenyWriteExecute"],
    )
    expected_of_unit = {"127.0.0.0/8", "::1/128", "192.0.2.0/24"}, {"::/0", "0.0.0.0/0"}, "no"
    assert got == expected_of_unit, f"expected systemd to have read {expected_of_unit}, got {got}"

    del site["secrets"]["ODD"]
    site["secrets"]["TOKEN"] = "second"
    done = converge(site)
    assert done.returncode == 0, done.stdout
    expected["told"] = {"TOKEN": digest("second"), "DB_PASS": digest(PASSWORD)}
    got = visitor.get(neighbour).json()
    assert got == expected, f"expected a changed secret and one less, {expected}; got {got}"
    with host.sudo():
        deadline = time.monotonic() + 10
        while (got := host.check_output("cat /srv/myproject/shared/worker")) != str(expected["told"]):
            assert time.monotonic() < deadline, (
                f"expected the worker to be told {expected['told']}, got {got}"
            )
            time.sleep(0.2)

    (source / "requirements.txt").write_text("flask\npymysql\n")
    done = converge(site)
    words = "found gevent, expected gevent among the requirements"
    assert done.returncode != 0 and words in " ".join(done.stdout.split()), (
        f"expected a release without gevent to be refused, got {done.stdout}"
    )
    assert visitor.get(neighbour).json() == expected, "expected what was live to stay live, got another"
