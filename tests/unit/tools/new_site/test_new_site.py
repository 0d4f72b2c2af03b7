"""`make new-site`: what it finds in a source, what it asks, and that it writes an entry, or nothing."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from collection import LINK
from new_site_command import APP, command, entries, files, location, sites_file
from repository import ROOT

BEFORE = """\
# What is served here.
sites:
  harbour:
    # The first is canonical.
    server_names:   [harbour.example.com]
    source: {path: app}
    wsgi: harbour:create_app()
    secrets: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      3030
    database: {engine: mysql}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sites of an environment that is called production, in a checkout of its own."""
    root = tmp_path / "checkout"
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setattr(location, "ROOT", root)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for environment in ("lab", "production"):
        folder = root / "inventories" / environment / "group_vars/all"
        folder.mkdir(parents=True)
        (folder / "sites.yml").write_text(BEFORE)
    return folder / "sites.yml"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return files(tmp_path / "shop", {"app.py": APP, "requirements.txt": "flask\n"})


def added(path: Path, before: str = BEFORE) -> dict:
    """The entry that came to the file, all that was there before being as it was."""
    text = path.read_bytes().decode()
    assert text.startswith(before), f"expected the file as it was and more, got:\n{text}"
    sites = yaml.load(text, sites_file.Loader)["sites"]
    assert list(sites)[:-1] == list(yaml.load(before, sites_file.Loader)["sites"] or []), f"got {list(sites)}"
    return sites[list(sites)[-1]]


def run(*arguments: str, ask: Callable[[str], str] | None = None, env: str = "production") -> int:
    return command.main(["--env", env, *arguments], ask)


def give(*answers: str) -> Callable[[str], str]:
    left = list(answers)

    def ask(question: str) -> str:
        assert left, f"expected no further question, got {question!r}"
        return left.pop(0)

    return ask


# --- What is proposed --------------------------------------------------------------------------


def proposed(monkeypatch: pytest.MonkeyPatch, source, known: dict, **answers) -> dict:
    """The entry, with a schema that knows these keys beside those it has."""
    monkeypatch.setattr(entries, "KEYS", entries.KEYS | known)
    given = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b", **answers}
    return entries.make_entry("shop", given, source, None)


def without(*keys: str) -> dict:
    return {key: value for key, value in entries.KEYS.items() if key not in keys}


def test_only_what_the_schema_knows_is_proposed(monkeypatch):
    source = command.Source(
        uses={"redis", "mysqlclient"},
        uploads=["uploads"],
        requirements="requirements/prod.txt",
        worker_class="gevent",
        env={"DB_HOST": True, "DB_NAME": True, "DB_PASSWORD": True, "API_TOKEN": True, "REDIS_URL": True},
    )
    keys = "services", "uploads", "requirements", "secret_delivery", "gunicorn"
    monkeypatch.setattr(entries, "KEYS", without(*keys) | {"database": {"properties": {}}})
    found = proposed(monkeypatch, source, {}, database=True)
    password = "{{ vault_sites.shop.database_password }}"
    assert found["database"] == {"engine": "mysql", "auth": "password", "password": password}, f"got {found}"
    assert not found.keys() & set(keys), f"expected none of {keys}, got {found}"

    known = {
        "services": {"items": {"enum": ["redis", "memcached"]}},
        "uploads": {},
        "requirements": {},
        "secret_delivery": {"enum": ["credentials", "environment"]},
        "gunicorn": {"properties": {"worker_class": {"enum": ["gthread", "gevent"]}}},
        "database": {"properties": {"variables": {}, "scheme": {}}},
    }
    found = proposed(monkeypatch, source, known, database=True)
    assert found["services"] == ["redis"], f"got {found}"
    assert found["uploads"] == ["uploads"], f"got {found}"
    assert found["requirements"] == "requirements/prod.txt", f"got {found}"
    assert found["secret_delivery"] == "environment", f"got {found}"
    assert found["gunicorn"] == {"worker_class": "gevent"}, f"got {found}"
    expected = {"DB_HOST": "host", "DB_NAME": "name", "DB_PASSWORD": "password"}
    assert found["database"]["variables"] == expected, f"got {found}"
    assert found["database"]["scheme"] == "mysql+mysqldb", f"got {found}"
    assert "default-libmysqlclient-dev" in found["packages"], f"got {found}"
    assert "env" not in found, f"expected no variable that Decanter sets, got {found['env']}"


OWN = {"SECRET_KEY": False, "STRIPE_TOKEN": True, "MAIL_SERVER": True, "TOWN": False, "lower": True}
SET = dict.fromkeys(("FLASK_DEBUG", "HOME", "PORT", "REDIS_URL", "TEST_DATABASE_URL"), True)
DATABASE = {"DATABASE_URL": False, "DB_USER": True}


@pytest.mark.parametrize(
    ("database", "uses", "secrets", "needed", "optional"),
    [
        (True, set(), ["SECRET_KEY", "STRIPE_TOKEN"], ["MAIL_SERVER"], ["TOWN"]),
        (False, set(), ["SECRET_KEY", "STRIPE_TOKEN"], ["DB_USER", "MAIL_SERVER"], ["DATABASE_URL", "TOWN"]),
        (
            False,
            {"psycopg"},
            ["DATABASE_URL", "SECRET_KEY", "STRIPE_TOKEN"],
            ["DB_USER", "MAIL_SERVER"],
            ["TOWN"],
        ),
    ],
    ids=["a database", "none", "one elsewhere"],
)
def test_variables_are_told_apart(database, uses, secrets, needed, optional):
    found = entries.variables(command.Source(env=OWN | SET | DATABASE, uses=uses), database)
    expected = (secrets, needed, optional)
    assert found == expected, f"expected {expected}, got {found}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a:b()", "a:b()"),
        ("yes", '"yes"'),
        ("{{ x }}", '"{{ x }}"'),
        (["a.b", "1"], '[a.b, "1"]'),
        ([{"url": "/static/", "path": "a"}], "[{url: /static/, path: a}]"),
        ({"git": "https://x.test/a.git"}, '{git: "https://x.test/a.git"}'),
        ("flask db upgrade # x", '"flask db upgrade # x"'),
    ],
)
def test_values_are_written_as_the_inventories_have_them(value, text):
    found = sites_file.flow(value)
    assert yaml.safe_load(found) == value, f"{found}: expected it to be read as {value!r}"
    assert found.replace('"', "") == text.replace('"', ""), f"expected {text}, got {found}"


# --- Without a terminal ------------------------------------------------------------------------


def test_flags_alone_write_an_entry(inventory, shop, capsys):
    mode = inventory.stat().st_mode
    status = run(
        "--source", "shop", "--server-names", "myproject.org,www.myproject.org", "--migrate", "flask init"
    )
    out = capsys.readouterr().out
    assert status == 0, f"expected success, got {status}: {out}"
    expected = {
        "server_names": ["myproject.org", "www.myproject.org"],
        "source": {"path": str(shop)},
        "wsgi": "app:app",
        "migrate": "flask init",
    }
    entry = added(inventory)
    assert entry == expected, f"expected {expected}, got {entry}"
    assert inventory.stat().st_mode == mode, "expected the file's mode as it was"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"
    for words in ("Complete harbour,", "Point myproject.org, www.myproject.org at", "ENV=production\n"):
        assert words in out, f"expected {words!r}, got {out}"


def test_what_is_missing_is_one_line(inventory, shop, capsys):
    for arguments, name in (((), "--source"), (("--source", "shop"), "--server-names")):
        status, err = run(*arguments), capsys.readouterr().err
        assert status == 2, f"expected 2, got {status}: {err}"
        assert err.startswith(f"{name}: found nothing, expected ") and err.count("\n") == 1, f"got {err!r}"
    (shop / "app.py").unlink()
    assert run("--source", "shop", "--server-names", "a.test") == 2, (
        "expected 2 where no application is found"
    )
    assert inventory.read_text() == BEFORE, "expected the file as it was"


WRONG = {
    "a name that is taken": (
        ["--name", "harbour"],
        "name: found harbour, expected the name of no other site",
    ),
    "a name of the system's": (["--name", "nginx"], 'sites.nginx: found the name "nginx"'),
    "a host name that is taken": (
        ["--server-names", "harbour.example.com"],
        "that sites.harbour.server_names[0]",
    ),
    "a placeholder": (["--server-names", "shop.example.org"], "found the placeholder"),
    "a host name that is none": (["--server-names", "http://a.b"], "expected a host name"),
    "an application that is none": (["--wsgi", "app.py"], "sites.shop.wsgi: found"),
    "no such folder": (["--source", "nowhere"], "source: found no folder nowhere"),
    "a password in an address": (["--source", "https://a:b@c.test/d.git"], "source: found a password in the"),
    "no such static folder": (["--static", "static"], "sites.shop.static[0].path: found"),
    "a version of a folder": (["--version", "main"], "version: found version with a folder"),
    "no such environment": (["--env", "prod"], "ENV: found prod, expected one of: lab, production"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_what_is_refused_changes_nothing(inventory, shop, capsys, arguments, words):
    status = run("--source", "shop", "--server-names", "a.test", *arguments)
    err = capsys.readouterr().err
    assert status == 1 and words in err, f"expected 1 and {words!r}, got {status}: {err}"
    assert inventory.read_text() == BEFORE, "expected the file as it was"


def test_the_whole_entry_is_checked_beside_the_others(inventory, shop, capsys):
    """A database's name that another site has is nothing that was asked for."""
    before = BEFORE.replace("{engine: mysql}", "{engine: mysql, name: shop}")
    inventory.write_text(before)
    status = run("--source", "shop", "--server-names", "a.test", "--database", "yes")
    err = capsys.readouterr().err
    assert status == 1 and "sites.shop.database.name" in err, f"expected its refusal, got {status}: {err}"
    assert inventory.read_text() == before, "expected the file as it was"


