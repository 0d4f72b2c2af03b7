"""What survives a reboot."""

from __future__ import annotations

import secrets
import subprocess
import time
from pathlib import Path

import requests
from test_site import SITE, offer

from tests.hosts.fixtures.lab import login

PODMAN = Path(__file__).parents[2] / "tests/lab/roles/lab/files/podman"
UNITS = ["mariadb", "nginx", "ssh", "ufw"]


def test_everything_is_back_after_a_reboot(host, variables, visitor, sql):
    title = f"Cottage {secrets.token_hex(6)}"
    assert offer(visitor, title).status_code == 303
    release = visitor.get(f"{SITE}/healthz").headers["X-Release"]
    before = host.check_output("cat /proc/1/stat").split()[21]

    # The host ends without a word: a connection that is kept open would wait long for an answer.
    subprocess.run(["ssh", "-O", "exit", *login(variables)], capture_output=True)
    restart = [PODMAN, "restart", variables["lab_container"]]
    subprocess.run(restart, check=True, capture_output=True, timeout=120)

    begun = time.monotonic()
    while True:
        try:
            answer = visitor.get(f"{SITE}/readyz")
            if answer.status_code == 200:
                break
        except requests.ConnectionError:
            pass
        assert time.monotonic() - begun < 90, "expected the site within 90 s of a reboot, got nothing"
        time.sleep(0.5)
    assert answer.headers["X-Release"] == release, (
        f"expected {release} again, got {answer.headers['X-Release']}"
    )

    state = host.run("systemctl is-system-running --wait").stdout.strip()
    failed = host.run("systemctl --failed --no-legend --plain").stdout
    assert state == "running", f"expected every unit back, got {state}: {failed}"
    assert host.check_output("cat /proc/1/stat").split()[21] != before, "expected a host that was booted anew"
    for unit in UNITS:
        assert host.service(unit).is_running, f"expected {unit} to be back, got it stopped"

    stored = sql("harbour", f"SELECT COUNT(*) FROM listings WHERE title = '{title}'")
    assert stored == "1", f"expected the listing that was sent before the reboot, got {stored}"
