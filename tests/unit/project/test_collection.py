"""The archive of the collection, and a project of an operator that uses the installed archive."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib import import_module
from pathlib import Path

import jinja2
import pytest
import yaml
from collection import LINK, ROOT

VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
BIN = Path(sys.executable).parent
OPERATOR_SITE = """
sites:
  shop:
    server_names: [shop.test]
    source: {path: shop}
    wsgi: shop:app
    files: {etc/shop.cfg: {path: files/shop.cfg}}
    tls: {mode: provided, certificate: files/nowhere.pem, key: files/nowhere.key}
"""


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess:
    """Run a command without the environment variables of this test run."""
    foreign = ("ANSIBLE_", "PYTHON", "MAKE")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def assert_success(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, f"{done.args}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    assert_success(run(ROOT, BIN / "ansible-galaxy", "collection", "build", "--output-path", folder))
    return folder / f"decanter-stack-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def project(archive, tmp_path_factory) -> Path:
    """A project as `make init` creates it, with the installed archive."""
    folder = tmp_path_factory.mktemp("operator") / "servers"
    assert_success(run(ROOT, "make", "init", f"DIR={folder}", f"SOURCE={archive}"))
    install = (BIN / "ansible-galaxy", "collection", "install", "--offline", "-r", "requirements.yml")
    assert_success(run(folder, *install))
    return folder


def play(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run(folder, BIN / "ansible-playbook", "-i", "inventories/production", *arguments)


def test_link_of_the_collection_targets_the_repository():
    assert os.readlink(ROOT / LINK) == "../../../..", "expected the link that bin/setup creates"
    assert (ROOT / LINK).resolve() == ROOT.resolve()


def test_molecule_uses_the_link():
    """Molecule's prerun would install a copy of the collection, and its dependencies from Ansible Galaxy."""
    settings = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())
    assert settings["prerun"] is False


def test_version_is_in_galaxy_yml_and_the_changelog_only():
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heading and heading[1] == VERSION, heading
    files = [
        ROOT / "README.md",
        ROOT / "pyproject.toml",
        *(ROOT / "new_project").iterdir(),
        *(ROOT / "bin").iterdir(),
    ]
    text = re.compile(rf"\bv?{re.escape(VERSION)}\b(?!\.)")
    found = [path.name for path in files if path.suffix != ".txt" and text.search(path.read_text())]
    assert not found, found


def test_archive_has_only_the_files_for_operators(archive):
    with tarfile.open(archive) as tar:
        names = {name for name in tar.getnames() if "/" in name or "." in name}
    tops = {name.split("/")[0] for name in names}
    assert tops == {
        *(
            "MANIFEST.json",
            "FILES.json",
            "README.md",
            "SECURITY.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "ansible.cfg",
        ),
        *("docs", "meta", "playbooks", "plugins", "roles", "vars"),
    }, sorted(tops)
    leftovers = [name for name in names if "__pycache__" in name or "/." in name]
    assert not leftovers, leftovers
    assert archive.stat().st_size < 2_000_000, f"expected less than 2 MB, got {archive.stat().st_size} bytes"


def test_clone_finds_the_site_playbook_by_its_full_name():
    output = assert_success(play(ROOT, "decanter.stack.site", "--list-tasks"))
    assert f"playbook: {ROOT / LINK}/playbooks/site.yml" in output
    assert "decanter.stack.nginx : " in output, output


def test_clone_rejects_the_example_inventory():
    done = play(ROOT, "decanter.stack.site")
    assert done.returncode != 0, done.stdout
    assert 'hosts.production-web1.ansible_host: found the placeholder "REPLACE_ME"' in done.stdout
    assert "sites.harbour.source.path" not in done.stdout, f"expected the clone's app/, got {done.stdout}"


def test_project_lists_the_tasks_of_the_site_playbook(project):
    output = assert_success(play(project, "decanter.stack.site", "--list-tasks"))
    installed = project / ".ansible/collections/ansible_collections/decanter/stack"
    assert f"playbook: {installed}/playbooks/site.yml" in output
    assert "decanter.stack.nginx : " in output and "Validate the inventory" in output


def test_project_rejects_the_example_inventory(project):
    done = play(project, "decanter.stack.site")
    assert done.returncode != 0, done.stdout
    for line in (
        'sites.harbour.source.path: found "app", expected a folder on the controller',
        'hosts.production-web1.ansible_host: found the placeholder "REPLACE_ME"',
    ):
        assert line in done.stdout, f"expected {line!r}, got {done.stdout}"