def test_a_guess_that_is_refused_is_left_out(inventory, shop, capsys):
    files(shop, {"Procfile": "task: python tasks.py\n"})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "processes" not in added(inventory), f"got {added(inventory)}"
    assert 'Left out: sites.shop.processes.task: found the name "task"' in said, f"got {said}"


def test_rejected_guess_of_static_files_is_left_out(inventory, shop, capsys):
    """nginx cannot serve a folder at /, which Flask can."""
    text = APP.replace("(__name__)", "(__name__, static_url_path='/')")
    files(shop, {"app.py": text, "static/x.css": ""})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "static" not in added(inventory), f"got {added(inventory)}"
    assert "Left out: sites.shop.static[0].url" in said, f"got {said}"


def test_rejected_item_of_a_guess_leaves_the_other_items(inventory, shop, capsys):
    text = "import os\nA = os.environ['MOTTO']\nB = os.environ['LD_PRELOAD']\n"
    files(shop, {"app.py": APP + text, "Procfile": "task: python a.py\nworker: python b.py\n"})
    files(shop, {"my files/uploads/x": "", "uploads/x": ""})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    said, entry = capsys.readouterr().out, added(inventory)
    assert entry["env"] == {"MOTTO": "REPLACE_ME"}, f"got {entry}"
    assert entry["processes"] == {"worker": "python b.py"}, f"got {entry}"
    assert entry["uploads"] == ["uploads"], f"got {entry}"
    for path in ("env.LD_PRELOAD", "processes.task", "uploads[0]"):
        assert f"Left out: sites.shop.{path}" in said, f"expected {path}, got {said}"


