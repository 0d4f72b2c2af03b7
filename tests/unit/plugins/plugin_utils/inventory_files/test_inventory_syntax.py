"""Errors of YAML files in an inventory have the file, the line and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.inventory_files.syntax import syntax_errors
from repository import ROOT

SPACES = "found a tab at the start of the line, expected spaces"
QUOTES = 'found a template without quotes, expected quotes around it, as in name: "{{ … }}"'
UNCLOSED = (
    "found invalid YAML (while parsing a flow sequence did not find expected ',' or ']'), "
    "expected a YAML document"
)
KEY = "found a list or a dictionary as a key, expected a string"
SECOND = "found a second colon followed by a space, expected quotes around the value"


def tight(key: str) -> str:
    return f"found the key {key} without a space after its colon, expected {key}: and a space"


def again(path: str, line: int) -> str:
    return f"{path}: found the key again, which is also in line {line}, expected it once"


# The text of group_vars/all.yml, and the line and the words of its error.
INVALID = {
    "tab": ("sites:\n  shop:\n\twsgi: a:b\n", 3, SPACES),
    "tab after spaces": ("sites:\n  shop:\n  \twsgi: a:b\n    x: y\n", 3, SPACES),
    "template": ("sites:\n  shop:\n    wsgi: {{ wsgi }}\n", 3, f"sites.shop.wsgi: {QUOTES}"),
    "template in a list": ("names:\n  - {{ name }}\n", 2, f"names[0]: {QUOTES}"),
    "template and text": ("name: {{ name }}.test\n", 1, QUOTES),
    "template in a flow list": ("names: [{{ a }}, b]\n", 1, f"names[0]: {QUOTES}"),
    "statement": ("name: {% if a %}b{% endif %}\n", 1, QUOTES),
    "key without space": ("sites:\n  shop:\n    wsgi:shop\n    source: {path: app}\n", 3, tight("wsgi")),
    "last key without space": ("a: b\nbase_mail:x\n", 2, tight("base_mail")),
    "flow key without space": ("shop:\n  source: {path:app}\n", 2, f"shop.source: {tight('path')}"),
    "second colon": ("because: note: it has our packages\n", 1, SECOND),
    "duplicate": ("sites:\n  shop:\n    wsgi: a\n    env: {}\n    wsgi: b\n", 5, again("sites.shop.wsgi", 3)),
    "duplicate variable": ("sites: {}\nother: 1\nsites: {}\n", 3, again("sites", 1)),
    "duplicate in a flow": ("list: [{a: 1, a: 2}]\n", 1, again("list[0].a", 1)),
    "list": ("- sites\n", 1, "found a list, expected a dictionary of variables"),
    "text": ("\nsites\n", 2, "found a single value, expected a dictionary of variables"),
    "list as a key": ("a:\n  ? [b]\n  : c\n", 2, f"a: {KEY}"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "found a second document, expected one document"),
    "unclosed list": ("a: [b, c\nd: e\n", 2, UNCLOSED),
    "byte": (b"a: 1\nb: \xff\n", 2, "found a byte that is not UTF-8 text, expected UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), INVALID.values(), ids=INVALID)
def test_invalid_file_is_named_with_its_line(text, line, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("inventory/group_vars/all.yml")
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert syntax_errors(["inventory"]) == [f"{path}:{line}: {words}"]


VALID = {
    "empty": "",
    "comment": "# a: 1\n",
    "encrypted": "$ANSIBLE_VAULT;1.1;AES256\n\t6638\n",
    "encrypted value": "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6638\n",
    "quoted template": 'a: "{{ b }}"\nc: ["{{ d }}"]\n',
    "folded template": "a: >-\n  {{ b }}\n",
    "merge": "a: &a {b: 1}\nc: {<<: *a, b: 2}\n",
    "alias of itself": "a: &a [*a]\n",
    "same name below other keys": "a: {b: 1}\nc: {b: 1}\n",
    "colons": "wsgi: shop:create_app()\nurl: https://shop.test\nnetworks: [2001:db8::/32]\nset: {a, b}\n",
    "tab in a value": "a: 'b\tc'\nd: |\n  e\tf\n",
}


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_valid_file_has_no_error(text, tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(text)
    assert syntax_errors([str(tmp_path)]) == []


@pytest.mark.parametrize(
    "file",
    [
        "hosts.yml",
        "group_vars/web.yml",
        "group_vars/web/a",
        "group_vars/web/b/c.yaml",
        "host_vars/web1.test.yml",
    ],
)
def test_each_file_that_ansible_reads_is_checked(file, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a:\n\tb:\n")
    assert syntax_errors([str(tmp_path)]) == [f"{path}:2: {SPACES}"]


@pytest.mark.parametrize(
    "file", ["group_vars/all/vault.yml.example", "hosts.ini", "group_vars/.all.yml", "a.py"]
)
def test_file_that_ansible_does_not_read_as_yaml_is_not_checked(file, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a:\n\tb:\n")
    assert syntax_errors([str(tmp_path)]) == []


def test_source_that_is_a_file_has_the_variables_of_its_folder(tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("- a\n")
    (tmp_path / "hosts.yml").write_text("all:\n")
    (tmp_path / "playbook.yml").write_text("- a\n")
    found = syntax_errors([str(tmp_path / "hosts.yml"), "web1,", str(tmp_path / "absent")])
    assert found == [f"{tmp_path}/group_vars/all.yml:1: found a list, expected a dictionary of variables"]


@pytest.mark.parametrize(
    "inventory", sorted([*ROOT.glob("inventories/*"), *ROOT.glob("molecule/*/inventory")]), ids=str
)
def test_inventory_of_the_repository_has_no_error(inventory):
    assert syntax_errors([str(inventory)]) == []
