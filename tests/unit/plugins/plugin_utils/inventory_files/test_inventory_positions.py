"""Errors of an inventory have the file and the line of their key."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.positions import with_positions

FILES = {
    "hosts.yml": """all:
  vars: {base_mail: x}
  hosts:
    web1.shop.test:
      ansible_host: REPLACE_ME
  children:
    web:
      vars: {nginx_sites: []}
      hosts: {web1.shop.test: , web2: }
    database:
""",
    "group_vars/all/sites.yml": """# Sites
shared: &shared
  wsgi: shop:app
sites:
  shop:
    server_names:
      - shop.test
      - SHOP.test
    <<: *shared
    timers:
      on: {calendar: never}
    "a b": 1
    secrets: "{{ vault.shop }}"
  5: {state: gone}
""",
    "group_vars/all/firewall.yml": "firewall_rules:\n- port: 1\n",
    "group_vars/web.yml": "\nfirewall_rules: []\n",
    "group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6638\n",
    "host_vars/web2.yml": "\n\nfirewall_rules: []\n",
}
GROUPS = {
    "all": ["web1.shop.test", "web2"],
    "web": ["web1.shop.test", "web2"],
    "database": [],
    "ungrouped": [],
}
SITES = "group_vars/all/sites.yml"
# The path of an error, with the file and the line that it gets.
POSITIONS = {
    "sites.shop.server_names[1]": f"{SITES}:8",
    "sites.shop.server_names": f"{SITES}:6",
    "sites.shop.wsgi": f"{SITES}:3",
    "sites.shop.timers.on.calendar": f"{SITES}:11",
    'sites.shop["a b"]': f"{SITES}:12",
    "sites.shop.secrets.SECRET_KEY": f"{SITES}:13",
    "sites.shop.source.path": f"{SITES}:5",
    "sites[5].state": f"{SITES}:14",
    "sites.blog": f"{SITES}:4",
    "hosts.web1.shop.test.ansible_host": "hosts.yml:5",
    "hosts.web1.shop.test.base_mail": "hosts.yml:2",
    "hosts.web1.shop.test.nginx_sites": "hosts.yml:8",
    "hosts.web1.shop.test.firewall_rules": "group_vars/web.yml:2",
    "hosts.web2.firewall_rules": "host_vars/web2.yml:3",
    "hosts.web1.shop.test.mysql_host": "hosts.yml:4",
    "groups.web": "hosts.yml:7",
    "groups.database": "hosts.yml:10",
    "groups.balancer": "hosts.yml:1",
}


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, text in FILES.items():
        path = tmp_path / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "inventory")


@pytest.mark.parametrize(("path", "position"), POSITIONS.items(), ids=POSITIONS)
def test_error_has_the_position_of_its_key(path, position, inventory):
    error = f"{path}: found 1, expected 2"
    assert with_positions([error], [inventory], GROUPS) == [f"inventory/{position}: {error}"]


@pytest.mark.parametrize("error", ["source_root: found 1, expected 2", "hosts.other.a: found 1, expected 2"])
def test_error_without_a_key_in_a_file_has_no_position(error, inventory):
    assert with_positions([error], [inventory], GROUPS) == [error]


def test_value_of_another_source_has_no_position(tmp_path):
    error = "sites.shop: found 1, expected 2"
    assert with_positions([error], ["web1,", str(tmp_path)], {"all": ["web1"]}) == [error]


def test_errors_have_the_order_of_the_files(inventory):
    paths = ["sites.shop.secrets", "x", "hosts.web2.firewall_rules", "sites.shop.wsgi", "sites.shop"]
    found = with_positions([f"{path}: found 1" for path in paths], [inventory], GROUPS)
    assert [line.removesuffix(": found 1").split(": ")[-1] for line in found] == [
        "sites.shop.wsgi", "sites.shop", "sites.shop.secrets", "hosts.web2.firewall_rules", "x",
    ]  # fmt: skip


def test_file_with_an_error_does_not_hide_other_positions(inventory):
    Path(inventory, "group_vars/web.yml").write_text("a:\n\tb:\n")
    error = "hosts.web1.shop.test.firewall_rules: found 1"
    assert with_positions([error], [inventory], GROUPS) == [
        f"inventory/group_vars/all/firewall.yml:1: {error}"
    ]