def test_reserved_name_of_a_folder_gets_an_ending(inventory, tmp_path, capsys):
    files(tmp_path / "admin", {"app.py": APP, "requirements.txt": "flask\n"})
    assert run("--source", "admin", "--server-names", "a.test") == 0, capsys.readouterr().err
    names = list(yaml.load(inventory.read_text(), sites_file.Loader)["sites"])
    assert names[-1] == "admin-site", f"expected admin-site, got {names}"


def test_asgi_application_is_explained_and_nothing_is_written(inventory, shop, capsys):
    files(shop, {"app.py": "from quart import Quart\napp = Quart(__name__)\n"})
    status = run("--source", "shop", "--server-names", "a.test")
    captured = capsys.readouterr()
    assert status == 2 and "--wsgi" in captured.err, f"expected 2, got {status}: {captured.err}"
    assert "ASGI" in captured.err and "does not support ASGI" in captured.out, f"got {captured}"
    assert inventory.read_text() == BEFORE, "expected the file as it was"


def test_configuration_selector_keeps_its_value(inventory, shop, capsys):
    text = "import os\nconfig = {'default': A, 'production': B}\nc = os.getenv('FLASK_CONFIG', 'default')\n"
    files(shop, {"app.py": APP + text})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    assert added(inventory)["env"] == {"FLASK_CONFIG": "production"}, f"got {added(inventory)}"
    out = capsys.readouterr().out
    assert "REPLACE_ME" not in out, f"expected nothing to replace, got {out}"


