"""The files of vars/platform. No other code names a distribution."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import pytest
import tomllib
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.decanter.stack.plugins.filter import platform as filters
from ansible_collections.decanter.stack.plugins.filter.aws_check import aws_errors
from ansible_collections.decanter.stack.plugins.plugin_utils.platforms import oldest_python, platforms
from repository import ROOT, repository_files
from templates_rendering import LOADER, Templar, read, trust_as_template

NAMES = sorted(path.stem for path in (ROOT / "vars/platform").iterdir())
RELEASES = [platform["release"] for platform in platforms().values()]
IMAGES = [platform["aws"]["image"] for platform in platforms().values()]


def shape(value: Any) -> Any:
    """Return the keys and types of the values."""
    if isinstance(value, Mapping):
        return {key: shape(item) for key, item in value.items()}
    return type(value).__name__


def test_every_file_is_a_platform():
    assert list(platforms()) == NAMES and {"Debian-13", "Ubuntu-22"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_platform_has_the_keys_of_the_others(name):
    first, *_ = platforms().values()
    assert shape(platforms()[name]) == shape(first)
    distribution, major = name.split("-")
    assert platforms()[name]["release"].startswith(distribution)
    assert platforms()[name]["release"].split(" ")[-1].split(".")[0] == major


def test_host_gets_the_platform_of_its_facts():
    facts = {"distribution": "Ubuntu", "distribution_major_version": "22"}
    assert filters.platform(facts)["nginx"]["version"] == "1.18"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"distribution": "Fedora", "distribution_major_version": "41"},
            f"found the distribution Fedora-41, expected one of vars/platform: {', '.join(NAMES)}",
        ),
        ({}, "found no distribution, expected facts of the subset min"),
    ],
)
def test_unsupported_host_is_rejected(facts, expected):
    with pytest.raises(AnsibleFilterError) as error:
        filters.platform(facts)
    assert str(error.value) == f"ansible_facts: {expected}"


def test_database_flavour_of_the_inventory_needs_no_platform():
    """Debian sid, which has Oracle's MySQL, is not a platform."""
    variables = read(ROOT / "roles/mysql/vars/main.yml") | {
        "ansible_facts": {"distribution": "Debian", "distribution_major_version": "n/a"},
        "mysql_flavour": "mysql",
    }
    flavour = trust_as_template("{{ __mysql_flavour }}")
    assert Templar(LOADER, variables).template(flavour) == "mysql"
    with pytest.raises(Exception, match="found the distribution Debian-n/a, expected one of"):
        Templar(LOADER, variables | {"mysql_flavour": "auto"}).template(flavour)


@pytest.mark.parametrize("release", RELEASES)
def test_supported_release_has_no_error(release):
    assert filters.release_errors(release) == []


def test_unsupported_release_error_lists_all_releases():
    expected = f"found Ubuntu 20.04, expected one of: {', '.join(RELEASES)}"
    assert filters.release_errors("Ubuntu 20.04") == [expected]
    assert "Debian GNU/Linux 12, Debian GNU/Linux 13" in expected


@pytest.mark.parametrize(
    ("version", "found"), [("3.9", "Python 3.9"), ("", "no Python"), ("3.10", ""), ("3.13", "")]
)
def test_python_older_than_every_platform_is_an_error(version, found):
    expected = [f"found {found} at /opt/python, expected Python 3.10 or newer"] if found else []
    assert filters.python_errors(version, "/opt/python") == expected


def test_type_checker_and_ruff_check_for_the_oldest_python():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert settings["ruff"]["target-version"] == f"py{oldest_python().replace('.', '')}"
    assert set(re.findall(r"^check (\S+) .*plugins/modules", (ROOT / "bin/typecheck").read_text(), re.M)) == {
        oldest_python()
    }


def test_aws_image_of_each_platform_is_accepted():
    assert [filters.aws_image(image)["image"] for image in IMAGES] == IMAGES
    expected = f'aws.image: found "debian-11", expected one of: {", ".join(IMAGES)}'
    assert expected in aws_errors({"image": "debian-11"}, "staging")
    assert filters.aws_image("ubuntu-22.04")["root_device"] == "/dev/sda1"