def test_project_paths_start_at_the_project(project, tmp_path):
    folder = tmp_path / "servers"
    shutil.copytree(project, folder, symlinks=True)
    inventory = folder / "inventories/production"
    hosts = (inventory / "hosts.yml").read_text().replace("REPLACE_ME", "10.1.2.3")
    (inventory / "hosts.yml").write_text(hosts)
    (inventory / "group_vars/all/sites.yml").write_text(OPERATOR_SITE)
    (folder / "shop").mkdir()
    (folder / "shop/requirements.txt").write_text("flask\n")
    (folder / "files").mkdir()
    (folder / "files/shop.cfg").write_text("TOWN = 'St. John'\n")
    done = play(folder, "decanter.stack.check")
    positions = re.findall(
        r"^ *inventories/production/group_vars/all/(\S+): (sites\.\S+): ", done.stdout, re.M
    )
    expected = [("sites.yml:8", "sites.shop.tls.certificate"), ("sites.yml:8", "sites.shop.tls.key")]
    assert positions == expected, done.stdout
    (folder / ".venv").symlink_to(BIN.parent)
    done = run(folder, "make", "check")
    lines = [line.split(": ")[:2] for line in done.stdout.splitlines()]
    assert lines == [[f"inventories/production/group_vars/all/{at}", path] for at, path in expected], done
    without = OPERATOR_SITE.rsplit("    tls:", 1)[0]
    (inventory / "group_vars/all/sites.yml").write_text(without)
    assert_success(play(folder, "decanter.stack.check"))
    assert assert_success(run(folder, "make", "check")) == "inventories/production: 1 site, 1 host: valid\n"


def test_init_rejects_a_folder_with_existing_files(tmp_path):
    (tmp_path / "Makefile").write_text("all:\n")
    done = run(ROOT, "bin/init", tmp_path)
    assert done.returncode == 1 and f"{tmp_path}/Makefile: file exists" in done.stderr
    assert os.listdir(tmp_path) == ["Makefile"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", {"name": "decanter.stack", "version": VERSION}),
        ("git@a.test:stack", {"name": "git@a.test:stack", "type": "git", "version": f"v{VERSION}"}),
        ("https://a.test/stack,main", {"name": "https://a.test/stack", "type": "git", "version": "main"}),
    ],
)
def test_init_requires_a_version_of_the_collection(tmp_path, source, expected):
    assert_success(run(ROOT, "bin/init", tmp_path / "servers", source))
    required = yaml.safe_load((tmp_path / "servers/requirements.yml").read_text())
    assert required == {"collections": [expected]}


# --- Full names --------------------------------------------------------------------------------

FOLDERS = ("inventories", "molecule", "playbooks", "roles", "tests/lab", "tools")


def own_filters() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "plugins/filter").glob("*.py"):
        module = import_module(f"ansible_collections.decanter.stack.plugins.filter.{path.stem}")
        names |= set(module.FilterModule().filters())
    return names


def filters_in(text: str) -> set[str]:
    """Return the filters of the templates in a text, including the arguments of `map`."""
    tokens = [token for token in jinja2.Environment().lex(text) if token[1] != "whitespace"]
    names = set()
    for (_, _, first), (_, kind, second) in itertools.pairwise(tokens):
        if first == "|" and kind == "name":
            names.add(second)
    return names | set(re.findall(r"map\(['\"](\w+)['\"]", text))


def texts(node: object) -> list[str]:
    """Return the strings of YAML. Conditions get the braces of expressions."""
    if isinstance(node, dict):
        found = [text for item in node.values() for text in texts(item)]
        bare = [node[key] for key in ("when", "until", "changed_when", "failed_when", "that") if key in node]
        return found + [f"{{{{ {text} }}}}" for item in bare for text in texts(item)]
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    return [node] if isinstance(node, str) else []


def files_with_templates() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path for path in found if path.suffix in (".yml", ".j2") and ".venv" not in path.parts)


def test_templates_use_full_names_of_filters():
    """ansible-core finds a filter of a collection only by its full name."""
    own, found = own_filters(), {}
    for path in files_with_templates():
        text = path.read_text()
        if path.suffix == ".yml":
            nodes = yaml.load_all(text, Loader=yaml.BaseLoader) if "!vault" not in text else []
            parts = [part for node in nodes for part in texts(node)]
        else:
            parts = [text]
        for part in parts:
            try:
                short = filters_in(part) & own
            except jinja2.TemplateSyntaxError:
                continue
            if short:
                found[str(path.relative_to(ROOT))] = sorted(short)
    assert not found, f"expected decanter.stack.NAME, got {found}"


def test_product_code_is_imported():
    """No Python file is loaded by its path, and sys.path does not change."""
    folders = ("plugins", "roles", "bin", "tools")
    forbidden = re.compile(r"spec_from_file_location|SourceFileLoader|sys\.path\b|__path__\.append")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    programs = [path for path in files if path.suffix in ("", ".py")]
    found = [str(path) for path in programs if forbidden.search(path.read_text(errors="replace"))]
    assert not found, found


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py")))
def test_documentation_of_modules_is_yaml(name: str) -> None:
    module = import_module(f"ansible_collections.decanter.stack.plugins.modules.{name}")
    documents = [
        yaml.safe_load(getattr(module, part, "{}")) for part in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    ]
    assert documents[0]["module"] == name, documents[0]


def test_files_of_hosts_do_not_import_the_collection():
    imports = re.compile(r"^\s*(from|import) ansible", re.M)
    programs = (ROOT / "roles").glob("*/files/**/*.py")
    found = [str(path) for path in programs if imports.search(path.read_text())]
    assert not found, found