def test_application_in_a_folder_becomes_the_source(inventory, tmp_path, capsys):
    contents = {"api/app.py": APP, "api/requirements.txt": "flask\n", "client/package.json": "{}"}
    files(tmp_path / "shop", contents)
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    entry = added(inventory)
    assert entry["source"] == {"path": f"{tmp_path}/shop/api"}, f"got {entry}"
    assert entry["wsgi"] == "app:app", f"got {entry}"


def test_secrets_and_settings_are_left_to_fill_in(inventory, shop, capsys):
    text = "import os\nK = os.environ['SECRET_KEY']\nM = os.environ['MOTTO']\nT = os.getenv('TOWN', '')\n"
    (shop / "app.py").write_text(APP + text)
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    out, entry = capsys.readouterr().out, added(inventory)
    assert entry["env"] == {"MOTTO": "REPLACE_ME"}, f"got {entry}"
    assert entry["secrets"] == "{{ vault_sites.shop.secrets }}", f"got {entry}"
    assert "# Optional variables that it also reads: TOWN" in inventory.read_text()
    for words in (
        "REPLACE_ME: MOTTO",
        "ARGS=--ask-vault-pass",
        "  shop:\n    secrets:\n      SECRET_KEY: REPLACE_ME",
    ):
        assert words in out, f"expected {words!r}, got {out}"


@pytest.mark.parametrize(
    ("variable", "auth"), [("mysql_host: db.test", "password"), ('mysql_host: ""', "socket")]
)
def test_a_database_elsewhere_asks_for_a_password(inventory, shop, capsys, variable, auth):
    inventory.with_name("mysql.yml").write_text(f"# mysql_host: x\n{variable}\n")
    flags = ["--source", "shop", "--server-names", "a.test", "--database", "yes"]
    assert run(*flags) == 0, capsys.readouterr().err
    found = added(inventory)["database"].get("auth", "socket")
    assert found == auth, f"expected {auth}, got {added(inventory)}"
    assert ("database_password: REPLACE_ME" in capsys.readouterr().out) == (auth == "password")


def test_what_is_too_long_for_a_line_takes_several():
    names = [f"name-{number}.town.test" for number in range(9)]
    processes = {"worker": "w" * 80, "other": "x" * 30}
    entry = {"server_names": names, "processes": processes, "env": {"A": "1"}, "migrate": "y" * 120}
    text = sites_file.written("shop", entry, [f"VARIABLE_{number}" for number in range(20)], "  ")
    assert yaml.safe_load(text) == {"shop": entry}, f"got {text}"
    wide = [line for line in text.splitlines() if len(line) > sites_file.LONGEST and "yyy" not in line]
    assert not wide, f"expected lines of at most {sites_file.LONGEST} characters, got {wide}"


