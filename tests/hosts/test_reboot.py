"""A site, its units and its data after a reboot."""

from __future__ import annotations

import secrets

from test_site import SITE, submit_listing

UNITS = ["mariadb", "nginx", "ssh", "ufw"]


def test_site_units_and_data_survive_a_reboot(host, visitor, sql, reboot):
    title = f"Cottage {secrets.token_hex(6)}"
    assert submit_listing(visitor, title).status_code == 303
    release = visitor.get(f"{SITE}/healthz").headers["X-Release"]
    before = host.check_output("cat /proc/1/stat").split()[21]

    response = reboot(f"{SITE}/readyz")
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
