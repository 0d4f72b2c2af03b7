"""Every template is rendered without a host: comments, values, and differences of distributions."""

from __future__ import annotations

import re

import yaml
from ansible_collections.decanter.stack.plugins.plugin_utils.platforms import version_numbers
from repository import ROLES
from templates_cases import CASES, HOSTS, PLATFORMS
from templates_rendering import HOST_ROLES, MANAGED, everywhere, matching, rendered


def test_every_template_is_rendered():
    expected = {
        f"{role}/{path.relative_to(ROLES[role] / 'templates')}"
        for role in HOST_ROLES
        for path in (ROLES[role] / "templates").rglob("*.j2")
        if not path.name.startswith("_")  # included by others
    }
    got = {file.template for host in HOSTS for case in CASES for file in rendered(host, case)}
    assert got == expected, f"expected a task for each template, got none for {sorted(expected - got)}"


# A known_hosts file contains keys only.
WITHOUT_COMMENTS = {"lab/known_hosts.j2"}


@everywhere
def test_files_start_with_a_header_and_have_comments(host, case):
    for file in rendered(host, case):
        if file.template in WITHOUT_COMMENTS:
            continue
        head, _, rest = file.text.partition(MANAGED)
        first = r"(#|//)\n\1 |<!doctype html>\n<!-- "
        assert re.fullmatch(first, head), f"{file.path}: expected {MANAGED} first, got {head!r}"
        comments = re.findall(r"^\s*(?:#|//) \S|^\. \S.* -->$", rest, re.M)
        assert comments, f"{file.path}: expected a comment that explains it, found none"


# Words, lists and markers of Python that a template prints for a missing value or a wrong type.
ARTEFACT = re.compile(
    r"\b(None|True|False|Undefined|AnsibleUndefined|omit)\b|\{\{|\}\}|\{%|%\}|\[\]|\['|__omit"
)
# The lab's inventory contains templates.
WRITTEN_AS_TEMPLATES = re.compile(r' +verify_address: "\{\{ hostvars\[.*\]\.ansible_host \}\}"')
# Assignments that reset a list of systemd, and the kernel settings that ufw must not change.
EMPTY = {
    *("AmbientCapabilities=", "CapabilityBoundingSet=", "ExecReload=", "ExecStart=", "ListenStream="),
    *("OnCalendar=", "IPT_SYSCTL="),
}


@everywhere
def test_values_are_not_printed_as_python(host, case):
    for file in rendered(host, case):
        assert file.text.endswith("\n"), f"{file.path}: expected a newline at the end"
        if file.path.endswith(".py"):
            continue
        for number, line in enumerate(file.text.splitlines(), 1):
            intended = re.match(r"\s*#", line) or "{'a'" in line or WRITTEN_AS_TEMPLATES.fullmatch(line)
            found = None if intended else ARTEFACT.search(line)
            assert not found, f"{file.path}:{number}: found {found[0]!r} in {line!r}"
            empty = re.fullmatch(r"[\w.-]+ ?= ?", line) and line not in EMPTY
            assert not empty, f"{file.path}:{number}: expected a value, got {line!r}"
            assert line == line.rstrip(), f"{file.path}:{number}: found a blank at the end of {line!r}"


@everywhere
def test_lab_inventory_lists_hosts_and_groups(host, case):
    file = next(file for file in rendered(host, case) if file.template == "lab/inventory.yml.j2")
    got = yaml.safe_load(file.text)["all"]
    assert list(got["hosts"]) == ["a", "b"] and list(got["children"]["web"]["hosts"]) == ["a"], got


def test_files_differ_between_distributions():
    """Each value of vars/platform changes a file."""
    names = {"nginx": r"/nginx\.conf$", "ssl": r"/sites-enabled/00", "database": r"/etc/mysql/.*\.cnf$"}
    got = {name: [matching(host, "minimal", pattern)[0] for host in HOSTS] for name, pattern in names.items()}
    hosts = dict(zip(HOSTS, zip(*got.values(), strict=True), strict=True))
    for host, (nginx, ssl, database) in hosts.items():
        platform = PLATFORMS[host]
        openssl, version = (version_numbers(platform["nginx"][key]) for key in ("openssl_version", "version"))
        assert ("X25519MLKEM768" in nginx.text) == (openssl >= (3, 5)), host
        assert ("ssl_reject_handshake" in ssl.text) == (version >= (1, 19, 4)), host
        assert ("mariadb.conf.d" in database.path) == (platform["mysql"]["flavour"] == "mariadb"), host
