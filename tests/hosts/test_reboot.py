"""A site, its units and its data after a reboot."""

from __future__ import annotations

import secrets
import subprocess
import time
from pathlib import Path

import requests
from test_site import SITE, submit_listing

from tests.hosts.fixtures.lab import login

PODMAN = Path(__file__).parents[2] / "tests/lab/roles/lab/files/podman"
UNITS = ["mariadb", "nginx", "ssh", "ufw"]


def test_site_units_and_data_survive_a_reboot(host, variables, visitor, sql):
    title = f"Cottage {secrets.token_hex(6)}"
    assert submit_listing(visitor, title).status_code == 303
    release = visitor.get(f"{SITE}/healthz").headers["X-Release"]
    before = host.check_output("cat /proc/1/stat").split()[21]

    # Close the shared connection, because the host stops without closing it and ssh would wait.
    subprocess.run(["ssh", "-O", "exit", *login(variables)], capture_output=True)
    restart = [PODMAN, "restart", variables["lab_container"]]
    subprocess.run(restart, check=True, capture_output=True, timeout=120)

    start = time.monotonic()
    while True:
        try:
            response = visitor.get(f"{SITE}/readyz")
            if response.status_code == 200:
                break
        except requests.ConnectionError:
            pass
        assert time.monotonic() - start < 90, "expected the site within 90 s of a reboot, got nothing"
        time.sleep(0.5)
    assert response.headers["X-Release"] == release, (
        f"expected {release} again, got {response.headers['X-Release']}"
    )

    state = host.run("systemctl is-system-running --wait").stdout.strip()
    failed = host.run("systemctl --failed --no-legend --plain").stdout
    assert state == "running", f"expected every unit to be active, got {state}: {failed}"
    assert host.check_output("cat /proc/1/stat").split()[21] != before, (
        "expected another start time of process 1"
    )
    for unit in UNITS:
        assert host.service(unit).is_running, f"expected {unit} to be active, got it stopped"

    stored = sql("harbour", f"SELECT COUNT(*) FROM listings WHERE title = '{title}'")
    assert stored == "1", f"expected the listing from before the reboot, got {stored}"
