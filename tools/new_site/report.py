"""Messages of new-site: facts that an entry cannot express, and the next steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.new_site import entry as entries
from tools.new_site.configurations import REPLACE_ME
from tools.new_site.databases import MYSQL
from tools.new_site.sites_file import SitesFile
from tools.new_site.source import Source


def noticed(source: Source) -> list[str]:
    """Return requirements and mistakes of the application that an entry cannot change."""
    lines = [source.no_application] if source.no_application else []
    lines += [
        f"It uses {kind}, which Decanter does not set up: configure the address of a server, or use MySQL."
        for kind in source.unsupported
    ]
    if source.database and not source.uses & MYSQL and not entries.has_key("install"):
        lines.append("It has a database but no driver for MySQL: add PyMySQL to its requirements.")
    if not source.declared:
        lines.append("No file lists the requirements. Add a requirements.txt, or a pyproject.toml.")
    for service, clients in entries.SERVICES.items():
        if source.uses & clients and not entries.has_key("services", value=service):
            lines.append(f"It uses {service}, which Decanter does not set up.")
    return lines + source.command_notes + source.notes


def vault_lines(name: str, entry: dict[str, Any], secrets: list[str], lab: bool) -> list[str]:
    """Return the lines to copy below vault_sites."""
    own = "{{{{ lookup('ansible.builtin.password', lab_directory ~ '/secrets/{}') }}}}"

    def line(key: str, depth: int) -> str:
        value = f'"{own.format(f"{name}_{key}".lower())}"' if lab else REPLACE_ME
        return f"{'  ' * depth}{key}: {value}"

    lines = [f"  {name}:"]
    if "password" in entry.get("database", {}):
        lines.append(line("database_password", 2))
    if "secrets" in entry:
        lines += ["    secrets:", *(line(key, 3) for key in secrets)]
    return lines


def next_steps(root: Path, env: str, name: str, entry: dict[str, Any], secrets: list[str]) -> list[str]:
    """Return the steps that remain for the operator."""
    lab, lines = env == "lab", []
    inventory = Path("inventories", env)
    folder = inventory / "group_vars/all"
    if settings := ", ".join(key for key, value in entry.get("env", {}).items() if value == REPLACE_ME):
        lines.append(f"- In {folder / 'sites.yml'}, put values for {REPLACE_ME}: {settings}")
    if entries.needs_vault(entry):
        vault = folder / "vault.yml"
        where = f"With .venv/bin/ansible-vault edit {vault}"
        if lab:
            where = f"In {folder / 'secrets.yml'}"
        elif not (root / vault).exists():
            where = f"In {vault} (see {vault.name}.example in the same folder)"
        lines += [
            f"- {where}, add these lines below vault_sites, without those that exist:",
            "",
            *vault_lines(name, entry, secrets, lab),
            "",
        ]
    names = ", ".join(entry["server_names"])
    if lab:
        lines.append("- Run make up, which prints the addresses.")
        lines.append(f"- Add {names} to /etc/hosts with the lab's address.")
        return lines
    others = entries.unfinished(SitesFile(root / folder / "sites.yml").sites)
    lines += [
        f"- Complete {other}, which has placeholders, or remove it." for other in others if other != name
    ]
    hosts = inventory / "hosts.yml"
    if (root / hosts).exists() and REPLACE_ME in (root / hosts).read_text():
        lines.append(f"- Name your hosts in {hosts}.")
    lines.append(f"- Point {names} at the hosts that serve it.")
    locked = (root / folder / "vault.yml").exists() or entries.needs_vault(entry)
    prompts = locked and not (root / ".vault-password").exists()
    lines.append(f"- make converge ENV={env}" + (" ARGS=--ask-vault-pass" if prompts else ""))
    return lines