def test_the_lab_proposes_a_name_and_makes_secrets(inventory, shop, capsys):
    (shop / "app.py").write_text(APP + "import os\nK = os.environ['SECRET_KEY']\n")
    assert run("--source", "shop", env="lab") == 0, capsys.readouterr().err
    out, lab = capsys.readouterr().out, inventory.parents[3] / "lab/group_vars/all/sites.yml"
    assert added(lab)["server_names"] == ["shop.test"], f"got {added(lab)}"
    assert "SECRET_KEY: \"{{ lookup('ansible.builtin.password', lab_directory" in out, f"got {out}"


def test_certificates_come_from_where_all_others_do(inventory, shop):
    before = BEFORE + "    tls: {mode: ca}\n"
    inventory.write_text(before)
    assert run("--source", "shop", "--server-names", "a.test") == 0
    assert added(inventory, before)["tls"] == {"mode": "ca"}, f"got {added(inventory, before)}"


def test_a_folder_of_this_checkout_is_relative(inventory, tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "ROOT", tmp_path / "checkout")
    files(tmp_path / "checkout/shop", {"app.py": APP})
    assert run("--source", "checkout/shop", "--server-names", "a.test") == 0
    assert added(inventory)["source"] == {"path": "shop"}, f"got {added(inventory)}"


# --- A git repository --------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(shop: Path, tmp_path: Path) -> str:
    """Its branch is trunk, its application in web/, and there is a tag before that."""
    git(shop, "init", "--initial-branch=trunk")
    git(shop, "add", ".")
    git(shop, "commit", "-m", "one")
    git(shop, "tag", "v1")
    files(shop, {"web/main.py": APP})
    (shop / "app.py").unlink()
    git(shop, "add", "-A")
    git(shop, "commit", "-m", "two")
    return f"file://{shop}"


def test_application_in_a_folder_of_a_repository_gets_a_subdir(inventory, repository, shop, capsys):
    files(shop, {"web/requirements.txt": "flask\n"})
    git(shop, "add", ".")
    git(shop, "commit", "-m", "three")
    assert run("--source", repository, "--server-names", "a.test") == 0, capsys.readouterr().err
    entry = added(inventory)
    expected = {"git": repository, "version": "trunk", "subdir": "web"}
    assert entry["source"] == expected, f"expected {expected}, got {entry['source']}"
    assert entry["wsgi"] == "main:app", f"expected main:app, got {entry['wsgi']}"


@pytest.mark.parametrize(
    ("arguments", "source", "wsgi"),
    [
        ([], {"version": "trunk"}, "web.main:app"),
        (["--subdir", "web"], {"version": "trunk", "subdir": "web"}, "main:app"),
        (["--version", "v1"], {"version": "v1"}, "app:app"),
    ],
)
def test_a_repository_is_looked_at(inventory, repository, capsys, arguments, source, wsgi):
    names = ["--server-names", "a.test", "--name", "web"]
    assert run("--source", repository, *names, *arguments) == 0, capsys.readouterr().err
    entry = added(inventory)
    assert entry["source"] == {"git": repository} | source, f"got {entry['source']}"
    assert entry["wsgi"] == wsgi, f"expected {wsgi}, got {entry['wsgi']}"


@pytest.mark.parametrize(
    "arguments", [["--version", "v9"], ["--version=--upload-pack=x"], ["--subdir", "nowhere"]]
)
def test_a_repository_that_lacks_it_is_said(inventory, repository, capsys, arguments):
    status = run("--source", repository, "--server-names", "a.test", *arguments)
    err = capsys.readouterr().err
    assert status == 1 and ("git failed: fatal" in err or "found no folder" in err), f"got {status}: {err}"
    assert inventory.read_text() == BEFORE, "expected the file as it was"


def test_nothing_of_a_clone_is_left(inventory, repository, tmp_path, monkeypatch):
    clones = tmp_path / "clones"
    clones.mkdir()
    monkeypatch.setattr(location.tempfile, "tempdir", str(clones))
    run("--source", repository, "--server-names", "a.test", "--version", "v1")
    assert list(clones.iterdir()) == [], f"expected an empty folder, got {list(clones.iterdir())}"