def short_names() -> list[str]:
    """Return the names of the releases in documents, such as Debian 12 and Ubuntu 22.04."""
    return [platform["release"].replace(" GNU/Linux", "") for platform in platforms().values()]


def test_readme_lists_each_platform():
    table = (ROOT / "README.md").read_text().split("## Tested systems")[1]
    missing = [name for name in short_names() if name not in table]
    assert not missing, f"README.md: expected {missing} under Tested systems"


def test_ci_converges_each_platform():
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    matrix = jobs["converge"]["strategy"]["matrix"]["include"]
    assert [entry["name"] for entry in matrix if "suite" in entry] == short_names()


# --- Other code --------------------------------------------------------------------------------

FOLDERS = ("bin", "playbooks", "plugins", "roles", "tests/lab", "tools")
# Names of distributions and of their releases, and the facts that contain them. A Debian package is a file
# format, and the suite of a lab host is data.
NAME = re.compile(
    r"\b(debian(?! packages?\b)|ubuntu|bookworm|trixie|forky|jammy|noble|resolute)\b"
    r"|ansible_(facts\W+)?distribution|distribution_(major_)?version|distribution_release|os_family",
    re.IGNORECASE,
)
SUITE = re.compile(r'suite"?: "?\w+')
ALLOWED = {
    "bin/setup": "installs packages on the controller",
    "plugins/filter/platform.py": "reads the facts that select the platform",
    "plugins/schema/aws.yml": "has the default of aws.image",
    "plugins/schema/sites/sites.yml": "reserves the names of users of all distributions",
    "roles/aws/templates/user_data.sh.j2": "names the first releases with Python 3.11",
    "roles/base/files/preflight": "reads a file of systemd that is named debian.conf on all distributions",
    "tests/lab/roles/lab/vars/main.yml": "lists the components of archives for lab images",
    "tools/bench/baseline.py": "describes the lab hosts of the benchmark",
}


def docstring_lines(source: str) -> set[int]:
    strings = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    return {line for node in strings for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def names_of_distributions(path: str, source: str) -> list[str]:
    """Return the lines of code that name a distribution, without comments and docstrings."""
    ignored = docstring_lines(source) if path.endswith(".py") else set()
    code = {
        number: SUITE.sub("", re.sub(r"(^|\s)#.*$", "", line))
        for number, line in enumerate(source.splitlines(), 1)
        if number not in ignored
    }
    return [f"{path}:{number}: {line.strip()}" for number, line in code.items() if NAME.search(line)]


def test_code_outside_vars_platform_names_no_distribution():
    paths = [path for path in repository_files(*FOLDERS) if not path.endswith((".md", ".txt", ".in"))]
    found = {path: names_of_distributions(path, (ROOT / path).read_text()) for path in paths}
    lines = [line for path, lines in found.items() if path not in ALLOWED for line in lines]
    assert not lines, "\n".join(["expected the values in vars/platform, found:", *lines])
    unused = [path for path in ALLOWED if not found[path]]
    assert not unused, f"ALLOWED: expected files that name a distribution, got {unused}"


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("a.yml", "when: ansible_facts['distribution'] == 'Ubuntu'", True),
        ("a.yml", "when: ansible_distribution_release == codename", True),
        ("a.j2", "{% if suite == 'trixie' %}", True),
        ("a.py", 'found = name == "Debian"', True),
        ("a.py", '"""Read /etc/debian_version of Debian."""', False),
        ("a.yml", "a: 1  # Debian 12", False),
        ("a.yml", "description: A Debian package.", False),
        ("a.yml", "- {name: web1, suite: trixie}", False),
        ("a.yml", "path: /etc/distribution", False),
    ],
)
def test_names_of_distributions_are_found_in_code(path, source, found):
    assert bool(names_of_distributions(path, source)) == found
