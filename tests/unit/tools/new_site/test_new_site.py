"""The command new-site without questions: its options and the entry that it writes."""

from __future__ import annotations

import os

import pytest
import yaml
from new_site_command import APP, entries, files, sites_file
from new_site_inventory import BEFORE, added, run


def test_options_write_an_entry(inventory, shop, capsys):
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
    assert inventory.stat().st_mode == mode, "expected an unchanged file mode"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"
    for words in ("Complete harbour,", "Point myproject.org, www.myproject.org at", "ENV=production\n"):
        assert words in out, f"expected {words!r}, got {out}"


def test_missing_option_is_reported_in_one_line(inventory, shop, capsys):
    for arguments, name in (((), "--source"), (("--source", "shop"), "--server-names")):
        status, err = run(*arguments), capsys.readouterr().err
        assert status == 2, f"expected 2, got {status}: {err}"
        assert err.startswith(f"{name}: found nothing, expected ") and err.count("\n") == 1, f"got {err!r}"
    (shop / "app.py").unlink()
    assert run("--source", "shop", "--server-names", "a.test") == 2, "expected 2 without an application"
    assert inventory.read_text() == BEFORE, "expected an unchanged file"


WRONG = {
    "a name of another site": (
        ["--name", "harbour"],
        "name: found harbour, expected the name of no other site",
    ),
    "a name of a system user": (["--name", "nginx"], 'sites.nginx: found the name "nginx"'),
    "a host name of another site": (
        ["--server-names", "harbour.example.com"],
        "that sites.harbour.server_names[0]",
    ),
    "a placeholder": (["--server-names", "shop.example.org"], "found the placeholder"),
    "an invalid host name": (["--server-names", "http://a.b"], "expected a host name"),
    "an invalid application": (["--wsgi", "app.py"], "sites.shop.wsgi: found"),
    "a missing folder": (["--source", "nowhere"], "source: found no folder nowhere"),
    "a password in an address": (
        ["--source", "https://a:b@c.test/d.git"],
        "source: found an address with credentials",
    ),
    "a missing static folder": (["--static", "static"], "sites.shop.static[0].path: found"),
    "a version of a folder": (["--version", "main"], "version: found version with a folder"),
    "an unknown environment": (["--env", "prod"], "ENV: found prod, expected one of: lab, production"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_invalid_option_changes_nothing(inventory, shop, capsys, arguments, words):
    status = run("--source", "shop", "--server-names", "a.test", *arguments)
    err = capsys.readouterr().err
    assert status == 1 and words in err, f"expected 1 and {words!r}, got {status}: {err}"
    assert inventory.read_text() == BEFORE, "expected an unchanged file"


def test_entry_is_validated_with_the_other_sites(inventory, shop, capsys):
    """The default name of the database is the name of another site's database."""
    before = BEFORE.replace("{engine: mysql}", "{engine: mysql, name: shop}")
    inventory.write_text(before)
    status = run("--source", "shop", "--server-names", "a.test", "--database", "yes")
    err = capsys.readouterr().err
    assert status == 1 and "sites.shop.database.name" in err, (
        f"expected an error about its name, got {status}: {err}"
    )
    assert inventory.read_text() == before, "expected an unchanged file"


def test_invalid_proposal_is_omitted(inventory, shop, capsys):
    files(shop, {"Procfile": "task: python tasks.py\n"})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "processes" not in added(inventory), f"got {added(inventory)}"
    assert 'Left out: sites.shop.processes.task: found the name "task"' in output, f"got {output}"


def test_invalid_proposal_of_static_files_is_omitted(inventory, shop, capsys):
    """Flask can serve a folder at /, nginx cannot."""
    text = APP.replace("(__name__)", "(__name__, static_url_path='/')")
    files(shop, {"app.py": text, "static/x.css": ""})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "static" not in added(inventory), f"got {added(inventory)}"
    assert "Left out: sites.shop.static[0].url" in output, f"got {output}"


def test_invalid_item_of_a_proposal_keeps_the_other_items(inventory, shop, capsys):
    text = "import os\nA = os.environ['MOTTO']\nB = os.environ['LD_PRELOAD']\n"
    files(shop, {"app.py": APP + text, "Procfile": "task: python a.py\nworker: python b.py\n"})
    files(shop, {"my files/uploads/x": "", "uploads/x": ""})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    output, entry = capsys.readouterr().out, added(inventory)
    assert entry["env"] == {"MOTTO": "REPLACE_ME"}, f"got {entry}"
    assert entry["processes"] == {"worker": "python b.py"}, f"got {entry}"
    assert entry["uploads"] == ["uploads"], f"got {entry}"
    for path in ("env.LD_PRELOAD", "processes.task", "uploads[0]"):
        assert f"Left out: sites.shop.{path}" in output, f"expected {path}, got {output}"


def test_reserved_folder_name_gets_a_suffix(inventory, tmp_path, capsys):
    files(tmp_path / "admin", {"app.py": APP, "requirements.txt": "flask\n"})
    assert run("--source", "admin", "--server-names", "a.test") == 0, capsys.readouterr().err
    names = list(yaml.load(inventory.read_text(), sites_file.Loader)["sites"])
    assert names[-1] == "admin-site", f"expected admin-site, got {names}"


def test_asgi_application_gets_worker_and_websockets(inventory, shop, capsys):
    text = "from quart import Quart\napp = Quart(__name__)\n@app.websocket('/ws')\nasync def echo(): ...\n"
    files(shop, {"app.py": text})
    assert run("--source", "shop", "--server-names", "a.test") == 0, capsys.readouterr().err
    entry = added(inventory)
    found = {key: entry.get(key) for key in ("wsgi", "gunicorn", "nginx")}
    expected = {"wsgi": "app:app", "gunicorn": {"worker_class": "asgi"}, "nginx": {"websockets": True}}
    assert found == expected, f"expected {expected}, got {found}"


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


def test_secrets_and_settings_get_placeholders(inventory, shop, capsys):
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
def test_database_on_another_server_has_a_password(inventory, shop, capsys, variable, auth):
    inventory.with_name("mysql.yml").write_text(f"# mysql_host: x\n{variable}\n")
    flags = ["--source", "shop", "--server-names", "a.test", "--database", "yes"]
    assert run(*flags) == 0, capsys.readouterr().err
    found = added(inventory)["database"].get("auth", "socket")
    assert found == auth, f"expected {auth}, got {added(inventory)}"
    assert ("database_password: REPLACE_ME" in capsys.readouterr().out) == (auth == "password")


def test_long_values_are_wrapped():
    names = [f"name-{number}.town.test" for number in range(9)]
    processes = {"worker": "w" * 80, "other": "x" * 30}
    entry = {"server_names": names, "processes": processes, "env": {"A": "1"}, "migrate": "y" * 120}
    text = sites_file.written("shop", entry, [f"VARIABLE_{number}" for number in range(20)], "  ")
    assert yaml.safe_load(text) == {"shop": entry}, f"got {text}"
    wide = [line for line in text.splitlines() if len(line) > sites_file.LONGEST and "yyy" not in line]
    assert not wide, f"expected lines of at most {sites_file.LONGEST} characters, got {wide}"


def test_lab_proposes_a_host_name_and_generates_secrets(inventory, shop, capsys):
    (shop / "app.py").write_text(APP + "import os\nK = os.environ['SECRET_KEY']\n")
    assert run("--source", "shop", env="lab") == 0, capsys.readouterr().err
    out, lab = capsys.readouterr().out, inventory.parents[3] / "lab/group_vars/all/sites.yml"
    assert added(lab)["server_names"] == ["shop.test"], f"got {added(lab)}"
    assert "SECRET_KEY: \"{{ lookup('ansible.builtin.password', lab_directory" in out, f"got {out}"


def test_tls_mode_is_that_of_the_other_sites(inventory, shop):
    before = BEFORE + "    tls: {mode: ca}\n"
    inventory.write_text(before)
    assert run("--source", "shop", "--server-names", "a.test") == 0
    assert added(inventory, before)["tls"] == {"mode": "ca"}, f"got {added(inventory, before)}"


def test_source_in_the_checkout_gets_a_relative_path(inventory, tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "ROOT", tmp_path / "checkout")
    files(tmp_path / "checkout/shop", {"app.py": APP})
    assert run("--source", "checkout/shop", "--server-names", "a.test") == 0
    assert added(inventory)["source"] == {"path": "shop"}, f"got {added(inventory)}"
