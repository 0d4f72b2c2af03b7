"""nginx accepts its rendered configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import structure_errors
from nginx_configuration import as_installed, check_nginx, missing_versions
from templates_cases import CASES, HOSTS, MINIMAL, PLATFORMS
from templates_rendering import everywhere, matching, render, rendered, rendered_root, root_of


@pytest.fixture
def root(host: str, case: str) -> Iterator[Path]:
    yield from rendered_root(host, case)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("acme", ["[fd00::2]", "10.1.2.9"]),  # the other web host, and the successor of this one
        # No site has a certificate from an ACME CA.
        *((case, []) for case in ("full", "behind", "behind-alb")),
    ],
)
def test_acme_challenges_are_requested_from_other_hosts(case, expected):
    (default,) = matching("debian13", case, r"/00-default\.conf$")
    assert re.findall(r"^    server (\S+):80 ", default.text, re.M) == expected, default.text
    (challenges,) = matching("debian13", case, r"/challenges\.conf$")
    assert ("proxy_pass" in challenges.text) == bool(expected), challenges.text


@pytest.mark.parametrize(("case", "expected"), [("full", 60), ("behind-alb", 75)])
def test_idle_connections_are_closed_by_the_load_balancer_first(case, expected):
    (main,) = matching("debian13", case, r"/nginx\.conf$")
    assert re.findall(r"keepalive_timeout (\d+)s;", main.text) == [str(expected)], main.text


def test_common_files_need_no_upstream_of_a_site():
    """A site that nginx rejects is left out with its upstream."""
    for name in CASES["behind-alb"].sites:
        for file in matching("debian13", "behind-alb", rf"/etc/nginx/(?!.*/{name}[./]).*\.conf$"):
            found = re.findall(rf"proxy_pass http://{name}.*", file.text)
            assert not found, f"{file.path}: expected no upstream of {name}, got {found}"
        (health,) = matching("debian13", "behind-alb", rf"/decanter/{name}/health\.conf$")
        assert f"location = /.decanter/health/{name} {{" in health.text, health.text


@pytest.mark.parametrize(
    ("host", "case", "expected"),
    [
        ("debian13", "full", True),
        ("debian12", "full", False),  # nginx without the module
        ("debian13", "minimal", False),
        ("debian13", "behind-passes", False),
    ],
)
def test_http3_requires_its_variable_and_a_direct_connection(host, case, expected):
    texts = [file.text for file in matching(host, case, r"/etc/nginx/.*\.conf$")]
    found = ["\n    listen 443 quic" in text for text in texts], ["Alt-Svc" in text for text in texts]
    assert [any(each) for each in found] == [expected, expected], f"expected {expected}, got {found}"
    defaults = sum(text.count("listen 443 quic reuseport default_server;") for text in texts)
    assert defaults == expected, f"expected {int(expected)} default servers, got {defaults}"


@everywhere
def test_nginx_accepts_its_configuration(host, case, root):
    if missing := missing_versions(host):
        pytest.skip(f"found nginx with {missing}, expected at least {PLATFORMS[host]['nginx']}")
    check_nginx(root, host)


NAME = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
COOKIES = [f"{number:02}{'.-' * 31}*" for number in range(50)]
# Sites with values of nginx at their limits, and site ids that are also names inside nginx.
LIMITS: dict[str, dict[str, Any]] = {
    "a burst without a third": {"a": {"nginx": {"limits": {"burst": 2}}}},
    "the longest server name": {"a": {"server_names": [NAME]}},
    "many long server names": {
        f"a{site}": {"server_names": [f"n{site}-{number}.{NAME[8:]}" for number in range(100)]}
        for site in range(50)
    },
    "the longest health path": {
        "a": {
            "health": {"path": f"/{'h' * 3999}"},
            "nginx": {"cache": True, "basic_auth": {"ada": "correct horse"}},
        }
    },
    "a header of backslashes": {"a": {"nginx": {"headers": {"X-A": "\\" * 3000}}}},
    "a header of quotes": {"a": {"nginx": {"headers": {"X-A": '"' * 3000}}}},
    "the longest cookies": {"a": {"nginx": {"cache": {"harmless_cookies": COOKIES}}}},
    "the longest exceptions": {"a": {"nginx": {"cache": {"except": ["/" + ".-" * 1999, "/b", "/b.c"]}}}},
    "the longest paths of WebSockets and streams": {
        "a": {
            "nginx": {
                "websockets": [f"/{'.-' * 498}{number}" for number in range(10, 60)],
                "streams": [f"/{'a' * 999}", "/b", "/"],
            }
        }
    },
    "the largest body": {"a": {"nginx": {"client_max_body_size": "999999999g"}}},
    "the longest static url": {"a": {"static": [{"url": f"/{'s' * 255}" * 11 + "/", "path": "static"}]}},
    "many headers": {
        f"a{site}": {"nginx": {"headers": {f"X-{number}-{'h' * 58}": "a" for number in range(50)}}}
        for site in range(50)
    },
    "names inside nginx": {
        name: {
            "health": {"path": "/healthz"},
            "nginx": {
                "cache": True,
                "websockets": True,
                "streams": ["/events"],
                "basic_auth": {"ada": "correct horse"},
                "headers": dict.fromkeys(("Realm", "Cache", "Path", "Visitor", "B-C", "C", "Method"), "a"),
            },
        }
        for name in ("a", "a-b", "request", "http", "upstream", "ssl", "limit-req", "visitor", "main")
    },
}


@pytest.mark.parametrize("values", LIMITS)
def test_nginx_accepts_values_at_their_limits(values):
    sites = {
        name: {**MINIMAL, "server_names": [f"{name}.test"], **site} for name, site in LIMITS[values].items()
    }
    assert not list(structure_errors(sites)), "expected accepted sites"
    case = CASES["minimal"]._replace(sites=sites)
    for root in root_of(render("debian12", case, **as_installed("debian12"))):
        check_nginx(root, "debian12")


@pytest.mark.parametrize("host", HOSTS)
def test_wildcard_server_serves_the_application(host):
    text = matching(host, "route53", r"sites-enabled/harbour\.conf$")[0].text
    servers = re.split(r"^server \{$", text, flags=re.MULTILINE)[1:]
    got = [
        (
            re.search(r"server_name (.+);", server)[1],
            re.findall(r"return 30\d ([^;]+);|(locations\.conf)", server)[-1],
        )
        for server in servers
    ]
    first = "https://harbour.test$request_uri"
    assert got == [
        ("harbour.test www.harbour.test", (first, "")),
        ("*.harbour.test *.homes.test", ("https://$host$request_uri", "")),
        ("www.harbour.test", (first, "")),
        ("harbour.test *.harbour.test *.homes.test", ("", "locations.conf")),
    ], got


@everywhere
def test_variables_of_sites_have_a_prefix_and_differ(host, case):
    """`http_path` of a site `http` would be a variable of nginx, and `a_b_c` could belong to `a` or `a-b`."""
    files = [file for file in rendered(host, case) if re.search(r"/decanter/[^/]+/http\.conf$", file.path)]
    variables = [name for file in files for name in re.findall(r"^map .* \$(\w+) \{$", file.text, re.M)]
    foreign = [name for name in variables if not name.startswith("site_")]
    assert foreign == [] and len(set(variables)) == len(variables), variables
    for file in files:
        prefix = f"site_{Path(file.path).parent.name.replace('-', '__')}_"
        names = re.findall(r"\$(site_\w+?)(?=\$|\W)", file.text)
        assert all(name.startswith(prefix) for name in names), f"{file.path}: expected {prefix}, got {names}"
