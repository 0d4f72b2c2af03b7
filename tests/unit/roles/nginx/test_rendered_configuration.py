"""nginx accepts its rendered configuration."""

from __future__ import annotations

import datetime
import functools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROOT
from templates_cases import CASES, HOSTS, PLATFORMS
from templates_rendering import (
    everywhere,
    matching,
    program,
    rendered,
    rendered_root,
    run,
)


@pytest.fixture
def root(host: str, case: str) -> Iterator[Path]:
    yield from rendered_root(host, case)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("acme", ["[fd00::2]", "10.1.2.9"]),  # the other web host, and the successor of this one
        ("balancer-passes", ["[fd00::2]"]),  # the web hosts; this balancer has the name web1
        # No site has a certificate from an ACME CA.
        *((case, []) for case in ("full", "behind", "behind-alb", "balancer")),
    ],
)
def test_acme_challenges_are_requested_from_other_hosts(case, expected):
    (default,) = matching("debian13", case, r"/00-default\.conf$")
    assert re.findall(r"^    server (\S+):80 ", default.text, re.M) == expected, default.text
    (challenges,) = matching("debian13", case, r"/challenges\.conf$")
    assert ("proxy_pass" in challenges.text) == bool(expected), challenges.text


def test_common_files_need_no_upstream_of_a_site():
    """A site that nginx rejects is left out with its upstream."""
    for name in CASES["behind-alb"].sites:
        for file in matching("debian13", "behind-alb", rf"/etc/nginx/(?!.*/{name}[./]).*\.conf$"):
            found = re.findall(rf"proxy_pass http://{name}.*", file.text)
            assert not found, f"{file.path}: expected no upstream of {name}, got {found}"
        (health,) = matching("debian13", "behind-alb", rf"/decanter/{name}/health\.conf$")
        assert f"location = /.decanter/health/{name} {{" in health.text, health.text


@functools.cache
def certificate() -> tuple[str, str]:
    """Return the PEM of a certificate that is valid for one day, and of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "decanter.test")])
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    unsigned = unsigned.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = unsigned.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return public.decode(), private.decode()


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def module(name: str) -> str:
    """Return the line that loads a module of nginx. The module has its own package."""
    relative = f"usr/lib/nginx/modules/ngx_{name}_module.so"
    found = [path for path in (Path("/") / relative, ROOT / ".venv/tools" / relative) if path.exists()]
    if not found and os.environ.get("DECANTER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"nginx's module {name} is not installed, and DECANTER_REQUIRE_TOOLS=1 requires it")
    return f"load_module {found[0]};\n" if found else pytest.skip(f"nginx's module {name} is not installed")


def nginx_problem(host: str) -> str | None:
    """Return why the nginx of this machine cannot test the configuration of a host, or None."""
    platform = PLATFORMS[host]["nginx"]
    output = run(program("nginx"), "-V")[1]
    for name, pattern in (("nginx", r"nginx/([\d.]+)"), ("openssl", r"built with OpenSSL ([\d.]+)")):
        installed = re.search(pattern, output)[1]
        required = platform["version" if name == "nginx" else "openssl_version"]
        if version(installed) < version(required):
            return f"{name}: found {installed}, expected at least {required} as on {host}"
    return None


@everywhere
def test_nginx_accepts_its_configuration(host, case, root):
    nginx = program("nginx")
    if reason := nginx_problem(host):
        pytest.skip(reason)
    for folder in ("etc/nginx/modules-enabled", "run", "var/log/nginx", "var/lib/nginx"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/nginx/mime.types").write_text("types { text/html html; }\n")
    paths = re.compile(r"(?<=[ ;])/(?=(?:etc|run|srv|var)/)")  # except sockets, which follow unix:
    certificate_path = re.compile(r"ssl_(?:trusted_)?certificate(_key)? (\S+);")
    for path in (root / "etc/nginx").rglob("*.conf"):
        text = paths.sub(f"{root}/", path.read_text())
        for private, pem in certificate_path.findall(text):
            Path(pem).parent.mkdir(parents=True, exist_ok=True)
            Path(pem).write_text(certificate()[bool(private)])
        # Low ports need root, and can be in use on this machine.
        text = re.sub(r"(listen (?:\[::\]:)?)(80|443)\b", r"\g<1>20\2", text)
        # nginx creates its sockets also with -t.
        text = text.replace("listen unix:/run/decanter/balancer", f"listen unix:{root}")
        path.write_text(text.replace("user www-data;", ""))
    main = root / "etc/nginx/nginx.conf"
    modules = root / "etc/nginx/modules-enabled"
    if "brotli on" in main.read_text():
        lines = module("http_brotli_filter") + module("http_brotli_static")
        (modules / "brotli.conf").write_text(lines)
    if "balancer" in CASES[case].groups:
        (modules / "stream.conf").write_text(module("stream"))
    else:
        shutil.rmtree(root / "etc/nginx/stream-enabled")
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = "".join(f"{kind}_temp_path {root}/var/lib/nginx/{kind};\n" for kind in temporary)
    main.write_text(main.read_text().replace("http {", f"http {{\n{lines}", 1))
    code, output = run(nginx, "-t", "-q", "-e", "stderr", "-p", str(root), "-c", str(main))
    assert code == 0, f"nginx rejects the configuration of {host}:\n{output}"
    # A newer nginx warns about directives that older versions need.
    warnings = [line for line in output.splitlines() if "[warn]" in line and "deprecated" not in line]
    assert not warnings, f"nginx warns about the configuration of {host}: {warnings}"


@pytest.mark.parametrize("host", HOSTS)
def test_wildcard_server_serves_the_application(host):
    text = matching(host, "route53", r"sites-enabled/harbour\.conf$")[0].text
    servers = re.split(r"^server \{$", text, flags=re.MULTILINE)[1:]
    got = [
        (
            re.search(r"server_name (.+);", server)[1],
            re.findall(r"return 30\d ([^;]+);|(application\.conf)", server)[-1],
        )
        for server in servers
    ]
    first = "https://harbour.test$request_uri"
    assert got == [
        ("harbour.test www.harbour.test", (first, "")),
        ("*.harbour.test *.homes.test", ("https://$host$request_uri", "")),
        ("www.harbour.test", (first, "")),
        ("harbour.test *.harbour.test *.homes.test", ("", "application.conf")),
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
