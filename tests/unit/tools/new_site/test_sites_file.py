"""The sites file after an entry was added."""

from __future__ import annotations

import os

import pytest
import yaml
from new_site_command import APP, sites_file
from new_site_inventory import BEFORE, added, run
from repository import ROOT

ONE = "  harbour:\n    server_names: [harbour.test]\n    source: {path: x}\n    wsgi: a:b\n"
FORMS = {
    "no newline at the end": "sites:\n" + ONE.rstrip("\n"),
    "no site yet": "# Nothing is served.\nsites:\n",
    "another key before": "other: {a: 1}\nsites:\n" + ONE,
    "CRLF line endings": ("sites:\n" + ONE).replace("\n", "\r\n"),
    "four spaces": "sites:\n" + ONE.replace("  ", "    "),
    "a comment at the end": "---\nsites:\n" + ONE + "\n# That is all.\n",
    "a block scalar at the end": "sites:\n" + ONE + "    secrets:\n      key: |\n        a\n        b\n",
}
OTHER_FORMS = {
    "flow": "sites: {harbour: {wsgi: a}}\n",
    "a key after sites": "sites:\n" + ONE + "other: 1\n",
    "no sites": "other: 1\n",
    "an empty file": "",
    "two documents": "sites:\n" + ONE + "---\nsites:\n" + ONE,
    "a document end marker": "sites:\n" + ONE + "...\n",
    "a template": 'sites: "{{ other_sites }}"\n',
    "a block scalar that keeps newlines": "sites:\n" + ONE + "    migrate: |+\n      a\n",
    "invalid YAML": "sites: [\n",
    "not UTF-8": "sites: \udcff\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_existing_content_is_kept_byte_for_byte(inventory, shop, text):
    inventory.write_bytes(text.encode())
    assert run("--source", "shop", "--server-names", "a.test") == 0
    assert added(inventory, text)["wsgi"] == "app:app", f"got {added(inventory, text)}"
    new = inventory.read_bytes().decode()[len(text) :]
    assert ("\r\n" in text) == ("\r\n" in new) and "\n\n\n" not in new, f"got {new!r}"


@pytest.mark.parametrize("text", ["sites: {}\n", "# None.\nsites: {}", "sites: {}  # none yet\n# End.\n"])
def test_empty_braces_are_replaced_by_the_entry(inventory, shop, text):
    inventory.write_text(text)
    assert run("--source", "shop", "--server-names", "a.test") == 0
    new = inventory.read_text()
    kept = text.replace(" {}", "").rstrip("\n")
    assert new.startswith(f"{kept}\n  shop:\n"), f"expected the entry after {kept!r}, got {new}"


def test_first_site_has_a_public_certificate_except_in_the_lab(inventory, shop):
    (shop / "app.py").write_text(APP)
    inventory.write_text("sites: {}\n")
    assert run("--source", "shop", "--server-names", "shop.myproject.org") == 0
    entry = yaml.safe_load(inventory.read_text())["sites"]["shop"]
    assert entry["tls"] == {"mode": "acme"}, f"expected tls: {{mode: acme}}, got {entry}"
    lab = inventory.parents[3] / "lab/group_vars/all/sites.yml"
    lab.write_text("sites: {}\n")
    assert run("--source", "shop", env="lab") == 0
    entry = yaml.safe_load(lab.read_text())["sites"]["shop"]
    assert "tls" not in entry, f"expected no tls in the lab, got {entry}"


@pytest.mark.parametrize("text", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_unsupported_form_of_the_file_is_rejected(inventory, shop, capsys, text):
    inventory.write_bytes(text.encode("utf-8", "surrogateescape"))
    status = run("--source", "shop", "--server-names", "a.test")
    err = capsys.readouterr().err
    assert status == 1 and "sites.yml: found " in err, f"expected an error, got {status}: {err}"
    assert inventory.read_bytes() == text.encode("utf-8", "surrogateescape"), "expected an unchanged file"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"


def test_write_error_keeps_the_file(inventory, shop, monkeypatch, capsys):
    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("--source", "shop", "--server-names", "a.test") == 1
    assert "No space left on device. Nothing was written." in capsys.readouterr().err
    assert inventory.read_text() == BEFORE, "expected an unchanged file"
    assert os.listdir(inventory.parent) == ["sites.yml"], f"got {os.listdir(inventory.parent)}"


@pytest.mark.parametrize("environment", ["lab", "staging", "production"])
def test_shipped_sites_file_has_a_supported_form(environment):
    path = ROOT / f"inventories/{environment}/group_vars/all/sites.yml"
    assert "harbour" in sites_file.SitesFile(path).sites, "expected Harbour in it"
