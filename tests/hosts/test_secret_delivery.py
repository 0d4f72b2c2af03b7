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
# Characters that a shell, systemd or Python could interpret.
ODD = "quotes \" ' `id` \\ \\n $HOME ${HOME} $$ % %i %% # ; !\n\tthe next line\\\nand the last"
PASSWORD = "pass\"w'ord\\#%$& +/@:;?"
APPLICATION = """
import hashlib, os, sys, time
from flask import Flask

app = Flask(__name__)


def digests():
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
    return {"digests": digests(), "user": user, "gevent": gevent.monkey.is_module_patched("socket")}


if __name__ == "__main__":
    with open(f"/srv/myproject/shared/{sys.argv[1]}", "w") as file:
        print(digests(), file=file)
    time.sleep(3600 if sys.argv[1] == "worker" else 0)
"""


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "myproject"
    folder.mkdir()
    # Unique content, because the migration of a release runs only once.
    (folder / "myproject.py").write_text(f"{APPLICATION}\n# {secrets.token_hex(4)}\n")
    (folder / "requirements.txt").write_text("flask\npymysql\ngevent\n")
    return folder


@pytest.fixture
def site(sites, source) -> dict:
    """Return the entry of the site myproject with this application."""
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
            "settings": {"max_requests": 5000, "proc_name": "secrets"},
        },
        "outbound": {"payments": {"to": ["192.0.2.0/24"], "because": "It takes cards."}},
        "sandbox": {"MemoryDenyWriteExecute": {"value": False, "because": "A compiler writes code."}},
    }


@pytest.fixture
def url(variables) -> str:
    return f"https://{variables['ansible_host']}/"


@pytest.fixture
def converge(host, play, sites, sql) -> Iterator[Callable]:
    """Return a function that converges with another entry of myproject. Restore the entry afterwards."""
    yield lambda site: play("site.yml", sites | {"myproject": site}, *TAGS, "--diff")
    result = play("site.yml", sites, *TAGS)
    sql("mysql", "DROP DATABASE IF EXISTS myproject; DROP USER IF EXISTS myproject@localhost")
    with host.sudo():
        host.check_output("rm -f /srv/myproject/shared/task /srv/myproject/shared/worker")
        left = host.run("ls /etc/decanter/myproject/secrets.env /etc/decanter/myproject/database.cnf").stdout
    assert result.returncode == 0, result.stdout
    assert left == "", f"expected no files with secrets after the restore, got {left}"


def test_secrets_reach_the_application_by_its_environment(
    host, visitor, variables, converge, site, source, url
):
    if variables["inventory_hostname"] != variables["groups"]["all"][0]:
        pytest.skip("runs on the first host only: it takes a minute, and this host has the oldest systemd")
    secret = {"ODD": ODD, "TOKEN": "first", "DB_PASS": PASSWORD}
    result = converge(site)
    assert result.returncode == 0, result.stdout
    expected = {"digests": {name: digest(value) for name, value in secret.items()}}
    expected |= {"user": "myproject@localhost", "gevent": True}
    response = visitor.get(url)
    assert response.status_code == 200 and response.json() == expected, (
        f"expected {expected}, got {response.status_code} {response.text}"
    )
    live = Path(host.check_output("readlink /srv/myproject/current")).name
    assert response.headers["X-Release"] == live, f"expected {live} in the header, got {response.headers}"
    with host.sudo():
        for command in ("task", "worker"):
            got = host.check_output(f"cat /srv/myproject/shared/{command}")
            assert got == str(expected["digests"]), f"{command}: expected {expected['digests']}, got {got}"
        unit = (
            f"myproject@{host.check_output('basename $(readlink /run/decanter/myproject/live.sock) .sock')}"
        )
        shown = host.check_output(f"systemctl show {unit} myproject.task@x myproject.worker@{live}")
        journal = host.check_output("journalctl --boot --no-pager --output=cat")
        commands = host.check_output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        mode = host.check_output("stat --format='%a %U' /etc/decanter/myproject/secrets.env")
    assert mode == "600 root", f"expected a file that only root can read, got {mode}"
    outputs = {
        "systemctl show": shown,
        "the journal": journal,
        "commands": commands,
        "the run": result.stdout,
    }
    found = [name for name, text in outputs.items() for word in (PASSWORD, "${HOME} $$") if word in text]
    assert not found, f"expected the secrets nowhere else, got them in {found}"
    properties = dict(line.split("=", 1) for line in shown.split("\n\n")[0].splitlines())
    got = (
        *(set(properties[f"IPAddress{suffix}"].split()) for suffix in ("Allow", "Deny")),
        properties["MemoryDenyWriteExecute"],
    )
    expected_properties = {"127.0.0.0/8", "::1/128", "192.0.2.0/24"}, {"::/0", "0.0.0.0/0"}, "no"
    assert got == expected_properties, f"expected the properties {expected_properties}, got {got}"

    del site["secrets"]["ODD"]
    site["secrets"]["TOKEN"] = "second"
    result = converge(site)
    assert result.returncode == 0, result.stdout
    expected["digests"] = {"TOKEN": digest("second"), "DB_PASS": digest(PASSWORD)}
    got = visitor.get(url).json()
    assert got == expected, f"expected the changed secret and no ODD, {expected}, got {got}"
    with host.sudo():
        deadline = time.monotonic() + 10
        while (got := host.check_output("cat /srv/myproject/shared/worker")) != str(expected["digests"]):
            assert time.monotonic() < deadline, f"expected {expected['digests']} in the worker, got {got}"
            time.sleep(0.2)

    (source / "requirements.txt").write_text("flask\npymysql\n")
    result = converge(site)
    message = "found gevent, expected gevent among the requirements"
    assert result.returncode != 0 and message in " ".join(result.stdout.split()), (
        f"expected an error for a release without gevent, got {result.stdout}"
    )
    assert visitor.get(url).json() == expected, "expected no change of the live release"
