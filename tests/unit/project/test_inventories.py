"""No inventory of ours sets a variable that its role does not know: a mistyped one must fail."""

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
    """Reads what is encrypted or unsafe as it stands: names matter here, not values."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def inventory_names(node):
    """The variables of an inventory file: of its groups, and of their hosts."""
    if "plugin" in node:  # of a cloud: what is made of what it says
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
    kept = {"group_vars", "host_vars"} & set(path.relative_to(ROOT).parts)
    # What is shipped as a comment, to be uncommented, is as good as set.
    offered = re.findall(r"^# ?([a-z][a-z0-9_]*):", text, re.M)
    return [*(values if kept else inventory_names(values)), *offered]


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


def test_there_is_something_to_check():
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
    "group_vars/all/offered.yml": "# nginx_sitse: []\n",
    "hosts.yml": "all: {vars: {nginx_sitse: []}}\n",
    "group.yml": "all: {children: {web: {vars: {nginx_sitse: []}}}}\n",
    "aws_ec2.yml": "{plugin: amazon.aws.aws_ec2, compose: {nginx_sitse: aws_x}}\n",
    "host.yml": "all: {children: {web: {hosts: {web1: {nginx_sitse: []}, web2: }}, database: }}\n",
}


@pytest.mark.parametrize("file", MISTYPED)
def test_a_mistyped_one_is_found_wherever_it_is(file, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MISTYPED[file])
    got = [line for name in names(path) if (line := message(Path(file), name))]
    hint = "expected one of the role nginx's (did you mean nginx_sites?)"
    assert got == [f"{file}: found an undeclared variable nginx_sitse, {hint}"]