# --- With questions ----------------------------------------------------------------------------


def test_questions_with_what_was_found_in_brackets(inventory, shop, capsys):
    files(shop, {"migrations/env.py": "", "static/x.css": "", "requirements.txt": "flask\npymysql\n"})
    ask = give(str(shop), "", "myproject.org", "", "", "", "", "")
    assert run(ask=ask) == 0, capsys.readouterr().err
    expected = {
        "server_names": ["myproject.org"],
        "source": {"path": str(shop)},
        "wsgi": "app:app",
        "database": {"engine": "mysql"},
        "migrate": "flask db upgrade",
        "static": [{"url": "/static/", "path": "static"}],
    }
    assert added(inventory) == expected, f"expected {expected}, got {added(inventory)}"


def test_a_wrong_answer_is_asked_for_again(inventory, shop, capsys):
    names = (
        "nowhere",
        str(shop),
        "harbour",
        "shop",
        "a b",
        "shop.test",
        "x",
        "app:app",
        "perhaps",
        "no",
        "gone",
        "-",
    )
    assert run(ask=give(*names, "yes")) == 0, capsys.readouterr().err
    assert added(inventory)["server_names"] == ["shop.test"], f"got {added(inventory)}"
    out = capsys.readouterr().out
    assert "static" not in added(inventory), f"got {added(inventory)}"
    assert "found no folder nowhere" in out or not out, f"got {out}"


def test_what_a_flag_says_is_not_asked_for(inventory, shop):
    flags = ["--source", "shop", "--name", "shop", "--wsgi", "app:app", "--database", "no", "--static", "-"]
    assert run(*flags, ask=give("a.test", "y")) == 0


def test_no_at_the_end_writes_nothing(inventory, shop, capsys):
    assert run("--source", "shop", ask=give("", "a.test", "", "", "", "n")) == 1
    assert inventory.read_text() == BEFORE, "expected the file as it was"
    assert "Nothing was written." in capsys.readouterr().err


@pytest.mark.parametrize("ends", [KeyboardInterrupt, EOFError])
def test_an_interrupted_question_writes_nothing(inventory, shop, capsys, ends):
    def ask(question: str) -> str:
        raise ends

    assert run("--source", "shop", ask=ask) == 130
    assert inventory.read_text() == BEFORE, "expected the file as it was"


def talk(checkout: Path, arguments: list[str], *answers: str) -> tuple[int, str]:
    """Run the command in a terminal; each answer is typed when a question stands there."""
    master, slave = pty.openpty()
    # A session of its own, whose terminal this is: or Ctrl-C would be a character.
    process = subprocess.Popen(
        ["setsid", "--ctty", checkout / "bin/new-site", *arguments],
        stdin=slave, stdout=slave, stderr=slave,
        # Whoever was begun in the background of a shell passes over Ctrl-C, and so does all that it begins.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(slave)
    said, answered, typed, moment, until = "", 0, "", 0.0, time.monotonic() + 60
    left = list(answers)
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                said += os.read(master, 4096).decode()
            except OSError:  # the other end is closed
                break
        elif left and said.rstrip(" ").endswith(":") and len(said) > answered:
            answered, typed, moment = len(said), left.pop(0), time.monotonic()
            os.write(master, typed.encode())
        elif typed == "\x03" and time.monotonic() > moment + 10:
            # One that comes between a question and its reading is noticed with the next.
            moment = time.monotonic()
            os.write(master, typed.encode())
        elif process.poll() is not None:
            break
    os.close(master)
    if time.monotonic() >= until:
        process.kill()
    return process.wait(10), said


@pytest.fixture
def checkout(inventory: Path) -> Path:
    """What the command needs of a checkout, beside the inventory."""
    root = inventory.parents[4]
    for folder in (
        "tools",
        "plugins/filter",
        "plugins/module_utils",
        "plugins/plugin_utils",
        "plugins/schema",
    ):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "bin").mkdir()
    for name in ("new-site", "python"):
        shutil.copy(ROOT / "bin" / name, root / "bin")
    (root / ".venv").symlink_to(sys.prefix)
    link = root / LINK
    link.parent.mkdir(parents=True)
    link.symlink_to((ROOT / LINK).readlink())
    return root


