"""Check a rendered configuration of HAProxy with the program."""

from __future__ import annotations

import os
from pathlib import Path

from nginx_configuration import certificate
from repository import ROOT
from templates_rendering import program, run


def check_haproxy(root: Path, host: str) -> None:
    """Fail if HAProxy rejects the configuration of a balancer below a folder, or prints a warning."""
    etc = root / "etc/haproxy"
    for path in (path for path in etc.rglob("*") if path.is_file()):
        text = path.read_text().replace("/etc/haproxy/", f"{etc}/")
        text = text.replace("/var/lib/haproxy", f"{root}/var").replace("/run/decanter/balancer", str(root))
        # The user belongs to the package, which need not be installed.
        path.write_text(text.replace("    user haproxy\n    group haproxy\n", ""))
    (root / "var").mkdir(exist_ok=True)
    (root / "var/server-state").write_text("1\n")
    (etc / "authority.pem").write_text(certificate()[0])
    if (etc / "certificates.list").exists():
        (etc / "certificates").mkdir(exist_ok=True)
        for site in (etc / "sites").glob("*.cfg"):
            for suffix, text in zip(("", ".key"), certificate(), strict=True):
                (etc / f"certificates/{site.stem}.pem{suffix}").write_text(text)
    libraries = next((ROOT / ".venv/tools/usr/lib").glob("*-linux-gnu"), Path("/"))
    environment = f"LD_LIBRARY_PATH={libraries}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}"
    command = ("env", environment, program("haproxy"), "-c", "-f", f"{etc}/haproxy.cfg", "-f", f"{etc}/sites")
    code, output = run(*command)
    warnings = [line for line in output.splitlines() if line.startswith(("[WARNING]", "[ALERT]"))]
    assert code == 0 and not warnings, f"HAProxy rejects the configuration of {host}:\n{output}"
