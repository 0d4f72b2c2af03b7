"""Render the templates of all roles without a host, as their tasks do.

A new template is covered when a task uses it. Tests of missing programs are skipped, or fail with
DECANTER_REQUIRE_TOOLS=1, as in CI.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections import ChainMap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pytest
import yaml
from ansible._internal._templating import _jinja_bits
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, test_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.action.files import expand
from repository import ROLES, ROOT
from templates_cases import ADDRESSES, CASES, FACTS, HOSTS, LOOK, REGISTERED, Case

# Roles that write to a host.
HOST_ROLES = [role for role in ROLES if role != "aws"]
MANAGED = "Ansible managed"
# bin/setup may unpack programs into .venv/tools, which requires no root and starts no service.
PROGRAMS = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin", str(ROOT / ".venv/tools/usr/sbin")])


class File(NamedTuple):
    template: str
    path: str
    text: str


LOADER = DataLoader()
CODE: dict[tuple[Any, ...], Any] = {}


def compile_once(environment: Any, source: Any, *arguments: Any) -> Any:
    """Return the code of a template. Ansible compiles it for each use, which takes most of the time."""
    context = _jinja_bits._TemplateCompileContext.current(optional=True)
    key = (str(source), arguments, bool(context and context.escape_backslashes))
    if key not in CODE:
        CODE[key] = jinja2.Environment.compile(environment, source, *arguments)
    return CODE[key]


_jinja_bits.AnsibleEnvironment.compile = compile_once
for plugins in (filter_loader, test_loader):
    plugins.get = functools.cache(plugins.get)


@functools.cache
def read(path: Path) -> Any:
    return LOADER.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}


def template_tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a role that write files, including those in blocks."""
    if isinstance(node, list):
        for item in node:
            yield from template_tasks(item)
    elif isinstance(node, dict):
        if {"ansible.builtin.template", "decanter.stack.files"} & node.keys():
            yield node
        yield from template_tasks([node.get(part) for part in ("block", "rescue", "always")])


@functools.cache
def role_files(role: str) -> list[tuple[dict[str, Any], Path]]:
    return [
        (task, path)
        for path in sorted((ROLES[role] / "tasks").glob("*.yml"))
        for task in template_tasks(read(path))
    ]


def role_variables(role: str, host: str, case: Case, **extra: Any) -> dict[str, Any]:
    """Return the variables of the role in a play, by Ansible's precedence. `extra` overrides all others."""
    folder = ROLES[role]
    facts = {**FACTS, **HOSTS[host], **case.facts}
    return {
        **read(folder / "defaults/main.yml"),
        **read(ROOT / "playbooks/group_vars/all/roles.yml"),
        "sites": case.sites,
        **case.settings,
        "ansible_facts": facts,
        "ansible_managed": MANAGED,
        "inventory_hostname": "web1",
        "group_names": list(case.groups),
        "groups": {"all": list(ADDRESSES), "web": ["web1", "web2"], "balancer": list(case.balancers)},
        "hostvars": {name: {"ansible_host": address} | case.settings for name, address in ADDRESSES.items()},
        "playbook_dir": str(ROOT / "playbooks"),
        "role_path": str(folder),
        **read(folder / "vars/main.yml"),
        "__base_preflight_output": {"stdout": yaml.safe_dump({**LOOK, **case.look})},
        **REGISTERED,
        **extra,
    }


def written(role: str, arguments: dict[str, Any], variables: dict[str, Any]) -> Iterator[File]:
    """Yield the files that the module `files` writes from templates."""
    folder = ROLES[role] / "templates"
    templar = Templar(LOADER, variables)
    files = arguments["files"]
    if isinstance(files, list):  # the values of contents are registered by tasks
        files = [file for file in files if "content" not in file]
    files, sites = (templar.template(part) for part in (files, arguments.get("sites", [])))
    for file in expand(files, sites):
        if "template" not in file:
            continue
        scope = variables | ({"site": file["site"]} if file["site"] else {})
        template = Templar(LOADER, scope).copy_with_new_env(searchpath=[str(folder)])
        source = trust_as_template((folder / file["template"]).read_text())
        text = template.template(source, escape_backslashes=False)
        yield File(f"{role}/{file['template']}", file["path"], str(text))


@functools.cache
def rendered(host: str, case: str) -> list[File]:
    return render(host, CASES[case])


def render(host: str, case: Case, roles: Iterable[str] = HOST_ROLES, **extra: Any) -> list[File]:
    """Return all files that the roles write on a host. Raise for an undefined variable."""
    files = []
    for role in roles:
        variables = role_variables(role, host, case, **extra)
        folder = ROLES[role] / "templates"
        for task, _ in role_files(role):
            scope = ChainMap(task.get("vars", {}), variables)
            loop = Templar(LOADER, scope).template(task.get("loop", [None]))
            loop_variable = task.get("loop_control", {}).get("loop_var", "item")
            for item in loop:
                if "decanter.stack.files" in task:
                    files.extend(written(role, task["decanter.stack.files"], {**scope, loop_variable: item}))
                    continue
                templar = Templar(LOADER, {**scope, loop_variable: item}).copy_with_new_env(
                    searchpath=[str(folder)]
                )
                arguments = task["ansible.builtin.template"]
                name, path = (str(templar.template(arguments[key])) for key in ("src", "dest"))
                source = trust_as_template((folder / name).read_text())
                text = templar.template(source, escape_backslashes=False)  # as the module does
                files.append(File(f"{role}/{name}", path, str(text)))
    return files


EVERYWHERE = [pytest.param(host, case, id=f"{host}-{case}") for host in HOSTS for case in CASES]
everywhere = pytest.mark.parametrize(("host", "case"), EVERYWHERE)


def matching(host: str, case: str, pattern: str) -> list[File]:
    files = [file for file in rendered(host, case) if re.search(pattern, file.path)]
    assert files, (
        f"{host}-{case}: expected a file like {pattern}, got {[f.path for f in rendered(host, case)]}"
    )
    return files


def program(name: str) -> str:
    """Return the path of a program. Without it, skip the test, or fail with DECANTER_REQUIRE_TOOLS=1."""
    found = shutil.which(name, path=PROGRAMS)
    if not found and os.environ.get("DECANTER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{name} is not installed, and DECANTER_REQUIRE_TOOLS requires it")
    return found or pytest.skip(f"{name} is not installed here")


@functools.cache
def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def rendered_root(host: str, case: str) -> Iterator[Path]:
    yield from root_of(rendered(host, case))


def root_of(files: Iterable[File]) -> Iterator[Path]:
    """Yield a folder with the files at their paths on a host."""
    with tempfile.TemporaryDirectory(prefix="decanter-") as folder:  # short: paths of sockets are limited
        for file in files:
            path = Path(folder + file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
        yield Path(folder)


def directives(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return the values of each directive in order, each with the line above it."""
    found: dict[str, list[tuple[str, str]]] = {}
    lines = text.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found.setdefault(match[1], []).append((match[2], above))
    return found
