"""Check a rendered configuration of nginx with the program."""

from __future__ import annotations

import datetime
import functools
import re
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROOT
from templates_cases import PLATFORMS
from templates_rendering import program, run


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
    """Return the line that loads a module of nginx, or an empty string. The module has its own package."""
    relative = f"usr/lib/nginx/modules/ngx_{name}_module.so"
    found = [path for path in (Path("/") / relative, ROOT / ".venv/tools" / relative) if path.exists()]
    return f"load_module {found[0]};\n" if found else ""


@functools.cache
def installed_versions() -> dict[str, str]:
    """Return the versions of the nginx of this machine and of its OpenSSL, by their keys in vars/platform."""
    output = run(program("nginx"), "-V")[1]
    patterns = {"version": r"nginx/([\d.]+)", "openssl_version": r"built with OpenSSL ([\d.]+)"}
    return {key: re.findall(pattern, output)[0] for key, pattern in patterns.items()}


def missing_versions(host: str) -> dict[str, str]:
    """Return the installed versions that are older than those of a host."""
    required = PLATFORMS[host]["nginx"]
    return {
        key: installed
        for key, installed in installed_versions().items()
        if version(installed) < version(required[key])
    }


def as_installed(host: str) -> dict[str, Any]:
    """Return variables of the role nginx for a host with the nginx of this machine, if that is older."""
    missing = missing_versions(host)
    # Older versions have no HTTP/3.
    http3 = {"nginx_http3_enabled": False} if missing else {}
    return {f"__nginx_{key}": installed for key, installed in missing.items()} | http3


def write_configuration(root: Path, ports: dict[str, str]) -> Path:
    """Change the configuration below a folder so that nginx runs there. Return its main file.

    `ports` replaces the addresses of `listen`: low ports need root, and can be in use on this machine.
    """
    for folder in ("etc/nginx/modules-enabled", "run", "var/log/nginx", "var/lib/nginx"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/nginx/mime.types").write_text("types { text/html html; }\n")
    paths = re.compile(r"(?<=[ ;])/(?=(?:etc|run|srv|usr|var)/)|(?<=unix:)/(?=run/)")
    certificate_path = re.compile(r"ssl_(?:trusted_)?certificate(_key)? (\S+);")
    for path in (root / "etc/nginx").rglob("*.conf"):
        # nginx creates its sockets also with -t.
        text = path.read_text().replace("listen unix:/run/decanter/balancer", f"listen unix:{root}")
        text = paths.sub(f"{root}/", text)
        for private, pem in certificate_path.findall(text):
            Path(pem).parent.mkdir(parents=True, exist_ok=True)
            Path(pem).write_text(certificate()[bool(private)])
        for address, port in ports.items():
            text = re.sub(rf"listen {re.escape(address)}(?=[ ;])", f"listen {port}", text)
        path.write_text(text.replace("user www-data;", ""))
    main = root / "etc/nginx/nginx.conf"
    modules = root / "etc/nginx/modules-enabled"
    if "brotli on" in main.read_text():
        lines = [module("http_brotli_filter"), module("http_brotli_static")]
        (modules / "brotli.conf").write_text("".join(lines))
        if not all(lines):  # Ubuntu 24.04, on which CI runs, has no such modules
            for path in (root / "etc/nginx").rglob("*.conf"):
                path.write_text(re.sub(r"^ *brotli(_\w+)? [^;]*;", "", path.read_text(), flags=re.M))
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = "".join(f"{kind}_temp_path {root}/var/lib/nginx/{kind};\n" for kind in temporary)
    main.write_text(main.read_text().replace("http {", f"http {{\n{lines}", 1))
    return main


def nginx_command(root: Path, main: Path, *arguments: str) -> list[str]:
    return [program("nginx"), *arguments, "-e", "stderr", "-p", str(root), "-c", str(main)]


def check_nginx(root: Path, host: str) -> None:
    """Fail if nginx rejects the configuration of a host below a folder, or prints a warning."""
    ports = {"80": "2080", "[::]:80": "[::]:2080", "443": "20443", "[::]:443": "[::]:20443"}
    main = write_configuration(root, ports)
    code, output = run(*nginx_command(root, main, "-t", "-q"))
    assert code == 0, f"nginx rejects the configuration of {host}:\n{output}"
    # A newer nginx warns about directives that older versions need.
    warnings = [line for line in output.splitlines() if "[warn]" in line and "deprecated" not in line]
    assert not warnings, f"nginx warns about the configuration of {host}: {warnings}"
