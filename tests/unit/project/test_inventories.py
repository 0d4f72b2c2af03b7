"""The inventories of the repository set declared variables only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_validation.variables import (
    role_variables,
    undeclared,
)
from repository import ROOT

FOLDERS = [*ROOT.glob("inventories/*"), *ROOT.glob("molecule/*/inventory"), ROOT / "playbooks/group_vars"]
# group_vars and host_vars have variables at the top; other files are inventories and have them
# under `vars`, and under each host.
SUFFIXES = (".yml", ".yaml", ".yml.example")


class Loader(yaml.SafeLoader):
    """A loader that ignores tags such as !vault, because only names are read."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def inventory_names(node):
    """Yield the variables of an inventory file: of its groups and their hosts."""
    if "plugin" in node:  # an inventory plugin computes these variables
        yield from node.get("compose", {})
        return
    for group in node.values():
        group = group or {}
        yield from group.get("vars") or {}
        for variables in (group.get("hosts") or {}).values():
            yield from variables or {}
        yield from inventory_names(group.get("children") or {})


def names(path: Path) -> list[str]:
    text = path.read_text()
    values = yaml.load(text, Loader) or {}
    are_variables = {"group_vars", "host_vars"} & set(path.relative_to(ROOT).parts)
    # Operators uncomment examples, so their names must be declared, too.
    commented = re.findall(r"^# ?([a-z][a-z0-9_]*):", text, re.M)
    return [*(values if are_variables else inventory_names(values)), *commented]


def variable_files() -> list[Path]:
    return sorted(
        path
        for folder in FOLDERS
        for path in folder.rglob("*")
        if path.is_file() and path.name.endswith(SUFFIXES)
    )


def message(path: Path, name: str) -> str | None:
    expected = undeclared(name)
    return f"{path}: found an undeclared variable {name}, expected {expected}" if expected else None


@pytest.mark.parametrize("path", [path.relative_to(ROOT) for path in variable_files()], ids=str)
def test_variables_are_declared(path):
    errors = [line for name in names(ROOT / path) if (line := message(path, name))]
    assert not errors, "\n".join(errors)


def test_variables_of_all_kinds_are_found():
    found = {name for path in variable_files() for name in names(path)}
    assert {
        "nginx_sites",
        "certbot_ca_key",
        "firewall_ssh_networks",
        "vault_sites",
        "ansible_user",
    } <= found, found
    assert all(role_variables().values()), role_variables()


@pytest.mark.parametrize("inventory", sorted(path.name for path in ROOT.glob("inventories/*")))
def test_inventory_shows_how_to_open_a_port(inventory):
    path = ROOT / "inventories" / inventory / "group_vars/all/firewall.yml"
    example = re.search(r"^# ?(firewall_extra_rules:.*)", path.read_text(), re.M)
    assert example, f"{path}: expected an example of firewall_extra_rules"
    (rule,) = yaml.safe_load(example[1])["firewall_extra_rules"]
    assert rule.keys() == {"port", "from", "comment"}, rule


MISTYPED = {
    "group_vars/all/a.yml": "nginx_sitse: []\n",
    "host_vars/web1.yml": "nginx_sitse: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n",
    "group_vars/all/commented.yml": "# nginx_sitse: []\n",
    "hosts.yml": "all: {vars: {nginx_sitse: []}}\n",
    "group.yml": "all: {children: {web: {vars: {nginx_sitse: []}}}}\n",
    "aws_ec2.yml": "{plugin: amazon.aws.aws_ec2, compose: {nginx_sitse: aws_x}}\n",
    "host.yml": "all: {children: {web: {hosts: {web1: {nginx_sitse: []}, web2: }}, database: }}\n",
}


@pytest.mark.parametrize("file", MISTYPED)
def test_mistyped_variable_is_found_in_each_kind_of_file(file, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MISTYPED[file])
    got = [line for name in names(path) if (line := message(Path(file), name))]
    hint = "expected one of the role nginx's (did you mean nginx_sites?)"
    assert got == [f"{file}: found an undeclared variable nginx_sitse, {hint}"]
