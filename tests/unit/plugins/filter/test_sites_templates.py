"""Templates and vaulted values in sites, as ansible-core reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar, trust_as_template
from repository import ROOT
from sites_examples import FILLED_DATABASE, FOLDER, SECRET, SITES, WSGI, minimal


@pytest.fixture(scope="module")
def template() -> Callable[[str, dict[str, Any]], Any]:
    """Return a function that evaluates an expression in ansible-core, with tagged and lazy variables."""

    def run(expression: str, variables: dict[str, Any]) -> Any:
        templar = Templar(loader=DataLoader(), variables=variables)
        return templar.template(trust_as_template("{{ " + expression + " }}"))

    return run


def test_templates_in_sites_are_read(template: Callable[..., Any], root: str) -> None:
    sites = minimal()
    sites["harbour"]["server_names"] = [trust_as_template("{{ town }}.test")]
    sites["harbour"]["health"] = {"timeout": trust_as_template("{{ 6 * 7 }}")}
    sites["harbour"]["database"] = {"engine": trust_as_template("{{ 'mysql' }}")}
    variables = {"sites": sites, "root": root, "town": "harbour"}
    assert template("sites | decanter.stack.site_errors(root)", variables) == []
    filled = template("sites | decanter.stack.with_defaults", variables)["harbour"]
    assert filled["server_names"] == ["harbour.test"]
    assert filled["health"] == {"path": "/", "timeout": 42, "watch": 2}
    assert filled["database"] == {**FILLED_DATABASE, "name": "harbour"}


def test_failing_templates_are_errors(template: Callable[..., Any], root: str) -> None:
    sites = minimal()
    sites["harbour"]["wsgi"] = trust_as_template("{{ nowhere }}")
    sites["harbour"]["env"] = {"A": trust_as_template("{{ 1 / 0 }}"), "B": "b"}
    sites["harbour"]["secrets"] = trust_as_template("{{ vault_sites.harbour }}")
    lines = template("sites | decanter.stack.site_errors(root)", {"sites": sites, "root": root})
    unsafe = "put !unsafe before a value that itself contains {{, {% or {#"
    assert lines == [
        f"sites.harbour.env.A: found a template that fails, expected a string (put it in quotes); {unsafe}",
        "sites.harbour.secrets: found an undefined variable, expected a dictionary of secrets",
        f"sites.harbour.wsgi: found an undefined variable, expected {WSGI}; {unsafe}",
    ]


def test_undefined_sites_are_an_error(template: Callable[..., Any], root: str) -> None:
    assert template("sites | decanter.stack.site_errors(root)", {"root": root}) == [
        f"sites: found an undefined variable, expected {SITES}"
    ]


def vaulted(text: str) -> str:
    secret = VaultSecret(b"a password of the vault")
    ciphertext = VaultLib([("default", secret)]).encrypt(text, secret).decode()
    return "!vault |\n" + "".join(f"            {line}\n" for line in ciphertext.splitlines())


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{ {'errors': found, 'filled': sites | decanter.stack.with_defaults} | to_json }}"
        dest: "{{ playbook_dir }}/result.json"
        mode: "0600"
      vars:
        found: "{{ sites | decanter.stack.site_errors(playbook_dir) }}"
    - ansible.builtin.assert:
        that: (sites | decanter.stack.site_errors(playbook_dir)) == []
        fail_msg: "{{ sites | decanter.stack.site_errors(playbook_dir) | join('\\n') }}"
"""


def run_playbook(folder: Path, variables: str) -> tuple[int, str]:
    (folder / "host_vars").mkdir()
    (folder / "host_vars/localhost.yml").write_text(variables, "utf-8")
    (folder / "hosts").write_text("localhost\n", "utf-8")
    (folder / "play.yml").write_text(PLAY, "utf-8")
    (folder / "vault").write_text("a password of the vault", "utf-8")
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts", "play.yml"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_VAULT_PASSWORD_FILE": "vault",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


SITES_YAML = """
town: harbour
sites:
  harbour:
    server_names: ["{{ town }}.%(domain)s"]
    source: {path: "{{ playbook_dir }}/app"}
    wsgi: harbour:create_app()
    database:
        engine: mysql
        auth: password
        password: %(password)s
    secrets:
        SECRET_KEY: %(secret)s
"""


def test_playbook_accepts_templated_and_vaulted_values(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    values = {"domain": "test", "password": vaulted(SECRET), "secret": vaulted("k")}
    code, output = run_playbook(tmp_path, SITES_YAML % values)
    assert code == 0, output
    assert SECRET not in output
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert result["errors"] == []
    assert result["filled"]["harbour"]["database"]["password"] == SECRET
    assert result["filled"]["harbour"]["server_names"] == ["harbour.test"]


def test_playbook_rejects_vaulted_values_with_every_line(tmp_path: Path) -> None:
    values = {"domain": "example.com", "password": vaulted(SECRET[:9]), "secret": vaulted("")}
    code, output = run_playbook(tmp_path, SITES_YAML % values)
    assert code != 0
    assert SECRET[:9] not in output
    assert json.loads((tmp_path / "result.json").read_text("utf-8"))["errors"] == [
        "sites.harbour.database.password: found a string, expected a string of at least 12 characters",
        "sites.harbour.secrets.SECRET_KEY: found an empty string, "
        "expected a string that is not empty (put numbers in quotes)",
        'sites.harbour.server_names[0]: found the placeholder "harbour.example.com", expected your own name',
        f'sites.harbour.source.path: found "{str(tmp_path / "app")[:59]}…", expected {FOLDER}'
        if len(str(tmp_path / "app")) > 60
        else f'sites.harbour.source.path: found "{tmp_path / "app"}", expected {FOLDER}',
    ]