def test_in_a_terminal(checkout, inventory, shop):
    arguments = ["--env", "production", "--source", str(shop)]
    status, said = talk(checkout, arguments, "\n", "myproject.org\n", "\n", "\n", "\n", "\n")
    assert status == 0, f"expected success, got {status}: {said}"
    assert added(inventory)["server_names"] == ["myproject.org"], f"got {added(inventory)}"


def test_control_c_leaves_nothing(checkout, inventory, shop):
    status, said = talk(checkout, ["--env", "production", "--source", str(shop)], "\n", "\x03")
    assert status == 130 and "Nothing was written." in said, f"expected 130, got {status}: {said}"
    assert "Traceback" not in said, f"got {said}"
    assert inventory.read_text() == BEFORE, "expected the file as it was"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"


# --- The file ----------------------------------------------------------------------------------

ONE = "  harbour:\n    server_names: [harbour.test]\n    source: {path: x}\n    wsgi: a:b\n"
FORMS = {
    "no end of line": "sites:\n" + ONE.rstrip("\n"),
    "nothing yet": "# Nothing is served.\nsites:\n",
    "another key before": "other: {a: 1}\nsites:\n" + ONE,
    "Windows' ends of line": ("sites:\n" + ONE).replace("\n", "\r\n"),
    "four spaces": "sites:\n" + ONE.replace("  ", "    "),
    "a comment at its end": "---\nsites:\n" + ONE + "\n# That is all.\n",
    "a text at its end": "sites:\n" + ONE + "    secrets:\n      key: |\n        a\n        b\n",
}
OTHER_FORMS = {
    "flow": "sites: {harbour: {wsgi: a}}\n",
    "an empty dictionary": "sites: {}\n",
    "a key after it": "sites:\n" + ONE + "other: 1\n",
    "no sites": "other: 1\n",
    "an empty file": "",
    "two documents": "sites:\n" + ONE + "---\nsites:\n" + ONE,
    "an end of the document": "sites:\n" + ONE + "...\n",
    "a template": 'sites: "{{ other_sites }}"\n',
    "a text that keeps its end": "sites:\n" + ONE + "    migrate: |+\n      a\n",
    "no YAML": "sites: [\n",
    "not UTF-8": "sites: \udcff\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_file_is_kept_byte_for_byte(inventory, shop, text):
    inventory.write_bytes(text.encode())
    assert run("--source", "shop", "--server-names", "a.test") == 0
    assert added(inventory, text)["wsgi"] == "app:app", f"got {added(inventory, text)}"
    new = inventory.read_bytes().decode()[len(text) :]
    assert ("\r\n" in text) == ("\r\n" in new) and "\n\n\n" not in new, f"got {new!r}"


@pytest.mark.parametrize("text", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_a_file_of_another_form_is_refused(inventory, shop, capsys, text):
    inventory.write_bytes(text.encode("utf-8", "surrogateescape"))
    status = run("--source", "shop", "--server-names", "a.test")
    err = capsys.readouterr().err
    assert status == 1 and "sites.yml: found " in err, f"expected a refusal, got {status}: {err}"
    assert inventory.read_bytes() == text.encode("utf-8", "surrogateescape"), "expected the file as it was"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"


def test_a_fault_while_writing_leaves_the_file(inventory, shop, monkeypatch, capsys):
    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("--source", "shop", "--server-names", "a.test") == 1
    assert "No space left on device. Nothing was written." in capsys.readouterr().err
    assert inventory.read_text() == BEFORE, "expected the file as it was"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"


@pytest.mark.parametrize("environment", ["lab", "staging", "production"])
def test_the_shipped_inventories_can_be_added_to(environment):
    path = ROOT / f"inventories/{environment}/group_vars/all/sites.yml"
    assert "harbour" in sites_file.SitesFile(path).sites, "expected Harbour in it"
